"""Write the README's table of measurements, from what `bench/run.py` has stored."""

from __future__ import annotations

import json

from notebook import ROOT

README, RESULTS = ROOT / "README.md", ROOT / "bench" / "results.json"
START, END = "<!-- measured -->", "<!-- end of measured -->"
PEERS = ["JAX", "PyTorch", "autograd", "MyGrad", "CasADi", "heyoka"]
RACES = {
    "chain": "1000 operations on 10 numbers, as it runs",
    "ode, vectors": "a fit through 100 Runge-Kutta steps, as it runs",
    "mlp": "a small network on 32 samples, as it runs",
    "rosenbrock compiled, n = 1000": "Rosenbrock's function of 1000 numbers",
    "elementwise, float64, n = 100000": "elementary functions of 100 000 numbers",
    "hessian, d = 50": "a Hessian, 50 by 50",
    "lotka-volterra, 1000 steps": "sensitivities through 1000 Runge-Kutta steps",
    "lorenz, t = 100": "sensitivities of a solver that chooses its steps",
    "network, float64, batch 1": "a step of training 784-128-10, one image",
    "network, float32, batch 32": "the same in single precision, 32 images",
}


def duration(seconds: float) -> str:
    """Two digits and a unit."""
    scale, unit = next(
        (s for s in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")) if seconds >= s[0]), (1e-9, "ns")
    )
    return f"{float(f'{seconds / scale:.2g}'):g} {unit}"


def multiple(rows: dict, peer: str) -> str:
    """How many times litad's time a package takes, by its quickest implementation here."""
    found = [
        row["litad_over"]
        for name, row in rows.items()
        if name.lower().startswith(peer.lower()) and isinstance(row, dict) and row.get("litad_over")
    ]
    return f"{float(f'{1 / max(found):.2g}'):g}" if found else ""


def table() -> str:
    """The chosen races: litad's time, and everybody else's as multiples of it."""
    measured = json.loads(RESULTS.read_text(encoding="utf-8"))
    about, races = measured["about"], {r["race"]: r["rows"] for r in measured["results"]}
    grid = [["what is computed", "litad", *PEERS, "C by hand"]]
    for race, said in RACES.items():
        if rows := races.get(race):
            others = [multiple(rows, name) for name in PEERS]
            limit = multiple({"C": rows.get("C")}, "C")
            grid.append([said, duration(rows["litad"]["median"]), *others, limit])
    taking_part = [any(cells) for cells in zip(*grid[1:], strict=True)]
    lines = [[c for c, has in zip(row, taking_part, strict=True) if has] for row in grid]
    lines.insert(1, ["---", *["---:"] * (len(lines[0]) - 1)])
    packages = ", ".join(
        f"{name} {v}" for name, v in about["versions"].items() if name not in ("litad", "numpy")
    )
    machine = f"one core of an {about['cpu']}, Python {about['python']}"
    said = f"Measured {about['date']} on {machine}; {packages}."
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", said])


def written(text: str) -> str:
    """The README with its table renewed."""
    head, rest = text.split(START)
    return f"{head}{START}\n{table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
    print(README.relative_to(ROOT))
