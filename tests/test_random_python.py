"""Random Python functions: nested loops, branches, stores, views, slices, several ways out.

Run by NumPy, eagerly differentiated, and compiled: the same values, the same arguments afterwards,
and forward = reverse = complex step.
LITAD_FUZZ=n asks for n of them."""

import importlib.util
import os

import numpy as np
import pytest

from litad import LitadError, explain, jit, jvp, value_and_grad

COUNT = int(os.environ.get("LITAD_FUZZ", "30"))

HEAD = """import math
import numpy as np


def helper(u, v):
    if RE(u) > RE(v):
        return 0.5 * u + np.sin(v)
    if RE(u) < -0.5:
        return v
    return np.cos(u * v)


def smooth(row, s):
    total = 0.0
    for v in row:
        total = 0.5 * total + s * v
    row[0] = 0.3 * total
    return total


"""


class Function:
    """The text of a random function f(x, a, s) of a vector, a matrix and a number."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.n, self.m = self.pick((4, 3), (11, 3), (5, 9), (12, 10))
        self.count, self.budget, self.work = 0, int(self.random.integers(4, 15)), 3000
        self.vectors, self.lengths = ["x", "y"], {"x": "n", "y": "n"}
        self.numbers = ["s", "t"]
        start = ["n, m = a.shape", "t = 0.3", "k = 0", "flag = False"]
        start.append(self.pick("y = ZEROS(n)", "y = x.copy()", "y = 0.5 * x", "y = ZEROS(n) + 0.2"))
        start.append(self.pick("b = a.copy()", "b = a", "b = ZEROS((n, m))"))
        start.append(self.pick("z = ZEROS(n)", "z = y", "z = y.copy()"))
        self.vectors.append("z")
        self.lengths["z"] = "n"
        body = self.block(3, {}, False, 3)
        body += [
            "total = s + t + np.sum(y * np.cos(np.arange(n)))",
            "return total + 0.1 * np.sum(a + b) + 0.2 * np.sum(x)",
        ]
        lines = ["def f(x, a, s):"] + ["    " + line for line in [*start, *body]]
        self.text = HEAD + "\n".join(lines) + "\n"

    @property
    def plain(self):
        text = self.text
        for name, own in dict(RE="", ZEROS="np.zeros", ABS="abs", MAX="max", MIN="min").items():
            text = text.replace(name + "(", own + "(")
        return text

    def pick(self, *options):
        return options[self.random.integers(len(options))]

    def chance(self, p):
        return self.random.random() < p

    def name(self, what):
        self.count += 1
        return f"{what}{self.count}"

    # Expressions. What is around is a dict: indices of loops -> the size that they stay below.

    def index(self, size, around):
        "A whole number that is a place in so many."
        inside = [i for i, limit in around.items() if limit == size]
        others = [i for i in around if i not in inside]
        options = [str(self.random.integers(2)), "-1", f"k % {size}"]
        options += [i for i in inside for _ in range(4)]
        options += [f"{i} - 1" for i in inside]
        options += [f"({i} + {self.random.integers(1, 4)}) % {size}" for i in around]
        options += [f"{i} % {size}" for i in others]
        return self.pick(*options)

    def atom(self, around):
        v = self.pick(*self.vectors)
        options = [f"{v}[{self.index(self.lengths[v], around)}]" for _ in range(2)]
        options += [
            f"{self.pick('a', 'b')}[{self.index('n', around)}, {self.index('m', around)}]"
            for _ in range(2)
        ]
        options += ["s", "t", self.pick(*self.numbers), f"{self.random.uniform(-1, 1):.2f}"]
        if self.chance(0.15):
            options += [self.reduction(around)] * 4
        return self.pick(*options)

    def reduction(self, around):
        low, high = self.span("m", around)
        vector = [v for v in self.vectors if self.lengths[v] == "n"]
        v, w = self.pick(*vector), self.pick(*vector)
        first, last = self.span("n", around)
        i, j = self.index("n", around), self.index("n", around)
        return self.pick(
            f"0.1 * np.sum({v}[{first}:{last}])",
            f"0.1 * (b[{i}, {low}:{high}] @ a[{j}, {low}:{high}])",
            f"0.1 * ({v}[{first}:{last}] @ {w}[{first}:{last}])",
            f"0.1 * np.dot({v}, {w})",
            f"np.max({v})",
            f"0.1 * (a[:, {self.index('m', around)}] @ {v})",
        )

    def span(self, size, around):
        "The ends of a slice."
        inside = [i for i, limit in around.items() if limit == size]
        options = [("", ""), ("1", ""), ("", "-1"), ("", "2")]
        for i in inside:
            options += [("", i), (i, ""), ("", f"{i} + 1"), (i, f"{i} + 2")] * 2
        if len(inside) > 1:
            options += [(inside[0], inside[1])] * 3
        return self.pick(*options)

    def term(self, around):
        a, b = self.atom(around), self.atom(around)
        return self.pick(
            f"0.4 * {a} + 0.4 * {b}", f"np.sin({a} * {b})", f"0.5 * np.tanh({a} - {b})",
            f"np.cos({a}) * 0.5",
            f"0.3 * {a} / (1.5 + np.sin({b}))", f"math.sin(2.0)  * {a}", f"0.5 * MAX({a}, {b})",
            f"0.5 * ABS({a})", f"helper({a}, {b})", f"0.2 * {a} ** 2 if RE({a}) < 1 else 0.2",
            f"0.7 * np.sqrt(1.0 + {a} ** 2)",
        )  # fmt: skip

    def condition(self, around):
        a, b = self.atom(around), self.atom(around)
        options = [f"RE({a}) > RE({b})", f"RE({a}) < {self.random.uniform(-0.5, 0.5):.2f}"] * 2
        options += [
            f"RE({a}) > 0 and RE({b}) < 0.5",
            f"not (RE({a}) > 0.1 or flag)",
            f"-0.4 < RE({a}) <= 0.6",
        ]
        options += [f"{i} % 2 == 0" for i in around] + ["k > 1", "flag"]
        if len(around) > 1:
            options += [" != ".join(list(around)[-2:])]
        return self.pick(*options)

    # Statements.

    def block(self, depth, around, loop, least):
        size = int(self.random.integers(max(least, 1), 5))
        lines = []
        known = list(self.vectors)
        for _ in range(size):
            self.budget -= 1
            lines += self.statement(depth, around, loop)
        self.vectors = [v for v in self.vectors if v in known]
        return lines

    def statement(self, depth, around, loop):
        kinds = [
            self.store,
            self.store,
            self.number,
            self.number,
            self.array,
            self.whole,
            self.view,
            self.slices,
        ]
        if depth and self.budget > 0:
            kinds += [self.for_] * 4 + [self.if_] * 3 + [self.while_]
        if loop and self.chance(0.5):
            kinds += [self.leave]
        if self.chance(0.1):
            kinds += [self.out]
        return self.pick(*kinds)(depth, around, loop)

    def store(self, depth, around, loop):
        op = self.pick("=", "=", "+=", "*=", "-=")
        value = f"np.cos({self.atom(around)})" if op == "*=" else self.term(around)
        if self.chance(0.5):
            v = self.pick(*self.vectors)
            return [f"{v}[{self.index(self.lengths[v], around)}] {op} {value}"]
        i, j = self.index("n", around), self.index("m", around)
        return [f"{self.pick('b', 'b', 'a')}[{i}, {j}] {op} {value}"]

    def number(self, depth, around, loop):
        name = self.pick(*self.numbers)
        if self.chance(0.1):
            return ["s, t = t, s"]
        if self.chance(0.1):
            return [f"{name} = smooth(y, 0.3) + 0.1 * {name}"]
        op = self.pick("=", "=", "+=", "*=")
        value = f"np.cos({self.atom(around)})" if op == "*=" else self.term(around)
        return [f"{name} {op} {value if op != '+=' else '0.3 * np.sin(' + self.atom(around) + ')'}"]

    def array(self, depth, around, loop):
        v, w = self.pick("x", "y", "z"), self.pick("x", "y", "z")
        options = [
            f"{v} += 0.1 * {w}", f"{v}[:] = np.sin({w})", f"{v}[1:] = 0.5 * {v}[:-1]",
            f"{v}[::-1] = {w} * 0.9",
            f"{v}[RE({v}) > 0.5] = 0.2", f"{v} *= np.cos({w})",
            f"b[{self.index('n', around)}] = 0.5 * a[{self.index('n', around)}]",
            f"b[:, {self.index('m', around)}] += 0.2 * {v}", "b[1:] = 0.4 * b[:-1] + 0.2 * a[1:]",
        ]  # fmt: skip
        if not around or self.chance(0.3):
            options += [
                "y, z = z, y",
                "y = 0.5 * y + 0.3 * z",
                "z = y",
                "z = y.copy()",
                "b = 0.5 * b + 0.1 * a",
            ]
        text = self.pick(*options)
        return [text]

    def whole(self, depth, around, loop):
        more = self.pick("1", *around)
        return self.pick(
            [f"k = (k + {more}) % n"], [f"flag = {self.condition(around)}"],
            [f"if {self.condition(around)}:", f"    k = (k + {more}) % n"],
        )  # fmt: skip

    def view(self, depth, around, loop):
        name = self.name("v")
        text, size = self.pick(
            (f"b[{self.index('n', around)}]", "m"), (f"b[:, {self.index('m', around)}]", "n"),
            ("y[1:]", "(n - 1)"),
            (f"a[{self.index('n', around)}]", "m"), ("z[::-1]", "n"),
        )  # fmt: skip
        self.vectors.append(name)
        self.lengths[name] = size
        return [f"{name} = {text}", *self.store(depth, around, loop)]

    def slices(self, depth, around, loop):
        v, (low, high) = self.pick("y", "z", "x"), self.span("n", around)
        i, (first, last) = self.index("n", around), self.span("m", around)
        part = f"{v}[{low}:{high}]"
        return [
            self.pick(
                f"{part} = 0.5 * {part} + 0.1",
                f"{part} += 0.1 * {self.atom(around)}",
                f"{part} *= 0.9",
                f"b[{i}, {first}:{last}] -= 0.3 * a[{self.index('n', around)}, {first}:{last}]",
                f"b[{i}, {first}:{last}] = np.sin(b[{i}, {first}:{last}])",
                f"s = 0.3 * s + {self.reduction(around)}",
            )  # fmt: skip
        ]

    def indented(self, lines):
        return ["    " + line for line in lines]

    def inside(self, runs, depth, around, loop):
        before, self.work = self.work, self.work // runs
        lines = self.block(depth - 1, around, loop, 1)
        self.work = before
        return self.indented(lines)

    def for_(self, depth, around, loop):
        size = self.pick("n", "m")
        i, runs = self.name("i"), dict(n=self.n, m=self.m)[size]
        if self.work < runs:
            return self.store(depth, around, loop)
        inner = [j for j, limit in around.items() if limit == size]
        heads = [f"range({size})"] * 3 + [
            f"range(1, {size})",
            f"range({size} - 1, -1, -1)",
            f"range(0, {size}, 2)",
        ]
        heads += [f"range({j} + 1, {size})" for j in inner] * 2 + [f"range({j})" for j in inner] * 2
        new = {**around, i: size}
        how = self.random.integers(6)
        if how == 0 and size == "n":
            v = self.name("v")
            self.numbers.append(v)
            body = self.inside(runs, depth, around, loop=True)
            self.numbers.remove(v)
            return [f"for {v} in {self.pick('x', 'y', 'a[:, 0]')}:", *body]
        if how == 1 and size == "n":
            v, w = self.name("v"), self.name("v")
            self.numbers += [v, w]
            body = self.inside(runs, depth, new, loop=True)
            self.numbers = self.numbers[:-2]
            return [f"for {i}, ({v}, {w}) in enumerate(zip(x, z)):", *body]
        lines = [f"for {i} in {self.pick(*heads)}:", *self.inside(runs, depth, new, loop=True)]
        if self.chance(0.1):
            lines += ["else:", *self.inside(1, depth, around, loop)]
        return lines

    def while_(self, depth, around, loop):
        w, most = self.name("w"), int(self.random.integers(2, 14))
        if self.work // most < 1:
            return self.store(depth, around, loop)
        test = self.pick(f"{w} < {most}", f"{w} < {most} and {self.condition(around)}")
        body = self.inside(most, depth, {**around}, loop=True)
        if self.chance(0.2):
            end = [f"    if {w} > {most} or {self.condition(around)}:", "        break"]
            return [
                f"{w} = 0",
                "while True:",
                f"    {w} += 1",
                *body,
                *end,
                f"    if {w} > {most}:",
                "        break",
            ]
        return [f"{w} = 0", f"while {test}:", f"    {w} += 1", *body]

    def if_(self, depth, around, loop):
        lines = [f"if {self.condition(around)}:", *self.inside(1, depth, around, loop)]
        if self.chance(0.3):
            lines += [f"elif {self.condition(around)}:", *self.inside(1, depth, around, loop)]
        if self.chance(0.5):
            lines += ["else:", *self.inside(1, depth, around, loop)]
        return lines

    def leave(self, depth, around, loop):
        return [f"if {self.condition(around)}:", f"    {self.pick('break', 'continue')}"]

    def out(self, depth, around, loop):
        value = f"{self.term(around)} + 0.1 * np.sum(a) + 0.2 * np.sum(x) + 0.1 * s"
        return [f"if {self.condition(around)}:", f"    return {value}"]


def stepped(text):
    "The function that takes complex numbers: what it compares are real parts."
    space = dict(
        RE=np.real,
        ZEROS=lambda shape: np.zeros(shape, complex),
        ABS=lambda v: -v if np.real(v) < 0 else v,
        MAX=lambda a, b: b if np.real(b) > np.real(a) else a,
        MIN=lambda a, b: b if np.real(b) < np.real(a) else a,
    )
    largest = "np.max("
    space["largest"] = lambda v: v[np.argmax(np.real(v))]
    exec(text.replace(largest, "largest("), space)
    return space["f"]


def written(text, path):
    "The function of a file."
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.f


def arguments(n, m, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=n), random.normal(size=(n, m)), 0.4


def near(a, b, tolerance=1e-9):
    return np.allclose(a, b, rtol=tolerance, atol=tolerance)


class Refused(Exception):
    """What cannot be compiled, and was refused."""


def compiled(f, *args):
    try:
        return f(*args)
    except LitadError as error:
        raise Refused(str(error)) from error


def check(function, path):
    f, twin = written(function.plain, path), stepped(function.text)
    args = arguments(function.n, function.m)
    fresh = lambda: [np.copy(v)[()] for v in args]  # noqa: E731
    theirs, ours = fresh(), fresh()
    value = f(*theirs)
    random = np.random.default_rng(1)
    directions = tuple([random.normal(size=np.shape(v)) for v in args[:2]])
    along = np.imag(twin(*[v + 1e-30j * d for v, d in zip(args, directions)], args[2])) / 1e-30

    got, slopes = value_and_grad(f, (0, 1))(*fresh())
    assert near(got, value), "eager value"
    assert near(sum([np.sum(g * d) for g, d in zip(slopes, directions)]), along, 1e-7), (
        "eager gradient"
    )
    for _ in range(2):
        ours = fresh()
        assert near(compiled(jit(f), *ours), value), "compiled value"
        assert all(map(near, ours, theirs)), "arguments afterwards"
    got, slopes = compiled(jit(value_and_grad(f, (0, 1))), *fresh())
    assert near(got, value), "value with the gradient"
    assert near(sum([np.sum(g * d) for g, d in zip(slopes, directions)]), along, 1e-7), (
        "compiled gradient"
    )
    pushed = compiled(
        jit(lambda x, a, s: jvp(lambda x, a: f(x, a, s), (x, a), directions)[1]), *fresh()
    )
    assert near(pushed, along, 1e-7), "compiled forward"
    left = [
        why for _, why in explain(f, *fresh()).fallback if "written into an argument" not in why
    ]
    assert not left, f"runs in Python: {left}"


refused: list = []


@pytest.mark.parametrize("seed", range(COUNT))
def test_random_function(seed, tmp_path):
    function = Function(seed)
    try:
        check(function, tmp_path / f"random_{seed}.py")
    except Refused as error:
        refused.append(str(error))
        pytest.skip(str(error).splitlines()[0])
    except AssertionError as error:
        raise AssertionError(f"{error}\n{function.plain}") from error


def test_few_are_refused():
    assert len(refused) <= 0.1 * COUNT, refused
