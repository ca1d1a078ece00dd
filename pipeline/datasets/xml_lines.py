"""XML of others, read so that it does no harm, with the line of each element.

A document type may declare entities that stand for each other and grow without bound, or for files of this machine
("billion laughs", CWE-776; CWE-611). Annotations need none, so a file that declares one is refused at that line.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any
from xml.parsers import expat

from pipeline.datasets.errors import DataError


class NumberedElement(ElementTree.Element):
    """An element that knows where it begins. line: in its file, counted from 1."""

    line = 0


def read_xml(file: Path) -> ElementTree.Element:
    """The root of a file, all of whose elements are ``NumberedElement``. Raises DataError naming the file and the line
    that is wrong."""
    parser = expat.ParserCreate()
    builder = ElementTree.TreeBuilder(element_factory=NumberedElement)

    def start(name: str, attributes: dict[str, str]) -> None:
        element = builder.start(name, attributes)
        assert isinstance(element, NumberedElement), "the builder makes no others"
        element.line = parser.CurrentLineNumber

    def no_entity(name: str, *_: Any) -> None:
        raise ValueError(f"line {parser.CurrentLineNumber} declares the entity {name!r}, which no annotation needs")

    parser.StartElementHandler, parser.EndElementHandler = start, builder.end
    parser.CharacterDataHandler, parser.EntityDeclHandler = builder.data, no_entity
    try:
        parser.Parse(file.read_bytes(), True)
        return builder.close()
    except (OSError, expat.ExpatError, LookupError, ValueError) as error:  # the last two of its encoding
        raise DataError(f"{file}: is no annotation in XML ({error})") from None


def line_of(element: ElementTree.Element | None, file: Path) -> str:
    """``file`` and, where there is such an element, its line, for messages."""
    return f"{file}, line {element.line}" if isinstance(element, NumberedElement) else str(file)
