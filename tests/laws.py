"""The laws of derivatives as checks, and the points at which functions are checked."""

from __future__ import annotations

import numpy as np

from litad import jacfwd, jacrev, jvp, vjp

X = np.random.default_rng(3).uniform(0.2, 1.8, (3, 4))
V = np.random.default_rng(4).uniform(0.2, 1.8, 4)
C = np.random.default_rng(5).uniform(0.2, 1.8, (2, 4, 3))


def difference(f, primals, tangents, h=1e-6):
    "The central difference of f along a direction."
    there = f(*[x + h * t for x, t in zip(primals, tangents)])
    back = f(*[x - h * t for x, t in zip(primals, tangents)])
    return (there - back) / (2 * h)


def close(a, b, rtol):
    "Whether results agree in shape, and in value relative to the largest element or 1."
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return False
    return bool(np.all(np.abs(a - b) <= rtol * max(1.0, np.max(np.abs(b), initial=0.0))))


def directions(rng, xs):
    return [np.asarray(rng.standard_normal(np.shape(x)), x.dtype) for x in xs]


def check_first(f, xs, rng, rtol=1e-6):
    "Forward = central difference; <w, Jv> = <J'w, v>; values, shapes as NumPy's own."
    plain, v = f(*xs), directions(rng, xs)
    value, pushed = jvp(f, tuple(xs), tuple(v))
    again, pullback = vjp(f, *xs)
    assert close(value, plain, 1e-14) and close(again, plain, 1e-14)
    assert np.shape(pushed) == np.shape(plain)
    assert close(pushed, difference(f, xs, v), rtol), "forward is not the difference quotient"
    w = np.asarray(rng.standard_normal(np.shape(plain)))
    pulled = pullback(w)
    assert [np.shape(g) for g in pulled] == [np.shape(x) for x in xs]
    assert close(np.sum(w * pushed), sum(np.sum(g * t) for g, t in zip(pulled, v)), 1e-11)


def seconds(f, xs, v, w):
    "The second derivative along v twice, weighted with w, by all four nestings of the modes."
    push = lambda g: lambda *ys: jvp(g, ys, tuple(v))[1]  # noqa: E731

    def pull(g, weight):
        def along(*ys):
            return sum(np.sum(c * t) for c, t in zip(vjp(g, *ys)[1](weight), v))

        return along

    one = np.ones(())
    return [
        np.sum(w * push(push(f))(*xs)),
        np.sum(push(pull(f, w))(*xs)),
        pull(pull(f, w), one)(*xs),
        pull(push(f), w)(*xs),
    ]


def check_second(f, xs, rng, agree=1e-10, rtol=1e-6):
    "All four nestings of two modes agree, and with a difference of first derivatives."
    v = directions(rng, xs)
    w = np.asarray(rng.standard_normal(np.shape(f(*xs))))
    ways = seconds(f, xs, v, w)
    first = lambda *ys: np.sum(w * jvp(f, ys, tuple(v))[1])  # noqa: E731
    for way in ways:
        assert close(way, ways[0], agree)
    assert close(ways[0], difference(first, xs, v), rtol)


def check_linear(f, xs, rng, rtol=1e-10):
    "The pullback is linear in the cotangent, the pushforward in the tangent; both keep zero."
    y, pullback = vjp(f, *xs)
    a, b = (np.asarray(rng.standard_normal(np.shape(y)))[()] for _ in range(2))
    both = zip(pullback(2 * a - 3 * b), pullback(a), pullback(b), pullback(0 * a))
    for whole, one, two, none in both:
        assert close(whole, 2 * one - 3 * two, rtol) and not np.any(none)
    s, t = directions(rng, xs), directions(rng, xs)
    push = lambda d: jvp(f, tuple(xs), tuple(d))[1]  # noqa: E731
    mixed = push([np.asarray(2 * p - 3 * q)[()] for p, q in zip(s, t)])
    assert close(mixed, 2 * push(s) - 3 * push(t), rtol)


def check_lanes(f, xs, chunks, rtol):
    "Directions side by side give what they give one at a time, forwards and backwards."
    both = tuple(range(len(xs)))
    single = jacfwd(f, both, chunk=1)(*xs)
    for way, chunk in chunks:
        for block, reference in zip(way(f, both, chunk=chunk)(*xs), single):
            assert close(block, reference, rtol), (way, chunk)


def check_single(call):
    "Single precision in, NumPy's own dtype out."
    x, v = X.astype(np.float32), V.astype(np.float32)
    plain = np.asarray(call(x, v))
    f = lambda a, b: call(a, b) + 0 * np.sum(a) * np.sum(b)  # noqa: E731
    value, pushed = jvp(f, (x, v), (x, v))
    again, pullback = vjp(f, x, v)
    assert value.dtype == again.dtype == pushed.dtype == plain.dtype
    pulled = pullback(np.ones(plain.shape, plain.dtype))
    assert [g.dtype for g in pulled] == [np.float32, np.float32]


CHUNKS = [(jacfwd, 3), (jacfwd, 100), (jacrev, 1), (jacrev, 4)]
