"""Compiled ahead of time: from types alone, to a file and back, refusals, and C."""

from __future__ import annotations

import ctypes
import gc
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import litad
from litad import LitadError, compile_aot, f32, f64, i64, jit, load_aot, value_and_grad
from litad.artefacts import MAGIC, Refused, digest, machine_for, this_machine, unpack
from litad.surroundings import compiler_of

CC = shutil.which("gcc") or shutil.which("cc")
needs_c = pytest.mark.skipif(CC is None, reason="no C compiler here")
RANDOM = np.random.default_rng(0)


def net(p, x, y):
    (w1, b1), (w2, b2) = p
    z = np.tanh(x @ w1 + b1) @ w2 + b2
    return np.mean(np.log(np.sum(np.exp(z), -1)) - np.sum(y * z, -1))


TYPES = [(f64[8, 5], f64[5]), (f64[5, 3], f64[3])], f64[4, 8], f64[4, 3]


def numbers():
    make = lambda *shape: RANDOM.normal(size=shape)  # noqa: E731
    return [(make(8, 5), make(5)), (make(5, 3), make(3))], make(4, 8), make(4, 3)


@pytest.fixture(scope="module")
def step():
    return compile_aot(value_and_grad(net), *TYPES)


@pytest.fixture
def saved(step, tmp_path):
    path = tmp_path / "step.litad"
    step.save(path)
    return path


def same(a, b, exactly=True):
    a, b = litad.tree.flatten(a)[0], litad.tree.flatten(b)[0]
    close = np.array_equal if exactly else np.allclose
    return len(a) == len(b) and all(type(x) is type(y) and close(x, y) for x, y in zip(a, b))


# ------------------------------------------------------------------ from types


def test_it_gives_what_jit_gives(step):
    args = numbers()
    assert same(step(*args), jit(value_and_grad(net))(*args))
    assert same(step(*args), value_and_grad(net)(*args), exactly=False)


def test_the_function_is_not_run_on_data():
    def f(x):
        assert type(x) is not np.ndarray
        return np.sum(x * x)

    huge = compile_aot(f, f64[1 << 20, 1 << 20])
    assert "f64[1048576,1048576]" in huge.program


@pytest.mark.parametrize(
    "spec",
    [
        f64[3, 2],
        "f64[3, 2]",
        "f64[3,2]",
        "float64[3, 2]",
        np.ones((3, 2)),
        f64["n", 2],
        "f64[n, 2]",
    ],
    ids=str,
)
def test_types_are_written_in_many_ways(spec):
    f = compile_aot(lambda x: np.sum(x**2), spec, sizes={"n": 3})
    x = RANDOM.normal(size=(3, 2))
    assert np.isclose(f(x), np.sum(x**2))


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        (float, 1.5),
        ("float", 1.5),
        (1.0, 1.5),
        (int, 3),
        (bool, True),
        (f64, np.float64(1.5)),
        ("f64", np.float64(1.5)),
        (f32, np.float32(1.5)),
        (np.float32, np.float32(1.5)),
        (i64, np.int64(3)),
        ("i32", np.int32(3)),
        (f64[()], np.array(1.5)),
        (f32[2], np.ones(2, "f4")),
        ("bool[2]", np.array([True, False])),
    ],
    ids=str,
)
def test_numbers_and_dtypes(spec, value):
    f = lambda x: np.where(x > 0, x * 2, x) if np.ndim(x) else x * 2  # noqa: E731
    if isinstance(value, np.ndarray) and value.dtype.kind == "b":
        f = lambda x: np.sum(x)  # noqa: E731
    assert same(compile_aot(f, spec)(value), jit(f)(value))


def test_annotations():
    def f(w: f64[3], x: f64[4, 3], scale: float):
        return np.sum(x @ w) * scale

    w, x = RANDOM.normal(size=3), RANDOM.normal(size=(4, 3))
    assert np.isclose(compile_aot(f)(w, x, 2.0), f(w, x, 2.0))
    value, g = compile_aot(value_and_grad(f))(w, x, 2.0)
    assert np.allclose(g, x.sum(0) * 2)


class Pair(NamedTuple):
    w: f64[3]
    b: float


