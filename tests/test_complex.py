"Complex arguments and results: closed forms, both modes, second order, and what is refused."

import numpy as np
import pytest

from litad import (
    Dual,
    LitadError,
    Tape,
    check_grads,
    checkpoint,
    derivative,
    grad,
    gradient,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jet,
    jvp,
    linearize,
    root,
    value_and_grad,
    vjp,
)

RANDOM = np.random.default_rng(7)


def normal(*shape):
    return RANDOM.standard_normal(shape)


def complex_normal(*shape):
    return normal(*shape) + 1j * normal(*shape)


Z, W, M, N, X = (
    complex_normal(3),
    complex_normal(3),
    complex_normal(3, 3),
    complex_normal(3, 3),
    normal(3),
)
near = lambda expected: pytest.approx(expected, rel=1e-11, abs=1e-11)  # noqa: E731
JACOBIANS = pytest.mark.parametrize("way", [jacfwd, jacrev, jacobian])

HOLOMORPHIC = {  # name -> function, first and second derivative
    "square": (lambda z: z**2, lambda z: 2 * z, lambda z: 2 + 0 * z),
    "exp": (np.exp, np.exp, np.exp),
    "sin": (np.sin, np.cos, lambda z: -np.sin(z)),
    "1/z": (lambda z: 1 / z, lambda z: -1 / z**2, lambda z: 2 / z**3),
    "log": (np.log, lambda z: 1 / z, lambda z: -1 / z**2),
    "sqrt": (np.sqrt, lambda z: 0.5 / np.sqrt(z), lambda z: -0.25 / z**1.5),
    "tanh": (
        np.tanh,
        lambda z: 1 / np.cosh(z) ** 2,
        lambda z: -2 * np.tanh(z) / np.cosh(z) ** 2,
    ),
    "by parts": (
        lambda z: np.exp(z.real) * (np.cos(z.imag) + 1j * np.sin(z.imag)),
        np.exp,
        np.exp,
    ),
}


@pytest.mark.parametrize("name", HOLOMORPHIC)
def test_holomorphic_functions(name):
    "every transformation gives the complex derivative, and the second one nested"
    f, slope, bend = HOLOMORPHIC[name]
    z = 0.7 - 0.4j
    assert grad(f, holomorphic=True)(z) == near(slope(z))
    assert derivative(f)(z) == near(slope(z))
    assert value_and_grad(f, holomorphic=True)(z) == (near(f(z)), near(slope(z)))
    assert grad(grad(f, holomorphic=True), holomorphic=True)(z) == near(bend(z))
    assert derivative(derivative(f))(z) == near(bend(z))
    assert hessian(f, holomorphic=True)(z) == near(bend(z))
    for way in (jacfwd, jacrev, jacobian):
        assert way(f, holomorphic=True)(Z) == near(np.diag(slope(Z)))
    total = lambda z: np.sum(f(z))  # noqa: E731
    assert hessian(total, holomorphic=True)(Z) == near(np.diag(bend(Z)))
    assert hvp(total, Z, W, holomorphic=True) == near(bend(Z) * W)


@pytest.mark.parametrize("name", HOLOMORPHIC)
def test_cauchy_and_riemann(name):
    "the tangent along i is i times the tangent along 1, in both modes"
    f, slope, _ = HOLOMORPHIC[name]
    along, across = (jvp(f, (Z,), (t * W,))[1] for t in (1, 1j))
    assert across == near(1j * along) and along == near(slope(Z) * W)
    pull = vjp(f, Z)[1]
    assert pull(1j * W)[0] == near(1j * pull(W)[0]) and pull(W)[0] == near(slope(Z) * W)


@pytest.mark.parametrize("name", ["square", "exp", "sin", "1/z", "log", "sqrt", "tanh"])
def test_taylor_series(name):
    f, slope, bend = HOLOMORPHIC[name]
    value, series = jet(f, Z, 2)
    assert (value, *series) == (near(f(Z)), near(slope(Z)), near(bend(Z)))


