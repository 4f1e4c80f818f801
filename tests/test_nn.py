"""Networks: known numbers, laws for every name of litad.nn, machine code, errors, PyTorch."""

from __future__ import annotations

import types

import numpy as np
import pytest
from laws import CHUNKS, check_first, check_lanes, check_linear, check_second, close

from litad import LitadError, explain, grad, hessian, jit, nn, scan, value_and_grad, vjp
from litad.losses import row_losses, surprise
from litad.tree import flatten, tree_map

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

RNG = np.random.default_rng(7)
X = RNG.uniform(-2.0, 2.0, (3, 4))
W = RNG.uniform(-1.0, 1.0, (2, 4))
V = RNG.uniform(0.5, 1.5, 4)
Y = np.array(nn.softmax(RNG.standard_normal((3, 4))))
LABELS = np.array([0, 3, 1])
Q, K, U = RNG.standard_normal((3, 2, 5, 4))
PLACES = np.array([[0, 0, 3], [1, 2, 2], [3, 3, 3]])


def used(x, scale, shift):
    running = {"mean": V / 3, "variance": V}
    return nn.batch_norm(x, scale, shift, running, training=False)[0]


# Every name of litad.nn that is differentiated: calls of it, each with its floats.
CALLS = {
    "relu": [(nn.relu, X)],
    "leaky_relu": [(nn.leaky_relu, X), (nn.leaky_relu, X, np.array(0.2))],
    "sigmoid": [(nn.sigmoid, 3 * X)],
    "tanh": [(nn.tanh, X)],
    "softplus": [(nn.softplus, 3 * X)],
    "silu": [(nn.silu, 2 * X)],
    "gelu": [(nn.gelu, 2 * X), (lambda x: nn.gelu(x, form="tanh"), 2 * X)],
    "softmax": [(nn.softmax, X), (lambda x: nn.softmax(x, axis=0), X)],
    "log_softmax": [(nn.log_softmax, X), (lambda x: nn.log_softmax(x, axis=(0, 1)), X)],
    "mse": [(nn.mse, X, Y)],
    "huber": [(lambda a, b: nn.huber(a, b, 0.8), X, Y), (nn.huber, X, Y, np.array(0.7))],
    "cross_entropy": [
        (lambda x: nn.cross_entropy(x, LABELS), X),
        (lambda x: nn.cross_entropy(x, LABELS, axis=0), X.T),
        (lambda x, y: nn.cross_entropy(nn.softmax(x), y), X, Y),
        (lambda p: nn.cross_entropy(p, np.array([0.0, 1.0, 0.5, 0.0])), V / 2),
    ],
    "softmax_cross_entropy": [
        (lambda x, y: nn.softmax_cross_entropy(x, y)[0], X, Y),
        (lambda x, y: nn.softmax_cross_entropy(x, y, axis=0)[0], X, Y),
        (lambda x: nn.softmax_cross_entropy(x, Y)[1], X),
    ],
    "dense": [(nn.dense, W, X), (nn.dense, W, V, V[:2]), (nn.dense, W, Q, V[:2])],
    "layer_norm": [(nn.layer_norm, X, V, V), (lambda x: nn.layer_norm(x, axis=(0, 1)), X)],
    "rms_norm": [(nn.rms_norm, X, V)],
    "batch_norm": [
        (lambda x, a, b: nn.batch_norm(x, a, b)[0], X, V, V),
        (lambda x, a: nn.batch_norm(x, a, a)[0], np.swapaxes(Q, 1, 2), V),
        (used, X, V, V),
    ],
    "dropout": [(lambda x: nn.dropout(x, 0.4, np.random.default_rng(3)), X)],
    "embedding": [(lambda table: nn.embedding(table, PLACES), np.stack([X[0], V, V, X[1]]))],
    "gather": [(lambda x: nn.gather(x, PLACES), X)],
    "attention": [
        (nn.attention, Q, K, U),
        (lambda q, k, v: nn.attention(q, k, v, causal=True), Q, K, U),
        (lambda q, k, v: nn.attention(q, k, v, mask=np.tri(5, 5, 1) > 0), Q, K, U),
    ],
    "rsqrt": [(nn.rsqrt, V)],
    "expand": [(lambda v: nn.expand(v, (2, 3, 4)) * X, V)],
    "unsqueeze": [(lambda x: nn.unsqueeze(x, 1) * V, X)],
    "cast": [(lambda x: nn.cast(x, np.float64) ** 2, X)],
    "cat": [(lambda x, v: nn.cat([x, v[None], x], axis=0), X, V)],
    "chunk": [(lambda x: nn.chunk(x, 2, axis=1)[1] ** 2, X)],
    "conv1d": [],  # of the chapter on convolution, with tests of its own
    "conv2d": [],
    "max_pool2d": [],
    "avg_pool2d": [],
}
HELD = "keep one_hot flat_images parameter_count glorot he layer".split()
LAYERS = "BatchNorm Dense Dropout Embedding Layer LayerNorm RMSNorm Sequential".split()
ELSEWHERE = ("litad.optimisers", "litad.training")
CASES = [(name, k) for name, calls in CALLS.items() for k in range(len(calls))]
cases = pytest.mark.parametrize("name, k", CASES)


