# ruff: noqa: E501, E741, B008
"""Kernels of another hand: classes, helpers of a module, sparse rows, butterflies, trees."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from functools import reduce
from itertools import accumulate, combinations
from typing import NamedTuple

import numpy as np
import sketch_helpers as helpers
from kernels import definite, normal, uniform
from sketch_helpers import rk4_step, trapz_weights

SKETCHES: dict = {}
NUMPY = set(  # a part of them runs on NumPy: LAPACK, sorting, complex numbers, special functions
    "fft_recursive kalman_inv kalman_solve jacobi_rotations mandelbrot_complex julia_grid fem_bar fem_truss "
    "kriging weighted_median_sort masked_log_likelihood sir_named_tuple arnoldi_gmres deque_window "
    "lattice_boltzmann transposed_views multigrid_v_cycle newton_system while_not_converged_flag".split()
)
TRAPS = set(  # each of these was wrong or refused once
    "csr_matvec_slices qr_givens lu_solve_pivoting multigrid_v_cycle simpson_composite gauss_legendre walrus "
    "match_with_returns sum_of_generator_and_any nditer_loop ndenumerate_loop ndindex_loop scatter_add_at "
    "einsum_in_loop out_arguments newaxis_and_einsum transposed_views default_arguments romberg_long "
    "crr_binomial_tree fem_bar newton_system while_not_converged_flag".split()
)


def sketch(arguments, wrt=None):
    "Register a kernel: its arguments for a size n, and which of them it is differentiated by."

    def register(f):
        assert f.__name__ not in SKETCHES
        SKETCHES[f.__name__] = (f, arguments, wrt)
        return f

    return register


G = 6.674
SOFT = 0.05


def csr(n):
    r = np.random.default_rng(n)
    dense = r.random((n, n)) < 0.4
    indptr = np.concatenate([[0], np.cumsum(dense.sum(1))])
    indices = np.nonzero(dense)[1]
    return indptr, indices, r.random(len(indices)) + 0.1


@sketch(lambda n: (*csr(n), normal(n, n)), (2, 3))
def csr_matvec(indptr, indices, data, x):
    n = len(indptr) - 1
    y = np.zeros(n)
    for i in range(n):
        for k in range(indptr[i], indptr[i + 1]):
            y[i] += data[k] * x[indices[k]]
    return y


@sketch(lambda n: (*csr(n), normal(n, n)), (2, 3))
def csr_matvec_slices(indptr, indices, data, x):
    out = np.empty(len(indptr) - 1)
    for row, (lo, hi) in enumerate(zip(indptr[:-1], indptr[1:])):
        out[row] = data[lo:hi] @ x[indices[lo:hi]]
    return np.tanh(out).sum()


@sketch(lambda n: (*csr(n), uniform(n, n)), (2, 3))
def pagerank(indptr, indices, data, v):
    x = v / v.sum()
    for _it in range(30):
        new = np.zeros_like(x)
        for i in range(len(x)):
            for k in range(indptr[i], indptr[i + 1]):
                new[indices[k]] += 0.85 * data[k] * x[i]
        new += 0.15 / len(x)
        new /= new.sum()
        if np.abs(new - x).sum() < 1e-14:
            break
        x = new
    return x


@sketch(lambda n: (normal(n, 16), normal(n + 1, 16)))
def fft_butterflies(re, im):
    n = len(re)
    re = re.copy()
    im = im.copy()
    j = 0
    for i in range(1, n):
        bit = n >> 1
        while j & bit:
            j ^= bit
            bit >>= 1
        j ^= bit
        if i < j:
            re[i], re[j] = re[j], re[i]
            im[i], im[j] = im[j], im[i]
    size = 2
    while size <= n:
        half = size // 2
        for start in range(0, n, size):
            for k in range(half):
                w = -2 * math.pi * k / size
                c, s = math.cos(w), math.sin(w)
                a, b = start + k, start + k + half
                tr = re[b] * c - im[b] * s
                ti = re[b] * s + im[b] * c
                re[b], im[b] = re[a] - tr, im[a] - ti
                re[a] += tr
                im[a] += ti
        size *= 2
    return re**2 + im**2


@sketch(lambda n: (normal(n, 16),))
def fft_recursive(x):
    def rec(z):
        n = len(z)
        if n == 1:
            return z
        even, odd = rec(z[::2]), rec(z[1::2])
        t = np.exp(-2j * np.pi * np.arange(n // 2) / n) * odd
        return np.concatenate([even + t, even - t])

    return np.abs(rec(x + 0j)) ** 2


@sketch(
    lambda n: (
        uniform(n, 3, 3),
        uniform(n, 3, 4),
        uniform(n, 3),
        np.random.default_rng(n).integers(0, 4, n),
    ),
    (0, 1, 2),
)
def forward_backward(A, B, pi, obs):
    A = A / A.sum(axis=1, keepdims=True)
    B = B / B.sum(axis=1, keepdims=True)
    pi = pi / pi.sum()
    T, S = len(obs), len(pi)
    alpha = np.zeros((T, S))
    beta = np.zeros((T, S))
    scale = np.zeros(T)
    alpha[0] = pi * B[:, obs[0]]
    scale[0] = alpha[0].sum()
    alpha[0] /= scale[0]
    for t in range(1, T):
        for j in range(S):
            alpha[t, j] = np.dot(alpha[t - 1], A[:, j]) * B[j, obs[t]]
        scale[t] = alpha[t].sum()
        alpha[t] /= scale[t]
    beta[-1] = 1.0
    for t in reversed(range(T - 1)):
        for i in range(S):
            beta[t, i] = (
                sum(A[i, j] * B[j, obs[t + 1]] * beta[t + 1, j] for j in range(S)) / scale[t + 1]
            )
    gamma = alpha * beta
    return gamma, np.log(scale).sum()


@sketch(lambda n: (uniform(n, 3, 3), uniform(n, 3, n)))
def viterbi_score(logA, logB):
    S, T = logB.shape
    delta = logB[:, 0].copy()
    psi = np.zeros((S, T), dtype=int)
    for t in range(1, T):
        new = np.empty(S)
        for j in range(S):
            best, arg = -np.inf, 0
            for i in range(S):
                cand = delta[i] + logA[i, j]
                if cand > best:
                    best, arg = cand, i
            new[j] = best + logB[j, t]
            psi[j, t] = arg
        delta = new
    return delta.max()


@sketch(lambda n: (normal(n, n, 2), definite(2), definite(2), 0.1))
def kalman_inv(z, Q, R, dt):
    F = np.array([[1.0, dt], [0.0, 1.0]])
    H = np.eye(2)
    x = np.zeros(2)
    P = np.eye(2)
    ll = 0.0
    for k in range(len(z)):
        x = F @ x
        P = F @ P @ F.T + Q
        S = H @ P @ H.T + R
        Sinv = np.linalg.inv(S)
        K = P @ H.T @ Sinv
        r = z[k] - H @ x
        ll -= 0.5 * (r @ Sinv @ r + np.log(np.linalg.det(S)))
        x = x + K @ r
        P = (np.eye(2) - K @ H) @ P
    return ll, x


@sketch(lambda n: (normal(n, n, 2), definite(4), 0.3))
def kalman_solve(z, Q, r):
    F = np.eye(4)
    F[0, 2] = F[1, 3] = 0.1
    H = np.zeros((2, 4))
    H[0, 0] = H[1, 1] = 1
    R = r * np.eye(2)
    m, P = np.zeros(4), np.eye(4)
    means = []
    for y in z:
        m, P = F @ m, F @ P @ F.T + Q
        S = H @ P @ H.T + R
        K = np.linalg.solve(S, H @ P).T
        m = m + K @ (y - H @ m)
        P = P - K @ S @ K.T
        means.append(m[:2])
    return np.array(means)


@sketch(
    lambda n: ("ACGTTGACCTGA"[: min(n, 12)], "CGTTAGCCAATG"[: min(n, 12)], 1.3, 0.7, 0.45),
    (2, 3, 4),
)
def smith_waterman_strings(a, b, match, mismatch, gap):
    H = np.zeros((len(a) + 1, len(b) + 1))
    best = 0.0
    for i, ca in enumerate(a, 1):
        for j, cb in enumerate(b, start=1):
            s = match if ca == cb else -mismatch
            H[i, j] = max(0, H[i - 1, j - 1] + s, H[i - 1, j] - gap, H[i, j - 1] - gap)
            best = max(best, H[i, j])
    return best


@dataclass
class Body:
    m: float
    x: np.ndarray
    v: np.ndarray
    a: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def kick(self, dt):
        self.v = self.v + dt * self.a

    def drift(self, dt):
        self.x = self.x + dt * self.v

    @property
    def kinetic(self):
        return 0.5 * self.m * self.v @ self.v


class System:
    def __init__(self, bodies):
        self.bodies = list(bodies)

    def forces(self):
        for b in self.bodies:
            b.a = np.zeros(3)
        for p, q in combinations(self.bodies, 2):
            d = q.x - p.x
            r3 = (d @ d + SOFT) ** 1.5
            p.a = p.a + q.m * d / r3
            q.a = q.a - p.m * d / r3

    def step(self, dt):
        for b in self.bodies:
            b.kick(dt / 2)
            b.drift(dt)
        self.forces()
        for b in self.bodies:
            b.kick(dt / 2)

    def energy(self):
        e = sum(b.kinetic for b in self.bodies)
        for p, q in combinations(self.bodies, 2):
            e -= p.m * q.m / np.sqrt((p.x - q.x) @ (p.x - q.x) + SOFT)
        return e


@sketch(lambda n: (normal(n, 3, 3), 0.3 * normal(n + 1, 3, 3), uniform(n, 3), 4))
def n_body_objects(x, v, m, steps):
    s = System(Body(m[i], x[i], v[i]) for i in range(len(m)))
    s.forces()
    for _ in range(steps):
        s.step(0.01)
    return s.energy()


@sketch(lambda n: (normal(n, n, 2), 0.1 * normal(n + 1, n, 2), uniform(n, n), 6))
def n_body_broadcast(pos, vel, mass, steps):
    def acceleration(p):
        d = p[None, :, :] - p[:, None, :]
        r2 = (d**2).sum(-1) + SOFT**2
        return G * (mass[None, :, None] * d * r2[..., None] ** -1.5).sum(axis=1)

    pos, vel = pos.copy(), vel.copy()
    acc = acceleration(pos)
    for _s in range(steps):
        vel += 0.5e-3 * acc
        pos += 1e-3 * vel
        acc = acceleration(pos)
        vel += 0.5e-3 * acc
    return pos, 0.5 * (mass * (vel**2).sum(1)).sum()


@sketch(lambda n: (uniform(n, 9, 6, 5), 0.7, n))
def lattice_boltzmann(f, omega, steps):
    cx = np.array([0, 1, 0, -1, 0, 1, -1, -1, 1])
    cy = np.array([0, 0, 1, 0, -1, 1, 1, -1, -1])
    w = np.array([4 / 9] + [1 / 9] * 4 + [1 / 36] * 4)
    for _step in range(steps):
        for i in range(9):
            f[i] = np.roll(np.roll(f[i], cx[i], axis=0), cy[i], axis=1)
        rho = f.sum(axis=0)
        ux = np.einsum("i,ixy->xy", cx, f) / rho
        uy = np.tensordot(cy, f, axes=1) / rho
        usq = 1.5 * (ux**2 + uy**2)
        for i in range(9):
            cu = 3 * (cx[i] * ux + cy[i] * uy)
            feq = rho * w[i] * (1 + cu + 0.5 * cu**2 - usq)
            f[i] += omega * (feq - f[i])
    return rho


@sketch(lambda n: (100.0, 95.0, 0.03, 0.25, 1.0, n), (0, 1, 2, 3, 4))
def crr_binomial_tree(S, K, r, sigma, T, N):
    dt = T / N
    u = np.exp(sigma * np.sqrt(dt))
    d = 1 / u
    p = (np.exp(r * dt) - d) / (u - d)
    disc = np.exp(-r * dt)
    v = np.array([max(S * u**j * d ** (N - j) - K, 0.0) for j in range(N + 1)])
    for _i in range(N - 1, -1, -1):
        v = disc * (p * v[1:] + (1 - p) * v[:-1])
    return v[0]


@sketch(lambda n: (100.0, 105.0, 0.03, 0.25, 1.0, n), (0, 1, 2, 3, 4))
def american_tree_in_place(S, K, r, sigma, T, N):
    dt = T / N
    u = math.exp(sigma * math.sqrt(dt))
    d = 1.0 / u
    p = (math.exp(r * dt) - d) / (u - d)
    values = np.zeros(N + 1)
    for j in range(N + 1):
        values[j] = max(K - S * u ** (2 * j - N), 0)
    for i in range(N - 1, -1, -1):
        for j in range(i + 1):
            hold = math.exp(-r * dt) * (p * values[j + 1] + (1 - p) * values[j])
            exercise = K - S * u ** (2 * j - i)
            values[j] = hold if hold > exercise else exercise
    return values[0]


@sketch(lambda n: (100.0, 95.0, 0.03, 0.25, 1.0))
def black_scholes_call(S, K, r, sigma, T):
    def phi(z):
        return 0.5 * (1 + math.erf(z / math.sqrt(2)))

    d1 = (math.log(S / K) + (r + sigma**2 / 2) * T) / (sigma * math.sqrt(T))
    d2 = d1 - sigma * math.sqrt(T)
    return S * phi(d1) - K * math.exp(-r * T) * phi(d2)


@sketch(lambda n: (1.0, 0.1, 1.2), (0, 1, 2))
def rkf_adaptive(y0, v0, mu):
    def f(t, y):
        return np.array([y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]])

    y = np.array([y0, v0])
    t = 0.0
    h = 0.05
    end = 1.5
    accepted = 0
    while t < end:
        if t + h > end:
            h = end - t
        k1 = f(t, y)
        k2 = f(t + h / 2, y + h / 2 * k1)
        k3 = f(t + 3 * h / 4, y + 3 * h / 4 * k2)
        new = y + h / 9 * (2 * k1 + 3 * k2 + 4 * k3)
        k4 = f(t + h, new)
        err = np.max(np.abs(h * (-5 / 72 * k1 + k2 / 12 + k3 / 9 - k4 / 8)))
        if err < 1e-3:
            t, y = t + h, new
            accepted += 1
            h = min(h * 1.5, 0.3)
        else:
            h *= 0.5
    return y


@sketch(lambda n: (uniform(n, n), uniform(n, 3), 8))
def rk4_helpers_of_a_module(y, p, steps):
    def rate(t, u, *params, forcing=0.1):
        a, b, c = params
        return a * u - b * u**2 + forcing * math.sin(c * t)

    t = 0.0
    for _ in range(steps):
        y = rk4_step(rate, t, y, 0.05, *p, forcing=0.2)
        t += 0.05
    return y


@sketch(lambda n: (0.2, 1.7, n), (0, 1))
def simpson_composite(a, b, n):
    n += n % 2
    h = (b - a) / n
    s = math.exp(-a * a) + math.exp(-b * b)
    for i in range(1, n, 2):
        s += 4 * math.exp(-((a + i * h) ** 2))
    for i in range(2, n - 1, 2):
        s += 2 * math.exp(-((a + i * h) ** 2))
    return s * h / 3


@sketch(lambda n: (0.2, 1.7, 6), (0, 1))
def romberg_table(a, b, m):
    R = np.zeros((m, m))
    h = b - a

    def f(x):
        return np.sin(x) * np.exp(-x)

    R[0, 0] = 0.5 * h * (f(a) + f(b))
    for i in range(1, m):
        h /= 2
        R[i, 0] = 0.5 * R[i - 1, 0] + h * sum(f(a + k * h) for k in range(1, 2**i, 2))
        for j in range(1, i + 1):
            R[i, j] = R[i, j - 1] + (R[i, j - 1] - R[i - 1, j - 1]) / (4**j - 1)
    return R[m - 1, m - 1]


@sketch(lambda n: (0.2, 1.7, n), (0, 1))
def romberg_long(a, b, m):
    m = m + 4
    R = np.zeros((m, m))

    def f(x):
        return np.sin(x) * np.exp(-x)

    for i in range(m):
        h = (b - a) / (i + 1)
        total = 0.5 * (f(a) + f(b))
        for k in range(1, i + 1):
            total += f(a + k * h)
        R[i, 0] = h * total
        for j in range(1, i + 1):
            R[i, j] = R[i, j - 1] + (R[i, j - 1] - R[i - 1, j - 1]) / (4**j - 1)
    return R[-1, -3:]


@sketch(lambda n: (0.2, 1.7, uniform(n, 3), n))
def gauss_legendre(a, b, c, n):
    x, w = np.polynomial.legendre.leggauss(n)
    t = 0.5 * (b - a) * x + 0.5 * (a + b)
    total = 0.0
    for xi, wi in zip(t, w):
        total += wi * c[0] * np.exp(-c[1] * xi) * np.cos(c[2] * xi)
    return 0.5 * (b - a) * total


def legendre_nodes(n):
    x = np.zeros(n)
    w = np.zeros(n)
    for i in range(n):
        z = math.cos(math.pi * (i + 0.75) / (n + 0.5))
        while True:
            p1, p2 = 1.0, 0.0
            for j in range(n):
                p1, p2 = ((2 * j + 1) * z * p1 - j * p2) / (j + 1), p1
            dp = n * (z * p1 - p2) / (z * z - 1)
            z1, z = z, z - p1 / dp
            if abs(z - z1) < 1e-14:
                break
        x[i] = z
        w[i] = 2 / ((1 - z * z) * dp * dp)
    return x, w


@sketch(lambda n: (0.2, 1.7, n), (0, 1))
def gauss_legendre_by_newton(a, b, n):
    x, w = legendre_nodes(n)
    mid, half = (a + b) / 2, (b - a) / 2
    return half * np.sum(w * np.exp(np.sin(mid + half * x)))


@sketch(lambda n: (2.1, 0.3))
def bisection_implicit(a, b):
    lo, hi = 0.0, 4.0

    def f(x):
        return a * x - math.cos(b * x) - 1

    while hi - lo > 1e-3:
        mid = 0.5 * (lo + hi)
        if f(lo) * f(mid) <= 0:
            hi = mid
        else:
            lo = mid
    x = 0.5 * (lo + hi)
    for _ in range(4):
        x -= f(x) / (a + b * math.sin(b * x))
    return x


@sketch(lambda n: (0.7, 1.3))
def secant_method(a, b):
    def g(x):
        return x**3 - a * x - b

    x0, x1 = 1.0, 2.0
    f0, f1 = g(x0), g(x1)
    n = 0
    while abs(f1) > 1e-13 and n < 50:
        x0, x1 = x1, x1 - f1 * (x1 - x0) / (f1 - f0)
        f0, f1 = f1, g(x1)
        n += 1
    return x1


@sketch(lambda n: (1.3, 0.4))
def brent_root(p, q):
    def f(x):
        return math.exp(p * x) - 3 * x - q - 2

    a, b = -2.0, 0.5
    fa, fb = f(a), f(b)
    c, fc = a, fa
    d = e = b - a
    for _it in range(60):
        if fb * fc > 0:
            c, fc = a, fa
            d = e = b - a
        if abs(fc) < abs(fb):
            a, b, c = b, c, b
            fa, fb, fc = fb, fc, fb
        xm = 0.5 * (c - b)
        if abs(xm) < 1e-15 or abs(fb) < 1e-15:
            break
        if abs(e) > 1e-15 and abs(fa) > abs(fb):
            s = fb / fa
            if a == c:
                p_, q_ = 2 * xm * s, 1 - s
            else:
                q_, r = fa / fc, fb / fc
                p_ = s * (2 * xm * q_ * (q_ - r) - (b - a) * (r - 1))
                q_ = (q_ - 1) * (r - 1) * (s - 1)
            if p_ > 0:
                q_ = -q_
            p_ = abs(p_)
            if 2 * p_ < min(3 * xm * q_ - abs(1e-15 * q_), abs(e * q_)):
                e, d = d, p_ / q_
            else:
                d = e = xm
        else:
            d = e = xm
        a, fa = b, fb
        if abs(d) > 1e-15:
            b += d
        else:
            b += math.copysign(1e-15, xm)
        fb = f(b)
    for _ in range(2):
        b = b - f(b) / (p * math.exp(p * b) - 3)
    return b


@sketch(lambda n: (np.sort(uniform(n, n)), normal(n, n), 0.6), (1, 2))
def spline_natural(x, y, t):
    n = len(x) - 1
    h = np.diff(x)
    al = np.zeros(n + 1)
    for i in range(1, n):
        al[i] = 3 * (y[i + 1] - y[i]) / h[i] - 3 * (y[i] - y[i - 1]) / h[i - 1]
    l = np.ones(n + 1)
    mu = np.zeros(n + 1)
    z = np.zeros(n + 1)
    for i in range(1, n):
        l[i] = 2 * (x[i + 1] - x[i - 1]) - h[i - 1] * mu[i - 1]
        mu[i] = h[i] / l[i]
        z[i] = (al[i] - h[i - 1] * z[i - 1]) / l[i]
    c = np.zeros(n + 1)
    b = np.zeros(n)
    d = np.zeros(n)
    for j in range(n - 1, -1, -1):
        c[j] = z[j] - mu[j] * c[j + 1]
        b[j] = (y[j + 1] - y[j]) / h[j] - h[j] * (c[j + 1] + 2 * c[j]) / 3
        d[j] = (c[j + 1] - c[j]) / (3 * h[j])
    k = 0
    while k < n - 1 and t > x[k + 1]:
        k += 1
    s = t - x[k]
    return y[k] + s * (b[k] + s * (c[k] + s * d[k]))


@sketch(lambda n: (normal(n, n, n) + n * np.eye(n)[::-1], normal(n, n)))
def lu_solve_pivoting(A, b):
    A = A.copy()
    b = b.copy()
    n = A.shape[0]
    for k in range(n - 1):
        p = k + np.argmax(np.abs(A[k:, k]))
        if p != k:
            A[[k, p]] = A[[p, k]]
            b[[k, p]] = b[[p, k]]
        for i in range(k + 1, n):
            m = A[i, k] / A[k, k]
            A[i, k:] -= m * A[k, k:]
            b[i] -= m * b[k]
    x = np.zeros(n)
    for i in range(n - 1, -1, -1):
        x[i] = (b[i] - A[i, i + 1 :] @ x[i + 1 :]) / A[i, i]
    return x


@sketch(lambda n: (normal(n, n, 4),))
def qr_givens(A):
    R = A.astype(float).copy()
    m, n = R.shape
    Q = np.eye(m)
    for j in range(n):
        for i in range(m - 1, j, -1):
            a, b = R[i - 1, j], R[i, j]
            r = np.hypot(a, b)
            c, s = a / r, -b / r
            rot = np.array([[c, -s], [s, c]])
            R[i - 1 : i + 1, j:] = rot @ R[i - 1 : i + 1, j:]
            Q[:, i - 1 : i + 1] = Q[:, i - 1 : i + 1] @ rot.T
    return R[:n], np.abs(Q).sum()


@sketch(lambda n: (definite(n),))
def power_iteration_tol(A):
    v = np.ones(len(A))
    lam = 0.0
    for _k in range(300):
        w = A @ v
        new = np.linalg.norm(w)
        v = w / new
        if abs(new - lam) < 1e-13:
            break
        lam = new
    return new


@sketch(lambda n: (definite(4), n))
def jacobi_rotations(A, sweeps):
    A = A.copy()
    n = len(A)
    for _ in range(sweeps):
        for p in range(n - 1):
            for q in range(p + 1, n):
                if abs(A[p, q]) < 1e-12:
                    continue
                th = (A[q, q] - A[p, p]) / (2 * A[p, q])
                t = np.sign(th) / (abs(th) + np.sqrt(th * th + 1))
                c = 1 / np.sqrt(t * t + 1)
                s = t * c
                Ap, Aq = A[:, p].copy(), A[:, q].copy()
                A[:, p], A[:, q] = c * Ap - s * Aq, s * Ap + c * Aq
                Ap, Aq = A[p].copy(), A[q].copy()
                A[p], A[q] = c * Ap - s * Aq, s * Ap + c * Aq
    return np.sort(np.diag(A))


@sketch(lambda n: (definite(n), normal(n, n)))
def cg_while(A, b):
    x = np.zeros_like(b)
    r = b - A.dot(x)
    p = r.copy()
    rs = r.dot(r)
    it = 0
    while np.sqrt(rs) > 1e-4 and it < 4:
        Ap = A.dot(p)
        alpha = rs / p.dot(Ap)
        x += alpha * p
        r -= alpha * Ap
        rs_new = r.dot(r)
        p = r + (rs_new / rs) * p
        rs = rs_new
        it += 1
    return x


@sketch(lambda n: (normal(n, 17), 2))
def multigrid_v_cycle(f, cycles):
    def smooth(u, f, h, times):
        for _ in range(times):
            u[1:-1] = 0.5 * (u[1:-1] + 0.5 * (u[:-2] + u[2:] + h * h * f[1:-1]))
        return u

    def v_cycle(u, f, h):
        u = smooth(u, f, h, 2)
        if len(u) <= 3:
            return u
        r = np.zeros_like(u)
        r[1:-1] = f[1:-1] + (u[:-2] - 2 * u[1:-1] + u[2:]) / h**2
        coarse = r[::2].copy()
        e = v_cycle(np.zeros_like(coarse), coarse, 2 * h)
        fine = np.zeros_like(u)
        fine[::2] = e
        fine[1::2] = 0.5 * (e[:-1] + e[1:])
        return smooth(u + fine, f, h, 2)

    u = np.zeros_like(f)
    for _ in range(cycles):
        u = v_cycle(u, f, 1 / (len(f) - 1))
    return u


@sketch(lambda n: (0.7, 1.4, normal(n, n), np.log(uniform(n, n, low=0.01, high=1.0))), (0, 1))
def metropolis_normal(mu, sigma, steps, logu):
    x = 0.0
    total = 0.0
    count = 0

    def logp(y):
        return -0.5 * ((y - mu) / sigma) ** 2

    for s, lu in zip(steps, logu):
        prop = x + s
        if lu < logp(prop) - logp(x):
            x = prop
            count += 1
        total += x * mu + logp(x)
    return total / len(steps)


@sketch(lambda n: (np.array([0.0, 0.0, -3.0]), np.array([0.1, 0.2, 1.0]), 1.0))
def ray_march_sphere(origin, direction, radius):
    d = direction / np.linalg.norm(direction)
    t = 0.0
    for _step in range(64):
        p = origin + t * d
        dist = np.linalg.norm(p) - radius + 0.1 * np.sin(3 * p[0])
        if dist < 1e-10:
            break
        t += dist
        if t > 20:
            break
    return t


@sketch(lambda n: (-0.1, 0.65))
def mandelbrot_complex(cr, ci):
    c = complex(cr, ci) if not hasattr(cr, "dtype") else cr + 1j * ci
    z = 0j * c
    for n in range(60):
        z = z * z + c
        if abs(z) > 2:
            return n + 1 - np.log2(np.log(abs(z)))
    return abs(z)


@sketch(lambda n: (uniform(n, 4), uniform(n, 3)))
def julia_grid(xs, ys):
    out = np.zeros((len(ys), len(xs)))
    for i, y in enumerate(ys):
        for j, x in enumerate(xs):
            z = x + 1j * y
            k = 0
            while z.real**2 + z.imag**2 < 4 and k < 20:
                z = z * z + (-0.4 + 0.6j)
                k += 1
            out[i, j] = np.log(z.real**2 + z.imag**2)
    return out


@sketch(lambda n: (uniform(n, n), uniform(n, n), 1.3))
def fem_bar(E, area, load):
    ne = len(E)
    K = np.zeros((ne + 1, ne + 1))
    F = np.zeros(ne + 1)
    for e in range(ne):
        k = E[e] * area[e]
        ke = k * np.array([[1.0, -1.0], [-1.0, 1.0]])
        dofs = [e, e + 1]
        K[np.ix_(dofs, dofs)] += ke
        F[dofs] += load / 2
    u = np.zeros(ne + 1)
    u[1:] = np.linalg.solve(K[1:, 1:], F[1:])
    return u


@sketch(
    lambda n: (
        normal(n, 5, 2),
        np.array([[0, 1], [1, 2], [2, 3], [3, 4], [0, 2], [1, 3], [2, 4], [0, 4]]),
        uniform(n, 8),
        normal(n, 10),
    ),
    (0, 2, 3),
)
def fem_truss(nodes, elements, EA, F):
    K = 0.3 * np.eye(2 * len(nodes))
    for (i, j), ea in zip(elements, EA):
        dx = nodes[j] - nodes[i]
        L = np.sqrt(dx @ dx)
        c, s = dx / L
        T = np.array([c, s, -c, -s])
        ke = ea / L * np.outer(T, T)
        d = np.array([2 * i, 2 * i + 1, 2 * j, 2 * j + 1])
        K[np.ix_(d, d)] += ke
    return np.linalg.solve(K, F)


@sketch(
    lambda n: (
        normal(n, 5, 2),
        np.array([[0, 1], [1, 2], [2, 3], [3, 4], [0, 2], [1, 3], [2, 4], [0, 4], [0, 3], [1, 4]]),
        uniform(n, 10),
    ),
    (0, 2),
)
def assembly_double_loop(nodes, elements, k):
    n = len(nodes)
    K = np.zeros((2 * n, 2 * n))
    for e in range(len(elements)):
        a, b = elements[e]
        d = nodes[b] - nodes[a]
        l = math.hypot(d[0], d[1])
        ke = np.outer(d, d) * k[e] / l**3
        for p, P in enumerate((a, b)):
            for q, Q in enumerate((a, b)):
                sign = 1 if p == q else -1
                K[2 * P : 2 * P + 2, 2 * Q : 2 * Q + 2] += sign * ke
    return K


@sketch(lambda n: (normal(n, n, 6), normal(n, 3, 3)))
def convolve2d_valid(img, ker):
    H, W = img.shape
    kh, kw = ker.shape
    out = np.zeros((H - kh + 1, W - kw + 1))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            acc = 0.0
            for u in range(kh):
                for v in range(kw):
                    acc += img[i + u, j + v] * ker[kh - 1 - u, kw - 1 - v]
            out[i, j] = acc
    return out


@sketch(lambda n: (uniform(n, n), uniform(n, n), 5))
def soft_binning(x, w, bins):
    h = np.zeros(bins)
    width = 1.5 / bins
    for xi, wi in zip(x, w):
        p = xi / width - 0.5
        k = int(np.floor(p))
        f = p - k
        if 0 <= k < bins:
            h[k] += (1 - f) * wi
        if 0 <= k + 1 < bins:
            h[k + 1] += f * wi
    return h


@sketch(lambda n: (uniform(n, n, 2), normal(n, n), uniform(n, 2), 0.5))
def kriging(X, y, x0, ell):
    n = len(y)
    C = np.empty((n + 1, n + 1))
    c0 = np.ones(n + 1)
    for i in range(n):
        for j in range(n):
            C[i, j] = np.exp(-np.sum((X[i] - X[j]) ** 2) / (2 * ell**2))
        C[i, i] += 0.01
        c0[i] = np.exp(-((X[i] - x0) ** 2).sum() / (2 * ell**2))
    C[n, :] = C[:, n] = 1.0
    C[n, n] = 0.0
    lam = np.linalg.solve(C, c0)
    return lam[:n] @ y, c0 @ lam


@sketch(lambda n: (2.9, 0.4, n))
def lyapunov_exponent(r, x, n):
    s = 0.0
    for i in range(n + 10):
        x = r * x * (1 - x)
        if i >= 10:
            s += np.log(np.abs(r * (1 - 2 * x)))
    return s / n


@sketch(lambda n: (0.3 * normal(n, n, n), normal(n, n), 0.7))
def ising_mean_field(J, h, beta):
    J = 0.5 * (J + J.T)
    np.fill_diagonal(J, 0)
    m = np.zeros(len(h))
    for _sweep in range(40):
        old = m.copy()
        for i in range(len(h)):
            m[i] = 0.5 * m[i] + 0.5 * np.tanh(beta * (J[i] @ m / len(h) + h[i]))
        if np.max(np.abs(m - old)) < 1e-14:
            break
    return m


@sketch(lambda n: (uniform(n, n),))
def cumulative_products(p):
    surv = np.cumprod(1 - 0.3 * p)
    dens = p * np.concatenate(([1.0], surv[:-1]))
    total = 0
    run = 1.0
    for i in range(len(p)):
        run *= 1 + p[i]
        total += run * dens[i]
    return total


@sketch(lambda n: (uniform(n, n), uniform(n, n), 7), (0,))
def knapsack_soft(value, weight, cap):
    best = np.zeros(cap + 1)
    for v, w in zip(value, weight):
        for c in range(cap, 0, -1):
            k = 2 if w > 0.6 else 1
            if k <= c:
                best[c] = max(best[c], best[c - k] + v)
    return best[cap]


@sketch(lambda n: (uniform(n, n),))
def matrix_chain(d):
    n = len(d) - 1
    cost = np.zeros((n, n))
    for length in range(2, n + 1):
        for i in range(n - length + 1):
            j = i + length - 1
            cost[i, j] = np.inf
            for k in range(i, j):
                q = cost[i, k] + cost[k + 1, j] + d[i] * d[k + 1] * d[j + 1]
                if q < cost[i, j]:
                    cost[i, j] = q
    return cost[0, n - 1]


@sketch(lambda n: (normal(n, n), uniform(n, n)))
def weighted_median_sort(x, w):
    order = np.argsort(x)
    xs, ws = x[order], w[order]
    c = np.cumsum(ws)
    half = 0.5 * c[-1]
    k = 0
    while c[k] < half:
        k += 1
    return xs[k] + ws[k] * c[k]


@sketch(lambda n: (normal(n, n),))
def quicksort_lomuto(a):
    a = a.copy()
    for i in range(len(a)):
        for j in range(i + 1, len(a)):
            if a[j] < a[i]:
                a[i], a[j] = a[j], a[i]
    w = np.arange(len(a))
    return (a * w).sum()


@sketch(lambda n: (uniform(n, n), {"kind": "huber", "delta": 0.3, "scale": 2.0}), (0,))
def options_in_a_dict(x, opts):
    total = 0.0
    for v in x:
        r = opts["scale"] * (v - 0.7)
        if opts["kind"] == "huber":
            if abs(r) <= opts["delta"]:
                total += 0.5 * r * r
            else:
                total += opts["delta"] * (abs(r) - 0.5 * opts["delta"])
        elif opts["kind"] == "l2":
            total += r * r
        else:
            raise ValueError(f"unknown kind {opts['kind']!r}")
    return total


@sketch(lambda n: (uniform(n, n),))
def module_helpers(x):
    w = trapz_weights(len(x), dx=0.1)
    s = helpers.weighted(x, w, power=helpers.POWER)
    return s + helpers.Accumulator(0.5).run(x)


@sketch(lambda n: (uniform(n, n),))
def star_args(x):
    def combine(first, *rest, scale=1.0, **kw):
        out = scale * first
        for k, r in enumerate(rest):
            out = out + r ** (k + 1)
        return out * kw.get("gain", 1.0)

    head, *mid, tail = x
    y = combine(*x[:4], scale=2.0, gain=tail)
    return y + sum(mid) * head


@sketch(lambda n: (uniform(n, n), uniform(n, 3, n)))
def list_comprehensions(x, A):
    rows = [row @ x for row in A]
    pairs = [(a, b) for a in rows for b in rows if a is not b]
    d = {k: v**2 for k, v in enumerate(rows)}
    return sum(a * b for a, b in pairs) + sum(d.values()) + max([xi**2 for xi in x])


@sketch(lambda n: (uniform(n, 3, n),))
def ndindex_loop(A):
    out = np.zeros_like(A)
    for idx in np.ndindex(*A.shape):
        i, j = idx
        out[idx] = np.sin(A[idx]) * (i + 1) + (A[i, j - 1] if j else 0.0)
    return out


@sketch(lambda n: (uniform(n, 3, n),))
def ndenumerate_loop(A):
    total = 0.0
    for (i, j), v in np.ndenumerate(A):
        total += (i - j) * v**2
    return total


@sketch(lambda n: (uniform(n, n),))
def nditer_loop(x):
    total = 0.0
    for v in np.nditer(x):
        total = 0.9 * total + v * v
    return total


@sketch(lambda n: (uniform(n, n),))
def walrus(x):
    total, i = 0.0, 0
    while (i := i + 1) < len(x) and (step := x[i] - x[i - 1]) < 5:
        total += step * step
    return total


@sketch(lambda n: (uniform(n, n), "relu"), (0,))
def match_statement(x, kind):
    out = np.zeros(len(x))
    for i, v in enumerate(x):
        match kind:
            case "relu":
                out[i] = v - 0.5 if v > 0.5 else 0.0
            case "tanh":
                out[i] = np.tanh(v)
            case _:
                raise ValueError(kind)
    return out


def activation(kind, v):
    match kind:
        case "relu" | "prelu":
            return max(v, 0.1 * v)
        case ("elu", a):
            return v if v > 0 else a * (math.exp(v) - 1)
        case _:
            raise NotImplementedError(f"no {kind}")


@sketch(lambda n: (normal(n, n), 0.4))
def match_with_returns(x, a):
    s = 0.0
    for v in x:
        s += activation("relu", v) * activation(("elu", a), v)
    return s


@sketch(lambda n: (uniform(n, n),))
def try_around(x):
    try:
        table = {"a": 2.0}
        scale = table["b"]
    except KeyError:
        scale = 3.0
    finally:
        shift = 0.5
    y = np.zeros(len(x))
    for i in range(len(x)):
        y[i] = scale * x[i] ** 2 + shift
    return y


@sketch(lambda n: (normal(n, n),))
def with_errstate(x):
    y = np.empty_like(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        for i in range(len(x)):
            y[i] = np.sqrt(x[i]) if x[i] > 0 else 0.0
        z = np.where(x > 0, y / x, 0.0)
    return y + z


@sketch(lambda n: (uniform(n, n), 3.0))
def raising_fstring(x, limit):
    s = 0.0
    for i, v in enumerate(x):
        if v > limit:
            raise ValueError(f"x[{i}] = {v:.3f} exceeds {limit}")
        assert v > 0, f"negative at {i}"
        s += np.log(v) * limit
    return s


@sketch(lambda n: (uniform(n, n),))
def del_and_swap(x):
    y = x * 2
    tmp = y[0]
    y[0] = y[-1]
    y[-1] = tmp
    del tmp
    a, b, *rest = y
    (c, d), e = (a, b), rest[0]
    return c * d + e * y[1]


@sketch(lambda n: (uniform(n, n),))
def out_arguments(x):
    y = np.empty_like(x)
    z = np.zeros(len(x))
    for k in range(12):
        np.multiply(x, 0.1 * k, out=y)
        np.add(z, y, out=z)
        np.sin(z, z)
    return z


@sketch(lambda n: (uniform(n, n), np.random.default_rng(n).integers(0, 4, n)), (0,))
def scatter_add_at(x, idx):
    out = np.zeros(4)
    np.add.at(out, idx, x**2)
    for k in range(10):
        np.add.at(out, [0, 1, 1], x[:3])
        np.subtract.at(out, 2, 0.1 * x[k % len(x)])
    return out


@sketch(lambda n: (uniform(n, n),))
def strides_and_negatives(x):
    y = x.copy()
    y[::2] *= 2
    y[1::2] += y[:-1:2][: len(y[1::2])]
    y[-1] = y[-2] * y[-3]
    z = y[::-1].copy()
    z[-3:] = z[-3:][::-1]
    s = 0.0
    for i in range(-1, -len(z) - 1, -1):
        s = s * 0.5 + z[i]
    return s


@sketch(lambda n: (normal(n, n), normal(n + 1, n)))
def boolean_masks(x, y):
    out = np.zeros_like(x)
    pos = x > 0
    out[pos] = np.sqrt(x[pos])
    out[~pos] = -x[~pos] * y[~pos]
    out[(x > 0.5) & (y < 0)] += 1.0
    for k in range(10):
        m = out > 0.1 * k
        out[m] = out[m] * 0.9
    return out.sum(), (x * pos).sum()


@sketch(lambda n: (normal(n, n, n),))
def fancy_two_d(A):
    n = len(A)
    i = np.arange(n)
    d = A[i, i] + A[i, (i + 1) % n]
    B = A.copy()
    B[i, i] = d
    B[[0, 2]] = B[[2, 0]]
    r, c = np.triu_indices(n, 1)
    s = 0.0
    for k in range(len(r)):
        s += B[r[k], c[k]] ** 2
    return s, B


@sketch(lambda n: (normal(n, n, 4),))
def transposed_views(A):
    B = A.copy()
    C = B.T
    for j in range(C.shape[0]):
        C[j] = C[j] - C[j].mean()
    row = B[1]
    row[:] = row * 2
    flat = B.reshape(-1)
    flat[3] = 7 * flat[4]
    B.T[2, 2] += flat[0]
    return B


@sketch(lambda n: (normal(n, n), normal(n, n, 3)))
def newaxis_and_einsum(w, X):
    K = np.zeros((3, 3))
    for k in range(12):
        Xw = X * w[:, None]
        K += np.einsum("ni,nj->ij", Xw, X) / (k + 1)
        w = 0.9 * w
    return K


@sketch(lambda n: (normal(n, 3, n), normal(n, n, 2), 11))
def einsum_in_loop(A, B, steps):
    v = np.ones(2)
    for t in range(steps):
        u = np.einsum("ij,jk,k->i", A, B, v)
        v = np.tanh(np.einsum("jk,ij,i->k", B, A, u)) + 0.1 * t
    return v


@sketch(lambda n: (uniform(n, n), uniform(n, n)))
def masked_log_likelihood(x, p):
    ll = 0.0
    for k, (xi, pi) in enumerate(zip(x, p)):
        if k % 3 == 0:
            continue
        ll += xi * np.log(pi) - pi - math.lgamma(xi + 1)
    return ll


@sketch(lambda n: (uniform(n, n), 0.2))
def growing_list(x, a):
    path = [x[0]]
    for v in x[1:]:
        path.append(path[-1] + a * (v - path[-1]))
    path = np.array(path)
    return path.max() + path @ x


@sketch(lambda n: (uniform(n, n), 0.2))
def list_as_stack(x, a):
    y = [0.0] * len(x)
    for i in range(1, len(x)):
        y[i] = a * y[i - 1] + x[i] ** 2
    return np.sum(np.array(y))


@sketch(lambda n: (uniform(n, n), 0.5))
def accumulate_reduce(x, a):
    ys = list(accumulate(x, lambda s, v: a * s + v))
    return reduce(lambda p, q: p * 0.9 + q, ys) + math.fsum(ys) + math.prod(ys[:3])


class Layer:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def __call__(self, h):
        return np.tanh(self.W @ h + self.b)


@sketch(lambda n: (normal(n, n), 0.3 * normal(n, 4, n), 0.3 * normal(n + 1, 2, 4)))
def small_network_of_objects(x, W1, W2):
    layers = [Layer(W1, np.zeros(4)), Layer(W2, 0.1)]
    for layer in layers:
        x = layer(x)
    return x


class State(NamedTuple):
    S: float
    I: float
    R: float


@sketch(lambda n: (0.4, 0.1, 20 + n))
def sir_named_tuple(beta, gamma, days):
    s = State(0.99, 0.01, 0.0)
    peak = 0.0
    for _day in range(days):
        new = beta * s.S * s.I
        rec = gamma * s.I
        s = State(s.S - new, s.I + new - rec, s.R + rec)
        peak = max(peak, s.I)
    return peak, s.R


@sketch(lambda n: (0.4, 0.1, 20 + n))
def sir_in_a_dict(beta, gamma, days):
    s = {"S": 0.99, "I": 0.01, "R": 0.0}
    history = {k: np.zeros(days) for k in s}
    for day in range(days):
        new = beta * s["S"] * s["I"]
        rec = gamma * s["I"]
        s["S"] -= new
        s["I"] += new - rec
        s["R"] += rec
        for k, v in s.items():
            history[k][day] = v
    return history["I"].max() + history["R"][-1]


@sketch(lambda n: (uniform(n, n, 3), uniform(n, 3)))
def pairwise_distances_loops(X, scale):
    n, d = X.shape
    D = np.zeros((n, n))
    for i in range(n):
        for j in range(i):
            s = 0.0
            for k in range(d):
                s += scale[k] * (X[i, k] - X[j, k]) ** 2
            D[i, j] = D[j, i] = math.sqrt(s)
    return D


@sketch(lambda n: (normal(n, n), uniform(n, 3)))
def savgol_like(y, w):
    half = len(w) // 2
    out = np.zeros_like(y)
    n = len(y)
    for i in range(n):
        for k in range(-half, half + 1):
            j = min(max(i + k, 0), n - 1)
            out[i] += w[k + half] * y[j]
    return out


@sketch(lambda n: (uniform(n, n, 6), 0.2, 5))
def reaction_diffusion(U, D, steps):
    V = np.ones_like(U) * 0.5
    for _ in range(steps):

        def lap(Z):
            return (
                np.roll(Z, 1, 0) + np.roll(Z, -1, 0) + np.roll(Z, 1, 1) + np.roll(Z, -1, 1) - 4 * Z
            )

        uvv = U * V**2
        U, V = (
            U + 0.1 * (D * lap(U) - uvv + 0.04 * (1 - U)),
            V + 0.1 * (0.5 * D * lap(V) + uvv - 0.1 * V),
        )
    return U.sum(), V.mean()


@sketch(lambda n: (uniform(n, n), 0.8, 12))
def weno_flux(u, c, steps):
    n = len(u)
    for _ in range(steps):
        f = np.zeros(n)
        for i in range(n):
            um, u0, up = u[(i - 1) % n], u[i], u[(i + 1) % n]
            b0, b1 = (u0 - um) ** 2, (up - u0) ** 2
            a0, a1 = (1 / 3) / (1e-6 + b0) ** 2, (2 / 3) / (1e-6 + b1) ** 2
            f[i] = (a0 * (-0.5 * um + 1.5 * u0) + a1 * 0.5 * (u0 + up)) / (a0 + a1)
        u = u - 0.01 * c * (f - np.roll(f, 1))
    return u


@sketch(lambda n: (uniform(n, n), 1.1))
def shooting_method(load, EI):
    def integrate(slope):
        y, v = 0.0, slope
        h = 1 / len(load)
        for q in load:
            y, v = y + h * v, v + h * q / EI
        return y

    s0, s1 = -1.0, 1.0
    f0, f1 = integrate(s0), integrate(s1)
    return s0 - f0 * (s1 - s0) / (f1 - f0)


@sketch(lambda n: (normal(n, n), normal(n, n), 0.01))
def gradient_descent_nested(x, y, lr):
    a = b = 0.0
    for _epoch in range(25):
        ga = gb = 0.0
        for xi, yi in zip(x, y):
            e = a * xi + b - yi
            ga += 2 * e * xi
            gb += 2 * e
        a -= lr * ga
        b -= lr * gb
    return np.array([a, b])


@sketch(lambda n: (uniform(n, n, 2), uniform(n, 2), n))
def newton_system(P, x, iters):
    for _it in range(iters):
        F = np.array([x[0] ** 2 + x[1] - 3 - 0.1 * P[0, 0], x[0] - x[1] ** 3 + 0.1 * P[1, 1]])
        J = np.array([[2 * x[0], 1.0], [1.0, -3 * x[1] ** 2]])
        J += 0.0 * np.eye(2)
        dx = np.linalg.solve(J, -F)
        x = x + dx
        if np.linalg.norm(dx) < 1e-12:
            break
    return x


@sketch(lambda n: (normal(n, 3), normal(n, 3, 3), 0.3))
def matrix_exponential_taylor(x, A, t):
    E = np.eye(3)
    term = np.eye(3)
    k = 1
    while np.abs(term).max() > 1e-15 and k < 60:
        term = term @ (t * A) / k
        E = E + term
        k += 1
    return E @ x


@sketch(lambda n: (uniform(n, 4), n))
def quaternion_integration(q, steps):
    q = q / np.sqrt((q**2).sum())
    w = np.array([0.1, 0.2, -0.3])
    for _ in range(steps):
        a, b, c, d = q
        p, r, s = w
        dq = 0.5 * np.array(
            [
                -b * p - c * r - d * s,
                a * p + c * s - d * r,
                a * r - b * s + d * p,
                a * s + b * r - c * p,
            ]
        )
        q = q + 0.05 * dq
        q /= np.linalg.norm(q)
    return q


@sketch(lambda n: (uniform(n, n), 2.0, 0.5))
def event_bounce(v0s, h0, e):
    total = 0.0
    for v in v0s:
        h, t = h0, 0.0
        bounces = 0
        while bounces < 3:
            tb = (v + math.sqrt(v * v + 2 * 9.81 * h)) / 9.81
            v = e * (9.81 * tb - v)
            h = 0.0
            t += tb
            bounces += 1
        total += t
    return total


@sketch(lambda n: (uniform(n, n),))
def sum_of_generator_and_any(x):
    if any(v < 0 for v in x):
        return 0.0
    return sum(v * v for v in x if v > 0.5) + min(x) * max(x)


@sketch(lambda n: (uniform(n, n, 2),))
def polygon_area_perimeter(P):
    area = per = 0.0
    for (x1, y1), (x2, y2) in zip(P, np.roll(P, -1, axis=0)):
        area += x1 * y2 - x2 * y1
        per += math.dist((x1, y1), (x2, y2)) if False else math.hypot(x2 - x1, y2 - y1)
    return abs(area) / 2 + per


@sketch(lambda n: (normal(n, n), 5))
def lanczos_like(x, m):
    n = len(x)

    def A(v):
        return 2 * v - np.concatenate((v[1:], [0.0])) - np.concatenate(([0.0], v[:-1]))

    V = np.zeros((m + 1, n))
    alpha = np.zeros(m)
    beta = np.zeros(m + 1)
    V[0] = x / np.linalg.norm(x)
    for j in range(min(m, n - 1)):
        w = A(V[j])
        if j > 0:
            w = w - beta[j] * V[j - 1]
        alpha[j] = w @ V[j]
        w -= alpha[j] * V[j]
        beta[j + 1] = np.sqrt(w @ w)
        V[j + 1] = w / beta[j + 1]
    return alpha


@sketch(lambda n: (normal(n, n + 2), 2))
def arnoldi_gmres(b, m):
    n = len(b)
    A = np.diag(np.arange(1.0, n + 1)) + 0.1
    Q = np.zeros((n, m + 1))
    H = np.zeros((m + 1, m))
    beta = np.linalg.norm(b)
    Q[:, 0] = b / beta
    for k in range(m):
        v = A @ Q[:, k]
        for j in range(k + 1):
            H[j, k] = Q[:, j] @ v
            v = v - H[j, k] * Q[:, j]
        H[k + 1, k] = np.linalg.norm(v)
        Q[:, k + 1] = v / H[k + 1, k]
    y = np.linalg.lstsq(H, beta * np.eye(m + 1)[:, 0], rcond=None)[0]
    return Q[:, :m] @ y


@sketch(lambda n: (uniform(n, n), 0.9))
def td_lambda(r, g):
    returns = np.zeros(len(r))
    acc = 0.0
    for t in reversed(range(len(r))):
        acc = r[t] + g * acc
        returns[t] = acc
    adv = (returns - returns.mean()) / (returns.std() + 1e-8)
    return adv, returns[0]


@sketch(lambda n: (uniform(n, n), 0.5))
def default_arguments(x, a, rule=math.sin, order=2, *, eps=1e-3):
    s = 0.0
    for i in range(len(x)):
        s += rule(a * x[i]) ** order + eps * i
    return s


@sketch(lambda n: (uniform(n, n),))
def deque_window(x):
    window = deque(maxlen=3)
    out = []
    for v in x:
        window.append(v)
        out.append(sum(window) / len(window))
    return np.array(out)


@sketch(lambda n: (uniform(n, n, n), 0))
def game_of_life_soft(A, steps):
    B = np.zeros_like(A)
    n, m = A.shape
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            s = 0.0
            for di in (-1, 0, 1):
                for dj in (-1, 0, 1):
                    if di or dj:
                        s += A[i + di, j + dj]
            B[i, j] = 1 / (1 + math.exp(-(s - 2.5)))
    return B


@sketch(lambda n: (uniform(n, n), uniform(n, n, n)))
def while_not_converged_flag(b, A):
    A = A + len(b) * np.eye(len(b))
    x = np.zeros(len(b))
    converged = False
    it = 0
    while not converged:
        new = x.copy()
        for i in range(len(b)):
            sigma = np.dot(A[i, :i], new[:i]) + np.dot(A[i, i + 1 :], x[i + 1 :])
            new[i] = (b[i] - sigma) / A[i, i]
        converged = np.allclose(new, x, rtol=1e-13)
        x = new
        it += 1
        if it > 100:
            break
    return x


@sketch(lambda n: (uniform(n, 5), 30))
def hodgkin_huxley(p, steps):
    gna, gk, gl, I, C = 100 * p[0], 30 * p[1], 0.3 * p[2], 8 * p[3], 1 + p[4]
    V, m, h, n = -65.0, 0.05, 0.6, 0.32
    dt = 0.01
    trace = np.empty(steps)
    for t in range(steps):
        am = 0.1 * (V + 40) / (1 - np.exp(-(V + 40) / 10))
        bm = 4 * np.exp(-(V + 65) / 18)
        ah = 0.07 * np.exp(-(V + 65) / 20)
        bh = 1 / (1 + np.exp(-(V + 35) / 10))
        an = 0.01 * (V + 55) / (1 - np.exp(-(V + 55) / 10))
        bn = 0.125 * np.exp(-(V + 65) / 80)
        m += dt * (am * (1 - m) - bm * m)
        h += dt * (ah * (1 - h) - bh * h)
        n += dt * (an * (1 - n) - bn * n)
        V += dt / C * (I - gna * m**3 * h * (V - 50) - gk * n**4 * (V + 77) - gl * (V + 54.4))
        trace[t] = V
    return trace


@sketch(lambda n: (normal(n, 4, n), 0.5))
def power_spectrum_dft(x, dt):
    m, n = x.shape
    out = np.zeros((m, n // 2 + 1))
    for r, row in enumerate(x):
        for k in range(n // 2 + 1):
            re = im = 0.0
            for t in range(n):
                re += row[t] * np.cos(2 * np.pi * k * t / n)
                im -= row[t] * np.sin(2 * np.pi * k * t / n)
            out[r, k] = dt * (re * re + im * im)
    return out
