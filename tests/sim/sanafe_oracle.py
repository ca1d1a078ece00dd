"""What SANA-FE says a mapped network costs: a network as .npz in, joules and seconds of a time step as JSON out.

Run by a Python that has sanafe 2.2.9, which is under the GPL: the package never imports it. Every frame is held for as
many steps as fill the network, and its last step is read. The network's input has to sit on a core here; what that core
sends is told apart by the trace of messages.
"""

import contextlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import sanafe

HOP = {"x": 3.0e-12, "y": 4.2e-12}
AXON_OUT = 111.0e-12


def build(spec, arch):
    network, groups = sanafe.Network(), []
    for number in range(int(spec["groups"])):
        sites = spec[f"sites_{number}"]
        group = network.create_neuron_group(f"g{number}", len(sites))
        for neuron, (tile, core) in enumerate(sites.tolist()):
            group[neuron].map_to_core(arch.tiles[tile].cores[core])
            if number == 0:
                train = spec["frames"][:, neuron].repeat(int(spec["hold"]))
                group[neuron].set_attributes(
                    soma_hw_name=f"loihi_inputs[{neuron}]", model_attributes={"spikes": train.tolist()}
                )
                continue
            values = {"threshold": float(spec[f"threshold_{number}"]), "bias": float(spec[f"bias_{number}"][neuron])}
            group[neuron].set_attributes(
                soma_hw_name="loihi_lif",
                default_synapse_hw_name=str(spec[f"synapse_{number}"]),
                model_attributes=values | {"reset": 0.0, "leak_decay": 0.0, "input_decay": 0.0},
            )
        groups.append(group)
        if number:
            edges = list(map(tuple, spec[f"edges_{number}"].tolist()))
            weights = spec[f"weights_{number}"].astype(float).tolist()
            groups[number - 1].connect_neurons_sparse(group, {"weight": weights}, edges)
    return network


def from_outside(messages):
    sent = [one for one in messages if one["src_neuron_group_id"] == "g0" and not one["placeholder"]]
    return sum(AXON_OUT + sum(HOP[a] * abs(one[f"src_{a}"] - one[f"dest_{a}"]) for a in HOP) for one in sent)


def main(path):
    spec = np.load(path)
    arch = sanafe.load_arch(str(Path(sanafe.__path__[0]) / "examples" / "loihi.yaml"))
    chip = sanafe.SpikingChip(arch)
    chip.load(build(spec, arch))
    hold, frames = int(spec["hold"]), len(spec["frames"])
    with contextlib.redirect_stdout(io.StringIO()):
        result = chip.sim(hold * frames, timing_model=sys.argv[2], perf_trace=True, message_trace=True)
    trace, found = result["perf_trace"], []
    for step in range(hold - 1, hold * frames, hold):
        found.append(
            {
                "synapse": trace["synapse_energy"][step],
                "soma": trace["soma_energy"][step],
                "network": trace["network_energy"][step] - from_outside(result["message_trace"][step]),
                "seconds": trace["sim_time"][step],
            }
        )
    json.dump(found, sys.stdout)


main(sys.argv[1])
