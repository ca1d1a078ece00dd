"""The report of a small real network, with plausible tracking around it."""

from __future__ import annotations

import copy
import html
import io
import json
import os
import re
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from netx import LIF, Accumulator, Conv2d, Correlation, Input, Layer, Network, Pool, Range, Shape, headroom
from pipeline.core.task import PageSection
from pipeline.report.figures import Figures, ReportError, SpikeFrame
from pipeline.report.report import validate, write_report
from pipeline.report.schema import FILE, schema_text
from pipeline.tasks.tracking.report import TrackedSequence, page_sections
from sim.activity import COUNTS, Activity, count, describe
from sim.energy import Price, load_profile, price, profile_names
from sim.engine import run

SECTIONS = ("verdict", "tracking", "accuracy", "verification", "headroom", "activity", "energy", "spikes", "network")
FRAMES = 23


def siamese_network() -> Network:
    rng = np.random.default_rng(8)

    def weights(*shape: int) -> np.ndarray:
        return 2 * np.clip(np.round(rng.normal(0, 12, shape)), -127, 127).astype(int)

    conv1, conv2 = weights(16, 3, 3, 3), weights(24, 16, 3, 3)
    layers = []
    for branch in ("template", "search"):
        first, pool, second = (f"{branch}_{name}" for name in ("conv1", "pool1", "conv2"))
        layers += [
            Layer(first, (branch,), Conv2d(conv1, stride=2, padding=1), LIF(601)),
            Layer(pool, (first,), Pool((2, 2), (2, 2), weight=2), LIF(1)),
            Layer(second, (pool,), Conv2d(conv2), LIF(151)),
        ]
    layers += [
        Layer("correlation", ("search_conv2", "template_conv2"), Correlation(2, copies=2), LIF(15)),
        Layer("tower", ("correlation",), Conv2d(weights(32, 48, 1, 1)), LIF(61)),
        Layer("class_head", ("tower",), Conv2d(weights(1, 32, 1, 1)), Accumulator([120])),
        Layer("box_head", ("tower",), Conv2d(weights(4, 32, 1, 1)), Accumulator()),
    ]
    pixels = Range(0, 31)
    inputs = (Input("template", Shape(3, 40, 40), pixels), Input("search", Shape(3, 72, 72), pixels))
    return Network(inputs, tuple(layers), ("class_head", "box_head"))


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    return shared / (np.prod(a[:, 2:], axis=1) + np.prod(b[:, 2:], axis=1) - shared)


def tracked(name: str, seed: int, frames: int = 24) -> TrackedSequence:
    """A piece of one photograph that moves over another."""
    rng = np.random.default_rng(seed)
    background, flower = load_sample_image("china.jpg"), load_sample_image("flower.jpg")[150:310:3, 240:400:3]
    time = np.linspace(0, 1, frames)
    left = 20 + 130 * time + 20 * np.sin(6 * time + seed)
    top = 40 + 50 * np.sin(3 * time + seed) ** 2
    truth = np.stack([left, top, np.full(frames, 54.0), np.full(frames, 54.0)], axis=1)
    pictures = np.empty((frames, 180, 240, 3), np.uint8)
    for picture, (x, y, *_) in zip(pictures, truth.astype(int), strict=True):
        picture[:] = background[100:280, 200 + seed * 20 : 440 + seed * 20]
        picture[y : y + 54, x : x + 54] = flower[:54, :54]
    float_boxes = truth + np.cumsum(rng.normal(0, 1.2, truth.shape), axis=0)
    integer_boxes = float_boxes + rng.normal(0, 1.5, truth.shape)
    fixed = np.repeat(truth[:1], frames, axis=0)
    ious = (overlap(truth, boxes) for boxes in (float_boxes, integer_boxes, fixed))
    return TrackedSequence(name, pictures, truth, float_boxes, integer_boxes, *ious)


def activity_values(activity: Activity) -> dict[str, Any]:
    totals = ("spikes", "synops", "macs", "neuron_updates", "effective_synops", "dense_macs")
    return {
        **{f"{name}_per_frame": activity.mean(name) for name in totals},
        "layers": [
            {"name": layer.layer, "neurons": layer.neurons, **{name: layer.mean(name) for name in COUNTS}}
            for layer in activity.layers
        ],
    }


