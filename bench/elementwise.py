"""Elementary functions over an array: a sum of tanh, exp and log1p, and its gradient, compiled."""

from functools import partial

import numpy as np
from harness import GCC, Race, jax_and_numpy
from limits import limits


def function(xp):
    return lambda x: xp.sum(xp.tanh(x) * xp.exp(-(x**2)) + xp.log1p(x**2))


def by_hand(x):
    s = x * x
    t, e = np.tanh(x), np.exp(-s)
    return np.sum(t * e + np.log1p(s)), e * (1 - t * t - 2 * x * t) + 2 * x / (1 + s)


def race_of(dtype, n, limit):
    x = np.random.default_rng(0).standard_normal(n).astype(dtype)
    rtol = 1e-11 if dtype == "float64" else 3e-5
    race = Race(
        f"elementwise, {dtype}, n = {n}",
        "value and gradient of sum(tanh(x) exp(-x^2) + log1p(x^2))",
        baseline="C",
        reference=lambda: by_hand(x.astype(float)),
    )
    entry = partial(race.entry, rtol=rtol)
    entry("NumPy by hand")(lambda: partial(by_hand, x))

    @entry("C", GCC)
    def _():
        f, g = getattr(limits(), f"elementwise_{dtype}"), np.empty_like(x)
        return lambda: (f(x, g), g)

    @entry("C, glibc's vector functions", GCC)
    def _():
        f, g = getattr(limits(), f"elementwise_libm_{dtype}"), np.empty_like(x)
        return lambda: (f(x, g), g)

    @entry("litad", "litad")
    def _():
        import litad
        from litad.jit import jit

        return partial(jit(litad.value_and_grad(function(np))), x)

    @entry("JAX", "jax")
    def _():
        jax, jnp = jax_and_numpy()
        f, y = jax.jit(jax.value_and_grad(function(jnp))), jnp.asarray(x)
        return lambda: jax.block_until_ready(f(y))

    if n == 1000:

        @entry("heyoka", "heyoka")
        def _():
            """The function of a number and its derivative, in batches; NumPy sums the values."""
            import heyoka as hy

            y = hy.make_vars("x")
            value = hy.tanh(y) * hy.exp(-(y * y)) + hy.log1p(y * y)
            precision = np.dtype(dtype).type
            f = hy.cfunc([value, hy.diff(value, y)], [y], fp_type=precision, fast_math=True)
            inputs, outputs = x[None], np.empty((2, n), dtype)

            def call():
                f(inputs, outputs=outputs)
                return outputs[0].sum(), outputs[1]

            return call

    race.target("litad", "C", limit)
    return race


SIZES = {1000: 1.5, 100_000: 1.1, 1_000_000: 1.1}
RACES = [race_of(d, n, limit) for d in ("float64", "float32") for n, limit in SIZES.items()]
