"""Turns rule functions into compiled runners, cached on disk under a name that changes with any source they compile.

A runner module holds imports of the rule functions and the text of a loop (:mod:`prefsim.engines.bandit_loop`,
:mod:`prefsim.engines.game_loops`). Its name is a hash of all the sources involved, because Numba's own file cache looks
at one file only and would not notice an edited rule; and a rule handed over as an argument would never be cached at all.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

import numba
import numpy as np
from numba.core.errors import NumbaError
from numba.extending import register_jitable
from numpy.typing import NDArray

from prefsim import bandit, noise, ops, reductions
from prefsim.engines import lane_type, numba_ops


class CompileError(TypeError):
    """A rule file that Numba cannot compile."""


OPTIONS = {"forceinline": True, "error_model": "numpy", "_nrt": False}
"""How functions of bandit rules compile. They change arrays in place and allocate none, so they can do without Numba's
runtime, which would count references to every array at every call, atomically: 2-3 times slower."""

ALLOCATING = {**OPTIONS, "_nrt": True}
"""How functions compile that make arrays: rules of solvers, and what runs once a run."""

INNER = "no_cpython_wrapper=True, no_cfunc_wrapper=True"
"""Options, as text, of functions that only compiled code calls: wrappers for Python would be compiled for nothing."""


class Target(NamedTuple):
    """What a runner's text is compiled for: an import, and the lines above its helpers, its loop and its entry."""

    imports: str
    helper: str
    loop: str
    entry: str


CPU = Target(
    "from numba import njit",
    f"@njit(forceinline=True, {INNER})",
    f"@njit(nogil=True, error_model='numpy', {INNER})",
    "@njit(nogil=True, cache=True, error_model='numpy')",
)

_registered: set[int] = set()


@cache
def cache_folder() -> Path:
    """Folder of compiled runners: ``PREFSIM_CACHE``, or ``~/.cache/prefsim``, or a temporary one if not writable."""
    folder = Path(os.environ.get("PREFSIM_CACHE") or Path.home() / ".cache" / "prefsim")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="prefsim-"))


def register(function: FunctionType, options: dict[str, Any] = OPTIONS) -> None:
    """Let compiled code call a Python function, compiled from its own text; the first registration counts.

    A file of long functions that call each other says ``INLINE = False``: put into each other they compile for minutes.
    """
    if id(function) not in _registered:
        _registered.add(id(function))
        if not function.__globals__.get("INLINE", True):
            options = {**options, "forceinline": False}
        register_jitable(**(ALLOCATING if function is noise.open_stream else options))(function)


def _collect(
    function: FunctionType, options: dict[str, Any], sources: dict[str, str], constants: list[str], seen: set[FunctionType]
) -> None:
    """Register `function` and every Python function it reaches, and gather what they are compiled from.

    Numba freezes the globals of what it compiles, so constants count as sources, wherever they were defined.
    """
    # Names count whether they are looked up as globals or as fields, so that the search may come by again.
    if function in numba_ops.ROWS or function in seen:
        return
    seen.add(function)
    register(function, options)
    sources[function.__module__] = inspect.getsource(sys.modules[function.__module__])
    names = _names(function.__code__)
    reached = {name: function.__globals__[name] for name in names if name in function.__globals__}
    for module in [value for value in reached.values() if isinstance(value, ModuleType)]:
        if module.__name__.split(".")[0] not in (*sys.stdlib_module_names, "numpy", "numba"):
            reached.update({f"{module.__name__}.{n}": getattr(module, n) for n in names if hasattr(module, n)})
    for name, value in reached.items():
        if isinstance(value, FunctionType):
            _collect(value, options, sources, constants, seen)
        elif isinstance(value, np.ndarray):
            constants.append(f"{function.__module__}.{name}={value.dtype} {value.shape} {value.tobytes().hex()}")
        elif isinstance(value, (bool, int, float, str, tuple, np.generic)):
            constants.append(f"{function.__module__}.{name}={value!r}")


