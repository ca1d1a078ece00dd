"""The main job as its user runs it: the command line, real Lava, real files."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import jsonschema
import numpy as np
import psutil
import pytest
from PIL import Image

import pipeline.report
import sim.hardware
from pipeline.core.config import read_config
from pipeline.core.progress import Progress
from pipeline.core.workers import Workers
from pipeline.datasets.errors import DataError
from pipeline.deploy.config import load_config
from pipeline.deploy.layout import STAGES, VERDICT
from pipeline.deploy.run import Run, open_run
from pipeline.deploy.stages import run_step
from pipeline.deploy.steps import STEPS
from pipeline.experiments.dse.config import SearchConfig
from pipeline.experiments.dse.run import run_search
from pipeline.viewer.live.content import Content

pytestmark = [pytest.mark.lava, pytest.mark.timeout(400)]

SCHEMA = Path(pipeline.report.__file__).parent / "schema.json"


def refused(result: subprocess.CompletedProcess[str]) -> str:
    """The one message with which a command ended, with 2 and without a traceback."""
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.fixture(scope="module")
def finished(tiny_run, tmp_path_factory) -> tuple[Path, str]:
    """The folder of a whole run of the tiny configuration, and what the command printed."""
    place = tmp_path_factory.mktemp("work")
    command = [sys.executable, "-m", "pipeline", "deploy", str(tiny_run)]
    result = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    return place / "runs" / "tiny", result.stdout


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A copy of the finished run, to be spoilt."""
    folder = tmp_path / "runs" / "tiny"
    shutil.copytree(finished[0], folder)
    return folder


def test_one_command_runs_every_stage_and_finds_all_engines_identical(finished):
    _, printed = finished
    for name in STAGES:
        assert re.search(rf"^{name} +\d+\.\d s: ", printed, re.MULTILINE), name
    assert "identical in slayer, engine, lava-fast, norse: 25 layers" in printed
    assert re.search(r"mean IoU: float 0\.\d+, integer 0\.\d+, fixed box 0\.\d+", printed)


def test_the_report_fits_its_schema_and_tells_what_was_run(finished):
    folder, _ = finished
    report = json.loads((folder / "report.json").read_text())
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(report)
    assert report["verification"]["identical"] is True
    assert report["verification"]["engines"] == ["slayer", "engine", "lava-fast", "norse"]
    assert report["verification"]["first_divergence"] is None
    # Template image and 2 search images, and with each branch a frame of zeros, one of ones and a random one.
    assert report["verification"]["frames"] == (1 + 3) + (2 + 3)
    assert report["seed"] == 3
    assert report["config"]["model"].endswith("tiny.safetensors")
    assert set(report["seconds"]) >= set(STAGES) - {"report"}
    assert report["versions"]["lava-nc"] == "0.10.0"
    # conv1: 67x67 positions of 6 channels, each a sum over an 11x11x3 window, by the textbook formula.
    assert report["activity"]["macs_per_frame"] == 67 * 67 * 6 * 11 * 11 * 3
    assert all(row["observed"] <= row["worst_case"] <= row["limit"] == 131071 for row in report["headroom"])
    for entry in report["files"].values():
        assert (folder / entry["path"]).stat().st_size == entry["bytes"]
    assert (folder / "report.html").stat().st_size > 100_000
    assert (folder / "tracking.gif").read_bytes()[:6] == b"GIF89a"


def test_the_finished_run_is_listed_and_shown_as_it_was_verified(monospike, finished):
    folder, _ = finished
    [listed] = json.loads(monospike("runs", "--json", cwd=folder.parents[1]).stdout)["runs"]
    assert (listed["name"], listed["progress"], listed["identical"]) == ("tiny", "done", True)
    assert [stage["name"] for stage in listed["stages"]] == list(STAGES) == [step.name for step in STEPS]
    spikes = {layer["name"]: layer["spikes"] for layer in json.loads((folder / VERDICT).read_text())["layers"]}
    shown = Content(folder).state()
    assert {target["target"] for target in shown["targets"]} == {"template", "search"}
    for layer in (layer for target in shown["targets"] for layer in target["layers"]):
        assert sum(layer["spikes"]) == spikes[layer["name"]]
    assert shown["chips"] == ["loihi1_sanafe", "loihi2"]


