"""Makes calls on the cluster at ADDRESS, and ends it, whose head is HEAD, after the first.

A process of its own, because Ray ends one whose cluster has gone.
"""

import sys
import time

import psutil

from netx.errors import MonospikeError
from pipeline.core.workers import Workers, call_all


def square(number):
    if number < 0:
        time.sleep(600)
    return number * number


def main(address, head):
    def end(name, result):
        print(name, result, flush=True)
        for process in psutil.Process(int(head)).children(recursive=True):
            process.kill()

    try:
        call_all(square, {"five": (5,), "for ever": (-1,)}, Workers(0, address), end)
    except MonospikeError as error:
        print(error)


if __name__ == "__main__":
    main(*sys.argv[1:])
