"""Zoghi, Karnin, Whiteson and de Rijke (2015), "Copeland dueling bandits": CCB and SCB.

Their constants are of no use at any horizon that can be run, so regret is held against its order; SCB's certificates have
a bound of their own. Wu and Liu (2016) give the constants of the implementations.
"""

from __future__ import annotations

import numpy as np

from prefsim.bandit import Bandit
from prefsim.bandits.dueling import dueling
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import CONFIDENCE, growth
from prefsim.claims.double_thompson import without_winner
from prefsim.ops import bernoulli_kl
from prefsim.policies import scalable_copeland as rule
from prefsim.run import run

SIZES = {
    "copeland_confidence_bound": {"fast": (20_000, 20), "paper": (200_000, 40)},
    "scalable_copeland": {"fast": (200_000, 20), "paper": (1_000_000, 40)},
}
"""Horizons and runs."""

MARGINS = (0.25, 0.3, 0.4)
"""Two-armed duels on which certificates are checked."""

EPOCH = 1000
"""Rounds of SCB's first epoch."""


def two_ties() -> Bandit:
    """Arm 0 wins three of four duels; arm 4 wins two and ties two, which makes its optimistic score larger for ever."""
    preference = np.full((5, 5), 0.5)
    for i, j in ((0, 1), (0, 2), (0, 3), (4, 0), (4, 1), (1, 2), (2, 3), (3, 1)):
        preference[i, j], preference[j, i] = 0.7, 0.3
    return dueling(preference)


def logarithmic(policy: str, budget: str, ties: bool = False) -> Evidence:
    """Growth of Copeland regret / ln t without a Condorcet winner."""
    bandit = two_ties() if ties else without_winner({"fast": 3, "paper": 10}[budget])
    return growth([bandit], policy, *SIZES[policy][budget])


def ccb_logarithmic(budget: str, ties: bool = False) -> Evidence:
    """CCB's."""
    return logarithmic("copeland_confidence_bound", budget, ties)


def scb_logarithmic(budget: str, ties: bool = False) -> Evidence:
    """SCB's; the last decade lies within its second epoch."""
    return logarithmic("scalable_copeland", budget, ties)


def certificate_bound(margin: float) -> float:
    """Bound on the probability that SCB certifies the loser of a pair of two arms in its first epoch.

    A loser that leads at ``n`` duels with ``n kl(p, 1/2) > b(n, n)`` has won a share ``p`` of which the truth ``q = 1/2 +
    margin`` of the other arm says, by Chernoff, that its probability is at most ``exp(-n kl(1 - p, q))``; and ``kl(1 - p, q)
    >= kl(p, 1/2) + kl(1/2, q)`` for ``p >= 1/2``, because the difference is linear in ``p`` and grows from 0 at 1/2.
    Sum over ``n`` with ``n ln 2 > b(n, n)``, sooner than which no pair is certified.
    """
    total = 0.0
    for n in range(1, EPOCH + 1):
        level = rule.confidence(rule.Hyper(), 2, float(n), float(n))
        if n * np.log(2) > level:
            total += float(np.exp(-level - n * bernoulli_kl(0.5, 0.5 + margin)))
    return total


def false_certificates(budget: str, alpha: float = 0.51) -> Evidence:
    """Share of runs that end the first epoch settled on the loser of a pair."""
    pairs = dueling([[[0.5, 0.5 + m], [0.5 - m, 0.5]] for m in MARGINS])
    runs = {"fast": 2000, "paper": 50_000}[budget]
    policy = ("scalable_copeland", {"alpha": alpha})
    data = run(pairs, [policy], horizon=EPOCH, runs=runs, record=[EPOCH], metrics=["identification_error"])
    wrong = data["identification_error"].values[0, :, :, -1].T
    return Evidence(wrong, [certificate_bound(m) for m in MARGINS], confidence=CONFIDENCE, label="wrong certificates")


TIES = Control(
    "no two arms tie: two ties lift the optimistic score of an arm above the true winner's, and the regret is linear",
    {"ties": True},
)

CLAIMS = (
    Claim(
        key="copeland_confidence_bound.logarithmic",
        statement="CCB's Copeland regret is O(ln T) without exact ties; tested: regret / ln T grows less than twofold in the "
        "last decade on random matrices without a Condorcet winner.",
        source="Zoghi et al. 2015, Theorem on CCB (order only)",
        assumptions=("no two arms tie", "alpha > 1/2"),
        measure=ccb_logarithmic,
        controls=(TIES,),
        algorithms=("copeland_confidence_bound",),
        asymptotic=True,
    ),
    Claim(
        key="scalable_copeland.logarithmic",
        statement="SCB's Copeland regret is O(ln T) without exact ties; tested: regret / ln T grows less than twofold in a "
        "decade of its second epoch, on random matrices without a Condorcet winner.",
        source="Zoghi et al. 2015, Theorem on SCB (order only)",
        assumptions=("no two arms tie", "alpha > 1/2"),
        measure=scb_logarithmic,
        controls=(Control("no two arms tie: a pair that ties duels on until the epoch ends", {"ties": True}),),
        algorithms=("scalable_copeland",),
        asymptotic=True,
    ),
    Claim(
        key="scalable_copeland.false_certificates",
        statement="SCB certifies the loser of a pair in its first epoch with probability at most the sum over n of "
        "exp(-b(n, n) - n kl(1/2, P)), over n ln 2 > b(n, n), b(n, n) = .51 (ln 4 n K + 2 max(1, ln ln n)).",
        source="derived: Chernoff and a union over the number of duels; Zoghi et al. 2015 state the order",
        assumptions=("a pair is certified when n kl(p, 1/2) > b(t, t)", "duels follow P"),
        measure=false_certificates,
        controls=(Control("the threshold b: it is twenty times smaller", {"alpha": 0.05 * 0.51}),),
        algorithms=("scalable_copeland",),
    ),
)
