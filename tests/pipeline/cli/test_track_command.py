"""``monospike track`` as its user runs it: folders, videos, and what is wrong with them."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.cli import app as cli
from pipeline.datasets.clip import Clip
from pipeline.report.animation import MOST_FRAMES, Animation

BOX = (12, 8, 20, 16)


@pytest.fixture
def track(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["monospike", "track", *map(str, arguments), "--out", str(tmp_path / "out")])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed, error = capsys.readouterr()
        return end.value.code or 0, printed + error

    return run


def frames(count: int) -> list[np.ndarray]:
    """A bright square that moves to the right by two pixels a frame."""
    result = []
    for number in range(count):
        frame = np.full((48, 64, 3), 40, np.uint8)
        x, y, width, height = BOX
        frame[y : y + height, x + 2 * number : x + 2 * number + width] = (200, 120, 60)
        result.append(frame)
    return result


def write_pictures(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames(count), start=1):
        Image.fromarray(frame).save(folder / f"{number:04}.png")
    return folder


def write_video(path: Path, count: int, codec: str) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25, (64, 48))
    for frame in frames(count):
        writer.write(frame)
    writer.release()
    return path


def test_a_sequence_with_ground_truth_starts_on_its_first_box(track, tmp_path: Path) -> None:
    write_pictures(tmp_path / "Walk" / "img", 3)
    (tmp_path / "Walk" / "groundtruth_rect.txt").write_text("12,8,20,16\n14,8,20,16\n16,8,20,16\n")
    code, printed = track(tmp_path / "Walk", "--tracker", "fixed")
    assert code == 0, printed
    # Shared columns of the later frames: 18 and 16 of 20.
    assert f"mean IoU {(18 / 22 + 16 / 24) / 2:.3f}" in printed
    assert (tmp_path / "out" / "Walk-fixed.txt").read_text() == "12.0000,8.0000,20.0000,16.0000\n" * 3
    with Image.open(tmp_path / "out" / "Walk.gif") as animation:
        assert animation.n_frames == 3


def test_boxes_of_an_otb_folder_count_pixels_from_one_and_others_from_zero(track, tmp_path: Path) -> None:
    write_pictures(tmp_path / "Walk" / "img", 2)
    (tmp_path / "Walk" / "groundtruth_rect.txt").write_text("13,9,20,16\n15,9,20,16\n")
    x, y, width, height = BOX  # from 0
    for source, origin in ((tmp_path / "Walk", 1), (tmp_path / "Walk" / "img", 0)):
        box = f"{x + origin},{y + origin},{width},{height}"
        code, printed = track(source, "--box", box, "--tracker", "small-s4-kd", "--engine", "integer")
        assert code == 0, printed
        found = np.loadtxt(tmp_path / "out" / f"{source.name}-integer.txt", delimiter=",") - [origin, origin, 0, 0]
        np.testing.assert_allclose(found[0], BOX)
        other = np.loadtxt(tmp_path / "out" / "Walk-integer.txt", delimiter=",") - [1, 1, 0, 0]
        np.testing.assert_allclose(found, other, atol=1e-3, err_msg="the tracker has seen the same")
    # The last pixel of a row is 64 of 64 when the first is 1.
    assert track(tmp_path / "Walk", "--box", "64,8,20,16", "--tracker", "fixed")[0] == 0
    code, printed = track(tmp_path / "Walk", "--box", "65,8,20,16", "--tracker", "fixed")
    assert (code, "the box 65,8,20,16 lies outside" in printed) == (2, True)


def test_frames_of_other_sizes_are_followed_on(track, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "walk", 3)
    with Image.open(folder / "0002.png") as picture:
        picture.resize((80, 60)).save(folder / "0002.png")
    code, printed = track(folder, "--box", "12,8,20,16", "--tracker", "small-s4-kd", "--engine", "integer")
    assert code == 0, printed
    with Image.open(tmp_path / "out" / "walk.gif") as animation:
        assert animation.n_frames == 3


def test_a_composed_sequence_brings_its_boxes(track, tmp_path: Path) -> None:
    boxes = np.array([BOX, (14, 8, 20, 16), (16, 8, 20, 16)], np.float64)
    Clip("clip", np.stack(frames(3)), boxes).save(tmp_path / "000.npz")
    code, printed = track(tmp_path / "000.npz", "--tracker", "fixed")
    assert code == 0, printed
    assert f"mean IoU {(18 / 22 + 16 / 24) / 2:.3f}" in printed
    assert (tmp_path / "out" / "clip-fixed.txt").is_file()
    (tmp_path / "000.npz").write_bytes(b"no archive")
    code, printed = track(tmp_path / "000.npz", "--tracker", "fixed")
    assert code == 2, printed
    assert "000.npz: is not a tracking sequence" in printed


def test_float_and_integers_of_a_student_run_side_by_side(track, tmp_path: Path) -> None:
    write_pictures(tmp_path / "walk", 4)
    code, printed = track(tmp_path / "walk", "--box", "12,8,20,16", "--tracker", "demo", "--engine", "both")
    assert code == 0, printed
    for engine in ("float", "integer"):
        boxes = np.loadtxt(tmp_path / "out" / f"walk-{engine}.txt", delimiter=",")
        assert boxes.shape == (4, 4)
        assert boxes[0].tolist() == list(BOX)
        assert f"{engine}: 4 frames" in printed


@pytest.mark.parametrize(("name", "codec"), [("walk.avi", "MJPG"), ("walk.mp4", "mp4v")])
def test_a_video_is_decoded_frame_by_frame(track, tmp_path: Path, name: str, codec: str) -> None:
    video = write_video(tmp_path / name, 5, codec)
    code, printed = track(video, "--box", "12,8,20,16", "--tracker", "fixed")
    assert code == 0, printed
    assert "fixed: 5 frames" in printed
    assert len((tmp_path / "out" / "walk-fixed.txt").read_text().splitlines()) == 5


def test_interrupted_it_writes_what_all_trackers_have_followed(track, tmp_path: Path, monkeypatch) -> None:
    write_pictures(tmp_path / "Walk" / "img", 4)
    (tmp_path / "Walk" / "groundtruth_rect.txt").write_text("12,8,20,16\n14,8,20,16\n16,8,20,16\n18,8,20,16\n")
    annotated = Animation.add

    def interrupted(self: Animation, *frame: object) -> None:
        annotated(self, *frame)
        if len(self._pictures) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Animation, "add", interrupted)
    code, printed = track(tmp_path / "Walk", "--tracker", "fixed")
    assert code == 1
    assert "fixed: 2 frames" in printed
    assert f"mean IoU {18 / 22:.3f}" in printed
    assert "announces 4 frames, and was interrupted after 2" in printed
    assert (tmp_path / "out" / "Walk-fixed.txt").read_text() == "12.0000,8.0000,20.0000,16.0000\n" * 2
    assert (tmp_path / "out" / "Walk.gif").is_file()


def test_a_file_in_the_way_of_its_folder_is_told_before_the_first_frame(track, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(Animation, "add", lambda *_: pytest.fail("nothing is followed for nothing"))
    (tmp_path / "out").touch()
    code, printed = track(write_pictures(tmp_path / "walk", 2), "--box", "12,8,20,16", "--tracker", "fixed")
    assert (code, printed) == (2, f"monospike: {tmp_path / 'out'}: Not a directory\n")


def test_a_sequence_of_one_frame_gives_its_box(track, tmp_path: Path) -> None:
    write_pictures(tmp_path / "one", 1)
    code, printed = track(tmp_path / "one", "--box", "12,8,20,16", "--tracker", "demo", "--engine", "integer")
    assert code == 0, printed
    assert (tmp_path / "out" / "one-integer.txt").read_text() == "12.0000,8.0000,20.0000,16.0000\n"


def test_one_of_several_targets_is_chosen_by_its_ground_truth(track, tmp_path: Path) -> None:
    write_pictures(tmp_path / "Jog" / "img", 2)
    for number, x in ((1, 3), (2, 30)):
        (tmp_path / "Jog" / f"groundtruth_rect.{number}.txt").write_text(f"{x},8,20,16\n" * 2)
    code, printed = track(tmp_path / "Jog", "--tracker", "fixed")
    assert code == 2
    assert "give --box x,y,width,height, or in place of the folder the path of the groundtruth_rect file" in printed
    code, printed = track(tmp_path / "Jog" / "groundtruth_rect.2.txt", "--tracker", "fixed")
    assert code == 0, printed
    assert (tmp_path / "out" / "Jog.2-fixed.txt").read_text().startswith("30.0000,8")


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ("64,8,20,16", "sequence 'walk', frame 0: the box 64,8,20,16 lies outside the frame of 64x48 pixels"),
        ("-30,8,20,16", "lies outside the frame"),
        ("12,8,0,16", "has no area"),
        ("12,8,20,-1", "has no area"),
        ("12,8,1e-300,1e-300", "has no area"),
        ("0,0,1e300,1e300", "has no area"),
        ("12,8,nan,16", "frame 0: has no box to start from"),
        ("12,8,20", "--box '12,8,20': expected x,y,width,height"),
        ("here", "--box 'here': expected x,y,width,height"),
    ],
)
def test_a_box_without_a_target_is_refused(track, tmp_path: Path, box: str, message: str) -> None:
    write_pictures(tmp_path / "walk", 2)
    code, printed = track(tmp_path / "walk", f"--box={box}", "--tracker", "fixed")
    assert code == 2
    assert message in printed
    assert not (tmp_path / "out").exists()


def test_a_box_that_reaches_out_of_the_frame_is_a_target(track, tmp_path: Path) -> None:
    write_pictures(tmp_path / "walk", 3)
    code, printed = track(tmp_path / "walk", "--box=-8,8,20,16", "--tracker", "demo", "--engine", "integer")
    assert code == 0, printed


def jpegs(sizes: list[tuple[int, int]]) -> bytes:
    return b"".join(cv2.imencode(".jpg", np.full((h, w, 3), 90, np.uint8))[1].tobytes() for w, h in sizes)


def test_a_video_that_changes_size_names_the_frame(track, tmp_path: Path) -> None:
    video = tmp_path / "grows.mjpeg"
    video.write_bytes(jpegs([(64, 48), (64, 48), (80, 60), (80, 60)]))
    code, printed = track(video, "--box", "12,8,20,16", "--tracker", "fixed")
    assert code == 2
    assert "grows.mjpeg, frame 2: is 80x60 but 64x48 in frame 0" in printed
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"no video at all" * 40])
def test_what_is_no_video_is_refused(track, tmp_path: Path, content: bytes) -> None:
    video = tmp_path / "bad.mp4"
    video.write_bytes(content)
    code, printed = track(video, "--box", "12,8,20,16", "--tracker", "fixed")
    assert code == 2
    assert "bad.mp4: cannot be decoded as a video" in printed


def test_a_video_that_is_cut_short_is_refused_or_says_how_far_it_goes(track, tmp_path: Path) -> None:
    video = write_video(tmp_path / "walk.avi", 40, "MJPG")
    video.write_bytes(video.read_bytes()[:8000])
    code, printed = track(video, "--box", "12,8,20,16", "--tracker", "fixed")
    assert (code == 2 and "walk.avi" in printed) or "announces 40 frames" in printed


def test_what_is_missing_is_named(track, tmp_path: Path) -> None:
    assert "nowhere: there is no such sequence or video" in track(tmp_path / "nowhere")[1]
    (tmp_path / "empty").mkdir()
    assert "empty: holds no picture" in track(tmp_path / "empty")[1]


def test_the_folder_one_is_in_gives_its_name(track, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = write_pictures(tmp_path / "Walk", 2)
    monkeypatch.chdir(pictures)
    box = ",".join(map(str, BOX))
    assert track(".", "--box", box, "--tracker", "fixed")[0] == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["Walk-fixed.txt", "Walk.gif"]


def test_a_long_video_is_thinned_out_evenly() -> None:
    animation = Animation()
    for _ in range(3 * MOST_FRAMES):
        animation.add(np.zeros((24, 32, 3), np.uint8), {"truth": np.array([2, 2, 5, 5.0])})
    with Image.open(io.BytesIO(animation.gif())) as gif:
        assert 3 * MOST_FRAMES / 4 <= gif.n_frames <= MOST_FRAMES


def test_each_form_has_its_colour_in_the_animation() -> None:
    animation = Animation()
    boxes = {"truth": (10, 10, 40, 40), "float": (60, 10, 40, 40), "integer": (10, 60, 40, 40)}
    animation.add(np.zeros((120, 120, 3), np.uint8), {label: np.array(box, float) for label, box in boxes.items()})
    with Image.open(io.BytesIO(animation.gif())) as gif:
        picture = gif.convert("RGB")
    assert [picture.getpixel((x, y)) for x, y, *_ in boxes.values()] == [
        (0xFF, 0xFF, 0xFF),
        (0x56, 0xB4, 0xE9),
        (0xE6, 0x6B, 0x00),
    ]
