"""Networks of integers by a file's or a model's name."""

from __future__ import annotations

from pathlib import Path

from netx import FormatError, Network
from netx.bundle import load
from netx.fingerprint import fingerprint
from netx.net_file import read_net
from netx.types import Shape
from pipeline.model_zoo.names import CHECKPOINT, card, checkpoint_path


def read_network(
    path: Path, layers: int | None = None, reset: int | None = None, input_shape: Shape | None = None
) -> Network:
    """The network in a ``.net`` or ``.nir`` file or a folder of them, or that of a model: packaged, or a checkpoint.

    layers: only as many of the groups of a lava-dl ``.net`` file. reset: frames after which LIF neurons forget.
    input_shape: of a ``.net`` file that does not say it.
    A model's integers are made of its weights, those of a packaged one held against the fingerprint on its card.
    Raises FormatError, with the file and the place in it, NetworkError for an impossible ``reset``, MonospikeError for
    a model that has no network of integers.
    """
    is_name = len(path.parts) == 1 and not path.suffix and not path.exists()
    if is_name or path.suffix == CHECKPOINT:
        network = _of_model(str(path))
    else:
        network = read_net(path, input_shape, layers=layers) if path.suffix == ".net" else load(path, input_shape)
    return network if reset is None else network.with_reset(reset)


def _of_model(name: str) -> Network:
    # Imported here because it loads torch, which networks from files do without.
    from pipeline.tasks import task_of

    checkpoint = checkpoint_path(name)
    network = task_of(checkpoint).network(checkpoint)
    if Path(name).suffix != CHECKPOINT and (written := card(name).get("fingerprint")) != fingerprint(network):
        raise FormatError(
            f"{name}: its weights become other integers here than its card tells of, whose scores then say nothing; "
            f"expected fingerprint {written}, got {fingerprint(network)}: monospike doctor says what is installed"
        )
    return network
