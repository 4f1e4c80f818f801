"""Code for the array API standard (2024.12), which reaches every function through its array."""

from __future__ import annotations

import numpy as np
import pytest
from laws import check_first, check_second, close

from litad import LitadError, grad, jvp, vjp
from litad.core import Box
from litad.namespace import NAMESPACE

pytestmark = pytest.mark.filterwarnings("ignore")

X = np.random.default_rng(0).uniform(0.2, 0.9, (3, 4))
Y = np.random.default_rng(1).uniform(1.1, 1.9, (3, 4))
S = np.random.default_rng(2).uniform(-0.2, 0.2, (3, 3)) + 2 * np.eye(3)

UNARY = (
    "abs acos acosh asin asinh atan atanh ceil conj cos cosh exp expm1 floor imag log log1p log10 "
    "log2 negative positive real reciprocal round sign sin sinh square sqrt tan tanh trunc"
).split()
BINARY = (
    "add atan2 copysign divide floor_divide hypot logaddexp maximum minimum multiply nextafter pow "
    "remainder subtract"
).split()
I = np.array([2, 0, 2])  # noqa: E741
CALLS = {
    "clip": [lambda xp, x, y: xp.clip(x, 0.3, y / 2), lambda xp, x, y: xp.clip(x, max=0.5)],
    "cumulative_sum": [lambda xp, x, y: xp.cumulative_sum(x, axis=1, include_initial=True)],
    "cumulative_prod": [lambda xp, x, y: xp.cumulative_prod(x, axis=0)],
    "max": [lambda xp, x, y: xp.max(x, axis=1, keepdims=True)],
    "mean": [lambda xp, x, y: xp.mean(x, axis=(0, 1))],
    "min": [lambda xp, x, y: xp.min(x)],
    "prod": [lambda xp, x, y: xp.prod(x, axis=0)],
    "std": [lambda xp, x, y: xp.std(x, axis=1, correction=1)],
    "sum": [lambda xp, x, y: xp.sum(x, axis=-1, dtype=xp.float64)],
    "var": [lambda xp, x, y: xp.var(x, correction=0.5)],
    "matmul": [lambda xp, x, y: xp.matmul(x, xp.matrix_transpose(y)), lambda xp, x, y: x @ y.T],
    "tensordot": [lambda xp, x, y: xp.tensordot(x, y, axes=((1,), (1,)))],
    "vecdot": [lambda xp, x, y: xp.vecdot(x, y, axis=-1)],
    "where": [lambda xp, x, y: xp.where(x > 0.5, x, y)],
    "broadcast_to": [lambda xp, x, y: xp.broadcast_to(x, (2, 3, 4)) * 1.0],
    "broadcast_arrays": [lambda xp, x, y: xp.multiply(*xp.broadcast_arrays(x, y[0]))],
    "concat": [
        lambda xp, x, y: xp.concat([x, y], axis=1),
        lambda xp, x, y: xp.concat((x, y), axis=None),
    ],
    "expand_dims": [lambda xp, x, y: xp.expand_dims(x, axis=1)],
    "flip": [lambda xp, x, y: xp.flip(x, axis=0)],
    "moveaxis": [lambda xp, x, y: xp.moveaxis(x, 0, 1)],
    "permute_dims": [lambda xp, x, y: xp.permute_dims(x, (1, 0))],
    "repeat": [lambda xp, x, y: xp.repeat(x, 2, axis=1), lambda xp, x, y: xp.repeat(x, I, axis=0)],
    "reshape": [lambda xp, x, y: xp.reshape(x, (2, -1), copy=True)],
    "roll": [lambda xp, x, y: xp.roll(x, (1, 2), axis=(0, 1))],
    "squeeze": [lambda xp, x, y: xp.squeeze(x[None], axis=0)],
    "stack": [lambda xp, x, y: xp.stack([x, y], axis=-1)],
    "tile": [lambda xp, x, y: xp.tile(x, (2, 1))],
    "unstack": [lambda xp, x, y: xp.unstack(x, axis=1)[2]],
    "meshgrid": [lambda xp, x, y: xp.multiply(*xp.meshgrid(x[0], y[1], indexing="ij"))],
    "tril": [lambda xp, x, y: xp.tril(x, k=1)],
    "triu": [lambda xp, x, y: xp.triu(x)],
    "take": [lambda xp, x, y: xp.take(x, I, axis=0)],
    "take_along_axis": [lambda xp, x, y: xp.take_along_axis(x, I[:, None], axis=1)],
    "sort": [lambda xp, x, y: xp.sort(x), lambda xp, x, y: xp.sort(x, axis=0, descending=True)],
    "diff": [lambda xp, x, y: xp.diff(x, n=2, axis=1, append=y[:, :1])],
    "matrix_transpose": [lambda xp, x, y: xp.matrix_transpose(x)],
    "from_dlpack": [lambda xp, x, y: xp.from_dlpack(x, copy=True)],
    "astype": [lambda xp, x, y: xp.astype(x, xp.float64)],
    "asarray": [
        lambda xp, x, y: xp.asarray(x, copy=True),
        lambda xp, x, y: xp.asarray([x[0, 0], y[0, 0]]),
    ],
    "linspace": [lambda xp, x, y: xp.linspace(x[0, 0], y[0, 0], 5)],
    "full": [lambda xp, x, y: xp.full((2, 3), x[0, 0]) * 1.0],
    "full_like": [lambda xp, x, y: xp.full_like(x, y[0, 0]) * 1.0],
    "zeros": [lambda xp, x, y: stored(xp.zeros(4), x)],
    "ones": [lambda xp, x, y: stored(xp.ones(4), x)],
    "empty": [lambda xp, x, y: stored(xp.empty(4), x)],
    "zeros_like": [lambda xp, x, y: stored(xp.zeros_like(x[0]), x)],
    "ones_like": [lambda xp, x, y: stored(xp.ones_like(x[0]), x)],
    "empty_like": [lambda xp, x, y: stored(xp.empty_like(x[0]), x)],
    "eye": [lambda xp, x, y: stored(xp.eye(4)[1], x) + xp.eye(4)[1]],
    "arange": [lambda xp, x, y: stored(xp.arange(4.0), x), lambda xp, x, y: x[xp.arange(2)]],
    "cholesky": [lambda xp, x, y: xp.linalg.cholesky(x @ x.T + xp.eye(3))],
    "cross": [lambda xp, x, y: xp.linalg.cross(x[:, :3], y[:, :3])],
    "det": [lambda xp, x, y: xp.linalg.det(x[:, :3] + S)],
    "diagonal": [lambda xp, x, y: xp.linalg.diagonal(x, offset=1)],
    "eigh": [lambda xp, x, y: xp.linalg.eigh(x @ x.T).eigenvalues],
    "eigvalsh": [lambda xp, x, y: xp.linalg.eigvalsh(x @ x.T)],
    "inv": [lambda xp, x, y: xp.linalg.inv(x[:, :3] + S)],
    "matrix_norm": [
        lambda xp, x, y: xp.linalg.matrix_norm(x),
        lambda xp, x, y: xp.linalg.matrix_norm(x, ord="nuc"),
    ],
    "matrix_power": [lambda xp, x, y: xp.linalg.matrix_power(x[:, :3] + S, -2)],
    "outer": [lambda xp, x, y: xp.linalg.outer(x[0], y[1])],
    "pinv": [lambda xp, x, y: xp.linalg.pinv(x, rtol=1e-9)],
    "qr": [lambda xp, x, y: xp.linalg.qr(x[:, :3] + S).R],
    "slogdet": [lambda xp, x, y: xp.linalg.slogdet(x[:, :3] + S).logabsdet],
    "solve": [lambda xp, x, y: xp.linalg.solve(x[:, :3] + S, y)],
    "svd": [lambda xp, x, y: xp.linalg.svd(x, full_matrices=False).S],
    "svdvals": [lambda xp, x, y: xp.linalg.svdvals(x)],
    "trace": [lambda xp, x, y: xp.linalg.trace(x)],
    "vector_norm": [lambda xp, x, y: xp.linalg.vector_norm(x, axis=1, ord=3)],
    "fft": [lambda xp, x, y: xp.abs(xp.fft.fft(x)), lambda xp, x, y: xp.real(xp.fft.ifft(x, n=3))],
    "fftn": [
        lambda xp, x, y: xp.imag(xp.fft.fftn(x)),
        lambda xp, x, y: xp.real(xp.fft.ifftn(x * 1j + y)),
    ],
    "rfft": [
        lambda xp, x, y: xp.real(xp.fft.rfft(x)),
        lambda xp, x, y: xp.fft.irfft(xp.fft.rfft(x), n=4),
    ],
    "rfftn": [
        lambda xp, x, y: xp.imag(xp.fft.rfftn(x)),
        lambda xp, x, y: xp.fft.irfftn(xp.fft.rfftn(x)),
    ],
    "hfft": [lambda xp, x, y: xp.fft.hfft(x + 1j * y), lambda xp, x, y: xp.imag(xp.fft.ihfft(x))],
    "fftshift": [lambda xp, x, y: xp.fft.fftshift(x), lambda xp, x, y: xp.fft.ifftshift(x, axes=1)],
}
CALLS |= {name: [lambda xp, x, y, name=name: getattr(xp, name)(x) + x] for name in UNARY}
CALLS |= {"acosh": [lambda xp, x, y: xp.acosh(y)]}
CALLS |= {
    name: [
        lambda xp, x, y, name=name: getattr(xp, name)(y * 3.3, x) + x,
        lambda xp, x, y, name=name: getattr(xp, name)(x[0], y),
    ]
    for name in BINARY
}
PLAIN = {
    "all": lambda xp, x: xp.all(x > 0, axis=0),
    "any": lambda xp, x: xp.any(x > 0.5, axis=1),
    "argmax": lambda xp, x: xp.argmax(x, axis=1),
    "argmin": lambda xp, x: xp.argmin(x),
    "argsort": lambda xp, x: xp.argsort(x, axis=0),
    "argsort descending": lambda xp, x: xp.argsort(x[0], descending=True),
    "count_nonzero": lambda xp, x: xp.count_nonzero(x > 0.5, axis=0),
    "equal": lambda xp, x: xp.equal(x, x[0]),
    "greater": lambda xp, x: xp.greater(x, 0.5),
    "greater_equal": lambda xp, x: xp.greater_equal(x, 0.5),
    "isfinite": lambda xp, x: xp.isfinite(x),
    "isinf": lambda xp, x: xp.isinf(x),
    "isnan": lambda xp, x: xp.isnan(x),
    "less": lambda xp, x: xp.less(0.5, x),
    "less_equal": lambda xp, x: xp.less_equal(x, 0.5),
    "logical_and": lambda xp, x: xp.logical_and(x > 0.3, x < 0.6),
    "logical_not": lambda xp, x: xp.logical_not(x > 0.3),
    "logical_or": lambda xp, x: xp.logical_or(x > 0.3, x < 0.6),
    "logical_xor": lambda xp, x: xp.logical_xor(x > 0.3, x < 0.6),
    "nonzero": lambda xp, x: xp.nonzero(x)[0],
    "not_equal": lambda xp, x: xp.not_equal(x, 0.5),
    "searchsorted": lambda xp, x: xp.searchsorted(xp.sort(x[0]), 0.5),
    "signbit": lambda xp, x: xp.signbit(x),
    "matrix_rank": lambda xp, x: xp.linalg.matrix_rank(x),
}
TYPES = {
    "isdtype": lambda xp, x: xp.isdtype(x.dtype, "real floating"),
    "result_type": lambda xp, x: xp.result_type(x, xp.float32),
    "can_cast": lambda xp, x: xp.can_cast(x.dtype, xp.float32),
    "finfo": lambda xp, x: xp.finfo(x.dtype).eps,
    "iinfo": lambda xp, x: xp.iinfo(xp.int32).max,
    "constants": lambda xp, x: (xp.pi, xp.e, xp.inf, xp.newaxis),
    "shape": lambda xp, x: (x.shape, x.ndim, x.size, x.dtype, x.device),
    "fftfreq": lambda xp, x: xp.fft.fftfreq(4).tolist() + xp.fft.rfftfreq(4).tolist(),
    "integers": lambda xp, x: xp.asarray([1, 2]).tolist() + xp.zeros(2, dtype=xp.int64).tolist(),
    "bitwise": lambda xp, x: xp.bitwise_and(xp.asarray([1, 2]), 2).tolist(),
    "version": lambda xp, x: xp.__array_api_version__ if xp is NAMESPACE else "2024.12",
}
REFUSED = {
    "unique_values": lambda xp, x: xp.unique_values(x),
    "unique_counts": lambda xp, x: xp.unique_counts(x),
    "unique_inverse": lambda xp, x: xp.unique_inverse(x),
    "unique_all": lambda xp, x: xp.unique_all(x),
    "astype": lambda xp, x: xp.astype(x, xp.int64),
    "numpy's from_dlpack": lambda xp, x: np.from_dlpack(x),
    "bitwise_and": lambda xp, x: xp.bitwise_and(x, 1),
    "bitwise_left_shift": lambda xp, x: xp.bitwise_left_shift(x, 1),
}


