"""Every public function of NumPy differentiates as an example shows, is constant, or is refused.

The page `nbs/explanations/coverage.ipynb` is made from the same rows. A function that claims to
differentiate and has no example here fails.
"""

from __future__ import annotations

import numpy as np
import pytest
from laws import C, V, X, check_first, check_lanes, check_linear, check_second, check_single

import litad
from litad import jacfwd, jacrev, jvp, vjp
from litad.core import Box
from litad.coverage import CONSTANT, DIFFERENTIATES, REFUSED, coverage, method_coverage

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = {row["function"]: row for row in coverage()}
DIFFERENTIABLE = sorted(n for n, row in ROWS.items() if row["status"] == DIFFERENTIATES)

S = X[:, :3] @ X[:, :3].T + np.eye(3)  # symmetric, well conditioned
K = np.array([[0, 3, 1], [2, 2, 0], [1, 0, 3]])
NAN = np.where(X > 1.5, np.nan, 0.0)
MASK = X > 0.9
KNOTS = np.array([0.0, 0.5, 1.1, 1.6, 2.0])


def square(x, v):
    "A well-conditioned matrix that depends on everything."
    return x[:, :3] * 0.3 + np.diag([3.0, 2.0, 4.0]) + v[0] * 0.1


def symmetric(x, v):
    a = x[:, :3]
    return a @ a.T + v[1] * np.diag([1.0, 2.0, 4.0])


def parts(*arrays):
    "Several results as one vector, complex ones by their parts."
    flat = []
    for a in arrays:
        if a.dtype.kind == "c":
            flat += [np.ravel(np.real(a)), np.ravel(np.imag(a))]
        else:
            flat.append(np.ravel(a))
    return np.concatenate(flat)


def copied(x, v):
    y = np.zeros_like(x * v)
    np.copyto(y, np.sin(x) * v)
    return y * 1.0


def written(name, *where):
    "A function that writes into an array that depends on both arguments."

    def call(x, v):
        y = np.sin(x) * v
        getattr(np, name)(y, *[v[1:3] * y[0, :2] if part is V else part for part in where])
        return y * 1.0

    return call


