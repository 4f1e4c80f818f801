"""Functions of litad inside PyTorch and JAX, and theirs inside litad."""

import importlib.util

import numpy as np
import pytest

from litad import LitadError, grad, hessian, jit, jvp
from litad.interop import from_jax, from_torch, to_jax, to_torch

X = np.array([0.3, -0.7, 1.1])


def smooth(x):
    return np.sum(np.tanh(x) * np.exp(-x) + x[::-1] ** 3)


def two(w, k):
    return {"y": np.sin(w["a"]) * k, "z": np.sum(w["b"] ** 2)}


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.fixture
def jax():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    jax.config.update("jax_enable_x64", True)
    return jax


@pytest.mark.parametrize(
    "make, extra", [(to_torch, "torch"), (from_torch, "torch"), (to_jax, "jax"), (from_jax, "jax")]
)
def test_a_missing_library_is_named(make, extra):
    if importlib.util.find_spec(extra):
        pytest.skip(f"{extra} is installed")
    with pytest.raises(LitadError, match=rf"pip install litad\[{extra}\]"):
        make(smooth)


@pytest.mark.parametrize("compiled", [False, True])
def test_in_torch(torch, compiled):
    f = to_torch(jit(smooth) if compiled else smooth)
    x = torch.tensor(X, requires_grad=True)
    y = f(x)
    assert y.dtype == torch.float64 and abs(y.item() - smooth(X)) < 1e-12
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    np.testing.assert_allclose(g.detach(), grad(smooth)(X), rtol=1e-12)
    (h,) = torch.autograd.grad(g.sum(), x, create_graph=True)
    np.testing.assert_allclose(h.detach(), hessian(smooth)(X).sum(0), rtol=1e-12)
    (t,) = torch.autograd.grad(h.sum(), x)
    np.testing.assert_allclose(t, grad(lambda x: np.sum(hessian(smooth)(x)))(X), rtol=1e-10)
    assert torch.autograd.gradcheck(f, x) and torch.autograd.gradgradcheck(f, x)


def test_containers_in_torch(torch):
    w = {"a": torch.tensor(X, requires_grad=True), "b": torch.tensor(2 * X, requires_grad=True)}
    out = to_torch(two)(w, torch.tensor(3))
    (out["y"].sum() + out["z"]).backward()
    np.testing.assert_allclose(w["a"].grad, 3 * np.cos(X), rtol=1e-12)
    np.testing.assert_allclose(w["b"].grad, 4 * X, rtol=1e-12)


@pytest.mark.parametrize("compiled", [False, True])
def test_in_jax(jax, compiled):
    f = to_jax(jit(smooth) if compiled else smooth)
    np.testing.assert_allclose(f(X), smooth(X), rtol=1e-12)
    np.testing.assert_allclose(jax.grad(f)(X), grad(smooth)(X), rtol=1e-12)
    np.testing.assert_allclose(jax.jit(jax.grad(f))(X), grad(smooth)(X), rtol=1e-12)
    np.testing.assert_allclose(jax.jvp(f, (X,), (X,))[1], jvp(smooth, (X,), (X,))[1], rtol=1e-12)
    np.testing.assert_allclose(jax.hessian(f)(X), hessian(smooth)(X), rtol=1e-10)
    np.testing.assert_allclose(jax.jacrev(jax.grad(f))(X), hessian(smooth)(X), rtol=1e-10)
    np.testing.assert_allclose(jax.vmap(f)(np.stack([X, X])), [smooth(X)] * 2, rtol=1e-12)


def test_containers_in_jax(jax):
    w = {"a": X, "b": 2 * X}
    f = lambda w: (lambda out: out["y"].sum() + out["z"])(to_jax(two)(w, 3))  # noqa: E731
    g = jax.grad(f)(w)
    np.testing.assert_allclose(g["a"], 3 * np.cos(X), rtol=1e-12)
    np.testing.assert_allclose(g["b"], 4 * X, rtol=1e-12)


def check_abroad(f, reference):
    a, b = X, X[::-1] + 2.0
    np.testing.assert_allclose(f(a, b), reference(a, b), rtol=1e-12)
    for k in (0, 1):
        loss = lambda a, b: np.sum(np.sin(f(a, b)))  # noqa: E731
        known = lambda a, b: np.sum(np.sin(reference(a, b)))  # noqa: E731
        np.testing.assert_allclose(grad(loss, k)(a, b), grad(known, k)(a, b), rtol=1e-11)
        np.testing.assert_allclose(
            hessian(loss, k)(a, b), hessian(known, k)(a, b), rtol=1e-9, atol=1e-12
        )
    np.testing.assert_allclose(
        jvp(f, (a, b), (b, a))[1], jvp(reference, (a, b), (b, a))[1], rtol=1e-11
    )
    third = lambda f: grad(lambda a: np.sum(hessian(lambda a: np.sum(f(a, b) ** 2))(a) ** 2))(a)  # noqa: E731
    np.testing.assert_allclose(third(f), third(reference), rtol=1e-8)


def test_from_torch(torch):
    check_abroad(from_torch(lambda a, b: torch.tanh(a) * b**2), lambda a, b: np.tanh(a) * b**2)


def test_from_jax(jax):
    check_abroad(from_jax(lambda a, b: jax.numpy.tanh(a) * b**2), lambda a, b: np.tanh(a) * b**2)


def test_jax_in_single_precision_is_refused(jax):
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(LitadError, match="jax_enable_x64"):
            from_jax(jax.numpy.sin)(X)
    finally:
        jax.config.update("jax_enable_x64", True)
