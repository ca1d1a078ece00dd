"""``monospike map``: a network on a chip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netx.errors import MonospikeError
from netx.files import check_places, write_whole
from netx.foreign import shown
from pipeline.cli.options import (
    ChipOption,
    ChipsOption,
    InputShapeOption,
    LayersOption,
    NetworkArgument,
    PlaceOption,
    PlaceSeedOption,
    SvgOption,
    parsed_shape,
)

if TYPE_CHECKING:
    from netx import Network
    from pipeline.core.progress import Progress
    from sim.hardware import Chip
    from sim.mapping import Mapping


@dataclass(frozen=True)
class MapOptions:
    """Of ``monospike map``."""

    net: NetworkArgument
    chip: ChipOption
    out: Annotated[Path | None, typer.Option("--out", help="JSON to write: cores, layers, violations.")] = None
    svg: SvgOption = None
    chips: ChipsOption = 1
    place: PlaceOption = False
    source: Annotated[
        Path | None,
        typer.Option(
            "--input", help="Frames (.npy or .npz) whose spikes --place goes by; one of every neuron without."
        ),
    ] = None
    seed: PlaceSeedOption = 0
    layers: LayersOption = None
    input_shape: InputShapeOption = None


def map_network(options: MapOptions) -> None:
    """Cut a network into pieces that fit on a chip's cores, place them, and list every design rule it breaks.

    Ends with 1 when it breaks any; what is asked for is written all the same.
    """
    # Imported here because they load torch or scipy, for which --help should not wait.
    from pipeline.core.progress import Progress
    from pipeline.model_zoo.networks import read_network
    from pipeline.planning.plan import chip_name
    from sim.hardware import load_chip
    from sim.mapping import map_network as mapped

    if options.source is not None and not options.place:
        raise MonospikeError("--input: is what --place goes by; give both")
    check_places(options.out, options.svg)
    progress, described = Progress(), load_chip(options.chip)
    network = read_network(options.net, options.layers, input_shape=parsed_shape(options.input_shape))
    mapping = mapped(network, described, chip_name(options.chip), options.chips)
    for line in _lines(mapping):
        progress.say(line)
    if options.place:
        mapping, said = _placed(network, mapping, described, options.source, options.seed, progress)
        progress.say(said)
    if options.out is not None:
        mapping.save(options.out)
    if options.svg is not None:
        _draw(mapping, described, options.svg)
    for violation in mapping.violations:
        progress.say(str(violation))
    if not mapping.fits:
        raise typer.Exit(1)


def _lines(mapping: Mapping) -> list[str]:
    lines = [f"{'layer':16} {'cores':>6} {'neurons':>9} {'words of synapses':>18}  binding"]
    for layer in mapping.layers:
        name = shown(layer.name, longest=40)
        fullest = max((mapping.cores[number].utilisation for number in layer.cores), default=None)
        bound = f"{layer.binding} (does not fit)" if fullest is None else f"{layer.binding} ({fullest:.0%})"
        lines.append(f"{name:16} {len(layer.cores):6} {layer.neurons:9} {layer.synapse_words:18}  {bound}")
    return [*lines, f"{len(mapping.cores)} cores of {mapping.chips} x {mapping.chip}"]


def _placed(
    network: Network, mapping: Mapping, chip: Chip, source: Path | None, seed: int, progress: Progress
) -> tuple[Mapping, str]:
    from sim.mapping.placement import TRIED, place, place_greedily
    from sim.mapping.traffic import hops, messages, rates

    assert chip.mesh is not None
    assert chip.packing is not None
    recording = None
    if source is not None:
        from sim import engine  # which loads torch
        from sim.frame_files import read_input

        recording = engine.run(network, read_input(source, network, None, False))
    traffic = messages(network, mapping, rates(network, recording), chip.packing)
    with progress.task("placements tried", TRIED) as task:
        better = place(mapping, traffic, chip.mesh, seed, task.reach)
    after = hops(traffic, better, chip.mesh)
    of = "if every neuron spikes once" if source is None else "a frame, on average"
    said = [f"{after:,.0f} message hops {of}"]
    for how, other in (("row by row", mapping), ("greedily", place_greedily(mapping, traffic, chip.mesh))):
        before = hops(traffic, other, chip.mesh)
        said.append(f"{before:,.0f} {how}: {1 - after / before if before else 0.0:.1%} less")
    return better, "; ".join(said)


def _draw(mapping: Mapping, chip: Chip, path: Path) -> None:
    from sim.mapping.drawing import chip_svg

    assert chip.mesh is not None
    with write_whole(path) as temporary:
        temporary.write_text(chip_svg(mapping, chip.mesh), encoding="utf-8")
