"""Auer, Cesa-Bianchi and Fischer (2002), "Finite-time analysis of the multiarmed bandit problem", Theorem 1.

The bound holds at every round, with constants, so the whole curve is held against it. The first instance, nine arms
just .1 below the best, has the bound 9951 at a million rounds; without information the regret there is 90 000.
"""

from __future__ import annotations

from prefsim.bandits.bernoulli import bernoulli
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import COIN, bound_evidence

INSTANCES = ((0.5, *[0.4] * 9), (0.9, 0.6), (0.1, 0.05, 0.05, 0.02))
SIZES = {"fast": (500_000, 40), "paper": (1_000_000, 100)}
"""Horizon and runs."""


def finite_time_bound(budget: str, feedback: str = "true", exploration: float = 2.0) -> Evidence:
    """Mean regret against Theorem 1."""
    bandits = [bernoulli(means) for means in INSTANCES]
    return bound_evidence("ucb1", bandits, *SIZES[budget], feedback, exploration=exploration)


CLAIMS = (
    Claim(
        key="ucb1.finite_time_bound",
        statement="E regret(t) <= sum_{i : D_i > 0} 8 ln t / D_i + (1 + pi^2 / 3) sum_i D_i at every round t.",
        source="Auer, Cesa-Bianchi, Fischer 2002, Theorem 1",
        assumptions=("rewards in [0, 1], independent and identically distributed", "exploration = 2"),
        measure=finite_time_bound,
        controls=(
            COIN,
            Control("exploration = 2: with 0 the rule is greedy and stays with a wrong arm", {"exploration": 0.0}),
        ),
        algorithms=("ucb1",),
    ),
)
