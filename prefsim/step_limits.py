"""What is known about a solver's step on one game: the theorem's, the local stability limit, and what ``"auto"`` takes.

Where no formula for the limit exists it is measured: many steps at once, from a small perturbation of the equilibrium.
"""

from __future__ import annotations

from math import inf, isfinite, nan
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefsim import ops, registry
from prefsim.engines.reference import play_game
from prefsim.experiment import Spec
from prefsim.game import PreferenceGame, check_game
from prefsim.metrics import gains
from prefsim.noise import normals, stream_key
from prefsim.stability import STILL, frequency, inverse, limit_on, resting, share_of, temperatures, theorem_step

Floats = NDArray[np.float64]

PUSH = 1e-5
"""Size of the perturbation in log-probabilities."""

RANGE = (1e-2, 1e3)
"""Steps among which a limit is measured."""

GONE, REACHED = 1e3, 1e-8
"""Divergence relative to the first above which an error has grown whatever it does next, and below which it is gone."""

CLEAR = 0.5
"""An error is only believed to shrink if at the best step half a trial leaves no more of it: slow ones may just turn."""

PLAYED = 1e-9
"""Probability from which an action of an unregularised equilibrium counts as played."""


class StepLimits(NamedTuple):
    """Steps of one solver on one game, in the units of its rule; see :func:`step_limits`.

    Attributes
    ----------
    rule : str
        Key of the rule file, whose units these are; for an alias not the name it was asked for by.
    inverse : bool
        Whether the step divides win rates: then limits are the *smallest* safe steps.
    beta : float
        Temperature of the game.
    rest : float
        Temperature of the equilibrium the last iterate turns around, at the limit: 0 for methods without a reference.
    omega : float
        Largest rotation frequency there.
    played, actions : int
        Actions in the support of that equilibrium, and of the game.
    theory : float
        Theorem: the step of ``step="theory"``, NaN if there is none.
    limit : float
        Local stability limit. 0 (for an inverse step infinite) if every step is unstable, infinite (0) if every step in
        the solver's range is stable, NaN if unknown.
    source : str
        Where `limit` is from: ``"formula"``, ``"measurement"`` or ``""``.
    automatic : float
        The step of ``step="auto"``, NaN if there is none.
    """

    rule: str
    inverse: bool
    beta: float
    rest: float
    omega: float
    played: int
    actions: int
    theory: float
    limit: float
    source: str
    automatic: float


def step_limits(game: PreferenceGame, algorithm: Any, horizon: int = 1000) -> StepLimits:
    """Find how large a solver's step may be on a game.

    Parameters
    ----------
    game : PreferenceGame
        One game.
    algorithm : str or tuple
        Solver as in :func:`prefsim.run`, ``"omd"`` or ``("apo", {"momentum": 0.3})``; its step is ignored.
    horizon : int
        Iterations, for theorems whose step depends on them.

    Raises
    ------
    ValueError
        If the game is a batch, the solver is unknown, has no step or does not admit the game.
    EquilibriumError
        If the equilibrium cannot be found.
    """
    check_game(game)
    if game.batch_shape:
        raise ValueError(f"step_limits takes one game, not a batch of shape {game.batch_shape}; index it, e.g. games[0].")
    spec = Spec.parse(algorithm)
    entry = registry.algorithm("solvers", spec.key)
    solver, given = entry.module, entry.hyper(spec.hyper)
    if "step" not in solver.Hyper._fields:
        raise ValueError(f"{spec.key} has no step.")
    shared = {name: value for name, value in given._asdict().items() if name in solver.Hyper._fields and name != "step"}
    hyper, beta = solver.Hyper(**shared), float(game.beta)
    if getattr(hyper, "schedule", False):
        raise ValueError(f"{spec.key} with a schedule chooses its own steps, which vanish; ask without it.")
    theory, limit, automatic, source = theorem_step(solver, hyper, game, horizon), nan, nan, ""
    if hasattr(solver, "amplification"):
        (limit, omega, rest), source = limit_on(solver, hyper, game), "formula"
        automatic = share_of(solver, hyper, beta, limit)
    else:
        omega, rest = frequency(solver, hyper, game), temperatures(solver, hyper, beta)[1]
        if omega > STILL and not inverse(solver):
            limit, source = measured_limit(solver, hyper, game), "measurement"
    core = resting(game, rest)
    played = int((np.exp(core) > PLAYED).sum()) if rest == 0 else game.n
    return StepLimits(
        solver.__name__.rsplit(".", 1)[-1],
        inverse(solver),
        beta,
        rest,
        omega,
        played,
        game.n,
        theory if isfinite(theory) and theory > 0 else nan,
        limit,
        source,
        automatic if isfinite(automatic) and automatic > 0 else nan,
    )


