"""What silently breaks elsewhere, and what cannot be compiled: refusals that name the line."""

import datetime
import importlib
import linecache
import os
import random
import re
import secrets
import sys
import time
import types
import uuid

import numpy as np
import pytest

from litad import LitadError, compile_aot, explain, fori_loop, grad, jit, jvp, value_and_grad
from litad.program import trace


def slope(f, *args, h=1e-6):
    "The gradient by central differences."
    x = args[0]
    if np.ndim(x) == 0:
        return (f(x + h, *args[1:]) - f(x - h, *args[1:])) / (2 * h)
    out = np.zeros_like(x)
    for k in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[k] = h
        out[k] = (f(x + e, *args[1:]) - f(x - e, *args[1:])) / (2 * h)
    return out


def holds(f, x, *more):
    "Value and gradient, eagerly and compiled, forwards and backwards."
    expected, central = f(x.copy() if np.ndim(x) else x, *more), slope(f, x, *more)
    for way in (value_and_grad(f), jit(value_and_grad(f))):
        for _ in range(2):
            kept = np.copy(x)[()]
            value, g = way(kept, *more)
            assert np.isclose(value, expected) and np.allclose(g, central, atol=1e-6)
            assert np.array_equal(kept, x), "a derivative leaves its arguments alone"
    d = np.random.default_rng(0).normal(size=np.shape(x))[()]
    pushed = jit(lambda x: jvp(lambda x: f(x, *more), (x,), (d,)))(x)[1]
    assert np.isclose(pushed, np.sum(d * central), atol=1e-5)
    assert np.isclose(jit(f)(np.copy(x)[()], *more), expected)
    assert not explain(value_and_grad(f), x, *more).fallback


LONG = np.random.default_rng(1).normal(size=12)
SHORT = LONG[:5]


# Traps.


@pytest.mark.parametrize("x", [SHORT, LONG])
def test_a_store_into_a_plain_buffer_keeps_its_derivative(x):
    def f(x):
        y = np.zeros(len(x))
        for i in range(len(x)):
            y[i] = np.sin(x[i]) + (y[i - 1] if i else 0.0)
        return np.sum(y**2)

    holds(f, x)


@pytest.mark.parametrize("x", [SHORT, LONG])
def test_a_plain_array_that_takes_a_traced_sum(x):
    def f(x):
        y = np.ones(len(x))
        y += x
        y *= y
        y[1:] -= x[:-1]
        return np.sum(y * x)

    holds(f, x)


def test_arguments_written_in_place_change_as_under_numpy():
    def whole(x):
        x += 1.0
        return x.sum()

    def parts(x):
        for i in range(1, len(x)):
            x[i] += 0.5 * x[i - 1]
        return x.sum()

    def under_another_name(x):
        y = x
        y *= 2.0
        x = x + 1.0
        x[0] = 7.0
        return y.sum() + x.sum()

    def by_a_helper(x):
        def double(row):
            row *= 2.0

        double(x)
        double(x[2:])
        return x.sum()

    for f in (whole, parts, under_another_name, by_a_helper):
        for x in (SHORT, LONG):
            ours, theirs = x.copy(), x.copy()
            value = jit(f)(ours)
            assert np.isclose(value, f(theirs)) and np.allclose(ours, theirs)
            holds(f, x)


def test_two_arguments_that_are_one_array():
    def f(x, y):
        for i in range(1, len(x)):
            x[i] = x[i - 1] + y[i]
        return y.sum()

    ours, theirs = LONG.copy(), LONG.copy()
    assert np.isclose(jit(f)(ours, ours), f(theirs, theirs)) and np.allclose(ours, theirs)


@pytest.mark.parametrize("n", [5, 40])
def test_reading_a_diagonal_in_a_long_loop(n):
    def f(a):
        s = 0.0
        for i in range(len(a)):
            s += np.sin(a[i, i]) * a[i, i - 1]
        return s

    a = np.random.default_rng(n).normal(size=(n, n))
    value, g = jit(value_and_grad(f))(a)
    assert np.isclose(value, f(a)) and np.count_nonzero(g) == 2 * n
    one, four = [explain(value_and_grad(f), np.ones((n, n))) for n in (100, 400)]
    stored = [r.numbers["bytes stored for the reverse pass"] for r in (one, four)]
    lines = [len(str(r.program).splitlines()) for r in (one, four)]
    assert stored[1] <= 4 * stored[0] and lines[0] == lines[1]


