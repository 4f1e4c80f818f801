"""Jacobians, Hessians, linear maps and checks: which mode, how often, and the same numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import litad
from litad import grad, jacfwd, jacrev, jvp, vjp
from litad.checks import CheckFailed, check_grads
from litad.core import LitadError
from litad.derivatives import cheaper_mode, hessian, hvp, jacobian, lanes_for
from litad.linear import linearize
from litad.rules import custom_jvp, custom_vjp

RNG = np.random.default_rng(0)
A = RNG.standard_normal((3, 4))
FUNCTIONS = {
    "elementwise": lambda x: np.sin(x) * np.exp(-x) + x**3,
    "matrix": lambda x: A @ np.tanh(x),
    "indices": lambda x: x[np.array([0, 2, 2])] * x[1:],
    "where": lambda x: np.where(x > 0, np.sqrt(np.abs(x)), x**2),
    "scalar": lambda x: np.sum(x**2) / (1 + x[0] ** 2),
    "two axes": lambda x: x[:, None] * x[None, :] / (1 + np.sum(x**2)),
    "container": lambda x: {"a": x * x[::-1], "b": (np.mean(x),)},
    "identity": lambda x: x,
    "stack": lambda x: np.concatenate([np.stack([x[0], x[1]]), x * 2]),
    "solve": lambda x: (A.T @ A + np.eye(4)) @ x,
}
named = pytest.mark.parametrize("name", sorted(FUNCTIONS))
X = np.array([0.3, -0.7, 1.1, 0.5])


def leaves(tree):
    return litad.tree.flatten(tree)[0]


def same(a, b, tolerance=1e-13):
    pairs = zip(leaves(a), leaves(b), strict=True)
    return all(np.shape(x) == np.shape(y) and np.allclose(x, y, tolerance, 1e-14) for x, y in pairs)


@named
@pytest.mark.parametrize("chunk", [None, 1, 2, 3, 100])
def test_jacobian_is_that_of_the_modes(name, chunk):
    f = FUNCTIONS[name]
    assert same(jacobian(f, chunk=chunk)(X), jacfwd(f)(X))
    assert same(jacobian(f, chunk=chunk)(X), jacrev(f)(X))


@given(inputs=st.integers(0, 40), outputs=st.integers(0, 40), chunk=st.sampled_from([None, 1, 7]))
@settings(derandomize=True, deadline=None, max_examples=40)
def test_jacobian_of_any_shape(inputs, outputs, chunk):
    "whatever is chosen, numbers and plan agree with the dimensions"
    matrix = np.random.default_rng(inputs + 50 * outputs).standard_normal((outputs, inputs))
    f = lambda x: np.tanh(matrix @ x)  # noqa: E731
    x = np.ones(inputs)
    plan = jacobian(f, chunk=chunk).explain(x)
    assert (plan.inputs, plan.outputs) == (inputs, outputs)
    assert plan.directions == (inputs if plan.mode == "forward" else outputs)
    assert jacobian(f, chunk=chunk)(x).shape == (outputs, inputs)
    assert same(jacobian(f, chunk=chunk)(x), jacfwd(f)(x))


def test_how_often_the_function_runs():
    runs = []

    def f(x):
        runs.append(x)
        return np.sum(x**2, keepdims=True)

    for g, n, expected in ((f, 1000, 1), (f, 8, 1), (lambda x: f(x) * x, 20, 2)):
        runs.clear()
        jacobian(g)(np.ones(n))
        assert len(runs) == expected  # twice: the tape that tells the outputs, and one pass


def test_plan_displays_itself():
    plan = jacobian(FUNCTIONS["matrix"], explain=True)(X)
    assert plan == jacobian(FUNCTIONS["matrix"]).explain(X)
    assert "forward" in repr(plan) and "because" in repr(plan)
    assert "text/markdown" in plan._repr_mimebundle_() or "text/html" in plan._repr_mimebundle_()
    assert cheaper_mode(1000, 1).mode == "reverse" and cheaper_mode(2, 1000).mode == "forward"
    assert cheaper_mode(100, 50).mode == "forward" and cheaper_mode(101, 50).mode == "reverse"
    assert lanes_for(1000, 1000, 1000) == 65 and lanes_for(3, 10, 10) == 3


def test_containers_argnums_and_keywords():
    def f(p, k, y, *, scale):
        return {"u": scale * p["a"] * y[:2] ** k, "v": np.sum(p["b"]) * y[0]}

    arguments = {"a": np.array([1.0, 2.0]), "b": 3.0}, 2, np.array([0.5, 1.5, 2.5])
    for argnums in (0, 2, (0, 2), -1):
        found = jacobian(f, argnums)(*arguments, scale=2.0)
        assert same(found, jacrev(f, argnums)(*arguments, scale=2.0))
        assert type(found["v"]) is type(jacrev(f, argnums)(*arguments, scale=2.0)["v"])


def test_dtype_and_nesting():
    f = FUNCTIONS["matrix"]
    assert jacobian(lambda x: x * x)(np.ones(20, np.float32)).dtype == np.float32
    inner = lambda x: np.sum(jacobian(lambda y: np.sin(y) * x)(x) ** 2)  # noqa: E731
    assert same(grad(inner)(X), jacrev(lambda x: np.sum((np.cos(x) * x) ** 2))(X))
    second = jacobian(jacobian(f))(X)
    assert same(second, jacfwd(jacrev(f))(X))
    wide = np.linspace(0, 1, 12)
    assert same(jacobian(jacobian(lambda x: np.sum(x**3)))(wide), np.diag(6 * wide))


def test_refusals():
    for attempt in (
        lambda: jacobian(3.0),
        lambda: jacobian(np.sin, chunk=0),
        lambda: jacobian(np.argsort)(X),
        lambda: jacobian(lambda x: np.ones(2))(X),
        lambda: jacobian(lambda x: np.ones(2))(np.ones(20)),
        lambda: jacobian(np.sin, 1)(X),
    ):
        with pytest.raises(LitadError):
            attempt()


def test_numbers_of_hessians():
    quadratic = lambda x: x[0] ** 2 + 2 * x[0] * x[1] + 3 * x[1] ** 2  # noqa: E731
    rosenbrock = lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2  # noqa: E731
    for sparse in (False, True):
        H = hessian(quadratic, sparse=sparse)(np.array([0.3, -2.0]))
        assert np.allclose(H.toarray() if sparse else H, [[2, 2], [2, 6]], rtol=0, atol=1e-10)
        H = hessian(rosenbrock, sparse=sparse)(np.ones(2))
        assert np.allclose(
            H.toarray() if sparse else H, [[802, -400], [-400, 200]], rtol=0, atol=1e-10
        )
    assert hessian(rosenbrock).explain(np.ones(2)).directions == 2


def test_hvp():
    f = lambda p: np.sum(np.tanh(p["x"]) ** 2) * p["s"] + np.sum(p["x"]) ** 3  # noqa: E731
    at = {"x": X, "s": 1.5}
    v = {"x": np.array([1.0, -2.0, 0.5, 3.0]), "s": -0.5}
    H = hessian(f)(at)
    expected = {
        "x": H["x"]["x"] @ v["x"] + H["x"]["s"] * v["s"],
        "s": H["s"]["x"] @ v["x"] + H["s"]["s"] * v["s"],
    }
    product = hvp(f, at)
    for found in (hvp(f, at, v), product(v), product(v)):
        assert same(found, expected)


@named
def test_linearize(name):
    "value and map agree with jvp, and the transpose with vjp"
    f, v = FUNCTIONS[name], np.array([1.0, -0.5, 2.0, 0.25])
    value, push = linearize(f, X)
    y, t = jvp(f, (X,), (v,))
    assert same(value, y, 0) and same(push(v), t) and same(push(2 * v), push(v + v), 0)
    assert same(jacfwd(push)(v), jacfwd(f)(X))
    assert same(
        jvp(lambda x: linearize(f, x)[1](v), (X,), (v,)),
        jvp(lambda x: jvp(f, (x,), (v,))[1], (X,), (v,)),
    )


def test_linearize_runs_once_and_survives_changes():
    runs, x = itertools.count(), X.copy()

    def f(x, n, y):
        next(runs)
        return np.sin(x * y) ** n

    value, push = linearize(f, x, 3, 2.0)
    expected = jvp(f, (X, 3, 2.0), (X, None, 1.0))[1]
    before = next(runs)
    x[:] = 7.0
    for _ in range(5):
        assert same(push(X, None, 1.0), expected)
    assert next(runs) == before + 1
    assert push(X.astype(np.float32), None, 1.0).dtype == float


def test_linearize_edges():
    assert linearize(np.sin, np.ones((0, 2)))[1](np.ones((0, 2))).shape == (0, 2)
    value, push = linearize(
        lambda x: np.where(x > 0, np.sqrt(np.abs(x)), 0.0), np.array([0.0, 4.0])
    )
    assert push(np.ones(2)).tolist() == [0.0, 0.25]
    value, push = linearize(lambda x: (x, np.float64(3.0)), np.float32(2))
    assert push(np.float32(5)) == (5.0, 0.0)
    complex_way = lambda x: np.abs(np.exp(1j * x) + x * 2j)  # noqa: E731
    assert same(linearize(complex_way, X)[1](X), jvp(complex_way, (X,), (X,))[1])
    for attempt in (
        lambda: linearize(np.sin, 1),
        lambda: push(1.0, 2.0),
        lambda: linearize(lambda x: 1.0, 2.0),
    ):
        with pytest.raises((LitadError, TypeError)):
            attempt()


# checks


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"container"}))
def test_right_functions_pass(name):
    checked = check_grads(FUNCTIONS[name], (X,), order=2)
    assert {law.order for law in checked.laws} == {1, 2} and max(
        law.worst for law in checked.laws
    ) < 1
    assert "duality" in repr(checked) or "Jv" in repr(checked)


def test_checks_take_containers_constants_and_single_precision():
    model = lambda p, k, x: {"y": np.tanh(x * p["w"]) ** k, "s": p["b"]}  # noqa: E731
    check_grads(model, ({"w": X, "b": 2.0}, 3, X), order=2)
    check_grads(lambda x: np.sin(x) * x, (X.astype(np.float32),), order=2)
    check_grads(np.abs, (np.array([0.0, 1.0]),), order=1)
    check_grads(np.sin, (np.ones((0, 3)),), order=2)


def wrong_rule(kind, factor):
    wrap = custom_jvp if kind == "jvp" else custom_vjp

    @wrap
    def f(x):
        return np.sin(x)

    def slope(x, t):
        return t * np.cos(x) * np.where(np.arange(4) == 2, factor, 1.0)

    if kind == "jvp":
        f.defjvp(lambda primals, tangents: (f(*primals), slope(*primals, *tangents)))
    else:
        f.defvjp(lambda x: (f(x), x), lambda x, t: (slope(x, t),))
    return f


@pytest.mark.parametrize("kind", ["jvp", "vjp"])
@pytest.mark.parametrize("modes", ["fwd", "rev", ("fwd", "rev")])
@pytest.mark.parametrize("factor", [-1.0, 0.0, 1.001])
def test_wrong_rules_are_found_and_named(kind, modes, factor):
    check_grads(wrong_rule(kind, 1.0), (X,), order=2, modes=modes)
    with pytest.raises(CheckFailed, match=r"2") as caught:
        check_grads(wrong_rule(kind, factor), (X,), order=1, modes=modes)
    assert isinstance(caught.value, AssertionError) and isinstance(caught.value, LitadError)
    law = "reverse = difference" if modes == "rev" else "forward = difference"
    assert law in str(caught.value)
    assert "[2]" in str(caught.value) or "a random direction" in str(caught.value)


def test_modes_that_disagree_are_found():
    from litad.arguments import select
    from litad.checks import Point, duality

    @custom_vjp
    def f(x):
        return x**2

    f.defvjp(lambda x: (f(x), x), lambda x, t: (t * 2 * x,))
    point = Point(f, select("t", (X,), (0,)))
    assert duality(point, 1, [X], X)[0].worst < 1


def test_check_refuses_what_it_cannot_check():
    for attempt in (
        lambda: check_grads(np.sin, X),
        lambda: check_grads(np.sin, (X,), order=0),
        lambda: check_grads(np.sin, (X,), modes=("backwards",)),
        lambda: check_grads(3.0, (X,)),
        lambda: check_grads(np.sin, (1,)),
    ):
        with pytest.raises(LitadError):
            attempt()


def test_vjp_of_a_linear_map_is_its_transpose():
    value, push = linearize(FUNCTIONS["matrix"], X)
    w = np.array([1.0, 2.0, 3.0])
    assert same(vjp(push, X)[1](w), vjp(FUNCTIONS["matrix"], X)[1](w))


@pytest.mark.parametrize("transform", [jacfwd, jacrev])
def test_a_jacobian_carries_something_beside_it(transform):
    matrix, beside = transform(lambda x: (np.sin(x), {"twice": 2 * x, "name": "s"}), has_aux=True)(
        np.ones(2)
    )
    assert np.allclose(matrix, np.diag(np.cos(np.ones(2))))
    assert beside["name"] == "s" and type(beside["twice"]) is np.ndarray
    matrix, beside = hessian(lambda x: (np.sum(x**3), x), has_aux=True)(np.ones(2))
    assert np.allclose(matrix, 6 * np.eye(2)) and np.all(beside == 1)


def test_columns_of_several_arguments_in_a_program():
    f = lambda p, m: m @ np.ones(2) * p  # noqa: E731
    a = np.arange(4.0).reshape(2, 2)
    for found, exact in zip(litad.jit(jacfwd(f, (0, 1)))(1.5, a), jacfwd(f, (0, 1))(1.5, a)):
        assert np.allclose(found, exact)
    with pytest.raises(LitadError, match="no differentiable path leads from argument 1"):
        litad.jit(jacfwd(lambda p, m: p * np.ones(2), (0, 1)))(1.5, a)
