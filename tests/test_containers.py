"""What goes in and comes out: containers, types, shapes, ownership, and callables."""

from __future__ import annotations

import collections
import dataclasses
import functools
from typing import NamedTuple

import numpy as np
import pytest

from litad import (
    LitadError,
    derivative,
    grad,
    gradient,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    value_and_grad,
    vjp,
)

V = np.array([1.0, 2.0, 3.0])
gradients = pytest.mark.parametrize("g", [grad, gradient])


class Point(NamedTuple):
    x: float
    y: np.ndarray


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: float
    y: np.ndarray
    label: str = "none"


@dataclasses.dataclass(slots=True)
class Slotted:
    x: float
    y: np.ndarray


@dataclasses.dataclass
class Checked:
    x: float
    y: np.ndarray

    def __post_init__(self):
        if self.x <= 0:
            raise ValueError("x is positive")


class Weights(dict):
    "A dict of one's own."


def get(p, name):
    return p[name] if isinstance(p, dict) else getattr(p, name)


@gradients
@pytest.mark.parametrize(
    "make",
    [
        lambda x, y: {"x": x, "y": y},
        Point,
        Frozen,
        Slotted,
        Checked,
        lambda x, y: collections.OrderedDict(x=x, y=y),
        lambda x, y: collections.defaultdict(list, x=x, y=y),
        lambda x, y: Weights(x=x, y=y),
        lambda x, y: {"x": x, "y": y, "n": 3, "s": "text", "none": None, "e": [], "b": True},
        lambda x, y: {"x": x, "y": y, 3: {}, ("t",): (), "int": np.arange(3)},
    ],
)
def test_the_gradient_has_the_structure_of_the_argument(g, make):
    "the same class, keys and order; None where nothing can be differentiated"
    p = make(2.0, V.copy())
    found = g(lambda p: get(p, "x") ** 2 * np.sum(get(p, "y") ** 2))(p)
    assert type(found) is type(p)
    assert get(found, "x") == 2 * 2.0 * 14 and type(get(found, "x")) is float
    assert get(found, "y").tolist() == (4 * 2 * V).tolist()
    if isinstance(p, dict):
        assert list(found) == list(p)
        rest = {k: v for k, v in found.items() if k not in ("x", "y")}
        for key, value in rest.items():
            assert value == (p[key] if isinstance(p[key], (list, dict, tuple)) else None)
    if isinstance(p, Frozen):
        assert found.label is None
    if isinstance(p, collections.defaultdict):
        assert found.default_factory is list
    assert get(p, "y").tolist() == V.tolist()


@gradients
def test_nested_containers(g):
    p = {"layers": [(1.0, {"w": V}), (2.0, {"w": V})], "scale": (3.0,)}
    found = g(lambda p: sum(a * np.sum(d["w"]) for a, d in p["layers"]) * p["scale"][0] ** 2)(p)
    assert found["layers"][0][0] == 54.0 and found["layers"][1][1]["w"].tolist() == [18.0] * 3
    assert found["scale"] == (6 * 18.0,)
    assert type(found["layers"]) is list and type(found["layers"][0]) is tuple


@gradients
def test_deep_containers(g):
    "containers nested three thousand deep"
    deep = 2.0
    for _ in range(3000):
        deep = [deep]

    def f(p):
        while isinstance(p, list):
            (p,) = p
        return p * p

    found, depth = g(f)(deep), 0
    while isinstance(found, list):
        (found,), depth = found, depth + 1
    assert (found, depth) == (4.0, 3000)


@gradients
def test_an_unused_leaf_is_zero_but_an_unused_argument_is_refused(g):
    found = g(lambda p: p["a"] ** 2)({"a": 3.0, "b": V, "c": 1.0})
    assert found["a"] == 6.0 and found["b"].tolist() == [0.0] * 3 and found["c"] == 0.0
    with pytest.raises(LitadError, match="path"):
        g(lambda a: 1.0)(2.0)
    with pytest.raises(LitadError, match="path"):
        grad(lambda a, b: a * a, (0, 1))(2.0, 3.0)


