"""Every primitive and every NumPy function of the registry, over arrays of other libraries.

The numbers, the tangents and the cotangents are NumPy's; the results are arrays of the same
library, on the same device, of the dtype that NumPy gives.
"""

import importlib

import fake_cupy
import numpy as np
import pytest
import test_coverage
import test_laws

from litad import core, jvp, vjp
from litad.core import as_operand, bind
from litad.vocabulary import ELEMENTS, OPERATIONS

STRICT = pytest.importorskip("array_api_strict")
pytestmark = pytest.mark.filterwarnings("ignore")


class Kind:
    """How arrays of one library are made, read and told apart."""

    def __init__(self, name, to, read=np.asarray, device=lambda x: None, lazy=False, slow=False):
        self.name, self.to, self.read, self.device = name, to, read, device
        self.lazy, self.slow = lazy, slow or lazy

    def same(self, found, expected, rtol=1e-10, atol=1e-11):
        "An array of this library, where it was, with NumPy's numbers and dtype."
        like = self.to(np.ones(2))
        assert type(found).__module__.split(".")[0] == type(like).__module__.split(".")[0]
        assert self.device(found) == self.device(like)
        assert str(found.dtype).split(".")[-1] == str(np.asarray(expected).dtype)
        assert tuple(found.shape) == np.shape(expected)
        np.testing.assert_allclose(self.read(found), expected, rtol=rtol, atol=atol)


def _strict(device):
    where, home = STRICT.Device(device), STRICT.Device("CPU_DEVICE")
    return Kind(
        device,
        lambda x: STRICT.asarray(np.array(x), device=where),
        lambda x: np.asarray(x.to_device(home)),
        lambda x: x.device,
    )


def _dask():
    da = importlib.import_module("dask.array")
    to = lambda x: da.from_array(np.asarray(x), chunks=2) if np.ndim(x) else da.asarray(x)  # noqa: E731
    read = lambda x: np.asarray(x.compute(scheduler="synchronous"))  # noqa: E731
    return Kind("dask", to, read, lazy=True)


def _torch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    return Kind("torch", lambda x: torch.tensor(np.array(x)), device=lambda x: x.device)


def _jax():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    jax.config.update("jax_enable_x64", True)
    to = importlib.import_module("jax.numpy").asarray
    return Kind("jax", to, device=lambda x: x.device, slow=True)


MAKERS = {
    "strict": lambda: _strict("CPU_DEVICE"),
    "elsewhere": lambda: _strict("device1"),
    "dask": _dask,
    "torch": _torch,
    "jax": _jax,
}


@pytest.fixture(params=[*MAKERS, "cupy"], scope="module")
def kind(request):
    if request.param != "cupy":
        yield MAKERS[request.param]()
        return
    with fake_cupy.installed() as cupy:
        yield Kind("cupy", cupy.asarray, lambda x: x.get(), lambda x: x.device)