def energy_values(cost: Price) -> dict[str, Any]:
    profile = cost.profile
    return {
        "joules_per_frame": cost.total._asdict(),
        "source": profile.source,
        "title": profile.title,
        "scope": profile.scope.model_dump(),
        "note": profile.note,
        "constants": [{"name": name, **constant.model_dump()} for name, constant in profile.constants.items()],
        "layers": {name: energy._asdict() for name, energy in cost.by_layer().items()},
        "terms": {name: energy._asdict() for name, energy in cost.by_term().items()},
        "ann_joules_per_frame": cost.ann._asdict() if cost.ann else None,
        "unpriced": dict(cost.unpriced),
    }


def figures_of(report: dict[str, Any], *sequences: TrackedSequence) -> Figures:
    """The figures of tracking alone."""
    return Figures(sections=tuple(page_sections(sequences, report["accuracy"])))


def example() -> tuple[dict[str, Any], Figures]:
    """A report without files, and its figures; counts are those of a real run."""
    network = siamese_network()
    sequences = tuple(tracked(f"sequence {seed}", seed) for seed in range(3))
    scene = sequences[0].frames[:, ::2, ::2] >> 3
    search = np.moveaxis(np.stack([scene[f % len(scene), 9:81, 20:92] for f in range(FRAMES)]), 3, 1)
    template = run(network.template_network(), {"template": search[:1, :, 10:50, 10:50]})
    programmed = network.programmed({"template_conv2": template.spikes["template_conv2"][0]})
    recording = run(programmed, {"search": search})
    activity = count(programmed, {"search": search}, recording)
    layers = [
        {
            "name": name,
            "spikes": int(recording.spikes[name].sum()) if name in recording.spikes else 0,
            "differing": 0,
            "values": int(membrane.size),
            "differing_by_engine": {"engine": 0, "lava": 0, "norse": 0},
        }
        for name, membrane in recording.membranes.items()
    ]
    report = {
        "network": asdict(describe(network)),
        "verification": {
            "identical": True,
            "frames": FRAMES,
            "engines": ["slayer", "engine", "lava", "norse"],
            "layers": layers,
            "first_divergence": None,
        },
        "headroom": [
            {
                "layer": bound.layer,
                "accumulator_bits": bound.accumulator_bits,
                "worst_case": bound.worst_case,
                "limit": bound.limit,
                "observed": int(np.abs(recording.membranes[bound.layer]).max()),
            }
            for bound in headroom(programmed)
        ],
        "activity": activity_values(activity),
        "energy": {name: energy_values(price(activity, load_profile(name))) for name in profile_names()},
        "accuracy": {
            "float": {"mean_iou": float(np.mean([s.float_iou for s in sequences]))},
            "integer": {"mean_iou": float(np.mean([s.integer_iou for s in sequences]))},
            "fixed_box": {"mean_iou": float(np.mean([s.fixed_iou for s in sequences]))},
            "frames": 72,
            "sequences": 3,
        },
        "files": {"network": {"path": "network.nir", "sha256": "0f" * 32, "bytes": 123456}},
        "versions": {"monospike": "0.1.0", "lava-nc": "0.10.0", "numpy": "1.26.4"},
        "seed": 7,
        "config": {"seed": 7, "student": {"channels": [16, 24], "pixel_bits": 5}},
        "seconds": {"data": 1.25, "quantize": 3.5, "simulate": 61.0, "report": 2.0},
        "commands": ["monospike deploy configs/demo.yaml", "monospike verify runs/demo"],
    }
    template_picture = np.moveaxis(search[0, :, 10:50, 10:50], 0, 2).astype(np.uint8) << 3
    frame = SpikeFrame.of(programmed, {"search": search}, recording, 0)
    frame = SpikeFrame({"template": template_picture, **frame.pictures}, frame.spikes)
    figures = Figures({"mean IoU, integer": "0.500"}, tuple(page_sections(sequences, report["accuracy"])), (frame,))
    return report, figures


@pytest.fixture(scope="module")
def report_and_figures() -> tuple[dict[str, Any], Figures]:
    return example()


@pytest.fixture
def report(report_and_figures: tuple[dict[str, Any], Figures]) -> dict[str, Any]:
    return copy.deepcopy(report_and_figures[0])