EXAMPLES = {
    "copyto": [copied],
    "put": [written("put", [0, -1, 3], V), written("put", [[0, 13], [5, -20]], V, "wrap")],
    "place": [written("place", MASK, V)],
    "putmask": [written("putmask", MASK, V)],
    "put_along_axis": [written("put_along_axis", K[:, :2], V, 1)],
    "fill_diagonal": [written("fill_diagonal", V), written("fill_diagonal", V, True)],
    # shapes
    "reshape": [lambda x, v: np.reshape(x, (2, 6), order="F"), lambda x, v: np.reshape(x, -1)],
    "ravel": [lambda x, v: np.ravel(x), lambda x, v: np.ravel(x, order="F")],
    "transpose": [lambda x, v: np.transpose(x)],
    "permute_dims": [lambda x, v: np.permute_dims(x, (1, 0))],
    "matrix_transpose": [lambda x, v: np.matrix_transpose(x)],
    "swapaxes": [lambda x, v: np.swapaxes(x, 0, 1)],
    "moveaxis": [lambda x, v: np.moveaxis(x[None] * C[:, :3, :1], 0, -1)],
    "rollaxis": [
        lambda x, v: np.rollaxis(x[None] * C[:, :3, :1], 2),
        lambda x, v: np.rollaxis(x[None] * C[:, :3, :1], 0, 3),
        lambda x, v: np.rollaxis(x[None] * C[:, :3, :1], -1, 1),
    ],
    "squeeze": [lambda x, v: np.squeeze(x[None])],
    "expand_dims": [lambda x, v: np.expand_dims(x, (0, 2))],
    "atleast_1d": [lambda x, v: np.atleast_1d(v[0])],
    "atleast_2d": [lambda x, v: np.atleast_2d(v)],
    "atleast_3d": [
        lambda x, v: np.atleast_3d(x) * np.ones(2),
        lambda x, v: np.atleast_3d(v),
        lambda x, v: np.atleast_3d(v[0], x)[0],
    ],
    "broadcast_to": [lambda x, v: np.broadcast_to(v, (2, 3, 4))],
    "broadcast_arrays": [lambda x, v: np.multiply(*np.broadcast_arrays(v, x))],
    "copy": [lambda x, v: np.copy(x)],
    "astype": [lambda x, v: np.astype(x, x.dtype)],
    "full_like": [lambda x, v: np.full_like(v, v[0])],
    "full": [lambda x, v: np.full((2, 3), v[0]) * 1.0],
    "meshgrid": [
        lambda x, v: np.multiply(*np.meshgrid(v, x[:, 0])),
        lambda x, v: np.multiply(*np.meshgrid(v, x[:, 0], indexing="ij", sparse=True)),
        lambda x, v: sum(np.meshgrid(v, x[0], x[1, :3])),
    ],
    "ix_": [lambda x, v: np.multiply(*np.ix_(v, x[:, 1]))],
    "take": [
        lambda x, v: np.take(x, [0, 2, 2], axis=0),
        lambda x, v: np.take(v, [-7, 9], mode="clip"),
        lambda x, v: np.take(x, [[5, -6]], axis=1, mode="wrap"),
    ],
    "take_along_axis": [
        lambda x, v: np.take_along_axis(x, K, 1),
        lambda x, v: np.take_along_axis(x, K[:, :1] % 3, axis=0),
        lambda x, v: np.take_along_axis(x, np.array([3, 3, 11]), None),
    ],
    "choose": [
        lambda x, v: np.choose(K[:, 0] % 2, [x[:, 0], v[:3]]),
        lambda x, v: np.choose([0, 5, 1, -1], [v, 2 * x], mode="wrap"),
    ],
    "compress": [
        lambda x, v: np.compress([True, False, True], x, axis=0),
        lambda x, v: x.compress(MASK.ravel()),
    ],
    "extract": [lambda x, v: np.extract(MASK, x)],
    "delete": [
        lambda x, v: np.delete(x, 1, axis=0),
        lambda x, v: np.delete(x, [1, -2]),
        lambda x, v: np.delete(v, slice(0, 2)),
    ],
    "insert": [
        lambda x, v: np.insert(x, 1, v, axis=0),
        lambda x, v: np.insert(v, [0, -1], x[0, :2]),
        lambda x, v: np.insert(x, 2, 7.0),
    ],
    "append": [lambda x, v: np.append(x, v), lambda x, v: np.append(x, v[None], axis=0)],
    "resize": [lambda x, v: np.resize(x, (5, 4)), lambda x, v: np.resize(v, 3)],
    "repeat": [
        lambda x, v: np.repeat(x, 2),
        lambda x, v: np.repeat(x, 3, axis=1),
        lambda x, v: np.repeat(x, [0, 2, 1], axis=0),
        lambda x, v: v.repeat(2),
    ],
    "tile": [
        lambda x, v: np.tile(x, 2),
        lambda x, v: np.tile(v, (2, 3)),
        lambda x, v: np.tile(x, (2, 1, 2)),
        lambda x, v: np.tile(v[0], 3),
        lambda x, v: np.tile(x, (0, 1)),
    ],
    "roll": [
        lambda x, v: np.roll(x, 5),
        lambda x, v: np.roll(x, (1, -1), axis=(0, 1)),
        lambda x, v: np.roll(x, 2, axis=-1),
    ],
    "rot90": [lambda x, v, k=k: np.rot90(x, k) for k in range(-1, 4)]
    + [lambda x, v: np.rot90(x[None] * C[:, :3, :1], 1, (2, 0))],
    "flip": [lambda x, v: np.flip(x, (0, 1))],
    "flipud": [lambda x, v: np.flipud(v)],
    "fliplr": [lambda x, v: np.fliplr(x)],
    "pad": [
        lambda x, v, mode=mode: np.pad(x, ((1, 2), (2, 3)), mode)
        for mode in (
            "constant edge linear_ramp maximum mean median minimum reflect symmetric wrap"
        ).split()
    ]
    + [
        lambda x, v: np.pad(x, 2, "reflect", reflect_type="odd"),
        lambda x, v: np.pad(x, (1, 5), "symmetric", reflect_type="odd"),
        lambda x, v: np.pad(x, ((1, 2), (0, 3)), constant_values=((1, 2), (3, 4))),
        lambda x, v: np.pad(x, ((1, 2), (2, 3)), "linear_ramp", end_values=((1, 2), (3, 4))),
        lambda x, v: np.pad(x, ((1, 2), (2, 3)), "mean", stat_length=2),
        lambda x, v: np.pad(x, 2, "maximum", stat_length=((1, 2), (2, 1))),
        lambda x, v: np.pad(x, 9, "wrap"),
        lambda x, v: np.pad(v, {0: (1, 2)}),
    ],
    "concatenate": [lambda x, v: np.concatenate([x, v[None]])],
    "concat": [lambda x, v: np.concat([x, v[None]])],
    "stack": [lambda x, v: np.stack([v, x[0]], axis=1)],
    "hstack": [lambda x, v: np.hstack([v, x[0]])],
    "vstack": [lambda x, v: np.vstack([v, x])],
    "row_stack": [lambda x, v: np.row_stack([v, x])],
    "dstack": [
        lambda x, v: np.dstack([x, x * x, C[0, :3, :1] * x]),
        lambda x, v: np.dstack([v, v]),
    ],
    "column_stack": [lambda x, v: np.column_stack([v, x[0]])],
    "block": [
        lambda x, v: np.block([[x, np.ones((3, 2))], [v, v[:2]]]),
        lambda x, v: np.block([v, 1.0, v[0]]),
    ],
    "split": [lambda x, v: np.split(x, 2, axis=1)[0]],
    "array_split": [
        lambda x, v: np.array_split(v, 3)[1],
        lambda x, v: np.array_split(v, [1, 1, 3])[2],
    ],
    "hsplit": [lambda x, v: np.hsplit(x, 2)[1], lambda x, v: np.hsplit(v, [1])[1]],
    "vsplit": [lambda x, v: np.vsplit(x, [1])[1]],
    "dsplit": [lambda x, v: np.dsplit(x[None], 2)[1]],
    "unstack": [lambda x, v: np.unstack(x, axis=1)[2]],
    "select": [
        lambda x, v: np.select([x > 1.2, x < 0.6], [x, v * v], 3.0),
        lambda x, v: np.select([v > 5], [v], v[0]),
    ],
    "piecewise": [
        lambda x, v: np.piecewise(x, [x < 0.7, x > 1.2], [lambda u: u * u, np.sin, 2.0]),
        lambda x, v: np.piecewise(v, v > 1, [np.exp]),
        lambda x, v: np.piecewise(v, [v > 0.5, v > 1], [lambda u: u**2, lambda u: u**3]),
    ],
    "linspace": [
        lambda x, v: np.linspace(v[0], v[1], 5),
        lambda x, v: np.linspace(x[0], v, 4, endpoint=False, axis=1),
        lambda x, v: np.linspace(0, v[1], 1),
        lambda x, v: np.linspace(v[0], 3, 4, retstep=True)[1],
    ],
    "logspace": [
        lambda x, v: np.logspace(v[0], v[1], 5),
        lambda x, v: np.logspace(0, 1, 4, base=v[2]),
        lambda x, v: np.logspace(x[0], 1, 3, False),
    ],
    "geomspace": [
        lambda x, v: np.geomspace(v[0], v[1], 5),
        lambda x, v: np.geomspace(-x[0], -v, 4, axis=1),
        lambda x, v: np.geomspace(v[0], 3.0, 4, False),
    ],
    # elements
    "where": [lambda x, v: np.where(MASK, x, v)],
    "clip": [lambda x, v: np.clip(x, v * 0.5, 1.3)],
    "round": [lambda x, v: np.round(x, 1) + x],
    "around": [lambda x, v: np.around(x, -1) + x],
    "fix": [lambda x, v: np.fix(x * 3) + x],
    "real": [lambda x, v: np.real(x * (1 + 2j))],
    "imag": [lambda x, v: np.imag(x * (1 + 2j))],
    "conjugate": [lambda x, v: np.imag(np.conjugate(np.exp(1j * x)))],
    "conj": [lambda x, v: np.conj(x)],
    "angle": [lambda x, v: np.angle(x + 1j * v), lambda x, v: np.angle(x * 1j + 1, deg=True)],
    "real_if_close": [lambda x, v: np.real_if_close(x), lambda x, v: np.real_if_close(x + 0j)],
    "nan_to_num": [
        lambda x, v: np.nan_to_num(x + NAN, nan=2.0),
        lambda x, v: np.nan_to_num(np.where(MASK, x, np.inf), posinf=3.0),
        lambda x, v: np.imag(np.nan_to_num(x + 1j * v)),
    ],
    "modf": [lambda x, v: np.modf(x * 3)[0], lambda x, v: np.modf(x)[1] + x],
    "frexp": [lambda x, v: np.frexp(x * 3)[0] * v],
    "divmod": [lambda x, v: np.divmod(x * 3, 0.7)[1], lambda x, v: np.divmod(3.0, x)[0] + x],
    "ldexp": [lambda x, v: np.ldexp(x, K[:, :1])],
    "heaviside": [lambda x, v: np.heaviside(np.where(MASK, x, 0.0), v)],
    "nextafter": [lambda x, v: np.nextafter(x, 9.0)],
    "spacing": [lambda x, v: np.spacing(x) + x],
    "abs": [lambda x, v: np.abs(x - 0.8) * v, lambda x, v: np.abs(x + 1j * v)],
    "sign": [lambda x, v: np.sign(x - 1) + x, lambda x, v: parts(np.sign(x + 1j * v))],
    "arccosh": [lambda x, v: np.arccosh(x + 1)],
    "arctanh": [lambda x, v: np.arctanh(x / 2)],
    "arcsin": [lambda x, v: np.arcsin(x / 2)],
    "arccos": [lambda x, v: np.arccos(x / 2)],
    # reductions
    "sum": [lambda x, v: np.sum(x, axis=(0, -1), where=MASK, initial=2.0)],
    "prod": [
        lambda x, v: np.prod(x),
        lambda x, v: np.prod(x, axis=1),
        lambda x, v: np.prod(x - X * MASK, axis=(1, 0), keepdims=True),
        lambda x, v: np.prod(x, axis=0, where=MASK, initial=2.0),
        lambda x, v: v.prod() * np.multiply.reduce(x),
    ],
    "mean": [lambda x, v: np.mean(x, axis=0, where=MASK | ~MASK[:1])],
    "average": [
        lambda x, v: np.average(x),
        lambda x, v: np.average(x, axis=1, weights=v),
        lambda x, v: np.average(x, axis=0, weights=x * v),
        lambda x, v: np.average(x, axis=(1, 0), weights=np.outer(v, v[:3])),
        lambda x, v: np.average(x, axis=0, returned=True, weights=v[:3])[1],
    ],
    "var": [
        lambda x, v: np.var(x, axis=(0, 1), ddof=1),
        lambda x, v: np.var(x, axis=1, where=MASK | (v > 0), keepdims=True),
        lambda x, v: np.var(x + 1j * x * x),
        lambda x, v: np.var(x, mean=np.mean(x)),
    ],
    "std": [lambda x, v: np.std(x, axis=(1,), correction=1), lambda x, v: np.std(x, where=MASK)],
    "max": [
        lambda x, v: np.max(x, axis=0, where=MASK, initial=0.1),
        lambda x, v: np.max(x[:0], axis=0, initial=1.0) + v,
    ],
    "min": [lambda x, v: np.min(x, axis=(0, 1), where=MASK, initial=4.0)],
    "amax": [lambda x, v: np.amax(x, 0)],
    "amin": [lambda x, v: np.amin(x, 1, keepdims=True)],
    "ptp": [lambda x, v: np.ptp(x), lambda x, v: np.ptp(x, axis=1, keepdims=True)],
    "cumsum": [lambda x, v: np.cumsum(x), lambda x, v: x.cumsum(axis=-2)],
    "cumprod": [
        lambda x, v: np.cumprod(x),
        lambda x, v: np.cumprod(x - X * MASK, axis=1),
        lambda x, v: v.cumprod(),
    ],
    "cumulative_sum": [
        lambda x, v: np.cumulative_sum(v, include_initial=True),
        lambda x, v: np.cumulative_sum(x, axis=0),
    ],
    "cumulative_prod": [lambda x, v: np.cumulative_prod(x, axis=-1, include_initial=True)],
    # missing numbers
    "nansum": [lambda x, v: np.nansum(x + NAN, axis=0)],
    "nanprod": [lambda x, v: np.nanprod(x + NAN, axis=1)],
    "nancumsum": [lambda x, v: np.nancumsum(x + NAN, axis=1)],
    "nancumprod": [lambda x, v: np.nancumprod(x + NAN)],
    "nanmean": [lambda x, v: np.nanmean(x + NAN, axis=1, keepdims=True)],
    "nanvar": [lambda x, v: np.nanvar(x + NAN, axis=(0, 1), ddof=1)],
    "nanstd": [lambda x, v: np.nanstd(x + NAN, axis=0)],
    "nanmax": [
        lambda x, v: np.nanmax(x + NAN),
        lambda x, v: np.nanmax(x, 0, where=MASK, initial=0.1),
    ],
    "nanmin": [lambda x, v: np.nanmin(x + NAN, axis=1)],
    "nanmedian": [lambda x, v: np.nanmedian(x + NAN, axis=1), lambda x, v: np.nanmedian(x + NAN)],
    "nanquantile": [lambda x, v: np.nanquantile(x + NAN, [0.1, 0.6], axis=0)],
    "nanpercentile": [lambda x, v: np.nanpercentile(x + NAN, 30.0, axis=1, keepdims=True)],
    # series
    "sort": [lambda x, v: np.sort(x), lambda x, v: np.sort(x, axis=None) * 2],
    "partition": [lambda x, v: np.partition(x, 2), lambda x, v: np.partition(x, (1, 4), axis=None)],
    "median": [
        lambda x, v: np.median(x),
        lambda x, v: np.median(x, axis=0),
        lambda x, v: np.median(x[None] * C[:, :3, :1], axis=(0, 2), keepdims=True),
    ],
    "quantile": [
        lambda x, v: np.quantile(x, 0.3),
        lambda x, v: np.quantile(x, [[0.1, 0.5, 0.9], [0.0, 0.7, 1.0]], axis=1),
        lambda x, v: np.quantile(x, 0.4, axis=(0, 1), keepdims=True),
        lambda x, v: np.quantile(
            x, 0.4, axis=1, weights=K.sum(1)[0] + np.arange(4.0), method="inverted_cdf"
        ),
        lambda x, v: np.quantile(x, v / 9, axis=1),
        lambda x, v: np.quantile(x, v[0] / 8, method="hazen"),
    ],
    "percentile": [
        lambda x, v: np.percentile(x, 30, axis=0),
        lambda x, v: np.percentile(v, v * 13),
    ],
    "cov": [
        lambda x, v: np.cov(x),
        lambda x, v: np.cov(x, v, bias=True),
        lambda x, v: np.cov(x, rowvar=False, ddof=0),
        lambda x, v: np.cov(x, aweights=v, fweights=[1, 2, 1, 3]),
        lambda x, v: np.cov(x, fweights=[1, 2, 1, 3]),
        lambda x, v: np.cov(x, aweights=v, ddof=0),
        lambda x, v: np.cov(v),
    ],
    "corrcoef": [lambda x, v: np.corrcoef(x), lambda x, v: np.corrcoef(v, x[0])],
    "diff": [
        lambda x, v: np.diff(x),
        lambda x, v: np.diff(x, 2, axis=0),
        lambda x, v: np.diff(v, prepend=0.0, append=x[0]),
        lambda x, v: np.diff(x, axis=0, prepend=v[0]),
        lambda x, v: np.diff(x, 0),
    ],
    "ediff1d": [lambda x, v: np.ediff1d(x), lambda x, v: np.ediff1d(v, to_begin=x[0], to_end=9.0)],
    "gradient": [
        lambda x, v: np.gradient(v),
        lambda x, v: np.gradient(v, 0.5, edge_order=2),
        lambda x, v: np.gradient(x, v[0], np.cumsum(v), edge_order=2)[1],
        lambda x, v: np.gradient(x, np.cumsum(v), axis=1),
        lambda x, v: np.stack(np.gradient(x)),
    ],
    "trapezoid": [
        lambda x, v: np.trapezoid(x),
        lambda x, v: np.trapezoid(x, np.cumsum(v)),
        lambda x, v: np.trapezoid(x, dx=0.5, axis=0),
        lambda x, v: np.trapezoid(x, x * x, axis=0),
    ],
    "convolve": [
        lambda x, v, mode=mode, k=k: np.convolve(v, x[0, :k], mode)
        for mode in ("full", "same", "valid")
        for k in (1, 2, 3, 4)
    ]
    + [lambda x, v: np.convolve(x[0, :2], v, "same")],
    "correlate": [
        lambda x, v, mode=mode, k=k: np.correlate(v, x[0, :k], mode)
        for mode in ("full", "same", "valid")
        for k in (1, 2, 3, 4)
    ]
    + [lambda x, v, k=k: np.correlate(x[0, :k], v, "same") for k in (1, 2, 3)]
    + [lambda x, v: np.real(np.correlate(v * (1 + 2j), x[0] * 1j + v, "full"))],
    "interp": [
        lambda x, v: np.interp(x, KNOTS, np.sin(KNOTS)),
        lambda x, v: np.interp([0.3, 1.0, 2.5], np.cumsum(v), x[0]),
        lambda x, v: np.interp(x * 3 - 2, np.cumsum(v), x[1], left=v[0], right=5.0),
        lambda x, v: np.interp(x * 5, np.cumsum(v), x[1], period=2.3),
        lambda x, v: np.imag(np.interp(x, KNOTS, np.exp(2j * KNOTS))),
    ],
    "bincount": [lambda x, v: np.bincount([0, 2, 1], weights=x[:, 0], minlength=5)],
    "polyval": [
        lambda x, v: np.polyval(v, x),
        lambda x, v: np.polyval([1.0, 2.0], x),
        lambda x, v: np.polyval(v, 2.0),
    ],
    "vander": [
        lambda x, v: np.vander(v),
        lambda x, v: np.vander(v, 3, increasing=True),
        lambda x, v: np.vander(v, 0),
    ],
    "polyadd": [lambda x, v: np.polyadd(v, x[0, :2])],
    "polysub": [lambda x, v: np.polysub(x[0, :2], v)],
    "polymul": [
        lambda x, v: np.polymul(v, [0.0, 1.0, 2.0]) * x[0, 0],
        lambda x, v: np.polymul(v, x[0]),
    ],
    "polydiv": [
        lambda x, v: np.polydiv(v, x[0, :2])[0],
        lambda x, v: np.polydiv(v, x[0, :3])[1],
        lambda x, v: np.polydiv(v, x[0, :1])[0],
    ],
    "polyder": [lambda x, v: np.polyder(v), lambda x, v: np.polyder(x[0], 2)],
    "polyint": [lambda x, v: np.polyint(v), lambda x, v: np.polyint(v, 2, k=x[0, :2])],
    "poly": [lambda x, v: np.poly(v)],
    "roots": [
        lambda x, v: np.sum(np.abs(np.roots(np.poly(v) + x[0, 0] * 0.0)) ** 2),
        lambda x, v: np.sum(np.abs(np.roots(v)) ** 2),
    ],
    "polyfit": [
        lambda x, v: np.polyfit(v, x[0], 2),
        lambda x, v: np.polyfit(v, x.T, 1, w=x[1]),
        lambda x, v: np.polyfit(v, x[0], 1, cov=True)[1],
    ],
    "apply_along_axis": [
        lambda x, v: np.apply_along_axis(lambda r: r[:2] * r[2], 1, x),
        lambda x, v: np.apply_along_axis(np.cumsum, 0, x),
        lambda x, v: np.apply_along_axis(np.sum, 0, x),
    ],
    "apply_over_axes": [lambda x, v: np.apply_over_axes(np.sum, x[None] * C[:, :3, :1], [0, 2])],
    # products
    "matmul": [lambda x, v: np.matmul(x, v)],
    "dot": [lambda x, v: np.dot(x, v)],
    "vdot": [lambda x, v: np.vdot(x, x * x)],
    "inner": [lambda x, v: np.inner(x, v)],
    "outer": [lambda x, v: np.outer(x, v)],
    "tensordot": [lambda x, v: np.tensordot(x, C, axes=([1, 0], [1, 2]))],
    "vecdot": [lambda x, v: np.vecdot(x, v)],
    "matvec": [lambda x, v: np.matvec(x, v)],
    "vecmat": [lambda x, v: np.vecmat(v[:3], x)],
    "kron": [lambda x, v: np.kron(x, v), lambda x, v: np.kron(v, C)],
    "einsum": [
        lambda x, v: np.einsum("ij,j->i", x, v),
        lambda x, v: np.einsum("ij,ik,k", x, x, v),
    ],
    "cross": [lambda x, v: np.cross(x[:, :3], v[:3])],
    "trace": [lambda x, v: np.trace(x, 1)],
    "diagonal": [lambda x, v: np.diagonal(x, -1)],
    "diag": [lambda x, v: np.diag(v, 1), lambda x, v: np.diag(x)],
    "diagflat": [lambda x, v: np.diagflat(x)],
    "tril": [lambda x, v: np.tril(x, 1)],
    "triu": [lambda x, v: np.triu(x)],
    "sinc": [lambda x, v: np.sinc(x)],
    "i0": [lambda x, v: np.i0(x)],
    "unwrap": [lambda x, v: np.unwrap(x * 5, axis=1)],
}

