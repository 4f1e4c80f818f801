"""Random calls of NumPy's functions and of the methods of boxes, with random valid keywords.

What NumPy answers, litad answers too, with the same shape and dtype, and with derivatives that
are those of a difference quotient; or it refuses by name. Nothing is silently wrong.
"""

from __future__ import annotations

import numpy as np
import pytest
from laws import close, difference

from litad import LitadError, jvp, vjp

pytestmark = pytest.mark.filterwarnings("ignore")

DRAWS = 12


class Draw:
    "Random shapes, arrays, axes and keywords."

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.single = False  # whether the call computes in single precision

    def pick(self, *options):
        return options[self.rng.integers(len(options))]

    def count(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def shape(self, least=0, most=3, side=3, shortest=1):
        return tuple(self.count(shortest, side) for _ in range(self.count(least, most)))

    def array(self, *shape):
        "Distinct values of both signs, apart from each other and from zero."
        size = int(np.prod(shape))
        values = (self.rng.permutation(size) + 1.0) / (size + 1) * 1.6 + 0.1
        values *= self.rng.choice([-1.0, 1.0], size)
        return (values + self.rng.uniform(-0.01, 0.01, size)).reshape(shape)

    def any(self, least=0, most=3, **more):
        return self.array(*self.shape(least, most, **more))

    def axis(self, x):
        return self.count(-x.ndim, x.ndim - 1)

    def axes(self, x):
        chosen = self.rng.permutation(x.ndim)[: self.count(1, x.ndim)].tolist()
        return tuple(k - self.pick(0, x.ndim) for k in chosen)

    def some_axis(self, x):
        return None if not x.ndim else self.pick(None, self.axis(x), self.axes(x))

    def one_axis(self, x):
        return None if not x.ndim else self.pick(None, self.axis(x))

    def keywords(self, **options):
        "Each keyword half of the time."
        return {name: value for name, value in options.items() if self.rng.random() < 0.5}

    def mask(self, *shape):
        return self.rng.random(shape) < 0.7

    def broadcastable(self, shape):
        cut = shape[self.count(0, len(shape)) :]
        return tuple(self.pick(1, n) for n in cut)

    def integers(self, low, high, *shape):
        return self.rng.integers(low, high, shape)


CALLS = {}


def calls(*names):
    "Register a maker of random calls: (draw, function's name) -> (f, arrays)."

    def register(make):
        CALLS.update(dict.fromkeys(names, make))
        return make

    return register


def numpy_function(name):
    f = np
    for part in name.split("."):
        f = getattr(f, part)
    return f


def as_method(draw, name, methods):
    "The function, or now and then the method of the same name."
    if name in methods and draw.pick(True, False):
        return lambda x, *args, **kw: getattr(x, name)(*args, **kw)
    return numpy_function(name)


METHODS = set(
    "sum prod mean std var max min cumsum cumprod clip ravel reshape transpose swapaxes squeeze "
    "repeat take diagonal trace dot round sort argsort compress choose argmax argmin any all "
    "nonzero searchsorted partition argpartition conj ptp".split()
) - {"ptp", "sort", "partition"}  # fmt: skip


@calls("sum", "prod", "nansum", "nanprod", "max", "min", "amax", "amin", "nanmax", "nanmin")
def reductions(draw, name):
    x = draw.any()
    kw = dict(axis=draw.some_axis(x))
    kw |= draw.keywords(keepdims=draw.pick(True, False), initial=draw.pick(0.5, 2.5, -3.0))
    if draw.rng.random() < 0.4:
        kw["where"] = draw.mask(*draw.broadcastable(x.shape))
        if name == "nanmin" or name == "nanmax":
            x = draw.any(1)
            kw |= dict(where=draw.mask(*x.shape), axis=None)
        if name[-3:] in ("max", "min"):
            kw.setdefault("initial", -9.0 if "max" in name else 9.0)
    if name in ("sum", "prod", "nansum", "nanprod") and draw.rng.random() < 0.3:
        kw["dtype"] = draw.pick(np.float32, np.float64)
        draw.single = kw["dtype"] == np.float32
    f = as_method(draw, name, METHODS)
    return lambda x: f(x, **kw), [x]


@calls("mean", "std", "var", "nanmean", "nanstd", "nanvar")
def moments(draw, name):
    x = draw.any(shortest=3)
    kw = dict(axis=draw.some_axis(x)) | draw.keywords(keepdims=draw.pick(True, False))
    if "mean" not in name:
        kw |= draw.keywords(ddof=draw.pick(0, 1, 0.5))
        if "ddof" not in kw and draw.rng.random() < 0.2:
            kw["correction"] = draw.pick(0, 1)
    if draw.rng.random() < 0.3 and x.size > 1:
        mask = draw.mask(*draw.broadcastable(x.shape))
        kw["where"] = mask
    if draw.rng.random() < 0.2:
        kw["dtype"] = np.float64
    f = as_method(draw, name, METHODS)
    return lambda x: f(x, **kw), [x]


@calls("cumsum", "cumprod", "nancumsum", "nancumprod", "cumulative_sum", "cumulative_prod")
def cumulations(draw, name):
    x = draw.any(1)
    kw = {} if "cumulative" in name and x.ndim == 1 else dict(axis=draw.one_axis(x))
    if "cumulative" in name:
        kw = dict(axis=draw.axis(x)) | draw.keywords(include_initial=draw.pick(True, False))
    f = as_method(draw, name, METHODS)
    return lambda x: f(x, **kw), [x]


@calls("median", "nanmedian", "ptp")
def middles(draw, name):
    x = draw.any(1, shortest=2)
    kw = dict(axis=draw.some_axis(x)) | draw.keywords(keepdims=draw.pick(True, False))
    f = numpy_function(name)
    return lambda x: f(x, **kw), [x]


@calls("quantile", "percentile", "nanquantile", "nanpercentile")
def quantiles(draw, name):
    x = draw.any(1, shortest=2)
    q = draw.pick(0.5, 0.0, 1.0, 0.3, np.array([0.2, 0.9]), [[0.1, 0.2], [0.3, 0.77]])
    q = [0.2, 0.9] if "nan" in name and np.ndim(q) == 2 else q  # NumPy's own order of axes differs
    q = np.asarray(q) * (100 if "perc" in name else 1)
    kw = dict(axis=draw.some_axis(x)) | draw.keywords(keepdims=draw.pick(True, False))
    kw |= draw.keywords(
        method=draw.pick(
            "linear", "lower", "higher", "nearest", "midpoint", "hazen", "weibull",
            "median_unbiased", "normal_unbiased", "inverted_cdf", "averaged_inverted_cdf",
            "closest_observation", "interpolated_inverted_cdf",
        )
    )  # fmt: skip
    f = numpy_function(name)
    return lambda x: f(x, q, **kw), [x]


@calls("average")
def averages(draw, name):
    x = draw.any(1)
    axis = draw.one_axis(x)
    n = x.shape if axis is None else (x.shape[axis],)
    w = np.abs(draw.array(*draw.pick(x.shape, n)))
    kw = dict(axis=axis) | draw.keywords(keepdims=draw.pick(True, False))
    if draw.pick(True, False):
        return lambda x: np.average(x, **kw), [x]
    if draw.pick(True, False):
        kw["returned"] = True
    return lambda x, w: np.average(x, weights=w, **kw), [x, w]


@calls("argmax", "argmin", "argsort", "any", "all", "nonzero", "count_nonzero", "argwhere",
       "flatnonzero", "isfinite", "isnan", "signbit", "logical_not", "nanargmax", "shape", "ndim",
       "size")  # fmt: skip
def constants(draw, name):
    x = draw.any(1)
    f = as_method(draw, name, METHODS)
    return lambda x: (f(x), np.sum(x))[1] * 1.0 + 0 * np.size(f(x)), [x]


@calls("ravel", "reshape", "transpose", "swapaxes", "squeeze", "moveaxis", "rollaxis", "flip",
       "fliplr", "flipud", "rot90", "roll", "expand_dims", "atleast_1d", "atleast_2d",
       "atleast_3d", "broadcast_to", "tile", "repeat", "resize", "unstack")  # fmt: skip
def rearrangements(draw, name):
    least = {"fliplr": 2, "rot90": 2, "flipud": 1, "swapaxes": 1, "rollaxis": 1, "moveaxis": 1}
    x = draw.any(least.get(name, 1 if name == "unstack" else 0))
    f = as_method(draw, name, METHODS)
    order = draw.keywords(order=draw.pick("C", "F", "A"))
    args = {
        "ravel": lambda: ((), order),
        "reshape": lambda: (
            (
                draw.pick(
                    (x.size,),
                    -1,
                    (1, x.size),
                    (-1, 1),
                    x.shape[::-1],
                    (x.shape[-1:] or (1,)) + (-1,),
                ),
            ),
            order,
        ),
        "transpose": lambda: (
            draw.pick((), (tuple(int(k) for k in draw.rng.permutation(x.ndim)),)),
            {},
        ),
        "swapaxes": lambda: ((draw.axis(x), draw.axis(x)), {}),
        "squeeze": lambda: ((), {}),
        "moveaxis": lambda: ((draw.axis(x), draw.axis(x)), {}),
        "rollaxis": lambda: ((draw.axis(x), draw.count(0, x.ndim)), {}),
        "flip": lambda: ((), draw.keywords(axis=draw.some_axis(x))),
        "fliplr": lambda: ((), {}),
        "flipud": lambda: ((), {}),
        "rot90": lambda: (
            (draw.count(-3, 3), tuple(int(k) for k in draw.rng.permutation(x.ndim)[:2])),
            {},
        ),
        "roll": lambda: draw.pick(
            ((draw.count(-5, 5),), dict(axis=draw.one_axis(x))),
            (((1, 2),), dict(axis=(-1, -1))) if x.ndim else ((2,), {}),
        ),
        "expand_dims": lambda: ((draw.pick(0, -1, (0, 1), (0, -1)),), {}),
        "atleast_1d": lambda: ((), {}),
        "atleast_2d": lambda: ((), {}),
        "atleast_3d": lambda: ((), {}),
        "broadcast_to": lambda: (((2, *[n for n in x.shape]),), {}),
        "tile": lambda: ((draw.pick(0, 2, (2,), (2, 1), (1, 3, 2), (2, 0), (3, 1, 1, 1)),), {}),
        "repeat": lambda: draw.pick(
            ((draw.count(0, 3),), dict(axis=draw.one_axis(x))),
            ((draw.integers(0, 3, x.size),), {}),
            ((draw.integers(0, 3, (x.shape or (1,))[-1]),), dict(axis=-1)),
            (([2],), dict(axis=draw.one_axis(x))),
        ),
        "resize": lambda: ((draw.pick((2, 3), 5, (7,), (1,), (0,)),), {}),
        "unstack": lambda: ((), dict(axis=draw.axis(x))),
    }[name]()
    many = name == "unstack"

    def call(x):
        y = f(x, *args[0], **args[1])
        return np.stack(y) if many else y

    return call, [x]


@calls("take", "compress", "delete", "insert", "append", "take_along_axis", "choose", "diag",
       "diagonal", "trace", "tril", "triu", "diagflat", "pad", "trim_zeros", "extract", "select",
       "where", "clip", "nan_to_num", "unwrap", "round", "around", "fix", "real", "imag", "abs",
       "real_if_close", "sort", "partition", "unique", "diff", "ediff1d", "gradient", "trapezoid",
       "interp", "i0", "sinc", "vander", "polyval", "convolve", "correlate", "cov", "corrcoef",
       "put_along_axis", "piecewise", "apply_along_axis", "apply_over_axes", "histogram",
       "fill_diagonal", "place", "putmask", "put", "fmax", "fmin", "heaviside",
       "ldexp")  # fmt: skip
def selections(draw, name):  # noqa: C901, PLR0911, PLR0912, PLR0915
    f = as_method(draw, name, METHODS)
    x = draw.any(1)
    axis = draw.axis(x)
    n = x.shape[axis]
    match name:
        case "take":
            at = draw.integers(-n, n, *draw.shape(0, 2))
            if draw.pick(True, False):
                return lambda x: f(x, at, axis=axis), [x]
            at = draw.integers(-9, 9, *draw.shape(0, 2))
            mode = draw.pick("wrap", "clip")
            where = draw.one_axis(x)
            return lambda x: f(x, at, axis=where, mode=mode), [x]
        case "compress":
            keep = draw.mask(draw.count(1, n))
            if name in METHODS and f is not np.compress:
                return lambda x: f(x, keep, axis=axis), [x]
            return lambda x: np.compress(keep, x, axis=axis), [x]
        case "delete":
            what = draw.pick(0, -1, [0], slice(0, 2), draw.integers(0, n, 2), draw.mask(n))
            return lambda x: np.delete(x, what, axis=axis), [x]
        case "insert":
            what = draw.pick(0, n, -1, [0, n], slice(0, n), [n, 0], draw.integers(0, n, 3))
            v = draw.array()
            return lambda x, v: np.insert(x, what, v, axis=axis), [x, v]
        case "append":
            return lambda x, v: np.append(x, v, axis=axis), [x, draw.array(*x.shape)]
        case "take_along_axis":
            shape = tuple(
                draw.count(1, 3) if k == axis % x.ndim else m for k, m in enumerate(x.shape)
            )
            at = draw.integers(-n, n, *shape)
            return lambda x: np.take_along_axis(x, at, axis), [x]
        case "choose":
            at = draw.integers(0, 2, *x.shape)
            mode = draw.pick("raise", "wrap", "clip")
            return lambda x, y: np.choose(at, [x, y], mode=mode), [x, draw.array(*x.shape)]
        case "diag":
            x, k = draw.any(1, 2), draw.count(-3, 3)
            return lambda x: np.diag(x, k), [x]
        case "diagflat":
            k = draw.count(-2, 2)
            return lambda x: np.diagflat(x, k), [x]
        case "diagonal" | "trace":
            x = draw.any(2, 3)
            axes = [int(k) for k in draw.rng.permutation(x.ndim)[:2]]
            k = draw.count(-2, 2)
            return lambda x: f(x, k, *axes), [x]
        case "tril" | "triu":
            x, k = draw.any(1, 3), draw.count(-3, 3)
            return lambda x: f(x, k), [x]
        case "pad":
            mode = draw.pick("constant", "edge", "reflect", "symmetric", "wrap", "linear_ramp",
                             "maximum", "minimum", "mean", "median", "empty")  # fmt: skip
            width = draw.pick(1, 2, (1, 2), [(draw.count(0, 4), draw.count(0, 4))] * x.ndim)
            kw = {}
            if mode in ("reflect", "symmetric"):
                kw = draw.keywords(reflect_type=draw.pick("even", "odd"))
            if mode == "constant":
                kw = draw.keywords(constant_values=draw.pick(1.5, (1.0, 2.0)))
            if mode == "linear_ramp":
                kw = draw.keywords(end_values=draw.pick(1.5, (1.0, 2.0)))
            if mode in ("maximum", "minimum", "mean", "median"):
                kw = draw.keywords(stat_length=draw.pick(1, 2))
            if mode == "empty":
                return lambda x: np.pad(x, 1, mode="empty")[(slice(1, -1),) * x.ndim], [x]
            return lambda x: np.pad(x, width, mode=mode, **kw), [x]
        case "trim_zeros":
            z = np.concatenate([[0.0], draw.any(1, 1), [0.0, 0.0]])
            t = draw.pick("fb", "f", "b")
            return lambda x: np.trim_zeros(x * (z != 0), t), [z]
        case "extract":
            mask = draw.mask(*x.shape)
            return lambda x: np.extract(mask, x), [x]
        case "select":
            a, b = draw.mask(*x.shape), draw.mask(*draw.broadcastable(x.shape))
            return lambda x, y: np.select([a, b], [x, y], x * 2), [x, draw.array(*x.shape)]
        case "where":
            mask = draw.mask(*draw.broadcastable(x.shape))
            y = draw.array(*draw.broadcastable(x.shape))
            return lambda x, y: np.where(mask, x, y), [x, y]
        case "clip":
            kw = draw.pick((-0.5, 0.7), (None, 0.3), (0.2, None), (-1, 1), (0.5, -0.5))
            return lambda x: f(x, *kw), [x]
        case "nan_to_num":
            y = np.where(draw.mask(*x.shape), x, draw.pick(np.nan, np.inf, -np.inf))
            kw = draw.keywords(nan=1.0, posinf=2.0, neginf=3.0)
            return lambda x: np.nan_to_num(x + (y - y), **kw), [x]
        case "unwrap":
            kw = draw.keywords(axis=axis, period=draw.pick(1.0, 6.0), discont=0.7)
            return lambda x: np.unwrap(x * 3, **kw), [x]
        case "round" | "around":
            k = draw.pick(0, 1, -1)
            return lambda x: f(x, k) + x, [x]
        case "fix" | "real" | "imag" | "abs" | "real_if_close":
            return lambda x: f(x) + x, [x]
        case "i0" | "sinc":
            return f, [x]
        case "heaviside":
            return lambda x, y: np.heaviside(x, y) + x, [
                x,
                draw.array(*draw.broadcastable(x.shape)),
            ]
        case "ldexp":
            k = draw.integers(-3, 3, *draw.broadcastable(x.shape))
            return lambda x: np.ldexp(x, k), [x]
        case "fmax" | "fmin":
            y = draw.array(*draw.broadcastable(x.shape)) + 0.003
            return f, [x, y]
        case "sort":
            kw = draw.keywords(axis=draw.one_axis(x), kind=draw.pick("stable", "quicksort"))
            return lambda x: np.sort(x, **kw), [x]
        case "partition":
            # where the sorted places are is defined, the order of the others is NumPy's choice
            return lambda x: np.take(np.partition(x, 0, axis=axis), [0], axis=axis), [x]
        case "unique":
            return lambda x: np.unique(x), [x]
        case "diff":
            kw = dict(n=draw.count(0, 2), axis=axis)
            if draw.pick(True, False):
                kw |= draw.keywords(prepend=1.5, append=-0.5)
            return lambda x: np.diff(x, **kw), [x]
        case "ediff1d":
            kw = draw.keywords(to_end=1.0, to_begin=[1.0, 2.0])
            return lambda x: np.ediff1d(x, **kw), [x]
        case "gradient":
            x = draw.any(1, 2, side=5, shortest=3)
            axis = draw.axis(x)
            h = draw.pick(0.5, np.cumsum(np.abs(draw.array(x.shape[axis])) + 0.1))
            kw = draw.keywords(edge_order=draw.pick(1, 2))
            return lambda x: np.gradient(x, h, axis=axis, **kw), [x]
        case "trapezoid":
            kw = draw.pick({}, dict(dx=0.3), dict(x=np.cumsum(np.abs(draw.array(n)))))
            return lambda x: np.trapezoid(x, axis=axis, **kw), [x]
        case "interp":
            xp = np.cumsum(np.abs(draw.array(4)) + 0.1) - 1.0
            kw = draw.pick({}, dict(left=3.0), dict(left=1.0, right=2.0), dict(period=2.5))
            return lambda x, xp, fp: np.interp(x, xp, fp, **kw), [x, xp, draw.array(4)]
        case "vander":
            kw = draw.keywords(N=draw.count(1, 4), increasing=True)
            return lambda x: np.vander(x, **kw), [draw.any(1, 1)]
        case "polyval":
            return np.polyval, [draw.any(1, 1), x]
        case "convolve" | "correlate":
            a, b = draw.any(1, 1, side=5), draw.any(1, 1, side=4)
            mode = draw.pick("full", "same", "valid")
            return lambda a, b: f(a, b, mode), [a, b]
        case "cov" | "corrcoef":
            x = draw.array(draw.count(1, 3), draw.count(3, 5))
            kw = {}
            if name == "cov":
                kw = draw.keywords(ddof=draw.pick(0, 1), bias=True)
                m = x.shape[1]
                kw |= draw.pick(
                    {}, dict(aweights=np.arange(1.0, m + 1)), dict(fweights=np.arange(1, m + 1))
                )
            if draw.pick(True, False):
                kw["rowvar"] = False
                x = np.ascontiguousarray(x.T)
            if draw.pick(True, False):
                return lambda x, y: f(x, y, **kw), [x, draw.array(*x.shape)]
            return lambda x: f(x, **kw), [x]
        case "piecewise":
            return lambda x: np.piecewise(x, [x < 0, x > 0.5], [lambda u: u**2, np.sin, 3.0]), [x]
        case "apply_along_axis":
            return lambda x: np.apply_along_axis(lambda r: np.cumsum(r) * r[0], axis, x), [x]
        case "apply_over_axes":
            return lambda x: np.apply_over_axes(np.sum, x, [axis]), [x]
        case "histogram":
            return lambda x: np.sum(x * np.histogram(x, 3)[0][0]), [x]
        case "put_along_axis" | "put" | "place" | "putmask" | "fill_diagonal":
            x = draw.array(3, 3)

            def call(x, v):
                y = x * 1.0
                at = (y, np.array([[0, 1, 2]]), v, 0) if name == "put_along_axis" else (y, v)
                at = (y, [0, 4], v[:2]) if name == "put" else at
                at = (y, y > 0.2, v) if name in ("place", "putmask") else at
                f(*at)
                return y

            return call, [x, draw.array(3)]
    raise AssertionError(name)


@calls("add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "arctan2", "hypot",
       "logaddexp", "logaddexp2", "fmod", "remainder", "copysign", "float_power", "nextafter",
       "floor_divide")  # fmt: skip
def binary(draw, name):
    f = numpy_function(name)
    x = draw.any()
    y = draw.array(*draw.pick(x.shape, draw.broadcastable(x.shape))) + 0.003
    if name in ("power", "float_power"):
        x, y = np.abs(x), y * 2
    if name in ("fmod", "remainder", "floor_divide"):
        x, y = np.abs(x) * 3 + 0.01, y + np.sign(y)
    if draw.rng.random() < 0.2:
        mask = draw.mask(*np.broadcast_shapes(x.shape, y.shape))
        if draw.pick(True, False):
            return lambda x, y: f(x, y, out=np.zeros_like(x * y), where=mask), [x, y]
        return lambda x, y: np.where(mask, f(x, y), x * 1.0), [x, y]
    if name in ("nextafter", "floor_divide"):
        return lambda x, y: f(x, y) + x, [x, y]
    kind = draw.count(0, 5)
    if kind == 0 and name in ("add", "multiply", "maximum", "minimum", "logaddexp", "hypot"):
        x = draw.any(1)
        kw = dict(axis=draw.axis(x)) | draw.keywords(keepdims=draw.pick(True, False))
        return lambda x: f.reduce(x, **kw), [x]
    if kind == 1 and name in ("add", "multiply", "maximum", "minimum", "logaddexp", "subtract"):
        x = draw.any(1)
        axis = draw.axis(x)
        return lambda x: f.accumulate(x, axis=axis), [x]
    if kind == 2:
        return f.outer, [x, y]
    if kind == 3 and name in ("add", "multiply", "maximum"):
        x = draw.any(1, side=5)
        at = draw.integers(0, x.shape[0], draw.count(1, 4))
        return lambda x: f.reduceat(x, at, axis=0), [x]
    return f, [x, y]


UNARY = set(
    "sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arctanh exp exp2 expm1 log log2 log10 "
    "log1p sqrt cbrt square reciprocal negative positive absolute fabs deg2rad rad2deg degrees "
    "radians sign floor ceil trunc rint conjugate spacing modf frexp divmod angle".split()
)


@calls(*sorted(UNARY))
def unary(draw, name):
    f = numpy_function(name)
    x = draw.any()
    if name in ("log", "log2", "log10", "sqrt", "log1p"):
        x = np.abs(x)
    if name in ("arcsin", "arccos", "arctanh"):
        x = x / 2
    if name in ("modf", "frexp"):
        return lambda x: f(x)[0] + x, [x]
    if name == "divmod":
        return lambda x: np.divmod(x * 3, 0.7)[1] + x, [x]
    if name in ("sign", "floor", "ceil", "trunc", "rint", "spacing", "angle"):
        return lambda x: f(x) + x, [x]
    if draw.rng.random() < 0.3:
        mask = draw.mask(*x.shape)
        return lambda x: np.where(mask, f(x, where=mask, out=np.zeros_like(x)), 1.0), [x]
    return f, [x]


@calls("dot", "vdot", "inner", "outer", "matmul", "tensordot", "einsum", "kron", "cross", "vecdot",
       "matvec", "vecmat", "linalg.multi_dot", "linalg.matrix_power", "linalg.tensordot",
       "linalg.outer", "linalg.cross", "linalg.vecdot", "linalg.matmul")  # fmt: skip
def products(draw, name):
    f = as_method(draw, name, METHODS)
    n = draw.count(1, 3)
    batch = draw.shape(0, 1)
    match name:
        case "dot":
            a, b = draw.pick(((n,), (n,)), ((2, n), (n,)), ((n,), (n, 2)), ((2, n), (n, 3)),
                             ((), (2, n)), ((2, 3, n), (2, n, 2)), ((2, n), ()))  # fmt: skip
        case "matmul" | "linalg.matmul":
            a, b = draw.pick(((2, n), (n, 3)), ((*batch, 2, n), (n, 3)), ((1, 2, n), (2, n, 1)),
                             ((n, 2), (2, 2, 2)))  # fmt: skip
            if name == "matmul":
                a, b = draw.pick((a, b), ((n,), (n,)), ((n,), (2, n, 2)), ((2, 2, n), (n,)))
        case "inner":
            a, b = draw.pick(((n,), (n,)), ((2, n), (3, n)), ((2, n), (n,)), ((), (n,)))
        case "vdot":
            a, b = draw.pick(((n,), (n,)), ((2, n), (n, 2)), ((), ()))
        case "outer":
            a, b = draw.shape(), draw.shape()
        case "linalg.outer":
            a, b = (n,), (2,)
        case "kron":
            a, b = draw.shape(0, 3, side=2), draw.shape(0, 3, side=2)
        case "cross" | "linalg.cross":
            a, b = draw.pick(((3,), (3,)), ((2, 3), (3,)), ((2, 1, 3), (2, 3)))
            if draw.pick(True, False):
                return lambda a, b: f(a, b, axis=-1), [draw.array(*a), draw.array(*b)]
        case "vecdot" | "linalg.vecdot":
            a, b = draw.pick(((n,), (n,)), ((2, n), (n,)), ((2, 1, n), (3, n)))
        case "matvec":
            a, b = draw.pick(((2, n), (n,)), ((3, 2, n), (n,)), ((2, n), (3, n)))
        case "vecmat":
            a, b = draw.pick(((n,), (n, 2)), ((3, n), (n, 2)), ((n,), (2, n, 2)))
        case "tensordot" | "linalg.tensordot":
            a, b, axes = draw.pick(
                ((2, n), (n, 3), 1), ((2, n), (2, n), 2), ((2,), (3,), 0),
                ((2, n, 3), (n, 2), ([1, 0], [0, 1])), ((2, n), (3, n), (1, 1)),
                ((2, n), (3, n), (-1, -1)),
            )  # fmt: skip
            return lambda a, b: f(a, b, axes=axes), [draw.array(*a), draw.array(*b)]
        case "einsum":
            rule, a, b = draw.pick(
                ("ij,jk->ik", (2, n), (n, 3)), ("ij,ij", (2, n), (2, n)), ("ii,i->i", (n, n), (n,)),
                ("...i,...i->...", (2, n), (3, 1, n)), ("i,j->ji", (2,), (n,)),
                ("ijj,j->i", (2, n, n), (n,)), ("ij,kl->", (2, 2), (n, 2)), ("ab,b", (2, n), (n,)),
                ("i...,i...", (n, 2), (n, 2)), ("ii,jj->ij", (n, n), (2, 2)), (",i", (), (n,)),
                ("ij,j->", (1, n), (n,)), ("ij,jk", (2, 1), (n, 3)),
            )  # fmt: skip
            kw = draw.keywords(optimize=draw.pick(True, False, "greedy"))
            return lambda a, b: np.einsum(rule, a, b, **kw), [draw.array(*a), draw.array(*b)]
        case "linalg.multi_dot":
            a, b, c = draw.array(2, n), draw.array(n, 3), draw.array(3, 2)
            return lambda a, b, c: np.linalg.multi_dot([a, b, c]), [a, b, c]
        case "linalg.matrix_power":
            k = draw.count(-2, 4)
            a = draw.array(*batch, n, n) + 3 * np.eye(n)
            return lambda a: np.linalg.matrix_power(a, k), [a]
    return lambda a, b: f(a, b), [draw.array(*a), draw.array(*b)]


@calls("linalg.solve", "linalg.inv", "linalg.det", "linalg.slogdet", "linalg.norm",
       "linalg.vector_norm", "linalg.matrix_norm", "linalg.pinv", "linalg.svdvals", "linalg.trace",
       "linalg.diagonal", "linalg.cond", "linalg.lstsq", "linalg.tensorinv", "linalg.tensorsolve",
       "linalg.qr", "linalg.matrix_transpose", "linalg.cholesky", "linalg.eigvalsh")  # fmt: skip
def matrices(draw, name):  # noqa: C901, PLR0911, PLR0912
    f = numpy_function(name)
    n = draw.count(1, 3)
    batch = draw.shape(0, 1)
    square = draw.array(*batch, n, n) + 2.5 * np.eye(n)
    match name:
        case "linalg.solve":
            b = draw.pick((n,), (n, 2)) if not batch else (*batch, n, 2)
            return f, [square, draw.array(*b)]
        case "linalg.slogdet":
            return lambda a: f(a)[1], [square]
        case "linalg.norm":
            x = draw.any(1, 3)
            axis = draw.pick(None, draw.axis(x))
            kw = dict(axis=axis) | draw.keywords(keepdims=True)
            if axis is not None or x.ndim == 1:
                kw |= draw.keywords(ord=draw.pick(1, 2, 3, np.inf, -np.inf, 0.5, -1, -2))
            elif x.ndim == 2:
                kw |= draw.keywords(ord=draw.pick("fro", "nuc", 1, 2, np.inf, -1, -np.inf, -2))
            if x.ndim == 3 and axis is None:
                kw["axis"] = draw.pick((0, 1), (2, 0), (-1, 0), None)
            return lambda x: f(x, **kw), [x]
        case "linalg.vector_norm":
            x = draw.any(1, 3)
            kw = draw.keywords(
                axis=draw.some_axis(x), ord=draw.pick(1, 2, 3, np.inf, 0.5), keepdims=True
            )
            return lambda x: f(x, **kw), [x]
        case "linalg.matrix_norm":
            kw = draw.keywords(ord=draw.pick("fro", "nuc", 1, 2, np.inf, -1), keepdims=True)
            return lambda x: f(x, **kw), [draw.any(2, 3)]
        case "linalg.pinv":
            return f, [draw.array(*batch, 3, draw.count(2, 3)) + np.eye(3)[:, :3][..., :1] * 0]
        case "linalg.svdvals" | "linalg.matrix_transpose":
            return f, [draw.any(2, 3)]
        case "linalg.trace" | "linalg.diagonal":
            k = draw.count(-1, 1)
            return lambda x: f(x, offset=k), [draw.any(2, 3)]
        case "linalg.cond":
            p = draw.pick(None, 2, 1, np.inf, "fro", -2)
            return lambda x: f(x, p), [square]
        case "linalg.lstsq":
            return lambda a, b: f(a, b)[0], [
                draw.array(4, 2) + np.eye(4, 2) * 2,
                draw.array(*draw.pick((4,), (4, 3))),
            ]
        case "linalg.tensorinv":
            a = (draw.array(4, 4) + 3 * np.eye(4)).reshape(4, 2, 2)
            return lambda a: f(a, ind=1), [a]
        case "linalg.tensorsolve":
            return f, [(draw.array(4, 4) + 3 * np.eye(4)).reshape(4, 2, 2), draw.array(4)]
        case "linalg.qr":
            mode = draw.pick("reduced", "r")
            a = draw.array(3, draw.count(1, 3)) + np.eye(3)[:, :1]
            return lambda a: f(a, mode)[1] if mode == "reduced" else f(a, mode), [a]
        case "linalg.cholesky":
            kw = draw.keywords(upper=draw.pick(True, False))
            return lambda a: f(a @ np.swapaxes(a, -1, -2) + np.eye(n), **kw), [square]
        case "linalg.eigvalsh":
            return lambda a: f(a + np.swapaxes(a, -1, -2)), [square]
    return f, [square]


@calls("concatenate", "stack", "vstack", "hstack", "dstack", "column_stack", "block", "append",
       "split", "array_split", "hsplit", "vsplit", "meshgrid", "broadcast_arrays")  # fmt: skip
def joins(draw, name):
    f = numpy_function(name)
    x = draw.any(2)
    y = draw.array(*x.shape)
    axis = draw.axis(x)
    match name:
        case "concatenate" | "append":
            shape = list(x.shape)
            shape[axis] = draw.count(0, 3)
            y = draw.array(*shape)
            if draw.pick(True, False):
                return lambda x, y: np.concatenate([x, y, x], axis=axis), [x, y]
            return lambda x, y: np.concatenate([x, y], axis=None), [x, y]
        case "stack":
            return lambda x, y: np.stack([x, y, 1 + x], axis=axis), [x, y]
        case "split" | "array_split" | "hsplit" | "vsplit":
            at = draw.pick([1], [0, 2], [1, 1])
            kw = dict(axis=axis) if name in ("split", "array_split") else {}
            return lambda x: np.concatenate(
                [np.ravel(p) * (k + 1.0) for k, p in enumerate(f(x, at, **kw))]
            ), [x]
        case "meshgrid":
            kw = draw.keywords(indexing="ij", sparse=True)
            return lambda a, b: np.multiply(*np.meshgrid(a, b, **kw)), [
                draw.array(2),
                draw.array(3),
            ]
        case "broadcast_arrays":
            return lambda x, y: np.multiply(*f(x, y)), [x, draw.array(*draw.broadcastable(x.shape))]
        case "block":
            return lambda x, y: np.block([[x, y], [y, x]]), [x, y]
    return lambda x, y: f([x, y]), [x, y]


@calls("fft.fft", "fft.ifft", "fft.rfft", "fft.irfft", "fft.hfft", "fft.ihfft", "fft.fft2",
       "fft.ifft2", "fft.fftn", "fft.rfft2", "fft.irfft2", "fft.rfftn", "fft.irfftn",
       "fft.fftshift", "fft.ifftshift", "fft.ifftn")  # fmt: skip
def transforms(draw, name):
    f = numpy_function(name)
    x = draw.any(2, 3, side=4, shortest=2)
    kw = draw.keywords(norm=draw.pick("ortho", "forward", "backward"))
    if "shift" in name:
        kw = draw.keywords(axes=draw.some_axis(x))
    elif name[-1] == "n":
        axes = tuple(int(k) for k in draw.rng.permutation(x.ndim)[: draw.count(1, x.ndim)])
        kw |= draw.pick({}, dict(axes=axes), dict(s=[draw.count(2, 5) for _ in axes], axes=axes))
    elif name[-1] == "2":
        kw |= draw.keywords(s=(draw.count(2, 5), draw.count(2, 5)), axes=(-1, 0))
    else:
        kw |= draw.keywords(n=draw.count(2, 6), axis=draw.axis(x))

    def call(x, z):
        inputs = x + 1j * z if draw_complex else x + z
        y = f(inputs, **kw)
        return np.stack([np.real(y), np.imag(y)])

    draw_complex = draw.pick(True, False) and name not in (
        "fft.rfft",
        "fft.rfft2",
        "fft.rfftn",
        "fft.ihfft",
    )
    return call, [x, draw.array(*x.shape)]


@calls("x.T", "x.mT", "x.real", "x.flatten", "x.astype", "x.copy", "x.fill", "x.sort", "x.ravel",
       "x.reshape", "x.conj", "x.conjugate", "x.squeeze", "x.__getitem__", "x.flat", "x.imag",
       "x.partition", "x.view", "x.__setitem__", "x.__iadd__", "x.__rpow__", "x.__matmul__",
       "x.__abs__", "x.__divmod__", "x.item", "x.resize", "x.itemset", "x.put", "x.var",
       "x.mean", "x.nbytes", "x.__floordiv__", "x.__mod__", "x.__rsub__", "x.__rtruediv__",
       "x.__ipow__", "x.__imul__", "x.__iter__", "x.__contains__", "x.__pos__")  # fmt: skip
def methods(draw, name):  # noqa: C901, PLR0911, PLR0912
    x = draw.any(1)
    name = name[2:]
    match name:
        case "T" | "real":
            return lambda x: getattr(x, name), [x]
        case "imag":
            return lambda x: x.imag + x, [x]
        case "mT":
            return lambda x: x.mT, [draw.any(2)]
        case "flatten" | "ravel":
            kw = draw.keywords(order=draw.pick("C", "F"))
            return lambda x: getattr(x, name)(**kw), [x]
        case "astype":
            to = draw.pick(np.float64, float, "float64", "f8")
            return lambda x: x.astype(to), [x]
        case "copy" | "conj" | "conjugate" | "__abs__" | "__pos__":
            return lambda x: getattr(x, name)(), [x]
        case "view":
            return lambda x: x.view(), [x]
        case "fill":

            def filled(x):
                y = x * 2
                y.fill(3.0)
                return y + x

            return filled, [x]
        case "sort" | "partition":
            axis = draw.axis(x)

            def ordered(x):
                y = x * 2
                y.sort(axis=axis) if name == "sort" else y.partition(0, axis=axis)
                return np.take(y, [0], axis=axis)

            return ordered, [x]
        case "put":

            def put(x):
                y = x * 2
                y.put([0], x[(0,) * x.ndim] * 5)
                return y

            return put, [x]
        case "reshape":
            shape = draw.pick((-1,), (1, -1), (x.size,), x.shape[::-1])
            return lambda x: x.reshape(*shape), [x]
        case "squeeze":
            return lambda x: x[None].squeeze(axis=0), [x]
        case "__getitem__":
            at = index(draw, x.shape)
            return lambda x: x[at], [x]
        case "__setitem__":
            at = index(draw, x.shape)
            v = draw.array(*np.shape(x[at]))

            def stored(x, v):
                y = x * 1.0
                y[at] = v * 2
                return y

            return stored, [x, v]
        case "__iadd__" | "__imul__" | "__ipow__":

            def changed(x):
                y = np.abs(x) + 0.5
                z = y[..., 0]
                if name == "__iadd__":
                    y += x
                elif name == "__imul__":
                    y *= x
                else:
                    y **= 2.5
                return np.concatenate([np.ravel(y), np.ravel(z)])

            return changed, [x]
        case "flat":
            return lambda x: np.stack([v for v in x.flat]), [x]
        case "__iter__":
            return lambda x: np.stack([v * (k + 1) for k, v in enumerate(x)]), [x]
        case "__contains__":
            return lambda x: x * (1.0 if 0.5 in x else 2.0), [x]
        case "__rpow__":
            return lambda x: 2.5**x, [x]
        case "__rsub__":
            return lambda x: 2 - x, [x]
        case "__rtruediv__":
            return lambda x: 2 / x, [x]
        case "__floordiv__":
            return lambda x: x // 0.07 + x, [x]
        case "__mod__":
            return lambda x: (x * 3) % 0.7001, [x]
        case "__divmod__":
            return lambda x: divmod(x * 3, 0.7001)[1], [x]
        case "__matmul__":
            return lambda x: x @ np.swapaxes(x, -1, -2), [draw.any(2)]
        case "item" | "nbytes" | "itemset" | "resize":
            return lambda x: getattr(x, name) * 1.0 + x if name == "nbytes" else x * 1.0, [x]
        case "var" | "mean":
            return lambda x: getattr(x, name)(0), [x]
    raise AssertionError(name)


def index(draw, shape):
    "A random index of any of NumPy's kinds."
    parts, k = [], 0
    fancy = draw.shape(0, 1)
    while k < len(shape):
        n = shape[k]
        kind = draw.count(0, 8)
        if kind == 0:
            parts.append(draw.count(-n, n - 1))
        elif kind == 1:
            parts.append(draw.integers(-n, n, *fancy))
        elif kind == 2 and len(fancy) == 0:
            parts.append(draw.mask(n))
        elif kind == 3:
            parts.append(None)
            continue
        elif kind == 4 and Ellipsis not in [p for p in parts if p is Ellipsis]:
            parts.append(Ellipsis)
            break
        elif kind == 5:
            parts.append([draw.count(-n, n - 1) for _ in range(fancy[0] if fancy else 1)])
        else:
            parts.append(
                slice(draw.pick(None, 0, 1, -1), draw.pick(None, n, -1), draw.pick(None, 1, 2, -1))
            )
        k += 1
    return parts[0] if len(parts) == 1 and draw.pick(True, False) else tuple(parts)


def attempt(f, *args):
    try:
        return f(*args), None
    except Exception as error:  # noqa: BLE001
        return None, error


def examine(name, seed):
    "One random call: 'same', 'both refuse' or the refusal; wrong answers are assertions."
    draw = Draw([seed, *map(ord, name)])
    try:
        f, arrays = CALLS[name](draw, name)
    except IndexError:
        return "both refuse"
    xs = [np.asarray(x, float)[()] for x in arrays]
    plain, error = attempt(lambda: f(*[np.array(x) if np.ndim(x) else x for x in xs]))
    smooth = lambda *ys: f(*ys) * 1.0 + 0 * sum(np.sum(y) for y in ys)  # noqa: E731
    whole = lambda *ys: flat_sum(f(*ys), ys)  # noqa: E731
    smooth = whole if isinstance(plain, tuple) else smooth
    v = [np.asarray(draw.rng.standard_normal(np.shape(x)))[()] for x in xs]
    pushed, refused = attempt(lambda: jvp(smooth, tuple(xs), tuple(v)))
    pulled, also = attempt(lambda: vjp(smooth, *xs))
    if isinstance(error, (AttributeError, TypeError)):
        return "both refuse"
    if error is not None:
        assert refused is not None and also is not None, f"NumPy raises {error!r}, litad does not"
        return "both refuse"
    if refused is not None or also is not None:
        assert refused is not None and also is not None, f"one mode refuses: {refused!r} {also!r}"
        assert isinstance(refused, LitadError), repr(refused)
        return str(refused).splitlines()[0]
    expected = np.asarray(smooth(*xs))
    value, moved = pushed
    again, pullback = pulled
    for got in map(np.asarray, (value, again)):
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        assert np.allclose(
            got, expected, rtol=1e-6 if draw.single else 1e-12, atol=1e-12, equal_nan=True
        )
    single = draw.single
    if not np.all(np.isfinite(expected)):
        return "not finite"
    quotient = difference(smooth, xs, v, 1e-2 if single else 1e-6)
    assert close(moved, quotient, 2e-2 if single else 2e-5), (moved, quotient)
    w = np.asarray(draw.rng.standard_normal(expected.shape), expected.dtype)[()]
    inner = sum(np.sum(g * t) for g, t in zip(pullback(w), v))
    assert close(np.sum(w * moved), inner, 1e-4 if single else 1e-9), (np.sum(w * moved), inner)
    if not single and seed % 2:
        second_order(smooth, xs, v, w)
    return "same"


def second_order(f, xs, v, w):
    "Second derivatives by both modes over the first ones, against a difference of the first."
    bent = lambda *ys: f(*[y + 0.1 * (y - x) ** 2 for x, y in zip(xs, ys)])  # noqa: E731
    along = lambda *ys: np.sum(w * jvp(bent, ys, tuple(v))[1])  # noqa: E731
    across = lambda *ys: sum(np.sum(g * t) for g, t in zip(vjp(bent, *ys)[1](w), v))  # noqa: E731
    quotient = difference(along, xs, v, 1e-6)
    for first in (along, across):
        forward = jvp(first, tuple(xs), tuple(v))[1]
        reverse = sum(np.sum(g * t) for g, t in zip(vjp(first, *xs)[1](np.float64(1)), v))
        assert close(forward, quotient, 3e-4), ("second order", forward, quotient)
        assert close(reverse, forward, 1e-8), ("second order", reverse, forward)


def flat_sum(results, ys):
    return sum(np.sum(r) for r in results) * 1.0 + 0 * sum(np.sum(y) for y in ys)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_random_calls(name):
    "the value of NumPy, the derivative of a difference quotient, or a refusal by name"
    for seed in range(DRAWS):
        examine(name, seed)
