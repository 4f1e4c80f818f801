"""litad: literate automatic differentiation of plain NumPy code."""

import sys
from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

_HOME = {
    "aot": "bool_ compile_aot f32 f64 i32 i64",
    "artefacts": "load_aot",
    "backend": "AutodiffBackend",
    "checks": "check_grads",
    "control": "cond fori_loop scan switch while_loop",
    "core": "LitadError",
    "derivatives": "gradient hessian hvp jacfwd jacobian jacrev",
    "explain": "explain",
    "footprints": "sparsity",
    "forward": "Dual derivative jvp",
    "implicit": "fixed_point minimize root",
    "interop": "from_jax from_torch to_jax to_torch",
    "jit": "jit",
    "lift": "lift",
    "linear": "linearize",
    "matrices": "matrix_function",
    "ode": "odeint solve_ivp",
    "program": "trace",
    "record": "Var",
    "reverse": "grad value_and_grad vjp",
    "rules": "checkpoint checkpoint_chain custom_jvp custom_vjp primitive stop_gradient straight_through",
    "tape": "Tape",
    "taylor": "jet",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str):
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'litad' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"litad.{_MODULE_OF[name]}"), name)
    return value


class _Package(ModuleType):
    """A module whose public names stay what they are when a submodule of the same name is loaded."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _MODULE_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
