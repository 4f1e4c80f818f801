"""Loops, branches and stores as one writes them: value and gradient, compiled from source."""

import numpy as np
from harness import Race, jax_and_numpy


def recurrence(x):
    y = x.copy()
    for i in range(1, len(x)):
        y[i] = np.sin(y[i - 1]) * x[i] + y[i]
    return y.sum()


def thomas(a, b, c, d):
    n = len(d)
    cp, dp, x = np.empty(n), np.empty(n), np.empty(n)
    cp[0], dp[0] = c[0] / b[0], d[0] / b[0]
    for i in range(1, n):
        m = b[i] - a[i] * cp[i - 1]
        cp[i] = c[i] / m
        dp[i] = (d[i] - a[i] * dp[i - 1]) / m
    x[n - 1] = dp[n - 1]
    for i in range(n - 2, -1, -1):
        x[i] = dp[i] - cp[i] * x[i + 1]
    return np.sum(x**2)


def heat(u, w):
    now, new = u.copy(), u.copy()
    for _ in range(50):
        for i in range(1, len(u) - 1):
            new[i] = now[i] + 0.2 * (now[i + 1] - 2 * now[i] + now[i - 1])
        now, new = new, now
    return np.sum(w * now**2)


def cholesky(a):
    a = a.copy()
    n = len(a)
    for j in range(n):
        a[j, j] = np.sqrt(a[j, j] - a[j, :j] @ a[j, :j])
        for i in range(j + 1, n):
            a[i, j] = (a[i, j] - a[i, :j] @ a[j, :j]) / a[j, j]
    return np.sum(np.log(np.diag(a)))


def kepler(e, m):
    total = 0.0
    for k in range(len(e)):
        x = m[k]
        for _ in range(30):
            step = (x - e[k] * np.sin(x) - m[k]) / (1 - e[k] * np.cos(x))
            x = x - step
            if abs(step) < 1e-12:
                break
        total += np.sin(x)
    return total


def gauss_seidel(u, b):
    u = u.copy()
    n = len(u)
    for _ in range(5):
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                near = u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1]
                u[i, j] = 0.25 * (near + 0.01 * b[i, j])
    return np.sum(u**2)


def soft_dtw(x, y):
    r = np.full((len(x) + 1, len(y) + 1), np.inf)
    r[0, 0] = 0.0
    for i in range(1, len(x) + 1):
        for j in range(1, len(y) + 1):
            a, b, c = r[i - 1, j], r[i, j - 1], r[i - 1, j - 1]
            low = min(a, b, c)
            s = np.exp(low - a) + np.exp(low - b) + np.exp(low - c)
            r[i, j] = (x[i - 1] - y[j - 1]) ** 2 + low - np.log(s)
    return r[len(x), len(y)]


def jax_recurrence(jax, jnp):
    def f(x):
        def step(y, v):
            new = jnp.sin(y) * v + v
            return new, new

        return x[0] + jnp.sum(jax.lax.scan(step, x[0], x[1:])[1])

    return f


def jax_thomas(jax, jnp):
    def f(a, b, c, d):
        def down(carry, row):
            (cp, dp), (a, b, c, d) = carry, row
            m = b - a * cp
            new = c / m, (d - a * dp) / m
            return new, new

        def up(x, row):
            new = row[1] - row[0] * x
            return new, new

        first = c[0] / b[0], d[0] / b[0]
        last, rows = jax.lax.scan(down, first, (a[1:], b[1:], c[1:], d[1:]))
        cp = jnp.concatenate([first[0][None], rows[0]])[:-1]
        dp = jnp.concatenate([first[1][None], rows[1]])[:-1]
        xs = jax.lax.scan(up, last[1], (cp, dp), reverse=True)[1]
        return jnp.sum(xs**2) + last[1] ** 2

    return f


def jax_heat(jax, jnp):
    def f(u, w):
        def step(u, _):
            return u.at[1:-1].add(0.2 * (u[2:] - 2 * u[1:-1] + u[:-2])), None

        return jnp.sum(w * jax.lax.scan(step, u, None, length=50)[0] ** 2)

    return f


def jax_cholesky(jax, jnp):
    return lambda a: jnp.sum(jnp.log(jnp.diag(jnp.linalg.cholesky(a, symmetrize_input=False))))


