"""What optimistic rules for duels share: the exploration ``alpha``, and from when on an upper bound reaches 1/2.

With ``n`` duels between ``i`` and ``j`` of which ``i`` won the share ``mu``, ``U(i, j) = mu + sqrt(alpha ln t / n)``, and 1
without data, is at least 1/2 if ``sqrt(ln t)`` is at least ``need[i, j] = (1/2 - mu) sqrt(n / alpha)``. So a duel costs a root
and a round none.
"""

from math import sqrt
from typing import NamedTuple


class Hyper(NamedTuple):
    """Hyperparameters."""

    alpha: float = 0.51
    """Exploration, above 1/2: the factor of ``ln t`` in the confidence bounds."""


def validate(hyper):
    """Refuse what makes no sense."""
    return f"alpha must be > 0; the theorem needs > 1/2; got {hyper.alpha:g}." if hyper.alpha <= 0 else ""


def learn(hyper, state, problem, t, action, feedback):
    """Update the pair; self-duels teach nothing."""
    i, j = action
    if i == j:
        return
    state.wins[i, j] += feedback
    state.wins[j, i] += 1.0 - feedback
    duels = state.wins[i, j] + state.wins[j, i]
    state.need[i, j] = (0.5 - state.wins[i, j] / duels) * sqrt(duels / hyper.alpha)
    state.need[j, i] = -state.need[i, j]