@pytest.mark.parametrize("x", [SHORT, LONG])
def test_overlapping_copies(x):
    def f(a):
        a = a.copy()
        a[1:] = a[:-1]
        a[:-1] += 0.5 * a[1:]
        a[:3] = a[2::-1]
        for i in range(1, len(a)):
            a[i:] = a[: len(a) - i] * 1.1
        return np.sum(np.arange(len(a)) * a**2)

    holds(f, x)


@pytest.mark.parametrize("n", [4, 16])
def test_sqrt_at_zero_under_a_branch(n):
    def f(x):
        s = 0.0
        for v in x:
            if v > 0:
                s += np.sqrt(v)
        return s

    x = np.array([0.0, 1.0, 4.0, 0.0] * (n // 4))
    expected = np.where(x > 0, 0.5 / np.sqrt(np.maximum(x, 0.1)), 0.0)
    expected[x > 0] = 0.5 / np.sqrt(x[x > 0])
    for way in (grad(f), jit(grad(f))):
        assert np.allclose(way(x), expected)
    masked = jit(grad(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0))))
    assert np.allclose(masked(x), expected)


def test_a_loop_that_runs_zero_times():
    def f(x, n):
        s = x * x
        for k in range(n):
            s = s * x + k
        return s

    for n in (0, 1, 3, 20):
        holds(f, 1.1, n)

    def down(x, n):
        s = x * x
        for k in range(5, n, 2):
            s = s * x
        while s > 100.0:
            s = s / 2
        return s

    for n in (5, 3, 6, 40):
        holds(down, 1.1, n)


def test_a_traced_loop_that_runs_zero_times():
    def f(x):
        n = int(np.floor(x[0]))
        s = x[1]
        for k in range(n):
            s = s * x[2]
        return s

    for first in (0.5, 3.5, 12.5, -2.5):
        holds(f, np.array([first, 1.3, 0.9]))


def test_control_variables_are_integers_and_booleans():
    def f(x):
        found, where, count = False, -1, 0
        for i in range(len(x)):
            if not found and x[i] > 0.5:
                found, where = True, i
            count += x[i] > 0
        if found:
            return x[where] ** 2 * count
        return x[0]

    for x in (SHORT, LONG, -np.abs(LONG), LONG + 3):
        holds(f, x)
    where, found = jit(lambda x: (_first(x, 0.5), bool(x[0] > 0)))(LONG)
    assert where == _first(LONG, 0.5) and found == (LONG[0] > 0)


def _first(x, limit):
    k = 0
    while k < len(x) and x[k] <= limit:
        k += 1
    return k


def test_none_before_the_first_item():
    def f(x):
        best = None
        for v in x:
            if best is None or v > best:
                best = v
        return best

    holds(f, SHORT)
    holds(f, LONG)


def test_a_count_that_becomes_a_float():
    def f(x):
        s = 0
        for v in x:
            s = s + v
        return s * s

    holds(f, SHORT)
    holds(f, LONG)


def test_views_and_what_they_are_views_of():
    def f(a):
        a = a.copy()
        for i in range(1, len(a)):
            row, above = a[i], a[i - 1]
            for j in range(len(row)):
                row[j] += 0.5 * above[j] * row[0]
            last = a[:, -1]
            last[i] = row[0]
        flat = a.reshape(-1)
        flat[0] = 3.0 * flat[-1]
        b = a.T
        b[1] += b[0]
        return np.sum(a * np.cos(np.arange(a.size)).reshape(a.shape))

    holds(f, 0.5 * np.random.default_rng(0).normal(size=(4, 4)))
    holds(f, 0.5 * np.random.default_rng(0).normal(size=(11, 3)))


def test_names_of_one_array_change_places():
    def f(x):
        a, b = x.copy(), np.zeros_like(x)
        for k in range(11):
            for i in range(len(x)):
                b[i] = 0.5 * a[i] + 0.3 * a[i - 1]
            a, b = b, a
        c = a
        c[0] = 2.0 * c[1]
        return np.sum(a * b)

    holds(f, SHORT)
    holds(f, LONG)


