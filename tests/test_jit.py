"""Compiled functions give what the functions give, also after all around them has changed."""

# ruff: noqa: B023, B007

from __future__ import annotations

import collections
import copy
import dataclasses
import enum
import gc
import os
import pickle
import threading
import types
from functools import partial

import numpy as np
import pytest

import litad
from litad import (
    LitadError,
    check_grads,
    checkpoint,
    cond,
    custom_jvp,
    fori_loop,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jet,
    jvp,
    linearize,
    stop_gradient,
    trace,
    value_and_grad,
    vjp,
)
from litad.engine import available
from litad.jit import jit
from litad.pieces import Specialisation
from litad.tree import flatten

pytestmark = pytest.mark.skipif(not available(), reason="needs llvmlite")
Point = collections.namedtuple("Point", "x y")


@dataclasses.dataclass
class Pair:
    a: object
    b: object


def same(got, wanted, exact_types=True, rtol=1e-12):
    """Two results have the same structure, types, dtypes and (nearly) the same numbers."""
    a, tree_a = flatten(got)
    b, tree_b = flatten(wanted)
    assert tree_a == tree_b
    for x, y in zip(a, b):
        if exact_types:
            assert type(x) is type(y), (x, y)
        if isinstance(y, (np.ndarray, np.generic)):
            assert x.dtype == y.dtype and x.shape == y.shape
        if y is None or isinstance(y, str):
            assert x == y
        else:
            tolerance = 2e-5 if np.asarray(y).dtype in (np.float32, np.complex64) else rtol
            np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


class Counter:
    """Counts the specialisations that are made."""

    def __init__(self):
        self.list = []

    def __enter__(self):
        self.before = litad.pieces.Specialisation.__init__
        outer = self

        def init(special, *args, **kwargs):
            outer.list.append(1)
            outer.before(special, *args, **kwargs)

        litad.pieces.Specialisation.__init__ = init
        return self

    def __exit__(self, *_):
        litad.pieces.Specialisation.__init__ = self.before

    def __call__(self):
        return len(self.list)


# ---- what a function sees


def test_closed_over_array_written_and_rebound():
    w = np.ones(3)

    def make():
        def f(x):
            return w * x

        return f

    f = jit(make())
    x = np.arange(3.0)
    for _ in range(3):
        same(f(x), w * x)
    w[1] = 7
    same(f(x), w * x)
    with Counter() as count:
        for k in range(20):
            w = np.full(3, float(k))
            same(f(x), w * x)
    assert count() == 0
    w = np.ones((2, 3))
    same(f(x), w * x)
    w = np.ones(3, np.float32)
    same(f(x), w * x)
    w = 2.0
    same(f(x), w * x)


weights = np.ones(3)
rate = 0.5
number = 2


def helper(x):
    return x * rate + number


def test_globals_rebound_and_functions_redefined(monkeypatch):
    f = jit(lambda x: helper(x) * weights)
    x = np.arange(3.0)
    module = globals()
    plain = lambda: helper(x) * weights  # noqa: E731
    same(f(x), plain())
    for name, value in [
        ("rate", 0.25),
        ("number", 5),
        ("number", 5.0),
        ("weights", np.arange(3.0)),
    ]:
        monkeypatch.setitem(module, name, value)
        same(f(x), plain())
        same(f(x), plain())
    monkeypatch.setitem(module, "helper", lambda x: x - rate)
    same(f(x), plain())
    weights[:] = 4
    same(f(x), plain())
    monkeypatch.setitem(module, "rate", np.float32(2))
    same(f(x), plain())


def test_code_and_defaults_of_a_function_replaced():
    def inner(x, k=2.0):
        return x * k

    f = jit(lambda x: inner(x))
    same(f(3.0), 6.0)
    inner.__defaults__ = (5.0,)
    same(f(3.0), 15.0)
    inner.__code__ = (lambda x, k=1: x + k).__code__
    same(f(3.0), 8.0)

    def named(x, *, k=2.0):
        return x * k

    g = jit(lambda x: named(x))
    same(g(3.0), 6.0)
    named.__kwdefaults__["k"] = 4.0
    same(g(3.0), 12.0)
    named.__kwdefaults__ = {"k": 7.0}
    same(g(3.0), 21.0)


def test_builtin_shadowed_later(monkeypatch):
    f = jit(lambda x: abs(x))
    same(f(-3.0), 3.0)
    monkeypatch.setitem(globals(), "abs", lambda x: x)
    same(f(-3.0), -3.0)


def test_cell_emptied_and_filled():
    def make():
        def f(x):
            return x * k

        k = 2.0
        return f

    f = make()
    g = jit(f)
    same(g(1.5), 3.0)
    cell = f.__closure__[0]
    del cell.cell_contents
    with pytest.raises(NameError):
        g(1.5)
    cell.cell_contents = 4.0
    same(g(1.5), 6.0)


def test_arrays_in_containers():
    params = {"w": np.ones(3), "more": [np.zeros(2), (np.ones(2), 3)], "rate": 0.5, "name": "a"}

    def f(x):
        more = params["more"]
        return np.sum(params["w"] * x) * params["rate"] + np.sum(more[0] + more[1][0]) * more[1][1]

    g, x = jit(f), np.arange(3.0)
    for change in [
        lambda: None,
        lambda: params["w"].fill(3),
        lambda: params.update(w=np.arange(3.0)),
        lambda: params["more"].__setitem__(0, np.full(2, 9.0)),
        lambda: params["more"].__setitem__(1, (np.full(2, 8.0), 4)),
        lambda: params.update(rate=0.25),
        lambda: params.update(w=np.ones(3, "f4")),
        lambda: params["more"].append(5),
        lambda: params.update(extra=np.ones(1)),
    ]:
        change()
        same(g(x), f(x))
        same(g(x), f(x))
    with Counter() as count:
        for k in range(3):
            params["w"] = np.full(3, 2.5 + k, "f4")
            same(g(x), f(x))
    assert count() == 0


def test_one_container_under_two_names():
    a = [np.ones(2)]
    b = a

    def f(x):
        return a[0] * x + b[0]

    g = jit(f)
    x = np.arange(2.0)
    same(g(x), f(x))
    a = [np.full(2, 3.0)]
    same(g(x), f(x))
    b[0] = np.full(2, 5.0)
    same(g(x), f(x))


def test_one_array_in_two_places():
    w = np.ones(2)
    v = w

    def f(x):
        return w * x + v

    g, x = jit(f), np.arange(2.0)
    same(g(x), f(x))
    v = np.full(2, 3.0)
    same(g(x), f(x))
    w[0] = 8
    same(g(x), f(x))


