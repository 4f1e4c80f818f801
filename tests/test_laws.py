"""Laws that every primitive and every NumPy function of the registry has to obey.

The cases come from the registry itself: a primitive or a function that is added without a case
fails `test_nothing_in_the_registry_is_left_out`.
"""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np
import pytest
from laws import (
    CHUNKS,
    C,
    V,
    X,
    check_first,
    check_lanes,
    check_linear,
    check_second,
    check_single,
    close,
    directions,
)

import litad
from litad import core, gradient, jacrev, jvp, vjp

for _module in pkgutil.iter_modules(litad.__path__):
    importlib.import_module(f"litad.{_module.name}")

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

ELEMENTWISE = {
    p.name: u
    for u, p in core.UFUNCS.items()
    if p.structure == "elementwise" and getattr(np, u.__name__, None) is u
}
ELEMENTWISE["where"] = np.where
CONSTANT = {
    p.name: u
    for u, p in core.UFUNCS.items()
    if p.structure == "constant" and any(kind.startswith("d") for kind in u.types)
}

# Where a function is smooth: the interval from which each operand is drawn.
DOMAIN = {"arccosh": [(1.2, 2.0)], "tan": [(-1.0, 1.0)], "fmod": [(2.1, 2.9), (0.8, 1.0)]}
DOMAIN |= {"remainder": [(2.1, 2.9), (0.8, 1.0)], "floor_divide": [(2.1, 2.9), (0.8, 1.0)]}
STAIRS = {"floor", "ceil", "trunc", "rint", "sign", "floor_divide"}
WIDENS = {"float_power"}  # NumPy's own computes in double precision

UNARY_SHAPES = [(), (3,), (2, 3), (0,), (2, 0)]
BINARY_SHAPES = [
    ((), ()),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3, 1), (1, 4)),
    ((), (2, 3)),
    ((1,), ()),
    ((0,), (1,)),
    ((2, 1), (2, 0)),
]


def operands(name, shapes, dtype=np.float64):
    "Random operands for an elementwise function, away from kinks, jumps and ties."
    rng = np.random.default_rng([len(shapes), *map(ord, name)])
    ranges = DOMAIN.get(name, [(0.15, 0.9), (1.1, 1.9)])
    return [rng.uniform(*r, s).astype(dtype) for r, s in zip(ranges, shapes)], rng


def numpy_function(name):
    "The function over all its float operands: `where` has its condition fixed."
    if name == "where":
        return lambda a, b: np.where(a > 0.5, a, b)
    return ELEMENTWISE[name]


def arity(name):
    return 2 if name == "where" else len(core.UFUNCS[ELEMENTWISE[name]].pull)


CASES = [
    (name, shapes)
    for name in sorted(ELEMENTWISE)
    for shapes in ([(s,) for s in UNARY_SHAPES] if arity(name) == 1 else BINARY_SHAPES)
]
cases = pytest.mark.parametrize("name, shapes", CASES)


@cases
def test_elementwise_first_order(name, shapes):
    "forward = reverse = central difference"
    xs, rng = operands(name, shapes)
    check_first(numpy_function(name), xs, rng)


@cases
def test_elementwise_second_order(name, shapes):
    "all nestings of two modes agree with each other and with a difference of first derivatives"
    f = numpy_function(name)
    xs, rng = operands(name, shapes)
    check_second(f, xs, rng, 1e-9, 1e-4)


@cases
def test_elementwise_is_linear_in_directions(name, shapes):
    "pushforward and pullback are linear maps"
    xs, rng = operands(name, shapes)
    check_linear(numpy_function(name), xs, rng)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
@cases
def test_elementwise_keeps_dtype(name, shapes, dtype):
    "value, tangent and cotangents have NumPy's dtype, and are close to those in double precision"
    f = numpy_function(name)
    xs, rng = operands(name, shapes, dtype)
    v = directions(rng, xs)
    plain = np.asarray(f(*xs))
    value, pushed = jvp(f, tuple(xs), tuple(v))
    again, pullback = vjp(f, *xs)
    assert value.dtype == again.dtype == pushed.dtype == plain.dtype
    assert plain.dtype == dtype or name in WIDENS
    pulled = pullback(np.ones(plain.shape, plain.dtype))
    assert [g.dtype for g in pulled] == [x.dtype for x in xs]
    wide = [x.astype(float) for x in xs]
    reference = jvp(f, tuple(wide), tuple(t.astype(float) for t in v))[1]
    if name not in STAIRS:
        assert close(pushed.astype(float), reference, 0.05 if dtype == np.float16 else 1e-4)


