"""What a call costs: value and gradient of Rosenbrock's function of two numbers, compiled."""

from functools import partial

import numpy as np
from harness import GCC, Race, jax_and_numpy
from limits import limits

FLOATS, ARRAY = (1.2, 2.0), np.array([1.2, 2.0])


def rosenbrock(x, y):
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2


def of_array(a):
    return rosenbrock(a[0], a[1])


def by_hand(x, y):
    a, b = y - x * x, 1 - x
    return b * b + 100 * a * a, (-400 * x * a - 2 * b, 200 * a)


def by_hand_of_array(a):
    value, gradient = by_hand(a[0], a[1])
    return value, np.array(gradient)


def casadi_function(ca):
    "The expression graph, and its run through buffers: no conversion, results in place."
    x = ca.SX.sym("x", 2)
    y = rosenbrock(x[0], x[1])
    f = ca.Function("f", [x], [y, ca.gradient(y, x)])
    buffer, run = f.buffer()
    inputs, value, gradient = np.zeros(2), np.zeros(1), np.zeros(2)
    buffer.set_arg(0, memoryview(inputs))
    buffer.set_res(0, memoryview(value))
    buffer.set_res(1, memoryview(gradient))
    return lambda keep=(f, buffer): run(), inputs, value, gradient


floats = Race(
    "scalar, two floats",
    "value and gradient of Rosenbrock's function of two floats, as floats",
    baseline="C",
    reference=partial(by_hand, *FLOATS),
)


@floats.entry("C", GCC)
def _():
    return partial(limits().scalar_floats, *FLOATS)


@floats.entry("Python by hand")
def _():
    return partial(by_hand, *FLOATS)


@floats.entry("litad", "litad")
def _():
    import litad
    from litad.jit import jit

    return partial(jit(litad.value_and_grad(rosenbrock, (0, 1))), *FLOATS)


@floats.entry("Numba by hand", "numba", hand=True)
def _():
    import numba

    return partial(numba.njit(by_hand), *FLOATS)


@floats.entry("JAX", "jax")
def _():
    jax, _ = jax_and_numpy()
    f = jax.jit(jax.value_and_grad(rosenbrock, (0, 1)))
    return lambda: jax.block_until_ready(f(*FLOATS))


@floats.entry("CasADi", "casadi")
def _():
    import casadi

    run, inputs, value, gradient = casadi_function(casadi)

    def call():
        inputs[0], inputs[1] = FLOATS
        run()
        return value.item(), gradient.tolist()

    return call


@floats.entry("PyTensor", "pytensor")
def _():
    import pytensor
    import pytensor.tensor as pt

    x, y = pt.dscalar(), pt.dscalar()
    value = rosenbrock(x, y)
    outputs = [value, *pytensor.grad(value, [x, y])]
    f = pytensor.function([x, y], outputs, trust_input=True)
    inputs = [np.asarray(v) for v in FLOATS]

    def call():
        value, *gradient = f(*inputs)
        return value, gradient

    return call


array = Race(
    "scalar, array of two",
    "the same of an array of two, the gradient as a new array",
    baseline="C",
    reference=partial(by_hand_of_array, ARRAY),
)


@array.entry("C", GCC)
def _():
    return partial(limits().scalar_array, ARRAY)


@array.entry("Python by hand")
def _():
    return partial(by_hand_of_array, ARRAY)


@array.entry("litad", "litad")
def _():
    import litad
    from litad.jit import jit

    return partial(jit(litad.value_and_grad(of_array)), ARRAY)


@array.entry("JAX", "jax")
def _():
    jax, jnp = jax_and_numpy()
    f, x = jax.jit(jax.value_and_grad(of_array)), jnp.asarray(ARRAY)
    return lambda: jax.block_until_ready(f(x))


@array.entry("CasADi", "casadi")
def _():
    import casadi

    run, inputs, value, gradient = casadi_function(casadi)

    def call():
        inputs[:] = ARRAY
        run()
        return value.item(), gradient.copy()

    return call


@array.entry("PyTensor", "pytensor")
def _():
    import pytensor
    import pytensor.tensor as pt

    x = pt.dvector()
    value = of_array(x)
    return partial(
        pytensor.function([x], [value, pytensor.grad(value, x)], trust_input=True), ARRAY
    )


@array.entry("heyoka", "heyoka")
def _():
    import heyoka

    x, y = heyoka.make_vars("x", "y")
    value = rosenbrock(x, y)
    f = heyoka.cfunc([value, heyoka.diff(value, x), heyoka.diff(value, y)], [x, y])

    def call():
        out = f(ARRAY)
        return out[0], out[1:]

    return call


floats.target("litad", "C", 1.3)
array.target("litad", "C", 2.0)
RACES = [floats, array]