REAL = {  # name -> function of Z and its gradient, du/dx - i du/dy
    "squared length": (lambda z: np.sum(np.abs(z) ** 2), lambda z: 2 * np.conj(z)),
    "length": (lambda z: np.sum(np.abs(z)), lambda z: np.conj(z) / np.abs(z)),
    "real part": (lambda z: np.sum(z.real), lambda z: np.ones(3)),
    "imaginary part": (lambda z: np.sum(z.imag), lambda z: -1j * np.ones(3)),
    "angle": (lambda z: np.sum(np.angle(z)), lambda z: -1j / z),
    "product": (lambda z: np.sum(np.real(z * np.conj(W))), lambda z: np.conj(W)),
    "energy of a spectrum": (
        lambda z: np.sum(np.abs(np.fft.fft(z)) ** 2),
        lambda z: 6 * np.conj(z),
    ),
    "least squares": (
        lambda z: np.sum(np.abs(M @ z - W) ** 2),
        lambda z: 2 * np.conj(M @ z - W) @ M,
    ),
    "logarithm": (lambda z: np.sum(np.log(np.abs(z))), lambda z: 1 / z),
}


@pytest.mark.parametrize("name", REAL)
def test_real_results(name):
    "the gradient of a real function of complex numbers, by every way to it"
    f, slope = REAL[name]
    assert grad(f)(Z) == near(slope(Z)) and gradient(f)(Z) == near(slope(Z))
    assert gradient(f, chunk=2)(Z) == near(slope(Z))
    for way in (jacfwd, jacrev, jacobian):
        assert way(f)(Z) == near(slope(Z))
    expected = np.sum((slope(Z) * W).real)
    assert jvp(f, (Z,), (W,))[1] == near(expected)
    assert linearize(f, Z)[1](W) == near(expected)
    assert vjp(f, Z)[1](2.0)[0] == near(2 * slope(Z))


def test_convention_is_the_published_one():
    assert grad(lambda z: np.abs(z) ** 2)(1 + 2j) == 2 - 4j
    assert grad(np.abs)(0j) == 0
    assert hvp(lambda z: np.sum(np.abs(z) ** 2), Z, W) == near(2 * np.conj(W))


@JACOBIANS
def test_jacobians_of_mixed_arguments(way):
    "blocks of real and complex, arguments and results, wherever a block is one number per pair"
    f = lambda p: {"a": p["x"] * 2.0, "n": np.abs(p["z"]) ** 2 * p["x"][0]}  # noqa: E731
    J = way(f)({"x": X, "z": Z})
    assert J["a"]["x"].tolist() == (2 * np.eye(3)).tolist() and J["a"]["x"].dtype == float
    assert J["a"]["z"].dtype == complex and not J["a"]["z"].any()
    assert J["n"]["z"] == near(np.diag(2 * np.conj(Z) * X[0]))
    assert J["n"]["x"][:, 0] == near(np.abs(Z) ** 2)
    J = way(lambda x: M @ np.exp(x))(X)
    assert J == near(M * np.exp(X))


@JACOBIANS
def test_jacobians_of_holomorphic_maps(way):
    f = lambda z: M @ np.exp(z)  # noqa: E731
    assert way(f, holomorphic=True)(Z) == near(M * np.exp(Z))
    assert way(f, holomorphic=True, chunk=2)(Z) == near(M * np.exp(Z))
    second = way(way(f, holomorphic=True), holomorphic=True)(Z)
    assert second == near(M[:, :, None] * np.eye(3) * np.exp(Z))
    tall = lambda z: np.concatenate([z] * 8) ** 2  # noqa: E731
    assert way(tall, holomorphic=True)(Z) == near(np.concatenate([np.diag(2 * Z)] * 8))


def test_second_order_of_real_losses():
    "the derivative of the gradient, along directions: forward, reverse and as a kept map"
    f = lambda z: np.sum(np.abs(M @ z**2) ** 2)  # noqa: E731
    h = 1e-6
    expected = (grad(f)(Z + h * W) - grad(f)(Z - h * W)) / (2 * h)
    near_it = pytest.approx(expected, rel=1e-7)
    assert hvp(f, Z, W) == near_it and hvp(f, Z)(W) == near_it
    assert jvp(lambda z: jvp(f, (z,), (W,))[1], (Z,), (W,))[1] == near(
        np.sum(hvp(f, Z, W) * W).real
    )
    assert grad(lambda z: jvp(f, (z,), (W,))[1])(Z) == near_it


