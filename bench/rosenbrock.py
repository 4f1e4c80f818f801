"""A gradient as a multiple of its function: n-dimensional Rosenbrock, vectorised, n = 1000."""

import numpy as np
from harness import Race, torch_on_one_thread
from modes import point, rosenbrock, rosenbrock_gradient

X = point(1000)


def value_and_gradient():
    return rosenbrock(X), rosenbrock_gradient(X)


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
RACES = [race]
