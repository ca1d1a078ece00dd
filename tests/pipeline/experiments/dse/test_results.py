"""The results of a search as the report of a run reads them."""

import json

import pytest

from netx.errors import FormatError
from pipeline.experiments.dse.results import read_results, save_results
from pipeline.report.figures import ReportError

RESULTS = {
    "config": {"name": "small", "models": {"demo": "demo"}, "objectives": ["mean_iou", "cores"]},
    "command": "monospike search small.yaml",
    "versions": {"monospike": "0"},
    "chips": {"loihi2": {"title": "Loihi 2", "source": "Intel"}},
    "candidates": [
        {
            **{"number": 1, "model": "demo", "time_steps": 1, "weight_bits": 8, "thresholds": 1.0},
            **{"encoder": "chip", "head": "chip", "chip": "loihi2", "reason": None, "mean_iou": 0.5},
            **{"agreement": None, "energy": None, "latency": None, "cores": 87},
        }
    ],
    "front": [1],
    "fronts": {"loihi2": {"objectives": ["mean_iou", "cores"], "candidates": [1]}},
    "failed": {},
}


def test_what_is_saved_is_read_and_stands_in_a_table_too(tmp_path):
    save_results(RESULTS, tmp_path)
    assert read_results(tmp_path) == RESULTS
    assert "demo,1,8,1.0,chip,chip,loihi2,0.5,,,,87" in (tmp_path / "search.csv").read_text()


def test_a_folder_without_a_search_is_named(tmp_path):
    with pytest.raises(FormatError, match=r"search\.json: cannot be read .* name the folder of a finished monospike"):
        read_results(tmp_path / "gone")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("{", FormatError, r"search\.json: is not JSON"),
        ("[]", ReportError, r"search\.json: does not fit the report's schema:\n  \$: \[\] is not of type 'object'"),
        (
            json.dumps(RESULTS).replace("87", '"many"'),
            ReportError,
            r"\$\.candidates\[0\]\.cores: 'many' is not of type 'integer', 'null'",
        ),
    ],
)
def test_damaged_results_are_named_with_the_place(tmp_path, text, error, message):
    (tmp_path / "search.json").write_text(text)
    with pytest.raises(error, match=message):
        read_results(tmp_path)
