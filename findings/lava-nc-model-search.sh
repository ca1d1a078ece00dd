#!/usr/bin/env bash
# lava-nc 0.10.0: compiling a network runs the file with the process models three times for every process in it.
#
# To find the models of a process, magma/compiler/compiler_graphs.py (_find_proc_models) executes every Python file in
# the folder of the process's class: once for the folder, and once more for each file in it, here two. It remembers
# nothing: the second process of a class is searched for like the first. So a network of fifty processes spends seconds
# of its start on this, and whatever such a file does when it is run is done as often.
#
# Seen: 2, 4 and 8 LIF processes: lif/models.py is run 6, 12 and 24 times while they are compiled.
# Ends with 0 while lava-nc behaves so, with 1 when it does not any more.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3.10 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check lava-nc==0.10.0 numpy==1.26.4

cd "$place"
cat > count.py <<'END'
import sys
from pathlib import Path

from lava.magma.compiler.compiler import Compiler
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.lif import models
from lava.proc.lif.process import LIF

FILE = Path(models.__file__)
runs = 0


def watch(event, arguments):
    global runs
    if event == "exec" and Path(getattr(arguments[0], "co_filename", "")) == FILE and arguments[0].co_name == "<module>":
        runs += 1


sys.addaudithook(watch)
for size in (2, 4, 8):
    chain = [LIF(shape=(1,)) for _ in range(size)]
    for sender, receiver in zip(chain, chain[1:]):
        sender.s_out.connect(receiver.a_in)
    runs = 0
    Compiler().compile(chain[0], Loihi2SimCfg(select_tag="fixed_pt"))
    print(size, "processes: lif/models.py was run", runs, "times")
    assert runs == 3 * size, "the search has changed"
END
"$place/venv/bin/python" count.py
