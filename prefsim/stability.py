"""Local stability of self-play: how far a step may go before a solver circles its fixed point instead of reaching it.

Near a full-support fixed point the errors of log-policies turn with frequencies up to ``omega``, the largest ``|Im|`` of
the eigenvalues of ``A S``, ``S = diag(pi*) - pi* pi*^T`` (:func:`prefsim.equilibrium.local_frequency`). A solver file
says by what factor an iteration multiplies their square, ``amplification(hyper, omega, beta)``; the limit is the step
at which that reaches 1. In every game ``omega <= cot(pi / 2n) / 2n < 1 / pi``, with equality on odd cyclic tournaments.
"""

from __future__ import annotations

from math import inf, isfinite, pi, tan
from types import ModuleType
from typing import Any

from prefsim.game import PreferenceGame

SAFETY = 0.5
"""Share of the stability limit that ``step="auto"`` takes."""


def largest_frequency(n: int) -> float:
    """Upper bound on ``omega`` over all preference games with `n` actions, ``cot(pi / 2n) / 2n``."""
    return 1 / (tan(pi / (2 * n)) * 2 * n) if n > 1 else 0.0


def stability_limit(solver: ModuleType, hyper: Any, omega: float, beta: float) -> float:
    """Smallest step at which the solver's error no longer shrinks, infinite if there is none below ``1 / beta``.

    Parameters
    ----------
    solver : module
        A rule file that defines ``amplification``.
    hyper : NamedTuple
        Hyperparameters; the step is ignored.
    omega, beta : float
        Frequency of the game at its equilibrium, and its temperature.
    """

    def grows(step: float) -> bool:
        return solver.amplification(hyper._replace(step=step), omega, beta) >= 1

    most = 1 / beta if beta > 0 else 1e6
    high = min(1e-6, most)
    while not grows(high):
        if high >= most:
            return inf
        high = min(1.1 * high, most)
    low = high / 1.1
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if grows(middle) else (middle, high)
    return 0.0 if low < 1e-6 else low


def automatic_step(label: str, word: str, solver: ModuleType, hyper: Any, game: PreferenceGame, horizon: int) -> float:
    """Resolve ``step="theory"`` (the largest of the solver's theorem) or ``"auto"`` (half the local stability limit).

    Parameters
    ----------
    label : str
        Name for error messages.
    word : {"theory", "auto"}
    solver : module
    hyper : NamedTuple
    game : PreferenceGame
        One game.
    horizon : int
        Iterations, for theorems whose step depends on them.

    Raises
    ------
    ValueError
        If the solver has no theorem for this game, or no stable step.
    """
    beta = float(game.beta)
    if word == "theory":
        spread = float(-game.log_reference.min())
        step = solver.theory_step(beta, spread, horizon) if hasattr(solver, "theory_step") else float("nan")
        if not isfinite(step) or step <= 0:
            raise ValueError(f"{label} has no theorem that gives a constant step at beta = {beta:g}; give step a number.")
        return step
    if not hasattr(solver, "amplification"):
        raise ValueError(f"{label} has no known stability limit to choose step='auto' from; give step a number.")
    from prefsim.equilibrium import local_frequency, solve_equilibrium

    omega = float(local_frequency(game, solve_equilibrium(game).log_policy))
    limit = min(stability_limit(solver, hyper, omega, beta), 1 / beta if beta > 0 else inf)
    if limit == 0 or limit == inf:
        raise ValueError(f"{label} is {'unstable' if limit == 0 else 'stable'} at every step here; give step a number.")
    return SAFETY * limit
