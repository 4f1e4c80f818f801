"""Training on real data: an epoch of Fashion-MNIST, and what was learned in it.

A time without an accuracy is worth nothing: every row has both. The data are 60 000 images of
clothes, 28 x 28 pixels, and 10 000 to test on: Debian's package `dataset-fashion-mnist`.
"""

from __future__ import annotations

import gzip
import json
import statistics
import sys
import time
from pathlib import Path

from harness import GCC, HERE, in_a_process, in_units, python_here

FOLDERS = [
    Path("/usr/share/datasets/fashion-mnist"),
    HERE.parent.parent / "shared" / "data" / "fashion-mnist",
    HERE.parent.parent / "shared" / "data",
]
RATES = {1: 0.003, 32: 0.1}  # by the number of samples in a step
CASES = [(1, "float64"), (1, "float32"), (32, "float32")]
WANTED, ROUNDS, LITAD = 0.84, 3, "litad"


def folder() -> Path | None:
    "Where the data are."
    return next((f for f in FOLDERS if (f / "train-images-idx3-ubyte.gz").exists()), None)


def read(name: str):
    "One file of images or labels: a header of big-endian numbers, then bytes."
    import numpy as np

    raw = gzip.decompress((folder() / f"{name}.gz").read_bytes())
    shape = np.frombuffer(raw, ">i4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def data(dtype: str):
    "Images as rows from 0 to 1, and classes."
    return [
        (read(f"{part}-images-idx3-ubyte").reshape(-1, 784) / 255).astype(dtype)
        if kind == "images"
        else read(f"{part}-labels-idx1-ubyte").astype(int)
        for part in ("train", "t10k")
        for kind in ("images", "classes")
    ]


def start(dtype: str):
    "The parameters that every implementation begins with."
    import numpy as np

    random = np.random.default_rng(0)
    uniform = lambda m, n: random.uniform(-1, 1, (m, n)) * np.sqrt(6 / (m + n))  # noqa: E731
    found = [uniform(784, 128), np.zeros(128), uniform(128, 10), np.zeros(10)]
    return [p.astype(dtype) for p in found]


def accuracy(parameters, x, classes) -> float:
    "How many of the test images are read right, by NumPy."
    import numpy as np

    w1, b1, w2, b2 = [np.asarray(p, float) for p in parameters]
    return float(np.mean(np.argmax(np.maximum(x @ w1 + b1, 0) @ w2 + b2, 1) == classes))


# ------------------------------------------------------------------ steps


def step_of(value_and_grad, xp, rate):
    from network import loss_over

    f = value_and_grad(loss_over(xp))

    def step(parameters, x, y):
        _, gradient = f(parameters, x, y)
        return [p - rate * g for p, g in zip(parameters, gradient)]

    return step


def by_litad(rate, batch, dtype):
    import numpy as np

    import litad
    from litad.jit import jit

    return jit(step_of(litad.value_and_grad, np, rate), donate_argnums=0), list


def by_jax(rate, batch, dtype):
    from harness import jax_and_numpy

    jax, jnp = jax_and_numpy()
    step = jax.jit(step_of(jax.value_and_grad, jnp, rate), donate_argnums=0)
    return step, lambda parameters: [jnp.asarray(p) for p in parameters]


def by_torch(rate, batch, dtype):
    from harness import torch_on_one_thread
    from network import loss_in_torch

    torch = torch_on_one_thread()

    def step(parameters, x, y):
        loss = loss_in_torch(torch)(parameters, torch.from_numpy(x), torch.from_numpy(y))
        gradient = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            torch._foreach_add_(parameters, gradient, alpha=-rate)
        return parameters

    return step, lambda parameters: [torch.from_numpy(p).requires_grad_() for p in parameters]


def by_c(rate, batch, dtype):
    import numpy as np
    from limits import limits_with_blas

    module = limits_with_blas()
    if batch == 1:
        f, more = getattr(module, f"network_{dtype}"), []
    else:
        f, more = getattr(module, f"network_batch_{dtype}"), np.empty((2, batch, 128), dtype)

    def step(parameters, x, y):
        f(*parameters, x, y, rate, *more)
        return parameters

    return step, list


def by_numpy(rate, batch, dtype):
    import network

    network.RATE = rate
    return network.step_by_hand, list


ENTRIES = {
    "C": (GCC, by_c),
    LITAD: ("litad", by_litad),
    "NumPy by hand": ("", by_numpy),
    "JAX": ("jax", by_jax),
    "PyTorch": ("torch", by_torch),
}


# ------------------------------------------------------------------ an epoch


def epoch(name: str, batch: int, dtype: str) -> dict[str, float]:
    "One epoch in this process: seconds after the first step, and the accuracy it led to."
    import numpy as np

    x, classes, x_test, c_test = data(dtype)
    y = np.eye(10, dtype=dtype)[classes]
    step, own = ENTRIES[name][1](RATES[batch], batch, dtype)
    step(own(start(dtype)), *((x[0], y[0]) if batch == 1 else (x[:batch], y[:batch])))
    order = np.random.default_rng(1).permutation(len(x))
    parameters = own(start(dtype))
    begin = time.perf_counter()
    if batch == 1:
        for k in order.tolist():
            parameters = step(parameters, x[k], y[k])
    else:
        for k in range(0, len(order), batch):
            rows = order[k : k + batch]
            parameters = step(parameters, x[rows], y[rows])
    found = [np.asarray(p.detach() if hasattr(p, "detach") else p) for p in parameters]
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "accuracy": accuracy(found, x_test, c_test)}


