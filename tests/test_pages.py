"""Commands and code that the pages show: those that a page marks are run and print what it says, all others are parsed.

``<!-- run -->`` before a block: it is run, in the page's order, in a folder of its own. ``<!-- prints -->``: the lines
of the block are printed by the one before, in their order; ``...`` stands for anything.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import netx
from pipeline.cli.app import app

ROOT = Path(netx.__file__).resolve().parents[1]
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md")), *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"(?:<!-- ([\w: ]+) -->\n)?^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(monospike [^`]+)`")
GROUP = typer.main.get_command(app)
SYNOPSIS = {"CONFIG": "demo", "N": "1", "K": "1", "I": "1"}
"""What stands for a value of the user's, where the parser looks at values."""


@dataclass(frozen=True)
class Block:
    """Of a page. mark: what its comment says, or nothing."""

    mark: str
    language: str
    code: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [Block(mark or "", kind, textwrap.dedent(code)) for mark, _, kind, code in BLOCK.findall(text)]


def lines(code: str) -> list[str]:
    """The commands of a block: without comments and prompts, those that go on with the next line as one."""
    joined = code.replace("\\\n", " ")
    bare = (re.sub(r"\s+#( .*)?$", "", line).strip() for line in joined.splitlines())
    return [line.removeprefix("$ ").removeprefix(".venv/bin/") for line in bare if line]


def parsed(line: str) -> typer.Context:
    """What the command line's own parser makes of a command; brackets of a synopsis are left out."""
    words = shlex.split(re.sub(r"[\[\]]", "", line))[1:]
    words = [SYNOPSIS.get(word, word).split("|")[0] for word in words if word not in ("...", "&")]
    if words[0] in ("deploy", "search", "study", "train") and words[1].endswith(".yaml"):
        words[1] = str(ROOT / words[1]) if (ROOT / words[1]).exists() else "demo"  # a page may write the file itself
    command = GROUP.get_command(None, words[0])
    assert command is not None, f"there is no command {words[0]!r}: {line}"
    try:
        return command.make_context(words[0], words[1:])
    except Exception as error:
        raise AssertionError(f"{line}: {error}") from error


def shown() -> list[tuple[str, str]]:
    return [
        (page.relative_to(ROOT).as_posix(), line)
        for page in PAGES
        for block in blocks(page)
        if block.language in ("", "sh")
        for line in lines(block.code)
        if line.startswith("monospike ")
    ]


def test_every_command_in_a_block_is_one_that_the_command_line_takes() -> None:
    commands = shown()
    assert len(commands) > 60
    for page, line in commands:
        assert parsed(line), page


def test_every_command_within_a_text_exists_with_its_options() -> None:
    count = 0
    for page in PAGES:
        for line in INLINE.findall(re.sub(BLOCK, "", page.read_text())):
            name, *words = shlex.split(line)[1:]
            if name.isupper() or name.startswith("-"):
                continue
            command = GROUP.get_command(None, name)
            assert command is not None, (page.name, line)
            known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
            used = {
                re.sub(r"[\[\]]", "", word).partition("=")[0] for word in words if word.lstrip("[").startswith("--")
            }
            assert used <= known, (page.name, line, used - known)
            count += 1
    assert count > 40


def run_line(line: str, names: dict[str, object]) -> str:
    """What a line of a shell prints: one of ours, code for Python, or a file that is copied."""
    words = shlex.split(line)
    if words[0] == "cp":
        shutil.copy(*words[1:])
        return ""
    if words[:2] == ["python", "-c"]:
        return run_code(words[2], names)
    assert words[0] == "monospike", f"not run by this test: {line}"
    ended = CliRunner().invoke(app, words[1:])
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise AssertionError(f"{line}: {ended.exception}\n{ended.output}") from ended.exception
    assert ended.exit_code == 0, f"{line}: {ended.output}"
    return ended.output


def run_code(code: str, names: dict[str, object]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        exec(compile(code, "a page", "exec"), names)
    return printed.getvalue()


def check_printed(expected: str, printed: str) -> None:
    """All lines of ``expected`` stand in ``printed``, in this order; ``...`` in one is anything."""
    rest = [line.rstrip() for line in printed.splitlines()]
    for line in expected.splitlines():
        wanted = re.compile(re.escape(line.rstrip()).replace(r"\.\.\.", ".*"))
        place = next((number for number, one in enumerate(rest) if wanted.fullmatch(one)), None)
        assert place is not None, f"not printed: {line}\n{printed}"
        rest = rest[place + 1 :]


@pytest.mark.lava
@pytest.mark.parametrize("name", [p.relative_to(ROOT).as_posix() for p in PAGES if "<!-- run -->" in p.read_text()])
def test_what_a_page_runs_prints_what_it_says(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    monkeypatch.chdir(tmp_path)
    printed, count, names = "", 0, dict[str, object](__name__="__main__")
    for block in blocks(ROOT / name):
        if block.mark == "run":
            if block.language == "python":
                printed = run_code(block.code, names)
            else:
                printed = "".join(run_line(line, names) for line in lines(block.code))
            count += 1
        elif block.mark == "prints":
            check_printed(block.code, printed)
    assert count


def test_the_command_that_is_not_there_is_seen() -> None:
    """The tests above can fail: a command or an option that there is not, and a line that was not printed."""
    for line, why in (
        ("monospike fly", "no command 'fly'"),
        ("monospike lint a.net --no-such-option", "No such option"),
        ("monospike map a.net", "Missing parameter: chip"),
        ("monospike import a.nir --calibrate a.npy --from torch", "'torch' is not one of 'spikingjelly'"),
    ):
        with pytest.raises(AssertionError, match=why):
            parsed(line)
    check_printed("a ... c", "x\na b c\n")
    with pytest.raises(AssertionError, match="not printed: b"):
        check_printed("a\nb", "b\na\n")
