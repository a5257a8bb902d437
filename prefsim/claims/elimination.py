"""Elimination in duels: the best arm survives, exploring ends for good, and what it costs grows like ``ln T``.

Sources: Yue, Broder, Kleinberg and Joachims (2012), "The K-armed dueling bandits problem" (interleaved filter); Yue and
Joachims (2011), "Beat the mean bandit"; Urvoy, Clerot, Feraud and Naamane (2013), "Generic exploration and K-armed voting
bandits" (SAVAGE); statements as recalled, not checked against the papers.
"""

from __future__ import annotations

import numpy as np

from prefsim.bandit import Bandit
from prefsim.bandits.bradley_terry_duels import bradley_terry_duels
from prefsim.bandits.cyclic4 import cyclic4
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import COIN, CONFIDENCE, regret, with_feedback
from prefsim.run import run

POLICIES = ("interleaved_filter", "beat_the_mean", "savage")

FAILURE = 0.05
"""Probability of failure that SAVAGE is asked for, large enough to be told from no failures by the runs below."""

RUNS = {"fast": 400, "paper": 4000}

ORDERED = (3.0, 1.0, -1.0)
"""Utilities with clear gaps: a total order, with strong stochastic transitivity and the stochastic triangle inequality."""

INSTANCES: dict[str, tuple[Bandit, int, dict[str, float]]] = {
    "interleaved_filter": (bradley_terry_duels((1.6, 0.8, 0.0, -0.8)), 50_000, {}),
    "beat_the_mean": (bradley_terry_duels(ORDERED), 10_000, {}),
    "savage": (cyclic4(), 20_000, {"delta": FAILURE}),
}
"""Problem, horizon and hyperparameters on which survival is tested: long enough for all arms but one to be dropped."""

HORIZON = 10_000
"""Rounds by half of which everything is decided on ``ORDERED``."""

GROWTH = 2.0
"""Most that regret / ln T may grow when the horizon grows tenfold; linear regret grows 8 times or more."""


def survival(budget: str, policy: str, radius: float = 1.0) -> Evidence:
    """Share of runs at whose end something else than the best arm is recommended, against the printed probability."""
    bandit, horizon, hyper = INSTANCES[policy]
    bound = hyper.get("delta", 1 / horizon)
    rule = (policy, {**hyper, "radius": radius})
    data = run(bandit, [rule], horizon=horizon, runs=RUNS[budget], metrics=["identification_error"], record=[horizon])
    return Evidence(data["identification_error"].values[0, 0], bound, confidence=CONFIDENCE, label="share of runs that fail")


def commitment(budget: str, feedback: str = "true") -> Evidence:
    """Regret of the second half of the run, when one arm is left."""
    bandit = bradley_terry_duels(ORDERED)
    if feedback == "reversed":
        seen = np.swapaxes(bandit.truth.preference, 1, 2)
        bandit = Bandit("dueling", bandit.truth._replace(preference=seen), bandit.arms, normalisation="reversed feedback")
    else:
        bandit = with_feedback(bandit, feedback)
    late = []
    for policy in POLICIES:
        _, curves = regret(bandit, policy, HORIZON, {"fast": 40, "paper": 400}[budget], [HORIZON // 2, HORIZON])
        late.append(curves[:, 0, -1] - curves[:, 0, -2])
    return Evidence(late, 1e-12, label="regret of the second half")


def logarithmic(budget: str, policy: str, feedback: str = "true") -> Evidence:
    """Growth of mean regret / ln T from one horizon to ten times as many rounds, each horizon played anew.

    Runs are independent of one another but not paired; the mean of ``a / mean(b)`` is the ratio of the means.
    """
    bandit = with_feedback(bradley_terry_duels(ORDERED), feedback)
    runs = {"fast": 40, "paper": 400}[budget]
    before, after = (regret(bandit, policy, T, runs, [T])[1][..., -1] / np.log(T) for T in (HORIZON, 10 * HORIZON))
    # Linearised at GROWTH, so that the uncertainty of both means counts.
    measured = (after - GROWTH * before) / before.mean(axis=0) + GROWTH
    return Evidence(measured, GROWTH, confidence=CONFIDENCE, label="growth of regret / ln T with T")


def _survives(policy: str, statement: str, source: str, assumptions: tuple[str, ...], factor: float) -> Claim:
    def measure(budget: str, radius: float = 1.0) -> Evidence:
        return survival(budget, policy, radius)

    return Claim(
        key=f"elimination.{policy}_survival",
        statement=statement,
        source=source,
        assumptions=(*assumptions, "the printed radius"),
        measure=measure,
        controls=(Control(f"the printed radius: {factor} times it, which mistakes noise for defeat", {"radius": factor}),),
        algorithms=(policy,),
    )


def _logarithmic(policy: str, statement: str, source: str) -> Claim:
    def measure(budget: str, feedback: str = "true") -> Evidence:
        return logarithmic(budget, policy, feedback)

    return Claim(
        key=f"elimination.{policy}_regret",
        statement=f"{statement}; tested: regret / ln T grows less than twofold when T grows tenfold.",
        source=source,
        assumptions=("a total order with strong transitivity and the triangle inequality", "duels follow P"),
        measure=measure,
        controls=(COIN,),
        algorithms=(policy,),
        asymptotic=True,
    )


YUE, BEAT, URVOY = "Yue et al. 2012 (recalled)", "Yue and Joachims 2011 (recalled)", "Urvoy et al. 2013 (recalled)"

CLAIMS = (
    _survives(
        "interleaved_filter",
        "The best arm survives with probability at least 1 - 1/T (no run of those played may fail).",
        YUE,
        ("a total order", "strong stochastic transitivity", "the stochastic triangle inequality"),
        0.1,
    ),
    _survives(
        "beat_the_mean",
        "The best arm survives with probability at least 1 - 1/T (no run of those played may fail).",
        BEAT,
        ("a Condorcet winner with gamma-relaxed strong transitivity",),
        0.05,
    ),
    _survives(
        "savage",
        "A Condorcet winner survives with probability at least 1 - delta, tested at delta = .05.",
        f"{URVOY}; Hoeffding's inequality with a union over pairs and rounds",
        ("a Condorcet winner",),
        0.2,
    ),
    _logarithmic("interleaved_filter", "Expected regret is O(K ln T / eps)", YUE),
    _logarithmic("beat_the_mean", "Expected regret is O(gamma^7 K ln T / eps)", BEAT),
    _logarithmic("savage", "Expected regret is O(K^2 ln T / Delta^2)", URVOY),
    Claim(
        key="elimination.commitment",
        statement="Once only the winner is left its duels with itself cost nothing: regret stands still, to the last digit.",
        source="derived: the gap of the winner is 0",
        assumptions=("the winner is the one that is left",),
        measure=commitment,
        controls=(
            Control("the winner is left: duels show the loser as winner, the worst arm is left", {"feedback": "reversed"}),
            COIN,
        ),
        algorithms=POLICIES,
    ),
)
