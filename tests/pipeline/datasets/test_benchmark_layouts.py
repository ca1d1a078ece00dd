"""Benchmarks in their public layouts, built small, and read as the got10k toolkit reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from got10k.datasets import OTB, UAV123, VOT, GOT10k
from PIL import Image

from netx.errors import FormatError, MonospikeError
from pipeline.datasets.catalog import BENCHMARKS, find_benchmark, open_benchmark
from pipeline.datasets.errors import DataError
from pipeline.datasets.video import Video


def write_pictures(folder: Path, count: int, name: str = "{:04}.jpg", first: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), (90, 120, 30)).save(folder / "one.jpg")
    content = (folder / "one.jpg").read_bytes()
    (folder / "one.jpg").unlink()
    for number in range(first, first + count):
        (folder / name.format(number)).write_bytes(content)


def write_boxes(path: Path, count: int, separator: str = ",") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [[3 + i % 9, 4 + i % 7, 10 + i % 3, 8.5] for i in range(count)]
    path.write_text("".join(separator.join(map(str, row)) + "\n" for row in rows))


def opened(name: str, root: Path | None) -> dict[str, Video]:
    return {video.name: video for video in open_benchmark(find_benchmark(name), root)}


@pytest.fixture(scope="module")
def otb_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 98 folders; six of them with pictures, each with what is special about it."""
    root = tmp_path_factory.mktemp("otb")
    for name in OTB._OTB__otb15_seqs:
        (root / name).mkdir()
    pictures = {"David": 770, "Football1": 80, "Diving": 231, "Jogging": 5, "Human4": 4, "Walking": 6}
    for name, count in pictures.items():
        write_pictures(root / name / "img", count)
    write_boxes(root / "David" / "groundtruth_rect.txt", 471)
    write_boxes(root / "Football1" / "groundtruth_rect.txt", 74)
    write_boxes(root / "Diving" / "groundtruth_rect.txt", 215, "\t")
    write_boxes(root / "Jogging" / "groundtruth_rect.1.txt", 5)
    write_boxes(root / "Jogging" / "groundtruth_rect.2.txt", 5)
    (root / "Human4" / "groundtruth_rect.1.txt").write_text("\n")
    write_boxes(root / "Human4" / "groundtruth_rect.2.txt", 4)
    write_boxes(root / "Walking" / "groundtruth_rect.txt", 6)
    return root


def test_otb_is_read_as_the_got10k_toolkit_reads_it(otb_root: Path) -> None:
    toolkit = OTB(str(otb_root), 2015, download=False)
    entries = opened("otb100", otb_root)
    assert toolkit.seq_names == ["David", "Diving", "Football1", "Human4", "Jogging.1", "Jogging.2", "Walking"]
    for name in toolkit.seq_names:
        pictures, boxes = toolkit[name]
        video = entries[name].load()
        assert [str(picture) for picture in video.pictures] == pictures
        # The toolkit hands on the file's numbers, which count pixels from 1; ours count from 0.
        np.testing.assert_array_equal(video.boxes, boxes - [1, 1, 0, 0])
        assert video.origin == 1
    assert entries["David"].load().pictures[0].name == "0300.jpg"


def test_otb_has_100_sequences_in_98_folders(tmp_path: Path) -> None:
    for name in OTB._OTB__otb15_seqs:
        files = [".1", ".2"] if name in ("Jogging", "Skating2") else [""]
        for suffix in files:
            write_boxes(tmp_path / name / f"groundtruth_rect{suffix}.txt", 1)
    names = list(opened("otb100", tmp_path))
    assert (len(OTB._OTB__otb15_seqs), len(names)) == (98, 100)
    assert [name for name in names if "." in name] == ["Jogging.1", "Jogging.2", "Skating2.1", "Skating2.2"]


def test_a_folder_of_otb_that_is_missing_fails_alone(otb_root: Path) -> None:
    with pytest.raises(MonospikeError, match="Woman"):
        opened("otb100", otb_root)["Woman"].load()


def test_uav123_cuts_sequences_from_folders_and_keeps_frames_without_the_object(tmp_path: Path) -> None:
    write_pictures(tmp_path / "data_seq" / "UAV123" / "bird1", 253, "{:06}.jpg")
    write_pictures(tmp_path / "data_seq" / "UAV123" / "bird1", 703, "{:06}.jpg", first=775)
    write_boxes(tmp_path / "anno" / "UAV123" / "bird1_1.txt", 253)
    lines = ["NaN,NaN,NaN,NaN" if 100 <= i < 130 else f"{i % 5},2,7,9" for i in range(703)]
    (tmp_path / "anno" / "UAV123" / "bird1_2.txt").write_text("\n".join(lines))
    for name in ("readme", "more"):  # the toolkit takes a root with few entries for a broken download
        (tmp_path / name).touch()
    toolkit = UAV123(str(tmp_path), "UAV123")
    entries = opened("uav123", tmp_path)
    assert len(entries) == 123
    for name in ("bird1_1", "bird1_2"):
        pictures, boxes = toolkit[name]
        video = entries[name].load()
        assert [str(picture) for picture in video.pictures] == pictures
        np.testing.assert_array_equal(video.boxes, boxes)
    assert np.flatnonzero(video.absent).tolist() == list(range(100, 130))