def test_containers_of_types(tmp_path):
    def f(p: Pair, more: tuple[f64[2], f64[2]], extra: dict):
        return Pair(p.w * p.b, more[0] @ more[1]), {"k": extra["a"], "none": None}, [extra["a"]]

    made = compile_aot(f, Pair(f64[3], float), (f64[2], "f64[2]"), {"a": f64[1]})
    args = Pair(np.ones(3), 2.0), (np.ones(2), np.ones(2)), {"a": np.ones(1)}
    assert same(made(*args), f(*args)) and type(made(*args)[0]) is Pair
    made.save(tmp_path / "f")
    with pytest.raises(LitadError, match="classes="):
        load_aot(tmp_path / "f")
    again = load_aot(tmp_path / "f", classes=[Pair])
    assert same(again(*args), f(*args)) and type(again(*args)[0]) is Pair


def test_jaxtyping():
    jaxtyping = pytest.importorskip("jaxtyping")

    def f(w, n):
        return np.sum(w), np.sum(n)

    f.__annotations__ = {
        "w": jaxtyping.Float[np.ndarray, "3 2"],
        "n": jaxtyping.Float32[np.ndarray, "k"],
    }
    made = compile_aot(f, sizes={"k": 4})
    assert made(np.ones((3, 2)), np.ones(4, "f4")) == (6.0, np.float32(4))
    f.__annotations__["w"] = jaxtyping.Float[np.ndarray, "... 2"]
    with pytest.raises(LitadError, match="lengths"):
        compile_aot(f, sizes={"k": 4})


def test_an_annotation_that_cannot_be_read():
    def f(x):
        return x

    f.__annotations__ = {"x": "nowhere[3]"}
    with pytest.raises(LitadError, match="names what is not there"):
        compile_aot(f)


def test_arrays_from_outside_are_part_of_the_code(tmp_path):
    table = RANDOM.normal(size=(50, 3))

    def f(x):
        return np.sum(table * x, 0)

    made = compile_aot(f, f64[3])
    want = f(np.ones(3))
    made.save(tmp_path / "f")
    table[:] = 0
    assert same(made(np.ones(3)), want, exactly=False)
    assert same(load_aot(tmp_path / "f")(np.ones(3)), want, exactly=False)


def test_static_arguments():
    f = lambda x, n, how: x * n if how == "times" else x  # noqa: E731
    made = compile_aot(f, f64[2], 3, "times", static_argnums=(1, 2))
    assert same(made(np.ones(2), 3, "times"), np.full(2, 3.0))
    with pytest.raises(LitadError, match="argument n"):
        made(np.ones(2), 4, "times")


def test_donated_and_written_arguments(tmp_path):
    def update(p, g):
        p -= 0.1 * g
        return np.sum(p)

    made = compile_aot(update, f64[30], f64[30])
    made.save(tmp_path / "f")
    for f in (made, load_aot(tmp_path / "f")):
        p, g = np.ones(30), np.ones(30)
        assert np.isclose(f(p, g), 27) and np.allclose(p, 0.9)
        with pytest.raises(LitadError, match="share memory"):
            f(p, p)
        p.setflags(write=False)
        with pytest.raises(LitadError, match="argument p"):
            f(p, g)
    give = compile_aot(lambda p, g: p - g, f64[30], f64[30], donate_argnums=0)
    p = np.ones(30)
    assert give(p, np.ones(30)) is p


# ------------------------------------------------------------------ refusals at the call


WRONG = [
    ("shape", lambda p, x, y: (p, x[:3], y), r"argument x.*\n.*f64\[3,8\].*\n.*wanted f64\[4,8\]"),
    (
        "dtype",
        lambda p, x, y: (p, x, y.astype("f4")),
        r"argument y.*\n.*f32\[4,3\].*\n.*wanted f64",
    ),
    ("inside", lambda p, x, y: ([p[0], (p[1][0], p[1][0])], x, y), r"argument p\[1\]\[1\]"),
    ("container", lambda p, x, y: (tuple(p), x, y), "argument p .*\n.*tuple of 2.*\n.*list of 2"),
    ("number", lambda p, x, y: (p, 1.0, y), "argument x .*\n.*float 1.0"),
    ("list", lambda p, x, y: (p, x.tolist(), y), "argument x .*\n.*list of 4"),
    ("count", lambda p, x, y: (p, x), "takes 3 arguments"),
    ("nothing", lambda p, x, y: (p, x, None), "argument y .*\n.*None"),
]


