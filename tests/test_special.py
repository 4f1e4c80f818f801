"""The functions of scipy.special, row by row: every ufunc is differentiated or refused."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import special

from litad import LitadError, grad, gradient, hessian, jacfwd, jacrev, jvp, vjp
from litad import special as rooms

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

UFUNCS = {
    name: u
    for name, u in sorted(vars(special).items())
    if isinstance(u, np.ufunc) and getattr(np, name, None) is not u
}

# Where a function is smooth: the interval of each operand, or the values that it is held at.
UNIT = (0.15, 0.85)
DEFAULT = [(0.3, 0.9), (1.1, 1.9), (0.4, 0.8), (0.2, 0.7)]
INTEGER, ORDER = [0, 1, 2, 5], [0.0, 1.0, 2.5]
DOMAIN = {
    "bdtr": [[0.0, 1.0, 3.0], [4], UNIT],
    "bdtri": [[0.0, 1.0, 3.0], [4], UNIT],
    "besselpoly": [(0.3, 2.0), [0.5, 2.0], [0.0, 1.5]],
    "betainc": [[1.0, 2.5], [1.0, 3.2], UNIT],
    "inv_boxcox": [(0.3, 2.0), (-0.4, 1.5)],
    "owens_t": [(-1.5, 1.5), (-2.0, 2.0)],
    "binom": [(2.1, 6.0), (-0.9, 2.0)],
    "boxcox": [(0.3, 3.0), (-1.5, 1.5)],
    "chdtri": [[1.0, 4.5], UNIT],
    "chndtr": [(1.0, 4.0), [1.0, 2.0, 5.5], (0.3, 2.0)],
    "chndtrix": [UNIT, [1.0, 5.5], (0.3, 2.0)],
    "chndtrinc": [(1.0, 2.0), [1.0, 1.5], (0.05, 0.2)],
    "ellipeinc": [(-5.0, 5.0), (-3.0, 0.9)],
    "ellipj": [(-4.0, 4.0), (0.1, 0.9)],
    "ellipk": [(-3.0, 0.95)],
    "entr": [(0.1, 2.0)],
    "erfc": [(-1.5, 1.5)],
    "erfcinv": [(0.2, 1.8)],
    "erfinv": [(-0.9, 0.9)],
    "expn": [[0, 1, 2, 5], (0.3, 2.0)],
    "fdtr": [[1.0, 4.0], [2.0, 5.5], (0.2, 2.0)],
    "fdtri": [[1.0, 4.0], [2.0, 5.5], UNIT],
    "gammainc": [[0.5, 1.0, 3.2], (0.2, 4.0)],
    "gammaincinv": [[0.5, 1.0, 3.2], UNIT],
    "gammaln": [(-1.9, -1.1)],
    "gdtr": [(0.4, 2.0), [0.5, 1.0, 2.5], (0.3, 2.0)],
    "gdtria": [UNIT, [0.5, 2.5], (0.3, 2.0)],
    "gdtrix": [(0.4, 2.0), [0.5, 2.5], UNIT],
    "huber": [(0.5, 1.0), (-2.0, 2.0)],
    "hyp0f1": [[0.5, 2.0], (-3.0, 3.0)],
    "hyp1f1": [[0.5, -2.0], [1.5, 2.0], (-3.0, 3.0)],
    "hyp2f1": [[0.5, -2.0], [1.5, 2.0], [2.5], (-2.0, 0.8)],
    "hyperu": [[0.5, 2.0], [1.5, 2.0], (0.3, 3.0)],
    "j0": [(-3.0, 6.0)],
    "jv": [ORDER, (0.3, 4.0)],
    "kelvin": [(0.3, 3.0)],
    "kn": [INTEGER, (0.3, 3.0)],
    "kolmogi": [UNIT],
    "kolmogorov": [(0.3, 2.0)],
    "log_wright_bessel": [[0.5, 1.0], [1.5], (0.3, 2.0)],
    "logit": [UNIT],
    "lpmv": [[0.0, 1.0, 2.0], [2.0, 3.0], (-0.8, 0.8)],
    "nbdtr": [[0.0, 1.0, 3.0], [4], UNIT],
    "nrdtrisd": [(0.1, 0.3), (0.6, 0.9), (1.0, 2.0)],
    "nrdtrimn": [UNIT, (0.5, 2.0), (-1.0, 1.0)],
    "ndtri_exp": [(-3.0, -0.1)],
    "pbdv": [[0.5, 2.0], (-2.0, 2.0)],
    "pbwa": [[0.5, 2.0], (-2.0, 2.0)],
    "pdtr": [[0.0, 1.0, 3.5], (0.3, 3.0)],
    "pdtri": [[0.0, 1.0, 3.0], UNIT],
    "psi": [(-1.9, -1.1)],
    "rgamma": [(-2.5, 3.0)],
    "round": [(0.6, 1.4)],
    "shichi": [(0.2, 3.0)],
    "spence": [(0.2, 3.0)],
    "stdtr": [[1.0, 3.5], (-2.0, 2.0)],
    "stdtrit": [[1.0, 3.5], UNIT],
    "struve": [[0.0, 1.0, 2.5], (0.3, 4.0)],
    "tklmbda": [(-0.5, 0.5), [0.5, 1.0, -0.7]],
    "voigt_profile": [(-2.0, 2.0), (0.5, 1.5), (0.1, 1.0)],
    "wright_bessel": [[0.5, 1.0], [1.5], (0.3, 2.0)],
    "xlogy": [(-1.0, 2.0), (0.2, 2.0)],
}
LIKE = {
    "bdtr": "bdtrc",
    "betainc": "betaincc betaincinv betainccinv",
    "boxcox": "boxcox1p",
    "inv_boxcox": "inv_boxcox1p",
    "ellipeinc": "ellipkinc",
    "ellipk": "ellipe",
    "erfc": "erf erfi erfcx dawsn wofz ndtr log_ndtr expit log_expit exprel exp2 exp10 expm1 cosm1 "
    "sindg cosdg airy i0e i1e",
    "erfinv": "",
    "fdtr": "fdtrc",
    "gammainc": "gammaincc chdtr chdtrc",
    "gammaincinv": "gammainccinv",
    "gdtr": "gdtrc",
    "hyp0f1": "",
    "huber": "pseudo_huber",
    "j0": "j1 i0 i1 wrightomega sici",
    "jv": "jn iv ive jve yv yve kv kve hankel1 hankel2 hankel1e hankel2e",
    "kn": "yn",
    "kelvin": "ber bei ker kei berp beip kerp keip",
    "logit": "ndtri",
    "nbdtr": "nbdtrc nbdtri",
    "pbdv": "pbvv",
    "pdtr": "pdtrc",
    "psi": "digamma gamma",
    "shichi": "exp1 expi y0 y1 k0 k1 k0e k1e fresnel modfresnelp modfresnelm itj0y0 iti0k0 it2j0y0 "
    "it2i0k0 itstruve0 itmodstruve0 it2struve0 itairy tandg cotdg airye log1p cbrt",
    "struve": "modstruve",
    "xlogy": "xlog1py",
}
for _first, _others in LIKE.items():
    DOMAIN |= {name: DOMAIN[_first] for name in _others.split()}
for _name in UFUNCS:
    if _name.startswith("eval_"):
        _middle = {3: [[0.7, 1.5]], 4: [[0.7, 1.5], [0.3]]}.get(UFUNCS[_name].nin, [])
        DOMAIN[_name] = [[0, 1, 2, 5], *_middle, (-0.8, 0.8)]
        if "sh_jacobi" in _name:
            DOMAIN[_name] = [[0, 1, 2, 5], [2.5], [1.3], (0.1, 0.9)]

ROWS = {row["function"]: row for row in rooms.coverage()}
RULED = [name for name in UFUNCS if ROWS[name]["differentiated"]]
REFUSED = [name for name in UFUNCS if not ROWS[name]["differentiated"]]
STAIRS = {"round", "gammasgn"}
CASES = [(name, k) for name in RULED for k in ROWS[name]["differentiated"]]
cases = pytest.mark.parametrize("name, k", CASES)


def operands(name, dtype=np.float64):
    "The operands of a ufunc: broadcast against one another, the last one a matrix."
    ufunc = UFUNCS[name]
    domain = DOMAIN.get(name, DEFAULT)[: ufunc.nin]
    rng = np.random.default_rng([*map(ord, name)])
    held = [len(values) for values in domain if isinstance(values, list)]
    xs = []
    for where in domain:
        if isinstance(where, list):
            xs.append(np.resize(where, max(held))[:, None])
        else:
            xs.append(rng.uniform(*where, (1, 3) if held else (2, 3)))
    return [x.astype(dtype) if x.dtype.kind == "f" else x for x in xs], rng


def real(y):
    "The outputs of a function as one real array."
    parts = y if isinstance(y, tuple) else (y,)
    flat = []
    for part in parts:
        flat += [np.real(part), np.imag(part)] if part.dtype.kind == "c" else [part]
    return np.stack(flat)


def along(name, k, dtype=np.float64):
    "A ufunc as a real function of its operand k, and the point."
    xs, rng = operands(name, dtype)

    def f(x):
        return real(UFUNCS[name](*xs[:k], x, *xs[k + 1 :]))

    return f, xs[k], rng


def close(a, b, rtol):
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return False
    return bool(np.all(np.abs(a - b) <= rtol * max(1.0, np.max(np.abs(b), initial=0.0))))


def difference(f, x, v, h=1e-5):
    "A central difference of the fourth order."
    near = f(x + h * v) - f(x - h * v)
    far = f(x + 2 * h * v) - f(x - 2 * h * v)
    return (8 * near - far) / (12 * h)


def test_every_ufunc_is_in_the_table():
    assert set(ROWS) == set(UFUNCS) and len(RULED) > 150
    assert {n for n in UFUNCS if not n.startswith("_")} == set(RULED) | set(REFUSED)


@cases
def test_first_order(name, k):
    "forward = reverse = central difference; values are SciPy's own"
    f, x, rng = along(name, k)
    v = rng.standard_normal(x.shape)
    value, pushed = jvp(f, (x,), (v,))
    again, pullback = vjp(f, x)
    assert np.array_equal(value, f(x)) and np.array_equal(again, f(x))
    assert np.isfinite(value).all() and np.isfinite(pushed).all()
    if name in STAIRS:
        assert not pushed.any()
        return
    assert np.abs(pushed).max() > 0
    assert close(pushed, difference(f, x, v), 1e-6)
    w = rng.standard_normal(pushed.shape)
    assert close(np.sum(w * pushed), np.sum(pullback(w)[0] * v), 1e-11)


@cases
def test_second_order(name, k):
    "the modes agree on second derivatives, and with a difference of first ones"
    f, x, rng = along(name, k)
    w = rng.standard_normal(f(x).shape)
    v = rng.standard_normal(x.shape)
    loss = lambda x: np.sum(w * f(np.sin(x) - np.sin(X) + X))  # noqa: E731
    X = x
    second = jvp(grad(loss), (x,), (v,))[1]
    assert np.isfinite(second).all()
    assert close(second, difference(grad(loss), x, v), 1e-5)
    assert close(second, grad(lambda x: np.sum(grad(loss)(x) * v))(x), 1e-9)
    assert close(second, grad(lambda x: jvp(loss, (x,), (v,))[1])(x), 1e-9)


@cases
def test_lanes(name, k):
    "directions side by side give what they give one at a time"
    f, x, _ = along(name, k)
    single = jacfwd(f, chunk=1)(x)
    assert close(jacfwd(f, chunk=4)(x), single, 1e-12)
    assert close(jacrev(f, chunk=3)(x), single, 1e-12)
    if name in STAIRS:
        return
    loss = lambda x: np.sum(f(x) ** 2)  # noqa: E731
    assert close(hessian(loss, chunk=4)(x), hessian(loss, chunk=1)(x), 1e-11)


@cases
def test_single_precision(name, k):
    "single precision in, SciPy's own type out, and back"
    f, x, _ = along(name, k, np.float32)
    plain = f(x)
    value, pushed = jvp(f, (x,), (np.ones_like(x),))
    again, pullback = vjp(f, x)
    assert value.dtype == again.dtype == pushed.dtype == plain.dtype
    assert pullback(np.ones_like(plain))[0].dtype == np.float32
    g, wide, _ = along(name, k)
    good = np.isfinite(plain)  # SciPy itself has gaps in single precision
    assert good.any() and close(pushed[good], jvp(g, (wide,), (np.ones_like(wide),))[1][good], 1e-3)


@pytest.mark.filterwarnings("ignore:non-integer arg n")  # bdtr has no loop of floats and integers
@cases
def test_python_numbers_around_single_precision(name, k):
    "Python numbers beside a single precision operand leave it single"
    ufunc = UFUNCS[name]
    xs, _ = operands(name)
    rest = [x.ravel()[-1].item() for x in xs]
    x = np.array(rest[k], np.float32)
    f = lambda x: real(ufunc(*rest[:k], x, *rest[k + 1 :]))  # noqa: E731
    value, pushed = jvp(f, (x,), (np.ones_like(x),))
    assert value.dtype == pushed.dtype == f(x).dtype
    assert vjp(f, x)[1](np.ones_like(value))[0].dtype == np.float32


@pytest.mark.parametrize("name", RULED)
def test_held_operands_refuse_boxes(name):
    xs, _ = operands(name)
    for k in set(range(UFUNCS[name].nin)) - set(ROWS[name]["differentiated"]):
        x = xs[k].astype(float)
        f = lambda x, k=k: np.sum(real(UFUNCS[name](*xs[:k], x, *xs[k + 1 :])))  # noqa: E731
        for transform in (grad, gradient):
            with pytest.raises(LitadError, match="is not differentiated in its operand"):
                transform(f)(x)


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    for k in range(UFUNCS[name].nin):
        xs = [0.5] * UFUNCS[name].nin

        def f(x, k=k, xs=xs):
            y = UFUNCS[name](*xs[:k], x, *xs[k + 1 :])
            return y[0] if isinstance(y, tuple) else y

        for transform in (grad, gradient):
            with pytest.raises(LitadError, match=f"scipy.special.{name} has no derivative rule"):
                transform(f)(0.5)


@pytest.mark.parametrize(
    "name", ["erf", "jv", "gammainc", "xlogy", "airy", "ellipkinc", "eval_legendre"]
)
def test_zero_size(name):
    xs, _ = operands(name)
    x = xs[-1][:, :0]
    f = lambda x: real(UFUNCS[name](*[y[:, :1] for y in xs[:-1]], x))  # noqa: E731
    assert jvp(f, (x,), (x,))[1].shape == f(x).shape
    assert vjp(f, x)[1](np.ones(f(x).shape))[0].shape == x.shape


# The operand by which a ufunc is holomorphic is its last one, but for these.
COMPLEX = [
    name for name in RULED if any(set(t.split("->")[0]) & set("D") for t in UFUNCS[name].types)
]
REAL_RULE_ONLY = {"ive", "jve", "yve", "airye", "psi", "digamma"}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_intermediates(name):
    "holomorphic rules hold for complex numbers on the way from real to real, or are refused"
    xs, rng = operands(name)
    turn = np.exp(0.3j) if name not in ("hyp2f1",) else np.exp(0.1j)
    x = xs[-1]

    def f(x):
        z = x * turn
        return real(UFUNCS[name](*[y + 0j if name.startswith("xlog") else y for y in xs[:-1]], z))

    if name in REAL_RULE_ONLY:
        with pytest.raises(LitadError, match="complex"):
            jvp(f, (x,), (x,))
        return
    v = rng.standard_normal(x.shape)
    pushed = jvp(f, (x,), (v,))[1]
    assert close(pushed, difference(f, x, v), 1e-6)
    w = rng.standard_normal(pushed.shape)
    assert close(np.sum(w * pushed), np.sum(vjp(f, x)[1](w)[0] * v), 1e-11)
    loss = lambda x: np.sum(w * f(x))  # noqa: E731
    if name in ("gamma", "loggamma", "rgamma"):  # their slopes are psi
        with pytest.raises(LitadError, match="complex"):
            jvp(grad(loss), (x,), (v,))
        return
    assert close(jvp(grad(loss), (x,), (v,))[1], difference(grad(loss), x, v), 1e-5)


def derivatives(f, x, count):
    "The first derivatives of a function of one number."
    found = []
    for _ in range(count):
        f = (lambda g: lambda x: jvp(g, (x,), (1.0,))[1])(f)
        found.append(float(np.real(f(x))))
    return found


PI, E, GAMMA = np.pi, np.e, np.euler_gamma
# Points that a quotient, a product of limits or a difference of large numbers would spoil.
EDGES = {
    "j1 at 0": (special.j1, 0.0, [1 / 2, 0, -3 / 8]),
    "jv at 0": (lambda x: special.jv(2, x), 0.0, [0, 1 / 4, 0, -1 / 4]),
    "iv at 0": (lambda x: special.iv(1, x), 0.0, [1 / 2, 0, 3 / 8]),
    "ber at 0": (special.ber, 0.0, [0, 0, 0, -3 / 8]),
    "bei at 0": (special.bei, 0.0, [0, 1 / 2, 0, 0]),
    "si at 0": (lambda x: special.sici(x)[0], 0.0, [1, 0, -1 / 3, 0, 1 / 5]),
    "shi at 0": (lambda x: special.shichi(x)[0], 0.0, [1, 0, 1 / 3, 0, 1 / 5]),
    "spence at 1": (special.spence, 1.0, [-1, 1 / 2, -2 / 3]),
    "exprel at 0": (special.exprel, 0.0, [1 / 2, 1 / 3, 1 / 4]),
    "boxcox at power 0": (lambda w: special.boxcox(np.e, w), 0.0, [1 / 2, 1 / 3, 1 / 4]),
    "boxcox of 0": (lambda w: special.boxcox(0.0, w), 2.0, [1 / 4, -1 / 4]),
    "boxcox1p at power 0": (lambda w: special.boxcox1p(np.e - 1, w), 0.0, [1 / 2, 1 / 3]),
    "inv_boxcox at power 0": (
        lambda w: special.inv_boxcox(1.0, w),
        0.0,
        [-np.e / 2, 11 * np.e / 12],
    ),
    "lambertw at 0": (lambda x: np.real(special.lambertw(x)), 0.0, [1, -2, 9, -64]),
    "rgamma at 0": (special.rgamma, 0.0, [1, 2 * GAMMA]),
    "rgamma at -1": (special.rgamma, -1.0, [-1]),
    "rgamma at -2": (special.rgamma, -2.0, [2]),
    "gammainc of 1 at 0": (lambda x: special.gammainc(1, x), 0.0, [1, -1, 1]),
    "gammainc of 3 at 0": (lambda x: special.gammainc(3, x), 0.0, [0, 0, 1, -3]),
    "betainc at 0": (lambda x: special.betainc(2, 2, x), 0.0, [0, 6, -12]),
    "betainc at 1": (lambda x: special.betainc(1, 1, x), 1.0, [1, 0, 0]),
    "bdtr of all": (lambda p: special.bdtr(4.0, 4, p), 0.3, [0, 0]),
    "ellipk at 0": (special.ellipk, 0.0, [PI / 8, 9 * PI / 64]),
    "ellipe at 0": (special.ellipe, 0.0, [-PI / 8, -3 * PI / 64]),
    "ellipkm1 at 1": (special.ellipkm1, 1.0, [-PI / 8, 9 * PI / 64]),
    "ellipkinc at parameter 0": (lambda m: special.ellipkinc(PI, m), 0.0, [PI / 4, 9 * PI / 32]),
    "ellipeinc at parameter 0": (lambda m: special.ellipeinc(-PI, m), 0.0, [PI / 4, 3 * PI / 32]),
    "sn at parameter 0": (lambda m: special.ellipj(PI / 2, m)[1], 0.0, [PI / 8]),
    "agm of equals": (lambda a: special.agm(a, 2.0), 2.0, [1 / 2, -1 / 16]),
    "expit far out": (special.expit, 40.0, [np.exp(-40.0), -np.exp(-40.0), np.exp(-40.0)]),
    "log_expit far out": (special.log_expit, -800.0, [1, 0]),
    "log_ndtr far out": (special.log_ndtr, -1e6, [1e6, -1]),
    "ndtri_exp far out": (special.ndtri_exp, -5e11, [1e-6]),
    "erfcx far out": (special.erfcx, 1e6, [-1e-12 / PI**0.5, 2e-18 / PI**0.5, -6e-24 / PI**0.5]),
    "dawsn far out": (special.dawsn, -1e6, [-0.5e-12, -1e-18, -3e-24]),
    "voigt far out": (lambda x: special.voigt_profile(x, 1.0, 1.0), 1e5, [-2e-15 / PI]),
    "pseudo_huber at 0": (lambda r: special.pseudo_huber(2.0, r), 0.0, [0, 1]),
    "pseudo_huber of nothing": (lambda d: special.pseudo_huber(d, 0.0), 0.0, [0]),
    "eval_legendre at 1": (lambda x: special.eval_legendre(4, x), 1.0, [10, 45, 105, 105, 0]),
    "eval_chebyt at -1": (lambda x: special.eval_chebyt(3, x), -1.0, [9, -24, 24, 0]),
    "eval_hermite of degree 0": (lambda x: special.eval_hermite(0, x), 0.3, [0]),
    "tklmbda outside": (lambda x: special.tklmbda(x, 2.0), 3.0, [0]),
    "kolmogorov at 0": (special.kolmogorov, 0.0, [0, 0]),
    "xlogy at 0": (lambda x: special.xlogy(x, 2.0), 0.0, [np.log(2)]),
    "xlogy of nothing": (lambda y: special.xlogy(0.0, y), 0.0, [0]),
    "kl_div of nothing": (lambda y: special.kl_div(0.0, y), 0.0, [1]),
    "zeta": (lambda q: special.zeta(2.0, q), 1.0, [-2 * special.zeta(3), PI**4 / 15]),
    "softplus": (getattr(special, "softplus", lambda x: np.logaddexp(0, x)), 0.0, [1 / 2, 1 / 4]),
    "jvp": (lambda x: special.jvp(1, x), 0.0, [0, -3 / 8]),
    "spherical_jn at 0": (lambda x: rooms.spherical_jn(1, x), 0.0, [1 / 3, 0, -1 / 5]),
    "spherical_in at 0": (lambda x: rooms.spherical_in(0, x), 0.0, [0, 1 / 3, 0, 1 / 5]),
    "polygamma": (lambda x: rooms.polygamma(1, x), 1.0, [-2 * special.zeta(3), PI**4 / 15]),
    "agm beside 0": (lambda a: special.agm(a, 0.0), 0.3, [0]),
    "hyp2f1 that is constant": (lambda z: special.hyp2f1(0.0, 1.0, 2.0, z), 1.25, [0]),
    "voigt of width 0": (lambda x: special.voigt_profile(x, 0.0, 1.0), 1.0, [-0.5 / PI, 0.5 / PI]),
    "voigt of width 0, in it": (lambda s: special.voigt_profile(1.0, s, 1.0), 0.0, [0]),
    "voigt of width 0, in gamma": (lambda g: special.voigt_profile(1.0, 0.0, g), 1.0, [0]),
    "chndtrinc at its floor": (lambda p: special.chndtrinc(2.5, 2.5, p), 0.8, [0]),
}

# Orders that SciPy rounds to integers before it uses them.
ROUNDED = {
    "expn": (lambda n, x: special.expn(n, x), 1.7, 1),
    "expn below 1": (lambda n, x: special.expn(n, x), 0.4, 0),
    "kn": (lambda n, x: special.kn(n, x), 1.7, 1),
    "yn": (lambda n, x: special.yn(n, x), 1.7, 1),
    "bdtr": (lambda n, p: special.bdtr(1.0, n, p), 4.6, 4),
    "bdtr in k": (lambda k, p: special.bdtr(k, 4, p), 1.7, 1),
    "bdtrc": (lambda n, p: special.bdtrc(1.0, n, p), 4.6, 4),
    "bdtri": (lambda n, p: special.bdtri(1.0, n, p), 4.6, 4),
    "nbdtr": (lambda n, p: special.nbdtr(1.0, n, p), 4.6, 4),
    "nbdtr in k": (lambda k, p: special.nbdtr(k, 4.0, p), 1.7, 1),
    "nbdtrc": (lambda n, p: special.nbdtrc(1.0, n, p), 4.6, 4),
    "nbdtri": (lambda n, p: special.nbdtri(1.0, n, p), 4.6, 4),
    "pdtri": (lambda k, p: special.pdtri(k, p), 1.7, 1),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ROUNDED)
def test_rounded_orders(name):
    "SciPy uses the integer part of some orders; so do the slopes"
    f, given, used = ROUNDED[name]
    one, other = (lambda x, n=n: f(n, x) for n in (given, used))
    assert np.isclose(one(0.3), other(0.3), rtol=1e-14)
    assert np.allclose(derivatives(one, 0.3, 2), derivatives(other, 0.3, 2), rtol=1e-13)


@pytest.mark.parametrize("name", EDGES)
def test_edges(name):
    f, x, expected = EDGES[name]
    found = derivatives(f, x, len(expected))
    assert np.allclose(found, expected, rtol=1e-9, atol=0 if "far" in name else 1e-13)


def test_binomials_that_vanish_have_slopes():
    "binom(3, 5) is 0, its slopes are not"
    for k, at in ((0, 3.0), (1, 5.0)):
        f = lambda x, k=k: special.binom(x, 5.0) if k == 0 else special.binom(3.0, x)  # noqa: E731
        slope = jvp(f, (at,), (1.0,))[1]
        assert slope != 0 and np.isclose(slope, difference(f, at, 1.0), rtol=1e-6)


A = np.random.default_rng(0).standard_normal((2, 3, 2)) * 3
B = np.random.default_rng(1).uniform(-0.5, 2.0, (2, 3, 2))
FUNCTIONS = {
    "logsumexp": (A, lambda m, x: m.logsumexp(x)),
    "logsumexp axis": (A, lambda m, x: m.logsumexp(x, 1)),
    "logsumexp axes": (A, lambda m, x: m.logsumexp(x, axis=(0, -1), keepdims=True)),
    "logsumexp weights": (A, lambda m, x: m.logsumexp(x, axis=0, b=np.abs(B))),
    "logsumexp in weights": (np.abs(B), lambda m, x: m.logsumexp(A, axis=1, b=x, keepdims=True)),
    "logsumexp broadcast": (A, lambda m, x: m.logsumexp(x, axis=-1, b=np.array([0.5, 2.0]))),
    "logsumexp signs": (A, lambda m, x: np.stack(m.logsumexp(x, axis=1, b=B, return_sign=True))),
    "logsumexp sign": (A, lambda m, x: m.logsumexp(x, return_sign=True)[0]),
    "logsumexp keepdims": (A, lambda m, x: m.logsumexp(x, 0, B, True, True)[0]),
    "logsumexp huge": (300 * A, lambda m, x: m.logsumexp(x, axis=1)),
    "logsumexp of a number": (np.array(0.3), lambda m, x: m.logsumexp(x)),
    "softmax": (A, lambda m, x: m.softmax(x)),
    "softmax axis": (A, lambda m, x: m.softmax(x, 1)),
    "softmax axes": (A, lambda m, x: m.softmax(x, axis=(0, 2))),
    "softmax huge": (300 * A, lambda m, x: m.softmax(x, axis=1)),
    "log_softmax": (A, lambda m, x: m.log_softmax(x)),
    "log_softmax axis": (A, lambda m, x: m.log_softmax(x, axis=-2)),
    "log_softmax huge": (300 * A, lambda m, x: m.log_softmax(x, axis=1)),
    "polygamma": (np.abs(A), lambda m, x: m.polygamma(2, x)),
    "polygamma orders": (np.abs(A[0, 0]), lambda m, x: m.polygamma(np.arange(3)[:, None], x)),
    "multigammaln": (np.abs(A) + 1.5, lambda m, x: m.multigammaln(x, 3)),
    "spherical_jn": (A, lambda m, x: m.spherical_jn(2, x)),
    "spherical_jn slope": (A, lambda m, x: m.spherical_jn(2, x, True)),
    "spherical_yn": (np.abs(A), lambda m, x: m.spherical_yn(0, x)),
    "spherical_yn slope": (np.abs(A) + 1, lambda m, x: m.spherical_yn(3, x, derivative=True)),
    "spherical_in": (A / 2, lambda m, x: m.spherical_in(1, x)),
    "spherical_in orders": (A[0, 0], lambda m, x: m.spherical_in(np.arange(3)[:, None], x, True)),
    "spherical_kn": (np.abs(A) + 0.5, lambda m, x: m.spherical_kn(0, x)),
    "spherical_kn slope": (np.abs(A) + 0.5, lambda m, x: m.spherical_kn(1, x, True)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    "values are SciPy's; both modes, second derivatives, lanes and single precision"
    x, call = FUNCTIONS[name]
    f = lambda x: call(rooms, x)  # noqa: E731
    plain = call(special, x)
    rng = np.random.default_rng(5)
    v = rng.standard_normal(x.shape)
    value, pushed = jvp(f, (x,), (v,))
    again, pullback = vjp(f, x)
    assert np.array_equal(value, plain) and np.array_equal(again, plain)
    assert np.array_equal(f(x), plain)
    assert close(pushed, difference(f, x, v), 1e-6)
    w = rng.standard_normal(np.shape(plain))
    assert close(np.sum(w * pushed), np.sum(pullback(w)[0] * v), 1e-11)
    loss = lambda x: np.sum(w * f(x) * (1 + f(x)))  # noqa: E731
    second = jvp(grad(loss), (x,), (v,))[1]
    assert close(second, difference(grad(loss), x, v), 1e-4)
    assert close(second, grad(lambda x: np.sum(grad(loss)(x) * v))(x), 1e-10)
    single = jacfwd(f, chunk=1)(x)
    assert close(jacfwd(f, chunk=5)(x), single, 1e-12)
    assert close(jacrev(f, chunk=4)(x), single, 1e-12)
    x, v = x.astype(np.float32), v.astype(np.float32)
    value, pushed = jvp(f, (x,), (v,))
    assert value.dtype == pushed.dtype == call(special, x).dtype
    assert vjp(f, x)[1](value)[0].dtype == np.float32


def test_logsumexp_where_nothing_is_left():
    "elements of -inf take no share; a sum of nothing but them has no slope anywhere"
    x = np.array([0.0, -np.inf, 1.0])
    assert np.allclose(grad(rooms.logsumexp)(x), special.softmax(x), rtol=1e-15)
    assert grad(rooms.logsumexp)(np.full(2, -np.inf)).tolist() == [0.0, 0.0]
    masked = lambda x: rooms.logsumexp(x, b=np.array([1.0, 0.0, 2.0]))  # noqa: E731
    slope = grad(masked)(np.array([0.0, np.inf, 1.0]))
    assert slope[1] == 0 and np.isclose(slope.sum(), 1.0)
    with np.errstate(all="ignore"):
        assert np.isnan(rooms.logsumexp(np.array([1.0, 2.0]), b=np.array([1.0, -1.0])))


def test_zero_size_functions():
    x = np.ones((0, 3))
    for f in (lambda x: rooms.logsumexp(x, axis=1), lambda x: rooms.softmax(x, axis=1)):
        assert vjp(f, x)[1](np.ones(f(x).shape))[0].shape == (0, 3)


@pytest.mark.parametrize("function", ["logsumexp", "softmax", "log_softmax"])
@pytest.mark.parametrize("x", [np.ones(3), 1.0])
def test_scipys_own_functions_are_refused_with_the_remedy(function, x):
    for transform in (grad, gradient):
        with pytest.raises(LitadError, match=rf"litad\.special(?s:.)*{function}"):
            transform(lambda x: np.sum(getattr(special, function)(x)))(x)


def test_a_box_loads_the_room():
    "a box that meets one of SciPy's ufuncs loads the rules; importing litad does not load SciPy"
    code = (
        "import sys, litad; assert 'scipy' not in sys.modules\n"
        "from scipy import special; import numpy as np\n"
        "assert 'litad.special' not in sys.modules\n"
        "assert litad.grad(special.expit)(0.0) == 0.25\n"
        "assert litad.derivative(lambda x: special.jv(0, x))(0.0) == 0.0\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    second = "import litad, numpy as np; print(litad.derivative(litad.derivative(np.sinc))(0.0))"
    out = subprocess.run([sys.executable, "-c", second], check=True, capture_output=True, text=True)
    assert np.isclose(float(out.stdout), -(PI**2) / 3)


@pytest.mark.parametrize("ufunc", [special.erf, lambda x, **options: special.jv(1.0, x, **options)])
@pytest.mark.parametrize("options", [dict(where=np.array([True])), dict(out=np.zeros(1))])
def test_options_of_ufuncs_are_refused(ufunc, options):
    with pytest.raises(LitadError):
        grad(lambda x: np.sum(ufunc(x, **options)))(np.ones(1))