LEAVES = [
    (2.0, float),
    (np.float64(2), np.float64),
    (np.float32(2), np.float32),
    (np.float16(2), np.float16),
    (np.array(2.0), np.ndarray),
    (np.array(2.0, np.float32), np.ndarray),
]
FUNCTIONS = [
    lambda x: x * x,
    lambda x: np.where(x > 0, x, 0) * 1.0,
    lambda x: np.maximum(x, 0.5),
    lambda x: np.sum(x),
    lambda x: x + 0.0,
    lambda x: x,
    lambda x: np.power(x, 0),
    lambda x: np.reshape(x, (1, 1))[0, 0],
    lambda x: np.stack([x, x]) @ np.stack([x, x]),
]


@pytest.mark.parametrize("x, kind", LEAVES, ids=lambda v: str(getattr(v, "dtype", v)))
@pytest.mark.parametrize("f", FUNCTIONS)
def test_kind_in_is_kind_out(f, x, kind):
    "a Python float gets a Python float, a NumPy scalar its own kind, a 0-d array a 0-d array"
    for g in (grad, gradient, lambda f: lambda x: vjp(f, x)[1](np.ones((), f(x).dtype)[()])[0]):
        try:
            found = g(f)(x)
        except AttributeError:  # f(x) of a Python float has no dtype
            found = vjp(f, x)[1](1.0)[0]
        assert type(found) is kind, g
        assert kind is float or found.dtype == x.dtype
        assert np.shape(found) == np.shape(x)
    if kind is float:
        value, slope = value_and_grad(f)(x)
        assert type(value) is type(slope) is type(derivative(f)(x)) is float
        assert [type(y) for y in jvp(f, (x,), (1.0,))] == [float, float]


@pytest.mark.parametrize(
    "x",
    [
        V,
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12.0)[::-2],
        np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1),
        np.broadcast_to(V, (2, 3)),
        V.astype(">f8"),
        V.astype(np.float32),
        V.astype(np.longdouble),
        np.zeros((0, 3)),
        np.zeros((2, 0)),
        np.array(3.0),
        np.ones((1, 1, 1)),
        np.frombuffer(V.tobytes()),
    ],
    ids=lambda x: f"{x.dtype.str}{x.shape}",
)
@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(x),
        lambda x: np.sum(x * x),
        lambda x: np.sum(x.T),
        lambda x: np.sum(np.sin(x)[..., None]),
        lambda x: np.mean(x) if x.size else np.sum(x),
        lambda x: np.sum(np.ravel(x)[::2]),
        lambda x: np.sum(np.where(x > 0, x, 0)),
    ],
)
def test_gradients_are_the_callers_own(f, x):
    "of the argument's shape and dtype, writable, sharing memory with nothing"
    before = x.copy()
    for g in (grad, gradient):
        first, second = g(f)(x), g(f)(x)
        for found in (first, second):
            assert type(found) is np.ndarray
            assert found.shape == x.shape and found.dtype.newbyteorder("=") == x.dtype.newbyteorder(
                "="
            )
            assert found.flags.writeable and not np.shares_memory(found, x)
        assert not np.shares_memory(first, second)
        assert first == pytest.approx(second)
    assert np.array_equal(x, before)


def test_gradients_do_not_share_memory_with_each_other():
    f = lambda a, b, c: np.sum(a + b) + np.sum(c)  # noqa: E731
    for g in (grad, gradient):
        found = g(f, (0, 1, 2))(V, V, V)
        for k, one in enumerate(found):
            assert one.flags.writeable and one.tolist() == [1.0] * 3
            assert not any(np.shares_memory(one, other) for other in found[:k])
    x = V.copy()
    same = grad(lambda p: np.sum(p[0] * p[1]))([x, x])
    assert not np.shares_memory(same[0], same[1]) and same[0].tolist() == V.tolist()
    w = np.ones(3)
    _, pullback = vjp(lambda a, b: a + b, V, V)
    one, other = pullback(w)
    one += 1
    assert w.tolist() == other.tolist() == [1.0] * 3


def test_results_do_not_share_memory_with_the_arguments():
    x, v = V.copy(), V.copy()
    value, pushed = jvp(lambda u: u, (x,), (v,))
    again, _ = vjp(lambda u: u, x)
    value2, pushed2 = jvp(lambda u: u[::2], (x,), (v,))
    for y in (value, pushed, again, value2, pushed2):
        assert not np.shares_memory(y, x) and not np.shares_memory(y, v)
    constant = np.ones(3)
    value, _ = vjp(lambda u: {"u": u * 2, "c": constant}, x)[0], None
    assert not np.shares_memory(value["c"], constant) or value["c"] is constant


