"""What explain says is what is there."""

import numpy as np
import pytest

from litad import LitadError, explain, fori_loop, grad, hessian, jit, jvp, scan, value_and_grad
from litad.engine import available
from litad.explain import Speeds, hot_loop, loops_of, marked, roofline

pytestmark = pytest.mark.skipif(not available(), reason="machine code needs llvmlite")
W, X, Y = np.full((6, 50), 0.1), np.ones((30, 6)), np.ones((30, 50))


def loss(w, x, y):
    return np.mean((np.tanh(x @ w) - y) ** 2)


def two_layers(a, b, x):
    return np.sum(np.tanh(np.tanh(x @ a) @ b))


A, B = np.full((6, 50), 0.1), np.full((50, 40), 0.02)


def test_every_stage_is_there():
    found = explain(value_and_grad(loss), W, X, Y)
    names = [name for name, _ in found.passes]
    assert names[0] == "traced" and len(names) == len(set(names)) > 5
    assert "for" in found.loops and "define" in found.kernel and "define" in found.llvm
    assert "==> hot loop" in found.assembly and found.numbers["loops"] >= 1
    assert not found.fallback


@pytest.mark.parametrize("make", [grad, value_and_grad], ids=["grad", "value_and_grad"])
def test_the_hidden_layer_is_stored(make):
    found = explain(make(two_layers, argnums=(0, 1)), A, B, X)
    assert {"type": "f64[30,50]", "bytes": 12000} in found.residuals
    assert found.numbers["bytes stored for the reverse pass"] >= 12000


def test_a_step_stores_what_its_gradient_stores():
    def step(a, b, x):
        da, db = grad(two_layers, argnums=(0, 1))(a, b, x)
        return a - 0.1 * da, b - 0.1 * db

    assert {"type": "f64[30,50]", "bytes": 12000} in explain(step, A, B, X).residuals


@pytest.mark.parametrize(
    "f",
    [
        two_layers,
        lambda a, b, x: jvp(lambda a: two_layers(a, b, x), (a,), (a,)),
        lambda a, b, x: np.tanh(np.tanh(x @ a) @ b) @ b.T,
    ],
    ids=["value", "jvp", "no derivative"],
)
def test_without_a_reverse_pass_nothing_is_stored_for_one(f):
    assert explain(f, A, B, X).residuals == []


def test_a_loop_of_numbers_stores_no_array():
    assert explain(grad(lambda x: np.sum(np.sin(np.exp(x)))), np.ones(1000)).residuals == []


def test_a_loop_stores_by_the_turn():
    logistic = lambda r: fori_loop(0, 500, lambda i, y: r * y * (1.0 - y), 0.3)  # noqa: E731
    found = explain(grad(logistic), 3.2).residuals
    assert found and all([x["type"] == "f64[500]" for x in found])


def test_second_order_has_residuals_too():
    found = explain(hessian(lambda x: np.sum(np.tanh(np.outer(x, x)))), np.ones(40))
    assert isinstance(found.residuals, list) and found.program is not None


def test_loops_are_jumps_back():
    listing = ["f:", "\tmovl %eax, 0", ".LBB0_1:", "\tvaddpd %ymm0, %ymm1, %ymm1"]
    listing += ["\tjne\t.LBB0_1", ".LBB0_2:", "\tjmp\t.LBB0_3", ".LBB0_3:", "\tretq"]
    assert loops_of(listing) == [(2, 4)]
    assert hot_loop("\n".join(listing)) == (2, 4, 256)
    assert marked("\n".join(listing)).splitlines()[2].startswith("# ==> hot loop")


def test_a_listing_without_loops_is_not_marked():
    assert hot_loop("f:\n\tretq") is None and marked("f:\n\tretq") == "f:\n\tretq"
    assert "hot loop" not in explain(lambda x, y: x * y, 1.0, 2.0).assembly


def test_a_recurrence_is_scalar_and_a_sum_is_wide():
    recurrence = explain(lambda x: scan(lambda y, v: (0.5 * y + v, None), 0.0, x)[0], np.ones(999))
    sums = explain(lambda x: np.sum(x * x), np.ones(999))
    assert hot_loop(recurrence.assembly).bits == 64 < hot_loop(sums.assembly).bits


def test_measuring_leaves_the_arguments_alone():
    x = np.ones(5000)
    f = jit(lambda x: x * 0.5, donate_argnums=0)
    found = explain(f, x)
    assert found.measured.bytes == 2 * x.nbytes and found.measured.seconds > 0
    assert np.all(x == 1.0)


def test_the_roof_has_a_slope_and_an_end():
    found = explain(lambda x, y: x + y, np.ones(5000), np.ones(5000))
    drawn = roofline("sum", found.measured, Speeds(4e10, 2e10)).to_dict()
    rows = drawn["layer"][0]["data"]["values"]
    assert [row["operations per byte"] for row in rows][1] == 2.0
    assert rows[1]["operations per second"] == rows[2]["operations per second"] == 4e10


def test_what_is_no_program_cannot_be_measured():
    log = []
    found = explain(lambda x: (log.append(1), x)[1], 1.0)
    assert found.program is None and found.residuals == [] and found.loops == ""
    with pytest.raises(LitadError, match="nothing was compiled"):
        found.measured  # noqa: B018