linalg = np.linalg
PROGRAMS = {
    "conjugate": (lambda z, w: np.real(z * np.conj(w)), Z, W),
    "mixed": (lambda x, z: x * np.exp(z) + np.abs(z), X, Z),
    "where": (lambda z: np.where(z.real > 0, z, np.conj(z)), Z),
    "power": (lambda z, w: z**w, Z, W),
    "matmul": (lambda a, z: a @ z, M, Z),
    "einsum": (lambda a, b: np.einsum("ij,jk->ik", a, b.conj()), M, N),
    "vdot": (np.vdot, Z, W),
    "outer": (np.outer, Z, X),
    "statistics": (lambda z: np.var(z) + np.std(z), Z),
    "cumulative": (lambda z: np.cumsum(z) * np.prod(z), Z),
    "stack": (lambda z, x: np.stack([z, x]), Z, X),
    "fft": (lambda z: np.abs(np.fft.fft(z)) ** 2 * np.arange(3), Z),
    "ifft": (lambda z: np.fft.ifft(np.exp(z)), Z),
    "rfft": (lambda x, z: np.abs(np.fft.rfft(x) * z[:2]) ** 2, X, Z),
    "irfft": (lambda z: np.fft.irfft(z**2, 4), Z),
    "solve": (linalg.solve, M, Z),
    "inv": (linalg.inv, M),
    "det": (linalg.det, M),
    "slogdet": (lambda a: linalg.slogdet(a)[1], M),
    "norm": (linalg.norm, M),
    "pinv": (linalg.pinv, complex_normal(4, 2)),
    "lstsq": (lambda a, b: linalg.lstsq(a, b)[0], complex_normal(4, 2), complex_normal(4)),
    "eigvalsh": (lambda a: linalg.eigvalsh(a + a.conj().T), M),
    "eigvals": (linalg.eigvals, M),
    "svdvals": (linalg.svdvals, M),
    "cholesky": (lambda a: linalg.cholesky(a @ a.conj().T + np.eye(3)), M),
    "qr": (lambda a: linalg.qr(a)[1], M),
    "interp": (lambda x, z: np.interp(x, np.array([-3.0, 0.0, 3.0]), z), X, Z),
    "checkpoint": (checkpoint(lambda z: np.abs(np.exp(z)) ** 2), Z),
    "buffer": (lambda z: filled(z), Z),
}


def filled(z):
    y = np.zeros_like(z)
    y[0] = z[1] ** 2
    y[1:] += z[:2] * y[0]
    return y


@pytest.mark.parametrize("name", PROGRAMS)
def test_laws(name):
    "difference, duality Re<w, Jv> = Re<J'w, v>, to second order"
    f, *args = PROGRAMS[name]
    check_grads(f, tuple(args), order=2)


@pytest.mark.parametrize("name", PROGRAMS)
def test_linearized(name):
    f, *args = PROGRAMS[name]
    tangents = tuple(RANDOM.standard_normal(x.shape).astype(x.dtype) for x in args)
    kept, pushed = linearize(f, *args)[1](*tangents), jvp(f, tuple(args), tangents)[1]
    assert kept == pytest.approx(pushed, rel=1e-10, abs=1e-10)


def test_inverse_and_determinant():
    inverse = linalg.inv(M)
    assert grad(linalg.det, holomorphic=True)(M) == near(linalg.det(M) * inverse.T)
    J = jacobian(linalg.inv, holomorphic=True)(M)
    assert J == near(-np.einsum("ik,lj->ijkl", inverse, inverse))


def test_dtypes():
    "single precision stays single, complex stays complex, and Python's numbers Python's"
    z = Z.astype(np.complex64)
    energy = lambda z: np.sum(np.abs(z) ** 2)  # noqa: E731
    for found in (
        grad(energy)(z),
        gradient(energy)(z),
        hvp(energy, z, z),
        jacfwd(np.abs)(z),
        jacrev(np.exp, holomorphic=True)(z),
        jacfwd(np.exp, holomorphic=True)(z),
        jacrev(lambda x: x * 1j)(X.astype(np.float32)),
        vjp(np.abs, z)[1](np.ones(3, np.float32))[0],
    ):
        assert found.dtype == np.complex64
    assert jvp(np.abs, (z,), (z,))[1].dtype == np.float32
    assert type(grad(lambda z: np.abs(z))(1 + 2j)) is complex
    value, slope = value_and_grad(lambda z: z**3, holomorphic=True)(2j)
    assert (value, slope) == (-8j, -12) and type(value) is type(slope) is complex
    g = grad(lambda p: np.abs(p["z"]) ** 2 * p["x"])({"z": 1 + 2j, "x": 3.0})
    assert g["z"] == near(6 - 12j) and g["x"] == near(5) and type(g["x"]) is float


