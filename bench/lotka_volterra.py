"""Sensitivities of a solution: Lotka-Volterra by Runge-Kutta, in four parameters, compiled."""

from functools import partial

import numpy as np
from harness import GCC, Race, jax_and_numpy
from limits import limits

START, GUESS, TRUTH = np.ones(2), np.array([1.2, 0.8, 2.5, 0.8]), np.array([1.5, 1.0, 3.0, 1.0])
SAVED, EVERY, STEPS = 20, 5, 1000
SHORT, LONG = 0.02, 0.01  # the steps of the fit and of the final state


def rate(u, p, stack=np.stack):
    xy = u[0] * u[1]
    return stack([p[0] * u[0] - p[1] * xy, p[2] * xy - p[3] * u[1]])


def step(u, h, f):
    k1 = f(u)
    k2 = f(u + h / 2 * k1)
    k3 = f(u + h / 2 * k2)
    k4 = f(u + h * k3)
    return u + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def solve(p, u, steps, h):
    "In NumPy, also of complex parameters."
    for _ in range(steps):
        u = step(u, h, partial(rate, p=p))
    return u


def trajectory(p):
    u, saved = START, []
    for _ in range(SAVED):
        u = solve(p, u, EVERY, SHORT)
        saved.append(u)
    return np.array(saved)


OBSERVED = trajectory(TRUTH)


def by_complex_steps(f):
    "A value and its derivatives along the last axis."
    moved = [f(GUESS + 1e-30j * e) for e in np.eye(4)]
    return f(GUESS), np.stack([y.imag / 1e-30 for y in moved], -1)


def fit_reference():
    return by_complex_steps(lambda p: np.sum((trajectory(p) - OBSERVED) ** 2))


def state_reference():
    return by_complex_steps(lambda p: solve(p, START, STEPS, LONG))


def twice(y):
    return y, y


fit = Race(
    "lotka-volterra, 100 steps",
    "a sum of squares along 100 Runge-Kutta steps, and its 4 derivatives",
    baseline="C",
    reference=fit_reference,
)
state = Race(
    "lotka-volterra, 1000 steps",
    "the state after 1000 Runge-Kutta steps, and its Jacobian in 4 parameters",
    baseline="C",
    reference=state_reference,
)

# ------------------------------------------------------------------ C


@fit.entry("C", GCC)
def _():
    f, g = limits().lotka_volterra_fit, np.empty(4)
    return lambda: (f(GUESS, START, EVERY, SHORT, OBSERVED, g), g)


@state.entry("C", GCC)
def _():
    f, u, jacobian = limits().lotka_volterra, np.empty(2), np.empty((2, 4))

    def call():
        f(GUESS, START, STEPS, LONG, u, jacobian)
        return u, jacobian

    return call


# ------------------------------------------------------------------ litad


def with_sensitivities(f):
    import litad
    from litad.jit import jit

    both = litad.jacfwd(lambda p: twice(f(p)), has_aux=True)

    def value_and_jacobian(p):
        jacobian, value = both(p)
        return value, jacobian

    return partial(jit(value_and_jacobian), GUESS)


def litad_solve(p, u, steps, h):
    from litad import fori_loop

    return fori_loop(0, steps, lambda _, u: step(u, h, partial(rate, p=p)), u)


@fit.entry("litad", "litad")
def _():
    from litad import scan

    def loss(p):
        def advance(u, observed):
            u = litad_solve(p, u, EVERY, SHORT)
            return u, np.sum((u - observed) ** 2)

        return np.sum(scan(advance, START, OBSERVED)[1])

    return with_sensitivities(loss)


@state.entry("litad", "litad")
def _():
    return with_sensitivities(lambda p: litad_solve(p, START, STEPS, LONG))


# ------------------------------------------------------------------ JAX


def jax_sensitivities(f):
    jax, jnp = jax_and_numpy()
    both = jax.jacfwd(lambda p: twice(f(p, jnp.asarray(START), jnp)), has_aux=True)
    compiled, p = jax.jit(lambda p: both(p)[::-1]), jnp.asarray(GUESS)
    return lambda: jax.block_until_ready(compiled(p))


def jax_solve(p, u, steps, h, jnp):
    from jax.lax import fori_loop

    f = partial(rate, p=p, stack=jnp.stack)
    return fori_loop(0, steps, lambda _, u: step(u, h, f), u)


@fit.entry("JAX", "jax")
def _():
    def loss(p, u, jnp):
        from jax.lax import scan

        def advance(u, observed):
            u = jax_solve(p, u, EVERY, SHORT, jnp)
            return u, jnp.sum((u - observed) ** 2)

        return jnp.sum(scan(advance, u, jnp.asarray(OBSERVED))[1])

    return jax_sensitivities(loss)


