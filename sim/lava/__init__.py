"""Running networks in Lava. Nothing else of the project imports Lava, and of this package only what runs in a process
of its own does: ``worker`` simulates, ``stepper`` follows every variable, ``timer`` times, and ``conv`` is the drop-in
convolution that they offer it.
"""

from sim.lava.job import ConvModel, NetPart
from sim.lava.runner import LavaError, LavaTimeout, Progress, Work, run, run_net_files, run_worker

__all__ = ["ConvModel", "LavaError", "LavaTimeout", "NetPart", "Progress", "Work", "run", "run_net_files", "run_worker"]