def test_real_tangents_of_complex_primals():
    "a real number is a complex one"
    assert jvp(np.exp, (Z,), (np.ones(3),))[1] == near(np.exp(Z))
    assert vjp(np.exp, Z)[1](np.ones(3))[0] == near(np.exp(Z))


def test_by_hand():
    assert Dual(1 + 1j, 1.0).tangent == 1 and (Dual(1j, 1j) * 2).tangent == 2j
    tape = Tape()
    z = tape.input(1 + 2j)
    with tape:
        y = z * z
    tape.backward(y, 1j)
    assert tape.grad_of(z) == 1j * (2 + 4j)
    with pytest.raises(LitadError, match="complex"):
        tape.backward(y)


REFUSED = {
    "complex result": (lambda: grad(np.sum)(Z), "holomorphic=True"),
    "complex result of real": (lambda: grad(lambda x: x * 1j)(1.0), "real result"),
    "not holomorphic": (lambda: grad(np.conj, holomorphic=True)(1j), "not holomorphic"),
    "nor this": (lambda: grad(lambda z: z * np.abs(z), holomorphic=True)(1j), "not holomorphic"),
    "real argument": (lambda: grad(np.sin, holomorphic=True)(1.0), "complex arguments"),
    "real result": (lambda: grad(np.abs, holomorphic=True)(1j), "complex results"),
    "derivative": (lambda: derivative(np.conj)(1j), "not holomorphic"),
    "gradient": (lambda: gradient(np.sum)(Z), "holomorphic"),
    "jacfwd": (lambda: jacfwd(np.conj)(Z), "holomorphic"),
    "jacrev": (lambda: jacrev(np.conj)(Z), "holomorphic"),
    "jacobian": (lambda: jacobian(np.exp)(Z), "holomorphic"),
    "jacfwd checked": (lambda: jacfwd(np.conj, holomorphic=True)(Z), "not holomorphic"),
    "jacrev checked": (lambda: jacrev(np.conj, holomorphic=True)(Z), "not holomorphic"),
    "jacfwd real": (lambda: jacfwd(np.exp, holomorphic=True)(X), "complex arguments"),
    "jacrev real": (lambda: jacrev(np.abs, holomorphic=True)(Z), "complex results"),
    "hessian": (lambda: hessian(lambda z: np.sum(np.abs(z) ** 2))(Z), "holomorphic"),
    "sparse": (lambda: jacobian(np.exp, sparse=True)(Z), "sparse"),
    "sparse results": (lambda: jacobian(lambda x: x * 1j, sparse=True)(X), "sparse"),
    "tangent": (lambda: jvp(np.exp, (X,), (Z,)), "real if that is"),
    "cotangent": (lambda: vjp(np.abs, Z)[1](Z), "real if that is"),
    "linearized": (lambda: linearize(np.exp, X)[1](Z), "real if that is"),
    "dual": (lambda: Dual(1.0, 1j), "real"),
    "root": (lambda: root(lambda r, a: r * r - a, 1j, -1.0), "real"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    attempt, words = REFUSED[name]
    with pytest.raises(LitadError, match=words) as refusal:
        attempt()
    assert "test_complex.py" in str(refusal.value) and "instead" in str(refusal.value)


def test_agreement_with_a_peer():
    "the conventions are JAX's, where it is installed"
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy
    loss = lambda np: lambda z: np.sum(np.abs(M @ np.sin(z) * np.conj(z)) ** 2)  # noqa: E731
    assert grad(loss(np))(Z) == near(np.asarray(jax.grad(loss(jnp))(Z)))
    turn = lambda np: lambda z: np.conj(z) * np.exp(z)  # noqa: E731
    assert jvp(turn(np), (Z,), (W,))[1] == near(np.asarray(jax.jvp(turn(jnp), (Z,), (W,))[1]))
    assert vjp(turn(np), Z)[1](W)[0] == near(np.asarray(jax.vjp(turn(jnp), Z)[1](W)[0]))
    f = lambda np: lambda z: np.sum(np.exp(z) @ (M @ z))  # noqa: E731
    found = hessian(f(np), holomorphic=True)(Z)
    assert found == near(np.asarray(jax.hessian(f(jnp), holomorphic=True)(Z)))
