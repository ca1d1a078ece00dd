"""The configuration of a run: one YAML file, every key checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from netx import limits
from netx.errors import MonospikeError
from netx.synapses import conv_output_size
from pipeline.data import CompositionSpec

AnySection = TypeVar("AnySection", bound="Section")


class ConfigError(MonospikeError):
    """A configuration that cannot be run."""


class Section(BaseModel):
    """A part of a configuration: unknown keys are refused, and nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _odd(threshold: int) -> int:
    if threshold % 2 == 0:
        raise ValueError("is even: membranes are even too, so only an odd threshold can never tie with one")
    return threshold


Threshold = Annotated[int, Field(ge=1, le=limits.THRESHOLD_MAX), AfterValidator(_odd)]
"""In weight units."""


class ConvConfig(Section):
    """One spiking convolution of the student."""

    channels: int = Field(ge=1, le=512)
    kernel: int = Field(ge=1, le=11)
    stride: int = Field(1, ge=1, le=4)
    padding: int = Field(0, ge=0, le=5)
    threshold: Threshold


class CorrelationConfig(Section):
    """Correlation of template spikes with search spikes."""

    gain: int = Field(ge=2, le=254, multiple_of=2, description="weight of one template spike")
    copies: int = Field(ge=1, le=8, description="thresholds that each channel's count is read against")
    threshold: Threshold


class StudentConfig(Section):
    """Architecture of the student and geometry of its crops (pixels)."""

    template: int = Field(ge=16, le=127, description="side of the template crop")
    search: int = Field(ge=32, le=303, description="side of the search crop")
    pixel_bits: int = Field(ge=1, le=8, description="bits of a signed pixel that enters the chip")
    backbone: tuple[ConvConfig, ...] = Field(min_length=1)
    correlation: CorrelationConfig
    tower: tuple[ConvConfig, ...] = Field(min_length=1)
    readout_kernel: Literal[1, 3] = 3
    initial_box_shift: float = 1.4

    @model_validator(mode="after")
    def _fits(self) -> StudentConfig:
        sizes = {"template": self.template, "search": self.search}
        for number, layer in enumerate(self.backbone, 1):
            for name, size in sizes.items():
                sizes[name] = conv_output_size(size, layer.kernel, layer.stride, layer.padding, 1)
                if sizes[name] < 1:
                    raise ValueError(f"backbone layer {number}: its kernel does not fit into {size} pixels of {name}")
        side = sizes["search"] - sizes["template"] + 1
        if side < 3:
            raise ValueError(f"the score map has {side} rows: make the search crop larger than the template crop")
        for number, layer in enumerate(self.tower, 1):
            if (layer.stride, layer.padding * 2 + 1) != (1, layer.kernel):
                raise ValueError(f"tower layer {number}: has to keep the map's size (stride 1, padding (kernel-1)/2)")
        return self

    @property
    def stride(self) -> int:
        """Pixels between neighbouring positions of the score map."""
        result = 1
        for layer in self.backbone:
            result *= layer.stride
        return result


class TrackerConfig(Section):
    """Crops and post-processing of the tracking loop. Defaults are ours."""

    context: float = Field(0.25, ge=0, le=1, description="share of (width + height) added around the target")
    window: float = Field(0.25, ge=0, le=1, description="influence of the cosine window")
    penalty: float = Field(0.06, ge=0, le=1, description="strength of the penalty on changes of size and ratio")
    size_rate: float = Field(0.5, ge=0, le=1, description="how fast the box takes a new size")
    smallest: float = Field(4, gt=0, le=100, description="least side of a box, frame pixels")
    zero_rim: bool = Field(False, description="the cosine window is zero at the score map's rim")
    border: Literal["frame", "first"] = Field(
        "frame", description="what crops show outside: the mean colour of each frame, or in whole numbers of the first"
    )
    whole_pixels: bool = Field(
        False,
        description="a crop shows a whole number of frame pixels, from the centre of its first to that of its last",
    )


class PairConfig(Section):
    """How training pairs are drawn from clips."""

    negative: float = Field(0.1, ge=0, le=1, description="share of pairs whose template shows another target")
    shift: float = Field(0.55, ge=0, le=1, description="largest shift of the target, in halves of the search crop")
    scale_jitter: float = Field(0.25, ge=0, le=1, description="largest |log| of the search crop's scale error")
    template_jitter: float = Field(0.05, ge=0, le=0.5, description="template shift and |log scale|, in target sizes")
    max_gap: int | None = Field(None, ge=0, description="most frames between template and search; None for any")
    light: float = Field(0, ge=0, le=1, description="strength of changes of brightness, contrast and tint")
    grey: float = Field(0, ge=0, le=1, description="share of crops that lose their colour")
    blur: float = Field(0, ge=0, le=1, description="share of crops that are blurred")


