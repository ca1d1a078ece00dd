"""Tracking benchmarks in their public layouts, read lazily."""

from pipeline.benchmarks.otb import GROUND_TRUTHS, name_of, otb_folders, otb_video
from pipeline.benchmarks.registry import (
    BENCHMARKS,
    SHARED,
    AbsentFrames,
    Benchmark,
    Protocol,
    find_benchmark,
    open_benchmark,
)
from pipeline.benchmarks.starts import sequence_of
from pipeline.benchmarks.video import Boxes, Entry, Video

__all__ = [
    "BENCHMARKS",
    "GROUND_TRUTHS",
    "SHARED",
    "AbsentFrames",
    "Benchmark",
    "Boxes",
    "Entry",
    "Protocol",
    "Video",
    "find_benchmark",
    "name_of",
    "open_benchmark",
    "otb_folders",
    "otb_video",
    "sequence_of",
]
