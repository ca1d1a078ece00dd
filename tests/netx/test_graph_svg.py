"""Graphs as pictures: every node and edge is there, rows lead down, boxes keep apart, and text stays text."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import nir
import numpy as np
import pytest

from netx import (
    LIF,
    Accumulator,
    Concat,
    Conv2d,
    Dense,
    FormatError,
    Input,
    Layer,
    Network,
    NetworkError,
    Recurrent,
    Shape,
)
from netx.bundle import save
from netx.graph_svg import Picture, picture_of_file, picture_of_network, svg
from netx.layered import layered

FIXTURES = Path(__file__).parents[1] / "fixtures" / "nir"
SVG = "{http://www.w3.org/2000/svg}"


def drawn(picture: Picture) -> tuple[dict[str, tuple[float, ...]], dict[str, ET.Element]]:
    """Boxes (left, top, right, bottom) by name, and edges by title."""
    root = ET.fromstring(svg(picture))
    boxes = {}
    for group in root.iter(f"{SVG}g"):
        frame = group.find(f"{SVG}rect")
        assert frame is not None
        left, top, width, height = (float(frame.attrib[key]) for key in ("x", "y", "width", "height"))
        boxes[group.findtext(f"{SVG}title", "")] = (left, top, left + width, top + height)
    edges = {path.findtext(f"{SVG}title", ""): path for path in root.iter(f"{SVG}path") if "class" in path.attrib}
    return boxes, edges


def points(path: ET.Element) -> list[tuple[float, float]]:
    numbers = [float(one) for one in re.findall(r"-?\d+(?:\.\d+)?", path.attrib["d"])]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def check_apart(boxes: dict[str, tuple[float, ...]]) -> None:
    every = list(boxes.values())
    for index, one in enumerate(every):
        for other in every[index + 1 :]:
            apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            assert apart, (one, other)


def test_a_network_with_branches_leads_down_and_its_boxes_keep_apart() -> None:
    layers = (
        Layer("a", ("x",), Conv2d(np.ones((2, 1, 3, 3), int)), LIF(1)),
        Layer("b", ("x",), Conv2d(np.ones((2, 1, 3, 3), int)), LIF(1)),
        Layer("c", ("a",), Conv2d(np.ones((2, 2, 1, 1), int)), LIF(1)),
        Layer("d", ("b", "c", "a"), Concat()),
        Layer("e", ("d",), Conv2d(np.ones((1, 6, 1, 1), int)), Accumulator()),
    )
    network = Network((Input("x", Shape(1, 5, 5)),), layers, ("e",))
    boxes, edges = drawn(picture_of_network(network, "branches"))
    assert set(boxes) == {"x", "a", "b", "c", "d", "e"}
    assert set(edges) == {"x to a", "x to b", "a to c", "b to d", "c to d", "a to d", "d to e"}
    check_apart(boxes)
    for title, path in edges.items():
        source, target = title.split(" to ")
        way = points(path)
        assert way[0][1] == pytest.approx(boxes[source][3], abs=0.1)
        assert way[-1][1] == pytest.approx(boxes[target][1], abs=0.1)
        assert boxes[source][3] < boxes[target][1]
        assert path.attrib["class"] == "edge"
    # The edge that passes the row of c goes beside its box.
    left, top, right, bottom = boxes["c"]
    assert not any(left < x < right and top < y < bottom for x, y in points(edges["a to d"]))


def test_a_layer_that_feeds_back_has_an_edge_to_itself() -> None:
    loop = Layer("r", ("x",), Recurrent(Dense([[1]]), Dense([[1]])), LIF(1))
    boxes, edges = drawn(picture_of_network(Network((Input("x", Shape(1, 1, 1)),), (loop,), ("r",)), "loop"))
    assert edges["r to r"].attrib["class"] == "edge back"
    assert max(x for x, _ in points(edges["r to r"])) > boxes["r"][2]


def test_what_closes_a_cycle_is_dashed_and_leads_up() -> None:
    boxes, edges = drawn(picture_of_file(FIXTURES / "snntorch_recurrent.nir"))
    assert len(boxes) == len(edges) == 9
    check_apart(boxes)
    dashed = {title for title, path in edges.items() if "back" in path.attrib["class"]}
    assert dashed == {"lif1.w_rec to lif1.lif"}
    way = points(edges["lif1.w_rec to lif1.lif"])
    assert way[0][1] > way[-1][1]
    assert way[0] != points(edges["lif1.lif to lif1.w_rec"])[-1], "it lies on the edge that leads down"


def test_a_graph_that_is_one_cycle_is_drawn() -> None:
    boxes, edges = drawn(Picture("ring", dict.fromkeys("abcd", ()), (("a", "b"), ("b", "c"), ("c", "d"), ("d", "a"))))
    assert len(boxes) == 4
    assert [title for title, path in edges.items() if "back" in path.attrib["class"]] == ["d to a"]


def test_rows_are_as_deep_as_the_longest_way() -> None:
    sizes = dict.fromkeys("abcd", (10.0, 10.0))
    layout = layered(sizes, [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"), ("a", "d"), ("a", "d")], 5, 20)
    assert [layout.centres[name][1] for name in "abcd"] == [5, 35, 65, 95]
    assert len(layout.ways["a", "d"]) == 4
    assert layout.height == 100


def test_names_are_text_whatever_they_hold(tmp_path: Path) -> None:
    name = '<script>alert(1)<script>&"\x01'
    graph = nir.NIRGraph(
        {"input": nir.Input(np.array([2])), name: nir.Linear(np.ones((1, 2))), "output": nir.Output(np.array([1]))},
        [("input", name), (name, "output")],
    )
    nir.write(tmp_path / "a.nir", graph)
    text = svg(picture_of_file(tmp_path / "a.nir"))
    assert "<script" not in text
    assert name[:-1] + r"\u0001" in {title.text for title in ET.fromstring(text).iter(f"{SVG}title")}


def test_a_graph_that_nobody_could_look_at_is_refused() -> None:
    with pytest.raises(NetworkError, match="has 5000 nodes"):
        svg(Picture("large", {str(number): () for number in range(5000)}, ()))


def test_files_of_ours_are_drawn_as_networks(tmp_path: Path) -> None:
    network = Network((Input("x", Shape(2, 1, 1)),), (Layer("out", ("x",), Dense([[1, 2]]), LIF(5)),), ("out",))
    for name in ("a.net", "a.nir", "folder"):
        save(network, tmp_path / name)
        boxes, _ = drawn(picture_of_file(tmp_path / name))
        assert set(boxes) == {"x", "out"}
    with pytest.raises(FormatError):
        picture_of_file(tmp_path / "none.nir")
