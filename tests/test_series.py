"""The rest of NumPy: values are NumPy's own, and the traps that silent errors live in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import check_first, close, difference

from litad import LitadError, grad, hessian, jacfwd, jacrev, jvp, vjp
from litad.derivatives import gradient

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

X = np.random.default_rng(3).uniform(0.2, 1.8, (3, 4))
METHODS = (
    "inverted_cdf averaged_inverted_cdf closest_observation interpolated_inverted_cdf hazen "
    "weibull linear median_unbiased normal_unbiased lower higher midpoint nearest"
).split()


def value(f, *xs):
    return jvp(f, xs, tuple(np.ones_like(x) for x in xs))[0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("q", [0.0, 0.1, 0.37, 0.5, 0.75, 1.0])
def test_quantile_methods(method, q):
    "every method gives NumPy's value, and its weights sum to one"
    for f in (np.quantile, np.nanquantile):
        assert close(
            value(lambda x, f=f: f(x, q, axis=1, method=method), X),
            f(X, q, axis=1, method=method),
            1e-14,
        )
        weights = jacrev(lambda x, f=f: f(x, q, method=method))(X.ravel())
        assert weights.sum() == pytest.approx(1.0) and (weights >= 0).all()


@pytest.mark.parametrize(
    "method", ["linear", "hazen", "weibull", "median_unbiased", "interpolated_inverted_cdf"]
)
def test_quantile_moves_with_q(method):
    check_first(
        lambda x, q: np.quantile(x, q, method=method),
        [X, np.array([0.33, 0.61])],
        np.random.default_rng(0),
    )
    with pytest.raises(LitadError, match="no derivative in q"):
        grad(lambda q: np.quantile(X, q, method="nearest"))(0.3)


def test_a_missing_number_poisons_or_is_left_out():
    x = X.copy()
    x[1, 2] = np.nan
    assert np.isnan(value(lambda x: np.median(x, axis=1), x)).tolist() == [False, True, False]
    slopes = grad(lambda x: np.sum(np.nanmedian(x, axis=1) + np.nanstd(x, axis=1) + np.nanmax(x)))(
        x
    )
    assert np.isfinite(slopes).all() and slopes[1, 2] == 0.0
    for name in (
        "nansum nanprod nanmean nanvar nanstd nanmin nanmax nanmedian nancumsum nancumprod".split()
    ):
        f = getattr(np, name)
        assert close(value(lambda x, f=f: f(x, axis=0), x), f(x, axis=0), 1e-14), name


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_products_with_zeros(zeros):
    "right with any number of zero factors, in value, gradient and Hessian"
    x = np.array([2.0, -1.5, 0.7, 3.0])
    x[:zeros] = 0.0
    others = [np.prod(np.delete(x, k)) for k in range(4)]
    assert close(grad(np.prod)(x), others, 1e-15)
    second = [
        [np.prod(np.delete(x, [j, k])) if j != k else 0.0 for j in range(4)] for k in range(4)
    ]
    assert close(hessian(np.prod)(x), second, 1e-14)
    w = np.array([0.3, -1.0, 2.0, 0.5])
    f = lambda x: np.sum(w * np.cumprod(x))  # noqa: E731
    assert close(hessian(f)(x), jacrev(jacrev(f))(x), 1e-13)
    numeric = [difference(lambda x, e=e: grad(f)(x) @ e, [x], [x * 0 + 1]) for e in np.eye(4)]
    assert close(hessian(f)(x).sum(1), numeric, 1e-8)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from(["full", "same", "valid"]))
def test_convolutions_of_any_lengths(n, m, mode):
    rng = np.random.default_rng([n, m])
    a, b = rng.standard_normal(n), rng.standard_normal(m)
    for f in (np.convolve, np.correlate):
        check_first(lambda a, b, f=f: f(a, b, mode), [a, b], rng)


PADS = "constant edge linear_ramp maximum mean median minimum reflect symmetric wrap".split()


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.sampled_from(PADS), st.tuples(*[st.integers(0, 7)] * 4), st.sampled_from(["even", "odd"]))
def test_pads_of_any_widths(mode, widths, kind):
    options = {"reflect_type": kind} if mode in ("reflect", "symmetric") else {}
    pairs = (widths[:2], widths[2:])
    check_first(lambda x: np.pad(x, pairs, mode, **options), [X], np.random.default_rng(1))


def test_ties():
    "ties share evenly, and sorting equal numbers is some permutation"
    assert grad(lambda x: np.clip(x, 1.0, 2.0))(1.0) == 0.5
    assert grad(np.median)(np.array([1.0, 2.0, 2.0, 5.0])).tolist() == [0.0, 0.5, 0.5, 0.0]
    assert grad(np.ptp)(np.array([1.0, 3.0, 3.0])).tolist() == [-1.0, 0.5, 0.5]
    assert sorted(grad(lambda x: np.sort(x)[1])(np.ones(3))) == [0.0, 0.0, 1.0]
    assert grad(lambda x: np.maximum.accumulate(x)[-1])(np.array([2.0, 1.0, 2.0])).sum() == 1.0


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.add.accumulate(x, axis=1),
        lambda x: np.multiply.accumulate(x),
        lambda x: np.maximum.accumulate(x, axis=1),
        lambda x: np.minimum.accumulate(x),
        lambda x: np.subtract.accumulate(x),
        lambda x: np.logaddexp.accumulate(x, axis=1),
        lambda x: np.logaddexp.reduce(x, axis=(0, 1)),
        lambda x: np.logaddexp2.reduce(x, axis=1, keepdims=True),
        lambda x: np.hypot.reduce(x, axis=(0, 1), initial=0.5),
        lambda x: np.subtract.reduce(x, axis=1),
        lambda x: np.multiply.reduce(x, axis=1, initial=2.0),
        lambda x: np.fmax.reduce(x),
        lambda x: np.add.reduceat(x, [0, 2, 1], axis=1),
        lambda x: np.subtract.outer(x, x[0]),
        lambda x: np.arctan2.outer(x[0], x[1]),
        lambda x: np.add(x, 1, dtype=np.float64),
        lambda x: np.sin(x, casting="same_kind"),
    ],
)
def test_methods_of_ufuncs(f):
    check_first(f, [X], np.random.default_rng(5))
    once = lambda x: np.sum(np.sin(f(x)))  # noqa: E731
    assert close(hessian(once)(X), jacrev(jacrev(once))(X), 1e-11)


def test_logits_that_are_all_masked():
    "a row of -inf does not poison the gradient of the others"
    x = np.array([[0.0, 1.0], [-np.inf, -np.inf]])
    f = lambda x: np.sum(np.where(np.isfinite(x[:, 0]), np.logaddexp.reduce(x, axis=1), 0.0))  # noqa: E731
    g = grad(f)(x)
    assert np.isfinite(g).all() and g[0].sum() == pytest.approx(1.0) and not g[1].any()
    assert np.isfinite(grad(lambda x: np.logaddexp(x[0], x[1]) * 0 + 1)(x[1])).all()


EMPTY = [
    (np.cumsum, (0,)),
    (np.cumprod, (0, 2)),
    (np.prod, (0, 3)),
    (lambda x: np.prod(x, axis=0), (0, 3)),
    (np.sort, (0,)),
    (np.diff, (1,)),
    (lambda x: np.diff(x), (0,)),
    (lambda x: np.roll(x, 1), (0,)),
    (lambda x: np.tile(x, 2), (2, 0)),
    (lambda x: np.repeat(x, 2), (0,)),
    (lambda x: np.pad(x, 1), (0,)),
    (np.nansum, (0,)),
    (lambda x: np.rot90(x), (2, 0)),
    (lambda x: np.max(x, initial=1.0), (0,)),
    (lambda x: np.trapezoid(x), (1,)),
    (lambda x: np.delete(x, []), (0,)),
    (lambda x: np.linspace(x, 1.0, 3), (0,)),
    (lambda x: np.modf(x)[0], ()),
    (np.median, ()),
]  # fmt: skip


@pytest.mark.parametrize("f, shape", EMPTY)
def test_empty_and_single(f, shape):
    x = np.full(shape, 0.6)
    expected = f(x)
    y, pushed = jvp(f, (x,), (x,))
    assert np.shape(y) == np.shape(pushed) == np.shape(expected) and close(y, expected, 1e-15)
    (g,) = vjp(f, x)[1](np.ones(np.shape(expected)))
    assert g.shape == shape and np.isfinite(g).all()


def test_complex_directions():
    "the second derivative of a modulus and of a direction, which are not holomorphic"
    for f in (
        lambda x: np.sum(np.abs(np.exp(1j * x) * x[0] + x[1]) ** 3),
        lambda x: np.sum(np.real(np.sign(x + 1j * x[::-1] ** 2) * (1 + 2j))),
        lambda x: np.var(x + 1j * x**2),
        lambda x: np.sum(np.abs(np.cumprod(x + 1j)) + np.abs(np.prod(x - 2j))),
        lambda x: np.sum(np.imag(np.convolve(x + 1j, x * 1j - 2)) ** 2),
    ):
        x = np.array([0.7, 1.3, 0.4])
        check_first(f, [x], np.random.default_rng(0))
        once = jacrev(f)
        numeric = np.stack([difference(once, [x], [e]) for e in np.eye(3)], -1)
        for way in (hessian(f)(x), jacrev(once)(x), jacfwd(jacfwd(f))(x)):
            assert close(way, numeric, 1e-7)


REFUSALS = [
    (lambda x: np.unique(x), "equal"),
    (lambda x: np.histogram(x), "bin"),
    (lambda x: np.sin(x, where=x > 1), "arbitrary"),
    (lambda x: np.polymul(x * 0, x), "leading"),
    (lambda x: np.roots(np.poly(x * 0 + 1.0)), "multiple root"),
    (lambda x: np.pad(x, 1, lambda *a: None), "function"),
    (lambda x: np.gcd(x, 2), "integers"),
    (lambda x: np.trim_zeros(x), "equal"),
]


@pytest.mark.parametrize("f, words", REFUSALS)
def test_refusals(f, words):
    for mode in (grad, gradient):
        with pytest.raises(LitadError) as error:
            mode(lambda x: np.sum(x) + np.sum(np.abs(f(x))))(np.array([1.0, 2.0, 0.5]))
        assert words in str(error.value)


def test_numpys_own_errors():
    for f, error in (
        (lambda x: np.hsplit(x, 3), ValueError),
        (lambda x: np.roll(x, 1, axis=5), ValueError),
        (lambda x: np.take_along_axis(x, np.array([0]), 1), ValueError),
        (lambda x: np.gradient(x, axis=0, edge_order=3), ValueError),
        (lambda x: np.quantile(x, 1.5), ValueError),
        (lambda x: np.average(x, weights=np.ones(4)), TypeError),
        (lambda x: np.insert(x, 99, 1.0), IndexError),
        (lambda x: np.select([x > 1], [x, x]), ValueError),
        (lambda x: np.rot90(x, axes=(0, 0)), ValueError),
    ):
        with pytest.raises(error):
            f(X)
        with pytest.raises(error):
            jvp(f, (X,), (X,))
