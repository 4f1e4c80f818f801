"""What the sketches import from another module."""

import numpy as np

POWER = 2


def rk4_step(f, t, y, h, *args, **kwargs):
    k1 = f(t, y, *args, **kwargs)
    k2 = f(t + h / 2, y + h / 2 * k1, *args, **kwargs)
    k3 = f(t + h / 2, y + h / 2 * k2, *args, **kwargs)
    k4 = f(t + h, y + h * k3, *args, **kwargs)
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def trapz_weights(n, dx=1.0):
    w = np.full(n, dx)
    w[0] = w[-1] = dx / 2
    return w


def weighted(x, w, power=1):
    total = 0.0
    for a, b in zip(x, w):
        total += b * a**power
    return total


class Accumulator:
    def __init__(self, decay):
        self.decay = decay
        self.state = 0.0

    def update(self, v):
        self.state = self.decay * self.state + v
        return self.state

    def run(self, xs):
        out = 0.0
        for v in xs:
            out = out + self.update(v) ** 2
        return out
