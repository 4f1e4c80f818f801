"""A module that behaves like CuPy, without a graphics card: nothing of NumPy's comes in by itself.

Arrays are NumPy's, hidden: they are fetched with `.get()` and brought with `asarray`; a function or
an operator that meets an array of NumPy's refuses it, as CuPy does, so that numbers which cross
from one memory to the other by accident are found.
"""

import operator
import sys
import types
from contextlib import contextmanager

import numpy as np

SCALARS = (int, float, complex, bool, np.generic)
LACKING = (
    "acos acosh asin asinh atan atan2 atanh astype bitwise_invert bitwise_left_shift "
    "bitwise_right_shift concat cumulative_prod cumulative_sum isdtype matrix_transpose matvec "
    "permute_dims pow unique_all unique_counts unique_inverse unique_values unstack vecdot vecmat "
    "spacing asarray array ndarray copy bool"
).split()


class Device:
    """The only card of this machine, which has none."""

    def __init__(self, number=None):
        self.id = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def __eq__(self, other):
        return isinstance(other, Device)

    def __repr__(self):
        return "<CUDA Device 0>"

    __hash__ = object.__hash__


class Array:
    """An array on the card."""

    __array_priority__ = 100

    def __init__(self, hidden):
        self._hidden = np.asarray(hidden)

    shape = property(lambda self: self._hidden.shape)
    dtype = property(lambda self: self._hidden.dtype)
    ndim = property(lambda self: self._hidden.ndim)
    size = property(lambda self: self._hidden.size)
    T = property(lambda self: Array(self._hidden.T))
    device = property(lambda self: Device())

    def get(self):
        return self._hidden.copy()

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Use `.get()`.")

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if any(isinstance(x, np.ndarray) for x in inputs):
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        if not all(isinstance(x, (Array, *SCALARS)) for x in inputs):
            return NotImplemented
        return on_card(getattr(ufunc, method))(*inputs, **kwargs)

    def __array_function__(self, function, types, args, kwargs):
        if not all(issubclass(kind, Array) for kind in types):
            return NotImplemented
        return on_card(function)(*args, **kwargs)

    def __getitem__(self, index):
        return Array(self._hidden[inside(index)])

    def __setitem__(self, index, value):
        self._hidden[inside(index)] = inside(value)

    def __iter__(self):
        return (self[k] for k in range(len(self._hidden)))

    def __repr__(self):
        return f"fake_cupy.{self._hidden!r}"

    __hash__ = None


def inside(x):
    "What the card sees of an argument; NumPy's arrays and strangers are refused."
    if isinstance(x, Array):
        return x._hidden
    if isinstance(x, (list, tuple)):
        return type(x)([inside(part) for part in x])
    if isinstance(x, dict):
        return {name: inside(part) for name, part in x.items()}
    known = (*SCALARS, str, slice, type, np.dtype, type(None), type(Ellipsis), Device)
    if not isinstance(x, known) and not callable(x):
        raise TypeError(f"Unsupported type {type(x)}")
    return x


def outside(y):
    if isinstance(y, (np.ndarray, np.generic)):
        return Array(y)
    if type(y) in (list, tuple):
        return type(y)([outside(part) for part in y])
    return type(y)(*[outside(part) for part in y]) if isinstance(y, tuple) else y


def on_card(function):
    def call(*args, **kwargs):
        return outside(function(*inside(args), **inside(kwargs)))

    call.__name__ = getattr(function, "__name__", "function")
    return call


def binary(name):
    ufunc = dict(
        add="add", sub="subtract", mul="multiply", truediv="divide", pow="power", mod="remainder",
        floordiv="floor_divide", matmul="matmul", lt="less", le="less_equal", gt="greater",
        ge="greater_equal", eq="equal", ne="not_equal", xor="bitwise_xor",
        **{"and": "bitwise_and", "or": "bitwise_or"},
    )[name]  # fmt: skip
    ufunc = getattr(np, ufunc)
    setattr(Array, f"__{name}__", lambda self, other: ufunc(self, other))
    setattr(Array, f"__r{name}__", lambda self, other: ufunc(other, self))
    if name not in ("lt", "le", "gt", "ge", "eq", "ne"):

        def in_place(self, other):
            ufunc(self._hidden, inside(other), out=self._hidden)
            return self

        setattr(Array, f"__i{name}__", in_place)


for _name in "add sub mul truediv pow mod floordiv matmul lt le gt ge eq ne and or xor".split():
    binary(_name)
for _name in ("neg", "pos", "abs", "invert"):
    _of = getattr(operator, _name)
    setattr(Array, f"__{_name}__", lambda self, _of=_of: Array(_of(self._hidden)))
for _name, _of in dict(
    bool=bool, float=float, int=int, complex=complex, index=operator.index
).items():
    setattr(Array, f"__{_name}__", lambda self, _of=_of: _of(self._hidden.item()))
for _name in "astype reshape copy max min sum item".split():
    setattr(
        Array,
        _name,
        lambda self, *args, _name=_name, **kwargs: outside(
            getattr(self._hidden, _name)(*inside(args), **inside(kwargs))
        ),
    )
Array.__module__, Array.__name__, Array.__qualname__ = "cupy", "ndarray", "ndarray"


def array(obj, dtype=None, copy=True, **how):
    obj = obj._hidden if isinstance(obj, Array) else obj
    return Array(np.array(obj, dtype, copy=True if copy else None))


def asarray(obj, dtype=None, **how):
    return obj if isinstance(obj, Array) and dtype in (None, obj.dtype) else array(obj, dtype)


class AddAt:
    """`cupy.add`, with its method `at`."""

    __name__ = "add"

    def __call__(self, *args, **kwargs):
        return on_card(np.add)(*args, **kwargs)

    def at(self, out, index, v):
        np.add.at(out._hidden, inside(index), inside(v))


def module(name, source, lacking=()):
    made = types.ModuleType(name)
    for key in dir(source):
        thing = getattr(source, key)
        if key.startswith("_") or key in lacking or isinstance(thing, types.ModuleType):
            continue
        plain = isinstance(thing, type) or not callable(thing)
        setattr(made, key, thing if plain else on_card(thing))
    made.__all__ = [key for key in vars(made) if not key.startswith("_")]
    return made


@contextmanager
def installed():
    "CuPy's name in `sys.modules`, for as long as it lasts."
    from litad.libraries import library_of

    cupy, cuda = module("cupy", np, LACKING), types.ModuleType("cupy.cuda")
    device = types.ModuleType("cupy.cuda.device")
    cuda.Device = device.Device = Device
    cuda.device = device
    linalg = module(
        "cupy.linalg", np.linalg, "diagonal matrix_norm svdvals trace vector_norm vecdot".split()
    )
    fft = module("cupy.fft", np.fft)
    cupy.ndarray, cupy.array, cupy.asarray, cupy.add = Array, array, asarray, AddAt()
    cupy.cuda, cupy.linalg, cupy.fft, cupy.__version__ = cuda, linalg, fft, "14.0"
    cupy.copy = on_card(np.copy)
    cupy.__all__ = [key for key in vars(cupy) if not key.startswith("_")]
    names = {"cupy": cupy, "cupy.cuda": cuda, "cupy.cuda.device": device}
    names |= {"cupy.linalg": linalg, "cupy.fft": fft}
    before = set(sys.modules)
    sys.modules.update(names)
    library_of.cache_clear()
    try:
        yield cupy
    finally:
        for name in {*names, *[n for n in set(sys.modules) - before if "cupy" in n]}:
            sys.modules.pop(name, None)
        library_of.cache_clear()
