"""Solvers of differential equations as a user calls them: solve_ivp, compiled."""

import numpy as np
from harness import GCC, Race, deviation, jax_and_numpy
from limits import limits

# ------------------------------------------------------------------ Lorenz, t = 100

START, UNTIL, FIRST, ABSOLUTE, RELATIVE = np.array([1.0, 0.0, 0.0]), 100.0, 0.01, 1e-8, 1e-6
AT_FIVE = np.array([-6.974570472684, -7.021060890822, 25.119616492127])  # by a method of order 8


def lorenz(t, u, stack=np.stack):
    x, y, z = u[0], u[1], u[2]
    return stack([10.0 * (y - x), x * (28.0 - z) - y, x * y - 8 / 3 * z])


chaos = Race(
    "solve_ivp: lorenz, t = 100",
    "Lorenz's equations by Dormand and Prince, tolerances 1e-8 and 1e-6",
    baseline="C",
    reference=lambda: np.array([0.0, 0.0, 25.0]),
)


def solver(name, needs, slow=False):
    "Decorator: add what builds a function of the last time, checked at t = 5."

    def add(build):
        @chaos.entry(name, needs, rtol=2.0, slow=slow)
        def _():
            solve = build()
            off = deviation(solve(5.0), AT_FIVE)
            if not off < 1e-4:
                raise ValueError(f"off the solution at t = 5 by {off:.1e}")
            return lambda: solve(UNTIL)

    return add


@solver("C", GCC)
def _():
    f, u = limits().lorenz, np.empty(3)

    def solve(until):
        f(START, until, FIRST, ABSOLUTE, RELATIVE, u)
        return u

    return solve


def by_litad(method):
    from litad.jit import jit
    from litad.ode import solve_ivp

    def last(u, until):
        span, options = (0.0, until), {"rtol": RELATIVE, "atol": ABSOLUTE}
        return solve_ivp(lorenz, span, u, method, **options).last

    f = jit(last)
    return lambda until: f(START, until)


@solver("litad", "litad")
def _():
    return by_litad("dopri5")


@solver("litad, Tsitouras", "litad")
def _():
    return by_litad("tsit5")


@solver("Diffrax", "diffrax")
def _():
    import diffrax

    jax, jnp = jax_and_numpy()
    equations = diffrax.ODETerm(lambda t, u, _: lorenz(t, u, jnp.stack))
    steps = diffrax.PIDController(atol=ABSOLUTE, rtol=RELATIVE)

    @jax.jit
    def solve(u, until):
        return diffrax.diffeqsolve(
            equations, diffrax.Dopri5(), 0.0, until, FIRST, u,
            stepsize_controller=steps, max_steps=None, adjoint=diffrax.ForwardMode(),
        ).ys[0]  # fmt: skip

    u = jnp.asarray(START)
    return lambda until: jax.block_until_ready(solve(u, until))


@solver("SciPy, RK45", "")
def _():
    from scipy.integrate import solve_ivp

    def solve(until):
        f = lambda t, u: lorenz(t, u, list)  # noqa: E731
        return solve_ivp(f, (0, until), START, rtol=RELATIVE, atol=ABSOLUTE).y[:, -1]

    return solve


chaos.target("litad", "C", 1.5)
chaos.target("litad", "Diffrax", 1 / 5)
chaos.target("litad", "SciPy, RK45", 1 / 80)

# ------------------------------------------------------------------ Robertson

SPAN, FULL = (0.0, 1e11), np.array([1.0, 0.0, 0.0])
ENDING = np.array([2.08334015e-08, 8.33336077e-14, 9.99999979e-01])  # Radau at 1e-11


def robertson(t, y, stack=np.stack):
    a, b, c = 0.04 * y[0], 1e4 * y[1] * y[2], 3e7 * y[1] * y[1]
    return stack([b - a, a - b - c, c])


stiff = Race(
    "solve_ivp: Robertson",
    "Robertson's reactions to t = 1e11, tolerances 1e-10 and 1e-6",
    baseline="SciPy, LSODA",
    reference=lambda: ENDING,
)


