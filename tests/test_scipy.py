"""litad.scipy: SciPy's values, and derivatives that keep the laws."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.stats
from laws import check_first, check_lanes, check_linear, check_second, jacfwd, jacrev

from litad import LitadError, grad
from litad.scipy import (
    integrate,
    interpolate,
    linalg,
    ndimage,
    optimize,
    signal,
    sparse,
    special,
    stats,
)

RNG = np.random.default_rng(83)
M = np.array([[1.3, -0.4, 0.1], [0.3, 1.1, 0.4], [-0.2, 0.3, 1.6]])
V = np.array([1.0, -0.5, 0.8])
S = RNG.standard_normal(24)
B, A = np.array([0.3, 0.2, 0.1]), np.array([1.1, -0.5, 0.2])
IMAGE = RNG.standard_normal((5, 6))
SPOTS = RNG.uniform(0.2, 3.7, (2, 6))
KNOTS = np.array([0.0, 0.7, 1.5, 2.9, 3.4, 4.6])
HEIGHTS = np.array([1.0, 0.4, 1.7, 2.0, 0.3, 0.9])
PLACES = np.array([0.2, 1.0, 2.2, 3.1])
BAND = np.array([[0.0, 0.3, 0.1], [2.0, 3.0, 2.5], [0.5, -0.4, 0.0]])


def positive(m):
    return m @ m.T + np.eye(3)


CALLS = {
    "expm": (linalg.expm, [M]),
    "logm": (linalg.logm, [positive(M)]),
    "sqrtm": (linalg.sqrtm, [positive(M)]),
    "cosm": (linalg.cosm, [M]),
    "solve_triangular": (lambda a, b: linalg.solve_triangular(a, b, lower=True), [M, V]),
    "solve_triangular turned": (lambda a, b: linalg.solve_triangular(a, b, "T"), [M, V]),
    "lu_solve": (lambda a, b: linalg.lu_solve(linalg.lu_factor(a), b), [M, V]),
    "lu_solve turned": (lambda a, b: linalg.lu_solve(linalg.lu_factor(a), b, 1), [M, V]),
    "cho_solve": (lambda a, b: linalg.cho_solve(linalg.cho_factor(positive(a)), b), [M, V]),
    "solve_banded": (lambda a, b: linalg.solve_banded((1, 1), a, b), [BAND, V]),
    "solve_sylvester": (lambda a, b: linalg.solve_sylvester(a, b, M), [positive(M), M]),
    "quad": (
        lambda p: integrate.quad(
            lambda x: np.exp(-p[0] * x * x) * p[1] + p[2], 0, p[0], epsabs=1e-12
        )[0],
        [np.array([0.7, 1.2, 0.4])],
    ),
    "simpson": (lambda y: integrate.simpson(y), [V]),
    "brentq": (
        lambda a: optimize.brentq(lambda x, a: x**3 + a[0] * x - a[1], 0, 9, a, xtol=1e-14),
        [np.array([1.2, 3.0])],
    ),
    "minimize_scalar": (
        lambda a: optimize.minimize_scalar(lambda x: (x - a[0]) ** 2 + a[1] * x**4).x,
        [np.array([1.2, 0.5])],
    ),
    "fsolve": (lambda a: optimize.fsolve(lambda x: x**3 + x - a, np.ones(3)), [V]),
    "spline": (lambda x, y, at: interpolate.CubicSpline(x, y)(at), [KNOTS, HEIGHTS, PLACES]),
    "natural spline": (
        lambda x, y, at: interpolate.CubicSpline(x, y, bc_type="natural")(at),
        [KNOTS, HEIGHTS, PLACES],
    ),
    "pchip": (lambda x, y, at: interpolate.PchipInterpolator(x, y)(at), [KNOTS, HEIGHTS, PLACES]),
    "akima": (lambda x, y, at: interpolate.Akima1DInterpolator(x, y)(at), [KNOTS, HEIGHTS, PLACES]),
    "b-spline": (
        lambda x, y, at: interpolate.make_interp_spline(x, y, 3)(at),
        [KNOTS, HEIGHTS, PLACES],
    ),
    "lfilter": (signal.lfilter, [B, A, S]),
    "lfilter with a state": (lambda b, a, zi: signal.lfilter(b, a, S, zi=zi)[1], [B, A, V[:2]]),
    "fftconvolve": (lambda u, v: signal.fftconvolve(u, v, "same"), [S, V]),
    "gaussian_filter": (
        lambda x, s: ndimage.gaussian_filter(x, s, radius=2),
        [IMAGE, np.array(0.8)],
    ),
    "correlate": (lambda x, w: ndimage.correlate(x, w, mode="mirror"), [IMAGE, M]),
    "median_filter": (lambda x: ndimage.median_filter(x, 3), [IMAGE]),
    "filtfilt": (lambda b, a, x: signal.filtfilt(b, a, x, padlen=5), [B, A, S]),
    "lfilter_zi": (signal.lfilter_zi, [B, A]),
    "map_coordinates": (ndimage.map_coordinates, [IMAGE, SPOTS]),
    "map_coordinates wrapped": (
        lambda x, u: ndimage.map_coordinates(x, u, order=4, mode="grid-wrap"),
        [IMAGE, SPOTS],
    ),
    "affine_transform": (
        lambda x, m, o: ndimage.affine_transform(x, m, o, mode="mirror"),
        [IMAGE, np.array([[0.913, 0.217], [-0.309, 1.103]]), np.array([0.41, -0.63])],
    ),
    "shift": (lambda x, by: ndimage.shift(x, by, mode="reflect"), [IMAGE, np.array([0.7, -1.3])]),
    "zoom": (lambda x: ndimage.zoom(x, 1.7), [IMAGE]),
    "rotate": (
        lambda x, a: ndimage.rotate(x, a[0], reshape=False, mode="nearest"),
        [IMAGE, np.array([33.0])],
    ),
    "curve_fit": (
        lambda x, y: optimize.curve_fit(lambda x, a, r: a * np.exp(-r * x), x, y)[0],
        [KNOTS, np.array([3.0, 2.1, 1.2, 0.6, 0.4, 0.2])],
    ),
    "curve_fit's covariance": (
        lambda y, s: optimize.curve_fit(
            lambda x, a, r: a * np.exp(-r * x), KNOTS, y, sigma=s, absolute_sigma=True
        )[1],
        [np.array([3.0, 2.1, 1.2, 0.6, 0.4, 0.2]), np.full(6, 0.3)],
    ),
    "spsolve": (
        lambda d, b: sparse.spsolve(sparse.diags([d, d[:2] / 5], [0, 1], shape=(3, 3)), b),
        [np.array([2.0, 3.0, 4.0]), V],
    ),
    "cg": (
        lambda d, b: sparse.linalg.cg(sparse.diags([d], [0], shape=(3, 3)), b)[0],
        [np.array([2.0, 3.0, 4.0]), V],
    ),
    "comb": (special.comb, [np.array(5.3), np.array(2.2)]),
    "multivariate normal": (
        lambda x, m: stats.multivariate_normal.logpdf(x, m, positive(M)),
        [V, V / 2],
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_first_order(name):
    f, xs = CALLS[name]
    check_first(f, xs, np.random.default_rng(1), rtol=1e-5)


@pytest.mark.parametrize("name", CALLS)
def test_second_order(name):
    f, xs = CALLS[name]
    check_second(f, xs, np.random.default_rng(2), agree=1e-7, rtol=1e-4)


@pytest.mark.parametrize("name", ["expm", "lu_solve", "lfilter", "spsolve", "spline", "quad"])
def test_linear_and_lanes(name):
    f, xs = CALLS[name]
    check_linear(f, xs, np.random.default_rng(3), rtol=1e-8)
    check_lanes(f, xs, [(jacfwd, 3), (jacrev, 4)], 1e-8)


SHAPES = {
    "truncnorm": [-0.7, 1.9],
    "randint": [2, 9],
    "hypergeom": [20, 7, 12],
    "binom": [9, 0.3],
    "betabinom": [9, 1.2, 0.8],
    "bernoulli": [0.3],
    "erlang": [2.0],
    "geom": [0.3],
    "nbinom": [2.5, 0.4],
    "logser": [0.6],
    "triang": [0.3],
    "truncexpon": [2.0],
    "betanbinom": [5, 9.3, 1.0],
}
ALL = {d.name: d for d in vars(stats).values() if isinstance(d, stats.Distribution)}


@pytest.mark.parametrize("name", ALL)
def test_densities(name):
    d = ALL[name]
    shapes = [float(v) for v in SHAPES.get(name, [1.3, 0.9, 1.1][: len(d.shapes)])]
    x = np.asarray(d.theirs.ppf([0.2, 0.35, 0.6, 0.85], *SHAPES.get(name, shapes)), float)
    rng = np.random.default_rng(4)
    held = name in ("randint", "hypergeom", "bernoulli")
    if isinstance(d, stats.Discrete):
        if not held:
            counts = 1 if name in ("binom", "betabinom") else 0
            f = lambda *s: d.logpmf(x, *shapes[:counts], *s)  # noqa: E731
            check_first(f, [np.array(v) for v in shapes[counts:]], rng, rtol=1e-5)
        return
    f = lambda x, loc, scale, *s: d.logpdf(x, *s, loc=loc, scale=scale)  # noqa: E731
    xs = [x * 1.2 + 0.1, np.array(0.1), np.array(1.2), *map(np.array, shapes)]
    check_first(f, xs, rng, rtol=1e-5)
    check_second(f, xs, rng, agree=1e-7, rtol=1e-4)


REFUSED = {
    "litad.scipy.linalg": lambda x: np.sum(scipy.linalg.expm(x * M)),
    "litad.scipy.integrate": lambda x: scipy.integrate.quad(lambda s: s * x, 0, 1)[0],
    "litad.scipy.stats": lambda x: scipy.stats.norm.logpdf(x),
    "no derivative rule": lambda x: np.sum(linalg.signm(x * M)),
}


@pytest.mark.parametrize("words", REFUSED)
def test_the_undecorated_function_names_its_drop_in(words):
    with pytest.raises(LitadError, match=words):
        grad(REFUSED[words])(2.0)


def test_plain_numbers_go_to_scipy():
    assert np.array_equal(linalg.expm(M), scipy.linalg.expm(M))
    assert np.array_equal(linalg.hilbert(3), scipy.linalg.hilbert(3))
    assert integrate.quad(np.sin, 0, 1) == scipy.integrate.quad(np.sin, 0, 1)
    assert stats.norm.rvs(size=3, random_state=1).shape == (3,)
    assert stats.norm(1.0, 2.0).logpdf(0.5) == stats.norm.logpdf(0.5, 1.0, 2.0)


@pytest.mark.parametrize("name", ["csr_array", "csc_array"])
def test_compressed_matrices_of_boxes(name):
    "Twins by rows and by columns, with SciPy's shapes where none is given."
    from litad.scipy import sparse

    theirs = getattr(scipy.sparse, name)(np.array([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0]]))
    triple = theirs.indices, theirs.indptr
    ours = jacfwd(lambda d: getattr(sparse, name)((d, *triple)).toarray())(theirs.data)
    assert ours.shape == (2, 3, 3)
    assert np.array_equal(ours @ theirs.data, theirs.toarray())
    plain = getattr(sparse, name)((theirs.data, *triple), shape=(2, 3))
    assert scipy.sparse.issparse(plain) and plain.shape == (2, 3)


def test_a_spline_that_does_not_extrapolate():
    "Outside of the knots there is no number, as SciPy says."
    from litad.scipy import interpolate

    theirs = scipy.interpolate.make_interp_spline(np.arange(6.0), np.arange(6.0) ** 3)
    places = np.array([-0.5, 0.0, 2.2, 5.0, 5.5])
    for extrapolate in (True, False):
        spline = scipy.interpolate.BSpline(theirs.t, theirs.c, 3, extrapolate)
        ours = interpolate.BSpline(theirs.t, theirs.c, 3, extrapolate)
        for nu in (0, 1):
            assert np.allclose(ours(places, nu), spline(places, nu), equal_nan=True)
