"""A segmenter at work on sequences and data sets: one that goes by colours, and does follow its objects."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from moving_colours import HEIGHT, WIDTH, Colours, scene, write_scene
from PIL import Image

from netx.errors import MonospikeError
from pipeline.core.progress import Progress
from pipeline.datasets.config import MaskedData
from pipeline.datasets.images import RGB
from pipeline.datasets.label_masks import PALETTE, LabelMask, read_labels, write_labels
from pipeline.datasets.masked_layouts import open_masked
from pipeline.datasets.masked_video import MaskedVideo
from pipeline.tasks.segmentation.baselines import StillMask
from pipeline.tasks.segmentation.following import follow
from pipeline.tasks.segmentation.metrics.evaluate import segment_all, summary
from pipeline.tasks.segmentation.metrics.kept import MaskFolder
from pipeline.tasks.segmentation.predictions import OpenSegmenter
from pipeline.tasks.segmentation.segment import first_mask, segment

QUIET = Progress(quiet=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three sequences: two objects, one that appears in frame 2, and one frame alone."""
    write_scene(tmp_path / "set" / "both")
    write_scene(tmp_path / "set" / "later", second_from=2)
    write_scene(tmp_path / "set" / "one", frames=1)
    return tmp_path / "set"


def opened(root: Path) -> list[MaskedVideo]:
    return open_masked(MaskedData(root=str(root), layout="masks"))


def masks_of(frames: list[RGB], given: list[LabelMask | None], segmenter: OpenSegmenter) -> list[LabelMask]:
    return [mask for _, mask, _ in follow("it", frames, given, segmenter)]


def test_objects_are_followed_and_the_first_mask_is_the_true_one() -> None:
    frames, masks = zip(*map(scene, range(6)), strict=True)
    segmenter = Colours()
    found = masks_of(list(frames), [masks[0]], segmenter)
    assert all(np.array_equal(mask, true) for mask, true in zip(found, masks, strict=True))
    assert (segmenter.starts, segmenter.steps) == (1, 5)


def test_an_object_that_appears_later_is_given_when_it_does() -> None:
    """What was found of the others stays: object 1 of the true mask of that frame is not looked at."""
    frames, masks = zip(*(scene(t, second_from=3) for t in range(6)), strict=True)
    given = [mask.copy() for mask in masks]
    given[3][given[3] == 1] = 0
    segmenter = Colours()
    found = masks_of(list(frames), list(given), segmenter)
    assert all(np.array_equal(mask, true) for mask, true in zip(found, masks, strict=True))
    assert segmenter.starts == 2


def test_before_the_first_object_there_is_background() -> None:
    """No object in the first mask; void is none."""
    frames, masks = zip(*map(scene, range(4)), strict=True)
    void = np.where(masks[0] > 0, 255, 0).astype(np.uint8)
    segmenter = Colours()
    found = masks_of(list(frames), [void, None, masks[2], None], segmenter)
    assert [mask.any() for mask in found] == [False, False, True, True]
    assert np.array_equal(found[3], masks[3])
    assert (segmenter.starts, segmenter.steps) == (1, 1)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (np.zeros((HEIGHT, WIDTH), np.int64), "frame 1: the model's answer is int64 of shape"),
        (np.zeros((HEIGHT, 9), np.uint8), r"frame 1: the model's answer is uint8 of shape \(48, 9\)"),
        (None, "frame 1: the model's answer is NoneType"),
    ],
)
def test_an_answer_that_is_no_mask_is_named(answer: object, complaint: str) -> None:
    frames, masks = zip(*map(scene, range(3)), strict=True)
    segmenter = Colours()
    with (
        mock.patch.object(segmenter, "step", return_value=answer),
        pytest.raises(MonospikeError, match=f"sequence 'it', {complaint}"),
    ):
        masks_of(list(frames), [masks[0]], segmenter)


def test_what_does_not_fit_is_named_by_sequence_and_frame() -> None:
    frames, masks = zip(*map(scene, range(3)), strict=True)
    with pytest.raises(MonospikeError, match="sequence 'it', frame 0: the mask is 63x48, and the frame 64x48"):
        masks_of(list(frames), [masks[0][:, :-1]], Colours())
    with pytest.raises(MonospikeError, match="sequence 'it', frame 2: is 64x47, and frame 0 is 64x48"):
        masks_of([*frames[:2], frames[2][:-1]], [masks[0]], Colours())
    single = Colours()
    single.most_objects = 1
    with pytest.raises(MonospikeError, match=r"sequence 'it', frame 0: there are 2 objects by now, .* follows 1"):
        masks_of(list(frames), [masks[0]], single)


