"""Damages are made in little memory, whatever a file says its size is: the process that makes them is not limited."""

import h5py
import numpy as np

from pipeline.diagnostics.fuzz.damage import _DAMAGES, _one_value, damaged


def test_one_of_more_values_than_fit_into_memory_is_changed(tmp_path):
    path = tmp_path / "huge.nir"
    with h5py.File(path, "w") as file:
        file.create_dataset("weight", (1 << 40, 1 << 20), "f8", chunks=(64, 64))
    choices = iter([0, 1, 1, _DAMAGES.index(_one_value), 0, (1 << 60) - 1, 0, 0])
    damaged([path.read_bytes()], lambda *_: next(choices), path, tmp_path / "bait")
    assert next(choices, None) is None
    with h5py.File(path) as file:
        assert np.isnan(file["weight"][-1, -1])
        assert file["weight"][-1, -2] == 0