def test_a_buffer_kept_from_call_to_call():
    buffer = np.zeros(3)

    def f(x):
        for i in range(len(x)):
            buffer[i] = x[i] ** 2
        return buffer.sum()

    x = np.array([1.0, 2.0, 3.0])
    assert jit(f)(x) == 14.0 and np.array_equal(buffer, x**2)
    for way in (grad(f), jit(grad(f))):
        with pytest.raises(LitadError, match=r"buffer\[i\]|stored"):
            way(x)


def test_integers_that_come_from_floats_choose_places():
    def f(x, table):
        s = 0.0
        for v in x:
            k = int(np.floor(v))
            w = v - k
            s += (1 - w) * table[k] + w * table[k + 1]
        return s

    table = np.sin(np.arange(8.0))
    holds(f, np.abs(SHORT) + 0.3, table)
    holds(f, np.abs(LONG) + 0.3, table)


def test_masks_and_fancy_stores_in_loops():
    def f(x):
        y = np.zeros_like(x)
        for k in range(10):
            y[x > 0.1 * k] += x[0]
            y[[0, 2]] = y[[2, 0]]
            y[x < 0] = 0.5
        return np.sum(y * x)

    holds(f, SHORT)
    holds(f, LONG)


def test_closed_over_and_default_values():
    scale, table = 2.0, np.arange(1.0, 5.0)

    def f(x, power=2, *, shift=0.5):
        s = 0.0
        for k, v in enumerate(x):
            s += scale * v**power * table[k % 4] + shift
        return s

    holds(f, SHORT)
    holds(f, LONG)
    assert np.isclose(jit(f)(LONG, power=3, shift=0.1), f(LONG, power=3, shift=0.1))


def test_recursion_with_a_bound():
    def f(x, k):
        return x if k == 0 else np.sin(f(x, k - 1)) + 0.1 * x

    def fibonacci(x, n):
        if n < 2:
            return x * n
        return fibonacci(x, n - 1) + fibonacci(x, n - 2)

    holds(f, 1.2, 5)
    holds(fibonacci, 1.2, 7)


# Programs do not grow with the number of runs.


def recurrence(x, n=None):
    y = x.copy()
    for i in range(1, len(x)):
        y[i] = np.sin(y[i - 1]) * x[i] + y[i]
    return y.sum()


def repeated(x, n):
    for _ in range(n):
        x = np.sin(x) + 0.1 * x
    return x


def nested(x, n):
    a = np.zeros((n, n))
    for i in range(1, n):
        for j in range(1, n):
            a[i, j] = 0.3 * (a[i - 1, j] + a[i, j - 1]) + x[0] * np.cos(i * j)
    return a[n - 1, n - 1]


def until(x, n):
    k = 0
    while k < n:
        x, k = np.cos(x), k + 1
    return x


def over_items(x, n):
    s, p = 0.0, 1.0
    for v in x:
        p *= 1 + 0.01 * np.sin(v)
    for k, (a, b) in enumerate(zip(x, reversed(x))):
        s += a * b / (k + 1)
    return s * p


def over_rows(a, n):
    s = 0.0
    for row in a:
        s += np.sqrt(row @ row)
    return s


def left_early(x, n):
    s = 0.0
    for v in x:
        if v < -0.8:
            continue
        s += v * v
        if s > 3.0:
            break
    else:
        s = -s
    return s


def returned_early(x, n):
    s = 0.0
    for i in range(len(x)):
        for j in range(i):
            s += x[i] * x[j]
            if s > 1.0:
                return s
    return -s


def checked(x, n):
    s = 0.0
    for v in x:
        if v < -5:
            raise ValueError("far out")
        assert v < 5
        s += v * v
    return s


def views(a, n):
    a = a.copy()
    for i in range(1, len(a)):
        row, above = a[i], a[i - 1]
        for j in range(len(row)):
            row[j] += 0.5 * above[j]
    return np.sum(a**2)


def slices(x, n):
    y = np.zeros_like(x)
    for i in range(2, n):
        y[i] = y[:i] @ x[:i] + np.sum(x[i - 2 : i + 1])
    return y[n - 1]


