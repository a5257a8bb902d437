"""Players of preference games, compiled: traced rules through the fused kernel, others through their own bodies.

Runners release the GIL and work on ranges of rows, so threads share the work and no split of rows changes a number.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefsim import trace
from prefsim.engines import fused, fused_lanes, lanes, reference
from prefsim.engines.compiler import as_floats, explained
from prefsim.engines.game_runners import body_runner, fused_runner, step_runner
from prefsim.engines.reference import EXACT
from prefsim.engines.threads import parallel, threads

Floats = NDArray[np.float64]

SIDE_BY_SIDE = 24
"""Largest game that is played eight at a time, a game a vector lane; beyond, the matrices of eight leave the cache."""

TOGETHER = 8
"""Policies on one matrix from which their gains are one matrix product, for games beyond ``SIDE_BY_SIDE``."""

SCHEDULED = 32_768
"""Iterations times games whose coefficients are tabulated at a time, for rules that depend on the iteration number."""

SOLVER_ADVICE = "Write the rule with prefsim.ops and arithmetic on log-policies, which mean the same on one row"

_TABLES = "shape, opponent, anchor, slope, memory, known"
_ROWS = f"{_TABLES}, payoff, which, bank, total, distance"


class BodyPlayer(reference.GamePlayer):
    """Compiled counterpart of :class:`prefsim.engines.reference.GamePlayer`, calling the rule's own functions."""

    def __init__(self, solver, hypers, beta, preference, reference, start, average, oracle=EXACT, *, distance=False):  # type: ignore[no-untyped-def]
        super().__init__(solver, hypers, beta, preference, reference, start, average, oracle, distance=distance)
        self._bank = _lay_out(list(self.policies.values()))
        self.policies = dict(zip(self.policies, _views(self._bank, start.shape), strict=True))
        self._total, self._distance = _sums(self)
        self._games = (_tabulate(hypers), beta, preference)

    def advance(self, stop: int) -> None:
        """Iterate up to iteration `stop`."""
        run = body_runner(self.solver)
        state = (self._bank, self._total, self._distance, tuple(self.oracle), self.t, stop)

        def work(first: int, last: int) -> None:
            with explained(self.solver, SOLVER_ADVICE):
                run(*self._games, *state, first, last)

        _over_rows(work, self._bank, stop - self.t)
        self.t = stop


