"""Loops that several threads share: the same bits whoever takes part, and nothing left behind."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import test_jit_random

import litad
import litad.threads
from litad import LitadError, explain, grad, jit, scan, value_and_grad
from litad.engine import available

pytestmark = pytest.mark.skipif(not available(), reason="machine code needs llvmlite")
X = np.random.default_rng(0).normal(size=300_000)
ROWS = np.random.default_rng(1).normal(size=(2000, 200))


def loss(x):
    return np.sum(np.tanh(x) * np.exp(-x * x) + np.log1p(x * x))


def softmax(a):
    z = np.exp(a - np.max(a, axis=1, keepdims=True))
    return z / np.sum(z, axis=1, keepdims=True)


def both(x):
    return np.sum(x * x), np.max(x), np.min(x), np.sum(np.sin(x) > 0.5), x * 2.0


CASES = {
    "value and gradient": (value_and_grad(loss), X),
    "float32": (value_and_grad(loss), X.astype(np.float32)),
    "several reductions": (both, X),
    "rows": (softmax, ROWS),
    "gradient of rows": (grad(lambda a: np.sum(softmax(a) ** 2)), ROWS),
    "sum of a column": (lambda a: np.sum(np.exp(a), axis=0), ROWS),
    "sums of rows": (lambda a: np.sum(np.exp(a), axis=1), ROWS),
    "shifted": (lambda x: np.sin(x[1:]) - np.sin(x[:-1]), X),
    "running": (lambda x: np.cumsum(np.exp(x)), X),
    "a few columns": (lambda a: np.sum(np.exp(a[:, :3]) ** 3, axis=0), np.tile(X[:, None], 3)),
}


def leaves(tree):
    return [np.asarray(x) for x in litad.tree.flatten(tree)[0]]


@pytest.fixture
def eager_chunks(monkeypatch):
    "Every loop of two turns is worth sharing."
    monkeypatch.setattr(litad.threads, "GRAIN", 4)
    monkeypatch.setattr(litad.threads, "LEAST", 2)
    monkeypatch.setattr(litad.threads, "TOGETHER", 1)


@pytest.fixture(autouse=True)
def fresh_helpers(monkeypatch):
    "Nobody has learned yet that helpers come late, as they do on a busy machine."
    monkeypatch.setattr(litad.threads, "_helpers", litad.threads.Helpers())


@pytest.mark.parametrize("name", CASES)
def test_results_do_not_depend_on_the_number_of_threads(name, monkeypatch):
    f, *args = CASES[name]
    found = []
    for count in (1, 2, 3, 8):
        monkeypatch.setenv("LITAD_THREADS", str(count))
        found += [leaves(jit(f, threads=count)(*args)), leaves(jit(f)(*args))]
    for other in found[1:]:
        assert all([np.array_equal(a, b) for a, b in zip(found[0], other)])
    tight = 1e-5 if args[0].dtype == np.float32 else 1e-10
    for mine, numpys in zip(found[0], leaves(f(*args))):
        np.testing.assert_allclose(mine, numpys, rtol=tight, atol=tight)


def test_long_loops_are_shared_and_short_ones_are_not():
    assert litad.threads.HELP in explain(value_and_grad(loss), X).kernel
    assert litad.threads.HELP not in explain(value_and_grad(loss), X[:1000]).kernel
    assert litad.threads.HELP not in explain(lambda x: np.cumsum(x), X).kernel


def test_several_threads_take_part(monkeypatch):
    seen, submit = [], ThreadPoolExecutor.submit
    monkeypatch.setattr(
        ThreadPoolExecutor, "submit", lambda self, f: seen.append(f) or submit(self, f)
    )
    f = jit(value_and_grad(loss), threads=3)
    f(X)
    assert len(seen) == 2
    seen.clear()
    jit(loss, threads=1)(X)
    assert not seen


def test_the_environment_says_how_many(monkeypatch):
    monkeypatch.setenv("LITAD_THREADS", "5")
    assert litad.threads.threads_here() == 5
    for nonsense in ("", "0", "-1", "many", "2.5"):
        monkeypatch.setenv("LITAD_THREADS", nonsense)
        assert litad.threads.threads_here() == litad.threads.cores() >= 1


@pytest.mark.parametrize("threads", [0, -1, 2.0, "2", True])
def test_a_number_of_threads_is_a_number(threads):
    with pytest.raises(LitadError, match="whole number of threads"):
        jit(loss, threads=threads)


def test_nobody_has_to_help(monkeypatch):
    expected = jit(value_and_grad(loss), threads=1)(X)

    def refuse(self, f):
        raise RuntimeError("cannot schedule new futures after shutdown")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse)
    value, g = jit(value_and_grad(loss), threads=4)(X)
    assert value == expected[0] and np.array_equal(g, expected[1])


def test_helpers_that_come_late_do_nothing(monkeypatch):
    late = []
    monkeypatch.setattr(ThreadPoolExecutor, "submit", lambda self, f: late.append(f))
    value, _ = jit(value_and_grad(loss), threads=4)(X)
    assert len(late) == 3 and value == jit(value_and_grad(loss), threads=1)(X)[0]
    for help_ in late:
        help_()


def test_memory_of_a_donated_argument():
    x = X.copy()
    step = jit(lambda x: x - 0.1 * np.tanh(x) * np.exp(-x), donate_argnums=0, threads=2)
    expected = X.copy()
    for _ in range(3):
        x, expected = step(x), expected - 0.1 * np.tanh(expected) * np.exp(-expected)
    np.testing.assert_allclose(x, expected, rtol=1e-12)


def test_an_index_out_of_bounds_is_found_by_any_thread():
    index = np.zeros(len(X), int)
    index[-1] = 7
    f = jit(lambda x, i: np.sum(np.exp(np.tanh(x[i]) * np.sin(x[i]))), threads=2)
    assert np.isfinite(f(X, index))
    with pytest.raises(IndexError, match="out of bounds"):
        f(X[:7], index)


def test_loops_inside_of_loops():
    def f(x):
        return scan(lambda c, k: (np.tanh(c * k) + 0.1 * np.exp(-c * c), np.sum(c)), x, np.ones(5))

    one, two = jit(f, threads=1)(X), jit(f, threads=2)(X)
    assert all([np.array_equal(a, b) for a, b in zip(one, two)])
    np.testing.assert_allclose(one[0], f(X)[0], rtol=1e-12, atol=1e-14)


def test_many_threads_of_the_user():
    f = jit(value_and_grad(loss), threads=4)
    expected = f(X)
    with ThreadPoolExecutor(8) as pool:
        for value, g in pool.map(lambda _: f(X), range(40)):
            assert value == expected[0] and np.array_equal(g, expected[1])
    assert len(litad.threads._helpers.pool._threads) <= litad.threads._helpers.size == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is not to be had here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_has_threads_of_its_own():
    f = jit(value_and_grad(loss), threads=3)
    expected = f(X)[0]
    child = os.fork()
    if child == 0:
        os._exit(0 if f(X)[0] == expected and f(X)[0] == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert f(X)[0] == expected


INTERRUPTED = """
import signal, time
import numpy as np
from litad import jit, value_and_grad
f = jit(value_and_grad(lambda x: np.sum(np.tanh(x) * np.exp(-x * x))), threads=4)
x = np.linspace(-1, 1, 300_000)
expected = f(x)
print("ready", flush=True)
caught, end, going = 0, time.monotonic() + 2, True
while going:
    try:
        while time.monotonic() < end:
            value, g = f(x)
            assert value == expected[0] and np.array_equal(g, expected[1])
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        going = False
    except KeyboardInterrupt:
        caught += 1
print(caught, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_an_interrupt_costs_no_result():
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout.readline() == b"ready\n"
        for _ in range(60):
            time.sleep(0.02)
            child.send_signal(signal.SIGINT)
        out, error = child.communicate(timeout=60)
    assert child.returncode == 0, error.decode()
    assert int(out) > 0


@pytest.mark.parametrize("seed", range(int(os.environ.get("LITAD_FUZZ", "30"))))
def test_random_programs_in_small_chunks(seed, eager_chunks):
    test_jit_random.run(10_000 + seed, 5 + seed % 30)


def test_a_worker_takes_chunks_until_none_is_left():
    taken = []
    frame = (ctypes.c_int64 * 16)()

    @litad.threads.WORKER
    def worker(address):
        assert address == ctypes.addressof(frame)
        taken.append(threading.get_ident())

    litad.threads.share(ctypes.cast(worker, ctypes.c_void_p).value, ctypes.addressof(frame), 8, 2)
    assert taken
