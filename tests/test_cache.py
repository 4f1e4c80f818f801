"""The disk cache of jit: keys, damaged entries, folders not to be trusted, processes at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from litad import jit, trace, value_and_grad
from litad.artefacts import Artefact, pack, unpack, write_whole
from litad.cache import (
    SIZE_VARIABLE,
    VARIABLE,
    Folder,
    Stored,
    folder_asked_for,
    folder_at,
    key_of,
)
from litad.core import Primitive
from litad.jit import plan_of

POSIX = pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
NOT_ROOT = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() == 0, reason="nothing is read-only for root"
)
ROOT_ONLY = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give files away"
)
NOBODY = 65534
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path / "cache"


def forget():
    "As a new process would: what was compiled is not known any more."
    plan_of.__globals__["_plans"].clear()
    folder_at.cache_clear()


def found_in(f, *args):
    "The kinds of specialisation behind a compiled function."
    from litad.jit import Call

    call = Call(f.compiler, args, {})
    return type(call.found()[1])


def entries(folder):
    return sorted(folder.glob("*.litad"), key=lambda p: p.stat().st_size)


def loss(w, x):
    return np.mean(np.tanh(x @ w) ** 2) * 0.5


ARGS = np.linspace(-1, 1, 7), np.linspace(0, 3, 28).reshape(4, 7)


def compiled(folder, f=loss, args=ARGS):
    forget()
    made = jit(value_and_grad(f), cache=folder)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        result = made(*args)
    return result, found_in(made, *args), [str(x.message) for x in seen]


def same(a, b):
    return a[0] == b[0] and np.array_equal(a[1], b[1])


# ------------------------------------------------------------------ hits and misses


def test_a_second_process_finds_what_the_first_has_compiled(folder):
    first, kind, _ = compiled(folder)
    assert kind is not Stored and entries(folder)
    second, kind, said = compiled(folder)
    assert kind is Stored and same(first, second) and not said
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700 or os.name != "posix"


def test_nothing_is_kept_unless_asked_for(folder, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    jit(loss)(*ARGS)
    assert not folder.exists()
    monkeypatch.setenv(VARIABLE, str(folder))
    jit(loss, cache=False)(*ARGS)
    assert not folder.exists()
    forget()
    jit(loss)(*ARGS)
    assert entries(folder)


@pytest.mark.parametrize("value", ["0", "off", "", "false"])
def test_the_variable_can_say_no(monkeypatch, value):
    monkeypatch.setenv(VARIABLE, value)
    assert folder_asked_for(None) == ""


def test_the_usual_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(VARIABLE, "1")
    assert folder_asked_for(None) == folder_asked_for(True) == str(tmp_path / "litad")
    assert folder_asked_for(tmp_path / "x") == str(tmp_path / "x") and folder_asked_for(False) == ""


def test_a_hit_compiles_nothing(folder, monkeypatch):
    want = compiled(folder)[0]
    for name in ("litad.cache.emit", "litad.pieces.emit", "litad.pieces.lower"):
        monkeypatch.setattr(name, lambda *a, **k: pytest.fail("compiled"))
    got, kind, _ = compiled(folder)
    assert kind is Stored and same(want, got)


def update(p, g, i):
    p -= 0.1 * g
    p[i] = 5.0
    return np.sum(p)


@pytest.mark.parametrize("f", [update, lambda p, g, i: (p - g, p[i])], ids=["written", "donated"])
def test_a_hit_of_a_function_that_writes_compiles_nothing(folder, monkeypatch, f):
    results = []
    for turn in range(2):
        forget()
        if turn:
            for name in ("litad.cache.emit", "litad.pieces.emit", "litad.pieces.lower"):
                monkeypatch.setattr(name, lambda *a, **k: pytest.fail("compiled"))
        made = jit(f, cache=folder, donate_argnums=0)
        for _ in range(2):
            p = np.ones(300)
            results.append((made(p, np.arange(300.0), np.int64(7)), p))
        before = np.ones(300)
        with pytest.raises(IndexError):
            made(before, np.arange(300.0), np.int64(700))
        assert f is not update or np.array_equal(before, np.ones(300))
    for one, two in zip(results[:2], results[2:]):
        assert str(one) == str(two)


def test_a_changed_function_is_another(folder):
    compiled(folder)
    count = len(entries(folder))
    changed = lambda w, x: np.mean(np.tanh(x @ w) ** 2) * 0.25  # noqa: E731
    got, kind, _ = compiled(folder, changed)
    assert kind is not Stored and len(entries(folder)) == count + 1
    assert np.isclose(got[0], changed(*ARGS))
    assert compiled(folder)[1] is Stored


def test_changed_constants_are_others(folder):
    tables = [np.linspace(0, 1, 7), np.linspace(0, 1, 7)]
    tables[1][3] = np.nextafter(tables[1][3], 2)
    kept = []
    for table in [*tables, tables[0]]:
        got, kind, _ = compiled(folder, lambda w, x, t=table: np.sum(w * t) + 0 * x[0, 0])
        assert np.isclose(got[0], np.sum(ARGS[0] * table))
        kept.append(kind)
    assert kept[-1] is Stored


def test_keys_tell_programs_apart():
    x = np.ones(3)
    programs = [
        lambda x: x + 1,
        lambda x: x + 1.0000000000000002,
        lambda x: x + np.float32(1),
        lambda x: x - 1,
        lambda x: x[::-1],
        lambda x: x[:2],
        lambda x: np.sum(x),
        lambda x: np.sum(x, keepdims=True),
        lambda x: np.where(x > 0, x, 0.0),
        lambda x: np.where(x > 0, x, -0.0),
        lambda x: x * np.array([1.0, 2.0, 3.0]),
        lambda x: x * np.array([1.0, 2.0, 4.0]),
    ]
    keys = [key_of(trace(f, x)) for f in programs]
    assert len(set(keys)) == len(keys) and None not in keys
    assert keys == [key_of(trace(f, x)) for f in programs]
    assert key_of(trace(programs[0], x.astype("f4"))) not in keys
    assert key_of(trace(programs[0], x), True) not in keys


def test_keys_look_into_loops():
    from litad import fori_loop

    def program(n, c):
        return trace(lambda x: fori_loop(0, n, lambda i, s: s * c, x), np.ones(3))

    keys = {key_of(program(n, c)) for n, c in [(3, 1.5), (4, 1.5), (3, 1.25)]}
    assert len(keys) == 3 and None not in keys and key_of(program(3, 1.5)) in keys


CONVOLUTIONS = [
    {},
    {"stride": 2},
    {"padding": 1},
    {"padding": ((1, 0), (0, 1))},
    {"padding": ((0, 1), (1, 0))},
    {"dilation": 2},
    {"stride": (1, 2)},
    {"stride": (2, 1)},
    {"groups": 2},
]


def test_convolutions_that_differ_in_a_number_are_kept_apart(folder):
    from litad.convolution import conv2d

    random = np.random.default_rng(0)
    x, k = random.normal(size=(2, 4, 7, 7)), random.normal(size=(4, 4, 3, 3))
    for kinds in ({False}, {True}):
        for how in CONVOLUTIONS:
            kernel = k[:, : 4 // how.get("groups", 1)]
            f = lambda k, x, how=how: np.sum(np.sin(conv2d(x, k, **how)))  # noqa: E731
            (value, slope), kind, _ = compiled(folder, f, (kernel, x))
            want = value_and_grad(f)(kernel, x)
            assert np.isclose(value, want[0]) and np.allclose(slope, want[1]), how
            assert (kind is Stored) in kinds, how
    faces = [trace(lambda k, x, h=how: conv2d(x, k, **h), k, x) for how in CONVOLUTIONS[:-1]]
    keys = {key_of(program) for program in faces}
    assert len(keys) == len(faces) and None not in keys


def test_pools_that_differ_in_a_number_are_kept_apart(folder):
    from litad.convolution import avg_pool2d, max_pool2d

    x = np.random.default_rng(0).normal(size=(2, 3, 8, 8))
    choices = [(pool, w, s) for pool in (max_pool2d, avg_pool2d) for w in (2, 3) for s in (2, 3)]
    for stored in (False, True):
        for pool, window, stride in choices:
            f = lambda x, p=pool, w=window, s=stride: np.sum(p(x, w, stride=s) ** 2)  # noqa: E731
            (value, slope), kind, _ = compiled(folder, f, (x,))
            want = value_and_grad(f)(x)
            assert np.isclose(value, want[0]) and np.allclose(slope, want[1])
            assert (kind is Stored) is stored


class Scaled(Primitive):
    """An operation that keeps a number of its own in a slot."""

    __slots__ = ("factor",)

    def __init__(self, factor):
        self.factor = factor
        super().__init__("scaled", np.negative, "linear", (None,), (None,))


def test_what_an_operation_keeps_in_slots_is_in_the_key(monkeypatch):
    from litad.core import bind

    keys = lambda: [key_of(trace(lambda x, p=p: bind(p, x), np.ones(3))) for p in both]  # noqa: E731
    both = Scaled(2.0), Scaled(3.0)
    assert keys() == [None, None]  # a class of the user's
    monkeypatch.setattr(Scaled, "__module__", "litad.somewhere")
    assert None not in keys() and len(set(keys())) == 2
    both = Scaled(2.0), Scaled(2.0)
    assert len(set(keys())) == 1
    both = Scaled(object()), Scaled(3.0)
    assert keys()[0] is None and keys()[1]


def test_what_a_function_has_closed_over_is_in_the_key():
    from litad.cache import NoKey, function_name

    def made_with(n, home="litad.somewhere"):
        f = lambda x: x * n  # noqa: E731
        f.__module__ = home
        return f

    assert function_name(made_with(2)) == function_name(made_with(2))
    assert function_name(made_with(2)) != function_name(made_with(3))
    assert function_name(made_with(np.sin)) != function_name(made_with(np.cos))
    for f in (made_with(object()), made_with(2, "elsewhere"), np.frompyfunc(abs, 1, 1)):
        with pytest.raises(NoKey):
            function_name(f)


def test_a_function_of_the_users_has_no_key():
    from litad import primitive

    try:
        own = primitive(lambda x: np.asarray(x) ** 3, lambda t, x: 3 * x**2 * t)
        program = trace(lambda x: own(x), np.ones(3))
    except TypeError:
        pytest.skip("primitives are written otherwise")
    assert key_of(program) is None


def test_big_constants_are_not_stored_twice(folder):
    table = np.random.default_rng(0).normal(size=200_000)
    f = lambda w, x: np.sum(w[0] * table) + np.sum(x)  # noqa: E731
    want = compiled(folder, lambda w, x, t=table: np.sum(w[0] * t) + np.sum(x))[0]
    got, kind, _ = compiled(folder, lambda w, x, t=table: np.sum(w[0] * t) + np.sum(x))
    assert kind is Stored and same(want, got) and np.isclose(got[0], f(*ARGS))
    assert sum(p.stat().st_size for p in entries(folder)) < table.nbytes


def test_results_in_containers_statics_and_stores(folder):
    def f(p, flag):
        p["a"][1:] *= 2
        return {"s": p["a"] + p["b"], "flag": flag, "none": None}, [np.sum(p["b"]), 1.5]

    results = []
    for _ in range(2):
        forget()
        made = jit(f, cache=folder)
        p = {"a": np.ones(40), "b": np.arange(40.0)}
        results.append((made(p, "text"), made(p, "text"), p["a"].copy()))
    assert found_in(made, p, "text") is Stored
    for one, two in zip(results[0], results[1]):
        assert str(one) == str(two)


def test_derivatives_and_errors_of_a_stored_function(folder):
    f = lambda x, i: x[i] ** 2  # noqa: E731
    for _ in range(2):
        forget()
        made = jit(f, cache=folder)
        assert made(np.arange(5.0), np.int64(3)) == 9
        with pytest.raises(IndexError):
            made(np.arange(5.0), np.int64(9))
        from litad import grad

        assert grad(lambda x, made=made: made(x, np.int64(2)))(np.arange(5.0))[2] == 4


def test_explain_reads_a_stored_function(folder):
    from litad import explain

    compiled(folder)
    forget()
    made = jit(value_and_grad(loss), cache=folder)
    made(*ARGS)
    shown = explain(made, *ARGS)
    assert "define" in shown.kernel and len(shown.optimised) <= len(shown.program)


# ------------------------------------------------------------------ damage


def largest(folder):
    return entries(folder)[-1]


DAMAGE = {
    "empty": lambda d: b"",
    "cut off": lambda d: d[: len(d) // 2],
    "a bit": lambda d: d[:-50] + bytes([d[-50] ^ 4]) + d[-49:],
    "foreign": lambda d: b"\x7fELF" + d,
    "other format": lambda d: d.replace(b"format 1", b"format 9"),
    "noise": lambda d: os.urandom(len(d)),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_entry_is_compiled_again(folder, name):
    want = compiled(folder)[0]
    for path in entries(folder):
        path.write_bytes(DAMAGE[name](path.read_bytes()))
    got, kind, said = compiled(folder)
    assert kind is not Stored and same(want, got) and len(said) == 1
    got, kind, said = compiled(folder)
    assert kind is Stored and same(want, got) and not said


def test_an_exchanged_entry_is_not_run(folder):
    other = lambda w, x: np.mean(np.tanh(x @ w) ** 2) * 99.0  # noqa: E731
    want = compiled(folder)[0]
    mine = set(entries(folder))
    compiled(folder, other)
    (theirs,) = set(entries(folder)) - mine
    mine = largest(folder) if largest(folder) != theirs else entries(folder)[-2]
    mine.write_bytes(theirs.read_bytes())
    got, kind, said = compiled(folder)
    assert kind is not Stored and same(want, got) and "another's entry" in said[0]


def test_an_entry_with_other_types_is_not_run(folder):
    want = compiled(folder)[0]
    path = largest(folder)
    found = unpack(path.read_bytes())
    for change in (
        {"types": [["f64[9]"], []]},
        {"constants": ["f64[3]"]},
        {"code": {}},
        {"from": 3},
    ):
        path.write_bytes(pack(Artefact(found.header | change, found.sections)))
        got, kind, said = compiled(folder)
        assert kind is not Stored and same(want, got) and said


@POSIX
def test_a_link_is_not_followed(folder, tmp_path):
    want = compiled(folder)[0]
    path = largest(folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    got, kind, said = compiled(folder)
    assert kind is not Stored and same(want, got) and "link" in said[0]
    assert elsewhere.read_bytes() == before and not path.is_symlink()


@POSIX
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_is_not_read(folder, make):
    want = compiled(folder)[0]
    path = largest(folder)
    path.unlink()
    make(path)
    got, kind, said = compiled(folder)
    assert kind is not Stored and same(want, got) and len(said) == 1


@POSIX
def test_a_link_to_a_folder_is_as_good_as_the_folder(folder, tmp_path):
    want = compiled(folder)[0]
    link = tmp_path / "link"
    link.symlink_to(folder)
    got, kind, said = compiled(link)
    assert kind is Stored and same(want, got) and not said
    folder.chmod(0o777)
    got, kind, said = compiled(link)
    assert kind is not Stored and same(want, got) and "alone" in said[0]
    link.unlink()
    link.symlink_to(tmp_path / "nowhere")
    assert len(compiled(link)[2]) == 1 and not (tmp_path / "nowhere").exists()


@ROOT_ONLY
@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_belongs_to_somebody_else_is_not_used(folder, what):
    want = compiled(folder)[0]
    for path in [folder] if what == "folder" else entries(folder):
        os.chown(path, NOBODY, NOBODY)
    got, kind, said = compiled(folder)
    assert kind is not Stored and same(want, got) and "this user's" in said[0]


def without_rights():
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def as_child(work, before=lambda: None):
    "What a child reports."
    end, begin = os.pipe()
    child = os.fork()
    if not child:
        try:
            before()
            os.write(begin, repr(work()).encode())
        finally:
            os._exit(0)
    os.close(begin)
    os.waitpid(child, 0)
    with open(end, "rb") as pipe:
        return pipe.read().decode()


@ROOT_ONLY
def test_folders_of_a_user_without_rights():
    want = value_and_grad(loss)(*ARGS)

    def work():
        seen = []
        for mode, keep in [(0o700, True), (0o500, True), (0o500, False), (0o000, False)]:
            mine.chmod(0o700)
            for path in [] if keep else entries(mine):
                path.unlink()
            mine.chmod(mode)
            got, kind, said = compiled(mine)
            seen.append((kind is Stored, len(said), bool(np.allclose(got[1], want[1]))))
        return seen

    compiled("")
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        mine = Path(place) / "mine"
        mine.mkdir()
        os.chown(mine, NOBODY, NOBODY)
        first, hit, *rest = eval(as_child(work, without_rights))
    assert first == (False, 0, True) and hit == (True, 0, True)
    assert rest == [(False, 1, True)] * 2


@POSIX
def test_a_folder_that_others_can_write_is_not_used(folder):
    want = compiled(folder)[0]
    folder.chmod(0o777)
    got, kind, said = compiled(folder)
    assert kind is not Stored and same(want, got) and "not this user's alone" in said[0]
    folder.chmod(0o700)
    largest(folder).chmod(0o666)
    got, kind, said = compiled(folder)
    assert kind is not Stored and same(want, got)


def test_a_file_in_place_of_the_folder(folder):
    folder.write_text("not a folder")
    got, kind, said = compiled(folder)
    assert np.isfinite(got[0]) and len(said) == 1 and folder.read_text() == "not a folder"


@NOT_ROOT
def test_a_read_only_folder_costs_one_warning(folder):
    folder.mkdir(mode=0o700)
    folder.chmod(0o500)
    got, kind, said = compiled(folder)
    assert np.isfinite(got[0]) and len(said) == 1
    folder.chmod(0o700)


@pytest.mark.parametrize("error", [28, 30, 13], ids=["full", "read-only", "forbidden"])
def test_a_disk_that_cannot_be_written_costs_one_warning(folder, monkeypatch, error):
    def fail(*args):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr("litad.cache.write_whole", fail)
    forget()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for k in range(3):
            assert jit(lambda x, k=k: x + k, cache=folder)(1.0) == 1.0 + k
    assert len(seen) == 1 and not entries(folder)


@POSIX
def test_a_full_disk_leaves_no_part(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        write_whole(tmp_path / "x", b"data")
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------ size


def test_the_folder_stays_small(folder, monkeypatch):
    monkeypatch.setenv(SIZE_VARIABLE, "50000")
    forget()
    for k in range(12):
        jit(lambda x, k=k: np.sum(np.sin(x) * k), cache=folder)(np.ones(1000 + k))
    assert 0 < sum(p.stat().st_size for p in entries(folder)) <= 50000


def test_what_was_used_last_stays(tmp_path):
    folder = Folder(tmp_path / "c", 2500)
    for k in range(3):
        folder.put(f"{k:064}", Artefact({}, {"kernel": bytes(300)}))
        os.utime(folder.file(f"{k:064}"), (1000 + k, 1000 + k))
    size = folder.file(f"{0:064}").stat().st_size
    folder.limit = 3 * size
    assert folder.get(f"{0:064}")
    folder.put("a" * 64, Artefact({}, {"kernel": bytes(300)}))
    left = {p.stem for p in folder.path.glob("*.litad")}
    assert f"{0:064}" in left and f"{1:064}" not in left


def test_leftovers_are_removed(tmp_path):
    folder = Folder(tmp_path)
    os.chmod(tmp_path, 0o700)
    old, new = tmp_path / ".x.litad.1.part", tmp_path / ".y.litad.2.part"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    folder.put("a" * 64, Artefact({}, {}))
    assert not old.exists() and new.exists()


# ------------------------------------------------------------------ at once

PROGRAM = """
import sys, numpy as np
from litad import jit, value_and_grad
def f(w, k): return np.sum(np.tanh(w) ** 2) * k
got = [jit(value_and_grad(lambda w, k=k: f(w, k)))(np.ones(5))[0] for k in (1.0, 2.0, 3.0, 4.0)]
print(got)
"""


def test_processes_write_one_entry_at_once(folder):
    environment = os.environ | {VARIABLE: str(folder), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    runs = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    done = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0] * 4, b"".join([e for _, e in done]).decode()
    assert len({out for out, _ in done}) == 1
    for path in entries(folder):
        assert unpack(path.read_bytes()).header["key"] == path.stem
    assert not list(folder.glob(".*.part"))


def test_threads_share_a_folder(folder):
    forget()
    results = [None] * 8

    def work(k):
        f = jit(lambda x: np.sum(np.cos(x)) * (k % 2 + 1), cache=folder)
        results[k] = f(np.ones(4 + k % 3))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    want = [np.sum(np.cos(np.ones(4 + k % 3))) * (k % 2 + 1) for k in range(8)]
    assert np.allclose(results, want, rtol=1e-14)


def in_a_child(folder, queue):
    forget()
    f = jit(value_and_grad(loss), cache=folder)
    queue.put((f(*ARGS)[0], found_in(f, *ARGS) is Stored))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_reads_and_writes(folder):
    want = compiled(folder)[0]
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [context.Process(target=in_a_child, args=(folder, queue)) for _ in range(2)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        [c.start() for c in children]
    got = [queue.get(timeout=60) for _ in children]
    [c.join() for c in children]
    assert got == [(want[0], True)] * 2


KILLED = """
import os, sys, time
from pathlib import Path
from litad import artefacts
from litad.cache import Folder
def slow(fd):
    print("writing", flush=True)
    time.sleep(60)
