"""Points where a formula divides by zero and a derivative has a value all the same."""

from __future__ import annotations

import math

import numpy as np
import pytest

from litad import derivative, grad, gradient, hessian, hvp, jacfwd, jacrev, jvp, vjp

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

scalar_ways = pytest.mark.parametrize("d", [derivative, grad, gradient, jacfwd, jacrev])
vector_ways = pytest.mark.parametrize("d", [grad, gradient, jacfwd, jacrev])
LOWER = np.array([0.0, 2.0])
SECOND = np.array([False, True])


@scalar_ways
@pytest.mark.parametrize(
    "f, x, slope",
    [
        (lambda x: x**0, 0.0, 0.0),
        (lambda x: x**0.0, 0.0, 0.0),
        (lambda x: x ** np.float64(0), 0.0, 0.0),
        (lambda x: x**1, 0.0, 1.0),
        (lambda x: x**2, 0.0, 0.0),
        (lambda x: x**3, -2.0, 12.0),
        (lambda x: x**2.0, -2.0, -4.0),
        (lambda x: x**-2, -2.0, 0.25),
        (lambda x: x ** np.array(3.0), -2.0, 12.0),
        (lambda x: 0.0**x, 2.0, 0.0),
        (lambda x: 0**x, 0.0, 0.0),
        (lambda x: 1**x, 3.0, 0.0),
        (lambda x: np.power(2, x), 0.0, math.log(2)),
        (lambda x: abs(x), 0.0, 0.0),
        (lambda x: np.fabs(x), 0.0, 0.0),
        (lambda x: np.maximum(x, 0), 0.0, 0.5),
        (lambda x: np.minimum(x, 0), 0.0, 0.5),
        (lambda x: np.maximum(x, x), 3.0, 1.0),
        (lambda x: np.fmax(x, np.nan), 3.0, 1.0),
        (lambda x: np.fmin(x, np.nan), 3.0, 1.0),
        (lambda x: np.hypot(x, 0.0), 0.0, 0.0),
        (lambda x: np.arctan2(x, 0.0), 0.0, 0.0),
        (lambda x: np.arctan2(x, 1.0), 0.0, 1.0),
        (lambda x: np.arctan2(0.0, x), -1.0, 0.0),
        (lambda x: np.sqrt(x * x), 0.0, 0.0),
        (lambda x: np.sqrt(abs(x)), 0.0, 0.0),
        (lambda x: np.where(x > 0, np.sqrt(x), 0.0), 0.0, 0.0),
        (lambda x: np.where(x > 0, np.log(x), x), -1.0, 1.0),
        (lambda x: np.where(x == 0, 1.0, np.sin(x) / x), 0.0, 0.0),
        (lambda x: np.log1p(x), 0.0, 1.0),
        (lambda x: np.expm1(x), 0.0, 1.0),
        (lambda x: np.logaddexp(x, -np.inf), 1.0, 1.0),
        (lambda x: np.logaddexp(x, 1000.0), 1000.0, 0.5),
        (lambda x: np.tanh(x), 1000.0, 0.0),
        (lambda x: x % 1, 2.25, 1.0),
        (lambda x: np.copysign(x, -1.0), 2.0, -1.0),
        (lambda x: np.sign(x) + x, 0.0, 1.0),
        (lambda x: 1 / (1 + np.exp(-x)), -800.0, 0.0),
    ],
)
def test_slopes_by_convention(d, f, x, slope):
    "abs, hypot, norm at 0: zero; ties: shared; x**0 and 0**y: zero; where: the branch taken"
    assert d(f)(x) == pytest.approx(slope, rel=1e-12, abs=1e-15)


@scalar_ways
@pytest.mark.parametrize(
    "f, x, slope",
    [
        (np.sqrt, 0.0, math.inf),
        (lambda x: 1 / x, 0.0, -math.inf),
        (np.log, 0.0, math.inf),
        (lambda x: x**0.5, 0.0, math.inf),
    ],
)
def test_true_infinities_stay(d, f, x, slope):
    "a slope that is infinite is reported as infinite, and Python's floats do not raise"
    assert d(f)(x) == slope


@vector_ways
@pytest.mark.parametrize(
    "f, x, slopes",
    [
        (lambda x: np.sum(np.log(x)[SECOND]), LOWER, [0.0, 0.5]),
        (lambda x: np.sum(np.log(x)[1:]), LOWER, [0.0, 0.5]),
        (lambda x: np.log(x)[1], LOWER, [0.0, 0.5]),
        (lambda x: np.sum(np.log(x)[[1, 1]]), LOWER, [0.0, 1.0]),
        (lambda x: np.sum(np.log(x), where=SECOND), LOWER, [0.0, 0.5]),
        (lambda x: np.sum(np.where(x > 0, np.log(x), 0)), LOWER, [0.0, 0.5]),
        (lambda x: np.sum(np.maximum(np.sqrt(x), 1.0)), LOWER, [0.0, 0.5 / math.sqrt(2)]),
        (lambda x: np.sum(np.clip(np.log(x), -1, 5)), LOWER, [0.0, 0.5]),
        (lambda x: np.sqrt(np.sum(x**2)), np.zeros(2), [0.0, 0.0]),
        (lambda x: np.sqrt(x @ x), np.zeros(2), [0.0, 0.0]),
        (lambda x: np.std(x), np.ones(2), [0.0, 0.0]),
        (lambda x: np.hypot(x[0], x[1]), np.zeros(2), [0.0, 0.0]),
        (lambda x: np.arctan2(x[0], x[1]), np.zeros(2), [0.0, 0.0]),
        (lambda x: np.max(x), np.array([3.0, 3.0]), [0.5, 0.5]),
        (lambda x: x.min(), np.array([3.0, 3.0]), [0.5, 0.5]),
        (lambda x: np.sum(x ** np.array([0.0, 1.0])), np.zeros(2), [0.0, 1.0]),
        (lambda x: x[0] ** x[1], np.array([0.0, 2.0]), [0.0, 0.0]),
        (lambda x: x[0] ** x[1], np.array([2.0, 0.0]), [0.0, math.log(2)]),
        (lambda x: np.where(x[0] > 5, np.inf * x[1], x[0]), np.ones(2), [1.0, 0.0]),
    ],
)
def test_what_is_masked_does_not_matter(d, f, x, slopes):
    "zero stays zero: an element that is not selected cannot poison the gradient"
    assert d(f)(x).tolist() == pytest.approx(slopes, abs=1e-14)


