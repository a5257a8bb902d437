"""Local stability of self-play: how far a step may go before a solver circles its fixed point instead of reaching it.

Near a full-support fixed point the errors of log-policies turn with frequencies up to ``omega``, the largest ``|Im|`` of
the eigenvalues of ``A S``, ``S = diag(pi*) - pi* pi*^T`` (:func:`prefsim.equilibrium.local_frequency`). A solver file
says by what factor an iteration multiplies their square, ``amplification(hyper, omega, beta)``; the limit is the step
at which that reaches 1. In every game ``omega <= cot(pi / 2n) / 2n < 1 / pi``, with equality on odd cyclic tournaments.

Steps are in the solver's own units. Where they divide win rates (``INVERSE_STEP``) the limit is the *smallest* stable
step, and ``"theory"`` and ``"auto"`` mean the same movement as elsewhere. ``temperatures(hyper, beta)`` of a solver file
names the temperature of its pull, whose weight is ``step`` times it, and that of the equilibrium its iterates turn
around; both are the game's if it says nothing.
"""

from __future__ import annotations

from math import inf, isfinite, pi, tan
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prefsim.game import PreferenceGame

if TYPE_CHECKING:
    from prefsim.experiment import Experiment

SAFETY = 0.5
"""Share of the stability limit that ``step="auto"`` takes."""

STILL = 1e-12
"""Frequencies up to this are rounding: nothing turns."""

LARGEST_WATCHED = 64
"""Most actions for which a run is held against its limit; finding the equilibrium of more can take seconds."""

FEW = 8
"""How many games of a batch are held against the limit."""


class StabilityWarning(UserWarning):
    """A solver's step is beyond its local stability limit; its last iterate will not reach the equilibrium."""


def largest_frequency(n: int) -> float:
    """Upper bound on ``omega`` over all preference games with `n` actions, ``cot(pi / 2n) / 2n``."""
    return 1 / (tan(pi / (2 * n)) * 2 * n) if n > 1 else 0.0


def temperatures(solver: ModuleType, hyper: Any, beta: float) -> tuple[float, float]:
    """Temperatures of a solver's pull and of the equilibrium it turns around, in a game with temperature `beta`."""
    return solver.temperatures(hyper, beta) if hasattr(solver, "temperatures") else (beta, beta)


def inverse(solver: ModuleType) -> bool:
    """Whether the solver's step divides win rates, so that larger steps move less."""
    return bool(getattr(solver, "INVERSE_STEP", False))


def _grows(solver: ModuleType, hyper: Any, omega: float, beta: float) -> bool:
    """Whether errors of that frequency do not shrink; a factor too large for floating point does not."""
    try:
        return bool(solver.amplification(hyper, omega, beta) >= 1)
    except OverflowError:
        return True


def _turned(solver: ModuleType, number: float) -> float:
    """A rate as a step of the solver, or the other way round."""
    return number if not inverse(solver) else inf if number == 0 else 1 / number


def stability_limit(solver: ModuleType, hyper: Any, omega: float, beta: float) -> float:
    """Smallest step at which the solver's error no longer shrinks, infinite if no admissible step is that large.

    Admissible steps keep the weight of the pull, step times its temperature, at most 1. Where nothing turns, no step is
    too large. With ``INVERSE_STEP`` it is the largest such step, 0 if there is none and infinite if every step is unstable.

    Parameters
    ----------
    solver : module
        A rule file that defines ``amplification``.
    hyper : NamedTuple
        Hyperparameters; the step is ignored.
    omega, beta : float
        Frequency of the game at the equilibrium the solver turns around, and the game's temperature.
    """

    def grows(rate: float) -> bool:
        return _grows(solver, hyper._replace(step=_turned(solver, rate)), omega, beta)

    pull = temperatures(solver, hyper, beta)[0]
    most = 1 / pull if pull > 0 else 1e6
    if omega <= STILL:
        return _turned(solver, inf)
    first = high = min(1e-6 / omega, most)  # below, 1 + (step omega)^2 would be lost in rounding
    while not grows(high):
        if high >= most:
            return _turned(solver, inf)
        high = min(1.1 * high, most)
    if high == first:
        return _turned(solver, 0.0)
    low = high / 1.1
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if grows(middle) else (middle, high)
    return _turned(solver, low)


def resting(game: PreferenceGame, temperature: float) -> NDArray[np.float64]:
    """Logarithm of the equilibrium of a game at another temperature, shape (n,); at an infinite one the reference."""
    from prefsim.equilibrium import solve_equilibrium

    if temperature == inf:
        return game.log_reference
    return solve_equilibrium(game if temperature == game.beta else game.replace(beta=temperature)).log_policy


def frequency(solver: ModuleType, hyper: Any, game: PreferenceGame) -> float:
    """``omega`` of one game at the equilibrium the solver turns around (``EquilibriumError`` if it cannot be found)."""
    from prefsim.equilibrium import local_frequency

    return float(local_frequency(game, resting(game, temperatures(solver, hyper, float(game.beta))[1])))


def limit_on(solver: ModuleType, hyper: Any, game: PreferenceGame) -> tuple[float, float, float]:
    """Stability limit on one game, with ``omega`` and the temperature of the equilibrium turned around at that limit.

    The step given is ignored. For a solver whose point of rest depends on the step (``nash_md``) a limit is exact; that
    there is none is said of the point of rest of small steps.
    """
    beta = float(game.beta)
    at = hyper if inverse(solver) else hyper._replace(step=0.0)
    rest = limit = omega = float("nan")
    for _ in range(50):  # the limit moves the point of rest, and this the limit, ever less
        found, previous = temperatures(solver, at, beta)[1], limit
        if found != rest:
            rest, omega = found, frequency(solver, at, game)
        limit = stability_limit(solver, hyper, omega, beta)
        if limit in (0, inf) or abs(limit - previous) <= 1e-9 * limit:
            break
        at = hyper._replace(step=limit)
    return limit, omega, rest


