"""lava-dl's SLAYER, imported without the notes it prints about toolboxes that nothing here uses."""

from __future__ import annotations

import contextlib
import io

from netx.errors import MonospikeError

__all__ = ["slayer"]

try:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        from lava.lib.dl import slayer
except ModuleNotFoundError as missing:
    raise MonospikeError(
        f"the student is built from lava-dl's SLAYER blocks, and {missing.name!r} is not installed: "
        "use Python 3.10 and install monospike with its extra 'lava'"
    ) from None
