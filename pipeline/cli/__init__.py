"""The command line."""

import sys

try:
    from pipeline.cli.app import main
except ModuleNotFoundError as error:
    missing = error.name or ""
    if missing.partition(".")[0] in ("netx", "quantize", "sim", "pipeline"):
        raise

    def main() -> None:
        """Say what no command can do without."""
        sys.exit(f"monospike: {missing} is not installed: `pip install {missing}`, or monospike anew")


__all__ = ["main"]
