"""Where data lie: folders of the user's, of which a configuration may name only the last part.

A configuration says ``${MONOSPIKE_DATA}/tracking/train``, and the environment variable MONOSPIKE_DATA says where that
folder is on this machine; so the same file runs everywhere. The placeholder is kept in what is written down of a
training, and is replaced where the folder is read.
"""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.datasets.errors import DataError

VARIABLE = "MONOSPIKE_DATA"
DATA = f"${{{VARIABLE}}}"
"""What stands for the variable's value."""


def located(place: str | Path) -> Path:
    """``place`` with the value of MONOSPIKE_DATA for its placeholder.

    Raises DataError when the variable is wanted and not set, set to what is no folder, or when the place names another
    variable: nothing else is replaced.
    """
    text = str(place)
    if DATA in text:
        folder = os.environ.get(VARIABLE, "")
        if not folder:
            raise DataError(
                f"{text}: the environment variable {VARIABLE} is not set; set it to the folder that this lies in "
                f"(export {VARIABLE}=DIR), or name the whole path in place of it"
            )
        if not Path(folder).is_dir():
            raise DataError(f"{text}: {VARIABLE} is {folder!r}, and there is no such folder")
        text = text.replace(DATA, folder)
    if "${" in text:
        raise DataError(f"{text}: only {DATA} stands for a folder; write others out")
    return Path(text)