@state.entry("JAX", "jax")
def _():
    return jax_sensitivities(lambda p, u, jnp: jax_solve(p, u, STEPS, LONG, jnp))


# ------------------------------------------------------------------ CasADi


def casadi_states(ca, steps, h):
    "The parameters, and all states with their sensitivities as columns."
    u, p, s = ca.SX.sym("u", 2), ca.SX.sym("p", 4), ca.SX.sym("s", 2, 4)
    after = step(u, h, partial(rate, p=p, stack=lambda parts: ca.vertcat(*parts)))
    moved = ca.jtimes(after, ca.vertcat(u, p), ca.vertcat(s, ca.DM.eye(4)))
    whole, next_ = ca.vertcat(u, ca.vec(s)), ca.vertcat(after, ca.vec(moved))
    many = ca.Function("step", [whole, p], [next_]).mapaccum(steps)
    parameters = ca.MX.sym("p", 4)
    first = ca.MX(np.concatenate([START, np.zeros(8)]))
    return parameters, many(first, ca.repmat(parameters, 1, steps))


def casadi_call(ca, parameters, outputs, shapes):
    f = ca.Function("f", [parameters], [ca.densify(x) for x in outputs])
    buffer, run = f.buffer()
    arrays = [np.zeros(shape) for shape in shapes]
    buffer.set_arg(0, memoryview(GUESS))
    for k, x in enumerate(arrays):
        buffer.set_res(k, memoryview(x))

    def call(keep=(f, buffer)):
        run()
        return tuple(arrays)

    return call


@fit.entry("CasADi", "casadi")
def _():
    import casadi as ca

    p, states = casadi_states(ca, SAVED * EVERY, SHORT)
    states = states[:, EVERY - 1 :: EVERY]
    off = states[:2, :] - OBSERVED.T
    gradient = [2 * ca.dot(off, states[2 + 2 * k : 4 + 2 * k, :]) for k in range(4)]
    return casadi_call(ca, p, [ca.sumsqr(off), ca.vertcat(*gradient)], [(), 4])


@state.entry("CasADi", "casadi")
def _():
    import casadi as ca

    p, states = casadi_states(ca, STEPS, LONG)
    jacobian = ca.reshape(states[2:, -1], 2, 4).T  # CasADi's columns are NumPy's rows
    return casadi_call(ca, p, [states[:2, -1], jacobian], [2, (2, 4)])


# ------------------------------------------------------------------ heyoka


@fit.entry("heyoka, unrolled", "heyoka")
def _():
    """All steps as one expression, which takes seconds to compile."""
    import heyoka as hy

    u, p = hy.make_vars("x", "y"), [hy.par[k] for k in range(4)]
    equations = list(zip(u, rate(u, p, list)))
    equations = hy.var_ode_sys(equations, hy.var_args.params, order=1).sys
    names, rates = [str(name) for name, _ in equations], [part for _, part in equations]
    f = lambda s: np.array(hy.subs(rates, dict(zip(names, s))), dtype=object)  # noqa: E731
    states = np.array([hy.expression(x) for x in [*START, *np.zeros(8)]], dtype=object)
    outputs = np.array([hy.expression(0.0)] * 5, dtype=object)
    for observed in OBSERVED:
        for _ in range(EVERY):
            states = step(states, SHORT, f)
        x, y = states[:2] - observed
        outputs[0] += x * x + y * y
        outputs[1:] += 2.0 * x * states[2:6] + 2.0 * y * states[6:]
    compiled = hy.cfunc(list(outputs), [], fast_math=True)
    inputs, result = np.zeros(0), np.zeros(5)

    def call():
        compiled(inputs, outputs=result, pars=GUESS)
        return result[0], result[1:]

    return call


@state.entry("heyoka", "heyoka", rtol=1e-8)
def _():
    """Its own Taylor method on the variational equations, as near to the true solution."""
    import heyoka as hy

    x, y = hy.make_vars("x", "y")
    p = [hy.par[k] for k in range(4)]
    equations = list(zip((x, y), rate((x, y), p, list)))
    equations = hy.var_ode_sys(equations, hy.var_args.params, order=1)
    solver = hy.taylor_adaptive(equations, START.copy(), pars=GUESS, tol=1e-8, fast_math=True)
    states, first = solver.state, solver.state.copy()

    def call():
        solver.time = 0.0
        states[:] = first
        solver.propagate_until(STEPS * LONG)
        return states[:2], states[2:].reshape(2, 4)

    return call


fit.target("litad", "C", 1.5)
state.target("litad", "C", 1.5)
RACES = [fit, state]
