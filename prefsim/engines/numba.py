"""The compiled engine: the same rule files and the same loops, through Numba.

Runners release the GIL and work on ranges of runs, so threads share the work and no split of runs changes a number.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numba.core.errors import NumbaError
from numpy.typing import NDArray

from prefsim import bandit, feedback, noise, ops, trace
from prefsim.engines import bandit_loop, game_loops, reference
from prefsim.engines.compiler import ALLOCATING, INNER, OPTIONS, CompileError, compile_runner
from prefsim.engines.reference import EXACT
from prefsim.engines.threads import parallel


def _literal(hyper: type, values: str) -> str:
    """Text that rebuilds `hyper` from floats, restoring integers and booleans."""
    wrap = {bool: "{} != 0.0", int: "int({})", float: "{}"}
    fields = [wrap[type(d)].format(f"{values}[{k}]") for k, d in enumerate(hyper._field_defaults.values())]  # type: ignore[attr-defined]
    return f"Hyper({', '.join(fields)})"


def _floats(hyper: Any) -> NDArray[np.float64]:
    return np.array([float(value) for value in hyper])


_ORACLE = {"open_stream": noise.open_stream, "seek": noise.seek, "estimate": feedback.estimate}
_NOISE = {"open_stream": noise.open_stream, "seek": noise.seek, "uniform": noise.uniform}


def _allocation(rule: Any) -> str:
    """Text that makes the arrays of a rule's ``State``; sizes as in :func:`prefsim.engines.reference.allocate`."""
    types = {"float64": "np.float64", "int64": "np.int64"}
    fields = []
    for kind, shape in rule.State._field_defaults.values():
        fields.append(f"np.zeros(({', '.join(map(_length, shape))},), {types[kind]})")
    return ", ".join(fields)


def _length(axis: str | int) -> str:
    """Text of the length of an axis."""
    if not isinstance(axis, str):
        return str(axis)
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
        f"{inline}def allocate(known):\n    return State({_allocation(policy)})\n\n"
        f"{inline}def describe(known):\n    return Problem({', '.join(fresh)})\n\n"
    )
    if hasattr(environment, "State"):
        names["World"] = environment.State
        header += f"{inline}def allocate_world(truth, known):\n    return World({_allocation(environment)})\n\n"
    else:
        header += f"{inline}def allocate_world(truth, known):\n    return ()\n\n"
    for bound in ("report", "reveal"):
        # Functions with free names of their own belong into the runner's text, and so do those that hand an array on: what
        # compiles without Numba's runtime does not count the reference.
        if names[bound] in (bandit_loop.report, bandit_loop.reveal_some, bandit_loop.reveal_all):
            function = names.pop(bound)
            header += inline + inspect.getsource(function).replace(f"def {function.__name__}(", f"def {bound}(") + "\n"
    worlds = ", ".join(f"world{k}" for k in range(len(environment.Truth._fields)))
    known = ", ".join(f"known{k}" for k in range(len(bandit.Problem._fields)))
    entry = (
        f"def run(hyper, {worlds}, {known}, keys, instance, first, last, record, out, halt):\n"
        f"    play_bandit({_literal(policy.Hyper, 'hyper')}, Truth({worlds}), Problem({known}),\n"
        "                keys, instance, first, last, record, out, halt)\n"
    )
    options = ALLOCATING if getattr(policy, "ALLOCATES", False) else OPTIONS
    return compile_runner(bandit_loop.play_bandit, header, names, entry, options)


@contextmanager
def _explained(rule: ModuleType, advice: str) -> Iterator[None]:
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


def play_bandit(
    policy: ModuleType, environment: ModuleType, counted: bool = False, kind: str = ""
) -> Callable[..., None]:
    """Compiled counterpart of :func:`prefsim.engines.reference.play_bandit`, same arguments."""
    run = _bandit_runner(policy, environment, counted, kind or bandit.kinds(environment)[0])

    def play(hyper: Any, truth: Any, known: bandit.Problem, *rest: Any) -> None:
        with _explained(
            policy,
            "Write init, act and learn with scalars, loops and branches; if they must make arrays (array methods such "
            "as .max() do), say ALLOCATES = True in the file, which costs speed",
        ):
            run(_floats(hyper), *truth, *known, *rest)

    return play


def _make_hyper(solver: ModuleType) -> str:
    return f"@njit(forceinline=True, {INNER})\ndef make_hyper(hyper):\n    return {_literal(solver.Hyper, 'hyper')}\n\n"


@cache
def _body_runner(solver: ModuleType) -> Any:
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
def _fused_runner() -> Any:
    """Runner of the fused kernel, the same for every rule that can be traced."""
    arguments = "opponent, anchor, slope, memory, payoff, bank, total, distance, oracle, start, stop, first, last"
    names = {**_ORACLE, "mix": game_loops.mix, "log_normalize_row": game_loops.log_normalize_row}
    return compile_runner(game_loops.fuse_game, "", names, f"def run({arguments}):\n    fuse_game({arguments})\n")


@cache
def _step_runner(solver: ModuleType) -> Any:
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


