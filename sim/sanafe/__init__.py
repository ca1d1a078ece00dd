"""A mapped network as files of the simulator SANA-FE 2.2.9: our integers, on our cores, where we have put them.

SANA-FE is under the GPL: nothing here imports it, and what is written is for whoever has it.
"""

from sim.sanafe.write import Exported, write_sanafe

__all__ = ["Exported", "write_sanafe"]
