"""Writes a network as a folder of C11."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from netx.c_source.golden import MULTIPLIER, Golden, GoldenPart, checksum
from netx.c_source.layers import CLayer, Plan, Value
from netx.c_source.memory import number_lines, state_bytes
from netx.errors import FormatError, NetworkError
from netx.files import write_whole
from netx.fingerprint import fingerprint, tool
from netx.network import Input, Network
from netx.synapses import Correlation

MANIFEST = "manifest.json"

_VERSION = 1
_HELPERS = {
    **dict.fromkeys(("wrapped", "shifted", "folded", "moved", "saturated", "coarse", "decayed"), ()),
    **dict.fromkeys(("added", "subtracted", "fine"), ("wrapped",)),
}
"""The functions of ``helpers.c.j2``, each with those that it calls."""

_TAKEN = re.compile(
    "assert|complex|ctype|errno|fenv|float|inttypes|iso646|limits|locale|math|setjmp|signal|stdalign|stdarg|stdatomic"
    "|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|tgmath|threads|time|uchar|wchar|wctype"
)
"""Names of C11's own headers (ISO/IEC 9899:2011, 7.1.2), which a file of ours must not hide."""


def write_c(network: Network, path: Path, golden: Golden) -> None:
    """Write ``network`` to the folder ``path``: ``NAME.h``, ``NAME.c``, ``NAME_check.c`` and ``manifest.json``.

    NAME is the folder's, as an identifier. golden: frames and the exact engine's answers to them; ``program`` where the
    network has correlations. The folder appears whole or not at all; one that was written so before is replaced.
    Raises FormatError at what is not written in C, naming the layer, or when the folder cannot be written.
    """
    path = Path(path)
    if path.suffix in (".c", ".h", ".net", ".nir"):
        raise FormatError(f"{path}: C source is a folder of files: name a folder")
    if path.is_file() or (path.is_dir() and any(path.iterdir()) and not _own(path)):
        raise FormatError(f"{path}: holds something else than C source: choose another folder")
    try:
        source = _Source(network, _prefix(path.absolute().name), golden)
    except NetworkError as error:
        raise FormatError(f"{path}: C source cannot hold this network: {error}") from None
    try:
        with write_whole(path) as temporary:
            temporary.mkdir()
            for name, text in source.files().items():
                (temporary / name).write_text(text, encoding="ascii")
    except OSError as error:
        raise FormatError(f"{path}: cannot be written ({error.strerror or error})") from None


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("netx.c_source", "."),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # what goes into C are names that a network has checked, numbers, and _comment
    )


