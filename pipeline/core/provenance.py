"""What a run was made with."""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "monospike", "lava-nc", "lava-dl", "torch", "numpy", "nir", "nirtorch", "norse", "h5py", "safetensors",
    "opencv-python-headless", "scikit-learn", "hotcoco",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Version of Python, the system and every package that can change a result; missing packages are left out."""
    result = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for name in _PACKAGES:
        try:
            result[name] = version(name)
        except PackageNotFoundError:
            continue
    return result


PROGRAM = ("netx", "quantize", "sim", "pipeline")
"""The packages of this program."""

_ROOT = Path(__file__).resolve().parents[2]
_DATA = (".yaml", ".json", ".j2", ".css", ".js")
"""Files beside a module that it may read."""

_DOTTED = re.compile(r"\w+(\.\w+)+")
_QUOTED = re.compile(r"""["'](\w+(?:\.\w+)+)["']""")
"""A string that is a dotted name."""


@cache
def code_digest(*modules: str) -> str:
    """SHA-256 of the program itself: another version's results are not taken for this one's.

    modules: what the results come from, by dotted names; they, all of ours that they import, also within functions, and
    the data files beside these are digested. None for the whole program.
    """
    return modules_digest(*(import_closure(*modules) if modules else _all_modules()))  # which import no others


def kept_beside(out: Path, kind: str, model: str, engine: str, what: Any) -> Path:
    """Where what a model found is kept, beside the result file ``out``, so that an evaluation goes on; without suffix.

    what: JSON values that tell model and data from others of their names. The name ends in a digest of all, and of the
    program, so that nothing else's findings are ever taken for these.
    """
    text = json.dumps([model, engine, what, code_digest()], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return out.parent / f"{out.stem}-{kind}" / f"{Path(model).stem}-{engine}-{digest}"


@cache
def modules_digest(*modules: str) -> str:
    """SHA-256 of these modules alone, by dotted names, and of the data files beside them. One that is none of this
    program's, such as a user's task, has to be imported already."""
    digest = hashlib.sha256()
    for name, path in sorted({(name, path) for module in modules for name, path in _files(module)}):
        digest.update(name.encode() + path.read_bytes())
    return digest.hexdigest()


@cache
def import_closure(*modules: str) -> frozenset[str]:
    """``modules`` and every module of this program that they import, directly or not, also within functions, or start
    as a program by its name."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += _imported(module)
    return frozenset(found)


@cache
def _imported(module: str) -> tuple[str, ...]:
    result = [module.rpartition(".")[0]] if "." in module else []
    source = source_of(module)
    text = "" if source is None else source.read_text(encoding="utf-8")
    for node in _statements(ast.parse(text)):
        if isinstance(node, ast.Import):
            result += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            result += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    result += _QUOTED.findall(text)
    return tuple(name for name in result if source_of(name) is not None)


def _statements(module: ast.Module) -> Iterator[ast.AST]:
    """All statements, also within others: a tenth of the nodes that ``ast.walk`` would visit."""
    waiting: list[ast.AST] = [module]
    while waiting:
        node = waiting.pop()
        yield node
        for part in ("body", "orelse", "handlers", "finalbody", "cases"):
            waiting += getattr(node, part, ())


def names_a_module(text: str) -> bool:
    """Whether ``text`` is the dotted name of a module in one of this program's packages."""
    return bool(_DOTTED.fullmatch(text)) and source_of(text) is not None


@cache
def source_of(module: str) -> Path | None:
    """The file of the module of that dotted name; None where there is none in this program."""
    if module.partition(".")[0] not in PROGRAM:
        return None
    path = _ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path if path.is_file() else None


def _files(module: str) -> list[tuple[str, Path]]:
    """A module's file and the data files beside it, each with the name by which it is known wherever it lies."""
    source = source_of(module)
    if source is None:
        file = sys.modules[module].__file__
        return [] if file is None else [(module, Path(file))]
    files = [source, *(path for path in source.parent.iterdir() if path.suffix in _DATA)]
    return [(path.relative_to(_ROOT).as_posix(), path) for path in files]


def _all_modules() -> list[str]:
    files = [path.relative_to(_ROOT) for package in PROGRAM for path in (_ROOT / package).rglob("*.py")]
    return [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in files]
