"""Which code a function can reach: what a result is said to come from, so that a change elsewhere leaves it valid.

The names in a function are looked up where it stands: in its module's own definitions, which are followed in turn, and
in its imports, also those within functions. A class is followed method by method, by name: one counts as reached when
its class is and any code reached says ``.NAME``. That errs on the side of too much, never of too little, for code that
calls by names that stand in it; ``getattr`` with a name made at run time is not seen.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from pipeline.core.provenance import import_closure, names_a_module, source_of

_CALLED_BY_TORCH = frozenset({"forward", "backward"})
_BY_NAME = frozenset({"property", "cached_property", "staticmethod", "classmethod", "abstractmethod", "contextmanager"})
"""Decorators below which a method is still called by its name; under any other it may be called by who decorates."""

ALL = "*"

Definition: TypeAlias = tuple[str, str]
"""Module and the name of a function, class or variable at its top level, or ``ALL`` of them."""


def reached(*roots: Callable[..., Any] | type) -> tuple[str, ...]:
    """The modules of this program that ``roots`` can reach, sorted, those of the roots among them.

    roots: functions, and classes whose methods count where something reached calls a method of that name.
    """
    return _reached(tuple((root.__module__, root.__qualname__) for root in roots))


@cache
def _reached(roots: tuple[Definition, ...]) -> tuple[str, ...]:
    search = _Search(frozenset({"pipeline", *(module.partition(".")[0] for module, _ in roots)}))
    search.run(roots)
    return tuple(sorted(search.modules | import_closure(*search.whole)))


@dataclass
class _Module:
    """A source file. imports: by name, the module and, of a ``from``, what is taken out of it. loose: statements that
    define nothing, which run when it is imported."""

    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    loose: list[ast.stmt] = field(default_factory=list)


class _Search:
    """From definition to definition. packages: that are followed; of others of this program a module counts whole,
    with its imports. attributes: all names that were seen behind a dot."""

    def __init__(self, packages: frozenset[str]) -> None:
        self._packages = packages
        self.modules: set[str] = set()
        self.whole: set[str] = set()
        self._attributes: set[str] = set(_CALLED_BY_TORCH)
        self._seen: set[Definition] = set()
        self._waiting: list[Definition] = []
        self._methods: list[tuple[str, ast.stmt]] = []

    def run(self, roots: Iterable[Definition]) -> None:
        """Follow ``roots`` until nothing new comes up."""
        for root in roots:
            self._add(root)
        while self._waiting or self._take_methods():
            while self._waiting:
                self._follow(*self._waiting.pop())

    def _add(self, definition: Definition) -> None:
        if definition not in self._seen:
            self._seen.add(definition)
            self._waiting.append(definition)

    def _take_methods(self) -> bool:
        """Read the methods of classes reached whose names have come up since; whether there were any."""
        called: list[tuple[str, ast.stmt]] = []
        others: list[tuple[str, ast.stmt]] = []
        for one in self._methods:
            (called if getattr(one[1], "name", "") in self._attributes else others).append(one)
        self._methods = others
        for module, method in called:
            self._read(module, method)
        return bool(called)

    def _follow(self, module: str, name: str) -> None:
        if module.partition(".")[0] not in self._packages:
            self.whole |= {found for found in (module, f"{module}.{name}") if self._file(found) is not None}
            return
        if self._file(f"{module}.{name}") is not None:  # a module out of its package
            self._open(f"{module}.{name}")
            return
        source = self._open(module)
        if name in source.imports and name not in source.definitions:
            self._import(*source.imports[name])
        wanted = source.definitions if name == ALL else [name.partition(".")[0]]
        for statement in (one for key in wanted for one in source.definitions.get(key, ())):
            if isinstance(statement, ast.ClassDef):
                self._read_class(module, statement)
            else:
                self._read(module, statement)

    def _open(self, module: str) -> _Module:
        file = self._file(module)
        assert file is not None, "only modules with a file are opened"
        source = _parsed(file)
        if module not in self.modules:
            self.modules.add(module)
            for statement in source.loose:
                self._read(module, statement)
        return source

    def _import(self, module: str, name: str | None) -> None:
        if self._file(module) is not None:
            self._add((module, name or ALL))

    def _read_class(self, module: str, node: ast.ClassDef) -> None:
        for part in (*node.bases, *node.keywords, *node.decorator_list):
            self._read(module, part)
        for statement in node.body:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)) and _is_called_by_name(statement):
                self._methods.append((module, statement))
            else:
                self._read(module, statement)

    def _read(self, module: str, node: ast.AST) -> None:
        source, found = self._open(module), _mentions(node)
        imports = {**source.imports, **found.imports}
        for name in found.names:
            if name in found.imports:
                self._import(*found.imports[name])
            elif name in source.definitions or name in imports:
                self._add((module, name))
        for name, attribute in found.dotted:
            if name in imports:
                self._of_a_module(*imports[name], attribute)
        self._attributes |= found.attributes
        self.whole |= found.programs

    def _of_a_module(self, module: str, name: str | None, attribute: str) -> None:
        """``attribute`` of what an import has brought, where that is a module."""
        found = module if name is None else f"{module}.{name}"
        if self._file(found) is not None:
            self._add((found, attribute))

    def _file(self, module: str) -> Path | None:
        """Of a module of this program, or of the package that a user's task stands in; None of any other."""
        if (path := source_of(module)) is not None:
            return path
        loaded = sys.modules.get(module) if module.partition(".")[0] in self._packages else None
        file = getattr(loaded, "__file__", None)
        return None if file is None else Path(file)