EXAMPLES |= {
    "linalg.cholesky": [lambda x, v: np.linalg.cholesky(symmetric(x, v))],
    "linalg.cond": [lambda x, v: np.linalg.cond(square(x, v))],
    "linalg.cross": [lambda x, v: np.linalg.cross(x[:, :3], v[:3])],
    "linalg.det": [lambda x, v: np.linalg.det(square(x, v))],
    "linalg.diagonal": [lambda x, v: np.linalg.diagonal(x)],
    "linalg.eig": [
        lambda x, v: np.real(np.linalg.eig(square(x, v))[0] ** 2),
    ],
    "linalg.eigh": [
        lambda x, v: parts(
            np.linalg.eigh(symmetric(x, v))[0], np.linalg.eigh(symmetric(x, v))[1] ** 2
        )
    ],
    "linalg.eigvals": [lambda x, v: np.real(np.sum(np.linalg.eigvals(square(x, v)) ** 2))],
    "linalg.eigvalsh": [lambda x, v: np.linalg.eigvalsh(symmetric(x, v))],
    "linalg.inv": [lambda x, v: np.linalg.inv(square(x, v))],
    "linalg.lstsq": [lambda x, v: np.linalg.lstsq(x.T, v, rcond=None)[0]],
    "linalg.matmul": [lambda x, v: np.linalg.matmul(x, x.T)],
    "linalg.matrix_norm": [lambda x, v: np.linalg.matrix_norm(x)],
    "linalg.matrix_power": [lambda x, v: np.linalg.matrix_power(square(x, v), 3)],
    "linalg.matrix_transpose": [lambda x, v: np.linalg.matrix_transpose(x)],
    "linalg.multi_dot": [lambda x, v: np.linalg.multi_dot([x.T, x, v])],
    "linalg.norm": [lambda x, v: np.linalg.norm(x), lambda x, v: np.linalg.norm(x, axis=1)],
    "linalg.outer": [lambda x, v: np.linalg.outer(v, v)],
    "linalg.pinv": [lambda x, v: np.linalg.pinv(x)],
    "linalg.qr": [lambda x, v: parts(*np.linalg.qr(x.T))],
    "linalg.slogdet": [lambda x, v: np.linalg.slogdet(square(x, v))[1]],
    "linalg.solve": [lambda x, v: np.linalg.solve(square(x, v), v[:3])],
    "linalg.svd": [lambda x, v: np.linalg.svd(x, full_matrices=False)[1]],
    "linalg.svdvals": [lambda x, v: np.linalg.svdvals(x)],
    "linalg.tensordot": [lambda x, v: np.linalg.tensordot(x, v, axes=1)],
    "linalg.tensorinv": [lambda x, v: np.linalg.tensorinv(square(x, v), ind=1)],
    "linalg.tensorsolve": [lambda x, v: np.linalg.tensorsolve(square(x, v), v[:3])],
    "linalg.trace": [lambda x, v: np.linalg.trace(x)],
    "linalg.vecdot": [lambda x, v: np.linalg.vecdot(x, v)],
    "linalg.vector_norm": [lambda x, v: np.linalg.vector_norm(x, axis=1)],
}
for _name in "fft ifft rfft ihfft fft2 ifft2 fftn ifftn rfft2 rfftn".split():
    EXAMPLES[f"fft.{_name}"] = [
        lambda x, v, name=_name: parts(getattr(np.fft, name)(x)),
    ]