def test_a_second_run_skips_every_stage_but_one_that_is_asked_for(monospike, run, tiny_run):
    place = run.parents[1]
    again = monospike("deploy", tiny_run, "--until", "profile", cwd=place)
    assert again.stdout.count("unchanged, skipped") == len(STAGES) - 1
    forced = monospike("deploy", tiny_run, "--from", "quantize", "--until", "export", cwd=place)
    assert re.findall(r"^(\w+) .*: ", forced.stdout, re.MULTILINE) == ["quantize", "export"]
    assert forced.stdout.count("unchanged, skipped") == 1, "quantize gave the same files, so export need not run"


def test_the_report_shows_the_fronts_of_a_search_and_leaves_its_numbers_beside(
    monospike, run, tiny_run, search_file, tmp_path
):
    place = run.parents[1]
    with_search = tmp_path / "searching.yaml"
    with_search.write_text(tiny_run.read_text() + "search: runs/searched\n")
    searched = place / "runs" / "searched"
    run_search(read_config(search_file, SearchConfig), searched, Workers(0), "monospike search", Progress(quiet=True))
    again = monospike("deploy", with_search, cwd=place)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("unchanged, skipped") == len(STAGES) - 1
    for name in ("search.json", "search.csv"):
        assert (run / "search" / name).read_bytes() == (searched / name).read_bytes()
    assert '<section id="search">' in (run / "report.html").read_text()

    assert monospike("deploy", tiny_run, cwd=place).returncode == 0
    assert not (run / "search").exists()
    assert '<section id="search">' not in (run / "report.html").read_text()


def opened(config: Path, folder: Path) -> Run:
    return open_run(load_config(config), folder, Progress(quiet=True))


def test_files_of_the_users_that_have_changed_are_read_anew(tiny_run, tmp_path):
    photos, chip = tmp_path / "photos", tmp_path / "mine.yaml"
    photos.mkdir()
    shutil.copy(Path(sim.hardware.__file__).with_name("loihi2.yaml"), chip)
    text = tiny_run.read_text().replace("sequences: 2", f"sequences: 2\n  pictures: {photos}")
    (tmp_path / "mine.run.yaml").write_text(f"{text}profile: {{chips: [{chip}]}}\n")

    def settings() -> dict[str, str]:
        values = opened(tmp_path / "mine.run.yaml", tmp_path / "run").settings
        return {step.name: json.dumps([values[key] for key in step.settings], sort_keys=True) for step in STEPS}

    def changed(before: dict[str, str]) -> set[str]:
        return {name for name, value in settings().items() if value != before[name]}

    before = settings()
    assert changed(before) == set()
    Image.fromarray(np.full((200, 300, 3), 90, np.uint8)).save(photos / "a.png")
    assert changed(before) == {"data", "report"}
    before = settings()
    chip.write_text(chip.read_text().replace("title: ", "title: My ", 1))
    assert changed(before) == {"profile", "report"}


def test_a_dataset_is_read_anew_when_one_of_its_files_has_changed_and_needs_two_frames(tiny_run, tmp_path):
    walk = tmp_path / "set" / "walk"
    (walk / "img").mkdir(parents=True)
    for number in (1, 2):
        Image.fromarray(np.full((96, 128, 3), 90, np.uint8)).save(walk / "img" / f"{number}.png")
    (walk / "groundtruth_rect.txt").write_text("9,9,30,30\n" * 2)
    text = tiny_run.read_text().replace("sequences: 2", f"sequences: 2\n  dataset: {tmp_path / 'set'}")
    (tmp_path / "set.yaml").write_text(text)

    def data() -> bool:
        return run_step(STEPS[0], opened(tmp_path / "set.yaml", tmp_path / "run")).skipped

    assert [data(), data()] == [False, True]
    (walk / "groundtruth_rect.txt").write_text("9,9,30,30\n12,9,30,30\n")
    assert [data(), data()] == [False, True]
    (walk / "img" / "2.png").unlink()
    (walk / "groundtruth_rect.txt").write_text("9,9,30,30\n")
    with pytest.raises(DataError, match="'walk': has one frame"):
        data()


