"""Text that comes from elsewhere, such as names of files, nodes and layers, as it may be shown to people.

A control character in a name can move the cursor of a terminal, hide or rewrite what stands there, or turn the
direction of a line (Unicode Standard 15.0, section 23.1; Unicode Technical Report 36, section 2.6).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST_NAME = 200
"""Characters of a name that are shown within a message."""

_MOST_LISTED = 20

_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb]"
)
"""Controls, the signs that turn the direction of text, those without width that joining letters does not need, and
bytes of a file's name that are no text."""


def shown(text: str, lines: bool = False, longest: int | None = None) -> str:
    r"""``text`` for a terminal or a page: what would not be seen is written as ``\u001b``, by its number.

    lines: it is a whole message of ours, whose ends of lines and tabs stay. longest: cut in the middle to so many
    characters. The result may stand in JSON wherever ``text`` does, but for where it is cut.
    """
    if longest is not None and len(text) > longest:
        half = (longest - 1) // 2
        text = f"{text[:half]}…{text[-half:]}"
    return _UNSEEN.sub(lambda found: found[0] if lines and found[0] in "\n\t" else f"\\u{ord(found[0]):04x}", text)


def listed(names: Iterable[str]) -> str:
    """The first of ``names``, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - _MOST_LISTED:,} more" if len(every) > _MOST_LISTED else ""
    return ", ".join(shown(name, longest=LONGEST_NAME) for name in every[:_MOST_LISTED]) + more