def measure(options, there: dict[str, str]) -> dict:
    "Every implementation in turns, some times over."
    header = ["implementation", "an epoch", "a sample", "accuracy", "over C"]
    result = {
        "workload": "fashion",
        "race": "fashion",
        "title": "an epoch of Fashion-MNIST, 784-128-10, in place; accuracy on 10 000 others",
        "rows": {},
        "targets": [],
    }
    if folder() is None:
        why = "the data are not here: apt-get install dataset-fashion-mnist"
        return result | {"table": [header, [[f"- ({why})", "", "", "", ""]]]}
    body = []
    for batch, dtype in CASES:
        samples = samples_of(options, there, str(batch), dtype)
        middle = {k: statistics.median(s["seconds"] for s in v) for k, v in samples.items()}
        for name in sorted(middle, key=middle.get):
            seconds, right = middle[name], samples[name][0]["accuracy"]
            over = f"{seconds / middle['C']:.3g}" if "C" in middle else ""
            shown = f"{name}, batch {batch}, {dtype}"
            each = in_units(seconds / 60000)
            body.append([shown, in_units(seconds), each, f"{right:.2%}", over])
            result["rows"][shown] = {"seconds": seconds, "accuracy": right}
        if LITAD in samples:
            wrong = 1 - min(s["accuracy"] for s in samples[LITAD])
            goal = f"fashion, batch {batch}, {dtype}: litad's errors"
            result["targets"].append([goal, "percent", 100 * (1 - WANTED), 100 * wrong, ""])
    return result | {"table": [header, body]}


def samples_of(options, there: dict[str, str], batch: str, dtype: str) -> dict[str, list]:
    "What each implementation took, round after round."
    import shutil

    found: dict[str, list] = {}
    for k in range(min(options.rounds, ROUNDS)):
        for name, (needs, _) in ENTRIES.items():
            if options.only and not any(word in name for word in options.only):
                continue
            peer = needs not in ("", "litad", GCC)
            if (peer and (needs not in there or k)) or (needs == GCC and not shutil.which(GCC)):
                continue
            python = options.peers if peer else python_here()
            found.setdefault(name, []).append(in_a_process(python, __file__, name, batch, dtype))
    return found


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    print(json.dumps(epoch(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
