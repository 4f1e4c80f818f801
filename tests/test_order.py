"""The order of lines in machine code: nothing lost or too early, memory in its order."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

from litad.elementary import FUNCTIONS, arity, definitions
from litad.order import ordered, spelled_out, straight_functions, waits, woven

OPERATIONS = ["fadd", "fmul", "fdiv", "fsub"]


def program(seed: int, count: int) -> list[str]:
    pick = random.Random(seed)
    names, lines = ["%x", "%y"], []
    for k in range(count):
        if pick.random() < 0.2:
            lines.append(f"  store double {pick.choice(names)}, ptr %p")
            continue
        if pick.random() < 0.2:
            right = "load double, ptr %p"
        else:
            a, b = pick.choice(names), pick.choice(names[-4:])
            right = f"{pick.choice(OPERATIONS)} contract double {a}, {b}"
        names.append(f"%v{k}")
        lines.append(f"  {names[-1]} = {right}")
    return lines


@pytest.mark.parametrize("seed", range(30))
def test_lines_come_after_what_they_need(seed):
    lines = program(seed, 5 * seed)
    found = ordered(lines)
    assert sorted(found) == sorted(lines)
    defined = {"%x", "%y", "%p"}
    for line in found:
        left, _, right = line.rpartition(" = ")
        assert set(re.findall(r"%\w+", right)) <= defined
        defined.add(left.strip())


@pytest.mark.parametrize("seed", range(30))
def test_memory_keeps_its_order(seed):
    lines = program(seed, 60)
    memory = lambda text: [line for line in text if "ptr %p" in line]  # noqa: E731
    assert memory(ordered(lines)) == memory(lines)


def test_a_call_that_is_not_ours_stays_among_stores():
    lines = [
        "  store double %x, ptr %p",
        "  %a = call double @pow(double %x, double %y)",
        "  call void @dgemm_(ptr %p)",
        "  %b = load double, ptr %p",
    ]
    assert ordered(lines) == lines
    assert waits(lines)[1:] == [{0}, {1}, {2}]


@pytest.mark.parametrize("lanes", [True, False])
@pytest.mark.parametrize("kind", ["double", "float"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_can_be_spelled_out(name, kind, lanes):
    text, _ = definitions([(name, kind)], lanes=lanes)
    functions = straight_functions(text)
    passed = ", ".join(f"{kind} %a{k}" for k in range(arity(name)))
    call = f"  %r = call contract {kind} @litad.{name}.{kind}({passed})"
    lines, count = spelled_out([call], functions)
    assert count == 1 and lines[-1].startswith("  %r = ")
    assert f"@litad.{name}.{kind}(" not in "\n".join(lines)


def test_definitions_go_with_their_calls():
    text, _ = definitions([("exp", "double"), ("sin", "double")])
    body = """define double @f(double %x) {
  %a = call contract double @litad.exp.double(double %x)
  %b = call contract double @litad.sin.double(double %a)
  %c = call contract double @litad.exp.double(double %x)
  %d = fadd double %b, %c
  ret double %d
}
"""
    found = woven(body, text)
    assert "@litad.exp.double" not in found and "@litad.sin.double(" not in found
    assert "@litad.sin.rare.double" in found
    assert found.rstrip().endswith("ret double %d\n}")


def test_values_are_those_of_numpy():
    pytest.importorskip("llvmlite", reason="llvmlite compiles")
    from litad import jit

    x = np.linspace(-3, 3, 1003)
    f = lambda x: np.exp(x) * np.tanh(x) + np.sin(x) / np.log1p(x * x + 1) - np.exp(-x)  # noqa: E731
    assert np.allclose(jit(f)(x), f(x), rtol=1e-14, atol=1e-14)
