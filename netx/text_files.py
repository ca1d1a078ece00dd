"""JSON and YAML from anywhere, read without trust: how much they come to is known before it is built.

Nothing of them becomes anything but truth values, numbers, text, dates, lists and mappings.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any, NoReturn

import yaml

from netx.errors import FormatError
from netx.foreign import LONGEST_NAME, shown

LARGEST = 1 << 24
"""Bytes of a YAML file: PyYAML takes seconds for each million."""

LARGEST_JSON = 1 << 30

_MOST_BUILT = 1 << 22
"""Values and characters that a YAML file may come to, its aliases written out, if it is not as large itself."""

_MOST_DIGITS = 100
"""Of a whole number: reading one takes time by their square."""


def read_json(path: Path) -> Any:
    """What stands in a JSON file. Raises FormatError that names it where it cannot be read, or is something else."""
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise FormatError(f"{path}: is larger than {LARGEST_JSON} bytes")
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: is no JSON ({error})") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def read_yaml(path: Path, finite: bool = True) -> Any:
    """What stands in a YAML file.

    finite: no number may be infinite or none. Raises FormatError that names the file, and the line where there is one:
    where it cannot be read, is no YAML, gives a key twice, holds itself, or comes to far more than stands in it.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise FormatError(f"{path}: is larger than {LARGEST} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise FormatError(f"{path}: is not YAML ({error})") from None
    try:
        return yaml_value(text, finite)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f", line {mark.line + 1}"
        said = " ".join(filter(None, (error.context, error.problem)))
        raise FormatError(f"{path}{where}: is not YAML that is read here: {' '.join(said.split())}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date of month 13; lists in lists without end
        raise FormatError(f"{path}: is not YAML ({' '.join(str(error).split())})") from None


def yaml_value(text: str, finite: bool = True) -> Any:
    """What the YAML document ``text`` says; all as for ``read_yaml``, but raises yaml.YAMLError, and ValueError and
    RecursionError where values are none, or lie in each other without end."""
    loader = _Loader(text)
    try:
        loader.finite = finite
        node = loader.get_single_node()
        if node is None:
            return None
        most = max(_MOST_BUILT, 4 * len(text))
        _check_size(node, most, {})
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _check_size(node: yaml.Node, most: int, known: dict[int, int]) -> int:
    """Values and characters of ``node`` with all aliases written out; each node is looked at once. Raises YAMLError."""
    if id(node) in known:
        if known[id(node)] < 0:
            raise _error(node, "is a part of itself")
        return known[id(node)]
    known[id(node)] = -1
    size = 1
    if isinstance(node, yaml.ScalarNode):
        size += len(node.value)
    elif isinstance(node, yaml.SequenceNode):
        size += sum(_check_size(child, most, known) for child in node.value)
    elif isinstance(node, yaml.MappingNode):
        size += sum(_check_size(child, most, known) for pair in node.value for child in pair)
    if size > most:
        raise _error(node, f"comes to more than {most} values and characters once its aliases are written out")
    known[id(node)] = size
    return size


def _error(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


class _Loader(yaml.SafeLoader):
    """The safe loader; keys that stand twice and numbers without a value are errors."""

    finite = True

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._flattened: set[int] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Before merge keys take effect: what a mapping takes over, it may say anew."""
        if id(node) in self._flattened:
            return
        self._flattened.add(id(node))
        lines: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            key = "<<" if key_node.tag == "tag:yaml.org,2002:merge" else self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                if key in lines:
                    name = shown(str(key), longest=LONGEST_NAME)
                    raise _error(key_node, f"{name!r} is given twice, in line {lines[key]} already")
                lines[key] = key_node.start_mark.line + 1
        super().flatten_mapping(node)

    def construct_finite(self, node: yaml.ScalarNode) -> float:
        value = float(self.construct_yaml_float(node))
        if self.finite and not math.isfinite(value):
            raise _error(node, f"{node.value} is no finite number, and one is needed")
        return value

    def construct_short(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > _MOST_DIGITS:
            raise _error(node, f"a number of {len(node.value)} digits, more than {_MOST_DIGITS}")
        return int(self.construct_yaml_int(node))


_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_finite)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_short)
