"""Datasets by their types, of which numpy's equality does not tell all apart."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from netx import FormatError
from netx.hdf5 import opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("1 text", data="it", dtype=h5py.string_dtype())
        file.create_dataset("2 lists", (2,), dtype=h5py.vlen_dtype(np.int32))
        file.create_dataset("3 numbers", data=np.array([3, 4], np.int8))
        file.create_dataset("4 names", data=np.array([1, 0], np.int8), dtype=h5py.enum_dtype({"A": 0, "B": 1}, "i1"))
    return tmp_path / "a.h5"


def test_lists_are_no_text_also_where_a_text_was_read_before(file: Path) -> None:
    """Both are objects to numpy; libhdf5 2.0.0 can crash over the values of damaged ones."""
    with opened(file) as group:
        assert group.text("1 text") == "it"
        assert group.holds_text("1 text")
        assert not group.holds_text("2 lists")
        with pytest.raises(FormatError, match=r"2 lists: .*expected text"):
            group.texts("2 lists")


def test_numbers_and_an_enumeration_of_the_same_size_are_read_each_as_it_is(file: Path) -> None:
    with opened(file) as group:
        assert group.integers("3 numbers").tolist() == [3, 4]
        assert group.integers("4 names").tolist() == [1, 0]
    with opened(file) as group:
        assert group.integers("4 names").tolist() == [1, 0]
        assert group.integers("3 numbers").tolist() == [3, 4]