def helper(a, b):
    if a * b <= 0:
        return 0.0
    return a if abs(a) < abs(b) else b


def helped(x, n):
    s = 0.0
    for i in range(1, n):
        s += helper(x[i], x[i - 1])
    return s


WAVES = lambda n: (np.sin(np.arange(float(n))), n)  # noqa: E731


@pytest.mark.parametrize(
    "f, arguments",
    [
        *[(f, WAVES) for f in (over_items, left_early, returned_early, checked, slices, helped)],
        *[(f, lambda n: (np.ones((n, 10)), n)) for f in (over_rows, views)],
        (recurrence, lambda n: (np.full(n, 0.1),)),
        (repeated, lambda n: (0.7, n)),
        (nested, lambda n: (np.ones(1), n)),
        (until, lambda n: (0.7, n)),
    ],
)
def test_programs_are_as_long_for_any_number_of_runs(f, arguments):
    def size(n):
        report = explain(value_and_grad(f), *arguments(n))
        assert not report.fallback
        return len(str(report.program).splitlines())

    assert size(20) == size(60)


def test_ten_thousand_runs():
    x = np.random.default_rng(0).normal(size=10_000) * 0.3
    value, g = jit(value_and_grad(recurrence))(x)
    assert np.isclose(value, recurrence(x))
    d = np.random.default_rng(1).normal(size=x.shape)
    h = 1e-6
    central = (recurrence(x + h * d) - recurrence(x - h * d)) / (2 * h)
    assert np.isclose(np.sum(g * d), central, rtol=1e-5)
    holds(repeated, 0.7, 10_000)


# Indices out of bounds.


def test_an_index_out_of_bounds_is_an_index_error():
    def read(x, k):
        s = 0.0
        for i in range(len(x)):
            s += x[i + k]
        return s

    def store(x, k):
        y = np.zeros(len(x))
        for i in range(len(x)):
            y[i + k] = x[i]
        return y.sum()

    for f in (read, store):
        for x in (SHORT, LONG):
            for way in (jit(f), jit(grad(f)), grad(f)):
                assert np.all(np.isfinite(way(x, 0)))
                for k in (1, 3, 10**9, -(10**9)):
                    with pytest.raises(IndexError, match="out of bounds"):
                        f(x, k)
                    with pytest.raises(IndexError, match="out of bounds"):
                        way(x, k)
            assert np.isclose(jit(f)(x, -1), f(x, -1)) and np.allclose(jit(grad(f))(x, -1), 1.0)


def test_indices_in_an_array_out_of_bounds():
    def f(x, places):
        s = np.zeros(3)
        for i in range(len(places)):
            s[places[i]] += x[i]
        return np.sum(s**2)

    good, bad = np.arange(12) % 3, np.arange(12) % 4
    holds(f, LONG, good)
    holds(f, LONG, -1 - good)
    for way in (jit(f), jit(grad(f)), jit(value_and_grad(f))):
        way(LONG, good)
        with pytest.raises(IndexError):
            way(LONG, bad)
        with pytest.raises(IndexError):
            way(LONG, bad - 7)


def test_checks_are_kept():
    def f(x):
        s = 0.0
        for v in x:
            if v < -50:
                raise ValueError(f"far out: {v}")
            assert v < 50, "too large"
            s += v * v
        return s

    holds(f, SHORT)
    holds(f, LONG)
    for x in (SHORT, LONG):
        for way in (jit(f), jit(grad(f))):
            low, high = x.copy(), x.copy()
            low[3], high[2] = -60.0, 60.0
            with pytest.raises(ValueError, match="far out"):
                way(low)
            with pytest.raises(AssertionError, match="too large"):
                way(high)
            assert np.all(np.isfinite(way(x)))


# Bad input: refused with the line, what was met, and what to write; run eagerly all the same.


def refused(f, *args, met, line, instead, eager=True, error=LitadError):
    "jit(f) says what it met, where, and what to write; NumPy and eager derivatives still run it."
    for way in (jit(f), jit(value_and_grad(f))):
        with pytest.raises(error) as caught:
            way(*args)
        text = str(caught.value)
        assert re.search(met, text), text
        assert re.search(line, text), text
        assert re.search(instead, text), text
    if eager:
        value, g = value_and_grad(f)(*args)
        assert np.isclose(value, f(*args)) and np.allclose(g, slope(f, *args), atol=1e-6)


