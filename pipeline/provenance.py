"""What a run was made with."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

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