def stored(buffer, x):
    buffer[0], buffer[1:3] = x[0, 0] * x[1, 1], x[2, :2]
    return buffer * 2.0


def space_of(x):
    "The namespace of a box; for a plain array the same one, so that values can be compared."
    return x.__array_namespace__(api_version="2024.12") if isinstance(x, Box) else NAMESPACE


cases = pytest.mark.parametrize(
    "call",
    [
        pytest.param(c, id=f"{name}-{k}")
        for name, calls in CALLS.items()
        for k, c in enumerate(calls)
    ],
)


def on_both(call):
    return lambda x, y: call(space_of(x), x, y) * 1.0 + 0 * (np.sum(x) + np.sum(y))


@cases
def test_first_order(call):
    "forward = reverse = central difference, through the namespace alone"
    check_first(on_both(call), [X, Y], np.random.default_rng(0), rtol=2e-7)


@cases
def test_second_order(call):
    f = lambda x, y: on_both(call)(np.sin(x) + 0.1 * x * x, y * y * 0.4 + 0.5)  # noqa: E731
    check_second(f, [X, Y], np.random.default_rng(1), 1e-8, 2e-5)


@cases
def test_values_are_numpys(call):
    "what NumPy has by the same name gives the same numbers"
    if call in CALLS["sort"] + CALLS["clip"] + CALLS["from_dlpack"]:
        return
    found = vjp(on_both(call), X, Y)[0]
    expected = call(np, X.copy(), Y.copy())
    assert close(found, np.asarray(expected) * 1.0, 1e-14)


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_what_has_no_derivative_is_plain(name):
    "positions, counts and truth values are those of the value, and no boxes"
    call, seen = PLAIN[name], []

    def f(x):
        seen.append(call(x.__array_namespace__(), x))
        return x.__array_namespace__().sum(x)

    grad(f)(X)
    jvp(f, (X,), (X,))
    expected = call(NAMESPACE, X)
    for found in seen:
        assert isinstance(found, (np.ndarray, np.generic))
        assert np.array_equal(found, expected) and found.dtype == expected.dtype


