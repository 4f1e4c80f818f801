"""Bad input: each is a clear error that says what was got, which rule, and the corrected call."""

from __future__ import annotations

import ast
import json
import math
import re
from pathlib import Path
from types import FunctionType

import numpy as np
import pytest

from litad import (
    Dual,
    LitadError,
    Tape,
    derivative,
    grad,
    gradient,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    value_and_grad,
    vjp,
)

ROOT = Path(__file__).resolve().parent.parent
V = np.array([1.0, 2.0, 3.0])
ALL = [derivative, grad, gradient, jacfwd, jacrev, value_and_grad, hessian]
every = pytest.mark.parametrize("way", ALL, ids=lambda f: f.__name__)
scalar_only = pytest.mark.parametrize("way", [grad, gradient, value_and_grad])
square = lambda x: x * x  # noqa: E731


def refusal(attempt, *needles):
    "The text of the LitadError that an attempt raises; it contains the needles."
    with pytest.raises(LitadError) as caught:
        attempt()
    text = str(caught.value)
    for needle in needles:
        assert needle in text, text
    clean()
    return text


def clean():
    "Nothing half-recorded is left behind: everything still works."
    assert derivative(lambda x: x * grad(lambda y: x + y)(1.0))(1.0) == 1.0
    assert gradient(lambda x: np.sum(x * x))(V).tolist() == (2 * V).tolist()


def store(x):
    a = np.zeros(3)
    a[0] = x
    return a.sum()


@scalar_only
def test_result_is_no_scalar(way):
    refusal(lambda: way(lambda x: x * 2)(V), "one number", "f64[3]", "instead", "jac")
    refusal(lambda: way(lambda x: np.reshape(x * 2, 1))(2.0), "one number", "f64[1]")
    refusal(lambda: way(lambda x: (x, x))(2.0), "one number")
    refusal(lambda: way(lambda x: [x])(2.0), "one number")
    refusal(lambda: way(lambda x: {"loss": x})(2.0), "one number")


@every
@pytest.mark.parametrize("result", [None, "text", 3, True, np.arange(3), object(), len])
def test_result_is_no_float(way, result):
    refusal(lambda: way(lambda x: result)(2.0))
    refusal(lambda: way(lambda x: (x, result))(2.0))


@every
@pytest.mark.parametrize(
    "x", [3, True, "x", None, np.arange(3), np.array(["a"]), {}, [], [1, 2], {"a": "b"}, len]
)
def test_argument_is_no_float(way, x):
    text = refusal(lambda: way(square)(x), "argument 0", "got", "instead")
    if type(x) is int:
        assert "3.0" in text
    if type(x) is np.ndarray and x.dtype.kind == "i":
        assert "astype(float)" in text


def test_the_other_transformations_refuse_them_too():
    for x in (3, "x", None, np.arange(3)):
        refusal(lambda x=x: jvp(square, (x,), (1.0,)), "jvp")
        refusal(lambda x=x: vjp(square, x), "vjp")


@every
@pytest.mark.parametrize("argnums", [1, -2, "x", 1.0, None, True])
def test_argnums_out_of_range_or_of_wrong_type(way, argnums):
    refusal(lambda: way(square, argnums)(2.0), "arg", "instead")


@pytest.mark.parametrize("argnums", [(0, 0), (0, -2), (), (0, 5), (0, "x"), [0, 0]])
def test_argnums_in_a_tuple(argnums):
    for way in (grad, gradient, jacfwd, jacrev, value_and_grad):
        refusal(lambda way=way: way(lambda a, b: a * b, argnums)(2.0, 3.0), "arg")


@every
def test_numpy_functions_without_a_rule(way):
    own = np.frompyfunc(lambda a: a, 1, 1)
    for f in (np.histogram, np.packbits, own):
        text = refusal(lambda f=f: way(lambda x: np.sum(f(x * np.ones(3))))(2.0), "rule")
        assert f.__name__ in text


