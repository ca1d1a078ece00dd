"""What an import costs, as text, JSON and one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from netx import LIF
from netx.headroom import LayerHeadroom
from pipeline.deploy.nir_import.compare import ImportComparison, ImportedLayer
from pipeline.report.template import filled
from quantize.nir_import import Imported, LayerReport, Reading

VERSION = 2
"""2: agreement is null where it would mean nothing, with the reason, and warnings and the reading are in it."""

_TITLES = ("layer", "kind", "rate", "integer", "error", "agree", "weights", "decays", "after")

EQUATIONS = (
    "The float reference runs the graph node by node in double precision with a forward Euler step: "
    "i += dt/tau_syn (w_in x - i), v += dt/tau_mem (v_leak - v + r i) with the new i, spike where v > v_threshold, "
    "then v = v_reset; IF and I add r x at each step. This is what norse 1.1.0 computes of files that it reads, and "
    "what snnTorch 1.0.0 writes its decays for. Feedback carries the spikes of the step before; states start at zero."
)

_SUSPECTS = (
    "agreement means nothing then. Suspects are dt ({dt:g} s, {source}), r and w_in of the nodes, and frames without "
    "spikes: --from reads a file as its writer ran it"
)


def as_json(imported: Imported, comparison: ImportComparison) -> dict[str, Any]:
    """Everything, in plain numbers; rates are spikes a neuron and frame, decays in 1/4096 of the state lost a step."""
    compared = {layer.layer: layer for layer in comparison.layers}
    return {
        "monospike_import": VERSION,
        "file": imported.graph.path.name,
        "dt": imported.dt,
        "dt_source": imported.dt_source,
        "reference": EQUATIONS,
        "reading": _reading(imported.reading),
        "sequences": comparison.sequences,
        "frames": comparison.frames,
        "warnings": _warnings(imported, comparison),
        "notes": [*imported.notes, *_reset_note(imported, comparison), *_tie_notes(imported, comparison)],
        "inputs": {
            name: {"range": list(fact.range), "scale": fact.scale, "rounding_error": fact.error}
            for name, fact in imported.calibration.facts.items()
        },
        "layers": [_layer(imported, report, compared[report.name]) for report in imported.layers],
        "outputs": [
            {
                "layer": one.output,
                "node": imported.outputs[one.output],
                "agreement": one.agreement,
                "frame_agreement": one.frame_agreement,
                "meaningless": one.meaningless,
            }
            for one in comparison.outputs
        ],
    }


def as_text(report: Mapping[str, Any]) -> list[str]:
    """The report for a terminal, line by line."""
    lines = [
        f"{report['file']}: dt {report['dt']:g} s, {report['dt_source']}; "
        f"{report['sequences']} sequences of {report['frames']} frames"
    ]
    if (reading := report["reading"]) is not None:
        lines.append(
            f"read as a file of {reading['writer']} {reading['version']}; no file of it says: {reading['lost']}"
        )
    lines += [
        f"input {name}: times {fact['scale']:g}, {fact['range'][0]}..{fact['range'][1]}"
        for name, fact in report["inputs"].items()
    ]
    rows = [_TITLES, *map(_row, report["layers"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for layer in report["layers"]:
        lines += [f"note: {layer['layer']}: {note}" for note in layer["notes"]]
    lines += [f"note: {note}" for note in report["notes"]]
    for output in report["outputs"]:
        if output["meaningless"] is not None:
            lines.append(f"output {output['layer']}: no neuron leads: {output['meaningless']}")
            continue
        frames = output["frame_agreement"]
        also = "" if frames is None else f", in {frames:.1%} of the frames"
        share = f"{output['agreement']:.1%} of the sequences{also}"
        lines.append(f"output {output['layer']}: the same neuron leads in {share}")
    return [*lines, *(f"WARNING: {warning}" for warning in report["warnings"])]


def as_html(report: Mapping[str, Any]) -> str:
    """One page that holds all it shows."""
    filters: dict[str, Callable[..., str]] = {"share": _share, "decays": _decays, "exact": _exact}
    return filled(Path(__file__).parent, filters, {"report": report})


def _layer(imported: Imported, report: LayerReport, compared: ImportedLayer) -> dict[str, Any]:
    rounded = report.rounded
    neuron = imported.network.layer(report.name).neuron
    return {
        "layer": report.name,
        "node": report.node,
        "kind": report.kind,
        "shape": list(imported.network.shape(report.name)),
        "time_constants": [{"name": name, "low": low, "high": high} for name, low, high in report.taus],
        "decays_before": [{"state": state, "low": low, "high": high} for state, low, high in report.decays],
        "decays_after": {"current": rounded.decays[0], "voltage": rounded.decays[1]},
        "decay_error": _decay_error(report),
        "weight_error": rounded.weight_error,
        "largest_weight": rounded.largest_weight,
        "power_of_two": rounded.exponent,
        "weight_exponent": rounded.weight_exponent,
        "threshold": int(neuron.threshold) if isinstance(neuron, LIF) and compared.value_error is None else None,
        "threshold_error": rounded.threshold_error,
        "bias_error": rounded.bias_error,
        "headroom": _headroom(rounded.headroom),
        "float_rate": compared.float_rate,
        "integer_rate": compared.integer_rate,
        "rate_error": compared.rate_error,
        "neuron_rate_error": compared.neuron_rate_error,
        "agreement": compared.agreement,
        "meaningless": compared.meaningless,
        "subtracting_agreement": compared.other_reset,
        "ties": compared.ties,
        "value_error": compared.value_error,
        "notes": list(rounded.notes),
    }


def _decay_error(report: LayerReport) -> float | None:
    """How far the decays that all neurons get lie from one neuron's own at most, relative to that; None without any."""
    after = dict(zip(("current", "voltage"), report.rounded.decays, strict=True))
    errors = [abs(after[state] / own - 1) for state, *span in report.decays for own in span]
    return max(errors, default=None)


