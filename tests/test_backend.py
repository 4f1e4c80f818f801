"""Derivatives over arrays of other libraries, and the decorator of a namespace."""

import importlib

import numpy as np
import pytest

from litad import (
    grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    linearize,
    nn,
    value_and_grad,
    vjp,
)
from litad.record import Var

STRICT = pytest.importorskip("array_api_strict")


def library(name):
    """How a test makes an array of a library and reads it again, or a reason to skip."""
    if name == "strict":
        return STRICT.asarray
    if name == "torch":
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        return lambda x: torch.tensor(x)
    if name == "jax":
        jax = pytest.importorskip("jax", reason="JAX is not installed")
        jax.config.update("jax_enable_x64", True)
        return importlib.import_module("jax.numpy").asarray
    da = importlib.import_module("dask.array")
    return lambda x: da.from_array(x, chunks=2)


NAMES = ("strict", "dask", "torch", "jax")


@pytest.fixture(params=NAMES, scope="module")
def to(request):
    return library(request.param)


A = np.array([[0.3, 0.7, 0.2, 0.9], [0.55, 0.1, 0.8, 0.4], [0.65, 0.35, 0.15, 0.75]])
B = np.array([[0.45, 0.25, 0.85, 0.5], [0.95, 0.6, 0.05, 0.33], [0.12, 0.22, 0.42, 0.62]])
S = A @ A.T + np.eye(3)
IDS = np.array([2, 0, 2])

