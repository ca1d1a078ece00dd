"""Students of several time steps, and parts that were trained for the host, are candidates as far as they can be."""

import pytest
import torch

from pipeline.core.config import parse_config
from pipeline.core.progress import Progress
from pipeline.core.workers import Workers
from pipeline.datasets.dataset import make_sequences
from pipeline.experiments.dse.config import SearchConfig
from pipeline.experiments.dse.run import run_search
from pipeline.planning.literature_energy import joules
from pipeline.tasks.tracking.checkpoint import load_model, save_model
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.models.config import SpikingConfig
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.operations import View, work
from pipeline.tasks.tracking.predictor import search_pixels, template_pixels
from pipeline.tasks.tracking.scorer import crops_of, geometry_of

CLIP = {"sequences": 1, "composition": {"frames": 2, "height": 96, "width": 128, "object_size": [20, 30]}}
SMALL = {"width": "tiny", "template": 103, "search": 143}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Rows of two models and one view of each, as the search crops it."""
    folder = tmp_path_factory.mktemp("subjects")
    kinds = {"two_steps": {"time_steps": 2}, "host": {"encoder": "host", "head": "host"}}
    for name, kind in kinds.items():
        torch.manual_seed(2)
        model = SpikingSiamFCpp(SpikingConfig.model_validate({**SMALL, **kind}))
        save_model(model, folder / f"{name}.safetensors", {})
    values = {
        "name": "subjects",
        "models": {name: str(folder / f"{name}.safetensors") for name in kinds},
        "weight_bits": [8, 4],
        "encoder": ["chip", "host"],
        "head": ["chip", "host"],
        "chips": ["horowitz_45nm_fp32"],
        "objectives": ["agreement", "energy"],
        "data": CLIP,
        "frames": 1,
    }
    config = parse_config(values, SearchConfig, "subjects")
    results = run_search(config, folder / "runs", Workers(0), "", Progress(quiet=True))
    (sequence,) = make_sequences(config.data, config.seed)
    models = {name: load_model(folder / f"{name}.safetensors") for name in kinds}
    return results["candidates"], {name: (model, _view(model, sequence)) for name, model in models.items()}


def _view(model, sequence):
    geometry = geometry_of(model.config)
    settings = TrackerConfig()
    box = sequence.boxes[0]
    crops = (
        crops_of(cut(frame, box, geometry, settings))
        for cut, frame in zip((template_pixels, search_pixels), sequence.frames, strict=True)
    )
    return View(*crops)


def _rows(found, model, **wanted):
    return [
        row for row in found[0] if row["model"] == model and all(row[name] == value for name, value in wanted.items())
    ]


def test_several_time_steps_are_a_candidate_as_trained_alone(found):
    (row,) = _rows(found, "two_steps", weight_bits=8, encoder="chip", head="chip")
    assert row["time_steps"] == 2
    assert row["agreement"] > 0
    (varied, *_) = _rows(found, "two_steps", weight_bits=4)
    assert varied["reason"] == "runs 2 time steps and has no network of integers to vary: prune it to one"


def test_several_time_steps_cost_what_the_study_counts_and_their_neurons(found):
    (row,) = _rows(found, "two_steps", weight_bits=8, encoder="chip", head="chip")
    model, view = found[1]["two_steps"]
    counted = work(model, [view])
    # The 45 nm file also takes two additions of 0.9 pJ for each neuron and step; read-outs are neurons too.
    readouts = 6 * model.config.score_side**2
    updates = 2 * (sum(layer.neurons for layer in counted.layers) + readouts)
    expected = joules(counted, "full", "fp32") + 2 * 0.9e-12 * updates
    assert row["energy"] == pytest.approx(expected, rel=1e-9)


def test_what_was_trained_for_the_host_stays_there_and_is_priced_there(found):
    for wanted, part in (
        ({"encoder": "chip", "head": "host"}, "encoder"),
        ({"encoder": "host", "head": "chip"}, "head"),
    ):
        (row,) = _rows(found, "host", weight_bits=8, **wanted)
        assert row["reason"].startswith(f"the {part} was trained in real values for the host")
    (row,) = _rows(found, "host", weight_bits=8, encoder="host", head="host")
    model, view = found[1]["host"]
    on_host = sum(layer.macs for layer in work(model, [view]).layers)
    assert row["host_energy_range"][1] == pytest.approx(4.6e-12 * on_host, rel=1e-9)
