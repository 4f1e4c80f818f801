"""Loops, branches and traced indices: the numbers and derivatives of plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_coverage import CALLS, V, X

import litad
from litad import (
    LitadError,
    cond,
    custom_jvp,
    custom_vjp,
    fori_loop,
    grad,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    scan,
    switch,
    value_and_grad,
    vjp,
    while_loop,
)
from litad.core import Primitive
from litad.program import NeedsNumber, inlined, trace
from litad.tree import flatten, tree_map

pytestmark = pytest.mark.filterwarnings("ignore")

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(3, 3)), RNG.normal(size=(5, 3))
U = np.linspace(0.1, 1.0, 6)


def agree(got, want, rtol=1e-10):
    "two trees of results are the same"
    got, want = flatten(got)[0], flatten(want)[0]
    assert len(got) == len(want)
    for a, b in zip(got, want):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=1e-12)


def traced_as(f, *args):
    "a program of f gives what f gives; the program"
    program = trace(f, *args)
    agree(program(*args), f(*args))
    return program


def square_of(f):
    "one number that depends on every result of f"
    return lambda *args: sum(np.sum(np.sin(y) * y) for y in flatten(f(*args))[0])


def squared(g):
    return lambda x, *more: np.sum(g(x, *more) ** 2)


ORDERS = {
    "value": lambda f: f,
    "grad": lambda f: grad(square_of(f)),
    "jvp": lambda f: lambda x, *more: jvp(lambda x: f(x, *more), (x,), (np.cos(x) * 1.0,)),
    "jacfwd": lambda f: jacfwd(f),
    "jacrev": lambda f: jacrev(f),
    "forward over reverse": lambda f: hessian(square_of(f)),
    "reverse over reverse": lambda f: jacrev(grad(square_of(f))),
    "reverse over forward": lambda f: grad(squared(jacfwd(square_of(f)))),
    "third": lambda f: grad(squared(grad(squared(grad(square_of(f)))))),
}  # fmt: skip


def rnn(w, xs=B):
    def step(h, x):
        h = np.tanh(w @ h + x)
        return h, np.sum(h * x)

    return scan(step, np.zeros(3), xs)


def backwards(w):
    "a scan from the end, containers, and a result of no use"
    step = lambda c, x: ({"h": np.tanh(w @ c["h"] + x["x"])}, (c["h"], None))  # noqa: E731
    last, (all_h, nothing) = scan(step, {"h": np.ones(3)}, {"x": B}, reverse=True)
    assert nothing is None
    return last["h"], all_h


def stores(x):
    "the loop of the design: y[i] = sin(y[i-1]) x[i] + y[i]"

    def body(i, y):
        y[i] = np.sin(y[i - 1]) * x[i] + y[i]
        return y

    return fori_loop(1, len(x), body, x * 1.0)


def sums(x):
    "reads and stores by several computed indices, added in place"
    order = np.argsort(-x)

    def body(i, y):
        y[order[i]] += x[i] * y[0]
        y[i, ...] = y[order[i]] * y[-1 - i]
        return y

    return fori_loop(0, len(x), body, np.cos(x))


def rows(w):
    "a row at a time, and a block"

    def body(i, m):
        m[i, 1:] = m[i - 1, :2] * w[i, 0] + np.sum(m[:, i])
        return m

    return fori_loop(0, 3, body, w * 1.0)


def newton(x):
    def body(c):
        y, k = c
        return 0.5 * (y + x / y), k + 1

    y, _ = while_loop(
        lambda c: np.max(np.abs(c[0] ** 2 - x)) > 1e-12, body, (np.ones(len(x)), 0), max_steps=40
    )
    return y


def branches(x):
    "a branch per step, on what was computed"

    def body(i, y):
        a = cond(y[i] > 0.4, lambda v: np.sin(v) * x, lambda v: v * v * np.ones(len(x)), y[i])
        b = switch(i % 3, [lambda v: v, np.cos, lambda v: v * x[i]], y[i])
        return y * 0.5 + a * b

    return fori_loop(0, len(x), body, x)


def nested(x):
    "loops in loops, the inner one as long as the outer one's index says"

    def row(i, y):
        s = fori_loop(0, i, lambda j, s: s + x[j] * y[j] * x[i], 0.0, max_steps=len(x))
        y[i] = np.cos(s) + x[i]
        return y

    return fori_loop(0, len(x), row, np.zeros(len(x)))


def cells(x):
    "a scan of a scan, both results used"

    def outer(c, a):
        c, ys = scan(lambda c, b: (c * np.cos(b * a), c + a * b), c, x)
        return c, ys * a

    return scan(outer, 1.0, x)


def counted(x):
    "an integer carried along that counts by two, and one that does not"

    def step(c, v):
        k, n, y = c
        return (k + 2, n * 2 % 5, y * x[k // 2] + n), (k, np.exp(-y))

    (_, _, y), (_, ys) = scan(step, (0, 1, x[0]), x)
    return y, ys


FUNCTIONS = {
    "rnn": (rnn, A * 0.3),
    "backwards": (backwards, A * 0.3),
    "stores": (stores, U),
    "sums": (sums, U[:4]),
    "rows": (rows, A * 0.4),
    "newton": (newton, U[2:5] + 1),
    "branches": (branches, U[:4]),
    "nested": (nested, U[:4]),
    "cells": (cells, U[:3]),
    "counted": (counted, U[:4]),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_program_gives_what_plain_python_gives(name, order):
    "every loop, in every order of differentiation"
    f, x = FUNCTIONS[name]
    if order in ("third",) and name not in ("stores", "cells", "newton"):
        pytest.skip("seconds")
    traced_as(ORDERS[order](f), x)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_programs_differentiate(name):
    "a program that was traced first is differentiated afterwards: eagerly, and traced again"
    f, x = FUNCTIONS[name]
    program = trace(f, x)
    for way in ("grad", "jvp", "jacfwd", "forward over reverse"):
        want = ORDERS[way](f)(x)
        agree(ORDERS[way](program)(x), want)
        agree(trace(ORDERS[way](program), x)(x), want)


def test_eager_loops_are_python():
    "no tracer, no program: any box, any test, side effects in order"
    seen = []

    def body(i, c):
        seen.append(i)
        return c * (2.0 if c > 1 else 3.0)

    assert fori_loop(2, 5, body, 1.0) == 12.0 and seen == [2, 3, 4]
    assert while_loop(lambda c: c[0] < 10, lambda c: (c[0] * 2, c[1] + 1), (1, 0)) == (16, 4)
    carry, ys = scan(lambda c, x: (c + x, c * x), 0.0, np.arange(4.0))
    assert carry == 6 and ys.tolist() == [0, 0, 2, 9]
    cube = lambda t: fori_loop(0, 3, lambda i, c: c * t, 1.0)  # noqa: E731
    agree(litad.jet(cube, 2.0, 3), litad.jet(lambda t: t * t * t, 2.0, 3))
    assert cond(True, np.sin, np.cos, 0.0) == 0 and switch(1, [np.sin, np.cos], 0.0) == 1


def test_an_eager_body_does_not_touch_what_it_was_given():
    start, xs = np.ones(3), np.ones((2, 3))

    def step(y, x):
        y[0] += 1
        x[...] = 7
        return y, y

    last, ys = scan(step, start, xs)
    assert start.tolist() == [1, 1, 1] and np.all(xs == 1) and ys[:, 0].tolist() == [2, 3]
    assert last[0] == 3


@pytest.mark.parametrize("n", [0, 1])
def test_short_loops(n):
    "no run at all, and one"
    f = lambda x: fori_loop(0, n, lambda i, c: np.sin(c) * x, x)  # noqa: E731
    g = lambda x: scan(lambda c, a: (c * a, c * x), x, np.ones((n, 2)) * x)  # noqa: E731
    x = np.array([0.3, 0.7])
    for order in ("value", "grad", "jvp", "forward over reverse"):
        traced_as(ORDERS[order](f), x)
        traced_as(ORDERS[order](g), x)
    last, ys = scan(lambda c, a: (c, (a, 1)), 1.0, np.ones((0, 2)))
    assert last == 1 and ys[0].shape == (0, 2) and ys[1].shape == (0,)


@pytest.mark.parametrize("n", [0, 1, 4])
def test_bounds_that_are_values(n):
    step = lambda x: lambda i, c: np.sin(c) * x[i] + c  # noqa: E731
    f = lambda n, x: fori_loop(n - n, n, step(x), x[0], max_steps=5)  # noqa: E731
    program = trace(value_and_grad(f, 1), 3, U)
    agree(program(n, U), value_and_grad(f, 1)(n, U))
    agree(trace(hessian(f, 1), 3, U)(n, U), hessian(f, 1)(n, U))


def test_a_linear_loop_needs_no_bound():
    "nothing is stored, so there is nothing to bound"
    f = lambda n, x: fori_loop(0, n, lambda i, c: c * 0.5 + i, x)  # noqa: E731
    agree(trace(grad(f, 1), 3, 2.0)(5, 2.0), 0.5**5)


def test_closed_over_values_are_operands():
    "tracers, variables and duals that a body closes over are found, at every level"

    def f(x):
        inner = lambda w: scan(lambda c, a: (c * w + a * x[0], c), w, x)[0]  # noqa: E731
        return grad(inner)(x[1]) + jvp(inner, (x[0],), (x[2],))[1]

    program = traced_as(grad(f), U)
    for e in program.equations:
        for region in getattr(e.primitive, "regions", ()):
            assert not region.constants


def test_only_what_moves_has_tangents():
    "a carry at rest has no tangent and no cotangent"
    step = lambda x: lambda c, a: ((c[0] + a, c[1] * x), c[0])  # noqa: E731
    f = lambda x: scan(step(x), (0.0, x), np.ones(5))[0][1]  # noqa: E731
    program = trace(lambda x: jvp(f, (x,), (1.0,)), 0.5)
    (loop,) = [e.primitive for e in program.equations if e.primitive.name == "scan"]
    assert loop.counts[1] == 3


def loops_of(program):
    "all loops of a program, those within loops too"
    for e in program.equations:
        if not isinstance(e.primitive, Primitive):
            yield e
            for region in e.primitive.regions:
                yield from loops_of(region)


@pytest.mark.parametrize(
    "way", ["value", "grad", "jvp", "forward over reverse", "reverse over reverse"]
)
def test_an_element_loop_costs_a_few_elements_per_run(way):
    "no array is stored, filled or added per run: memory and work grow with n, not with n squared"

    def cost(n):
        f = lambda x: np.sum(stores(x)) * 1.0  # noqa: E731
        one = {"forward over reverse": lambda g: lambda x: jvp(g, (x,), (x,))[1],
               "reverse over reverse": lambda g: grad(lambda x: np.sum(np.cos(g(x))))}  # fmt: skip
        g = one[way](grad(f)) if way in one else ORDERS[way](f)
        program = trace(g, np.linspace(0, 1, n))
        total = 0
        for e in loops_of(program):
            total += sum(y.size for y in e.outputs)
            for line in e.primitive.regions[0].equations:
                in_place = line.primitive.name in ("at_put", "at_add")
                total += n * sum(y.size for y in line.outputs if not in_place)
        return total

    assert cost(400) / cost(100) < 4.2


def test_what_a_scan_keeps():
    "one number an iteration for each nonlinear line; no index, no constant, no carried array"
    program = trace(grad(lambda x: np.sum(stores(x))), U)
    forward = [e for e in program.equations if e.primitive.name == "scan"][0]
    shapes = [y.shape for y in forward.outputs[forward.primitive.counts[1] :]]
    assert shapes == [(5,)] * len(shapes) and len(shapes) <= 3


def test_no_carried_array_is_kept_in_a_short_inner_loop():
    "an inner loop of three runs that reads a long array stores what it read"

    def f(x):
        def body(i, y):
            s = fori_loop(0, 3, lambda j, s: s + y[i + j] * y[j], 0.0)
            y[i] = np.sin(s)
            return y

        return np.sum(fori_loop(0, len(x) - 3, body, x * 1.0))

    x = np.linspace(0, 1, 200)
    program = traced_as(grad(f), x)
    assert max(y.size for e in loops_of(program) for y in e.outputs) <= 3 * 200


def test_stores_come_after_reads():
    "a store into an array is the last line that mentions it: it needs no copy"
    for way in ("value", "grad", "jvp", "forward over reverse"):
        f, x = FUNCTIONS["stores"]
        for e in loops_of(trace(ORDERS[way](f), x)):
            for region in e.primitive.regions:
                for k, line in enumerate(region.equations):
                    if line.primitive.name in ("at_put", "at_add"):
                        later = region.equations[k + 1 :]
                        assert not any(x is line.inputs[0] for other in later for x in other.inputs)


# Indices that are values.

I2, J2 = np.array([[1, 0], [2, 2]]), np.array([0, -1])
READS = {
    "integer": lambda x, i, k: x[i],
    "row": lambda x, i, k: x[i, 1:3] * x[-1, i],
    "two": lambda x, i, k: x[i, i] + x[i, 0],
    "dots": lambda x, i, k: x[..., i] * x[i, ..., None].T,
    "new": lambda x, i, k: x[None, i, None, :2],
    "array": lambda x, i, k: x[k],
    "both": lambda x, i, k: x[k, J2] * x[i, :2],
    "apart": lambda x, i, k: np.sum(x[None][:, k, :, None][0, ..., 0]) * x[i],
    "matrix": lambda x, i, k: x[k[:, None], k],
    "take": lambda x, i, k: np.take(x, i) + np.take(x, k, 1) + np.take(x, i, 0, mode="wrap")[0],
    "list": lambda x, i, k: x[[i, 0]],
    "plain": lambda x, i, k: fori_loop(0, 2, lambda m, c: c + B[m, i] * B[k[m]] * I2[m, 0], x[i]),
    "along": lambda x, i, k: np.take_along_axis(x, np.argsort(x, 1), 1) * x[i],
    "sort": lambda x, i, k: np.sort(x, 0) * np.median(x) + np.partition(x, 1, 1),
    "rows": lambda x, i, k: sum(row * m for m, row in enumerate(x)),
}  # fmt: skip


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("i", [0, 2, -1])
def test_reading_at_a_value(name, i):
    f = lambda x, i: READS[name](x, i, np.array([1, 2]) - (i > 5))  # noqa: E731
    x = A + 0.1
    for order in ("value", "grad", "jvp", "jacfwd", "jacrev", "forward over reverse"):
        program = trace(ORDERS[order](f), x, 1)
        agree(program(x, i), ORDERS[order](f)(x, i))


def _stored(x, i, k):
    y = x * 1.0
    y[i] = y[0] * x[i, 1]
    y[k, 1] = x[i, :2] if True else 0
    y[i, k] += 2 * x[k, i]
    y[1:, i] *= 3
    return y


def _repeated(x, i, k):
    y = np.zeros_like(x)
    y[[i, i], 0] = np.sin(x[:2, 1])
    np.add.at(y, ([i, i], 1), x[:2, 2])
    return y * x


def _masked(x, i, k):
    y = x * 1.0
    y[x > 0.2] = x[i, 0]
    return y


WRITES = {"stored": _stored, "repeated": _repeated, "masked": _masked}


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("i", [0, 2, -1])
def test_writing_at_a_value(name, i):
    f = lambda x, i: WRITES[name](x, i, np.array([2, 1]) - (i > 5))  # noqa: E731
    x = A + 0.1
    for order in ("value", "grad", "jvp", "jacfwd", "jacrev", "forward over reverse"):
        program = trace(ORDERS[order](f), x, 1)
        agree(program(x, i), ORDERS[order](f)(x, i))


def test_an_index_out_of_range_is_an_index_error():
    "in the value and in the derivative: never clamped"
    f = lambda x, i: np.sum(x[i] ** 2)  # noqa: E731
    for g in (f, grad(f)):
        program = trace(g, U, 1)
        for i in (6, -7):
            with pytest.raises(IndexError):
                program(U, i)
    with pytest.raises(IndexError):
        trace(lambda k, x: switch(k, [np.sin, np.cos], x), 0, 1.0)(2, 1.0)
    with pytest.raises(IndexError):
        switch(-1, [np.sin, np.cos], 1.0)
    bounded = trace(grad(lambda x, n: fori_loop(0, n, lambda i, c: c * c, x, max_steps=3)), 0.5, 1)
    with pytest.raises(LitadError, match="run 4 with max_steps=3"):
        bounded(0.5, 4)


# Refusals.


def refused(f, *args):
    with pytest.raises(LitadError) as error:
        trace(f, *args)
    return str(error.value)


def test_a_carry_that_changes_its_type():
    "both types are shown, traced and eager"
    for way in (lambda f, x: f(x), trace):
        with pytest.raises(LitadError, match=r"f64\[3\] goes in, f64\[6\] comes out"):
            way(lambda x: fori_loop(0, 3, lambda i, c: np.concatenate([c, c]), x), np.ones(3))
        with pytest.raises(LitadError, match=r"f32\[\] goes in, f64\[\] comes out"):
            way(lambda x: scan(lambda c, a: (c * x[0], a), np.float32(1), x)[0], np.ones(3))
        with pytest.raises(LitadError, match="changes its type"):
            way(lambda x: fori_loop(0, 3, lambda i, c: (c, c), x), np.ones(3))


def test_python_numbers_give_way():
    "a carry that starts as a Python number takes the type that comes out"
    single = np.float32([0.5, 1.5])
    f = lambda x: scan(lambda c, a: (c * 2 + a, c), 0, x)  # noqa: E731
    program = trace(f, single)
    last, ys = program(single)
    assert last.dtype == ys.dtype == np.float32 and last == 2.5
    assert trace(grad(lambda x: f(x)[0]), single)(single).dtype == np.float32
    i = trace(lambda x: fori_loop(0, 3, lambda i, c: c + i * x, x), single)(single)
    assert i.dtype == np.float32


def test_python_numbers_outside_of_a_body_give_way():
    "what a body closes over is as weak inside as outside"
    x = np.float32([0.5, 1.5])
    closed = lambda x, s: fori_loop(0, 2, lambda i, c: c * 0.5 + s, x)  # noqa: E731
    program = trace(closed, x, 0.3)
    assert program(x, 0.3).dtype == np.float32 and np.allclose(program(x, 0.3), closed(x, 0.3))
    counted = lambda x: fori_loop(  # noqa: E731
        0, 2, lambda j, c: fori_loop(0, 2, lambda i, d: d * 0.7 + j * np.cos(d), c), x
    )
    assert np.allclose(trace(counted, x)(x), counted(x))
    swap = lambda c, t: ((c[1], c[0] + np.sum(t)), c[0] * t)  # noqa: E731
    last, ys = trace(lambda x: scan(swap, (0.0, 1.0), x), x)(x)
    assert ys.dtype == np.float32 and np.allclose(ys, scan(swap, (0.0, 1.0), x)[1])


def test_more_steps_than_were_allowed():
    "the same refusal eagerly and in a program"
    f = lambda x: np.sum(while_loop(lambda c: np.sum(c) > 1e-9, lambda c: c * 0.5, x, max_steps=2))  # noqa: E731
    x = np.ones(3)
    for way in (f, grad(f), trace(f, x), trace(grad(f), x)):
        with pytest.raises(LitadError, match="run 3 with max_steps=2"):
            way(x)


def test_remedies():
    "each refusal says what to write"
    assert "np.take(a, i)" in refused(
        lambda i: fori_loop(0, i, lambda k, c: c + np.ones(5)[k], 0.0), 1
    )
    assert "np.where(mask" in refused(lambda x: x[x > 0], U)
    assert "carry the array" in refused(_stores_outside, U)
    assert "different types" in refused(lambda x: cond(x[0] > 0, np.sin, np.sum, x), U)
    assert "structure" in refused(lambda x: cond(x[0] > 0, lambda x: (x,), lambda x: x, x), U)
    assert "one length" in refused(lambda x: scan(lambda c, a: (c, a), 0.0, (x, x[1:])), U)
    assert "returns its carry and a result" in refused(lambda x: scan(lambda c, a: c, 0.0, x), U)
    assert "np.any" in refused(lambda x: cond(x > 0, np.sin, np.cos, x), U)
    assert "integers" in refused(lambda x: fori_loop(0, x[0], lambda i, c: c, 1.0), U)
    with pytest.raises(LitadError, match="larger max_steps"):
        while_loop(lambda c: c < 10, lambda c: c + 1, 0, max_steps=3)
    with pytest.raises(NeedsNumber):
        trace(lambda x: fori_loop(0, 3, lambda i, c: c if c > 0 else -c, x), 1.0)


def _stores_outside(x):
    y = x * 1.0

    def body(i, c):
        y[i] = c
        return c * 2

    return fori_loop(0, 3, body, 1.0) + y[0]


def test_an_unused_unbounded_loop_is_no_obstacle():
    "the bound is asked for when a cotangent arrives, and not before"
    loop = lambda x: while_loop(lambda c: c < 10, lambda c: c * c, x)  # noqa: E731
    f = lambda x: x * x + litad.stop_gradient(loop(x))  # noqa: E731
    agree(trace(grad(f), 1.5)(1.5), 3.0)


def test_printing():
    "regions are printed nested, with what is static about a loop"
    text = str(trace(grad(lambda x: np.sum(stores(x))), U))
    assert "scan" in text and "length=5" in text and "    body(" in text and "pattern=(_)" in text


# Rules of one's own, inside of a body.


@custom_jvp
def by_tangents(x):
    return np.tanh(x)


by_tangents.defjvp(lambda primals, tangents: (by_tangents(*primals), 10.0 * tangents[0]))


@custom_vjp
def by_cotangents(x):
    return np.tanh(x)


by_cotangents.defvjp(lambda x: (by_cotangents(x), x), lambda x, t: (t * np.cos(x) * 3.0,))

RULED = {
    "custom_jvp": by_tangents,
    "custom_vjp": by_cotangents,
    "stop_gradient": lambda x: litad.stop_gradient(np.sin(x)) * x,
    "straight_through": lambda x: litad.straight_through(np.round)(x * 1.7) * x,
    "checkpoint": litad.checkpoint(lambda x: np.sin(x) ** 2),
    "root": lambda x: litad.stop_gradient(x) * litad.checkpoint(np.cos)(x),
}


@pytest.mark.parametrize("name", RULED)
def test_rules_of_ones_own_hold_in_a_body(name):
    "a body is differentiated after it was traced, and the rule is still there; so for programs"
    f = RULED[name]
    loop = lambda x: scan(lambda c, a: (f(c) * a, f(c)), x, np.ones(3))  # noqa: E731
    for order in ("value", "grad", "jvp", "jacfwd", "forward over reverse", "reverse over reverse"):
        program = traced_as(ORDERS[order](loop), U[3])
        agree(inlined(program)(U[3]), program(U[3]))
    for way in ("grad", "jvp", "jacrev"):
        agree(ORDERS[way](trace(f, U[3]))(U[3]), ORDERS[way](f)(U[3]))


def test_functions_that_look_at_numbers():
    "in a loop, at any order; refused where they are refused eagerly"

    def f(a):
        def step(c, b):
            return c + np.linalg.svd(b * c)[1][0] + np.linalg.det(b), np.linalg.eigvalsh(b)

        return scan(step, 1.0, np.stack([a @ a.T, a.T @ a]))

    a = A + 2 * np.diag([1.0, 2.0, 3.0])
    for order in ("value", "grad", "jvp", "jacfwd", "forward over reverse"):
        traced_as(ORDERS[order](f), a)
    vectors = trace(grad(lambda a: np.sum(np.linalg.eigh(a)[1])), a)
    with pytest.raises(LitadError, match="equal eigenvalues"):
        vectors(np.eye(3))
    values = lambda a: np.sum(np.linalg.eigh(a)[0] ** 2)  # noqa: E731
    agree(trace(grad(values), a)(np.eye(3)), grad(values)(np.eye(3)))
    moved = lambda a: jvp(values, (a,), (a,))[1]  # noqa: E731
    agree(trace(moved, a)(np.eye(3)), moved(np.eye(3)))


def test_single_precision_and_complex_numbers():
    "types are kept, forwards and backwards"
    x = U.astype(np.float32)
    f = lambda x: fori_loop(1, 6, lambda i, y: y * 0.5 + np.sin(x[i]) * i, x[0])  # noqa: E731
    for order in ("value", "grad"):
        got = trace(ORDERS[order](f), x)(x)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, ORDERS[order](f)(x), rtol=1e-5)
    g = lambda x: scan(lambda c, a: (c * np.exp(1j * a * x[0]), np.abs(c + a)), 1.0 + 0j, x)[1]  # noqa: E731
    for order in ("value", "grad", "jvp", "forward over reverse"):
        traced_as(ORDERS[order](g), U)


# Random bodies.

STEPS = [
    lambda y, i, x: np.sin(y) * x[i],
    lambda y, i, x: y + np.flip(y) * 0.3,
    lambda y, i, x: np.cumsum(y) * 0.2,
    lambda y, i, x: np.where(y > 0.2, y * x, np.cos(y)),
    lambda y, i, x: put_at(y, i, y[i - 1] * x[i]),
    lambda y, i, x: put_at(y, -1 - i, np.sum(y * x)),
    lambda y, i, x: y + np.sort(y) * x[0],
    lambda y, i, x: cond(y[i] > 0.3, lambda v: v * 0.5, lambda v: np.tanh(v) + x, y),
    lambda y, i, x: scan(lambda c, a: (c * a, c + a), y[0], y)[1] * 0.3,
    lambda y, i, x: add_at(y, np.argsort(x), x * y[i]),
]


def put_at(y, i, v):
    y[i] = v
    return y


def add_at(y, i, v):
    y[i] += v
    return y


@settings(max_examples=25, deadline=None)
@given(
    picks=st.lists(st.integers(0, len(STEPS) - 1), min_size=1, max_size=4),
    length=st.integers(0, 4),
    reverse=st.booleans(),
    seed=st.integers(0, 99),
)
def test_random_bodies(picks, length, reverse, seed):
    "value, gradient, tangent and second derivative of random loops"
    x = np.random.default_rng(seed).uniform(0.1, 0.9, 4)

    def f(x):
        def step(y, i):
            for k in picks:
                y = STEPS[k](y * 1.0, i, x)
            return y, np.sum(y * y)

        return scan(step, np.cos(x), np.arange(length), reverse=reverse)

    for order in ("value", "grad", "jvp", "forward over reverse", "reverse over reverse"):
        traced_as(ORDERS[order](f), x)


# Every function of NumPy.

UNTRACED = {
    "real_if_close": "its dtype depends on numbers",
    "roots": "its dtype depends on numbers: complex, or real if all roots are",
}
WAYS = {
    "plain": lambda f: f,
    "jvp": lambda f: lambda x, v: jvp(f, (x, v), (np.cos(x), np.sin(v))),
    "vjp": lambda f: lambda x, v: _pulled(f, x, v),
    "traced, then vjp": lambda f: lambda x, v: _pulled(trace(f, x, v), x, v),
}


def _pulled(f, x, v):
    y, pullback = vjp(f, x, v)
    ct = lambda y: np.cos(np.arange(float(np.size(y)))).reshape(np.shape(y)) * 1.0  # noqa: E731
    return pullback(tree_map(ct, y))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("call", CALLS)
def test_every_function_can_be_traced(call, way, request):
    "the examples of the coverage page, as programs; those that cannot be are refused"
    name = request.node.callspec.id.removeprefix(f"{way}-").rsplit("-", 1)[0]
    name = next(p for p in (name, request.node.callspec.id.rsplit("-", 1)[0]) if p)
    f = WAYS[way](lambda x, v: call(x, v) * 1.0 + 0 * (np.sum(x) + np.sum(v)))
    if any(u in request.node.name for u in UNTRACED):
        try:
            agree(trace(f, X, V)(X, V), f(X, V), 1e-8)
        except LitadError:
            return
    else:
        agree(trace(f, X, V)(X, V), f(X, V), 1e-8)