@every
@pytest.mark.parametrize(
    "f",
    [
        lambda x: float(x),
        lambda x: int(x) * x,
        lambda x: math.sin(x),
        lambda x: math.exp(x) * x,
        lambda x: math.hypot(x, 1.0) * x,
        lambda x: math.floor(x) * x,
        lambda x: x.item(),
        lambda x: np.float64(x) * 2,
        lambda x: np.array(x, dtype=float) * 2,
        lambda x: np.array([x, x], dtype=float).sum(),
        lambda x: sum(x for _ in range(x)),
        lambda x: [1.0, 2.0][x] * x,
        lambda x: complex(x).real,
        lambda x: np.sum(x.astype(int)),
        lambda x: np.full(3, 0.0).__setitem__(slice(None), x),
        lambda x: np.zeros(1).fill(x),
        store,
    ],
)
def test_what_would_lose_the_derivative(way, f):
    text = refusal(lambda: way(without_source(f))(2.0), "instead")
    assert "test_errors.py" in text or "line" in text


def without_source(f):
    "The same function, as if `exec` had made it: it cannot be read."
    code = f.__code__.replace(co_filename="<text>", co_name="nowhere")
    return FunctionType(code, f.__globals__, f.__name__)


@every
@pytest.mark.parametrize(
    "f, slope",
    [
        (lambda x: float(x), 1.0),
        (lambda x: int(x) * x, 2.0),
        (lambda x: math.sin(x), np.cos(2.0)),
        (lambda x: math.exp(x) * x, 3 * np.exp(2.0)),
        (lambda x: math.floor(x) * x, 2.0),
        (lambda x: np.array([x, x], dtype=float).sum(), 2.0),
        (store, 1.0),
    ],
)
def test_what_is_read_keeps_the_derivative(way, f, slope):
    "where the source is to be had, the function is read again, with what carries derivatives"
    out = way(f)(2.0)
    assert np.isclose(
        out[1] if way is value_and_grad else out, slope if way is not hessian else out
    )


def test_storing_into_a_plain_array_names_the_line():
    text = refusal(lambda: grad(without_source(store))(2.0), "store", "np.stack")
    assert str(store.__code__.co_firstlineno + 2) in text
    for f in (
        lambda x: np.zeros(3).__iadd__(x)[0],
        lambda x: np.zeros(3).__setitem__(slice(0, 3), x),
    ):
        refusal(lambda f=f: grad(f)(V), "instead")
    into = lambda x: np.add(x, 1.0, out=np.zeros(3))[0]  # noqa: E731 - read from its source
    assert grad(into)(V).tolist() == [1.0, *[0.0] * (len(V) - 1)]


@every
@pytest.mark.parametrize(
    "f",
    [
        lambda x: 3.0,
        lambda x: np.float64(2) * 1.5,
        lambda x: x.value * 2,
        lambda x: np.zeros_like(x) + 1.0,
        lambda x: float(x > 1),
        lambda x: np.sum(np.ones(3)),
        lambda x: 1.0 * np.argmax(np.stack([x, 1.0])),
    ],
)
def test_no_path(way, f):
    refusal(lambda: way(f)(2.0), "no differentiable path", "instead")


def test_no_path_in_products():
    refusal(lambda: jvp(lambda x: 3.0, (1.0,), (1.0,)), "path")
    refusal(lambda: vjp(lambda x: 3.0, 1.0), "path")
    refusal(lambda: grad(lambda a, b: a, (0, 1))(1.0, 2.0), "argument 1")
    refusal(lambda: jacrev(lambda a, b: a, (0, 1))(1.0, 2.0), "argument 1")
    assert grad(lambda a, b: a * 2, (0, 1), allow_unused=True)(1.0, 2.0) == (2.0, 0.0)


@pytest.mark.parametrize(
    "x, t",
    [
        (V, np.ones(2)),
        (V, np.ones((1, 3))),
        (V, 1.0),
        (V, [1.0, 1.0, 1.0]),
        (V, "x"),
        (V, None),
        (V, np.ones(3) * 1j),
        (V, np.ones(3, bool)),
        (1.0, V),
        (1.0, np.ones(1)),
        (1.0, True),
        (1.0, None),
        ({"a": 1.0}, {"b": 1.0}),
        ({"a": 1.0}, {"a": 1.0, "b": 1.0}),
        ({"a": 1.0}, 1.0),
        ([1.0, 2.0], [1.0]),
        ((1.0, 2.0), [1.0, 2.0]),
    ],
)
def test_mismatched_tangents_and_cotangents(x, t):
    refusal(lambda: jvp(lambda p: p, (x,), (t,)), "tangent", "got")
    _, pullback = vjp(lambda p: p, x)
    refusal(lambda: pullback(t), "cotangent", "got")