ELEMENTWISE = {
    name: getattr(np, name)
    for name in (
        "exp exp2 expm1 log log2 log10 log1p sqrt cbrt square reciprocal sin cos tan "
        "arcsin arccos arctan sinh cosh "
        "tanh arcsinh arctanh negative positive absolute fabs degrees radians sign "
        "floor ceil trunc rint sinc i0 "
    ).split()
}
ELEMENTWISE |= {"arccosh": lambda x: np.arccosh(1 + x), "round": lambda x: x * np.round(x, 1)}
PAIRS = {
    name: getattr(np, name)
    for name in (
        "add subtract multiply divide power float_power remainder fmod floor_divide "
        "maximum minimum fmax fmin hypot "
        "arctan2 logaddexp logaddexp2 copysign nextafter heaviside"
    ).split()
}
SHAPES = {
    "reshape": lambda x: np.reshape(x, (2, 6)),
    "transpose": lambda x: x.T * np.arange(3.0),
    "moveaxis": lambda x: np.moveaxis(x[None], 0, 2),
    "broadcast_to": lambda x: np.broadcast_to(x[:, None], (3, 2, 4)),
    "squeeze": lambda x: np.squeeze(x[None]) * 2.0,
    "concatenate": lambda x: np.concatenate([x, 2 * x], 1),
    "stack": lambda x: np.stack([x, x * x], 1),
    "roll": lambda x: np.roll(x, 2, 1) * B,
    "flip": lambda x: np.flip(x, 0) * B,
    "tile": lambda x: np.tile(x, (2, 1)) * np.arange(6.0)[:, None],
    "repeat": lambda x: np.repeat(x, 2, 0) * np.arange(6.0)[:, None],
    "pad": lambda x: np.pad(x, 1) ** 2,
    "integer": lambda x: x[1] * x[-1],
    "slice": lambda x: x[1:, ::2] ** 2,
    "backwards": lambda x: x[::-1, 3:0:-2] * np.arange(6.0).reshape(3, 2),
    "none": lambda x: x[:, None] * x[None],
    "ellipsis": lambda x: x[..., 1] ** 3,
    "take": lambda x: np.take(x, IDS, 0) * np.arange(1.0, 4.0)[:, None],
    "take_along_axis": lambda x: np.take_along_axis(x, IDS[:, None], 1) ** 2,
    "pairs": lambda x: x[IDS, [0, 1, 3]] ** 2,
    "put": lambda x: _stored(x),
    "where": lambda x: np.where(x > 0.5, x * x, 3 * x),
    "clip": lambda x: np.clip(x, 0.2, 0.7) * x,
    "split": lambda x: np.split(x, 2, 1)[1] ** 2,
    "diagonal": lambda x: np.diagonal(x, 1) ** 2,
    "diag": lambda x: np.diag(x[0]) @ np.diag(x[0]),
    "tril": lambda x: np.tril(x) ** 2,
}
REDUCTIONS = {
    "sum": lambda x: np.sum(x, 0) ** 2,
    "sum keepdims": lambda x: np.sum(x, axis=(0, 1), keepdims=True) * x,
    "mean": lambda x: np.mean(x, -1) ** 3,
    "var": lambda x: np.var(x, 1, ddof=1),
    "std": lambda x: np.std(x),
    "max": lambda x: np.max(x, 1) ** 2,
    "min": lambda x: np.min(x) * x,
    "prod": lambda x: np.prod(x, (0, 1)),
    "cumsum": lambda x: np.cumsum(x, 1) ** 2,
    "cumprod": lambda x: np.cumprod(x, 1),
    "logaddexp.reduce": lambda x: np.logaddexp.reduce(x, axis=1),
    "norm": lambda x: np.linalg.norm(x, axis=1),
    "softmax": lambda x: nn.softmax(x) ** 2,
    "log_softmax": lambda x: nn.log_softmax(x) * B,
    "logsumexp": lambda x: np.log(np.sum(np.exp(x), axis=1)),
}
LINEAR = {
    "matmul": lambda x: x @ x.T,
    "matvec": lambda x: x @ x[0],
    "inner": lambda x: np.inner(x, x),
    "tensordot": lambda x: np.tensordot(x, x, ([1], [1])),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, x * x),
    "outer": lambda x: np.outer(x[0], x[1]),
    "inv": lambda x: np.linalg.inv(x @ x.T + np.eye(3)),
    "solve": lambda x: np.linalg.solve(x @ x.T + np.eye(3), x),
    "det": lambda x: np.linalg.det(x @ x.T + np.eye(3)),
    "slogdet": lambda x: np.linalg.slogdet(x @ x.T + np.eye(3))[1],
    "trace": lambda x: np.trace(x @ x.T),
    "cholesky": lambda x: np.linalg.cholesky(x @ x.T + np.eye(3)),
    "fft": lambda x: np.abs(np.fft.fft(x)) ** 2,
    "rfft": lambda x: np.abs(np.fft.rfft(x, axis=0)) ** 2,
    "irfft": lambda x: np.fft.irfft(x + 1j * x * x, n=5),
}
EAGER_ONLY = {
    "eigh": lambda x: np.linalg.eigh(x @ x.T + np.diag(np.arange(3.0)))[0],
    "svdvals": lambda x: np.linalg.svdvals(x),
    "qr": lambda x: np.linalg.qr(x.T)[1] ** 2,
    "pinv": lambda x: np.linalg.pinv(x) * x.T,
    "sort": lambda x: np.sort(x, 1) * np.arange(4.0),
    "median": lambda x: np.median(x, 1) ** 2,
    "mask": lambda x: x[A > 0.4] ** 2,
}
NETWORK = {
    "relu": nn.relu,
    "leaky_relu": nn.leaky_relu,
    "sigmoid": nn.sigmoid,
    "softplus": nn.softplus,
    "silu": nn.silu,
    "gelu": nn.gelu,
    "rsqrt": lambda x: nn.rsqrt(x),
    "cross_entropy": lambda x: nn.cross_entropy(x, IDS),
    "softmax_cross_entropy": lambda x: nn.softmax_cross_entropy(x, B / B.sum(1)[:, None])[0],
    "huber": lambda x: nn.huber(x, B),
    "mse": lambda x: nn.mse(x, B),
    "conv2d": lambda x: nn.conv2d(x[None, None], x[None, None, :2, :2], padding=1),
    "max_pool2d": lambda x: nn.max_pool2d(x[None, None], (1, 2)) ** 2,
    "avg_pool2d": lambda x: nn.avg_pool2d(x[None, None], (1, 2)) ** 2,
}
ALL = ELEMENTWISE | SHAPES | REDUCTIONS | LINEAR | EAGER_ONLY | NETWORK


def _stored(x):
    y = np.zeros_like(x)
    y[1:] = x[:2] ** 2
    y[0, 1] = x[2, 3]
    return y


def numbers(x):
    return np.asarray(x.compute() if hasattr(x, "compute") else x)


