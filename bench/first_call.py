"""What the first call of a compiled function costs: tracing, passes, machine code.

CPU time in fresh processes, after imports (SciPy's BLAS is one) and one trivial compilation.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from importlib import import_module
from pathlib import Path

from harness import in_a_process, in_units, python_here, races_of, spread

LIMIT, ROUNDS = 1 / 3, 3
CASES = {
    "scalar": ["scalar, two floats"],
    "rosenbrock": ["rosenbrock compiled, n = 1000"],
    "lotka_volterra": ["lotka-volterra, 1000 steps"],
    "elementwise": ["elementwise, float64, n = 1000"],
    "second_order": ["hessian, d = 50", "hvp, d = 1000"],
    "lorenz": ["lorenz, t = 100"],
    "network": ["network, float64, batch 1"],
    "loops": [
        f"{name} as written"
        for name in "recurrence thomas heat cholesky kepler gauss_seidel soft_dtw".split()
    ],
    "taylor": [
        "lorenz by Taylor, t = 5, 1e-5",
        "lorenz by Taylor, t = 5, 1e-10",
        "lorenz by Taylor, t = 5, machine epsilon",
        "lotka-volterra, sensitivities, t = 10",
    ],
}
PEERS = {"taylor": "heyoka", "loops": "JAX, rewritten with scan"}  # JAX where nothing else is said
STAGES = {"trace": ("litad.program", "trace"), "passes": ("litad.passes", "optimise")}  # then code


def start_engine(entry: str) -> None:
    "Import everything and compile something trivial."
    if entry.startswith("JAX"):
        import jax

        return float(jax.jit(lambda x: x + 1)(1.0))
    if entry == "heyoka":
        import heyoka as hy

        hy.llvm_state.set_diskcache_enabled(False)  # what earlier processes have compiled
        x = hy.make_vars("x")
        return hy.cfunc([x + 1.0], [x])
    for name in ("control", "derivatives", "reverse", "ode", "taylor_solver"):
        import_module(f"litad.{name}")
    import_module("litad.engine").blas("dgemm_")  # SciPy's, which is in jaxlib for JAX
    from litad.jit import jit

    return jit(lambda x: x + 1)(1.0)


def clocks() -> dict[str, float]:
    "Seconds of each stage, counted while it runs; a stage within a stage is not counted again."
    seconds, running = dict.fromkeys(STAGES, 0.0), []

    def counted(stage, f):
        def call(*args, **kwargs):
            if running:
                return f(*args, **kwargs)
            running.append(stage)
            begin = time.process_time()
            try:
                return f(*args, **kwargs)
            finally:
                seconds[stage] += time.process_time() - begin
                running.pop()

        return call

    modules = [m for name, m in sys.modules.items() if name.startswith("litad.")]
    for stage, (home, name) in STAGES.items():
        f = getattr(import_module(home), name)
        for module in modules:
            if getattr(module, name, None) is f:
                setattr(module, name, counted(stage, f))
    return seconds


def first_call(module: str, race: str, entry: str) -> dict[str, float]:
    "CPU seconds of building a function and calling it once, in this process."
    found = next(r for r in races_of(module) if r.name == race)
    if found.steps:
        found.reference(1)
    else:
        found.reference()
    start_engine(entry)
    stages = clocks() if entry == "litad" else {}
    begin = time.process_time()
    found.entries[entry].build()()
    return {"whole": time.process_time() - begin} | stages


def measure(options, there: dict[str, str]) -> dict:
    "Each case, some times over."
    header = ["workload", "litad", "trace", "passes", "code", "spread", "peer", "litad over it"]
    rows, body, targets = {}, [], []
    for module, race in [(m, race) for m, races in CASES.items() for race in races]:
        peer = PEERS.get(module, "JAX")
        pythons = {"litad": python_here()}
        if peer.lower().split(",")[0] in there:
            pythons[peer] = options.peers
        samples: dict = {name: [] for name in pythons}
        for _ in range(min(options.rounds, ROUNDS)):
            for name, python in pythons.items():
                samples[name].append(in_a_process(python, __file__, module, race, name))
        mine = {k: statistics.median(s[k] for s in samples["litad"]) for k in samples["litad"][0]}
        whole = [s["whole"] for s in samples["litad"]]
        code = mine["whole"] - sum(mine[stage] for stage in STAGES)
        row = rows[race] = {**mine, "code": code, "spread": spread(whole)}
        cells = [in_units(row[k]) for k in ("whole", *STAGES, "code")]
        body.append([race, *cells, f"{row['spread']:.0%}", "", ""])
        if peer in samples:
            other = [s["whole"] for s in samples[peer]]
            row["peer"] = statistics.median(other)
            row["over_peer"] = statistics.median(a / b for a, b in zip(whole, other))
            body[-1][-2:] = [f"{peer} {in_units(row['peer'])}", f"{row['over_peer']:.3g}"]
            targets.append([f"{race}: litad", peer, LIMIT, row["over_peer"], ""])
    return {
        "workload": "first_call",
        "race": "first call",
        "title": "tracing, passes and code of a first call, CPU time, in fresh processes",
        "rows": rows,
        "table": [header, body],
        "targets": targets,
    }


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    print(json.dumps(first_call(*sys.argv[1:])))
