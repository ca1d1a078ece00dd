"""What is written whole, however the writing ends."""

from pathlib import Path
from typing import Any

import pytest

from netx.files import check_places, write_whole


def test_a_folder_that_is_being_replaced_when_the_user_interrupts_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, move = tmp_path / "network", Path.replace
    path.mkdir()
    (path / "old").touch()

    def interrupted(self: Path, target: Any) -> Path:
        if self.name == path.name and target == path:
            raise KeyboardInterrupt
        return move(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), write_whole(path) as temporary:
        temporary.mkdir()
    assert [one.name for one in tmp_path.iterdir()] == ["network"]
    assert [one.name for one in path.iterdir()] == ["old"]


def test_a_place_where_nothing_can_be_written_is_told_before_anything_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    check_places(None, tmp_path / "file", tmp_path / "not" / "there" / "yet")
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        check_places(tmp_path)
    with pytest.raises(NotADirectoryError, match="file"):
        check_places(tmp_path / "file" / "deeper" / "out")
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    with pytest.raises(PermissionError, match=tmp_path.name):
        check_places(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