def same(found, expected, like):
    assert type(found).__module__.split(".")[0] == type(like).__module__.split(".")[0]
    assert str(found.dtype).split(".")[-1] == str(np.asarray(expected).dtype)
    np.testing.assert_allclose(numbers(found), expected, rtol=1e-12, atol=1e-12)


def skip_lazy(to, name):
    if name in EAGER_ONLY and "dask" in type(to(A)).__module__:
        pytest.skip("looks at numbers, which a plan does not have")


@pytest.mark.parametrize("name", ALL)
def test_pulls_and_pushes_agree_with_numpy(to, name):
    skip_lazy(to, name)
    f, x = ALL[name], to(A)
    loss = lambda x: np.sum(np.square(f(x)))  # noqa: E731
    same(grad(loss)(x), grad(loss)(A), x)
    found, expected = jvp(f, (x,), (to(B),)), jvp(f, (A,), (B,))
    for y, e in zip(found, expected):
        same(y, e, x)


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_agree_with_numpy(to, name):
    f, a, b = PAIRS[name], to(A), to(B)
    allow = dict(allow_unused=True)
    loss = lambda a, b: np.sum(np.sin(f(a, b)))  # noqa: E731
    for found, expected in zip(
        grad(loss, (0, 1), **allow)(a, b), grad(loss, (0, 1), **allow)(A, B)
    ):
        same(found, expected, a)
    same(grad(lambda a: np.sum(f(a, 0.3)))(a), grad(lambda a: np.sum(f(a, 0.3)))(A), a)


def f_of_vector(x):
    return np.sum(np.tanh(x) ** 3 * np.exp(-x)) * np.prod(x)


def test_every_transformation(to):
    v, t = A[0], B[0]
    x, d = to(v), to(t)
    g = lambda x: np.sin(x) * x[::-1] ** 2  # noqa: E731
    value, slope = value_and_grad(f_of_vector)(x)
    same(value, f_of_vector(v), x)
    same(slope, grad(f_of_vector)(v), x)
    for jac in (jacfwd, jacrev, jacobian):
        same(jac(g)(x), jac(g)(v), x)
    same(hessian(f_of_vector)(x), hessian(f_of_vector)(v), x)
    same(hvp(f_of_vector, x, d), hvp(f_of_vector, v, t), x)
    y, pull = vjp(g, x)
    same(y, g(v), x)
    same(pull(d)[0], vjp(g, v)[1](t)[0], x)
    y, push = linearize(g, x)
    same(push(d), linearize(g, v)[1](t), x)
    third = grad(lambda x: np.sum(hvp(f_of_vector, x, d) ** 2))
    same(third(x), grad(lambda x: np.sum(hvp(f_of_vector, x, t) ** 2))(v), x)


def test_single_precision_stays_single(to):
    x = to(A.astype(np.float32))
    g = grad(lambda x: np.mean(nn.silu(x @ x.T) * 0.5))(x)
    assert str(g.dtype).split(".")[-1] == "float32"


def test_containers_and_constants_of_both_kinds(to):
    w = {"a": to(A), "b": B}
    found = grad(lambda w: np.sum(np.tanh(w["a"] * w["b"])))(w)
    expected = grad(lambda w: np.sum(np.tanh(w["a"] * w["b"])))({"a": A, "b": B})
    same(found["a"], expected["a"], w["a"])
    np.testing.assert_allclose(numbers(found["b"]), expected["b"], rtol=1e-12)


def test_numpy_variables_beside_data_that_live_elsewhere(to):
    def loss(w, data):
        return np.sum(np.sin(np.matmul(data, w)) * np.matmul(w, np.transpose(data)))

    data, w = to(A), B[0]
    found, expected = value_and_grad(loss)(w, data), value_and_grad(loss)(w, A)
    for y, e in zip(found, expected):
        np.testing.assert_allclose(numbers(y), e, rtol=1e-12)
        assert hasattr(y, "compute") or isinstance(y, (np.ndarray, np.generic))
    np.testing.assert_allclose(
        numbers(hvp(lambda w: loss(w, data), w, w)), hvp(lambda w: loss(w, A), w, w), rtol=1e-12
    )


