"""A step of training in place: LeNet, two convolutions, pools, layers, its parameters donated."""

from functools import partial

import numpy as np
from harness import GCC, Race, after_steps, jax_and_numpy, torch_on_one_thread
from limits import limits_with_blas

RATE = 0.01
SHAPES = [(6, 1, 5, 5), (6,), (16, 6, 5, 5), (16,), (120, 256), (120,), (10, 120), (10,)]


def data(dtype, batch):
    random = np.random.default_rng(0)
    spread = [np.sqrt(2 / np.prod(s[1:])) if len(s) > 1 else 0.1 for s in SHAPES]
    parameters = [random.normal(0, d, s) for d, s in zip(spread, SHAPES)]
    x, y = random.uniform(0, 1, (batch, 1, 28, 28)), np.eye(10)[random.integers(0, 10, batch)]
    return [p.astype(dtype) for p in parameters], x.astype(dtype), y.astype(dtype)


# ------------------------------------------------------------------ by hand


def windows(x):
    return np.lib.stride_tricks.sliding_window_view(x, (5, 5), (2, 3))


def pooled(x):
    "Relu and the maximum of two by two, and the way back."
    n, c, s, _ = x.shape
    corners = np.maximum(x, 0).reshape(n, c, s // 2, 2, s // 2, 2).transpose(0, 1, 2, 4, 3, 5)
    corners = corners.reshape(n, c, s // 2, s // 2, 4)
    first = corners.argmax(-1)[..., None]
    best = np.take_along_axis(corners, first, -1)

    def back(t):
        out = np.zeros_like(corners)
        np.put_along_axis(out, first, t[..., None] * (best > 0), -1)
        out = out.reshape(n, c, s // 2, s // 2, 2, 2).transpose(0, 1, 2, 4, 3, 5)
        return out.reshape(x.shape)

    return best[..., 0], back


def step_by_hand(parameters, x, y):
    w1, b1, w2, b2, w3, b3, w4, b4 = parameters
    p1, back1 = pooled(
        np.einsum("nchwuv,ocuv->nohw", windows(x), w1, optimize=True) + b1[:, None, None]
    )
    p2, back2 = pooled(
        np.einsum("nchwuv,ocuv->nohw", windows(p1), w2, optimize=True) + b2[:, None, None]
    )
    f = p2.reshape(len(x), -1)
    h = np.maximum(f @ w3.T + b3, 0)
    z = h @ w4.T + b4
    e = np.exp(z - z.max(1, keepdims=True))
    dz = (e / e.sum(1, keepdims=True) - y) / len(x)
    dh = dz @ w4 * (h > 0)
    d2 = back2((dh @ w3).reshape(p2.shape))
    around = np.pad(d2, ((0, 0), (0, 0), (4, 4), (4, 4)))
    d1 = back1(np.einsum("nohwuv,ocuv->nchw", windows(around), w2[:, :, ::-1, ::-1], optimize=True))
    gradient = [
        np.einsum("nchwuv,nohw->ocuv", windows(x), d1, optimize=True), d1.sum((0, 2, 3)),
        np.einsum("nchwuv,nohw->ocuv", windows(p1), d2, optimize=True), d2.sum((0, 2, 3)),
        dh.T @ f, dh.sum(0), dz.T @ h, dz.sum(0),
    ]  # fmt: skip
    for p, g in zip(parameters, gradient):
        p -= p.dtype.type(RATE) * g
    return parameters


# ------------------------------------------------------------------ with packages


def loss_over(xp, convolve, pool):
    def loss(parameters, x, y):
        w1, b1, w2, b2, w3, b3, w4, b4 = parameters
        a = pool(xp.maximum(convolve(x, w1) + b1[:, None, None], 0))
        a = pool(xp.maximum(convolve(a, w2) + b2[:, None, None], 0))
        h = xp.maximum(a.reshape(len(x), -1) @ w3.T + b3, 0)
        z = h @ w4.T + b4
        z = z - xp.max(z, -1, keepdims=True)
        return xp.mean(xp.log(xp.sum(xp.exp(z), -1)) - xp.sum(y * z, -1))

    return loss


def step_over(value_and_grad, loss):
    def step(parameters, x, y):
        _, gradient = value_and_grad(loss)(parameters, x, y)
        return [p - np.float32(RATE) * g for p, g in zip(parameters, gradient)]

    return step


def race_of(batch, limit):
    race = Race(
        f"lenet, float32, batch {batch}",
        "a step of gradient descent of LeNet-5 with relu and max-pools, 28 x 28, in place",
        baseline="C",
        reference=partial(after_steps, step_by_hand, partial(data, "float64", batch)),
        steps=True,
    )
    entry = partial(race.entry, rtol=1e-3)
    entry("NumPy by hand")(lambda: partial(step_by_hand, *data("float32", batch)))

    @entry("C", GCC)
    def _():
        f = limits_with_blas().lenet
        parameters, x, y = data("float32", batch)
        scratch = np.zeros(50_000 + batch * 7_000, "float32")

        def call():
            f(*parameters, x, y, RATE, scratch)
            return parameters

        return call

    entry("litad", "litad")(lambda: steps_in_litad(batch, compiled=True))
    entry("litad, eager", "litad")(lambda: steps_in_litad(batch, compiled=False))

    @entry("JAX", "jax")
    def _():
        jax, jnp = jax_and_numpy()
        step = jax.jit(
            step_over(jax.value_and_grad, loss_over(jnp, *convolution_in_jax(jax))),
            donate_argnums=0,
        )
        parameters, x, y = jax.tree.map(jnp.asarray, data("float32", batch))

        def call():
            nonlocal parameters
            parameters = step(parameters, x, y)
            return jax.block_until_ready(parameters)

        return call

    @entry("PyTorch, eager", "torch")
    def _():
        torch = torch_on_one_thread()
        F = torch.nn.functional
        parameters, x, y = data("float32", batch)
        parameters = [torch.tensor(p, requires_grad=True) for p in parameters]
        x, y = torch.tensor(x), torch.tensor(y)

        def call():
            w1, b1, w2, b2, w3, b3, w4, b4 = parameters
            a = F.max_pool2d(F.relu(F.conv2d(x, w1, b1)), 2)
            a = F.max_pool2d(F.relu(F.conv2d(a, w2, b2)), 2)
            z = F.linear(F.relu(F.linear(a.flatten(1), w3, b3)), w4, b4)
            gradient = torch.autograd.grad(F.cross_entropy(z, y), parameters)
            with torch.no_grad():
                torch._foreach_add_(parameters, gradient, alpha=-RATE)
            return parameters

        return call

    race.target("litad", "C", limit)
    return race


def steps_in_litad(batch, compiled):
    "Steps with litad, compiled or not, each on the parameters that the one before has left."
    import litad
    from litad.convolution import conv2d, max_pool2d

    step = step_over(litad.value_and_grad, loss_over(np, conv2d, lambda a: max_pool2d(a, 2)))
    if compiled:
        step = litad.jit(step, donate_argnums=0)
    parameters, x, y = data("float32", batch)

    def call():
        nonlocal parameters
        parameters = step(parameters, x, y)
        return parameters

    return call


def convolution_in_jax(jax):
    "The convolution and the pool; the quicker of the two ways to write the pool."

    def pool(a):
        n, c, s, _ = a.shape
        return a.reshape(n, c, s // 2, 2, s // 2, 2).max((3, 5))

    return lambda x, w: jax.lax.conv(x, w, (1, 1), "VALID"), pool


RACES = [race_of(1, 2.0), race_of(32, 1.5)]