@pytest.mark.parametrize(("name", "change", "message"), WRONG, ids=[w[0] for w in WRONG])
def test_wrong_arguments_are_named(step, saved, name, change, message):
    args = change(*numbers())
    for f in (step, load_aot(saved)):
        with pytest.raises(LitadError, match=message):
            f(*args)


def test_nothing_is_compiled_at_a_call(step, monkeypatch):
    monkeypatch.setattr("litad.engine.emit", None)
    monkeypatch.setattr("litad.artefacts.emit", None)
    p, x, y = numbers()
    assert same(step(p, x[::1], y), step(p, np.asfortranarray(x), y))
    with pytest.raises(LitadError):
        step(p, x[:2], y)


def test_the_same_numbers_in_another_place_are_taken(step):
    p, x, y = numbers()
    want = step(p, x, y)
    wide = np.zeros((4, 16))
    wide[:, ::2] = x
    swapped = x.astype(">f8")
    for other in (wide[:, ::2], swapped, np.asfortranarray(x)):
        assert same(step(p, other, y), want)
    assert same(step(p, y=y, x=x), want)
    f = compile_aot(lambda a, b: a * b, float, f64)
    assert f(np.float64(2), 3.0) == f(np.array(2.0), np.array(3.0)) == 6
    with pytest.raises(LitadError, match="argument a"):
        f(2, 3.0)


def test_a_derivative_of_machine_code_is_refused(step):
    p, x, y = numbers()
    with pytest.raises(LitadError, match="derivative first"):
        litad.grad(lambda x: step(p, x, y)[0])(x)


@pytest.mark.parametrize(
    ("f", "specs", "message"),
    [
        (lambda x: np.sort(x), [f64[5]], "sort has no machine code"),
        (lambda x: x + np.random.normal(), [f64[5]], "random numbers"),
        (lambda x: x, [], "types of the arguments"),
        (lambda x: x, ["f64[a]"], "sizes"),
        (lambda x: x, ["f65[3]"], "no type"),
        (lambda x: x, [object()], "type that cannot be compiled"),
        (lambda x, n: x[:n], [f64[5], int], "index or a count"),
    ],
    ids=["sort", "random", "none", "size", "name", "object", "count"],
)
def test_what_cannot_be_compiled_ahead(f, specs, message):
    with pytest.raises(LitadError, match=message):
        compile_aot(f, *specs)


def test_an_index_out_of_bounds(tmp_path):
    made = compile_aot(lambda x, i: x[i], f64[5], i64)
    made.save(tmp_path / "f")
    for f in (made, load_aot(tmp_path / "f")):
        assert f(np.arange(5.0), np.int64(3)) == 3
        with pytest.raises(IndexError, match="out of bounds"):
            f(np.arange(5.0), np.int64(7))


def test_nothing_is_written_if_an_index_is_out_of_bounds(tmp_path):
    def put(x, i):
        x[0] += 1
        x[i] = 5.0
        return np.sum(x)

    made = compile_aot(put, f64[40], i64, name="put")
    made.save(tmp_path / "f")
    for f in (made, load_aot(tmp_path / "f")):
        x = np.zeros(40)
        assert f(x, np.int64(3)) == 6 and x[3] == 5
        x = np.zeros(40)
        with pytest.raises(IndexError):
            f(x, np.int64(99))
        assert not x.any()
    if CC:
        found = printed(built(made, tmp_path / "c"))
        want = filled(40) + np.eye(40)[0]
        want[1] = 5
        assert found["result"] == [np.sum(want)] or np.isclose(found["result"][0], np.sum(want))


def test_a_function_that_does_nothing():
    assert same(compile_aot(lambda x: x, f64[3])(np.ones(3)), np.ones(3))


# ------------------------------------------------------------------ files


def test_save_and_load(step, saved):
    args = numbers()
    again = load_aot(saved)
    assert same(again(*args), step(*args)) and again.program == step.program
    again.save(saved.with_name("again"))
    assert saved.read_bytes() == saved.with_name("again").read_bytes()
    text = saved.read_bytes()
    assert text.startswith(MAGIC + b"1\n") and b'"f64[4,8]"' in text and b"matmul" in text