@cases
def test_elementwise_with_a_constant_operand(name, shapes):
    "each operand alone: a NumPy array, a Python number and a list stay constants"
    if arity(name) == 1:
        return
    f = numpy_function(name)
    (a, b), rng = operands(name, shapes)
    check_first(lambda x: f(x, b), [a], rng)
    check_first(lambda x: f(a, x), [b], rng)
    if b.ndim == 0:
        check_first(lambda x: f(x, float(b)), [a], rng)
    elif name != "where":
        check_first(lambda x: f(x, b.tolist()), [a], rng)
        assert jvp(lambda x: f(b.tolist(), x), (a,), (a,))[0].shape == f(b, a).shape


@cases
def test_elementwise_lanes(name, shapes):
    "directions side by side give what they give one at a time, forwards and backwards"
    check_lanes(numpy_function(name), operands(name, shapes)[0], CHUNKS, 1e-12)


@pytest.mark.parametrize("name", sorted(STAIRS))
def test_stairs_are_flat(name):
    "the derivative of a staircase is an exact zero, not a missing path"
    xs, _ = operands(name, ((3,),) * arity(name))
    for slope in vjp(numpy_function(name), *xs)[1](np.ones(3)):
        assert slope.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("name", sorted(CONSTANT))
def test_comparisons_are_plain(name):
    "a comparison of boxes is NumPy's own array of truth values"
    seen = []
    ufunc, x = CONSTANT[name], np.array([0.5, -1.0, np.nan])

    def f(u):
        seen.append(ufunc(*[u, 0.5][: ufunc.nin]))
        return np.sum(u)

    gradient(f)(x), jacrev(f)(x)
    expected = ufunc(*[x, 0.5][: ufunc.nin])
    for found in seen:
        assert type(found) is np.ndarray and found.dtype == bool
        assert np.array_equal(found, expected)


# Every other NumPy function: calls of it, as functions of one matrix and of one vector.
MASK = X > 0.9