def measured_limit(solver: ModuleType, hyper: Any, game: PreferenceGame, iterations: int = 1600) -> float:
    """Largest step at which a small error still shrinks, by trying, to about 0.3 %; for steps that multiply win rates.

    Actions that an unregularised equilibrium leaves unplayed are left out. 0 if every step of :data:`RANGE` that the
    solver admits lets the error grow, infinite if none does, NaN if what shrinks does so too slowly to tell.

    Parameters
    ----------
    solver, hyper, game
        The rule, its hyperparameters (the step is ignored) and one game.
    iterations : int
        Length of each trial; an error shrinks if it is smaller in the last quarter than in the second.
    """
    beta = float(game.beta)
    pull, rest = temperatures(solver, hyper, beta)
    core = resting(game, rest)
    fixed = core
    if pull > 0 and rest > 0 and rest != pull:  # the opponent comes to rest at `core`, the policy at the best response
        fixed = ops.log_normalize(game.log_reference + gains(game, core) / pull)
    alive = np.exp(fixed) > PLAYED if rest == 0 else np.full(game.n, True)
    fixed = ops.log_normalize(fixed[alive])
    matrix, reference = 0.5 + game.payoff[np.ix_(alive, alive)], ops.log_normalize(game.log_reference[alive])
    push = normals(stream_key(0, "stability", "push"), np.arange(1)[:, None], np.arange(1), 0, len(fixed))
    start = ops.log_normalize(fixed + PUSH * push[0, 0])

    def shrinking(steps: Floats) -> Floats:
        """What is left of an error over half a trial; infinite once it has left the neighbourhood."""
        count = len(steps)
        hypers = [hyper._replace(step=float(step)) for step in steps]
        fields = (np.full(count, beta), np.stack([matrix] * count), np.stack([reference] * count))
        player = play_game(solver, hypers, *fields, np.stack([start[None]] * count), False)
        seen = np.empty((iterations + 1, count))
        with np.errstate(all="ignore"):
            for t in range(iterations + 1):
                player.advance(t)
                seen[t] = ops.kl(fixed, player.current[:, 0])
            quarter = iterations // 4
            late, early = seen[-quarter:].max(axis=0), seen[quarter : 2 * quarter].max(axis=0)
            return np.where(late < REACHED * seen[0], 0.0, np.where(late < GONE * seen[0], late / early, inf))

    steps = np.geomspace(*RANGE, 36)
    admitted = [not hasattr(solver, "validate") or not solver.validate(hyper._replace(step=float(s)), beta) for s in steps]
    steps = steps[np.array(admitted)]
    left = shrinking(steps)
    stable = left < 1
    # Of several stretches of stable steps the longest: rounding decides at the slowest, and jumps to a best response
    # can be stable again.
    edges = np.flatnonzero(np.diff(np.concatenate([[False], stable, [False]]).astype(int))).reshape(-1, 2)
    if not len(edges):
        return 0.0
    first, end = edges[np.argmax(edges[:, 1] - edges[:, 0])]
    if left[first:end].min() > CLEAR:
        return nan
    last = int(end) - 1
    for _ in range(2):
        if last == len(steps) - 1:
            return inf
        steps = np.geomspace(steps[last], steps[last + 1], 12)
        last = int(np.argmin(np.append(shrinking(steps[1:]) < 1, False)))
    return float(steps[last])
