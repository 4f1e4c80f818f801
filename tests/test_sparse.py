"""Patterns that miss nothing, colours that are few, and the same matrices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import V as LAW_V
from laws import X as LAW_X
from test_coverage import EXAMPLES

from litad import grad, jacfwd, jacrev
from litad.buffers import put
from litad.core import LitadError
from litad.derivatives import hessian, jacobian
from litad.footprints import sparsity
from litad.rules import custom_jvp
from litad.sparse import colour_columns, colour_symmetric, number_of
from litad.tree import flatten


def tridiagonal(u):
    flow = np.tanh(u[1:] - u[:-1])
    return np.concatenate([flow[:1], flow[1:] - flow[:-1], -flow[-1:]])


def arrow(x):
    return np.sum(np.sin(x[0] * x)) + np.sum(x**4)


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def dense(f, x):
    return np.reshape(jacfwd(f, chunk=64)(x), (-1, np.size(x)))


def test_tridiagonal_of_a_thousand_in_three():
    u, runs = np.linspace(0, 1, 1000) ** 2, itertools.count()

    def f(u):
        next(runs)
        return tridiagonal(u)

    plan = jacobian(f, sparse=True, chunk=1).explain(u)
    assert (plan.directions, plan.passes, plan.entries, plan.least) == (3, 3, 2998, 3)
    before = next(runs)
    J = jacobian(f, sparse=True, chunk=1)(u)
    assert next(runs) == before + 1 + 1 + 3  # one for the pattern, and three passes
    assert isinstance(J, scipy.sparse.csr_array) and J.nnz == 2998
    assert np.array_equal(J.toarray(), dense(tridiagonal, u))


def test_arrow_hessian_in_two():
    x = np.random.default_rng(0).standard_normal(1000)
    plan = hessian(arrow, sparse=True, chunk=1).explain(x)
    assert (plan.directions, plan.passes, plan.entries) == (2, 2, 2998)
    H = hessian(arrow, sparse=True)(x)
    assert isinstance(H, scipy.sparse.csr_array) and H.nnz == 2998
    assert np.allclose(H.toarray(), hessian(arrow, chunk=64)(x), rtol=1e-12, atol=1e-12)
    assert hessian(rosenbrock, sparse=True).explain(x).directions == 3
    H = hessian(rosenbrock, sparse=True)(x)
    assert np.allclose(H.toarray(), hessian(rosenbrock, chunk=64)(x), rtol=1e-12, atol=1e-9)


A = np.random.default_rng(1).standard_normal((4, 6)) * (
    np.random.default_rng(2).random((4, 6)) < 0.4
)
STACK = np.random.default_rng(3).standard_normal((2, 3, 3))
FUNCTIONS = {
    "elementwise": lambda x: np.sin(x) * np.exp(-x),
    "constant matrix": lambda x: A @ np.tanh(x),
    "matrix on the right": lambda x: x @ A.T,
    "two matrices": lambda x: np.reshape(x, (2, 3)) @ np.reshape(x, (3, 2)),
    "vector and matrix": lambda x: x[:2] @ np.reshape(x, (2, 3)),
    "matrix and vector": lambda x: np.reshape(x, (2, 3)) @ x[:3],
    "inner": lambda x: x @ x[::-1],
    "stack of matrices": lambda x: STACK @ np.reshape(x, (2, 3, 1)),
    "broadcast stack": lambda x: np.reshape(x, (2, 1, 3)) @ STACK,
    "broadcast": lambda x: x[:3, None] * x[None, 3:] + x[0],
    "sum of an axis": lambda x: np.sum(np.reshape(x, (2, 3)) ** 2, axis=1),
    "sum, kept": lambda x: np.sum(np.reshape(x, (2, 3)) ** 2, axis=0, keepdims=True),
    "max of an axis": lambda x: np.max(np.reshape(x, (2, 3)), axis=0),
    "mean and variance": lambda x: np.stack([np.mean(x[:3]), np.var(x[3:])]),
    "slices": lambda x: x[::2] * x[1::2],
    "indices": lambda x: x[np.array([0, 3, 3, 5])] ** 2,
    "mask": lambda x: x[x > 0] ** 2,
    "transpose": lambda x: np.reshape(x, (2, 3)).T * np.arange(1.0, 3.0),
    "concatenate": lambda x: np.concatenate([x[4:], np.ones(2), x[:2] * x[0]]),
    "stack": lambda x: np.stack([x[0] * x[1], x[2], 3.0 * x[5]]),
    "where": lambda x: np.where(x > 0, x[::-1], x[0] * x),
    "maximum": lambda x: np.maximum(x[:3], x[3:]),
    "complex": lambda x: np.abs(np.exp(1j * x[:3]) + x[3:] * 2j),
    "imaginary": lambda x: np.imag((1 + 2j) * x[:3] + 1j * x[3:]),
    "take": lambda x: np.take(np.reshape(x, (2, 3)), [2, 0], 1),
    "flip": lambda x: np.flip(np.reshape(x, (2, 3)), 0) * x[:3],
    "outer": lambda x: np.outer(x[:2], x[4:]),
    "put": lambda x: stores(x),
    "zero-size": lambda x: x[:0] * 2,
    "number": lambda x: x[0] * x[3],
}


def stores(x):
    y = x * 1.0
    y[1:3] = x[4:] * x[0]
    y[5] *= x[2]
    return y


X = np.random.default_rng(4).standard_normal(6)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_jacobians(name):
    f, expected = FUNCTIONS[name], dense(FUNCTIONS[name], X)
    pattern = sparsity(f)(X)
    assert pattern.shape == expected.shape and not np.any(expected[~pattern.toarray()])
    for chunk in (None, 1, 2):
        assert np.allclose(
            jacobian(f, sparse=True, chunk=chunk)(X).toarray(), expected, 1e-13, 1e-14
        )
    assert np.allclose(jacobian(f, sparse=pattern)(X).toarray(), expected, 1e-13, 1e-14)


EXACT = set(FUNCTIONS) - {"max of an axis", "where", "maximum", "put", "broadcast stack"}


@pytest.mark.parametrize("name", sorted(EXACT))
def test_patterns_are_no_larger_than_needed(name):
    f = FUNCTIONS[name]
    at_random = [dense(f, X * s) != 0 for s in (1.0, 0.7, 1.3)]
    assert np.array_equal(sparsity(f)(X).toarray(), np.any(at_random, axis=0))


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"zero-size"}))
def test_hessians(name):
    f = lambda x: np.sum(np.sin(FUNCTIONS[name](x)) ** 2)  # noqa: E731
    expected = hessian(f)(X)
    H = hessian(f, sparse=True)(X)
    assert np.allclose(H.toarray(), expected, 1e-11, 1e-12)
    assert not np.any(expected[~sparsity(grad(f))(X).toarray()])
    assert np.allclose(
        hessian(f, sparse=H.astype(bool) + sparsity(grad(f))(X))(X).toarray(),
        expected,
        1e-11,
        1e-12,
    )


@given(st.integers(0, 100_000))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_random_sparse_functions(seed):
    "sparse matrices equal the dense ones, for chains of random sparse steps"
    random = np.random.default_rng(seed)
    n, sizes = int(random.integers(1, 12)), random.integers(1, 12, 3)
    steps, width = [], n
    for size in sizes:
        i, j = random.integers(0, width, (2, size))
        matrix = random.standard_normal((size, width)) * (random.random((size, width)) < 0.2)
        kind = random.integers(0, 5)
        steps.append((kind, i, j, matrix))
        width = size

    def f(x):
        for kind, i, j, matrix in steps:
            if kind == 0:
                x = np.sin(x[i]) * x[j]
            elif kind == 1:
                x = matrix @ np.tanh(x)
            elif kind == 2:
                x = np.where(x[i] > 0, x[j], x[i] ** 2)
            elif kind == 3:
                x = np.maximum(x[i], 0.3 * x[j])
            else:
                x = x[i] / (1 + x[j] ** 2)
        return x

    x = random.standard_normal(n)
    assert np.allclose(jacobian(f, sparse=True)(x).toarray(), dense(f, x), 1e-12, 1e-13)
    g = lambda x: np.sum(f(x) ** 2)  # noqa: E731
    assert np.allclose(hessian(g, sparse=True)(x).toarray(), hessian(g)(x), 1e-10, 1e-11)


@given(st.integers(0, 100_000), st.floats(0.02, 0.9))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_colourings(seed, density):
    "columns of a colour share no row; star colourings recover every entry"
    random = np.random.default_rng(seed)
    m, n = random.integers(1, 30, 2)
    pattern = random.random((m, n)) < density
    colours = colour_columns(pattern)
    for line in pattern:
        assert len(set(colours[line])) == line.sum()
    assert np.array_equal(colours == -1, ~pattern.any(axis=0))
    square = random.random((n, n)) < density
    square |= square.T
    colours = colour_symmetric(square)
    meets = np.array(
        [[np.sum(square[i] & (colours == c)) for c in range(number_of(colours))] for i in range(n)]
    )
    for i, j in zip(*np.nonzero(square)):
        assert meets[i, colours[j]] == 1 or meets[j, colours[i]] == 1


@pytest.mark.filterwarnings("ignore")
def test_every_function_of_numpy():
    "no example of the coverage page has a nonzero outside of its pattern"
    z, n, checked = np.concatenate([LAW_X.ravel(), LAW_V]), LAW_X.size, 0
    for name, examples in EXAMPLES.items():
        f = examples[0]
        g = lambda z, f=f: flat(f(z[:n].reshape(LAW_X.shape), z[n:]))  # noqa: E731
        try:
            expected = jacfwd(g)(z)
        except (LitadError, ValueError):
            continue
        assert not np.abs(expected[~sparsity(g)(z).toarray()]).max(initial=0) > 1e-12, name
        assert np.allclose(jacobian(g, sparse=True)(z).toarray(), expected, 1e-10, 1e-11), name
        checked += 1
    assert checked > 100


def flat(tree):
    leaves = flatten(tree)[0]
    parts = [(np.real(y), np.imag(y)) if y.dtype.kind == "c" else (y,) for y in leaves]
    return np.concatenate([np.ravel(y) for group in parts for y in group])


def test_dense_patterns_are_coloured_in_reasonable_time():
    full = np.ones((300, 300), bool)
    assert number_of(colour_columns(full)) == number_of(colour_symmetric(full)) == 300


def test_mode_follows_colours():
    tall = lambda x: np.concatenate([np.stack([x[0] * np.sum(x)]), x[1:] ** 2])  # noqa: E731
    x = np.linspace(1, 2, 30)
    plan = jacobian(tall, sparse=True).explain(x)
    assert plan.mode == "reverse" and plan.directions == 2
    assert np.allclose(jacobian(tall, sparse=True)(x).toarray(), dense(tall, x))
    assert np.allclose(jacobian(tall, sparse=sparsity(tall)(x))(x).toarray(), dense(tall, x))
    assert jacobian(tridiagonal, sparse=True).explain(x).mode == "forward"
    assert "colours" in repr(plan)


def test_unknown_primitives_read_everything():
    @custom_jvp
    def f(x):
        return x**2

    f.defjvp(lambda primals, tangents: (f(*primals), 2 * primals[0] * tangents[0]))
    assert sparsity(f)(X).nnz == 36
    assert np.allclose(jacobian(f, sparse=True)(X).toarray(), np.diag(2 * X))
    assert put.structure == "general" and sparsity(FUNCTIONS["put"])(X).nnz < 36


def test_containers_and_dtypes():
    def f(p, y):
        return {"u": p["a"] * y, "v": p["b"] ** 2}

    args = {"a": np.arange(3.0), "b": 2.0}, np.ones(3)
    found, expected = jacobian(f, (0, 1), sparse=True)(*args), jacrev(f, (0, 1))(*args)
    assert found["u"][0]["a"].shape == (3, 3) and found["v"][0]["b"].shape == (1, 1)
    for y, (k, leaf) in itertools.product("uv", ((0, "a"), (0, "b"), (1, None))):
        a, b = (t[y][k] if leaf is None else t[y][k][leaf] for t in (found, expected))
        assert np.array_equal(a.toarray().ravel(), np.ravel(b))
    g = lambda p: np.sum(p["a"][1:] * p["a"][:-1]) * p["b"]  # noqa: E731
    found, expected = hessian(g, sparse=True)(args[0]), hessian(g)(args[0])
    for a, b in itertools.product("ab", "ab"):
        assert np.allclose(found[a][b].toarray().ravel(), np.ravel(expected[a][b]))
    assert jacobian(np.sin, sparse=True)(np.ones(3, np.float32)).dtype == np.float32
    assert jacobian(np.sin, sparse=True)(np.ones((2, 0))).shape == (0, 0)
    assert jacobian(np.sin, sparse=True)(2.0).toarray() == np.cos(2.0)
    assert hessian(lambda x: np.sum(x), sparse=True)(np.ones(3)).nnz == 0


def test_patterns_do_not_depend_on_values():
    zero = np.zeros(6)
    for name in ("elementwise", "where", "maximum", "outer", "two matrices", "put"):
        assert np.array_equal(
            sparsity(FUNCTIONS[name])(zero).toarray(), sparsity(FUNCTIONS[name])(X).toarray()
        )
    J = jacobian(FUNCTIONS["outer"], sparse=True)(zero)
    assert J.nnz == 8 and not J.toarray().any()


def test_known_patterns_are_checked():
    u = np.linspace(0, 1, 30) ** 2
    known = sparsity(tridiagonal)(u).toarray()
    assert np.array_equal(jacobian(tridiagonal, sparse=known)(u).toarray(), dense(tridiagonal, u))
    larger = known | np.eye(30, k=7, dtype=bool)
    assert np.array_equal(jacobian(tridiagonal, sparse=larger)(u).toarray(), dense(tridiagonal, u))
    for i, j in zip(*np.nonzero(known)):
        wrong = known.copy()
        wrong[i, j] = False
        with pytest.raises(LitadError, match="misses entries"):
            jacobian(tridiagonal, sparse=wrong)(u)
    with pytest.raises(LitadError, match="misses entries"):
        hessian(rosenbrock, sparse=np.eye(30))(u)
    with pytest.raises(LitadError, match="shape"):
        jacobian(tridiagonal, sparse=np.eye(29))(u)


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: sparsity(lambda x: np.ones(3))(X),
        lambda: sparsity(3.0),
        lambda: jacobian(lambda x: np.ones(3), sparse=True)(X),
        lambda: jacfwd(lambda x: jacobian(tridiagonal, sparse=True)(x).toarray())(X),
        lambda: grad(lambda s: jacobian(lambda x: tridiagonal(x * s), sparse=True)(X).sum())(2.0),
        lambda: hessian(tridiagonal, sparse=True)(X),
        lambda: jacobian(np.argsort, sparse=True)(X),
    ],
)
def test_refusals(attempt):
    with pytest.raises(LitadError):
        attempt()


def test_escaped_footprints_are_refused():
    kept = []
    sparsity(lambda x: kept.append(x) or x * 2)(X)
    with pytest.raises(LitadError, match="had ended"):
        np.sin(kept[0])
