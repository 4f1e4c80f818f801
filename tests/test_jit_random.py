"""Random functions, compiled: values and gradients as in NumPy, arguments untouched."""

# ruff: noqa: E501

from __future__ import annotations

import os

import numpy as np
import pytest

from litad import value_and_grad
from litad.engine import available
from litad.jit import jit

pytestmark = pytest.mark.skipif(not available(), reason="needs llvmlite")
ROUNDS = int(os.environ.get("LITAD_FUZZ", "12"))
SHAPES = [
    (),
    (1,),
    (3,),
    (17,),
    (0,),
    (2, 3),
    (4, 1),
    (1, 5),
    (20, 3),
    (3, 0),
    (2, 3, 4),
    (5, 1, 2),
]


class Author:
    """Writes the source of a random function of two arrays, running each line to see that it works."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        kinds = ["f8", "f4"] if seed % 3 else ["f8", "f8"]
        self.values = {
            name: self.rng.normal(size=self.shape()).astype(kind) for name, kind in zip("ab", kinds)
        }
        self.args = [v.copy() for v in self.values.values()]
        self.lines: list[str] = []
        self.space = {"np": np, "idx": np.array([0, -1, 0])}

    def shape(self) -> tuple:
        return SHAPES[self.rng.integers(len(SHAPES))]

    def pick(self) -> str:
        return list(self.values)[self.rng.integers(len(self.values))]

    def choose(self, *options: str) -> str:
        return options[self.rng.integers(len(options))]

    def expression(self) -> str:
        x, y, z = self.pick(), self.pick(), self.pick()
        axis = self.rng.integers(-1, 2)
        return self.choose(
            f"np.sin({x})", f"np.tanh({x} * 2.0)", f"np.exp(-np.abs({x}))", f"{x} + {y}", f"{x} * {y}",
            f"{x} - 0.5 * {y}", f"{x} / (1.5 + {y} ** 2)", f"np.maximum({x}, {y})", f"np.where({x} > 0, {y}, {z})",
            f"np.sum({x}, axis={axis})", f"np.mean({x}, axis={axis}, keepdims=True)", f"np.max({x}, axis={axis})",
            f"{x}[::-1]", f"{x}[1:]", f"{x}[..., None]", f"{x}[::2] * 2", f"{x}.T", f"{x}.reshape(-1)",
            f"np.concatenate([{x}, {y}])", f"np.stack([{x}, {y}], axis={axis})", f"{x} @ {y}", f"np.cumsum({x}, axis={axis})",
            f"np.take({x}, idx, axis=0)", f"{x}[idx]", f"np.sqrt(1 + {x} * {x})", f"np.square({x}) * 0.3", f"np.outer({x}, {y}) * 0.1",
            f"np.broadcast_to({x}, np.broadcast_shapes({x}.shape, {y}.shape)) * 1", f"np.sort({x}, axis={axis})", f"np.prod({x} * 0.5, axis={axis})",
            f"np.clip({x}, -0.5, 0.7)", f"np.roll({x}, 1)", f"np.var({x})", f"{x}.astype('f4')", f"np.log1p({x} * {x})",
        )  # fmt: skip

    def statement(self) -> list[str]:
        name = f"v{len(self.lines)}"
        if self.rng.random() < 0.2:
            x, y = self.pick(), self.pick()
            store = self.choose(
                "[0] = np.sum({y})",
                "[1:] += {y}[:1].sum()",
                "[...] *= 0.5",
                "[::-1] = {x} * 2.0",
                "[idx] = 0.25",
                "[::2] -= 0.5",
            )
            return [f"{name} = {x}.copy()", name + store.format(x=x, y=y)]
        return [f"{name} = {self.expression()}"]

    def write(self, length: int) -> str:
        tries = 0
        while len(self.lines) < length and tries < 20 * length:
            tries += 1
            lines = self.statement()
            space = self.space | {k: v.copy() for k, v in self.values.items()}
            try:
                with np.errstate(all="ignore"):
                    exec("\n".join(lines), space)
            except Exception:
                continue
            name = lines[0].split(" = ")[0]
            value = space[name]
            if (
                value.size > 4000
                or not np.isfinite(value).all()
                or np.abs(value).max(initial=0) > 50
            ):
                continue
            self.values[name] = value
            self.lines += lines
        used = [name for name in self.values][-4:]
        result = " + ".join([f"np.sum(np.tanh({name}))" for name in [*used, "a", "b"]])
        body = "\n    ".join([*self.lines, f"return {result}, [{', '.join(used)}]"])
        return f"def f(a, b):\n    {body}\n"


def shown(x):
    """The same numbers in another arrangement of memory."""
    wide = np.zeros((*x.shape[:-1], x.shape[-1] * 2), x.dtype) if x.ndim else x.copy()
    if not x.ndim:
        return wide
    wide[..., ::2] = x
    return wide[..., ::2]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", range(4))
def test_random_functions(part):
    for seed in range(part * ROUNDS, (part + 1) * ROUNDS):
        author = Author(seed)
        source = author.write(int(author.rng.integers(1, 16)))
        try:
            check(source, author)
        except Exception as error:
            raise AssertionError(
                f"seed {seed}\n{source}{[x.shape for x in author.args]}"
            ) from error


def check(source: str, author: Author) -> None:
    space = dict(author.space)
    exec(source, space)
    f = space["f"]
    a, b = author.args
    single = a.dtype == np.float32 or b.dtype == np.float32 or "f4" in source
    with np.errstate(all="ignore"):
        value, parts = f(a.copy(), b.copy())
        compiled = jit(f)
        for x, y in [(a, b), (a, b), (shown(a), shown(b)), (a.copy(), b.copy())]:
            kept = x.copy(), y.copy()
            got, more = compiled(x, y)
            assert (x == kept[0]).all() and (y == kept[1]).all()
            close(got, value, single)
            for p, q in zip(more, parts):
                close(p, q, single)
        scalar = lambda a, b: f(a, b)[0]  # noqa: E731
        wanted = value_and_grad(scalar, (0, 1))(a, b)
        for g in (
            jit(value_and_grad(scalar, (0, 1))),
            value_and_grad(jit(scalar), (0, 1)),
            jit(value_and_grad(scalar, (0, 1)), donate_argnums=(0, 1)),
        ):
            got = g(a.copy(), b.copy())
            close(got[0], wanted[0], single)
            for p, q in zip(got[1], wanted[1]):
                close(p, q, single)


def close(got, wanted, single):
    """Equal to rounding, which single precision anywhere makes coarse."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.shape == wanted.shape and got.dtype == wanted.dtype
    tolerance = 2e-3 if single else 1e-7
    scale = 1 + np.abs(wanted).max(initial=0)
    assert np.abs(got - wanted).max(initial=0) <= tolerance * scale, (got, wanted)
