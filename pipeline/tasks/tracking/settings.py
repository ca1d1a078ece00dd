"""Which crops and post-processing a tracker gets: the published ones of its benchmark, and what a file changes."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from pipeline.core.config import Section, parse_config, read_values
from pipeline.datasets.catalog import BENCHMARKS
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

    def over(self, settings: TrackerConfig, benchmark: str | None) -> TrackerConfig:
        """``settings`` with what this file sets, for all footage and then for ``benchmark``."""
        for changes in (self.tracker, self.benchmarks.get(benchmark or "")):
            if changes is not None:
                settings = settings.model_copy(update=changes.model_dump(exclude_unset=True))
        return settings


def read_tracking(path: Path) -> TrackingConfig:
    """The constants in a YAML file of ``tracker`` and ``benchmarks``, or in the ``tracker`` section of a run's or a
    training's. Raises ConfigError naming the file and every key that is wrong."""
    values = read_values(path)
    if "name" in values:  # a run or training, whose other sections are for other commands
        values = {"tracker": values.get("tracker", {})}
    return parse_config(values, TrackingConfig, str(path))


def settings_for(models: bool, config: Path | None, benchmark: str | None = None) -> TrackerConfig:
    """What a tracker gets on ``benchmark``, or on any footage.

    models: whether it is one of ``pipeline.models``, for which SiamFC++'s constants are the published ones. config: a
    file that changes some of them. Raises ConfigError.
    """
    settings = read_tracking(PUBLISHED).over(TrackerConfig(), benchmark) if models else TrackerConfig()
    return settings if config is None else read_tracking(config).over(settings, benchmark)
