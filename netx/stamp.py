"""Whether a file still holds the integers that it was written with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from netx.bundle import recorded
from netx.fingerprint import fingerprint
from netx.network import Network


@dataclass(frozen=True)
class Stamp:
    """fingerprint: of the network that was read. recorded, tool: what its file says; empty where it says nothing."""

    fingerprint: str
    recorded: str
    tool: str

    @property
    def changed(self) -> bool:
        """Whether the file records another network than it holds: somebody has changed it since it was written."""
        return bool(self.recorded) and self.recorded != self.fingerprint

    def __str__(self) -> str:
        if self.changed:
            return (
                f"fingerprint {self.fingerprint}, but {self.recorded} is recorded: the file was changed after "
                f"{self.tool or 'its writer'} had written it; export it again"
            )
        return f"fingerprint {self.fingerprint}, " + (f"written by {self.tool}" if self.tool else "none is recorded")


def read_stamp(path: Path, network: Network) -> Stamp:
    """The stamp of the ``.net`` or ``.nir`` file, or folder of them, from which ``network`` was read.

    Raises FormatError for what is no such file.
    """
    said = recorded(path)
    return Stamp(fingerprint(network), said.get("fingerprint", ""), said.get("tool", ""))
