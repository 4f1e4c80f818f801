"""Solvers of differential equations as a user calls them: solve_ivp, compiled.

Lorenz's equations are in lorenz.py.
"""

import numpy as np
from harness import Race, jax_and_numpy

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

# ------------------------------------------------------------------ the method of lines

POINTS = 1000
WARM = np.sin(np.pi * np.arange(1, POINTS + 1) / (POINTS + 1))


def heat(t, u):
    padded = np.concatenate([np.zeros(1), u, np.zeros(1)])
    return (padded[2:] - 2 * padded[1:-1] + padded[:-2]) * (POINTS + 1) ** 2 + u * (1 - u)


def cooled(method, rtol=1e-6, atol=1e-8):
    from litad.ode import solve_ivp

    return lambda u: solve_ivp(heat, (0.0, 0.1), u, method, rtol=rtol, atol=atol).last


lines = Race(
    "solve_ivp: heat, 1000 points",
    "a warm rod of 1000 points with a reaction, tolerance 1e-6",
    baseline="SciPy, BDF, banded",
    reference=lambda: cooled("rodas5p", 1e-10, 1e-12)(WARM),
)


@lines.entry("litad", "litad", rtol=1e-4)
def _():
    from litad.jit import jit

    f = jit(cooled("rodas5p"))
    return lambda: f(WARM)


@lines.entry("litad, eager", "litad", rtol=1e-4)
def _():
    return lambda: cooled("rodas5p")(WARM)


@lines.entry("SciPy, BDF, banded", rtol=1e-3)
def _():
    from scipy.integrate import solve_ivp
    from scipy.sparse import diags_array

    ones = np.ones(POINTS)
    pattern = diags_array([ones[1:], ones, ones[1:]], offsets=[-1, 0, 1])
    options = {"jac_sparsity": pattern, "rtol": 1e-6, "atol": 1e-8}
    return lambda: solve_ivp(heat, (0.0, 0.1), WARM, "BDF", **options).y[:, -1]


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


RACES = [stiff, lines, sensitive]
