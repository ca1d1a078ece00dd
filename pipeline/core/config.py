"""The configuration of a run: one YAML file, every key checked."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from netx.errors import FormatError, MonospikeError
from netx.text_files import read_yaml

AnySection = TypeVar("AnySection", bound="Section")


SHIPPED = Path(__file__).parents[1] / "configs"
"""Configurations that come with the package, found by their names."""


class ConfigError(MonospikeError):
    """A configuration that cannot be run."""


def shipped_configs() -> dict[str, Path]:
    """The files of the package's configurations, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def find_config(name: str) -> Path:
    """The file that ``name`` is the path of or, where there is none, the package's configuration of that name.

    Raises ConfigError with the names there are.
    """
    path, shipped = Path(name), shipped_configs()
    if path.exists() or (path.suffix and len(path.parts) > 1):
        return path
    if path.stem not in shipped or path.suffix not in ("", ".yaml"):
        raise ConfigError(f"{name}: is no file here, and none of the package's configurations: {', '.join(shipped)}")
    return shipped[path.stem]


def about(config: Path) -> str:
    """The comment at the head of a configuration, as one line."""
    lines = []
    for line in config.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# ").rstrip())
    return " ".join(lines)


class Section(BaseModel):
    """A part of a configuration: unknown keys are refused, numbers are finite, and nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def read_config(path: Path, kind: type[AnySection]) -> AnySection:
    """Read a YAML configuration as ``kind``. Raises ConfigError that names the file and every key that is wrong."""
    return parse_config(read_values(path), kind, str(path))


def read_values(path: Path) -> dict[str, Any]:
    """The keys and values of a YAML file, not checked yet. Raises ConfigError naming the file when it has none."""
    try:
        values = read_yaml(path)
    except FormatError as error:
        raise ConfigError(str(error)) from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, such as 'name: demo'")
    return values


def parse_config(values: Mapping[str, Any], kind: type[AnySection], where: str) -> AnySection:
    """Check ``values`` as ``kind``. Raises ConfigError that says ``where`` and names every key that is wrong."""
    try:
        return kind.model_validate_json(json.dumps(values))
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, e['loc'])) or 'the whole'}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        ]
        raise ConfigError("\n".join(f"{where}: {problem}" for problem in problems)) from None
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: holds a value that is no JSON value ({error})") from None


def say_deprecated(old: str, new: str) -> None:
    """Tell the user, on standard error, that an option or key has another name; the old one works for one release."""
    print(f"monospike: {old} is called {new} now; the old word goes with the next release", file=sys.stderr)
