"""Which crops and post-processing a tracker gets: what was saved with it, what is published for its benchmark, and what
a file changes."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from pipeline.core.config import Section, parse_config, read_values
from pipeline.datasets.catalog import BENCHMARKS
from pipeline.tasks.checkpoint import processed
from pipeline.tasks.tracking.config import TrackerConfig

PUBLISHED = Path(__file__).with_name("siamfcpp.yaml")
"""SiamFC++'s constants, with their source."""


class TrackingConfig(Section):
    """Crops and post-processing everywhere, and what is otherwise on single benchmarks."""

    tracker: TrackerConfig = TrackerConfig()
    benchmarks: dict[str, TrackerConfig] = Field(default_factory=dict)

    @field_validator("benchmarks")
    @classmethod
    def _known(cls, benchmarks: dict[str, TrackerConfig]) -> dict[str, TrackerConfig]:
        for name in benchmarks:
            if name not in BENCHMARKS:
                raise ValueError(f"there is no benchmark {name!r}; the benchmarks are {', '.join(BENCHMARKS)}")
        return benchmarks

    def over(self, settings: TrackerConfig, benchmark: str | None, where: str) -> TrackerConfig:
        """``settings`` with what this file sets, for all footage and then for ``benchmark``.

        where: what ``settings`` were saved with. Raises FormatError where the file has other crops than the model was
        trained with.
        """
        for changes in (self.tracker, self.benchmarks.get(benchmark or "")):
            if changes is not None:
                changed = processed(settings, changes.model_dump(exclude_unset=True), where)
                assert isinstance(changed, TrackerConfig), "a copy"
                settings = changed
        return settings


def read_tracking(path: Path) -> TrackingConfig:
    """The constants in a YAML file of ``tracker`` and ``benchmarks``, or in the ``tracker`` section of a run's or a
    training's. Raises ConfigError naming the file and every key that is wrong."""
    values = read_values(path)
    if "name" in values:  # a run or training, whose other sections are for other commands
        values = {"tracker": values.get("tracker", {})}
    return parse_config(values, TrackingConfig, str(path))


def settings_for(stored: TrackerConfig, config: Path | None, benchmark: str | None, where: str) -> TrackerConfig:
    """What a model's tracker gets on ``benchmark``, or on any footage: what was saved with its weights, with the
    post-processing that is published for the benchmark and then what a file changes.

    where: the model's file. config: a file that changes post-processing. Raises ConfigError; FormatError where a file
    has other crops than the model was trained with.
    """
    settings = read_tracking(PUBLISHED).over(stored, benchmark, where)
    return settings if config is None else read_tracking(config).over(settings, benchmark, where)