def test_a_data_set_is_scored(root: Path, tmp_path: Path) -> None:
    got = summary(segment_all(opened(root), Colours(), MaskFolder(tmp_path / "kept"), QUIET))
    assert {"j_and_f", "j", "f", "recall", "decay", "fps", "sequences"} <= set(got)
    assert (got["j_and_f"], got["recall"], got["decay"], got["failed"]) == (1.0, 1.0, 0.0, {})
    assert {name: sorted(row["objects"]) for name, row in got["sequences"].items()} == {
        "both": ["1", "2"],
        "later": ["1", "2"],
        "one": [],
    }
    assert (got["frames"], got["sequences"]["one"]["j_and_f"]) == (13, None)
    assert got["fps"] > 0
    # The masks that were found are palette PNGs, called as the frames.
    assert np.array_equal(read_labels(tmp_path / "kept" / "both" / "0004.png"), scene(3)[1])


def test_a_first_mask_that_never_moves_is_scored_by_hand(root: Path, tmp_path: Path) -> None:
    """Object 1, 20 wide, is 4 t to the right: in frames 1 to 4 common are 20 - 4 t, and all are 20 + 4 t."""
    got = summary(segment_all(opened(root), StillMask(), MaskFolder(tmp_path / "kept"), QUIET))
    first = got["sequences"]["both"]["objects"]["1"]
    values = [(20 - 4 * t) / (20 + 4 * t) for t in range(1, 5)]
    assert first["j"] == pytest.approx(np.mean(values))
    assert first["recall"] == 1 / 4
    assert first["decay"] == pytest.approx(np.mean(values[:2]) - np.mean(values[2:]))


def test_a_stopped_evaluation_goes_on_and_changed_files_are_followed_anew(root: Path, tmp_path: Path) -> None:
    kept, first = tmp_path / "kept", Colours()
    step, asked = first.step, 7

    def stopping(frame: RGB) -> LabelMask:
        if first.steps == asked:
            raise KeyboardInterrupt
        return step(frame)

    with mock.patch.object(first, "step", stopping), pytest.raises(KeyboardInterrupt):
        segment_all(opened(root), first, MaskFolder(kept), QUIET)
    assert sorted(path.name for path in kept.iterdir()) == ["both", "both.json"]
    again = Colours()
    whole = summary(segment_all(opened(root), again, MaskFolder(kept), QUIET))
    assert (again.steps, whole["j_and_f"]) == (5, 1.0), "of the second sequence alone"
    third = Colours()
    assert summary(segment_all(opened(root), third, MaskFolder(kept), QUIET)) == whole
    assert third.steps == 0
    write_labels(root / "both" / "mask" / "0003.png", np.ones((HEIGHT, WIDTH), np.uint8))
    changed = summary(segment_all(opened(root), third, MaskFolder(kept), QUIET))
    assert (third.steps, changed["sequences"]["later"]) == (5, whole["sequences"]["later"])
    assert changed["j"] < 1