for _name in "irfft hfft irfft2 irfftn".split():
    EXAMPLES[f"fft.{_name}"] = [
        lambda x, v, name=_name: getattr(np.fft, name)(x + 1j * v),
    ]
for _name in "fftshift ifftshift".split():
    EXAMPLES[f"fft.{_name}"] = [lambda x, v, name=_name: getattr(np.fft, name)(x, axes=1)]
if not hasattr(np, "row_stack"):  # NumPy 2.5 has let go of it
    del EXAMPLES["row_stack"]


def ufunc_example(ufunc):
    if ufunc.nin == 1:
        return [lambda x, v: ufunc(x) + 0 * x]
    return [lambda x, v: ufunc(x + 0.01, v) + 0 * x * v, lambda x, v: ufunc(2.05, x) + 0 * x]


def examples_of(name):
    "The examples of a function: listed, or made for a ufunc."
    if name in EXAMPLES:
        return EXAMPLES[name]
    function = getattr(np, name, None)
    listed = [n for n, calls in EXAMPLES.items() if "." not in n and getattr(np, n, 0) is function]
    if listed:
        return EXAMPLES[listed[0]]
    return ufunc_example(function) if isinstance(function, np.ufunc) else []


CALLS = [
    pytest.param(call, id=f"{name}-{k}")
    for name in DIFFERENTIABLE
    for k, call in enumerate(examples_of(name))
]
calls = pytest.mark.parametrize("call", CALLS)
ROTATED = {"linalg.qr", "linalg.eigh"}