def case(name, k):
    f, *xs = CALLS[name][k]
    return f, xs


def test_no_name_is_left_out():
    names = {
        name
        for name, x in vars(nn).items()
        if not name.startswith("_")
        and not isinstance(x, types.ModuleType)
        and getattr(x, "__module__", None) not in ELSEWHERE
    }
    assert names == {*CALLS, *HELD, *LAYERS}


@cases
def test_first_order(name, k):
    f, xs = case(name, k)
    check_first(f, xs, np.random.default_rng(1))


@cases
def test_second_order(name, k):
    f, xs = case(name, k)
    check_second(f, xs, np.random.default_rng(2), 1e-9, 1e-4)


@cases
def test_linear_and_lanes(name, k):
    f, xs = case(name, k)
    check_linear(f, xs, np.random.default_rng(3), 1e-9)
    check_lanes(f, xs, CHUNKS, 1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@cases
def test_compiled_natively(name, k, dtype):
    "no line of the gradient is left to NumPy; results and dtypes are those of Python"
    if name == "dropout":
        pytest.skip("what draws runs in Python")
    f, xs = case(name, k)
    xs = [x.astype(dtype) for x in xs]
    f = f if name != "cast" else lambda x: nn.cast(x, np.float32) ** 2
    places = tuple(range(len(xs)))
    loss = value_and_grad(lambda *xs: np.sum(np.sin(f(*xs))), places)
    assert explain(loss, *xs).fallback == []
    value, slopes = jit(loss)(*xs)
    expected, exact = loss(*xs)
    tolerance = 1e-12 if dtype == np.float64 and name != "cast" else 2e-5
    assert np.asarray(value).dtype == np.asarray(expected).dtype
    assert close(value, expected, tolerance)
    for got, slope, x in zip(slopes, exact, xs):
        assert np.asarray(got).dtype == np.asarray(slope).dtype == x.dtype
        assert close(got, slope, tolerance)


@cases
def test_single_precision_stays(name, k):
    f, xs = case(name, k)
    xs = [x.astype(np.float32) for x in xs]
    y, pullback = vjp(f, *xs)
    expected = np.float64 if name == "cast" else np.float32
    if name in ("batch_norm", "cross_entropy", "dropout", "softmax_cross_entropy", "expand"):
        return  # constants of the call are doubles
    if name == "unsqueeze":
        return
    assert np.asarray(f(*xs)).dtype == y.dtype == expected
    assert {g.dtype for g in pullback(np.ones(y.shape, y.dtype))} == {np.dtype(np.float32)}


# Numbers


def test_dense_relu_softmax():
    W, x = np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([1.0, 2.0])
    assert close(nn.dense(W, x, np.zeros(2)), [0.5, 1.1], 1e-15)
    four = np.array([-1.0, 0.0, 1.0, 2.0])
    assert nn.relu(four).tolist() == [0, 0, 1, 2]
    p = [0.03205860328008499, 0.08714431874203257, 0.23688281808991016, 0.6439142598879724]
    assert close(nn.softmax(four), p, 1e-15)
    five = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    assert grad(lambda x: np.sum(nn.relu(x)))(five).tolist() == [0, 0, 0, 1, 1]


def test_slopes_of_single_numbers():
    assert np.isclose(grad(nn.silu)(1.0), 0.9276705119, atol=5e-11)
    assert grad(nn.rsqrt)(4.0) == -0.0625


@pytest.mark.parametrize("compiled", [False, True])
def test_cross_entropy_from_classes(compiled):
    z, classes = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]), np.array([2, 0])
    step = value_and_grad(nn.cross_entropy)
    loss, slope = (jit(step) if compiled else step)(z, classes)
    assert np.isclose(loss, 0.4076059644, atol=5e-11)
    assert np.allclose(slope[0], [0.0450152866, 0.1223642355, -0.1673795221], atol=5e-11)


