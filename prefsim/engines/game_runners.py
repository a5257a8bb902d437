"""Compiled runners of preference games: the kernel of traced rules, and loops around the bodies of the others."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

from prefsim import feedback, noise, ops
from prefsim.engines import game_loops
from prefsim.engines.compiler import ALLOCATING, INNER, compile_runner, literal

_ORACLE = {"open_stream": noise.open_stream, "seek": noise.seek, "estimate": feedback.estimate}


def _make_hyper(solver: ModuleType) -> str:
    return f"@njit(forceinline=True, {INNER})\ndef make_hyper(hyper):\n    return {literal(solver.Hyper, 'hyper')}\n\n"


@cache
def body_runner(solver: ModuleType) -> Any:
    """Runner that calls a solver's own compiled functions, for rules that cannot be traced."""
    memory = {name: getattr(solver, name) for name in game_loops.MEMORY if hasattr(solver, name)}
    compute = [f"    new_{name} = log_normalize({name}(hyper, iterate, gain))\n" for name in memory]
    store = [f"    iterate.{name}[:] = new_{name}\n" for name in memory]
    header = (
        f"{_make_hyper(solver)}@njit({INNER})\ndef remember(hyper, iterate, gain):\n{''.join(compute + store) or '    pass'}\n"
    )
    arguments = "hypers, beta, preference, bank, total, distance, oracle, start, stop, first, last"
    entry = f"def run({arguments}):\n    play_game({arguments})\n"
    names = {
        "Hyper": solver.Hyper,
        "Iterate": game_loops.Iterate,
        "PHASES": getattr(solver, "PHASES", 1),
        "opponent": solver.opponent,
        "target": solver.target,
        "win_rates": ops.win_rates,
        "log_normalize": ops.log_normalize,
        **_ORACLE,
        **memory,
    }
    return compile_runner(game_loops.play_game, header, names, entry, ALLOCATING)


@cache
def step_runner(solver: ModuleType) -> Any:
    """Runner of a solver that gives ``step``."""
    fields = solver.State._fields
    header = (
        f"{_make_hyper(solver)}"
        f"@njit({INNER})\ndef unpack(bank):\n    return State({', '.join(f'bank[{k}]' for k in range(len(fields)))})\n\n"
        f"@njit({INNER})\ndef pack(state, bank):\n"
        + "".join(f"    new_{name} = state.{name}.copy()\n" for name in fields)
        + "".join(f"    bank[{k}] = new_{name}\n" for k, name in enumerate(fields))
    )
    arguments = "hypers, beta, preference, reference, bank, total, distance, start, stop, first, last"
    entry = f"def run({arguments}):\n    step_game({arguments})\n"
    names = {"Hyper": solver.Hyper, "State": solver.State, "Game": game_loops.Game, "step": solver.step}
    return compile_runner(game_loops.step_game, header, names, entry, ALLOCATING)


@cache
def fused_runner(loop: Callable[..., None], arguments: str) -> Any:
    """Runner of a loop of :mod:`prefsim.engines.fused` or ``fused_lanes``, the same for every rule that can be traced."""
    names = {name: value for name, value in loop.__globals__.items() if name in loop.__code__.co_names}
    names.pop("np", None)
    return compile_runner(loop, "", names, f"def run({arguments}):\n    {loop.__name__}({arguments})\n")