def test_vot2018_starts_trackers_on_upright_boxes_like_the_toolkit(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("bag\nants1\n")
    corners = np.random.default_rng(3).uniform(0, 30, (4, 8))
    for name in ("bag", "ants1"):
        write_pictures(tmp_path / name, 4, "{:08}.jpg")
        np.savetxt(tmp_path / name / "groundtruth.txt", corners, delimiter=",", fmt="%.6f")
    entries = opened("vot2018", tmp_path)
    assert list(entries) == ["bag", "ants1"]
    video = entries["ants1"].load()
    _, boxes = VOT(str(tmp_path), 2018, download=False)["ants1"]
    np.testing.assert_allclose(video.boxes, boxes)
    np.testing.assert_allclose(video.polygons, corners, atol=1e-6)


def test_vot2018_as_the_vot_toolkit_unpacks_it_has_its_pictures_in_color(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("bag\n")
    write_pictures(tmp_path / "bag" / "color", 2, "{:08}.jpg")
    (tmp_path / "bag" / "groundtruth.txt").write_text("1,2,11,2,11,22,1,22\n" * 2)
    video = opened("vot2018", tmp_path)["bag"].load()
    # An upright box of 10 by 20 around (6, 12): sides plus one pixel.
    assert video.boxes[0].tolist() == [0.5, 1.5, 11, 21]


def write_got10k(root: Path, split: str, frames: int, boxes: int) -> None:
    folder = root / split / "GOT-10k_Val_000001"
    write_pictures(folder, frames, "{:08}.jpg")
    write_boxes(folder / "groundtruth.txt", boxes)
    (root / split / "list.txt").write_text("GOT-10k_Val_000001\n")
    cover = [8, 0, 3, 8, 8][:frames]
    for label, values in (("cover", cover), ("absence", [0] * frames), ("cut_by_image", [0] * frames)):
        (folder / f"{label}.label").write_text("\n".join(map(str, values)) + "\n")
    (folder / "meta_info.ini").write_text("[METAINFO]\nresolution: (40, 30)\n")


@pytest.mark.parametrize("split", ["train", "val"])
def test_got10k_frames_in_which_nothing_is_visible_are_absent(tmp_path: Path, split: str) -> None:
    write_got10k(tmp_path, split, frames=5, boxes=5)
    video = opened(f"got10k-{split}", tmp_path)["GOT-10k_Val_000001"].load()
    pictures, boxes, meta = GOT10k(str(tmp_path), split, return_meta=True)[0]
    assert [str(picture) for picture in video.pictures] == pictures
    np.testing.assert_array_equal(video.boxes, boxes)
    np.testing.assert_array_equal(video.absent, meta["cover"] == 0)


def test_got10k_test_has_the_first_box_only(tmp_path: Path) -> None:
    write_got10k(tmp_path, "test", frames=3, boxes=1)
    video = opened("got10k-test", tmp_path)["GOT-10k_Val_000001"].load()
    assert video.absent.tolist() == [False, True, True]
    assert find_benchmark("got10k-test").withheld


def test_lasot_flags_frames_in_which_the_object_is_hidden_or_out_of_view(tmp_path: Path) -> None:
    folder = tmp_path / "airplane" / "airplane-13"
    write_pictures(folder / "img", 4, "{:08}.jpg")
    write_boxes(folder / "groundtruth.txt", 4)
    (folder / "full_occlusion.txt").write_text("0,1,0,0")
    (folder / "out_of_view.txt").write_text("0,0,0,1")
    entries = opened("lasot", tmp_path)
    assert len(entries) == 280
    assert entries["airplane-13"].load().absent.tolist() == [False, True, False, True]


def test_lasots_training_split_is_what_is_not_of_the_testing_split(tmp_path: Path) -> None:
    for name in ("airplane-2", "airplane-13", "zebra-1"):  # the one between is of testing_set.txt
        folder = tmp_path / name.partition("-")[0] / name
        write_pictures(folder / "img", 2, "{:08}.jpg")
        write_boxes(folder / "groundtruth.txt", 2)
        for flag in ("full_occlusion", "out_of_view"):
            (folder / f"{flag}.txt").write_text("0,0")
    entries = opened("lasot-train", tmp_path)
    assert list(entries) == ["airplane-2", "zebra-1"]
    assert entries["zebra-1"].load().absent.tolist() == [False, False]


def test_a_folder_in_otbs_layout_has_a_sequence_for_each_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, suffixes in {"Walk": [""], "Jog": [".1", ".2"]}.items():
        write_pictures(tmp_path / name / "img", 3)
        for suffix in suffixes:
            write_boxes(tmp_path / name / f"groundtruth_rect{suffix}.txt", 3)
    assert list(opened("folder", tmp_path)) == ["Jog.1", "Jog.2", "Walk"]
    assert list(opened("folder", tmp_path / "Walk")) == ["Walk"]
    monkeypatch.chdir(tmp_path / "Walk")
    assert list(opened("folder", Path())) == ["Walk"]


def test_the_shared_test_sequences_lie_where_the_variable_says(shared_data: Path) -> None:
    entries = opened("shared-test", None)
    assert len(entries) == 9
    assert len(opened("shared-test", shared_data / "tracking" / "test")["otb_Jogging.2"].load()) == 200


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_missing_root_says_what_to_get_and_where_to_put_it(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MONOSPIKE_DATA", raising=False)
    for root in (None, tmp_path / "nowhere", tmp_path):
        with pytest.raises(DataError, match=r"(http|OTB|ROOT).*ROOT/"):
            opened(name, root)


def test_an_unknown_benchmark_is_told_the_names() -> None:
    with pytest.raises(DataError, match=r"no benchmark 'otb'.*otb100, uav123, lasot, lasot-train, vot2018"):
        find_benchmark("otb")


def walk(tmp_path: Path, pictures: int, text: str) -> Video:
    write_pictures(tmp_path / "Walk" / "img", pictures)
    (tmp_path / "Walk" / "groundtruth_rect.txt").write_text(text)
    return opened("folder", tmp_path)["Walk"].load()


def test_a_ground_truth_that_is_no_utf_8_fails_its_sequence_alone(tmp_path: Path) -> None:
    for name, encoding in (("one", "utf-8"), ("two", "utf-16")):
        write_pictures(tmp_path / name / "img", 2)
        (tmp_path / name / "groundtruth_rect.txt").write_text("1,2,3,4\n" * 2, encoding=encoding)
    one, two = open_benchmark(find_benchmark("folder"), tmp_path)
    assert len(one.load()) == 2
    with pytest.raises(FormatError, match=r"two/groundtruth_rect.txt: cannot be read as text"):
        two.load()
    (tmp_path / "list.txt").write_text("one\n", encoding="utf-16")
    with pytest.raises(DataError, match=r"list.txt: cannot be read as text"):
        open_benchmark(find_benchmark("vot2018"), tmp_path)


def test_too_few_lines_name_the_first_frame_without_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"groundtruth_rect\.txt: has 2 lines for 4 pictures.*frame 2, 0003\.jpg"):
        walk(tmp_path, 4, "1,1,5,5\n1,1,5,5\n")


def test_too_many_lines_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has 3 lines for 2 pictures"):
        walk(tmp_path, 2, "1,1,5,5\n" * 3)


@pytest.mark.parametrize("line", ["1,1,5", "1,1,5,x", "1,1,inf,5", ""])
def test_a_line_that_is_no_box_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(MonospikeError, match=r"groundtruth_rect\.txt, line 2: expected 4 numbers"):
        walk(tmp_path, 3, f"1,1,5,5\n{line}\n1,1,5,5\n")


def test_each_frame_is_as_large_as_it_is_stored_as_the_toolkit_reads_them(tmp_path: Path) -> None:
    video = walk(tmp_path, 3, "1,1,5,5\n" * 3)
    Image.new("RGB", (40, 20)).save(video.pictures[2])
    assert [frame.shape for frame in video.frames()] == [(30, 40, 3), (30, 40, 3), (20, 40, 3)]


def test_grey_and_16_bit_frames_become_rgb(tmp_path: Path) -> None:
    write_pictures(tmp_path / "Walk" / "img", 1)
    Image.new("L", (40, 30), 77).save(tmp_path / "Walk" / "img" / "0002.png")
    Image.fromarray(np.full((30, 40), 0x9A01, np.uint16)).save(tmp_path / "Walk" / "img" / "0003.png")
    (tmp_path / "Walk" / "groundtruth_rect.txt").write_text("1,1,5,5\n" * 3)
    _, grey, deep = opened("folder", tmp_path)["Walk"].load().frames()
    assert (grey == 77).all()
    assert (deep == 0x9A).all()
    assert grey.shape == deep.shape == (30, 40, 3)