def test_number_of_tangents():
    refusal(lambda: jvp(square, (1.0,), (1.0, 1.0)), "jvp")
    refusal(lambda: jvp(square, (1.0,), ()), "jvp")
    refusal(lambda: jvp(square, 1.0, 1.0), "tuple")
    refusal(lambda: jvp(square, V, V), "tuple")
    refusal(lambda: hvp(lambda x: np.sum(x), V, 1.0), "tangent")
    _, pullback = vjp(lambda x: (x, x * 2), 1.0)
    refusal(lambda: pullback(1.0), "cotangent")
    refusal(lambda: pullback((1.0,)), "cotangent")
    refusal(lambda: pullback([1.0, 1.0]), "cotangent")
    assert pullback((1.0, 1.0)) == (3.0,)


@pytest.mark.parametrize(
    "way",
    [
        lambda f: value_and_grad(f, has_aux=True)(2.0),
        lambda f: grad(f, has_aux=True)(2.0),
        lambda f: jvp(f, (2.0,), (1.0,), has_aux=True),
        lambda f: vjp(f, 2.0, has_aux=True),
    ],
)
def test_aux_that_is_none(way):
    for f in (
        square,
        lambda x: (x, x, x),
        lambda x: [x, x],
        lambda x: np.stack([x, x]),
        lambda x: {"value": x, "aux": x},
        lambda x: None,
    ):
        refusal(lambda f=f: way(f), "aux")
    refusal(lambda: way(lambda x: (None, x)))
    refusal(lambda: way(lambda x: (3.0, x)), "path")


@every
def test_calling_with_a_value_for_a_function(way):
    for f in (3.0, V, None, "sin"):
        refusal(lambda f=f: way(f), "function")
    with pytest.raises(LitadError):
        jvp(3.0, (1.0,), (1.0,))
    with pytest.raises(LitadError):
        vjp(3.0, 1.0)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@every
@pytest.mark.parametrize("make", [np.matrix, lambda x: np.ma.masked_array(x, [0, 1])])
def test_arrays_with_an_arithmetic_of_their_own(way, make):
    x = make([1.0, 2.0])
    refusal(lambda: way(lambda u: np.sum(u * 2.0))(x), "arithmetic")
    refusal(lambda: way(lambda u: np.sum(u * x))(2.0), "arithmetic")


@pytest.mark.parametrize("chunk", [0, -1, 1.5, None, "8", True])
def test_chunks_are_positive_integers(chunk):
    for way in (gradient, jacfwd, jacrev, hessian):
        refusal(lambda way=way: way(square, chunk=chunk)(2.0), "chunk")


def test_derivative_is_for_one_number():
    refusal(lambda: derivative(square)(V), "one number", "jacfwd")
    refusal(lambda: derivative(lambda p: p[0])((1.0, 2.0)), "one number")
    refusal(lambda: derivative(square, (0,))(1.0), "one number")


def test_users_own_errors_pass_through():
    "an exception of the user's function, and NumPy's own about shapes, come as they are"
    for way in ALL:
        for error in (ValueError("mine"), KeyError("mine"), ZeroDivisionError("mine")):

            def f(x, error=error):
                raise error

            with pytest.raises(type(error), match="mine") as caught:
                way(f)(2.0)
            assert not isinstance(caught.value, LitadError)
        for f in (
            lambda x: np.sum(x * np.ones(3) + np.ones(2)),
            lambda x: np.sum(x * np.ones(3) @ np.ones(2)),
            lambda x: np.sum(np.reshape(x * np.ones(3), 2)),
            lambda x: np.sum(np.concatenate([x * np.ones((1, 2)), np.ones((1, 3))])),
        ):
            with pytest.raises(ValueError) as caught:
                way(f)(2.0)
            assert not isinstance(caught.value, LitadError)
        for f in (
            lambda x: (x * np.ones(3))[5],
            lambda x: np.sum(x * np.ones(3), axis=1),
            lambda x: np.take(x * np.ones(3), 3),
        ):
            with pytest.raises(IndexError):
                way(f)(2.0)
        clean()