def on_both(call):
    "A call as a function of both arguments, whichever it uses."
    return lambda x, v: call(x, v) * 1.0 + 0 * (np.sum(x) + np.sum(v))


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_what_differentiates_has_an_example(name):
    "a claim without an example is no claim"
    assert examples_of(name)


@calls
def test_first_order(call):
    "forward = reverse = central difference, and NumPy's own value"
    check_first(on_both(call), [X, V], np.random.default_rng(0), rtol=2e-7)


@calls
def test_second_order(call):
    "all nestings of two modes agree, and with a difference of first derivatives"
    f = lambda x, v: on_both(call)(np.sin(x) + 0.3 * X, v * v * 0.5 + 0.4 * V)  # noqa: E731
    check_second(f, [X, V], np.random.default_rng(1), 1e-9, 5e-6)


@calls
def test_linear_in_directions(call):
    "pushforward and pullback are linear maps"
    check_linear(on_both(call), [X, V], np.random.default_rng(2), 1e-9)


@calls
def test_lanes(call):
    "chunks give the same Jacobian in both modes"
    check_lanes(on_both(call), [X, V], [(jacfwd, 7), (jacrev, 8)], 1e-10)


@calls
def test_single_precision(call):
    "single precision in, NumPy's own dtype out"
    check_single(call)