def test_operators_with_the_data_on_the_left(to):
    if to is STRICT.asarray:
        pytest.skip("array_api_strict refuses a stranger on the right before it could answer")
    data, w = to(A), B[0]
    f = lambda w, data: np.sum((data @ w - data[:, 0]) ** 2 / (data[:, 1] + w[0]))  # noqa: E731
    np.testing.assert_allclose(numbers(grad(f)(w, data)), grad(f)(w, A), rtol=1e-12)


def test_a_guarded_branch_has_no_nan(to):
    x = to(np.array([0.0, 1.0, -2.0]))
    g = grad(lambda x: np.sum(np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), 0.0)))(x)
    np.testing.assert_array_equal(numbers(g), [0.0, 1.0, 0.0])
    g = grad(lambda x: np.sum(np.where(x > 0, np.sqrt(np.abs(x)), 0.0)))(x)
    np.testing.assert_array_equal(numbers(g), [0.0, 0.5, 0.0])


def test_ints_are_constants(to):
    ids = to(IDS)
    x = to(A)
    same(
        grad(lambda x: nn.cross_entropy(x, ids))(x), grad(lambda x: nn.cross_entropy(x, IDS))(A), x
    )


def namespace(name):
    if name == "numpy":
        return np
    if name == "strict":
        return STRICT
    if name == "dask":
        return importlib.import_module("dask.array")
    if name == "torch":
        return pytest.importorskip("torch", reason="PyTorch is not installed")
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    jax.config.update("jax_enable_x64", True)
    return importlib.import_module("jax.numpy")


@pytest.fixture(params=("numpy", *NAMES))
def backend(request):
    from litad.backend import AutodiffBackend

    return AutodiffBackend(namespace(request.param))


def read(x):
    return numbers(x)


def test_the_numbers_of_the_seed(backend):
    backend.tape.start()
    x = backend.asarray([2.0])
    y = x * x
    assert backend.tape.num_ops() == 1
    assert read(backend.backward(y)[x]).tolist() == [4.0]
    ones = backend.ones(2)
    assert read(backend.backward(backend.multiply(ones, ones))[ones]).tolist() == [2.0, 2.0]
    backend.tape.clear()
    assert backend.tape.num_ops() == 0 and backend.tape.is_recording()
    x = backend.asarray([1.0])
    g = backend.backward((x + 2) * 3)
    assert read(g[x]).tolist() == [3.0] and backend.tape.num_ops() == 2


def test_nothing_is_recorded_before_start(backend):
    x = backend.asarray([2.0])
    y = x * x
    assert backend.tape.num_ops() == 0 and not backend.tape.is_recording()
    with pytest.raises(ValueError, match="tape.start"):
        backend.backward(y)
    with pytest.raises(ValueError, match="tape.start"):
        backend.tape.backward()
    backend.tape.start()
    assert read(backend.backward(x * x)[x]).tolist() == [4.0]


def test_no_grad_restores_after_an_exception(backend):
    backend.tape.start()
    x = backend.asarray([2.0])

    def fails():
        assert not backend.tape.is_recording()
        x * x
        raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        backend.no_grad(fails)
    assert backend.tape.is_recording() and backend.tape.num_ops() == 0
    assert read(backend.value(backend.no_grad(lambda: x * 3))).tolist() == [6.0]
    backend.tape.stop()
    backend.no_grad(lambda: None)
    assert not backend.tape.is_recording()


def test_arrays_of_the_inner_library_enter(backend):
    raw = backend.inner.asarray([1.0, 2.0])
    backend.tape.start()
    y = backend.sum(backend.exp(raw) * raw)
    g = backend.backward(y)
    np.testing.assert_allclose(read(g[raw]), np.exp([1.0, 2.0]) * [2.0, 3.0], rtol=1e-6)
    assert type(g[raw]).__module__.split(".")[0] == type(raw).__module__.split(".")[0]
    assert raw in g and len(g) == 1
    with pytest.raises(ValueError, match="identity"):
        g[backend.inner.asarray([1.0])]


def test_names(backend):
    assert backend.name.startswith("Autodiff(") and backend.inner is not None
    assert backend.device is not None and repr(backend) == backend.name