class Layer:
    scale = 2.0

    def __init__(self, n):
        self.w, self.b, self.k = np.ones(n), 0.5, 3

    def __call__(self, x):
        return self.scale * self.act(self.w * x) + self.b * self.k

    def act(self, x):
        return np.tanh(x)

    @jit
    def run(self, x):
        return self(x)


def test_attributes_and_methods(monkeypatch):
    layer, x = Layer(3), np.arange(3.0)
    for f in (jit(layer), jit(layer.__call__), jit(lambda x: layer(x)), layer.run):
        same(f(x), layer(x))
        for change in [
            lambda: layer.w.fill(2),
            lambda: setattr(layer, "w", np.arange(3.0)),
            lambda: setattr(layer, "b", 0.25),
            lambda: setattr(layer, "k", 4),
            lambda: monkeypatch.setattr(Layer, "scale", 3.0),
            lambda: setattr(layer, "scale", 4.0),
            lambda: monkeypatch.setattr(Layer, "act", lambda self, x: x),
            lambda: setattr(layer, "act", lambda x: -x),
            lambda: (delattr(layer, "act"), delattr(layer, "scale")),
            lambda: monkeypatch.undo(),
        ]:
            change()
            same(f(x), layer(x))
            same(f(x), layer(x))


def test_decorated_method_of_several_instances():
    a, b, x = Layer(3), Layer(3), np.arange(3.0)
    b.k = 9
    for _ in range(3):
        same(a.run(x), a(x))
        same(b.run(x), b(x))
    same(Layer.run(a, x), a(x))


def test_slots_are_looked_at():
    class Slotted:
        __slots__ = ("k", "w")

        def __call__(self, x):
            return x * self.k + self.w

    s = Slotted()
    s.k, s.w = 2.0, np.ones(2)
    f, x = jit(s), np.arange(2.0)
    same(f(x), s(x))
    s.k = 3.0
    same(f(x), s(x))
    s.w[0] = 9
    same(f(x), s(x))
    s.w = np.full(2, 4.0)
    same(f(x), s(x))


def test_dataclass_and_partial_and_namespace():
    pair = Pair(np.ones(2), 2.0)
    space = types.SimpleNamespace(w=np.ones(2), k=2)
    f = partial(lambda p, x, k: (p.a * p.b + space.w * space.k) * x * k, pair, k=2.0)
    g, x = jit(f), np.arange(2.0)
    same(g(x), f(x))
    pair.a[0] = 5
    same(g(x), f(x))
    pair.a, pair.b = np.full(2, 7.0), 3.0
    same(g(x), f(x))
    space.w = np.full(2, 8.0)
    space.k = 5
    same(g(x), f(x))


def test_class_made_inside():
    class Line:
        def __init__(self, a):
            self.a = a

        def at(self, x):
            return self.a * x + weights[0]

    def f(x):
        return Line(x).at(2.0)

    g = jit(f)
    same(g(3.0), f(3.0))
    before = weights[0]
    weights[0] = 11
    same(g(3.0), f(3.0))
    weights[0] = before
    Line.at = lambda self, x: self.a - x
    same(g(3.0), f(3.0))


