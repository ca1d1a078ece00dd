"""What is installed, and what the probes' answers mean: torch, its 8-bit route, GPU, numba, Ray, norse, SLAYER."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import metadata
from importlib.util import find_spec

from pipeline.diagnostics.doctor.asking import Answer
from pipeline.diagnostics.doctor.finding import Finding, Status, one_line

NAME = "monospike"
_TESTED_LAVA = {"lava-nc": "0.10.0", "lava-dl": "0.6.0"}
_DEVELOPERS = ("dev", "docs", "test")
"""Extras that no command needs."""
_EXTRA = re.compile(r"""extra\s*==\s*["']([\w-]+)["']""")


def own_version() -> str | None:
    """monospike's; None where it runs from a folder."""
    return _version(NAME)


def installed() -> Finding:
    """Every library that the installed package asks for on this Python: the core's, and those of extras for users."""
    try:
        asked = metadata.requires(NAME) or []
    except metadata.PackageNotFoundError:
        do = "install it (`pip install .`), and its requirements are checked"
        return Finding("requirements", Status.SKIPPED, "monospike runs from a folder and is not installed", do)
    core, extras = list[str](), dict[str, list[str]]()
    for text in asked:
        extra = _EXTRA.search(text)
        wrong = _wrong(text, extra[1] if extra else "")
        if wrong and extra is None:
            core.append(wrong)
        elif wrong and extra is not None and extra[1] not in _DEVELOPERS:
            extras.setdefault(extra[1], []).append(wrong)
    facts = {"core": "; ".join(core), **{f"extra_{name}": "; ".join(wrong) for name, wrong in extras.items()}}
    rest = "; ".join(f"extra {name!r}: {', '.join(wrong)}" for name, wrong in extras.items())
    if core:
        do = f"`pip install {NAME}`, and look whether pip says why not"
        return Finding("requirements", Status.BROKEN, one_line(", ".join(core)), do, needed=True, facts=facts)
    if extras:
        do = f"`pip install '{NAME}[{','.join(extras)}]'` adds what they are for"
        return Finding("requirements", Status.LIMITED, one_line(f"the core is complete; {rest}"), do, True, facts)
    return Finding("requirements", Status.WORKS, "all are installed, those of the extras too", needed=True, facts=facts)


def _wrong(text: str, extra: str) -> str:
    """What is wrong with a requirement on this machine; empty where nothing is."""
    # Here, because where it is missing all the rest can still be said.
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        asked = Requirement(text)
    except InvalidRequirement:
        return ""
    if asked.name == NAME or (asked.marker is not None and not asked.marker.evaluate({"extra": extra})):
        return ""
    try:
        there = metadata.version(asked.name)
    except metadata.PackageNotFoundError:
        return f"{asked.name} is missing"
    fits = asked.specifier.contains(there, prereleases=True)
    return "" if fits else f"{asked.name} {there} is not {asked.specifier}"


def torch(answer: Answer) -> Finding:
    """torch with torchvision."""
    return _library("torch", answer, "`pip install torch torchvision`", needed=True)


def int8(answer: Answer) -> Finding:
    """The engine's route through oneDNN's 8-bit convolutions, and what its self-test on this machine said."""
    if "int8_s" not in answer:
        return Finding("int8", Status.SKIPPED, "torch does not run")
    objection, fast, slow = answer["int8_objection"], answer["int8_s"], answer["float32_s"]
    facts = {"objection": objection, "int8_s": fast, "float32_s": slow}
    if objection:
        do = "nothing: float32 gives the same bits, in more time; another release of torch may do it"
        return Finding("int8", Status.LIMITED, one_line(f"not used: {objection}"), do, facts=facts)
    ratio = float(slow or 0) / float(fast or 1)
    said = f"the self-test's bits are right; a layer runs {ratio:.1f} times as fast as in float32"
    if ratio <= 1:
        return Finding("int8", Status.LIMITED, said, "nothing: where float32 is faster it is taken", facts=facts)
    return Finding("int8", Status.WORKS, said, facts=facts)


def gpu(answer: Answer) -> Finding:
    """The GPU that torch sees, with which trainings are shorter; nothing needs one."""
    if "gpu" not in answer:
        return Finding("gpu", Status.SKIPPED, "torch does not run")
    name, memory = answer["gpu"], answer["gpu_bytes"]
    facts = {"name": name, "memory_bytes": memory, "cuda": answer["cuda"]}
    if name is None:
        do = "nothing, unless there is one: then its driver is too old, or torch is built without CUDA"
        return Finding("gpu", Status.ABSENT, "torch sees none, and everything runs on the CPU", do, facts=facts)
    return Finding("gpu", Status.WORKS, one_line(f"{name}, {int(memory or 0) / 1e9:.0f} GB"), facts=facts)


def numba(answer: Answer) -> Finding:
    """numba, and whether what it compiles is kept."""
    finding = _library("numba", answer, "`pip install numba`, or nothing: torch gives the same bits in more time")
    if finding.status is not Status.WORKS or answer.get("cache"):
        kept = f"; what it compiles is kept in {answer['cache']}" if answer.get("cache") else ""
        return Finding(finding.key, finding.status, finding.says + kept, finding.do, facts=finding.facts)
    said = f"{finding.says}; what it compiles cannot be kept ({answer.get('objection')}), and takes seconds each time"
    do = "let NUMBA_CACHE_DIR name a folder that this user can write to"
    return Finding("numba", Status.LIMITED, one_line(said), do, facts=finding.facts)


def ray(answer: Answer) -> Finding:
    """Ray, with which searches and studies work on all cores."""
    return _library("ray", answer, "`pip install 'monospike[plan]'`; without it one core works")


def norse(answer: Answer) -> Finding:
    """norse and nirtorch, one of the engines that a deployment is verified in."""
    return _library("norse", answer, "`pip install 'monospike[norse]'`", needed=True)


def slayer(answer: Answer) -> Finding:
    """lava-dl's SLAYER, of which students are built."""
    return _library("slayer", answer, "use Python 3.10 and `pip install 'monospike[lava]'`", needed=True)


FROM_PROBES: dict[str, tuple[Callable[[Answer], Finding], ...]] = {
    "torch": (torch, int8, gpu),
    "slayer": (slayer,),
    "norse": (norse,),
    "numba": (numba,),
    "ray": (ray,),
}
"""By probe, what is read from its answer."""


def lava() -> Finding:
    """lava-nc and lava-dl, by their versions."""
    found = {name: _version(name) for name in _TESTED_LAVA}
    do = "use Python 3.10 and `pip install 'monospike[lava]'`"
    if find_spec("lava") is None:
        return Finding("lava", Status.ABSENT, "Lava is not installed", do, needed=True, facts={**found})
    said = ", ".join(f"{name} {version or 'is missing'}" for name, version in found.items())
    if None in found.values():
        return Finding("lava", Status.BROKEN, said, do, needed=True, facts={**found})
    if found != _TESTED_LAVA:
        tested = " and ".join(f"{name} {version}" for name, version in _TESTED_LAVA.items())
        return Finding("lava", Status.LIMITED, f"{said}; tested are {tested}", do, needed=True, facts={**found})
    return Finding("lava", Status.WORKS, said, needed=True, facts={**found})


def _library(key: str, answer: Answer, do: str, needed: bool = False) -> Finding:
    if "missing" in answer:
        return Finding(key, Status.ABSENT, f"{answer['missing']} is not installed", do, needed)
    if "error" in answer:
        return Finding(key, Status.BROKEN, one_line(str(answer["error"])), do, needed)
    facts = {name: fact for name, fact in answer.items() if not name.startswith(("int8", "float32", "gpu", "cuda"))}
    return Finding(key, Status.WORKS, one_line(f"{key} {answer.get('version')}"), needed=needed, facts=facts)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
