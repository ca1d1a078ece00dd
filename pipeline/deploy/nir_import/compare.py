"""The graph in floating point beside the network of integers, on the same frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from quantize.nir_import import Imported, LayerReport, run_float
from sim import engine
from sim.recording import Recording

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ImportedLayer:
    """One layer of neurons. Rates are spikes a neuron and frame.

    rate_error: of the whole layer, relative to the float rate (None where that is 0). neuron_rate_error: rms over the
    neurons of the difference in rate. agreement: share of neurons and frames with the same spike. Read-outs have none
    of these but value_error: rms of the difference over the rms of the float values about their mean.
    subtracting: where the file leaves some reset open, the same share for the float graph beside itself with a reset
    that subtracts the threshold; None where it leaves nothing open.
    """

    layer: str
    float_rate: float | None = None
    integer_rate: float | None = None
    rate_error: float | None = None
    neuron_rate_error: float | None = None
    agreement: float | None = None
    value_error: float | None = None
    subtracting: float | None = None


@dataclass(frozen=True)
class ImportedOutput:
    """One output. agreement: share of sequences in which the neuron that spikes most, or whose mean voltage is highest,
    is the same; where several are equal in one, the other's has to be among them. frame_agreement: the same for every
    frame of a read-out, None for spikes."""

    output: str
    agreement: float
    frame_agreement: float | None


@dataclass(frozen=True)
class ImportComparison:
    """All layers and outputs over ``sequences`` of ``frames`` frames each."""

    sequences: int
    frames: int
    layers: tuple[ImportedLayer, ...]
    outputs: tuple[ImportedOutput, ...]


@dataclass
class _Sums:
    """What has to be kept of one layer while sequence follows sequence."""

    values: int = 0
    same: int = 0
    neurons: list[tuple[Float, Float]] = field(default_factory=list)
    squared_error: float = 0.0
    squared: float = 0.0
    total: float = 0.0
    decisions: list[bool] = field(default_factory=list)
    frame_decisions: list[float] = field(default_factory=list)
    subtracting: list[float] = field(default_factory=list)


def compare(imported: Imported, advance: Callable[[], None] = lambda: None) -> ImportComparison:
    """Run both sides on the calibration frames, one sequence after the other. advance: called once a frame.

    Raises NetworkError where a sum of the network leaves 32 bits, which its proof of head-room excludes.
    """
    floats, integers = imported.calibration.floats, imported.calibration.integers
    sequences, frames = next(iter(integers.values())).shape[:2]
    sums = {report.name: _Sums() for report in imported.layers}
    nodes = tuple(report.node for report in imported.layers)
    for one in range(sequences):
        now = {name: values[one : one + 1] for name, values in floats.items()}
        run = run_float(imported.graph, now, imported.dt, nodes, advance)
        recording = engine.run(imported.network, {name: values[one] for name, values in integers.items()})
        for report in imported.layers:
            _add(sums[report.name], report, run.values[report.node][0], recording)
        if imported.reset_assumed:
            other = run_float(imported.graph, now, imported.dt, nodes, subtract=True)
            for report in imported.layers:
                if report.spikes:
                    same = run.values[report.node] == other.values[report.node]
                    sums[report.name].subtracting.append(float(same.mean()))
    layers = tuple(_layer(name, one) for name, one in sums.items())
    outputs = tuple(_output(name, sums[name]) for name in imported.network.outputs)
    return ImportComparison(sequences, frames, layers, outputs)


def _add(sums: _Sums, report: LayerReport, expected: Float, recording: Recording) -> None:
    frames = len(expected)
    wanted = expected.reshape(frames, -1)
    sums.values += wanted.size
    if report.spikes:
        got = recording.spikes[report.name].reshape(frames, -1).astype(np.float64)
        sums.same += int((got == wanted).sum())
    else:
        units = np.broadcast_to(report.rounded.voltage_unit[:, None, None], recording.membranes[report.name].shape[1:])
        got = recording.membranes[report.name].reshape(frames, -1) / units.reshape(-1)
        sums.squared_error += float(((got - wanted) ** 2).sum())
        sums.squared += float((wanted**2).sum())
        sums.total += float(wanted.sum())
        sums.frame_decisions.append(float(np.mean([_decides(a, b) for a, b in zip(wanted, got, strict=True)])))
    sums.neurons.append((wanted.mean(axis=0), got.mean(axis=0)))
    sums.decisions.append(_decides(wanted.mean(axis=0), got.mean(axis=0)))


def _decides(expected: Float, got: Float) -> bool:
    """Whether both have the same largest value; among equals it only has to be one of them."""
    return bool(expected[np.argmax(got)] == expected.max() or got[np.argmax(expected)] == got.max())


def _layer(name: str, sums: _Sums) -> ImportedLayer:
    if sums.frame_decisions:
        spread = sums.squared / sums.values - (sums.total / sums.values) ** 2
        error = sums.squared_error / sums.values
        return ImportedLayer(name, value_error=float(np.sqrt(error / spread)) if spread > 0 else float(error > 0))
    wanted = np.mean([pair[0] for pair in sums.neurons], axis=0)
    got = np.mean([pair[1] for pair in sums.neurons], axis=0)
    float_rate, integer_rate = float(wanted.mean()), float(got.mean())
    relative = (integer_rate - float_rate) / float_rate if float_rate else None
    rms = float(np.sqrt(((got - wanted) ** 2).mean()))
    subtracting = float(np.mean(sums.subtracting)) if sums.subtracting else None
    same = sums.same / sums.values
    return ImportedLayer(name, float_rate, integer_rate, relative, rms, same, subtracting=subtracting)


def _output(name: str, sums: _Sums) -> ImportedOutput:
    frames = float(np.mean(sums.frame_decisions)) if sums.frame_decisions else None
    return ImportedOutput(name, float(np.mean(sums.decisions)), frames)
