"""What environments that charge for changes of arm share: the rules of feedback, and the books of a run.

A run's regret is ``sum_t l_t(a_t) + cost * #{t >= 2 : a_t != a_{t-1}} - min_a sum_t l_t(a)``; the first round is no change.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from prefsim.ops import Array, floats, integers

KINDS = {
    "bandit": ("bandit",),
    "full": ("full", "entries", "bandit"),
    "entries": ("entries",),
    "extra": ("bandit", "entries"),
}
"""Kinds of feedback a policy may take under each rule."""

MOST_COST = 1e12
"""Largest price of a change: more than all losses of the longest run, and small enough for arithmetic."""


class Books(NamedTuple):
    """State of an environment: the round's losses and the books."""

    rewards: Array = floats("arms")
    """1 less the loss, of every arm in this round."""
    budget: Array = floats(1)
    """Entries that may still be asked for."""
    free: Array = floats(1)
    """1 if the played arm's reward is shown unasked."""
    charged: Array = floats("arms")
    """Cumulative loss of every arm."""
    best: Array = floats(1)
    """The smallest of them."""
    last: Array = integers(1)
    """The arm of the round before, -1 at first."""


def whole_arms(arms: Any) -> int:
    """Check the number of arms."""
    if not isinstance(arms, (int, np.integer)) or arms < 1:
        raise ValueError(f"arms must be a whole number, at least 1; got {arms!r}.")
    return int(arms)


def rules(cost: float, feedback: str, budget: float | None) -> dict[str, Any]:
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

    if not isinstance(feedback, str) or feedback not in KINDS:
        raise unknown(feedback, KINDS, "feedback")
    if not (isinstance(cost, (int, float, np.number)) and 0 <= cost <= MOST_COST):
        raise ValueError(f"cost must be a finite price of a change of arm, at least 0 and at most {MOST_COST:g}; got {cost!r}.")
    asks = feedback in ("entries", "extra")
    if budget is not None and not (asks and isinstance(budget, (int, float, np.number)) and budget >= 1):
        raise ValueError(
            f'budget is a number of entries, at least 1, for feedback="entries" or "extra"; got {budget!r} with {feedback!r}.'
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