def test_what_is_for_a_sequence_only_is_refused_for_a_run(monospike, tiny_run, tmp_path):
    message = refused(monospike("verify", tiny_run, "--frames", 3, cwd=tmp_path))
    assert "--frames: is for a check with --sequence" in message


def test_a_stage_cannot_start_before_what_it_reads_is_there(monospike, tiny_run, tmp_path):
    message = refused(monospike("deploy", tiny_run, "--from", "export", cwd=tmp_path))
    assert "stage 'export' needs stage 'data'" in message
    assert "--from data" in message


def test_verify_runs_everything_anew_and_ends_with_0(monospike, run):
    result = monospike("verify", run, cwd=run)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.splitlines()[-1].startswith("identical in slayer, engine, lava-fast, norse: ")


def test_a_run_that_has_not_been_made_is_not_verified(monospike, tiny_run, tmp_path):
    assert "tiny/data: holds no samples; run monospike deploy first" in refused(
        monospike("verify", tiny_run, cwd=tmp_path)
    )
    assert "nowhere: cannot be read" in refused(monospike("verify", "nowhere", cwd=tmp_path))


def change_weight(path: Path, dataset: str, index: tuple[int, ...], by: float) -> float:
    """Add to one stored weight; return what it was."""
    with h5py.File(path, "r+") as file:
        old = file[dataset][index]
        file[dataset][index] = old + by
    return float(old)


def test_one_changed_weight_in_a_net_file_is_found_and_named(monospike, run):
    old = change_weight(*stored(run / "export" / "search-net", "search_conv2"), (3, 1, 2, 0), 8)
    result = monospike("verify", run, cwd=run)
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"layer 'search_conv2', weight[3, 1, 2, 0] is {old + 8:.0f}, expected {old:.0f}" in result.stdout
    place = r"first in layer 'search_conv2', neuron \(channel 3, row \d+, column \d+\), frame \d+"
    assert re.search(place, result.stdout)
    slayer, lava = map(int, re.search(r"membrane voltages: slayer (-?\d+), lava-fast (-?\d+)", result.stdout).groups())
    assert lava - slayer == 8
    assert "likely cause: another weight: weight[out 3, in 1, row 2, column 0] is off by +8" in result.stdout


def stored(network: Path, layer: str) -> tuple[Path, str]:
    """The file of a network's folder that a layer's weights lie in, and their data set there."""
    for path in sorted(network.glob("*.net")):
        with h5py.File(path, "r") as file:
            for number, group in file["layer"].items():
                if any(layer in str(value) for value in group.attrs.values()):
                    return path, f"layer/{number}/weight"
    raise AssertionError(layer)


def test_deploy_ends_with_1_when_a_network_was_changed_behind_its_back(monospike, run, tiny_run):
    """The exports are made from the altered network and agree with it, but not with the trained student."""
    place = run.parents[1]
    change_weight(*stored(run / "quantize" / "network", "search_conv2"), (0, 0, 1, 1), 6)
    result = monospike("deploy", tiny_run, "--from", "export", cwd=place)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "NOT identical" in result.stdout
    assert "first in layer 'search_conv2', neuron (channel 0" in result.stdout
    assert json.loads((run / "verify" / "verification.json").read_text())["identical"] is False
    reported = monospike("deploy", tiny_run, "--from", "profile", cwd=place)
    assert reported.returncode == 1, "a report of it may be had, and ends alike"
    assert "quantize left as it is, though settings, inputs or program" in reported.stdout
    assert "The engines differ" in (run / "report.html").read_text()


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda path, _: path.write_bytes(path.read_bytes()[:200]), r"template-net/\d_\w+.net: .*"),
        (
            lambda path, weight: change_weight(path, weight, (0, 0, 0, 0), np.nan),
            r"template-net/\d_\w+.net.*1/weight.*nan",
        ),
    ],
)
def test_a_spoilt_net_file_is_refused_with_its_place(monospike, run, damage, complaint):
    damage(*stored(run / "export" / "template-net", "template_conv1"))
    assert re.search(complaint, refused(monospike("verify", run, cwd=run)))


