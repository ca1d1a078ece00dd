"""``python -m pipeline`` is the command ``monospike``."""

from pipeline.cli.app import main

main()
