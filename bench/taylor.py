"""The method of Taylor series against heyoka, which does nothing else: states and sensitivities.

Every entry of a race is held to the same error. The equations of Lorenz are chaotic: to t = 100
each solver is checked at t = 5, and for being on the attractor at the end.
"""

from functools import partial

import numpy as np
from harness import Race, deviation

EPS = 2.3e-16
START, GUESS = np.array([1.0, 0.0, 0.0]), np.array([1.2, 0.8, 2.5, 0.8])
AT_FIVE = np.array([-6.9745704726848183, -7.0210608908225293, 25.1196164921275967])  # of 45 digits
AT_TEN = np.array(
    [
        [0.0498206574503288, -0.0997972261851999, 0.0095133672643841, -0.0542999326454555,
         0.0419511342084445],
        [2.0377661416634933, -3.0369302993538434, -4.3046055778503955, 1.0136553539870472,
         -11.512744342597804],
    ]
)  # fmt: skip


def rate(u):
    return [10.0 * (u[1] - u[0]), u[0] * (28.0 - u[2]) - u[1], u[0] * u[1] - 8 / 3 * u[2]]


def with_litad(tolerance, method="taylor"):
    from litad.jit import jit
    from litad.ode import solve_ivp

    options = dict(rtol=tolerance, atol=tolerance)
    f = lambda t, u: np.stack(rate(u))  # noqa: E731
    solve = lambda u, t: solve_ivp(f, (0.0, t), u, method, t_eval=np.zeros(0), **options).last  # noqa: E731
    return jit(solve, static_argnums=1)


def with_heyoka(tolerance):
    import heyoka as hy

    u = hy.make_vars("x", "y", "z")
    taylor = hy.taylor_adaptive(list(zip(u, rate(u))), START.copy(), tol=tolerance, fast_math=True)
    state = taylor.state

    def solve(start, until):
        taylor.time = 0.0
        state[:] = start
        taylor.propagate_until(until)
        return state

    return solve


def lorenz(name, tolerance, until, error):
    far = until > 5
    title = f"Lorenz's equations to t = {until:g}, tolerance {tolerance:.0e}"
    ends = lambda: np.array([0.0, 0.0, 25.0]) if far else AT_FIVE  # noqa: E731
    race = Race(name, title, baseline="heyoka", reference=ends)

    def add(entry, needs, make):
        @race.entry(entry, needs, rtol=2.0 if far else error)
        def _():
            solve = make()
            off = deviation(solve(START, 5.0), AT_FIVE)
            if not off < error:
                raise ValueError(f"off the solution at t = 5 by {off:.1e}")
            return partial(solve, START, until)

    add("heyoka", "heyoka", lambda: with_heyoka(tolerance))
    add("litad", "litad", lambda: with_litad(tolerance))
    if not far and tolerance > 1e-11:
        stricter = tolerance / 20  # for the same error
        add("litad, Dormand-Prince", "litad", lambda: with_litad(stricter, "dopri5"))
    race.target("litad", "heyoka", 1.2)
    return race


variations = Race(
    "lotka-volterra, sensitivities, t = 10",
    "Lotka and Volterra's equations with all 8 sensitivities to t = 10, tolerance 1e-8",
    baseline="heyoka",
    reference=lambda: (AT_TEN[:, 0], AT_TEN[:, 1:]),
)


@variations.entry("heyoka", "heyoka", rtol=1e-7)
def _():
    import heyoka as hy

    (x, y), p = hy.make_vars("x", "y"), [hy.par[k] for k in range(4)]
    equations = [(x, p[0] * x - p[1] * x * y), (y, p[2] * x * y - p[3] * y)]
    system = hy.var_ode_sys(equations, hy.var_args.params, order=1)
    taylor = hy.taylor_adaptive(system, np.ones(2), pars=GUESS.copy(), tol=1e-8, fast_math=True)
    state, start = taylor.state, taylor.state.copy()

    def solve():
        taylor.time = 0.0
        state[:] = start
        taylor.propagate_until(10.0)
        return state[:2], state[2:].reshape(2, 4)

    return solve


@variations.entry("litad", "litad", rtol=1e-7)
def _():
    from litad import jacfwd
    from litad.jit import jit
    from litad.ode import solve_ivp

    def rates(t, u, p):
        xy = u[0] * u[1]
        return np.stack([p[0] * u[0] - p[1] * xy, p[2] * xy - p[3] * u[1]])

    def last(p):
        found = solve_ivp(
            rates,
            (0, 10),
            np.ones(2),
            "taylor",
            t_eval=np.zeros(0),
            args=(p,),
            rtol=1e-8,
            atol=1e-8,
        )
        return found.last, found.last

    solve = jit(lambda p: jacfwd(last, has_aux=True)(p)[::-1])
    return partial(solve, GUESS)


variations.target("litad", "heyoka", 1.2)
RACES = [
    lorenz("lorenz by Taylor, t = 5, 1e-5", 1e-5, 5.0, 1e-5),
    lorenz("lorenz by Taylor, t = 5, 1e-10", 1e-10, 5.0, 1e-10),
    lorenz("lorenz by Taylor, t = 5, machine epsilon", EPS, 5.0, 1e-12),
    lorenz("lorenz by Taylor, t = 100, 1e-5", 1e-5, 100.0, 1e-5),
    variations,
]