def network(w, x, y):
    hidden = nn.relu(nn.dense(w["W1"], x, w["b1"]))
    return nn.softmax_cross_entropy(nn.dense(w["W2"], hidden, w["b2"]), y)[0]


def spelled(w, x, y):
    hidden = nn.relu(nn.dense(w["W1"], x, w["b1"]))
    return nn.cross_entropy(nn.softmax(nn.dense(w["W2"], hidden, w["b2"])), y)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("loss", [network, spelled])
def test_small_network(loss, compiled):
    x, y = np.array([1.0, 0.0, -1.0, 0.5]), np.array([0.0, 1.0, 0.0])
    step = jit(value_and_grad(loss)) if compiled else value_and_grad(loss)
    w = {"W1": np.zeros((8, 4)), "b1": np.zeros(8), "W2": np.zeros((3, 8)), "b2": np.zeros(3)}
    value, g = step(w, x, y)
    assert np.isclose(value, np.log(3), rtol=1e-15)
    assert close(g["b2"], [1 / 3, -2 / 3, 1 / 3], 1e-15)
    assert not any(np.any(g[name]) for name in ("W1", "b1", "W2"))
    w["W1"] = (np.arange(32.0).reshape(8, 4) - 15.5) / 320
    w["W2"] = (np.arange(24.0).reshape(3, 8) - 11.5) / 240
    losses = []
    for _ in range(200):
        value, g = step(w, x, y)
        if not losses:
            assert np.isclose(np.linalg.norm(g["W2"]), 0.0180760016, atol=5e-11)
            assert np.isclose(np.linalg.norm(g["b2"]), 0.8164969547, atol=5e-11)
        losses.append(value)
        w = {name: w[name] - 0.01 * g[name] for name in w}
    assert np.isclose(losses[0], 1.0986127464, atol=5e-11)
    assert np.isclose(losses[199], 0.3927409773, atol=5e-11)


def test_a_bias_keeps_its_shape():
    g = grad(lambda b: np.sum(nn.dense(W, Q, b) ** 2))(np.ones(2))
    assert g.shape == (2,)


# Far from zero


@pytest.mark.parametrize("compiled", [False, True])
def test_losses_are_finite_at_large_logits(compiled):
    def loss(z, y):
        return nn.softmax_cross_entropy(z, y)[0]

    step = value_and_grad(loss)
    step = jit(step) if compiled else step
    value, slope = step(np.array([1000.0, -1000.0]), np.array([0.0, 1.0]))
    assert value == 2000.0 and slope.tolist() == [1.0, -1.0]
    step = value_and_grad(nn.cross_entropy)
    step = jit(step) if compiled else step
    value, slope = step(np.array([[1000.0, -1000.0, -np.inf]]), np.array([1]))
    assert value == 2000.0 and slope.tolist() == [[1.0, -1.0, 0.0]]
    H = hessian(lambda z: loss(z, np.array([0.0, 1.0])))(np.array([1000.0, -1000.0]))
    assert not np.any(H)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "softplus", "silu", "gelu"])
@pytest.mark.parametrize("compiled", [False, True])
def test_activations_are_finite_everywhere(name, compiled):
    x = np.array([-1e300, -1e150, -800.0, -40.0, 0.0, 40.0, 800.0, 1e150, 1e300])
    f = getattr(nn, name)
    forms = [f] if name != "gelu" else [f, lambda x: nn.gelu(x, form="tanh")]
    for f in forms:
        step = value_and_grad(lambda x, f=f: np.sum(f(x) / 1e10))
        slope = (jit(step) if compiled else step)(x)[1] * 1e10
        assert np.all(np.isfinite(f(x))) and np.all(np.isfinite(slope))
        assert close(slope[[2, 6]], [0, name not in ("sigmoid", "tanh")], 1e-15)