# What else a function needs beside a box as its first argument.
MORE = {
    "reshape": (-1,),
    "broadcast_to": ((2, 3, 4),),
    "swapaxes": (0, 1),
    "moveaxis": (0, 1),
    "rollaxis": (1,),
    "expand_dims": (0,),
    "take": ([0, 1],),
    "take_along_axis": (K, 1),
    "choose": ([X, X],),
    "extract": (X,),
    "compress": (X,),
    "delete": (0,),
    "insert": (0, 1.0),
    "append": (1.0,),
    "resize": ((2, 2),),
    "repeat": (2,),
    "tile": (2,),
    "roll": (1,),
    "pad": (1,),
    "array_split": (2,),
    "split": (3,),
    "hsplit": (2,),
    "vsplit": (3,),
    "quantile": (0.3,),
    "percentile": (30,),
    "nanquantile": (0.3,),
    "nanpercentile": (30,),
    "partition": (1,),
    "argpartition": (1,),
    "interp": (KNOTS, KNOTS),
    "polyval": (2.0,),
    "ldexp": (K[:, :1],),
    "astype": (float,),
    "full_like": (1.0,),
    "linspace": (2.0,),
    "logspace": (2.0,),
    "geomspace": (2.0,),
    "where": (X, X),
    "isin": ([1.0],),
    "searchsorted": (0.5,),
    "digitize": ([0.5],),
    "isclose": (1.0,),
    "allclose": (1.0,),
    "array_equal": (1.0,),
    "array_equiv": (1.0,),
    "shares_memory": (X,),
    "may_share_memory": (X,),
    "copyto": (X,),
    "piecewise": ([MASK], [1.0, np.sin]),
    "select": ([X],),
    "full": (1.0,),
    "cross": (X[:, :3],),
    "einsum": (X,),
    "kron": (X,),
    "dot": (V,),
    "vdot": (X,),
    "inner": (V,),
    "outer": (V,),
    "tensordot": (V, 1),
    "histogram2d": (X,),
    "intersect1d": (X,),
    "union1d": (X,),
    "setdiff1d": (X,),
    "setxor1d": (X,),
    "can_cast": (float,),
    "apply_along_axis": (0, X),
    "apply_over_axes": (X, 0),
    "polyfit": (V, 1),
    "convolve": (V,),
    "correlate": (V,),
    "polyadd": (V,),
    "polysub": (V,),
    "polymul": (V,),
    "polydiv": (V,),
    "ravel_multi_index": ((3,),),
    "savetxt": (X,),
    "save": (X,),
    "savez": (X,),
    "savez_compressed": (X,),
    "unravel_index": ((3,),),
    "busday_offset": (1,),
    "isdtype": ("real floating",),
    "promote_types": (float,),
    "issubdtype": (float,),
    "linalg.solve": (X,),
    "linalg.lstsq": (X,),
    "linalg.tensorsolve": (V,),
    "linalg.tensordot": (V,),
    "matmul": (V,),
    "linalg.matrix_power": (2,),
    "linalg.cross": (X[:, :3],),
    "linalg.outer": (V,),
    "linalg.matmul": (V,),
    "linalg.vecdot": (V,),
}
ONE_AXIS = set(
    (
        "vander poly roots polymul polydiv convolve correlate interp diag bincount "
        "linalg.outer polyadd polysub polyval polyder polyint digitize ix_ cumulative_sum "
        "cumulative_prod polyfit "
    ).split()
)
# Calls in which another argument than the first is the one with a derivative.
CALLED = {
    name: EXAMPLES[name][0]
    for name in (
        "choose compress extract select apply_along_axis apply_over_axes einsum vecdot matvec "
        "vecmat linalg.cholesky linalg.multi_dot linalg.tensorsolve"
    ).split()
}
CALLED |= {
    "copyto": copied,
    **{
        name: EXAMPLES[name][0] for name in "put place putmask put_along_axis fill_diagonal".split()
    },
    "full": lambda x, v: np.full((2, 3), x[0, 0]),
    "full_like": lambda x, v: np.full_like(x, x[0, 0]),
    "imag": lambda x, v: np.imag(x * 1j),
    "where": lambda x, v: np.where(MASK, x, 0),
    "dsplit": lambda x, v: np.dsplit(x[None], 2),
    "bincount": EXAMPLES["bincount"][0],
    "save": lambda x, v: np.save("saved", x),
    "savez": lambda x, v: np.savez("saved", x),
    "savez_compressed": lambda x, v: np.savez_compressed("saved", x),
    "savetxt": lambda x, v: np.savetxt("saved", x),
    "busday_count": lambda x, v: np.busday_count(x, x),
    "bmat": lambda x, v: np.bmat([[x]]),
    "linalg.tensordot": lambda x, v: np.linalg.tensordot(x, V, axes=1),
}
IN_A_LIST = set(
    (
        "concatenate concat stack hstack vstack dstack column_stack block lexsort row_stack "
        "linalg.multi_dot "
    ).split()
)
SQUARE = set(
    (
        "cholesky det eig eigh eigvals eigvalsh inv slogdet solve tensorinv tensorsolve "
        "matrix_power cond cross"
    ).split()
)
HARMLESS = {"test", "info", "show_config", "show_runtime"}  # they print or run NumPy's own tests