def _reading(reading: Reading | None) -> dict[str, str] | None:
    if reading is None:
        return None
    return {name: getattr(reading, name) for name in ("writer", "version", "source", "lost")}


def _warnings(imported: Imported, comparison: ImportComparison) -> list[str]:
    """The layers and outputs of which agreement says nothing, and what to look at."""
    said = [f"layer {one.layer}: {one.meaningless}" for one in comparison.layers if one.meaningless is not None]
    if not said:
        return []
    return [f"{'; '.join(said)}: {_SUSPECTS.format(dt=imported.dt, source=imported.dt_source)}"]


def _reset_note(imported: Imported, comparison: ImportComparison) -> list[str]:
    """What the file leaves open about resets, and how much it matters; or what the integers lose of a soft one."""
    known = [one for one in comparison.layers if one.other_reset is not None]
    shares = ", ".join(f"{one.other_reset:.1%} of {one.layer}" for one in known)
    if not known:
        return []
    if any(rules.soft for rules in imported.rules.values()):
        return [
            "the float graph subtracts the threshold, as its neurons did; Lava's LIF cannot, the integers are reset. "
            f"That alone, in exact numbers, keeps the spikes in {shares} of neurons and frames"
        ]
    nodes = imported.graph.nodes
    absent = [name for name in imported.reset_assumed if "v_reset" not in nodes[name].values]
    names = ", ".join(imported.reset_assumed)
    if absent:
        return [
            f"v_reset is not in the file for {', '.join(absent)}: they are reset to 0, as nir 1.0.8 and "
            "norse take it. The equations of nir up to 1.0.4 subtract the threshold instead, as sinabs does and Lava's "
            f"LIF cannot; with that the float graph would keep its spikes in {shares}"
        ]
    return [
        f"v_reset is 0 for {names}, which all files say since nir 1.0.6, whatever the neurons did: snnTorch, sinabs, "
        "rockpool, mlx-snn and spyx subtract the threshold unless they are told not to, which Lava's LIF cannot; "
        f"with that the float graph would keep its spikes in {shares}. --from or --reset says what they did"
    ]


def _tie_notes(imported: Imported, comparison: ImportComparison) -> list[str]:
    """The layers whose voltages meet their threshold, where nobody has said what happens then."""
    if imported.reading is not None or imported.ties_chosen:
        return []
    return [
        f"in {one.ties:.2%} of neurons and frames the voltage of {one.layer} equals its threshold, and nothing fires "
        "there, as in norse, snnTorch and spyx; in spikingjelly, sinabs, rockpool and mlx-snn it fires: "
        "--at-threshold fires"
        for one in comparison.layers
        if one.ties
    ]


def _headroom(bound: LayerHeadroom) -> dict[str, Any]:
    return {"worst_case": bound.worst_case, "limit": bound.limit, "proven": bound.proven}


def _row(layer: Mapping[str, Any]) -> tuple[str, ...]:
    read_out = layer["value_error"] is not None
    return (
        layer["layer"],
        layer["kind"],
        "" if read_out else f"{layer['float_rate']:.4f}",
        "" if read_out else f"{layer['integer_rate']:.4f}",
        _share(layer["value_error"] if read_out else layer["rate_error"]),
        "" if read_out else _share(layer["agreement"]) or "-",
        _share(layer["weight_error"]),
        _decays(layer["decays_before"]),
        " ".join(str(decay) for decay in layer["decays_after"].values()) if layer["decays_before"] else "",
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def _decays(before: Sequence[Mapping[str, Any]]) -> str:
    """Such as ``2048 614.4``, or ``120.3-260``, where neurons differ."""
    return " ".join(
        f"{one['low']:.5g}" if one["high"] - one["low"] < 1e-6 * one["high"] else f"{one['low']:.5g}-{one['high']:.5g}"
        for one in before
    )


def _exact(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
