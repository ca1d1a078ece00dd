"""Real pictures become tracking sequences: composed from photographs, or read from a dataset."""

from pipeline.data.compose import compose
from pipeline.data.composition import CompositionSpec
from pipeline.data.dataset import StoredSequence, open_sequences
from pipeline.data.errors import DataError
from pipeline.data.images import read_frame, read_photograph
from pipeline.data.pictures import BUILTIN, Pictures, open_pictures
from pipeline.data.sequence import Sequence, has_box, read_boxes, read_folder

__all__ = [
    "BUILTIN",
    "CompositionSpec",
    "DataError",
    "Pictures",
    "Sequence",
    "StoredSequence",
    "compose",
    "has_box",
    "open_pictures",
    "open_sequences",
    "read_boxes",
    "read_folder",
    "read_frame",
    "read_photograph",
]
