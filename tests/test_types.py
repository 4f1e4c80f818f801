"""What type checkers are told is what there is: the stub agrees with the package."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import runpy
import subprocess
import sys

import pytest
from notebook import ROOT

import litad

STUB = ast.parse((ROOT / "litad" / "__init__.pyi").read_text(encoding="utf-8"))
FUNCTIONS = [n for n in STUB.body if isinstance(n, ast.FunctionDef)]
CLASSES = [n for n in STUB.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_")]


def declared() -> set[str]:
    "The public names of the stub: definitions, constants, and imports under their own name."
    names = {n.name for n in [*FUNCTIONS, *CLASSES]}
    names |= {n.target.id for n in STUB.body if isinstance(n, ast.AnnAssign)}
    imports = [a for n in STUB.body if isinstance(n, ast.ImportFrom) for a in n.names]
    return names | {a.name for a in imports if a.asname == a.name}


def parameters(function: ast.FunctionDef) -> dict[str, str | None]:
    "A declared function's parameters: names and defaults, as they are written."
    a = function.args
    plain = [x.arg for x in a.args]
    found: dict[str, str | None] = dict.fromkeys(plain)
    found |= zip(plain[len(plain) - len(a.defaults) :], map(ast.unparse, a.defaults))
    found |= {f"*{a.vararg.arg}": None} if a.vararg else {}
    pairs = zip(a.kwonlyargs, a.kw_defaults)
    found |= {x.arg: default and ast.unparse(default) for x, default in pairs}
    return found | ({f"**{a.kwarg.arg}": None} if a.kwarg else {})


def test_every_public_name_is_declared():
    assert declared() - {"__version__", "__all__"} == set(litad.__all__)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f"{f.name}-{f.lineno}")
def test_declared_parameters_are_the_functions(function):
    actual = inspect.signature(getattr(litad, function.name)).parameters.values()
    marks = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    defaults = {marks.get(p.kind, "") + p.name: p.default for p in actual}
    told = parameters(function)
    assert list(told) == list(defaults)
    for name, default in told.items():
        if default not in (None, "..."):
            assert ast.literal_eval(default) == defaults[name], name


@pytest.mark.parametrize("declared_class", CLASSES, ids=lambda c: c.name)
def test_declared_methods_exist(declared_class):
    actual = getattr(litad, declared_class.name)
    methods = [n.name for n in declared_class.body if isinstance(n, ast.FunctionDef)]
    assert not [name for name in methods if not hasattr(actual, name) and name != "__getattr__"]


def test_typed_program_runs(capsys):
    runpy.run_path(str(ROOT / "tests" / "typed.py"))
    assert capsys.readouterr().out == "4.0 [2. 0. 0.]\n"


@pytest.mark.skipif(not importlib.util.find_spec("mypy"), reason="mypy is in litad[dev]")
def test_checker_is_content():
    done = subprocess.run(
        [sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_package_says_that_it_is_typed():
    assert (ROOT / "litad" / "py.typed").is_file()
