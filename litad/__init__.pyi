# The types of the public names, for type checkers; what runs is in `__init__.py`.
# `mypy.stubtest` compares the two, and `tests/typed.py` says what a user's program is told.
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import (
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    TypeVarTuple,
    Unpack,
    overload,
)

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .backend import AutodiffBackend as AutodiffBackend
from .checks import Checked
from .core import Box as _Box
from .core import LitadError as LitadError
from .explain import Explanation
from .ode import Solution
from .program import Program

__version__: str
__all__: list[str]

_A = TypeVar("_A")  # what is carried along: has_aux
_C = TypeVar("_C")  # what a loop carries
_D = TypeVar("_D", bound=np.generic)
_F = TypeVar("_F", bound=Callable[..., Any])
_P = ParamSpec("_P")
_R = TypeVar("_R")
_R_co = TypeVar("_R_co", covariant=True)
_X = TypeVar("_X")  # the variable that a derivative is taken with respect to
_Xs = TypeVarTuple("_Xs")
_Y = TypeVar("_Y")

# ---------------------------------------------------------------- boxes and tapes

class _Number(_Box):
    value: Any
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def ndim(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def T(self) -> Self: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...
    def __getitem__(self, index: Any) -> Self: ...
    def __setitem__(self, index: Any, value: Any) -> None: ...
    def __getattr__(self, name: str) -> Any: ...  # NumPy's methods
    def __neg__(self) -> Self: ...
    def __pos__(self) -> Self: ...
    def __abs__(self) -> Self: ...
    def __add__(self, other: Any) -> Self: ...
    def __radd__(self, other: Any) -> Self: ...
    def __sub__(self, other: Any) -> Self: ...
    def __rsub__(self, other: Any) -> Self: ...
    def __mul__(self, other: Any) -> Self: ...
    def __rmul__(self, other: Any) -> Self: ...
    def __truediv__(self, other: Any) -> Self: ...
    def __rtruediv__(self, other: Any) -> Self: ...
    def __floordiv__(self, other: Any) -> Self: ...
    def __rfloordiv__(self, other: Any) -> Self: ...
    def __mod__(self, other: Any) -> Self: ...
    def __rmod__(self, other: Any) -> Self: ...
    def __pow__(self, other: Any) -> Self: ...
    def __rpow__(self, other: Any) -> Self: ...
    def __matmul__(self, other: Any) -> Self: ...
    def __rmatmul__(self, other: Any) -> Self: ...
    def __lt__(self, other: Any) -> Any: ...
    def __le__(self, other: Any) -> Any: ...
    def __gt__(self, other: Any) -> Any: ...
    def __ge__(self, other: Any) -> Any: ...

class Dual(_Number):
    tangent: Any
    def __init__(self, value: Any, tangent: Any = 0.0) -> None: ...
    @property
    def deriv(self) -> Any: ...

class Var(_Number):
    tape: Any
    index: int
    def __init__(self, value: Any, tape: Any, index: int) -> None: ...

class Tape:
    def __init__(self, *, lean: bool = False, above: tuple[Any, ...] = ()) -> None: ...
    def input(self, value: ArrayLike, name: str | None = None) -> Var: ...
    def backward(self, out: Var, cotangent: Any = None) -> Any: ...
    def grad_of(self, x: Var) -> Any: ...
    def value(self, x: Any) -> Any: ...
    def num_ops(self) -> int: ...
    def clear(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: Any) -> None: ...
    def __len__(self) -> int: ...
    def __getattr__(self, name: str) -> Any: ...

# ---------------------------------------------------------------- derivatives

@overload
def grad(  # type: ignore[overload-overlap]
    f: Callable[Concatenate[_X, _P], Any],
    argnums: Literal[0] = 0,
    *,
    has_aux: Literal[False] = False,
    allow_unused: bool = False,
    holomorphic: bool = False,
) -> Callable[Concatenate[_X, _P], _X]: ...
@overload
def grad(
    f: Callable[Concatenate[_X, _P], tuple[Any, _A]],
    argnums: Literal[0] = 0,
    *,
    has_aux: Literal[True],
    allow_unused: bool = False,
    holomorphic: bool = False,
) -> Callable[Concatenate[_X, _P], tuple[_X, _A]]: ...
@overload
def grad(
    f: Callable[_P, Any],
    argnums: tuple[int, ...],
    *,
    has_aux: Literal[False] = False,
    allow_unused: bool = False,
    holomorphic: bool = False,
) -> Callable[_P, tuple[Any, ...]]: ...
@overload
def grad(
    f: Callable[_P, Any],
    argnums: int | tuple[int, ...],
    *,
    has_aux: bool = False,
    allow_unused: bool = False,
    holomorphic: bool = False,
) -> Callable[_P, Any]: ...
@overload
def value_and_grad(  # type: ignore[overload-overlap]
    f: Callable[Concatenate[_X, _P], _R],
    argnums: Literal[0] = 0,
    *,
    has_aux: bool = False,
    allow_unused: bool = False,
    holomorphic: bool = False,
) -> Callable[Concatenate[_X, _P], tuple[_R, _X]]: ...
@overload
def value_and_grad(
    f: Callable[_P, _R],
    argnums: tuple[int, ...],
    *,
    has_aux: bool = False,
    allow_unused: bool = False,
    holomorphic: bool = False,
) -> Callable[_P, tuple[_R, tuple[Any, ...]]]: ...
@overload
def value_and_grad(
    f: Callable[_P, _R],
    argnums: int | tuple[int, ...],
    *,
    has_aux: bool = False,
    allow_unused: bool = False,
    holomorphic: bool = False,
) -> Callable[_P, tuple[_R, Any]]: ...
@overload
def gradient(  # type: ignore[overload-overlap]
    f: Callable[Concatenate[_X, _P], Any], argnums: Literal[0] = 0, *, chunk: int = 8
) -> Callable[Concatenate[_X, _P], _X]: ...
@overload
def gradient(
    f: Callable[_P, Any], argnums: int | tuple[int, ...], *, chunk: int = 8
) -> Callable[_P, Any]: ...
def derivative(f: Callable[_P, _R], argnum: int = 0) -> Callable[_P, _R]: ...

# What comes of containers has the result's structure outside and the argument's inside.
def jacfwd(
    f: Callable[_P, Any],
    argnums: int | tuple[int, ...] = 0,
    *,
    chunk: int = 8,
    allow_unused: bool = False,
    holomorphic: bool = False,
    has_aux: bool = False,
) -> Callable[_P, Any]: ...
def jacrev(
    f: Callable[_P, Any],
    argnums: int | tuple[int, ...] = 0,
    *,
    chunk: int = 8,
    allow_unused: bool = False,
    holomorphic: bool = False,
    has_aux: bool = False,
) -> Callable[_P, Any]: ...
def jacobian(
    f: Callable[_P, Any],
    argnums: int | tuple[int, ...] = 0,
    *,
    chunk: int | None = None,
    allow_unused: bool = False,
    holomorphic: bool = False,
    sparse: Any = False,
    explain: bool = False,
) -> Callable[_P, Any]: ...
def hessian(
    f: Callable[_P, Any],
    argnums: int | tuple[int, ...] = 0,
    *,
    chunk: int = 8,
    holomorphic: bool = False,
    has_aux: bool = False,
    sparse: Any = False,
    explain: bool = False,
) -> Callable[_P, Any]: ...
@overload
def hvp(f: Callable[[_X], Any], x: _X, v: _X, *, holomorphic: bool = False) -> _X: ...
@overload
def hvp(
    f: Callable[[_X], Any], x: _X, v: None = None, *, holomorphic: bool = False
) -> Callable[[_X], _X]: ...
@overload
def jvp(
    f: Callable[..., _R],
    primals: tuple[Any, ...] | list[Any],
    tangents: tuple[Any, ...] | list[Any],
    *,
    has_aux: Literal[False] = False,
) -> tuple[_R, _R]: ...
@overload
def jvp(
    f: Callable[..., tuple[_R, _A]],
    primals: tuple[Any, ...] | list[Any],
    tangents: tuple[Any, ...] | list[Any],
    *,
    has_aux: Literal[True],
) -> tuple[_R, _R, _A]: ...
@overload
def vjp(
    f: Callable[[Unpack[_Xs]], _R], *primals: *_Xs, has_aux: Literal[False] = False
) -> tuple[_R, Callable[[_R], tuple[*_Xs]]]: ...
@overload
def vjp(
    f: Callable[[Unpack[_Xs]], tuple[_R, _A]], *primals: *_Xs, has_aux: Literal[True]
) -> tuple[_R, Callable[[_R], tuple[*_Xs]], _A]: ...
def linearize(
    f: Callable[[Unpack[_Xs]], _R], *primals: *_Xs
) -> tuple[_R, Callable[[Unpack[_Xs]], _R]]: ...
def jet(
    f: Callable[[_X], _R], primals: _X, series: Any, *, normalised: bool = False
) -> tuple[_R, list[_R]]: ...
def matrix_function(
    f: Callable[[Any], Any], a: NDArray[_D], UPLO: Literal["L", "U"] = "L"
) -> NDArray[_D]: ...
def sparsity(f: Callable[_P, Any], argnums: int | tuple[int, ...] = 0) -> Callable[_P, Any]: ...
def check_grads(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    order: int = 2,
    modes: tuple[str, ...] = ("fwd", "rev"),
    atol: float | None = None,
    rtol: float | None = None,
    seed: int = 0,
) -> Checked: ...

# ---------------------------------------------------------------- rules of one's own

class _Custom(Generic[_P, _R]):
    def __init__(
        self, f: Callable[_P, _R], nondiff_argnums: int | tuple[int, ...] = ()
    ) -> None: ...
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...

class custom_jvp(_Custom[_P, _R]):
    def defjvp(self, rule: _F) -> _F: ...
    def defjvps(self, *rules: Callable[..., Any] | None) -> None: ...

class custom_vjp(_Custom[_P, _R]):
    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None: ...

@overload
def primitive(
    f: Callable[_P, _R],
    *,
    jvp: Any = (),
    vjp: Any = (),
    elementwise: bool = False,
    name: str = "",
) -> Callable[_P, _R]: ...
@overload
def primitive(
    f: None = None,
    *,
    jvp: Any = (),
    vjp: Any = (),
    elementwise: bool = False,
    name: str = "",
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]: ...
def lift(f: Callable[_P, _R]) -> Callable[_P, _R]: ...
def stop_gradient(x: _X) -> _X: ...
def straight_through(f: Callable[_P, _R]) -> Callable[_P, _R]: ...
def checkpoint(f: Callable[_P, _R]) -> Callable[_P, _R]: ...
def checkpoint_chain(
    steps: Iterable[Callable[[_X], _X]], every: int | None = None
) -> Callable[[_X], _X]: ...

# ---------------------------------------------------------------- solutions

def root(
    f: Callable[..., Any],
    x0: _X,
    *args: Any,
    solver: Callable[..., Any] | None = None,
) -> _X: ...
def fixed_point(g: Callable[..., Any], x0: _X, *args: Any, max_steps: int = 10000) -> _X: ...
def minimize(f: Callable[..., Any], x0: _X, *args: Any, method: str = "BFGS") -> _X: ...
def solve_ivp(
    fun: Callable[..., Any],
    t_span: Any,
    y0: Any,
    method: Any = "tsit5",
    t_eval: Any = None,
    dense_output: bool = False,
    events: Any = None,
    vectorized: bool = False,
    args: Any = (),
    *,
    rtol: float = 0.001,
    atol: Any = 1e-06,
    first_step: Any = None,
    max_step: float = ...,
    min_step: float = 0.0,
    step: Any = None,
    max_steps: int | None = None,
    max_events: int = 64,
    adjoint: str = "checkpoint",
    sens: Any = False,
    progress: bool = False,
    jac: Any = None,
    jac_sparsity: Any = None,
    lband: Any = None,
    uband: Any = None,
    **unknown: Any,
) -> Solution: ...
def odeint(
    func: Callable[..., Any],
    y0: Any,
    t: Any,
    args: tuple[Any, ...] = (),
    Dfun: Callable[..., Any] | None = None,
    col_deriv: Any = False,
    full_output: Any = False,
    ml: Any = None,
    mu: Any = None,
    rtol: Any = None,
    atol: Any = None,
    tcrit: Any = None,
    h0: float = 0.0,
    hmax: float = 0.0,
    hmin: float = 0.0,
    ixpr: Any = False,
    mxstep: int = 0,
    mxhnil: int = 0,
    mxordn: int = 12,
    mxords: int = 5,
    printmessg: Any = False,
    tfirst: bool = False,
    *,
    method: Any = "auto",
    **options: Any,
) -> Any: ...  # an array; with full_output a pair

# ---------------------------------------------------------------- loops and branches

def cond(
    pred: Any,
    then: Callable[[Unpack[_Xs]], _R],
    otherwise: Callable[[Unpack[_Xs]], _R],
    *operands: *_Xs,
) -> _R: ...
def switch(index: Any, branches: Sequence[Callable[[Unpack[_Xs]], _R]], *operands: *_Xs) -> _R: ...
def fori_loop(
    lower: Any, upper: Any, body: Callable[[int, _C], _C], init: _C, max_steps: int | None = None
) -> _C: ...
def while_loop(
    test: Callable[[_C], Any], body: Callable[[_C], _C], init: _C, max_steps: int | None = None
) -> _C: ...
def scan(
    f: Callable[[_C, Any], tuple[_C, Any]],
    init: _C,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: Any = 1,
) -> tuple[_C, Any]: ...

# ---------------------------------------------------------------- compiled

class _Bound(Protocol[_R_co]):
    def __call__(self) -> _R_co: ...

class _Compiled(Protocol[_P, _R_co]):
    @property
    def __name__(self) -> str: ...
    @property
    def __wrapped__(self) -> Callable[_P, _R_co]: ...
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co: ...
    def bind(self, *args: Any, out: Any = None, **named: Any) -> _Bound[_R_co]: ...

class _Ahead(_Compiled[_P, _R_co], Protocol[_P, _R_co]):
    @property
    def program(self) -> str: ...
    def save(self, path: str | os.PathLike[str]) -> None: ...
    def c_header(self) -> str: ...
    def export_c(self, folder: str | os.PathLike[str]) -> list[Any]: ...

@overload
def jit(
    f: Callable[_P, _R],
    *,
    static_argnums: int | tuple[int, ...] = (),
    static_argnames: str | tuple[str, ...] = (),
    donate_argnums: int | tuple[int, ...] = (),
    fast_math: bool = False,
    threads: int | None = None,
    cache: bool | str | os.PathLike[str] | None = None,
) -> _Compiled[_P, _R]: ...
@overload
def jit(
    f: None = None,
    *,
    static_argnums: int | tuple[int, ...] = (),
    static_argnames: str | tuple[str, ...] = (),
    donate_argnums: int | tuple[int, ...] = (),
    fast_math: bool = False,
    threads: int | None = None,
    cache: bool | str | os.PathLike[str] | None = None,
) -> Callable[[Callable[_P, _R]], _Compiled[_P, _R]]: ...

class _ArrayType(Protocol):
    @property
    def dtype(self) -> str: ...
    @property
    def shape(self) -> tuple[Any, ...]: ...

class _ElementType:
    dtype: str
    def __init__(self, dtype: str) -> None: ...
    def __getitem__(self, shape: Any) -> _ArrayType: ...
    def __call__(self, x: Any) -> Any: ...

f64: _ElementType
f32: _ElementType
i64: _ElementType
i32: _ElementType
bool_: _ElementType

def compile_aot(
    f: Callable[_P, _R],
    *specs: Any,
    target: str = "native",
    static_argnums: int | tuple[int, ...] = (),
    static_argnames: str | tuple[str, ...] = (),
    donate_argnums: int | tuple[int, ...] = (),
    fast_math: bool = False,
    threads: int | None = 1,
    sizes: Mapping[str, int] | None = None,
    name: str = "",
) -> _Ahead[_P, _R]: ...
def load_aot(path: str | os.PathLike[str], classes: Sequence[type] = ()) -> _Ahead[..., Any]: ...
def trace(f: Callable[..., Any], *examples: Any) -> Program: ...
def explain(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Explanation: ...

# ---------------------------------------------------------------- other libraries' arrays

def to_torch(f: Callable[..., Any]) -> Callable[..., Any]: ...
def from_torch(f: Callable[..., Any]) -> Callable[..., Any]: ...
def to_jax(f: Callable[..., Any]) -> Callable[..., Any]: ...
def from_jax(f: Callable[..., Any]) -> Callable[..., Any]: ...
