"""Neu (2015), "Explore no more: improved high-probability regret bounds for non-stochastic bandits".

Constants as in Lattimore and Szepesvari, "Bandit Algorithms", Theorem 12.1: recalled, and derived again for every round.
"""

from __future__ import annotations

import numpy as np

from prefsim.bandits.bernoulli import bernoulli
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import COIN, CONFIDENCE, bound_evidence, regret
from prefsim.claims.adversarial import ADAPTIVE, opponents
from prefsim.policies import exp3_ix as rule

INSTANCES = ((0.5, *[0.4] * 9), (0.9, 0.6), (0.1, 0.05, 0.05, 0.02))
SIZES = {"fast": (100_000, 40), "paper": (1_000_000, 200)}
"""Horizon and runs."""

TAIL_SIZES = {"fast": (10_000, 400), "paper": (100_000, 2000)}
DELTAS = (0.5, 0.1)


def finite_time_bound(budget: str, feedback: str = "true", step: float = 0.0) -> Evidence:
    """Mean regret against ``ln K / step + (step / 2 + gamma) K t`` with the theorem's step."""
    return bound_evidence("exp3_ix", [bernoulli(means) for means in INSTANCES], *SIZES[budget], feedback, step=step)


def high_probability(budget: str, adversary: str = "oblivious") -> Evidence:
    """Share of the runs whose realised regret at the horizon lies beyond the bound of level ``delta``."""
    horizon, runs = TAIL_SIZES[budget]
    beyond = []
    for bandit in opponents(adversary):
        final = regret(bandit, "exp3_ix", horizon, runs, [horizon])[1][..., -1]
        limits = [rule.regret_tail(bandit.problem(horizon), horizon, delta) for delta in DELTAS]
        beyond.append(final[..., None] > np.array(limits))
    measured = np.concatenate(beyond, axis=1).astype(float)
    return Evidence(measured, DELTAS, confidence=CONFIDENCE, label="share of runs beyond the bound")


CLAIMS = (
    Claim(
        key="exp3_ix.finite_time_bound",
        statement="E regret(t) <= ln K / step + (step / 2 + gamma) K t at every t, with gamma = step / 2.",
        source="derived from Neu 2015: in expectation no estimated loss exceeds the loss",
        assumptions=("losses in [0, 1], fixed in advance or independent of the play", "step = sqrt(2 ln(K + 1) / (T K))"),
        measure=finite_time_bound,
        controls=(COIN, Control("step = sqrt(2 ln(K + 1) / (T K)): it is some twenty times larger", {"step": 0.05})),
        algorithms=("exp3_ix",),
    ),
    Claim(
        key="exp3_ix.high_probability",
        statement="With probability 1 - delta, regret(T) <= sqrt(8 T K ln(K + 1)) + sqrt(T K / (2 ln(K + 1))) ln(1 / delta) + "
        "ln((K + 1) / delta); tested at delta = 1/2 and 1/10.",
        source="Neu 2015, Theorem 1; Lattimore and Szepesvari, Theorem 12.1 (recalled)",
        assumptions=("losses in [0, 1], fixed in advance", "gamma = step / 2, step = sqrt(2 ln(K + 1) / (T K))"),
        measure=high_probability,
        controls=(ADAPTIVE,),
        algorithms=("exp3_ix",),
    ),
)
