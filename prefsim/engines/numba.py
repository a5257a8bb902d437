"""The compiled engine: the same rule files and the same loops, through Numba.

Runners release the GIL and work on ranges of runs, so threads share the work and no split of runs changes a number.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

from prefsim import bandit, noise
from prefsim.engines import bandit_loop, reference
from prefsim.engines.compiler import ALLOCATING, INNER, OPTIONS, as_floats, compile_runner, explained, literal
from prefsim.engines.numba_games import play_games
from prefsim.engines.threads import parallel

__all__ = ["parallel", "play_bandit", "play_games"]

_NOISE = {"open_stream": noise.open_stream, "seek": noise.seek, "uniform": noise.uniform}


def _allocation(rule: Any, names: dict[str, Any]) -> str:
    """Text that makes the arrays of a rule's ``State``; sizes as in :func:`prefsim.engines.reference.allocate`.

    Functions it calls are added to `names`.
    """
    types = {"float64": "np.float64", "int64": "np.int64"}
    own = {axis: f"{rule.State.__module__.replace('.', '_')}_{axis}" for axis in reference.axes(rule)}
    names.update({own[axis]: function for axis, function in reference.axes(rule).items()})
    fields = []
    for kind, shape in rule.State._field_defaults.values():
        fields.append(f"np.zeros(({', '.join(_length(axis, own) for axis in shape)},), {types[kind]})")
    return ", ".join(fields)


def _length(axis: str | int, own: dict[str, str]) -> str:
    """Text of the length of an axis; `own` names the functions of the file that give one."""
    if not isinstance(axis, str):
        return str(axis)
    if axis in own:
        return f"{own[axis]}(known)"
    return f"known.{axis}" if axis in bandit.Problem._fields else f"len(truth.{axis})"


@cache
def _bandit_runner(policy: ModuleType, environment: ModuleType, counted: bool, kind: str) -> Any:
    names = {
        **_NOISE,
        **reference.bandit_names(policy, environment, counted, kind),
        "Hyper": policy.Hyper,
        "State": policy.State,
        "Truth": environment.Truth,
        "Problem": bandit.Problem,
    }
    inline = f"@njit(forceinline=True, {INNER})\n"
    fresh = [*(f"known.{name}" for name in bandit.Problem._fields[:-1]), "np.zeros(known.features.shape)"]
    header = (
        f"{inline}def allocate(known):\n    return State({_allocation(policy, names)})\n\n"
        f"{inline}def describe(known):\n    return Problem({', '.join(fresh)})\n\n"
    )
    if hasattr(environment, "State"):
        names["World"] = environment.State
        header += f"{inline}def allocate_world(truth, known):\n    return World({_allocation(environment, names)})\n\n"
    else:
        header += f"{inline}def allocate_world(truth, known):\n    return ()\n\n"
    for bound in ("report", "reveal"):
        # Functions with free names of their own belong into the runner's text, and so do those that hand an array on: what
        # compiles without Numba's runtime does not count the reference.
        own_text = (bandit_loop.report, bandit_loop.reveal_some, bandit_loop.reveal_all, bandit_loop.reveal_report)
        if names[bound] in own_text:
            function = names.pop(bound)
            header += inline + inspect.getsource(function).replace(f"def {function.__name__}(", f"def {bound}(") + "\n"
    worlds = ", ".join(f"world{k}" for k in range(len(environment.Truth._fields)))
    known = ", ".join(f"known{k}" for k in range(len(bandit.Problem._fields)))
    entry = (
        f"def run(hyper, {worlds}, {known}, keys, instance, first, last, record, out, halt):\n"
        f"    play_bandit({literal(policy.Hyper, 'hyper')}, Truth({worlds}), Problem({known}),\n"
        "                keys, instance, first, last, record, out, halt)\n"
    )
    options = ALLOCATING if getattr(policy, "ALLOCATES", False) else OPTIONS
    return compile_runner(bandit_loop.play_bandit, header, names, entry, options)


def play_bandit(
    policy: ModuleType, environment: ModuleType, counted: bool = False, kind: str = ""
) -> Callable[..., None]:
    """Compiled counterpart of :func:`prefsim.engines.reference.play_bandit`, same arguments."""
    run = _bandit_runner(policy, environment, counted, kind or bandit.kinds(environment)[0])

    def play(hyper: Any, truth: Any, known: bandit.Problem, *rest: Any) -> None:
        with explained(
            policy,
            "Write init, act and learn with scalars, loops and branches; if they must make arrays (array methods such "
            "as .max() do), say ALLOCATES = True in the file, which costs speed",
        ):
            run(as_floats(hyper), *truth, *known, *rest)

    return play
