"""How far a check of numbered things has come, kept in a file so that a stopped one goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from netx import FormatError
from netx.files import write_whole
from pipeline.core.provenance import code_digest


@dataclass(frozen=True)
class Counted:
    """first: number of the first thing. done: things since."""

    first: int
    done: int = 0


CountedT = TypeVar("CountedT", bound=Counted)


def read_state(path: Path, fresh: CountedT) -> CountedT:
    """The state in ``path``; ``fresh`` where there is none, or one that began elsewhere or is of another program: what
    that one found says nothing of this.

    Raises FormatError when the file is no such state.
    """
    if not path.is_file():
        return fresh
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        program = values.pop("program", None)
        state = type(fresh)(**values)
    except (ValueError, TypeError, AttributeError) as error:
        raise FormatError(f"{path}: is not the state of a selfcheck ({error}); remove it to begin anew") from None
    return state if (state.first, program) == (fresh.first, code_digest()) else fresh


def write_state(path: Path, state: Counted) -> None:
    """Leave ``state`` in ``path``, for ``read_state``."""
    with write_whole(path) as temporary:
        temporary.write_text(json.dumps({**asdict(state), "program": code_digest()}), encoding="utf-8")
