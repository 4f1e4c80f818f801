"""Small numbers, many operations: a least-squares fit through a Runge-Kutta solver."""

import numpy as np
from harness import Race, torch_on_one_thread

STEPS, EVERY, DT = 100, 5, 0.02
START, GUESS, TRUTH = (1.0, 1.0), np.array([1.2, 0.8, 2.5, 0.8]), np.array([1.5, 1.0, 3.0, 1.0])


def lotka_volterra(x, y, a, b, c, d):
    xy = x * y
    return a * x - b * xy, c * xy - d * y


def step(x, y, p, h):
    x1, y1 = lotka_volterra(x, y, *p)
    x2, y2 = lotka_volterra(x + h / 2 * x1, y + h / 2 * y1, *p)
    x3, y3 = lotka_volterra(x + h / 2 * x2, y + h / 2 * y2, *p)
    x4, y4 = lotka_volterra(x + h * x3, y + h * y3, *p)
    return x + h / 6 * (x1 + 2 * x2 + 2 * x3 + x4), y + h / 6 * (y1 + 2 * y2 + 2 * y3 + y4)


def trajectory(p, dtype=float):
    "The states after every fifth step, in NumPy."
    (x, y), p, saved = START, [dtype(v) for v in p], []
    for k in range(STEPS):
        x, y = step(x, y, p, DT)
        if k % EVERY == EVERY - 1:
            saved.append((x, y))
    return np.array(saved)


OBSERVED = trajectory(TRUTH)


def by_scalars(parameters):
    "The loss, number by number."
    (x, y), p, loss = START, tuple(parameters), 0.0
    for k in range(STEPS):
        x, y = step(x, y, p, DT)
        if k % EVERY == EVERY - 1:
            u, v = OBSERVED[k // EVERY].tolist()
            loss = loss + (x - u) ** 2 + (y - v) ** 2
    return loss


def by_vectors(stack, total, constant):
    "The loss as a function of an array of parameters, the state being an array of two numbers."
    start, observed = constant(np.array(START)), constant(OBSERVED)

    def rate(u, p):
        xy = u[0] * u[1]
        return stack([p[0] * u[0] - p[1] * xy, p[2] * xy - p[3] * u[1]])

    def loss(p):
        u, h, sum_of_squares = start, DT, 0.0
        for k in range(STEPS):
            u1 = rate(u, p)
            u2 = rate(u + h / 2 * u1, p)
            u3 = rate(u + h / 2 * u2, p)
            u4 = rate(u + h * u3, p)
            u = u + h / 6 * (u1 + 2 * u2 + 2 * u3 + u4)
            if k % EVERY == EVERY - 1:
                sum_of_squares = sum_of_squares + total((u - observed[k // EVERY]) ** 2)
        return sum_of_squares

    return loss


def reference():
    "The loss and its gradient, by complex steps through the solver."
    loss = lambda p: np.sum((trajectory(p, complex) - OBSERVED) ** 2)  # noqa: E731
    gradient = [loss(GUESS + 1e-30j * e).imag / 1e-30 for e in np.eye(4)]
    return loss(GUESS).real, np.array(gradient)


def race_of(name, title, over_numpy, over):
    race = Race(name, title, baseline="NumPy, the function", reference=reference)

    @race.entry("NumPy, the function", reference=lambda: reference()[0])
    def _():
        return lambda: over_numpy(GUESS)

    @race.entry("litad", "litad")
    def _():
        import litad

        f = litad.value_and_grad(over_numpy)
        return lambda: f(GUESS)

    @race.entry("PyTorch", "torch")
    def _():
        torch = torch_on_one_thread()
        p, f = torch.tensor(GUESS, requires_grad=True), over("torch")

        def call():
            y = f(p)
            return y.detach(), torch.autograd.grad(y, p)[0]

        return call

    @race.entry("autograd", "autograd")
    def _():
        import autograd

        f = autograd.value_and_grad(over("autograd"))
        return lambda: f(GUESS)

    race.target("litad", "PyTorch", 1.0)
    race.target("litad", "autograd", 1.0)
    return race


def vectors_over(library):
    if library == "torch":
        import torch

        return by_vectors(torch.stack, torch.sum, torch.tensor)
    import autograd.numpy as anp

    return by_vectors(anp.stack, anp.sum, np.asarray)


TITLE = "loss of a Lotka-Volterra fit through 100 RK4 steps and its 4 derivatives, "
RACES = [
    race_of("ode, numbers", TITLE + "number by number", by_scalars, lambda library: by_scalars),
    race_of(
        "ode, vectors",
        TITLE + "states as stacked vectors",
        by_vectors(np.stack, np.sum, np.asarray),
        vectors_over,
    ),
]