def automatic_step(label: str, word: str, solver: ModuleType, hyper: Any, game: PreferenceGame, horizon: int) -> float:
    """Resolve ``step="theory"`` (the largest of the solver's theorem) or ``"auto"`` (half the local stability limit).

    Theorems are for payoffs ``|A| <= 1/2``. Payoffs up to ``L`` in log-odds are a game with temperature
    ``beta / (2 L)`` whose steps are ``2 L`` times as large.

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
    if word == "theory":
        step = theorem_step(solver, hyper, game, horizon)
        if not isfinite(step) or step <= 0:
            raise ValueError(
                f"{label} has no theorem that gives a constant step at beta = {float(game.beta):g}; give step a number."
            )
        return step
    if not hasattr(solver, "amplification"):
        raise ValueError(f"{label} has no known stability limit to choose step='auto' from; give step a number.")
    limit = limit_on(solver, hyper, game)[0]
    step = share_of(solver, hyper, float(game.beta), limit)
    if not isfinite(step) or step <= 0:
        never = _turned(solver, limit) == 0
        raise ValueError(f"{label} is {'unstable' if never else 'stable'} at every step here; give step a number.")
    return step


def share_of(solver: ModuleType, hyper: Any, beta: float, limit: float) -> float:
    """The step ``"auto"`` takes for a stability limit: half of it, or half of the admissible range where that is less."""
    pull = temperatures(solver, hyper, beta)[0]
    return _turned(solver, SAFETY * min(_turned(solver, limit), 1 / pull if pull > 0 else inf))


def theorem_step(solver: ModuleType, hyper: Any, game: PreferenceGame, horizon: int) -> float:
    """Largest step of the solver's theorem on one game, NaN or not positive and finite where it has none."""
    if not hasattr(solver, "theory_step"):
        return float("nan")
    scale = 1.0 if game.transform == "probability" else 2 * float(abs(game.payoff).max())
    if scale == 0:
        return float("nan")
    pull = temperatures(solver, hyper, float(game.beta))[0]
    step = solver.theory_step(pull / scale, float(-game.log_reference.min()), horizon)
    return step * scale if inverse(solver) else step / scale


def beyond_limit(
    label: str, solver: ModuleType, hyper: Any, game: PreferenceGame, known: dict[float, float] | None = None
) -> str:
    """Say in a sentence that a step is past the local stability limit of one game, or return ``""``.

    Cheap where even the fastest game would be stable; else the equilibrium is solved for. Silent where no step would be
    stable (``mwu``, whose average is what counts), on schedules, for more than :data:`LARGEST_WATCHED` actions, and where
    the equilibrium cannot be found.

    Parameters
    ----------
    label : str
        Name of the algorithm in the sentence.
    solver, hyper, game
        The rule, its hyperparameters in force, and one game.
    known : dict, optional
        ``omega`` by temperature of the equilibrium, for this game; filled as found.
    """
    if not (hasattr(solver, "amplification") and hasattr(hyper, "step")) or game.n > LARGEST_WATCHED:
        return ""
    beta, fastest = float(game.beta), 2 * float(abs(game.payoff).max()) * largest_frequency(game.n)
    if not _grows(solver, hyper, fastest, beta):
        return ""
    if _turned(solver, stability_limit(solver, hyper, fastest, beta)) == 0:
        return ""
    from prefsim.equilibrium import EquilibriumError

    rest, known = temperatures(solver, hyper, beta)[1], {} if known is None else known
    if rest not in known:
        try:
            known[rest] = frequency(solver, hyper, game)
        except EquilibriumError:
            known[rest] = 0.0
    omega = known[rest]
    if omega <= STILL or not _grows(solver, hyper, omega, beta):
        return ""
    limit = stability_limit(solver, hyper, omega, beta)
    if _turned(solver, hyper.step) <= _turned(solver, limit):
        return ""  # a step so small that its factor rounds to 1
    pull = temperatures(solver, hyper, beta)[0]
    temperature = f"beta = {beta:g}" if pull == beta else f"{pull:g} the temperature of its pull"
    rule, side = solver.__name__.rsplit(".", 1)[-1], "below the smallest" if inverse(solver) else "beyond the largest"
    return (
        f"{label}: step {hyper.step:.4g} of {rule} is {side} that is locally stable on this game, {limit:.4g} "
        f"(rotation frequency omega = {omega:.3g} at the equilibrium, {temperature}), so the last iterate circles "
        f"instead of arriving; take step='auto', here {share_of(solver, hyper, beta, limit):.4g}."
    )


def unstable(experiment: Experiment, hypers: list[list[Any]]) -> list[str]:
    """One sentence per solver of an experiment that is past its limit on one of the first :data:`FEW` games.

    `hypers` holds the hyperparameters in force by algorithm and game.
    """
    from prefsim import registry

    games = experiment.problem.flatten()
    known: list[dict[float, float]] = [{} for _ in range(FEW)]
    found: dict[str, list[str]] = {}
    for spec, each in zip(experiment.algorithms, hypers, strict=True):
        solver = registry.algorithm("solvers", spec.key).module
        for i, hyper in enumerate(each[:FEW]):
            label = spec.label if len(each) == 1 else f"{spec.label} on game {i}"
            if sentence := beyond_limit(label, solver, hyper, games[i], known[i]):
                found.setdefault(spec.key, []).append(sentence)
                break
    return [
        first + (f" So it is for {len(others)} more of the settings of {key}." if others else "")
        for key, (first, *others) in found.items()
    ]