def test_a_name_that_is_perhaps_not_assigned():
    def f(x):
        if x[0] > 0:
            factor = 2.0
        s = 0.0
        for v in x:
            s += factor * v
        return s

    refused(
        f,
        np.abs(LONG),
        met="factor is perhaps not assigned",
        line=r"factor \* v",
        instead=r"factor = 0\.0",
    )

    def g(x):
        for v in x:
            if v > 0.5:
                last = v
        return last * 2

    refused(g, LONG, met="last is perhaps not assigned", line=r"last", instead=r"last = 0\.0")


def test_a_list_that_grows_under_a_condition():
    def f(x):
        chosen = []
        for v in x:
            if v > 0:
                chosen.append(v * v)
        return sum(chosen)

    refused(
        f, LONG, met="chosen, a list", line=r"if v > 0|chosen\.append", instead=r"np\.zeros\(n\)"
    )


def test_a_type_that_changes():
    def f(x):
        z = x[0]
        for v in x:
            if v > 0:
                z = np.array([v, v])
        return np.sum(z)

    refused(
        f, LONG, met="z is not of one type", line=r"z = |if v > 0", instead="start with the type"
    )


def test_a_dtype_that_changes_in_an_array():
    def f(x):
        y = np.zeros(len(x), dtype=int)
        for i in range(len(x)):
            y[i] = x[i]
        return y.sum() * 1.0

    assert jit(f)(LONG + 3) == f(LONG + 3)
    for way in (grad(f), jit(grad(f))):
        with pytest.raises(LitadError, match=r"y\[i\] = x\[i\]"):
            way(LONG + 3)


def test_recursion_without_a_bound():
    def f(x):
        if x < 1e-3:
            return x
        return f(x * 0.5) + 1

    refused(f, 2.0, met="f calls itself", line=r"test_python_traps\.py:\d+", instead="a loop")


def test_a_generator():
    def f(x):
        def squares(n):
            k = 0
            while k < n:
                yield k * 2.0
                k += 1

        s = 0.0
        for v in squares(np.sum(x > 0)):
            s += v * x[0]
        return s

    refused(f, LONG, met="generator|yield", line=r"test_python_traps\.py:\d+", instead="list|array")

    def run_ahead(x):
        def squares():
            for v in x:
                yield v * v

        s = 0.0
        for v in squares():
            s += v
        return s

    holds(run_ahead, SHORT)
    holds(run_ahead, LONG)


def test_a_coroutine():
    async def f(x):
        return x * 2

    with pytest.raises((LitadError, TypeError), match="coroutine"):
        jit(grad(f))(1.0)


total = 0.0


def test_a_global_that_is_assigned():
    global total

    def f(x):
        global total
        for v in x:
            if v > 0:
                total = total + v
        return total

    total = 0.0
    expected = np.sum(LONG[LONG > 0])
    assert np.isclose(jit(f)(LONG), expected) and type(total) is not object
    total = 0.0
    for way in (grad(f), jit(grad(f))):
        with pytest.raises(LitadError, match="total"):
            way(LONG)
        assert isinstance(total, (float, np.floating))
        total = 0.0


def test_an_array_of_objects():
    def f(x):
        a = np.empty(len(x), dtype=object)
        for i in range(len(x)):
            a[i] = x[i] ** 2
        return a.sum()

    value, g = value_and_grad(f)(LONG)
    assert np.isclose(value, f(LONG)) and np.allclose(g, 2 * LONG)
    assert np.isclose(jit(f)(LONG), f(LONG))

    def searched(x):
        a = np.empty(len(x), dtype=object)
        for i in range(len(x)):
            if x[i] > 0:
                a[i] = x[i] ** 2
            else:
                a[i] = 0.0
        return a.sum()

    refused(
        searched,
        LONG,
        met="object",
        line=r"a\[i\] = |test_python_traps",
        instead="float",
        eager=False,
    )


POSITIVE = """def f(x):
    s = 0.0
    for v in x:
        if v > 0:
            s += v
    return s
"""


