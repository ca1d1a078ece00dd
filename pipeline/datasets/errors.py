"""What can be wrong with data that is not a matter of one file's format, and what becomes of it."""

from collections.abc import Callable
from typing import TypeAlias

from netx.errors import MonospikeError


class DataError(MonospikeError):
    """Pictures, sequences or a composition that cannot be had as asked."""


Report: TypeAlias = Callable[[MonospikeError], None]
"""Told of what is wrong with one picture or object. Where it returns, that one is left out, and the others are read."""


def refuse(error: MonospikeError) -> None:
    """The ``Report`` of those who take all or nothing: raises ``error``."""
    raise error