def argument_for(name, x):
    x = x[0] if name in ONE_AXIS else x
    if name.startswith("linalg.") and name.split(".")[1] in SQUARE:
        x = x[:, :3]
    if name in ("cross", "linalg.cross"):
        x = x[:, :3]
    if name in ("linalg.tensorinv", "dsplit"):
        x = x[None]
    return [x[:2], x[:2]] if name in IN_A_LIST else x


def leaves(result):
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (list, tuple)):
        return [leaf for part in result for leaf in leaves(part)]
    if isinstance(result, np.ndarray) and result.dtype == object:
        return [leaf for part in result.ravel().tolist() for leaf in leaves(part)]
    return [result]


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("name", sorted(set(ROWS) - HARMLESS))
def test_no_function_loses_a_derivative_silently(name, mode, tmp_path, monkeypatch):
    "with a box as its first argument: a box, a constant that is listed as one, or a refusal"
    monkeypatch.chdir(tmp_path)
    function = np
    for part in name.split("."):
        function = getattr(function, part)
    call = CALLED.get(name)
    more = MORE.get(name, (1.5,) if isinstance(function, np.ufunc) and function.nin == 2 else ())
    outcome = []

    def f(x):
        first = argument_for(name, x)
        try:
            outcome.append(leaves(call(x, V) if call else function(first, *more)))
        except Exception as error:
            outcome.append(error)
        return np.sum(x)

    old = np.geterr(), np.get_printoptions()
    if mode == "forward":
        jvp(f, (S @ X,), (X,))
    else:
        vjp(f, S @ X)
    np.seterr(**old[0])
    (found,), status = outcome, ROWS[name]["status"]
    if isinstance(found, Exception):
        if status == REFUSED and not ROWS[name].get("open"):
            assert isinstance(found, litad.LitadError), found
        assert status != DIFFERENTIATES, found
    elif any(isinstance(leaf, Box) for leaf in found):
        assert status != CONSTANT or name.endswith("_like"), "a constant is plain"
    else:
        assert status == CONSTANT, f"{name} returned {found} for a box"


