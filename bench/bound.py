"""Buffers fixed once: value and gradient of Rosenbrock's function, with nothing to look at."""

from functools import partial

import numpy as np
from harness import GCC, Race
from scalar import ARRAY, by_hand_of_array, of_array, rosenbrock

race = Race(
    "bound",
    "the same function on buffers that were fixed before: nothing is looked at, nothing is made",
    baseline="CasADi, gcc",
    reference=partial(by_hand_of_array, ARRAY),
)


@race.entry("litad", "litad")
def _():
    import litad

    return litad.jit(litad.value_and_grad(of_array)).bind(ARRAY.copy())


@race.entry("litad, ahead of time", "litad")
def _():
    import litad

    return litad.compile_aot(litad.value_and_grad(of_array), ARRAY).bind(ARRAY.copy())


@race.entry("litad, not bound", "litad")
def _():
    import litad

    return partial(litad.jit(litad.value_and_grad(of_array)), ARRAY.copy())


@race.entry("an empty function of Python's")
def _():
    def call():
        pass

    call.result = race.reference
    return call


def casadi_run(**options):
    "CasADi's run through buffers, which gives nothing back."
    import casadi as ca

    x = ca.SX.sym("x", 2)
    y = rosenbrock(x[0], x[1])
    f = ca.Function("f", [x], [y, ca.gradient(y, x)], options)
    buffer, run = f.buffer()
    given, value, gradient = ARRAY.copy(), np.zeros(1), np.zeros(2)
    buffer.set_arg(0, memoryview(given))
    buffer.set_res(0, memoryview(value))
    buffer.set_res(1, memoryview(gradient))
    call = partial(run)
    call.result = lambda keep=(f, buffer, given): (value[0], gradient)
    return call


race.entry("CasADi", "casadi")(casadi_run)


@race.entry("CasADi, gcc", "casadi")
def _():
    flags = ["-O3", "-march=native"]
    return casadi_run(jit=True, compiler="shell", jit_options={"compiler": GCC, "flags": flags})


@race.entry("heyoka", "heyoka")
def _():
    import heyoka

    x, y = heyoka.make_vars("x", "y")
    value = rosenbrock(x, y)
    f = heyoka.cfunc([value, heyoka.diff(value, x), heyoka.diff(value, y)], [x, y])
    outputs = np.zeros(3)
    call = partial(f, ARRAY.copy(), outputs=outputs)
    call.result = lambda: (outputs[0], outputs[1:])
    return call


@race.entry("Numba by hand", "numba", hand=True)
def _():
    import numba

    @numba.njit
    def f(x, value, gradient):
        a, b = x[1] - x[0] * x[0], 1 - x[0]
        value[0] = b * b + 100 * a * a
        gradient[0], gradient[1] = -400 * x[0] * a - 2 * b, 200 * a

    value, gradient = np.zeros(1), np.zeros(2)
    call = partial(f, ARRAY.copy(), value, gradient)
    call.result = lambda: (value[0], gradient)
    return call


race.target("litad", "nanoseconds", 60.0)
race.target("litad", "CasADi, gcc", 1.0)
race.target("litad", "CasADi", 1.0)
RACES = [race]