def test_name_of_numpy():
    from litad.backend import AutodiffBackend

    b = AutodiffBackend(np)
    assert b.name == "Autodiff(numpy)" and b.device == "cpu" and b.inner is np
    with pytest.raises(ValueError, match="AutodiffBackend"):
        AutodiffBackend(3)


def double(backend, x):
    return backend.asarray(x, dtype=backend.float64)


EXTRAS = {
    "relu": lambda b, x: b.relu(x - 0.5),
    "silu": lambda b, x: b.silu(x),
    "sigmoid": lambda b, x: b.sigmoid(x),
    "softmax": lambda b, x: b.softmax(x, -1) ** 2,
    "rsqrt": lambda b, x: b.rsqrt(x),
    "gather": lambda b, x: b.gather(x, 1, b.inner.asarray([[2, 0], [1, 1], [3, 0]])) ** 2,
    "chunk": lambda b, x: b.chunk(x, 3, 1)[1] ** 2,
    "cast": lambda b, x: b.cast(b.cast(x, b.float32), b.float64) * b.cast(x > 0.5, b.float64),
    "cross_entropy": lambda b, x: b.cross_entropy(x, b.inner.asarray([1, 0, 3])),
    "conv2d": lambda b, x: (
        b.conv2d(b.reshape(x, (1, 1, 3, 4)), b.ones((1, 1, 2, 2), dtype=b.float64), 1, 1) ** 2
    ),
    "max_pool2d": lambda b, x: b.max_pool2d(b.reshape(x, (1, 1, 3, 4)), 2, 1) ** 2,
    "concat": lambda b, x: b.concat([x, x * x], axis=0) ** 2,
    "transpose": lambda b, x: b.permute_dims(x, (1, 0)) @ x,
    "linalg": lambda b, x: b.linalg.vector_norm(b.linalg.matmul(x, b.matrix_transpose(x))),
    "where": lambda b, x: b.where(x > 0.5, x * x, x),
    "mean": lambda b, x: b.mean(x, axis=0) * b.std(x, axis=0, correction=1),
    "pow": lambda b, x: b.pow(x, 3) + b.atan2(x, 1 + x) + b.asinh(x),
    "astype": lambda b, x: b.astype(x, b.float64) * b.arange(4, dtype=b.float64),
    "stack": lambda b, x: (
        b.stack(list(b.unstack(x)), axis=1) ** 2
        * b.expand_dims(b.asarray([1.0, 2.0, 3.0], dtype=b.float64), axis=0)
    ),
    "take": lambda b, x: b.take(x, b.inner.asarray([2, 0]), axis=0) ** 3,
}


@pytest.mark.parametrize("name", EXTRAS)
def test_functions_with_recording_agree_with_numpy(backend, name):
    from litad.backend import AutodiffBackend

    f, expected = EXTRAS[name], []
    for b in (AutodiffBackend(np), backend):
        b.tape.start()
        x = double(b, A.tolist())
        y = f(b, x)
        expected.append((read(b.value(y)), read(b.backward(y)[x])))
    for found, e in zip(expected[1], expected[0]):
        np.testing.assert_allclose(found, e, rtol=2e-7 if name == "cast" else 1e-12, atol=1e-12)


def test_the_whole_standard_is_there(backend):
    functions = """abs acos acosh add all any arange argmax argmin argsort asarray asin asinh
    astype atan atan2 atanh
    bitwise_and bitwise_invert bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor
    broadcast_arrays broadcast_to
    can_cast ceil clip concat conj copysign cos cosh count_nonzero cumulative_prod
    cumulative_sum diff divide empty empty_like
    equal exp expand_dims expm1 eye finfo flip floor floor_divide from_dlpack full full_like
    greater greater_equal hypot iinfo
    imag isdtype isfinite isinf isnan less less_equal linspace log log10 log1p log2 logaddexp
    logical_and logical_not
    logical_or logical_xor matmul matrix_transpose max maximum mean meshgrid min minimum
    moveaxis multiply negative nextafter
    nonzero not_equal ones ones_like permute_dims positive pow prod real reciprocal remainder
    repeat reshape result_type roll
    round searchsorted sign signbit sin sinh sort sqrt square squeeze stack std subtract sum
    take take_along_axis tan tanh
    tensordot tile tril triu trunc unique_all unique_counts unique_inverse unique_values
    unstack var vecdot where zeros
    zeros_like float32 float64 int64 bool pi e inf nan newaxis""".split()
    missing = [name for name in functions if not hasattr(backend, name)]
    assert missing == []


