"""Models as safetensors files that say what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from pydantic import TypeAdapter, ValidationError
from safetensors.torch import save

from netx.errors import FormatError
from netx.files import write_whole
from pipeline.models.safetensors_file import check_tensors, read_safetensors
from pipeline.tasks.tracking.models.config import ModelConfig, SiamFCppConfig, SpikingConfig
from pipeline.tasks.tracking.models.siamfcpp import SiamFCpp
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp

Model: TypeAlias = SiamFCpp | SpikingSiamFCpp

KEY = "model"
"""Where a file's metadata holds the architecture."""

_ARCHITECTURE: TypeAdapter[SiamFCppConfig | SpikingConfig] = TypeAdapter(ModelConfig)


def build(config: SiamFCppConfig | SpikingConfig) -> Model:
    """A model with weights at random."""
    return SiamFCpp(config) if isinstance(config, SiamFCppConfig) else SpikingSiamFCpp(config)


def save_model(model: Model, path: Path, notes: Mapping[str, str]) -> None:
    """Write weights and architecture; the file appears whole or not at all."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with write_whole(path) as temporary:
        temporary.write_bytes(save(tensors, {KEY: model.config.model_dump_json(), **notes}))


def load_model(path: Path, time_steps: int | None = None) -> Model:
    """The model that ``path`` holds, in evaluation mode. time_steps: of a spiking one, in place of its own.

    Raises FormatError when the file is missing, incomplete, not finite, or no model of ours.
    """
    tensors, metadata = read_safetensors(path)
    config = parse_architecture(metadata.get(KEY), path)
    if time_steps is not None and isinstance(config, SpikingConfig):
        config = config.model_copy(update={"time_steps": time_steps})
    model = build(config)
    check_tensors(path, tensors, model.state_dict())
    model.load_state_dict(tensors)
    return model.eval()


def parse_architecture(text: str | None, path: Path) -> SiamFCppConfig | SpikingConfig:
    """The architecture in a file's metadata. Raises FormatError naming ``path``."""
    if text is None:
        raise FormatError(
            f"{path}: does not say which model it holds (its metadata has no {KEY!r}): it is not of monospike "
            "train, or a student of an older release, which has to be trained again"
        )
    try:
        return _ARCHITECTURE.validate_json(text)
    except ValidationError as error:
        raise FormatError(f"{path}: its architecture is not one of ours ({error.errors()[0]['msg']})") from None


def start_from(path: Path, config: SiamFCppConfig | SpikingConfig) -> Model:
    """``load_model`` for a training of ``config``. Time steps are ``config``'s, calibrated thresholds the file's.

    Raises FormatError also when the file holds another architecture.
    """
    model = load_model(path, config.time_steps if isinstance(config, SpikingConfig) else None)
    stored, wanted = (c.model_dump(exclude={"thresholds"}) for c in (model.config, config))
    for key in wanted:
        if stored.get(key) != wanted[key]:
            raise FormatError(f"{path}: its model has {key} = {stored.get(key)}, the configuration says {wanted[key]}")
    return model.train()
