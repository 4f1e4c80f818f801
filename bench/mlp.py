"""Few, larger operations: the gradient of a 64-64-10 network on a batch of 32."""

import numpy as np
from harness import Race, torch_on_one_thread

_random = np.random.default_rng(0)
X, LABELS = _random.standard_normal((32, 64)), np.eye(10)[_random.integers(0, 10, 32)]
PARAMETERS = (
    _random.standard_normal((64, 64)) / 8,
    _random.standard_normal(64) / 8,
    _random.standard_normal((64, 10)) / 8,
    _random.standard_normal(10) / 8,
)


def by_hand():
    w1, b1, w2, b2 = PARAMETERS
    h = np.tanh(X @ w1 + b1)
    z = h @ w2 + b2
    z = z - z.max(1, keepdims=True)
    e = np.exp(z)
    total = e.sum(1, keepdims=True)
    loss = np.mean(np.log(total) - (LABELS * z).sum(1, keepdims=True))
    gz = (e / total - LABELS) / 32
    gh = gz @ w2.T * (1 - h * h)
    return loss, (X.T @ gh, gh.sum(0), h.T @ gz, gz.sum(0))


def network(xp):
    "The mean cross entropy in NumPy's own words, for any module that has them."

    def loss(parameters, x, labels):
        w1, b1, w2, b2 = parameters
        z = xp.tanh(x @ w1 + b1) @ w2 + b2
        return xp.mean(xp.log(xp.sum(xp.exp(z), 1)) - xp.sum(labels * z, 1))

    return loss


race = Race(
    "mlp",
    "loss of a 64-64-10 network on a batch of 32 and its gradient",
    baseline="NumPy by hand",
    reference=by_hand,
)
race.entry("NumPy by hand")(lambda: by_hand)


@race.entry("NumPy, the function", reference=lambda: by_hand()[0])
def _():
    f = network(np)
    return lambda: f(PARAMETERS, X, LABELS)


@race.entry("litad", "litad")
def _():
    import litad

    f = litad.value_and_grad(network(np))
    return lambda: f(PARAMETERS, X, LABELS)


@race.entry("PyTorch", "torch")
def _():
    torch = torch_on_one_thread()
    parameters = [torch.tensor(p, requires_grad=True) for p in PARAMETERS]
    f, x, labels = network(torch), torch.tensor(X), torch.tensor(LABELS)

    def call():
        y = f(parameters, x, labels)
        return y.detach(), torch.autograd.grad(y, parameters)

    return call


@race.entry("autograd", "autograd")
def _():
    import autograd
    import autograd.numpy as anp

    f = autograd.value_and_grad(network(anp))
    return lambda: f(PARAMETERS, X, LABELS)


race.target("litad", "PyTorch", 1.0)
race.target("litad", "autograd", 1.0)
RACES = [race]
