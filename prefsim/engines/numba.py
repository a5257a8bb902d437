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
from prefsim.engines import bandit_loop, lockstep, reference
from prefsim.engines.compiler import ALLOCATING, CPU, OPTIONS, Target, as_floats, compile_runner, explained, literal
from prefsim.engines.lockstep import group
from prefsim.engines.numba_games import play_games
from prefsim.engines.threads import parallel

__all__ = ["group", "parallel", "play_bandit", "play_games"]

_OWN_TEXT = (
    bandit_loop.desk, bandit_loop.report, bandit_loop.reveal_some, bandit_loop.reveal_all, bandit_loop.reveal_report,
)
_NOISE = {"point": noise.point, "seek": noise.seek, "uniform": noise.uniform}


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


def bound_names(policy: ModuleType, environment: ModuleType, counted: bool, kind: str) -> dict[str, Any]:
    """What the text of a runner refers to by name, but for what allocates."""
    names = {
        **_NOISE,
        **reference.bandit_names(policy, environment, counted, kind),
        "Hyper": policy.Hyper,
        "State": policy.State,
        "Truth": environment.Truth,
        "Problem": bandit.Problem,
    }
    return {**names, "World": environment.State} if hasattr(environment, "State") else names


def helpers(allocation: dict[str, str], names: dict[str, Any], target: Target) -> str:
    """Text of what a runner defines above its loop; functions whose text is taken leave `names`.

    `allocation` gives what the loop's functions that allocate return, by their ``def``.
    """
    texts = [f"def {head}:\n    return {value}\n" for head, value in allocation.items()]
    for bound in ("desk", "report", "reveal"):
        # Functions with free names of their own belong into the runner's text, and so do those that hand an array on: what
        # compiles without Numba's runtime does not count the reference.
        if names.get(bound) in _OWN_TEXT:
            function = names.pop(bound)
            texts.append(inspect.getsource(function).replace(f"def {function.__name__}(", f"def {bound}("))
    return "".join(f"{target.helper}\n{text}\n" for text in texts)


@cache
def _bandit_runner(policy: ModuleType, environment: ModuleType, counted: bool, kind: str, together: bool) -> Any:
    names = {**bound_names(policy, environment, counted, kind), "desk": bandit_loop.desk}
    features = "np.zeros(known.features.shape)"
    each, runs, records = "", "first, last", "out"
    if together:
        names |= lockstep.NAMES
        features = "known.features"  # which no such environment changes
        # What the loop takes for a run is the first of a group.
        each = f"    for run in range(first, last, {lockstep.WIDTH}):\n        if halt[0] != 0:\n            return\n    "
        runs, records = "run, run + 1", "Records(out[run - first:], last - run)"
    fresh = [*(f"known.{name}" for name in bandit.Problem._fields[:-1]), features]
    allocation = {
        "allocate(known)": f"State({_allocation(policy, names)})",
        "describe(known)": f"Problem({', '.join(fresh)})",
        "allocate_world(truth, known)": f"World({_allocation(environment, names)})" if "World" in names else "()",
    }
    header = (lockstep.HEADER if together else "") + helpers(allocation, names, CPU)
    worlds = ", ".join(f"world{k}" for k in range(len(environment.Truth._fields)))
    known = ", ".join(f"known{k}" for k in range(len(bandit.Problem._fields)))
    entry = (
        f"def run(hyper, {worlds}, {known}, keys, instance, first, last, record, out, halt):\n{each}"
        f"    play_bandit({literal(policy.Hyper, 'hyper')}, Truth({worlds}), Problem({known}),\n"
        f"                keys, instance, {runs}, record, {records}, halt)\n"
    )
    options = ALLOCATING if getattr(policy, "ALLOCATES", False) else OPTIONS
    return compile_runner(bandit_loop.play_bandit, header, names, entry, options)


def play_bandit(
    policy: ModuleType, environment: ModuleType, counted: bool = False, kind: str = "", group: int = 1
) -> Callable[..., None]:
    """Compiled counterpart of :func:`prefsim.engines.reference.play_bandit`, same arguments; `group` runs side by side."""
    run = _bandit_runner(policy, environment, counted, kind or bandit.kinds(environment)[0], group > 1)
    advice = (
        "Leave LOCKSTEP = True out unless act and learn, or feedback and regrets, do the same whatever they saw, with "
        "arithmetic that lanes have"
        if group > 1
        else "Write init, act and learn with scalars, loops and branches; if they must make arrays (array methods such "
        "as .max() do), say ALLOCATES = True in the file, which costs speed"
    )

    def play(hyper: Any, truth: Any, known: bandit.Problem, *rest: Any) -> None:
        with explained(policy, advice):
            run(as_floats(hyper), *truth, *known, *rest)

    return play