def recurrence_by_hand(x):
    n = len(x)
    y = x.copy()
    for i in range(1, n):
        y[i] = np.sin(y[i - 1]) * x[i] + y[i]
    w, g = np.ones(n), np.empty(n)
    for i in range(n - 1, 0, -1):
        g[i] = w[i] * (np.sin(y[i - 1]) + 1)
        w[i - 1] += w[i] * np.cos(y[i - 1]) * x[i]
    g[0] = w[0]
    return y.sum(), (g,)


def thomas_by_hand(a, b, c, d):
    matrix = np.diag(b) + np.diag(a[1:], -1) + np.diag(c[:-1], 1)
    x = np.linalg.solve(matrix, d)
    w = np.linalg.solve(matrix.T, 2 * x)
    below, above = np.append(0.0, -w[1:] * x[:-1]), np.append(-w[:-1] * x[1:], 0.0)
    return x @ x, (below, -w * x, above, w)


def heat_by_hand(u, w):
    now = u.copy()
    for _ in range(50):
        now[1:-1] = now[1:-1] + 0.2 * (now[2:] - 2 * now[1:-1] + now[:-2])
    v = 2 * w * now
    for _ in range(50):
        inner, v = v[1:-1].copy(), v.copy()
        v[1:-1] -= 0.4 * inner
        v[2:] += 0.2 * inner
        v[:-2] += 0.2 * inner
    return np.sum(w * now**2), (v, now**2)


def spread(n, seed=0):
    return np.random.default_rng(seed).uniform(0.1, 0.9, n)


def definite(n):
    a = np.random.default_rng(0).normal(size=(n, n))
    return a @ a.T / n + np.eye(n)


CASES = {
    "recurrence": (recurrence, lambda: (spread(10_000),), jax_recurrence, recurrence_by_hand),
    "thomas": (
        thomas,
        lambda: (spread(2000), 3 + spread(2000), spread(2000, 1), spread(2000, 2)),
        jax_thomas,
        thomas_by_hand,
    ),
    "heat": (heat, lambda: (spread(1000), spread(1000, 1)), jax_heat, heat_by_hand),
    "cholesky": (cholesky, lambda: (definite(60),), None, None),
    "kepler": (kepler, lambda: (0.8 * spread(1000), spread(1000, 1)), None, None),
    "gauss_seidel": (
        gauss_seidel,
        lambda: (np.zeros((60, 60)) + 0.1, spread(3600).reshape(60, 60)),
        None,
        None,
    ),
    "soft_dtw": (soft_dtw, lambda: (spread(80), spread(90, 1)), None, None),
}


def reference(f, data, by_hand):
    if by_hand is not None:
        return by_hand(*data())
    import litad

    return litad.value_and_grad(f, tuple(range(len(data()))))(*data())


RACES = []
for name, (f, data, rewritten, by_hand) in CASES.items():
    race = Race(
        f"{name} as written", "value and gradient, compiled", baseline="NumPy, the function"
    )
    RACES.append(race)

    @race.entry("NumPy, the function", reference=lambda f=f, data=data: f(*data()))
    def _(f=f, data=data):
        arrays = data()
        return lambda: f(*arrays)

    @race.entry(
        "litad",
        "litad",
        reference=lambda f=f, data=data, by_hand=by_hand: reference(f, data, by_hand),
    )
    def _(f=f, data=data):
        import litad

        arrays = data()
        compiled = litad.jit(litad.value_and_grad(f, tuple(range(len(arrays)))))
        return lambda: compiled(*arrays)

    if rewritten is not None:

        @race.entry(
            "JAX, rewritten with scan",
            "jax",
            reference=lambda f=f, data=data, by_hand=by_hand: reference(f, data, by_hand),
        )
        def _(rewritten=rewritten, data=data):
            jax, jnp = jax_and_numpy()
            arrays = [jnp.asarray(x) for x in data()]
            g = jax.jit(jax.value_and_grad(rewritten(jax, jnp), tuple(range(len(arrays)))))
            return lambda: jax.block_until_ready(g(*arrays))

        race.target("litad", "JAX, rewritten with scan", 1.0)
