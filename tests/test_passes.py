"""Passes keep what a program means: the interpreter gives the same numbers before and after."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from litad import (
    cond,
    custom_jvp,
    fori_loop,
    grad,
    hessian,
    jacfwd,
    jit,
    jvp,
    scan,
    switch,
    value_and_grad,
    while_loop,
)
from litad.passes import drop, fold, optimise, share, show_passes, simplify, unguard
from litad.program import Variable, evaluate, trace
from litad.tree import flatten

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

PASSES = {
    "drop": drop,
    "share": share,
    "fold": lambda p: fold(p, captured=()),
    "simplify": simplify,
    "unguard": unguard,
    "optimise": lambda p: optimise(p, captured=()),
}


def evaluate_unsigned(program, *values):
    "`evaluate`, with every zero positive: passes do not keep the sign of a zero."
    positive = lambda y: y + 0.0 if np.asarray(y).dtype.kind in "fc" else y  # noqa: E731
    known = dict(zip(program.inputs, map(positive, values))) | program.constants
    read = lambda x: known[x] if type(x) is Variable else x  # noqa: E731
    for equation in program.equations:
        results = [positive(y) for y in equation.run([read(x) for x in equation.inputs])]
        known.update(zip(equation.outputs, results))
    return [positive(read(x)) for x in program.outputs]


def agree(before, after, *args, rtol=1e-9, atol=1e-11):
    "The same types, the same NaNs and infinities, and numbers that differ by rounding only."
    leaves = flatten(args)[0]
    olds, news = evaluate_unsigned(before, *leaves), evaluate_unsigned(after, *leaves)
    for old, new in zip(olds, news, strict=True):
        assert np.shape(old) == np.shape(new)
        assert np.asarray(old).dtype == np.asarray(new).dtype
        np.testing.assert_allclose(new, old, rtol=rtol, atol=atol)


def check(f, *args, less=None, **tolerance):
    "All passes on the program of a function; how many lines are left."
    program = trace(f, *args)
    for apply in PASSES.values():
        agree(program, apply(program), *args, **tolerance)
    optimised = optimise(program, captured=())
    if less is not None:
        assert len(optimised) <= less, optimised
    return optimised


def names(program):
    return [e.primitive.name for e in program.equations]


# A random program: steps that take two values from a pool and put one back.
UNARY = {
    "sin": np.sin,
    "tanh": np.tanh,
    "exp": lambda a: np.exp(np.tanh(a)),
    "neg": lambda a: -a,
    "neg neg": lambda a: np.negative(-a),
    "one": lambda a: a * 1,
    "plus zero": lambda a: a + 0.0,
    "square": lambda a: a**2,
    "cube": lambda a: np.tanh(a) ** 3,
    "fourth": lambda a: np.tanh(a) ** 4,
    "half": lambda a: a**0.5,
    "inverse": lambda a: a**-1,
    "inverse square": lambda a: a**-2,
    "minus half": lambda a: a**-0.5,
    "three halves": lambda a: np.abs(a) ** 1.5,
    "zero power": lambda a: a**0,
    "chain": lambda a: 2 * (100 * a) / 400,
    "divide": lambda a: 3 * a / 7,
    "log": lambda a: np.log(a),
    "log1p": lambda a: np.log1p(a * a),
    "sqrt": np.sqrt,
    "reciprocal": lambda a: 1 / a,
    "safe": lambda a: a / (1 + a * a),
    "sum": lambda a: np.sum(-a) + a,
    "scaled sum": lambda a: np.sum(3 * a) - a,
    "mean": lambda a: a - np.mean(a),
    "sum sum": lambda a: np.sum(np.sum(np.outer(a, a), 1)) * a,
    "softmax": lambda a: np.exp(a - np.max(a)) / np.sum(np.exp(a - np.max(a))),
    "log softmax": lambda a: a - np.max(a) - np.log(np.sum(np.exp(a - np.max(a)))),
    "norm": lambda a: np.sqrt(np.sum(a * a)) + a,
    "hypot": lambda a: np.hypot(a, 1.0),
    "reverse": lambda a: a[::-1],
    "pieces": lambda a: np.concatenate([a[1:], a[:1]]),
    "steps": lambda a: np.concatenate([a[::2], a[1::2]])[: len(a)],
    "stack": lambda a: np.stack([a, -a])[1],
    "element": lambda a: a[0] * a + a[-1],
    "slices": lambda a: a[1:][0] + a,
    "reshape": lambda a: np.reshape(np.reshape(a, (-1, 1)), (-1,)),
    "where": lambda a: np.where(a > 0, np.log(a), 0.0),
    "where root": lambda a: np.where(a > 0.2, np.sqrt(a - 0.2), -a),
    "abs": np.abs,
    "relu": lambda a: np.maximum(a, 0),
    "clip": lambda a: np.clip(a, -0.5, 0.5),
    "matmul": lambda a: np.outer(a, a) @ a,
    "transpose": lambda a: np.outer(a, -a).T.T @ a,
    "ones": lambda a: a * np.ones(3) + np.zeros(3),
    "zeros": lambda a: np.zeros(3) * a,
    "integer": lambda a: a * np.arange(3),
    "floor": lambda a: np.floor(a * 3) + a,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "cumsum": np.cumsum,
    "sort": np.sort,
}
BINARY = {
    "add": lambda a, b: a + b,
    "minus": lambda a, b: a - b,
    "times": lambda a, b: a * b,
    "plus neg": lambda a, b: a + (-b),
    "minus neg": lambda a, b: a - (-b),
    "neg times neg": lambda a, b: (-a) * (-b),
    "neg times": lambda a, b: (-a) * b,
    "ratio": lambda a, b: a / (1 + np.abs(b)),
    "bare ratio": lambda a, b: a / b,
    "power": lambda a, b: np.abs(a) ** np.tanh(b),
    "maximum": np.maximum,
    "arctan2": np.arctan2,
    "where": lambda a, b: np.where(a < b, a, b),
    "dot": lambda a, b: (a @ b) * a,
    "logaddexp": np.logaddexp,
}


def stores(a, b):
    y = np.zeros_like(a)
    y[0] = a[1]
    y[1:] = b[:-1] * y[0]
    y[1] = np.sin(y[0]) * y[2]
    return y


BINARY["stores"] = stores
STEP = st.tuples(
    st.sampled_from([*UNARY, *[f"2 {k}" for k in BINARY]]), st.integers(0, 9), st.integers(0, 9)
)


def build(steps):
    def f(x, y):
        pool = [x, y, x[0] * y]
        for name, i, j in steps:
            a, b = pool[i % len(pool)], pool[j % len(pool)]
            pool.append(BINARY[name[2:]](a, b) if name.startswith("2 ") else UNARY[name](a))
        return np.sum(pool[-1]) + np.sum(np.tanh(pool[-2])) + np.sum(np.sin(x) * y * y)

    return f


VALUE = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -0.3, 0.7, 1.3, -2.5])
ARRAY = st.tuples(VALUE, VALUE, VALUE).map(np.array)
deterministic = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=150,
    suppress_health_check=list(HealthCheck),
)


@deterministic
@given(
    st.lists(STEP, min_size=1, max_size=8),
    ARRAY,
    ARRAY,
    st.sampled_from(["value", "grad", "jvp", "hessian"]),
)
def test_law_random_programs(steps, x, y, mode):
    f = build(steps)
    if mode == "grad":
        f = value_and_grad(f, argnums=(0, 1))
    elif mode == "jvp":
        f = lambda x, y, f=f: jvp(f, (x, y), (np.array([1.0, 0.0, -2.0]), np.ones(3)))  # noqa: E731
    elif mode == "hessian":
        f = grad(lambda x, y, f=f: np.sum(grad(f)(x, y) * x))
    with np.errstate(all="ignore"):
        check(f, x, y, rtol=1e-6, atol=1e-8)


def body_of(program):
    (line,) = [e for e in program.equations if getattr(e.primitive, "regions", None)]
    return line, line.primitive.regions[-1]


X = np.array([0.3, -0.7, 1.1])


def test_loop_sheds_what_nobody_reads():
    def f(x):
        def body(carry, s):
            a, b, c, still = carry
            return (a * s, b + np.sin(a), c - b, still), (a + s, c * c)

        (a, b, c, still), (ys, zs) = scan(body, (x[0], x[1], x[2], x[1] * 2), x)
        return a, still, np.sum(ys)

    line, body = body_of(check(f, X))
    assert len(line.outputs) == 2
    assert line.primitive.counts[1] == 1
    assert "sin" not in names(body)


def test_loop_hoists_what_does_not_move():
    def f(x, w):
        def body(i, c):
            a, w = c
            return a + np.sum(np.exp(w) * np.sin(w @ w), 0) * i, w

        return fori_loop(0, 5, body, (x, w))[0]

    program = check(f, X, np.eye(3))
    _, body = body_of(program)
    assert "exp" in names(program) and "exp" not in names(body)
    assert "matmul" in names(program) and "matmul" not in names(body)


def test_nothing_that_may_fail_is_hoisted():
    def f(x, n):
        def body(i, c):
            return c[0] + np.linalg.inv(np.outer(c[1], c[1]))[0], c[1]

        return fori_loop(0, n, body, (x, x))[0]

    program = trace(f, X, 0)
    after = optimise(program, captured=())
    assert "inv" not in names(after)
    agree(program, after, X, 0)


def test_while_and_its_test():
    def f(x):
        def test(c):
            return c[0] < 5 + x[0] * 0

        return while_loop(
            test, lambda c: (c[0] + 1, c[1] * np.exp(x[1]), c[2] * 2), (0.0, x[2], x[0])
        )[:2]

    program = check(f, X)
    line, body = body_of(program)
    assert len(line.outputs) == 2
    assert "exp" not in names(body)


def test_numbers_are_handed_into_loops():
    def f(x):
        one = np.ones(3)
        return scan(lambda c, s: (c * one * s + 0.0 * one, None), x, np.arange(4.0))[0]

    _, body = body_of(check(f, X))
    assert names(body) == ["multiply"]


@pytest.mark.parametrize("transform", [value_and_grad, jacfwd, hessian])
def test_derivatives_of_loops(transform):
    def f(x):
        def body(c, s):
            a, b = c
            return (np.tanh(a * s + b), b * 0.9 + np.sin(a) / (1 + s * s)), None

        (a, b), _ = scan(body, (x[0], x[1]), x)
        return a * b + x[2]

    check(transform(f), X)


@pytest.mark.parametrize("transform", [value_and_grad, jacfwd])
def test_derivatives_of_counted_loops_and_branches(transform):
    def f(x):
        y = fori_loop(0, 4, lambda i, a: a * np.cos(a) + x[0], x[1])
        z = cond(x[2] > 0, lambda a, b: np.exp(a) * 2, lambda a, b: b / 3, y, x[0])
        return switch(1, [lambda a: a, lambda a: a * z, lambda a: -a], y)

    check(transform(f), X)


def test_branch_sheds_results_and_operands():
    def f(x):
        u, v = cond(x[0] > 0, lambda a, b: (a * 2, np.exp(b)), lambda a, b: (a / 3, b), x[1], x[2])
        return u

    line, _ = body_of(check(f, X))
    assert len(line.outputs) == 1 and len(line.inputs) == 2


def test_known_branch_is_taken():
    def f(x):
        return cond(np.equal(np.ones(()), 1.0) if False else True, np.sin, np.cos, x[0])

    assert "cond" not in names(check(f, X))


def test_a_carry_that_turns_infinite_keeps_its_guards():
    def f(x):
        def body(i, c):
            return np.where(c[1] > 0, c[0] / c[1], 0.0), c[1] - 1.0

        return fori_loop(0, 3, body, (x[0], 2.0 + 0 * x[1]))[0]

    check(grad(f), X)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "i1", "u1", "?", "c16"])
def test_types_are_kept(dtype):
    x, checked = np.array([1, 0, 1]).astype(dtype), 0
    loose = {"f4": 1e-5, "i1": 1e-2, "u1": 1e-2, "?": 1e-2}.get(dtype, 1e-9)
    for f in UNARY.values():
        try:
            program = trace(f, x)
            evaluate(program, x)
        except (TypeError, ValueError, OverflowError):  # NumPy has no such operation for this type
            continue
        for apply in PASSES.values():
            agree(program, apply(program), x, rtol=loose, atol=loose)
        checked += 1
    assert checked > 10


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0), (2, 3), (1, 2, 1)])
def test_shapes_are_kept(shape):
    x = np.linspace(0.2, 0.9, int(np.prod(shape))).reshape(shape)[()]

    def f(x):
        y = -(x * np.ones(shape)) - np.zeros(shape) * 2
        z = np.sum(np.broadcast_to(2.0, shape) * -y) + np.sum(
            np.sum(y * 3, axis=-1) if shape else y
        )
        return (
            np.sum(np.transpose(np.reshape(y * x, shape)) ** 3) / 7 + z + np.sum(x[..., None] * 1.0)
        )

    check(f, x)
    check(grad(f), x)
    check(lambda x: jvp(f, (x,), (np.ones(shape),)), x)


def test_weak_numbers_stay_weak():
    check(lambda x, a: (x * 1, x**2, x + 0, a * x, np.negative(-x)), 1.5, np.ones(2, np.float32))
    check(lambda x: (x * 1.0, x / 1, x**1, x * np.float64(1)), 3)


INDICES = [
    0,
    -1,
    slice(None, None, -2),
    slice(1, -1),
    (0, slice(None)),
    (slice(1, 3), -1),
    (..., 1),
    None,
    (slice(3, 0, -1), slice(None, 2)),
    np.array([0, 0, 3]),
    np.array([True, False, True, True]),
    (slice(2, 2),),
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_places(index):
    x = np.arange(12.0).reshape(4, 3)

    def f(x):
        y = x[index]
        z = np.zeros_like(x)
        z[index] = y * 2
        w = np.concatenate([z[1:], x[:1]])
        return (
            np.sum(y * y),
            z[index],
            w[::-1][index],
            np.stack([x, z, w])[1][index],
            z[::-1][1:][0],
        )

    check(f, x)
    check(lambda x: grad(lambda x: np.sum(f(x)[2]) + np.sum(f(x)[1] ** 2) + f(x)[0])(x), x)


def test_a_store_hides_what_was_there():
    def f(x):
        y = np.zeros_like(x)
        y[0], y[1:] = x[1], x[0]
        y[0] = y[2] * y[0]
        y[::2] = x[1:3] if len(x) > 2 else 0.0
        return y[0] + y[1], y

    check(f, np.arange(3.0) + 1)


def test_arrays_of_the_caller_stay():
    captured = np.ones(3)
    program = trace(lambda x: x * captured + np.ones(3), X)
    after = optimise(program)
    assert any(value is captured for value in after.constants.values())
    base = np.ones((2, 3))
    view = trace(lambda x: x * base[0], X)
    after = optimise(view)
    base[:] = 2.0
    np.testing.assert_array_equal(evaluate(after, X)[0], X * 2)
    assert not optimise(program, captured=()).constants
    (kept,) = optimise(program, captured={id(captured)}).constants.values()
    assert kept is captured


def test_constants_that_are_not_finite_keep_guards():
    mask = np.array([0.0, -np.inf, 0.0])

    def f(x):
        return np.sum(np.where(mask < 0, 0.0, x) * mask)

    check(grad(f), X)
    check(lambda x: x * 0 * np.array([1.0, np.inf, np.nan]), X)


def test_identity_matrices_vanish():
    a = np.arange(9.0).reshape(3, 3) / 7
    products = lambda a: np.sum(a @ np.eye(3)) + np.sum(np.eye(3) @ a) + np.sum(np.eye(3) @ a[0])  # noqa: E731
    assert "matmul" not in names(check(grad(products), a))
    assert "matmul" in names(check(lambda a: a @ np.eye(3), a))  # NaN spreads along its row


def test_equal_constants_become_one():
    program = check(lambda x: (x * np.eye(3)[0], x + np.eye(3)[0], x * np.eye(3)[1]), X)
    assert len(program.constants) == 2


def test_zero_times_a_value():
    zero = lambda x: np.sum(0 * np.sin(x))  # noqa: E731
    assert not {"multiply", "cos"} & set(names(optimise(trace(grad(zero), X))))
    assert "multiply" in names(optimise(trace(lambda x: 0 * np.sin(x), X)))  # NaN stays NaN
    assert "multiply" in names(optimise(trace(lambda x: 0 * np.exp(x), X)))
    assert "multiply" in names(optimise(trace(lambda x: 0 / x * 0, X)))


def test_long_programs_take_linear_time_and_no_stack():
    def f(x):
        for _ in range(3000):
            x = -(x * 1.0 + 0.1) / 2
        return x[0]

    program = trace(f, X)
    check(f, X, less=len(program))


def test_second_derivatives_where_the_first_vanish():
    for f in (lambda x: np.tanh(x) ** 2, lambda x: x**2 * np.exp(x), lambda x: np.sin(x) ** 2):
        program = trace(grad(grad(f)), 0.3)
        assert evaluate(program, 0.0)[0] == evaluate(optimise(program), 0.0)[0] == 2.0


def test_a_sum_that_is_read_twice_is_not_summed_again():
    def f(x):
        rows = np.sum(x, axis=1)
        return np.sum(rows), rows

    assert names(check(f, np.ones((2, 3)))) == ["sum", "sum"]


def test_passes_are_shown():
    stages = show_passes(trace(value_and_grad(lambda x: np.sum(x**3)), X))
    assert [name for name, _ in stages] == [
        "traced",
        "drop",
        "spell",
        "fold",
        "simplify",
        "unguard",
        "share",
        "again",
    ]
    assert len(stages[-1][1]) < len(stages[0][1])


def test_a_function_with_a_rule_may_be_called_twice():
    @custom_jvp
    def f(x):
        return np.sin(x) * x

    f.defjvp(lambda primals, tangents: (f(*primals), tangents[0] * 7))
    once = trace(f, X)
    check(lambda x: once(x) + once(2 * x) * 10, X)
    check(grad(lambda x: np.sum(once(x) + once(2 * x) * 10)), X)


def test_rules_for_reading_are_loaded():
    def f(x):
        y = np.zeros_like(x)
        y[0] = x[0]
        for i in range(1, 5):
            y[i] = np.sin(y[i - 1]) * x[i]
        return np.sum(y)

    assert len(optimise(trace(grad(f), X[:5] if len(X) >= 5 else np.ones(5)), ())) < 45


def test_the_slope_of_a_log_sum_does_not_need_the_sum():
    from litad import grad

    program = optimise(trace(grad(lambda x: np.sum(np.logaddexp(0.0, x))), np.ones(3)))
    names = [line.primitive.name for line in program.equations]
    assert names == ["expit"]


@pytest.mark.parametrize("gap", [-700.0, -40.0, -1.0, 0.0, 2.0, 40.0, 700.0])
def test_second_derivatives_of_a_log_sum_keep_their_digits(gap):
    from litad import hessian, jit

    e = np.exp(-abs(gap))
    want = e / (1 + e) ** 2
    for make in (lambda f: f, jit):
        found = make(hessian(lambda x: np.logaddexp(x[0], x[1])))(np.array([gap, 0.0]))
        assert np.allclose(found, [[want, -want], [-want, want]], rtol=1e-14, atol=0)


AT_ZERO = {
    "length": lambda x: np.sqrt(np.sum(x * x)),
    "root of a square": lambda x: np.sum(np.sqrt(x**2)),
    "power": lambda x: np.sum((x * x) ** 0.5),
    "cosine": lambda x: np.sum(np.sqrt(1 - np.cos(x))),
    "nothing": lambda x: np.sum(np.sqrt(x * 0.0)),
    "absolute": lambda x: np.sum(np.sqrt(np.abs(x))),
    "quotient": lambda x: np.sum((1 / (x + 1) / (x + 1)) * 0),
    "product": lambda x: np.sqrt(x[0] * x[1] * x[0]),
    "arc": lambda x: np.sum(np.arccos(np.cos(x))),
}


@pytest.mark.parametrize("name", AT_ZERO)
def test_a_zero_slope_stops_an_infinite_cotangent(name):
    "sqrt(x x) has the derivative 0 at 0 in every mode"
    f, x = AT_ZERO[name], np.array([0.0, 1.5])
    with np.errstate(all="ignore"):
        g, t = grad(f)(x), jvp(f, (x,), (np.ones(2),))[1]
        assert not np.isnan(g).any()
        program, forward = trace(grad(f), x), trace(lambda x: jvp(f, (x,), (np.ones(2),))[1], x)
        for improve in (lambda p: p, unguard, optimise):
            assert np.allclose(evaluate(improve(program), x)[0], g)
            assert np.allclose(evaluate(improve(forward), x)[0], t)
        assert np.allclose(jit(grad(f))(x), g) and np.allclose(grad(jit(f))(x), g)


@pytest.mark.parametrize("read", [np.s_[::-1], np.s_[1:3], np.s_[:, :], np.s_[::2, ::-1]])
@pytest.mark.parametrize("place", [np.s_[..., 0], np.s_[:, -1], np.s_[::-1, 0]])
def test_axes_of_one_element_stay(read, place):
    "what is read of what was placed keeps the axes that it is read with"

    def f(x):
        a = np.zeros_like(x)
        a[place] = np.sin(x[:, 0])
        return a[read] * 2.0

    x = np.array([[0.2], [-1.0], [2.0], [0.9]])
    g = lambda x: np.sum(f(x) ** 2)  # noqa: E731
    assert np.allclose(optimise(trace(f, x))(x), f(x))
    assert np.allclose(optimise(trace(grad(g), x))(x), grad(g)(x))


def test_a_logarithm_at_infinity():
    f, x = lambda x: np.sum(np.log(x) * x), np.array([np.inf, 1.5])
    g = grad(f)(x)
    assert g[0] == np.inf
    for way in (trace(grad(f), x), jit(grad(f)), grad(jit(f))):
        assert np.allclose(way(x), g)


def test_the_sign_of_a_zero_that_is_known():
    f = lambda x: np.sum(np.copysign(x**2 * x, np.zeros(2)))  # noqa: E731
    x = np.array([-1.5, 2.0])
    assert np.allclose(jit(grad(f))(x), grad(f)(x)) and np.allclose(grad(f)(x), [-6.75, 12])


def test_guards_of_slopes_that_are_choices_go():
    "the slope of maximum multiplies nothing"
    f = lambda x: np.sum(np.log(np.maximum(x, 0)))  # noqa: E731
    program = trace(grad(f), np.ones(3))
    names = [e.primitive.name for e in program.equations]
    left = [e.primitive.name for e in optimise(program).equations]
    assert left.count("guard") == 1 < names.count("guard")


def test_programs_of_smooth_functions_keep_no_guard():
    for f in (lambda x: np.sum(np.sin(x) * np.exp(-x * x)), lambda x: np.sum(np.tanh(x) ** 2)):
        names = [e.primitive.name for e in optimise(trace(hessian(f), np.ones(3))).equations]
        assert "guard" not in names


def test_questions_about_infinity_are_asked():
    "what a program may assume of its inputs is for its guards alone"
    x = np.array([np.nan, np.inf, -np.inf, 1.0])
    for f in (np.isfinite, np.isnan, np.isinf, lambda x: x == x, np.nan_to_num):
        g = lambda x, f=f: np.where(f(x), x, 0.0)  # noqa: E731
        assert np.array_equal(optimise(trace(g, x))(x), g(x), equal_nan=True)
        assert np.array_equal(jit(g)(x), g(x), equal_nan=True)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * 0,
        lambda x: 0.0 * x,
        lambda x: x * np.zeros(4),
        lambda x: np.where(x > 0, x, 0) * 0,
        lambda x: x - x,
        lambda x: np.outer(x, np.ones(4)) @ np.eye(4),
        lambda x: np.sum(x * 0),
        lambda x: x / np.inf,
    ],
)
def test_what_is_not_finite_stays_so_in_values(f):
    x = np.array([np.nan, np.inf, -np.inf, 2.0])
    with np.errstate(all="ignore"):
        (found,) = evaluate(optimise(trace(f, x)), x)
        assert np.array_equal(found, f(x), equal_nan=True)
