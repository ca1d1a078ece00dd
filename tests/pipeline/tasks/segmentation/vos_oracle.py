"""What vos-benchmark says of masks: folders of true and of found masks in, J and F of each object as JSON out.

Run by a Python that has vos-benchmark 0.1.0, under a time limit. Its pool of processes may never return, so threads
stand in for them here; where it lacks a mask it waits for ever all the same.
"""

import contextlib
import io
import json
import sys
from multiprocessing.pool import ThreadPool

from vos_benchmark import benchmark as module


def main(true, found):
    module.Pool = ThreadPool
    with contextlib.redirect_stdout(io.StringIO()):
        (mean,), (j,), (f,), (objects,) = module.benchmark([true], [found], num_processes=1, verbose=False)
    rows = {
        name: {str(index): [of_j[index], of_f[index]] for index in sorted(of_j)}
        for name, (of_j, of_f) in objects.items()
    }
    json.dump({"global": [mean, j, f], "objects": rows}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
