"""What is installed: a wheel that needs no tools of the notebooks, and extras that errors name."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from configparser import ConfigParser

import numpy as np
import pytest
from notebook import ROOT

import litad
from litad import LitadError, solve_ivp
from litad.training import save_checkpoint

SETTINGS = ConfigParser(delimiters=["="])
SETTINGS.read(ROOT / "settings.ini", encoding="utf-8")
EXTRAS = {
    "train": lambda: save_checkpoint("nowhere", {"w": np.ones(2)}),
    "train, for a bar": lambda: solve_ivp(lambda t, y: -y, (0, 1), [1.0], progress=True),
    "torch": lambda: litad.to_torch(np.sin),
    "jax": lambda: litad.to_jax(np.sin),
}
MODULES = {"train": "safetensors", "train, for a bar": "tqdm", "torch": "torch", "jax": "jax"}
PROGRAM = """
import sys
TOOLS = "IPython nbdev fastcore execnb jupytext nbclient nbformat tqdm safetensors dask vl_convert"
for tool in [*TOOLS.split(), "torch", "jax", "sklearn", "pytest", "notebook"]:
    sys.modules[tool] = None  # as if it was not installed
import numpy as np
import litad, litad.fit, litad.nn, litad.optim, litad.scipy
f = lambda w: np.mean((np.tanh(w) - 0.3) ** 2)
x = np.linspace(-1, 1, 7)
assert np.allclose(litad.jit(litad.grad(f))(x), litad.grad(f)(x))
t = np.linspace(0, 2, 30)
found = litad.fit.curve_fit(lambda t, a, k: a * np.exp(-k * t), t, 2 * np.exp(-1.3 * t), [1.0, 1.0])
assert np.allclose(found.popt, [2, 1.3])
y = litad.solve_ivp(lambda t, y, k: -k * y, (0, 1), [1.0], args=(0.5,), sens=True).y
assert abs(y[0, -1] - np.exp(-0.5)) < 1e-3
for name in litad.__all__:
    getattr(litad, name)
print(litad.__file__)
"""


@pytest.mark.parametrize("extra", EXTRAS)
def test_missing_extra_is_named(extra, monkeypatch):
    monkeypatch.setitem(sys.modules, MODULES[extra], None)
    with pytest.raises(LitadError, match=r"pip install '?litad\[" + extra.split(",")[0]):
        EXTRAS[extra]()


def test_every_extra_is_offered():
    offered = {name.removesuffix("_requirements") for name in SETTINGS["DEFAULT"]}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for extra in ("train", "arrays", "torch", "jax", "dask", "cupy", "dev"):
        assert extra in offered and f"`{extra}`" in readme, extra


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    "The wheel, made of the files of the project without the network."
    pytest.importorskip("setuptools")
    pytest.importorskip("wheel")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    copy = folder / "source"
    copy.mkdir()
    for name in ("litad", "README.md", "LICENSE", "setup.py", "pyproject.toml", "settings.ini"):
        (copy / name).symlink_to(ROOT / name)
    subprocess.run([*command, "--wheel-dir", folder, copy], check=True, cwd=folder)
    return next(folder.glob("*.whl"))


def test_wheel_has_the_types_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {"litad/py.typed", "litad/__init__.pyi", "litad/scipy/linalg.py"} <= set(names)
    assert all(name.startswith(("litad/", "litad-")) for name in names)
    assert not [name for name in names if name.endswith((".ipynb", ".pyc"))]


def test_wheel_runs_without_the_tools(wheel, tmp_path):
    "Unpacked where nothing of the project is on the path; what it requires is there already."
    zipfile.ZipFile(wheel).extractall(tmp_path)
    path = [str(tmp_path), sysconfig.get_path("purelib")]
    program = f"import sys; sys.path[:0] = {path!r}\n{PROGRAM}"
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))


def test_pythons_that_are_promised():
    "Classifiers, and the oldest, agree with what the tools are told."
    pythons = SETTINGS["DEFAULT"]["pythons"].split()
    oldest = pythons[0]
    assert oldest == SETTINGS["DEFAULT"]["min_python"]
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert tools["ruff"]["target-version"] == "py" + oldest.replace(".", "")


def test_citation_has_the_version():
    version = SETTINGS["DEFAULT"]["version"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {version}\n" in citation