def _names(code: CodeType) -> set[str]:
    """Names a function looks up, in the functions defined inside it too."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names


def compile_runner(
    loop: Callable[..., Any],
    header: str,
    names: dict[str, Any],
    entry: str,
    options: dict[str, Any] = OPTIONS,
    target: Target = CPU,
) -> Any:
    """Write and import the runner module: `header`, the text of `loop`, and `entry`, all compiled by Numba.

    Parameters
    ----------
    loop : function
        One of :mod:`prefsim.engines.bandit_loop` or :mod:`prefsim.engines.game_loops`.
    header : str
        Lines before the loop, defining helpers the loop needs.
    names : dict
        Objects the text refers to by name: functions, classes, constants.
    entry : str
        Text of ``def run(...)`` that calls the loop; its compiled code is cached on disk.
    options : dict
        How the functions in `names` compile.
    target : Target
        What the text is compiled for.
    """
    modules = (noise, ops, sys.modules[loop.__module__], numba_ops, lane_type, bandit, reductions)
    sources = {module.__name__: inspect.getsource(module) for module in modules}
    constants: list[str] = []
    seen: set[FunctionType] = set()
    imports = []
    for name, value in names.items():
        if isinstance(value, FunctionType):
            _collect(value, options, sources, constants, seen)
        if hasattr(value, "__module__"):  # a function, a class or one of Numba's intrinsics
            sources.setdefault(value.__module__, inspect.getsource(sys.modules[value.__module__]))
            imports.append(f"from {value.__module__} import {value.__name__} as {name}")
        else:
            imports.append(f"{name} = {value!r}")
    text = "\n".join(
        [
            "# Written by prefsim.engines.numba; its name is a hash of everything it compiles.",
            "import numpy as np",
            target.imports,
            *imports,
            header,
            f"{target.loop}\n{inspect.getsource(loop)}",
            f"{target.entry}\n{entry}",
        ]
    )
    compiled_from = [f"{name}\0{sources[name]}" for name in sorted(sources)]
    material = "\0".join([numba.__version__, repr(options), text, *sorted(constants), *compiled_from])
    return _import(text, hashlib.blake2b(material.encode(), digest_size=12).hexdigest())


@cache
def _import(text: str, digest: str) -> Any:
    name = f"prefsim_runner_{digest}"
    file = cache_folder() / f"{name}.py"
    if not file.exists():
        handle, temporary = tempfile.mkstemp(dir=file.parent, suffix=".tmp")
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
        os.replace(temporary, file)  # whole or not at all, whoever else writes it
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    sys.modules[name] = module
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module.run


def literal(hyper: type, values: str) -> str:
    """Text that rebuilds `hyper` from floats, restoring integers and booleans."""
    wrap = {bool: "{} != 0.0", int: "int({})", float: "{}"}
    fields = [wrap[type(d)].format(f"{values}[{k}]") for k, d in enumerate(hyper._field_defaults.values())]  # type: ignore[attr-defined]
    return f"Hyper({', '.join(fields)})"


def as_floats(hyper: Any) -> NDArray[np.float64]:
    """Hyperparameters as the numbers that :func:`literal` reads."""
    return np.array([float(value) for value in hyper])


@contextmanager
def explained(rule: ModuleType, advice: str) -> Iterator[None]:
    """Turn Numba's complaint about a rule file into a sentence."""
    try:
        yield
    except NumbaError as error:
        raise CompileError(
            f"{rule.__name__} does not compile. {advice}; engine='reference' runs it as it stands. "
            f"Numba says: {_reason(error).rstrip('.')}."
        ) from error


def _reason(error: Exception) -> str:
    """The line of Numba's long message that says what was wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "Error" in line or "NRT" in line or line.startswith("No implementation")]
    return (telling or lines)[-1]