def test_errors_say_where():
    "the line of the user's program, whatever depth it was raised at"

    def deep(x):
        return np.histogram(x * np.ones(3))[0]  # the culprit

    text = refusal(lambda: grad(lambda x: np.sum(deep(x)))(2.0))
    assert "# the culprit" in text or f"{deep.__code__.co_firstlineno + 1}" in text


def test_an_error_is_type_error_and_value_error():
    assert issubclass(LitadError, TypeError) and issubclass(LitadError, ValueError)


def test_tape_misuse():
    tape, other = Tape(), Tape()
    x, z = tape.input(2.0), other.input(2.0)
    refusal(lambda: tape.grad_of(x), "backward")
    refusal(lambda: tape.backward(x * x), "record")
    refusal(lambda: tape.backward(3.0), "record")
    refusal(lambda: tape.input("x"))
    refusal(lambda: tape.input(None))
    with tape:
        y = x * V
    refusal(lambda: tape.backward(y), "cotangent")
    refusal(lambda: tape.backward(y, np.ones(2)), "shape")
    refusal(lambda: tape.backward(z), "another tape")
    tape.backward(y, np.ones(3))
    refusal(lambda: tape.grad_of(z))
    refusal(lambda: tape.grad_of(2.0))
    assert tape.grad_of(x) == 6.0


def test_a_dual_number_from_outside_is_right_or_refused():
    "a hand-made dual that an inner transformation closes over is never taken for a constant"
    d = Dual.variable(3.0)
    for attempt in (
        lambda: grad(lambda y: d * y)(2.0),
        lambda: gradient(lambda y: d * y)(2.0),
        lambda: jacfwd(lambda y: {"a": d * y, "b": y * y})(2.0)["a"],
        lambda: jacrev(lambda y: {"a": d * y, "b": y * y})(2.0)["a"],
        lambda: vjp(lambda y: d * y, 2.0)[1](1.0)[0],
        lambda: vjp(lambda y: {"a": d * y, "b": y * y}, 2.0)[1]({"a": 1.0, "b": 0.0})[0],
        lambda: derivative(lambda y: d * y)(2.0),
    ):
        try:
            found = attempt()
        except LitadError as error:
            assert "path" not in str(error)
            continue
        assert (found.value, found.deriv) == (3.0, 1.0)


CHAPTERS = sorted((ROOT / "nbs").glob("[0-9]*.ipynb"))
PROGRAM = next(path for path in CHAPTERS if path.stem.endswith("_program"))  # compiled from here on
EAGER = [p for p in CHAPTERS if p < PROGRAM or p.stem.endswith("_matrices")]


def refusals(path):
    "The calls of LitadError in the module that a chapter exports."
    tree = ast.parse(
        (ROOT / "litad" / f"{path.stem.partition('_')[2]}.py").read_text(encoding="utf8")
    )
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [call for call in calls if getattr(call.func, "id", "") == "LitadError"]


@pytest.mark.parametrize("path", EAGER, ids=lambda path: path.stem)
def test_every_refusal_says_what_it_got_which_rule_and_what_instead(path):
    for call in refusals(path):
        said = {keyword.arg for keyword in call.keywords}
        assert {"got", "rule", "instead"} <= said, ast.unparse(call)


def pattern_of(what):
    "What the first sentence of a refusal looks like, as a regular expression."
    parts = what.values if isinstance(what, ast.JoinedStr) else [what]
    fixed = [re.escape(p.value) if isinstance(p, ast.Constant) else ".*" for p in parts]
    return "".join(fixed)


@pytest.mark.parametrize("path", EAGER, ids=lambda path: path.stem)
def test_the_page_of_errors_shows_every_refusal(path):
    "the stored outputs of the page contain each refusal of the chapter, with all its parts"
    page = json.loads((ROOT / "nbs/explanations/errors.ipynb").read_text(encoding="utf8"))
    outputs = [o for cell in page["cells"] for o in cell.get("outputs", ())]
    shown = ["".join(o.get("text", ())) for o in outputs]
    for text in shown:
        assert all(f"  {part}:" in text for part in ("got", "rule", "line", "instead")), text
    for call in refusals(path):
        pattern = pattern_of(call.args[0])
        assert any(re.match(pattern, text) for text in shown), ast.unparse(call)
