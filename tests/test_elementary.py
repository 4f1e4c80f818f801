"""Elementary functions as LLVM IR: digits, special values, and loops of them."""

from __future__ import annotations

import ctypes
import warnings

import numpy as np
import pytest
from scipy import special

from litad.elementary import FUNCTIONS, LitadError, arity, definitions

llvm = pytest.importorskip("llvmlite.binding", reason="llvmlite compiles the functions")

TYPES = {"double": np.float64, "float": np.float32}
EXACT = np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant
ENGINES = []


MODES = {
    "fused": dict(fma=True),
    "plain": dict(fma=False),
    "scaled": dict(fma=True, scale=True),
}


def target(fma: bool, scale: bool = False):
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    if fma and "fma" in features and not features["fma"]:
        pytest.skip("this processor has no fused multiply-add")
    if scale and not features.get("avx512vl"):
        pytest.skip("this processor has no AVX-512")
    options = {"opt": 2}
    if fma:
        options |= {"cpu": llvm.get_host_cpu_name(), "features": features.flatten()}
    return llvm.Target.from_default_triple().create_target_machine(**options)


def machine_code(text: str, fma: bool, scale: bool = False):
    module = llvm.parse_assembly(text)
    module.verify()
    machine = target(fma, scale)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    inliner = llvm.create_new_module_pass_manager()
    inliner.add_always_inliner_pass()
    inliner.run(module, builder)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    ENGINES.append(engine)
    return engine, str(module)


def loop_text(name: str, kind: str, fma: bool, lanes: bool, scale: bool = False) -> str:
    text, declared = definitions([(name, kind)], fma=fma, lanes=lanes, scale=scale)
    places = range(arity(name))
    pointers = ", ".join(f"ptr noalias %p{k}" for k in places)
    loads = "\n".join(
        f"  %q{k} = getelementptr {kind}, ptr %p{k}, i64 %i\n  %x{k} = load {kind}, ptr %q{k}"
        for k in places
    )
    operands = ", ".join(f"{kind} %x{k}" for k in places)
    return f"""{chr(10).join(sorted(declared))}
{text}
define void @loop({pointers}, ptr noalias %out, i64 %n) {{
  br label %body
body:
  %i = phi i64 [0, %0], [%next, %body]
{loads}
  %y = call {kind} @litad.{name}.{kind}({operands})
  %q = getelementptr {kind}, ptr %out, i64 %i
  store {kind} %y, ptr %q
  %next = add nuw i64 %i, 1
  %more = icmp ult i64 %next, %n
  br i1 %more, label %body, label %end
end:
  ret void
}}
"""


def compiled(name: str, kind: str, fma: bool = False, lanes: bool = True, scale: bool = False):
    engine, text = machine_code(loop_text(name, kind, fma, lanes, scale), fma, scale)
    pointers = [ctypes.c_void_p] * (arity(name) + 1)
    address = engine.get_function_address("loop")
    code = ctypes.CFUNCTYPE(None, *pointers, ctypes.c_int64)(address)

    def run(*operands):
        operands = [np.ascontiguousarray(x, TYPES[kind]) for x in operands]
        out = np.empty_like(operands[0])
        code(*[x.ctypes.data for x in operands], out.ctypes.data, out.size)
        return out

    run.text = text
    return run