class TrainConfig(Section):
    """How the student is trained."""

    checkpoint: str | None = Field(None, description="weights to use: a packaged name or a path; None trains from seed")
    steps: int = Field(ge=1)
    batch: int = Field(16, ge=2)
    learning_rate: float = Field(0.01, gt=0, le=1)
    warm_up: int = Field(100, ge=0, description="steps")
    frozen_norms: float = Field(0.25, ge=0, le=1, description="last part of training that uses the chip's biases")
    save_every: int = Field(200, ge=1, description="steps between states that a stopped training resumes from")
    clips: int = Field(400, ge=2, description="composed clips that pairs are drawn from at any one step")
    fresh_clips: int = Field(1, ge=0, description="clips that replace the oldest ones at each step")
    composition: CompositionSpec = CompositionSpec(frames=6, height=180, width=240)
    pairs: PairConfig = PairConfig()


class DataConfig(Section):
    """Where the sequences come from that the trackers are judged on."""

    pictures: str = Field("builtin", description='"builtin" (scikit-learn\'s two photographs) or a folder of pictures')
    dataset: Path | None = Field(None, description="folder of OTB-layout sequences to use instead of composed ones")
    sequences: int = Field(6, ge=1, le=1000, description="composed sequences, or the first ones of the dataset")
    composition: CompositionSpec = CompositionSpec()


class SimulateConfig(Section):
    """What every engine is run on."""

    frames: int = Field(24, ge=1, le=10_000, description="real frames, of the first sequence; at most its length - 1")
    lava_convolution: Literal["stock", "fast"] = Field(
        "stock", description="Lava's own model, or a drop-in of matrix products that is tested to give the same bits"
    )
    lava_seconds: float = Field(300, gt=0, description="time limit of one Lava run")


class ProfileConfig(Section):
    """Energy tables to price the network with, and chips to plan it on, by name."""

    energy: tuple[str, ...] = Field(("horowitz_45nm_fp32", "horowitz_45nm_int8", "loihi1_davies2018"), min_length=1)
    chips: tuple[str, ...] = Field(
        ("loihi2", "loihi1_sanafe"), description="to map the search branch on: names, or files NAME.yaml"
    )


class RunConfig(Section):
    """One whole run."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="the run's folder is runs/NAME")
    seed: int = Field(1, ge=0, lt=2**31)
    data: DataConfig = DataConfig()
    model: str | None = Field(
        None, description="packaged model, or checkpoint of monospike train, in place of student and train"
    )
    student: StudentConfig | None = None
    train: TrainConfig | None = None
    tracker: TrackerConfig = TrackerConfig()
    simulate: SimulateConfig = SimulateConfig()
    profile: ProfileConfig = ProfileConfig()
    search: Path | None = Field(
        None, description="folder of a finished monospike search, whose Pareto fronts the report shows"
    )

    @model_validator(mode="after")
    def _has_one_student(self) -> RunConfig:
        missing = [key for key in ("student", "train") if getattr(self, key) is None]
        if self.model is None and missing:
            raise ValueError(f"{' and '.join(missing)}: missing; or name a trained model with 'model'")
        if self.model is not None and len(missing) < 2:
            raise ValueError("model: is trained already and needs neither student nor train")
        return self


def load_config(path: Path) -> RunConfig:
    """Read and check the YAML configuration of a run. Raises ConfigError as ``read_config`` does."""
    return read_config(path, RunConfig)


def read_config(path: Path, kind: type[AnySection]) -> AnySection:
    """Read a YAML configuration as ``kind``. Raises ConfigError that names the file and every key that is wrong."""
    return parse_config(read_values(path), kind, str(path))


def read_values(path: Path) -> dict[str, Any]:
    """The keys and values of a YAML file, not checked yet. Raises ConfigError naming the file when it has none."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date of month 13; lists in lists without end
        raise ConfigError(f"{path}: is not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, such as 'name: demo'")
    return values


def parse_config(values: Mapping[str, Any], kind: type[AnySection], where: str) -> AnySection:
    """Check ``values`` as ``kind``. Raises ConfigError that says ``where`` and names every key that is wrong."""
    try:
        return kind.model_validate_json(json.dumps(values))
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, e['loc'])) or 'the whole'}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        ]
        raise ConfigError("\n".join(f"{where}: {problem}" for problem in problems)) from None
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: holds a value that is no JSON value ({error})") from None