def test_code_without_a_file():
    space = {}
    exec(
        POSITIVE.replace("f(", "made("),
        space,
    )
    refused(space["made"], LONG, met="source is not to be had", line="line 4", instead="file|def")
    straight = {}
    exec("def made(x):\n    return x @ x", straight)
    assert np.isclose(jit(straight["made"])(LONG), LONG @ LONG)


def test_code_edited_after_import(tmp_path, monkeypatch):
    path = tmp_path / "edited_module.py"
    text = POSITIVE
    path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("edited_module")
    path.write_text(text.replace("s += v", "s += 2 * v"))
    os.utime(path, (2_000_000_000, 2_000_000_000))
    linecache.checkcache()
    refused(
        module.f,
        LONG,
        met="source has changed",
        line=r"edited_module\.py:4",
        instead="reload|import|restart",
    )
    del sys.modules["edited_module"]


def test_a_file_that_is_gone(tmp_path, monkeypatch):
    path = tmp_path / "gone_module.py"
    path.write_text(POSITIVE)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("gone_module")
    path.unlink()
    linecache.clearcache()
    refused(module.f, LONG, met="its source", line="gone_module|line 4", instead="file|import")
    del sys.modules["gone_module"]


def test_a_class_attribute_set_in_a_traced_loop():
    class Count:
        def __init__(self):
            self.total = 0.0

        def run(self, x):
            for v in x:
                if v > 0:
                    self.total = self.total + v
            return self.total

    def f(x):
        return Count().run(x)

    refused(
        f, LONG, met=r"attribute is set.*\.total", line=r"self\.total", instead="a name of its own"
    )


# What a program would do once.


def unseeded(x):
    return np.sum(x * np.random.default_rng().normal(size=3))


def unseeded_python(x):
    return x[0] * random.Random().random()


def unseeded_state(x):
    return x[0] * np.random.RandomState(None).rand()


def system_random(x):
    return x[0] * random.SystemRandom().random()


def at_this_time(x):
    return x[0] * time.perf_counter_ns()


def today(x):
    return x[0] * datetime.datetime.now().timestamp()


def random_bytes(x):
    return x[0] * int.from_bytes(os.urandom(6), "big")


def a_name(x):
    return x[0] * (uuid.uuid4().int % 1000003)


def a_secret(x):
    return x[0] * secrets.randbelow(1 << 40)


def in_a_helper_and_a_loop(x):
    s = 0.0
    for v in x:
        if v > 0:
            s += v
    return s * random_bytes(x)


MOVING = [
    unseeded, unseeded_python, unseeded_state, system_random, at_this_time, today, random_bytes,
    a_name, a_secret, in_a_helper_and_a_loop,
]  # fmt: skip


@pytest.mark.parametrize("f", MOVING)
def test_clocks_and_unseeded_generators_run_in_python(f):
    x = np.ones(3)
    for way in (jit(f), jit(lambda x: f(x)), jit(lambda x: grad(f)(x)[0])):
        assert len({float(way(x)) for _ in range(4)}) > 1
    ((_, why),) = explain(f, x).fallback
    assert re.search(r"something else in each call.*test_python_traps\.py:\d+.*argument", why), why


def test_a_generator_with_a_seed_stays_compiled():
    def f(x, seed):
        draw = np.random.default_rng(3).normal(size=3) + random.Random(1).random()
        return np.sum(x * draw) + np.random.RandomState(seed).rand()

    x = np.ones(3)
    assert np.isclose(jit(f)(x, 5), f(x, 5)) and np.isclose(jit(f)(x, 6), f(x, 6))
    assert not explain(lambda x: f(x, 5), x).fallback


def test_compile_aot_refuses_a_clock():
    with pytest.raises(LitadError, match="perf_counter_ns at .*argument"):
        compile_aot(at_this_time, np.ones(3))


# State outside of the function.

calls = 0
config = types.ModuleType("config")


