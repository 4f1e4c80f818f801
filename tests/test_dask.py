"""Gradients over plans: lazily, on a cluster of two processes, with a worker that dies."""

import os
import resource
import signal
from pathlib import Path

import numpy as np
import pytest

from litad import grad, hvp, nn, value_and_grad

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")


def logistic(w, X, y):
    z = X @ w
    return np.mean(np.logaddexp(0.0, z) - y * z) + 1e-3 * np.sum(w**2)


def squares(w, X, y):
    return np.mean((X @ w - y) ** 2)


def network(p, x, y):
    return nn.cross_entropy(np.tanh(x @ p["W"] + p["b"]) @ p["V"], y)


LIMIT = 256 * 2**20


@pytest.fixture(scope="module")
def client():
    "Two worker processes, each of which is ended if it holds more than the limit."
    dask.config.set({"distributed.scheduler.worker-saturation": 1.0})
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            silence_logs=50,
            memory_limit=LIMIT,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def data():
    random = np.random.default_rng(0)
    rows = random.normal(size=(4000, 5))
    return rows, (rows @ np.arange(5.0) + random.normal(size=4000) > 0).astype(float)


def test_nothing_runs_until_it_is_asked_for():
    ran = []
    X = da.from_array(np.ones((8, 3)), chunks=(2, 3)).map_blocks(
        lambda b: (ran.append(1), b)[1], meta=np.ones((0, 0))
    )
    value, g = value_and_grad(squares)(np.ones(3), X, np.zeros(8))
    second = hvp(lambda w: squares(w, X, np.zeros(8)), np.ones(3), np.ones(3))
    assert not ran and all(isinstance(x, da.Array) for x in (value, g, second))
    assert dask.compute(g, scheduler="synchronous")[0].tolist() == [6.0] * 3 and ran


@pytest.mark.parametrize("loss", [logistic, squares])
def test_the_numbers_of_numpy(client, data, loss):
    X, y = da.from_array(data[0], chunks=(1000, 5)), da.from_array(data[1], chunks=1000)
    w, v = np.linspace(-1, 1, 5), np.ones(5)
    value, g = dask.compute(*value_and_grad(loss)(w, X, y))
    expected, known = value_and_grad(loss)(w, *data)
    assert abs(value - expected) < 1e-12 and np.abs(g - known).max() < 1e-12
    product = hvp(lambda w: loss(w, X, y), w, v).compute()
    assert np.abs(product - hvp(lambda w: loss(w, *data), w, v)).max() < 1e-12


def test_optimisers_of_scipy(client, data):
    from scipy.optimize import minimize

    X, y = da.from_array(data[0], chunks=(2000, 5)), da.from_array(data[1], chunks=2000)
    there = lambda w: dask.compute(*value_and_grad(logistic)(w, X, y))  # noqa: E731
    here = lambda w: value_and_grad(logistic)(w, *data)  # noqa: E731
    a, b = (
        minimize(f, np.zeros(5), jac=True, method="L-BFGS-B", options={"maxiter": 3})
        for f in (there, here)
    )
    assert np.abs(a.x - b.x).max() < 1e-10
    curved = lambda w, v: hvp(lambda w: logistic(w, X, y), w, v).compute()  # noqa: E731
    curved_here = lambda w, v: hvp(lambda w: logistic(w, *data), w, v)  # noqa: E731
    a, b = (
        minimize(f, b.x, jac=True, hessp=h, method="Newton-CG", options={"maxiter": 1})
        for f, h in ((there, curved), (here, curved_here))
    )
    assert np.abs(a.x - b.x).max() < 1e-8


def test_a_network_over_partitions(client):
    random = np.random.default_rng(0)
    x, y = random.normal(size=(40, 6)), random.integers(0, 3, 40)
    p = {"W": random.normal(size=(6, 5)), "b": np.zeros(5), "V": random.normal(size=(5, 3))}
    value, g = dask.compute(
        *value_and_grad(network)(p, da.from_array(x, chunks=(10, 6)), da.from_array(y, chunks=10))
    )
    expected, known = value_and_grad(network)(p, x, y)
    assert abs(value - expected) < 1e-12
    assert all(np.abs(g[name] - known[name]).max() < 1e-12 for name in p)


