"""Names from elsewhere do nothing to a terminal or a page but to be read."""

from __future__ import annotations

import json

import pytest

from netx.foreign import listed, shown


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b[31mred\x07", r"\u001b[31mred\u0007"),
        ("a\rb\nc\td", r"a\u000db\u000ac\u0009d"),
        ("\x9b2J", r"\u009b2J"),  # the same as an escape and a bracket
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("a\u200bb\ufeff\u2028", r"a\u200bb\ufeff\u2028"),
        ("byte \udcff", r"byte \udcff"),
        ("Zürich 北京 👩\u200d🔬 می\u200cروم", "Zürich 北京 👩\u200d🔬 می\u200cروم"),
    ],
)
def test_what_would_not_be_seen_is_shown_by_its_number(text: str, seen: str) -> None:
    assert shown(text) == seen


def test_the_lines_of_a_message_stay() -> None:
    assert shown("one\n\ttwo\r", lines=True) == "one\n\ttwo\\u000d"


def test_in_json_what_is_shown_stands_for_the_same_text() -> None:
    text = "\x85 \u202e \udcff \u2028"
    assert json.loads(shown(json.dumps(text, ensure_ascii=False), lines=True)) == text


def test_long_names_are_cut_in_the_middle_and_long_lists_at_the_end() -> None:
    assert shown("a" * 50 + "b" * 50, longest=9) == "aaaa…bbbb"
    assert shown("a" * 9, longest=9) == "a" * 9
    assert listed("ab") == "a, b"
    assert listed(map(str, range(10_000))) == ", ".join(map(str, range(20))) + " and 9,980 more"
