"""Bound calls: they see new numbers, return the same objects, refuse what cannot be bound."""

from __future__ import annotations

import collections
import gc
import importlib
import itertools
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import weakref
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

import litad.control as control
from litad import LitadError, compile_aot, entry, grad, jit, load_aot, signature, value_and_grad
from litad.bound import BUSY, Mark, Wiring, bound_text, may_change
from litad.callables import SlowCallable
from litad.engine import available

native = pytest.mark.skipif(not available(), reason="needs llvmlite")


@pytest.fixture(params=["fast", "ctypes"])
def way(request, monkeypatch):
    "Both ways in: machine code, and ctypes."
    if request.param == "ctypes":
        monkeypatch.setattr(signature, "_by_ctypes", True)
    return request.param


class Point(NamedTuple):
    x: object
    y: object


@dataclass
class Pair:
    first: object
    second: object


def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] * x[0]) ** 2


def same(a, b) -> bool:
    if isinstance(b, dict):
        return set(a) == set(b) and all(same(a[k], b[k]) for k in b)
    if isinstance(b, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(b, Pair):
        return same(a.first, b.first) and same(a.second, b.second)
    if b is None or isinstance(b, str):
        return a == b
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


FUNCTIONS = {
    "a number": (lambda x: np.sum(x * x), (4,)),
    "value and gradient": (value_and_grad(lambda x: np.sum(np.sin(x) * x)), (7,)),
    "an array": (lambda x: np.exp(-x), (3, 5)),
    "the argument itself": (lambda x: x, (3,)),
    "the argument twice": (lambda x: (x, x), (3,)),
    "a view": (lambda x: (x[::-1], x.T), (2, 2)),
    "a constant": (lambda x: (1.5, 2, True, np.arange(3), x), (2,)),
    "nothing": (lambda x: None, (2,)),
    "other things": (lambda x: {"a": x + 1, "name": "f", "none": None}, (2,)),
    "containers": (lambda x: [x * 2, {"a": (x, [x.sum()])}, Point(x[0], x)], (3,)),
    "a dataclass": (lambda x: Pair(x + 1, x.sum()), (3,)),
    "no elements": (lambda x: (x * 2, x.sum()), (0,)),
    "no axes": (lambda x: (x * 2, np.sin(x)), ()),
    "booleans": (lambda x: (x > 0, np.all(x > 0)), (4,)),
    "a product": (lambda x: x @ x.T, (5, 3)),
    "a loop": (lambda x: control.fori_loop(0, 5, lambda k, y: np.cos(y) + k, x), (3,)),
    "sorted by NumPy": (lambda x: (np.sort(x)[::-1] * 2, x.sum()), (6,)),
    "all by NumPy": (lambda x: np.sort(x), (6,)),
    "large": (lambda x: np.tanh(x).sum(axis=0), (40, 30)),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_bound_call_gives_what_jit_gives(name, dtype, way):
    f, shape = FUNCTIONS[name]
    rng = np.random.default_rng(0)
    x, made = np.asarray(rng.normal(size=shape), dtype), jit(f)
    g = made.bind(x)
    first = g()
    for _ in range(3):
        assert g() is first is g.out
        assert same(first, made(x))
        x[...] = rng.normal(size=shape)


@pytest.mark.parametrize("dtype", ["int64", "int32", "bool"])
def test_other_types(dtype, way):
    x = np.array([1, 0, 1], dtype)
    f = jit(lambda x: (x + x, x.sum(), ~x))
    g = f.bind(x)
    assert same(g(), f(x))
    x[1] = 1
    assert same(g(), f(x))


def test_numbers_are_constants_and_arrays_without_axes_are_buffers(way):
    f, x = jit(lambda x, a, b: (a * x + b, a * b)), np.arange(3.0)
    b = np.array(2.0)
    g = f.bind(x, 3.0, b)
    assert same(g(), f(x, 3.0, b))
    b[...] = 5
    assert same(g(), f(x, 3.0, b)) and g()[1] == 15
    assert same(f.bind(x, np.float64(3), 2)(), f(x, np.float64(3), 2))


def test_weak_numbers_keep_single_precision(way):
    f, x = jit(lambda x, a: np.sort(x) * a + 0.1), np.arange(3.0, dtype="float32")
    assert f.bind(x, 0.3)().dtype == np.float32 and same(f.bind(x, 0.3)(), f(x, 0.3))


def test_keywords_and_static_arguments(way):
    @jit(static_argnames="n")
    def power(x, n, *, scale):
        return scale * x**n

    x, s = np.arange(4.0), np.array([2.0])
    g = power.bind(x, n=3, scale=s)
    assert same(g(), 2 * x**3)
    s[0] = 4
    assert same(g(), 4 * x**3)


def test_containers_of_buffers(way):
    p = {"w": np.ones((2, 3)), "b": [np.zeros(2)]}
    f = jit(value_and_grad(lambda p, x: np.sum(np.tanh(p["w"] @ x + p["b"][0]))))
    x = np.arange(3.0)
    g = f.bind(p, x)
    for _ in range(3):
        assert same(g(), f(p, x))
        p["b"][0] += 0.3
        x *= 0.9


# ------------------------------------------------------------------ outputs


def test_outputs_that_are_given(way):
    f, x = jit(value_and_grad(rosenbrock)), np.array([1.2, 2.0])
    value, slope = np.zeros(()), np.zeros(2)
    g = f.bind(x, out=(value, slope))
    result = g()
    assert result[0] is value and result[1] is slope and same(result, f(x))
    g = f.bind(x, out=(None, slope))
    assert g()[1] is slope and g()[0] is not value


def test_outputs_in_containers_by_key(way):
    f, x = jit(lambda x: {"a": x + 1, "b": [x + 2]}), np.zeros(2)
    a, b = np.zeros(2), np.zeros(2)
    g = f.bind(x, out={"b": [b], "a": a})
    g()
    assert list(a) == [1, 1] and list(b) == [2, 2] and g.out["a"] is a


def test_outputs_in_a_file(tmp_path, way):
    x, y = (np.memmap(tmp_path / name, "float64", "w+", shape=3) for name in "xy")
    g = jit(lambda x: 2 * x).bind(x, out=y)
    x[:] = 4
    assert g() is y and list(y) == [8, 8, 8]


def test_one_function_feeds_another(way):
    x = np.linspace(0.1, 1, 5)
    first = jit(np.sin).bind(x)
    second = jit(lambda y: y * y).bind(first.out)
    for _ in range(3):
        first(), second()
        assert np.array_equal(second.out, np.sin(x) ** 2)
        x *= 0.5


def refused(*words: str):
    return pytest.raises(LitadError, match=".*".join([r"(?s)", *words]))


def readonly(*shape):
    x = np.zeros(shape)
    x.setflags(write=False)
    return x


BAD = {
    "read-only": (readonly(3), ["read-only", "writeable=False", "instead"]),
    "too small": (np.zeros(2), ["output 1", r"f64\[2\]", r"f64\[3\]", "instead", "np.empty"]),
    "too large": (np.zeros(4), [r"f64\[4\]", r"f64\[3\]"]),
    "more axes": (np.zeros((1, 3)), [r"f64\[1,3\]", r"f64\[3\]"]),
    "no axes": (np.zeros(()), [r"f64\[\]", r"f64\[3\]"]),
    "wrong dtype": (np.zeros(3, "float32"), [r"f32\[3\]", r"f64\[3\]", "exactly its dtype"]),
    "integers": (np.zeros(3, int), [r"i64\[3\]", r"f64\[3\]"]),
    "gaps": (np.zeros(6)[::2], ["strides", "own memory", "instead"]),
    "backwards": (np.zeros(3)[::-1], ["strides"]),
    "byte-swapped": (np.zeros(3, ">f8"), ["other byte order", "instead"]),
    "not aligned": (np.zeros(25, "u1")[1:].view("f8"), ["not aligned"]),
    "a list": ([0.0] * 3, ["another structure", "the result is"]),
    "a number": (1.0, ["output 1", "float 1.0"]),
    "a matrix": (np.ma.zeros(3), ["MaskedArray"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_outputs(name, way):
    f, (bad, words) = jit(lambda x: (x.sum(), 2 * x)), BAD[name]
    with refused(*words):
        f.bind(np.ones(3), out=(None, bad))


@pytest.mark.parametrize(
    "out", [np.zeros(3), (None,), [None, None], {"a": None}, (None, None, None)]
)
def test_outputs_of_another_structure(out, way):
    with refused("another structure", r"\(f64\[\], f64\[3\]\)", "instead"):
        jit(lambda x: (x.sum(), 2 * x)).bind(np.ones(3), out=out)


def test_outputs_that_are_no_numbers(way):
    f = jit(lambda x: {"a": x + 1, "name": "f", "none": None})
    assert f.bind(np.ones(2), out={"a": None, "name": "f", "none": None})()["name"] == "f"
    with refused("out differs", "'g'"):
        f.bind(np.ones(2), out={"a": None, "name": "g", "none": None})


def test_overlaps(way):
    memory, f = np.zeros(9), jit(lambda x, y: (x + y, x - y))
    x, y, a, b = memory[:3], np.ones(3), np.zeros(3), np.zeros(5)
    for out, words in [
        ((x, None), ["output 0 overlaps argument 0", "donate_argnums"]),
        ((None, memory[2:5]), ["output 1 overlaps argument 0"]),
        ((y, None), ["output 0 overlaps argument 1"]),
        ((a, a), ["output 1 overlaps output 0"]),
        ((b[:3], b[2:]), ["output 1 overlaps output 0"]),
    ]:
        with refused(*words):
            f.bind(x, y, out=out)
    assert same(f.bind(x, y, out=(memory[3:6], memory[6:]))(), f(x, y))
    assert same(f.bind(x, x)(), f(x, x))
    with refused("output 0 overlaps the array table|an array of a closure"):
        table = np.ones(3)
        jit(lambda x: x * table).bind(y, out=table)


# ------------------------------------------------------------------ inputs


@pytest.mark.parametrize(
    "x, words",
    [
        (np.zeros((3, 3))[:, 0], ["argument 0", "strides", "copy would not see"]),
        (np.zeros((3, 3)).T[:2], ["strides"]),
        (np.zeros(3, ">f8"), ["other byte order"]),
        (np.zeros(25, "u1")[1:].view("f8"), ["not aligned"]),
        (np.ma.zeros(3), ["MaskedArray"]),
        (np.array([1.0, None]), ["dtype object"]),
    ],
)
def test_inputs_that_would_be_copied(x, words, way):
    with refused(*words):
        jit(lambda x: 2 * x).bind(x)
    with refused(*words):
        jit(lambda p: 2 * p["x"]).bind({"x": x})


def test_read_only_inputs_are_read(way):
    assert list(jit(lambda x: x + 1).bind(readonly(3))()) == [1, 1, 1]


def test_arrays_outside_are_buffers_and_names_are_not(way):
    inside, scale = np.ones(3), 2.0
    f = jit(lambda x: scale * np.sum(inside * x))
    x = np.arange(3.0)
    g = f.bind(x)
    assert g() == 6
    inside[0], x[0] = 5, 1
    assert g() == 16 == f(x)
    inside, scale = np.zeros(3), 3.0
    assert g() == 16 and f(x) == 0


def test_arrays_outside_that_would_be_copied(way):
    gaps = np.ones((3, 2))[:, 0]
    with refused("strides"):
        jit(lambda x: gaps * x).bind(np.ones(3))


def test_arrays_whose_numbers_are_code(way):
    k = np.array([0, 2])
    f = jit(lambda x: x[k.tolist()[1]])
    with refused("numbers are part of its code", "setflags"):
        f.bind(np.arange(3.0))
    k.setflags(write=False)
    assert f.bind(np.arange(3.0))() == 2
    assert (
        may_change(np.zeros(3)[1:]) and not may_change(k[1:]) and may_change(k.view()[:]) is False
    )
    assert not may_change(np.frombuffer(b"12345678")) and may_change(np.frombuffer(bytearray(8)))


def test_functions_without_a_program(way):
    with refused("needs a program", "random numbers"):
        jit(lambda x: x + np.random.normal()).bind(1.0)
    with refused("needs a program", "missing 1 required"):
        jit(lambda x, y: x + y).bind(1.0)
    with refused("needs a program", "mismatch"):
        jit(lambda x, y: x @ y).bind(np.ones(3), np.ones(4))
    with pytest.raises(LitadError, match="tolist"):
        jit(lambda x: x if x.tolist() > 0 else -x).bind(np.float64(1.0))
    assert jit(lambda x: x if x > 0 else -x).bind(-1.0)() == 1.0
    with refused("differentiated or traced"):
        grad(lambda x: jit(lambda y: 2 * y).bind(x)())(1.0)
    with refused("for compiled functions"):
        jit(lambda x: x).bind(1.0).bind()


def test_calls_with_arguments(way):
    g, x = jit(lambda x: x + 1).bind(np.ones(2)), np.ones(2)
    for args, named in [((x,), {}), ((), {"x": x}), ((x, 1), {"y": 2})]:
        with refused("called with arguments", "fixed by bind", "instead|x"):
            g(*args, **named)
    assert list(g(*(), **{})) == [2, 2]


# ------------------------------------------------------------------ in place


def test_donated_arguments_move_on(way):
    f = jit(lambda w, r: {"w": w["w"] - r * w["w"]}, donate_argnums=0)
    w, r = {"w": np.ones((3, 4))}, np.array(0.5)
    g = f.bind(w, r)
    for k in range(1, 5):
        assert g()["w"] is w["w"] and np.all(w["w"] == 0.5**k)
    r[...] = 0
    g()
    assert np.all(w["w"] == 0.5**4)


def test_donated_arguments_whose_memory_code_cannot_use(way):
    "What the kernel computes apart still ends in the donated array, whatever the kernel is like."
    x, i = np.arange(4.0), np.array(1)
    g = jit(lambda x, i: x[::-1] + x[i], donate_argnums=0).bind(x, i)
    assert g() is x and list(x) == [4, 3, 2, 1]
    i[...] = 9
    with pytest.raises(IndexError, match="9 is out of bounds"):
        g()
    assert list(x) == [4, 3, 2, 1]
    x = np.arange(3.0)
    g = jit(lambda x: (np.sort(x)[::-1] + 0.0, x.sum()), donate_argnums=0).bind(x)
    assert g()[0] is x and list(x) == [2, 1, 0] and g()[1] == 3


def test_donated_arrays_that_nothing_replaces_stay(way):
    def f(x):
        y = x.copy()
        y[1] += 5
        return y.sum()

    x = np.arange(3.0)
    for g in (jit(f, donate_argnums=0).bind(x), compile_aot(f, x, donate_argnums=0).bind(x)):
        assert g() == 8 and g() == 8 and list(x) == [0, 1, 2]


def test_several_donated_arguments(way):
    def adam(p, m, g):
        m = 0.9 * m + 0.1 * g
        return p - 0.1 * m, m

    p, m, g = np.ones(40), np.zeros(40), np.ones(40)
    step, (q, n) = jit(adam, donate_argnums=(0, 1)).bind(p, m, g), (p.copy(), m.copy())
    for _ in range(5):
        q, n = adam(q, n, g)
        assert step()[0] is p and step.out[1] is m
        assert np.allclose(p, q, rtol=1e-14) and np.allclose(m, n, rtol=1e-14)


def test_arguments_that_are_written_to(way):
    def f(x, i):
        x[0] += 1
        x[i] = 5.0
        return np.sum(x)

    x, i = np.zeros(4), np.array(2)
    g = jit(f).bind(x, i)
    assert g() == 6 and list(x) == [1, 0, 5, 0]
    i[...] = 7
    with pytest.raises(IndexError, match="out of bounds"):
        g()
    assert list(x) == [1, 0, 5, 0] and g.out == 6
    i[...] = -1
    assert g() == 12 and list(x) == [2, 0, 5, 5]
    one = np.array(1.0)

    def count(x):
        x[...] = x + 1
        return 2 * x

    g = jit(count).bind(one)
    assert g() == 4 and one == 2 and g() == 6 and one == 3


def test_refusals_of_written_arguments(way):
    f = jit(lambda x, y: x + y, donate_argnums=0)
    a, b = np.ones(3), np.ones(3)
    with refused("write into argument 0", "read-only", "x.copy"):
        f.bind(readonly(3), b)
    with refused("argument 0 overlaps argument 1"):
        f.bind(a, a)
    with refused("output 0 lies in the memory of argument 0", "another array"):
        f.bind(a, b, out=np.zeros(3))
    assert f.bind(a, b, out=a)() is a
    w = jit(lambda x: x.__setitem__(0, 5.0))
    with refused("read-only"):
        w.bind(readonly(3))


def test_indices_out_of_bounds(way):
    t, k = np.arange(5.0), np.array(2)
    g = jit(lambda t, k: (t[k], 2 * t)).bind(t, k)
    assert g()[0] == 2
    k[...], t[0] = 5, 9
    for _ in range(3):
        with pytest.raises(IndexError, match="index 5 is out of bounds for axis 0 with size 5"):
            g()
    assert g.out[0] == 2 and g.out[1][0] == 0
    k[...] = -1
    assert g()[0] == 4 and g.out[1][0] == 18


# ------------------------------------------------------------------ ahead of time


@native
def test_what_was_compiled_before(tmp_path, way):
    f, x = value_and_grad(rosenbrock), np.array([1.2, 2.0])
    step = compile_aot(f, x, name="rosen")
    step.save(tmp_path / "rosen.litad")
    for made in (step, load_aot(tmp_path / "rosen.litad")):
        slope = np.zeros(2)
        g = made.bind(x, out=(None, slope))
        for _ in range(3):
            assert same(g(), jit(f)(x)) and g()[1] is slope
            x *= 0.7
        with refused("read-only"):
            made.bind(x, out=(None, readonly(2)))
        with refused("another structure"):
            made.bind(x, out=slope)
        with refused("overlaps argument 0"):
            made.bind(x, out=(None, x))
        with refused("strides"):
            made.bind(np.zeros(4)[::2])
        with refused("other byte order"):
            made.bind(np.zeros(2, ">f8"))
        with refused("not what this function was compiled for"):
            made.bind(np.zeros(3))


@native
def test_compiled_before_in_place_and_out_of_bounds(tmp_path, way):
    f = lambda s, d, k, n: {"y": s["y"] + d * s["y"][k], "k": k + n}  # noqa: E731
    s, d, k = {"y": np.arange(3.0)}, np.array(1.0), np.array(2)
    compile_aot(f, s, d, k, 4, donate_argnums=0, static_argnums=3).save(tmp_path / "f")
    g = load_aot(tmp_path / "f").bind(s, d, k, 4)
    assert g()["y"] is s["y"] and list(s["y"]) == [2, 3, 4] and g.out["k"] == 6
    k[...] = 3
    with pytest.raises(IndexError):
        g()
    assert list(s["y"]) == [2, 3, 4]
    g = load_aot(tmp_path / "f").bind(s, np.array(2.0), np.array(0), 4)
    assert list(g()["y"]) == [6, 7, 8]


@native
def test_compiled_before_with_constants(way):
    def made():
        table = np.arange(1000.0)
        return compile_aot(lambda x: np.sum(table * x), np.ones(1000))

    g = made().bind(x := np.ones(1000))
    gc.collect()
    assert g() == 499500
    x[:] = 2
    assert g() == 999000


@native
def test_from_the_disk_cache(tmp_path, way):
    code = """
        import numpy as np, sys
        from litad import jit, value_and_grad
        x = np.array([1.2, 2.0])
        rosenbrock = lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] * x[0]) ** 2
        f = jit(value_and_grad(rosenbrock), cache=sys.argv[1])
        g = f.bind(x)
        assert g()[0] == f(x)[0]
        x[0] = 1
        assert g()[0] == f(x)[0] == 100
    """
    for _ in range(2):
        command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), str(tmp_path / "c")]
        subprocess.run(command, check=True)


# ------------------------------------------------------------------ lifetime


def test_arrays_live_as_long_as_the_call(way):
    x, table = np.ones(50), np.ones(50)
    f = jit(lambda x, table: x * table)
    g = f.bind(x, table)
    held = [weakref.ref(a) for a in (x, table)]
    del x, table, f
    gc.collect()
    rubbish = [np.full(50, 7.0) for _ in range(100)]
    assert np.all(g() == 1) and len(rubbish) == 100
    with pytest.raises(ValueError, match="resize"):
        held[0]().resize(1000)
    result = g()
    del g
    gc.collect()
    assert [r() for r in held] == [None, None] and np.all(result == 1)


def test_cycles_are_collected(way):
    x = np.ones(3)
    g = jit(lambda x: [x + 1]).bind(x)
    g.out.append(g)
    gone = weakref.ref(x)
    g.me = g
    del x, g
    gc.collect()
    assert gone() is None


def test_bind_compiles_once_and_calls_never(monkeypatch, way):
    module = importlib.import_module("litad.jit")
    f, x = jit(lambda x: np.sin(x) + 1), np.ones(3)
    f(x)
    monkeypatch.setattr(module, "specialised", lambda *a: pytest.fail("compiled again"))
    g, h = f.bind(x), f.bind(np.zeros(3))
    assert list(h()) == [1, 1, 1] and same(g(), f(x)) and g() is not h()
    for _ in range(5):
        g()


def test_it_is_shown_and_not_pickled(way):
    g = jit(rosenbrock).bind(np.ones(2))
    assert repr(g) == "<compiled rosenbrock.bind(...)>" and g.__name__ == "rosenbrock.bind(...)"
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(g)


@native
def test_which_way_is_taken(way):
    g = jit(rosenbrock).bind(np.ones(2))
    assert isinstance(g, SlowCallable) == (way == "ctypes") and len(g._records) == (way == "fast")


def test_without_llvmlite():
    code = """
        import sys
        sys.modules["llvmlite"] = None
        import importlib.util
        find = importlib.util.find_spec
        absent = lambda name: name.startswith("llvmlite")
        importlib.util.find_spec = lambda name, *a: None if absent(name) else find(name, *a)
        import numpy as np
        from litad import jit, value_and_grad
        from litad.engine import available
        assert not available()
        x = np.array([1.2, 2.0])
        g = jit(value_and_grad(lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] * x[0]) ** 2)).bind(x)
        first = g()
        assert abs(first[0] - 31.4) < 1e-12
        x[:] = 1
        assert g() is first and first[0] == 0 and first[1].any() == False
        t, k = np.arange(5.0), np.array(9)
        h = jit(lambda t, k: t[k]).bind(t, k)
        try:
            h()
        except IndexError:
            k[...] = 1
        assert h() == 1
        d = jit(lambda w: w * 0.5, donate_argnums=0).bind(t)
        assert d() is t and t[4] == 2
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


# ------------------------------------------------------------------ threads


def long_function(x):
    return control.fori_loop(0, 3000, lambda k, y: np.cos(y) + 0.1 * np.sin(k * y), x)


def test_a_second_long_call_is_refused(way):
    x = np.linspace(0, 1, 2000)
    g = jit(long_function).bind(x)
    want, said, started = g().copy(), [], threading.Event()

    def work():
        started.set()
        attempt()

    def attempt():
        try:
            g()
        except LitadError as error:
            said.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    while thread.is_alive():
        attempt()
    thread.join()
    assert np.array_equal(g(), want)
    assert all("another call of it runs" in s and "each thread" in s for s in said)


def test_short_calls_from_many_threads(way):
    x = np.array([1.2, 2.0])
    f = jit(value_and_grad(rosenbrock))
    shared, wrong = f.bind(x), []

    def work(k):
        mine = np.array([1.0, 1.0 + k])
        own = f.bind(mine)
        for _ in range(2000):
            if own()[0] != 100.0 * k * k or shared()[0] != shared.out[0]:
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not wrong and same(shared(), f(x))


def test_shared_loops(way):
    x = np.linspace(0, 1, 600_000)
    f = jit(lambda x: (np.exp(np.sin(x)) * x, np.sum(np.cos(x) * x)), threads=2)
    g = f.bind(x)
    for _ in range(3):
        assert same(g(), f(x))
        x *= 0.9


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_in_the_middle_of_a_long_call(way):
    x = np.linspace(0, 1, 2000)
    g = jit(long_function).bind(x)
    want, going = g().copy(), True

    def work():
        while going:
            g()

    thread = threading.Thread(target=work)
    thread.start()
    codes = []
    for _ in range(5):
        child = os.fork()
        if not child:
            os._exit(0 if np.array_equal(g(), want) else 1)
        codes.append(os.waitpid(child, 0)[1])
    going = False
    thread.join()
    assert codes == [0] * 5


# ------------------------------------------------------------------ memory


def resident() -> int:
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


@native
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux")
def test_a_million_calls_do_not_grow():
    x, k = np.array([1.2, 2.0]), np.array(1)
    g, h = jit(value_and_grad(rosenbrock)).bind(x), jit(lambda x, k: [x[k], x]).bind(x, k)
    counts = [sys.getrefcount(y) for y in (g.out, h.out, *g.out, *h.out, x, k)]
    sizes = []
    for n in (10**5, 10**6):
        for call in (g, h):
            collections.deque(itertools.starmap(call, itertools.repeat((), n)), maxlen=0)
        sizes.append(resident())
    assert sizes[1] - sizes[0] < 200_000
    assert counts == [sys.getrefcount(y) for y in (g.out, h.out, *g.out, *h.out, x, k)]
    k[...] = 5
    for _ in range(1000):
        with pytest.raises(IndexError):
            h()
    assert counts == [sys.getrefcount(y) for y in (g.out, h.out, *g.out, *h.out, x, k)]


@native
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux")
def test_binding_again_and_again_does_not_grow():
    f, sizes = jit(lambda x: (np.sum(x * x), x + 1)), []
    for n in (300, 1000):
        for _ in range(n):
            f.bind(np.ones(1000))()
        sizes.append(resident())
    assert sizes[1] - sizes[0] < 1_000_000


@native
def test_the_text_holds_no_address():
    text = bound_text(Wiring(2, 2, (16,), (24, 8), True))
    assert text == bound_text(Wiring(2, 2, (16,), (24, 8), True)) and "inttoptr" not in text
    assert text.count("@llvm.memcpy") == 4 and "cmpxchg" in text and BUSY == 2**32 - 1
    assert "cmpxchg" not in bound_text(Wiring(1, 1)) and Mark(3).number == 3
    assert entry.RECORD["busy"] == 32