def test_every_public_function_has_a_row():
    "the table is complete, and says why of everything that is refused"
    for space, prefix in ((np, ""), (np.linalg, "linalg."), (np.fft, "fft.")):
        for name in dir(space):
            f = getattr(space, name)
            if not name.startswith("_") and callable(f) and not isinstance(f, type):
                assert prefix + name in ROWS
    for name, row in ROWS.items():
        assert row["status"] == DIFFERENTIATES or row["why"], name
        assert row["why"] != "there is no rule for it", name
    assert len(ROWS) > 400


METHODS = {
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "astype": lambda x: x.astype(float),
    "choose": lambda x: x[0] * np.sum(np.choose(K[0] % 2, [x[0, 1], x[1, 0]])),
    "clip": lambda x: x.clip(0.5, 1.2),
    "compress": lambda x: x.compress([True, False, True], 0),
    "conj": lambda x: x.conj(),
    "conjugate": lambda x: x.conjugate(),
    "copy": lambda x: x.copy(),
    "cumprod": lambda x: x.cumprod(1),
    "cumsum": lambda x: x.cumsum(axis=0),
    "diagonal": lambda x: x.diagonal(1),
    "dot": lambda x: x.dot(x.T),
    "flat": lambda x: np.stack(list(x.flat)[2:5]) * x.flat[-1],
    "flatten": lambda x: x.flatten("F"),
    "imag": lambda x: x.imag + x,
    "max": lambda x: x.max(1),
    "mean": lambda x: x.mean(axis=0, keepdims=True),
    "min": lambda x: x.min(),
    "prod": lambda x: x.prod(0),
    "ravel": lambda x: x.ravel(),
    "real": lambda x: x.real,
    "repeat": lambda x: x.repeat(2, axis=1),
    "reshape": lambda x: x.reshape(2, -1),
    "round": lambda x: x.round(1) + x,
    "squeeze": lambda x: x[None].squeeze(0),
    "std": lambda x: x.std(axis=1, ddof=1),
    "sum": lambda x: x.sum(-1),
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "take": lambda x: x.take([0, 5, 5]),
    "trace": lambda x: x.trace(),
    "transpose": lambda x: x.transpose(1, 0),
    "var": lambda x: x.var(0),
    "view": lambda x: x.view(),
    "fill": lambda x: changed(x, lambda y: y[0].fill(2.0)),
    "partition": lambda x: changed(x, lambda y: y.partition([0, 1, 2], axis=0)),
    "put": lambda x: changed(x, lambda y: y.put([0, 5, -1], x[0, 0])),
    "sort": lambda x: changed(x, lambda y: y.sort(axis=0)),
}


def changed(x, write):
    y = x * x
    view = y[1]
    write(y)
    return np.concatenate([np.ravel(y), np.sin(view)])


def test_every_method_of_arrays_has_a_row_and_an_example():
    rows = {row["method"][2:]: row["status"] for row in method_coverage()}
    assert set(rows) == {name for name in dir(np.ndarray) if not name.startswith("_")}
    assert {name for name, status in rows.items() if status == DIFFERENTIATES} == set(METHODS)
    for name, status in rows.items():
        assert hasattr(Box, name) == (status != REFUSED or name in ("item", "tolist")), name
    boxes = []
    vjp(lambda x: (boxes.append(x), np.sum(x))[1], X)
    with pytest.raises(AttributeError, match="x.value.strides"):
        _ = boxes[0].strides


@pytest.mark.parametrize("name", sorted(METHODS))
def test_methods_of_arrays(name):
    "forward = reverse = central difference, in both orders"
    f = lambda x: METHODS[name](x) * 1.0 + 0 * np.sum(x)  # noqa: E731
    check_first(f, [X], np.random.default_rng(0), rtol=2e-7)
    check_second(lambda x: f(np.sin(x) + x), [X], np.random.default_rng(1), 1e-9, 5e-6)
