"""Checks of what an agent is told of a round, by kind of feedback."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefsim.bandit import Problem
from prefsim.game import as_floats

Floats = NDArray[np.float64]


def check_feedback(kind: str, rule: ModuleType, problem: Problem, action: Any, wanted: Floats, feedback: Any) -> float | Floats:
    """Return feedback as a policy's ``learn`` takes it.

    Parameters
    ----------
    kind : str
        ``"bandit"``, ``"duel"``, ``"full"``, ``"entries"``, ``"clicks"``, or a kind of the environment's own, whose feedback is
        its report.
    rule : module
        The policy's file.
    problem : Problem
        What the policy knows.
    action : int or pair of int
        What was played.
    wanted : ndarray, shape (arms,)
        Above 0 at the arms whose rewards the policy asked for.
    feedback : float or array_like
        What the user gave.

    Raises
    ------
    TypeError, ValueError
        If it is not what this kind of feedback is.
    """
    unit = getattr(rule, "REWARDS", "") == "unit"
    if kind in ("full", "entries"):
        needed = wanted > 0 if kind == "entries" else np.ones(problem.arms, dtype=bool)
        if problem.free:
            needed = needed | (np.arange(problem.arms) == action)
        return _rewards(feedback, problem.arms, needed, unit, "every arm" if kind == "full" else ASKED)
    if kind == "clicks":
        return _clicks(feedback, problem.features[action] > 0)
    if kind in ("bandit", "duel"):
        return _number(feedback, kind == "duel", unit)
    report = as_floats(feedback, "feedback")
    if not report.ndim:
        raise ValueError(f"feedback must be the report of the round, an array; got {feedback!r}.")
    return report


ASKED = "every arm of ask(), and for the played one if that is free"


def _rewards(feedback: Any, arms: int, needed: NDArray[np.bool_], unit: bool, which: str) -> Floats:
    """Rewards of a round, by arm, NaN where one was not seen."""
    rewards = as_floats(feedback, "feedback")
    if rewards.shape != (arms,):
        raise ValueError(f"feedback must hold a reward for each of {arms} arms; got shape {rewards.shape}.")
    seen = rewards[~np.isnan(rewards)]
    if np.isnan(rewards[needed]).any() or not np.isfinite(seen).all() or (unit and not ((seen >= 0) & (seen <= 1)).all()):
        wanted = "a reward in [0, 1]" if unit else "a finite reward"
        raise ValueError(f"feedback must hold {wanted} for {which}; got {feedback!r}.")
    return rewards


def _clicks(feedback: Any, shown: NDArray[np.bool_]) -> Floats:
    """Clicks on a slate, by item."""
    clicks = as_floats(feedback, "feedback")
    if clicks.shape != shown.shape or not np.isin(clicks[shown], (0.0, 1.0)).all():
        items = f"each of {len(shown)} items whether it was clicked, 0 or 1 for those shown"
        raise ValueError(f"feedback must tell of {items}; got {feedback!r}.")
    return clicks


def _number(feedback: Any, duel: bool, unit: bool) -> float:
    """A reward, or the outcome of a duel."""
    value = float(feedback) if isinstance(feedback, (bool, int, float, np.number, np.bool_)) else float("nan")
    if duel and value not in (0.0, 1.0):
        raise ValueError(f"feedback must be 0 or 1, whether the first arm won; got {feedback!r}.")
    if not np.isfinite(value) or (unit and not 0 <= value <= 1):
        wanted = "a reward in [0, 1]" if unit else "a finite reward"
        raise ValueError(f"feedback must be {wanted}; got {feedback!r}.")
    return value
