"""A user's program, to be type-checked and run: what a checker knows of the public names."""

from typing import assert_type

import numpy as np
from numpy.typing import NDArray

import litad
from litad import Dual, Tape, cond, custom_jvp, fori_loop, grad, jit, jvp, value_and_grad, vjp

Array = NDArray[np.float64]
w: Array = np.ones(3)


def loss(w: Array, x: Array, scale: float = 1.0) -> np.float64:
    return np.sum((w * x) ** 2, dtype=np.float64) * scale


def parabola(x: float) -> float:
    return x * x


def with_a_note(w: Array) -> tuple[np.float64, str]:
    return np.sum(w, dtype=np.float64), "a sum"


# A gradient is like the argument, and the rest of a signature stays.
assert_type(grad(loss)(w, w, scale=2.0), Array)
assert_type(grad(parabola)(2.0), float)
slope = grad(parabola)
assert_type(grad(slope)(2.0), float)
assert_type(grad(with_a_note, has_aux=True)(w), tuple[Array, str])
assert_type(value_and_grad(loss)(w, w), tuple[np.float64, Array])
assert_type(litad.gradient(loss)(w, w), Array)
assert_type(litad.derivative(parabola)(2.0), float)
assert_type(litad.hvp(lambda v: loss(v, w), w, w), Array)

# What is compiled takes and gives the same.
assert_type(jit(loss)(w, w), np.float64)
assert_type(jit(value_and_grad(loss))(w, w), tuple[np.float64, Array])
assert_type(jit(grad(loss)).bind(w, w)(), Array)
assert_type(litad.compile_aot(loss, w, w)(w, w), np.float64)


@jit(static_argnums=1)
def power(x: float, n: int) -> float:
    return x**n


assert_type(power(2.0, 3), float)

# Products with Jacobians keep the structure of arguments and results.
assert_type(jvp(parabola, (1.0,), (1.0,)), tuple[float, float])
value, pull = vjp(loss, w, w)
assert_type(pull(value), tuple[Array, Array])
assert_type(vjp(parabola, 1.0)[1](1.0), tuple[float])

# Loops, solutions, rules.
assert_type(fori_loop(0, 3, lambda i, s: s + i, 0.0), float)
assert_type(cond(True, lambda x: x + 1, lambda x: x, 2.0), float)
assert_type(litad.root(lambda x, a: x * x - a, 1.0, 2.0), float)
assert_type(litad.stop_gradient(w), Array)


@custom_jvp
def cube(x: float) -> float:
    return x**3


@cube.defjvp
def _rule(primals: tuple[float], tangents: tuple[float]) -> tuple[float, float]:
    (x,), (t,) = primals, tangents
    return x**3, 3 * x**2 * t


assert_type(grad(cube)(2.0), float)

# Numbers that carry derivatives calculate.
assert_type(Dual(2.0, 1.0) * 2 + 1, Dual)
with Tape() as tape:
    a = tape.input(1.0, "a")
    tape.backward(a**2 + 3 * a)
assert_type(tape.num_ops(), int)

# Functions that are not annotated are welcome; nothing is known of them.
print(grad(lambda x: x * x)(2.0), litad.hessian(lambda v: loss(v, w))(w)[0])
