"""The server of one run: what it shows is what the run's files hold, to this machine alone, and it changes nothing."""

from __future__ import annotations

import http.client
import io
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image

from pipeline.deploy.layout import recording_file
from pipeline.viewer.live.server import Server
from pipeline.viewer.losses import MOST_POINTS, curves
from sim.recording import Recording


def ask(server: Server, path: str, method: str = "GET", host: str | None = None) -> http.client.HTTPResponse:
    """What the server answers, with the body read already, as ``content``."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request(method, path, headers={} if host is None else {"Host": host})
    response = connection.getresponse()
    response.content = response.read()  # type: ignore[attr-defined]
    connection.close()
    return response


def content(response: Any) -> bytes:
    return bytes(response.content)


def test_the_state_holds_stages_losses_layers_and_chips(serving: Callable[..., Any], runs: Path) -> None:
    with serving(runs / "small") as server:
        state = json.loads(content(ask(server, "/state.json")))
    assert [stage["name"] for stage in state["stages"] if stage["state"] == "open"] == ["report"]
    recording = Recording.load(runs / "small" / recording_file("engine", "search"))
    [target] = state["targets"]
    assert target["target"] == "search"
    assert [layer["name"] for layer in target["layers"]] == ["conv1", "conv2"]
    for layer in target["layers"]:
        assert layer["spikes"] == [int(frame.sum()) for frame in recording.spikes[layer["name"]]]
    assert state["chips"] == ["loihi2"]
    with serving(runs / "learns") as server:
        state = json.loads(content(ask(server, "/state.json")))
    assert state["losses"]["."]["student/class"] == [[10, 0.1], [20, 0.2]]


def test_a_picture_shows_exactly_the_spikes_of_its_frame(serving: Callable[..., Any], runs: Path) -> None:
    spikes = Recording.load(runs / "small" / recording_file("engine", "search")).spikes["conv2"]
    with serving(runs / "small") as server:
        for frame in range(len(spikes)):
            query = urlencode({"target": "search", "layer": "conv2", "frame": frame})
            picture = Image.open(io.BytesIO(content(ask(server, f"/spikes.png?{query}"))))
            blue = (np.asarray(picture.convert("RGBA")) == (0, 114, 178, 255)).all(axis=2)
            assert blue.sum() == spikes[frame].sum() > 0


@pytest.mark.parametrize(
    "path",
    [
        "/config.yaml",
        "/../learns/config.yaml",
        "/chip/..%2F..%2Fconfig.yaml",
        "/chip/../../config.yaml",
        "/spikes.png?target=..%2Fx&layer=conv1&frame=0",
        "/spikes.png?target=search&layer=conv1&frame=5",
        "/spikes.png?target=search&layer=conv1&frame=-1",
        "/spikes.png",
        "/report.html",  # not written yet
        "/state.json/x",
    ],
)
def test_nothing_else_is_shown(serving: Callable[..., Any], runs: Path, path: str) -> None:
    with serving(runs / "small") as server:
        assert ask(server, path).status == 404


def test_only_this_machine_is_answered_and_only_when_it_reads(serving: Callable[..., Any], runs: Path) -> None:
    files = {path: path.stat().st_mtime_ns for path in runs.rglob("*")}
    with serving(runs / "small") as server:
        assert server.server_address[0] == "127.0.0.1"
        assert ask(server, "/", host="runs.example").status == 403
        assert ask(server, "/state.json", "POST").status == 501
        assert ask(server, "/", "HEAD").status == 200
        page = ask(server, "/")
        (runs / "small" / "report.html").write_text("<script>alert(1)</script>")
        report = ask(server, "/report.html")
        (runs / "small" / "report.html").unlink()
        chip = ask(server, "/chip/loihi2?123")
    assert page.getheader("Content-Security-Policy", "").startswith("default-src 'none'; script-src 'self';")
    assert content(chip) == (runs / "small" / "profile" / "planning-loihi2.svg").read_bytes()
    for foreign in (chip, report):
        assert foreign.getheader("Content-Security-Policy", "").startswith("sandbox; default-src 'none';")
    changed = {path for path in runs.rglob("*") if files.get(path) != path.stat().st_mtime_ns}
    assert changed == {runs / "small"}, "where this test has put a report and taken it away"


def test_what_is_damaged_while_the_page_is_open_is_said_on_it(serving: Callable[..., Any], runs: Path) -> None:
    with serving(runs / "small") as server:
        (runs / "small" / recording_file("engine", "search")).write_bytes(b"PK no archive")
        [target] = json.loads(content(ask(server, "/state.json")))["targets"]
        assert "engine-search.npz: is not an .npy or .npz file" in target["problem"]
        assert ask(server, "/spikes.png?target=search&layer=conv1&frame=0").status == 500
        (runs / "small").rename(runs / "gone")
        assert "there is no such folder" in json.loads(content(ask(server, "/state.json")))["problem"]


def test_a_long_log_is_thinned_to_its_last_point_and_lines_that_say_nothing_are_left_out(tmp_path: Path) -> None:
    lines = [json.dumps({"step": step, "loss": float(step)}) for step in range(1, 1001)]
    lines += ['{"step": 1001, "loss": NaN}', '{"step": 1002, "lo']
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    [(name, points)] = curves(tmp_path / "log.jsonl").items()
    assert name == "loss"
    assert len(points) <= MOST_POINTS + 1
    assert points[0] == (1, 1.0)
    assert points[-1] == (1000, 1000.0)


def test_a_port_in_use_is_one_line(monospike, runs: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = monospike("open", "small", "--port", port, "--no-browser", cwd=runs.parent)
    assert done.returncode == 2
    assert done.stderr.strip() == (
        f"monospike: port {port}: is in use; give another with --port, or 0 for any that is free"
    )


def test_a_run_that_is_not_there_or_another_releases_is_one_line(monospike, runs: Path) -> None:
    none = monospike("open", "nothing", cwd=runs.parent)
    assert (none.returncode, len(none.stderr.splitlines())) == (2, 1)
    assert "nothing: there is no such run" in none.stderr
    (runs / "small" / "config.yaml").write_text("name: old\nstudent: {}\n")
    old = monospike("open", "small", "--no-browser", cwd=runs.parent)
    assert (old.returncode, len(old.stderr.splitlines())) == (2, 1)
    assert "is that of another release's run" in old.stderr


def test_without_a_browser_the_address_is_said_and_the_page_is_there(
    monospike, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    asked = []

    def serve(server: Server) -> None:
        asked.append(server.address)
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "serve_forever", serve)
    done = monospike("open", "small", "--port", 0, cwd=runs.parent)
    assert done.returncode == 0
    address, browser, end = done.stdout.splitlines()
    assert address.startswith(asked[0])
    assert browser == "no browser could be started here: open the address in one yourself"
    assert end == "ended"
