"""What a configuration may say, and how a wrong one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.core.config import ConfigError
from pipeline.deploy.config import load_config

DEMO = Path(__file__).parents[3] / "configs" / "demo.yaml"


def load_text(tmp_path: Path, text: str):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return load_config(path)


def test_the_demo_configuration_is_valid():
    config = load_config(DEMO)
    assert config.name == "demo"
    assert config.model == "demo"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("seed: 1", "seeed: 1", r"seeed: Extra inputs are not permitted"),
        ("seed: 1", "seed: one", r"seed: Input should be a valid integer"),
        ("seed: 1", "seed: -1", r"seed: Input should be greater than or equal to 0"),
        ("model: demo", "", r"model: Field required"),
        ("frames: 24", "frames: 0", r"simulate.frames: Input should be greater than or equal to 1"),
        ("width: 320", "width: 20", r"data.composition.width: .* greater than or equal to 64"),
        ("name: demo", "name: ../demo", r"name: String should match pattern"),
    ],
)
def test_an_impossible_value_is_refused_with_file_key_and_reason(tmp_path, old, new, complaint):
    text = DEMO.read_text()
    assert old in text
    with pytest.raises(ConfigError, match=rf"run.yaml: {complaint}"):
        load_text(tmp_path, text.replace(old, new, 1))


def test_every_wrong_key_is_named_at_once(tmp_path):
    text = DEMO.read_text().replace("seed: 1", "seed: one").replace("frames: 24", "frames: 0")
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, text)
    assert "seed" in str(caught.value)
    assert "simulate.frames" in str(caught.value)


@pytest.mark.parametrize("old", ["student: {template: 48}", "train: {checkpoint: demo}"])
def test_a_configuration_of_the_old_form_is_told_what_to_change(tmp_path, old):
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, f"name: mine\nmodel: demo\n{old}\n")
    message = str(caught.value)
    assert message.count("\n") == 0
    assert f"run.yaml: {old.split(':')[0]}: no longer belong here" in message
    assert "'model'" in message
    assert "'training'" in message


@pytest.mark.parametrize(
    "text", ["", "- 1\n- 2\n", "name: [", "just words", "name: 2020-01-01\n", "name: 2020-13-01\n"]
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path, text):
    with pytest.raises(ConfigError, match=r"run.yaml"):
        load_text(tmp_path, text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere.yaml: cannot be read \(No such file"):
        load_config(tmp_path / "nowhere.yaml")


def test_a_configuration_written_out_and_read_back_changes_no_post_processing(tmp_path):
    config = load_text(tmp_path, "name: mine\nmodel: demo\ntracker: {window: 0.4}\n")
    (tmp_path / "out.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    again = load_config(tmp_path / "out.yaml")
    assert again == config
    assert again.tracker == {"window": 0.4}