def test_a_bad_sequence_costs_the_others_nothing(root: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(root / "both" / "mask" / "0002.png")
    got = summary(segment_all(opened(root), Colours(), MaskFolder(tmp_path / "kept"), QUIET))
    assert list(got["sequences"]) == ["later", "one"]
    assert got["failed"]["both"].startswith("sequence 'both', frame 1: ")
    assert got["j_and_f"] == 1.0
    for name in ("later", "one"):
        Image.new("L", (3, 3)).save(root / name / "mask" / "0001.png")
    with pytest.raises(MonospikeError, match="none of the 3 sequences could be scored; the first: sequence 'both'"):
        segment_all(opened(root), Colours(), MaskFolder(tmp_path / "kept"), QUIET)


def test_a_sequence_is_segmented_and_shown(root: Path, tmp_path: Path) -> None:
    out, folder = tmp_path / "out", root / "both"
    assert segment(folder, folder / "mask" / "0001.png", Colours(), out, QUIET) == (6, True)
    files = sorted((out / "masks").iterdir())
    assert [file.name for file in files] == [f"{number:04}.png" for number in range(1, 7)]
    assert all(np.array_equal(read_labels(file), scene(t)[1]) for t, file in enumerate(files))
    assert Image.open(files[0]).getpalette() == PALETTE.ravel().tolist()
    with Image.open(out / "both.gif") as picture:
        assert (picture.size, picture.n_frames) == ((WIDTH, HEIGHT), 6)
        picture.seek(5)
        shown = np.asarray(picture.convert("RGB")).astype(int)
    frame, mask = scene(5)
    assert np.abs(shown - frame)[mask == 0].max() <= 8
    tinted = 0.45 * frame + 0.55 * PALETTE[mask]
    assert np.abs(shown - tinted)[mask > 0].max() <= 8


def test_a_black_and_white_mask_marks_one_object_and_one_frame_is_a_sequence(root: Path, tmp_path: Path) -> None:
    Image.fromarray(((scene(0)[1] == 1) * 255).astype(np.uint8)).save(tmp_path / "first.png")
    assert segment(root / "one", tmp_path / "first.png", StillMask(), tmp_path / "out", QUIET) == (1, True)
    assert np.array_equal(read_labels(tmp_path / "out" / "masks" / "0001.png"), scene(0)[1] == 1)


def test_masks_of_an_earlier_run_are_replaced_and_nothing_else_is(root: Path, tmp_path: Path) -> None:
    folder, mask = root / "both", root / "both" / "mask" / "0001.png"
    (tmp_path / "out" / "masks").mkdir(parents=True)
    (tmp_path / "out" / "masks" / "0099.png").touch()
    segment(folder, mask, Colours(), tmp_path / "out", QUIET)
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 6
    (tmp_path / "out" / "masks" / "notes.txt").touch()
    with pytest.raises(MonospikeError, match=r"out/masks: holds notes.txt, which is no mask"):
        segment(folder, mask, Colours(), tmp_path / "out", QUIET)
    assert (tmp_path / "out" / "masks" / "notes.txt").exists()


def test_interrupted_it_writes_what_it_has_come_to(root: Path, tmp_path: Path) -> None:
    segmenter, folder = Colours(), root / "both"
    step = segmenter.step

    def stopping(after: int) -> Callable[[RGB], LabelMask]:
        def asked(frame: RGB) -> LabelMask:
            if segmenter.steps >= after:
                raise KeyboardInterrupt
            return step(frame)

        return asked

    with mock.patch.object(segmenter, "step", stopping(2)):
        assert segment(folder, folder / "mask" / "0001.png", segmenter, tmp_path / "out", QUIET) == (3, False)
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 3
    assert (tmp_path / "out" / "both.gif").exists()
    with (
        mock.patch.object(segmenter, "start", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        segment(folder, folder / "mask" / "0001.png", segmenter, tmp_path / "none", QUIET)
    assert not list((tmp_path / "none").iterdir())


def test_a_mask_that_is_none_is_named_and_nothing_is_written(root: Path, tmp_path: Path) -> None:
    mask, out = tmp_path / "first.png", tmp_path / "out"
    cases = [
        (np.zeros((HEIGHT, WIDTH), np.uint8), r"first.png: no pixel of the mask is of an object"),
        (np.ones((HEIGHT, WIDTH, 3), np.uint8), r"first.png: has 3 channels \(RGB\)"),
        (np.ones((HEIGHT, WIDTH), np.uint16), r"first.png: has 16 bits a pixel"),
        (np.ones((HEIGHT, 9), np.uint8), r"sequence 'both', frame 0: the mask is 9x48, and the frame 64x48"),
    ]
    for pixels, complaint in cases:
        Image.fromarray(pixels).save(mask)
        with pytest.raises(MonospikeError, match=complaint):
            segment(root / "both", mask, Colours(), out, QUIET)
    with pytest.raises(MonospikeError, match=r"gone.png: there is no such picture"):
        first_mask(tmp_path / "gone.png")
    assert not out.exists() or not list(out.iterdir())


def test_what_is_kept_says_of_which_files_it_is(root: Path, tmp_path: Path) -> None:
    segment_all(opened(root), StillMask(), MaskFolder(tmp_path / "kept"), QUIET)
    assert set(json.loads((tmp_path / "kept" / "both.json").read_text())) == {"of", "seconds"}
    (tmp_path / "kept" / "both.json").write_text("{")
    assert MaskFolder(tmp_path / "kept").get(opened(root)[0]) is None