def test_slopes_keep_their_tails():
    e = np.exp(-40.0)
    assert np.isclose(grad(nn.sigmoid)(40.0), e, rtol=1e-14)
    assert np.isclose(grad(nn.softplus)(-40.0), e, rtol=1e-14)
    assert np.isclose(nn.gelu(-10.0), -7.619853024160527e-23, rtol=1e-12)
    assert np.isclose(jit(nn.gelu)(np.array(-10.0)), -7.619853024160527e-23, rtol=1e-12)


def test_nothing_is_charged_for_what_does_not_happen():
    p, y = np.array([0.0, 0.5, 0.5]), np.array([0.0, 1.0, 0.0])
    assert nn.cross_entropy(p, y) == np.log(2)
    assert grad(nn.cross_entropy)(p, y).tolist() == [0.0, -2.0, 0.0]
    assert np.isinf(nn.cross_entropy(p, np.array([1.0, 0.0, 0.0])))


def test_nan_is_not_hidden():
    x = np.array([np.nan, 1.0])
    for f in (nn.relu, nn.leaky_relu, nn.sigmoid, nn.softplus, nn.silu, nn.gelu, nn.softmax):
        assert np.isnan(f(x)[0]) and np.isnan(jit(f)(x)[0])
    assert np.isnan(nn.mse(x, x)) and np.isnan(nn.cross_entropy(x, np.int64(1)))
    assert np.isnan(nn.cross_entropy(x, np.array([0.5, 0.5])))


def test_masked_places_pass_nothing_on():
    q, k, v = Q[0], K[0], U[0]
    g = grad(lambda k: np.sum(nn.attention(q, k, v, causal=True)[:3] ** 2))(k)
    assert np.any(g[:3]) and not np.any(g[3:])
    k = k.copy()
    k[4] = 1e300
    assert np.array_equal(
        nn.attention(q, k, v, causal=True)[:4], nn.attention(q, K[0], v, causal=True)[:4]
    )


# Inside programs


def test_loss_inside_a_loop():
    "a training loop as one program: dense, relu and the loss are lines of its body"
    xs, classes = RNG.standard_normal((20, 4, 3)), RNG.integers(0, 2, (20, 4))
    w = {"W": RNG.standard_normal((2, 3)), "b": np.zeros(2)}

    def train(w, xs, classes):
        def step(w, batch):
            x, c = batch
            loss, g = value_and_grad(lambda w: nn.cross_entropy(nn.dense(w["W"], x, w["b"]), c))(w)
            return tree_map(lambda p, g: p - 0.1 * g, w, g), loss

        return scan(step, w, (xs, classes))

    expected, losses = train(w, xs, classes)
    got, again = jit(train)(w, xs, classes)
    assert close(again, losses, 1e-12) and close(got["W"], expected["W"], 1e-12)
    assert explain(train, w, xs, classes).fallback == []


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.int8])
def test_labels_of_any_integer_type(dtype):
    step = value_and_grad(nn.cross_entropy)
    expected = step(X, LABELS)
    for way in (step, jit(step)):
        loss, slope = way(X, LABELS.astype(dtype))
        assert close(loss, expected[0], 1e-14) and close(slope, expected[1], 1e-14)


def test_value_and_slope_share_their_exponentials():
    "one exponential for each logit in the whole step"
    program = explain(value_and_grad(nn.cross_entropy), X, LABELS).optimised
    assert [e.primitive.name for e in program.equations].count("exp") == 1


def test_weights_are_never_transposed_in_memory():
    "the slope of x W' is computed as it is stored"
    W, x = RNG.standard_normal((64, 96)), RNG.standard_normal((32, 96))
    program = explain(grad(lambda W: np.sum(nn.dense(W, x) ** 2)), W).optimised
    turned = [e for e in program.equations if e.primitive.name == "transpose"]
    products = [e for e in program.equations if e.primitive.name == "matmul"]
    operands = {v for e in products for v in e.inputs}
    assert all(e.outputs[0] in operands for e in turned)


# Modules


