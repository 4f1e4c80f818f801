"""Convolutions and pooling: values, laws of derivatives, random shapes, and machine code."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from laws import CHUNKS, check_first, check_lanes, check_linear, check_second, close

from litad import (
    LitadError,
    grad,
    hessian,
    jacfwd,
    jacrev,
    jet,
    jit,
    jvp,
    trace,
    value_and_grad,
    vjp,
)
from litad.convolution import avg_pool2d, conv1d, conv2d, max_pool2d
from litad.engine import available
from litad.pieces import Specialisation
from litad.tree import flatten

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
compiled = pytest.mark.skipif(not available(), reason="needs llvmlite")
ROWS = np.tile([1.0, 2.0, 3.0], (3, 1))[None, None]
SQUARE = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
BOARD = np.arange(1.0, 17).reshape(4, 4)


def slow_conv(x, k, stride, padding, dilation, groups):
    "The definition, one sum at a time, along any number of axes."
    x = np.pad(x, ((0, 0), (0, 0), *padding))
    reach = [d * (n - 1) + 1 for d, n in zip(dilation, k.shape[2:])]
    count = [(n - r) // s + 1 for n, r, s in zip(x.shape[2:], reach, stride)]
    y = np.zeros((len(x), len(k), *count), np.result_type(x, k))
    per_in, per_out = k.shape[1], len(k) // groups
    for n, o in np.ndindex(len(x), len(k)):
        channels = slice(o // per_out * per_in, (o // per_out + 1) * per_in)
        for p in np.ndindex(*count):
            places = [slice(s * i, s * i + r, d) for s, i, r, d in zip(stride, p, reach, dilation)]
            y[(n, o, *p)] = np.sum(x[(n, channels, *places)] * k[o])
    return y


def slow_pool(x, window, stride, padding, of, filler):
    x = np.pad(x, ((0, 0),) * (x.ndim - 2) + tuple(padding), constant_values=filler)
    count = [(n - w) // s + 1 for n, w, s in zip(x.shape[-2:], window, stride)]
    y = np.zeros((*x.shape[:-2], *count))
    for i, j in np.ndindex(*count):
        rows = slice(i * stride[0], i * stride[0] + window[0])
        y[..., i, j] = of(x[..., rows, j * stride[1] : j * stride[1] + window[1]], axis=(-2, -1))
    return y


@st.composite
def convolutions(draw, axes, most=4):
    "Random shapes with what is given beside them."
    few = st.integers(1, 3)
    groups = draw(st.integers(1, 3))
    kernel = [draw(few) for _ in range(axes)]
    stride, dilation = ([draw(few) for _ in range(axes)] for _ in range(2))
    padding = [(draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(axes)]
    reach = [d * (n - 1) + 1 for d, n in zip(dilation, kernel)]
    sizes = [
        max(1, r - sum(p)) + draw(st.integers(0, most)) * s
        for r, p, s in zip(reach, padding, stride)
    ]
    sizes = [n + draw(st.integers(0, 2)) for n in sizes]
    x = (draw(few), groups * draw(st.integers(1, 2)), *sizes)
    k = (groups * draw(few), x[1] // groups, *kernel)
    how = dict(
        stride=tuple(stride), padding=tuple(padding), dilation=tuple(dilation), groups=groups
    )
    return x, k, how


@st.composite
def pools(draw):
    window = [draw(st.integers(1, 6)) for _ in range(2)]
    stride = window if draw(st.booleans()) else [draw(st.integers(1, 3)) for _ in range(2)]
    padding = [(0, 0)] * 2
    if draw(st.booleans()):
        padding = [(draw(st.integers(0, w - 1)), draw(st.integers(0, w - 1))) for w in window]
    shape = [max(1, w - sum(p)) + draw(st.integers(0, 20)) for w, p in zip(window, padding)]
    lead = draw(st.sampled_from([(), (2,), (2, 3)]))
    return (*lead, *shape), tuple(window), tuple(stride), tuple(padding)


def arrays(*shapes, seed=0, dtype=float):
    rng = np.random.default_rng([seed, *itertools.chain(*shapes)])
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def loosely(count):
    return settings(max_examples=count, deadline=None, derandomize=True,
                    suppress_health_check=list(HealthCheck))  # fmt: skip


def conv(axes, how):
    return lambda x, k: (conv1d if axes == 1 else conv2d)(x, k, **how)


# ------------------------------------------------------------------ values


def test_by_hand():
    f = lambda x, k: np.sum(conv2d(x, k))  # noqa: E731
    assert conv2d(ROWS, SQUARE)[0, 0].tolist() == [[16, 26]] * 2
    dx, dk = grad(f, (0, 1))(ROWS, SQUARE)
    assert dk[0, 0].tolist() == [[6, 10]] * 2
    assert dx[0, 0].tolist() == [[1, 3, 2], [4, 10, 6], [3, 7, 4]]
    assert conv2d(ROWS[0], SQUARE).tolist() == conv2d(ROWS, SQUARE)[0].tolist()


def test_first_maximum_by_hand():
    for wrap in (lambda f: f, jit):
        g = wrap(grad(lambda x: np.sum(max_pool2d(x, 2))))
        assert np.flatnonzero(g(BOARD)).tolist() == [5, 7, 13, 15]
        assert g(np.zeros((2, 4))).tolist() == [[1, 0, 1, 0], [0, 0, 0, 0]]
        nothing = np.full((2, 2), -np.inf)
        assert g(nothing).tolist() == [[1, 0], [0, 0]]
        padded = wrap(grad(lambda x: np.sum(max_pool2d(x, 2, 2, 1))))
        assert padded(nothing).tolist() == [[1, 1], [1, 1]]
        several = np.array([[1.0, np.nan], [2.0, 3.0]])
        assert np.isnan(wrap(lambda x: max_pool2d(x, 2))(several)).all()
        assert g(several).tolist() == [[0, 1], [0, 0]]


@pytest.mark.parametrize("axes", [1, 2])
@loosely(60)
@given(data=st.data())
def test_value_is_the_definition(axes, data):
    x, k, how = data.draw(convolutions(axes))
    a, b = arrays(x, k)
    assert close(conv(axes, how)(a, b), slow_conv(a, b, **how), 1e-12)


@loosely(60)
@given(pools())
def test_pooled_value_is_the_definition(drawn):
    shape, window, stride, padding = drawn
    (x,) = arrays(shape)
    top = slow_pool(x, window, stride, padding, np.max, -np.inf)
    assert close(max_pool2d(x, window, stride, padding), top, 0)
    mean = slow_pool(x, window, stride, padding, np.mean, 0)
    assert close(avg_pool2d(x, window, stride, padding), mean, 1e-13)
    held = slow_pool(np.ones(shape[-2:]), window, stride, padding, np.sum, 0)
    total = slow_pool(x, window, stride, padding, np.sum, 0)
    without = avg_pool2d(x, window, stride, padding, count_padding=False)
    assert close(without, total / held, 1e-13)


def test_against_scipy():
    signal = pytest.importorskip("scipy.signal")
    (x, k) = arrays((9, 8), (3, 4))
    y = conv2d(x[None], k[None, None])[0]
    assert close(y, signal.correlate(x, k, mode="valid"), 1e-12)
    full = conv2d(x[None], k[None, None], padding=((2, 2), (3, 3)))[0]
    assert close(full, signal.correlate(x, k, mode="full"), 1e-12)
    odd = conv2d(x[None], k[None, None, :, :3], padding="same")[0]
    assert close(odd, signal.correlate(x, k[:, :3], mode="same"), 1e-12)


@pytest.mark.parametrize("axes", [1, 2])
def test_against_torch(axes):
    torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
    theirs = torch.nn.functional.conv1d if axes == 1 else torch.nn.functional.conv2d
    for stride, padding, dilation, groups in itertools.product((1, 2), (0, 2), (1, 2), (1, 2)):
        x, k, b = arrays((2, 4, *(9, 8)[:axes]), (6, 4 // groups, *(3, 2)[:axes]), (6,))
        how = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
        there = [torch.tensor(a, requires_grad=True) for a in (x, k, b)]
        y = theirs(*there, **how)
        w = np.random.default_rng(1).standard_normal(y.shape)
        y.backward(torch.tensor(w))
        f = partial(conv1d if axes == 1 else conv2d, **how)
        mine, pull = vjp(f, x, k, b)
        assert close(mine, y.detach().numpy(), 1e-12)
        for g, t in zip(pull(w), there):
            assert close(g, t.grad.numpy(), 1e-12)


def test_pools_against_torch():
    torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
    F = torch.nn.functional
    x = np.round(arrays((2, 3, 9, 8))[0], 1)
    for window, stride, padding in ((2, None, 0), (3, 2, 1), (3, 1, 1), ((2, 3), (1, 2), (1, 0))):
        given = dict(kernel=window, stride=stride, padding=padding)
        ways = [
            (partial(max_pool2d, **given), F.max_pool2d, {}),
            (partial(avg_pool2d, **given), F.avg_pool2d, {}),
            (
                partial(avg_pool2d, **given, count_padding=False),
                F.avg_pool2d,
                {"count_include_pad": False},
            ),
        ]
        for f, theirs, more in ways:
            there = torch.tensor(x, requires_grad=True)
            y = theirs(there, window, stride, padding, **more)
            w = np.random.default_rng(1).standard_normal(y.shape)
            y.backward(torch.tensor(w))
            mine, pull = vjp(f, x)
            assert close(mine, y.detach().numpy(), 1e-13)
            assert close(pull(w)[0], there.grad.numpy(), 1e-13)


# ------------------------------------------------------------------ laws

LAWS = {
    "plain": (2, (2, 2, 5, 6), (3, 2, 3, 2), {}),
    "strided": (2, (2, 2, 7, 6), (4, 1, 3, 2), dict(stride=(2, 3), padding=1, groups=2)),
    "dilated": (2, (1, 2, 7, 6), (2, 2, 2, 3), dict(dilation=2, padding=((1, 2), (0, 3)))),
    "same": (2, (1, 2, 4, 5), (2, 2, 3, 3), dict(padding="same", stride=2)),
    "signal": (1, (2, 4, 8), (2, 2, 3), dict(stride=2, padding=2, dilation=2, groups=2)),
    "alone": (1, (2, 7), (3, 2, 2), {}),
}
laws = pytest.mark.parametrize("name", sorted(LAWS))


def law(name):
    axes, x, k, how = LAWS[name]
    return conv(axes, how), arrays(x, k), np.random.default_rng(0)


@laws
def test_first_order(name):
    f, xs, rng = law(name)
    check_first(f, xs, rng)


@laws
def test_second_order(name):
    f, xs, rng = law(name)
    check_second(lambda x, k: np.tanh(f(np.sin(x), k * k)), xs, rng, rtol=1e-5)


@laws
def test_linear_in_directions(name):
    f, xs, rng = law(name)
    check_linear(f, xs, rng)


@laws
def test_lanes(name):
    f, xs, _ = law(name)
    g = lambda x, k: f(x * np.sum(k), np.sin(k) * np.mean(x))  # noqa: E731
    check_lanes(g, xs, CHUNKS, 1e-11)


POOLS = {
    "max": lambda x: max_pool2d(np.sin(x), 2),
    "max, overlapping": lambda x: max_pool2d(x * x, 3, 2, 1),
    "mean": lambda x: avg_pool2d(np.sin(x), 2),
    "mean, overlapping": lambda x: avg_pool2d(x * x, (3, 2), (1, 2), 1, count_padding=False),
}


@pytest.mark.parametrize("name", sorted(POOLS))
def test_laws_of_pools(name):
    f, xs, rng = POOLS[name], arrays((2, 6, 5)), np.random.default_rng(0)
    check_first(f, xs, rng)
    check_second(lambda x: np.tanh(f(x)), xs, rng, rtol=1e-5)
    check_linear(f, xs, rng)
    check_lanes(lambda x: f(x) * np.sum(x), xs, CHUNKS, 1e-11)


@loosely(40)
@given(data=st.data())
def test_duality_at_random(data):
    axes = data.draw(st.integers(1, 2))
    x, k, how = data.draw(convolutions(axes))
    a, b, da, db = arrays(x, k, x, k)
    y, pushed = jvp(conv(axes, how), (a, b), (da, db))
    w = arrays(y.shape, seed=1)[0]
    back = vjp(conv(axes, how), a, b)[1](w)
    assert close(np.sum(w * pushed), np.sum(back[0] * da) + np.sum(back[1] * db), 1e-11)


def test_taylor():
    x, k = arrays((1, 2, 4, 4), (2, 2, 3, 3))
    f = lambda s: conv2d(x * (1 + s), k * (1 + s))  # noqa: E731
    y = conv2d(x, k)
    _, derivatives = jet(f, 0.0, 3)
    for c, factor in zip(derivatives, (2, 2, 0)):
        assert close(c, factor * y, 1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_dtype_is_kept(dtype):
    x, k = arrays((2, 2, 5, 5), (3, 2, 3, 3), dtype=dtype)
    y, pull = vjp(lambda x, k: avg_pool2d(conv2d(x, k), 2), x, k)
    assert y.dtype == dtype and all(g.dtype == dtype for g in pull(np.ones_like(y)))
    if dtype is np.float32:
        g = grad(lambda x, k: np.sum(max_pool2d(conv2d(x, k, k[:, 0, 0, 0]), 2)), (0, 1))(x, k)
        assert all(a.dtype == dtype for a in g)


# ------------------------------------------------------------------ refusals

IMAGE, KERNEL = np.ones((2, 4, 5, 5)), np.ones((6, 4, 3, 3))


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: conv2d(IMAGE, KERNEL[:, :3]), "4 channels"),
        (lambda: conv2d(IMAGE, KERNEL, groups=3), "do not divide"),
        (lambda: conv2d(IMAGE, KERNEL, groups=0), "groups"),
        (lambda: conv2d(IMAGE, np.ones((6, 4, 7, 3))), "does not fit"),
        (lambda: conv2d(IMAGE, KERNEL, dilation=3), "does not fit"),
        (lambda: conv2d(IMAGE, np.ones((6, 4, 0, 3))), "does not fit"),
        (lambda: conv2d(IMAGE.astype(int), KERNEL), "takes floats"),
        (lambda: conv2d(IMAGE, KERNEL > 0), "takes floats"),
        (lambda: conv2d(IMAGE, KERNEL, stride=0), "stride"),
        (lambda: conv2d(IMAGE, KERNEL, stride=1.5), "stride"),
        (lambda: conv2d(IMAGE, KERNEL, padding="full"), "padding"),
        (lambda: conv2d(IMAGE, KERNEL, padding=((1, 1), 1)), "padding"),
        (lambda: conv2d(IMAGE, KERNEL, padding=-1), "padding"),
        (lambda: conv2d(IMAGE, KERNEL, np.ones(5)), "bias"),
        (lambda: conv1d(IMAGE, KERNEL), "axes"),
        (lambda: max_pool2d(IMAGE, 6), "does not fit"),
        (lambda: max_pool2d(IMAGE, 2, padding=2), "padding"),
        (lambda: max_pool2d(IMAGE[0, 0, 0], 2), "two axes"),
        (lambda: avg_pool2d(IMAGE.astype(np.uint8), 2), "takes floats"),
    ],
)
def test_refused(call, says):
    with pytest.raises(LitadError, match=says) as refused:
        call()
    assert "instead:" in str(refused.value)


# ------------------------------------------------------------------ compiled


def only_native(f, *args):
    "The compiled function, refused if a part of it runs on NumPy."
    special = Specialisation(trace(f, *args))
    assert special.native, [(e.primitive.name, why) for e, why in special.lost]
    return jit(f)


@compiled
@pytest.mark.parametrize("axes", [1, 2])
@loosely(25)
@given(data=st.data())
def test_compiled_equals_interpreted(axes, data):
    x, k, how = data.draw(convolutions(axes, most=data.draw(st.sampled_from([2, 9, 20]))))
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    a, b = arrays(x, k, dtype=dtype)
    f = value_and_grad(lambda x, k: np.sum(np.sin(conv(axes, how)(x, k))), (0, 1))
    value, found = only_native(f, a, b)(a, b)
    expected, grads = f(a, b)
    tolerance = 1e-4 if dtype is np.float32 else 1e-11
    assert close(value, expected, tolerance)
    for g, h in zip(found, grads):
        assert g.dtype == dtype and close(g, h, tolerance)


def pushed(f, x):
    return jvp(f, (x,), (np.sin(x),))


@compiled
@loosely(20)
@given(pools(), st.sampled_from([np.float32, np.float64]))
def test_compiled_pools_equal_interpreted(drawn, dtype):
    shape, window, stride, padding = drawn
    (x,) = arrays(shape, dtype=dtype)
    x = np.round(x, 1)
    for pool in (max_pool2d, avg_pool2d):
        pooled = partial(pool, kernel=window, stride=stride, padding=padding)
        f = value_and_grad(lambda x: np.sum(np.sin(pooled(x))))  # noqa: B023
        for got, want in zip(only_native(f, x)(x), f(x)):
            assert close(got, want, 1e-4 if dtype is np.float32 else 1e-12)
        push = partial(pushed, pooled)
        for got, want in zip(only_native(push, x)(x), push(x)):
            assert close(got, want, 1e-5 if dtype is np.float32 else 1e-12)


@compiled
def test_compiled_derivatives_of_all_orders():
    x, k = arrays((1, 2, 5, 5), (2, 2, 3, 3))
    f = lambda x, k: np.sum(np.tanh(max_pool2d(conv2d(x, k, padding=1), 2)))  # noqa: E731
    for make in (lambda f: hessian(f), lambda f: jacfwd(grad(f)), lambda f: jacrev(f, (0, 1))):
        got, want = jit(make(f))(x, k), make(f)(x, k)
        for g, h in zip(flatten(got)[0], flatten(want)[0]):
            assert close(g, h, 1e-10)
    dx, dk = arrays((1, 2, 5, 5), (2, 2, 3, 3), seed=3)
    push = lambda x, k: jvp(f, (x, k), (dx, dk))  # noqa: E731
    assert close(jit(push)(x, k)[1], push(x, k)[1], 1e-11)


def test_traced():
    x, k = arrays((1, 2, 5, 5), (2, 2, 3, 3))
    program = trace(grad(lambda x, k: np.sum(conv2d(x, k) ** 2), (0, 1)), x, k)
    names = [e.primitive.name for e in program.equations]
    assert {"convolution", "convolution_image", "convolution_kernel"} <= set(names)
    for got, want in zip(program(x, k), grad(lambda x, k: np.sum(conv2d(x, k) ** 2), (0, 1))(x, k)):
        assert close(got, want, 1e-12)


@compiled
@pytest.mark.parametrize("pool", [(2,), ((3, 2),), (3, 2, 1), (6, 3), (2, 3)])
def test_compiled_maxima_of_infinities_and_ties(pool):
    "the first maximum, also among NaNs and infinities, with vectors, expressions and loops"
    x = arrays((2, 12, 36))[0].round(1)
    x[0, ::3, ::2], x[0, 2::3], x[1, ::5, ::7], x[1, 6:, :18] = -np.inf, np.inf, np.nan, -np.inf
    w = arrays(max_pool2d(x, *pool).shape, seed=1)[0]
    f = lambda x: vjp(lambda x: max_pool2d(x, *pool), x)[1](w)[0]  # noqa: E731
    top = only_native(lambda x: max_pool2d(x, *pool), x)(x)
    assert np.array_equal(top, max_pool2d(x, *pool), equal_nan=True)
    hidden = np.isnan(x)
    assert close(only_native(f, x)(x)[~hidden], f(x)[~hidden], 1e-14)


@compiled
def test_compiled_step_of_training():
    "several layers together, with results stored over the parameters"
    k, b, q = arrays((3, 1, 3, 3), (3,), (2, 3, 2, 2), dtype=np.float32)
    x = arrays((2, 1, 12, 12), dtype=np.float32)[0]

    def loss(parameters, x):
        k, b, q = parameters
        a = max_pool2d(np.maximum(conv2d(x, k, b), 0), 2)
        return np.mean(conv2d(a, q, stride=2, padding="same") ** 2)

    def step(parameters, x):
        _, g = value_and_grad(loss)(parameters, x)
        return [p - np.float32(0.1) * d for p, d in zip(parameters, g)]

    fast = jit(step, donate_argnums=0)
    slow, quick = [k, b, q], [k.copy(), b.copy(), q.copy()]
    for _ in range(5):
        slow, quick = step(slow, x), fast(quick, x)
    assert all(a.dtype == np.float32 and close(a, c, 1e-5) for a, c in zip(quick, slow))


@compiled
def test_compiled_where_operands_are_small_or_seen_differently():
    x, k = arrays((2, 8), (2, 2))
    f = lambda x, k: conv2d(x.reshape(1, 1, 4, 4), k.T[None, None]) * 2  # noqa: E731
    assert close(only_native(f, x, k)(x, k), f(x, k), 1e-13)
    g = lambda x, k: max_pool2d(conv1d(x[None] + 1, np.stack([k, k]))[:, :, None, :], (1, 2))  # noqa: E731
    assert close(only_native(g, x, k)(x, k), g(x, k), 1e-13)


@pytest.mark.parametrize("shapes", [((0, 2, 5), (3, 2, 2)), ((2, 0, 5), (3, 0, 2))])
@pytest.mark.parametrize("wrap", [lambda f: f, pytest.param(jit, marks=compiled)])
def test_nothing_to_convolve(shapes, wrap):
    x, k = arrays(*shapes)
    y, (dx, dk) = wrap(value_and_grad(lambda x, k: np.sum(conv1d(x, k, padding=1)), (0, 1)))(x, k)
    assert y == 0 and dx.shape == x.shape and dk.shape == k.shape and not dk.any()
    assert wrap(lambda x: max_pool2d(x, (1, 2)))(np.zeros((0, 3, 5))).shape == (0, 3, 2)
