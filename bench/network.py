"""A step of training in place: a 784-128-10 network, compiled, its parameters donated."""

from functools import partial

import numpy as np
from harness import GCC, Race, after_steps, jax_and_numpy, torch_on_one_thread
from limits import limits_with_blas

RATE = 0.01


def data(dtype, batch):
    random = np.random.default_rng(0)
    uniform = lambda m, n: random.uniform(-1, 1, (m, n)) * np.sqrt(6 / (m + n))  # noqa: E731
    parameters = [uniform(784, 128), random.normal(0, 0.1, 128), uniform(128, 10), np.zeros(10)]
    x, y = random.uniform(0, 1, (batch, 784)), np.eye(10)[random.integers(0, 10, batch)]
    if batch == 1:
        x, y = x[0], y[0]
    return [p.astype(dtype) for p in parameters], x.astype(dtype), y.astype(dtype)


def loss_over(xp):
    def loss(parameters, x, y):
        w1, b1, w2, b2 = parameters
        z = xp.maximum(x @ w1 + b1, 0) @ w2 + b2
        z = z - xp.max(z, -1, keepdims=True)
        return xp.mean(xp.log(xp.sum(xp.exp(z), -1)) - xp.sum(y * z, -1))

    return loss


def loss_in_torch(torch):
    def loss(parameters, x, y):
        w1, b1, w2, b2 = parameters
        z = torch.relu(x @ w1 + b1) @ w2 + b2
        return torch.mean(torch.logsumexp(z, -1) - torch.sum(y * z, -1))

    return loss


def step_over(value_and_grad, xp):
    f = value_and_grad(loss_over(xp))

    def step(parameters, x, y):
        _, gradient = f(parameters, x, y)
        return [p - RATE * g for p, g in zip(parameters, gradient)]

    return step


def step_in_torch(torch, dtype, batch, compiled):
    arrays, x, y = data(dtype, batch)
    parameters = [torch.from_numpy(p).requires_grad_() for p in arrays]
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    loss = compiled(loss_in_torch(torch))

    def call():
        gradient = torch.autograd.grad(loss(parameters, x, y), parameters)
        with torch.no_grad():
            torch._foreach_add_(parameters, gradient, alpha=-RATE)
        return parameters

    return call


def step_by_hand(parameters, x, y):
    w1, b1, w2, b2 = parameters
    x, y = np.atleast_2d(x), np.atleast_2d(y)
    h = np.maximum(x @ w1 + b1, 0)
    z = h @ w2 + b2
    e = np.exp(z - z.max(1, keepdims=True))
    dz = (e / e.sum(1, keepdims=True) - y) * RATE / len(x)
    dh = dz @ w2.T * (h > 0)
    w2 -= h.T @ dz
    b2 -= dz.sum(0)
    w1 -= x.T @ dh
    b1 -= dh.sum(0)
    return parameters


def race_of(dtype, batch, limit):
    race = Race(
        f"network, {dtype}, batch {batch}",
        "a step of gradient descent of a 784-128-10 network, in place",
        baseline="C",
        reference=partial(after_steps, step_by_hand, partial(data, "float64", batch)),
        steps=True,
    )
    entry = partial(race.entry, rtol=1e-9 if dtype == "float64" else 2e-4)
    entry("NumPy by hand")(lambda: partial(step_by_hand, *data(dtype, batch)))

    @entry("C", GCC)
    def _():
        module = limits_with_blas()
        parameters, x, y = data(dtype, batch)
        f, more = getattr(module, f"network_{dtype}"), []
        if batch > 1:
            f = getattr(module, f"network_batch_{dtype}")
            more = [np.empty((batch, 128), dtype), np.empty((batch, 128), dtype)]

        def call():
            f(*parameters, x, y, RATE, *more)
            return parameters

        return call

    @entry("litad", "litad")
    def _():
        import litad
        from litad.jit import jit

        step = jit(step_over(litad.value_and_grad, np), donate_argnums=0)
        parameters, x, y = data(dtype, batch)

        def call():
            nonlocal parameters
            parameters = step(parameters, x, y)
            return parameters

        return call

    @entry("JAX", "jax")
    def _():
        jax, jnp = jax_and_numpy()
        step = jax.jit(step_over(jax.value_and_grad, jnp), donate_argnums=0)
        parameters, x, y = jax.tree.map(jnp.asarray, data(dtype, batch))

        def call():
            nonlocal parameters
            parameters = step(parameters, x, y)
            return jax.block_until_ready(parameters)

        return call

    @entry("PyTorch", "torch")
    def _():
        return step_in_torch(torch_on_one_thread(), dtype, batch, lambda f: f)

    @entry("PyTorch, compiled", "torch")
    def _():
        torch = torch_on_one_thread()
        return step_in_torch(torch, dtype, batch, torch.compile)

    @entry("PyTensor", "pytensor")
    def _():
        import pytensor
        import pytensor.tensor as pt

        parameters, x, y = data(dtype, batch)
        shared, rate = [pytensor.shared(p) for p in parameters], np.asarray(RATE, dtype)
        loss = loss_over(pt)(shared, pytensor.shared(x), pytensor.shared(y)).astype(dtype)
        gradient = pytensor.grad(loss, shared)
        new = [(p, (p - rate * g).astype(dtype)) for p, g in zip(shared, gradient)]
        f = pytensor.function([], [], updates=new)

        def call():
            f()
            return [p.get_value(borrow=True) for p in shared]

        return call

    race.target("litad", "C", limit)
    return race


LIMITS = {1: 1.5, 32: 1.1, 128: 1.1}
RACES = [race_of(d, n, limit) for n, limit in LIMITS.items() for d in ("float64", "float32")]
