"""The C in limits.c as a Python module, built with gcc when first asked for."""

import functools
import hashlib
import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).with_name("limits.c")
FLAGS = ["-O3", "-march=native", "-ffast-math", "-mprefer-vector-width=512", "-shared", "-fPIC"]


@functools.cache
def limits():
    "The functions of limits.c; an error where there is no gcc."
    version = f"{sys.version}{np.__version__}{FLAGS}"
    mark = hashlib.sha1(SOURCE.read_bytes() + version.encode()).hexdigest()[:12]
    built = SOURCE.parent / "__pycache__" / f"limits-{mark}.so"
    if not built.exists():
        built.parent.mkdir(exist_ok=True)
        headers = [f"-I{sysconfig.get_paths()['include']}", f"-I{np.get_include()}"]
        part = f"{built}.{os.getpid()}"
        command = ["gcc", *FLAGS, *headers, str(SOURCE), "-o", part, "-lmvec", "-lm"]
        subprocess.run(command, check=True)
        os.replace(part, built)
    found = importlib.util.spec_from_file_location("limits", built)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def limits_with_blas():
    "The same, with the matrix products of SciPy's BLAS."
    from litad.engine import blas

    module = limits()
    module.use_blas(blas("dgemm_"), blas("sgemm_"), blas("dsyrk_"))
    return module
