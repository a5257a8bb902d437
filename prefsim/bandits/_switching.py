"""What environments that charge for changes of arm share: the rules of feedback, and the books of a run.

A run's regret is ``sum_t l_t(a_t) + cost * #{t >= 2 : a_t != a_{t-1}} - min_a sum_t l_t(a)``; the first round is no change.
"""

from __future__ import annotations

from typing import Any

import numpy as np

KINDS = {
    "bandit": ("bandit",),
    "full": ("full", "entries", "bandit"),
    "entries": ("entries",),
    "extra": ("bandit", "entries"),
}
"""Kinds of feedback a policy may take under each rule."""


def told(cost: float, feedback: str, budget: float | None) -> dict[str, Any]:
    """Check the price of a change and the rule of feedback; arguments of :class:`prefsim.bandit.Bandit`.

    Parameters
    ----------
    cost : float
        Price of a change of arm, at least 0, in units of loss.
    feedback : {"bandit", "full", "entries", "extra"}
        The played arm's loss; all losses; the entries a policy asks for and nothing else; those besides the played one.
    budget : float, optional
        Entries that may be asked for in all, at least 1; no limit if None.

    Raises
    ------
    ValueError
        If `cost` or `budget` is out of range, or `feedback` is another word.
    """
    from prefsim.registry import unknown

    if feedback not in KINDS:
        raise unknown(feedback, KINDS, "feedback")
    if not (np.isfinite(cost) and cost >= 0):
        raise ValueError(f"cost must be a finite price of a change of arm, at least 0; got {cost}.")
    asks = feedback in ("entries", "extra")
    if budget is not None and not (asks and budget >= 1):
        raise ValueError(
            f'budget is a number of entries, at least 1, for feedback="entries" or "extra"; got {budget} with {feedback!r}.'
        )
    most = (np.inf if budget is None else float(budget)) if feedback != "bandit" else 0.0
    return {"feedback": KINDS[feedback], "cost": cost, "budget": most, "free": feedback != "entries"}


def open_books(world: Any, problem: Any) -> None:
    """What may be asked for, and no arm played yet."""
    world.budget[0] = problem.budget
    world.free[0] = 1.0 if problem.free else 0.0
    world.last[0] = -1


def settle(world: Any, action: int, price: float) -> tuple[float, float]:
    """Own cost of the round less what the smallest cumulative loss of an arm grew by, with and without the change."""
    best = np.inf
    for a in range(len(world.charged)):
        world.charged[a] += 1.0 - world.rewards[a]
        best = min(best, world.charged[a])
    plain = 1.0 - world.rewards[action] - (best - world.best[0])
    world.best[0] = best
    change = price if world.last[0] >= 0 and world.last[0] != action else 0.0
    world.last[0] = action
    return plain + change, plain