@stiff.entry("litad", "litad", rtol=1e-9)
def _():
    from litad.jit import jit
    from litad.ode import solve_ivp

    f = jit(lambda y: solve_ivp(robertson, SPAN, y, "rodas5p", rtol=1e-6, atol=1e-10).last)
    return lambda: f(FULL)


def by_scipy(method):
    @stiff.entry(f"SciPy, {method}", rtol=1e-6)
    def _():
        from scipy.integrate import solve_ivp

        f = lambda t, y: robertson(t, y, list)  # noqa: E731
        return lambda: solve_ivp(f, SPAN, FULL, method, rtol=1e-6, atol=1e-10).y[:, -1]


by_scipy("LSODA")
by_scipy("BDF")
by_scipy("Radau")
stiff.target("litad", "SciPy, LSODA", 1 / 10)
stiff.target("litad", "SciPy, BDF", 1 / 10)

# ------------------------------------------------------------------ sensitivities

GUESS, TIGHT = np.array([1.2, 0.8, 2.5, 0.8]), {"rtol": 1e-8, "atol": 1e-8}


def species(t, u, p, stack=np.stack):
    xy = u[0] * u[1]
    return stack([p[0] * u[0] - p[1] * xy, p[2] * xy - p[3] * u[1]])


def sensitivity_reference():
    "State and Jacobian, by SciPy and complex steps."
    from scipy.integrate import solve_ivp

    f = lambda t, u, p: species(t, u, p, list)  # noqa: E731
    moved = [
        solve_ivp(f, (0, 10), np.ones(2, complex), "DOP853", args=(GUESS + 1e-30j * e,),
                  rtol=1e-12, atol=1e-12).y[:, -1]
        for e in np.eye(4)
    ]  # fmt: skip
    return moved[0].real, np.stack([y.imag / 1e-30 for y in moved], -1)


sensitive = Race(
    "solve_ivp: lotka-volterra",
    "the state at t = 10 and its Jacobian in 4 parameters, tolerance 1e-8",
    baseline="litad",
    reference=sensitivity_reference,
)


@sensitive.entry("litad", "litad", rtol=1e-4)
def _():
    import litad
    from litad.jit import jit
    from litad.ode import solve_ivp

    def last(p):
        y = solve_ivp(species, (0.0, 10.0), np.ones(2), "verner7", args=(p,), **TIGHT).last
        return y, y

    both = jit(litad.jacfwd(last, has_aux=True))
    return lambda: both(GUESS)[::-1]


@sensitive.entry("Diffrax", "diffrax", rtol=1e-4)
def _():
    import diffrax

    jax, jnp = jax_and_numpy()
    jax.config.update("jax_enable_x64", True)
    equations = diffrax.ODETerm(lambda t, u, p: species(t, u, p, jnp.stack))

    def last(p):
        y = diffrax.diffeqsolve(
            equations, diffrax.Dopri8(), 0.0, 10.0, None, jnp.ones(2), p,
            stepsize_controller=diffrax.PIDController(**TIGHT), adjoint=diffrax.ForwardMode(),
        ).ys[0]  # fmt: skip
        return y, y

    both, p = jax.jit(jax.jacfwd(last, has_aux=True)), jnp.asarray(GUESS)
    return lambda: jax.block_until_ready(both(p)[::-1])


@sensitive.entry("heyoka", "heyoka", rtol=1e-4)
def _():
    import heyoka as hy

    u = hy.make_vars("x", "y")
    p = [hy.par[k] for k in range(4)]
    equations = list(zip(u, species(None, u, p, list)))
    joint = hy.var_ode_sys(equations, hy.var_args.params, order=1)
    first = np.ones(2)
    taylor = hy.taylor_adaptive(joint, first, pars=GUESS, tol=1e-9, compact_mode=False)
    begin = taylor.state.copy()

    def call():
        taylor.time = 0.0
        taylor.state[:] = begin
        taylor.propagate_until(10.0)
        return taylor.state[:2].copy(), taylor.state[2:].reshape(2, 4).copy()

    return call


RACES = [chaos, stiff, sensitive]