def test_no_pickle_and_no_address(saved):
    header = unpack(saved.read_bytes()).header
    assert json.loads(json.dumps(header)) == header
    assert b"\x80\x04" not in saved.read_bytes()[:3000]


def test_a_fresh_process_loads(saved):
    code = f"""
import sys, numpy as np
from litad import load_aot
f = load_aot({str(saved)!r})
p = [(np.ones((8, 5)), np.ones(5)), (np.ones((5, 3)), np.ones(3))]
print(f(p, np.ones((4, 8)), np.ones((4, 3)))[0])
print([m for m in ('litad.jit', 'litad.passes', 'litad.loops', 'scipy.linalg') if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    value, modules = done.stdout.splitlines()
    assert np.isfinite(float(value)) and "litad.jit" not in modules and "litad.loops" not in modules


def kernel(header: dict) -> dict:
    return header["code"]["kernel"]


def patched(data: bytes, change) -> bytes:
    "An artefact with another header and its digest made again."
    first, line, body = data.split(b"\n", 2)
    size = int(line.split()[0])
    head = json.loads(body[:size])
    change(head)
    new = json.dumps(head, indent=1).encode() + b"\n"
    lengths = b"%d %d " % (len(new), len(new) + len(body) - size)
    whole = new + body[size:]
    return b"\n".join([first, lengths + digest(lengths + whole).encode(), whole])


BAD = [
    ("empty", lambda d: b"", "no artefact"),
    ("foreign", lambda d: b"PK\x03\x04" + d, "no artefact"),
    ("a pickle", lambda d: b"\x80\x04\x95", "no artefact"),
    ("truncated", lambda d: d[:-1], "incomplete"),
    ("cut in the header", lambda d: d[:200], "incomplete"),
    ("longer", lambda d: d + b"\0", "incomplete"),
    ("a bit of code", lambda d: d[:-9] + bytes([d[-9] ^ 1]) + d[-8:], "changed"),
    ("a bit of the header", lambda d: d.replace(b"f64[4,8]", b"f64[4,9]", 1), "changed"),
    ("newer", lambda d: d.replace(b"format 1", b"format 2"), "another format"),
    ("older", lambda d: d.replace(b"format 1", b"format 0"), "another format"),
    ("no lengths", lambda d: d.replace(b"\n", b"\nx", 1), "damaged"),
    ("convention", lambda d: patched(d, lambda h: h.update(convention=99)), "calling convention"),
    ("features", lambda d: patched(d, lambda h: h["machine"]["features"].append("warp")), "warp"),
    ("cpu", lambda d: patched(d, lambda h: h["machine"].update(features=None, cpu="z9")), "z9"),
    ("system", lambda d: patched(d, lambda h: h["machine"].update(triple="arm-x-y")), "system"),
    ("no key", lambda d: patched(d, lambda h: h.pop("arguments")), "arguments"),
    ("types", lambda d: patched(d, lambda h: h.update(arguments=["f64[0x8]"])), "."),
    ("sections", lambda d: patched(d, lambda h: h["sections"].pop()), "contradicts"),
    ("a name", lambda d: patched(d, lambda h: kernel(h)["calls"].append("no_such")), "no_such"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "message"), BAD, ids=[b[0] for b in BAD])
def test_a_bad_file_is_refused_before_anything_is_linked(saved, monkeypatch, name, change, message):
    bad = change(saved.read_bytes())
    saved.write_bytes(bad)
    if name != "a name":
        monkeypatch.setattr("litad.artefacts.linked", lambda *a: pytest.fail("it was linked"))
    with pytest.raises(LitadError, match=message):
        load_aot(saved)


def test_every_byte_counts(saved):
    data = saved.read_bytes()
    for k in range(len(data)):
        bad = bytearray(data)
        bad[k] ^= 1 << int(RANDOM.integers(8))
        with pytest.raises(Refused):
            unpack(bytes(bad))
    with pytest.raises(OSError):
        load_aot(saved.with_name("nothing"))


def test_every_length_counts(saved):
    data = saved.read_bytes()
    for size in [*range(2000), *range(2000, len(data), 7), len(data) - 1]:
        with pytest.raises(Refused):
            unpack(data[:size])


def test_a_signature_cannot_disagree_with_the_constants(tmp_path):
    table = RANDOM.normal(size=5)
    compile_aot(lambda x: x * table, f64[5]).save(tmp_path / "f")
    data = (tmp_path / "f").read_bytes()
    (tmp_path / "f").write_bytes(patched(data, lambda h: h.update(constants=["f64[6]"])))
    with pytest.raises(Refused, match="constant 0"):
        load_aot(tmp_path / "f")


def test_another_python_gets_an_entry_of_its_own(saved):
    def change(header):
        for name in ("entry", "runtime"):
            header["code"][name]["text"] = "made for another interpreter"

    args = numbers()
    want = load_aot(saved)(*args)
    saved.write_bytes(patched(saved.read_bytes(), change))
    assert same(load_aot(saved)(*args), want)


def test_a_target_for_many_machines(tmp_path):
    if not this_machine().triple.startswith("x86_64"):
        pytest.skip("levels are of x86-64")
    f = value_and_grad(lambda x: np.sum(np.exp(np.sin(x)) * np.tanh(x)))
    x = RANDOM.normal(size=1000)
    for target in ("x86-64", "x86-64-v2", "x86-64-v3"):
        made = compile_aot(f, f64[1000], target=target)
        made.save(tmp_path / target)
        header = unpack((tmp_path / target).read_bytes()).header
        assert header["machine"]["cpu"] == target and "avx512f" not in header["machine"]["features"]
        if set(machine_for(target).features) <= set(this_machine().features):
            value, g = load_aot(tmp_path / target)(x)
            assert np.allclose(g, f(x)[1], rtol=1e-12) and np.isclose(value, f(x)[0])
    with pytest.raises(LitadError, match="level"):
        compile_aot(f, f64[3], target="x86-64-v9")


def test_without_fast_calls(saved, monkeypatch):
    monkeypatch.setattr("litad.signature._by_ctypes", True)
    args = numbers()
    assert same(load_aot(saved)(*args), jit(value_and_grad(net))(*args))
    made = compile_aot(value_and_grad(net), *TYPES)
    assert same(made(*args), load_aot(saved)(*args))


def test_loading_again_and_again_keeps_no_memory(saved):
    resource = pytest.importorskip("resource")
    for _ in range(100):
        load_aot(saved)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(500):
        load_aot(saved)
    gc.collect()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 6000  # kilobytes


def test_a_compiled_function_is_taken_apart_first(step):
    assert compiler_of(jit(net)) is not None
    args = numbers()
    assert same(compile_aot(jit(net), *TYPES)(*args), compile_aot(net, *TYPES)(*args))


# ------------------------------------------------------------------ C


def built(step, folder: Path, flags=()) -> str:
    files = step.export_c(folder)
    objects = [f.name for f in files if f.suffix in (".c", ".o")]
    command = [CC, "-Wall", "-Wextra", "-Werror", "-o", "main", *objects, *flags, "-lm"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return subprocess.run([folder / "main"], check=True, capture_output=True, text=True).stdout


def filled(shape, dtype="f8"):
    count = int(np.prod(shape))
    return (0.1 * (np.arange(count) % 7) - 0.25).astype(dtype).reshape(shape)


def printed(text: str) -> dict:
    return {line.split()[0]: [float(x) for x in line.split()[1:]] for line in text.splitlines()}


@needs_c
def test_value_and_gradient_from_c(tmp_path):
    table = filled(20) + 1

    def loss(p, rate, n):
        return np.sum(np.exp(p["w"] * table) * rate) + np.sum(p["b"]) ** 2 * n

    step = compile_aot(
        value_and_grad(loss),
        {"w": f64[20], "b": f32[3]},
        float,
        int,
        name="my_step",
        target="native",
    )
    found = printed(built(step, tmp_path))
    value, g = step({"w": filled(20), "b": filled(3, "f4")}, 0.5, 1)
    assert found["result_0"] == [value]
    assert found["result_1_w"] == g["w"][:4].tolist()
    assert found["result_1_b"] == g["b"].tolist()
    header = step.c_header()
    assert "int my_step(" in header and "const float *p_b" in header and "double rate" in header


@needs_c
@pytest.mark.skipif(
    sys.platform != "linux", reason="the C library of Linux has a `step` of its own"
)
def test_a_function_in_a_shared_library_means_itself(tmp_path):
    import ctypes

    files = compile_aot(lambda x: x * 3, float, name="step").export_c(tmp_path)
    text = '#include "step.h"\ndouble thrice(double x) { double y; step(x, &y); return y; }\n'
    (tmp_path / "thrice.c").write_text(text)
    objects = [f.name for f in files if f.suffix == ".o"]
    command = [CC, "-shared", "-fPIC", "thrice.c", *objects, "-o", "thrice.so", "-lm"]
    subprocess.run(command, cwd=tmp_path, check=True)
    thrice = ctypes.CDLL(str(tmp_path / "thrice.so")).thrice
    thrice.argtypes, thrice.restype = [ctypes.c_double], ctypes.c_double
    assert thrice(2.0) == 6.0


@needs_c
def test_scratch_memory_and_donated_arrays_from_c(tmp_path):
    def update(p, x):
        h = np.cumsum(np.tanh(x @ p), 0)
        return p - 0.1 * (x.T @ (h * h[::-1])), np.sum(h)

    step = compile_aot(update, f64[6], f64[300, 6], donate_argnums=0, name="update")
    if any(x.endswith("_") for x in step.shipped.artefact.header["code"]["kernel"]["calls"]):
        assert "BLAS" in step.c_header()
        pytest.skip("this one calls BLAS, and there may be none to link")
    found = printed(built(step, tmp_path))
    p, total = step(filled(6), filled((300, 6)))
    assert found.get("p", found.get("result_0")) == p[:4].tolist() and found["result_1"] == [total]


@needs_c
def test_long_loops_ask_for_helpers_that_c_need_not_have(tmp_path):
    step = compile_aot(lambda x: np.sum(np.sin(x)), f64[300_000], threads=None, name="total")
    found = printed(built(step, tmp_path))
    assert np.isclose(found["result"][0], step(filled(300_000)))


def test_the_header_names_blas():
    step = compile_aot(lambda a, b: a @ b, f64[2000, 2000], f64[2000, 2000])
    header = step.c_header()
    assert "dgemm_" in header and "-lopenblas" in header


def test_names_in_c():
    def double(int, x):
        return int * x, {"a b": x}

    header = compile_aot(double, f64[2], f64[2]).c_header()
    assert "int double_(" in header and "result_1_a_b" in header and "const double *int_," in header


BLAS = """
import sys
import litad.engine as engine
if sys.argv[1] == "before":
    import scipy.linalg
