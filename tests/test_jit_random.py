"""Random programs, compiled: values, first and second derivatives as on NumPy, arguments untouched.

A program is text: up to forty lines of NumPy over arrays of either precision, whole numbers, truth values and
Python's numbers, with stores, views, gathers, reductions, loops and branches. A line stays if plain NumPy can run
it. LITAD_FUZZ=n runs n programs instead of the few hundred of every day.
"""

# ruff: noqa: E501

from __future__ import annotations

import os
import re
import string

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import litad
from litad import hvp, jvp, pieces, trace, value_and_grad, vjp
from litad.engine import available
from litad.jit import jit
from litad.passes import optimise
from litad.program import evaluate
from litad.tree import flatten

pytestmark = [
    pytest.mark.skipif(not available(), reason="needs llvmlite"),
    pytest.mark.filterwarnings("ignore"),
]
ROUNDS = int(os.environ.get("LITAD_FUZZ", "200"))
SHAPES = [
    *[(), (1,), (3,), (4,), (17,), (0,), (2, 3), (3, 3), (4, 1), (1, 5), (20, 3)],
    *[(3, 0), (0, 2), (2, 3, 4), (5, 1, 2), (2, 0, 3), (2, 2, 2), (3, 4, 4)],
]

FLOATS = """
np.sin({x})|np.cos({x})|np.tanh({x} * 2.0)|np.exp(-np.abs({x}))|np.log1p({x} * {x})|np.sqrt(1 + {x} * {x})|np.square({x}) * 0.3
np.arctan({x})|np.sign({x}) * {x}|np.floor({x} * 2) * 0.5 + {x}|np.cbrt({x})|np.expm1({x} * 0.3)|-{x}|+{x}|abs({x})|{x} ** 2|{x} ** 3 * 0.1|(1 + {x} ** 2) ** -0.5
np.log(np.abs({x}) + 1e-300) * {x} * 0.01|np.sinh(np.tanh({x}))|np.reciprocal(1 + {x} * {x})|np.logaddexp({x}, {y})|np.hypot({x}, {y} + 2)|np.arctan2({x}, 1.5 + {y} ** 2)
{x} + {y}|{x} * {y}|{x} - 0.5 * {y}|{x} / (1.5 + {y} ** 2)|{x} + 1|2 * {x}|1 / (2 + {x} * {x})|{x} - {y} + {z}|{x} * {y} * {z}|{x} * s|s / (1.5 + {x} * {x})
np.maximum({x}, {y})|np.minimum({x}, 0.3)|np.fmax({x}, {y})|np.where({x} > 0, {y}, {z})|np.where({m}, {x}, {y})|np.where({x} > {y}, {x}, 0.0)|np.clip({x}, -0.5, 0.7)
np.where({x} > 0, np.log(np.where({x} > 0, {x}, 1.0)), 0.0)|np.where({x} != 0, np.sin({x}) / np.where({x} != 0, {x}, 1), 1.0)|np.copysign({x}, {y} + 0.003)|np.fmod({x}, 0.7)|{x} % 0.9
np.sum({x}, axis={ax}, keepdims={kd})|np.mean({x}, axis={ax}, keepdims={kd})|np.max({x}, axis={ax}, keepdims={kd})|np.min({x}, axis={ax}, keepdims={kd})
np.prod({x} * 0.5, axis={ax})|np.var({x}, axis={ax})|np.std({x} + 1, axis={ax}) + 0.1|np.sum({x}, axis=(0, -1))|np.max({x}, axis=(-1, 0))|{x}.sum()|{x}.mean(axis={ax})|np.linalg.norm({x})
np.sum({x}, where={x} > 0)|np.mean({i}, axis={ax})|np.var({i})|np.ptp({x}, axis={ax})|np.median({x}, axis={ax})|np.average({x}, axis={ax})|np.cumsum({x}, axis={ax})|np.cumprod({x} * 0.7, axis={ax})
{x}[{at}]|{x}[{at}] * 2|{x}[{at}][{at}]|{x}[::-1]|{x}[..., ::-1]|{x}[::-2]|{x}[1:]|{x}[:-1] - {x}[1:]|{x}[..., None]|{x}[None]|{x}[-1]|{x}[0]|{x}[..., 0]|{x}[:, None]|{x}[1:-1]
{x}[idx]|np.take({x}, idx, axis={ax})|{x}[..., idx]|{x}[{i} % len({x})]|np.take({x}, {i} % {x}.size)|{x}[idx, 0]|{x}[k % len({x})]|{x}[-1 - k % len({x})]|{x}[[1, 1, 0]]|{x}[idx[:, None], idx]
np.take_along_axis({x}, np.argsort({x}, axis={ax}), axis={ax})|{x}[np.argmax({x}[..., 0], axis=0)]|{x}[:, [0, 0, -1]]
{x}.T|{x}.reshape(-1)|np.ravel({x})[::-1]|np.swapaxes({x}, 0, -1)|np.moveaxis({x}, 0, -1)|np.atleast_2d({x})|np.squeeze({x})|np.expand_dims({x}, 0)|{x}.reshape(-1, 2)|{x}.reshape(2, -1)
np.concatenate([{x}, {y}])|np.concatenate([{x}, {y}[::-1]], axis={ax})|np.stack([{x}, {y}], axis={ax})|np.hstack([{x}, {y}])|np.vstack([{x}, {y}])|np.concatenate([np.ravel({x}), np.zeros(2), [s]])
np.roll({x}, 1)|np.roll({x}, -2, axis={ax})|np.flip({x})|np.pad({x}, 1)|np.tile({x}, 2)|np.repeat({x}, 2, axis={ax})|np.diff({x}, axis={ax})|np.broadcast_to({x}, (2, *{x}.shape)) * 0.5|np.rot90({x})
np.broadcast_to({x}, np.broadcast_shapes({x}.shape, {y}.shape)) * 1|np.zeros_like({x}) + {y}|np.ones({x}.shape) * {y}|np.full(3, 0.5) + {x}|np.stack([{x}.sum(), s, 0.5])
{x} @ {y}|{x} @ {y}.T|{x}.T @ {y}|np.dot({x}, {y})|np.outer({x}, {y}) * 0.1|np.einsum('ij,jk->ik', {x}, {y})|np.einsum('i,i->', {x}, {y})|np.einsum('...i->...', {x})|np.inner({x}, {y})|np.tensordot({x}, {y}, 1)
np.einsum('ij->ji', {x})|np.trace({x})|np.diag({x})|np.tril({x})|np.triu({x}, 1)|np.kron({x}, {y}) * 0.2|np.matmul({x}, {y}) * 0.5|np.linalg.solve({x} @ {x}.T + 9 * np.eye(len({x})), {x})
np.sort({x}, axis={ax})|{x}.astype('f4')|{x}.astype('f8')|{x} * np.float32(0.7)|np.float64(0.3) + {x}|{i} * {x}|{i} * 0.5|{m} * {x}|{x} * ({y} > 0)|np.sum({m}) * 0.1 + {x}|{i} / 3|np.sqrt({i} * {i} + 1.0)
np.convolve(np.ravel({x}), np.ravel({y}))|np.interp({x}, np.linspace(-2, 2, 5), np.cos(np.arange(5.0)))|np.cross({x}, {y})|np.nan_to_num({x})|np.nansum({x}, axis={ax})|np.select([{x} > 0.5, {x} > 0], [{x}, {y}], 0.1)
litad.fori_loop(0, 3, lambda i, c: np.sin(c) + 0.1 * i, {x})|litad.fori_loop(0, len({x}), lambda i, c: c * 0.5 + np.take({x}, i, axis=0), {x}[0])|litad.fori_loop(k, k + 2, lambda i, c: c * 0.5 + s, {x})
litad.fori_loop(1, len({x}), smooth, {x})|litad.fori_loop(0, len({x}), deposit, np.zeros_like({x}))|litad.fori_loop(0, 2, lambda j, c: litad.fori_loop(0, 2, lambda i, d: d * 0.7 + j * np.cos(d), c), {x})
litad.scan(lambda c, t: (np.tanh(c + t), c * t), {x}[0], {x})[1]|litad.scan(lambda c, t: (c * 0.5 + np.sin(t), c), {x}[0], {x}, reverse=True)[0]|litad.scan(lambda c, t: (c + t[0] * t[1], None), {x}[0], ({x}, {x}[::-1]))[0]
litad.scan(lambda c, _: (np.cos(c), np.sum(c)), {x}, length=3)[1]|litad.scan(lambda c, t: (litad.cond(np.sum(t) > 0, lambda a: a * 0.5, lambda a: a + 0.1, c), t * s), {x}, {y})[0]|litad.scan(lambda c, t: ((c[1], c[0] + np.sum(t)), c[0] * t), (0.0, 1.0), {x})[1]
litad.cond(np.sum({x}) > 0, lambda v: np.sin(v), lambda v: v * 2.0, {y})|litad.cond({x}.size > 3, lambda: {x} * 0.5, lambda: {x} + 1.0)|litad.cond(s > 0, np.cos, np.sin, {x})
litad.switch(k, [lambda v: v, lambda v: np.sin(v), lambda v: v[::-1] * 0.5], {x})|litad.switch(np.argmax(np.ravel({x})) % 2, [np.sin, np.cos], {y})
litad.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, np.sin(c[1]) + 0.1), (0, {x}), max_steps=4)[1]|litad.while_loop(lambda c: np.sum(c * c) > 1, lambda c: c * 0.5, {x}, max_steps=20)
"""
WHOLE = """
({x} > 0).astype(int)|np.argmax({x}, axis={ax})|np.argmin({x}, axis={ax})|np.argsort({x}, axis={ax})|np.floor({x} * 3).astype('i8')|{i} + 1|{i} * {j}|{i} // 2|{i} % 3|-{i}|{i} - {j}|np.abs({i})|{i}[::-1]
np.sum({m}, axis={ax})|np.sum({i}, axis={ax})|np.cumsum({i}, axis={ax})|np.max({i}, axis={ax})|np.where({m}, {i}, 0)|{i}.reshape(-1)|np.sign({i})|np.maximum({i}, {j})|{i} ** 2|{i} & 3|{i} | 1|{i} ^ {j}|np.arange({x}.size)
np.prod({i}, axis={ax})|{i}.T|{i}.astype('i4')|np.count_nonzero({x} > 0)|{i} + k|k - 1|np.clip({i}, 0, 2)|np.sort({i}, axis={ax})|np.searchsorted(np.arange(4.0), {x})|np.rint({x}).astype(int)|np.int64({x}.size) + {i}|{i}[idx]
"""
TRUTHS = """
{x} > 0|{x} <= {y}|{m} & {n}|{m} | {n}|~{m}|{m} ^ {n}|{i} == {j}|{i} > 1|np.logical_not({m})|np.isfinite({x})|np.any({m}, axis={ax})|np.all({m}, axis={ax})|{m}[::-1]|np.sign({x}) != 0|np.logical_and({m}, {n})|{m}.T|np.isnan({x})
"""
STORES = """
v[0] = np.sum({y})|v[1:] += {y}[:1].sum()|v[...] *= 0.5|v[::-1] = {x} * 2.0|v[::-1] += v|v[idx] = 0.25|v[idx] += 0.5|v[::2] -= 0.5|v[::-2] = v[::2]|v[1:] = v[:-1]|v[:-1] += v[1:] * 0.3|v[-1] = v[0]|v[{at}] = {y}|v[{at}] *= {y}
v[{at}] += 0.125|v[{at}] = v[{at}]|np.add.at(v, idx, 0.5)|np.add.at(v, idx, {y}[idx])|v[v > 0] = 0.5|v[v < 0] *= -0.5|v[{m}] = 0.25|v += {y}|v *= 0.9|v -= v[::-1]|v /= 1.5|v[:] = {y}|v[k % len(v)] = s|v[-1 - k % len(v)] += {y}[0]
v[..., 0] = {y}[..., -1]|v[:, ::-1] = {x}|v[:, idx] = 0.0|v[{i} % len(v)] = 0.3|np.add.at(v, {i} % len(v), 0.2)|w = v[1:]; w *= 0.5|w = v[::-1]; w[0] = 0.7|w = v.T; w[0] += {y}.sum()|w = v.reshape(-1); w[::2] = 0.1|v[0], v[-1] = v[-1] * 1.0, v[0] * 1.0
v[1:][::-1] += 0.25|np.fill_diagonal(v, 0.5)|np.copyto(v, {y})|np.multiply(v, 0.5, out=v)|np.put(v, idx, 0.3)
"""
INDICES = [":", "1:", ":-1", "::-1", "::2", "::-2", "-1", "0", "None", "...", "-2::-1", "2:0:-1", "5:", "idx", ":0", "-1:"]  # fmt: skip