def _own(path: Path) -> bool:
    try:
        return "monospike_c" in json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def _prefix(name: str) -> str:
    """``name`` as the beginning of identifiers and file names."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower()
    return plain if plain and plain[0].isalpha() and not _TAKEN.fullmatch(plain) else f"net_{plain}".rstrip("_")


class _Source:
    """All that the templates are told."""

    def __init__(self, network: Network, prefix: str, golden: Golden) -> None:
        self.network, self.prefix, self.golden = network, prefix, golden
        searching = network
        program: tuple[str, ...] = ()
        program_inputs: tuple[Input, ...] = ()
        if network.correlations():
            self.network = network = network.subnetwork(network.outputs)
            templates = network.template_network()
            program, program_inputs = tuple(layer.name for layer in templates.layers), templates.inputs
            searching = _searching(network)
        self.plan = Plan(network)
        self.layers = list(self.plan.layers.values())
        step = {layer.name for layer in searching.layers}
        for name in network.outputs:
            if not self.plan.values[name].expression.startswith("s->"):
                raise NetworkError(f"output {name!r} is an input as it came, which no layer holds")
        self.values: dict[str, Any] = {
            "prefix": prefix,
            "prefix_upper": prefix.upper(),
            "fingerprint": fingerprint(self.network),
            "tool": tool(),
            "state_bytes": state_bytes(self.plan.members),
            "constant_bytes": self.plan.constants.bytes,
            "layers": self.layers,
            "members": self.plan.members,
            "constants": self.plan.constants.arrays,
            "helpers": frozenset(),
            "helpers_always": frozenset(),
            "program": program,
            "step": step,
            "program_inputs": [self.plan.values[source.name] for source in program_inputs],
            "step_inputs": [self.plan.values[source.name] for source in searching.inputs],
            "correlations": [one for one in self.layers if isinstance(one.layer.synapse, Correlation)],
            "outputs": [self.plan.layers[name] for name in network.outputs],
            "arguments": self._arguments,
            "lines": number_lines,
            "multiplier": MULTIPLIER,
            "origin": _comment(golden.origin),
        }
        names = {"program": set(program), "step": step}
        parts = {"program": golden.program, "step": golden.step}
        self.values["parts"] = [
            self._part(kind, part, names[kind]) for kind, part in parts.items() if part is not None and names[kind]
        ]
        self.values["checked"] = len({one.name for part in self.values["parts"] for one in part["layers"]})

    def files(self) -> dict[str, str]:
        """The text of every file."""
        environment = _environment()
        named = {
            f"{self.prefix}.h": "network.h.j2",
            f"{self.prefix}.c": "network.c.j2",
            f"{self.prefix}_check.c": "check.c.j2",
        }
        # A function that is never called is a warning, so that the source is looked at before it gets any.
        body = environment.get_template("network.c.j2").render(self.values)
        self.values["helpers"] = _helpers(body)
        self.values["helpers_always"] = _helpers(re.sub(r"(?s)#ifdef \w+_MEMBRANES.*?#endif", "", body))
        texts = {file: environment.get_template(name).render(self.values) for file, name in named.items()}
        manifest = self._manifest([*texts, MANIFEST])
        return {
            **{name: _indented(text) for name, text in texts.items()},
            MANIFEST: json.dumps(manifest, indent=1) + "\n",
        }

    def _part(self, kind: str, part: GoldenPart, names: set[str]) -> dict[str, Any]:
        """What the check knows of one call."""
        layers = [one for one in self.layers if one.name in names and one.kind]
        sources = [source for source in self.network.inputs if source.name in part.frames]
        outputs = [one for one in layers if one.name in self.network.outputs and kind == "step"]
        return {
            "name": kind,
            "count": part.count,
            "layers": layers,
            "inputs": [
                {"value": self.plan.values[source.name], "frames": part.frames[source.name]} for source in sources
            ],
            "outputs": [
                {
                    "number": one.number,
                    "name": one.name,
                    "value": one.output,
                    "frames": part.outputs[one.name].astype("int32"),
                }
                for one in outputs
            ],
            "sent": _checksums(layers, part.outputs, part.count),
            "membranes": _checksums(layers, part.membranes, part.count),
        }

    def _silent(self) -> list[str]:
        """The layers that never send anything in the golden frames, about which the check says little."""
        sent = {
            name
            for part in (self.golden.program, self.golden.step)
            if part is not None
            for name, values in part.outputs.items()
            if values.any()
        }
        return [one.name for one in self.layers if one.kind and one.name not in sent]

    def _arguments(self, values: Sequence[Value]) -> str:
        """The comment's lines about a call's arguments."""
        ranges = {self.plan.values[source.name].expression: source.range for source in self.network.inputs}
        lines = [f" * {one.expression}: {one.shape}, integers {ranges[one.expression]}." for one in values]
        return "\n".join(lines)

    def _manifest(self, files: list[str]) -> dict[str, Any]:
        return {
            "monospike_c": _VERSION,
            "fingerprint": self.values["fingerprint"],
            "tool": self.values["tool"],
            "name": self.prefix,
            "files": files,
            "check": "cc -std=c11 -O2 *.c -o check && ./check",
            "memory": {"state_bytes": self.values["state_bytes"], "constant_bytes": self.values["constant_bytes"]},
            "inputs": [
                {
                    "name": source.name,
                    "shape": list(source.shape),
                    "range": list(source.range),
                    "type": self.plan.values[source.name].type,
                }
                for source in self.network.inputs
            ],
            "outputs": [
                {"name": one.name, "shape": list(one.shape), "type": one.output.type} for one in self.values["outputs"]
            ],
            "layers": [{"number": one.number, "name": one.name, "what": one.comment} for one in self.layers],
            "golden": {
                "origin": self.golden.origin,
                "frames": {part["name"]: part["count"] for part in self.values["parts"]},
                "silent_layers": self._silent(),
            },
        }


def _searching(network: Network) -> Network:
    """The part of a network with correlations that runs once they are programmed."""
    silent = {layer.inputs[1]: _zeros(network, layer.inputs[1]) for layer in network.correlations()}
    return network.programmed(silent)


def _zeros(network: Network, name: str) -> list[Any]:
    channel, height, width = network.shape(name)
    return [[[0] * width for _ in range(height)] for _ in range(channel)]


def _checksums(layers: Sequence[CLayer], arrays: Any, count: int) -> list[list[int]]:
    return [[checksum(arrays[one.name][frame]) for one in layers] for frame in range(count)]


def _helpers(source: str) -> frozenset[str]:
    """The functions of ``helpers.c.j2`` that ``source`` calls, or that those call."""
    called = {name for name in _HELPERS if re.search(rf"\b{name}\(", source)}
    return frozenset(called | {inner for name in called for inner in _HELPERS[name]})


def _indented(text: str) -> str:
    """C source with four spaces for each open brace and no empty line within any, and one at most elsewhere."""
    lines: list[str] = []
    depth, comment = 0, False
    for line in text.splitlines():
        bare = line.strip()
        if not bare:
            if depth == 0 and lines and lines[-1]:
                lines.append("")
            continue
        comment = comment or bare.startswith("/*")
        if comment or bare.startswith("#"):
            indent = "" if bare.startswith("#") else "    " * depth + " " * bare.startswith("*")
        else:
            indent = "    " * (depth - bare.startswith("}"))
            depth += bare.count("{") - bare.count("}")
            # What a line begins with that goes on with the one before.
            indent += "    " * bare.startswith(("* ", "frame, "))
        comment = comment and not bare.endswith("*/")
        lines.append(indent + bare)
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    """Text from elsewhere in a comment: printable ASCII that ends no comment and continues no line."""
    return "".join(_sign(sign) for sign in text[:200])


def _sign(sign: str) -> str:
    return sign if sign.isascii() and (sign.isalnum() or sign in " .,:;-_()[]") else "_"
