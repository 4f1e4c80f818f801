"""Scientific kernels as one writes them: plain Python, with loops, branches and stores."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

KERNELS: dict = {}


def kernel(arguments, wrt=None):
    "Register a kernel: its arguments for a size n, and which of them it is differentiated by."

    def register(f):
        name = getattr(f, "__name__", str(f))
        assert name not in KERNELS
        KERNELS[name] = (f, arguments, wrt)
        return f

    return register


def uniform(n, *shape, low=0.2, high=1.2):
    return np.random.default_rng(sum(shape) + 17 * n).uniform(low, high, shape)


def normal(n, *shape):
    return np.random.default_rng(sum(shape) + 31 * n).normal(size=shape)


def definite(n):
    a = normal(n, n, n)
    return a @ a.T / n + np.eye(n)


# Recurrences and filters.


@kernel(lambda n: (normal(n, n),))
def recurrence(x):
    y = x.copy()
    for i in range(1, len(x)):
        y[i] = np.sin(y[i - 1]) * x[i] + y[i]
    return y.sum()


@kernel(lambda n: (uniform(n, n), 0.3, 0.1))
def iir(x, a, b):
    y = np.zeros_like(x)
    y[0] = x[0]
    y[1] = x[1] + a * y[0]
    for t in range(2, len(x)):
        y[t] = x[t] + a * y[t - 1] - b * y[t - 2]
    return np.sum(y**2)


@kernel(lambda n: (uniform(n, 3), uniform(n, 3), normal(n, n)))
def direct_form(b, a, x):
    y = np.zeros(len(x))
    for n in range(len(x)):
        s = 0.0
        for k in range(len(b)):
            if n - k >= 0:
                s += b[k] * x[n - k]
        for k in range(1, len(a)):
            if n - k >= 0:
                s -= 0.5 * a[k] * y[n - k]
        y[n] = s / a[0]
    return y


@kernel(lambda n: (uniform(n, n), 0.3))
def exponential_smoothing(x, alpha):
    level, out = x[0], []
    for v in x:
        level = alpha * v + (1 - alpha) * level
        out.append(level)
    return np.array(out)


@kernel(lambda n: (1.3, 2.1, 12 + n), wrt=(0, 1))
def fibonacci_like(a, b, n):
    for _ in range(n):
        a, b = b, 0.3 * a + 0.6 * math.sin(b)
    return a * b


@kernel(lambda n: (3.2, 0.31, 3 * n), wrt=(0, 1))
def logistic_map(r, x, n):
    for k in range(n):
        x = r * x * (1.0 - x)
    return x


@kernel(lambda n: (normal(n, n),))
def running_total_with_reset(x):
    total, best = 0.0, 0.0
    for v in x:
        total = total + v
        if total < 0:
            total = 0.0
        elif total > best:
            best = total
    return best


@kernel(lambda n: (normal(n, n), 3))
def moving_average(x, width):
    y = np.zeros(len(x) - width + 1)
    for i in range(len(y)):
        y[i] = x[i : i + width].mean() ** 2
    return y


# Linear algebra.


@kernel(lambda n: (uniform(n, n), 3 + uniform(n + 1, n), uniform(n + 2, n), normal(n, n)))
def thomas(a, b, c, d):
    n = len(d)
    cp, dp, x = np.empty(n), np.empty(n), np.empty(n)
    cp[0] = c[0] / b[0]
    dp[0] = d[0] / b[0]
    for i in range(1, n):
        m = b[i] - a[i] * cp[i - 1]
        cp[i] = c[i] / m
        dp[i] = (d[i] - a[i] * dp[i - 1]) / m
    x[-1] = dp[-1]
    for i in range(n - 2, -1, -1):
        x[i] = dp[i] - cp[i] * x[i + 1]
    return np.sum(x**2)


@kernel(lambda n: (definite(n),))
def cholesky(A):
    n = A.shape[0]
    L = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            s = A[i, j]
            for k in range(j):
                s -= L[i, k] * L[j, k]
            if i == j:
                L[i, j] = np.sqrt(s)
            else:
                L[i, j] = s / L[j, j]
    return L


@kernel(lambda n: (definite(n),))
def cholesky_with_slices(A):
    A = A.copy()
    n = A.shape[0]
    for j in range(n):
        A[j, j] = np.sqrt(A[j, j] - A[j, :j] @ A[j, :j])
        for i in range(j + 1, n):
            A[i, j] = (A[i, j] - A[i, :j] @ A[j, :j]) / A[j, j]
    return np.sum(np.log(np.diag(A)))


@kernel(lambda n: (definite(n),))
def cholesky_by_columns(A):
    L = np.tril(A)
    n = len(L)
    for k in range(n):
        L[k, k] = math.sqrt(L[k, k])
        L[k + 1 :, k] /= L[k, k]
        for j in range(k + 1, n):
            L[j:, j] -= L[j, k] * L[j:, k]
    return L


@kernel(lambda n: (normal(n, n, n), normal(n, n)))
def lu_with_pivots(A, b):
    A, b = A.copy(), b.copy()
    n = len(b)
    for k in range(n):
        p = k
        for i in range(k + 1, n):
            if abs(A[i, k]) > abs(A[p, k]):
                p = i
        if p != k:
            A[[k, p]] = A[[p, k]]
            b[k], b[p] = b[p], b[k]
        for i in range(k + 1, n):
            f = A[i, k] / A[k, k]
            A[i, k:] = A[i, k:] - f * A[k, k:]
            b[i] -= f * b[k]
    x = np.zeros(n)
    for i in reversed(range(n)):
        x[i] = (b[i] - A[i, i + 1 :] @ x[i + 1 :]) / A[i, i]
    return x


@kernel(lambda n: (normal(n, n, n),))
def determinant_by_elimination(A):
    A = np.array(A, dtype=float)
    n = A.shape[0]
    det = 1.0
    for k in range(n):
        p = k + np.argmax(np.abs(A[k:, k]))
        if p != k:
            for j in range(n):
                t = A[k, j]
                A[k, j] = A[p, j]
                A[p, j] = t
            det = -det
        det *= A[k, k]
        for i in range(k + 1, n):
            m = A[i, k] / A[k, k]
            for j in range(k, n):
                A[i, j] -= m * A[k, j]
    return det


@kernel(lambda n: (definite(n),))
def gauss_jordan(A):
    n = A.shape[0]
    M = np.hstack([A, np.eye(n)])
    for i in range(n):
        M[i] = M[i] / M[i, i]
        for j in range(n):
            if j != i:
                M[j] -= M[j, i] * M[i]
    return M[:, n:]


@kernel(lambda n: (normal(n, n, 4),))
def gram_schmidt(A):
    m, n = A.shape
    Q, R = np.zeros((m, n)), np.zeros((n, n))
    for j in range(n):
        v = A[:, j].copy()
        for i in range(j):
            R[i, j] = Q[:, i] @ v
            v -= R[i, j] * Q[:, i]
        R[j, j] = np.linalg.norm(v)
        Q[:, j] = v / R[j, j]
    return Q, R


@kernel(lambda n: (normal(n, n, n),))
def householder(A):
    R = A.copy()
    m, n = R.shape
    for k in range(n - 1):
        x = R[k:, k]
        e = np.zeros(len(x))
        e[0] = np.copysign(np.linalg.norm(x), x[0])
        v = x + e
        v = v / np.linalg.norm(v)
        R[k:, k:] -= 2.0 * np.outer(v, v @ R[k:, k:])
    return np.abs(np.diag(R))


@kernel(lambda n: (normal(n, n, n),))
def givens(A):
    R = A.copy()
    m, n = R.shape
    for j in range(n):
        for i in range(m - 1, j, -1):
            r = math.hypot(R[i - 1, j], R[i, j])
            c, s = R[i - 1, j] / r, R[i, j] / r
            upper = c * R[i - 1] + s * R[i]
            lower = -s * R[i - 1] + c * R[i]
            R[i - 1], R[i] = upper, lower
    return np.triu(R)


@kernel(lambda n: (definite(n), 20))
def power_iteration(A, steps):
    v = np.ones(A.shape[0])
    for _ in range(steps):
        w = A @ v
        v = w / np.linalg.norm(w)
    return v @ A @ v


@kernel(lambda n: (np.diag(np.arange(n) + 4.0) + 0.3 * normal(n, n, n), normal(n, n)))
def jacobi(A, b):
    n = len(b)
    x = np.zeros(n)
    for sweep in range(12):
        new = np.zeros(n)
        for i in range(n):
            s = 0.0
            for j in range(n):
                if j != i:
                    s += A[i, j] * x[j]
            new[i] = (b[i] - s) / A[i, i]
        x = new
    return x


@kernel(lambda n: (np.diag(np.arange(n) + 4.0) + 0.3 * normal(n, n, n), normal(n, n)))
def gauss_seidel_by_slices(A, b):
    x = np.zeros_like(b)
    for _ in range(10):
        for i in range(len(b)):
            x[i] = (b[i] - A[i, :i] @ x[:i] - A[i, i + 1 :] @ x[i + 1 :]) / A[i, i]
    return x


@kernel(lambda n: (normal(n, n, n), normal(n + 1, n, n), 0.1))
def gauss_seidel_on_grid(u0, b, h2):
    u = u0.copy()
    n = u.shape[0]
    for sweep in range(5):
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                u[i, j] = 0.25 * (
                    u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] + h2 * b[i, j]
                )
    return u


@kernel(lambda n: (normal(n, n), 1.4))
def sor_until_small(b, omega):
    n = len(b)
    x = np.zeros(n)
    change = 1.0
    sweeps = 0
    while change > 1e-10 and sweeps < 200:
        change = 0.0
        for i in range(n):
            left = x[i - 1] if i > 0 else 0.0
            right = x[i + 1] if i < n - 1 else 0.0
            new = (1 - omega) * x[i] + omega * (b[i] + left + right) / 2.5
            change = max(change, abs(new - x[i]))
            x[i] = new
        sweeps += 1
    return x


@kernel(lambda n: (definite(n) + np.eye(n), normal(n, n)))
def conjugate_gradient(A, b):
    x = np.zeros_like(b)
    r = b - A @ x
    p = r.copy()
    rs = r @ r
    k = 0
    while np.sqrt(rs) > 1e-3 and k < 3 * len(b):
        Ap = A @ p
        alpha = rs / (p @ Ap)
        x = x + alpha * p
        r = r - alpha * Ap
        new = r @ r
        p = r + (new / rs) * p
        rs = new
        k += 1
    return x


@kernel(lambda n: (definite(n) + np.eye(n), normal(n, n)))
def conjugate_gradient_in_place(A, b):
    x = np.zeros(len(b))
    r = b.copy()
    p = b.copy()
    rs = np.dot(r, r)
    for k in range(min(len(b), 5)):
        q = A.dot(p)
        alpha = rs / np.dot(p, q)
        x += alpha * p
        r -= alpha * q
        new = np.dot(r, r)
        if new < 1e-16:
            break
        p *= new / rs
        p += r
        rs = new
    return x


@kernel(lambda n: (uniform(n, n, n), normal(n, n)))
def matrix_vector_loops(A, x):
    m, n = A.shape
    y = np.zeros(m)
    for i in range(m):
        acc = 0.0
        for j in range(n):
            acc += A[i][j] * x[j]
        y[i] = acc
    return y


@kernel(lambda n: (normal(n, n, 3), normal(n, 3, n)))
def matrix_product_loops(A, B):
    C = np.zeros((A.shape[0], B.shape[1]))
    for i in range(A.shape[0]):
        for j in range(B.shape[1]):
            for k in range(A.shape[1]):
                C[i, j] += A[i, k] * B[k, j]
    return C


@kernel(lambda n: (np.tril(normal(n, n, n)) + 3 * np.eye(n), normal(n, n)))
def forward_substitution(L, b):
    x = b.copy()
    for i in range(len(b)):
        for j in range(i):
            x[i] -= L[i, j] * x[j]
        x[i] /= L[i, i]
    return x


@kernel(lambda n: (np.diag(np.arange(4) + 1.0) + 0.1 * (normal(n, 4, 4) + normal(n, 4, 4).T),))
def jacobi_eigenvalues(A):
    A = A.copy()
    n = len(A)
    for sweep in range(4):
        for p in range(n - 1):
            for q in range(p + 1, n):
                if abs(A[p, q]) < 1e-300:
                    continue
                theta = (A[q, q] - A[p, p]) / (2 * A[p, q])
                t = np.sign(theta) / (abs(theta) + np.sqrt(theta**2 + 1))
                c = 1 / np.sqrt(t * t + 1)
                s = t * c
                for k in range(n):
                    akp, akq = A[k, p], A[k, q]
                    A[k, p], A[k, q] = c * akp - s * akq, s * akp + c * akq
                for k in range(n):
                    apk, aqk = A[p, k], A[q, k]
                    A[p, k], A[q, k] = c * apk - s * aqk, s * apk + c * aqk
    return np.array([A[i, i] for i in range(n)])


# Roots and minima.


@kernel(lambda n: (2.0 + n,))
def heron(a):
    x = a
    while abs(x * x - a) > 1e-12:
        x = 0.5 * (x + a / x)
    return x


@kernel(lambda n: (0.4, 0.7 + 0.01 * n))
def kepler(e, M):
    E = M
    for it in range(50):
        dE = (E - e * math.sin(E) - M) / (1 - e * math.cos(E))
        E -= dE
        if abs(dE) < 1e-12:
            break
    return E


@kernel(lambda n: (uniform(n, n), uniform(n + 1, n, low=0.1, high=0.6)))
def newton_for_each(y, c):
    out = np.empty_like(y)
    for i in range(len(y)):
        x = y[i]
        for it in range(30):
            g = x + c[i] * np.sin(x) - y[i]
            x = x - g / (1 + c[i] * np.cos(x))
            if abs(g) < 1e-14:
                break
        out[i] = x
    return out


@kernel(lambda n: (0.3, 1.7))
def newton_by_while_true(a, b):
    x = 1.0
    while True:
        f = x**3 + a * x - b
        step = f / (3 * x**2 + a)
        x = x - step
        if abs(step) < 1e-13:
            break
    return x


@kernel(lambda n: (1.3,))
def secant(p):
    f = lambda x: np.exp(x) - p * x - 2.0  # noqa: E731
    x0, x1 = 0.5, 1.5
    for _ in range(20):
        f0, f1 = f(x0), f(x1)
        if abs(f1) < 1e-12 or abs(f1 - f0) < 1e-14:
            break
        x0, x1 = x1, x1 - f1 * (x1 - x0) / (f1 - f0)
    return x1


@kernel(lambda n: (2.0, 5.0))
def bisection_polished(p, q):
    def f(x):
        return x**3 - p * x - q

    lo, hi = 0.0, 4.0
    while hi - lo > 1e-3:
        mid = (lo + hi) / 2
        if f(lo) * f(mid) <= 0:
            hi = mid
        else:
            lo = mid
    x = (lo + hi) / 2
    for _ in range(4):
        x = x - f(x) / (3 * x * x - p)
    return x


@kernel(lambda n: (2.2,))
def illinois(c):
    a, b = 0.0, 3.0
    fa, fb = math.cos(a) + c - math.exp(a) + 0.5, math.cos(b) + c - math.exp(b) + 0.5
    x, side = a, 0
    for _ in range(60):
        x = (fa * b - fb * a) / (fa - fb)
        fx = math.cos(x) + c - math.exp(x) + 0.5
        if abs(fx) < 1e-13:
            break
        if fx * fb > 0:
            b, fb = x, fx
            if side == -1:
                fa /= 2
            side = -1
        else:
            a, fa = x, fx
            if side == 1:
                fb /= 2
            side = 1
    return x


@kernel(lambda n: (0.8,))
def brent_like(c):
    def f(x):
        return x * x * x - x - c

    a, b = 1.0, 2.0
    fa, fb = f(a), f(b)
    k = 0
    while abs(b - a) > 1e-12 and k < 100:
        k += 1
        if fa != fb:
            s = b - fb * (b - a) / (fb - fa)
        else:
            s = (a + b) / 2
        if not (min(a, b) <= s <= max(a, b)):
            s = (a + b) / 2
        fs = f(s)
        if fs == 0:
            return s
        if fa * fs < 0:
            b, fb = s, fs
        else:
            a, fa = s, fs
        if abs(fb) < 1e-14 or abs(fa) < 1e-14:
            break
    return b - f(b) / (3 * b * b - 1)


@kernel(lambda n: (1.4, 0.6))
def golden_section(m, w):
    def f(x):
        return w * (x - m) ** 2 + 0.1 * np.cosh(x - m)

    phi = (math.sqrt(5) - 1) / 2
    a, b = m - 1.3, m + 1.1
    c, d = b - phi * (b - a), a + phi * (b - a)
    fc, fd = f(c), f(d)
    while b - a > 1e-4:
        if fc < fd:
            b, d, fd = d, c, fc
            c = b - phi * (b - a)
            fc = f(c)
        else:
            a, c, fc = c, d, fd
            d = a + phi * (b - a)
            fd = f(d)
    return (a + b) / 2 * w


@kernel(lambda n: (normal(n, 3), 0.02))
def gradient_descent_by_hand(x, rate):
    x = x.copy()
    for step in range(30):
        g = np.empty(3)
        g[0] = -2 * (1 - x[0]) + 0.4 * x[0] * (x[0] ** 2 - x[1])
        g[1] = x[1] - 0.2 * x[0] ** 2
        g[2] = math.tanh(x[2])
        x -= rate * g
    return x


@kernel(lambda n: (1.7,))
def lambert_w(z):
    w = math.log(1 + z)
    for _ in range(100):
        e = math.exp(w)
        f = w * e - z
        new = w - f / (e * (w + 1) - (w + 2) * f / (2 * w + 2))
        if abs(new - w) <= 1e-14 * abs(new):
            return new
        w = new
    return w


# Quadrature and series.


@kernel(lambda n: (0.2, 1.9, 2 * n), wrt=(0, 1))
def simpson(a, b, n):
    h = (b - a) / n
    s = np.exp(-(a**2)) + np.exp(-(b**2))
    for k in range(1, n):
        x = a + k * h
        s += (4 if k % 2 else 2) * np.exp(-(x**2))
    return s * h / 3


@kernel(lambda n: (0.5, 2.0))
def adaptive_quadrature(a, b):
    def f(x):
        return np.sin(x * x) / x

    stack = np.zeros((64, 2))
    stack[0, 0], stack[0, 1] = a, b
    top, total = 1, 0.0
    while top > 0:
        top -= 1
        lo, hi = stack[top, 0], stack[top, 1]
        mid = (lo + hi) / 2
        one = (hi - lo) / 6 * (f(lo) + 4 * f(mid) + f(hi))
        l, r = (lo + mid) / 2, (mid + hi) / 2
        two = (hi - lo) / 12 * (f(lo) + 4 * f(l) + 2 * f(mid) + 4 * f(r) + f(hi))
        if abs(two - one) < 1e-7:
            total += two
        else:
            stack[top, 0], stack[top, 1] = lo, mid
            stack[top + 1, 0], stack[top + 1, 1] = mid, hi
            top += 2
    return total


@kernel(lambda n: (0.1, 1.4))
def romberg(a, b):
    m = 5
    R = np.zeros((m, m))
    h = b - a
    R[0, 0] = 0.5 * h * (math.exp(math.sin(a)) + math.exp(math.sin(b)))
    for i in range(1, m):
        h *= 0.5
        s = 0.0
        for k in range(1, 2**i, 2):
            s += math.exp(math.sin(a + k * h))
        R[i, 0] = 0.5 * R[i - 1, 0] + h * s
        for j in range(1, i + 1):
            R[i, j] = R[i, j - 1] + (R[i, j - 1] - R[i - 1, j - 1]) / (4**j - 1)
    return R[m - 1, m - 1]


@kernel(lambda n: (uniform(n, n),))
def trapezoid_with_list(y):
    cumulative = [0.0]
    for i in range(1, len(y)):
        cumulative.append(cumulative[-1] + 0.5 * (y[i] + y[i - 1]))
    return np.array(cumulative)


@kernel(lambda n: (uniform(n, n), 0.7))
def horner(c, x):
    p = 0.0
    for a in c[::-1]:
        p = p * x + a
    return p


@kernel(lambda n: (uniform(n, n), 0.37))
def clenshaw(c, x):
    b1, b2 = 0.0, 0.0
    for k in range(len(c) - 1, 0, -1):
        b1, b2 = 2 * x * b1 - b2 + c[k], b1
    return x * b1 - b2 + c[0]


@kernel(lambda n: (0.8,))
def exponential_series(x):
    term, total, k = 1.0, 1.0, 1
    while abs(term) > 1e-15:
        term *= x / k
        total += term
        k += 1
    return total


@kernel(lambda n: (2.3, 1.4))
def incomplete_gamma_fraction(a, x):
    tiny = 1e-30
    b = x + 1 - a
    c = 1 / tiny
    d = 1 / b
    h = d
    for i in range(1, 200):
        an = -i * (i - a)
        b += 2
        d = an * d + b
        if abs(d) < tiny:
            d = tiny
        c = b + an / c
        if abs(c) < tiny:
            c = tiny
        d = 1 / d
        delta = d * c
        h *= delta
        if abs(delta - 1) < 1e-14:
            break
    return np.exp(-x + a * np.log(x)) * h


@kernel(lambda n: (1.9, n + 3), wrt=(0,))
def bessel_by_recurrence(x, start):
    jp, j, total = 0.0, 1e-8, 0.0
    out = np.zeros(start + 12)
    for k in range(start + 11, 0, -1):
        jm = 2 * k / x * j - jp
        jp, j = j, jm
        out[k - 1] = j
        if (k - 1) % 2 == 0:
            total += j if k == 1 else 2 * j
    return out[0] / total


@kernel(lambda n: (0.3 + 0.01 * n, n + 4), wrt=(0,))
def legendre_polynomials(x, n):
    P = np.zeros(n + 1)
    P[0], P[1] = 1.0, x
    for k in range(1, n):
        P[k + 1] = ((2 * k + 1) * x * P[k] - k * P[k - 1]) / (k + 1)
    return P


@kernel(lambda n: (1.2, 0.8))
def arithmetic_geometric_mean(a, g):
    while abs(a - g) > 1e-13:
        a, g = 0.5 * (a + g), math.sqrt(a * g)
    return a


@kernel(lambda n: (0.6, 1.1, 0.4))
def hypergeometric(a, b, z):
    c, term, total = 2.5, 1.0, 1.0
    for k in range(300):
        term = term * (a + k) * (b + k) / ((c + k) * (k + 1)) * z
        total = total + term
        if np.abs(term) < 1e-15 * np.abs(total):
            break
    else:
        raise ValueError("no convergence")
    return total


# Differential equations.


@kernel(lambda n: (np.array([1.0, 0.5]), np.array([1.1, 0.4, 0.1, 0.4]), 5 * n), wrt=(0, 1))
def lotka_volterra_rk4(y, p, steps):
    def rhs(y):
        return np.array([p[0] * y[0] - p[1] * y[0] * y[1], p[2] * y[0] * y[1] - p[3] * y[1]])

    h = 0.05
    for _ in range(steps):
        k1 = rhs(y)
        k2 = rhs(y + h / 2 * k1)
        k3 = rhs(y + h / 2 * k2)
        k4 = rhs(y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y


@kernel(lambda n: (1.0, 0.3, 2.2, 10 * n), wrt=(0, 1, 2))
def leapfrog(x, v, k, steps):
    h = 0.02
    a = -k * np.sin(x)
    for _ in range(steps):
        v += 0.5 * h * a
        x += h * v
        a = -k * np.sin(x)
        v += 0.5 * h * a
    return x, v


@kernel(lambda n: (normal(n, 3, 2), normal(n + 1, 3, 2), uniform(n, 3), n), wrt=(0, 1, 2))
def n_body_verlet(x, v, m, steps):
    def forces(x):
        F = np.zeros_like(x)
        for i in range(len(x)):
            for j in range(len(x)):
                if i != j:
                    d = x[j] - x[i]
                    F[i] += m[i] * m[j] * d / (np.dot(d, d) + 0.1) ** 1.5
        return F

    h = 0.05
    x, v = x.copy(), v.copy()
    F = forces(x)
    for _ in range(steps):
        v += 0.5 * h * F / m[:, None]
        x += h * v
        F = forces(x)
        v += 0.5 * h * F / m[:, None]
    return np.sum(x**2) + np.sum(v**2)


@kernel(lambda n: (3 * uniform(n, n, 3), 1.3))
def lennard_jones(x, sigma):
    rc2 = 2.5**2
    energy = 0.0
    n = len(x)
    for i in range(n):
        for j in range(i + 1, n):
            r2 = 0.0
            for k in range(3):
                d = x[i, k] - x[j, k]
                r2 += d * d
            r2 += 1.0
            if r2 > rc2:
                continue
            s6 = (sigma * sigma / r2) ** 3
            energy += 4 * (s6 * s6 - s6)
    return energy


@kernel(lambda n: (uniform(n, n, 2), 0.9))
def periodic_forces(x, box):
    n = x.shape[0]
    f = np.zeros((n, 2))
    e = 0.0
    for i in range(n - 1):
        for j in range(i + 1, n):
            d = x[i] - x[j]
            d = d - box * np.round(d / box)
            r2 = d @ d + 0.01
            if r2 < 0.15:
                w = 1 / r2
                f[i] += w * d
                f[j] -= w * d
                e += np.log(r2)
    return e, f


@kernel(lambda n: (normal(n, n), 0.2))
def heat_1d(u, r):
    u = u.copy()
    for step in range(10):
        new = u.copy()
        for i in range(1, len(u) - 1):
            new[i] = u[i] + r * (u[i + 1] - 2 * u[i] + u[i - 1])
        u = new
    return np.sum(u**2)


@kernel(lambda n: (normal(n, n, n), uniform(n, n, n, high=0.9), 0.2), wrt=(0, 1))
def heat_2d(u, k, dt):
    u = u.copy()
    nx, ny = u.shape
    for t in range(4):
        old = u.copy()
        for i in range(1, nx - 1):
            for j in range(1, ny - 1):
                u[i, j] = old[i, j] + dt * k[i, j] * (
                    old[i + 1, j] + old[i - 1, j] + old[i, j + 1] + old[i, j - 1] - 4 * old[i, j]
                )
    return u


@kernel(lambda n: (normal(n, n, n), 0.1))
def heat_2d_by_slices(u, r):
    u = u.copy()
    for t in range(12):
        u[1:-1, 1:-1] += r * (
            u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1]
        )
        u[0, :] = u[1, :]
        u[:, -1] = 0.5 * u[:, -2]
    return u


@kernel(lambda n: (normal(n, n, n), 0.3))
def wave_2d(u, c):
    now, before = u.copy(), u.copy()
    nx, ny = u.shape
    for t in range(9):
        after = np.zeros((nx, ny))
        for i in range(1, nx - 1):
            for j in range(1, ny - 1):
                lap = now[i - 1, j] + now[i + 1, j] + now[i, j - 1] + now[i, j + 1] - 4 * now[i, j]
                after[i, j] = 2 * now[i, j] - before[i, j] + c * c * lap
        before, now = now, after
    return now


@kernel(lambda n: (normal(n, n), 0.4))
def swapped_buffers(u0, r):
    u, new = u0.copy(), np.empty_like(u0)
    n = len(u)
    for step in range(11):
        new[0], new[n - 1] = u[0], u[n - 1]
        for i in range(1, n - 1):
            new[i] = u[i] + r * (u[i + 1] - 2 * u[i] + u[i - 1])
        u, new = new, u
    return u


def minmod(a, b):
    if a * b <= 0:
        return 0.0
    if abs(a) < abs(b):
        return a
    return b


@kernel(lambda n: (normal(n, n), 0.4))
def upwind_with_limiter(u, c):
    u = u.copy()
    n = len(u)
    for step in range(4):
        flux = np.zeros(n)
        for i in range(1, n - 1):
            slope = minmod(u[i] - u[i - 1], u[i + 1] - u[i])
            flux[i] = u[i] + 0.5 * (1 - c) * slope
        for i in range(2, n - 1):
            u[i] = u[i] - c * (flux[i] - flux[i - 1])
    return u


@kernel(lambda n: (normal(n, n), 0.1))
def burgers_godunov(u, lam):
    u = u.copy()
    n = len(u)
    f = np.zeros(n + 1)
    for t in range(6):
        for i in range(1, n):
            l, r = u[i - 1], u[i]
            if l > r:
                s = 0.5 * (l + r)
                f[i] = 0.5 * l**2 if s > 0 else 0.5 * r**2
            elif l > 0:
                f[i] = 0.5 * l * l
            elif r < 0:
                f[i] = 0.5 * r * r
            else:
                f[i] = 0.0
        f[0], f[n] = 0.5 * u[0] ** 2, 0.5 * u[-1] ** 2
        u -= lam * (f[1:] - f[:-1])
    return u


@kernel(lambda n: (normal(n, n), 0.3))
def crank_nicolson(u, r):
    n = len(u)
    u = u.copy()
    for step in range(3):
        d = np.zeros(n)
        for i in range(n):
            left = u[i - 1] if i > 0 else 0.0
            right = u[i + 1] if i < n - 1 else 0.0
            d[i] = (1 - r) * u[i] + r / 2 * (left + right)
        cp = np.zeros(n)
        dp = np.zeros(n)
        cp[0], dp[0] = -r / 2 / (1 + r), d[0] / (1 + r)
        for i in range(1, n):
            m = 1 + r + r / 2 * cp[i - 1]
            cp[i] = -r / 2 / m
            dp[i] = (d[i] + r / 2 * dp[i - 1]) / m
        u[n - 1] = dp[n - 1]
        for i in range(n - 2, -1, -1):
            u[i] = dp[i] - cp[i] * u[i + 1]
    return u


@kernel(lambda n: (np.array([0.99, 0.01, 0.0]), 0.5, 0.2, n), wrt=(0, 1, 2))
def sir_model(y, beta, gamma, days):
    S, I, R = y
    peak = 0.0
    for day in range(days):
        new = beta * S * I
        S, I, R = S - new, I + new - gamma * I, R + gamma * I
        if I > peak:
            peak = I
    return peak + R


@kernel(lambda n: (uniform(n, 4), uniform(n + 1, 4, high=0.5), n), wrt=(0, 1))
def leslie_population(N, survival, years):
    history = np.zeros((years + 1, 4))
    history[0] = N
    for t in range(years):
        history[t + 1, 0] = 0.4 * history[t, 1] + 0.9 * history[t, 2] + 0.3 * history[t, 3]
        for a in range(1, 4):
            history[t + 1, a] = survival[a - 1] * history[t, a - 1]
    return history


@kernel(lambda n: (1.4, 0.3, 30), wrt=(0, 1))
def adaptive_euler(y, k, most):
    t, h = 0.0, 0.1
    for _ in range(most):
        if t >= 1.0:
            break
        if t + h > 1.0:
            h = 1.0 - t
        full = y + h * (-k * y**2)
        half = y + h / 2 * (-k * y**2)
        half = half + h / 2 * (-k * half**2)
        error = abs(half - full)
        if error < 1e-3:
            t, y = t + h, half
            h = 1.2 * h
        else:
            h = 0.5 * h
    return y


@kernel(lambda n: (uniform(n, n), uniform(n + 1, n), 2.1))
def beam_deflection(load, stiffness, length):
    n = len(load)
    h = length / n
    shear, moment, slope, w = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    for i in range(n - 2, -1, -1):
        shear[i] = shear[i + 1] + h * load[i]
        moment[i] = moment[i + 1] + h * shear[i]
    for i in range(1, n):
        slope[i] = slope[i - 1] + h * moment[i] / stiffness[i]
        w[i] = w[i - 1] + h * slope[i]
    return w[-1]


# Statistics and dynamic programming.


@kernel(lambda n: (100.0, 95.0, 0.05, 0.3, 2 * n), wrt=(0, 1, 2, 3))
def american_put(S, K, r, sigma, n):
    dt = 1.0 / n
    u = np.exp(sigma * np.sqrt(dt))
    d = 1 / u
    p = (np.exp(r * dt) - d) / (u - d)
    disc = np.exp(-r * dt)
    V = np.zeros(n + 1)
    for j in range(n + 1):
        V[j] = max(K - S * u**j * d ** (n - j), 0.0)
    for i in range(n - 1, -1, -1):
        for j in range(i + 1):
            hold = disc * (p * V[j + 1] + (1 - p) * V[j])
            V[j] = max(hold, K - S * u**j * d ** (i - j))
    return V[0]


@kernel(
    lambda n: (np.abs(normal(n, 3, 3)) + 0.1, np.abs(normal(n, 3, 4)) + 0.1, np.arange(n) % 4),
    wrt=(0, 1),
)
def hmm_forward(A, B, observed):
    alpha = B[:, observed[0]] / 3
    loglik = 0.0
    for t in range(1, len(observed)):
        new = np.zeros(3)
        for j in range(3):
            for i in range(3):
                new[j] += alpha[i] * A[i, j]
            new[j] *= B[j, observed[t]]
        c = new.sum()
        alpha = new / c
        loglik += np.log(c)
    return loglik


@kernel(lambda n: (normal(n, 3, 3), normal(n, n, 3)))
def viterbi(transition, emission):
    T, S = emission.shape
    score = np.zeros((T, S))
    score[0] = emission[0]
    for t in range(1, T):
        for s in range(S):
            best = -np.inf
            for r in range(S):
                v = score[t - 1, r] + transition[r, s]
                if v > best:
                    best = v
            score[t, s] = best + emission[t, s]
    return np.max(score[-1])


@kernel(lambda n: (normal(n, 3, 3), normal(n, n, 3)), wrt=(1,))
def viterbi_path_score(transition, emission):
    T, S = emission.shape
    delta = np.zeros((T, S))
    back = np.zeros((T, S), dtype=int)
    delta[0] = emission[0]
    for t in range(1, T):
        for s in range(S):
            options = delta[t - 1] + transition[:, s]
            back[t, s] = np.argmax(options)
            delta[t, s] = options[back[t, s]] + emission[t, s]
    state = np.argmax(delta[-1])
    total = emission[T - 1, state] ** 2
    for t in range(T - 1, 0, -1):
        state = back[t, state]
        total += emission[t - 1, state] ** 2
    return total


@kernel(lambda n: (normal(n, n), normal(n + 1, n + 1), 0.7))
def soft_dtw(x, y, gamma):
    m, n = len(x), len(y)
    r = np.full((m + 1, n + 1), np.inf)
    r[0, 0] = 0.0
    for i in range(1, m + 1):
        for j in range(1, n + 1):
            a, b, c = r[i - 1, j], r[i, j - 1], r[i - 1, j - 1]
            lo = min(a, b, c)
            s = np.exp((lo - a) / gamma) + np.exp((lo - b) / gamma) + np.exp((lo - c) / gamma)
            r[i, j] = (x[i - 1] - y[j - 1]) ** 2 + lo - gamma * np.log(s)
    return r[m, n]


@kernel(lambda n: (normal(n, n), normal(n + 1, n + 2)))
def edit_distance(x, y):
    D = np.zeros((len(x) + 1, len(y) + 1))
    D[:, 0] = np.arange(len(x) + 1)
    D[0, :] = np.arange(len(y) + 1)
    for i in range(1, len(x) + 1):
        for j in range(1, len(y) + 1):
            cost = abs(x[i - 1] - y[j - 1])
            D[i, j] = min(D[i - 1, j] + 1, D[i, j - 1] + 1, D[i - 1, j - 1] + cost)
    return D[-1, -1]


@kernel(lambda n: (normal(n, n), normal(n + 1, n), 0.4))
def smith_waterman(x, y, gap):
    H = np.zeros((len(x) + 1, len(y) + 1))
    best = 0.0
    for i, a in enumerate(x):
        for j, b in enumerate(y):
            match = H[i, j] + 1.0 - (a - b) ** 2
            H[i + 1, j + 1] = max(0.0, match, H[i, j + 1] - gap, H[i + 1, j] - gap)
            if H[i + 1, j + 1] > best:
                best = H[i + 1, j + 1]
    return best


@kernel(lambda n: (normal(n, n), 0.1, 0.3))
def kalman_scalar(z, q, r):
    x, P, ll = 0.0, 1.0, 0.0
    for k in range(len(z)):
        P = P + q
        S = P + r
        K = P / S
        e = z[k] - x
        x = x + K * e
        P = (1 - K) * P
        ll -= 0.5 * (math.log(2 * math.pi * S) + e * e / S)
    return ll


@kernel(lambda n: (normal(n, n, 2), 0.2 * np.eye(2) + 0.05, 0.5))
def kalman_matrix(z, Q, r):
    F = np.array([[1.0, 0.1], [0.0, 1.0]])
    x, P = np.zeros(2), np.eye(2)
    means = np.zeros((len(z), 2))
    for k, obs in enumerate(z):
        x = F @ x
        P = F @ P @ F.T + Q
        S = P + r * np.eye(2)
        K = P @ np.linalg.inv(S)
        x = x + K @ (obs - x)
        P = (np.eye(2) - K) @ P
        means[k] = x
    return means


@kernel(lambda n: (normal(n, n), uniform(n, n), 1.5), wrt=(0,))
def metropolis(noise, uniforms, beta):
    x, total = 0.0, 0.0
    for e, u in zip(noise, uniforms):
        new = x + 0.5 * e
        if u < np.exp(-beta * (new**2 - x**2)):
            x = new
        total += x
    return total / len(noise)


@kernel(lambda n: (normal(n, n, n), np.where(normal(n + 1, n, n) > 0, 1, -1), 0.3), wrt=(0, 2))
def ising_energy(J, spins, h):
    n, m = spins.shape
    energy = 0.0
    for i in range(n):
        for j in range(m):
            s = spins[i, j]
            energy -= J[i, j] * s * (spins[(i + 1) % n, j] + spins[i, (j + 1) % m])
            energy -= h * s
    return energy


@kernel(lambda n: (normal(n, n, 2), normal(n + 1, 3, 2)))
def k_means_step(points, centres):
    k = len(centres)
    sums = np.zeros((k, 2))
    counts = np.zeros(k, dtype=int)
    for p in points:
        best, nearest = np.inf, -1
        for c in range(k):
            d = np.sum((p - centres[c]) ** 2)
            if d < best:
                best, nearest = d, c
        sums[nearest] += p
        counts[nearest] += 1
    new = centres.copy()
    for c in range(k):
        if counts[c] > 0:
            new[c] = sums[c] / counts[c]
    return new


@kernel(lambda n: (normal(n, n), 0.3 * normal(n, 8, 2), 0.3 * normal(n, 8), 0.3 * normal(n, 8)))
def lstm(x, U, w, b):
    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    h, c = np.zeros(2), np.zeros(2)
    for t in range(len(x)):
        z = U @ h + w * x[t] + b
        i, f, o, g = sigmoid(z[:2]), sigmoid(z[2:4]), sigmoid(z[4:6]), np.tanh(z[6:])
        c = f * c + i * g
        h = o * np.tanh(c)
    return h


@kernel(lambda n: (normal(n, n, 3), 0.5 * normal(n, 4, 4), 0.5 * normal(n, 4, 3)))
def recurrent_network(x, W, U):
    h = np.zeros(4)
    loss = 0.0
    for t in range(x.shape[0]):
        h = np.tanh(W @ h + U @ x[t])
        loss += np.sum(h**2)
    return loss


@kernel(lambda n: (normal(n, n),))
def welford(x):
    mean, m2 = 0.0, 0.0
    for k, v in enumerate(x, start=1):
        delta = v - mean
        mean += delta / k
        m2 += delta * (v - mean)
    return mean, m2 / (len(x) - 1)


@kernel(lambda n: (normal(n, n), np.array([0.1, 0.2, 0.7])))
def garch(r, p):
    omega, alpha, beta = p
    var = np.empty(len(r))
    var[0] = np.var(r)
    for t in range(1, len(r)):
        var[t] = omega + alpha * r[t - 1] ** 2 + beta * var[t - 1]
    return -0.5 * np.sum(np.log(var) + r**2 / var)


# Interpolation, signals, images.


@kernel(lambda n: (np.cumsum(uniform(n, n)), normal(n, n), 1.7))
def cubic_spline(x, y, t):
    n = len(x)
    h = np.diff(x)
    a, b, c, d = np.zeros(n), np.ones(n), np.zeros(n), np.zeros(n)
    for i in range(1, n - 1):
        a[i], b[i], c[i] = h[i - 1], 2 * (h[i - 1] + h[i]), h[i]
        d[i] = 6 * ((y[i + 1] - y[i]) / h[i] - (y[i] - y[i - 1]) / h[i - 1])
    for i in range(1, n):
        w = a[i] / b[i - 1]
        b[i] -= w * c[i - 1]
        d[i] -= w * d[i - 1]
    m = np.zeros(n)
    m[-1] = d[-1] / b[-1]
    for i in range(n - 2, -1, -1):
        m[i] = (d[i] - c[i] * m[i + 1]) / b[i]
    k = 0
    while k < n - 2 and x[k + 1] < t:
        k += 1
    s, e = t - x[k], x[k + 1] - t
    return (
        m[k] * e**3 / (6 * h[k]) + m[k + 1] * s**3 / (6 * h[k])
        + (y[k] / h[k] - m[k] * h[k] / 6) * e + (y[k + 1] / h[k] - m[k + 1] * h[k] / 6) * s
    )  # fmt: skip


@kernel(lambda n: (np.cumsum(uniform(n, n)), normal(n, n), uniform(n, 7, high=3.0)))
def piecewise_linear(x, y, queries):
    out = np.zeros(len(queries))
    for q in range(len(queries)):
        t = queries[q]
        if t <= x[0]:
            out[q] = y[0]
            continue
        if t >= x[-1]:
            out[q] = y[-1]
            continue
        lo, hi = 0, len(x) - 1
        while hi - lo > 1:
            mid = (lo + hi) // 2
            if x[mid] > t:
                hi = mid
            else:
                lo = mid
        w = (t - x[lo]) / (x[hi] - x[lo])
        out[q] = (1 - w) * y[lo] + w * y[hi]
    return out


@kernel(lambda n: (normal(n, n, n), 1.3, 2.2))
def bilinear(image, r, c):
    i, j = int(np.floor(r)), int(np.floor(c))
    u, v = r - i, c - j
    top = (1 - v) * image[i, j] + v * image[i, j + 1]
    bottom = (1 - v) * image[i + 1, j] + v * image[i + 1, j + 1]
    return (1 - u) * top + u * bottom


@kernel(lambda n: (normal(n, n), normal(n, n), uniform(n, n)))
def lagrange(x, y, ts):
    x = x + 3.0 * np.arange(len(x))
    out = np.zeros(len(ts))
    for k, t in enumerate(ts):
        for i in range(len(x)):
            L = 1.0
            for j in range(len(x)):
                if i == j:
                    continue
                L *= (t - x[j]) / (x[i] - x[j])
            out[k] += y[i] * L
    return out


@kernel(lambda n: (np.arange(n) + uniform(n, n, high=0.7), normal(n, n), 2.4))
def newton_divided_differences(x, y, t):
    c = y.copy()
    n = len(x)
    for j in range(1, n):
        for i in range(n - 1, j - 1, -1):
            c[i] = (c[i] - c[i - 1]) / (x[i] - x[i - j])
    p = c[n - 1]
    for i in range(n - 2, -1, -1):
        p = p * (t - x[i]) + c[i]
    return p


@kernel(lambda n: (normal(n, 16 if n > 8 else 8),))
def fft_radix_2(x):
    n = len(x)
    re, im = x.copy(), np.zeros(n)
    j = 0
    for i in range(1, n):
        bit = n >> 1
        while j & bit:
            j ^= bit
            bit >>= 1
        j |= bit
        if i < j:
            re[i], re[j] = re[j], re[i]
    size = 2
    while size <= n:
        half = size // 2
        for start in range(0, n, size):
            for k in range(half):
                angle = -2 * math.pi * k / size
                c, s = math.cos(angle), math.sin(angle)
                a, b = start + k, start + k + half
                tr, ti = c * re[b] - s * im[b], c * im[b] + s * re[b]
                re[b], im[b] = re[a] - tr, im[a] - ti
                re[a], im[a] = re[a] + tr, im[a] + ti
        size *= 2
    return np.sum((re**2 + im**2) * np.arange(n))


@kernel(lambda n: (normal(n, n), normal(n, 3)))
def convolution_1d(x, k):
    out = np.zeros(len(x) + len(k) - 1)
    for i in range(len(x)):
        for j in range(len(k)):
            out[i + j] += x[i] * k[j]
    return out


@kernel(lambda n: (normal(n, n, n), normal(n, 3, 3)))
def convolution_2d(x, k):
    h, w = x.shape[0] - 2, x.shape[1] - 2
    out = np.zeros((h, w))
    for i in range(h):
        for j in range(w):
            out[i, j] = np.sum(x[i : i + 3, j : j + 3] * k)
    return out


@kernel(lambda n: (normal(n, n, n),))
def max_pool(x):
    n, m = x.shape
    out = np.zeros((n // 2, m // 2))
    for i in range(n // 2):
        for j in range(m // 2):
            best = x[2 * i, 2 * j]
            for a in range(2):
                for b in range(2):
                    if x[2 * i + a, 2 * j + b] > best:
                        best = x[2 * i + a, 2 * j + b]
            out[i, j] = best
    return out


@kernel(lambda n: (uniform(n, n), uniform(n, n), 6), wrt=(0,))
def soft_histogram(x, weights, bins):
    counts = np.zeros(bins)
    for v, w in zip(x, weights):
        k = int(v * bins / 1.5)
        frac = v * bins / 1.5 - k
        if k < bins - 1:
            counts[k] += w * (1 - frac)
            counts[k + 1] += w * frac
        else:
            counts[bins - 1] += w
    return counts


@kernel(lambda n: (-0.7 + 0.02 * n, 0.27))
def mandelbrot_smooth(cr, ci):
    zr = zi = 0.0
    n = 0
    while zr * zr + zi * zi < 100.0 and n < 60:
        zr, zi = zr * zr - zi * zi + cr, 2 * zr * zi + ci
        n += 1
    return n + zr * zr + zi * zi


@kernel(lambda n: (normal(n, n), uniform(n, n)), wrt=(0, 1))
def bubble_sort(x, w):
    x = x.copy()
    n = len(x)
    for i in range(n):
        for j in range(n - 1 - i):
            if x[j] > x[j + 1]:
                x[j], x[j + 1] = x[j + 1], x[j]
    return np.sum(w * x)


@kernel(lambda n: (normal(n, n), uniform(n, n)))
def insertion_sort(a, w):
    a = a.copy()
    for i in range(1, len(a)):
        key = a[i]
        j = i - 1
        while j >= 0 and a[j] > key:
            a[j + 1] = a[j]
            j -= 1
        a[j + 1] = key
    return a @ w


@kernel(lambda n: (normal(n, 8),))
def sorting_network(x):
    x = x.copy()
    n = len(x)
    k = 2
    while k <= n:
        j = k // 2
        while j > 0:
            for i in range(n):
                l = i ^ j
                if l > i:
                    lo, hi = np.minimum(x[i], x[l]), np.maximum(x[i], x[l])
                    if i & k == 0:
                        x[i], x[l] = lo, hi
                    else:
                        x[i], x[l] = hi, lo
            j //= 2
        k *= 2
    return x


@kernel(lambda n: (uniform(n, n, n),))
def floyd_warshall(w):
    d = w.copy()
    n = len(d)
    for k in range(n):
        for i in range(n):
            for j in range(n):
                if d[i, k] + d[k, j] < d[i, j]:
                    d[i, j] = d[i, k] + d[k, j]
    return d


@kernel(lambda n: (uniform(n, n), np.array([1, 2, 0, 3, 1, 2] * 4)[:n]), wrt=(0,))
def markov_reward(reward, jumps):
    state, total, discount = 0, 0.0, 1.0
    for t in range(len(jumps)):
        total += discount * reward[state]
        discount *= 0.9
        state = (state + int(jumps[t])) % len(reward)
    return total


@kernel(lambda n: (uniform(n, n), uniform(n + 1, n), 0.3))
def ray_through_layers(depth, index, angle):
    x, sine = 0.0, np.sin(angle)
    for h, m in zip(depth, index):
        s = sine / (m + 1.0)
        if s >= 1:
            break
        x += h * s / math.sqrt(1 - s * s)
    return x


@kernel(lambda n: (uniform(n, n), 2.3))
def discounted_payback(flows, cost):
    balance = -cost
    for k, flow in enumerate(flows):
        gain = flow / 1.05**k
        if balance + gain >= 0:
            return k - balance / gain
        balance += gain
    return len(flows) - balance


# Python's ways of writing.


@kernel(lambda n: (normal(n, n),))
def shift_in_place(a):
    a = a.copy()
    for _ in range(3):
        a[1:] = a[:-1] * 0.5
        a[0] = np.cos(a[-1])
    return a


@kernel(lambda n: (normal(n, n, n),))
def views_of_rows(a):
    a = a.copy()
    for i in range(1, len(a)):
        row = a[i]
        above = a[i - 1]
        for j in range(len(row)):
            row[j] = row[j] + 0.5 * above[j] * row[0]
    return a


@kernel(lambda n: (normal(n, n),))
def masks(x):
    y = np.zeros_like(x)
    y[x > 0] = np.sqrt(x[x > 0])
    y[x <= 0] = -1.0
    y += x
    return y


@kernel(lambda n: (normal(n, n), normal(n, n)))
def argument_updated(x, y):
    for i in range(1, len(x)):
        x[i] += 0.5 * x[i - 1] * y[i]
    y *= 2.0
    return x @ y


@kernel(lambda n: (normal(n, n),))
def early_return(x):
    total = 0.0
    for v in x:
        total += v * v
        if total > 2.0:
            return np.sqrt(total)
    return total


@kernel(lambda n: (normal(n, n), 0.8))
def for_else(x, limit):
    s = 0.0
    for k in range(len(x)):
        s += x[k]
        if abs(s) > limit:
            break
    else:
        s = 10.0 * s
    return s * limit


@dataclass
class Spring:
    stiffness: float = 2.0
    damping: float = 0.1

    def force(self, x, v):
        return -self.stiffness * x - self.damping * v

    def run(self, x, v, steps, h=0.05):
        for _ in range(steps):
            v = v + h * self.force(x, v)
            x = x + h * v
        return x


@kernel(lambda n: (1.0, 0.2, 3.0, n + 4), wrt=(0, 1, 2))
def methods_of_a_dataclass(x, v, k, steps):
    return Spring(stiffness=k).run(x, v, steps)


class Ladder:
    """Methods that call each other; numbers as attributes."""

    def __init__(self, gain):
        self.gain = gain

    def rung(self, x, k, scale=0.5):
        if k % 3 == 0:
            return scale * x
        return self.gain * np.sin(x)

    def climb(self, x):
        for k in range(1, 12):
            x = self.rung(x, k) + 0.1
        return x


ladder = Ladder(1.3)


@kernel(lambda n: (0.9,))
def method_of_a_global(x):
    return ladder.climb(x)


@kernel(lambda n: (normal(n, n), 0.3))
def closures(x, a):
    def weight(k):
        return np.exp(-a * k)

    def shifted(k):
        return lambda t: t + weight(k)

    total = 0.0
    for k in range(len(x)):
        f = shifted(k)
        total += f(x[k]) * weight(k + 1)
    return total


@kernel(lambda n: (normal(n, n),))
def conditional_expressions(x):
    s = 0.0
    for i in range(len(x)):
        w = 2.0 if x[i] > 0 else -1.0 if x[i] > -0.5 else 0.5
        s += w * x[i] if i % 2 == 0 and x[i] != 0 else w
    return s


@kernel(lambda n: (normal(n, n),))
def chained_comparisons(x):
    count, s = 0, 0.0
    for v in x:
        if -0.5 < v <= 0.8:
            count += 1
            s += v
        if not (v < 0 or v > 1):
            s *= 1.1
    return s / (count + 1)


@kernel(lambda n: (normal(n, n),))
def negative_steps(x):
    y = np.zeros(len(x))
    for i in range(len(x) - 1, -1, -2):
        y[i] = 2 * x[i]
    for i in range(len(x) - 2, 0, -1):
        y[i] += 0.3 * y[i + 1]
    return y[::-1]


@kernel(lambda n: (normal(n, n), normal(n + 1, n)))
def zip_and_reversed(x, y):
    s, p = 0.0, 1.0
    for a, b in zip(x, reversed(y)):
        s = 0.5 * s + a * b
    for k, (a, b) in enumerate(zip(x, y)):
        p *= 1 + 0.1 * a * b / (k + 1)
    return s * p


@kernel(lambda n: (normal(n, n),))
def buffers_from_arange(x):
    a = np.arange(len(x), dtype=float)
    b = np.array([1.0, 2.0, 3.0])
    for i in range(len(x)):
        a[i] = a[i] + x[i]
        b[i % 3] *= 1 + 0.1 * x[i]
    return a.sum() * b.sum()


@kernel(lambda n: (normal(n, n, 4),))
def columns(A):
    A = A.copy()
    for j in range(A.shape[1]):
        col = A[:, j]
        col -= col.mean()
        col /= np.sqrt((col**2).mean() + 0.1)
    return A


@kernel(lambda n: (normal(n, n),))
def while_with_index(x):
    i, s = 0, 0.0
    while i < len(x):
        s += x[i] ** 2
        i += 1 if x[i] > 0 else 2
    return s


@kernel(lambda n: (normal(n, n), 0.2), wrt=(0,))
def nested_breaks(x, eps):
    s = 0.0
    for i in range(len(x)):
        for j in range(i, len(x)):
            if abs(x[j]) < eps:
                break
            if x[j] < -1:
                continue
            s += x[i] * x[j]
        else:
            s += 1.0
        if s > 5:
            break
    return s


@kernel(lambda n: (normal(n, n, 3),))
def unpacked_rows(points):
    total = 0.0
    for x, y, z in points:
        r = math.sqrt(x * x + y * y + z * z)
        total += math.atan2(y, x) + float(z) / r
    return total


@kernel(lambda n: (normal(n, n),))
def comprehensions(x):
    squares = [v * v for v in x]
    s = sum(a * b for a, b in zip(squares[1:], squares[:-1]))
    return s + max([abs(v) for v in x]) + sum([x[i] for i in range(0, len(x), 2)])


@kernel(lambda n: (uniform(n, 3), n), wrt=(0,))
def dictionary_of_state(p, steps):
    state = {"x": p[0], "v": p[1]}
    for _ in range(steps):
        a = -p[2] * state["x"]
        state["v"] = state["v"] + 0.1 * a
        state["x"] = state["x"] + 0.1 * state["v"]
    return state["x"]


@kernel(lambda n: (normal(n, n),))
def asserts_and_checks(x):
    if x.ndim != 1:
        raise ValueError("one dimension")
    s = 0.0
    for v in x:
        assert v > -100, "far out"
        if np.isnan(v):
            raise ValueError("not a number")
        s += np.tanh(v)
    return s


@kernel(lambda n: (normal(n, n, n),))
def triangular_indices(A):
    n = len(A)
    packed = np.empty(n * (n + 1) // 2)
    k = 0
    for i in range(n):
        for j in range(i + 1):
            packed[k] = A[i, j] * A[j, i]
            k += 1
    return packed


@kernel(lambda n: (normal(n, n), normal(n, n)))
def where_in_loop(x, y):
    z = np.zeros_like(x)
    for k in range(10):
        z = np.where(z > x, z - 0.3 * y, z + 0.2 * x)
        z = np.clip(z, -2.0, 2.0)
    return z