@pytest.mark.parametrize("name", sorted(TYPES))
def test_types_and_constants(name):
    call, seen = TYPES[name], []
    grad(lambda x: (seen.append(call(x.__array_namespace__(), x)), np.sum(x))[1])(X)
    device = X.device if hasattr(X, "device") else "cpu"
    assert seen == [call(np, X)] and device == "cpu"


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refusals(name):
    "what would lose the derivative is refused by name"
    for way in (lambda f: grad(f)(X), lambda f: jvp(f, (X,), (X,))):
        with pytest.raises(LitadError):
            way(lambda x: np.sum(x) + np.sum(REFUSED[name](x.__array_namespace__(), x)))


def test_created_arrays_receive_boxes():
    "item assignment into what the namespace makes, in loops, slices and through masks"

    def f(x):
        xp = x.__array_namespace__()
        makers = (xp.zeros, xp.ones, xp.empty, xp.arange, lambda n: xp.linspace(0.0, 1.0, n))
        total = xp.asarray(0.0)
        for make in (*makers, lambda n: xp.asarray([0.0] * n), lambda n: xp.full(n, 2.0)):
            y = make(3) if make is not xp.arange else xp.arange(3.0)
            y[0] = x[0]
            y[1:] = x[1:] ** 2
            y[xp.asarray([True, False, False])] *= 3.0
            total = total + xp.sum(y * y)
        return total

    x = np.array([0.5, -1.0, 2.0])
    assert np.allclose(grad(f)(x), 7 * np.array([18 * x[0], 4 * x[1] ** 3, 4 * x[2] ** 3]))


def test_the_namespace_itself():
    for version in ("2021.12", "2022.12", "2023.12", "2024.12"):
        assert NAMESPACE is space_of(X) and version
        grad(lambda x, v=version: np.sum(x.__array_namespace__(api_version=v).sin(x)))(X)
    with pytest.raises(LitadError, match="version"):
        grad(lambda x: x.__array_namespace__(api_version="2031.12").sum(x))(X)
    assert {"sin", "asarray", "linalg"} <= set(dir(NAMESPACE)) and "array API" in repr(NAMESPACE)