def test_sequential_is_its_parts():
    model = nn.Sequential(nn.Dense(4, 6), nn.relu, nn.LayerNorm(6), nn.Dense(6, 2, bias=False))
    p = model.init(np.random.default_rng(0))
    again = model.init(np.random.default_rng(0))
    assert all(np.array_equal(a, b) for a, b in zip(flatten(p)[0], flatten(again)[0]))
    h = nn.relu(nn.dense(p[0]["W"], X, p[0]["b"]))
    h = nn.dense(p[3]["W"], nn.layer_norm(h, p[2]["scale"], p[2]["shift"]))
    assert np.array_equal(model.apply(p, X), h)
    assert np.array_equal(model.train(p, X)[0], h) and model.train(p, X)[1] is None
    assert nn.parameter_count(p) == 24 + 6 + 12 + 12
    loss = value_and_grad(lambda p, x: np.sum(model.apply(p, x) ** 2))
    assert explain(loss, p, X).fallback == []
    assert tree_map(np.shape, loss(p, X)[1]) == tree_map(np.shape, p)


def test_networks_are_layers():
    inner = nn.Sequential(nn.Dense(4, 4), nn.BatchNorm(4))
    model = nn.Sequential(inner, nn.tanh, (lambda rng: {"a": np.ones(4)}, lambda p, x: p["a"] * x))
    p, rng = model.init(np.random.default_rng(0)), np.random.default_rng(0)
    y, state = model.train(p, X, model.state, rng)
    assert state[0][0] is None and set(state[0][1]) == {"mean", "variance"} and state[1] is None
    assert model.apply(p, X, state).shape == y.shape == (3, 4)
    assert not np.any(model.state[0][1]["mean"]), "the first state was changed"


def test_dropout_draws_anew_in_a_compiled_step():
    rng, ones = np.random.default_rng(0), np.ones((50, 50))
    step = jit(grad(lambda x, rng: np.sum(nn.dropout(x, 0.5, rng))))
    assert not np.array_equal(step(ones, rng), step(ones, rng))
    factors = nn.keep(rng, ones.shape, 0.5)
    assert np.array_equal(jit(grad(lambda x, m: np.sum(x * m)))(ones, factors), factors)


def test_initial_weights_have_their_variance():
    rng = np.random.default_rng(0)
    assert np.isclose(np.var(nn.he(rng, (400, 300))), 2 / 300, rtol=0.02)
    assert np.isclose(np.var(nn.glorot(rng, (400, 300))), 2 / 700, rtol=0.02)
    assert np.isclose(np.var(nn.he(rng, (64, 8, 5, 5))), 2 / 200, rtol=0.05)
    assert nn.he(rng, (3, 2), np.float32).dtype == np.float32


def test_running_averages_are_results():
    first, running = nn.batch_norm(X, V, V)
    assert close(running["mean"], X.mean(0), 1e-14)
    assert close(running["variance"], X.var(0, ddof=1), 1e-14)
    before = {name: x.copy() for name, x in running.items()}
    again, after = nn.batch_norm(2 * X, V, V, running, momentum=0.25)
    assert all(np.array_equal(before[name], running[name]) for name in running)
    assert close(after["mean"], 0.75 * X.mean(0) + 0.5 * X.mean(0), 1e-14)

    def step(x):
        y, running = nn.batch_norm(x, V, V, before)
        return np.sum(y**3), running

    (loss, kept), g = value_and_grad(step, has_aux=True)(X)
    assert close(g, grad(lambda x: np.sum(nn.batch_norm(x, V, V)[0] ** 3))(X), 1e-14)
    (_, compiled), _ = jit(value_and_grad(step, has_aux=True))(X)
    assert close(compiled["mean"], kept["mean"], 1e-14)


# Refusals

