"""Second derivatives: a Hessian, and its product with a vector, compiled.

Of Rosenbrock(x) + sum(log(1 + exp(-A x))), where A has 500 rows.
"""

import numpy as np
from harness import GCC, Race, jax_and_numpy
from limits import limits, limits_with_blas

ROWS = 500


def data(d):
    random = np.random.default_rng(0)
    A = random.standard_normal((ROWS, d)) / np.sqrt(d)
    return random.uniform(-1, 1, d), A, random.standard_normal(d)


def function(xp):
    def f(x, A):
        valley = xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)
        return valley + xp.sum(xp.logaddexp(0.0, -(A @ x)))

    return f


def parts(x, A):
    "The diagonal and its neighbour of Rosenbrock's Hessian, the curvature of each row."
    diagonal, beside = np.zeros_like(x), -400 * x[:-1]
    diagonal[:-1] = 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
    diagonal[1:] += 200
    s = 1 / (1 + np.exp(A @ x))
    return diagonal, beside, s * (1 - s)


def hessian_by_hand(x, A):
    diagonal, beside, s = parts(x, A)
    return A.T @ (s[:, None] * A) + np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)


def hvp_by_hand(x, A, v):
    diagonal, beside, s = parts(x, A)
    out = diagonal * v + A.T @ (s * (A @ v))
    out[:-1] += beside * v[1:]
    out[1:] += beside * v[:-1]
    return out


def casadi_call(result, arguments):
    "CasADi's matrices are stored by columns."
    import casadi as ca

    x, A, v = arguments
    X, B, V = ca.MX.sym("x", x.size), ca.MX.sym("A", *A.shape), ca.MX.sym("v", x.size)
    value = 100 * ca.sumsqr(X[1:] - X[:-1] ** 2) + ca.sumsqr(1 - X[:-1])
    value += ca.sum1(ca.log(1 + ca.exp(-ca.mtimes(B, X))))
    f = ca.Function("f", [X, B, V], [ca.densify(result(ca, value, X, V))])
    buffer, run = f.buffer()
    inputs, out = [x, np.ascontiguousarray(A.T), v], np.zeros(f.size_out(0))
    for k, a in enumerate(inputs):
        buffer.set_arg(k, memoryview(a.ravel()))
    buffer.set_res(0, memoryview(out.ravel()))

    def call(keep=(f, buffer, inputs)):
        run()
        return out if out.shape[1] > 1 else out[:, 0]

    return call


# ------------------------------------------------------------------ the Hessian

X, A, V = data(50)
hessian = Race(
    "hessian, d = 50",
    "a full Hessian",
    baseline="C",
    reference=lambda: hessian_by_hand(X, A),
)
hessian.entry("NumPy by hand")(lambda: lambda: hessian_by_hand(X, A))


@hessian.entry("C", GCC)
def _():
    f, H, scaled = limits_with_blas().hessian, np.empty((50, 50)), np.empty((ROWS, 50))

    def call():
        f(X, A, H, scaled)
        return H

    return call


@hessian.entry("litad", "litad")
def _():
    import litad
    from litad.jit import jit

    f = jit(litad.hessian(function(np)))
    return lambda: f(X, A)


@hessian.entry("JAX", "jax")
def _():
    jax, jnp = jax_and_numpy()
    f, x, rows = jax.jit(jax.hessian(function(jnp))), jnp.asarray(X), jnp.asarray(A)
    return lambda: jax.block_until_ready(f(x, rows))


@hessian.entry("CasADi", "casadi")
def _():
    return casadi_call(lambda ca, y, x, v: ca.hessian(y, x)[0], (X, A, V))


# ------------------------------------------------------------------ a Hessian-vector product

LARGE = data(1000)
hvp = Race(
    "hvp, d = 1000",
    "the product of a Hessian and a vector",
    baseline="C",
    reference=lambda: hvp_by_hand(*LARGE),
)
hvp.entry("NumPy by hand")(lambda: lambda: hvp_by_hand(*LARGE))


def along(grad, jvp, xp):
    "Forward over reverse."
    f = grad(function(xp))
    return lambda x, A, v: jvp(lambda x: f(x, A), (x,), (v,))[1]


@hvp.entry("C", GCC)
def _():
    f, out = limits().hvp, np.empty(1000)

    def call():
        f(*LARGE, out)
        return out

    return call


@hvp.entry("litad", "litad")
def _():
    import litad
    from litad.jit import jit

    f = jit(along(litad.grad, litad.jvp, np))
    return lambda: f(*LARGE)


@hvp.entry("JAX", "jax")
def _():
    jax, jnp = jax_and_numpy()
    f, arguments = jax.jit(along(jax.grad, jax.jvp, jnp)), [jnp.asarray(a) for a in LARGE]
    return lambda: jax.block_until_ready(f(*arguments))


@hvp.entry("CasADi", "casadi")
def _():
    return casadi_call(lambda ca, y, x, v: ca.jtimes(ca.gradient(y, x), x, v), LARGE)


hessian.target("litad", "C", 2.0)
hvp.target("litad", "C", 1.5)
RACES = [hessian, hvp]
