#!/usr/bin/env python3
"""Measure litad against other packages: ratios, in one interleaved run.

python bench/run.py                                        litad and NumPy
python bench/run.py --peers ~/peers/bin/python             and the packages found there
python bench/run.py chain mlp --rounds 30                  some workloads only
python bench/run.py compiled --only C litad                what is compiled, beside C alone
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

import cores
import fashion
import first_call
import imports
import shipping
import soak
from harness import (
    GCC,
    HERE,
    Race,
    Worker,
    in_turns,
    in_units,
    python_here,
    races_of,
    ratio,
    spread,
)

EAGER = ["imports", "chain", "ode", "mlp", "rosenbrock", "modes", "reads"]
COMPILED = [
    "scalar",
    "bound",
    "rosenbrock",
    "lotka_volterra",
    "elementwise",
    "loops",
    "second_order",
    "lorenz",
    "ode_solvers",
    "taylor",
]
COMPILED += ["network", "lenet", "fashion", "cores", "first_call", "shipping", "soak"]
WORKLOADS = list(dict.fromkeys(EAGER + COMPILED))
GROUPS = {"eager": EAGER, "compiled": COMPILED}
OTHERWISE = {
    "imports": imports,
    "cores": cores,
    "fashion": fashion,
    "first_call": first_call,
    "shipping": shipping,
    "soak": soak,
}  # measured in their own ways
UNITS = {"nanoseconds": "ns", "milliseconds": "ms", "kilobytes": "KB", "percent": "%"}
PACKAGES = ["numpy", "litad", "torch", "autograd", "mygrad", "jax", "diffrax", "casadi", "pytensor"]
PACKAGES += ["heyoka", "numba"]
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
    workers, starting = {}, []
    while plan or starting:  # several at once where there are several cores
        while plan and len(starting) < cores():
            shown, entry, python, litad = plan.pop(0)
            starting.append((shown, Worker(python, module, race.name, entry, litad)))
        shown, worker = starting.pop(0)
        answer = worker.answer()
        if "deviation" in answer:
            workers[shown] = worker
        else:
            left_out[shown] = answer.get("failed", "no answer")
            worker.close()
    return workers, left_out


def cores() -> int:
    "How many processes can run at once."
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


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
        entry = race.entries.get(name)  # none for another checkout's
        rows[name] = {
            "kind": entry.kind if entry else "litad",
            "median": statistics.median(t),
            "spread": spread(t),
            "over_baseline": ratio(t, base) if base else None,
            "litad_over": ratio(times["litad"], t) if "litad" in times else None,
        }
    targets = []
    for goal in race.targets:
        if goal.entry in times and goal.other == "nanoseconds":
            measured = 1e9 * statistics.median(times[goal.entry])
            name = f"{race.name}: {goal.entry}"
            targets.append([name, goal.other, goal.limit, measured, goal.when])
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


# ------------------------------------------------------------------ tables


def multiple(x: float | None) -> str:
    if x is None:
        return ""
    return f"{x:.0f}" if x >= 100 else f"{x:.2g}" if x < 0.1 else f"{x:.3g}"


def promise(result: dict, goal: list) -> list[str]:
    entry, other, limit, measured, when = goal
    if other in UNITS:
        what, bound, got = entry, f"{limit:g} {UNITS[other]}", f"{measured:.3g} {UNITS[other]}"
    else:
        what = f"{result['race']}: {entry} over {other}"
        bound, got = multiple(limit), multiple(measured)
    bound = f"at most {bound}{', ' * bool(when)}{when}"
    return [what, bound, got, "yes" if measured <= limit else "no"]


def table(result: dict) -> tuple[list[str], list[list[str]]]:
    "The header and the rows of one race."
    if "table" in result:
        return result["table"]
    rows = sorted(result["rows"].items(), key=lambda item: item[1]["median"])
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


def summary(results: list[dict]) -> tuple[list[str], list[list[str]]]:
    "One row per race that has a limit in C: litad beside it and beside the best of the peers."
    header = ["compiled", "litad", "C", "litad over C", "wanted", "best peer", "", "litad over it"]
    body = []
    for r in results:
        if "table" in r:
            continue
        kinds = {
            k: [(row["median"], name) for name, row in r["rows"].items() if row["kind"] == k]
            for k in ("limit", "peer")
        }
        if not kinds["limit"] or "litad" not in r["rows"]:
            continue
        limit, bound = min(kinds["limit"]), [goal[2] for goal in r["targets"]]
        cells = [r["race"], in_units(r["rows"]["litad"]["median"]), in_units(limit[0])]
        cells += [multiple(r["rows"][limit[1]]["litad_over"]), multiple(*bound[:1] or [None])]
        peer = min(kinds["peer"], default=None)
        if peer:
            over = multiple(r["rows"][peer[1]]["litad_over"])
            body.append([*cells, peer[1], in_units(peer[0]), over])
        else:
            body.append([*cells, "", "", ""])
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
    compiled = summary(results)
    if compiled[1]:
        parts += ["### Compiled", as_markdown(*compiled)]
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
    add(
        "workloads",
        nargs="*",
        help=f"of {', '.join(WORKLOADS)}, or eager or compiled; all by default",
    )
    add("--peers", default=os.environ.get("LITAD_PEERS", ""), metavar="PYTHON",
        help="the Python of an environment with the other packages (or LITAD_PEERS)")  # fmt: skip
    add("--rounds", type=int, default=11, help="batches of each implementation")
    add("--seconds", type=float, default=0.02, help="length of a batch")
    add("--only", nargs="*", metavar="WORD", help="implementations whose names contain a word")
    add("--slow", action="store_true", help="also what takes seconds per call")
    add("--against", type=Path, metavar="DIRECTORY", help="another checkout of litad, in turns")
    add("--json", type=Path, metavar="FILE", help="write the results there")
    add("--write-readme", action="store_true", help="update README.md and results.json here")
    options = parser.parse_args()
    asked = [w for name in options.workloads for w in GROUPS.get(name, [name])]
    options.workloads = list(dict.fromkeys(asked))
    unknown = set(asked) - set(WORKLOADS)
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
        if module in OTHERWISE:
            results.append(OTHERWISE[module].measure(options, there))
            show(results[-1])
            continue
        races = races_of(module)
        for race in races:
            results.append(run(race, module, options, there))
            if module != "modes":
                show(results[-1])
        if module == "modes":
            mine = [r for r in results if r["workload"] == "modes"]
            print(f"\nmodes: {races_pivot()}\n{as_text(*pivoted(mine))}", flush=True)
    outcome = {"about": about, "pivot": races_pivot(), "results": results}
    compiled = summary(results)
    if compiled[1]:
        print(f"\n{as_text(*compiled)}")
    promises = [promise(r, goal) for r in results for goal in r["targets"]]
    if promises:
        print(f"\n{as_text(['targets', '', 'measured', 'met'], promises)}")
    if options.json:
        options.json.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")
    if options.write_readme:
        RESULTS.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")
        write_readme(outcome)
        command = [sys.executable, str(HERE.parent / "scripts" / "readme_table.py")]
        subprocess.run(command, check=True)
    return 0


def show(result: dict) -> None:
    print(f"\n{result['race']}: {result['title']}\n{as_text(*table(result))}", flush=True)


def races_pivot() -> str:
    import modes

    return modes.PIVOT


if __name__ == "__main__":
    sys.exit(main())