# The registry: primitives with operands. What is differentiated comes first, then parameters.
R = np.random.default_rng(5)
A, B, SQUARE = R.uniform(0.2, 0.9, (3, 4)), R.uniform(1.1, 1.9, (3, 4)), np.eye(3) * 3 + 0.2
Z = A + 1j * B
PAIR = (
    "add subtract multiply divide power maximum minimum hypot logaddexp copysign nextafter arctan2 "
    "float_power remainder floor_divide"
)
TESTS = "equal not_equal greater greater_equal less less_equal"
LOGIC = (
    "logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor left_shift right_shift"
)
INTEGERS = np.array([3, 0, 5]), np.array([1, 2, 6])
OPERANDS = {name: (B, A) for name in PAIR.split()} | {name: (A, B) for name in TESTS.split()}
OPERANDS |= {name: INTEGERS for name in LOGIC.split()} | {"arccosh": (B,)}
OPERANDS |= {"logical_not": (A > 0.5,), "invert": (INTEGERS[0],)}
TAKEN = {"index": (slice(None), np.array([2, 0, 2]))}
CASES = {
    "reshape": [((A,), {"shape": (2, 6)})],
    "transpose": [((A,), {"axes": (1, 0)})],
    "broadcast_to": [((A,), {"shape": (2, 3, 4)})],
    "astype": [((A,), {"dtype": np.dtype(np.float32)})],
    "to_dtype": [((INTEGERS[0],), {"dtype": np.dtype(np.float64)})],
    "concatenate": [((A, B), {"axis": 1})],
    "stack": [((A, B), {"axis": 0})],
    "roll": [((A,), {"shift": (1,), "axis": (1,)})],
    "rotate": [((A,), {"shift": (1, 2), "axes": (0, 1)})],
    "real": [((Z,), {})],
    "imag": [((Z,), {})],
    "conjugate": [((Z,), {})],
    "copy": [((A,), {})],
    "hermitian": [((SQUARE,), {"reads": "L"})],
    "stop_gradient": [((A,), {})],
    "matmul": [((A, B.T), {}), ((A, B[0]), {}), ((A[0], B[1]), {})],
    "einsum": [((A, B), {"subscripts": "ij,kj->ik", "optimize": False})],
    "sum": [((A,), {"axis": (0,), "keepdims": False}), ((A,), {"axis": (0, 1), "keepdims": True})],
    "max": [((A,), {"axis": (1,), "keepdims": False})],
    "min": [((A,), {"axis": (0, 1), "keepdims": False})],
    "prod": [((A,), {"axis": (0,), "keepdims": True}), ((A,), {"axis": (0, 1), "keepdims": False})],
    "cumsum": [((A,), {"axis": 1})],
    "cumprod": [((A,), {"axis": 0})],
    "where": [((A > 0.5, A, B), {})],
    "round": [((A,), {"decimals": 1}), ((A,), {})],
    "inv": [((SQUARE,), {})],
    "det": [((SQUARE,), {})],
    "solve": [((SQUARE, A), {})],
    "cholesky": [((SQUARE,), {"upper": False})],
    "logabsdet": [((SQUARE,), {})],
    "sign_of_det": [((SQUARE,), {})],
    "fft": [((A,), {"n": 5, "axis": 1, "norm": None})],
    "ifft": [((Z,), {"n": 4, "axis": 0, "norm": "ortho"})],
    "rfft": [((A,), {"n": 4, "axis": 1, "norm": "forward"})],
    "irfft": [((Z,), {"n": 6, "axis": 1, "norm": None})],
    "getitem": [
        ((A,), TAKEN),
        ((A,), {"index": (1, slice(None, None, -2))}),
        ((A,), {"index": A > 0.5}),
    ],
    "scatter": [((A[:, :3],), TAKEN | {"shape": (3, 4)})],
    "put": [((A, B[:, :3]), TAKEN), ((A, B[0]), {"index": (2,)})],
}
CASES |= {name: [(OPERANDS.get(name, (A,)), {})] for name in ELEMENTS if name not in CASES}


def registered():
    "All primitives of the book by name; those of NumPy's own vocabulary first."
    found = {p.name: p for u, p in core.UFUNCS.items() if getattr(np, u.__name__, None) is u}
    for module in test_laws.pkgutil.iter_modules(test_laws.litad.__path__):
        for thing in vars(importlib.import_module(f"litad.{module.name}")).values():
            if isinstance(thing, core.Primitive):
                found.setdefault(thing.name, thing)
    bits = importlib.import_module("litad.guests").OF_BITS
    einsum = importlib.import_module("litad.contractions").einsum_of(2)
    return found | {p.name: p for p in bits.values()} | {"einsum": einsum}


PRIMITIVES = registered()


def test_no_word_of_the_standard_is_left_out():
    "of `at_get`, an index that is an array of the library, there are tests in test_backend"
    assert {*ELEMENTS, *OPERATIONS} - set(CASES) == {"at_get"}


def weights(ys):
    "Cotangents for results: complex for complex ones."
    rng = np.random.default_rng(1)
    draw = lambda y: rng.normal(size=np.shape(y)).astype(np.asarray(y).dtype)  # noqa: E731
    return tuple([draw(y) + (1j * draw(y) if np.iscomplexobj(y) else 0) for y in ys])


def agree(kind, f, operands, rtol=1e-10, atol=1e-11):
    "Value, tangent and cotangents of a function over foreign arrays are NumPy's."
    moved = [kind.to(x) for x in operands]
    smooth = [k for k, x in enumerate(operands) if x.dtype.kind in "fc"]
    at = {k: place for place, k in enumerate(smooth)}

    def of(some):
        return lambda *xs: f(*[xs[at[k]] if k in at else x for k, x in enumerate(some)])

    there, here = (
        [of(moved), [moved[k] for k in smooth]],
        [of(operands), [operands[k] for k in smooth]],
    )
    expected, pull = vjp(here[0], *here[1])
    several = isinstance(expected, (tuple, list))
    ys = expected if several else (expected,)
    found, pull_there = vjp(there[0], *there[1])
    for y, e in zip(found if several else (found,), ys):
        kind.same(y, e, rtol, atol)
    w = weights(ys)
    give = lambda to: type(expected)([to(t) for t in w]) if several else to(w[0])  # noqa: E731
    for g, e in zip(pull_there(give(kind.to)), pull(give(lambda t: t))):
        kind.same(g, e, rtol, atol)
    v = weights(here[1])
    moving = [kind.to(t) for t in v]
    pushed = jvp(there[0], tuple(there[1]), tuple(moving))[1]
    known = jvp(here[0], tuple(here[1]), tuple(v))[1]
    for t, e in zip(pushed if several else (pushed,), known if several else (known,)):
        kind.same(t, e, rtol, atol)