TALL, WIDE, PARTS = 40_000, 64, 54


def block(k):
    return np.resize(np.random.default_rng(k).normal(size=5003), (TALL, WIDE))


def most_held():
    "Bytes: of this program alone, for what getrusage says begins with the one that started it."
    try:
        text = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(text.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_more_rows_than_memory(client):
    "four times what a worker may hold, through both optimisers of SciPy's: nobody dies of it"
    from scipy.optimize import minimize

    parts = [da.from_delayed(dask.delayed(block)(k), (TALL, WIDE), float) for k in range(PARTS)]
    X, true = da.concatenate(parts), np.linspace(-1, 1, WIDE)
    y = (X @ true > 0).astype(float)
    assert X.nbytes > 4 * LIMIT
    before, processes = most_held(), set(client.run(os.getpid).values())
    known = {}

    def there(w):
        if w.tobytes() not in known:
            known[w.tobytes()] = dask.compute(*value_and_grad(logistic)(w, X, y))
        return known[w.tobytes()]

    curved = lambda w, v: hvp(lambda w: logistic(w, X, y), w, v).compute()  # noqa: E731
    w = minimize(there, np.zeros(WIDE), jac=True, method="L-BFGS-B", options={"maxiter": 1}).x
    how = {"method": "Newton-CG", "options": {"maxiter": 1}}
    better = minimize(there, w, jac=True, hessp=curved, **how)
    assert better.nhev > 0 and better.fun < there(w)[0]
    assert set(client.run(os.getpid).values()) == processes
    assert max(client.run(most_held).values()) < LIMIT
    assert most_held() - before < X.nbytes / 4
    whole = [0.0, np.zeros(WIDE), np.zeros(WIDE)]
    for k in range(PARTS):
        rows = block(k)
        labels = (rows @ true > 0).astype(float)
        value, g = value_and_grad(logistic)(w, rows, labels)
        terms = value, g, hvp(lambda w: logistic(w, rows, labels), w, true)  # noqa: B023
        whole = [total + term / PARTS for total, term in zip(whole, terms)]
    for found, expected in zip((*there(w), curved(w, true)), whole):
        assert np.abs(found - expected).max() < 1e-12


def test_the_pull_of_a_sum_is_cut_as_the_rows_are():
    "no vector of the length of the data in one block, on one machine"
    X = da.ones((4000, 5), chunks=(500, 5))
    plans = value_and_grad(logistic)(np.zeros(5), X, da.ones(4000, chunks=500))
    sizes = []
    note = lambda key, task, pool: None  # noqa: E731
    after = lambda key, result, *_: sizes.append(getattr(result, "nbytes", 0))  # noqa: E731
    with dask.callbacks.Callback(pretask=note, posttask=after):
        dask.compute(*plans, scheduler="synchronous", optimize_graph=False)
    assert max(sizes) <= 500 * 5 * 8


def test_a_worker_that_dies(client, data):
    X, y = client.persist(
        [da.from_array(data[0], chunks=(500, 5)), da.from_array(data[1], chunks=500)]
    )
    w = np.linspace(-1, 1, 5)
    future = client.compute(list(value_and_grad(logistic)(w, X, y)))
    os.kill(sorted(client.run(os.getpid).values())[0], signal.SIGKILL)
    value, g = client.gather(future)
    expected, known = value_and_grad(logistic)(w, *data)
    assert abs(value - expected) < 1e-12 and np.abs(g - known).max() < 1e-12


def test_a_variable_that_is_a_plan():
    x = da.from_array(np.arange(6.0), chunks=2)
    g = grad(lambda x: np.sum(np.sin(x) * x))(x)
    assert isinstance(g, da.Array) and g.chunks == x.chunks
    np.testing.assert_allclose(
        g.compute(scheduler="synchronous"), grad(lambda x: np.sum(np.sin(x) * x))(np.arange(6.0))
    )


def test_unknown_lengths_are_refused():
    X, y = da.ones((4, 2), chunks=2), da.arange(4, chunks=2)
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        grad(lambda w: np.sum(np.matmul(X[y > 1], w)))(np.ones(2))
