"""Forward against reverse: the gradient of n numbers as a multiple of the function's own time."""

import numpy as np
from harness import Race


def squares(x):
    return np.sum(x * x)


def squares_gradient(x):
    return 2 * x


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def rosenbrock_gradient(x):
    a, b, g = x[1:] - x[:-1] ** 2, 1.0 - x[:-1], np.zeros_like(x)
    g[1:] = 200 * a
    g[:-1] -= 400 * x[:-1] * a + 2 * b
    return g


def point(n):
    return np.random.default_rng(0).uniform(-1, 1, n)


def race_of(title, f, gradient, n):
    x = point(n)
    race = Race(
        f"{f.__name__}, n = {n}", title, baseline="the function", reference=lambda: gradient(x)
    )

    @race.entry("the function", reference=lambda: f(x))
    def _():
        return lambda: f(x)

    @race.entry("reverse", "litad")
    def _():
        import litad

        g = litad.grad(f)
        return lambda: g(x)

    for chunk in (1, 8, 32):

        @race.entry(f"forward, chunk {chunk}", "litad")
        def _(chunk=chunk):
            import litad

            g = litad.gradient(f, chunk=chunk)
            return lambda: g(x)

    return race


RACES = [
    *[race_of("the sum of squares", squares, squares_gradient, n) for n in (1, 10, 100, 1000)],
    *[
        race_of("Rosenbrock's function", rosenbrock, rosenbrock_gradient, n)
        for n in (2, 10, 100, 1000)
    ],
]
for last in (RACES[3], RACES[7]):
    last.target("reverse", "forward, chunk 1", 1 / 200, "next")
PIVOT = "the gradient's time as a multiple of the function's"