def test_an_operation_of_ones_own(backend):
    backend.tape.start()
    x = backend.asarray([2.0, 3.0])
    cube = lambda x: backend.value(x) ** 3  # noqa: E731
    y = backend.tape.record([x], cube(x), lambda t: (t * 3 * backend.value(x) ** 2,))
    np.testing.assert_allclose(read(backend.backward(y * 2)[x]), [24.0, 54.0], rtol=1e-6)
    backend.tape.stop()
    assert backend.tape.record([x], 5.0, lambda t: None) == 5.0


def test_a_training_loop_forgets(backend):
    w = backend.asarray([0.5, -0.5])
    backend.tape.start()
    for _ in range(4):
        data = backend.asarray([1.0, 2.0])
        loss = backend.sum((w * data - 1.0) ** 2)
        g = backend.backward(loss)[w]
        with backend.tape.no_grad():
            w = backend.asarray(backend.value(w) - 0.1 * g)
        backend.tape.clear()
    assert len(backend.tape.inputs) <= 12 and backend.tape.num_ops() == 0
    assert read(backend.value(w)).shape == (2,)


def test_cotangents_of_the_last_operation(backend):
    backend.tape.start()
    x = backend.asarray([2.0, 3.0])
    x * x
    g = backend.tape.backward(backend.inner.asarray([1.0, 10.0]))
    assert read(g[x]).tolist() == [4.0, 60.0]


def recorded(backend, f, *arrays):
    "The gradients of the sum of f at arrays of the backend."
    backend.tape.start()
    inputs = [double(backend, np.asarray(a).tolist()) for a in arrays]
    g = backend.backward(backend.sum(f(*inputs)))
    return [read(g[x]) for x in inputs]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


SLOPES = {
    "silu": (lambda b, x: b.silu(x), lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x)))),
    "sigmoid": (lambda b, x: b.sigmoid(x), lambda x: sigmoid(x) * (1 - sigmoid(x))),
    "rsqrt": (lambda b, x: b.rsqrt(x), lambda x: -0.5 * x**-1.5),
    "log": (lambda b, x: b.log(x), lambda x: 1 / x),
    "cos": (lambda b, x: b.cos(x), lambda x: -np.sin(x)),
    "tanh": (lambda b, x: b.tanh(x), lambda x: 1 - np.tanh(x) ** 2),
    "relu": (lambda b, x: b.relu(x - 0.5), lambda x: (x > 0.5) * 1.0),
    "used three times": (lambda b, x: x * x + x, lambda x: 2 * x + 1),
    "scalars": (lambda b, x: ((x + 2) * 3 - 1) / 4, lambda x: np.full(x.shape, 0.75)),
    "expand": (lambda b, x: b.broadcast_to(x, (5, 3, 4)), lambda x: np.full(x.shape, 5.0)),
    "squeeze": (
        lambda b, x: b.squeeze(b.expand_dims(x, axis=1), axis=1) ** 2,
        lambda x: 2 * x,
    ),
    "where": (lambda b, x: b.where(x > 0.5, 2 * x, x), lambda x: 1.0 + (x > 0.5)),
    "chunk": (lambda b, x: b.chunk(x, 2, 1)[0] ** 2, lambda x: 2 * x * [1, 1, 0, 0]),
    "cat": (lambda b, x: b.concat([x, 3 * x]), lambda x: np.full(x.shape, 4.0)),
    "gather": (
        lambda b, x: b.gather(x, 1, b.inner.asarray([[0], [1], [1]])),
        lambda x: np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]]),
    ),
}


@pytest.mark.parametrize("name", SLOPES)
def test_the_slopes_that_the_seed_states(backend, name):
    f, slope = SLOPES[name]
    (found,) = recorded(backend, lambda x: f(backend, x), A)
    np.testing.assert_allclose(found, slope(A), rtol=1e-12)


