"""litad: literate automatic differentiation of plain NumPy code."""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "checks": "check_grads",
    "control": "cond fori_loop scan switch while_loop",
    "core": "LitadError",
    "derivatives": "gradient hessian hvp jacfwd jacobian jacrev",
    "footprints": "sparsity",
    "forward": "Dual derivative jvp",
    "implicit": "fixed_point minimize root",
    "linear": "linearize",
    "matrices": "matrix_function",
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


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