REFUSED = {
    "floats that are no probabilities": lambda: nn.cross_entropy(X, Y),
    "float classes": lambda: nn.cross_entropy(X, LABELS.astype(float)),
    "integer probabilities": lambda: nn.cross_entropy(X, np.eye(4, dtype=int)[LABELS]),
    "integer targets": lambda: nn.softmax_cross_entropy(X, LABELS),
    "integer logits": lambda: nn.cross_entropy(np.array([[1, 2]]), np.array([0])),
    "integer logits again": lambda: nn.softmax_cross_entropy(np.array([1, 2]), np.array([0.0, 1])),
    "class too large": lambda: nn.cross_entropy(X, LABELS + 1),
    "class below zero": lambda: nn.cross_entropy(X, LABELS - 1),
    "class too large, compiled": lambda: jit(grad(nn.cross_entropy))(X, LABELS + 1),
    "class below zero, compiled": lambda: jit(value_and_grad(nn.cross_entropy))(X, LABELS - 1),
    "classes of another batch": lambda: nn.cross_entropy(X, LABELS[:2]),
    "one hot out of range": lambda: nn.one_hot(LABELS, 3),
    "mse that would broadcast": lambda: nn.mse(np.zeros(3), np.zeros((3, 1))),
    "huber that would broadcast": lambda: nn.huber(np.zeros(3), np.zeros(1)),
    "integer predictions": lambda: nn.mse(np.zeros(3, int), np.zeros(3)),
    "weights the other way": lambda: nn.dense(W.T, X),
    "a bias that would broadcast": lambda: nn.dense(W, X, np.zeros(1)),
    "integer weights": lambda: nn.dense(np.ones((2, 4), int), X),
    "a scale that would broadcast": lambda: nn.layer_norm(X, V[:1]),
    "an inner axis": lambda: nn.layer_norm(X, axis=0),
    "no batch": lambda: nn.batch_norm(V, V, V),
    "no averages": lambda: nn.batch_norm(X, V, V, training=False),
    "a rate of one": lambda: nn.dropout(X, 1.0, np.random.default_rng(0)),
    "a seed": lambda: nn.dropout(X, 0.5, 0),
    "a word out of range": lambda: nn.embedding(X, np.array([0, 3])),
    "a negative word": lambda: nn.embedding(X, np.array([-1])),
    "a word out of range, compiled": lambda: jit(nn.embedding)(X, np.array([0, 3])),
    "a negative word, compiled": lambda: jit(nn.embedding)(X, np.array([0, -1])),
    "words of floats": lambda: nn.embedding(X, np.array([0.0])),
    "a place out of range": lambda: nn.gather(X, PLACES + 1),
    "keys of another width": lambda: nn.attention(Q, K[..., :2], U),
    "a query that sees nothing": lambda: nn.attention(Q, K, U, mask=np.zeros((5, 5), bool)),
    "a mask of floats": lambda: nn.attention(Q, K, U, mask=np.ones((5, 5))),
    "a causal mask of a rectangle": lambda: nn.attention(Q[:, :2], K, U, causal=True),
    "parts that are not equal": lambda: nn.chunk(X, 3, axis=1),
    "complex numbers": lambda: nn.relu(1j * X),
    "a form that is not": lambda: nn.gelu(X, form="fast"),
    "no generator": lambda: nn.Sequential(nn.Dense(2, 2)).init(0),
    "no layer": lambda: nn.Sequential(nn.Dense(2, 2), "relu"),
    "a class for a function": lambda: nn.Sequential(nn.Layer),
    "parameters of another network": lambda: nn.Sequential(nn.relu, nn.relu).apply([{}], X),
    "an offset's fans": lambda: nn.he(np.random.default_rng(0), (3,)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_remedy(name):
    with pytest.raises(LitadError) as caught:
        REFUSED[name]()
    message = str(caught.value)
    assert all(f"  {part}:" in message for part in ("got", "rule", "instead")), message


def test_probabilities_that_round_above_one_pass():
    assert np.isfinite(nn.cross_entropy(np.array([1.0 + 1e-6, 0.0], np.float32), np.eye(2)[0]))


def test_primitives_are_what_they_say():
    "the primitives of a loss over boxes and over arrays give the same numbers"
    assert close(row_losses(X, Y), -np.sum(Y * nn.log_softmax(X), -1), 1e-14)
    assert close(surprise(np.array(Y), Y), -Y * np.log(Y), 1e-15)


# PyTorch


def torch_cases():
    t = pytest.importorskip("torch", reason="PyTorch is not installed")
    F = t.nn.functional
    target = t.tensor(LABELS)
    mask = np.tri(5, 5, 1) > 0

    def attend(**options):
        return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options)

    return {
        "relu": (nn.relu, t.relu, X),
        "leaky": (nn.leaky_relu, F.leaky_relu, X),
        "prelu": (nn.leaky_relu, lambda x, a: F.prelu(x, a.reshape(1)), X, np.array(0.2)),
        "sigmoid": (nn.sigmoid, t.sigmoid, 9 * X),
        "tanh": (nn.tanh, t.tanh, X),
        "softplus": (nn.softplus, F.softplus, 5 * X),
        "silu": (nn.silu, F.silu, 5 * X),
        "gelu": (nn.gelu, F.gelu, 2 * X),
        "gelu tanh": (
            lambda x: nn.gelu(x, form="tanh"),
            lambda x: F.gelu(x, approximate="tanh"),
            2 * X,
        ),
        "softmax": (nn.softmax, lambda x: F.softmax(x, -1), 5 * X),
        "log softmax": (nn.log_softmax, lambda x: F.log_softmax(x, -1), 5 * X),
        "classes": (
            lambda x: nn.cross_entropy(x, LABELS),
            lambda x: F.cross_entropy(x, target),
            3 * X,
        ),
        "probabilities": (
            lambda x, y: nn.softmax_cross_entropy(x, y)[0],
            lambda x, y: F.cross_entropy(x, y, reduction="sum"),
            3 * X,
            Y,
        ),
        "mse": (nn.mse, F.mse_loss, X, Y),
        "huber": (nn.huber, F.huber_loss, 2 * X, Y),
        "dense": (nn.dense, lambda W, x, b: F.linear(x, W, b), W, X, V[:2]),
        "layer norm": (nn.layer_norm, lambda x, a, b: F.layer_norm(x, (4,), a, b), X, V, V),
        "rms norm": (nn.rms_norm, lambda x, a: F.rms_norm(x, (4,), a, 1e-6), X, V),
        "batch norm": (
            lambda x, a, b: nn.batch_norm(x, a, b)[0],
            lambda x, a, b: F.batch_norm(x, None, None, a, b, training=True),
            np.swapaxes(Q, 1, 2),
            V,
            V,
        ),
        "embedding": (
            lambda table: nn.embedding(table, PLACES % 3),
            lambda table: F.embedding(t.tensor(PLACES % 3), table),
            X,
        ),
        "gather": (
            lambda x: nn.gather(x, PLACES),
            lambda x: t.gather(x, -1, t.tensor(PLACES)),
            X,
        ),
        "attention": (nn.attention, attend(), Q, K, U),
        "causal": (
            lambda q, k, v: nn.attention(q, k, v, causal=True),
            attend(is_causal=True),
            Q,
            K,
            U,
        ),
        "masked": (
            lambda q, k, v: nn.attention(q, k, v, mask=mask),
            attend(attn_mask=t.tensor(mask)),
            Q,
            K,
            U,
        ),
        "rsqrt": (nn.rsqrt, t.rsqrt, V),
        "chunk": (
            lambda x: nn.chunk(x, 2, axis=1)[1] ** 2,
            lambda x: t.chunk(x, 2, 1)[1] ** 2,
            X,
        ),
    }


def test_values_and_slopes_are_those_of_pytorch():
    cases = torch_cases()
    import torch

    for name, (ours, theirs, *xs) in cases.items():
        tensors = [torch.tensor(x, requires_grad=True) for x in xs]
        y = theirs(*tensors)
        weight = RNG.standard_normal(tuple(y.shape))
        y.backward(torch.tensor(weight))
        value, pullback = vjp(ours, *xs)
        assert close(value, y.detach().numpy(), 1e-12), name
        for got, tensor in zip(pullback(weight), tensors):
            assert close(got, tensor.grad.numpy(), 1e-11), name


def test_running_averages_are_those_of_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    mean, variance = torch.zeros(4).double(), torch.ones(4).double()
    running = {"mean": np.zeros(4), "variance": np.ones(4)}
    for factor in (1.0, 2.0, -0.5):
        torch.nn.functional.batch_norm(torch.tensor(factor * X), mean, variance, training=True)
        running = nn.batch_norm(factor * X, np.ones(4), np.zeros(4), running)[1]
    assert close(running["mean"], mean.numpy(), 1e-13)
    assert close(running["variance"], variance.numpy(), 1e-13)
    used = torch.nn.functional.batch_norm(torch.tensor(X), mean, variance)
    ours = nn.batch_norm(X, np.ones(4), np.zeros(4), running, training=False)[0]
    assert close(ours, used.numpy(), 1e-13)
