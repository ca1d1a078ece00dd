"""Data lie where an option, a configuration or MONOSPIKE_DATA says, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from PIL import Image

from netx.errors import MonospikeError
from pipeline.datasets.catalog import find_benchmark, open_benchmark
from pipeline.datasets.config import PhotoSource
from pipeline.datasets.errors import DataError
from pipeline.datasets.locations import located
from pipeline.datasets.training_sources import open_source
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.trackers import open_tracker

CONFIGS = Path(__file__).resolve().parents[3] / "configs"


def test_the_placeholder_is_the_variables_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONOSPIKE_DATA", str(tmp_path))
    assert located("${MONOSPIKE_DATA}/tracking/train") == tmp_path / "tracking" / "train"
    assert located("runs/data") == Path("runs/data")
    Image.new("RGB", (80, 60)).save(tmp_path / "a.png")
    photographs = open_source(PhotoSource(kind="photos", root="${MONOSPIKE_DATA}"), 1)
    assert len(photographs._pictures) == 1


@pytest.mark.parametrize("value", [None, ""])
def test_without_the_variable_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is None:
        monkeypatch.delenv("MONOSPIKE_DATA", raising=False)
    else:
        monkeypatch.setenv("MONOSPIKE_DATA", value)
    with pytest.raises(DataError, match=r"photos: the environment variable MONOSPIKE_DATA is not set; set it to the"):
        located("${MONOSPIKE_DATA}/photos")
    with pytest.raises(DataError, match=r"MONOSPIKE_DATA is not set.*To have shared-test, give --root"):
        open_benchmark(find_benchmark("shared-test"), None)
    with pytest.raises(MonospikeError, match=r"nanotrack needs --weights DIR .*SiamTrackers.* or MONOSPIKE_DATA"):
        open_tracker("nanotrack", "float", TrackerConfig())


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONOSPIKE_DATA", str(tmp_path / "gone"))
    with pytest.raises(DataError, match=r"MONOSPIKE_DATA is '.*gone', and there is no such folder"):
        located("${MONOSPIKE_DATA}/photos")
    with pytest.raises(DataError, match=r"only \$\{MONOSPIKE_DATA\} stands for a folder"):
        located("${HOME}/photos")


def test_an_option_goes_before_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONOSPIKE_DATA", str(tmp_path))
    for folder, name in ((tmp_path / "tracking" / "test", "Here"), (tmp_path / "mine", "Mine")):
        (folder / name / "img").mkdir(parents=True)
    shared = find_benchmark("shared-test")
    assert [video.name for video in open_benchmark(shared, None)] == ["Here"]
    assert [video.name for video in open_benchmark(shared, tmp_path / "mine")] == ["Mine"]


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_no_configuration_names_a_folder_beside_the_checkout(config: Path) -> None:
    def texts(value: object) -> list[str]:
        if isinstance(value, dict):
            return [text for inner in value.values() for text in texts(inner)]
        if isinstance(value, list):
            return [text for inner in value for text in texts(inner)]
        return [value] if isinstance(value, str) else []

    assert not [text for text in texts(yaml.safe_load(config.read_text())) if ".." in text or text.startswith("/")]