def test_user_module_attribute(tmp_path, monkeypatch):
    (tmp_path / "numbers_of_mine.py").write_text(
        "import numpy as np\nK = 2.0\nW = np.ones(2)\ndef double(x):\n    return x * K + W\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import numbers_of_mine

    def f(x):
        return numbers_of_mine.double(x) * numbers_of_mine.W * numbers_of_mine.K

    g, x = jit(f), np.arange(2.0)
    same(g(x), f(x))
    numbers_of_mine.K = 5.0
    same(g(x), f(x))
    numbers_of_mine.W = np.full(2, 3.0)
    same(g(x), f(x))
    numbers_of_mine.W[1] = 8
    same(g(x), f(x))
    numbers_of_mine.double = lambda x: -x
    same(g(x), f(x))


# ---- compiled once


def test_new_lambdas_share_code():
    x = np.arange(4.0)
    with Counter() as count:
        for _ in range(20):
            k = 2
            w = np.ones(4)
            same(
                jit(value_and_grad(lambda x: np.sum(w * x**k)))(x),
                value_and_grad(lambda x: np.sum(w * x**k))(x),
            )
    assert count() == 1


def test_changing_float_becomes_an_input():
    with Counter() as count:
        step = 1.0

        def f(x):
            return x - step * np.sin(x)

        g, x = jit(f), np.arange(3.0)
        for k in range(30):
            step = 1.0 / (k + 1)
            same(g(x), f(x))
    assert count() == 2


def test_float_that_decides_stays_part_of_the_code():
    with Counter() as count:
        limit = 1.0

        def f(x):
            return x * 2 if limit > 0.5 else x * 3

        g = jit(f)
        for limit in (1.0, 0.9, 0.1, 0.2, 1.0):
            same(g(1.5), f(1.5))
    assert count() <= 4


def test_types_and_shapes_specialise():
    f = lambda x: np.sum(x * 2)  # noqa: E731
    g = jit(f)
    for x in [
        np.ones(3),
        np.ones(4),
        np.ones((2, 3)),
        np.ones(3, "f4"),
        np.arange(3),
        2.0,
        3,
        True,
        np.float32(2),
    ]:
        for _ in range(2):
            same(g(x), f(x))
    with Counter() as count:
        for x in [np.ones(3), np.ones((2, 3)), 2.0, 3]:
            same(g(x), f(x))
    assert count() == 0


def test_kwargs_do_not_compile_again():
    f = lambda x, y=1.0, **more: x * y + sum(more.values())  # noqa: E731
    g, x = jit(f), np.arange(3.0)
    with Counter() as count:
        for _ in range(5):
            same(g(x, y=2.0, z=x), f(x, y=2.0, z=x))
    assert count() == 1


def test_many_records():
    @jit
    def f(x, k):
        return x * 2 if k == "a" else x * 3

    for n in range(300):
        same(
            f(np.ones(n % 150 + 1), "a" if n < 150 else "b"),
            np.ones(n % 150 + 1) * (2 if n < 150 else 3),
        )
    assert len(f._records) <= 256
    same(f(1.5, "c"), 4.5)


def test_odd_calls_do_not_pile_up_records():
    f = jit(lambda x: x * 2)
    for _ in range(10):
        f(np.ones((4, 4))[::2, ::-1])
    assert len(f._records) == 1


# ---- keys of callables that are no functions


def test_callables_of_all_kinds():
    @custom_jvp
    def ruled(x):
        return x * 2

    @ruled.defjvp
    def _(primals, tangents):
        return ruled(*primals), tangents[0] * 20.0

    x = np.arange(1.0, 4.0)
    for f in [
        np.sin,
        abs,
        ruled,
        np.add.reduce,
        np.sum,
        jit(np.cos),
        partial(np.multiply, 2.0),
        x.__mul__,
        np.vectorize(lambda x: x),
    ]:
        same(jit(f)(x), f(x))
    same(jit(grad(lambda x: np.sum(ruled(x))))(x), np.full(3, 20.0))
    same(grad(lambda x: np.sum(jit(ruled)(x)))(x), np.full(3, 20.0))
    k = 3.0
    inner = custom_jvp(lambda x: x * k)
    inner.defjvp(lambda p, t: (inner(*p), t[0] * k))
    g = jit(grad(lambda x: inner(x)))
    same(g(1.0), 3.0)
    k = 4.0
    same(g(1.0), 4.0)


def test_recursion():
    def power(x, n):
        return 1.0 if n == 0 else x * compiled(x, n - 1)

    compiled = jit(power)
    same(compiled(1.5, 4), 1.5**4)

    @jit
    def again(x, depth=3):
        return x if depth == 0 else again(x * 2, depth - 1)

    same(again(1.5), 12.0)


def test_jit_of_jit_and_inner_jit():
    w = np.ones(3)
    inner = jit(lambda x: w * x)
    f = jit(jit(lambda x: inner(x) + 1))
    x = np.arange(3.0)
    same(f(x), w * x + 1)
    w = np.full(3, 4.0)
    same(f(x), w * x + 1)
    w[0] = 9
    same(f(x), w * x + 1)


# ---- static arguments


def test_statics():
    def f(x, n, mode="a"):
        for _ in range(n):
            x = x * 2 if mode == "a" else x + 1
        return x

    for g in [
        jit(f),
        jit(f, static_argnums=1),
        jit(f, static_argnums=-2),
        jit(f, static_argnames="n"),
        jit(f, static_argnums=(1, 2)),
    ]:
        for n in (2, 3, 2):
            same(g(1.5, n, "a"), f(1.5, n, "a"))
            same(g(1.5, n, "b"), f(1.5, n, "b"))
            same(g(1.5, n=n, mode="a"), f(1.5, n))
    same(jit(static_argnames=("n",))(f)(1.5, 4), f(1.5, 4))


def test_static_containers_arrays_and_objects():
    f = jit(lambda x, config: x * config["k"] + len(config["names"]), static_argnums=1)
    config = {"k": 2, "names": ["a", "b"]}
    same(f(1.5, config), 5.0)
    config["k"] = 3
    same(f(1.5, config), 6.5)
    config["names"].append("c")
    same(f(1.5, config), 7.5)
    g = jit(lambda x, idx: x[[int(i) for i in idx]], static_argnums=1)
    idx = np.array([2, 0])
    same(g(np.arange(3.0), idx), np.array([2.0, 0.0]))
    idx[0] = 1
    same(g(np.arange(3.0), idx), np.array([1.0, 0.0]))
    same(jit(lambda x, s: x[s], static_argnums=1)(np.arange(3.0), slice(0, 2)), np.arange(2.0))

    with pytest.raises(LitadError, match="cannot tell whether a bytearray has changed"):
        f(1.5, {"k": bytearray(2), "names": []})


def test_bad_options():
    with pytest.raises(LitadError, match="static_argnums is a position"):
        jit(lambda x: x, static_argnums="x")
    with pytest.raises(LitadError, match="both static and donated"):
        jit(lambda x: x, static_argnums=0, donate_argnums=0)
    with pytest.raises(LitadError, match="jit takes a function"):
        jit(3.0)
    with pytest.raises(LitadError, match="static argument is being differentiated"):
        grad(jit(lambda x: x, static_argnums=0))(1.0)


def test_numbers_that_are_asked_for():
    f = lambda x, n, m: x[: n + m] * np.ones(n * m)[: n + m]  # noqa: E731
    g, x = jit(f), np.arange(9.0)
    for n, m in [(2, 3), (3, 2), (4, 4), (np.int64(3), 3)]:
        same(g(x, n, m), f(x, n, m))

    def flagged(x, up):
        return x + 1 if up else x - 1

    same(jit(flagged)(1.0, True), 2.0)
    same(jit(flagged)(1.0, False), 0.0)


# ---- closed-over arrays that are asked for


def test_index_arrays_and_shapes_from_data():
    idx, w, x = np.array([2, 0]), np.ones(3), np.arange(3.0)

    def f(x):
        return np.stack([x[int(i)] for i in idx]) * w[0] + np.zeros(int(idx[0])).size

    g = jit(f)
    same(g(x), f(x))
    idx[1] = 1
    same(g(x), f(x))
    idx = np.array([1, 1])
    same(g(x), f(x))
    w[0] = 8
    same(g(x), f(x))

    def h(x):
        return x * 2 if w[0] > 5 else x * 3

    k = jit(h)
    same(k(1.5), 3.0)
    w[0] = 1
    same(k(1.5), 4.5)
    w = np.full(3, 9.0)
    same(k(1.5), 3.0)


def test_baked_arrays_are_copied():
    w1 = np.array([1.0, 2.0])
    w = w1

    def f(x):
        return (w if w[0] > 0 else -w) * x

    g = jit(f)
    same(g(2.0), w * 2.0)
    w = w1.copy()
    w1[:] = 100
    same(g(2.0), w * 2.0)


# ---- effects


def test_written_arguments():
    def f(x, y):
        x[1:] += y
        x *= 2
        return np.sum(x)

    g = jit(f)
    for _ in range(2):
        a, b = np.arange(3.0), np.arange(3.0)
        same(g(a, 1.0), f(b, 1.0))
        same(a, b)
    base = np.arange(8.0)
    view, other = base[::2], np.arange(8.0)[::2]
    same(g(view, 1.0), f(other, 1.0))
    same(view, other)
    base2, base3 = np.arange(4.0), np.arange(4.0)
    same(g(base2, base2[1:]), f(base3, base3[1:]))
    same(base2, base3)
    frozen = np.arange(3.0)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        g(frozen, 1.0)


def test_effects_are_left_to_python():
    log, w, state = [], np.zeros(2), types.SimpleNamespace(n=0)
    rng = np.random.default_rng(0)

    def appends(x):
        log.append(1)
        return x * 2

    def writes(x):
        w[0] = x
        return x * 2

    def counts(x):
        state.n += 1
        return x * 2

    def draws(x):
        return x + rng.normal() + np.random.rand()

    for f in (appends, writes, counts, draws):
        g = jit(f)
        for k in range(3):
            g(float(k))
    assert log == [1, 1, 1] and w[0] == 2.0 and state.n == 3
    g = jit(draws)
    assert len({g(1.0) for _ in range(5)}) == 5
    again = np.random.default_rng(0)
    first = [again.normal() for _ in range(8)]
    assert rng.normal() == first[-1] or True
    n = 0

    def nonlocals(x):
        nonlocal n
        n += 1
        return x

    g = jit(nonlocals)
    for _ in range(3):
        g(1.0)
    assert n == 3


def test_drawing_does_not_disturb_the_sequence():
    np.random.seed(3)
    wanted = [np.random.rand() for _ in range(3)]
    np.random.seed(3)
    f = jit(lambda x: x * np.random.rand())
    assert [f(1.0) for _ in range(3)] == wanted


# ---- arguments of all kinds


def test_odd_arrays():
    f = lambda x: x * 2 + 1  # noqa: E731
    g = jit(f)
    base = np.arange(24.0).reshape(4, 6)
    read_only = base.copy()
    read_only.flags.writeable = False
    unaligned = np.frombuffer(b"\0" + base.tobytes(), np.uint8)[1:].view(np.float64)
    for x in [
        base[::2, ::-1],
        base.T,
        base.astype(">f8"),
        read_only,
        np.array(2.0),
        base.astype("f2"),
        base + 1j,
        base[:0],
        np.zeros((0, 3)),
        base.astype("u1"),
        base.astype("i4"),
        unaligned,
        base > 3,
        base.astype("longdouble"),
        np.float16(2),
        3 + 4j,
    ]:
        for _ in range(2):
            with np.errstate(all="ignore"):
                same(g(x), f(x), exact_types=np.ndim(x) > 0)
    masked = np.ma.masked_array([1.0, 2.0], [True, False])
    assert type(g(masked)) is np.ma.MaskedArray
    objects = np.array([1, 2], object)
    assert g(objects).dtype == object
    assert jit(lambda a, b: a + b)(base, base).sum() == 2 * base.sum()


def test_aliased_arguments_and_results():
    f = jit(lambda a, b: (a + b, a, b.T))
    x = np.arange(9.0).reshape(3, 3)
    s, a, b = f(x, x)
    assert not any(np.may_share_memory(x, y) for y in (s, a, b))
    same((s, a, b), (x + x, x, x.T))


def test_containers_in_and_out():
    def f(d, p, q, s):
        return (
            {"z": d["b"] * p.x, "a": [p, (s, None)]},
            Pair(q.a + q.b, "text"),
            collections.defaultdict(list, k=d["a"] * 2),
            collections.OrderedDict(o=d["a"] + 1),
        )

    g = jit(f)
    args = ({"b": np.ones(2), "a": 2.0}, Point(1.5, np.arange(2.0)), Pair(np.ones(1), 2.0), "s")
    for _ in range(2):
        same(g(*args), f(*args))
    args = ({"a": 2.0, "b": np.ones(2)}, Point(1.5, np.arange(2.0)), Pair(np.ones(1), 2.0), "t")
    same(g(*args), f(*args))
    same(jit(lambda: 3.0)(), 3.0)
    same(jit(lambda *a: a)(), ())


def test_nan_infinity_and_zero_size():
    f = lambda x: (np.tanh(x) / x, np.maximum(x, 0), x == x, np.sum(x), np.where(x > 0, x, -x))  # noqa: E731
    g = jit(f)
    for x in [np.array([np.nan, np.inf, -np.inf, 0.0, -0.0]), np.zeros(0), np.zeros((3, 0))]:
        with np.errstate(all="ignore"):
            same(g(x), f(x))
    for x in (np.nan, np.inf):
        h = value_and_grad(lambda x: np.exp(-x) + x)
        with np.errstate(all="ignore"):
            same(jit(h)(x), h(x))


def test_python_numbers_stay_python_numbers():
    def ros(x, y):
        return (1 - x) ** 2 + 100 * (y - x * x) ** 2

    both = value_and_grad(ros, (0, 1))
    same(jit(both)(1.2, 2.0), both(1.2, 2.0))
    x4 = np.arange(3, dtype="f4")
    for f, args in [
        (lambda a, x: (a * 2.0) * x, (0.5, x4)),
        (lambda n: (n * 2 + 1, n / 2, n // 2, -n, n > 1, n == 3), (3,)),
        (lambda x: (np.sin(x), x * 2, x + np.float32(1)), (1.5,)),
        (grad(lambda a, x: np.sum((a * x) ** 2)), (0.5, x4)),
        (grad(lambda a, x: np.sum((a * x) ** 2), 1), (0.5, x4)),
        (grad(lambda x: 2 * x), (1.5,)),
        (lambda x: jvp(lambda x: x * x, (x,), (1.0,)), (1.5,)),
        (lambda x: vjp(lambda x: x * x, x)[1](1.0), (1.5,)),
        (hessian(lambda x: x**3), (1.5,)),
        (lambda b, x: x * b, (True, x4)),
        (lambda i, x: x * i, (np.int32(3), x4)),
        (lambda x: x.mean(), (np.arange(4),)),
        (lambda x: x[1], (x4,)),
        (lambda x: x.astype("f4") * 2, (np.arange(3.0),)),
    ]:
        same(jit(f)(*args), f(*args))


# ---- errors


def test_index_out_of_bounds():
    f = lambda x, i: np.sum(np.take(x, i) ** 2)  # noqa: E731
    for g in (jit(f), jit(grad(f)), grad(jit(f)), jit(value_and_grad(f))):
        x = np.arange(3.0)
        g(x, np.array([0, -1]))
        for _ in range(2):
            with pytest.raises(IndexError):
                g(x, np.array([0, 3]))
        g(x, np.array([0, 2]))


def test_control_flow_on_a_float_names_the_line():
    def f(x):
        y = x * 2
        try:  # a way out of try is not read from the source
            if y > 1:  # the line in question
                return y
        finally:
            pass
        return -y

    for _ in range(2):
        with pytest.raises(LitadError) as error:
            jit(f)(1.0)
        assert "if y > 1:" in str(error.value) and "litad.cond" in str(error.value)
        assert "from inside of try" in str(error.value)


def test_exceptions_leave_a_usable_object():
    fail = [True]

    def f(x):
        if fail[0]:
            raise KeyError("now")
        return x * 2

    g = jit(f)
    for _ in range(2):
        with pytest.raises(KeyError, match="now"):
            g(1.0)
    fail[0] = False
    same(g(1.0), 2.0)


def test_interrupt_while_compiling(monkeypatch):
    from litad import engine

    g = jit(lambda x: np.sin(x) * 3)
    calls = []

    def interrupted(*args, **kwargs):
        calls.append(1)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(engine, "optimise", interrupted)
        with pytest.raises(KeyboardInterrupt):
            g(np.ones(3))
    assert calls
    same(g(np.ones(3)), np.sin(np.ones(3)) * 3)
    same(g(np.ones(3)), np.sin(np.ones(3)) * 3)


def test_wrong_shapes_give_numpys_error():
    g = jit(lambda x, y: x @ y)
    same(g(np.ones((2, 3)), np.ones(3)), np.full(2, 3.0))
    with pytest.raises(ValueError):
        g(np.ones((2, 3)), np.ones(4))
    same(g(np.ones((2, 3)), np.ones(3)), np.full(2, 3.0))


def test_pickle_and_copy():
    assert pickle.loads(pickle.dumps(module_level)) is module_level
    assert copy.deepcopy(module_level) is module_level
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(jit(lambda x: x))


@jit
def module_level(x):
    return x * 2


# ---- transformations


def target(x):
    return np.sum(np.sin(x) * x**2)


@pytest.mark.parametrize("outside", [False, True])
def test_transformations(outside):
    x, t = np.linspace(0.1, 1.0, 4), np.linspace(1.0, -1.0, 4)
    wrap = (lambda make: make(jit(target))) if outside else (lambda make: jit(make(target)))
    for make in [
        grad,
        value_and_grad,
        hessian,
        jacfwd,
        jacrev,
        lambda f: lambda x: jvp(f, (x,), (t,)),
        lambda f: lambda x: vjp(f, x)[1](2.0),
        lambda f: lambda x: hvp(f, (x,), (t,)),
        lambda f: lambda x: linearize(f, x)[1](t),
        lambda f: grad(lambda x: np.sum(grad(f)(x) ** 2)),
        lambda f: grad(lambda x: f(stop_gradient(x) * x)),
        lambda f: grad(checkpoint(f)),
        lambda f: jacfwd(grad(f)),
    ]:
        try:
            wanted = make(target)(x)
        except TypeError:
            continue
        same(wrap(make)(x), wanted, rtol=1e-10)


def test_more_transformations():
    f = jit(lambda x: np.sin(x) * x)
    plain = lambda x: np.sin(x) * x  # noqa: E731
    check_grads(f, (np.linspace(0.1, 1, 3),))
    same(jet(f, 0.3, 4), jet(plain, 0.3, 4))
    same(grad(grad(jit(np.tanh)))(0.3), grad(grad(np.tanh))(0.3))
    same(grad(lambda p: jit(lambda x: x * p)(3.0))(2.0), 3.0)
    value, pull = vjp(jit(lambda d: {"y": d["a"] * d["b"]}), {"a": 2.0, "b": np.ones(2)})
    same(pull({"y": np.ones(2)}), ({"a": 2.0, "b": np.full(2, 2.0)},))
    same(litad.sparsity(f)(np.ones(3)).toarray(), litad.sparsity(plain)(np.ones(3)).toarray())


def test_derivatives_of_a_compiled_function_follow_its_statics():
    f = jit(lambda x, n: x**n, static_argnums=1)
    for n in (2, 3, 4, 2):
        same(grad(f)(1.5, n), n * 1.5 ** (n - 1))
        same(jvp(lambda x: f(x, n), (1.5,), (1.0,))[1], n * 1.5 ** (n - 1))
    k = 2.0
    g = jit(lambda x: x * x * k)
    same(grad(g)(1.5), 6.0)
    k = 3.0
    same(grad(g)(1.5), 9.0)


def test_loops_and_branches():
    f = lambda x: fori_loop(0, 10, lambda i, s: s + np.sin(s * i), x)  # noqa: E731
    same(jit(value_and_grad(f))(0.3), value_and_grad(f)(0.3), rtol=1e-9)
    g = lambda x: cond(np.sum(x) > 0, lambda x: x * 2, lambda x: x**3, x)  # noqa: E731
    for x in (np.ones(3), -np.ones(3)):
        same(jit(g)(x), g(x))


# ---- donation, speed flags, no llvmlite


def test_donated_arguments():
    def step(params, x):
        return {"w": params["w"] - 0.1 * x, "b": params["b"] * 2}, np.sum(params["w"])

    f = jit(step, donate_argnums=0)
    x = np.arange(4.0)
    for params in [{"w": np.ones(4), "b": np.ones(2)}, {"w": np.ones(8)[::2], "b": np.ones(2)}]:
        wanted = step(copy.deepcopy(params), x)
        for _ in range(3):
            same(f(copy.deepcopy(params), x), wanted)
    shared = np.ones(4)
    wanted = step({"w": shared, "b": np.ones(2)}, shared.copy())
    same(f({"w": shared, "b": np.ones(2)}, shared), wanted)
    frozen = np.ones(4)
    frozen.flags.writeable = False
    same(f({"w": frozen, "b": np.ones(2)}, x), step({"w": np.ones(4), "b": np.ones(2)}, x))
    assert (frozen == 1).all()


def test_fast_math():
    f = lambda x: np.sum(x / 3.0 + x * 2 - np.exp(x))  # noqa: E731
    x = np.linspace(0, 1, 100)
    same(jit(f, fast_math=True)(x), f(x))
    assert np.isnan(jit(lambda x: x - x, fast_math=True)(np.array([np.inf, 1.0]))[0])


def test_without_llvmlite(monkeypatch):
    monkeypatch.setattr(litad.engine, "available", lambda: False)
    monkeypatch.setattr(litad.signature, "available", lambda: False)
    monkeypatch.setattr(litad.pieces, "available", lambda: False)
    w = np.ones(3)
    f = lambda x: np.sum(w * np.sin(x))  # noqa: E731
    g, x = jit(value_and_grad(f)), np.arange(3.0)
    same(g(x), value_and_grad(f)(x))
    w[0] = 4
    same(g(x), value_and_grad(f)(x))


def test_through_ctypes(monkeypatch):
    monkeypatch.setattr(litad.signature, "_by_ctypes", True)
    w = np.ones(3)
    f = lambda x: np.sum(w * np.sin(x))  # noqa: E731
    g, x = jit(value_and_grad(f)), np.arange(3.0)
    for _ in range(2):
        same(g(x), value_and_grad(f)(x))
    w = np.arange(3.0)
    same(g(x), value_and_grad(f)(x))


# ---- threads, forks, memory


def test_threads():
    results, errors = [], []

    def work(k):
        try:
            for n in range(40):
                size = (n * 7 + k) % 5 + 1
                c = float(n % 3)
                f = jit(lambda x: np.sum(np.sin(x) * c))
                x = np.full(size, 0.5)
                results.append(abs(f(x) - np.sum(np.sin(x) * c)) < 1e-12)
                results.append(abs(shared(x) - size) < 1e-12)
        except BaseException as error:
            errors.append(error)

    shared = jit(lambda x: np.sum(x) * 2)
    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not errors and all(results) and len(results) == 8 * 80


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork():
    f = jit(lambda x: x * 2)
    f(1.0)
    child = os.fork()
    if child == 0:
        ok = f(2.0) == 4.0 and (f(np.ones(5)) == 2).all() and jit(lambda x: x + 1)(1.0) == 2.0
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_memory_stays():
    f = jit(lambda a, x: (a * 2.0, np.sin(x)))
    x = np.ones(100)
    f(1.0, x), f(1.0, x)
    before = resident()
    for k in range(200_000):
        f(1.5, x)
    gc.collect()
    assert resident() - before < 2e6


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_compiling_does_not_grow():
    def make(k):
        return jit(lambda x, n: x * n)

    def round_(k):
        f = jit(lambda x, n: np.sum(x) * n, static_argnums=1)
        f(np.ones(3), k)

    for k in range(300):
        round_(k)
    before = resident()
    for k in range(300, 400):
        round_(k)
    assert resident() - before < 60e6


# ---- explain


def test_explain_shows_every_stage():
    f = value_and_grad(lambda x: np.sum(np.sin(x) * x))
    found = litad.explain(f, np.ones(50))
    assert len(found.optimised) <= len(found.program) and len(found.passes) > 3
    assert "define" in found.kernel and "define" in found.llvm and found.assembly
    assert found.fallback == [] and found.numbers["operations"] > 50
    assert all([set(row) == {"name", "type", "bytes", "offset"} for row in found.memory])
    assert len(repr(found).splitlines()) < 15
    assert set(found._repr_mimebundle_()) == {"text/plain", "text/markdown"}
    compiled = jit(f)
    compiled(np.ones(50))
    with Counter() as count:
        assert "lines traced" in repr(litad.explain(compiled, np.ones(50)))
    assert count() == 0


def test_explain_says_what_falls_back():
    x = np.ones(5)
    assert any(["sort" in what for what, _ in litad.explain(lambda x: np.sort(x) * 2, x).fallback])
    said = repr(litad.explain(lambda x: x + np.random.rand(), 1.0))
    assert "draws random numbers" in said
    assert "keyword" in repr(litad.explain(lambda x, k: x * k, x, k=2.0))
    assert "MaskedArray" in repr(litad.explain(lambda x: x * 2, np.ma.ones(3)))
    index = np.array([0, 1])
    assert "Python" in repr(litad.explain(lambda x: x[index.tolist()[0]] * 2, x))
    with pytest.raises(LitadError, match="explain takes numbers"):
        grad(lambda x: litad.explain(np.sin, x))(1.0)


def test_explain_without_llvmlite(monkeypatch):
    monkeypatch.setattr(litad.pieces, "available", lambda: False)
    found = litad.explain(lambda x: x * 2 - 7.125, np.ones(5))
    assert "llvmlite is not installed" in repr(found) and found.kernel == ""


def test_failures_leave_no_trace_in_the_plan():
    w = np.ones(3)
    f = jit(lambda x: w * x)
    with pytest.raises(ValueError):
        f(np.ones(4))
    for _ in range(2):
        same(f(np.ones(3)), w)
    assert litad.explain(f, np.ones(3)).fallback == []
    g = jit(lambda x, n: x[:n] + np.ones(n + 1))
    with pytest.raises(ValueError):
        g(np.ones(3), 2)


# ---- what is read through objects has a fast way in, and is never stale


class Plain:
    def __init__(self):
        self.k, self.w, self.n = 2.0, np.ones(3), 3

    def run(self, x):
        return np.tanh(x) * self.k + self.w * self.n

    @property
    def twice(self):
        return self.k * 2


class Other(Plain):
    def run(self, x):
        return x * self.k


class Slots:
    __slots__ = ("__hidden", "k", "n", "w")

    def __init__(self):
        self.k, self.w, self.n, self.__hidden = 2.0, np.ones(3), 3, 1.5

    def hide(self, value):
        self.__hidden = value

    def run(self, x):
        return np.tanh(x) * self.k + self.w * self.n * self.__hidden


@dataclasses.dataclass(slots=True)
class Compact:
    k: float
    w: np.ndarray
    n: int

    def run(self, x):
        return np.tanh(x) * self.k + self.w * self.n


class Half(Slots):
    """Slots in the base, a dictionary in the class."""

    def __init__(self):
        super().__init__()
        self.extra = 4.0

    def run(self, x):
        return super().run(x) * self.extra


def spaced():
    return types.SimpleNamespace(k=2.0, w=np.ones(3), n=3)


HOLDERS = {
    "instance": (Plain, lambda o, x: np.tanh(x) * o.k + o.w * o.n),
    "namespace": (spaced, lambda o, x: np.tanh(x) * o.k + o.w * o.n),
    "slots": (Slots, lambda o, x: np.tanh(x) * o.k + o.w * o.n),
    "slots of a dataclass": (lambda: Compact(2.0, np.ones(3), 3), lambda o, x: x * o.k + o.w * o.n),
    "slots and a dictionary": (Half, lambda o, x: o.run(x)),
    "property": (Plain, lambda o, x: x * o.twice),
    "method in a closure": (Plain, lambda o, x: np.tanh(o.run(x))),
    "method of slots": (Slots, lambda o, x: np.tanh(o.run(x))),
    "method itself": (Plain, None),
    "method itself, of slots": (Slots, None),
    "method itself, of a dataclass": (lambda: Compact(2.0, np.ones(3), 3), None),
}
REACHED = {
    "closure": lambda o, body: (lambda x: body(o, x)) if body else o.run,
    "partial": lambda o, body: partial(body, o) if body else partial(o.run),
    "partial by name": lambda o, body: partial(
        lambda x, o, r: body(o, x) if body else r(x), o=o, r=o.run if body is None else None
    ),  # fmt: skip
    "default": lambda o, body: (lambda x, o=o: body(o, x)) if body else (lambda x, r=o.run: r(x)),
    "list": lambda o, body: (lambda o: lambda x: body(o[0], x) if body else o[0].run(x))([o]),
}


@pytest.mark.parametrize("reached", REACHED)
@pytest.mark.parametrize("holder", HOLDERS)
def test_objects_have_a_fast_way_in_and_are_never_stale(holder, reached):
    make, body = HOLDERS[holder]
    o, x = make(), np.arange(3.0)
    f = REACHED[reached](o, body)
    g = jit(f)
    same(g(x), f(x))
    assert g.compiler.installed or (dataclasses.is_dataclass(o) and reached == "list")
    changes = [
        lambda: setattr(o, "k", 3.0),
        lambda: setattr(o, "k", np.float64(4.0)),
        lambda: setattr(o, "k", 5),
        lambda: setattr(o, "k", 5.5),
        lambda: setattr(o, "n", 4),
        lambda: setattr(o, "n", 4.5),
        lambda: o.w.__setitem__(0, 9.0),
        lambda: setattr(o, "w", np.full(3, 2.0)),
        lambda: setattr(o, "w", np.full(3, 2.0, "f4")),
        lambda: setattr(o, "w", np.ones((2, 3))),
        lambda: setattr(o, "w", 1.25),
        lambda: setattr(o, "k", np.ones(3)),
        lambda: hasattr(o, "hide") and o.hide(2.5),
        lambda: hasattr(o, "hide") and o.hide(np.ones(3)),
        lambda: hasattr(o, "extra") and setattr(o, "extra", 7.0),
    ]
    for change in changes:
        change()
        for _ in range(3):
            same(g(x), f(x))


def test_the_class_of_an_instance_is_watched():
    o, x = Plain(), np.arange(3.0)
    f = lambda x: o.run(x)  # noqa: E731
    g = jit(f)
    for kind in (Plain, Other, Plain, Other):
        o.__class__ = kind
        for _ in range(3):
            same(g(x), f(x))


def test_a_deleted_attribute_is_watched():
    for o in (Plain(), Slots(), spaced()):
        f = jit(lambda x, o=o: x * o.k)
        same(f(np.ones(3)), np.full(3, 2.0))
        del o.k
        with pytest.raises(AttributeError):
            f(np.ones(3))
        o.k = 3.0
        same(f(np.ones(3)), np.full(3, 3.0))


def test_a_method_that_is_replaced_is_watched():
    class Mine:
        k = 2.0

        def run(self, x):
            return x * self.k

    o, x = Mine(), np.arange(3.0)
    f, g = jit(lambda x: np.sin(o.run(x))), jit(o.run)
    bound = o.run
    for _ in range(3):
        same(f(x), np.sin(o.run(x)))
        same(g(x), bound(x))
    Mine.run = lambda self, x: x + self.k
    for _ in range(3):
        same(f(x), np.sin(o.run(x)))
        same(g(x), bound(x))
    Mine.k = 5.0
    same(f(x), np.sin(o.run(x)))
    same(g(x), bound(x))
    o.k = 7.0
    same(f(x), np.sin(o.run(x)))
    same(g(x), bound(x))
    o.run = lambda x: x - 1
    same(f(x), np.sin(o.run(x)))


def test_slots_that_a_function_writes_are_left_to_python():
    o, x = Slots(), np.ones(3)

    def count(x):
        o.n = o.n + 1
        return x * o.n

    f = jit(count)
    assert [f(x)[0] for _ in range(4)] == [4.0, 5.0, 6.0, 7.0] and o.n == 7


RATE = 2.0


def test_a_global_number_that_a_method_reads_too():
    global RATE

    class Mine:
        def run(self, x):
            return x * RATE

    o, x = Mine(), np.arange(3.0)
    for f in (lambda x: RATE * o.run(x), lambda x: o.run(x) * RATE):
        g = jit(f)
        for RATE in (2.0, 3.0, 4.0, 5.0):
            for _ in range(3):
                same(g(x), f(x))


class Mode(enum.Enum):
    FAST = 1
    SLOW = 2


def test_members_of_an_enumeration_are_themselves():
    o, x = types.SimpleNamespace(mode=Mode.FAST), np.arange(3.0)
    f = lambda x: x * 2.0 if o.mode is Mode.FAST else x  # noqa: E731
    g = jit(f)
    for o.mode in (Mode.FAST, Mode.SLOW, Mode.FAST):
        for _ in range(2):
            same(g(x), f(x))
    assert g.compiler.installed


def test_dataclasses_in_lists_are_taken_apart():
    pairs, x = [Pair(np.ones(2), 2.0), Pair(np.full(2, 3.0), 4.0)], np.arange(2.0)
    f = lambda x: x * pairs[0].a * pairs[0].b + pairs[1].a * pairs[1].b  # noqa: E731
    g = jit(f)
    for change in (
        lambda: None,
        lambda: setattr(pairs[0], "b", 5.0),
        lambda: pairs[1].a.__setitem__(0, 7.0),
        lambda: setattr(pairs[1], "a", np.full(2, 9.0)),
        pairs.reverse,
    ):
        change()
        for _ in range(3):
            same(g(x), f(x))
    h = lambda p, x: p.a * x * p.b  # noqa: E731
    k = jit(h)
    for pair in (*pairs, Pair("no", 1.0), Pair(np.ones(2), "no")):
        for _ in range(2):
            try:
                wanted = h(pair, x)
            except TypeError:
                continue
            same(k(pair, x), wanted)


# ---- a call that fails leaves its arguments as they were


def stores_then_fails(x, i):
    x[0] = 5.0
    x[i] = 7.0
    x[1] = 6.0
    return np.sum(x)


def loop_then_fails(x, i):
    def body(k, x):
        x[k] = k * 2.0 + x[k]
        return x

    y = fori_loop(0, i, body, x)
    x[0] = y[1]
    return x * 2.0


def two_arrays(x, i):
    y = x * 3.0
    x[0] = y[i] + 1.0
    x[1] += y[i - 1]
    return y


def nothing_but_a_store(x, i):
    x[1] = 4.0
    x[i] = 2.0


@pytest.mark.parametrize("f", [stores_then_fails, loop_then_fails, two_arrays, nothing_but_a_store])
@pytest.mark.parametrize("options", [{}, {"donate_argnums": 0}])
def test_arguments_of_a_failing_call_are_unchanged(f, options):
    g = jit(f, **options)
    for i in (2, 3, -1, 2):
        for _ in range(3):
            ours, theirs = np.arange(4.0), np.arange(4.0)
            got, wanted = g(ours, i), f(theirs, i)
            same(got, wanted)
            same(ours, theirs)
    for i in (4 + (f is loop_then_fails), 5, 1000):
        for _ in range(3):
            x = np.arange(4.0)
            with pytest.raises(IndexError):
                g(x, i)
            same(x, np.arange(4.0))
    if f is not loop_then_fails:
        with pytest.raises(IndexError):
            g(np.arange(4.0), -5)
    x = np.arange(4.0)
    g(x, 2)
    with pytest.raises(ValueError, match="read-only"):
        x.setflags(write=False)
        g(x, 2)
    big = np.arange(8.0)
    same(g(big[::2], 2), f(np.arange(8.0)[::2], 2))
    assert big[1] == 1.0


def test_donated_arrays_of_a_failing_call_are_unchanged():
    def f(a, b, i):
        return np.sin(a) + b[i], np.cos(b) * a[0]

    g = jit(f, donate_argnums=(0, 1))
    for _ in range(3):
        same(g(np.arange(4.0), np.ones(4), 3), f(np.arange(4.0), np.ones(4), 3))
    for _ in range(3):
        a, b = np.arange(4.0), np.ones(4)
        with pytest.raises(IndexError):
            g(a, b, 4)
        same((a, b), (np.arange(4.0), np.ones(4)))


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_written_arguments_that_are_copied_do_not_leak():
    g, x = jit(stores_then_fails), np.zeros(2000)

    def calls():
        for _ in range(2000):
            g(x, 3)
            try:
                g(x, 2000)
            except IndexError:
                pass

    calls()
    assert g.compiler.installed
    before = resident()
    calls()
    calls()
    gc.collect()
    assert resident() - before < 2e6


SCALE, WEIGHTS = 2.0, np.ones(3)


def scaled(x):
    return x * WEIGHTS * SCALE


def outer_one(x):
    return np.tanh(scaled(x))


def outer_two(x):
    return scaled(x) + outer_one(x)


class Caller:
    def run(self, x):
        return scaled(x)

    def through(self, x):
        return outer_two(x)


@pytest.mark.parametrize(
    "make",
    [
        lambda o: lambda x: outer_one(x) + o.run(x),
        lambda o: lambda x: o.run(x) + outer_one(x),
        lambda o: lambda x: outer_two(x) * o.through(x),
        lambda o: lambda x: o.through(x) * SCALE * WEIGHTS,
        lambda o: lambda x: SCALE * WEIGHTS * o.through(x),
        lambda o: partial(Caller.through, o),
        lambda o: partial(lambda f, x: f(x) * SCALE, o.through),
        lambda o: lambda x, r=o.run, f=scaled: r(x) + f(x) + outer_two(x),
    ],
)
def test_functions_that_methods_call_too(make):
    global SCALE, WEIGHTS
    SCALE, WEIGHTS = 2.0, np.ones(3)
    f, x = make(Caller()), np.arange(3.0)
    g = jit(f)

    def check():
        for _ in range(3):
            same(g(x), f(x))

    check()
    for SCALE in (3.0, 4.0, 5.0):
        check()
    WEIGHTS[1] = 7.0
    check()
    WEIGHTS = np.full(3, 9.0)
    check()
    WEIGHTS, SCALE = np.full(3, 11.0), 6
    check()


def test_small_arrays_are_updated_in_place_too():
    def step(p, x):
        a, b = p
        return a + b * x, (a - b) * 0.5

    f, p = jit(step, donate_argnums=0), (np.arange(3.0), np.ones(3))
    expected, places = (p[0].copy(), p[1].copy()), [q.ctypes.data for q in p]
    for _ in range(5):
        p, expected = f(p, 2.0), step(expected, 2.0)
        assert [q.ctypes.data for q in p] == places
        assert all([np.allclose(q, e) for q, e in zip(p, expected)])


@pytest.mark.parametrize(
    "f",
    [
        lambda a, b: (b, a),
        lambda a, b: (a[::-1] * 2, b),
        lambda a, b: (a[::-1], b + a),
        lambda a, b: (np.sum(a) + b, np.sum(b) + a),
        lambda a, b: (a + b, a + b),
        lambda a, b: (a * 2, a * 3),
    ],
)
def test_small_donated_arrays_in_any_order(f):
    a, b = np.arange(3.0), np.array([0.5, -1.0, 2.0])
    expected = f(a.copy(), b.copy())
    found = jit(f, donate_argnums=(0, 1))(a.copy(), b.copy())
    assert all([np.array_equal(x, y) for x, y in zip(found, expected)])


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int32", "bool"])
@pytest.mark.parametrize("shape", [(), (1,), (9,), (3, 4), (2, 3, 5)])
@pytest.mark.parametrize("function", [np.argmax, np.argmin])
def test_places_of_extremes_have_machine_code(function, shape, dtype):
    random = np.random.default_rng(len(shape))
    given = [np.asarray(random.integers(0, 4, shape).astype(dtype))]
    if dtype.startswith("float"):
        holes = np.where(random.random(shape) < 0.3, np.nan, given[0]).astype(dtype)
        given += [holes, *[np.full(shape, v, dtype) for v in (np.nan, np.inf, -np.inf)]]
    for x in given:
        x = np.asarray(x)
        for axis in (None, *range(-len(shape), len(shape))):
            for keepdims in (False, True):
                f = lambda x, a=axis, k=keepdims: function(x, axis=a, keepdims=k)  # noqa: E731
                got, want = jit(f)(x), f(x)
                assert type(got) is type(want) and np.array_equal(got, want)
                assert not Specialisation(trace(f, x)).lost


def test_places_of_extremes_as_indices_and_errors():
    x = np.array([3.0, 7.0, 7.0, 1.0])
    assert jit(value_and_grad(lambda x: x[np.argmax(x)] ** 2))(x)[1].tolist() == [0, 14, 0, 0]
    assert jit(lambda x: x.argmin())(x) == 3 and jit(lambda x: x.argmax(0))(x) == 1
    for wrong in (
        lambda x: np.argmax(x, 3),
        lambda x: np.argmax(x[:0]),
        lambda x: np.argmax(x, 0.5),
    ):
        kinds = []
        for f in (wrong, jit(wrong)):
            with pytest.raises((ValueError, TypeError)) as error:
                f(x)
            kinds.append(error.type)
        assert kinds[0] is kinds[1]


def test_an_array_without_axes_is_written_into_and_a_number_is_not():
    def f(x):
        x += 1
        return 2 * x

    compiled = jit(f)
    for make in (np.array, np.float64, float):
        mine, numpys = make(1.0), make(1.0)
        for _ in range(3):
            assert compiled(mine) == f(numpys) and mine == numpys
