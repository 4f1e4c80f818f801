"""What gives wrong gradients without a word elsewhere: here right, or refused."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import litad.program
from litad import (
    LitadError,
    derivative,
    grad,
    gradient,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    linearize,
    value_and_grad,
    vjp,
)

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
SMALL, LARGE = 5, 1 << 15


def pulled(f, x, spoil, w=None):
    "The pullback of f at x, after the caller has changed what can still be reached."
    y, pullback = vjp(f, x)
    spoil()
    return pullback(np.ones(np.shape(y))[()] if w is None else w)[0]


def right_or_refused(attempt, expected):
    "A derivative as it was when the function ran, or the refusal of what was changed."
    try:
        found = attempt()
    except LitadError as error:
        assert "changed" in str(error) and "copy" in str(error)
    else:
        assert np.allclose(found, expected, rtol=1e-12)


# What a function may hold beside its variable: how it uses it, and its derivative for ones.
def held(rng, n):
    a = rng.standard_normal(n)
    i = rng.integers(0, n, n)
    once = rng.permutation(n)
    m = rng.random(n) < 0.5
    M = rng.standard_normal((n // 5, 5))
    counts = lambda k: np.bincount(k.ravel(), minlength=n)  # noqa: E731
    w = np.arange(n, dtype=float)

    def scattered(x):
        y = np.zeros_like(x)
        y[once] = x
        return y * w

    def in_place(x):
        y = x * 1.0
        y *= a
        y[1:] += a[1:] * x[:-1]
        return y

    return {
        "factor": (lambda x: x * a, a, a.copy(), n),
        "view of a factor": (lambda x: x * a[::-1], a, a[::-1].copy(), n),
        "divisor": (lambda x: x / (a + 9), a, 1 / (a + 9), n),
        "divisor itself": (lambda x: x / a, a, 1 / a, n),
        "exponent": (lambda x: x**a, a, a.copy(), n),
        "integers": (lambda x: x[i], i, counts(i), n),
        "integers in a tuple": (lambda x: x[(i,)], i, counts(i), n),
        "take": (lambda x: np.take(x, i), i, counts(i), n),
        "take_along_axis": (lambda x: np.take_along_axis(x, i, 0), i, counts(i), n),
        "mask": (lambda x: x[m], m, m.copy(), n),
        "where": (lambda x: np.where(m, x, 0.0), m, m.copy(), n),
        "where=": (lambda x: np.sum(x, where=m), m, m.copy(), n),
        "stored at": (scattered, once, w[once], n),
        "in place": (in_place, a, a + np.append(a[1:], 0.0), n),
        "matrix": (lambda x: M @ x, M, M.sum(0), 5),
        "einsum": (lambda x: np.einsum("ij,j->i", M, x), M, M.sum(0), 5),
        "tensordot": (lambda x: np.tensordot(M, x, 1), M, M.sum(0), 5),
        "bounds": (lambda x: np.clip(x - 1, a, 9.0), a, (a < 0) * 1.0, n),
        "weights": (lambda x: np.average(x, weights=a), a, a / a.sum(), n),
        "knots": (lambda x: np.trapezoid(x, a), a, np.gradient(a) * 0 + trapezia(a), n),
        "repeats": (lambda x: np.repeat(x, i % 3), i, i % 3, n),
        "choice": (lambda x: np.choose(m * 1, [x, 2 * x]), m, m + 1.0, n),
        "select": (lambda x: np.select([m], [x], 3 * x), m, np.where(m, 1.0, 3.0), n),
        "out= and where=": (
            lambda x: np.multiply(x, a, out=np.zeros_like(x), where=m),
            m,
            np.where(m, a, 0.0),
            n,
        ),
    }


def trapezia(x):
    d = np.diff(x)
    return (np.append(d, 0.0) + np.append(0.0, d)) / 2


@pytest.mark.parametrize("n", [SMALL, LARGE])
@pytest.mark.parametrize("kind", sorted(held(np.random.default_rng(0), SMALL)))
def test_what_a_function_holds_is_changed_before_the_pullback(kind, n):
    "an array or an index that changes between forward and pullback does not change the gradient"
    f, array, expected, size = held(np.random.default_rng(n), n)[kind]
    right_or_refused(lambda: pulled(f, np.ones(size), lambda: array.fill(0)), expected)


@pytest.mark.parametrize("n", [SMALL, LARGE])
@pytest.mark.parametrize("kind", sorted(held(np.random.default_rng(0), SMALL)))
def test_what_a_function_holds_is_changed_before_the_linear_map(kind, n):
    f, array, expected, size = held(np.random.default_rng(n), n)[kind]

    def attempt():
        _, push = linearize(f, np.ones(size))
        array.fill(0)
        return np.sum(push(np.ones(size)))

    right_or_refused(attempt, np.sum(expected))


@pytest.mark.parametrize("n", [SMALL, LARGE])
@pytest.mark.parametrize(
    "f",
    [
        np.exp,
        lambda x: np.exp(x)[:],
        lambda x: np.exp(x) * x,
        lambda x: np.reshape(np.sqrt(np.exp(x)), (1, -1)),
        lambda x: np.tanh(x)[::2],
        lambda x: x * x,
        lambda x: np.linalg.norm(x),
        lambda x: np.cumprod(np.exp(x / x.size)),
        lambda x: (lambda e: (e, e * e))(np.exp(x)),
        lambda x: (x, x * x),
    ],
)
def test_arguments_and_results_are_changed_before_the_pullback(f, n):
    "results belong to the caller: writing into them, or into the argument, changes no derivative"
    x = np.linspace(0.1, 1.0, n)
    fill = lambda *arrays: [a.fill(7) for a in arrays if isinstance(a, np.ndarray)]  # noqa: E731
    tree = lambda y: y if isinstance(y, tuple) else (y,)  # noqa: E731
    ones = lambda y: litad.tree.tree_map(lambda a: np.ones(np.shape(a))[()], y)  # noqa: E731
    y, pullback = vjp(f, x)
    expected = pullback(ones(y))[0].copy()
    y, push = linearize(f, x)
    moved = [np.array(a) for a in tree(push(np.ones(n)))]
    for way in (vjp, linearize):
        mine = x.copy()
        y, linear = way(f, mine)
        w = ones(y) if way is vjp else np.ones(n)
        fill(mine, *tree(y))
        found = tree(linear(w))
        for a, b in zip(found, [expected] if way is vjp else moved):
            assert np.array_equal(a, b)
        fill(*found)
        for a, b in zip(tree(linear(w)), [expected] if way is vjp else moved):
            assert np.array_equal(a, b)
        assert all(np.all(np.asarray(a) == 1) for a in tree(w))


def test_what_rides_along_is_changed_before_the_pullback():
    def f(x):
        e = np.exp(x)
        return e * e, {"half": e, "own": x}

    x = np.ones(3)
    _, pullback, aux = vjp(f, x, has_aux=True)
    aux["half"][:] = aux["own"][:] = 0
    assert np.allclose(pullback(np.ones(3))[0], 2 * np.exp(2))


@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_an_array_reused_in_a_loop(n):
    "each step uses what the array held in that step"
    a = np.empty(n)

    def f(x):
        total = 0.0
        for k in range(3):
            a[:] = k + 1
            total = total + np.sum(x * a)
        return total

    right_or_refused(lambda: grad(f)(np.ones(n)), np.full(n, 6.0))
    assert np.allclose(jvp(f, (np.ones(n),), (np.ones(n),))[1], 6.0 * n)


@pytest.mark.parametrize("n", [SMALL, LARGE])
@pytest.mark.parametrize(
    "way",
    [
        lambda f, x: grad(f)(x),
        lambda f, x: value_and_grad(f)(x)[1],
        lambda f, x: grad(lambda p: f(p["a"]))({"a": x})["a"],
        lambda f, x: vjp(f, x)[1](1.0)[0],
        lambda f, x: jacrev(f)(x),
        lambda f, x: linearize(f, x)[1](np.ones_like(x)),
        lambda f, x: jvp(f, (x,), (np.ones_like(x),))[1],
        lambda f, x: gradient(f, chunk=x.size)(x) if x.size == SMALL else None,
        lambda f, x: hvp(f, x, np.ones_like(x)),
        lambda f, x: litad.jet(f, x, 2)[1],
    ],
)
def test_the_argument_is_changed_while_the_function_runs(way, n):
    "a function that writes into the caller's own array is differentiated where it was called"
    mine = np.ones(n)

    def f(x, spoil=True):
        y = np.sin(x)
        if spoil:
            mine[:] = 0.0
        return np.sum(y * x * x)

    expected = way(lambda x: f(x, False), np.ones(n))
    found = way(f, mine)
    assert np.all(expected == found) and (found is None or not mine.any())


LEAK = {
    "grad": lambda f: grad(f)(np.ones(3)),
    "value_and_grad": lambda f: value_and_grad(f)(np.ones(3)),
    "jvp": lambda f: jvp(f, (np.ones(3),), (np.ones(3),)),
    "vjp": lambda f: vjp(f, np.ones(3))[1](1.0),
    "linearize": lambda f: linearize(f, np.ones(3))[1](np.ones(3)),
    "jacfwd": lambda f: jacfwd(f)(np.ones(3)),
    "jacrev": lambda f: jacrev(f)(np.ones(3)),
    "gradient": lambda f: gradient(f)(np.ones(3)),
    "hessian": lambda f: hessian(f)(np.ones(3)),
    "hvp": lambda f: hvp(f, np.ones(3), np.ones(3)),
}
USES = {
    "operator": lambda y: y * 2,
    "array on the left": lambda y: np.ones(3) - y,
    "ufunc": np.sin,
    "function": np.sum,
    "method": lambda y: y.reshape(3, 1),
    "element": lambda y: y[0],
    "slice": lambda y: y[1:],
    "store": lambda y: y.__setitem__(0, 1.0),
    "in place": lambda y: y.__iadd__(1.0),
    "stored": lambda y: grad(lambda x: store_all(np.zeros_like(x), y))(np.ones(3)),
    "comparison": lambda y: y > 0,
    "matmul": lambda y: np.eye(3) @ y,
    "stack": lambda y: np.stack([y, np.ones(3)]),
    "later gradient": lambda y: grad(lambda x: np.sum(x * y))(np.ones(3)),
    "later push": lambda y: jvp(lambda x: x * y, (np.ones(3),), (np.ones(3),)),
    "later argument": lambda y: grad(np.sum)(y),
    "later direction": lambda y: jvp(np.sum, (np.ones(3),), (y,)),
    "later cotangent": lambda y: vjp(np.sin, np.ones(3))[1](y),
    "later result": lambda y: vjp(lambda x: np.stack([x, y]), np.ones(3)),
}


def store_all(buffer, y):
    buffer[:] = y
    return np.sum(buffer * buffer)


@pytest.mark.parametrize("use", sorted(USES))
@pytest.mark.parametrize("way", sorted(LEAK))
def test_a_value_that_leaked_is_refused(way, use):
    "a box that escaped its function is refused in every later use"
    leaked = []
    LEAK[way](lambda x: (leaked.append(np.sin(x)), np.sum(x * x))[1])
    with pytest.raises(LitadError, match="ended"):
        USES[use](leaked[0])


def test_nested_derivatives_in_eight_threads():
    "d/dx of x d/dy (x y^2 / 2) at y = x = 1.5 is 6.75, in every thread"

    def work():
        return derivative(lambda x: x * derivative(lambda y: x * y * y / 2)(x))(1.5)

    assert work() == 6.75  # x * x * x -> 3 x^2
    found, barrier = [], threading.Barrier(8)

    def run():
        barrier.wait()
        found.extend([work() for _ in range(100)])

    threads = [threading.Thread(target=run) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert set(found) == {6.75} and len(found) == 800


@pytest.mark.parametrize("argnums", [(0, 0), (1, -1), [0, 1, 0]])
@pytest.mark.parametrize("way", [grad, value_and_grad, gradient, jacfwd, jacrev, jacobian, hessian])
def test_the_same_argument_twice(way, argnums):
    with pytest.raises(LitadError, match="twice"):
        way(lambda a, b: a * b, argnums)(1.0, 2.0)


@pytest.mark.parametrize("way", [grad, gradient, jacfwd, jacrev, jacobian, hessian])
def test_an_unused_argument(way):
    "refused by name in every mode, alone and beside others, unless it is allowed"
    x, y = np.ones(2), np.ones(3)
    f = (lambda x, y: np.sin(x)) if way in (jacfwd, jacrev, jacobian) else lambda x, y: np.sum(x**2)
    for argnums in (1, (0, 1), (1, 0)):
        with pytest.raises(LitadError, match="path") as error:
            way(f, argnums)(x, y)
        assert "argument 1" in str(error.value) or argnums == 1
    if way in (jacfwd, jacrev, jacobian):
        shapes = [np.shape(b) for b in way(f, (0, 1), allow_unused=True)(x, y)]
        assert shapes == [(2, 2), (2, 3)]
        assert not way(f, 1, allow_unused=True)(x, y).any()
        flat = way(lambda x, y: x * np.sign(y[:2]), (0, 1))(x, y)[1]
        assert not flat.any(), "a slope of zero is a path"


def test_dictionaries_are_matched_by_key():
    "the order in which keys were put in is not part of a structure"
    f = lambda p: {"u": 2 * p["a"] + p["b"], "v": 5 * p["b"]}  # noqa: E731
    x = {"a": 1.0, "b": np.ones(2)}
    value, pushed = jvp(f, (x,), ({"b": np.zeros(2), "a": 1.0},))
    assert pushed["u"].tolist() == [2.0, 2.0] and not pushed["v"].any()
    _, pullback = vjp(f, x)
    one = {"v": np.zeros(2), "u": np.array([1.0, 0.0])}
    (g,) = pullback(one)
    assert list(g) == ["a", "b"] and g["a"] == 2.0 and g["b"].tolist() == [1.0, 0.0]
    _, push = linearize(f, x)
    assert push({"b": np.zeros(2), "a": 1.0})["u"].tolist() == [2.0, 2.0]
    assert hvp(lambda p: p["a"] ** 3 * p["b"], {"a": 1.0, "b": 2.0}, {"b": 0.0, "a": 1.0}) == {
        "a": 12.0,
        "b": 3.0,
    }
    program = litad.program.trace(f, x)
    found = program({"b": np.ones(2), "a": 1.0})
    assert found["u"].tolist() == [3.0, 3.0] and found["v"].tolist() == [5.0, 5.0]
    with pytest.raises(LitadError, match="structure"):
        program({"b": np.ones(2)})
    for wrong in ({"u": np.ones(2)}, {"u": np.ones(2), "w": np.ones(2)}, (np.ones(2), np.ones(2))):
        with pytest.raises(LitadError, match="structure"):
            pullback(wrong)


def test_results_in_a_dictionary_have_derivatives():
    f = lambda x: {"a": x, "b": 2 * x}  # noqa: E731
    assert jvp(f, (3.0,), (1.0,))[1] == {"a": 1.0, "b": 2.0}
    for way in (jacfwd, jacrev, jacobian):
        assert way(f)(3.0) == {"a": 1.0, "b": 2.0}
    assert vjp(f, 3.0)[1]({"a": 1.0, "b": 10.0}) == (21.0,)
    with pytest.raises(LitadError, match="one number"):
        grad(f)(3.0)


def test_a_container_that_contains_itself():
    for make in (lambda p: [1.0, p], lambda p: [[p]]):
        p = []
        p.append(make(p))
        with pytest.raises(ValueError, match="contains itself"):
            grad(lambda q: 1.0)(p)
    shared = [1.0]
    assert grad(lambda p: sum(q[0] for q in p) ** 2)([shared] * 5000)[0] == [10000.0]


@pytest.mark.parametrize("way", sorted(LEAK))
def test_an_exception_at_any_operation(way):
    "wherever a program stops, what runs next is right"

    class Stop(Exception):
        pass

    def program(stop):
        left = [stop]

        def step(y):
            left[0] -= 1
            if left[0] == 0:
                raise Stop
            return y

        def f(x):
            y = step(np.sin(x))
            z = step(np.zeros_like(x))
            z[0] = step(y[0] * y[1])
            z[1:] = step(y[1:])
            y = step(y * grad(lambda u: step(np.sum(step(u * z))))(x))
            y = step(y + jvp(lambda u: step(u * y), (x,), (z,))[1])
            return step(np.sum(step(y @ z)))

        return f, left

    expected, stops = LEAK[way](program(10**9)[0]), 0
    leaves = lambda tree: [np.asarray(a) for a in litad.tree.flatten(tree)[0]]  # noqa: E731
    for stop in range(1, 200):
        f, left = program(stop)
        try:
            LEAK[way](f)
        except Stop:
            stops += 1
        again = LEAK[way](program(10**9)[0])
        assert all(np.array_equal(a, b) for a, b in zip(leaves(again), leaves(expected)))
        if left[0] > 0:
            break
    assert stops >= 11


@pytest.mark.parametrize(
    "f",
    [
        np.tanh,
        lambda x: np.logaddexp(0.0, x),
        lambda x: 1 / (1 + np.exp(-x)),
        lambda x: np.exp(-np.square(x)),
        lambda x: np.arctan(x) / (1 + np.square(x)),
        lambda x: np.tanh(x) ** 2 * np.sqrt(1 + x * x),
    ],
)
def test_curvature_far_out(f):
    "second derivatives of what is flat far away are zero there, not NaN"
    x = np.array([0.0, 1.0, 20.0, 400.0, 1e4, 1e150, -20.0, -400.0, -1e4])
    whole = lambda u: np.sum(f(u))  # noqa: E731
    for found in (
        hvp(whole, x, np.ones_like(x)),
        grad(lambda u: np.sum(grad(whole)(u)))(x),
        np.diag(hessian(whole)(x)),
        jvp(lambda u: jvp(f, (u,), (np.ones_like(x),))[1], (x,), (np.ones_like(x),))[1],
    ):
        assert np.all(np.isfinite(found)) and np.all(np.abs(found[3:6]) < 1e-2)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(
    "f",
    [
        np.max,
        np.min,
        np.ptp,
        np.median,
        np.mean,
        np.std,
        np.var,
        np.prod,
        np.sort,
        np.cumsum,
        lambda x: np.maximum(x, 0.5),
        lambda x: np.where(x > 0, x, 0.0),
        lambda x: np.clip(x, 0, 1),
        lambda x: np.outer(x, x),
        lambda x: np.kron(x, x),
        lambda x: x**2.5,
        lambda x: x / 3,
    ],
)
def test_narrow_floats_stay_narrow(f, dtype):
    x = np.array([0.25, 0.5, 1.5], dtype)
    value, pushed = jvp(f, (x,), (x,))
    _, pullback = vjp(f, x)
    assert value.dtype == pushed.dtype == np.asarray(f(x)).dtype == dtype
    assert pullback(np.ones(np.shape(value), dtype)[()])[0].dtype == dtype


SHAPES = {
    "where with broadcasting": (
        lambda x: np.sum(np.where([[True], [False]], x, x[:1] * 2) * np.arange(6.0).reshape(2, 3)),
        (3,),
    ),
    "outer of matrices": (lambda x: np.sum(np.outer(x, x) * np.arange(36.0).reshape(6, 6)), (2, 3)),
    "var over two axes": (lambda x: np.sum(np.var(x, axis=(0, 2)) * [1, 2, 3]), (2, 3, 4)),
    "std over two axes": (lambda x: np.sum(np.std(x, axis=(-1, 0), ddof=1) ** 3), (2, 3, 4)),
    "kron": (lambda x: np.sum(np.kron(x, x.T) * np.arange(36.0).reshape(6, 6)), (2, 3)),
    "kron of two and one axes": (lambda x: np.sum(np.kron(x, x[0]) ** 2), (2, 3)),
    "tile of a matrix": (lambda x: np.sum(np.tile(x, 2) * np.arange(12.0).reshape(2, 6)), (2, 3)),
    "diag of a wide matrix": (lambda x: np.sum(np.diag(x) * [1, 2] * x[:, 2]), (2, 3)),
    "diag below a tall matrix": (lambda x: np.sum(np.diag(x, -1) ** 2), (3, 2)),
    "column_stack of three axes": (
        lambda x: np.sum(np.column_stack([x, x * x])[:, 1] ** 2),
        (2, 2, 3),
    ),
    "repeat of a number": (lambda x: np.sum(np.repeat(x, 3, axis=0) ** 2), ()),
    "sum of a number along an axis": (lambda x: np.sum(x, axis=-1) * np.max(x * x, axis=0), ()),
    "a number seen through an ellipsis": (lambda x: later_view(x), (3,)),
    "one length": (lambda x: np.sum(np.hypot.reduce(-x, axis=0)), (1, 3)),
}


def later_view(x):
    y = x * 1.0
    first = y[..., 0]
    y *= x
    return first * np.sum(y)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_shapes_that_others_get_wrong(name):
    f, shape = SHAPES[name]
    x = np.random.default_rng(4).standard_normal(shape)[()]
    assert value_and_grad(f)(x)[0] == pytest.approx(f(np.array(x)), rel=1e-14)
    litad.check_grads(f, (x,), order=2)