def logistic(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def reference(name: str):
    if name == "expit":  # SciPy's is 0 where the value is subnormal
        return logistic
    return getattr(np, name, None) or getattr(special, name)


# Largest error in units in the last place, and where: 'l' a range of logarithms, 'u' uniform.
LIMITS = {
    "exp": (1.0, [("u", -700, 700), ("u", -1, 1)]),
    "exp2": (1.5, [("u", -1000, 1000), ("u", -1, 1)]),
    "expm1": (2.0, [("u", -40, 700), ("u", -1, 1), ("l", -20, 0)]),
    "log": (1.0, [("l", -300, 300), ("u", 0.5, 2)]),
    "log2": (2.0, [("l", -300, 300), ("u", 0.5, 2)]),
    "log10": (3.0, [("l", -300, 300), ("u", 0.5, 2)]),
    "log1p": (1.0, [("l", -20, 300), ("u", -0.9, 2)]),
    "sin": (1.2, [("u", -100, 100), ("l", -10, 6)]),
    "cos": (1.2, [("u", -100, 100), ("l", -10, 6)]),
    "tan": (2.7, [("u", -100, 100), ("l", -10, 6)]),
    "sinh": (2.5, [("u", -700, 700), ("u", -1, 1)]),
    "cosh": (2.0, [("u", -700, 700), ("u", -1, 1)]),
    "tanh": (2.7, [("u", -20, 20), ("l", -20, 0)]),
    "arcsin": (2.5, [("u", -1, 1), ("l", -10, 0)]),
    "arccos": (1.5, [("u", -1, 1)]),
    "arctan": (2.0, [("u", -5, 5), ("l", -10, 10)]),
    "arcsinh": (2.0, [("u", -5, 5), ("l", -10, 300)]),
    "arccosh": (2.5, [("u", 1, 5), ("l", 0, 300)]),
    "arctanh": (2.0, [("u", -1, 1), ("l", -10, 0)]),
    "sqrt": (0.51, [("l", -300, 300)]),
    "cbrt": (1.2, [("l", -300, 300)]),
    "arctan2": (2.5, [("u", -5, 5), ("l", -10, 10)]),
    "hypot": (1.5, [("u", -5, 5), ("l", -140, 140)]),
    "power": (1.5, [("u", 0.01, 20), ("l", -1.5, 1.5)]),
}


def samples(name: str, kind: str, count: int = 4001) -> list[np.ndarray]:
    random = np.random.default_rng(5)
    pieces = []
    for how, low, high in LIMITS[name][1]:
        wide = max(abs(low), abs(high)) > 20
        if kind == "float" and wide:
            narrow = 0.11 if how == "l" or name not in ("sin", "cos", "tan") else 1
            low, high = low * narrow, high * narrow
        x = random.uniform(low, high, (arity(name), count))
        pieces.append(10**x if how == "l" else x)
    whole = np.concatenate(pieces, axis=1).astype(TYPES[kind])
    return list(whole)


@pytest.mark.skipif(not EXACT, reason="long doubles have no more digits than doubles here")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", LIMITS)
def test_error_in_units_of_the_last_place(name, kind, mode):
    operands = samples(name, kind)
    got = compiled(name, kind, **MODES[mode])(*operands)
    want = reference(name)(*[x.astype(np.longdouble) for x in operands])
    kept = np.isfinite(want) & (np.abs(want) < np.finfo(TYPES[kind]).max)
    kept &= np.abs(want) > np.finfo(TYPES[kind]).tiny
    unit = np.spacing(np.abs(want[kept]).astype(TYPES[kind])).astype(np.longdouble)
    error = np.abs(got[kept].astype(np.longdouble) - want[kept]) / unit
    assert kept.sum() > 2000
    assert error.max() <= LIMITS[name][0] + 0.001


def edges(kind: str) -> np.ndarray:
    info = np.finfo(TYPES[kind])
    some = [0, 1, 2, 3, 5, 7, 0.5, 0.25, 0.75, 1.5, 1e-5, 100, 1e4, 88.9, 709.9, 745, 2.0**31 + 1]
    some += [
        2**24 - 1,
        2**53,
        1e15,
        1e22,
        info.max,
        info.max / 2,
        info.tiny,
        info.tiny / 2,
        info.eps,
    ]
    some += [info.smallest_subnormal, 3 * info.smallest_subnormal, 1 + info.eps, 1 - info.eps]
    some += [np.pi / 4, np.pi / 2, np.pi, 1e5 * np.pi, np.inf, np.nan]
    one = np.array(some).astype(TYPES[kind])
    return np.concatenate([one, -one])


def same(want, got, kind: str, scale=None) -> np.ndarray:
    info = np.finfo(TYPES[kind])
    near = np.abs(got - want) <= 6 * info.eps * np.abs(want if scale is None else scale)
    near |= np.abs(got - want) <= 30 * info.smallest_subnormal
    return np.isnan(want) & np.isnan(got) | (want == got) | near


SIGNLESS = {"maximum", "minimum", "fmax", "fmin", "logaddexp", "logaddexp2"}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore")
def test_special_values_are_those_of_numpy(name, kind, mode):
    edge = edges(kind)
    count = arity(name)
    operands = [edge] if count == 1 else [x.ravel() for x in np.meshgrid(edge, edge)]
    got = compiled(name, kind, **MODES[mode])(*operands)
    want = reference(name)(*operands)
    assert want.dtype == got.dtype
    scale = np.maximum(1, np.abs(operands).max(0)) if name.startswith("logaddexp") else None
    right = same(want, got, kind, scale)
    if name not in SIGNLESS:
        right &= (np.signbit(want) == np.signbit(got)) | np.isnan(want) | (want != 0)
    wrong = np.flatnonzero(~right)[:5]
    assert not wrong.size, [(*[x[k] for x in operands], want[k], got[k]) for k in wrong]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_arguments_of_any_size_are_reduced_in_full(name, kind):
    random = np.random.default_rng(8)
    top = 308 if kind == "double" else 38
    x = (10.0 ** random.uniform(3, top, 3001) * random.choice([-1, 1], 3001)).astype(TYPES[kind])
    got = compiled(name, kind, True)(x)
    want = getattr(np, name)(x.astype(np.float64))
    assert same(want.astype(TYPES[kind]), got, kind).all()


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_length_of_a_loop(name, kind):
    random = np.random.default_rng(2)
    run = compiled(name, kind, True)
    alone = compiled(name, kind, True, lanes=False)
    operands = random.uniform(-3, 3, (arity(name), 67)).astype(TYPES[kind])
    for n in (1, 2, 7, 8, 9, 31, 67):
        part = [x[:n] for x in operands]
        one = np.concatenate([alone(*[x[k : k + 1] for x in part]) for k in range(n)])
        assert same(one, run(*part), kind).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_loops_become_simd_code(name):
    if "x86_64" not in llvm.get_default_triple():
        pytest.skip("known of x86-64")
    assert "x double>" in compiled(name, "double", fma=True).text
    assert "x float>" in compiled(name, "float", fma=True).text


@pytest.mark.parametrize("name", ["fmod", "remainder", "floor_divide"])
def test_remainders_are_exact(name):
    random = np.random.default_rng(3)
    x = 10.0 ** random.uniform(-30, 30, 5001) * random.choice([-1, 1], 5001)
    y = 10.0 ** random.uniform(-30, 30, 5001) * random.choice([-1, 1], 5001)
    whole = np.round(random.uniform(-50, 50, (2, 5001)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for a, b in (
            (x, y),
            (x, x * whole[0]),
            (whole[0], whole[1]),
            (whole[0] / 10, whole[1] / 10),
        ):
            for fma in (True, False):
                assert np.array_equal(
                    compiled(name, "double", fma)(a, b), reference(name)(a, b), True
                )


def test_definitions_are_given_once():
    names = [("sin", "double"), ("cos", "double"), ("sin", "double"), ("sin", "float")]
    text, declared = definitions(names)
    for name, kind in set(names):
        assert text.count(f"@litad.{name}.{kind}(") == 1
    assert all(line.startswith("declare ") for line in declared)
    assert definitions([]) == ("", set())


def test_an_unknown_function_is_refused():
    with pytest.raises(LitadError, match="no elementary function is called 'gamma'"):
        definitions([("gamma", "double")])
    with pytest.raises(LitadError, match="no elementary function has the type 'half'"):
        definitions([("exp", "half")])
