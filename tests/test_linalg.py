"""Linear algebra: every function in both modes, to second order, and where derivatives end."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import linalg

import litad.spectra  # noqa: F401
from litad import (
    LitadError,
    check_grads,
    derivative,
    grad,
    gradient,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    matrix_function,
    stop_gradient,
    value_and_grad,
    vjp,
)

QUICK = settings(derandomize=True, deadline=None, max_examples=15)
RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape)


def even(x):
    return x + np.swapaxes(x, -1, -2)


def definite(x):
    return x @ np.swapaxes(x, -1, -2) + 3 * np.eye(x.shape[-1])


def turned(x):
    "A complex matrix from a real one."
    return x + 0.5j * np.cos(x[::-1])


def hermitian(x):
    return turned(x) + np.conj(turned(x)).T


def both_parts(z):
    return np.real(z) + 2 * np.imag(z)


def rebuilt(f, w, V):
    return V @ (f(w)[..., :, None] * np.swapaxes(V, -1, -2))


WIDE, TALL, SQUARE, STACK = normal(3, 4), normal(4, 3), normal(3, 3), normal(2, 3, 3)
NEARLY_DIAGONAL = np.diag([1.0, 2.0, 4.0]) + 0.1 * SQUARE
SINGULAR = np.outer([1.0, 2.0, 3.0], [1.0, 0.0, 2.0]) + np.diag([0.0, 0.0, 1.0])

CASES = {
    "diag of a vector": (lambda x: np.diag(x, 1), normal(3)),
    "diag below": (lambda x: np.diag(x, -2), normal(3)),
    "diag of a wide matrix": (lambda x: np.diag(x), WIDE),
    "diag of a wide matrix, above": (lambda x: np.diag(x, 2), WIDE),
    "diag of a tall matrix, below": (lambda x: np.diag(x, -1), TALL),
    "diag beyond the corner": (lambda x: np.sum(x) + np.sum(np.diag(x, 9)), TALL),
    "diagonal of a stack": (lambda x: np.diagonal(x, 1, 0, 2), normal(3, 2, 4)),
    "diagflat": (lambda x: np.diagflat(x, 1), normal(2, 2)),
    "trace of a wide matrix": (lambda x: np.trace(x), WIDE),
    "trace of a stack": (lambda x: np.trace(x, -1, 1, 2), normal(2, 4, 3)),
    "linalg.trace": (lambda x: linalg.trace(x, offset=1), normal(2, 4, 3)),
    "linalg.diagonal": (lambda x: linalg.diagonal(x, offset=1), normal(2, 4, 3)),
    "methods": (lambda x: x.trace() + x.diagonal(1).sum(), WIDE),
    "tril": (lambda x: np.tril(x, 1), normal(2, 4, 3)),
    "triu": (lambda x: np.triu(x, -1), normal(2, 3, 4)),
    "tril of a vector": (lambda x: np.tril(x), normal(3)),
    "cross": (lambda x, y: np.cross(x, y), normal(2, 3), normal(3)),
    "cross along axis 0": (lambda x, y: np.cross(x, y, axis=0), normal(3, 2), normal(3, 2)),
    "cross with three axes": (lambda x, y: np.cross(x, y, 0, 1, 1), normal(3, 2), normal(2, 3)),
    "linalg.cross": (lambda x, y: linalg.cross(x, y), normal(2, 3), normal(2, 3)),
    "kron": (lambda x, y: np.kron(x, y), normal(2, 3), normal(3, 2)),
    "kron of a vector": (lambda x, y: np.kron(x, y), normal(2), normal(3, 2)),
    "kron of a stack": (lambda x, y: np.kron(x, y), normal(2, 1, 2), normal(3, 2)),
    "linalg.outer": (lambda x, y: linalg.outer(x, y), normal(2), normal(3)),
    "vecdot": (lambda x, y: np.vecdot(x, y), normal(2, 3), normal(3)),
    "linalg.vecdot": (lambda x, y: linalg.vecdot(x, y, axis=0), normal(3, 2), normal(3, 2)),
    "matvec": (lambda x, y: np.matvec(x, y), normal(2, 4, 3), normal(3)),
    "vecmat": (lambda x, y: np.vecmat(x, y), normal(4), normal(2, 4, 3)),
    "linalg.matmul": (lambda x, y: linalg.matmul(x, y), normal(2, 4), normal(4, 3)),
    "linalg.tensordot": (lambda x, y: linalg.tensordot(x, y, axes=1), normal(2, 4), normal(4, 3)),
    "linalg.matrix_transpose": (lambda x: linalg.matrix_transpose(x), normal(2, 4)),
    "multi_dot of two": (lambda x, y: linalg.multi_dot([x, y]), normal(2, 4), normal(4, 3)),
    "multi_dot of four": (
        lambda x, y, z, w: linalg.multi_dot([x, y, z, w]),
        normal(4), normal(4, 3), normal(3, 5), normal(5),
    ),
    "power 5": (lambda x: linalg.matrix_power(x, 5), SQUARE),
    "power 3 of a stack": (lambda x: linalg.matrix_power(x, 3), STACK),
    "power -2": (lambda x: linalg.matrix_power(x, -2), SQUARE),
    "power 0": (lambda x: linalg.matrix_power(x, 0), SQUARE),
    "inv": (lambda x: linalg.inv(x), STACK),
    "inv, complex": (lambda x: both_parts(linalg.inv(turned(x))), SQUARE),
    "solve for a vector": (lambda x, y: linalg.solve(x, y), SQUARE, normal(3)),
    "solve for a matrix": (lambda x, y: linalg.solve(x, y), SQUARE, normal(3, 2)),
    "solve a stack for a vector": (lambda x, y: linalg.solve(x, y), STACK, normal(3)),
    "solve, stretched": (lambda x, y: linalg.solve(x, y), normal(2, 1, 3, 3), normal(4, 3, 2)),
    "solve for a stack": (lambda x, y: linalg.solve(x, y), SQUARE, normal(2, 3, 2)),
    "solve, complex": (lambda x, y: both_parts(linalg.solve(turned(x), y)), SQUARE, normal(3)),
    "tensorsolve": (lambda x, y: linalg.tensorsolve(x, y), normal(2, 3, 6), normal(2, 3)),
    "tensorsolve, axes": (
        lambda x, y: linalg.tensorsolve(x, y, (0,)),
        normal(6, 2, 3), normal(2, 3),
    ),
    "tensorinv": (lambda x: linalg.tensorinv(x), normal(2, 3, 3, 2)),
    "tensorinv, ind=1": (lambda x: linalg.tensorinv(x, 1), normal(6, 3, 2)),
    "det": (lambda x: linalg.det(x), STACK),
    "det, singular": (lambda x: linalg.det(x), SINGULAR),
    "det, rank one": (lambda x: linalg.det(x), np.ones((3, 3))),
    "det, complex": (lambda x: both_parts(linalg.det(turned(x))), SQUARE),
    "slogdet": (lambda x: linalg.slogdet(x)[1], STACK),
    "slogdet, complex": (
        lambda x: both_parts(linalg.slogdet(turned(x)).sign) + linalg.slogdet(turned(x)).logabsdet,
        SQUARE,
    ),
    "pinv": (lambda x: linalg.pinv(x), WIDE),
    "pinv of a stack": (lambda x: linalg.pinv(x), normal(2, 4, 3)),
    "pinv, hermitian": (lambda x: linalg.pinv(even(x), hermitian=True), SQUARE),
    "pinv, rank one": (lambda x, y: linalg.pinv(np.outer(x, y)), normal(3), normal(4)),
    "pinv, complex": (lambda x: both_parts(linalg.pinv(turned(x))), WIDE),
    "lstsq": (lambda x, y: linalg.lstsq(x, y)[0], TALL, normal(4)),
    "lstsq of two": (lambda x, y: linalg.lstsq(x, y, rcond=None)[0], TALL, normal(4, 2)),
    "lstsq, wide": (lambda x, y: linalg.lstsq(x, y)[0], WIDE, normal(3)),
    "lstsq, residuals": (lambda x, y: linalg.lstsq(x, y)[1], TALL, normal(4, 2)),
    "lstsq, singular values": (lambda x: linalg.lstsq(x, np.ones(4))[3], TALL),
    "lstsq, complex": (lambda x, y: both_parts(linalg.lstsq(turned(x), y)[0]), TALL, normal(4, 2)),
    "cholesky": (lambda x: linalg.cholesky(definite(x)), STACK),
    "cholesky, upper": (lambda x: linalg.cholesky(definite(x), upper=True), SQUARE),
    "cholesky reads one triangle": (lambda x: linalg.cholesky(x), np.tril(definite(SQUARE))),
    "cholesky reads the other": (
        lambda x: linalg.cholesky(x, upper=True),
        np.triu(definite(SQUARE)),
    ),
    "cholesky, complex": (
        lambda x: both_parts(linalg.cholesky(turned(x) @ np.conj(turned(x)).T)),
        SQUARE,
    ),
    "qr, Q": (lambda x: linalg.qr(x)[0], TALL),
    "qr, R": (lambda x: linalg.qr(x).R, normal(2, 4, 3)),
    "qr, mode r": (lambda x: linalg.qr(x, "r"), SQUARE),
    "qr, wide": (lambda x: linalg.qr(x)[1], WIDE),
    "qr, complete and wide": (lambda x: linalg.qr(x, mode="complete")[0], WIDE),
    "qr, complex": (lambda x: both_parts(linalg.qr(turned(x))[0]), TALL),
    "eigh, values": (lambda x: linalg.eigh(even(x))[0], STACK),
    "eigh, vectors": (lambda x: linalg.eigh(even(x)).eigenvectors, STACK),
    "eigh, function": (lambda x: rebuilt(np.exp, *linalg.eigh(even(x))), SQUARE),
    "eigh reads one triangle": (lambda x: linalg.eigh(x)[0], SQUARE),
    "eigh reads the other": (lambda x: linalg.eigh(x, "U")[0], SQUARE),
    "eigh, complex": (lambda x: np.abs(linalg.eigh(hermitian(x))[1]) ** 2, SQUARE),
    "eigvalsh": (lambda x: linalg.eigvalsh(even(x)), STACK),
    "eigvalsh reads one triangle": (lambda x: linalg.eigvalsh(x), SQUARE),
    "eigvalsh, complex": (lambda x: linalg.eigvalsh(hermitian(x)), SQUARE),
    "svd, values": (lambda x: linalg.svd(x)[1], WIDE),
    "svd, left": (lambda x: linalg.svd(x, full_matrices=False)[0], TALL),
    "svd, right": (lambda x: linalg.svd(x, full_matrices=False).Vh, WIDE),
    "svd, full": (lambda x: (lambda u, s, vh: (u[:, :3] * np.exp(s)) @ vh)(*linalg.svd(x)), TALL),
    "svd, complement": (
        lambda x: (lambda u: u[:, 3:] @ u[:, 3:].T)(linalg.svd(x)[0]),
        normal(5, 3),
    ),
    "svd, hermitian": (
        lambda x: (lambda u, s, vh: (u * s**2) @ vh)(*linalg.svd(even(x), hermitian=True)),
        SQUARE,
    ),
    "svd, complex": (
        lambda x: (lambda u, s, vh: both_parts(u @ vh))(*linalg.svd(turned(x))),
        SQUARE,
    ),
    "svd without vectors": (lambda x: linalg.svd(x, compute_uv=False), WIDE),
    "svdvals": (lambda x: linalg.svdvals(x), normal(2, 4, 3)),
    "eigvals": (lambda x: both_parts(linalg.eigvals(x)), normal(4, 4)),
    "eig, vectors": (lambda x: both_parts(linalg.eig(x)[1]), normal(4, 4)),
    "eig, real": (lambda x: np.real(linalg.eig(x)[0] + linalg.eig(x)[1]), NEARLY_DIAGONAL),
    "eig, complex": (lambda x: both_parts(linalg.eig(turned(x))[1]), SQUARE),
    "norm of everything": (lambda x: linalg.norm(x), normal(2, 2, 2)),
    "norm, keepdims": (lambda x: linalg.norm(x, keepdims=True), normal(2, 2, 2)),
    "norm, axis": (lambda x: linalg.norm(x, axis=1), WIDE),
    "norm, ord and axis": (lambda x: linalg.norm(x, axis=-1, keepdims=True, ord=3), WIDE),
    "norm, complex": (lambda x: linalg.norm(turned(x), axis=0), WIDE),
    "norm 3, complex": (lambda x: linalg.norm(turned(x), 3, axis=0), SQUARE),
    "matrix_norm": (lambda x: linalg.matrix_norm(x, ord=2), normal(2, 3, 4)),
    "vector_norm": (lambda x: linalg.vector_norm(x, axis=(0, 2), ord=3), normal(2, 3, 4)),
    "vector_norm of everything": (lambda x: linalg.vector_norm(x, keepdims=True), normal(2, 3, 4)),
}  # fmt: skip
for _p in (1, 2, 3, 0.5, 1.5, -1, -2, np.inf, -np.inf, 0):
    CASES[f"norm of a vector, {_p}"] = (lambda x, p=_p: linalg.norm(x, p), normal(4))
for _p in ("fro", "nuc", 1, 2, -1, -2, np.inf, -np.inf):
    CASES[f"norm of a matrix, {_p}"] = (lambda x, p=_p: linalg.norm(x, p), WIDE)
    CASES[f"norm of a stack, {_p}"] = (
        lambda x, p=_p: linalg.norm(x, p, axis=(2, 0), keepdims=True),
        normal(3, 2, 4),
    )
for _p in (None, 2, -2, 1, np.inf, "fro"):
    CASES[f"cond, {_p}"] = (lambda x, p=_p: linalg.cond(x, p), STACK)

EINSUMS = {
    "ij,jk->ik": [(2, 3), (3, 4)],
    "ij,jk": [(2, 3), (3, 4)],
    "ii": [(3, 3)],
    "ii->i": [(3, 3)],
    "iii->i": [(3, 3, 3)],
    "ij->ji": [(2, 3)],
    "ba": [(2, 3)],
    "ij->": [(2, 3)],
    "ij->i": [(2, 3)],
    "...ij,...jk->...ik": [(2, 2, 3), (3, 4)],
    "i...->...": [(2, 3)],
    "a...a->...a": [(2, 3, 2)],
    "...,...": [(2, 3), (3,)],
    "i,i": [(3,), (3,)],
    "i,j->ij": [(3,), (2,)],
    "iij,jk->ik": [(2, 2, 3), (3, 2)],
    "ij,k->k": [(2, 3), (4,)],
    "ij,ij->ij": [(1, 3), (2, 1)],
    "ij,jk->ik ": [(2, 1), (3, 4)],
    "i,->i": [(3,), (1,)[:0]],
    "ij,jk,k": [(2, 3), (3, 4), (4,)],
    "ij,kj,kl,lm->im": [(2, 3), (4, 3), (4, 2), (2, 3)],
    "i,i,i,i->i": [(3,)] * 4,
}
for _s, _shapes in EINSUMS.items():
    for _optimize in (False, True):
        CASES[f"einsum {_s} {_optimize}"] = (
            lambda *x, s=_s, o=_optimize: np.einsum(s, *x, optimize=o),
            *[np.asarray(normal(*shape)) for shape in _shapes],
        )
CASES["einsum of lists"] = (
    lambda x, y: np.einsum(x, [Ellipsis, 0, 1], y, [1, 2], [Ellipsis, 0, 2]),
    normal(2, 2, 3),
    normal(3, 4),
)
CASES["einsum, complex"] = (
    lambda x, y: both_parts(np.einsum("ij,jk", turned(x), y)),
    normal(2, 3),
    normal(3, 4),
)


def flat(f, args):
    "A function of several arrays as one of a vector, and the vector."
    shapes = [np.shape(x) for x in args]
    ends = np.cumsum([np.size(x) for x in args])

    def of_vector(v):
        starts = [0, *ends[:-1]]
        return f(*[np.reshape(v[a:b], s) for a, b, s in zip(starts, ends, shapes)])

    return of_vector, np.concatenate([np.ravel(x) for x in args])


@pytest.mark.parametrize("name", CASES)
def test_both_modes_are_the_difference(name):
    "the value is NumPy's; forward, in lanes, is reverse, and both are a central difference"
    f, x = flat(CASES[name][0], CASES[name][1:])
    value, h = f(x), 1e-6
    forward, reverse = jacfwd(f, chunk=3)(x), jacrev(f, chunk=3)(x)
    difference = np.stack([(f(x + e) - f(x - e)) / (2 * h) for e in h * np.eye(x.size)], axis=-1)
    size = 1 + np.abs(difference).max()
    assert forward.shape == reverse.shape == difference.shape
    assert jvp(f, (x,), (x,))[0] == pytest.approx(value, rel=1e-12, abs=1e-12 * size)
    assert forward == pytest.approx(reverse, abs=1e-10 * size)
    assert forward == pytest.approx(difference, abs=3e-7 * size)


@pytest.mark.parametrize("name", CASES)
def test_second_derivatives(name):
    "forward over reverse, reverse over reverse and forward over forward agree with a difference"
    f, x = flat(CASES[name][0], CASES[name][1:])
    weights = np.random.default_rng(1).standard_normal(np.shape(f(x)))
    d, h = np.random.default_rng(2).standard_normal(x.size), 1e-6

    def loss(x):
        return np.sum(np.sin(f(x)) * weights)

    turned_by = hvp(loss, x, d)
    difference = (grad(loss)(x + h * d) - grad(loss)(x - h * d)) / (2 * h)
    size = 1 + np.abs(difference).max()
    assert turned_by == pytest.approx(difference, abs=1e-6 * size)
    assert grad(lambda x: grad(loss)(x) @ d)(x) == pytest.approx(turned_by, abs=1e-8 * size)
    twice = jvp(lambda x: jvp(loss, (x,), (d,))[1], (x,), (d,))[1]
    assert twice == pytest.approx(d @ turned_by, abs=1e-8 * size * x.size)


IN_LANES = ["inv", "solve for a matrix", "det", "cholesky", "eigvalsh", "svdvals", "svd, full"]


@pytest.mark.parametrize("name", [*IN_LANES, "norm, axis", "einsum ij,jk->ik False"])
def test_hessians_through_lanes(name):
    "a Hessian in chunks of any length is the same"
    f, x = flat(CASES[name][0], CASES[name][1:])
    by_eight, by_one = (hessian(lambda x: np.sum(np.sin(f(x))), chunk=c)(x) for c in (8, 1))
    assert by_eight == pytest.approx(by_one, rel=1e-11, abs=1e-11 * np.abs(by_one).max())
    assert by_eight == pytest.approx(by_eight.T, abs=1e-9 * np.abs(by_one).max())


@pytest.mark.parametrize("name", CASES)
def test_single_precision_is_kept(name):
    "float32 in, float32 out: values, tangents and cotangents"
    f, *args = CASES[name]
    single = tuple(np.asarray(x, np.float32) for x in args)
    value, tangent = jvp(f, single, single)
    cotangents = vjp(f, *single)[1](np.ones_like(value))
    widened = value.dtype != np.float32  # by a constant of the test's function
    assert widened or tangent.dtype == np.float32
    assert all(g.dtype == np.float32 for g in cotangents)


EMPTY = {
    "inv": (linalg.inv, (0, 3, 3)),
    "inv of nothing": (linalg.inv, (0, 0)),
    "det of nothing": (linalg.det, (0, 0)),
    "det": (linalg.det, (0, 2, 2)),
    "slogdet": (lambda x: linalg.slogdet(x)[1], (0, 0)),
    "cholesky": (linalg.cholesky, (0, 0)),
    "svd": (lambda x: linalg.svd(x, full_matrices=False)[0], (0, 3)),
    "svdvals": (linalg.svdvals, (0, 3)),
    "eigh": (lambda x: linalg.eigh(x)[1], (0, 0)),
    "eigvalsh": (linalg.eigvalsh, (0, 0)),
    "qr": (lambda x: linalg.qr(x)[0], (0, 3)),
    "qr, R": (lambda x: linalg.qr(x)[1], (3, 0)),
    "pinv": (linalg.pinv, (0, 3)),
    "norm": (linalg.norm, (0,)),
    "norm of rows": (lambda x: linalg.norm(x, axis=1), (3, 0)),
    "trace": (np.trace, (0, 3)),
    "diag": (np.diag, (0,)),
    "tril": (np.tril, (0, 2)),
    "einsum": (lambda x: np.einsum("ij,jk", x, x.T), (0, 2)),
    "kron": (lambda x: np.kron(x, x), (0, 2)),
    "solve": (lambda x: linalg.solve(x, np.ones((0, 2))), (0, 0)),
    "matrix_power": (lambda x: linalg.matrix_power(x, 3), (0, 0)),
    "cross": (lambda x: np.cross(x, x + 1), (0, 3)),
}


@pytest.mark.parametrize("name", EMPTY)
def test_empty_arrays(name):
    "arrays without elements have Jacobians without elements"
    f, shape = EMPTY[name]
    x = np.zeros(shape)
    for d in (jacfwd, jacrev):
        assert d(f)(x).shape == np.shape(f(x)) + shape


WRONG = {
    "inv, not square": (linalg.inv, (2, 3)),
    "inv of a vector": (linalg.inv, (3,)),
    "inv, singular": (lambda x: linalg.inv(x * 0), (2, 2)),
    "det": (linalg.det, (2, 3)),
    "slogdet": (linalg.slogdet, (3,)),
    "eigh": (linalg.eigh, (2, 3)),
    "eigh of a vector": (linalg.eigh, (3,)),
    "eigh, UPLO": (lambda x: linalg.eigh(x, "X"), (2, 2)),
    "eigvalsh": (linalg.eigvalsh, (2, 3)),
    "eig": (linalg.eig, (2, 3)),
    "cholesky": (linalg.cholesky, (3,)),
    "cholesky, not definite": (lambda x: linalg.cholesky(-x @ x.T), (2, 2)),
    "svd": (linalg.svd, (3,)),
    "svdvals": (linalg.svdvals, (3,)),
    "qr": (linalg.qr, (3,)),
    "qr, mode": (lambda x: linalg.qr(x, "no"), (2, 2)),
    "pinv": (linalg.pinv, (3,)),
    "solve": (lambda x: linalg.solve(x, np.ones(3)), (2, 2)),
    "lstsq": (lambda x: linalg.lstsq(x, np.ones(5)), (2, 3)),
    "matrix_power": (lambda x: linalg.matrix_power(x, 2), (2, 3)),
    "tensorinv": (linalg.tensorinv, (2, 2, 3)),
    "tensorsolve": (lambda x: linalg.tensorsolve(x, np.ones(2)), (2, 3)),
    "multi_dot": (lambda x: linalg.multi_dot([x, x]), (2, 3)),
    "trace": (np.trace, (3,)),
    "diag": (np.diag, (2, 2, 2)),
    "diagonal": (np.diagonal, (2,)),
    "norm, fro": (lambda x: linalg.norm(x, "fro"), (3,)),
    "norm, ord of matrices": (lambda x: linalg.norm(x, 5), (3, 3)),
    "norm, axes": (lambda x: linalg.norm(x, 5), (3, 3, 3)),
    "cross": (lambda x: np.cross(x, x), (4,)),
    "linalg.cross": (lambda x: linalg.cross(x, x), (2,)),
    "linalg.outer": (lambda x: linalg.outer(x, x), (2, 3)),
    "einsum, sizes": (lambda x: np.einsum("ij,jk", x, x), (2, 3)),
    "einsum, unknown": (lambda x: np.einsum("ij->k", x), (2, 3)),
    "einsum, twice": (lambda x: np.einsum("ij->ii", x), (2, 2)),
    "einsum, count": (lambda x: np.einsum("ij,jk", x), (2, 2)),
    "vecdot": (lambda x: np.vecdot(x, np.ones(4)), (3,)),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_shapes_are_numpys_errors(name):
    "what NumPy refuses is refused with an error of the same class"
    f, shape = WRONG[name]
    x = np.ones(shape)
    with pytest.raises(Exception) as numpys:  # noqa: B017
        f(x)
    for d in (lambda: jvp(f, (x,), (x,)), lambda: vjp(f, x)):
        with pytest.raises(type(numpys.value)) as ours:
            d()
        assert not isinstance(ours.value, LitadError)


ROTATION = linalg.qr(normal(3, 3))[0]
DENSE = even(ROTATION @ np.diag([1.0, 1.0, 2.0]) @ ROTATION.T) / 2
MULTIPLE = {
    "identity": np.eye(3),
    "zero": np.zeros((3, 3)),
    "diagonal": np.diag([2.0, 2.0, 1.0]),
    "dense": DENSE,
}


@pytest.mark.parametrize("d", [grad, gradient])
@pytest.mark.parametrize("name", MULTIPLE)
def test_equal_values_share(d, name):
    "functions that treat equal eigenvalues and singular values alike have their true slopes"
    A = MULTIPLE[name]
    close = lambda slopes: pytest.approx(slopes, abs=1e-12)  # noqa: E731
    assert d(lambda x: np.sum(linalg.eigvalsh(x)))(A) == close(np.eye(3))
    assert d(lambda x: np.sum(linalg.eigvalsh(x) ** 2))(A) == close(2 * A)
    assert d(lambda x: np.sum(linalg.eigh(x)[0] ** 3))(A) == close(3 * A @ A)
    assert d(lambda x: np.sum(linalg.svdvals(x) ** 2))(A) == close(2 * A)
    assert d(lambda x: np.sum(linalg.svd(x)[1] ** 4))(A) == close(4 * A @ A @ A)
    assert d(lambda x: np.real(np.sum(linalg.eigvals(x) ** 2)))(A) == close(2 * A)
    largest = d(lambda x: np.max(linalg.eigvalsh(x)))(A)
    assert np.trace(largest) == pytest.approx(1) and largest == close(largest.T)


VECTORS = {
    "an element": lambda x: np.sin(linalg.eigh(x)[1][0, 0]),
    "a function": lambda x: np.sum(rebuilt(np.exp, *linalg.eigh(x))),
    "a logarithm": lambda x: rebuilt(lambda w: w - w[0], *linalg.eigh(x))[0, 1],
    "the matrix": lambda x: rebuilt(lambda w: w, *linalg.eigh(x))[0, 1],
    "a left vector": lambda x: np.sin(linalg.svd(x)[0][0, 0]),
    "the matrix from svd": lambda x: np.sum((lambda u, s, vh: (u * s) @ vh)(*linalg.svd(x))),
    "general": lambda x: np.sin(linalg.eig(x)[1][0, 0]),
}


@pytest.mark.parametrize("d", [grad, gradient])
@pytest.mark.parametrize("name", VECTORS)
@pytest.mark.parametrize("at", ["identity", "zero"])
def test_vectors_of_equal_values_are_refused(d, name, at):
    "never a finite and wrong slope; the message names the line of the user"
    with pytest.raises(LitadError, match="no derivative") as refusal:
        d(VECTORS[name])(MULTIPLE[at])
    assert "test_linalg.py" in str(refusal.value) and "linalg." in str(refusal.value)


def weighted(x, values, f):
    vectors = linalg.eigh(x)[1]
    return np.sum(even(WEIGHTS) * ((vectors * f(values(x))) @ vectors.T))


@pytest.mark.parametrize("d", [grad, gradient, jacfwd, jacrev])
@pytest.mark.parametrize("f", [np.log, lambda w: w - 1.0, lambda w: (w - 1.0) ** 2])
def test_weights_that_vanish_do_not_hide_vectors(d, f):
    "values from elsewhere, times vectors of equal values: refused though the cotangent is zero"
    for values in (linalg.eigvalsh, lambda x: np.sort(linalg.svdvals(x)), np.diag):
        with pytest.raises(LitadError, match="matrix_function") as refusal:
            d(lambda x, v=values: weighted(x, v, f))(np.eye(3))
        assert "test_linalg.py" in str(refusal.value) and "vectors * f" in str(refusal.value)


def test_guarded_vectors():
    "shapes, constants and things carried along need no derivative; results do"
    A = np.eye(3)
    assert grad(lambda x: linalg.eigh(x)[1].shape[0] * np.sum(x))(A).tolist() == [[3.0] * 3] * 3
    fixed = grad(lambda x: np.sum((stop_gradient(linalg.eigh(x)[1]) @ x) ** 2))(A)
    assert fixed.tolist() == (2 * A).tolist()
    (_, aux), _ = value_and_grad(lambda x: (np.sum(x), linalg.eigh(x)[1]), has_aux=True)(A)
    assert aux.tolist() == A.tolist()
    for part in (
        lambda x: linalg.eigh(x)[1],
        lambda x: linalg.svd(x)[0],
        lambda x: linalg.eig(x)[1],
    ):
        for d in (jacfwd, jacrev):
            with pytest.raises(LitadError, match="no derivative"):
                d(part)(A)


@pytest.mark.parametrize("at", MULTIPLE)
def test_second_derivatives_at_equal_values_are_refused(at):
    "they need more than values can carry; the remedy, the trace of a matrix function, has them"
    squares = lambda x: np.sum(linalg.eigvalsh(x) ** 2)  # noqa: E731
    for second in (hessian(squares), jacrev(grad(squares))):
        with pytest.raises(LitadError, match="matrix_function"):
            second(MULTIPLE[at])
    trace = lambda x: np.trace(matrix_function(lambda w: w**2, even(x) / 2))  # noqa: E731
    for second in (hessian, lambda f: jacrev(grad(f)), lambda f: jacfwd(jacfwd(f))):
        H = np.einsum("ijkl,kl->ij", second(trace)(MULTIPLE[at]), even(WEIGHTS))
        assert H == pytest.approx(2 * even(WEIGHTS), abs=1e-12)


SMOOTH = {
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "power": lambda w: w**-0.7,
    "rational": lambda w: 1 / (1 + w**2),
    "complex": lambda w: np.exp(1j * w),
}
SPECTRA = {
    "simple": [1.0, 1.7, 2.5],
    "double": [1.0, 1.0, 2.5],
    "nearly double": [1.0, 1.0 + 1e-9, 2.5],
    "close": [1.0, 1.003, 1.04],
    "triple": [2.0, 2.0, 2.0],
}


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("at", SPECTRA)
def test_matrix_functions(name, at):
    "every law to second order, at eigenvalues that are apart, close or equal"
    A = ROTATION @ np.diag(SPECTRA[at]) @ ROTATION.T
    f = lambda x: matrix_function(SMOOTH[name], (x + x.T) / 2)  # noqa: E731
    check_grads(f, (A,), order=2)
    reverse, forward = jacrev(f)(A), jacfwd(f)(A)
    assert reverse == pytest.approx(forward, rel=1e-10, abs=1e-10)


def test_derivatives_of_matrix_functions_in_closed_form():
    "against the inverse, powers, and square roots, whose derivatives are known without eigenvalues"
    for A in (np.eye(3), 2 * np.eye(3), DENSE):
        A, close = even(A) / 2, pytest.approx
        mine = lambda f: lambda x: matrix_function(f, even(x) / 2)  # noqa: E731
        for f, g in (
            (lambda w: 1 / w, lambda x: linalg.inv(even(x) / 2)),
            (lambda w: w**3, lambda x: linalg.matrix_power(even(x) / 2, 3)),
        ):
            assert mine(f)(A) == close(g(A), abs=1e-12)
            assert jacrev(mine(f))(A) == close(jacrev(g)(A), abs=1e-11)
            second = jacfwd(jacrev(mine(f)))(A), jacfwd(jacrev(g))(A)
            assert second[0] == close(second[1], abs=1e-9)
        root = mine(np.sqrt)
        E = even(WEIGHTS)
        along = lambda f, A=A, E=E: lambda s: np.sum(WEIGHTS * f(A + s * E))  # noqa: E731
        third = [
            derivative(derivative(grad(along(f))))(0.0)
            for f in (mine(lambda w: w**3), lambda x: linalg.matrix_power(even(x) / 2, 3))
        ]
        assert third[0] == close(third[1], abs=1e-8)
        moved = jvp(root, (A,), (E,))[1]
        assert root(A) @ moved + moved @ root(A) == close(E, abs=1e-12)


def test_matrix_functions_of_stacks_and_dtypes():
    stack = np.stack([np.eye(3), DENSE])
    whole = jacrev(lambda x: matrix_function(np.sqrt, x))(stack)
    for k in range(2):
        alone = jacrev(lambda x: matrix_function(np.sqrt, x))(stack[k])
        assert whole[k, :, :, k] == pytest.approx(alone, abs=1e-13)
    single = DENSE.astype(np.float32)
    assert matrix_function(np.exp, single).dtype == np.float32
    g = grad(lambda x: np.sum(matrix_function(np.exp, x)))(single)
    assert g.dtype == np.float32
    assert g == pytest.approx(grad(lambda x: np.sum(matrix_function(np.exp, x)))(DENSE), rel=1e-5)
    H = DENSE + 1j * (WEIGHTS - WEIGHTS.T)
    f = lambda x: matrix_function(np.exp, (x + x.conj().T) / 2)  # noqa: E731
    check_grads(f, (H,), order=2)


@pytest.mark.parametrize("d", [grad, gradient])
def test_vectors_of_simple_values_next_to_equal_ones(d):
    "the leading vector is smooth, whatever the others do"

    def leading(x):
        v = linalg.eigh(x)[1][:, -1]
        return np.sum(np.outer(v, v) * WEIGHTS)

    def by_power(x):
        v = linalg.matrix_power(x, 40) @ np.ones(3)
        v = v / linalg.norm(v)
        return np.sum(np.outer(v, v) * WEIGHTS)

    slopes = grad(by_power)(DENSE)
    assert d(leading)(DENSE) == pytest.approx(even(slopes) / 2, abs=1e-9)


WEIGHTS = normal(3, 3)


def test_determinants_at_singular_matrices():
    "a determinant is a polynomial: its derivatives exist to any order"
    assert hessian(linalg.det)(np.zeros((2, 2))).reshape(4, 4).tolist() == [
        [0, 0, 0, 1], [0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0],
    ]  # fmt: skip
    third = jacfwd(hessian(linalg.det))(np.zeros((3, 3)))
    assert third[0, 0, 1, 1, 2, 2] == 1 and third[0, 1, 1, 0, 2, 2] == -1
    assert grad(linalg.det)(np.zeros((1, 1))) == [[1.0]]


def test_logarithms_of_masked_determinants():
    "a singular matrix that is masked does not matter; one that is not gives a warning"
    stack = np.stack([np.eye(2), np.zeros((2, 2))])
    regular = np.array([True, False])
    g = grad(lambda x: np.sum(np.where(regular, linalg.slogdet(x)[1], 0.0)))(stack)
    assert g.tolist() == [[[1, 0], [0, 1]], [[0, 0], [0, 0]]]
    with pytest.warns(RuntimeWarning, match="infinite or undefined"):
        grad(lambda x: np.sum(linalg.slogdet(x)[1]))(stack)


@pytest.mark.parametrize("d", [grad, gradient])
@pytest.mark.parametrize("p", [None, 1, 2, 3, 1.5, np.inf, "fro", "nuc"])
def test_norms_at_zero(d, p):
    "by convention the slope of a norm at 0 is 0, also of its second derivative"
    x = np.zeros((2, 3)) if isinstance(p, str) else np.zeros(3)
    assert not d(lambda x: linalg.norm(x, p))(x).any()
    if p in (None, 2):
        assert not hessian(lambda x: linalg.norm(x, p))(x).any()


def test_hermitian_arguments_have_hermitian_gradients():
    "of other matrices only the triangle that is read counts"
    A = definite(SQUARE)
    log_det = lambda x: 2 * np.sum(np.log(np.diag(linalg.cholesky(x))))  # noqa: E731
    assert grad(log_det)(A) == pytest.approx(linalg.inv(A), rel=1e-12)
    inverse = np.tril(linalg.inv(A))
    assert grad(log_det)(np.tril(A)) == pytest.approx(inverse + np.tril(inverse, -1))


REFUSED = {
    "complete": (lambda x: linalg.qr(x, "complete")[0], TALL),
    "raw": (lambda x: linalg.qr(x, "raw")[0], TALL),
    "dependent columns": (lambda x: linalg.qr(x)[0], np.diag([1.0, 0.0, 0.0])),
    "defective": (lambda x: np.real(linalg.eigvals(x)), np.array([[1.0, 1.0], [0.0, 1.0]])),
    "dtype": (lambda x: np.einsum("ij", x, dtype=np.float32), SQUARE),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    "what has no derivative is refused in both modes"
    f, x = REFUSED[name]
    for d in (jacfwd, jacrev):
        with pytest.raises(LitadError):
            d(f)(x)


@pytest.mark.parametrize("d", [grad, gradient])
def test_sums_over_singular_values(d):
    "nuclear norm at full rank and equal values, sums of squares at any rank"
    Q = ROTATION * 2.0
    assert d(lambda x: np.sum(linalg.svdvals(x)))(Q) == pytest.approx(ROTATION, abs=1e-12)
    assert d(lambda x: linalg.norm(x, "nuc"))(Q) == pytest.approx(ROTATION, abs=1e-12)
    flat = np.outer([1.0, 2.0, 3.0], [1.0, 0.0])
    assert d(lambda x: np.sum(linalg.svd(x)[1] ** 2))(flat) == pytest.approx(2 * flat, abs=1e-12)


def test_phases_must_cancel():
    "a result that depends on the phase of a complex eigenvector is refused in reverse"
    with pytest.raises(LitadError, match="phase"):
        grad(lambda x: np.sum(np.imag(linalg.eigh(hermitian(x))[1] ** 2)))(SQUARE)


def test_bases_of_complements_must_cancel():
    "a result that depends on the basis of a null space is refused in reverse"
    with pytest.raises(LitadError):
        grad(lambda x: linalg.svd(x)[0][0, 4])(normal(5, 3))


def test_rank_is_a_constant():
    g = grad(lambda x: np.sum(x) * linalg.matrix_rank(x))(np.ones((2, 2)))
    assert g.tolist() == [[1, 1], [1, 1]]


def test_results_have_numpys_names():
    "the named results of NumPy keep their names and classes"
    classes = []

    def look(x):
        found = (linalg.eigh(x), linalg.svd(x), linalg.qr(x), linalg.slogdet(x), linalg.eig(x))
        classes.extend([type(r).__name__ for r in found])
        return found[0].eigenvalues[0] + found[1].S[0] + found[2].R[0, 0] + found[3].logabsdet

    grad(look)(definite(SQUARE))
    assert classes == ["EighResult", "SVDResult", "QRResult", "SlogdetResult", "EigResult"]


@QUICK
@given(st.integers(-4, 5), st.integers(0, 4), st.integers(0, 4))
def test_diagonals_are_dual(k, rows, columns):
    "reading a diagonal of any matrix, at any offset, is dual to writing it"
    v = np.random.default_rng(0).standard_normal((rows, columns))
    d, pull = vjp(lambda x: np.diagonal(x, k), v)
    w = np.random.default_rng(1).standard_normal(d.shape)
    assert np.sum(pull(w)[0] * v) == pytest.approx(w @ d, abs=1e-12)
    assert pull(w)[0].shape == v.shape


@QUICK
@given(
    st.lists(st.sampled_from(["ab", "bc", "ca", "aab", "b", "abc"]), min_size=1, max_size=4),
    st.sampled_from(["", "a", "ab", "ba", "cb"]),
)
def test_random_einsums_are_dual(terms, out):
    "any sum of products: <w, J t> = <J' w, t> for all operands at once"
    out = "".join([c for c in out if c in "".join(terms)])
    sizes, rng = {"a": 2, "b": 3, "c": 4}, np.random.default_rng(0)
    xs, ts = ([rng.standard_normal([sizes[c] for c in s]) for s in terms] for _ in range(2))
    f = lambda *x: np.einsum(f"{','.join(terms)}->{out}", *x)  # noqa: E731
    value, tangent = jvp(f, tuple(xs), tuple(ts))
    w = rng.standard_normal(np.shape(value))
    pulled = vjp(f, *xs)[1](w if w.ndim else float(w))
    back = sum(np.sum(g * t) for g, t in zip(pulled, ts))
    assert back == pytest.approx(np.sum(w * tangent), abs=1e-9)


def test_every_function_of_numpy_linalg_is_covered():
    "each public name of numpy.linalg occurs in the cases"
    sources = inspect.getsource(inspect.getmodule(flat))
    assert all(f"linalg.{name}" in sources for name in linalg.__all__ if name != "LinAlgError")
