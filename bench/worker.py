"""One implementation in a process of its own: checked, then timed when a line with a number comes.

Libraries that share a process disturb each other's allocators and thread pools. A line of JSON goes
back for each line that comes in. Python's garbage collector is left on, as it is in use.
"""

import gc
import json
import os
import sys
import time
from itertools import repeat


def main(module: str, race: str, entry: str) -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes elsewhere

    def reply(**answer) -> None:
        replies.write(json.dumps(answer) + "\n")
        replies.flush()

    from harness import deviation, races_of

    try:
        found_race = next(r for r in races_of(module) if r.name == race)
        found = found_race.entries[entry]
        call = found.build()
        for k in (1, 2):  # twice: a call must not change the next
            want = found.reference(k) if found_race.steps else found.reference()
            got = call()
            off = deviation(call.result() if hasattr(call, "result") else got, want)
            if not off <= found.rtol:
                return reply(failed=f"off the reference by {off:.1e}, call {k}")
    except Exception as error:
        return reply(failed=f"{type(error).__name__}: {str(error).splitlines()[0][:120]}")
    reply(deviation=off)
    for line in sys.stdin:
        reply(seconds=timed(call, int(line)))


def timed(call, count: int) -> float:
    "Seconds per call; a batch that did not have a core to itself is repeated, up to three times."
    for _ in repeat(None, count // 10):
        call()
    gc.collect()
    share, seconds = 0.0, 0.0
    for _ in range(4):
        busy, start = time.process_time(), time.perf_counter()
        for _ in repeat(None, count):
            call()
        elapsed = time.perf_counter() - start
        used = (time.process_time() - busy) / elapsed
        if used > share:
            share, seconds = used, elapsed / count
        if share > 0.97:
            break
    return seconds


if __name__ == "__main__":
    main(*sys.argv[1:])