@pytest.mark.parametrize("name", CASES)
def test_every_primitive_of_the_standard(kind, name):
    "values by the primitive itself, derivatives through every mode"
    from litad.guests import adopt

    for operands, parameters in CASES[name]:
        primitive = PRIMITIVES[name]
        f = lambda *xs: bind(primitive, *map(as_operand, xs), **parameters)  # noqa: E731, B023
        expected = f(*operands)
        found = f(*[adopt(kind.to(x)) for x in operands])
        if not kind.lazy or "index" not in parameters or np.size(expected):
            kind.same(found.array, expected)
        if any(x.dtype.kind in "fc" for x in operands) and primitive.pull:
            agree(kind, f, operands)
            single = {np.dtype("f8"): "f4", np.dtype("c16"): "c8"}
            narrow = [x.astype(single.get(x.dtype, x.dtype)) for x in operands]
            agree(kind, f, narrow, 2e-4, 1e-4)


TABLES = {"laws": test_laws.CALLS, "coverage": test_coverage.EXAMPLES}
FUNCTIONS = [(table, f) for table, calls in TABLES.items() for f in calls]


@pytest.mark.parametrize(
    "table, function", FUNCTIONS, ids=lambda x: getattr(x, "__name__", str(x)).replace(" ", "_")
)
def test_every_function_of_the_registry(kind, table, function):
    "NumPy's functions, as they are called in the tests of their laws"
    calls = TABLES[table][function]
    for call in calls[:1] if kind.slow else calls:
        agree(kind, call, [test_laws.X, test_laws.V], 1e-9, 1e-10)


def smooth(x):
    return np.sum(np.sin(x) * x)


V = np.array([0.3, 0.5, 0.7])


def test_compiled_functions_take_and_give_arrays_of_the_library(kind):
    from litad import grad, hvp, jit, value_and_grad

    x = kind.to(V)
    kind.same(jit(smooth)(x), smooth(V))
    kind.same(jit(lambda x: np.sin(x) * 2)(x), np.sin(V) * 2)
    kind.same(jit(grad(smooth))(x), grad(smooth)(V))
    kind.same(grad(jit(smooth))(x), grad(smooth)(V))
    kind.same(hvp(jit(smooth), x, x), hvp(smooth, V, V))
    value, g = jit(value_and_grad(lambda p: np.sum(p["a"] * p["b"])))({"a": x, "b": V})
    kind.same(value, V @ V)
    kind.same(g["a"], V)
    twice = jit(lambda n, x: (n, x * n, None))
    n, y, nothing = twice(3, x)
    kind.same(y, V * 3)
    assert nothing is None and int(n) == 3


def test_compiled_functions_see_changes_of_what_they_close_over(kind):
    from litad import grad, jit

    data = kind.to(V)
    f = jit(grad(lambda w: np.sum(np.sin(w) * np.multiply(data, 1.0))))
    if kind.lazy:
        with pytest.raises(core.LitadError, match="close over numbers that are not computed"):
            f(V)
        return
    np.testing.assert_allclose(f(V), np.cos(V) * V, rtol=1e-12)
    if kind.name == "jax":
        return
    data[0] = 5.0
    np.testing.assert_allclose(f(V), np.cos(V) * [5.0, 0.5, 0.7], rtol=1e-12)


STORES = {
    "item": "y[0] = v[0]",
    "+": "y += v",
    "-": "y -= v",
    "*": "y *= v",
    "/": "y /= v",
    "**": "y **= v",
    "slice": "y[1:] += v[1:]",
}


@pytest.mark.parametrize("how", STORES)
@pytest.mark.parametrize("variable", ["NumPy", "library"])
def test_no_box_is_stored_in_an_array_unseen(kind, how, variable):
    "an error, or, where a library has no stores, another array"
    from litad import grad

    def f(v):
        y = kind.to(np.ones(3))
        space = {"y": y, "v": v}
        exec(STORES[how], space)
        assert space["y"] is not y
        return np.sum(np.multiply(space["y"], v))

    known = lambda v: np.sum(eval(f"np.ones(3) {how} v", {"np": np, "v": v}) * v)  # noqa: E731
    x = V if variable == "NumPy" else kind.to(V)
    if kind.name in ("jax", "dask") and how in "+-*/**":
        found = grad(f)(x)
        found = found if isinstance(found, np.ndarray) else kind.read(found)
        np.testing.assert_allclose(found, grad(known)(V), rtol=1e-12)
        return
    with pytest.raises((TypeError, ValueError, AttributeError)):
        grad(f)(x)


