"""Code that ships: files compiled ahead of time, hits of the disk cache, a step from C.

Milliseconds of CPU time in fresh processes, after imports (llvmlite is one);
ratios of a step are of wall time, in turns.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

from harness import GCC, in_a_process, in_units, python_here, spread

LOAD_LIMIT, HIT_LIMIT, JAX_LIMIT, STEP_LIMIT = 5.0, 3.0, 0.1, 1.05
ROUNDS, CYCLES, GROWTH_LIMIT = 7, 10**3, 1024.0  # the last in KB
MAIN = """
#include <stdio.h>
#include <time.h>
#include "step.h"
{room}
int main(void) {{
    double best = 1e30;
    for (int round = 0; round < 40; round++) {{
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        for (int k = 0; k < 50; k++) step({given});
        clock_gettime(CLOCK_MONOTONIC, &b);
        double t = (b.tv_sec - a.tv_sec + 1e-9 * (b.tv_nsec - a.tv_nsec)) / 50;
        if (t < best) best = t;
    }}
    printf("%.9g\\n", best);
    return 0;
}}
"""


def step_and_data():
    "A step of training a 784-128-10 network in place, one sample, and its numbers."
    import network
    import numpy as np

    import litad

    return network.step_over(litad.value_and_grad, np), network.data("float64", 1)


def ahead():
    "The step compiled ahead of time."
    import litad

    step, data = step_and_data()
    return litad.compile_aot(step, *data, donate_argnums=0, name="step")


def start() -> None:
    "Import what is no part of a first result."
    for name in ("jit", "control", "derivatives", "reverse", "aot"):
        import_module(f"litad.{name}")
    import_module("litad.engine").llvm()


def clocked(work) -> float:
    begin = time.process_time()
    work()
    return 1e3 * (time.process_time() - begin)


def load(path: str) -> dict:
    "A first load in this process, and the best of later ones."
    import_module("litad.artefacts")
    import_module("llvmlite.binding")
    load_aot = import_module("litad").load_aot
    first = clocked(lambda: load_aot(path))
    return {"load": first, "load again": min(clocked(lambda: load_aot(path)) for _ in range(30))}


def hit(folder: str) -> dict:
    "A first result through the cache, and one of a function met later."
    start()
    from litad import jit

    step, data = step_and_data()
    trivial = clocked(lambda: jit(lambda x: x + 1, cache=folder)(1.0))
    first = clocked(lambda: jit(step, donate_argnums=0, cache=folder)(*data))
    forget = import_module("litad.jit").plan_of.__globals__["_plans"].clear
    later = []
    for _ in range(20):
        forget()
        later.append(clocked(lambda: jit(step, donate_argnums=0, cache=folder)(*data)))
    return {"first hit": first, "hit": min(later), "trivial": trivial}


def jax(_: str) -> dict:
    "JAX's first call of the same step, after a trivial one."
    import network
    from harness import jax_and_numpy

    jax, jnp = jax_and_numpy()
    float(jax.jit(lambda x: x + 1)(1.0))
    data = network.data("float64", 1)
    step = jax.jit(network.step_over(jax.value_and_grad, jnp), donate_argnums=0)
    return {"jax": clocked(lambda: jax.block_until_ready(step(*data)))}


def steps(folder: str) -> dict:
    "The step under jit, compiled ahead of time, and from C, in microseconds."
    from litad import jit

    plain, data = step_and_data()
    made = {"jit": jit(plain, donate_argnums=0), "ahead": ahead()}
    best = dict.fromkeys(made, 1e9)
    for f in made.values():
        f(*data)
    for _ in range(40):
        for name, f in made.items():
            begin = time.perf_counter()
            for _ in range(50):
                f(*data)
            best[name] = min(best[name], (time.perf_counter() - begin) / 50)
    found = {name: 1e6 * t for name, t in best.items()}
    c = from_c(made["ahead"], Path(folder)) if shutil.which(GCC) else None
    return found | ({"C": 1e6 * c} if c else {})


def from_c(step, folder: Path) -> float | None:
    "Seconds of the step called from C."
    shipped = import_module("litad.foreign")
    files = step.export_c(folder)
    function = step.shipped.function
    calls = step.shipped.artefact.header["code"]["kernel"]["calls"]
    if any(shipped.is_blas(name) for name in calls):
        return None
    room = "\n".join(shipped._room(function))
    given = [leaf.name for leaf in [*function.arguments, *function.results]]
    given += ["scratch"] * bool(function.scratch)
    (folder / "main.c").write_text(MAIN.format(room=room, given=", ".join(given)))
    objects = [f.name for f in files if f.suffix == ".o"]
    command = [GCC, "-O2", "main.c", *objects, "-lm", "-o", "main"]
    subprocess.run(command, cwd=folder, check=True)
    done = subprocess.run([folder / "main"], capture_output=True, text=True, check=True)
    return float(done.stdout)


def cycles(path: str) -> dict:
    "Growth over loading and forgetting."
    from soak import resident

    from litad import load_aot

    sizes = []
    for count in (CYCLES // 2, CYCLES):
        for _ in range(count):
            load_aot(path)
        sizes.append(resident())
    return {"growth": sizes[1] - sizes[0]}


def measure(options, there: dict[str, str]) -> dict:
    "All of it, in processes of their own."
    rounds = min(options.rounds, ROUNDS)
    with tempfile.TemporaryDirectory() as place:
        path, cache = f"{place}/step.litad", f"{place}/cache"
        ahead().save(path)
        in_a_process(python_here(), __file__, "hit", cache)
        samples: dict = {}
        for _ in range(rounds):
            found = in_a_process(python_here(), __file__, "load", path)
            found |= in_a_process(python_here(), __file__, "hit", cache)
            if "jax" in there:
                found |= in_a_process(options.peers, __file__, "jax", "")
            for name, t in found.items():
                samples.setdefault(name, []).append(t)
        rows = {
            name: {"ms": statistics.median(t), "spread": spread(t)} for name, t in samples.items()
        }
        speeds = in_a_process(python_here(), __file__, "steps", place)
        growth = in_a_process(python_here(), __file__, "cycles", path)["growth"]
    return result_of(rows, speeds, growth)


NAMES = {
    "load": "load_aot in a fresh process",
    "load again": "load_aot once more",
    "first hit": "jit with a warm cache, first result in a fresh process",
    "hit": "jit with a warm cache, the tenth function",
    "jax": "JAX's first call",
}


def result_of(rows: dict, speeds: dict, growth: float) -> dict:
    "Tables and targets."
    body = [
        [text, in_units(rows[name]["ms"] / 1e3), f"{rows[name]['spread']:.0%}"]
        for name, text in NAMES.items()
        if name in rows
    ]
    body += [[f"a step: {name}", in_units(t / 1e6), ""] for name, t in speeds.items()]
    body.append([f"{CYCLES:,} loads, after half as many", f"{growth:.0f} KB", ""])
    targets = [
        ["shipping: load_aot", "milliseconds", LOAD_LIMIT, rows["load"]["ms"], ""],
        ["shipping: a hit", "milliseconds", HIT_LIMIT, rows["hit"]["ms"], ""],
        ["a step ahead of time", "jit", STEP_LIMIT, speeds["ahead"] / speeds["jit"], ""],
        ["shipping: loads", "kilobytes", GROWTH_LIMIT, growth, ""],
    ]
    if "C" in speeds:
        targets.append(["a step from C", "jit", STEP_LIMIT, speeds["C"] / speeds["jit"], ""])
    if "jax" in rows:
        ratio = rows["first hit"]["ms"] / rows["jax"]["ms"]
        targets.append(["a first result, warm cache", "JAX", JAX_LIMIT, ratio, ""])
    return {
        "workload": "shipping",
        "race": "shipping",
        "title": "code that ships: a step of training a 784-128-10 network, one sample",
        "rows": {"times": rows, "steps": speeds, "growth": growth},
        "table": [["", "time", "spread"], body],
        "targets": targets,
    }


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    print(json.dumps(globals()[sys.argv[1]](sys.argv[2])))
