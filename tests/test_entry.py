"""The call path: what entries accept, refuse, return and release."""

from __future__ import annotations

import collections
import copy
import gc
import inspect
import itertools
import os
import pickle
import random
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

from litad import LitadError, signature
from litad.callables import SlowCallable, make_callable
from litad.engine import Code, available, emit, join, resolve
from litad.entry import Record, entry_symbols, entry_text, install
from litad.signature import (
    CELL,
    MISSING,
    Array,
    Cell,
    Donated,
    Field,
    Item,
    List,
    Lookups,
    Named,
    Number,
    Signature,
    Static,
    Tuple,
    describe,
    fast_calls,
    inputs,
    leaves,
    offset_in_function,
)

pytestmark = pytest.mark.skipif(not available(), reason="needs llvmlite")

MEMORY = {"float64": "double", "float32": "float", "int64": "i64", "int32": "i32", "bool": "i8"}
MEMORY |= {"float": "double", "int": "i64", "bool_": "i8"}
POINT = collections.namedtuple("POINT", "x y")


def size(leaf) -> int:
    return int(np.prod(leaf.shape)) if isinstance(leaf, Array) else 1


def kind_of(leaf) -> str:
    return MEMORY[leaf.dtype if isinstance(leaf, Array) else leaf.kind]


def copying(signature: Signature, status: str = "0") -> str:
    """A kernel that copies its k-th input to its k-th output; a donated one is negated in place."""
    read, lines = inputs(signature), []
    for k, leaf in enumerate(leaves(signature.results)):
        if isinstance(leaf, Donated):
            lines += [
                f"  %d{k}p = getelementptr ptr, ptr %out, i64 {k}",
                f"  %d{k} = load ptr, ptr %d{k}p",
            ]
            for i in range(size(read[leaf.leaf])):
                name = f"%n{k}_{i}"
                lines += [
                    f"  {name}p = getelementptr double, ptr %d{k}, i64 {i}",
                    f"  {name}v = load double, ptr {name}p",
                    f"  {name}w = fneg double {name}v",
                    f"  store double {name}w, ptr {name}p",
                ]
            continue
        kind = kind_of(leaf)
        lines += [
            f"  %i{k}p = getelementptr ptr, ptr %in, i64 {k}",
            f"  %o{k}p = getelementptr ptr, ptr %out, i64 {k}",
            f"  %i{k} = load ptr, ptr %i{k}p",
            f"  %o{k} = load ptr, ptr %o{k}p",
        ]
        for i in range(size(leaf)):
            name = f"{k}_{i}"
            lines += [
                f"  %a{name} = getelementptr {kind}, ptr %i{k}, i64 {i}",
                f"  %b{name} = getelementptr {kind}, ptr %o{k}, i64 {i}",
                f"  %v{name} = load {kind}, ptr %a{name}",
                f"  store {kind} %v{name}, ptr %b{name}",
            ]
    body = "\n".join(lines)
    return f"define i32 @kernel(ptr %in, ptr %out, ptr %arena) {{\n{body}\n  ret i32 {status}\n}}\n"


def miss(*args, **named):
    return "miss", args, named


def compiled(signature, operands=(), kernel=None, failed=None, fallback=miss):
    kernel = kernel or copying(signature)
    if fast_calls():
        code = Code(join(kernel, entry_text(signature)), entry_symbols())
    else:
        code = Code(kernel)
    made = make_callable(fallback, {"__name__": "made", "__qualname__": "made"})
    install(made, Record(signature, code, operands, failed))
    return made


@pytest.fixture(params=["machine", "ctypes"], autouse=True)
def path(request, monkeypatch):
    """Every test runs on both call paths."""
    if request.param == "ctypes":
        monkeypatch.setattr(signature, "_by_ctypes", True)
    elif not fast_calls():
        pytest.skip("this interpreter goes through ctypes")
    return request.param


def echo(value, **more):
    """A callable compiled for a value, that returns it, made anew."""
    tree, operands = describe(value)
    signature = Signature((tree,), tree, **more)
    return compiled(signature, operands * 2)


def same(a, b) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return (
            a.dtype == b.dtype
            and a.shape == b.shape
            and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        )
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or (a != a and b != b)


