"""Processes that hold compiled functions end well, whatever still holds them and whatever still runs."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from litad.engine import available

pytestmark = pytest.mark.skipif(not available(), reason="needs llvmlite")

HEAD = """
import gc, os, sys, threading, time
import numpy as np
import litad
from litad.jit import jit

def loss(x):
    return np.sum(x * x)

def compiled(scale=1.0):
    f = jit(lambda x: np.sum(np.sin(x) * scale))
    f(np.ones(3)), f(np.ones(3))
    return f
"""

WAYS = {
    "a global": "f = compiled()",
    "a global of another module": "import types; m = sys.modules['m'] = types.ModuleType('m'); m.f = compiled()",
    "an attribute of a builtin module": "sys.f = compiled()",
    "deleted": "f = compiled(); del f; gc.collect()",
    "a bound call": "import atexit; sys.g = compiled().bind(np.ones(3)); atexit.register(sys.g)",
    "a thread in a bound call": """
        x = np.linspace(0, 1, 1_000_000)
        g = jit(lambda x: np.sum(np.sin(np.exp(-x * x) + np.cos(x)))).bind(x)
        def work():
            while True: g()
        threading.Thread(target=work, daemon=True).start()
        time.sleep(0.05)
    """,
    "a cycle": "f = compiled(); f.me = f; box = [f]; box.append(box); del f, box",
    "a cycle without collection": "gc.disable(); f = compiled(); f.me = f; del f",
    "a cycle with a class": "K = type('K', (), {}); K.f = compiled(); K.f.k = K; k = K(); k.k = k",
    "called by __del__": """
        class Late:
            def __init__(self): self.f, self.x = compiled(), np.ones(3)
            def __del__(self): self.f(self.x)
        late = Late(); late.me = late
    """,
    "called at exit": "import atexit; f = compiled(); atexit.register(lambda: f(np.ones(3)))",
    "compiled at exit": "import atexit; atexit.register(lambda: compiled(2.0))",
    "compiled at exit for the first time": "import atexit; atexit.register(compiled)",
    "the runtime let go before": """
        import litad.callables as c
        f = compiled(); c._runtime.clear(); c.compiled_type.cache_clear(); gc.collect()
        f(np.ones(3)); del f; gc.collect()
    """,
    "names cleared before": """
        import litad.callables as c, litad.entry as e, litad.engine as g
        f = compiled(); kind = type(f); k = object.__new__
        for module in (c, e, g, litad): module.__dict__.clear()
        del f; gc.collect()
    """,
    "a weak reference with a callback": """
        import weakref
        f = compiled(); r = weakref.ref(f, lambda r: seen.append(1)); seen = []
    """,
    "a thread that calls": """
        f = compiled()
        def work():
            x = np.ones(1000)
            while True: f(x)
        [threading.Thread(target=work, daemon=True).start() for _ in range(3)]
        time.sleep(0.05)
    """,
    "a thread inside a long call": """
        f = jit(lambda x: np.sum(np.sin(np.exp(-x * x) + np.cos(x))))
        x = np.linspace(0, 1, 4_000_000)
        f(x)
        def work():
            while True: f(x)
        [threading.Thread(target=work, daemon=True).start() for _ in range(2)]
        time.sleep(0.05)
    """,
    "a thread that compiles": """
        def work():
            k = 0
            while True:
                k += 1
                jit(lambda x: np.sum(np.sin(x)) * k)(np.ones(3 + k))
        [threading.Thread(target=work, daemon=True).start() for _ in range(2)]
        time.sleep(0.5)
    """,
    "a thread that goes on after the main program": """
        f = compiled()
        def work():
            time.sleep(0.1)
            for k in range(5): f(np.ones(k)), compiled(k)(np.ones(2))
        threading.Thread(target=work).start()
    """,
    "sys.exit in a compiled function": """
        def stop(x):
            sys.exit(0)
        jit(stop)(1.0)
    """,
}


def ended(body: str) -> subprocess.CompletedProcess:
    program = HEAD + textwrap.dedent(body)
    command = [sys.executable, "-X", "faulthandler", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.parametrize("way", WAYS)
def test_the_end(way):
    for _ in range(3 if "thread" in way else 1):
        done = ended(WAYS[way])
        assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("busy", ["nothing", "calls", "compiles"])
def test_forked_children(busy):
    work = {
        "nothing": "",
        "calls": "f(x)",
        "compiles": "jit(lambda x: np.sum(np.sin(x)) * 2)(np.ones(3 + int(1e6 * time.time()) % 1000))",
    }[busy]
    body = f"""
        import warnings; warnings.simplefilter("ignore")
        f, x = compiled(), np.ones(1000)
        def work():
            while {bool(work)}: {work or "pass"}
        threading.Thread(target=work, daemon=True).start()
        for k in range(8):
            time.sleep(0.02)
            child = os.fork()
            if child == 0:
                ok = abs(f(np.ones(3)) - 3 * np.sin(1)) < 1e-12 and compiled(k)(np.ones(k)) is not None
                sys.exit(0 if ok else 7) if k % 2 else os._exit(0 if ok else 7)
            assert os.waitpid(child, 0)[1] == 0, k
    """
    done = ended(body)
    assert done.returncode == 0, done.stderr
