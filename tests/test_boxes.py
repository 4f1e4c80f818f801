"""A box behaves like the array it stands for, and refuses what would lose a derivative."""

from __future__ import annotations

import copy
import functools
import math
import pickle

import numpy as np
import pytest
from scipy import ndimage

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
        (lambda u: np.sum(np.vectorize(lambda a: a * a)(u)), 2 * V),
        (lambda u: np.sum(np.vectorize(lambda a: a if a > 1.5 else a * a)(u) * W), W * [2, 1, 1]),
        (lambda u: np.sum(np.sin(np.vectorize(lambda a, b: a * b)(u, 2.0))), 2 * np.cos(2 * V)),
        (lambda u: np.vectorize(lambda r: r @ r, signature="(n)->()")(u) * 1.0, 2 * V),
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


def refreshed(u):
    y = np.asarray(u)
    u[0] = u[1] * 5
    return np.sum(y * y)


def refreshed_part(u):
    y = np.asarray(u[1:])[:1]
    u[1] = u[0] * 5
    return np.sum(y * y)


def copied(u):
    y = np.array(u)
    y[0], u[1] = y[1] * 2, 7.0
    return np.sum(y * y)


ARRAYS_OF_BOXES = {  # name -> function, and what NumPy's own arrays give for it
    "asarray": (lambda u: np.sum(np.asarray(u) ** 2), V * 2),
    "array": (lambda u: np.sum(np.array(u) * u), V * 2),
    "object": (lambda u: np.array(u, dtype=object).sum(), np.ones(3)),
    "pair": (lambda u: np.sum(np.array([u, u**2]) @ W), W * (1 + 2 * V)),
    "pair meets a box": (lambda u: np.array([u, u]) @ u, None),
    "with a plain row": (lambda u: np.sum(np.array([u, V]) * u), 3 * V),
    "asarray of a list": (lambda u: np.asarray([u, V]).sum(), np.ones(3)),
    "nested lists": (lambda u: np.array([[u[0], 1.0], [2.0, u[1]]]) @ u[:2], None),
    "rows of rows": (lambda u: np.array([np.array([u[0], u[1]]), u[1:]]) @ V[:2], None),
    "vstack": (lambda u: np.sum(np.vstack([u, np.asarray(u)]) ** 2), 4 * V),
    "functions": (lambda u: np.sum(np.exp(np.asarray(u))), np.exp(V)),
    "transposed": (lambda u: np.array([u, u * u]).T, None),
    "where": (lambda u: np.sum(np.where(np.asarray(u) > 1.5, np.asarray(u), 0.0)), [0, 1, 1]),
    "dot": (lambda u: W.dot(u), W),
    "matrix": (lambda u: np.asarray(u * np.ones((2, 3))).T @ W[:2], None),
    "result": (lambda u: np.asarray(u), None),
    "refreshed": (refreshed, [0, 52 * 2, 6]),
    "part refreshed": (refreshed_part, [50, 0, 0]),
    "copied": (copied, [0, 20, 6]),
}


@pytest.mark.parametrize("name", ARRAYS_OF_BOXES)
def test_arrays_of_boxes(name):
    "np.array and np.asarray of boxes with axes hold the boxes of their elements: both modes, twice"
    f, expected = ARRAYS_OF_BOXES[name]
    forward, reverse = jacfwd(f)(V.copy()), jacrev(f)(V.copy())
    assert np.allclose(forward, reverse, rtol=1e-14)
    if expected is not None:
        assert np.allclose(reverse, expected, rtol=1e-14)
    eye, h = np.eye(3), 1e-6
    difference = [(f(V + h * e) - f(V - h * e)) / (2 * h) for e in eye]
    assert np.allclose(forward, np.stack(difference, -1), atol=1e-7)
    g = grad(lambda u: np.sum(f(u) * np.cos(f(u))))
    second = [(g(V + h * e) - g(V - h * e)) / (2 * h) for e in eye]
    assert np.allclose(jacfwd(g)(V.copy()), np.stack(second, -1), atol=1e-5)


def test_arrays_of_boxes_keep_single_precision():
    single = V.astype(np.float32)
    for way in (jacfwd, jacrev):
        assert way(lambda u: np.array([u, u]) * u)(single).dtype == np.float32


def test_asarray_is_its_argument():
    "a store into it changes the argument, as in NumPy"

    def f(u):
        v = 1.0 * u
        y = np.asarray(v)
        y[0] = 1.0
        return v.sum()

    assert grad(f)(V).tolist() == [0.0, 1.0, 1.0]


def test_conversions_that_would_lose_the_derivative_are_refused():
    "the inside of a library, buffers, and very many elements"

    for f in (
        lambda u: np.vectorize(float)(u).sum(),
        lambda u: ndimage.gaussian_filter(u, 1.0).sum(),
    ):
        with pytest.raises(LitadError):
            grad(f)(V)


def test_arrays_of_boxes_that_are_read_from_the_source():
    "np.array and np.asarray in the function's own source"

    def buffered(u):
        y = np.zeros_like(u)
        return np.array([y, u]).sum()

    for f in (
        buffered,
        lambda u: np.asarray(np.ones(20_000) * u[0]).sum(),
        lambda u: np.fft.fft(np.asarray(u)).real.sum(),
        lambda u: np.linalg.inv(np.array([[u[0], 1.0], [1.0, u[1]]])).sum(),
        lambda u: np.sum(np.exp(np.array([u[0], 2.0]))),
    ):
        central = [(f(V + 1e-6 * e) - f(V - 1e-6 * e)) / 2e-6 for e in np.eye(3)]
        assert np.allclose(grad(f)(V), central, rtol=1e-6, atol=1e-6)


def test_conversions_that_are_read_from_the_source():
    "a plain array that is filled, and a dtype of numbers"

    def fill(u):
        a = np.zeros(3)
        a[:] = u
        return a.sum()

    assert np.array_equal(grad(fill)(V), np.ones(3))
    assert np.array_equal(grad(lambda u: np.float64(u).sum())(V), np.ones(3))
    assert np.array_equal(grad(lambda u: np.array(u, dtype=float).sum())(V), np.ones(3))
    assert np.array_equal(grad(lambda u: np.asarray(u).astype(float).sum())(V), np.ones(3))
    assert np.array_equal(grad(lambda u: np.asarray([u, u], float).sum())(V), np.full(3, 2.0))


def test_thousands_of_elements():
    "stacking n boxes without axes is linear in n"
    x = np.linspace(1.0, 2.0, 10_000)
    assert np.array_equal(grad(lambda u: np.sum(np.asarray(u) * u))(x), 2 * x)


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
    "np.array([x, 2.0]) cannot be intercepted: read from the source, else clear"
    assert grad(lambda x: np.sum(np.array([x, 2.0]) * np.array([x, x])))(3.0) == 8.0
    space = {"np": np}
    exec("def unread(x, f):\n    return np.sum(f(np.array([x, 2.0])))", space)
    for f in (np.sin, np.exp, np.log1p):
        h = 1e-6
        g = lambda x, f=f: np.sum(f(np.array([x, 2.0])))  # noqa: E731
        assert np.isclose(grad(g)(3.0), (g(3.0 + h) - g(3.0 - h)) / (2 * h))
        with pytest.raises(LitadError, match=r"np\.stack"):
            grad(space["unread"])(3.0, f)


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
        lambda: Dual(1.0, 1j),
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
