"""Values show themselves: richly on a page, plainly in a terminal."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy.sparse

from litad import Dual, Tape, explain, jacobian, solve_ivp, trace
from litad.fit import curve_fit
from litad.nn import History
from litad.player import play


def tape() -> Tape:
    made = Tape()
    x = made.input(2.0, "x")
    with made:
        y = x * x
    made.backward(y)
    return made


def fitted():
    x = np.linspace(0, 1, 12)
    y = 2 * np.exp(-x) + 0.01 * np.sin(40 * x)
    return curve_fit(lambda x, a, b: a * np.exp(-b * x), x, y, (1.0, 0.5))


def history() -> History:
    return History([{"epoch": k, "loss": 0.5**k} for k in range(4)])


def banded():
    return jacobian(lambda x: x[1:] * x[:-1], sparse=True)(np.arange(1.0, 7.0))


RICH = {
    "Dual": (lambda: Dual(2.0, 1.0), "text/latex", "Dual(2.0, 1.0)"),
    "Tape": (tape, "text/markdown", "v0    multiply   x, x"),
    "Program": (lambda: trace(np.sin, 1.0), "text/markdown", "sin a"),
    "Solution": (
        lambda: solve_ivp(lambda t, y: -y, (0.0, 1.0), np.ones(1)),
        "text/markdown",
        "tsit5",
    ),
    "Fit": (fitted, "text/markdown", "standard error"),
    "sparse Jacobian": (banded, "image/svg+xml", "10 stored elements"),
    "History": (history, "image/svg+xml", "loss"),
    "Explanation": (lambda: explain(np.sin, 1.0), "text/markdown", "lines traced"),
    "player": (lambda: play(lambda x: x * x, 2.0), "text/html", "multiply"),
}


@pytest.mark.parametrize("name", RICH)
def test_rich_on_a_page_plain_in_a_terminal(name):
    make, kind, words = RICH[name]
    value = make()
    bundle = value._repr_mimebundle_()
    assert kind in bundle and bundle["text/plain"]
    plain = repr(value)
    assert words in plain and "<svg" not in plain and "0x" not in plain
    assert "http" not in str(bundle.get("text/markdown", ""))


@pytest.mark.parametrize("name", RICH)
def test_the_same_value_shows_itself_the_same_way(name):
    make, _, _ = RICH[name]
    assert make()._repr_mimebundle_() == make()._repr_mimebundle_()


def test_a_sparse_jacobian_is_scipys_own_array():
    J = banded()
    assert isinstance(J, scipy.sparse.csr_array) and (J @ np.ones(6)).shape == (5,)
    copy = pickle.loads(pickle.dumps(J))
    assert type(copy) is scipy.sparse.csr_array and (copy != J).nnz == 0