os.fsync = slow
Folder(sys.argv[1]).put("a" * 64, artefacts.Artefact({}, {"kernel": b"x" * 100000}))
"""


MANY = """
import random, sys
import numpy as np
from litad import jit, value_and_grad
order, x = list(range(5)), np.linspace(-1, 1, 9)
random.Random(int(sys.argv[2])).shuffle(order)
print("begun", flush=True)
for k in order:
    f = lambda x, w=k + 1.5: np.sum(np.sin(x * w))
    value, slope = jit(value_and_grad(f), cache=sys.argv[1])(x)
    assert np.allclose(slope, np.cos(x * (k + 1.5)) * (k + 1.5)), k
"""


@POSIX
def test_processes_killed_at_any_moment_do_no_harm(folder):
    command = [sys.executable, "-W", "error", "-c", MANY, str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    start = lambda k: subprocess.Popen(  # noqa: E731
        [*command, str(k)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    victims, others = [start(k) for k in range(2)], [start(2)]
    for k, run in enumerate(victims):
        run.stdout.readline()
        time.sleep(0.05 + 0.1 * k)
        run.kill()
    done = [run.communicate()[1] for run in [*victims, *others]][2:]
    assert [run.returncode for run in others] == [0] * len(others), done
    for path in entries(folder):
        assert unpack(path.read_bytes()).header["key"] == path.stem


def limited(folder):
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    got, kind, said = compiled(folder)
    left = os.listdir(folder)
    return kind is Stored, len(said), left, bool(np.isfinite(got[0]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_file_that_may_not_grow_leaves_nothing(folder):
    compiled("")
    found = as_child(lambda: limited(folder))
    assert eval(found) == (False, 1, [], True)
    assert not compiled(folder)[2] and entries(folder)


@POSIX
def test_a_kill_in_the_middle_of_writing_leaves_no_entry(folder):
    run = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert run.stdout.readline() == b"writing\n"
    run.send_signal(signal.SIGKILL)
    run.wait()
    time.sleep(0.01)
    assert not entries(folder) and list(folder.glob(".*.part"))
    place = Folder(folder)
    assert place.get("a" * 64) is None and not place.warned
    place.put("a" * 64, Artefact({}, {"kernel": b"y"}))
    assert place.get("a" * 64).sections["kernel"] == b"y"
