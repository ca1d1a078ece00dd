"""Stages are done once, skipped while nothing changed, and done again when something did."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.deploy.stages import Stage, StageError, is_outdated, run_stage, select


class Kitchen:
    """Two stages, the second of which reads what the first wrote; ``made`` lists what was done."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.made, self.recipe = folder, [], "soup"

    def dough(self) -> str:
        self.made.append("dough")
        (self.folder / "dough").mkdir(exist_ok=True)
        (self.folder / "dough" / "it").write_text(self.recipe)
        return "kneaded"

    def bread(self) -> str:
        self.made.append("bread")
        (self.folder / "bread").mkdir(exist_ok=True)
        (self.folder / "bread" / "it").write_text((self.folder / "dough" / "it").read_text() + " baked")
        return "baked"

    def stages(self) -> tuple[Stage, Stage]:
        first = Stage("dough", self.dough, {"recipe": self.recipe}, (), ("dough/*",))
        return first, Stage("bread", self.bread, {}, ("dough",), ("bread/*",))

    def run(self, force: str | None = None) -> list[bool]:
        return [run_stage(stage, self.folder, force=stage.name == force).skipped for stage in self.stages()]


@pytest.fixture
def kitchen(tmp_path: Path) -> Kitchen:
    return Kitchen(tmp_path)


def test_a_second_run_skips_every_stage(kitchen):
    assert kitchen.run() == [False, False]
    assert kitchen.run() == [True, True]
    assert kitchen.made == ["dough", "bread"]


def test_a_changed_setting_redoes_the_stage_and_what_reads_it(kitchen):
    kitchen.run()
    kitchen.recipe = "pie"
    assert kitchen.run() == [False, False]
    assert (kitchen.folder / "bread" / "it").read_text() == "pie baked"


def test_a_stage_is_outdated_when_its_settings_inputs_or_files_have_changed(kitchen):
    def outdated() -> list[bool]:
        return [is_outdated(stage, kitchen.folder) for stage in kitchen.stages()]

    assert not is_outdated(kitchen.stages()[0], kitchen.folder), "what has not been made"
    kitchen.run()
    assert outdated() == [False, False]
    kitchen.recipe = "pie"
    assert outdated() == [True, False]
    run_stage(kitchen.stages()[0], kitchen.folder, False)
    assert outdated() == [False, True]
    kitchen.run()
    (kitchen.folder / "bread" / "it").unlink()
    assert outdated() == [False, True]


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_text("spoilt")])
def test_a_file_that_is_gone_or_altered_is_made_again(kitchen, damage):
    kitchen.run()
    damage(kitchen.folder / "bread" / "it")
    assert kitchen.run() == [True, False]
    assert (kitchen.folder / "bread" / "it").read_text() == "soup baked"


def test_a_forced_stage_that_gives_the_same_files_leaves_the_next_one_alone(kitchen):
    kitchen.run()
    assert kitchen.run(force="dough") == [False, True]


def test_a_stage_that_fails_is_not_taken_for_done(kitchen):
    kitchen.run()
    kitchen.recipe = "pie"
    real, kitchen.dough = kitchen.dough, lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        kitchen.run()
    kitchen.dough = real
    assert kitchen.run() == [False, False]


def test_a_stage_says_which_one_it_is_waiting_for(tmp_path):
    stage = Stage("bread", lambda: "", {}, ("dough",), ("bread/*",))
    with pytest.raises(StageError, match=r"'bread' needs stage 'dough'.*--from dough"):
        run_stage(stage, tmp_path, force=False)


def test_stages_are_selected_from_and_until():
    names = ("a", "b", "c")
    assert select(names, None, None) == ["a", "b", "c"]
    assert select(names, "b", None) == ["b", "c"]
    assert select(names, "b", "b") == ["b"]
    with pytest.raises(StageError, match=r"no stage 'x'; the stages are a, b, c"):
        select(names, "x", None)
    with pytest.raises(StageError, match=r"'a' comes before 'b'"):
        select(names, "b", "a")
