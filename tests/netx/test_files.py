"""What is written whole, however the writing ends."""

from pathlib import Path
from typing import Any

import pytest

from netx.files import write_whole


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