def _is_called_by_name(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    if node.name.startswith("__"):
        return False
    return all(_last_name(decorator) in _BY_NAME for decorator in node.decorator_list)


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


@dataclass
class _Mentions:
    """What a piece of code says. imports: its own, as of a ``_Module``. dotted: NAME.ATTRIBUTE. attributes: all behind
    a dot. programs: modules named in a string, to be started by it."""

    names: set[str] = field(default_factory=set)
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    dotted: set[tuple[str, str]] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)


@cache
def _mentions(node: ast.AST) -> _Mentions:
    result = _Mentions()
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            result.names.add(part.id)
        elif isinstance(part, ast.Attribute):
            result.attributes.add(part.attr)
            if isinstance(part.value, ast.Name):
                result.dotted.add((part.value.id, part.attr))
        elif isinstance(part, ast.Call) and getattr(part.func, "id", "") == "getattr":
            result.attributes |= {str(word.value) for word in part.args[1:] if isinstance(word, ast.Constant)}
        elif isinstance(part, (ast.Import, ast.ImportFrom)):
            result.imports |= dict(_imports_of(part))
        elif isinstance(part, ast.Constant) and isinstance(part.value, str) and names_a_module(part.value):
            result.programs.add(part.value)
    return result


@cache
def _parsed(file: Path) -> _Module:
    result = _Module()
    for statement in _flat(ast.parse(file.read_text(encoding="utf-8")).body):
        found, names = dict(_imports_of(statement)), _defined(statement)
        result.imports |= found
        for name in names:
            result.definitions.setdefault(name, []).append(statement)
        if not found and not names:
            result.loose.append(statement)
    return result


def _flat(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements at the top level, those under an ``if``, ``try`` or ``with`` among them."""
    for statement in body:
        if isinstance(statement, (ast.If, ast.Try, ast.With)):
            for name in ("body", "orelse", "handlers", "finalbody"):
                for part in getattr(statement, name, ()):
                    yield from _flat(part.body if isinstance(part, ast.ExceptHandler) else [part])
        else:
            yield statement


def _defined(statement: ast.stmt) -> list[str]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        return [
            node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        ]
    return []


def _imports_of(node: ast.AST) -> Iterator[tuple[str, tuple[str, str | None]]]:
    """Names that an import statement binds, with what they stand for; nothing of any other node."""
    if isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
        for alias in node.names:
            yield alias.asname or alias.name, (node.module, alias.name)
    elif isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0], (alias.name, None)
