"""Optimisers against PyTorch, and a training that is broken off, spoiled, and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from litad import LitadError, jit, value_and_grad
from litad.optimisers import (
    adam,
    adamw,
    averaged,
    clip_by_norm,
    clip_by_value,
    clipped,
    cosine,
    ema,
    global_norm,
    joined,
    rmsprop,
    sgd,
    step_decay,
    warm_up,
)
from litad.training import (
    History,
    batches,
    fit,
    load_checkpoint,
    make_step,
    save_checkpoint,
)
from litad.tree import flatten, tree_map, unflatten

ROOT = Path(__file__).resolve().parent.parent
STEPS = 20

RULES = {
    "sgd": (lambda: sgd(0.05), "SGD", {"lr": 0.05}),
    "decay": (lambda: sgd(0.05, decay=0.1), "SGD", {"lr": 0.05, "weight_decay": 0.1}),
    "momentum": (lambda: sgd(0.05, momentum=0.9), "SGD", {"lr": 0.05, "momentum": 0.9}),
    "nesterov": (
        lambda: sgd(0.05, momentum=0.9, nesterov=True, decay=0.01),
        "SGD",
        {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    ),
    "adam": (lambda: adam(0.01), "Adam", {"lr": 0.01}),
    "adam, other settings": (
        lambda: adam(0.02, b1=0.8, b2=0.95, eps=1e-5),
        "Adam",
        {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-5},
    ),
    "adamw": (lambda: adamw(0.01, decay=0.1), "AdamW", {"lr": 0.01, "weight_decay": 0.1}),
    "rmsprop": (lambda: rmsprop(0.01), "RMSprop", {"lr": 0.01}),
    "rmsprop, all of it": (
        lambda: rmsprop(0.01, alpha=0.9, momentum=0.8, centered=True),
        "RMSprop",
        {"lr": 0.01, "alpha": 0.9, "momentum": 0.8, "centered": True},
    ),
}
OPTIMISERS = {name: make for name, (make, _, _) in RULES.items()} | {
    "scheduled": lambda: adam(warm_up(cosine(0.1, 15), 4)),
    "clipped": lambda: clipped(adamw(0.01), norm=0.3, value=0.2),
    "averaged": lambda: averaged(sgd(0.1, momentum=0.5), 0.8),
    "everything": lambda: averaged(clipped(rmsprop(step_decay(0.1, 5)), norm=1.0), 0.9),
}

x = np.random.default_rng(0).normal(size=(40, 5))
y = np.sin(x[:, 0]) + x[:, 1]


def parameters(dtype=float):
    random = np.random.default_rng(1)
    draw = lambda *shape: random.normal(0, 0.5, shape).astype(dtype)  # noqa: E731
    return {"first": [draw(5, 8), draw(8)], "last": (draw(8, 1), draw(1))}


def misfit(w, x, y):
    h = np.tanh(x @ w["first"][0] + w["first"][1])
    return np.mean(((h @ w["last"][0] + w["last"][1])[:, 0] - y) ** 2)


def steps(optimiser, count=STEPS, params=None, step=None):
    params = parameters() if params is None else params
    state, f = optimiser.init(params), value_and_grad(misfit)
    for _ in range(count):
        if step is not None:
            _, params, state = step(params, state)
        else:
            params, state = optimiser.update(params, f(params, x, y)[1], state)
    return params, state


def largest_difference(a, b):
    return max(float(np.max(np.abs(p - q))) for p, q in zip(flatten(a)[0], flatten(b)[0]))


# ---------------------------------------------------------------- optimisers


def by_torch(make, before=lambda leaves: None, schedule=None):
    "Twenty steps by PyTorch, with litad's gradients."
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    leaves, treedef = flatten(parameters())
    tensors = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in leaves]
    optimiser = make(torch, tensors)
    falling = schedule and schedule(torch, optimiser)
    for _ in range(STEPS):
        now = unflatten(treedef, [t.detach().numpy().copy() for t in tensors])
        for t, g in zip(tensors, flatten(value_and_grad(misfit)(now, x, y)[1])[0]):
            t.grad = torch.tensor(g)
        before(tensors)
        optimiser.step()
        if falling:
            falling.step()
    return unflatten(treedef, [t.detach().numpy() for t in tensors])


@pytest.mark.parametrize("name", RULES)
def test_rule_is_that_of_pytorch(name):
    make, theirs, settings = RULES[name]
    want = by_torch(lambda torch, p: getattr(torch.optim, theirs)(p, **settings))
    assert largest_difference(steps(make())[0], want) < 1e-12


def test_clipping_is_that_of_pytorch():
    def with_norm(tensors):
        import torch

        torch.nn.utils.clip_grad_norm_(tensors, 0.2)

    def with_value(tensors):
        import torch

        torch.nn.utils.clip_grad_value_(tensors, 0.1)

    def by_norm(w, g, s):
        return sgd(0.1).update(w, clip_by_norm(g, 0.2, eps=1e-6), s)

    plain_descent = lambda torch, p: torch.optim.SGD(p, lr=0.1)  # noqa: E731
    got = steps(sgd(0.1)._replace(update=by_norm))[0]
    assert largest_difference(got, by_torch(plain_descent, with_norm)) < 1e-12
    got = steps(clipped(sgd(0.1), value=0.1))[0]
    assert largest_difference(got, by_torch(plain_descent, with_value)) < 1e-12


SCHEDULES = {
    "step": (
        lambda: step_decay(0.1, 6, 0.5),
        lambda s: lambda torch, o: s.StepLR(o, 6, 0.5),
    ),
    "cosine": (
        lambda: cosine(0.1, 20, final=0.01),
        lambda s: lambda torch, o: s.CosineAnnealingLR(o, 20, eta_min=0.01),
    ),
    "warm-up": (
        lambda: warm_up(0.1, 8, start=0.25),
        lambda s: lambda torch, o: s.LinearLR(o, start_factor=0.25, total_iters=8),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_is_that_of_pytorch(name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    mine, theirs = SCHEDULES[name]
    want = by_torch(
        lambda torch, p: torch.optim.SGD(p, lr=0.1),
        schedule=theirs(torch.optim.lr_scheduler),
    )
    assert largest_difference(steps(sgd(mine()))[0], want) < 1e-12


def test_average_is_that_of_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    from torch.optim.swa_utils import get_ema_multi_avg_fn

    old, new = np.arange(3.0), np.array([5.0, -1.0, 0.5])
    theirs = [torch.tensor(old)]
    get_ema_multi_avg_fn(0.9)(theirs, [torch.tensor(new)], None)
    assert np.allclose(ema(old, new, 0.9), theirs[0].numpy(), rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_compiled_step_is_the_step(name, dtype):
    optimiser = OPTIMISERS[name]()
    data = x.astype(dtype), y.astype(dtype)

    def step(params, state):
        value, grads = value_and_grad(misfit)(params, *data)
        return value, *optimiser.update(params, grads, state)

    both = [
        steps(optimiser, params=parameters(dtype), step=f)
        for f in (step, jit(step, donate_argnums=(0, 1)))
    ]
    rtol = 1e-11 if dtype == np.float64 else 2e-3
    for a, b in zip(*[flatten(t)[0] for t in both]):
        assert a.dtype == b.dtype and a.shape == b.shape
        assert np.allclose(a, b, rtol=rtol, atol=rtol)
    assert all(a.dtype == dtype for a in flatten(both[0][0])[0])
    moved = largest_difference(both[0][0], parameters(dtype))
    assert 1e-3 < moved < 10


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "adamw", "rmsprop", "averaged"])
def test_compiled_step_allocates_no_arrays(name):
    optimiser = OPTIMISERS[name]()
    data = np.random.default_rng(0).normal(size=(8, 200))

    def step(w, state):
        value, g = value_and_grad(lambda w: np.mean(np.tanh(data @ w) ** 2))(w)
        return *optimiser.update(w, g, state), value

    compiled, w = jit(step, donate_argnums=(0, 1)), np.ones((200, 300)) / 100
    state = optimiser.init(w)
    for _ in range(3):
        w, state, _ = compiled(w, state)
    addresses = [a.ctypes.data for a in flatten((w, state))[0] if np.ndim(a)]
    tracemalloc.start()
    for _ in range(10):
        w, state, _ = compiled(w, state)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [a.ctypes.data for a in flatten((w, state))[0] if np.ndim(a)] == addresses
    assert peak < 48_000  # bytes; one array would be 480 000


class Pair(NamedTuple):
    w: np.ndarray
    count: int


def test_any_nest_of_containers_and_what_does_not_move():
    params = {"pair": Pair(np.ones(2), 3), "name": "network", "rate": 0.5, "none": None}
    grads = {"pair": Pair(np.ones(2), None), "name": None, "rate": 2.0, "none": None}
    for make in OPTIMISERS.values():
        optimiser = make()
        new, state = optimiser.update(params, grads, optimiser.init(params))
        assert new["pair"].count == 3 and new["name"] == "network" and new["none"] is None
        assert type(new["rate"]) is float and type(new["pair"]) is Pair
        optimiser.update(new, grads, state)
    by_other_order = dict(reversed(list(grads.items())))
    assert sgd(0.1).update(params, by_other_order, sgd(0.1).init(params))[0]["rate"] == 0.3


def test_init_and_update_leave_their_arguments_alone():
    for make in OPTIMISERS.values():
        optimiser, w, g = make(), np.ones(3), np.ones(3)
        state = optimiser.init(w)
        before = [np.copy(a) for a in flatten(state)[0]]
        optimiser.update(w, g, state)
        assert np.all(w == 1) and np.all(g == 1)
        assert all(np.array_equal(a, b) for a, b in zip(flatten(state)[0], before))
        assert not any(np.shares_memory(a, w) for a in flatten(state)[0] if np.ndim(a))


def test_global_norm_of_extremes():
    assert global_norm({"a": np.full(4, 1e30, np.float32)}) == pytest.approx(2e30, rel=1e-6)
    assert global_norm({"a": np.zeros(0), "b": None, "c": 3}) == 0.0
    big = clip_by_norm({"a": np.full(4, 1e30, np.float32)}, 1.0)["a"]
    assert big.dtype == np.float32 and np.allclose(big, 0.5)
    assert np.isnan(clip_by_norm(np.array([np.nan, 1.0]), 1.0)).all()
    assert clip_by_value([np.array([-9.0, 9.0])], 2.0)[0].tolist() == [-2.0, 2.0]


def test_joined_schedules_count_from_their_own_beginnings():
    whole = joined(1.0, lambda k: k, step_decay(8.0, 2, 0.5), at=(3, 6))
    assert [float(whole(k)) for k in range(10)] == [1, 1, 1, 0, 1, 2, 8, 8, 4, 4]
    rising = warm_up(step_decay(1.0, 3, 0.5), 2, start=0.5)
    assert [float(rising(k)) for k in range(6)] == [0.5, 0.75, 1, 1, 1, 0.5]


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: adam().update({"a": y}, [y], adam().init({"a": y})),
        lambda: adam().update(y, y[:, None], adam().init(y)),
        lambda: adam().update(y, y, sgd(0.1).init(y)),
        lambda: adam().update(y, y, adam().init(y[:3])),
        lambda: adam().init(y + 0j),
        lambda: sgd(-1.0),
        lambda: sgd(np.nan),
        lambda: sgd(True),
        lambda: sgd("0.1"),
        lambda: sgd(0.1, momentum=1.0),
        lambda: sgd(0.1, nesterov=True),
        lambda: adam(b2=1.0),
        lambda: adam(eps=-1.0),
        lambda: rmsprop(alpha=1.5),
        lambda: averaged(adam(), 1.0),
        lambda: clipped(adam()),
        lambda: clipped(adam(), norm=-1.0),
        lambda: cosine(0.1, 0),
        lambda: step_decay(0.1, 2.5),
        lambda: warm_up(0.1, -3),
        lambda: joined(0.1, 0.2, at=(3, 6)),
        lambda: joined(0.1, 0.2, 0.3, at=(6, 3)),
    ],
)
def test_optimisers_refuse(attempt):
    with pytest.raises(LitadError):
        attempt()


def test_an_optimiser_shows_the_call_that_made_it():
    assert repr(sgd(0.1)) == "sgd(rate=0.1, momentum=0.0, nesterov=False, decay=0.0)"
    shown = repr(clipped(adam(cosine(0.1, 9)), norm=1.0))
    assert shown.startswith("clipped(optimiser=adam(rate=cosine(rate=0.1, steps=9")


# ---------------------------------------------------------------- training


def network(dtype=float):
    random = np.random.default_rng(3)
    return {"first": random.normal(0, 1, (5, 16)).astype(dtype), "last": np.zeros(16, dtype)}


def loss(w, x, y):
    return np.mean((np.tanh(x @ w["first"]) @ w["last"] - y) ** 2)


def train(**settings):
    common = {"optimiser": adam(0.01), "generator": np.random.default_rng(0), "batch": 8}
    return fit(loss, settings.pop("params", network()), (x, y), **(common | settings))


def same_bits(a, b):
    assert json.dumps(a.history.rows) == json.dumps(b.history.rows)
    leaves = zip(flatten(a.arrays())[0], flatten(b.arrays())[0], strict=True)
    return all(
        p is q is None or np.asarray(p).tobytes() == np.asarray(q).tobytes() for p, q in leaves
    )


def test_it_learns_and_writes_to_nothing_of_others():
    before, data = network(), (x.copy(), y.copy())
    run = train(params=before, epochs=100, validation=(x, y))
    assert run.history["loss"][-1] < run.history["loss"][0] / 10
    assert largest_difference(before, network()) == 0
    assert np.array_equal(x, data[0]) and np.array_equal(y, data[1])
    assert run.step == 500 and run.epoch == 100 == len(run.history)
    assert loss(run.params, x, y) == pytest.approx(run.history["validation loss"][-1], rel=1e-12)


def test_compiled_and_eager_agree_and_generators_decide():
    runs = [train(epochs=3, compiled=c) for c in (True, False)]
    assert largest_difference(runs[0].params, runs[1].params) < 1e-12
    assert same_bits(train(epochs=3), runs[0])
    other = train(epochs=3, generator=np.random.default_rng(5))
    assert largest_difference(other.params, runs[0].params) > 1e-6


def test_every_sample_once_an_epoch():
    seen = np.concatenate([b for (b,) in batches(np.arange(10), 4, np.random.default_rng(0))])
    assert sorted(seen) == list(range(10)) and list(seen) != list(range(10))
    assert train(batch=12, epochs=2).step == 8
    assert train(batch=12, epochs=2, drop_last=True).step == 6
    assert train(batch=40, epochs=2).step == 2


def test_float32_stays_float32():
    data = x.astype(np.float32), y.astype(np.float32)
    generator = np.random.default_rng(0)
    run = fit(loss, network(np.float32), data, optimiser=adam(0.01), generator=generator, epochs=2)
    assert all(a.dtype == np.float32 for a in flatten(run.params)[0])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("compiled", [True, False])
def test_a_loss_that_is_nan_names_step_and_leaf(compiled):
    def breaking(w, x, y):
        return loss(w, x, y) + np.sqrt(0.02 - w["last"][0])

    with pytest.raises(LitadError, match=r"loss of step \d+ is nan") as caught:
        with np.errstate(all="ignore"):
            fit(breaking, network(), (x, y), optimiser=adam(0.01), epochs=50, compiled=compiled,
                generator=np.random.default_rng(0), batch=8)  # fmt: skip
    assert "last, f64[16]" in str(caught.value)


def test_a_gradient_that_is_nan_under_a_finite_loss_is_found():
    def kinked(w, x, y):
        return loss(w, x, y) + np.sum(np.sqrt(w["last"]))

    with np.errstate(all="ignore"), pytest.raises(LitadError, match="gradient of step 1") as caught:
        fit(kinked, network(), (x, y), optimiser=sgd(0.1), generator=np.random.default_rng(0))
    assert "last, f64[16], 16 of 16" in str(caught.value)


def test_the_leaf_is_named_by_its_way():
    params = {"layers": [{"w": np.ones(2)}, {"w": np.zeros(2)}]}

    def f(w, x):
        return np.mean(x) * np.sum(w["layers"][0]["w"]) - np.sum(np.log(w["layers"][1]["w"]))

    with np.errstate(all="ignore"), pytest.raises(LitadError, match="layers.1.w, f64"):
        fit(
            f,
            params,
            np.ones((4, 2)),
            batch=2,
            optimiser=sgd(0.1),
            generator=np.random.default_rng(0),
        )


@pytest.mark.parametrize(
    "settings, word",
    [
        ({"batch": 41}, "batch"),
        ({"batch": 0}, "batch"),
        ({"batch": 2.5}, "batch"),
        ({"generator": 0}, "Generator"),
        ({"generator": np.random}, "Generator"),
        ({"patience": 3}, "watch"),
        ({"patience": 0, "watch": "loss"}, "patience"),
        ({"metrics": {"a": loss}}, "validation"),
        ({"validation": (x, y[:-1])}, "validation"),
        ({"params": tree_map(lambda a: a * np.nan, network())}, "first parameters"),
    ],
)
def test_fit_refuses(settings, word):
    with pytest.raises(LitadError, match=word):
        train(**settings)


@pytest.mark.parametrize("data", [(x, y[:-1]), (x[:0], y[:0]), (), (x, 3.0)])
def test_fit_refuses_data(data):
    with pytest.raises(LitadError, match="data"):
        fit(loss, network(), data, optimiser=sgd(0.1), generator=np.random.default_rng(0))


def test_data_with_a_nan_are_named():
    spoiled = x.copy()
    spoiled[7, 2] = np.nan
    with pytest.raises(LitadError, match="data that are not finite reached step"):
        fit(loss, network(), (spoiled, y), optimiser=sgd(0.1), generator=np.random.default_rng(0))


def test_patience_gives_back_the_best():
    rates = sgd(joined(0.05, 0.45, at=60))
    run = train(optimiser=rates, epochs=60, validation=(x, y), patience=3)
    column = run.history["validation loss"]
    assert run.score == column.min()
    assert loss(run.params, x, y) == pytest.approx(column.min(), rel=1e-12)
    if run.stopped:
        assert run.epoch == int(column.argmin()) + 4


def test_callbacks_see_every_epoch_and_may_stop():
    seen = []
    run = train(
        epochs=9, callbacks=[lambda run: seen.append(run.epoch), lambda run: run.epoch == 4]
    )
    assert seen == [1, 2, 3, 4] and run.stopped and run.epoch == 4


def test_a_loss_may_carry_something():
    def counting(w, carried, x, y):
        mean = 0.9 * carried["mean"] + 0.1 * np.mean(x, axis=0)
        return loss(w, x - mean, y), {"mean": mean}

    start = {"mean": np.zeros(5)}
    runs = [
        fit(counting, network(), (x, y), optimiser=adam(0.01), carried=start, epochs=3, batch=8,
            compiled=c, generator=np.random.default_rng(0)) for c in (True, False)
    ]  # fmt: skip
    assert np.all(start["mean"] == 0) and not np.allclose(runs[0].carried["mean"], 0)
    assert np.allclose(runs[0].carried["mean"], runs[1].carried["mean"], rtol=1e-12)
    assert largest_difference(runs[0].params, runs[1].params) < 1e-12


@pytest.mark.parametrize("bar", [True, False])
def test_progress_with_and_without_tqdm(bar, capsys, monkeypatch):
    if bar:
        pytest.importorskip("tqdm", reason="tqdm is not installed: no bar")
    else:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    train(epochs=2, progress=True)
    shown = capsys.readouterr().err
    assert "10/10" in shown if bar else shown.count("epoch ") == 2
    train(epochs=2)
    assert capsys.readouterr().err == ""


def test_a_history_shows_itself():
    run = train(epochs=12, validation=(x, y))
    assert "validation loss" in repr(run.history) and len(repr(run.history).splitlines()) <= 10
    bundle = run.history._repr_mimebundle_()
    assert {"text/plain", "application/vnd.vegalite.v5+json"} <= set(bundle)
    assert repr(History()) and "text/plain" in History()._repr_mimebundle_()
    assert repr(run).startswith("Run: 12 epochs, 60 steps: loss")


# ---------------------------------------------------------------- checkpoints


def needs_files():
    pytest.importorskip("safetensors", reason="safetensors is not installed: no checkpoints")


TREE = {
    "a": [np.arange(6.0).reshape(2, 3).T, np.float32(1.5), np.zeros((0, 2), np.int64)],
    "b": Pair(np.array(True), 7),
    "c": (None, "text", 0.1 + 0.2, float("inf"), -0.0),
}


def test_files_keep_everything(tmp_path):
    needs_files()
    save_checkpoint(tmp_path / "a.safetensors", TREE, about=[1, {"x": 0.1}])
    back, about = load_checkpoint(tmp_path / "a.safetensors", like=TREE)
    assert about == [1, {"x": 0.1}] and type(back["b"]) is Pair
    for p, q in zip(flatten(TREE)[0], flatten(back)[0], strict=True):
        assert type(p) is type(q) and repr(p) == repr(q)
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_files_are_read_by_the_library_they_are_made_for(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    save_checkpoint(tmp_path / "a", {"w": np.arange(3.0)})
    assert numpy.load_file(tmp_path / "a")["w"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("tree", [{"a.b": 1, "a": {"b": 2}}, {"f": len}, {"z": np.ones(2) * 1j}])
def test_what_files_cannot_hold_is_refused(tree, tmp_path):
    needs_files()
    with pytest.raises(LitadError):
        save_checkpoint(tmp_path / "a", tree)
    assert not list(tmp_path.iterdir())


def test_every_damaged_byte_is_found(tmp_path):
    needs_files()
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, {"w": np.arange(4.0), "n": 3}, about={"step": 2})
    content = path.read_bytes()
    for k in range(len(content)):
        path.write_bytes(content[:k] + bytes([content[k] ^ 1]) + content[k + 1 :])
        with pytest.raises(LitadError):
            load_checkpoint(path)
    for cut in (0, 7, 60, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(LitadError):
            load_checkpoint(path)
    path.write_bytes(content)
    assert load_checkpoint(path)[1] == {"step": 2}


def test_foreign_files_are_refused_before_anything_is_changed(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    path = tmp_path / "a.safetensors"
    numpy.save_file(network(), path)
    with pytest.raises(LitadError, match="no checkpoint of litad's"):
        train(checkpoint=path)
    smaller = {"first": np.ones((5, 4)), "last": np.ones(4)}
    for other in ({"params": smaller}, {"optimiser": sgd(0.1)},
                  {"batch": 10}, {"drop_last": True}):  # fmt: skip
        path.unlink()
        train(checkpoint=path, epochs=1, every=3)
        before, generator = path.read_bytes(), np.random.default_rng(9)
        state = generator.bit_generator.state
        with pytest.raises(LitadError, match="checkpoint of"):
            train(checkpoint=path, epochs=2, generator=generator, **other)
        assert path.read_bytes() == before and generator.bit_generator.state == state


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    needs_files()
    path = tmp_path / "a"
    save_checkpoint(path, {"w": np.ones(2)})

    def full(descriptor):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        save_checkpoint(path, {"w": np.zeros(2)})
    assert load_checkpoint(path)[0]["w"].tolist() == [1, 1]
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_parameters_that_are_not_finite_never_reach_a_file(tmp_path):
    needs_files()
    path = tmp_path / "a"

    def kinked(w, x, y):
        return loss(w, x, y) + np.sum(np.sqrt(w["last"]))

    with np.errstate(all="ignore"), pytest.raises(LitadError):
        fit(kinked, network(), (x, y), optimiser=sgd(0.1), checkpoint=path, every=1,
            generator=np.random.default_rng(0))  # fmt: skip
    assert not path.exists()


RUN = """
import os, signal, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
import test_training as t
from litad.optimisers import adam, averaged, cosine
kill_at, made = int(sys.argv[3]), []

