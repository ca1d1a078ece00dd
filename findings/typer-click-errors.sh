#!/usr/bin/env bash
# typer 0.29.1: its commands raise exceptions that are no exceptions of click, so code that catches click's misses them.
#
# typer is documented as built on click, and up to its older releases `typer.main.get_command(app)` gave a click.Command
# whose errors a caller who runs it with standalone_mode=False catches as click.ClickException. This release brings a
# copy of click of its own: with click installed beside it neither the command nor its errors are click's, and a caller's
# `except click.ClickException` lets a plain "missing option" through as a traceback.
#
# Seen: the command is no click.Command, and the error of a missing option no click.ClickException.
# Ends with 0 while typer behaves so, with 1 when it does not any more.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check typer==0.29.1 click==8.3.1

cd "$place"
cat > errors.py <<'END'
import click
import typer

app = typer.Typer()


@app.command()
def run(name: str = typer.Option(...)) -> None:
    print(name)


command = typer.main.get_command(app)
print("command:", type(command).__module__, "is click's:", isinstance(command, click.Command))
try:
    command.main(args=[], standalone_mode=False)
except Exception as error:
    caught = error
print("error:", type(caught).__module__, type(caught).__name__, "is click's:", isinstance(caught, click.ClickException))
assert not isinstance(command, click.Command), "the command is click's again"
assert not isinstance(caught, click.ClickException), "the error is click's again"
assert type(caught).__name__ == "MissingParameter", caught
END
"$place/venv/bin/python" errors.py