if sys.argv[1] == "broken":
    engine.alone = lambda *names: __import__("no_such_module")
address = engine.blas("dgemm_")
assert address and (sys.argv[1] == "after") == ("scipy.linalg" not in sys.modules)
import numpy as np
import scipy.linalg, scipy.sparse.linalg
from scipy.linalg import cython_blas
assert engine.capsule(cython_blas.__pyx_capi__["dgemm"]) == address
assert scipy.linalg.cython_blas is cython_blas is sys.modules["scipy.linalg.cython_blas"]
assert np.allclose(scipy.linalg.solve(2 * np.eye(3), np.ones(3)), 0.5)
"""


@pytest.mark.parametrize("when", ["before", "after", "broken"])
def test_matrix_products_do_not_need_the_package_around_them(when):
    done = subprocess.run([sys.executable, "-c", BLAS, when], capture_output=True, text=True)
    assert not done.returncode, done.stderr


def test_linkers_are_shared_and_closed():
    from litad.engine import PIECES, Code, _linkers

    text = "define i32 @f() {{\n  ret i32 {}\n}}\n"
    gc.collect()
    before = len(_linkers)
    codes = [Code(text.format(k)) for k in range(2 * PIECES + 3)]
    assert 2 <= len(_linkers) - before <= 4
    calls = [code.function("f", ctypes.c_int32) for code in codes]
    del codes, calls[1:-1]
    gc.collect()
    assert [call() for call in calls] == [0, 2 * PIECES + 2]
    assert len(_linkers) - before <= 2
    with pytest.raises(RuntimeError):
        Code.from_objects([(b"no object code", [], ["f"])])
    assert [call() for call in calls] == [0, 2 * PIECES + 2]
    del calls
    gc.collect()
    assert len(_linkers) <= before + 1