def test_bad_input_ends_with_one_message_and_2(monospike, tiny_run, tmp_path):
    text = tiny_run.read_text()
    (tmp_path / "bad.yaml").write_text(text.replace("frames: 2", "frames: 0"))
    assert "bad.yaml: simulate.frames" in refused(monospike("deploy", "bad.yaml", cwd=tmp_path))
    assert "there is no stage 'exprot'" in refused(monospike("deploy", tiny_run, "--until", "exprot", cwd=tmp_path))
    assert "gone.yaml: is no file here" in refused(monospike("deploy", "gone.yaml", cwd=tmp_path))
    (tmp_path / "other.yaml").write_text(f"{text}train: {{steps: 6}}\n")
    assert "other.yaml: train: no longer belong" in refused(monospike("deploy", "other.yaml", cwd=tmp_path))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    (tmp_path / "pictures.yaml").write_text(text.replace("sequences: 2", "sequences: 2\n  pictures: photos"))
    assert "cut.jpg" in refused(monospike("deploy", "pictures.yaml", cwd=tmp_path))
    assert not list((tmp_path / "runs").rglob("*.npz")), "nothing half-written"


def test_a_stopped_deploy_says_so_leaves_nothing_running_and_goes_on(monospike, tiny_run, tmp_path):
    """It is stopped while Lava runs, in a process of its own."""
    command = [sys.executable, "-m", "pipeline", "deploy", str(tiny_run)]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    simulated = tmp_path / "runs" / "tiny" / "simulate"
    try:
        running: list[psutil.Process] = []
        deadline = time.monotonic() + 300
        while not running and time.monotonic() < deadline:
            time.sleep(0.05)
            if (simulated / "norse-search.npz").exists():
                running = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=60)
    finally:
        process.kill()
    assert running, "Lava has started"
    assert process.returncode == 130, message
    assert "stopped; the same command goes on from here" in message
    assert "Traceback" not in message
    assert psutil.wait_procs(running, timeout=10)[1] == []
    assert not list(simulated.glob("lava*"))
    again = monospike("deploy", tiny_run, "--until", "simulate", cwd=tmp_path)
    assert re.findall(r"^(\w+) +unchanged, skipped", again.stdout, re.MULTILINE) == list(
        STAGES[: STAGES.index("simulate")]
    )
    assert (simulated / "lava-search.npz").exists()


def test_a_folder_that_cannot_be_written_is_named(monospike, tiny_run, tmp_path):
    (tmp_path / "runs").write_text("a file where the folder should be")
    assert "runs" in refused(monospike("deploy", tiny_run, cwd=tmp_path))


def test_a_run_says_whether_lavas_own_convolution_or_the_drop_in_certified_it(monospike, run, tiny_run, tmp_path):
    assert "drop-in model" in (run / "report.html").read_text()
    config = tmp_path / "stock.yaml"
    config.write_text(tiny_run.read_text().replace("lava_convolution: fast", "lava_convolution: stock"))
    result = monospike("deploy", config, "--from", "simulate", cwd=run.parents[1])
    assert result.returncode == 0, result.stdout + result.stderr
    assert "identical in slayer, engine, lava, norse: 25 layers" in result.stdout
    report = json.loads((run / "report.json").read_text())
    assert report["verification"]["engines"] == ["slayer", "engine", "lava", "norse"]
    page = (run / "report.html").read_text()
    assert "drop-in model" not in page
    assert "Lava's own fixed-point processes throughout" in page