def options(text: str) -> list[str]:
    "The alternatives in a table; where a bar is an operator, no space makes it a border."
    return [part for line in text.split("\n") for part in re.split(r"(?<! )\|(?! )", line) if part]


FLOATS, WHOLE, TRUTHS, STORES = map(options, (FLOATS, WHOLE, TRUTHS, STORES))


def smooth(i, v):
    v[i] = v[i] * 0.5 + np.sin(v[i - 1])
    return v


def deposit(i, v):
    v[i] += np.cos(v[0]) + 0.1 * i
    return v


class Author:
    """Writes the source of a random function, running each line to see that it works."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        kinds = [["f8", "f4"], ["f8", "f8"], ["f4", "f4"]][self.rng.integers(3)]
        shapes = [self.choose(SHAPES) for _ in range(3)]
        draw = lambda shape: np.asarray(self.rng.normal(size=shape))  # noqa: E731
        self.values = {n: draw(shape).astype(kind) for n, kind, shape in zip("ab", kinds, shapes)}
        self.values["h"] = np.asarray(self.rng.integers(-3, 4, size=shapes[2]))
        self.values["s"] = float(self.rng.normal())
        self.values["k"] = int(self.rng.integers(0, 3))
        self.args = list(self.values.values())
        self.lines: list[str] = []
        self.space = {"np": np, "litad": litad, "idx": np.array([0, -1, 0]), "smooth": smooth, "deposit": deposit}  # fmt: skip

    def choose(self, choices: list):
        return choices[self.rng.integers(len(choices))]

    def field(self, name: str) -> str:
        "What a template asks for: a value of a kind, an axis, an index."
        if name in "xyzijmn":
            kind = "f" if name in "xyz" else "i" if name in "ij" else "b"
            fitting = [n for n, v in self.values.items() if np.asarray(v).dtype.kind == kind and n not in "sk"]  # fmt: skip
            if not fitting:
                return "({} > 0)".format(self.field("x"))
            late = self.rng.random() < 0.5  # what is new is used more
            return self.choose(fitting[-4:] if late else fitting)
        if name == "ax":
            return self.choose(["0", "-1", "1", "None"])
        if name == "kd":
            return self.choose(["True", "False"])
        return ", ".join([self.choose(INDICES) for _ in range(self.choose([1, 1, 2, 3]))])

    def filled(self, template: str) -> str:
        names = {n for _, n, *_ in string.Formatter().parse(template) if n}
        return template.format(**{n: self.field(n) for n in sorted(names)})

    def statement(self) -> str:
        name, chance = f"v{len(self.lines)}", self.rng.random()
        if chance < 0.22:
            store = re.sub(
                r"\bv\b", name, re.sub(r"\bw\b", f"w{name}", self.filled(self.choose(STORES)))
            )
            fresh = self.choose(["{}.copy()", "{}.copy()", "np.zeros_like({})", "{} * 1.0"])
            fresh = "{}.copy()" if "reshape" in store else fresh  # in NumPy's usual order
            return f"{name} = {fresh.format(self.field('x'))}; {store}"
        table = WHOLE if chance < 0.3 else TRUTHS if chance < 0.35 else FLOATS
        return f"{name} = {self.filled(self.choose(table))}"

    def write(self, length: int, second: bool = False) -> str:
        tries = 0
        while len(self.lines) < length and tries < 25 * length:
            tries += 1
            line = self.statement()
            name = line.split(" = ")[0]
            space = self.space | {
                n: v.copy() if isinstance(v, np.ndarray) else v for n, v in self.values.items()
            }
            try:
                with np.errstate(all="ignore"):
                    exec(line, space)
            except Exception:
                continue
            value = space[name]
            if (
                not isinstance(value, (np.ndarray, np.generic))
                or value.ndim > 4
                or value.size > 2000
            ):
                continue
            if not np.isfinite(value).all() or np.abs(value * 1.0).max(initial=0) > 50:
                continue
            if not self.allowed(line, name, value):
                continue
            self.values[name] = value
            self.lines.append(line)
        return source_of(self.lines)

    def allowed(self, line: str, name: str, value) -> bool:
        "Whether a line of NumPy is also one of litad, eagerly and traced: some are refused, with a reason."
        read = [n for n in self.values if re.search(rf"\b{n}\b", line)]
        space = dict(self.space)
        exec(f"def line({', '.join(read)}):\n    {line}\n    return {name}", space)
        smooth = [k for k, n in enumerate(read) if np.asarray(self.values[n]).dtype.kind == "f"]
        try:
            with np.errstate(all="ignore"):
                trace(space["line"], *copied([self.values[n] for n in read]))
                values = copied([self.values[n] for n in read])
                if smooth and value.dtype.kind == "f":
                    vjp(space["line"], *values)[1](value * 0)
                elif smooth:
                    vjp(
                        lambda *xs: (xs[smooth[0]] * 1.0, space["line"](*xs)), *values, has_aux=True
                    )
        except Exception as error:
            if "no differentiable path" not in str(error):
                refused.setdefault(line, error)
                return False
        return True


refused: dict = {}


def source_of(lines: list[str]) -> str:
    "The function that runs some lines and returns a number and the last values."
    made = [line.split(" = ")[0] for line in lines]
    used = made[-4:]
    total = " + ".join([f"np.sum(np.tanh({n}))" for n in [*made[-8:], "a", "b"]])
    body = "\n    ".join([*lines, f"return {total} + s * 0.1, [{', '.join(used)}]"])
    return f"def f(a, b, h, s, k):\n    {body}\n"


def sparse(x):
    "The same numbers in another arrangement of memory."
    if not isinstance(x, np.ndarray) or not x.ndim:
        return x
    wide = np.zeros((*x.shape[:-1], x.shape[-1] * 2), x.dtype)[..., ::-1]
    wide[..., ::2] = x
    return wide[..., ::2]


def copied(args):
    return [x.copy() if isinstance(x, np.ndarray) else x for x in args]


def check(source: str, args: list, space: dict, ways: set) -> None:
    "Compare a program's value and derivatives, however they are computed."
    space = dict(space)
    exec(source, space)
    with np.errstate(all="ignore"):
        eager = Eager(space["f"], args, "f4" in source or "float32" in source)
        eager.interpreted()
        compiled = jit(eager.f)
        for given in (args, args, [sparse(x) for x in args]):
            kept = copied(given)
            got = compiled(*given)
            for x, y in zip(given, kept):
                assert np.array_equal(x, y), "an argument was written to"
            eager.close("jit", list(got), "value")
        for name, what in WAYS:
            if name in ways and eager.has(what):
                for way in eager.compiled(name):
                    eager.close(name, way(*copied(args)), what)


WAYS = [
    ("jit of grad", "gradient"),
    ("grad of jit", "gradient"),
    ("jit of jvp", "pushed"),
    ("jvp of jit", "pushed"),
    ("jit of hvp", "second"),
    ("hvp of jit", "second"),
]


class Eager:
    """What a function and its derivatives are without a compiler, and how well they are known."""

    def __init__(self, f, args, single=False):
        self.f, self.args, self.known = f, args, {}
        rng = np.random.default_rng(len(args[0].shape))
        self.along = [rng.normal(size=x.shape).astype(x.dtype) for x in args[:2]]
        self.single = single or np.float32 in (args[0].dtype, args[1].dtype)
        kinds = {x.dtype for x in args[:2]}
        self.argnums = (0, 1, 3) if kinds == {np.dtype(float)} and not single else (0, 1)

    def interpreted(self):
        "The program, as it was written and improved, on NumPy; a refusal says what to write instead."
        try:
            written = trace(self.f, *self.args)
        except litad.core.LitadError as error:
            return refused.setdefault(str(error), error)
        for name, program in [("interpreter", written), ("passes", optimise(written))]:
            flat = evaluate(program, *copied(self.args))
            self.close(name, [flat[0], flat[1:]], "value")
        if self.has("gradient"):
            backward = trace(self.derivative("grad", lambda *args: self.f(*args)[0]), *self.args)
            for name, program in [("tape", backward), ("passes of tape", optimise(backward))]:
                self.close(name, evaluate(program, *copied(self.args)), "gradient")

    def compiled(self, name):
        scalar = lambda f: lambda *args: f(*args)[0]  # noqa: E731
        if "of jit" in name:
            f = jit(scalar(self.f))
            return [self.derivative(name.split()[0], f)]
        g = self.derivative(name.split()[-1], scalar(self.f))
        return [jit(g, donate_argnums=(0, 1)) if self.along[0].size % 2 else jit(g)]

    def derivative(self, name, f):
        if name == "grad":
            return value_and_grad(f, self.argnums)
        if name == "jvp":
            return lambda a, b, *rest: jvp(lambda a, b: f(a, b, *rest), (a, b), tuple(self.along))
        return lambda a, b, *rest: hvp(lambda ab: f(*ab, *rest), [a, b], self.along)

    def value(self, *args):
        return list(self.f(*copied(args)))

    def gradient(self, *args):
        return self.derivative("grad", lambda *args: self.f(*args)[0])(*args)

    def pushed(self, *args):
        return self.derivative("jvp", lambda *args: self.f(*args)[0])(*args)

    def second(self, *args):
        return self.derivative("hvp", lambda *args: self.f(*args)[0])(*args)

    def has(self, what):
        "Whether a derivative exists eagerly: a store into a plain array may be refused."
        try:
            return bool(self.wanted(what))
        except litad.core.LitadError as error:
            refused.setdefault(str(error), error)
            return False

    def wanted(self, what):
        if what not in self.known:
            self.known[what] = leaves(getattr(self, what)(*copied(self.args)))
        return self.known[what]

    def close(self, way, got, what):
        got, wanted = leaves(got), self.wanted(what)
        assert len(got) == len(wanted), way
        rough = 5e-3 if self.single or any([x.dtype == np.float32 for x in wanted]) else 1e-7
        for k, (p, q) in enumerate(zip(got, wanted)):
            assert (p.shape, p.dtype) == (q.shape, q.dtype), f"{way}: {p.dtype}{p.shape} for {q.dtype}{q.shape}"  # fmt: skip
            if apart(p, q) > rough and apart(p, q) > 10 * self.doubt(what, k):
                raise AssertionError(f"{way}: result {k} is\n{p}\ninstead of\n{q}")

    def doubt(self, what, k):
        "How far a result moves when the arguments move by a rounding or so."
        worst, rng = 0.0, np.random.default_rng(0)
        for size in (1e-15, 1e-14, 1e-12, 1e-7, 1e-6) if self.single else (1e-15, 1e-14, 1e-12):
            moved = [x + x * size * rng.normal(size=np.shape(x)) if isinstance(x, float) or x.dtype.kind == "f" else x for x in copied(self.args)[:4]]  # fmt: skip
            moved = [np.asarray(m).astype(x.dtype) if isinstance(x, np.ndarray) else x for m, x in zip(moved, self.args)]  # fmt: skip
            other = leaves(getattr(self, what)(*moved, self.args[4]))[k]
            worst = max(worst, apart(other, self.wanted(what)[k]))
        return worst


def leaves(tree) -> list:
    return [np.asarray(x) for x in flatten(tree)[0]]


def apart(p, q) -> float:
    "The largest difference, relative to the largest number; not-a-number equals itself."
    p, q = np.asarray(p) * 1.0, np.asarray(q) * 1.0
    if p.shape != q.shape:
        return np.inf
    same = (p == q) | (np.isnan(p) & np.isnan(q))
    rest = ~same
    if not np.isfinite(p[rest]).all() or not np.isfinite(q[rest]).all():
        return np.inf
    finite = np.abs(q[np.isfinite(q)]).max(initial=0)
    return float(np.abs(p - q)[rest].max(initial=0) / (1 + finite))


def ways_of(seed: int) -> set:
    "Every program is differentiated in one way of six, most often by the compiled gradient."
    return {WAYS[0 if seed % 3 == 0 else seed % 6][0]}


def run(seed: int, length: int) -> None:
    author = Author(seed)
    author.write(length)
    error = failure(author.lines, author, ways_of(seed))
    if error is not None:
        lines = shortest(author, ways_of(seed), str(error))
        shapes = [(np.shape(x), np.asarray(x).dtype.name) for x in author.args]
        text = f"seed {seed}, length {length}, {shapes}, {author.args[3:]}\n{source_of(lines)}\n{error}"
        raise AssertionError(text) from error


def shortest(author: Author, ways: set, like: str) -> list[str]:
    "The lines of a program that fails, without those that it fails without in the same way."
    lines = list(author.lines)
    for size in (8, 4, 2, 1, 1):
        for k in reversed(range(0, len(lines), size)):
            fewer = lines[:k] + lines[k + size :]
            error = failure(fewer, author, ways)
            if str(error)[:12] == like[:12]:
                lines = fewer
    return lines


def failure(lines: list[str], author: Author, ways: set) -> Exception | None:
    "How a program fails, if plain NumPy runs it."
    try:
        space = dict(author.space)
        exec(source_of(lines), space)
        with np.errstate(all="ignore"):
            space["f"](*copied(author.args))
    except Exception:
        return None
    try:
        check(source_of(lines), copied(author.args), author.space, ways)
    except Exception as error:
        return error
    return None


@settings(
    max_examples=ROUNDS,
    deadline=None,
    database=None,
    derandomize="LITAD_FUZZ" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(st.integers(0, 2**31), st.one_of(st.integers(1, 8), st.integers(1, 8), st.integers(1, 40)))
def test_random_functions(seed, length):
    "What LLVM is given is what is tested: its passes, which take most of the time, run in one program of eight."
    with pytest.MonkeyPatch.context() as patch:
        if seed % 8:
            patch.setattr(pieces, "effort_for", lambda text: (0, 0))
        run(seed, length)
