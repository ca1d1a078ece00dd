"""What a run was made with."""

from __future__ import annotations

import ast
import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = (
    "monospike", "lava-nc", "lava-dl", "torch", "numpy", "nir", "nirtorch", "norse", "h5py", "safetensors",
    "opencv-python-headless", "scikit-learn",
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


@cache
def code_digest(*modules: str) -> str:
    """SHA-256 of the program itself: another version's results are not taken for this one's.

    modules: what the results come from, by dotted names; they, all of ours that they import, also within functions, and
    the data files beside these are digested. None for the whole program.
    """
    digest = hashlib.sha256()
    for path in sorted({file for module in import_closure(*(modules or _all_modules())) for file in _files(module)}):
        digest.update(path.relative_to(_ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


@cache
def import_closure(*modules: str) -> frozenset[str]:
    """``modules`` and every module of this program that they import, directly or not, also within functions."""
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
    for node in ast.walk(ast.parse(_source(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            result += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            result += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(name for name in result if name.partition(".")[0] in PROGRAM and _source(name).is_file())


def _source(module: str) -> Path:
    path = _ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _files(module: str) -> list[Path]:
    source = _source(module)
    return [source, *(path for path in source.parent.iterdir() if path.suffix in _DATA)]


def _all_modules() -> list[str]:
    files = [path.relative_to(_ROOT) for package in PROGRAM for path in (_ROOT / package).rglob("*.py")]
    return [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in files]