def prepare(generator, x, y):
    made.append(1)
    if len(made) == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return x + generator.normal(0, 0.1, x.shape), y

run = t.train(optimiser=averaged(adam(cosine(0.05, 40)), 0.9), epochs=6, every=3, prepare=prepare,
              checkpoint=sys.argv[2], validation=(t.x, t.y), patience=50,
              generator=np.random.Generator(getattr(np.random, sys.argv[4])(7)))
"""


def run_in_a_process(path, kill_at=0, bits="PCG64"):
    command = [sys.executable, "-c", RUN, str(ROOT / "tests"), str(path), str(kill_at), bits]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
@pytest.mark.parametrize("bits", ["PCG64", "MT19937"])
def test_killed_in_mid_epoch_it_goes_on_to_the_same_bits(tmp_path, bits):
    needs_files()
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run_in_a_process(whole, bits=bits).returncode == 0
    for kill_at in (13, 8):  # each counted from the last start
        done = run_in_a_process(broken, kill_at, bits)
        assert done.returncode == -signal.SIGKILL, done.stderr
        about = load_checkpoint(broken)[1]
        assert 0 < about["place"] < len(x) and about["epoch"] < 6
    assert run_in_a_process(broken, bits=bits).returncode == 0
    (a, told), (b, retold) = load_checkpoint(whole), load_checkpoint(broken)
    assert told == retold and told["epoch"] == 6 and told["step"] == 30
    assert a.keys() == b.keys() and len(a) > 8
    assert all(np.asarray(a[k]).tobytes() == np.asarray(b[k]).tobytes() for k in a)
    assert {p.name for p in tmp_path.iterdir()} <= {"whole", "broken"}


def test_more_epochs_can_be_asked_for_later(tmp_path):
    needs_files()
    path, settings = tmp_path / "a", {"validation": (x, y), "patience": 40}
    train(checkpoint=path, epochs=2, **settings)
    later = train(checkpoint=path, epochs=5, **settings)
    assert same_bits(later, train(epochs=5, **settings))
    again = train(checkpoint=path, epochs=5, **settings)
    assert again.step == 25 and same_bits(again, later)


def test_a_step_leaves_the_parameters_where_the_loss_is_not_finite():
    optimiser, w = adam(0.1), network()
    step = make_step(lambda w, x, y: loss(w, x, y) * np.inf, optimiser)
    value, after, state, _ = step(tree_map(np.copy, w), optimiser.init(w), None, x, y)
    assert not np.isfinite(value) and state["step"] == 0
    assert largest_difference(after, w) == 0