VALUES = [
    1.5,
    -0.0,
    float("inf"),
    float("nan"),
    7,
    -(2**63),
    2**63 - 1,
    True,
    False,
    np.float64(2.5),
    np.float32(2.5),
    np.int64(-3),
    np.int32(4),
    np.True_,
    np.False_,
    np.arange(6.0).reshape(2, 3),
    np.arange(3, dtype="f4"),
    np.arange(4),
    np.arange(4, dtype="i4"),
    np.array([True, False]),
    np.array(3.0),
    np.zeros((0, 3)),
    np.zeros((2, 0, 3), "f4"),
    np.arange(6.0).reshape(1, 1, 2, 1, 3),
    (),
    [],
    {},
    (1.0, (2, [3.0, {"a": np.ones(2), 5: (np.float32(1),)}], True), {}),
    {"w": np.ones((2, 3)), "b": [np.zeros(3), 1.0]},
    POINT(1.0, np.ones(2)),
    (None, "text", 1.0),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_goes_in_comes_out(value):
    call = echo(value)
    result = call(value)
    assert same(result, value), result
    assert same(call(copy.deepcopy(value)), value)
    for leaf in [result] if isinstance(result, np.ndarray) else []:
        assert (
            leaf.flags.c_contiguous
            and leaf.flags.aligned
            and leaf.flags.writeable
            and leaf.flags.owndata
        )
        assert not np.shares_memory(leaf, value)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_every_other_type_is_a_miss(value):
    call = echo(value)
    tree = describe(value)[0]
    for other in VALUES:
        result = call(other)
        try:
            fits = describe(other)[0] == tree and type(other) is type(value)
        except LitadError:
            fits = False
        if not fits:
            assert result[0] == "miss" and result[1][0] is other


class Sub(np.ndarray):
    pass


class Real(float):
    pass


class Whole(int):
    pass


class Pair(tuple):
    pass


class Row(list):
    pass


class Table(dict):
    pass


class Text(str):
    pass


def strange_things() -> list:
    read_only = np.ones((2, 3))
    read_only.setflags(write=False)
    unaligned = np.frombuffer(b"\0" * 49, "u1")[1:].view("f8").reshape(2, 3)
    return [
        None,
        ...,
        NotImplemented,
        object(),
        type,
        np,
        miss,
        "x",
        b"x",
        "",
        1j,
        np.complex128(1),
        np.float16(1),
        np.uint8(1),
        np.str_("a"),
        Real(1.0),
        Whole(1),
        Pair((1.0,)),
        Row([1.0]),
        Table(a=1.0),
        Text("a"),
        2**63,
        -(2**63) - 1,
        10**30,
        np.datetime64("2020"),
        np.ones((2, 3)).view(Sub),
        np.ones((2, 3), order="F"),
        np.ones((3, 2)).T,
        np.ones((4, 6))[::2, ::2],
        np.ones((2, 3))[::-1],
        np.ones((2, 3), ">f8"),
        np.ones((2, 3), "f4"),
        np.ones((2, 3), "f2"),
        np.ones((2, 3), "c16"),
        np.ones((2, 3), object),
        np.ones((2, 3), "i8"),
        np.ones((2, 3), "u8"),
        np.ones((2, 3), "S3"),
        np.ones((2, 3), [("a", "f8")]),
        np.ma.ones((2, 3)),
        np.ones((2, 3)).view(np.recarray),
        unaligned,
        np.ones(6),
        np.ones((2, 3, 1)),
        np.ones((3, 2)),
        np.ones((2, 4)),
        np.ones((0, 3)),
        np.array(1.0),
        np.broadcast_to(1.0, (2, 3)),
        [1.0],
        (1.0,),
        {"a": 1.0},
        {1: 1.0},
        {"a": 1.0, "b": 2.0},
        {None: 1},
        set(),
        frozenset(),
        range(2),
        iter([]),
        (x for x in ()),
        memoryview(b"aaa"),
        [[]],
        [()],
        ((),),
        [None],
        (None,),
        {"a": None},
        [np.ones((2, 3))],
        (np.ones((2, 3)),),
        {"a": np.ones((2, 3))},
        POINT(1, 2),
        POINT(1.0, 2.0),
        float("nan"),
        sys.maxsize,
        -0.0,
        read_only,
        collections.OrderedDict(a=1.0),
        collections.defaultdict(float, a=1.0),
        slice(1),
        Exception(),
        lambda: 0,
    ]


def test_strange_arguments_reach_python():
    accepted = [
        np.ones((2, 3)),
        1.0,
        1,
        True,
        np.float64(1),
        (1.0,),
        [1.0],
        {"a": 1.0},
        {"a": np.ones((2, 3))},
        [np.ones((2, 3))],
        POINT(1.0, 2.0),
        "x",
    ]
    for value in accepted:
        call, fitting = echo(value), 0
        for thing in strange_things():
            result = call(thing)
            if isinstance(result, tuple) and len(result) == 3 and result[0] == "miss":
                assert (
                    result[1] == (thing,)
                    if isinstance(thing, (int, str))
                    else result[1][0] is thing
                )
            else:
                fitting += 1
                assert type(thing) is type(value)
        assert fitting < 6


def random_value(choose: random.Random, depth: int = 0):
    pick = choose.randrange(9 if depth < 3 else 6)
    if pick >= 6:
        items = [random_value(choose, depth + 1) for _ in range(choose.randrange(4))]
        return (
            tuple(items),
            items,
            {
                choose.choice(["a", "b", "c", 1, "long key"]) if k == 0 else f"k{k}": x
                for k, x in enumerate(items)
            },
        )[pick - 6]
    if pick == 5:
        return choose.choice(strange_things())
    if pick == 4:
        shape = tuple(choose.randrange(4) for _ in range(choose.randrange(4)))
        return np.ones(shape, choose.choice(["f8", "f4", "i8", "i4", "?"]))
    return choose.choice([1.0, 2, True, np.float64(3), np.float32(4)])


def test_fuzz():
    choose = random.Random(3)
    values = [random_value(choose) for _ in range(400)]
    compiled_for = []
    for value in values:
        try:
            tree, _ = describe(value)
        except LitadError:
            continue
        if len(compiled_for) < 40:
            compiled_for.append((tree, echo(value)))
    assert len(compiled_for) == 40
    for (tree, call), value in itertools.product(compiled_for, values):
        result = call(value)
        missed = (
            isinstance(result, tuple)
            and len(result) == 3
            and isinstance(result[0], str)
            and result[0] == "miss"
        )
        if not missed:
            assert describe(value)[0] == tree and same(result, value)


def test_number_of_arguments_and_names():
    call = compiled(
        Signature((Number("float"), Number("float")), Tuple((Number("float"), Number("float"))))
    )
    assert call(1.0, 2.0) == (1.0, 2.0)
    assert call() == ("miss", (), {})
    assert call(1.0) == ("miss", (1.0,), {})
    assert call(1.0, 2.0, 3.0) == ("miss", (1.0, 2.0, 3.0), {})
    assert call(1.0, y=2.0) == ("miss", (1.0,), {"y": 2.0})
    assert call(1.0, 2.0, z=None) == ("miss", (1.0, 2.0), {"z": None})
    assert call(*[1.0], **{"y": 2.0}) == ("miss", (1.0,), {"y": 2.0})
    assert call(*(1.0, 2.0), **{}) == (1.0, 2.0)


def test_an_array_with_a_descriptor_of_its_own():
    x = pickle.loads(pickle.dumps(np.arange(6.0).reshape(2, 3)))
    assert same(echo(np.ones((2, 3)))(x), np.arange(6.0).reshape(2, 3))
    y = np.arange(6.0).reshape(2, 3).astype(">f8")
    assert echo(np.ones((2, 3)))(y)[0] == "miss"
    z = np.ones((2, 3), np.dtype(">f8", metadata={"unit": "m"}))
    assert echo(np.ones((2, 3)))(z)[0] == "miss"
    w = np.ones((2, 3), np.dtype("f8", metadata={"unit": "m"}))
    assert same(echo(np.ones((2, 3)))(w), np.ones((2, 3)))


def test_no_arguments_and_constants():
    call = compiled(Signature((), Tuple((Static(), Tuple(())))), ["constant"])
    assert call() == ("constant", ())


def test_static_arguments():
    items = [[1], "ab" * 50, 12345678901234567890, 1.5, None, np]
    for item in items:
        call = compiled(Signature((Static(), Number("float")), Static()), [item, item])
        call = compiled(Signature((Number("float"), Static()), Number("float")), [item])
        assert call(2.0, item) == 2.0
        assert call(2.0, object())[0] == "miss"
    call = compiled(Signature((Number("float"), Static()), Number("float")), ["ab" * 50])
    assert call(2.0, "".join(["ab"] * 50)) == 2.0
    assert call(2.0, Text("ab" * 50))[0] == "miss"
    call = compiled(Signature((Number("float"), Static()), Number("float")), [1])
    assert call(2.0, 1) == 2.0 and call(2.0, True)[0] == "miss" and call(2.0, 1.0)[0] == "miss"
    call = compiled(Signature((Number("float"), Static()), Number("float")), [0.0])
    assert call(2.0, float("0")) == 2.0 and call(2.0, -0.0)[0] == "miss"


def test_keys_that_are_equal_but_not_the_same_and_other_orders():
    call = echo({"first key": 1.0, 70000: 2.0})
    key, number = "".join(["first", " ", "key"]), int("70000")
    assert call({key: 3.0, number: 4.0}) == {"first key": 3.0, 70000: 4.0}
    assert call({70000: 4.0, "first key": 3.0})[0] == "miss"
    assert call({"first key": 3.0, 70001: 4.0})[0] == "miss"
    values = {"gone": 0.0, "first key": 3.0, 70000: 4.0}
    del values["gone"]
    assert call(values) == {"first key": 3.0, 70000: 4.0}


class Nasty:
    def __init__(self, key):
        self.key = key

    def __hash__(self):
        return hash(self.key)

    def __eq__(self, other):
        raise AssertionError("code of a user was run")


def test_no_code_of_a_user_runs():
    call = echo({"a": 1.0, "b": 2.0})
    assert call({Nasty("a"): 1.0, Nasty("b"): 2.0})[0] == "miss"
    call = compiled(Signature((Static(),), Static()), [Nasty(1)] * 2)
    assert call(Nasty(1))[0] == "miss"


# guards


def a_function():
    factor = 2.0

    def inner(x):
        return factor * x

    def change(value):
        nonlocal factor
        factor = value

    return inner, change


def test_a_cell_is_guarded():
    inner, change = a_function()
    cell = inner.__closure__[0]
    signature = Signature((Number("float"),), Number("float"), guards=(Field(CELL),))
    call = compiled(signature, [cell, cell.cell_contents])
    assert call(1.0) == 1.0
    change(3.0)
    assert call(1.0)[0] == "miss"
    change(None)
    assert call(1.0)[0] == "miss"


def test_globals_are_guarded():
    table = {"scale": 2.0, "other": [1]}
    signature = Signature((Number("float"),), Number("float"), guards=(Lookups(3), Lookups(1)))
    second = {"x": 5}
    operands = [
        table,
        "scale",
        table["scale"],
        "other",
        table["other"],
        "absent",
        MISSING,
        second,
        "x",
        second["x"],
    ]
    call = compiled(signature, operands)
    for _ in range(3):
        assert call(1.0) == 1.0
    table["unrelated"] = 1
    assert call(1.0) == 1.0
    scale, table["scale"] = table["scale"], 3.0
    assert call(1.0)[0] == "miss"
    assert call(1.0)[0] == "miss"
    table["scale"] = scale
    assert call(1.0) == 1.0
    table["absent"] = None
    assert call(1.0)[0] == "miss"
    del table["absent"]
    assert call(1.0) == 1.0
    second["x"] = "new"
    assert call(1.0)[0] == "miss"
    second["x"] = 5
    assert call(1.0) == 1.0
    table.clear()
    assert call(1.0)[0] == "miss"


def test_guards_keep_their_objects():
    class Thing:
        pass

    thing = Thing()
    table = {"thing": thing}
    call = compiled(Signature((), Static(), guards=(Lookups(1),)), [table, "thing", thing, "yes"])
    alive = weakref.ref(thing)
    del thing, table["thing"]
    assert call()[0] == "miss" and alive() is not None
    del call
    gc.collect()
    assert alive() is None


def test_a_captured_array_is_an_input():
    x = np.arange(3.0)
    signature = Signature(
        (Number("float"),),
        Tuple((Number("float"), Array("float64", (3,)))),
        captured=(Array("float64", (3,)),),
    )
    call = compiled(signature, [x])
    assert same(call(1.0), (1.0, np.arange(3.0)))
    x += 1
    assert same(call(1.0), (1.0, np.arange(3.0) + 1))


# donation


def donating(**more):
    signature = Signature(
        (Array("float64", (4,), True), Array("float64", (4,))), Donated(0), **more
    )
    return compiled(signature)


def test_donated_arrays_are_returned_themselves():
    call, x = donating(), np.arange(4.0)
    count = sys.getrefcount(x)
    assert call(x, np.ones(4)) is x and x.tolist() == [0, -1, -2, -3]
    assert sys.getrefcount(x) == count
    result = call(x, np.ones(4))
    assert sys.getrefcount(x) == count + 1
    del result


def test_donated_arrays_that_overlap_others_are_a_miss():
    call, x = donating(), np.arange(8.0)
    assert call(x[:4], x[4:]) is not None and x.tolist() == [0, -1, -2, -3, 4, 5, 6, 7]
    assert call(x[4:], x[:4])[4 - 1 :] is not None
    y = x.copy()
    for a, b in [
        (x[:4], x[:4]),
        (x[:4], x[1:5]),
        (x[1:5], x[:4]),
        (x[3:7], x[:4]),
        (x[:4], x[3:7]),
    ]:
        assert call(a, b)[0] == "miss"
    assert np.array_equal(x, y)


def test_a_read_only_array_cannot_be_donated():
    x = np.ones(4)
    x.setflags(write=False)
    assert donating()(x, np.ones(4))[0] == "miss"
    assert isinstance(donating()(np.ones(4), x), np.ndarray)


# errors


@pytest.mark.parametrize("release", [False, True])
def test_a_kernel_that_reports_an_error(release):
    tree = Tuple((Number("float"), Array("float64", (3,))))
    signature = Signature((tree,), tree, arena=100, release_gil=release)

    def failed(status, *args):
        raise IndexError(f"error {status} for {len(args)}")

    call = compiled(signature, kernel=copying(signature, "7"), failed=failed)
    x = (1.0, np.zeros(3))
    for _ in range(100):
        with pytest.raises(IndexError, match="error 7 for 1"):
            call(x)
    count = sys.getrefcount(x[1])
    assert count == 2
    call = compiled(
        signature, kernel=copying(signature, "7"), failed=lambda status, *args: (status, args)
    )
    assert call(x) == (7, (x,))
    with pytest.raises(RuntimeError, match="error 7"):
        compiled(signature, kernel=copying(signature, "7"))(x)


def test_exceptions_of_the_fallback_pass():
    def stop(*args):
        raise KeyboardInterrupt

    call = compiled(Signature((Number("float"),), Number("float")), fallback=stop)
    assert call(1.0) == 1.0
    with pytest.raises(KeyboardInterrupt):
        call(1)


def test_a_failing_maker_of_named_results():
    def refuse(*items):
        raise ValueError("no")

    signature = Signature(
        (Tuple((Number("float"), Array("float64", (2,)))),),
        Tuple((Number("float"), Named((Array("float64", (2,)),)))),
    )
    call, x = compiled(signature, [refuse]), (1.0, np.ones(2))
    for _ in range(50):
        with pytest.raises(ValueError, match="no"):
            call(x)
    count = sys.getrefcount(x[1])
    assert count == 2


def test_an_array_too_large():
    signature = Signature(
        (Number("float"),), Tuple((Number("float"), Array("float64", (1 << 40, 1 << 10))))
    )
    call = compiled(
        signature, kernel="define i32 @kernel(ptr %in, ptr %out, ptr %arena) {\n  ret i32 0\n}\n"
    )
    with pytest.raises((MemoryError, ValueError)):
        call(1.0)


def test_wrong_records_are_refused():
    signature = Signature((Static(),), Number("float"))
    with pytest.raises(LitadError, match="operands"):
        Record(signature, Code("define void @entry() {\n  ret void\n}"), [])
    with pytest.raises(LitadError, match="exact types"):
        describe({1, 2})


# reference counts


@pytest.mark.parametrize("release", [False, True])
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_reference_counts(value, release):
    call = echo(value, arena=64, release_gil=release)
    things = [value, np.ndarray, np.dtype("f8"), np.dtype("f4"), float, tuple, miss]
    things += list(value) if isinstance(value, (tuple, list)) else []
    things += [*value.values(), *value] if isinstance(value, dict) else []
    call(value)
    before = [sys.getrefcount(x) for x in things]
    results = [call(value) for _ in range(300)]
    counts = (
        {sys.getrefcount(x) for x in results} if type(value) in (float, np.ndarray, list) else {3}
    )
    assert counts == {3}, "the list, the loop's name and the argument of getrefcount"
    results.clear()
    for _ in range(100):
        call(None), call(), call(value, value), call(value, a=1)
    after = [sys.getrefcount(x) for x in things]
    assert all(abs(a - b) < 50 for a, b in zip(after, before, strict=True)), (before, after)


# the object


def test_the_object_is_like_a_function():
    def plain(x, y=2):
        "Its documentation."
        return x, y

    attributes = {
        name: getattr(plain, name) for name in ("__name__", "__qualname__", "__doc__", "__module__")
    }
    call = make_callable(plain, attributes | {"__wrapped__": plain})
    assert (
        call.__name__ == "plain"
        and call.__doc__ == "Its documentation."
        and call.__module__ == __name__
    )
    assert str(inspect.signature(call)) == "(x, y=2)"
    assert callable(call) and "plain" in repr(call)
    call.note = 1
    assert call.note == 1 and "note" in vars(call)
    del call.note
    with pytest.raises(AttributeError):
        call.note  # noqa: B018
    assert copy.copy(call) is call and copy.deepcopy([call])[0] is call
    assert call(1) == (1, 2) and call(x=1, y=3) == (1, 3)
    assert len({call, call}) == 1 and call == call
    with pytest.raises(TypeError):
        call()


def test_the_class_makes_no_instances():
    kind = type(make_callable(miss))
    if kind is SlowCallable:
        return
    with pytest.raises(TypeError):
        kind()
    with pytest.raises(TypeError):
        object.__new__(kind)
    with pytest.raises(TypeError):
        type("Sub", (kind,), {})


def test_methods():
    class Model:
        scale = 3.0

        @staticmethod
        def plain(x):
            return x

        times = make_callable(lambda self, x: self.scale * x)
        static = staticmethod(make_callable(lambda x: -x))
        klass = classmethod(make_callable(lambda cls, x: cls.scale + x))

    model = Model()
    assert model.times(2.0) == 6.0 and Model.times(model, 2.0) == 6.0
    bound = model.times
    assert bound(1.0) == 3.0 and bound.__self__ is model
    assert Model.static(2.0) == -2.0 and model.klass(1.0) == 4.0


def test_polymorphic_calls_go_from_record_to_record():
    calls = []

    def fallback(*args):
        calls.append(args)
        return "miss"

    made = make_callable(fallback)
    kinds = [1.0, 1, True, np.float32(1), np.ones(2), np.ones(3), (1.0,), [1.0], {"a": 1.0}]
    for value in kinds:
        tree, operands = describe(value)
        signature = Signature((tree,), tree)
        text = (
            join(copying(signature), entry_text(signature)) if fast_calls() else copying(signature)
        )
        install(
            made,
            Record(signature, Code(text, entry_symbols() if fast_calls() else {}), operands * 2),
        )
    for value in kinds * 3:
        assert same(made(value), value)
    assert not calls and made("x") == "miss" and len(calls) == 1


def test_code_is_shared_and_records_are_not():
    signature = Signature((Static(), Number("float")), Static())
    text = "define i32 @kernel(ptr %in, ptr %out, ptr %arena) {\n  ret i32 0\n}\n"
    code = Code(join(text, entry_text(signature)), entry_symbols()) if fast_calls() else Code(text)
    made = [make_callable(miss) for _ in range(3)]
    for k, one in enumerate(made):
        install(one, Record(signature, code, [str(k), k * 1000]))
    assert [one(str(k), 1.0) for k, one in enumerate(made)] == [0, 1000, 2000]
    assert made[0]("1", 1.0)[0] == "miss"
    record = Record(signature, code, ["a", 1])
    install(made[0], record)
    with pytest.raises(LitadError, match="one object"):
        install(made[1], record)


def test_objects_are_freed():
    def cycle():
        made = echo(1.0)
        made.itself = made
        made._records.append(made)
        return weakref.ref(made), [
            weakref.ref(record) for record in made._records if isinstance(record, Record)
        ]

    made, records = cycle()
    gc.collect()
    assert made() is None and all(record() is None for record in records)
    called = []
    made = echo(1.0)
    reference = weakref.ref(made, called.append)
    del made
    gc.collect()
    assert called == [reference]


def test_a_fallback_that_refers_to_the_object_is_collected():
    def build():
        def fallback(x):
            return made, x

        made = make_callable(fallback)
        return weakref.ref(made)

    reference = build()
    gc.collect()
    assert reference() is None


def test_an_object_that_is_destroyed_while_it_runs():
    box = []

    def fallback(*args):
        box.clear()
        gc.collect()
        return "ran"

    box.append(compiled(Signature((Number("float"),), Number("float")), fallback=fallback))
    assert box[0](1.0) == 1.0 and box[0]("x") == "ran" and not box


def test_installing_while_it_runs():
    made = make_callable(lambda x: (install_one(), x)[1])

    def install_one():
        tree = Number("float")
        signature = Signature((tree,), tree)
        text = (
            join(copying(signature), entry_text(signature)) if fast_calls() else copying(signature)
        )
        install(made, Record(signature, Code(text, entry_symbols() if fast_calls() else {})))

    assert [made(2.0), made(3.0), made("x"), made(4.0)] == [2.0, 3.0, "x", 4.0]
    assert len(made._records) == 2


def test_endless_recursion_is_an_error():
    made = make_callable(lambda x: made(x))
    with pytest.raises(RecursionError):
        made("x")


EXIT = """
import sys, threading
import numpy as np
from litad.engine import Code, join
from litad.callables import *
from litad.entry import *
from litad.signature import *
text = "define i32 @kernel(ptr %in, ptr %out, ptr %arena) {\\n  ret i32 0\\n}\\n"
tree = Array("float64", (3,))
signature = Signature((tree,), tree, arena=64, release_gil=True)
class Late:
    def __del__(self):
        made(np.ones(3))
made = make_callable(lambda x: made)
install(made, Record(signature, Code(join(text, entry_text(signature)), entry_symbols())))
made.itself, sys.late, np.late = made, Late(), made
made.late = Late()
def work():
    while True:
        made(np.ones(3)), made(1)
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
import time; time.sleep(0.2)
print("end", flush=True)
"""


def test_the_end_of_the_process(path):
    if path == "ctypes":
        return
    for _ in range(3):
        ended = subprocess.run(
            [sys.executable, "-c", EXIT], capture_output=True, text=True, check=False, timeout=100
        )
        assert ended.returncode == 0 and ended.stdout == "end\n", ended


# arenas and threads

SCRATCH = """
define i32 @kernel(ptr %in, ptr %out, ptr %arena) {
  %p = load ptr, ptr %in
  %q = load ptr, ptr %out
  %number = ptrtoint ptr %arena to i64
  %rest = and i64 %number, 63
  %bad = icmp ne i64 %rest, 0
  br i1 %bad, label %error, label %fill
fill:
  %i = phi i64 [0, %0], [%ni, %fill]
  %from = getelementptr double, ptr %p, i64 %i
  %to = getelementptr double, ptr %arena, i64 %i
  %v = load double, ptr %from
  store volatile double %v, ptr %to
  %ni = add i64 %i, 1
  %ci = icmp slt i64 %ni, 20000
  br i1 %ci, label %fill, label %give
give:
  %j = phi i64 [0, %fill], [%nj, %give]
  %back = getelementptr double, ptr %arena, i64 %j
  %there = getelementptr double, ptr %q, i64 %j
  %w = load volatile double, ptr %back
  store double %w, ptr %there
  %nj = add i64 %j, 1
  %cj = icmp slt i64 %nj, 20000
  br i1 %cj, label %give, label %done
done:
  ret i32 0
error:
  ret i32 1
}
"""


@pytest.mark.parametrize("release", [False, True])
def test_arenas_are_not_shared_between_threads(release):
    tree = Array("float64", (20000,))
    call = compiled(
        Signature((List((tree,)),), tree, arena=160000, release_gil=release), kernel=SCRATCH
    )
    wrong, stop = [], threading.Event()

    def work(seed):
        x = np.full(20000, float(seed))
        for _ in range(150):
            if not np.array_equal(call([x]), x):
                wrong.append(seed)

    def collect():
        while not stop.is_set():
            gc.collect()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    extra = threading.Thread(target=collect)
    for thread in [*threads, extra]:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    extra.join()
    assert not wrong


def test_lists_that_are_emptied_meanwhile():
    tree = Array("float64", (20000,))
    call = compiled(
        Signature((List((tree,)),), tree, arena=160000, release_gil=True), kernel=SCRATCH
    )
    shared, wrong, stop = [None], [], threading.Event()

    def spoil():
        while not stop.is_set():
            shared[0] = np.full(20000, random.random())

    spoiler = threading.Thread(target=spoil)
    spoiler.start()
    for _ in range(400):
        result = call(shared)
        if isinstance(result, np.ndarray) and result.min() != result.max():
            wrong.append(result)
    stop.set()
    spoiler.join()
    assert not wrong


def test_installing_and_calling_from_threads():
    made, wrong = make_callable(miss), []
    tree = Number("float")
    signature = Signature((tree, Static()), tree)
    text = join(copying(signature), entry_text(signature)) if fast_calls() else copying(signature)
    code = Code(text, entry_symbols() if fast_calls() else {})

    def work(k):
        for n in range(40):
            install(made, Record(signature, code, [(k, n)]))
            for _ in range(20):
                if made(1.0, "other")[0] != "miss":
                    wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(made._records) == 160


FIRST = """
import threading
from litad.engine import Code, join
from litad.callables import *
from litad.entry import *
from litad.signature import *
text = "define i32 @kernel(ptr %in, ptr %out, ptr %arena) {\\n  ret i32 0\\n}\\n"
signature, right = Signature((Static(),), Static()), []
together = threading.Barrier(4)
def work():
    together.wait()
    for k in range(5):
        made = make_callable(lambda x: x)
        code = Code(join(text, entry_text(signature)), entry_symbols())
        install(made, Record(signature, code, ["in", "out"]))
        right.append(made("in") == "out" and made("other") == "other")
threads = [threading.Thread(target=work) for _ in range(4)]
[x.start() for x in threads], [x.join() for x in threads]
assert right == [True] * 20
"""


def test_threads_that_compile_first_at_the_same_time(path):
    if path == "ctypes":
        return
    command = [sys.executable, "-c", FIRST]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert ended.returncode == 0, ended


# memory


def resident() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")


@needs_proc
def test_a_million_calls_do_not_grow(path):
    value = {"w": np.ones((4, 5)), "rate": (1.0, np.float32(2), [3, True])}
    call = echo(value, arena=1000, release_gil=True)
    calls = 1_000_000 if path == "machine" else 5_000
    for _ in range(2000):
        call(value), call(None)
    gc.collect()
    before = resident()
    for _ in range(calls // 10):
        for _ in range(9):
            call(value)
        call(1)
    gc.collect()
    assert resident() - before < 2


@needs_proc
def test_a_thousand_compilations_do_not_grow(path):
    if path == "ctypes":
        return
    tree = Tuple((Number("float"), Array("float64", (3,))))
    signature = Signature((tree,), tree, arena=1_000_000)
    kernel, value = copying(signature), (1.0, np.ones(3))
    for k in range(1040):
        if k == 40:
            gc.collect()
            before = resident()
        assert compiled(signature, kernel=kernel)(value)[0] == 1.0
    gc.collect()
    assert resident() - before < 20, "megabytes for a thousand pieces of code"


# the engine


def test_unresolved_names_raise():
    with pytest.raises(LitadError, match="not_there_at_all"):
        Code(
            "declare void @not_there_at_all()\n"
            "define void @f() {\n  call void @not_there_at_all()\n  ret void\n}"
        )
    with pytest.raises(LitadError, match="nor_this"):
        Code("@nor_this = external global i8\ndefine ptr @f() {\n  ret ptr @nor_this\n}")
    with pytest.raises(LitadError, match="no_such_blas_"):
        resolve("no_such_blas_", {})
    with pytest.raises(LitadError, match="LLVM refused"):
        Code("define void @f() {\n  ret i32 0\n}")


def test_kernel_and_entry_may_be_emitted_apart():
    tree = Array("float64", (5,))
    signature = Signature((tree,), tree)
    parts = [emit(copying(signature)), emit(entry_text(signature), level=0, effort=0)]
    made = make_callable(miss)
    install(made, Record(signature, Code.from_objects(parts, entry_symbols())))
    assert same(made(np.arange(5.0)), np.arange(5.0)) and made(1)[0] == "miss"


def test_no_address_is_in_the_text():
    value = {"w": np.ones((4, 5)), "rate": (1.0, np.float32(2), [3, True, None])}
    tree, _ = describe(value)
    signature = Signature(
        (tree,), tree, guards=(Field(CELL), Lookups(3)), arena=10, release_gil=True
    )
    text = join(
        "define i32 @kernel(ptr %in, ptr %out, ptr %arena) {\n  ret i32 0\n}\n",
        entry_text(signature),
    )
    assert not [
        word
        for word in text.replace(",", " ").split()
        if word.isdigit() and len(word) > 9 and int(word) not in (2**63 - 1,)
    ]
    assert emit(text)[0] == emit(text)[0]


def test_matrix_products():
    text = """
declare void @dgemm_(ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr)
@n = private constant i8 78
@two = private constant i32 2
@one = private constant double 1.0
@nil = private constant double 0.0
define i32 @kernel(ptr %in, ptr %out, ptr %arena) {
  %a = load ptr, ptr %in
  %c = load ptr, ptr %out
  call void @dgemm_(ptr @n, ptr @n, ptr @two, ptr @two, ptr @two, ptr @one, ptr %a, ptr @two,
                    ptr %a, ptr @two, ptr @nil, ptr %c, ptr @two)
  ret i32 0
}
"""
    tree = Array("float64", (2, 2))
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert np.array_equal(compiled(Signature((tree,), tree), kernel=text)(x), x @ x)


def test_what_a_cell_and_a_dictionary_hold_is_read_at_every_call():
    w, space = np.ones(3), {"k": [np.zeros(2), 1.5], "other": 1}
    cell = (lambda: w).__closure__[0]
    tree = List((Array("float64", (2,)), Number("float")))
    specs = (Cell((Array("float64", (3,)),)), Item((tree,)))
    results = Tuple((Array("float64", (3,)), Array("float64", (2,)), Number("float")))
    call = compiled(Signature((), results, specs), [cell, space, "k"])
    for new in (w, np.arange(3.0), np.full(3, 7.0)):
        w = new
        assert same(call()[0], w)
        space["k"] = [np.full(2, w[1]), float(w[2])]
        assert same(call()[1], space["k"][0]) and call()[2] == w[2]
    space["k"][0] = np.full(2, 9.0)
    assert same(call()[1], np.full(2, 9.0))
    for change in (
        lambda: space.pop("k"),
        lambda: space.update(k=3),
        lambda: space.update(k=[1, 2, 3]),
    ):
        change()
        assert call()[0] == "miss"
    space["k"] = [np.zeros(2), 1.5]
    assert same(call()[0], w)
    w = np.ones(4)
    assert call()[0] == "miss"
    del cell.cell_contents
    assert call()[0] == "miss"


def test_attributes_and_code_are_guarded():
    class Thing:
        pass

    thing = Thing()
    thing.k = "one"
    one = thing.k
    number = Number("float")
    guards = (Lookups(1), Field(offset_in_function("__code__")))
    f = lambda: 1  # noqa: E731
    call = compiled(
        Signature((number,), number, (), guards), [thing.__dict__, "k", one, f, f.__code__]
    )
    assert call(2.0) == 2.0
    for k in range(50):
        thing.k = k
        assert call(2.0)[0] == "miss"
    thing.k = one
    assert call(2.0) == 2.0
    f.__code__ = (lambda: 2).__code__
    assert call(2.0)[0] == "miss"


@pytest.mark.parametrize("release_gil", [False, True])
def test_results_that_are_copied_back(release_gil):
    """A kernel that may fail writes apart; what it has written arrives only if it succeeds."""
    tree, number = Array("float64", (3,), donated=True), Number("int")
    kernel = """
define i32 @kernel(ptr %in, ptr %out, ptr %arena) {
  %outb = getelementptr ptr, ptr %out, i64 1
  %a = load ptr, ptr %out
  %b = load ptr, ptr %outb
  store double 7.0, ptr %a
  store double 8.0, ptr %b
  %b1 = getelementptr double, ptr %b, i64 1
  store double 9.0, ptr %b1
  %b2 = getelementptr double, ptr %b, i64 2
  store double 9.0, ptr %b2
  %ins = getelementptr ptr, ptr %in, i64 1
  %ps = load ptr, ptr %ins
  %s = load i64, ptr %ps
  %status = trunc i64 %s to i32
  ret i32 %status
}
"""
    results = Tuple((Array("float64", (1,)), Donated(0, copied=True), Static()))
    signature = Signature((tree, number), results, release_gil=release_gil)
    failed = lambda status, x, k: ("failed", status)  # noqa: E731
    call = compiled(signature, ["end"], kernel, failed)
    x = np.arange(3.0)
    assert call(x, 2) == ("failed", 2) and same(x, np.arange(3.0))
    first, second, last = call(x, 0)
    assert same(first, np.array([7.0])) and second is x and last == "end"
    assert same(x, np.array([8.0, 9.0, 9.0]))
    x.setflags(write=False)
    assert call(x, 0)[0] == "miss"
    count = sys.getrefcount(x)
    y = np.arange(3.0)
    before = sys.getrefcount(y)
    for _ in range(100):
        call(y, 0), call(y, 3)
    assert sys.getrefcount(y) == before and sys.getrefcount(x) == count
