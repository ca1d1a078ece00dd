"""JSON and YAML from anywhere: what would be taken silently, or never end, is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from netx import FormatError, text_files
from netx.text_files import read_json, read_yaml


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("seed: 1\nname: a\nseed: 2\n", "line 3: .*'seed' is given twice, in line 1 already"),
        ("data:\n  frames: 1\n  frames: 1\n", "line 3: .*'frames' is given twice, in line 2 already"),
        ("{1: a, true: b}", "line 1: .*'True' is given twice"),  # one key to Python
        ("a: &a {x: 1}\nb: {<<: *a, <<: *a}\n", "line 2: .*'<<' is given twice"),
        ("rate: .inf\n", r"line 1: .*\.inf is no finite number"),
        ("rate:\n- -.INF\n", r"line 2: .*-\.INF is no finite number"),
        ("rate: .nan\n", r"line 1: .*\.nan is no finite number"),
        ("rate: 1.0e+999\n", "line 1: .*no finite number"),
        (f"seed: {'9' * 101}\n", "line 1: .*101 digits"),
        ("a: &a\n  - *a\n", "line 1: .*a part of itself"),
        ("a: !!python/name:os.getcwd ''\n", "line 1: .*constructor"),
        ("a: [1\n", "line 2: "),
        ("a: 2020-13-01\n", "month"),
        ("a: \x1b[31m\n", "not YAML"),
    ],
)
def test_yaml_that_says_something_else_than_it_seems_to_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(FormatError, match=complaint) as error:
        read_yaml(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    assert str(error.value).isprintable()


def test_keys_that_are_taken_over_may_be_said_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, y: 4}\nd: *b\n")
    assert read_yaml(path) == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 3, "y": 2},
        "c": {"x": 3, "y": 4},
        "d": {"x": 3, "y": 2},
    }


def test_what_aliases_come_to_is_known_before_it_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    read = {"a": "1", "b": "*a", "c": "*b", "d": "*c"}
    path.write_text("".join(f"{one}: &{one} [{it}, {it}, {it}, {it}]\n" for one, it in read.items()))
    # 4 numbers of 2 and their list: 9; four of these and a list: 37, then 149 and 597; four keys of 2, and the mapping.
    monkeypatch.setattr(text_files, "_MOST_BUILT", 801)
    assert read_yaml(path)["d"] == [[[[1] * 4] * 4] * 4] * 4
    monkeypatch.setattr(text_files, "_MOST_BUILT", 800)
    with pytest.raises(FormatError, match=r"line 1: .*comes to more than 800 values and characters"):
        read_yaml(path)


def test_a_file_of_yaml_or_json_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_text("[1]")
    assert read_json(path) == read_yaml(path) == [1]
    for name, read in (("LARGEST", read_yaml), ("LARGEST_JSON", read_json)):
        monkeypatch.setattr(text_files, name, 2)
        with pytest.raises(FormatError, match="larger than 2 bytes"):
            read(path)


@pytest.mark.parametrize("text", ["", "{", "NaN", "[Infinity]", "\udcff"])
def test_what_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(FormatError, match=r"a\.json: is no JSON"):
        read_json(path)
    with pytest.raises(FormatError, match="cannot be read"):
        read_json(tmp_path)