def test_values_are_numpys_own():
    "the value of a transformation is the function's own value, type by type"
    value, _ = value_and_grad(lambda x: np.sum(x * x))(V)
    assert value == 14.0 and isinstance(value, float)
    value, aux = vjp(lambda x: (x * 2, {"y": x[0]}), V)[0]
    assert type(value) is np.ndarray and isinstance(aux["y"], float)


def test_the_gradient_has_the_arguments_dtype_in_a_wider_function():
    "a single-precision argument gets a single-precision gradient from a double-precision result"
    x = np.ones(3, np.float32)
    for g in (grad, gradient, jacrev, jacfwd):
        assert g(lambda u: np.sum(u * V))(x).dtype == np.float32
        assert g(lambda u: u * np.float64(2.0))(np.float32(1)).dtype == np.float32


class Model:
    scale = 2.0

    def __call__(self, x):
        return self.scale * x * x

    def method(self, x):
        return self.scale * x * x

    @classmethod
    def of_class(cls, x):
        return cls.scale * x * x

    @staticmethod
    def static(x):
        return 2.0 * x * x


class SlottedCallable:
    __slots__ = ()

    def __call__(self, x):
        return 2.0 * x * x


def with_defaults(x, k=2.0, *rest, power=2, **options):
    assert not rest and set(options) <= {"note"}
    return k * x**power


@pytest.mark.parametrize("way", [derivative, grad, gradient, jacfwd, jacrev, value_and_grad])
@pytest.mark.parametrize(
    "f",
    [
        Model(),
        Model().method,
        Model.of_class,
        Model.static,
        SlottedCallable(),
        with_defaults,
        functools.partial(with_defaults, k=2.0),
        functools.partial(lambda k, x: k * x * x, 2.0),
        lambda *xs: sum(2.0 * x * x for x in xs),
        lambda x, **options: 2.0 * x * x,
        functools.lru_cache(lambda x: 2.0 * x * x),
        np.vectorize(lambda x: 2.0 * x * x),
    ],
)
def test_any_callable(way, f):
    "methods, partials, callable objects, functions without a name"
    found = way(f)(3.0)
    assert found == 12.0 or found == (18.0, 12.0)


def test_ufuncs_and_builtins_are_functions():
    assert grad(np.sin)(0.0) == derivative(np.sin)(0.0) == 1.0
    assert grad(np.sum)(V).tolist() == gradient(np.sum)(V).tolist() == [1.0] * 3
    assert grad(abs)(-3.0) == -1.0 and derivative(pow, 1)(2.0, 0.0) == pytest.approx(np.log(2))


def test_names_and_docs_survive():
    def loss(w):
        "The loss."
        return w * w

    for way in (derivative, grad, gradient, jacfwd, jacrev, value_and_grad, hessian):
        assert way(loss).__name__ == "loss" and way(loss).__doc__ == "The loss."


@pytest.mark.parametrize("way", [derivative, grad, gradient, jacfwd, jacrev])
def test_keywords_are_constants(way):
    assert way(with_defaults)(3.0, power=3, note="x") == 54.0
    assert way(with_defaults)(3.0, 1.0) == 6.0
    assert way(lambda x, *, k: k * x)(3.0, k=2.0) == 2.0
    with pytest.raises(LitadError, match="keyword"):
        way(with_defaults)(x=3.0)


def test_argnums():
    f = lambda a, b, c: a * b**2 * np.sum(c)  # noqa: E731
    args = (2.0, 3.0, V)
    for g in (grad, gradient, jacfwd, jacrev):
        assert g(f, 1)(*args) == 72.0
        assert g(f, -3)(*args) == 54.0
        assert g(f, [1])(*args) == (72.0,)
        first, last = g(f, (-3, 2))(*args)
        assert first == 54.0 and last.tolist() == [18.0] * 3
        last, first = g(f, (2, 0))(*args)
        assert first == 54.0 and last.tolist() == [18.0] * 3
        assert g(f, np.int64(1))(*args) == 72.0
    value, (ga, gb) = value_and_grad(f, argnums=(0, 1))(*args)
    assert (value, ga, gb) == (108.0, 54.0, 72.0)
    value, only = value_and_grad(f, argnums=(0,))(*args)
    assert only == (54.0,)