def test_cross_entropy_and_softmax_of_the_seed(backend):
    e = np.exp(A - A.max(1, keepdims=True))
    p, targets = e / e.sum(1, keepdims=True), np.array([1, 0, 3])
    f = lambda x: backend.cross_entropy(x, backend.inner.asarray(targets.tolist()))  # noqa: E731
    (found,) = recorded(backend, f, A)
    np.testing.assert_allclose(found, (p - np.eye(4)[targets]) / 3, rtol=1e-12)
    backend.tape.clear()
    (found,) = recorded(backend, lambda x: backend.softmax(x, -1) * B.tolist()[0][0] * x, A)
    w = B[0, 0] * A
    expected = p * (w - (w * p).sum(1, keepdims=True)) + B[0, 0] * p
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_parameters_behind_transpose_and_reshape_get_their_gradient(backend):
    "a linear layer, and the bias of a convolution"
    f = lambda w, x, b: x @ backend.permute_dims(w, (1, 0)) + backend.reshape(b, (1, 2))  # noqa: E731
    weights, bias = B[:2], np.array([0.1, 0.2])
    gw, gx, gb = recorded(backend, f, weights, A, bias)
    np.testing.assert_allclose(gw, np.tile(A.sum(0), (2, 1)), rtol=1e-12)
    np.testing.assert_allclose(gx, np.tile(weights.sum(0), (3, 1)), rtol=1e-12)
    np.testing.assert_allclose(gb, [3.0, 3.0])
    backend.tape.clear()

    def convolved(x, k, b):
        return backend.conv2d(x, k, 1, 0) + backend.reshape(b, (1, 2, 1, 1))

    image, kernel = A[None, None], np.stack([B[:2, :2], B[1:, 2:]])[:, None]
    gx, gk, gb = recorded(backend, convolved, image, kernel, bias)
    expected = [
        [[A[i : i + 2, j : j + 3].sum() for j in range(2)] for i in range(2)] for _ in range(2)
    ]
    np.testing.assert_allclose(gk[:, 0], expected, rtol=1e-12)
    np.testing.assert_allclose(gb, [6.0, 6.0])
    known = grad(lambda x: np.sum(nn.conv2d(x, kernel)))(image)
    np.testing.assert_allclose(gx, known, rtol=1e-12)


def test_a_pool_gives_to_the_first_maximum_only(backend):
    x = [[[[1.0, 3.0], [3.0, 2.0]]]]
    (found,) = recorded(backend, lambda x: backend.max_pool2d(x, 2, 2), x)
    assert found[0, 0].tolist() == [[0.0, 1.0], [0.0, 0.0]]


def test_comparisons_and_positions_are_not_recorded(backend):
    backend.tape.start()
    x = double(backend, A.tolist())
    y = double(backend, B.tolist())
    results = [x > y, x >= y, x < y, x <= y, x == y, x != y]
    results += [backend.logical_not(x > y), backend.logical_and(x > y, y > 0.5), backend.argmax(x)]
    assert backend.tape.num_ops() == 0
    assert not any(isinstance(r, Var) for r in results)


def test_the_states_of_a_tape(backend):
    tape = backend.tape
    x = backend.asarray([2.0])
    assert tape.record([x], x, lambda t: t) is x and tape.num_ops() == 0
    tape.start()
    x * x
    backend.no_grad(lambda: backend.no_grad(lambda: x * x) is None or x * x)
    assert tape.is_recording() and tape.num_ops() == 1
    tape.stop()
    x * x
    assert not tape.is_recording() and tape.num_ops() == 1
    tape.clear()
    assert not tape.is_recording() and tape.num_ops() == 0
    tape.start()
    tape.clear()
    assert tape.is_recording()


def test_values_are_numbers_while_nobody_records(backend):
    x = double(backend, [2.0, 3.0])
    assert float(x[0]) == 2.0
    backend.tape.start()
    y = x * x
    with pytest.raises(ValueError, match="lose its derivative"):
        float(x[0])

    def step():
        x[0] = 10.0

    backend.no_grad(step)
    assert read(backend.backward(y)[x]).tolist() == [4.0, 6.0]
    assert read(backend.value(x)).tolist() == [10.0, 3.0]
    with backend.tape.no_grad(), pytest.raises(ValueError, match="not recording"):
        y[0] = 1.0
