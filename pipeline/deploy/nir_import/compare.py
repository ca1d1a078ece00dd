"""The graph in floating point beside the network of integers, on the same frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from quantize.nir_import import Imported, LayerReport, Rules, run_float
from sim import engine
from sim.recording import Recording, unvaried

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ImportedLayer:
    """One layer of neurons. Rates are spikes a neuron and frame.

    rate_error: of the whole layer, relative to the float rate (None where that is 0). neuron_rate_error: rms over the
    neurons of the difference in rate. agreement: share of neurons and frames with the same spike; None where
    meaningless says why it would mean nothing. Read-outs have none of these but value_error: rms of the difference over
    the rms of the float values about their mean.
    other_reset: the same share for the float graph beside itself with the other kind of reset, one that subtracts the
    threshold where the file leaves that open, and one to ``v_reset`` where the graph subtracts; None where neither is.
    ties: share of neurons and frames in which the float voltage equals the threshold.
    """

    layer: str
    float_rate: float | None = None
    integer_rate: float | None = None
    rate_error: float | None = None
    neuron_rate_error: float | None = None
    agreement: float | None = None
    value_error: float | None = None
    other_reset: float | None = None
    ties: float = 0.0
    meaningless: str | None = None


@dataclass(frozen=True)
class ImportedOutput:
    """One output. agreement: share of sequences in which the neuron that spikes most, or whose mean voltage is highest,
    is the same; where several are equal in one, the other's has to be among them. frame_agreement: the same for every
    frame of a read-out, None for spikes. Both None where meaningless says that no neuron leads, and why."""

    output: str
    agreement: float | None
    frame_agreement: float | None
    meaningless: str | None = None


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
    other_reset: list[float] = field(default_factory=list)
    ties: int = 0
    fired: tuple[int, int] = (0, 0)
    still: bool = True
    first: Float | None = None


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
        run = run_float(imported.graph, now, imported.dt, nodes, advance, imported.rules)
        recording = engine.run(imported.network, {name: values[one] for name, values in integers.items()})
        for report in imported.layers:
            sums[report.name].ties += run.ties.get(report.node, 0)
            _add(sums[report.name], report, _in_step(imported, report, run.values[report.node][0]), recording)
        if (other_rules := _other_reset(imported)) is not None:
            other = run_float(imported.graph, now, imported.dt, nodes, rules=other_rules)
            for report in imported.layers:
                if report.spikes:
                    same = run.values[report.node] == other.values[report.node]
                    sums[report.name].other_reset.append(float(same.mean()))
    layers = tuple(_layer(name, one) for name, one in sums.items())
    outputs = tuple(_output(name, sums[name]) for name in imported.network.outputs)
    return ImportComparison(sequences, frames, layers, outputs)


def _in_step(imported: Imported, report: LayerReport, values: Float) -> Float:
    """Of neurons that send their spikes a step late those of one step on, as many as there are: the integers fire at
    once, and only what reads them waits."""
    late = imported.rules.get(report.node, Rules()).late and len(values) > 1
    return values[1:] if late else values


def _other_reset(imported: Imported) -> Mapping[str, Rules] | None:
    """The rules with the other kind of reset, where the float graph has one that is to be held against it."""
    if any(rules.soft for rules in imported.rules.values()):
        return {name: replace(rules, reset="zero") for name, rules in imported.rules.items()}
    if not imported.reset_assumed:
        return None
    return {
        name: replace(rules, reset="subtract") if name in imported.reset_assumed else rules
        for name, rules in imported.rules.items()
    }


def _add(sums: _Sums, report: LayerReport, expected: Float, recording: Recording) -> None:
    frames = len(expected)
    wanted = expected.reshape(frames, -1)
    sums.values += wanted.size
    if report.spikes:
        spikes = recording.spikes[report.name]
        got = spikes.reshape(len(spikes), -1)[:frames].astype(np.float64)
        sums.same += int((got == wanted).sum())
        sums.fired = (sums.fired[0] + int((wanted > 0).sum()), sums.fired[1] + int((got > 0).sum()))
    else:
        units = np.broadcast_to(report.rounded.voltage_unit[:, None, None], recording.membranes[report.name].shape[1:])
        got = recording.membranes[report.name].reshape(frames, -1) / units.reshape(-1)
        sums.squared_error += float(((got - wanted) ** 2).sum())
        sums.squared += float((wanted**2).sum())
        sums.total += float(wanted.sum())
        sums.frame_decisions.append(float(np.mean([_decides(a, b) for a, b in zip(wanted, got, strict=True)])))
        sums.first = wanted[0] if sums.first is None else sums.first
        sums.still = sums.still and bool((wanted == sums.first).all())
    sums.neurons.append((wanted.mean(axis=0), got.mean(axis=0)))
    sums.decisions.append(_decides(wanted.mean(axis=0), got.mean(axis=0)))


def _decides(expected: Float, got: Float) -> bool:
    """Whether both have the same largest value; among equals it only has to be one of them."""
    return bool(expected[np.argmax(got)] == expected.max() or got[np.argmax(expected)] == got.max())


def _meaningless(sums: _Sums) -> str | None:
    """Why two sides that agree say nothing; None where they do."""
    if sums.frame_decisions:
        several = sums.values > (0 if sums.first is None else sums.first.size)
        return "its values are the same in every frame" if sums.still and several else None
    said = {
        side: why
        for side, fired in zip(("of the float graph", "of the integers"), sums.fired, strict=True)
        if (why := unvaried(fired, sums.values)) is not None
    }
    if len(said) == 2 and len(set(said.values())) == 1:
        return next(iter(said.values()))
    return ", ".join(text.replace("neuron", f"neuron {side}") for side, text in said.items()) or None


def _layer(name: str, sums: _Sums) -> ImportedLayer:
    meaningless = _meaningless(sums)
    if sums.frame_decisions:
        spread = sums.squared / sums.values - (sums.total / sums.values) ** 2
        error = sums.squared_error / sums.values
        value_error = float(np.sqrt(error / spread)) if spread > 0 else float(error > 0)
        return ImportedLayer(name, value_error=value_error, meaningless=meaningless)
    wanted = np.mean([pair[0] for pair in sums.neurons], axis=0)
    got = np.mean([pair[1] for pair in sums.neurons], axis=0)
    float_rate, integer_rate = float(wanted.mean()), float(got.mean())
    return ImportedLayer(
        name,
        float_rate,
        integer_rate,
        rate_error=(integer_rate - float_rate) / float_rate if float_rate else None,
        neuron_rate_error=float(np.sqrt(((got - wanted) ** 2).mean())),
        agreement=sums.same / sums.values if meaningless is None else None,
        other_reset=float(np.mean(sums.other_reset)) if sums.other_reset else None,
        ties=sums.ties / sums.values,
        meaningless=meaningless,
    )


def _output(name: str, sums: _Sums) -> ImportedOutput:
    if (meaningless := _meaningless(sums)) is not None:
        return ImportedOutput(name, None, None, meaningless)
    frames = float(np.mean(sums.frame_decisions)) if sums.frame_decisions else None
    return ImportedOutput(name, float(np.mean(sums.decisions)), frames)
