"""A box behaves like the array it stands for, and refuses what would lose a derivative."""

from __future__ import annotations

import copy
import functools
import math
import pickle

import numpy as np
import pytest

from litad import Dual, LitadError, Tape, derivative, grad, gradient, jacfwd, jacrev, jvp, vjp

ways = pytest.mark.parametrize("d", [derivative, grad])
vector_ways = pytest.mark.parametrize("d", [grad, gradient])
V = np.array([1.0, 2.0, 3.0])
W = np.array([2.0, 0.5, -1.0])


@ways
@pytest.mark.parametrize(
    "f, slope",
    [
        (lambda x: x * 2 if 1 < x < 5 else x, 2.0),
        (lambda x: x * 2 if x in [1.0, 3.0] else x, 2.0),
        (lambda x: x if x is None or x == None else 2 * x, 2.0),  # noqa: E711
        (lambda x: x * 2 if x != "a" else x, 2.0),
        (lambda x: x * 2 if x else x, 2.0),
        (lambda x: x * 2 if not np.isnan(x) else x, 2.0),
        (lambda x: max(x, 2 * x, 1.0), 2.0),
        (lambda x: min([x * 4, x, 5]), 1.0),
        (lambda x: sorted([x * 4, x, -x])[2], 4.0),
        (lambda x: sum([x, x * x, 1]), 7.0),
        (lambda x: sum(x * k for k in range(4)), 6.0),
        (lambda x: math.prod([x, x, 2]), 12.0),
        (lambda x: functools.reduce(lambda a, b: a * b, [x] * 4), 108.0),
        (lambda x: list({x, x})[0] * 2, 2.0),
        (lambda x: {x: x * 3}[x], 3.0),
        (lambda x: copy.copy(x) * copy.deepcopy(x), 6.0),
        (lambda x: copy.deepcopy({"a": [x]})["a"][0] * 2, 2.0),
        (lambda x: (f"{x} {x:.2f} {x!r}" and x) * 2, 2.0),
        (lambda x: pow(x, 2) + x**2, 12.0),
        (lambda x: divmod(x, 2)[1] + x, 2.0),
        (lambda x: (-x) + (+x) + abs(-x), 1.0),
        (lambda x: np.array([x, 2 * x]).sum(), 3.0),
        (lambda x: np.sum([x, 2 * x]), 3.0),
        (lambda x: np.prod([x, 2 * x]), 12.0),
        (lambda x: np.max([x, 2 * x]), 2.0),
        (lambda x: np.array([x, 1.0])[0] * 2, 2.0),
        (lambda x: np.array([[x, x], [x, 2 * x]]).sum(axis=0)[1], 3.0),
        (lambda x: np.array([[x, x], [x, 2 * x]]).T[1, 1], 2.0),
        (lambda x: np.sum(np.sin(np.array([[x, x], [x, x]]) * 0)), 0.0),
        (lambda x: np.sum(np.sqrt(np.array([x * x, x * x]))), 2.0),
        (lambda x: np.array([x, 1.0]) @ np.array([1.0, 2.0]), 1.0),
        (lambda x: np.dot(np.array([x, x]), np.array([1.0, 2.0])), 3.0),
        (lambda x: np.sum(np.array([x, 2]) ** 2), 6.0),
        (lambda x: np.array(x) * 2, 2.0),
        (lambda x: np.asarray(x)[()] * 2, 2.0),
        (lambda x: np.full(3, x).sum(), 3.0),
        (lambda x: np.sum(np.ones(3) * x + x * np.ones((2, 3))), 12.0),
        (lambda x: np.float64(2) * x + x * np.float32(1), 3.0),
        (lambda x: np.array(2.0) * x + np.array([1.0]) @ np.reshape(x, 1), 3.0),
        (lambda x: True * x + np.True_ * x, 2.0),
        (lambda x: np.vectorize(lambda u: u * u)(x), 6.0),
    ],
)
def test_python_and_numpy_idioms(d, f, slope):
    "comparing, branching, hashing, copying, formatting, listing: all as with a number"
    assert d(f)(3.0) == pytest.approx(slope)


def newton(x):
    y = x
    while abs(y * y - x) > 1e-12:
        y = (y + x / y) / 2
    return y


def power_loop(x):
    y = 1.0
    for k in range(4):
        if k % 2 == 0 or x < 0:
            y = y * x
    return y


@ways
def test_control_flow(d):
    "loops and branches on values"
    assert d(newton)(4.0) == pytest.approx(0.25)
    assert d(power_loop)(3.0) == 6.0
    assert d(power_loop)(-2.0) == 4 * (-2.0) ** 3