CALLS = {
    np.reshape: [
        lambda x, v: np.reshape(x, (2, -1)),
        lambda x, v: np.reshape(v, -1),
        lambda x, v: x.reshape(4, 3) + v.reshape((-1, 1)),
        lambda x, v: x.reshape(12),
    ],
    np.ravel: [lambda x, v: np.ravel(x), lambda x, v: x.ravel(), lambda x, v: x.flatten()],
    np.transpose: [
        lambda x, v: np.transpose(x),
        lambda x, v: x.T @ x,
        lambda x, v: np.transpose(x[None] * C[:, :3, :1], (2, 0, 1)),
        lambda x, v: x.transpose(1, 0) + x.transpose((1, 0)) + x.transpose(),
    ],
    np.matrix_transpose: [lambda x, v: np.matrix_transpose(x) * 2, lambda x, v: x.mT],
    np.broadcast_to: [
        lambda x, v: np.broadcast_to(v, (2, 3, 4)) * x,
        lambda x, v: np.broadcast_to(v[:1], 5),
    ],
    np.swapaxes: [lambda x, v: np.swapaxes(x, 0, -1), lambda x, v: x.swapaxes(0, 1)],
    np.moveaxis: [
        lambda x, v: np.moveaxis(x[None], 0, -1),
        lambda x, v: np.moveaxis(x[None], (0, 1), (2, 0)),
    ],
    np.squeeze: [lambda x, v: np.squeeze(x[:1]), lambda x, v: x[None, :, :, None].squeeze(axis=-1)],
    np.expand_dims: [
        lambda x, v: np.expand_dims(x, 1),
        lambda x, v: np.expand_dims(v, (0, -1)),
    ],
    np.atleast_1d: [lambda x, v: np.atleast_1d(v[0]), lambda x, v: np.atleast_1d(v)],
    np.atleast_2d: [lambda x, v: np.atleast_2d(v), lambda x, v: np.atleast_2d(v[0])],
    np.full_like: [lambda x, v: np.full_like(x, 2.0) * x, lambda x, v: np.full_like(v, v[1])],
    np.copy: [lambda x, v: np.copy(x), lambda x, v: x.copy()],
    np.take: [
        lambda x, v: np.take(v, 2) * x,
        lambda x, v: np.take(x, [0, 5, 5, -1]),
        lambda x, v: np.take(x, np.array([[0, 2], [2, 2]]), axis=1),
        lambda x, v: x.take([0, 0, 1], axis=0),
    ],
    np.split: [lambda x, v: np.split(x, 2, axis=1)[1], lambda x, v: np.split(v, [1, 3])[1]],
    np.array_split: [lambda x, v: np.array_split(v, 2)[0]],
    np.flip: [
        lambda x, v: np.flip(x) * v,
        lambda x, v: np.flip(x, 0),
        lambda x, v: np.flip(x, (0, 1)),
    ],
    np.concatenate: [
        lambda x, v: np.concatenate([x, v[None]]),
        lambda x, v: np.concatenate((x, C[0, :3], x), axis=-1),
        lambda x, v: np.concatenate([x, v[None]], axis=None),
    ],
    np.stack: [
        lambda x, v: np.stack([v, x[0], v * v]),
        lambda x, v: np.stack((v, np.ones(4)), axis=-1),
        lambda x, v: np.stack([v[0], v[1] * v[2], 3.0]),
    ],
    np.hstack: [lambda x, v: np.hstack([v, v[0], 1.0]), lambda x, v: np.hstack((x, x))],
    np.vstack: [lambda x, v: np.vstack([v, x])],
    np.column_stack: [lambda x, v: np.column_stack([v, v * v, x.T])],
    np.sum: [
        lambda x, v: np.sum(x),
        lambda x, v: np.sum(x, axis=0),
        lambda x, v: np.sum(x, axis=(-1, 0)),
        lambda x, v: np.sum(x, 1, keepdims=True),
        lambda x, v: np.sum(x, axis=1, where=MASK, initial=2.0),
        lambda x, v: x.sum() * x.sum(axis=-1),
        lambda x, v: np.add.reduce(x) + np.add.reduce(x, axis=0),
    ],
    np.mean: [
        lambda x, v: np.mean(x),
        lambda x, v: np.mean(x, axis=(0,)) * v,
        lambda x, v: x.mean(axis=1, keepdims=True),
        lambda x, v: np.mean(x, axis=0, where=MASK | (np.arange(3) == 0)[:, None]),
    ],
    np.var: [
        lambda x, v: np.var(x),
        lambda x, v: np.var(x, axis=(0, 1)),
        lambda x, v: x.var(axis=0, ddof=1),
        lambda x, v: np.var(x, axis=1, keepdims=True),
    ],
    np.std: [lambda x, v: np.std(x), lambda x, v: x.std(axis=1, ddof=1)],
    np.max: [
        lambda x, v: np.max(x),
        lambda x, v: np.max(x, axis=0),
        lambda x, v: x.max(axis=(1,), keepdims=True),
        lambda x, v: np.max(x, initial=1.0),
    ],
    np.min: [lambda x, v: np.min(x), lambda x, v: x.min(axis=-1), lambda x, v: np.amin(x, 0)],
    np.where: [
        lambda x, v: np.where(x > 1, x, v),
        lambda x, v: np.where(MASK, x, 0),
        lambda x, v: np.where(MASK[:, :1], 2.0, v),
        lambda x, v: np.where(v[0] > 0, x, v),
    ],
    np.clip: [
        lambda x, v: np.clip(x, 0.5, 1.0),
        lambda x, v: x.clip(0.7, None),
        lambda x, v: np.clip(x, None, v),
        lambda x, v: np.clip(x, min=0.5, max=v + 0.1),
    ],
    np.round: [lambda x, v: np.round(x, 2) + x, lambda x, v: v.round() * v],
    np.tensordot: [
        lambda x, v: np.tensordot(x, C, axes=([1, 0], [1, 2])),
        lambda x, v: np.tensordot(x, v, axes=1),
        lambda x, v: np.tensordot(v, v, axes=0),
    ],
    np.dot: [
        lambda x, v: np.dot(x, v),
        lambda x, v: np.dot(v, v),
        lambda x, v: np.dot(v[0], x),
        lambda x, v: x.dot(x.T),
        lambda x, v: np.dot(x, C),
        lambda x, v: np.dot(C, x),
    ],
    np.outer: [lambda x, v: np.outer(v, x), lambda x, v: np.multiply.outer(v, x)],
    np.inner: [
        lambda x, v: np.inner(x, v),
        lambda x, v: np.inner(x, x),
        lambda x, v: np.inner(v[0], v),
    ],
    np.vdot: [lambda x, v: np.vdot(x, x * x), lambda x, v: np.vdot(v, v)],
    np.matmul: [
        lambda x, v: x @ v,
        lambda x, v: v @ x.T,
        lambda x, v: v @ v,
        lambda x, v: x @ C,
        lambda x, v: C @ x,
        lambda x, v: C @ v[:3],
        lambda x, v: v @ C,
        lambda x, v: np.matmul(C, x[None] * np.ones((2, 1, 1))),
        lambda x, v: (x * C[:, :1, :1]) @ C,
    ],
    np.conjugate: [lambda x, v: np.conjugate(x) * v.conj()],
    np.real: [lambda x, v: np.real(x) * v.real],
    np.imag: [lambda x, v: np.imag(x) * v + v.imag],
    np.angle: [lambda x, v: np.angle(x) * v],
    np.bincount: [lambda x, v: np.bincount([0, 2, 0, 1], v, 5)],
    "getitem": [
        lambda x, v: x[1],
        lambda x, v: x[-1, 2] * v,
        lambda x, v: x[::2, ::-1],
        lambda x, v: x[..., None, 1:],
        lambda x, v: x[[0, 0, 2]],
        lambda x, v: x[np.array([0, 2, 2])[:, None], np.array([3, 3])],
        lambda x, v: x[:, [0, 0, 1]],
        lambda x, v: x[(0, 0), :],
        lambda x, v: x[MASK],
        lambda x, v: x[x > 1],
        lambda x, v: x[[True, False, True], 1],
        lambda x, v: x[[0, 1], :][:, [1, 1]],
        lambda x, v: x[None][[0, 0], :, [1, 1]],
        lambda x, v: x[np.ix_([0, 1], [1, 3])],
        lambda x, v: x[np.argmax(x[:, 0])],
        lambda x, v: x[()],
        lambda x, v: x[[]],
        lambda x, v: x[1:1],
        lambda x, v: v[np.int64(1)] * v[np.array(2)],
        lambda x, v: v[range(2)],
    ],
    "astype": [lambda x, v: x.astype(np.float64) * v, lambda x, v: x.astype("f8")],
    "containers of boxes": [
        lambda x, v: np.array([v[0], v[1] * 2]) * 3 + v[:2],
        lambda x, v: np.array([[v[0], v[1]], [v[2], v[3]]]) @ v[:2],
        lambda x, v: np.sin(np.array([v[0], v[1]])) * v[:2],
        lambda x, v: x + [1, 2, 3, 4],
        lambda x, v: (1, 2, 3, 4) * x,
        lambda x, v: sum([v[0], v[1], v[2]]) * x,
        lambda x, v: np.stack([a * b for a, b in zip(x, v)]),
        lambda x, v: max(v[0], v[1], v[2]) * v,
        lambda x, v: np.stack(sorted(v)),
    ],
}
SAME = {np.amax: np.max, np.amin: np.min, np.around: np.round, np.permute_dims: np.transpose}
SAME |= {np.concat: np.concatenate}
MAKERS = {np.zeros, np.ones, np.empty, np.full, np.arange, np.eye, np.identity}
MAKERS |= {np.zeros_like, np.ones_like, np.empty_like}