def test_aux_carries_anything():
    class Thing:
        pass

    thing = Thing()

    def f(x):
        return np.sum(x * x), {"x": x * 2, "n": 3, "thing": thing, "s": ["text", None, x[0]]}

    (value, aux), g = value_and_grad(f, has_aux=True)(V)
    assert value == 14.0 and g.tolist() == (2 * V).tolist()
    assert type(aux["x"]) is np.ndarray and aux["x"].tolist() == (2 * V).tolist()
    assert aux["n"] == 3 and aux["thing"] is thing and aux["s"] == ["text", None, 1.0]
    g, aux = grad(f, has_aux=True)(V)
    assert g.tolist() == (2 * V).tolist() and aux["n"] == 3
    value, pushed, aux = jvp(f, (V,), (V,), has_aux=True)
    assert (value, pushed) == (14.0, 28.0) and type(aux["x"]) is np.ndarray
    value, pullback, aux = vjp(f, V, has_aux=True)
    assert value == 14.0 and pullback(1.0)[0].tolist() == (2 * V).tolist()


def test_aux_made_with_np_array():
    (_, aux), _ = value_and_grad(lambda x: (x * x, np.array([x, 2 * x])), has_aux=True)(3.0)
    assert np.asarray(aux, float).tolist() == [3.0, 6.0]


def test_jacobians_of_containers():
    "blocks: the structure of the result, each in the structure of the argument"

    def f(p):
        return {"s": p["a"] * np.sum(p["b"]), "v": [p["a"] * p["b"][:2]]}

    p = {"a": 2.0, "b": V, "n": 7}
    for way in (jacfwd, jacrev):
        for chunk in (1, 2, 8):
            J = way(f, chunk=chunk)(p)
            assert J["s"]["a"] == 6.0 and J["s"]["b"].tolist() == [2.0] * 3 and J["s"]["n"] is None
            assert J["v"][0]["a"].tolist() == [1.0, 2.0]
            assert J["v"][0]["b"].tolist() == [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
            assert J["v"][0]["b"].flags.writeable


def test_shapes_of_jacobians():
    "the result's shape, then the argument's"
    x = np.arange(6.0).reshape(2, 3)
    for way in (jacfwd, jacrev):
        assert way(lambda x: x[None] * np.ones((4, 1, 1)))(x).shape == (4, 2, 3, 2, 3)
        assert way(np.sum)(x).shape == (2, 3)
        assert way(lambda x: x * V)(2.0).shape == (3,)
        assert np.shape(way(lambda x: x * 2)(2.0)) == ()
        assert way(lambda x: x[:0])(x).shape == (0, 3, 2, 3)
        assert way(lambda x: x * 2)(np.zeros((2, 0))).shape == (2, 0, 2, 0)
    assert hessian(lambda x: np.sum(x**2))(x).shape == (2, 3, 2, 3)
    H = hessian(lambda a, b: np.sum(a * b**2), (0, 1))(V, 2.0)
    assert H[0][0].shape == (3, 3) and H[0][1].shape == H[1][0].shape == (3,)
    assert H[1][1] == 12.0


def test_directions_and_cotangents_in_containers():
    p = {"a": 2.0, "b": [V, 3], "c": None}
    f = lambda p: p["a"] * p["b"][0]  # noqa: E731
    value, pushed = jvp(f, (p,), ({"a": 1.0, "b": [V, None], "c": None},))
    assert pushed.tolist() == (V + 2 * V).tolist()
    _, pullback = vjp(f, p)
    (g,) = pullback(np.ones(3))
    assert g["a"] == 6.0 and g["b"][0].tolist() == [2.0] * 3 and g["b"][1] is g["c"] is None


def test_integers_beside_floats_get_none():
    f = lambda x, n: x * n  # noqa: E731
    assert vjp(f, 2.0, 3)[1](1.0) == (3.0, None)
    assert jvp(f, (2.0, 3), (1.0, None)) == (6.0, 3.0)
    assert grad(lambda p: p[0] * p[1])((2.0, 3)) == (3.0, None)
