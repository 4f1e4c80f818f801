"""Loops, branches and stores as one writes them: value and gradient, compiled from source."""

import numpy as np
from harness import GCC, Race, jax_and_numpy
from limits import limits


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
    return lambda a: jnp.sum(
        jnp.log(
            jnp.diag(jnp.linalg.cholesky(jnp.tril(a) + jnp.tril(a, -1).T, symmetrize_input=False))
        )
    )


def jax_kepler(jax, jnp):
    def f(e, m):
        def step(carry, _):
            x, on = carry
            d = (x - e * jnp.sin(x) - m) / (1 - e * jnp.cos(x))
            return (jnp.where(on, x - d, x), on & (abs(d) >= 1e-12)), None

        return jnp.sum(jnp.sin(jax.lax.scan(step, (m, e == e), None, length=30)[0][0]))

    return f


def jax_gauss_seidel(jax, jnp):
    def f(u, b):
        def row(up, r):
            mid, down, b = r
            known = 0.25 * (up[1:-1] + down[1:-1] + mid[2:] + 0.01 * b[1:-1])

            def cell(left, t):
                return (new := t + 0.25 * left), new

            new = jnp.concatenate([mid[:1], jax.lax.scan(cell, mid[0], known)[1], mid[-1:]])
            return new, new

        def sweep(u, _):
            rows = jax.lax.scan(row, u[0], (u[1:-1], u[2:], b[1:-1]))[1]
            return jnp.concatenate([u[:1], rows, u[-1:]]), None

        return jnp.sum(jax.lax.scan(sweep, u, None, length=5)[0] ** 2)

    return f


def jax_soft_dtw(jax, jnp):
    def f(x, y):
        m, n = len(x), len(y)
        i, far = jnp.arange(m + 1), jnp.full(m + 1, 1e10)

        def front(two, t):
            before, last = two
            z = jnp.stack([jnp.roll(last, 1), last, jnp.roll(before, 1)])
            d = x[jnp.clip(i - 1, 0)] - y[jnp.clip(t - i - 1, 0, n - 1)]
            new = d**2 - jax.nn.logsumexp(-z, axis=0)
            inside = (i >= 1) & (t - i >= 1) & (t - i <= n)
            return (last, jnp.where(inside, new, 1e10)), None

        return jax.lax.scan(front, (far.at[0].set(0), far), jnp.arange(2, m + n + 1))[0][1][m]

    return f


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
    "cholesky": (cholesky, lambda: (definite(60),), jax_cholesky, None),
    "kepler": (kepler, lambda: (0.8 * spread(1000), spread(1000, 1)), jax_kepler, None),
    "gauss_seidel": (
        gauss_seidel,
        lambda: (np.zeros((60, 60)) + 0.1, spread(3600).reshape(60, 60)),
        jax_gauss_seidel,
        None,
    ),
    "soft_dtw": (soft_dtw, lambda: (spread(80), spread(90, 1)), jax_soft_dtw, None),
}


# per function, memory that its C works in, and at most how much longer we may take
C = {
    "recurrence": (lambda x: [np.empty_like(x), np.empty_like(x)], 1.5),
    "thomas": (lambda *x: [np.empty_like(v) for v in x] + [np.empty(3 * len(x[0]))], 1.5),
    "heat": (lambda u, w: [np.empty_like(u) for _ in range(3)], 1.5),
    "cholesky": (lambda a: [np.zeros_like(a) for _ in range(3)], 2),
    "kepler": (lambda e, m: [np.empty_like(e) for _ in range(2)], 3),
    "gauss_seidel": (lambda u, b: [np.empty_like(u) for _ in range(2)], 6),
    "soft_dtw": (
        lambda x, y: (
            [np.empty(len(v)) for v in (x, y)]
            + [np.empty((len(x) + 1) * (len(y) + 1)), np.empty(3 * len(x) * len(y))]
        ),
        6,
    ),
}


def results_of(name, value, work, count):
    "What the C has left in its memory."
    return value, tuple([work[0], work[2]] if name == "heat" else work[:count])


def by_c(name):
    "The results of the C."
    arrays = CASES[name][1]()
    work = C[name][0](*arrays)
    return results_of(name, getattr(limits(), f"loops_{name}")(*arrays, *work), work, len(arrays))


def reference(name):
    "By hand; by litad's tape; or where that is not, by the C that was held against it."
    f, data, _, by_hand = CASES[name]
    if by_hand is not None:
        return by_hand(*data())
    try:
        import litad
    except ImportError:
        return by_c(name)
    return litad.value_and_grad(f, tuple(range(len(data()))))(*data())


RACES = []
for name, (f, data, rewritten, _) in CASES.items():
    race = Race(
        f"{name} as written",
        "value and gradient, compiled",
        baseline="NumPy, the function",
        reference=lambda name=name: by_c(name),
    )
    RACES.append(race)

    @race.entry("NumPy, the function", reference=lambda f=f, data=data: f(*data()))
    def _(f=f, data=data):
        arrays = data()
        return lambda: f(*arrays)

    @race.entry(
        "litad",
        "litad",
        reference=lambda name=name: reference(name),
    )
    def _(f=f, data=data):
        import litad

        arrays = data()
        compiled = litad.jit(litad.value_and_grad(f, tuple(range(len(arrays)))))
        return lambda: compiled(*arrays)

    @race.entry(
        "C",
        GCC,
        reference=lambda name=name: reference(name),
    )
    def _(name=name, data=data):
        arrays = data()
        work, f = C[name][0](*arrays), getattr(limits(), f"loops_{name}")
        return lambda: results_of(name, f(*arrays, *work), work, len(arrays))

    race.target("litad", "C", C[name][1])

    if rewritten is not None:

        @race.entry(
            "JAX, rewritten with scan",
            "jax",
            reference=lambda name=name: reference(name),
        )
        def _(rewritten=rewritten, data=data):
            jax, jnp = jax_and_numpy()
            arrays = [jnp.asarray(x) for x in data()]
            g = jax.jit(jax.value_and_grad(rewritten(jax, jnp), tuple(range(len(arrays)))))
            return lambda: jax.block_until_ready(g(*arrays))

        race.target("litad", "JAX, rewritten with scan", 1.0)