@pytest.mark.parametrize("d", [grad, jacrev])
def test_the_largest_beside_minus_infinity_in_reverse(d):
    assert d(lambda x: np.max(np.log(x)))(LOWER).tolist() == [0.0, 0.5]


@pytest.mark.parametrize("d", [gradient, jacfwd])
def test_the_largest_beside_minus_infinity_forwards(d):
    assert d(lambda x: np.max(np.log(x)))(LOWER).tolist() == [0.0, 0.5]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(np.log(x)[SECOND]),
        lambda x: np.sum(np.where(x > 0, np.log(x), 0)),
        lambda x: np.sum(np.log(x), where=SECOND),
        lambda x: np.max(np.log(x)),
    ],
)
def test_masks_hold_at_second_order(f):
    "the Hessian of a masked function is finite, in every nesting"
    expected = pytest.approx(np.array([[0.0, 0.0], [0.0, -0.25]]), abs=1e-14)
    for second in (hessian(f), jacrev(grad(f)), jacfwd(gradient(f)), jacrev(gradient(f))):
        assert second(LOWER) == expected
    assert hvp(f, LOWER, np.ones(2)).tolist() == pytest.approx([0.0, -0.25])


def test_zero_tangents_and_cotangents_of_the_user():
    "a zero given by the user is as good as one found on the way"
    assert jvp(np.log, (LOWER,), (np.array([0.0, 1.0]),))[1].tolist() == [0.0, 0.5]
    assert vjp(np.log, LOWER)[1](np.array([0.0, 1.0]))[0].tolist() == [0.0, 0.5]
    assert vjp(np.sqrt, 0.0)[1](0.0) == (0.0,)
    assert jvp(np.sqrt, (0.0,), (0.0,)) == (0.0, 0.0)


def test_saturated_curvature():
    "the second derivative of tanh is zero, not NaN, at large arguments"
    for x in (30.0, 400.0, 1e5):
        assert derivative(derivative(np.tanh))(x) == 0.0
        assert grad(grad(np.tanh))(-x) == 0.0


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("f", [np.arctan2, np.hypot])
def test_angles_and_lengths_at_any_scale(f, size):
    "the slopes of an angle and a length neither overflow nor underflow"
    a, b = grad(f, (0, 1))(3 * size, 4 * size)
    expected = {np.arctan2: (4 / 25 / size, -3 / 25 / size), np.hypot: (0.6, 0.8)}[f]
    assert (a, b) == pytest.approx(expected, rel=1e-12)


def test_abs_of_a_complex_intermediate():
    "the length of a complex number that was computed from a real one"
    for d in (derivative, grad):
        assert d(lambda x: abs(x * 1j + 1))(1.0) == pytest.approx(math.sqrt(0.5))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(np.abs(x * (1 + 2j)) ** 2),
        lambda x: np.sum(np.real(np.exp(1j * x))),
        lambda x: np.sum(np.imag(np.exp(1j * x) * (2 - 1j))),
        lambda x: np.sum(np.real((x + 2j) * np.conj(x - 1j))),
        lambda x: np.sum((np.conj(x + 2j) * (x + 2j)).real),
        lambda x: np.sum(np.abs(np.sin(x + 1j))),
        lambda x: np.sum(np.real(1 / (x + 1j))),
        lambda x: np.real(np.sum(np.where(x > 0, x * 1j, x) ** 2)),
        lambda x: np.real((x * 1j) @ (x * 2j) + np.mean(x * 1j) ** 2),
        lambda x: np.sum(np.imag(np.sqrt(x + 1j) * np.log(x + 2j))),
        lambda x: np.sum(np.stack([x * 1j, x + 0j])[0].imag ** 2),
        lambda x: np.sum(np.real(np.tanh(x * 1j + 0.2) / (x - 1j) ** 3)),
        lambda x: np.sum(np.angle(x + 2j)),
    ],
)
def test_complex_intermediates(f):
    "between a real argument and a real result there may be complex numbers"
    x = np.array([0.5, -1.0, 2.0])
    try:
        g = grad(f)(x)
    except TypeError as refusal:  # what is not supported is refused, in both modes
        assert type(refusal).__name__ == "LitadError"
        with pytest.raises(TypeError):
            gradient(f)(x)
        return
    h = 1e-6 * np.eye(3)
    assert g.dtype == np.float64
    assert g == pytest.approx(np.array([(f(x + e) - f(x - e)) / 2e-6 for e in h]), abs=1e-8)
    assert gradient(f)(x) == pytest.approx(g, abs=1e-12)
