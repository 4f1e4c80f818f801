"""Fits: certified numbers, intervals, bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from notebook import NOTEBOOKS
from scipy import optimize

from litad import LitadError
from litad.core import plain
from litad.fit import FitError, curve_fit, fit
from litad.intervals import propagate
from litad.written import Sheet, spread_rows, written

exp, cos, sin, pi = np.exp, np.cos, np.sin, np.pi
PROBLEMS = json.loads((NOTEBOOKS / "data" / "nist_strd.json").read_text())["datasets"]
FURTHER = json.loads((Path(__file__).parent / "data" / "nist_strd_more.json").read_text())
PROBLEMS |= FURTHER["datasets"]
MODELS = {
    "Misra1a": lambda x, b1, b2: b1 * (1 - exp(-b2 * x)),
    "Lanczos3": lambda x, a, b, c, d, e, f: a * exp(-b * x) + c * exp(-d * x) + e * exp(-f * x),
    "ENSO": lambda x, a, b, c, d, e, f, g, h, i: (
        a
        + b * cos(2 * pi * x / 12)
        + c * sin(2 * pi * x / 12)
        + e * cos(2 * pi * x / d)
        + f * sin(2 * pi * x / d)
        + h * cos(2 * pi * x / g)
        + i * sin(2 * pi * x / g)
    ),
    "Thurber": lambda x, a, b, c, d, e, f, g: (
        (a + b * x + c * x**2 + d * x**3) / (1 + e * x + f * x**2 + g * x**3)
    ),
    "MGH10": lambda x, a, b, c: a * exp(b / (x + c)),
    "Bennett5": lambda x, a, b, c: a * (b + x) ** (-1 / c),
    "DanWood": lambda x, a, b: a * x**b,
    "Eckerle4": lambda x, a, b, c: (a / b) * exp(-0.5 * ((x - c) / b) ** 2),
    "MGH09": lambda x, a, b, c, d: a * (x**2 + x * b) / (x**2 + x * c + d),
    "MGH17": lambda x, a, b, c, d, e: a + b * exp(-x * d) + c * exp(-x * e),
    "Misra1b": lambda x, a, b: a * (1 - (1 + b * x / 2) ** (-2)),
    "Misra1c": lambda x, a, b: a * (1 - (1 + 2 * b * x) ** (-0.5)),
    "Misra1d": lambda x, a, b: a * b * x * ((1 + b * x) ** (-1)),
    "Rat42": lambda x, a, b, c: a / (1 + exp(b - c * x)),
    "Rat43": lambda x, a, b, c, d: a / ((1 + exp(b - c * x)) ** (1 / d)),
    "Roszman1": lambda x, a, b, c, d: a - b * x - np.arctan(c / (x - d)) / pi,
}
MODELS |= {"BoxBOD": MODELS["Misra1a"]} | dict.fromkeys(
    ["Lanczos1", "Lanczos2"], MODELS["Lanczos3"]
)
X = np.arange(0, 9.6, 0.5)
NOISY = 5 * exp(-0.4 * X) + 0.1 * np.random.default_rng(1).standard_normal(len(X))


def decay(x, size, rate):
    return size * np.exp(-rate * x)


def of_problem(name, start, **options):
    problem = PROBLEMS[name]
    x, y = np.array(problem["x"]), np.array(problem["y"])
    return curve_fit(MODELS[name], x, y, problem[start], **options)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("start", ["start1", "start2"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_certified_numbers(name, start, jit):
    problem, found = PROBLEMS[name], of_problem(name, start, jit=jit)
    exact = name == "Lanczos1"  # residuals of 1e-13: the last digits of the data
    assert np.allclose(found.popt, problem["certified"], rtol=1e-9, atol=0)
    assert np.allclose(found.stderr, problem["stderr"], rtol=1e-2 if exact else 1e-8, atol=0)
    assert np.isclose(found.rss, problem["rss"], rtol=1e-2 if exact else 1e-9, atol=0)


@pytest.mark.parametrize("name", PROBLEMS)
def test_bounds_far_away_change_nothing(name):
    found = of_problem(name, "start1", bounds=(-1e9, 1e9))
    assert np.allclose(found.popt, PROBLEMS[name]["certified"], rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", ["MGH09", "MGH17", "Rat43"])
@pytest.mark.parametrize("method", ["trf", "dogbox"])
def test_a_named_method_that_fails_is_followed_by_others(name, method):
    found = of_problem(name, "start1", method=method)
    assert np.allclose(found.popt, PROBLEMS[name]["certified"], rtol=1e-9, atol=0)


def test_a_model_that_overflows_has_correlated_data():
    found = of_problem("MGH17", "start1", sigma=4 * np.eye(33))
    assert np.allclose(found.popt, PROBLEMS["MGH17"]["certified"], rtol=1e-9, atol=0)


def test_no_model_is_called_outside_of_its_bounds():
    seen = []

    def model(x, size, rate):
        seen.append([np.ravel(plain(q))[0] for q in (size, rate)])
        return size * np.exp(-rate * x)

    curve_fit(model, X, NOISY, (4, 0.5), bounds=([0, 0.35], [4.5, 1]))
    assert np.all(np.array(seen) >= [0, 0.35 - 1e-12]) and np.all(np.array(seen) <= [4.5, 1])


def test_decay_without_noise():
    found = curve_fit(decay, X, decay(X, 5, 0.4), (4, 0.3))
    assert np.allclose(found.popt, [5, 0.4], rtol=1e-14)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sigma": 0.1 + 0.01 * X},
        {"sigma": 0.1 + 0.01 * X, "absolute_sigma": True},
        {"sigma": np.diag(0.01 + 0.01 * X) + 0.002},
    ],
)
def test_agrees_with_scipy(options):
    popt, pcov = curve_fit(decay, X, NOISY, (4, 0.3), **options)
    theirs = optimize.curve_fit(decay, X, NOISY, (4, 0.3), **options)
    assert np.allclose(popt, theirs[0], rtol=1e-5) and np.allclose(pcov, theirs[1], rtol=1e-3)


@pytest.mark.parametrize("loss", ["soft_l1", "huber", "cauchy", "arctan"])
def test_robust_losses(loss):
    spoiled = NOISY.copy()
    spoiled[5] += 4
    found = curve_fit(decay, X, spoiled, (4, 0.3), loss=loss, f_scale=0.1)
    theirs = optimize.curve_fit(decay, X, spoiled, (4, 0.3), loss=loss, f_scale=0.1, method="trf")
    assert np.allclose(found.popt, theirs[0], rtol=1e-3) and np.all(np.isfinite(found.stderr))


def test_large_fit_through_a_sample():
    x = np.linspace(0, 10, 10_000)
    y = decay(x, 3, 0.6) + 0.1 * np.random.default_rng(2).standard_normal(len(x))
    popt, pcov = curve_fit(decay, x, y, (1, 1))
    theirs = optimize.curve_fit(decay, x, y, (1, 1), ftol=1e-14, xtol=1e-14)
    assert np.allclose(popt, theirs[0], rtol=1e-7) and np.allclose(pcov, theirs[1], rtol=1e-5)
    assert np.allclose(curve_fit(decay, x, y, (1, 1), jit=True).popt, popt, rtol=1e-10)


def test_bounds_hold():
    found = curve_fit(decay, X, NOISY, (4, 0.6), bounds=([0, 0.5], [10, 2]))
    assert (
        found.params["rate"] == 0.5
        and found.stderr[1] == 0
        and any("bound" in s for s in found.notes)
    )
    inside = curve_fit(decay, X, NOISY, (4, 0.6), bounds=([0, 0], [10, 2]))
    assert np.allclose(inside.popt, curve_fit(decay, X, NOISY).popt, rtol=1e-9)


def test_masks_and_nan_policy():
    spoiled = NOISY.copy()
    spoiled[3] = np.nan
    masked = curve_fit(decay, X, spoiled, mask=np.isfinite(spoiled))
    omitted = curve_fit(decay, X, spoiled, nan_policy="omit")
    arrays = curve_fit(decay, X, np.ma.masked_invalid(spoiled))
    apart = curve_fit(decay, np.delete(X, 3), np.delete(NOISY, 3))
    for found in (masked, omitted, arrays):
        assert np.allclose(found.popt, apart.popt, rtol=1e-12) and found.size == len(X) - 1


def test_unidentifiable_parameters_are_named():
    found = curve_fit(lambda x, a, b, rate: a * b * exp(-rate * x), X, NOISY, (2.0, 2.0, 0.5))
    assert np.isinf(found.stderr[:2]).all() and np.isfinite(found.stderr[2])
    assert "a, b" in found.notes[0] and "moving along" in found.notes[0]
    unused = curve_fit(lambda x, a, b: a + 0 * b * x, X, NOISY)
    assert np.isinf(unused.stderr[1]) and np.isfinite(unused.stderr[0])


def test_intervals_and_quality():
    found = curve_fit(decay, X, NOISY)
    (low, high), (below, above) = found.interval("rate"), found.interval("rate", kind="profile")
    assert np.allclose([low, high], [below, above], rtol=5e-3)
    assert 0.9 < found.r2 < 1 and found.bic > found.aic and len(found.interval()) == 2
    value, error = propagate(lambda p: np.log(2) / p[1], found)
    assert np.isclose(value, np.log(2) / found.popt[1]) and error > 0
    assert "rate" in repr(found) and "text/markdown" in found._repr_mimebundle_()


def test_differential_equation():
    t = np.linspace(0, 4, 12)
    y = 3 * exp(-0.8 * t)
    found = fit(lambda t, y, rate: -rate * y, t, y, {"rate": 0.5})
    assert np.allclose(found.popt, [0.8, 3.0], rtol=1e-5)


BAD = {
    "fewer points": lambda: curve_fit(decay, X[:1], NOISY[:1]),
    "not finite everywhere": lambda: curve_fit(decay, X, np.where(X > 3, np.nan, NOISY)),
    "xdata is not finite": lambda: curve_fit(decay, np.where(X > 3, np.inf, X), NOISY),
    "must be positive": lambda: curve_fit(decay, X, NOISY, sigma=np.where(X > 3, 0.0, 1.0)),
    "sigma must be": lambda: curve_fit(decay, X, NOISY, sigma=-np.ones(len(X))),
    "outside of the bounds": lambda: curve_fit(decay, X, NOISY, (5, 9), bounds=(0, 8)),
    "number for each point": lambda: curve_fit(lambda x, a: a * x[:-1], X, NOISY),
    "not finite at the start": lambda: curve_fit(lambda x, a: np.log(-a) * x, X, NOISY),
    "knows no bounds": lambda: curve_fit(decay, X, NOISY, bounds=(0, 8), method="lm"),
    "p0 has another length": lambda: curve_fit(decay, X, NOISY, (1, 2, 3)),
    "does not say how many": lambda: curve_fit(lambda x, *p: x, X, NOISY),
    "no parameter of this name": lambda: curve_fit(decay, X, NOISY).interval("speed"),
    "another length than the data": lambda: curve_fit(decay, X, NOISY, sigma=np.ones(3)),
    "no covariance": lambda: curve_fit(decay, X, NOISY, sigma=-np.eye(len(X))),
    "does not know an option": lambda: curve_fit(decay, X, NOISY, colour="red"),
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_refused_in_words(words):
    with pytest.raises(LitadError, match=words):
        BAD[words]()


def test_a_stopped_search_keeps_its_best():
    seen = []
    found = curve_fit(decay, X, NOISY, callback=lambda p, rss: seen.append(rss) or len(seen) == 2)
    assert not found.success and "stopped" in found.message
    assert issubclass(FitError, RuntimeError)


def three_peaks(x, a, b, c, d, e, f, g, h, i, base):
    first, second, third = (x - b) / c, (x - e) / f, (x - h) / i
    return base + a * np.exp(-(first**2)) + d * np.exp(-(second**2)) + g * np.exp(-(third**2))


PEAKS = np.array([3.0, 2.0, 0.5, 2.0, 5.0, 0.8, 4.0, 8.0, 0.6, 1.0])
WIDE = np.linspace(0, 10, 4999)  # a prime number of points: blocks are filled up
TALL = three_peaks(WIDE, *PEAKS) + 0.1 * np.random.default_rng(5).standard_normal(4999)


@pytest.mark.parametrize("jit", [False, True])
def test_ten_parameters_and_many_points(jit):
    sizes = np.where(WIDE > 5, 0.2, 0.1)
    keep = (np.arange(4999) % 7) > 0
    start = PEAKS * 1.05
    for how, chosen in (({}, slice(None)), ({"sigma": sizes, "mask": keep}, keep)):
        popt, pcov = curve_fit(three_peaks, WIDE, TALL, start, jit=jit, **how)
        sigma = how.get("sigma", np.ones(4999))[chosen]
        theirs = optimize.curve_fit(
            three_peaks, WIDE[chosen], TALL[chosen], popt, sigma, ftol=1e-15, xtol=1e-15
        )
        errors = np.sqrt(np.diagonal(theirs[1]))
        assert np.all(np.abs(popt - theirs[0]) < 2e-4 * errors)
        assert np.allclose(pcov, theirs[1], atol=1e-4 * np.outer(errors, errors).max())
        assert np.allclose(np.sqrt(np.diagonal(pcov)), errors, rtol=1e-4)


@pytest.mark.parametrize("jit", [False, True])
def test_many_points_and_a_parameter_that_is_held(jit):
    held = curve_fit(three_peaks, WIDE, TALL, PEAKS * 1.03, fixed={"base": 1.0}, jit=jit)
    assert held.popt[9] == 1.0 and held.stderr[9] == 0 and np.all(held.stderr[:9] > 0)
    free = curve_fit(three_peaks, WIDE, TALL, PEAKS * 1.03, jit=jit)
    assert free.rss < held.rss and np.allclose(free.popt, held.popt, rtol=2e-2)
    assert len(free.residuals) == 4999 and np.isclose(np.sum(free.residuals**2), free.rss)


@pytest.mark.parametrize("jit", [False, True])
def test_many_points_that_do_not_tell(jit):
    f = lambda x, a, b, rate: a * b * np.exp(-rate * x)  # noqa: E731
    y = decay(WIDE, 3, 0.6) + 0.01 * np.sin(99 * WIDE)
    fit = curve_fit(f, WIDE, y, (1.0, 2.0, 0.5), jit=jit)
    assert np.isinf(fit.stderr[:2]).all() and np.isfinite(fit.stderr[2])
    assert any(["does not change the curve" in note for note in fit.notes])


@pytest.mark.parametrize("jit", [False, True])
def test_many_points_of_a_model_with_memory(jit):
    f = lambda x, a, b: a * np.cumsum(np.exp(-b * x)) / len(x)  # noqa: E731
    y = f(WIDE, 2.0, 0.3) + 1e-3 * np.cos(77 * WIDE)
    fit = curve_fit(f, WIDE, y, (1.0, 1.0), jit=jit)
    theirs = optimize.curve_fit(f, WIDE, y, (2.0, 0.3), ftol=1e-14, xtol=1e-14)
    assert np.allclose(fit.popt, theirs[0], rtol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("many", [False, True])
def test_bad_input_is_refused(jit, many):
    x = WIDE if many else X
    y = decay(x, 5, 0.4)
    how = dict(jit=jit)
    bad = {
        "fewer points": lambda: curve_fit(decay, x[:1], y[:1], **how),
        "NaN": lambda: curve_fit(decay, x, np.where(x > 4, np.nan, y), **how),
        "not finite": lambda: curve_fit(decay, np.where(x > 4, np.inf, x), y, **how),
        "positive": lambda: curve_fit(decay, x, y, sigma=np.where(x > 4, 0.0, 0.1), **how),
        "positive ": lambda: curve_fit(decay, x, y, sigma=np.full(len(x), -1.0), **how),
        "outside": lambda: curve_fit(decay, x, y, (1.0, 9.0), bounds=([0, 0], [5, 2]), **how),
        "number for each point": lambda: curve_fit(lambda x, a: a * x[:-1], x, y, (1.0,), **how),
        "number for each point ": lambda: curve_fit(
            lambda x, a: a * x[:, None], x, y, (1.0,), **how
        ),
        "not finite at the start": lambda: curve_fit(
            lambda x, a, b: a * np.log(b * x - 1), x, y, (1.0, 1.0), **how
        ),
    }
    for text, call in bad.items():
        with pytest.raises(ValueError, match=text.strip()):
            call()


def test_a_fit_unpacks_and_counts_like_a_pair():
    fit = curve_fit(decay, X, decay(X, 5, 0.4), (4, 0.3))
    assert fit[0] is fit.popt and len(fit) == 2 and np.array_equal(fit[1], fit.pcov)


def test_an_equation_that_is_not_stiff_compiles_explicit_steps():
    from litad.fit import calm_solver

    oscillator = lambda t, u, k: np.stack([u[1], -k * u[0]])  # noqa: E731
    stiff = lambda t, u, k: np.stack([-1e4 * (u[0] - np.cos(k * t)), -u[1]])  # noqa: E731
    t, begin = np.linspace(0, 10, 11), np.array([1.0, 0.0])
    assert calm_solver(oscillator, t, begin, (2.0,), 1e-7, 1e-9) == "tsit5"
    assert calm_solver(stiff, t, begin, (2.0,), 1e-7, 1e-9) == "auto"


MANY = np.linspace(0, 5, 5000)
HUM = 0.05 * np.random.default_rng(3).standard_normal(len(MANY))


def waves(x, a, b, c):
    return a * np.sin(b * x) + c


def test_a_page_is_the_jacobian():
    models = [
        (waves, [1.5, 2.0, 0.3]),
        (lambda x, a, b: np.where(x > 2, a * x, b * np.sqrt(x + 1)), [1.0, 2.0]),
        (lambda x, a, b: np.maximum(a * x, b) ** 1.5 / (1 + np.abs(x - 1.3)), [1.0, 2.0]),
        (lambda x, a, b: a**x + b**2 * x**b + np.logaddexp(a * x, b), [1.3, 1.7]),
        (
            lambda x, a, b, c: np.hypot(a * x, b) - np.arctan2(c, x + 1) * np.tanh(b),
            [1.3, 1.7, 0.4],
        ),
        (lambda x, a, b: 1 / (a + b * x) - (-x) / -a + 0 * b, [1.3, 1.7]),
        (lambda x, a, b: a + 0 * x + b * 2.0, [1.3, 1.7]),
        (lambda x, a, b: -(a - b * x) - (b * x - a) + (a - x) * (a - x), [1.3, 1.7]),
        (lambda x, a, b: np.exp(a) * np.expm1(b * x) * np.float64(2), [0.3, -0.7]),
    ]
    for f, p in models:
        n = len(p)
        free = tuple(range(n))
        page = written(f, MANY, n, free, MANY.shape)
        assert page is not None
        y, rows = spread_rows(f, MANY, p, free, MANY.shape)
        sheet = Sheet(page, MANY, HUM, None, p, free)
        for _ in range(2):
            got, factors = sheet.columns(np.array(p))
            assert np.allclose(
                got[:-1] * factors[:, None], np.array([*rows]), rtol=1e-12, atol=1e-13
            ), f
            assert np.allclose(got[-1], y - HUM, rtol=1e-12, atol=1e-13)


def test_a_page_sees_what_the_model_reads():
    level, calm = 1.0, {"size": 2.0}
    held = np.array([3.0])

    def f(x, a, b):
        return a * np.exp(-b * x) * calm["size"] + level + held[0]

    for _ in range(3):
        y = f(MANY, 2.0, 0.5) + HUM
        found = curve_fit(f, MANY, y, [1.5, 0.4])
        other = curve_fit(f, MANY, y, [1.5, 0.4], callback=lambda p, s: False)
        assert np.allclose(found.popt, other.popt, atol=1e-4 * other.stderr.min())
        level, calm["size"] = level + 1.0, calm["size"] + 1
        held[0] += 1


def test_models_that_know_how_many_points_there_are():
    for f in (
        lambda x, a, b: a * np.exp(-b * x) + len(x) / 5000,
        lambda x, a, b: a * np.exp(-b * x / x.max()),
        lambda x, a, b: a * np.exp(-b * (x - x[0])) + np.linspace(0, 1, len(x)),
        lambda x, a, b: a * np.cumsum(np.exp(-b * x)) / x.size,
    ):
        y = f(MANY, 2.0, 0.5) + HUM
        for jit in (False, True):
            found = curve_fit(f, MANY, y, [1.5, 0.4], jit=jit)
            assert np.all(np.abs(found.popt - [2, 0.5]) < 5 * found.stderr)


def test_branches_on_parameters_have_no_page():
    def f(x, a, b):
        return a * np.exp(-b * x) if b < 0.45 else a / (1 + b * x)

    y = 2 / (1 + 0.6 * MANY) + HUM
    found = curve_fit(f, MANY, y, [1.5, 0.7])
    assert written(f, MANY, 2, (0, 1), MANY.shape) is None
    assert np.all(np.abs(found.popt - [2, 0.6]) < 5 * found.stderr)


def test_several_numbers_at_a_place():
    X = np.array([MANY, MANY[::-1] ** 2])

    def f(X, a, b):
        return a * np.exp(-b * X[0]) + a * X[1]

    def g(X, a, b):
        u, v = X
        return a * np.exp(-b * u) + a * v

    y = f(X, 2.0, 0.5) + HUM
    assert written(f, X, 2, (0, 1), MANY.shape) is not None
    for h in (f, g):
        for jit in (False, True):
            found = curve_fit(h, X, y, [1.5, 0.4], jit=jit)
            assert np.all(np.abs(found.popt - [2, 0.5]) < 5 * found.stderr)


def test_weights_masks_and_held_parameters():
    y = waves(MANY, 1.5, 2.0, 0.3) + HUM
    sigma = 0.05 + 0.01 * MANY
    keep = MANY < 4
    for how in (
        dict(sigma=sigma),
        dict(mask=keep),
        dict(weights=keep * 1.0),
        dict(fixed={"c": 0.3}),
        dict(bounds=([0, 1, -1], [3, 3, 1])),
    ):
        found = curve_fit(waves, MANY, y, [1.3, 1.9, 0.1], **how)
        other = curve_fit(waves, MANY, y, [1.3, 1.9, 0.1], callback=lambda p, s: False, **how)
        assert np.allclose(found.popt, other.popt, atol=1e-4 * other.stderr[:2].min())
        assert np.allclose(found.pcov, other.pcov, rtol=1e-6)


@pytest.mark.parametrize("degree", [3, 6, 9])
@pytest.mark.parametrize("jit", [False, True])
def test_polynomials_of_many_points(degree, jit):
    x = np.linspace(0, 10, 4000)
    truth = (
        np.linspace(1, 2, degree + 1)
        * (-1.0) ** np.arange(degree + 1)
        / 5.0 ** np.arange(degree + 1)
    )
    y = np.polyval(truth[::-1], x) + 0.1 * np.random.default_rng(1).standard_normal(len(x))

    def f(x, *p):
        return np.polyval(p[::-1], x)

    found = curve_fit(f, x, y, np.ones(degree + 1), jit=jit)
    exact = np.polynomial.Polynomial.fit(x, y, degree)
    assert np.isclose(found.rss, np.sum((y - exact(x)) ** 2), rtol=1e-10)
    assert np.allclose(found.popt, exact.convert().coef, atol=1e-3 * found.stderr, rtol=0)


def test_a_start_without_numbers_is_named():
    with pytest.raises(FitError, match="not finite at the start"):
        curve_fit(lambda x, a, b: a * np.log(b * x - 1), MANY, HUM)
    with pytest.raises(LitadError, match="a number for each point"):
        curve_fit(lambda x, a, b: a * x[:-1] + b, MANY, HUM)


def test_what_is_known_only_together_is_said():
    y = 2 * np.exp(-0.5 * MANY) + HUM
    for jit in (False, True):
        found = curve_fit(lambda x, a, b, c: a * b * np.exp(-c * x), MANY, y, jit=jit)
        assert np.isinf(found.stderr[:2]).all() and np.isfinite(found.stderr[2])
        assert any("does not change the curve" in note for note in found.notes)
