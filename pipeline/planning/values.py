"""A plan as JSON values, as CSV, and in lines for a terminal."""

from __future__ import annotations

import csv
import io
from typing import Any

from pipeline.planning.plan import Plan
from sim.costs import ESTIMATES, Cost, Duration
from sim.energy import Energy
from sim.hardware import OPERATIONS, UNITS, Limits
from sim.hardware.facts import Section


def plan_values(plan: Plan) -> dict[str, Any]:
    """JSON values; energies in joules and times in seconds, of one frame, with low, typical and high."""
    cost, mapping, chip = plan.cost, plan.mapping, plan.question.chip
    return {
        "chip": mapping.chip,
        "title": chip.title,
        "source": chip.source,
        "note": cost.costs.note,
        "fits": mapping.fits,
        "chips": mapping.chips,
        "cores": len(mapping.cores),
        "violations": [{"rule": one.rule, "where": one.where, "mend": one.mend} for one in mapping.violations],
        "placement": "by traffic" if plan.question.place else "row by row",
        "frames": plan.frames // cost.steps,
        "steps": cost.steps,
        "depth": cost.depth,
        "layers": _layers(plan),
        "operations": {name: cost.operations.per_frame(name) * cost.steps for name in OPERATIONS},
        "joules": {
            "dynamic": _spread(cost.dynamic) if cost.priced else None,
            "static": _spread(cost.static),
            "units": {unit: _spread(joules) for unit, joules in cost.by_unit().items()} if cost.priced else None,
        },
        "seconds": _seconds(cost),
        "unpriced": {name: value for name, value in cost.unpriced.items() if value},
        "constants": _constants(plan),
        "measured": [fact.model_dump(mode="json") for fact in chip.measured],
        "warnings": list(plan.warnings),
    }


def csv_text(plan: Plan) -> str:
    """A row for each layer and one for all: cores, operations and joules of a frame."""
    cost = plan.cost
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    energies = [f"joules_{estimate}" for estimate in ESTIMATES]
    units = [f"joules_{unit.replace(' ', '_')}_{estimate}" for unit in UNITS for estimate in ESTIMATES]
    # The neurons of a layer have that name in a table, so those of all its steps are told apart from them.
    counted = [f"{name}_updated" if name == "neurons" else name for name in OPERATIONS[:-2]]
    writer.writerow(["layer", "cores", "neurons", "synapse_words", "binding", *counted, *energies, *units])
    rows = [*_layers(plan), _total(plan)]
    for row in rows:
        counts = [_plain(row["operations"][name]) for name in OPERATIONS[:-2]]
        spreads = [row["joules"], *(row["units"][unit] for unit in UNITS)] if cost.priced else []
        joules = [f"{spread[estimate]:.6g}" for spread in spreads for estimate in ESTIMATES]
        joules = joules or [""] * (len(energies) + len(units))
        head = [row[key] for key in ("name", "cores", "neurons", "synapse_words", "binding")]
        writer.writerow([*head, *counts, *joules])
    return file.getvalue()


def summary_lines(plan: Plan) -> list[str]:
    """What a planner reads first, a line each."""
    cost, mapping = plan.cost, plan.mapping
    broken = len(mapping.violations)
    rules = "rule is" if broken == 1 else "rules are"
    fits = f"does NOT fit: {broken} design {rules} broken" if broken else "fits"
    lines = [
        f"{len(mapping.cores)} cores on {mapping.chips} x {mapping.chip}: {fits}",
        f"a frame, mean of {plan.frames // cost.steps}: {_count(cost, 'spikes')} spikes, "
        f"{_count(cost, 'synops')} synops, {_count(cost, 'messages_out')} messages, "
        f"{_count(cost, 'soma_updates')} neurons updated",
    ]
    if cost.priced:
        lines += [f"dynamic energy {in_words(cost.dynamic, 'J')}"]
        lines += [f"  {unit:8} {in_words(joules, 'J')}" for unit, joules in cost.by_unit().items() if joules.high]
    if cost.static is not None:
        lines.append(f"static energy {in_words(cost.static, 'J')}")
    if cost.step is not None and cost.interval is not None and cost.latency is not None:
        lines.append(f"time step {in_words(cost.step, 's')}; answered after {in_words(cost.latency, 's')}")
        if cost.interval.typical:  # nothing takes time where all that has a duration is idle, and there is no barrier
            lines.append(f"{1 / cost.interval.typical:,.0f} frames a second, one after another")
    if cost.times is not None:
        core = _slowest(cost)
        lines.append(f"slowest is core {core['core']} of layer {core['layer']!r}, {core['doing']}")
    return [*lines, *(f"note: {warning}" for warning in plan.warnings)]