class FusedPlayer(reference.GamePlayer):
    """Counterpart of :class:`prefsim.engines.reference.GamePlayer` fed with the rule's coefficients.

    Small games are played eight side by side (sixteen in float32); many policies on one large matrix (runs of a game, or
    games of a batch that share it) as one matrix product an iteration; other games a row at a time.

    Parameters
    ----------
    copies : int
        How often the batch is played, side by side: `hypers`, `beta`, `reference` and `start` are that many times as long
        as `preference`.

    Raises
    ------
    trace.Untraceable
        If the rule has no coefficients.
    """

    def __init__(  # type: ignore[no-untyped-def]
        self, solver, hypers, beta, preference, reference, start, average, oracle=EXACT, *, copies=1, **options
    ):
        super().__init__(solver, hypers, beta, preference, reference, start, average, oracle, **options)
        precision = options.get("precision", "float64")
        self._columns, self._beta, self._precision = trace.columns(hypers), beta, precision
        self._table, self._scheduled = self._trace(0, 1)
        shared = len(preference) > 1 and preference.strides[0] == 0
        self._payoff = lanes.pad(((preference[:1] if shared else preference) - 0.5).astype(precision, copy=False))
        played = np.zeros(len(preference), int) if shared else np.arange(len(preference))
        self._which = np.tile(np.repeat(played, start.shape[1]), copies)
        self._n = start.shape[2]
        probabilities = np.exp(start).astype(precision, copy=False)
        self._bank = lanes.pad(_lay_out([*self.policies.values(), probabilities, probabilities]))
        named = self._bank[:, : fused.NAMED, : self._n]
        self.policies = dict(zip(self.policies, _views(named, start.shape), strict=True))
        self._total, self._distance = _sums(self)

    def _trace(self, start: int, stop: int) -> tuple[tuple[Any, ...], bool]:
        table, scheduled = trace.trace(self.solver, self._columns, self._beta, np.arange(start, stop))
        weights = table.opponent
        single = (weights.max(axis=-1) == 1.0) & ((weights != 0.0).sum(axis=-1) == 1)
        shape = (*weights.shape[:3], table.memory.shape[2])
        flat = [part.reshape(-1, part.shape[-1]) for part in (weights, table.anchor, table.slope[..., None], table.memory)]
        opponent, anchor, slope, memory = (part.astype(self._precision, copy=False) for part in flat)
        known = np.where(single, weights.argmax(axis=-1), -1)
        return (shape, opponent, anchor, slope.reshape(-1), memory, known.reshape(-1)), scheduled

    def advance(self, stop: int) -> None:
        """Iterate up to iteration `stop`."""
        together = self._n > SIDE_BY_SIDE and len(self._bank) >= TOGETHER * len(self._payoff)
        while self.t < stop:
            upto = min(stop, self.t + max(1, SCHEDULED // len(self._beta))) if self._scheduled else stop
            tables = self._trace(self.t, upto)[0] if self._scheduled else self._table
            if together and self.oracle.kind == 0:
                self._product(tables, upto)
            else:
                self._rows(tables, upto)
            self.t = upto

    def _rows(self, tables: tuple[Any, ...], stop: int) -> None:
        given = (*tables, self._payoff, self._which, self._bank, self._total, self._distance)
        exact = self.oracle.kind == 0
        rows = fused_runner(fused.fuse_rows, f"{_ROWS}, oracle, start, stop, first, last")
        many = fused_runner(fused_lanes.fuse_lanes, f"{_ROWS}, start, stop, first, last") if exact else None

        def work(first: int, last: int) -> None:
            if many and self._n <= SIDE_BY_SIDE and last - first > 1:
                many(*given, self.t, stop, first, last)
            else:
                rows(*given, tuple(self.oracle), self.t, stop, first, last)

        _over_rows(work, self._bank, stop - self.t)

    def _product(self, tables: tuple[Any, ...], stop: int) -> None:
        stage = fused_runner(fused.fuse_stage, f"stage, phase, {_TABLES}, step, n, bank, total, distance, played, gain")
        played, gain = np.zeros((2, len(self._bank), self._bank.shape[2]), self._precision)
        groups = [np.flatnonzero(self._which == m) for m in range(len(self._payoff))]
        n = self._n
        state = (n, self._bank, self._total, self._distance, played, gain)
        for step in range(stop - self.t):
            for phase in range(self.phases):
                stage(0, phase, *tables, step, *state)
                for matrix, group in zip(self._payoff[:, :, :n], groups, strict=True):
                    if len(groups) == 1:
                        np.matmul(played[:, :n], matrix.T, out=gain[:, :n])
                    else:
                        gain[group, :n] = played[group, :n] @ matrix.T
                stage(1, phase, *tables, step, *state)
            stage(2, 0, *tables, step, *state)


class StepPlayer(reference.StepPlayer):
    """Compiled counterpart of :class:`prefsim.engines.reference.StepPlayer`."""

    def __init__(self, solver, hypers, beta, preference, reference, start, average, *, distance=False):  # type: ignore[no-untyped-def]
        super().__init__(solver, hypers, beta, preference, reference, start, average, distance=distance)
        self._bank = _lay_out(list(self.state))
        self.state = solver.State(*_views(self._bank, start.shape))
        self._total, self._distance = _sums(self)
        self._games = (_tabulate(hypers), beta, preference, reference)

    def advance(self, stop: int) -> None:
        """Iterate up to iteration `stop`."""
        run = step_runner(self.solver)

        def work(first: int, last: int) -> None:
            with explained(self.solver, SOLVER_ADVICE):
                run(*self._games, self._bank, self._total, self._distance, self.t, stop, first, last)

        _over_rows(work, self._bank, stop - self.t)
        self.t = stop


def _lay_out(fields: list[Floats]) -> Floats:
    """Arrays (instances, runs, n) as one bank (rows, fields, n)."""
    stacked = np.stack(fields, axis=2)
    return stacked.reshape(-1, *stacked.shape[2:])


def _views(bank: Floats, shape: tuple[int, ...]) -> list[Floats]:
    """The fields of a bank (rows, fields, n) as arrays (instances, runs, n)."""
    fields = bank.reshape(*shape[:2], *bank.shape[1:])
    return [fields[:, :, k] for k in range(bank.shape[1])]


def _sums(player: Any) -> tuple[Floats, Floats]:
    """What a player gathers, by row; arrays without rows where it does not."""
    n = player.current.shape[2]
    total = player.total.reshape(-1, n) if player.total is not None else np.empty((0, n))
    return total, player.distance.reshape(-1) if player.distance is not None else np.empty(0)


def _tabulate(hypers: list[Any]) -> Floats:
    return np.array([as_floats(h) for h in hypers]).reshape(len(hypers), -1)


def _over_rows(work: Callable[[int, int], None], bank: Floats, iterations: int) -> None:
    """Run the rows of a bank, on all threads if there are several and they are worth the 100 microseconds of a thread pool."""
    rows, _, n = bank.shape
    if min(rows, threads()) == 1 or rows * n * n * iterations < 2_000_000:
        work(0, rows)
    else:
        parallel(lambda first, last, halt: work(first, last), rows)


class Part:
    """One algorithm's share of a player that plays several."""

    def __init__(self, whole: FusedPlayer, share: slice) -> None:
        self._whole, self._share = whole, share
        self.total = None if whole.total is None else whole.total[share]
        self.distance = None if whole.distance is None else whole.distance[share]

    @property
    def current(self) -> Floats:
        """Log-policies after the iterations done so far, shape (instances, runs, n)."""
        return self._whole.current[self._share]

    def advance(self, stop: int) -> None:
        """Iterate all shares up to iteration `stop`, if they are not there yet."""
        self._whole.advance(stop)


def play_game(solver: ModuleType, *arguments: Any, precision: str = "float64", **options: Any) -> Any:
    """The player for a solver's kind of rule; arguments as in :class:`prefsim.engines.reference.GamePlayer`."""
    if precision != "float64":  # only the fused kernel has another
        return FusedPlayer(solver, *arguments, precision=precision, **options)
    if hasattr(solver, "step"):
        return StepPlayer(solver, *arguments, **options)
    try:
        return FusedPlayer(solver, *arguments, **options)
    except trace.Untraceable:
        return BodyPlayer(solver, *arguments, **options)


def play_games(  # type: ignore[no-untyped-def]
    rules, beta, preference, reference, start, average, *, oracle=EXACT, distance=False, precision="float64"
):
    """Players of several rules, a pair of solver and hyperparameters each; one solver's settings are played together."""
    players: list[Any] = [None] * len(rules)
    for solver in dict.fromkeys(solver for solver, _ in rules):
        mine = [a for a, (other, _) in enumerate(rules) if other is solver]
        copies = len(mine)
        if copies > 1 and oracle.kind == 0 and not hasattr(solver, "step"):
            # With exact feedback a row's numbers do not depend on its place; noise is counted by the place.
            hypers = [hyper for a in mine for hyper in rules[a][1]]
            longer = [np.concatenate([array] * copies) for array in (beta, reference, start)]
            given = (longer[0], preference, *longer[1:], average)
            try:
                whole = FusedPlayer(solver, hypers, *given, distance=distance, copies=copies, precision=precision)
            except (trace.Untraceable, ValueError):
                pass  # a rule may branch on a number, which settings side by side do not have
            else:
                for k, a in enumerate(mine):
                    players[a] = Part(whole, slice(k * len(beta), (k + 1) * len(beta)))
                continue
        for a in mine:
            given = (beta, preference, reference, start, average)
            noise = () if hasattr(solver, "step") else (oracle,)
            players[a] = play_game(solver, rules[a][1], *given, *noise, distance=distance, precision=precision)
    return players
