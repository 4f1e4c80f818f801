"""Rosenbrock's function in n dimensions, vectorised, and its gradient; eager and compiled."""

from functools import partial

import numpy as np
from harness import GCC, Race, jax_and_numpy, torch_on_one_thread
from limits import limits
from modes import point, rosenbrock, rosenbrock_gradient

X = point(1000)


def value_and_gradient(x=X):
    return rosenbrock(x), rosenbrock_gradient(x)


def over(xp):
    return lambda x: xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


race = Race(
    "rosenbrock",
    "value and gradient of Rosenbrock's function, vectorised, n = 1000",
    baseline="NumPy, the function",
    reference=value_and_gradient,
)
race.entry("NumPy by hand")(lambda: value_and_gradient)


@race.entry("NumPy, the function", reference=lambda: rosenbrock(X))
def _():
    return lambda: rosenbrock(X)


@race.entry("litad", "litad")
def _():
    import litad

    f = litad.value_and_grad(over(np))
    return lambda: f(X)


@race.entry("PyTorch", "torch")
def _():
    torch = torch_on_one_thread()
    x, f = torch.tensor(X, requires_grad=True), over(torch)

    def call():
        y = f(x)
        return y.detach(), torch.autograd.grad(y, x)[0]

    return call


@race.entry("autograd", "autograd")
def _():
    import autograd
    import autograd.numpy as anp

    f = autograd.value_and_grad(over(anp))
    return lambda: f(X)


race.target("litad", "NumPy, the function", 5.0, "next")
race.target("litad", "PyTorch", 1.0)
race.target("litad", "autograd", 1.0)


# ------------------------------------------------------------------ compiled


def compiled(n, limit):
    x = point(n)
    race = Race(
        f"rosenbrock compiled, n = {n}",
        "value and gradient of the same function, compiled",
        baseline="C",
        reference=partial(value_and_gradient, x),
    )
    race.entry("NumPy by hand")(lambda: partial(value_and_gradient, x))

    @race.entry("C", GCC)
    def _():
        f, g = limits().rosenbrock, np.empty(n)
        return lambda: (f(x, g), g)

    @race.entry("litad", "litad")
    def _():
        import litad
        from litad.jit import jit

        return partial(jit(litad.value_and_grad(over(np))), x)

    @race.entry("Numba by hand", "numba", hand=True)
    def _():
        import numba

        @numba.njit(fastmath=True)
        def f(x):
            g, value = np.zeros(x.size), 0.0
            for i in range(x.size - 1):
                a, b = x[i + 1] - x[i] * x[i], 1 - x[i]
                value += 100 * a * a + b * b
                g[i] -= 400 * x[i] * a + 2 * b
                g[i + 1] = 200 * a
            return value, g

        return partial(f, x)

    @race.entry("JAX", "jax")
    def _():
        jax, jnp = jax_and_numpy()
        f, y = jax.jit(jax.value_and_grad(over(jnp))), jnp.asarray(x)
        return lambda: jax.block_until_ready(f(y))

    @race.entry("CasADi", "casadi")
    def _():
        import casadi as ca

        y = ca.MX.sym("x", n)
        value = 100 * ca.sumsqr(y[1:] - y[:-1] ** 2) + ca.sumsqr(1 - y[:-1])
        f = ca.Function("f", [y], [value, ca.gradient(value, y)])
        buffer, run = f.buffer()
        outputs = np.zeros(1), np.zeros(n)
        buffer.set_arg(0, memoryview(x))
        buffer.set_res(0, memoryview(outputs[0]))
        buffer.set_res(1, memoryview(outputs[1]))

        def call(keep=(f, buffer)):
            run()
            return outputs[0].item(), outputs[1]

        return call

    race.target("litad", "C", limit)
    return race


RACES = [race, compiled(1000, 2.0), compiled(100_000, 1.3)]