@pytest.fixture(scope="module")
def folder(report_and_figures: tuple[dict[str, Any], Figures], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run")
    write_report(path, *report_and_figures)
    return path


class Page(HTMLParser):
    """Gathers what the page refers to, and checks that what it opens it closes."""

    VOID = frozenset({"meta", "img", "br", "source", "link", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.images_without_text: list[dict[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if "id" in values:
            self.ids.append(values["id"] or "")
        self.references += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "xlink:href", "data", "action")]
        self.references += [r for v in values.values() for r in re.findall(r"url\((.*?)\)", v or "")]
        if tag == "img" and not values.get("alt"):
            self.images_without_text.append(values)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def test_the_three_files_are_written_and_nothing_else(folder: Path, report: dict[str, Any]) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json", "tracking.gif"]
    assert json.loads((folder / "report.json").read_text()) == report


def test_the_page_is_whole_and_loads_nothing(folder: Path) -> None:
    text = (folder / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert text.rstrip().endswith("</html>")
    assert not re.search(r"<script|<link|<iframe|@import", text)
    assert page.references
    for reference in page.references:
        assert reference.startswith(("data:image/", "#")), reference[:80]
    css = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in css


def test_the_page_has_every_section_and_no_identifier_twice(folder: Path) -> None:
    page = Page((folder / "report.html").read_text())
    assert set(SECTIONS) | {"provenance"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert {reference[1:] for reference in page.references if reference.startswith("#")} <= set(page.ids)
    assert page.images_without_text == []


def test_the_page_says_in_words_that_everything_is_identical(folder: Path, report: dict[str, Any]) -> None:
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", (folder / "report.html").read_text()))
    spikes = sum(layer["spikes"] for layer in report["verification"]["layers"])
    assert "Every spike is identical" in text
    assert f"slayer, engine, lava, norse ran the same 23 frames through {len(report['headroom'])} layers" in text
    assert f"All {spikes:,} spikes" in text


def test_a_divergence_is_the_headline(tmp_path: Path, report: dict[str, Any]) -> None:
    report["verification"] |= {
        "identical": False,
        "first_divergence": {
            "layer": "search_conv2",
            "neuron": {"channel": 3, "row": 1, "column": 2},
            "frame": 5,
            "values": {"engine": 153, "lava": -149},
            "cause": "threshold <tie>",
        },
    }
    report["verification"]["layers"][2]["differing"] = 4
    write_report(tmp_path, report, figures_of(report, tracked("one", 1, frames=2)))
    text = (tmp_path / "report.html").read_text()
    assert "The engines differ" in text
    assert "Every spike is identical" not in text
    assert "Frame 5, channel 3, row 1, column 2" in text
    assert "threshold &lt;tie&gt;" in text


def test_the_animation_has_one_picture_a_frame_with_the_boxes_in_their_colours(folder: Path) -> None:
    with Image.open(io.BytesIO((folder / "tracking.gif").read_bytes())) as gif:
        assert gif.n_frames == 24
        gif.seek(12)
        colours = {colour for _, colour in gif.convert("RGB").getcolors(1 << 24) or []}
    assert {(0xFF, 0xFF, 0xFF), (0x56, 0xB4, 0xE9), (0xE6, 0x6B, 0x00)} <= colours


def test_the_same_report_gives_the_same_bytes(
    tmp_path: Path, folder: Path, report_and_figures: tuple[dict[str, Any], Figures]
) -> None:
    write_report(tmp_path, *report_and_figures)
    for name in ("report.html", "report.json", "tracking.gif"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize(
    "key",
    [
        "network",
        "verification",
        "headroom",
        "activity",
        "energy",
        "accuracy",
        "files",
        "versions",
        "seed",
        "config",
        "seconds",
    ],
)
def test_a_report_without_one_of_its_sections_is_refused(report: dict[str, Any], key: str) -> None:
    validate(report)
    del report[key]
    with pytest.raises(ReportError, match=f"'{key}' is a required property"):
        validate(report)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("network", "neurons"), "many", r"\$\.network\.neurons"),
        (("network", "colour"), 1, r"colour"),
        (("verification", "identical"), 1, r"\$\.verification\.identical"),
        (("verification", "frames"), 0, r"\$\.verification\.frames"),
        (("accuracy", "float", "mean_iou"), 1.5, r"\$\.accuracy\.float\.mean_iou"),
        (("accuracy", "float", "mean_iou"), float("nan"), r"cannot be written as JSON"),
        (("files", "network", "sha256"), "abc", r"\$\.files\.network\.sha256"),
        (("energy", "loihi1_davies2018", "joules_per_frame", "low"), -1.0, r"low"),
        (("headroom",), {}, r"\$\.headroom"),
        (("config",), Path("here"), r"cannot be written as JSON"),
    ],
)
def test_a_report_with_a_wrong_value_is_refused_and_nothing_is_written(
    tmp_path: Path, report: dict[str, Any], report_and_figures: Any, path: tuple[str, ...], value: object, message: str
) -> None:
    *parents, last = path
    place = report
    for key in parents:
        place = place[key]
    place[last] = value
    with pytest.raises(ReportError, match=message):
        write_report(tmp_path / "run", report, report_and_figures[1])
    assert not (tmp_path / "run").exists()


def test_the_schema_describes_every_property() -> None:
    schema = json.loads(FILE.read_text())
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"

    def check(node: Any, where: str) -> None:
        for name, child in node.get("properties", {}).items():
            assert "description" in child or "$ref" in child, f"{where}.{name}"
            check(child, f"{where}.{name}")
        for key in ("items", "additionalProperties"):
            if isinstance(node.get(key), dict):
                check(node[key], f"{where}[]")

    check(schema, "$")
    for name, part in schema["$defs"].items():
        assert part["description"], name
        check(part, name)


def test_the_schema_in_the_package_is_that_of_the_model() -> None:
    assert FILE.read_text() == schema_text(), "python -m pipeline.report.schema writes it anew"


def test_a_section_and_its_file_are_the_tasks_own(tmp_path: Path, report: dict[str, Any]) -> None:
    report["accuracy"] = {"float": {"accuracy": 0.9}, "integer": {"accuracy": 0.8}, "samples": 5}
    section = PageSection("confusion", "Confused <digits>", "<p>4 and 9</p>", files={"confusion.csv": b"4,9\n"})
    write_report(tmp_path, report, Figures({"accuracy": "80 %"}, (section,)))
    text = (tmp_path / "report.html").read_text()
    assert "<h2>Confused &lt;digits&gt;</h2>\n<p>4 and 9</p>" in text
    assert '<a href="#confusion">Confused &lt;digits&gt;</a>' in text
    assert "<dt>accuracy</dt><dd>80 %</dd>" in text
    assert (tmp_path / "confusion.csv").read_bytes() == b"4,9\n"
    with pytest.raises(ReportError, match=r"'report\.json': a section's file has to be called \*\.gif or"):
        write_report(tmp_path, report, Figures({}, (PageSection("x", "x", "", files={"report.json": b""}),)))


def test_a_report_of_the_fixed_keys_alone_is_enough(tmp_path: Path, report: dict[str, Any]) -> None:
    """Layers, totals and sources that the format does not ask for may be left out."""
    for layer in report["verification"]["layers"]:
        del layer["values"], layer["differing_by_engine"]
    report["energy"] = {
        name: {key: row[key] for key in ("joules_per_frame", "source")} for name, row in report["energy"].items()
    }
    del report["commands"], report["activity"]["dense_macs_per_frame"], report["activity"]["effective_synops_per_frame"]
    write_report(tmp_path, report, figures_of(report, tracked("one", 1, 1)))
    assert set(SECTIONS) <= set(Page((tmp_path / "report.html").read_text()).ids)


def test_a_file_that_differs_is_shown(tmp_path: Path, report: dict[str, Any]) -> None:
    report["verification"] |= {"identical": False, "file_differences": ["search.nir: layer 'tower': another weight"]}
    write_report(tmp_path, report, figures_of(report, tracked("one", 1, 1)))
    text = (tmp_path / "report.html").read_text()
    assert "The engines differ" not in text
    assert "another weight" in text


@pytest.mark.parametrize("name", [r"$\frac$ & <b>", os.fsdecode(b"\xff")])
def test_a_sequence_may_have_any_name_that_a_folder_can_have(tmp_path: Path, report: dict[str, Any], name: str) -> None:
    report["config"] = {"dataset": name}
    write_report(tmp_path, report, figures_of(report, tracked(name, 1, 2)))
    shown = html.escape(name.encode("utf-8", "backslashreplace").decode(), quote=False)
    text = (tmp_path / "report.html").read_text()
    assert f"<h3>{shown}, IoU by frame</h3>" in text
    assert f">{shown}</text>" in text, "in the plot"
    assert json.loads((tmp_path / "report.json").read_text())["config"] == {"dataset": name}


def test_a_sequence_whose_parts_do_not_fit_is_refused_by_name() -> None:
    good = tracked("one", 1, 3)
    with pytest.raises(ReportError, match=r"'one': truth has shape \(2, 4\), expected \(3, 4\)"):
        TrackedSequence("one", good.frames, good.truth[:2], *2 * [good.truth], *3 * [good.float_iou])
    with pytest.raises(ReportError, match="not finite"):
        TrackedSequence("one", good.frames, *3 * [good.truth], *3 * [good.float_iou * np.nan])