def test_what_is_counted_is_counted_in_every_call():
    global calls

    def direct(x):
        global calls
        calls += 1
        return x * 2

    def helper(x):
        return sum([direct(v) for v in x])

    def by_name(x):
        globals()["calls"] = globals()["calls"] + 1
        return x * 2

    def of_a_module(x):
        config.calls += 1
        return x * 2

    def summed(x):
        global calls
        for v in x:
            if v > 0:
                calls += 1
        return calls * np.sum(x)

    x = np.array([1.0, -1.0, 2.0])
    for f, args, each in ((direct, 1.0, 1), (helper, x, 3), (by_name, 1.0, 1), (summed, x, 2)):
        calls, g = 0, jit(f)
        for k in range(1, 5):
            g(args)
            assert calls == each * k and type(calls) is int
    config.calls, g = 0, jit(of_a_module)
    for k in range(1, 5):
        assert g(3.0) == 6.0 and config.calls == k
    ((_, why),) = explain(of_a_module, 3.0).fallback
    assert "config.calls" in why and re.search(r"py:\d+", why)
    assert config.calls == 4
    for way in (grad(direct), jit(grad(direct)), jit(value_and_grad(direct))):
        calls = 0
        for k in range(1, 4):
            way(1.0)
            assert calls == k


def test_a_buffer_from_outside_of_a_body():
    def f(x):
        y = np.zeros(6)

        def body(i, c):
            y[i + 1] = y[i] * 2 + c
            return c + y[i + 1]

        return fori_loop(0, 3, body, x[0])

    x = np.linspace(0.1, 1.0, 6)
    assert np.isclose(jit(f)(x), f(x)) and np.allclose(jit(grad(f))(x), slope(f, x))
    with pytest.raises(LitadError, match="outside(?s:.*)carry the array"):
        trace(f, x)


FILLS = """import numpy as np
def f(x):
    y = np.zeros(len(x))
    for i in range(len(x)):
        y[i] = 2 * x[i]
    return y.sum()
def g(x):
    return np.sum(x * 2)
"""


def test_the_code_that_runs_wins_over_an_edited_file(tmp_path, monkeypatch):
    path = tmp_path / "edited_fills.py"
    path.write_text(FILLS)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("edited_fills")
    for k, text in enumerate((FILLS.replace("2", "3"), "\n\n" + FILLS, "def f(:\n", "")):
        path.write_text(text)
        os.utime(path, (2e9 + k, 2e9 + k))
        for f in (module.f, module.g):
            assert np.isclose(jit(f)(SHORT), 2 * np.sum(SHORT))
        assert np.allclose(grad(module.g)(SHORT), 2) and np.allclose(jit(grad(module.g))(SHORT), 2)
        for way in (grad(module.f), jit(grad(module.f))):
            with pytest.raises(LitadError, match=r"edited_fills\.py:5(?s:.*)unread:.*source") as e:
                way(SHORT)
            assert "import its module again" in str(e.value) or "write it in a file" in str(e.value)
    del sys.modules["edited_fills"]


def test_exec_made_functions_say_so_eagerly():
    space = {}
    exec("# a text\n" + FILLS, space)
    assert np.isclose(jit(space["f"])(SHORT), 2 * np.sum(SHORT))
    with pytest.raises(
        LitadError, match="line 6(?s:.*)source is not to be had; write it in a file"
    ):
        grad(space["f"])(SHORT)


@pytest.mark.filterwarnings("ignore:coroutine")
def test_promises_are_refused_with_what_to_write():
    async def later(x):
        return x * 2

    def yields(x):
        yield x * 2

    for way in (grad, value_and_grad, lambda f: jit(grad(f))):
        with pytest.raises(LitadError, match="coroutine(?s:.*)def instead of async def"):
            way(later)(1.0)
        with pytest.raises(LitadError, match="generator(?s:.*)a list or an array instead of yield"):
            way(yields)(1.0)
    assert list(jit(yields)(1.0)) == [2.0]


def test_recursion_without_any_end():
    def f(x):
        return f(x * 0.5) + 1

    for way in (f, jit(f), grad(f)):
        with pytest.raises(RecursionError):
            way(1.0)


def _scaled(x, f=2.0, self=1.0):
    return x * f * self


def test_a_keyword_may_have_any_name():
    def g(x):
        y = np.zeros(2)
        y[0] = _scaled(x, f=3.0, self=0.5)
        y[1] = _scaled(x, f=x)
        return y.sum()

    assert grad(g)(2.0) == 1.5 + 4.0
    assert jit(grad(g))(2.0) == 1.5 + 4.0
