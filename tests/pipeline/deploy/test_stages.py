"""Stages are done once, skipped while nothing changed, and done again when something did."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from netx.errors import MonospikeError
from netx.files import alone_in, as_it_is
from pipeline.deploy.stages import StageError, Step, is_outdated, run_step, select


class Kitchen:
    """What two steps share, the second of which reads what the first wrote; ``made`` lists what was done."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.made, self.recipe = folder, [], "soup"
        self.versions = {"dough": "1", "bread": "1"}

    @property
    def settings(self) -> dict[str, str]:
        return {"recipe": self.recipe, "weather": "rain"}

    def code(self, function: Callable[..., str]) -> str:
        return self.versions[function.__name__]

    def run(self, force: str | None = None) -> list[bool]:
        return [run_step(step, self, force=step.name == force).skipped for step in STEPS]


def dough(kitchen: Kitchen) -> str:
    kitchen.made.append("dough")
    (kitchen.folder / "dough").mkdir(exist_ok=True)
    (kitchen.folder / "dough" / "it").write_text(kitchen.recipe)
    return "kneaded" if kitchen.recipe else str(1 / 0)


def bread(kitchen: Kitchen) -> str:
    kitchen.made.append("bread")
    (kitchen.folder / "bread").mkdir(exist_ok=True)
    (kitchen.folder / "bread" / "it").write_text((kitchen.folder / "dough" / "it").read_text() + " baked")
    return "baked"


STEPS = (Step("dough", dough, (), ("recipe",)), Step("bread", bread, ("dough",), (), ("bread/*",)))


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
        return [is_outdated(step, kitchen) for step in STEPS]

    assert not is_outdated(STEPS[0], kitchen), "what has not been made"
    kitchen.run()
    assert outdated() == [False, False]
    kitchen.recipe = "pie"
    assert outdated() == [True, False]
    run_step(STEPS[0], kitchen)
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
    kitchen.recipe = ""
    with pytest.raises(ZeroDivisionError):
        kitchen.run()
    kitchen.recipe = "pie"
    assert kitchen.run() == [False, False]


def test_a_step_whose_own_code_has_changed_is_done_again_and_no_other(kitchen):
    kitchen.run()
    kitchen.versions["bread"] = "2"
    assert kitchen.run() == [True, False]
    kitchen.versions["dough"] = "2"
    assert kitchen.run() == [False, True], "the same dough came of it"


def test_a_stage_says_which_one_it_is_waiting_for(tmp_path):
    with pytest.raises(StageError, match=r"'bread' needs stage 'dough'.*--from dough"):
        run_step(STEPS[1], Kitchen(tmp_path))


def test_stages_are_selected_from_and_until():
    names = ("a", "b", "c")
    assert select(names, None, None) == ["a", "b", "c"]
    assert select(names, "b", None) == ["b", "c"]
    assert select(names, "b", "b") == ["b"]
    with pytest.raises(StageError, match=r"no stage 'x'; the stages are a, b, c"):
        select(names, "x", None)
    with pytest.raises(StageError, match=r"'a' comes before 'b'"):
        select(names, "b", "a")


def test_what_a_killed_write_has_left_is_no_part_of_a_stage(kitchen):
    kitchen.run()
    unfinished = kitchen.folder / "dough" / ".it.abcdefgh.unfinished" / "new"
    unfinished.mkdir(parents=True)
    (unfinished / "it").write_text("half")
    assert kitchen.run(force="dough") == [False, True]
    with alone_in(kitchen.folder):
        assert not unfinished.exists()


@pytest.mark.parametrize(
    "content",
    ["", "null", "[]", '{"fingerprint": 1}', "[[[", "NaN"],
)
def test_a_stage_whose_record_is_damaged_is_done_again(kitchen, content):
    kitchen.run()
    (kitchen.folder / "stages" / "bread.json").write_text(content)
    assert kitchen.run() == [True, False]


@pytest.mark.parametrize("key", ["fingerprint", "outputs", "files", "seconds", "summary"])
def test_a_stage_whose_record_has_another_shape_is_done_again(kitchen, key):
    kitchen.run()
    path = kitchen.folder / "stages" / "bread.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: {"another": ["shape"]}}))
    assert kitchen.run() == [True, False]


def test_a_file_that_was_altered_and_cannot_be_read_is_named_with_its_stage(kitchen):
    def eat(kitchen: Kitchen) -> str:
        return str(int((kitchen.folder / "bread" / "it").read_text() == "soup baked") or 1 / 0)

    step = Step("eat", eat, ("dough", "bread"))
    kitchen.versions["eat"] = "1"
    kitchen.run()
    run_step(step, kitchen)
    (kitchen.folder / "bread" / "it").write_text("stone")
    with pytest.raises(StageError, match=r"altered since then: .*bread/it; make it again with --from bread"):
        run_step(step, kitchen)
    run_step(STEPS[1], kitchen, force=True)
    kitchen.recipe = "cake"
    kitchen.run()
    with pytest.raises(ZeroDivisionError):  # nothing was altered: a fault of the step itself
        run_step(step, kitchen)


def test_a_folder_is_one_worker_s_or_many_readers(tmp_path):
    with as_it_is(tmp_path / "run"):
        assert not (tmp_path / "run").exists()
    with alone_in(tmp_path / "run"):
        for asked in (alone_in, as_it_is):
            with pytest.raises(MonospikeError, match="run: somebody else is working there"), asked(tmp_path / "run"):
                pass
    with (
        as_it_is(tmp_path / "run"),
        as_it_is(tmp_path / "run"),
        pytest.raises(MonospikeError, match="somebody else"),
        alone_in(tmp_path / "run"),
    ):
        pass