@pytest.mark.parametrize("size", [3, 40_000])
def test_what_was_used_may_change_afterwards(kind, size):
    "a small constant was copied; a large one is looked at again"
    from litad import grad

    if kind.name in ("jax", "dask"):
        pytest.skip("its arrays do not change")
    data, numbers = kind.to(np.full(size, 2.0)), np.linspace(0.1, 0.9, size)

    def f(v):
        y = np.multiply(np.sin(v), data)
        data[0] = 100.0
        return np.sum(y)

    def in_x(v):
        y = v * v
        x[0] = 100.0
        return np.sum(y)

    x = kind.to(numbers)
    kind.same(grad(in_x)(x), 2 * numbers)
    if size == 3 or kind.name == "cupy" or kind.name == "device1":
        np.testing.assert_allclose(grad(f)(numbers), 2 * np.cos(numbers), rtol=1e-12)
        return
    with pytest.raises(core.LitadError, match="changed after"):
        grad(f)(numbers)


def test_functions_of_networks_give_arrays_of_the_library(kind):
    from litad import nn

    rows, v = kind.to(A), kind.to(V)
    kind.same(nn.relu(v - 0.5), np.maximum(V - 0.5, 0))
    kind.same(nn.gelu(v), nn.gelu(V))
    kind.same(nn.softmax(rows), nn.softmax(A))
    kind.same(nn.mse(rows, B), nn.mse(A, B))
    kind.same(nn.dense(rows, kind.to(B[0])), nn.dense(A, B[0]))
    kind.same(nn.cross_entropy(rows, np.array([0, 1, 3])), nn.cross_entropy(A, np.array([0, 1, 3])))
    kind.same(
        nn.conv2d(kind.to(A[None, None]), B[None, None, :2, :2]),
        nn.conv2d(A[None, None], B[None, None, :2, :2]),
    )
    kind.same(nn.cat([v, v], 0), np.concatenate([V, V]))


def test_loops_and_branches(kind):
    "also where the predicate has to be computed first"
    from litad import cond, fori_loop, grad, scan, while_loop

    x = kind.to(V)
    double, triple = lambda x: x * 2, lambda x: x * 3  # noqa: E731
    kind.same(cond(x[0] > 0, double, triple, x), V * 2)
    for sign in (1, -1):
        f = lambda x, sign=sign: np.sum(cond(x[0] * sign > 0, double, triple, x) ** 2)  # noqa: E731
        kind.same(grad(f)(x), grad(f)(V))
    outside = lambda w: np.sum(cond(x[0] > 1, double, triple, w))  # noqa: E731
    np.testing.assert_allclose(grad(outside)(V), [3.0] * 3)
    kind.same(while_loop(lambda c: np.sum(c) < 10, double, x), V * 8)
    kind.same(fori_loop(0, 3, lambda i, c: c * 2, x), V * 8)
    carry, ys = scan(lambda c, x: (c + x, c * x), x[0], x)
    known = scan(lambda c, x: (c + x, c * x), V[0], V)
    kind.same(carry, known[0])
    kind.same(ys, known[1])
    loop = lambda x: np.sum(while_loop(lambda c: np.sum(c) < 10, double, x, max_steps=9) ** 2)  # noqa: E731
    kind.same(grad(loop)(x), 2 * 64 * V)
    stored = lambda x: fori_loop(0, 3, lambda i, c: put(c, i), x)  # noqa: E731
    kind.same(stored(x), [1.3, 2.5, 3.7])
    kind.same(grad(lambda x: np.sum(stored(x) ** 2))(x), 2 * np.array([1.3, 2.5, 3.7]))


def put(c, i):
    c[i] = c[i] + i + 1
    return c


def test_a_tape_of_another_library_is_not_cut():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from litad import jit

    x = torch.tensor(V, requires_grad=True)
    with pytest.raises(core.LitadError, match="to_torch"):
        jit(smooth)(x)
    with torch.no_grad():
        assert abs(float(jit(smooth)(x)) - smooth(V)) < 1e-12


def test_bits_of_integers(kind):
    from litad.guests import adopt

    a, b = adopt(kind.to(INTEGERS[0])), INTEGERS[1]
    for of in (lambda a, b: a & b, lambda a, b: a | b, lambda a, b: b ^ a, lambda a, b: a << 1):
        kind.same(of(a, b).array, of(INTEGERS[0], b))
    kind.same((~(a > 1)).array, ~(INTEGERS[0] > 1))
    kind.same(a.astype(float).array, INTEGERS[0].astype(float))
