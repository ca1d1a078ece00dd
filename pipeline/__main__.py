"""``python -m pipeline`` is the command ``monospike``."""

from pipeline.cli import main

main()
