"""Networks whose weights another network sends: programmed, and run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy.typing as npt

from netx import Network, NetworkError
from sim import engine


def programmed(network: Network, frames: Mapping[str, npt.NDArray]) -> tuple[Network, Mapping[str, npt.NDArray]]:
    """A Siamese network with its correlations programmed for the template in ``frames``, and the other frames.

    Any other network comes back as it is. Raises NetworkError when there is more than one template.
    """
    if not network.correlations():
        return network, frames
    templates = network.template_network()
    names = [source.name for source in templates.inputs]
    for name in names:
        if (frames[name] != frames[name][:1]).any():
            raise NetworkError(f"input {name!r}: the network is programmed for one target; give one frame of it")
    spikes = engine.run(templates, {name: frames[name][:1] for name in names}).spikes
    searching = network.programmed({name: spikes[name][0] for name in templates.outputs})
    return searching, {source.name: frames[source.name] for source in searching.inputs}
