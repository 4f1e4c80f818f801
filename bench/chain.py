"""What an operation costs: a chain of 1000 on 10 elements, and its gradient."""

import numpy as np
from harness import Race, torch_on_one_thread

REPEATS, X = 250, np.linspace(0.1, 1.0, 10)


def chain(x, exp, log):
    for _ in range(REPEATS):
        x = log(exp(x * 1.001 + 0.001))
    return x


def by_hand():
    x, kept = X, []
    for _ in range(REPEATS):
        e = np.exp(x * 1.001 + 0.001)
        kept.append(e)
        x = np.log(e)
    g = np.ones_like(X)
    for e in reversed(kept):
        g = g / e * e * 1.001
    return x.sum(), g


race = Race(
    "chain",
    "value and gradient of a chain of 1000 operations on 10 elements, eager",
    baseline="NumPy by hand",
    reference=by_hand,
)
race.entry("NumPy by hand")(lambda: by_hand)


@race.entry("NumPy, forward only", reference=lambda: by_hand()[0])
def _():
    return lambda: chain(X, np.exp, np.log).sum()


@race.entry("litad", "litad")
def _():
    import litad

    f = litad.value_and_grad(lambda x: np.sum(chain(x, np.exp, np.log)))
    return lambda: f(X)


@race.entry("PyTorch", "torch")
def _():
    torch = torch_on_one_thread()
    x = torch.tensor(X, requires_grad=True)

    def call():
        y = chain(x, torch.exp, torch.log).sum()
        return y.detach(), torch.autograd.grad(y, x)[0]

    return call


@race.entry("autograd", "autograd")
def _():
    import autograd
    import autograd.numpy as anp

    f = autograd.value_and_grad(lambda x: anp.sum(chain(x, anp.exp, anp.log)))
    return lambda: f(X)


@race.entry("mygrad", "mygrad")
def _():
    import mygrad

    def call():
        x = mygrad.tensor(X)
        y = chain(x, mygrad.exp, mygrad.log).sum()
        y.backward()
        return y.item(), x.grad

    return call


@race.entry("JAX, not jitted", "jax")
def _():
    import jax
    import jax.numpy as jnp

    f, x = jax.value_and_grad(lambda x: jnp.sum(chain(x, jnp.exp, jnp.log))), jnp.asarray(X)
    return lambda: jax.block_until_ready(f(x))


race.target("litad", "PyTorch", 0.8)
race.target("litad", "autograd", 0.5)
race.target("litad", "PyTorch", 0.6, "next")
race.target("litad", "autograd", 0.4, "next")
RACES = [race]