CHAPTERS = {"core", "ops", "shapes", "reductions"}


def name_of(function):
    return getattr(function, "__name__", function)


identified = [
    pytest.param(call, id=f"{name_of(function)}-{k}")
    for function, calls in CALLS.items()
    for k, call in enumerate(calls)
]
doors = pytest.mark.parametrize("call", identified)


def on_both(call):
    "A call as a function of the arguments that it depends on."

    def f(x, v):
        return call(x, v) + 0 * (np.sum(x) + np.sum(v))

    return f


@doors
def test_function_first_order(call):
    "forward = reverse = central difference, and NumPy's own value"
    check_first(on_both(call), [X, V], np.random.default_rng(0), rtol=1e-7)


@doors
def test_function_second_order(call):
    "all nestings of two modes agree"
    f = lambda x, v: on_both(call)(np.sin(x), v * v)  # noqa: E731
    check_second(f, [X, V], np.random.default_rng(1))


@doors
def test_function_is_linear_in_directions(call):
    "pushforward and pullback are linear maps"
    check_linear(on_both(call), [X, V], np.random.default_rng(2))


@doors
def test_function_lanes(call):
    "chunks of any size give the same Jacobian, and so do both modes"
    check_lanes(on_both(call), [X, V], CHUNKS, 1e-12)


