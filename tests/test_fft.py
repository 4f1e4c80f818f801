"""Laws of the Fourier room: transforms, shifts, and the functions around a spectrum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import litad.fft  # noqa: F401
from litad import LitadError, grad, gradient, hessian, jacfwd, jacrev, jvp, vjp

F = np.fft
X = np.random.default_rng(3).standard_normal((3, 4))
V = np.random.default_rng(4).standard_normal(5)
C = np.random.default_rng(5).standard_normal((2, 3, 4))
PHASE = np.random.default_rng(6).standard_normal((3, 4)) + 1j * X


def real(z):
    "A complex array as a real one that depends on all of its parts."
    return np.concatenate([np.real(z), 2 * np.imag(z)], axis=-1) if z.dtype.kind == "c" else z


# Functions of a real array; the point they are taken at comes first.
CALLS = {
    "fft": (V, lambda x: F.fft(x)),
    "fft padded": (V, lambda x: F.fft(x, 8)),
    "fft cropped": (V, lambda x: F.fft(x, n=3, norm="ortho")),
    "fft along 0": (X, lambda x: F.fft(x, axis=0, norm="forward")),
    "fft of complex": (X, lambda x: F.fft(x * PHASE, 6, -2)),
    "fft in the middle": (C, lambda x: F.fft(x * (1 + 2j), 2, 1)),
    "ifft": (V, lambda x: F.ifft(x)),
    "ifft of complex": (X, lambda x: F.ifft(x * PHASE, 7, 0, "ortho")),
    "ifft of fft": (V, lambda x: F.ifft(F.fft(x) ** 2)),
    "rfft": (V, lambda x: F.rfft(x)),
    "rfft even": (X, lambda x: F.rfft(x)),
    "rfft padded": (X, lambda x: F.rfft(x, 8, 0, "forward")),
    "rfft cropped": (X, lambda x: F.rfft(x, 2, axis=1, norm="ortho")),
    "rfft of one": (V, lambda x: F.rfft(x, 1)),
    "irfft of real": (V, lambda x: F.irfft(x)),
    "irfft": (X, lambda x: F.irfft(x * PHASE)),
    "irfft odd": (X, lambda x: F.irfft(x * PHASE, 5, norm="ortho")),
    "irfft padded": (X, lambda x: F.irfft(x * PHASE, 12, 0, "forward")),
    "irfft of one": (X, lambda x: F.irfft(x * PHASE, 1)),
    "a filter": (V, lambda x: F.irfft(F.rfft(x) * np.arange(3), 5)),
    "hfft": (X, lambda x: F.hfft(x * PHASE)),
    "hfft options": (X, lambda x: F.hfft(x * PHASE, 7, 0, "forward")),
    "ihfft": (V, lambda x: F.ihfft(x)),
    "ihfft options": (X, lambda x: F.ihfft(x, n=6, axis=0, norm="ortho")),
    "fft2": (C, lambda x: F.fft2(x)),
    "fft2 options": (C, lambda x: F.fft2(x, (4, 2), (0, 1), "ortho")),
    "ifft2": (X, lambda x: F.ifft2(x * PHASE)),
    "fftn": (C, lambda x: F.fftn(x)),
    "fftn axes": (C, lambda x: F.fftn(x, axes=(2, 0), norm="forward")),
    "fftn sizes": (C, lambda x: F.fftn(x, s=(3, -1), axes=(0, -1))),
    "fftn twice": (X, lambda x: F.fftn(x, axes=(1, 1))),
    "ifftn": (C, lambda x: F.ifftn(x * (2 - 1j), norm="ortho")),
    "rfft2": (C, lambda x: F.rfft2(x)),
    "rfftn": (C, lambda x: F.rfftn(x, norm="forward")),
    "rfftn options": (C, lambda x: F.rfftn(x, (5, 3), (2, 1), norm="ortho")),
    "irfft2": (X, lambda x: F.irfft2(x * PHASE)),
    "irfftn": (C, lambda x: F.irfftn(x * (2 - 1j))),
    "irfftn options": (C, lambda x: F.irfftn(x * (2 - 1j), (3, 5), (0, 2), "forward")),
    "there and back": (C, lambda x: F.irfftn(F.rfftn(x) * (1 + 1j), x.shape, (0, 1, 2))),
    "fftshift": (X, lambda x: F.fftshift(x)),
    "fftshift along 0": (C, lambda x: F.fftshift(x, 1)),
    "ifftshift": (C, lambda x: F.ifftshift(x, axes=(0, 2))),
    "ifftshift of complex": (V, lambda x: F.ifftshift(F.fft(x))),
    "power": (V, lambda x: np.abs(F.fft(x)) ** 2),
    "phases": (V, lambda x: np.unwrap(np.angle(F.rfft(x + 3)))),
    "convolution": (V, lambda x: F.ifft(F.fft(x) * F.fft(x[::-1])).real),
    "spacing": (V, lambda x: F.fftfreq(6, d=x[0]) + F.rfftfreq(10, x[1])),
    "unwrap": (3 * X, lambda x: np.unwrap(x)),
    "unwrap options": (9 * X, lambda x: np.unwrap(x, 2.5, axis=0, period=4.0)),
    "sinc": (X, lambda x: np.sinc(x)),
    "sinc near 0": (np.array([0.0, 1e-8, -1e-3, 1.0, -2.5]), lambda x: np.sinc(x)),
    "i0": (X, lambda x: np.i0(x)),
}
calls = pytest.mark.parametrize("name", CALLS)


def close(a, b, rtol=1e-12):
    a, b = np.asarray(a), np.asarray(b)
    scale = max(1.0, np.max(np.abs(b), initial=0.0))
    return a.shape == b.shape and np.allclose(a, b, rtol=0, atol=rtol * scale)


def difference(f, x, v, h=1e-5):
    return (f(x + h * v) - f(x - h * v)) / (2 * h)


@calls
def test_first_order(name):
    "forward = reverse = central difference; values are NumPy's own"
    x, call = CALLS[name]
    f = lambda x: real(call(x))  # noqa: E731
    rng = np.random.default_rng(0)
    v = rng.standard_normal(x.shape)
    value, pushed = jvp(f, (x,), (v,))
    again, pullback = vjp(f, x)
    assert np.array_equal(value, f(x)) and np.array_equal(again, f(x))
    assert close(pushed, difference(f, x, v), 1e-8)
    w = rng.standard_normal(np.shape(pushed))
    pulled = pullback(w)[0]
    assert pulled.dtype == x.dtype
    assert close(np.sum(w * pushed), np.sum(pulled * v))


@calls
def test_complex_values(name):
    "the value of the call itself is what NumPy gives, of the same type"
    x, call = CALLS[name]
    seen = []

    def f(x):
        y = call(x)
        seen.append(y.value)
        return np.sum(real(y))

    gradient(f, chunk=2)(x)
    assert np.array_equal(seen[0], call(x)) and seen[0].dtype == call(x).dtype


@calls
def test_second_order(name):
    "forward over reverse, reverse over reverse and reverse over forward agree with a difference"
    x, call = CALLS[name]
    rng = np.random.default_rng(1)
    w = rng.standard_normal(np.shape(real(call(x))))
    v = rng.standard_normal(x.shape)
    loss = lambda x: np.sum(w * real(call(x)) ** 2)  # noqa: E731
    along = jvp(grad(loss), (x,), (v,))[1]
    assert close(along, difference(grad(loss), x, v), 1e-6)
    assert close(along, grad(lambda x: np.sum(grad(loss)(x) * v))(x), 1e-10)
    assert close(along, grad(lambda x: jvp(loss, (x,), (v,))[1])(x), 1e-10)


@calls
def test_lanes(name):
    "directions side by side give what they give one at a time"
    x, call = CALLS[name]
    f = lambda x: real(call(x))  # noqa: E731
    single = jacfwd(f, chunk=1)(x)
    assert close(jacfwd(f, chunk=5)(x), single)
    assert close(jacrev(f, chunk=1)(x), single)
    assert close(jacrev(f, chunk=4)(x), single)
    loss = lambda x: np.sum(real(call(x)) ** 2)  # noqa: E731
    assert close(hessian(loss, chunk=3)(x), hessian(loss, chunk=1)(x))


@calls
def test_single_precision(name):
    "single precision in, NumPy's own type out, and back"
    x, call = CALLS[name]
    x = x.astype(np.float32)
    f = lambda x: real(call(x))  # noqa: E731
    value, pushed = jvp(f, (x,), (x,))
    again, pullback = vjp(f, x)
    assert value.dtype == again.dtype == pushed.dtype == f(x).dtype
    assert pullback(np.ones_like(value))[0].dtype == np.float32
    assert close(pushed, jvp(f, (x.astype(float),), (x.astype(float),))[1], 1e-4)


TRANSFORMS = [F.fft, F.ifft, F.rfft, F.irfft, F.hfft, F.ihfft]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(
    transform=st.sampled_from(TRANSFORMS),
    shape=st.lists(st.integers(2, 4), min_size=1, max_size=3),
    n=st.one_of(st.none(), st.integers(1, 9)),
    norm=st.sampled_from([None, "backward", "ortho", "forward"]),
    data=st.data(),
)
def test_transforms_are_dual(transform, shape, n, norm, data):
    "<w, Fv> = <F'w, v> for every size, axis and norm, whether the operand is real or complex"
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    rng = np.random.default_rng(len(shape))
    x, v = rng.standard_normal((2, *shape))
    phase = 1.0
    if transform not in (F.rfft, F.ihfft) and data.draw(st.booleans()):
        phase = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    f = lambda x: real(transform(x * phase, n, axis, norm))  # noqa: E731
    pushed = jvp(f, (x,), (v,))[1]
    assert close(pushed, f(v))
    w = rng.standard_normal(pushed.shape)
    assert close(np.sum(w * pushed), np.sum(vjp(f, x)[1](w)[0] * v))


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_zero_size(transform):
    x = np.ones((0, 4))
    f = lambda x: real(transform(x))  # noqa: E731
    assert jvp(f, (x,), (x,))[1].shape == f(x).shape
    assert vjp(f, x)[1](np.ones_like(f(x)))[0].shape == (0, 4)


def test_unwrap_at_a_jump_is_the_identity():
    x = np.array([0.0, 3.0, -3.0, 2.0, 9.0])
    assert np.array_equal(jacfwd(np.unwrap)(x), np.eye(5))
    assert np.array_equal(jacrev(np.unwrap)(x), np.eye(5))


def test_sinc_to_the_fourth_order_at_0():
    "the series of sinc at 0: 1 - (pi x)^2 / 6 + (pi x)^4 / 120"
    f, found = np.sinc, []
    for _ in range(5):
        found.append(float(f(0.0)))
        f = (lambda g: lambda x: jvp(g, (x,), (1.0,))[1])(f)
    assert np.allclose(found, [1, 0, -(np.pi**2) / 3, 0, np.pi**4 / 5], rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    "error, call",
    [
        (IndexError, lambda x: F.fft(x, axis=2)),
        (ValueError, lambda x: F.fft(x, 0)),
        (TypeError, lambda x: F.fft(x, 2.5)),
        (ValueError, lambda x: F.fft(x, norm="other")),
        (ValueError, lambda x: F.hfft(x, norm="other")),
        (ValueError, lambda x: F.fftn(x, s=(2, 2, 2), axes=(0, 1))),
        (TypeError, lambda x: F.rfft(x * 1j)),
        (IndexError, lambda x: F.fftshift(x, 2)),
    ],
)
def test_numpys_own_errors(error, call):
    x = np.ones((2, 3))
    with pytest.raises(error):
        call(x)
    with pytest.raises(error):
        grad(lambda x: np.sum(np.abs(call(x))))(x)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.sum(F.fft(x, out=np.zeros(4, complex)).real),
        lambda x: np.sum(F.fftn(x, out=np.zeros(4, complex)).real),
        lambda x: np.sum(np.unwrap(np.arange(4.0), period=x[0])),
        lambda x: np.sum(np.unwrap(x, x[0])),
    ],
)
def test_refusals(call):
    with pytest.raises(LitadError):
        grad(call)(np.ones(4))


@pytest.mark.parametrize("name", ["fft", "rfft", "fftn", "irfft", "dct"])
@pytest.mark.parametrize("transform", [grad, gradient])
def test_scipy_fft_does_not_detach(name, transform):
    "SciPy's own transforms ask no protocol of NumPy's; the refusal names np.fft"
    import scipy.fft

    function = getattr(scipy.fft, name)
    with pytest.raises(LitadError, match=r"np\.fft"):
        transform(lambda x: np.sum(np.abs(function(x))))(np.ones(4))