@vector_ways
@pytest.mark.parametrize(
    "f, slopes",
    [
        (lambda u: (lambda a, b, c: a * b * c)(*u), [6.0, 3.0, 2.0]),
        (lambda u: sum(u), [1.0, 1.0, 1.0]),
        (lambda u: sum(reversed(u)), [1.0, 1.0, 1.0]),
        (lambda u: sum(a * b for a, b in zip(u, W)), W),
        (lambda u: sum(k * a for k, a in enumerate(u)), [0.0, 1.0, 2.0]),
        (lambda u: np.sum(np.array(list(u)) * W), W),
        (lambda u: np.sum(np.array([u[0], u[1]]) * u[1:]), [2.0, 4.0, 2.0]),
        (lambda u: np.array([u[0], u[1]]) @ u[:2], [2.0, 4.0, 0.0]),
        (lambda u: u @ [1, 2, 3], [1.0, 2.0, 3.0]),
        (lambda u: [1, 2, 3] @ u, [1.0, 2.0, 3.0]),
        (lambda u: W @ u + u @ W, 2 * W),
        (lambda u: np.sum(W - u) + np.sum(W / 2 * u), W / 2 - 1),
        (lambda u: np.sum(np.arange(3) * u), [0.0, 1.0, 2.0]),
        (lambda u: len(u) * u[-1], [0.0, 0.0, 3.0]),
        (lambda u: u.shape[0] * u.size * u.ndim * u[0], [9.0, 0.0, 0.0]),
        (lambda u: np.sum(u[u > 1.5]), [0.0, 1.0, 1.0]),
        (lambda u: np.sum(u[np.argsort(-u)] * W), [-1.0, 0.5, 2.0]),
        (lambda u: u.sum() if (u > 0).all() and u.any() else 0 * u[0], [1.0, 1.0, 1.0]),
        (lambda u: np.sum(np.zeros_like(u) + np.ones_like(u) * u), [1.0, 1.0, 1.0]),
        (lambda u: np.sum(np.zeros(3, like=u) + u), [1.0, 1.0, 1.0]),
        (lambda u: np.sum(np.eye(3) @ u), [1.0, 1.0, 1.0]),
        (lambda u: u.dot(u), 2 * V),
        (lambda u: u.mean() * 3, [1.0, 1.0, 1.0]),
        (lambda u: np.sum(np.broadcast_to(u, (2, 3))), [2.0, 2.0, 2.0]),
    ],
)
def test_vector_idioms(d, f, slopes):
    "unpacking, iterating, zipping, mixing with lists and plain arrays"
    assert d(f)(V) == pytest.approx(np.array(slopes))


@vector_ways
def test_augmented_assignment(d):
    "x += y means what it means to an array, and changes nobody's argument"
    x = V.copy()

    def f(u):
        v = u * 1.0
        v += 1
        v *= 2
        return np.sum(v * u)

    assert d(f)(x) == pytest.approx(4 * V + 2)
    assert x.tolist() == V.tolist()


def boxes():
    "One box of each kind, scalar and vector."
    tape = Tape()
    return [Dual.variable(3.0), Dual(V, W), tape.input(3.0), tape.input(V)]


@pytest.mark.parametrize("box", boxes(), ids=lambda b: f"{type(b).__name__}{list(b.shape)}")
@pytest.mark.parametrize(
    "attempt",
    [
        float,
        int,
        complex,
        range,
        lambda x: math.sin(x),
        lambda x: math.floor(x),
        lambda x: x.item(),
        lambda x: x.tolist(),
        lambda x: [1, 2, 3][x],
        lambda x: V[x : x + 1],
        lambda x: x.astype(int),
        lambda x: x.astype(bool),
        lambda x: np.add(x, x, out=np.zeros(x.shape)),
        lambda x: np.sum(x, out=np.zeros(())),
        lambda x: np.zeros(x.shape).__iadd__(x),
        lambda x: np.copyto(np.zeros(x.shape), x),
        lambda x: np.histogram(x),
        lambda x: np.packbits(x),
        lambda x: np.add.at(np.zeros(3), [0], x),
        lambda x: np.isnat(x),
    ],
)
def test_refusals(box, attempt):
    "what would turn a box into a plain number, or has no rule, is refused with LitadError"
    with pytest.raises(LitadError) as error:
        attempt(box)
    assert len(str(error.value).splitlines()) >= 2, "a refusal says more than one line"


def test_numpy_conversions_of_a_vector_are_refused():
    "np.asarray of a vector box, ndarray.dot, filling and slices"

    def fill(u):
        a = np.zeros(3)
        a[:] = u
        return a.sum()

    for f in (
        lambda u: np.asarray(u).sum(),
        lambda u: np.array(u, dtype=float).sum(),
        lambda u: np.ones(3).dot(u),
        lambda u: np.array([u, u]).sum(),
        fill,
    ):
        with pytest.raises(LitadError):
            grad(f)(V)


def test_lengths_of_scalars():
    "a scalar box has no length and does not iterate, as NumPy's do not"
    for attempt in (len, list, sum, reversed):
        with pytest.raises(TypeError):
            grad(attempt)(3.0)