@doors
def test_function_keeps_single_precision(call):
    "single precision in, NumPy's own dtype out"
    check_single(call)


POSITIONAL = {
    "sum": lambda x: np.sum(x, 0, None, None, True),
    "mean": lambda x: np.mean(x, 0, None, None, True),
    "var": lambda x: np.var(x, 0, None, None, 1, True),
    "std": lambda x: np.std(x, 0, None, None, 1, True),
    "max": lambda x: np.max(x, 0, None, True),
    "min": lambda x: np.min(x, 0, None, True),
    "clip": lambda x: np.clip(x, 0.5, 1.0, None),
    "round": lambda x: np.round(x, 1, None) + x,
    "concatenate": lambda x: np.concatenate([x, x], 0, None),
    "stack": lambda x: np.stack([x, x], 0, None),
    "take": lambda x: np.take(x, [0, 1], 0, None, "raise"),
    "dot": lambda x: np.dot(x, x.T, None),
    "outer": lambda x: np.outer(x, x, None),
    "method sum": lambda x: x.sum(0, None, None, True),
    "method mean": lambda x: x.mean(0, None, None, True),
    "method std": lambda x: x.std(0, None, None, 1, True),
    "method max": lambda x: x.max(0, None, True),
    "method clip": lambda x: x.clip(0.5, 1.0, None),
    "method take": lambda x: x.take([0, 1], 0, None),
    "add.reduce": lambda x: np.add.reduce(x, 0, None, None, True),
    "atleast_1d of two": lambda x: np.atleast_1d(x, x)[1],
    "atleast_2d of two": lambda x: np.atleast_2d(x, x)[1],
}


@pytest.mark.parametrize(
    "name",
    sorted(POSITIONAL),
)
def test_arguments_by_position(name):
    "arguments by position mean what they mean to NumPy"
    check_first(POSITIONAL[name], [X], np.random.default_rng(2))


@pytest.mark.parametrize(
    "function", sorted(core.CONSTANTS - {np.einsum_path}, key=name_of), ids=name_of
)
def test_constants_are_those_of_the_value(function):
    "a function listed as constant answers for a box what it answers for the box's value"
    arguments = {
        "searchsorted": lambda u: (u, 0.5),
        "can_cast": lambda u: (u.dtype, float),
        "digitize": lambda u: (u, [0.5, 1.0]),
        "lexsort": lambda u: ((u, u),),
        "argpartition": lambda u: (u, 1),
        "isin": lambda u: (u, [0.7]),
        **dict.fromkeys(
            "diag_indices_from tril_indices_from triu_indices_from".split(),
            lambda u: (np.reshape(u[[0, 1, 2, 0]], (2, 2)),),
        ),
        **dict.fromkeys(
            "shares_memory may_share_memory array_equal array_equiv isclose allclose".split(),
            lambda u: (u, 1.5),
        ),
    }.get(function.__name__, lambda u: (u,))
    x = np.array([0.2, 0.7, 1.5])
    seen = []

    def f(u):
        seen.append(function(*arguments(u)))
        return np.sum(u * u)

    try:
        vjp(f, x)
    except litad.LitadError:
        return  # a refusal is always allowed
    expected = function(*arguments(x))
    if not function.__name__.startswith(("empty", "array_")):
        assert np.array_equal(seen[0], expected)
    if function not in MAKERS:
        assert type(seen[0]) is type(expected)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 8, 9, 100])
def test_chunk_does_not_change_the_gradient(chunk):
    "any chunk gives what a chunk of one gives"
    weights = np.random.default_rng(6).standard_normal(9)

    def f(x):
        y = np.tanh(x * weights)
        return np.sum(y[::-1] * np.max(x) + np.where(x > 0, np.sqrt(np.abs(x)), x) @ weights)

    x = np.random.default_rng(7).standard_normal(9)
    assert close(gradient(f, chunk=chunk)(x), gradient(f, chunk=1)(x), 1e-14)