SOLVER_ADVICE = "Write the rule with prefsim.ops and arithmetic on log-policies, which mean the same on one row"

SCHEDULE_CHUNK = 1024
"""Iterations whose coefficients are tabulated at a time, for rules that depend on the iteration number."""


class GamePlayer(reference.GamePlayer):
    """Compiled counterpart of :class:`prefsim.engines.reference.GamePlayer`.

    A rule that can be traced runs through one fused kernel fed with its coefficients, any other through its compiled
    body; `kernel` says which (``"fused"`` or ``"body"``).
    """

    def __init__(  # type: ignore[no-untyped-def]
        self, solver, hypers, beta, preference, reference, start, average, oracle=EXACT, *, distance=False, kernel="auto"
    ):
        super().__init__(solver, hypers, beta, preference, reference, start, average, oracle, distance=distance)
        instances, runs, n = start.shape
        named = np.stack([self.policies[name] for name in game_loops.POLICIES], axis=2)
        self._bank = named.reshape(instances * runs, -1, n)
        shaped = self._bank.reshape(instances, runs, -1, n)
        self.policies = {name: shaped[:, :, k] for k, name in enumerate(game_loops.POLICIES)}
        self._total = self.total.reshape(-1, n) if self.total is not None else np.empty((0, n))
        self._distance = self.distance.reshape(-1) if self.distance is not None else np.empty(0)
        self._hypers = np.array([_floats(h) for h in hypers]).reshape(instances, -1)
        self._beta, self._preference, self._payoff = beta, preference, preference - 0.5
        self._scheduled = False
        self.kernel = kernel
        if kernel != "body":
            try:
                self._table, self._scheduled = self._trace(0, 1)
                self.kernel = "fused"
            except trace.Untraceable:
                if kernel == "fused":
                    raise
                self.kernel = "body"

    def _trace(self, start: int, stop: int) -> tuple[trace.Coefficients, bool]:
        hyper = self.hyper
        flat = type(hyper)(*(v[:, 0, 0] if isinstance(v, np.ndarray) else v for v in hyper))
        return trace.trace(self.solver, flat, self._beta, np.arange(start, stop))

    def advance(self, stop: int) -> None:
        """Iterate up to iteration `stop`."""
        while self.t < stop:
            upto = min(stop, self.t + SCHEDULE_CHUNK) if self._scheduled else stop
            self._advance(upto)
            self.t = upto

    def _advance(self, stop: int) -> None:
        state = (self._bank, self._total, self._distance, tuple(self.oracle), self.t, stop)
        if self.kernel == "body":
            run = _body_runner(self.solver)

            def work(first: int, last: int) -> None:
                with _explained(self.solver, SOLVER_ADVICE):
                    run(self._hypers, self._beta, self._preference, *state, first, last)
        else:
            table = self._trace(self.t, stop)[0] if self._scheduled else self._table
            fused = _fused_runner()

            def work(first: int, last: int) -> None:
                fused(*table, self._payoff, *state, first, last)

        _over_rows(work, self._bank, stop - self.t)


class StepPlayer(reference.StepPlayer):
    """Compiled counterpart of :class:`prefsim.engines.reference.StepPlayer`."""

    def __init__(self, solver, hypers, beta, preference, reference, start, average, *, distance=False):  # type: ignore[no-untyped-def]
        super().__init__(solver, hypers, beta, preference, reference, start, average, distance=distance)
        instances, runs, n = start.shape
        self._bank = np.stack(self.state, axis=2).reshape(instances * runs, -1, n)
        shaped = self._bank.reshape(instances, runs, -1, n)
        self.state = solver.State(*(shaped[:, :, k] for k in range(shaped.shape[2])))
        self._total = self.total.reshape(-1, n) if self.total is not None else np.empty((0, n))
        self._distance = self.distance.reshape(-1) if self.distance is not None else np.empty(0)
        hyper_values = np.array([_floats(h) for h in hypers]).reshape(instances, -1)
        self._games = (hyper_values, beta, preference, reference)

    def advance(self, stop: int) -> None:
        """Iterate up to iteration `stop`."""
        run = _step_runner(self.solver)
        start = self.t

        def work(first: int, last: int) -> None:
            with _explained(self.solver, SOLVER_ADVICE):
                run(*self._games, self._bank, self._total, self._distance, start, stop, first, last)

        _over_rows(work, self._bank, stop - start)
        self.t = stop


def _over_rows(work: Callable[[int, int], None], bank: NDArray[np.float64], iterations: int) -> None:
    """Run the rows of a bank, on all threads if that is worth the 100 microseconds a thread pool costs."""
    rows, _, n = bank.shape
    if rows * n * n * iterations < 2_000_000:
        work(0, rows)
    else:
        parallel(lambda first, last, halt: work(first, last), rows)


def play_game(solver: ModuleType, *arguments: Any, **options: Any) -> GamePlayer | StepPlayer:
    """The player for a solver's kind of rule; arguments as in :class:`prefsim.engines.reference.GamePlayer`."""
    return (StepPlayer if hasattr(solver, "step") else GamePlayer)(solver, *arguments, **options)