def test_truth_of_many_elements_is_numpys_error():
    with pytest.raises(ValueError, match="ambiguous"):
        grad(lambda u: u[0] if u > 0 else u[1])(V)


def test_strangers_decide_for_themselves():
    "an operand that is no number is asked by Python"

    class Stranger:
        def __radd__(self, other):
            return other * 5

    assert grad(lambda x: x + Stranger())(2.0) == 5.0
    for other in (None, {1}, object(), {}):
        with pytest.raises(TypeError):
            grad(lambda x, other=other: x * other)(2.0)


def test_representations_are_short_and_stable():
    assert repr(Dual(2.0, 1.0)) == "Dual(2.0, 1.0)" == str(Dual(2.0, 1.0))
    assert "Var" in repr(Tape().input(2.0))
    assert f"{Dual(2.0, 1.0):.3f}" == "2.000"


def test_pickling():
    "a box belongs to its transformation: a copy from another process would have lost its path"
    for d in (grad, derivative):
        with pytest.raises(LitadError):
            d(lambda x: x + pickle.loads(pickle.dumps(x)))(2.0)


def test_indexing_a_plain_array_by_a_box():
    "NumPy itself refuses the index"
    for index in (lambda x: V[x], lambda x: V[x, None]):
        with pytest.raises((IndexError, LitadError)):
            grad(index)(1.0)


def test_object_arrays_mixed_with_numbers_are_refused_or_right():
    "np.array([x, 2.0]) cannot be intercepted: right where Python's operators suffice, else clear"
    assert grad(lambda x: np.sum(np.array([x, 2.0]) * np.array([x, x])))(3.0) == 8.0
    for f in (np.sin, np.exp, np.log1p):
        with pytest.raises(LitadError, match=r"np\.stack"):
            grad(lambda x, f=f: np.sum(f(np.array([x, 2.0]))))(3.0)


def test_object_array_of_numbers_only():
    "an object array that holds only numbers is an array of numbers"
    sign = lambda x: np.sum(x * np.array([1, -2.5], dtype=object))  # noqa: E731
    assert grad(sign)(3.0) == -1.5
    assert derivative(sign)(3.0) == -1.5


@pytest.mark.parametrize("way", [jacfwd, jacrev])
def test_results_made_with_np_array(way):
    "a result assembled by np.array is stacked on its way out"
    f = lambda u: np.array([u[0] + u[1], u[0] * u[2], 1.0])  # noqa: E731
    expected = [[1.0, 1.0, 0.0], [3.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    assert way(f)(V).tolist() == expected
    assert way(lambda u: np.array([[u[0], u[1]]]))(V).shape == (1, 2, 3)


def test_index_arrays_are_taken_as_they_were():
    "an index array that changes after the forward pass does not change the gradient"
    index = np.array([0, 0])

    def f(u):
        y = u[index]
        index[:] = 2
        return np.sum(y)

    assert grad(f)(V).tolist() == [2.0, 0.0, 0.0]


def test_dual_numbers_refuse_nonsense():
    for attempt in (
        lambda: Dual(V, 1.0),
        lambda: Dual(1.0, V),
        lambda: Dual("a"),
        lambda: Dual(1j),
        lambda: Dual(None),
        lambda: Dual.variable("a"),
    ):
        with pytest.raises(LitadError):
            attempt()
    assert Dual(2).value == 2.0 and Dual.variable(2).deriv == 1.0
    assert Dual.constant(V).deriv.tolist() == [0.0, 0.0, 0.0]
    assert (Dual.variable([1, 2]) * 2).deriv.tolist() == [2.0, 2.0]


def test_boxes_answer_like_arrays():
    "shape, ndim, size, dtype, len: those of the value"
    for x in (Dual(V, W), Tape().input(V)):
        assert (x.shape, x.ndim, x.size, x.dtype, len(x)) == ((3,), 1, 3, np.float64, 3)
        assert np.shape(x) == (3,) and np.ndim(x) == 1 and np.size(x) == 3
        assert (x > 1.5).tolist() == [False, True, True] and not isinstance(x > 0, type(x))
        assert np.argmax(x) == 2 and np.allclose(x, V)


def test_single_precision_is_kept_beside_python_numbers():
    x = np.ones(3, np.float32)
    f = lambda u: np.sum(u * 2.5 + 1 / (u + 3) ** 2 - np.where(u > 0, u, 0.0))  # noqa: E731
    assert grad(f)(x).dtype == gradient(f)(x).dtype == np.float32
    assert jvp(f, (x,), (x,))[1].dtype == np.float32
    assert vjp(f, x)[1](np.float32(1))[0].dtype == np.float32
    assert jacfwd(lambda u: {"a": u, "b": np.float32(1)})(x)["b"].dtype == np.float32
    assert jacrev(lambda u: (u[0], u * 2), chunk=1)(x)[0].dtype == np.float32