def in_words(spread: Energy | Duration, unit: str) -> str:
    """``1.23 µJ (1.1 to 1.4)``, or the value alone where there is no range."""
    prefix, factor = next(((prefix, factor) for prefix, factor in _PREFIXES if spread.typical >= factor), _PREFIXES[-1])
    low, typical, high = (f"{value / factor:.3g}" for value in spread)
    return f"{typical} {prefix}{unit}" + ("" if low == high else f" ({low} to {high})")


_PREFIXES = (("", 1.0), ("m", 1e-3), ("µ", 1e-6), ("n", 1e-9), ("p", 1e-12))


def _constants(plan: Plan) -> list[dict[str, Any]]:
    """Every fact that the figures rest on, with its source."""
    chip, costs = plan.question.chip, plan.cost.costs
    facts: list[tuple[str, str, Section | None]] = []
    facts += [(name, "energy", chip.energies[name]) for name in sorted(costs.energies())]
    facts += [(name, "latency", chip.latencies[name]) for name in sorted(costs.latencies())]
    facts += [(name, "limit", getattr(chip.limits, name)) for name in Limits.model_fields]
    facts += [("static", "power", costs.static), ("accuracy", "accuracy", costs.accuracy)]
    return [
        {"name": name, "kind": kind, **fact.model_dump(mode="json")} for name, kind, fact in facts if fact is not None
    ]


def _layers(plan: Plan) -> list[dict[str, Any]]:
    cost = plan.cost
    joules, units = cost.by_layer(), cost.by_layer_and_unit()
    counts = {name: cost.operations.by_layer(name) for name in OPERATIONS}
    return [
        {
            "name": layer.name,
            "cores": len(layer.cores),
            "neurons": layer.neurons,
            "synapse_words": layer.synapse_words,
            "binding": layer.binding,
            "used": max((core.utilisation for core in plan.mapping.of_layer(layer.name)), default=0.0),
            "operations": {name: counts[name][layer.name] * cost.steps for name in OPERATIONS},
            "joules": _spread(joules[layer.name]) if cost.priced else None,
            "units": {unit: _spread(v) for unit, v in units[layer.name].items()} if cost.priced else None,
        }
        for layer in plan.mapping.layers
    ]


def _total(plan: Plan) -> dict[str, Any]:
    cost, layers = plan.cost, plan.mapping.layers
    return {
        "name": "all",
        "cores": len(plan.mapping.cores),
        "neurons": sum(layer.neurons for layer in layers),
        "synapse_words": sum(layer.synapse_words for layer in layers),
        "binding": "",
        "operations": {name: cost.operations.per_frame(name) * cost.steps for name in OPERATIONS},
        "joules": _spread(cost.dynamic),
        "units": {unit: _spread(joules) for unit, joules in cost.by_unit().items()},
    }


def _seconds(cost: Cost) -> dict[str, Any] | None:
    if cost.step is None:
        return None
    found: dict[str, Any] = {
        "step": _spread(cost.step),
        "interval": _spread(cost.interval),
        "latency": _spread(cost.latency),
        "reckoned": cost.times is not None and cost.step == cost.times.step,
    }
    if cost.times is not None:
        found |= {
            "longest_step": _spread(cost.times.longest),
            "barrier": _spread(cost.times.barrier),
            "slowest": _slowest(cost),
        }
    return found


def _slowest(cost: Cost) -> dict[str, Any]:
    """The core that the longest frame waits for."""
    assert cost.times is not None
    core = int(cost.times.slowest[cost.times.steps[:, 1].argmax()])
    return {"core": core, "layer": cost.operations.mapping.cores[core].layer, "doing": cost.times.doing}


def _spread(values: Energy | Duration | None) -> dict[str, float] | None:
    return None if values is None else values._asdict()


def _count(cost: Cost, name: Any) -> str:
    return f"{cost.operations.per_frame(name) * cost.steps:,.0f}"


def _plain(value: float) -> str:
    return f"{value:.10g}"
