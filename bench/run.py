#!/usr/bin/env python3
"""Measure litad against other packages: ratios, in one interleaved run.

python bench/run.py                                        litad and NumPy
python bench/run.py --peers ~/peers/bin/python             and the packages found there
python bench/run.py chain mlp --rounds 30                  some workloads only
python bench/run.py chain --against ../other-checkout      two versions of litad in one run
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import imports
from harness import GCC, HERE, Race, Worker, in_turns, python_here, races_of, ratio, spread

WORKLOADS = ["imports", "chain", "ode", "mlp", "rosenbrock", "modes", "reads", "scalar"]
PACKAGES = ["numpy", "litad", "torch", "autograd", "mygrad", "jax", "casadi", "pytensor", "heyoka", "diffrax", "numba"]
README, RESULTS = HERE / "README.md", HERE / "results.json"


# ------------------------------------------------------------------ environments

ASK_VERSIONS = """
import importlib.metadata as m, json, sys
found = {}
for name in sys.argv[1:]:
    try: found[name] = m.version(name)
    except m.PackageNotFoundError: pass
print(json.dumps(found))
"""


def versions(python: str) -> dict[str, str]:
    "The versions of the packages that an environment has; nothing where there is no such Python."
    try:
        asked = subprocess.run(
            [python, "-c", ASK_VERSIONS, *PACKAGES], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return {}
    return json.loads(asked.stdout)


def cpu_model() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()


# ------------------------------------------------------------------ one race


def start(race: Race, module: str, options, there: dict[str, str]) -> tuple[dict, dict]:
    "The workers of a race, checked, by name; and for what was left out, why."
    plan: list[tuple[str, str, str, str]] = []  # shown as, entry, python, litad's checkout
    left_out = {}
    for name, entry in race.entries.items():
        if options.only and not any(word in name for word in options.only):
            continue
        if entry.slow and not options.slow:
            left_out[name] = "slow; measured with --slow"
        elif entry.needs == GCC and not shutil.which(GCC):
            left_out[name] = "no gcc"
        elif entry.needs in ("", "litad", GCC):
            plan.append((name, name, python_here(), ""))
            if entry.needs == "litad" and options.against:
                checkout = options.against.resolve()
                plan.append(
                    (f"{name} ({options.against.name})", name, python_here(), str(checkout))
                )
        elif not options.peers:
            left_out[name] = "no --peers environment"
        elif entry.needs not in there:
            left_out[name] = f"{entry.needs} is not in the peers' environment"
        else:
            plan.append((name, name, options.peers, ""))
    workers = {}
    for shown, entry, python, litad in plan:
        worker = Worker(python, module, race.name, entry, litad)
        answer = worker.answer()
        if "deviation" in answer:
            workers[shown] = worker
        else:
            left_out[shown] = answer.get("failed", "no answer")
            worker.close()
    return workers, left_out


def run(race: Race, module: str, options, there: dict[str, str]) -> dict:
    "The measurements of a race."
    workers, left_out = start(race, module, options, there)
    try:
        times = in_turns(workers, options.rounds, options.seconds) if workers else {}
    finally:
        for worker in workers.values():
            worker.close()
    base = times.get(race.baseline)
    rows = {}
    for name, t in times.items():
        rows[name] = {
            "median": statistics.median(t),
            "spread": spread(t),
            "over_baseline": ratio(t, base) if base else None,
            "litad_over": ratio(times["litad"], t) if "litad" in times else None,
        }
    targets = []
    for goal in race.targets:
        if goal.entry in times and goal.other in times:
            measured = ratio(times[goal.entry], times[goal.other])
            targets.append([goal.entry, goal.other, goal.limit, measured, goal.when])
    return {
        "workload": module,
        "race": race.name,
        "title": race.title,
        "baseline": race.baseline,
        "rows": rows,
        "targets": targets,
        "left_out": left_out,
    }


def run_imports(options) -> dict:
    environment = {name: x for name, x in os.environ.items() if name != "PYTHONPATH"}
    times = imports.measure(options.rounds, environment)
    rows = {
        name: {"median": statistics.median(t), "spread": spread(t)} for name, t in times.items()
    }
    milliseconds = 1e3 * rows["import litad"]["median"]
    return {
        "workload": "imports",
        "race": "imports",
        "title": "importing, in fresh processes: each step after the one before",
        "baseline": "",
        "rows": rows,
        "targets": [["import litad", "milliseconds", imports.LIMIT_MS, milliseconds, ""]],
        "left_out": {},
    }


# ------------------------------------------------------------------ tables


def in_units(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def multiple(x: float | None) -> str:
    if x is None:
        return ""
    return f"{x:.0f}" if x >= 100 else f"{x:.2g}" if x < 0.1 else f"{x:.3g}"


def promise(result: dict, goal: list) -> list[str]:
    entry, other, limit, measured, when = goal
    if other == "milliseconds":
        what, bound, got = entry, f"{limit:g} ms", f"{measured:.3g} ms"
    else:
        what = f"{result['race']}: {entry} over {other}"
        bound, got = multiple(limit), multiple(measured)
    bound = f"at most {bound}{', ' * bool(when)}{when}"
    return [what, bound, got, "yes" if measured <= limit else "no"]


def table(result: dict) -> tuple[list[str], list[list[str]]]:
    "The header and the rows of one race."
    rows = sorted(result["rows"].items(), key=lambda item: item[1]["median"])
    if result["workload"] == "imports":
        return ["step", "time", "spread"], [
            [name, in_units(row["median"]), f"{row['spread']:.0%}"]
            for name, row in result["rows"].items()
        ]
    header = ["implementation", "time", "spread", f"over {result['baseline']}", "litad over it"]
    body = [
        [
            name,
            in_units(row["median"]),
            f"{row['spread']:.0%}",
            multiple(row["over_baseline"]),
            multiple(row["litad_over"]),
        ]
        for name, row in rows
    ]
    body += [[name, f"- ({why})", "", "", ""] for name, why in result["left_out"].items()]
    if not any(row[-1] for row in body):
        header, body = header[:-1], [row[:-1] for row in body]
    return header, body


def pivoted(results: list[dict]) -> tuple[list[str], list[list[str]]]:
    "One row per race, one column per entry: multiples of the baseline."
    columns = list(dict.fromkeys(name for r in results for name in r["rows"]))
    base = results[0]["baseline"]
    header = ["", base, *[name for name in columns if name != base]]
    body = []
    for r in results:
        rows = r["rows"]
        cells = [multiple(rows[n]["over_baseline"]) if n in rows else "" for n in header[2:]]
        body.append([r["race"], in_units(rows[base]["median"]) if base in rows else "", *cells])
    return header, body


def as_text(header: list[str], body: list[list[str]]) -> str:
    widths = [max(len(row[k]) for row in [header, *body]) for k in range(len(header))]
    lines = []
    for row in [header, *body]:
        cells = [
            cell.ljust(w) if k == 0 else cell.rjust(w)
            for k, (cell, w) in enumerate(zip(row, widths))
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def as_markdown(header: list[str], body: list[list[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *body])


def report(outcome: dict) -> str:
    "All results as Markdown."
    about, results = outcome["about"], outcome["results"]
    packages = ", ".join(f"{name} {v}" for name, v in about["versions"].items())
    parts = [f"{about['date']}, {about['cpu']}, Python {about['python']}; {packages}."]
    promises = [promise(r, goal) for r in results for goal in r["targets"]]
    if promises:
        parts += ["### Targets", as_markdown(["", "target", "measured", "met"], promises)]
    for module in dict.fromkeys(r["workload"] for r in results):
        mine = [r for r in results if r["workload"] == module]
        if module == "modes":
            parts += [f"### modes: {outcome['pivot']}", as_markdown(*pivoted(mine))]
            continue
        for r in mine:
            parts += [f"### {r['race']}: {r['title']}", as_markdown(*table(r))]
    return "\n\n".join(parts)


def write_readme(outcome: dict) -> None:
    "Put the results between the marks in the README."
    text = README.read_text(encoding="utf-8")
    start, end = "<!-- results -->", "<!-- end of results -->"
    head, rest = text.split(start)
    tail = rest.split(end)[1]
    README.write_text(f"{head}{start}\n\n{report(outcome)}\n\n{end}{tail}", encoding="utf-8")


# ------------------------------------------------------------------ all of it


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("workloads", nargs="*", help=f"of {', '.join(WORKLOADS)}; all by default")
    add("--peers", default=os.environ.get("LITAD_PEERS", ""), metavar="PYTHON",
        help="the Python of an environment with the other packages (or LITAD_PEERS)")  # fmt: skip
    add("--rounds", type=int, default=15, help="batches of each implementation")
    add("--seconds", type=float, default=0.03, help="length of a batch")
    add("--only", nargs="*", metavar="WORD", help="implementations whose names contain a word")
    add("--slow", action="store_true", help="also what takes seconds per call")
    add("--against", type=Path, metavar="DIRECTORY", help="another checkout of litad, in turns")
    add("--json", type=Path, metavar="FILE", help="write the results there")
    add("--write-readme", action="store_true", help="update README.md and results.json here")
    options = parser.parse_args()
    unknown = set(options.workloads) - set(WORKLOADS)
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    return options


def main() -> int:
    options = read_options()
    here, there = versions(python_here()), versions(options.peers) if options.peers else {}
    if options.peers and not there:
        print(f"no Python that runs at {options.peers}: the peers are left out")
    about = {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu_model(),
        "python": platform.python_version(),
        "versions": {**there, **here},
    }
    print(f"{about['cpu']}, Python {about['python']}, {about['versions']}")
    results = []
    for module in options.workloads or WORKLOADS:
        if module == "imports":
            results.append(run_imports(options))
            print(f"\n{results[-1]['title']}\n{as_text(*table(results[-1]))}", flush=True)
            continue
        races = races_of(module)
        for race in races:
            results.append(run(race, module, options, there))
            if module != "modes":
                print(f"\n{race.name}: {race.title}\n{as_text(*table(results[-1]))}", flush=True)
        if module == "modes":
            mine = [r for r in results if r["workload"] == "modes"]
            print(f"\nmodes: {races_pivot()}\n{as_text(*pivoted(mine))}", flush=True)
    outcome = {"about": about, "pivot": races_pivot(), "results": results}
    promises = [promise(r, goal) for r in results for goal in r["targets"]]
    if promises:
        print(f"\n{as_text(['targets', '', 'measured', 'met'], promises)}")
    if options.json:
        options.json.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")
    if options.write_readme:
        RESULTS.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")
        write_readme(outcome)
    return 0


def races_pivot() -> str:
    import modes

    return modes.PIVOT


if __name__ == "__main__":
    sys.exit(main())
