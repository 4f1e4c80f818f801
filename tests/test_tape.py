"""The promises of a tape that is used on its own."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest

from litad import LitadError, Tape, Var, derivative, grad, jvp, value_and_grad, vjp
from litad.core import is_finite

V = np.array([1.0, 2.0, 3.0])


def test_a_tape_records_nothing_before_it_is_started():
    tape = Tape()
    x = tape.input(3.0)
    assert not tape.is_recording() and tape.num_ops() == 0
    y = np.sin(x) * x
    assert tape.num_ops() == 0 and not isinstance(y, Var)
    assert y == np.sin(3.0) * 3.0


def test_start_and_stop():
    tape = Tape()
    x = tape.input(3.0)
    tape.start_recording()
    assert tape.is_recording()
    y = x * x
    assert tape.num_ops() == 1
    tape.stop_recording()
    assert not tape.is_recording()
    constant = x * 100.0
    assert tape.num_ops() == 1 and not isinstance(constant, Var)
    tape.start_recording()
    z = y + constant * x
    tape.stop_recording()
    tape.backward(z)
    assert tape.value(z) == 909.0 and tape.grad_of(x) == 6.0 + 300.0
    assert tape.value(2.5) == 2.5


def test_the_block_restores_the_state_it_found():
    tape = Tape()
    x = tape.input(1.0)
    with tape as same:
        assert same is tape and tape.is_recording()
        with tape:
            x * x
        assert tape.is_recording()
    assert not tape.is_recording()
    tape.start_recording()
    with tape:
        pass
    assert tape.is_recording()
    tape.stop_recording()
    with pytest.raises(RuntimeError), tape:
        raise RuntimeError
    assert not tape.is_recording()


def test_no_grad():
    "the block records nothing, nests, and restores the state after an exception"
    tape = Tape()
    x = tape.input(3.0)
    with tape:
        with tape.no_grad():
            assert not tape.is_recording()
            y = x * x
            with tape.no_grad():
                pass
            assert not tape.is_recording()
        assert tape.is_recording() and tape.num_ops() == 0 and not isinstance(y, Var)
        with pytest.raises(RuntimeError), tape.no_grad():
            raise RuntimeError
        assert tape.is_recording()
        z = x * y
    tape.backward(z)
    assert tape.grad_of(x) == 9.0
    with pytest.raises(RuntimeError), tape.no_grad():
        raise RuntimeError
    assert not tape.is_recording()


@pytest.mark.parametrize("recording", [True, False])
def test_clear_keeps_the_recording_state_and_the_inputs(recording):
    tape = Tape()
    x = tape.input(3.0)
    with tape:
        old = x * x
        tape.backward(old)
    if recording:
        tape.start_recording()
    tape.clear()
    assert tape.is_recording() is recording and tape.num_ops() == 0
    with pytest.raises(LitadError):
        tape.grad_of(x)
    with tape:
        y = x * x * x
    assert tape.num_ops() == 2
    tape.backward(y)
    assert tape.grad_of(x) == 27.0
    assert [node.name for node in tape.nodes] == ["x0", "v0", "v1"]
    with pytest.raises(LitadError, match="cleared"):
        tape.backward(old)
    with tape:
        mixed = old * x
    with pytest.raises(LitadError, match="cleared"):
        tape.backward(mixed)


def test_clear_many_times():
    tape = Tape()
    x = tape.input(2.0)
    for k in range(1, 5):
        tape.clear()
        with tape:
            y = x**k
        tape.backward(y)
        assert tape.grad_of(x) == k * 2.0 ** (k - 1)
        assert tape.num_ops() == 1


def test_backward_of_an_intermediate_ignores_later_operations():
    tape = Tape()
    x = tape.input(3.0)
    with tape:
        y = x * x
        z = y * x
        w = np.exp(z)
    tape.backward(y)
    assert tape.grad_of(x) == 6.0
    assert tape.grad_of(z) == tape.grad_of(w) == 0.0
    tape.backward(z)
    assert tape.grad_of(x) == 27.0 and tape.grad_of(y) == 3.0
    tape.backward(x)
    assert tape.grad_of(x) == 1.0 and tape.grad_of(y) == 0.0


def test_backward_twice_does_not_double():
    tape = Tape()
    x = tape.input(V)
    with tape:
        y = np.sum(x[[0, 0, 1]] * x)
    for _ in range(3):
        tape.backward(y)
        first = tape.grad_of(x).copy()
        assert first.tolist() == [4.0, 4.0, 2.0]
        tape.grad_of(x)[:] = -1.0


def test_adjoints_are_the_callers_own():
    tape = Tape()
    a, b = tape.input(V.copy()), tape.input(V.copy())
    with tape:
        z = a + b
        total = np.sum(z)
    tape.backward(total)
    ga, gb, gz = tape.grad_of(a), tape.grad_of(b), tape.grad_of(z)
    ga *= 5
    assert ga.tolist() == [5.0] * 3 and gb.tolist() == gz.tolist() == [1.0] * 3
    w = np.ones(3)
    adjoints = tape.backward(z, w)
    found = adjoints[a]
    found += 1
    assert w.tolist() == [1.0] * 3 and adjoints[b].tolist() == [1.0] * 3


def test_cotangents_of_arrays():
    tape = Tape()
    x = tape.input(V)
    with tape:
        y = x * x
    tape.backward(y, np.array([1.0, 0.0, 2.0]))
    assert tape.grad_of(x).tolist() == [2.0, 0.0, 12.0]


def test_inputs():
    "floats, integers, lists and arrays become floats; each input has a name"
    tape = Tape()
    x, n, w = tape.input(2.0), tape.input(3), tape.input([1, 2], "w")
    a = tape.input(V)
    single = tape.input(np.float32(1))
    assert all(isinstance(u, Var) for u in (x, n, w, a, single))
    assert n.dtype == np.float64 and w.shape == (2,) and single.dtype == np.float32
    assert [node.name for node in tape.nodes] == ["x0", "x1", "w", "x3", "x4"]
    with tape:
        y = x * n + np.sum(w) * np.sum(a) * single
    tape.backward(y)
    assert tape.grad_of(n) == 2.0 and tape.grad_of(w).tolist() == [6.0, 6.0]
    assert tape.grad_of(single).dtype == np.float32


def test_inputs_may_be_added_while_recording():
    tape = Tape()
    with tape:
        x = tape.input(2.0)
        y = x * x
        z = tape.input(5.0)
        w = y * z
    tape.backward(w)
    assert (tape.grad_of(x), tape.grad_of(z), tape.grad_of(y)) == (20.0, 4.0, 5.0)
    tape.backward(y)
    assert (tape.grad_of(x), tape.grad_of(z)) == (4.0, 0.0)


def test_nodes_say_operation_operands_value_and_adjoint():
    tape = Tape()
    x = tape.input(2.0, "x")
    with tape:
        y = np.sin(x) * 3.0
        z = 2.0 - y**2
        unused = x + 1.0
    before = tape.nodes
    assert all(node.adjoint is None for node in before)
    tape.backward(z)
    nodes = list(tape)
    assert len(nodes) == 6 and len(tape) == tape.num_ops() == 5
    names = ["input", "sin", "multiply", "power", "subtract", "add"]
    assert [node.operation for node in nodes] == names
    assert nodes[2].operands == ("v0", 3.0) and nodes[4].operands == (2.0, "v2")
    assert nodes[3].value == tape.value(y) ** 2 and nodes[3].adjoint == -1.0
    assert nodes[1].adjoint == pytest.approx(-6 * tape.value(y))
    assert nodes[5].adjoint is None and tape.grad_of(unused) == 0.0
    text = repr(tape)
    for word in ("x", "sin", "multiply", "power", "subtract", "add", "5 operations"):
        assert word in text
    assert tape._repr_mimebundle_()["text/plain"] == text


def test_every_kind_of_operation_is_listed():
    tape = Tape()
    x = tape.input(V)
    with tape:
        y = np.stack([x, x * 2])
        y = np.concatenate([y, y])[1:].T @ np.ones(3)
        y = np.where(y > 0, np.maximum(y, 1.0), 0.0).reshape(3, 1)
        y = np.max(y) + np.mean(y)
    tape.backward(y)
    assert len(tape.nodes) == tape.num_ops() + 1
    assert all(isinstance(node.operation, str) and node.operands for node in tape.nodes[1:])
    assert repr(tape)


def test_constants_do_not_land_on_the_tape():
    tape = Tape()
    x = tape.input(2.0)
    with tape:
        np.sin(3.0) * np.ones(2)
        x > 1, np.isnan(x), np.zeros_like(x)
    assert tape.num_ops() == 0


def test_two_tapes_at_once():
    "each tape records what depends on its own inputs"
    one, two = Tape(), Tape()
    x, y = one.input(2.0), two.input(3.0)
    with one, two:
        z = x * y * x
        inner, outer = (two, one) if z.tape is two else (one, two)
        inner.backward(z)
        slope = inner.grad_of(y if inner is two else x)
        outer.backward(slope)
    mixed = outer.grad_of(x if inner is two else y)
    assert inner.value(z).value == 12.0 and mixed == 4.0


def test_a_tape_inside_grad_and_grad_inside_a_tape():
    def inner(x):
        tape = Tape()
        u = tape.input(x)
        with tape:
            y = u**3
        tape.backward(y)
        return tape.grad_of(u)

    assert grad(inner)(2.0) == derivative(inner)(2.0) == 12.0
    tape = Tape()
    x = tape.input(2.0)
    with tape:
        y = grad(lambda u: u**3)(x)
    tape.backward(y)
    assert tape.grad_of(x) == 12.0


def test_backward_while_recording_is_not_recorded():
    tape = Tape()
    x = tape.input(2.0)
    with tape:
        y = x * x
        tape.backward(y)
        count = tape.num_ops()
        z = y * x
    assert count == 1
    tape.backward(z)
    assert tape.grad_of(x) == 12.0


def test_the_input_array_is_not_changed():
    x = V.copy()
    tape = Tape()
    u = tape.input(x)
    with tape:
        y = np.sum(u[1:] * u[:-1]) + u[0]
    tape.backward(y)
    assert x.tolist() == V.tolist() and not np.shares_memory(tape.grad_of(u), x)


CONSTANT = np.linspace(0.9, 1.1, 20_000)
STEPS_AND_ARRAYS_KEPT = {
    "sines keep their operand": (np.sin, 1),
    "exponentials keep their result": (lambda u: np.exp(-u), 1),
    "a result and an operand that are one array": (lambda u: np.tanh(u) ** 2 + 0.5, 1),
    "products keep both operands": (lambda u: 0.5 * u * u + 0.1, 2),
    "powers": (lambda u: 0.5 * u**3 + 0.1, 1),
    "quotients keep three": (lambda u: u / (1 + u * u) + 0.2, 3),
    "sums keep nothing": (lambda u: 1.0 - (u + CONSTANT), 0),
    "products with one constant keep that": (lambda u: CONSTANT * u, 0),
    "moves keep nothing": (lambda u: np.concatenate([u[1:], u[:1]]).reshape(100, -1).ravel(), 0),
}


@pytest.mark.parametrize("name", STEPS_AND_ARRAYS_KEPT)
def test_a_tape_keeps_the_arrays_that_its_rules_name_and_little_else(name):
    step, kept = STEPS_AND_ARRAYS_KEPT[name]
    x = np.linspace(0.5, 1.0, CONSTANT.size)

    def chain(u):
        for _ in range(200):
            u = step(u)
        return np.sum(u)

    gradient = grad(chain)
    gradient(x)
    tracemalloc.start()
    try:
        gradient(x)
        peak = tracemalloc.get_traced_memory()[1] / x.nbytes
    finally:
        tracemalloc.stop()
    assert peak <= 1.2 * 200 * kept + 10


def test_contributions_are_added_without_touching_what_others_hold():
    "sums, slices and stores of one array: the sweep adds in place only into arrays of its own"
    seed = np.array([1.0, 10.0, 100.0])
    value, pull = vjp(lambda x: x + x + x * 2.0 + np.concatenate([x[1:], x[:1]]), V)
    first, again = pull(seed), pull(seed)
    expected = 4 * seed + np.array([100.0, 1.0, 10.0])
    assert first[0].tolist() == again[0].tolist() == expected.tolist()
    assert seed.tolist() == [1.0, 10.0, 100.0] and value.tolist() == [6.0, 11.0, 13.0]
    a, b = grad(lambda a, b: np.sum(a + b) + np.sum(a[:2]) + np.sum(b * V), (0, 1))(V, V.copy())
    assert a.tolist() == [2.0, 2.0, 1.0] and b.tolist() == [2.0, 3.0, 4.0]
    assert not np.shares_memory(a, b)


@pytest.mark.parametrize("factor", [np.inf, np.nan, np.array([np.inf, 1.0, np.nan])])
def test_a_zero_tangent_stays_zero_on_the_quick_path(factor):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.all(jvp(lambda x: x * factor, (V,), (0 * V,))[1] == 0)
        assert jvp(lambda x: x * 1e308 * 0.5, (1.0,), (0.0,))[1] == 0
        assert not is_finite(np.float64(np.inf)) and not is_finite(np.array([1.0, -np.inf]))
        assert is_finite(np.full(3, 1e300)) and is_finite(np.zeros((0, 2)))


def test_the_gradient_of_one_array_is_that_of_a_container_of_it():
    "the commonest call is written out; it gives what the general one gives"
    f = lambda x: np.mean(x**2) + np.sum(x[1:] * x[:-1]) + x[0] @ x[1] if x.ndim > 1 else np.mean(x)  # noqa: E731
    for x in (V, np.arange(6.0).reshape(2, 3), V.astype(np.float32), np.array(2.0)):
        (value, g), (same, (h,)) = value_and_grad(f)(x), value_and_grad(lambda t: f(t[0]))((x,))
        assert value == same and type(value) is type(same) and g.dtype == h.dtype == x.dtype
        assert g.tolist() == h.tolist() and not np.shares_memory(g, x)
