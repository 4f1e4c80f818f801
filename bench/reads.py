"""Element reads in a loop: 10 000 of them on a small and on a large array, backwards."""

import numpy as np
from harness import Race, torch_on_one_thread

READS = 10_000
WEIGHTS = np.random.default_rng(0).uniform(-1, 1, READS).tolist()


def array(n):
    return np.random.default_rng(1).uniform(-1, 1, (n, n))


def places(n):
    return [(k % n, 7 * k % n) for k in range(READS)]


def loop(n):
    where = places(n)

    def f(a):
        total = 0.0
        for weight, (i, j) in zip(WEIGHTS, where):
            total = total + weight * a[i, j]
        return total

    return f


def reference(n):
    "One read is linear in the array, so its weight is its gradient."
    a, g, total = array(n), np.zeros((n, n)), 0.0
    for weight, place in zip(WEIGHTS, places(n)):
        total += weight * a[place]
        g[place] += weight
    return total, g


race = Race(
    "reads",
    "value and gradient of a loop of 10 000 reads a[i, j]",
    baseline="NumPy, the function, 10 x 10",
)
for n in (10, 1000):
    size, slow = f"{n} x {n}", n > 10

    @race.entry(f"NumPy, the function, {size}", reference=lambda n=n: reference(n)[0])
    def _(n=n):
        f, a = loop(n), array(n)
        return lambda: f(a)

    @race.entry(f"litad, {size}", "litad", reference=lambda n=n: reference(n))
    def _(n=n):
        import litad

        f, a = litad.value_and_grad(loop(n)), array(n)
        return lambda: f(a)

    @race.entry(f"PyTorch, {size}", "torch", reference=lambda n=n: reference(n), slow=slow)
    def _(n=n):
        torch = torch_on_one_thread()
        a, f = torch.tensor(array(n), requires_grad=True), loop(n)

        def call():
            y = f(a)
            return y.detach(), torch.autograd.grad(y, a)[0]

        return call

    @race.entry(f"autograd, {size}", "autograd", reference=lambda n=n: reference(n), slow=slow)
    def _(n=n):
        import autograd

        f, a = autograd.value_and_grad(loop(n)), array(n)
        return lambda: f(a)


race.target("litad, 1000 x 1000", "litad, 10 x 10", 2.0, "next")
race.target("litad, 10 x 10", "PyTorch, 10 x 10", 1.0)
race.target("litad, 10 x 10", "autograd, 10 x 10", 1.0)
RACES = [race]
