"""A solver that chooses its steps: Lorenz's equations by Dormand and Prince to t = 100, compiled.

Twice: the loop written by hand, and `solve_ivp` as a user calls it. The equations are chaotic: each
solver is checked at t = 5, and for being on the attractor at 100.
"""

from functools import partial

import numpy as np
from harness import GCC, Race, deviation, jax_and_numpy
from limits import limits

START, UNTIL, FIRST, ABSOLUTE, RELATIVE = np.array([1.0, 0.0, 0.0]), 100.0, 0.01, 1e-8, 1e-6
AT_FIVE = np.array([-6.974570472684, -7.021060890822, 25.119616492127])  # by a method of order 8


def rate(u):
    return [10.0 * (u[1] - u[0]), u[0] * (28.0 - u[2]) - u[1], u[0] * u[1] - 8 / 3 * u[2]]


def dormand_prince(f, u, until, xp, while_loop):
    "The solution, in the words of any module like NumPy."

    def step(state):
        t, dt, u, k1 = state
        h = xp.minimum(dt, until - t)
        k2 = f(u + h * (1 / 5 * k1))
        k3 = f(u + h * (3 / 40 * k1 + 9 / 40 * k2))
        k4 = f(u + h * (44 / 45 * k1 - 56 / 15 * k2 + 32 / 9 * k3))
        k5 = 19372 / 6561 * k1 - 25360 / 2187 * k2 + 64448 / 6561 * k3 - 212 / 729 * k4
        k5 = f(u + h * k5)
        k6 = 9017 / 3168 * k1 - 355 / 33 * k2 + 46732 / 5247 * k3 + 49 / 176 * k4
        k6 = f(u + h * (k6 - 5103 / 18656 * k5))
        new = 35 / 384 * k1 + 500 / 1113 * k3 + 125 / 192 * k4 - 2187 / 6784 * k5 + 11 / 84 * k6
        new = u + h * new
        k7 = f(new)
        off = 71 / 57600 * k1 - 71 / 16695 * k3 + 71 / 1920 * k4 - 17253 / 339200 * k5
        off = h * (off + 22 / 525 * k6 - 1 / 40 * k7)
        allowed = ABSOLUTE + RELATIVE * xp.maximum(xp.abs(u), xp.abs(new))
        error = xp.sqrt(xp.mean((off / allowed) ** 2))
        good = error <= 1
        dt = h * xp.clip(0.9 * error**-0.2, 0.2, 5.0)
        t, u = xp.where(good, t + h, t), xp.where(good, new, u)
        return t, dt, u, xp.where(good, k7, k1)

    return while_loop(lambda state: state[0] < until, step, (0.0, FIRST, u, f(u)))[2]


def race_of(name):
    title = "Lorenz's equations by Dormand and Prince, tolerances 1e-8 and 1e-6"
    return Race(name, title, baseline="C", reference=lambda: np.array([0.0, 0.0, 25.0]))


by_hand, by_call = race_of("lorenz, t = 100"), race_of("solve_ivp: lorenz, t = 100")


def solver(name, needs, *races):
    "Decorator: add what builds a function of the last time, checked at t = 5."

    def add(build):
        def checked():
            solve = build()
            off = deviation(solve(5.0), AT_FIVE)
            if not off < 1e-4:
                raise ValueError(f"off the solution at t = 5 by {off:.1e}")
            return partial(solve, UNTIL)

        for race in races:
            race.entry(name, needs, rtol=2.0)(checked)

    return add


@solver("C", GCC, by_hand, by_call)
def _():
    f, u = limits().lorenz, np.empty(3)

    def solve(until):
        f(START, until, FIRST, ABSOLUTE, RELATIVE, u)
        return u

    return solve


@solver("litad", "litad", by_hand)
def _():
    from litad import while_loop
    from litad.jit import jit

    f = jit(lambda u, until: dormand_prince(lambda u: np.stack(rate(u)), u, until, np, while_loop))
    return partial(f, START)


@solver("JAX", "jax", by_hand)
def _():
    jax, jnp = jax_and_numpy()
    f = lambda u: jnp.stack(rate(u))  # noqa: E731
    solve = jax.jit(lambda u, until: dormand_prince(f, u, until, jnp, jax.lax.while_loop))
    u = jnp.asarray(START)
    return lambda until: jax.block_until_ready(solve(u, until))


@solver("Diffrax", "diffrax", by_hand, by_call)
def _():
    import diffrax

    jax, jnp = jax_and_numpy()
    equations = diffrax.ODETerm(lambda t, u, _: jnp.stack(rate(u)))
    steps = diffrax.PIDController(atol=ABSOLUTE, rtol=RELATIVE)
    adjoint = diffrax.ForwardMode()

    @jax.jit
    def solve(u, until):
        return diffrax.diffeqsolve(
            equations, diffrax.Dopri5(), 0.0, until, FIRST, u,
            stepsize_controller=steps, max_steps=None, adjoint=adjoint,
        ).ys[0]  # fmt: skip

    u = jnp.asarray(START)
    return lambda until: jax.block_until_ready(solve(u, until))


@solver("heyoka", "heyoka", by_hand)
def _():
    """Its own Taylor method, at a tolerance that gives a smaller error at t = 5."""
    import heyoka as hy

    u = hy.make_vars("x", "y", "z")
    taylor = hy.taylor_adaptive(list(zip(u, rate(u))), START.copy(), tol=1e-5, fast_math=True)
    state = taylor.state

    def solve(until):
        taylor.time = 0.0
        state[:] = START
        taylor.propagate_until(until)
        return state

    return solve


def by_litad(method):
    from litad.jit import jit
    from litad.ode import solve_ivp

    def last(u, until):
        span, options = (0.0, until), {"rtol": RELATIVE, "atol": ABSOLUTE}
        return solve_ivp(lambda t, u: np.stack(rate(u)), span, u, method, **options).last

    return partial(jit(last), START)


@solver("litad", "litad", by_call)
def _():
    return by_litad("dopri5")


@solver("litad, Tsitouras", "litad", by_call)
def _():
    return by_litad("tsit5")


@solver("SciPy, RK45", "", by_call)
def _():
    from scipy.integrate import solve_ivp

    f = lambda t, u: rate(u)  # noqa: E731
    return lambda t: solve_ivp(f, (0, t), START, rtol=RELATIVE, atol=ABSOLUTE).y[:, -1]


by_hand.target("litad", "C", 1.5)
by_call.target("litad", "C", 1.5)
by_call.target("litad", "Diffrax", 1 / 5)
by_call.target("litad", "SciPy, RK45", 1 / 80)
RACES = [by_hand, by_call]
