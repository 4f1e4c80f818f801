"""Matrix products by tiles: any shape, lying any way round, and loops that go on from a tile."""

import platform

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import litad.products as products
import litad.regions  # noqa: F401
import litad.threads
from litad import compile_aot, f32, jit, value_and_grad
from litad.control import scan
from litad.engine import available, emit
from litad.loops import linked, lower, run
from litad.products import Gemm, Tiled, Updated
from litad.program import trace

pytestmark = pytest.mark.skipif(not available(), reason="machine code needs llvmlite")

DTYPES = ["float64", "float32"]
TOLERANCE = {"float64": 1e-13, "float32": 2e-5}
LENGTHS = st.one_of(st.integers(2, 70), st.sampled_from([97, 128, 131, 200]))


def numbers(shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def native(f, *args, kind=None, **how):
    "The results of a function by machine code, and its steps."
    kernel = lower(trace(f, *args), **how)
    if kind:
        assert [type(s) for s in kernel.steps].count(kind) == 1, kernel.steps
    return run(kernel, *args)


def check(found, wanted, dtype, length=1):
    wanted = np.asarray(wanted)
    assert found.shape == wanted.shape and found.dtype == wanted.dtype
    scale = np.max(np.abs(wanted), initial=1e-30)
    assert np.max(np.abs(found - wanted), initial=0) <= TOLERANCE[dtype] * scale * (1 + length / 50)


@settings(max_examples=50, deadline=None)
@given(
    m=LENGTHS,
    n=LENGTHS,
    k=st.one_of(st.integers(1, 70), st.sampled_from([127, 300])),
    dtype=st.sampled_from(DTYPES),
    left=st.booleans(),
    right=st.booleans(),
    bits=st.sampled_from([0, 0, 256, 128]),
)
def test_every_shape_lying_any_way_round(m, n, k, dtype, left, right, bits):
    a = numbers((k, m) if left else (m, k), dtype)
    b = numbers((n, k) if right else (k, n), dtype, 1)
    f = lambda a, b: (a.T if left else a) @ (b.T if right else b)  # noqa: E731
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "LARGE", 0)
        patch.setattr(products, "EACH", 0)
        patch.setattr(products, "HUGE", dict.fromkeys(products.HUGE, 1 << 30))
        few = m * n <= 16 and k <= 64
        (found,) = native(f, a, b, kind=None if few else Tiled, bits=bits)
    check(found, f(a, b), dtype, k)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "m, n, k", [(1, 50, 600), (50, 1, 600), (7, 7, 0), (0, 9, 9), (33, 1000, 2), (2, 3, 9000)]
)
def test_thin_shapes(m, n, k, dtype):
    a, b = numbers((m, k), dtype), numbers((k, n), dtype, 1)
    (found,) = native(lambda a, b: a @ b, a, b)
    check(found, a @ b, dtype, k)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shapes",
    [
        ((5, 20, 30), (5, 30, 40)),
        ((5, 20, 30), (30, 40)),
        ((20, 30), (5, 30, 40)),
        ((2, 1, 20, 30), (1, 3, 30, 24)),
        ((4, 20, 30), (30,)),
        ((30,), (4, 30, 20)),
        ((3, 17, 300), (3, 300, 18)),
    ],
)
def test_batches(shapes, dtype):
    a, b = numbers(shapes[0], dtype), numbers(shapes[1], dtype, 1)
    (found,) = native(lambda a, b: a @ b, a, b)
    check(found, a @ b, dtype, shapes[0][-1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_heads_of_attention_are_views(dtype):
    q, k = numbers((2, 24, 3, 16), dtype), numbers((2, 24, 3, 16), dtype, 1)
    f = lambda q, k: q.transpose(0, 2, 1, 3) @ k.transpose(0, 2, 3, 1)  # noqa: E731
    (found,) = native(f, q, k, kind=Tiled)
    check(found, f(q, k), dtype, 16)


def test_a_matrix_for_a_whole_batch_and_a_column_for_all():
    a, b = numbers((40, 50), "float64"), numbers((50, 1), "float64", 1)
    f = lambda a, b: a @ np.broadcast_to(b, (50, 30))  # noqa: E731
    check(native(f, a, b)[0], f(a, b), "float64")
    g = lambda a, b: np.broadcast_to(a, (3, 40, 50)) @ np.ones((3, 50, 20)) * b[0]  # noqa: E731
    check(native(g, a, b)[0], g(a, b), "float64")


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_and_infinity_stay_where_they_belong(dtype):
    for place, value in [((3, 5), np.nan), ((39, 0), np.inf), ((0, 40), -np.inf)]:
        for side in (0, 1):
            given = [numbers((40, 41), dtype), numbers((41, 43), dtype, 1)]
            given[side][place if side == 0 else place[::-1]] = value
            for f in (lambda a, b: a @ b, lambda a, b: (b.T @ a.T).T):
                (found,) = native(f, *given)
                with np.errstate(invalid="ignore"):
                    wanted = given[0] @ given[1]
                assert np.array_equal(np.isnan(found), np.isnan(wanted))
                assert np.array_equal(np.isposinf(found), np.isposinf(wanted))
                fine = np.isfinite(wanted)
                assert np.allclose(found[fine], wanted[fine], rtol=1e-4, atol=1e-4)


def test_zero_times_infinity_is_nan():
    a, b = np.zeros((40, 40)), np.full((40, 40), np.inf)
    assert np.isnan(native(lambda a, b: a @ b, a, b)[0]).all()


# ------------------------------------------------------------------ what asks for a product


def sgd(w, x, d):
    return w - 0.01 * (x.T @ d)


@settings(max_examples=15, deadline=None)
@given(
    m=st.integers(40, 150),
    n=st.integers(40, 90),
    k=st.integers(2, 40),
    dtype=st.sampled_from(DTYPES),
)
def test_an_update_in_place(m, n, k, dtype):
    w, x, d = numbers((m, n), dtype), numbers((k, m), dtype, 1), numbers((k, n), dtype, 2)
    fused = m * n * np.dtype(dtype).itemsize >= products.WORTH and m * n * k >= products.LARGE
    kernel = lower(trace(sgd, w, x, d), donate={0: 0})
    assert kernel.donated == {0: 0}
    assert any(type(s) is Updated for s in kernel.steps) == fused
    if fused:
        assert kernel.arena < w.nbytes
    (found,) = run(kernel, w, x, d)
    check(found, sgd(w, x, d), dtype, k)


@pytest.mark.parametrize(
    "f",
    [
        lambda w, x: w - x.T @ x @ w,
        lambda w, x: (x.T @ x) + w.T,
        lambda w, x: (x.T @ x) * (x.T @ x),
        lambda w, x: (x.T @ x)[::-1] - w,
        lambda w, x: (lambda p: (w - p, p + 1))(x.T @ x),
        lambda w, x: (lambda p: (w - p, np.sum(p)))(x.T @ x),
        lambda w, x: w - (w @ w),
        lambda w, x: np.where(w > 0, x.T @ x, w),
        lambda w, x: np.maximum(x.T @ x + w[0], 0) > 1,
        lambda w, x: w - (x.T @ x) * np.sum(w),
        lambda w, x: w - (x.T @ x) / np.max(np.abs(x.T @ x)),
        lambda w, x: np.concatenate([x.T @ x, w]),
        lambda w, x: np.exp(x.T @ x / 1000) + w,
    ],
)
def test_whoever_asks_gets_the_same(f):
    w, x = numbers((80, 80), "float64"), numbers((30, 80), "float64", 1)
    program = trace(f, w, x)
    shape = getattr(program.outputs[0], "shape", ())
    for donate in ({}, {0: 0} if shape == w.shape and program.outputs[0].dtype == w.dtype else {}):
        found = run(lower(program, donate=donate), w.copy(), x)
        wanted = f(w, x)
        for y, z in zip(found, wanted if isinstance(wanted, tuple) else [wanted]):
            assert np.allclose(y, z, rtol=1e-11, atol=1e-11)


def test_a_factor_that_is_written_over_is_read_before():
    def f(w, x):
        p = w.T @ x
        return w * 2, x - p

    def g(w, x):
        v = w - 0.1 * (x.T @ x)
        return v, x - x @ v

    for h in (f, g):
        w, x = numbers((80, 80), "float64"), numbers((80, 80), "float64", 1)
        wanted = h(w.copy(), x.copy())
        for pairs in ({0: 0}, {1: 1}, {0: 0, 1: 1}, {0: 1, 1: 0}):
            found = run(lower(trace(h, w, x), donate=pairs), w, x)
            for y, z in zip(found, wanted):
                assert np.allclose(y, z)


def test_training_in_place_goes_down():
    x, y = numbers((64, 50), "float32"), numbers((64, 20), "float32", 1)
    loss = lambda p: np.mean((np.maximum(x @ p[0], 0) @ p[1] - y) ** 2)  # noqa: E731

    def step(p):
        value, g = value_and_grad(loss)(p)
        return [w - np.float32(0.1) * d for w, d in zip(p, g)], value

    fast = jit(step, donate_argnums=0)
    p = [numbers((50, 90), "float32", 2) / 7, numbers((90, 20), "float32", 3) / 9]
    q, values = [w.copy() for w in p], []
    for _ in range(20):
        q, wanted = step(q)
        p, value = fast(p)
        values.append(float(value))
        assert np.isclose(value, wanted, rtol=1e-4)
    assert values[-1] < values[0] and all(np.allclose(a, b, atol=1e-4) for a, b in zip(p, q))


def test_inside_of_a_scan():
    ws, h = numbers((6, 40, 40), "float64") / 7, numbers((30, 40), "float64", 1)
    f = lambda ws, h: scan(lambda h, w: (np.tanh(h @ w), np.sum(h)), h, ws)  # noqa: E731
    for y, z in zip(run(lower(trace(f, ws, h)), ws, h), f(ws, h)):
        assert np.allclose(y, z)


# ------------------------------------------------------------------ which way, and for whom


def test_the_huge_go_to_blas(monkeypatch):
    a = numbers((60, 60), "float64")
    assert "dgemm_" not in lower(trace(lambda a: a @ a, a)).text
    monkeypatch.setattr(products, "HUGE", dict.fromkeys(products.HUGE, 1000))
    ways = [lambda a, b: a @ b, lambda a, b: a.T @ b, lambda a, b: b @ a.T, lambda a, b: a.T @ b.T]
    for f in [*ways, lambda a, b: np.broadcast_to(a[0], (60, 60)) @ b]:
        b = numbers((60, 60), "float64", 1)
        (found,) = native(f, a, b, kind=Gemm)
        check(found, f(a, b), "float64")


@pytest.mark.parametrize("dtype", ["int64", "bool", "complex128"])
def test_other_numbers_are_left_alone(dtype):
    a = (numbers((40, 40), "float64") * 3).astype(dtype)
    assert np.array_equal(jit(lambda a: a @ a)(a), a @ a) or dtype == "complex128"


def test_two_precisions_are_left_alone():
    a, b = numbers((40, 40), "float64"), numbers((40, 40), "float32", 1)
    assert np.allclose(jit(lambda a, b: a @ b)(a, b), a @ b)


def test_the_same_bits_whoever_helps(monkeypatch):
    monkeypatch.setattr(litad.threads, "_helpers", litad.threads.Helpers())
    a, b = numbers((300, 170), "float32"), numbers((170, 200), "float32", 1)
    f = lambda a, b: np.tanh(a @ b) @ b.T  # noqa: E731
    found = [jit(f, threads=n)(a, b).tobytes() for n in (1, 2, 1, 3)]
    assert len(set(found)) == 1


@pytest.mark.parametrize("bits, register", [(256, "ymm"), (128, "xmm")])
def test_a_tile_fits_the_registers_it_is_for(bits, register):
    kernel = lower(trace(lambda a, b: a @ b, *[np.ones((64, 64))] * 2), bits=bits)
    assert f"<{bits // 64} x double>" in kernel.text and "<8 x double>" not in kernel.text
    assert emit(linked(kernel))[1] == []


@pytest.mark.parametrize("target", ["native", "x86-64-v3", "x86-64"])
def test_ahead_of_time_without_blas(target):
    if target != "native" and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("a target of another architecture")
    w, x, d = [numbers(s, "float32", k) for k, s in enumerate([(80, 70), (32, 80), (32, 70)])]
    step = compile_aot(sgd, f32[80, 70], f32[32, 80], f32[32, 70], target=target)
    assert np.allclose(step(w, x, d), sgd(w, x, d), rtol=1e-4, atol=1e-5)
    assert "BLAS" not in step.c_header()
