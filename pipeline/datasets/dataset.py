"""What a run is judged by: clips composed from photographs, or the first ones of a folder in OTB's layout."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.core.seeds import derived_seed
from pipeline.datasets.catalog import find_benchmark, open_benchmark
from pipeline.datasets.clip import Clip, whole_clip
from pipeline.datasets.config import DataConfig
from pipeline.datasets.pictures import open_pictures
from pipeline.datasets.synthetic.compose import compose


def make_sequences(config: DataConfig, seed: int) -> Iterator[Clip]:
    """Sequences composed from pictures, or read from a dataset.

    Raises DataError where there are none, or naming a frame without the object; FormatError naming a bad file.
    """
    if config.dataset is not None:
        videos = open_benchmark(find_benchmark("folder"), config.dataset)
        yield from (whole_clip(video) for video in videos[: config.sequences])
        return
    pictures = open_pictures(config.pictures)
    for index in range(config.sequences):
        # Training composes from seeds of its own, so it has seen none of these.
        yield compose(pictures, config.composition, derived_seed(seed, "sequence", index))
