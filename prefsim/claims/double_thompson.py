"""Wu and Liu (2016), "Double Thompson sampling for dueling bandits".

Their coefficients bound pruning and sampling separately and are far from what is seen, so there are two claims: the
slope on the arXiv matrix between the known bounds, and regret of the order ``ln T`` where only the order is used.
"""

from __future__ import annotations

import numpy as np

from prefsim.bandit import Bandit
from prefsim.bandits.arithmetic8 import arithmetic8
from prefsim.bandits.arxiv_six_rankers import arxiv_six_rankers
from prefsim.bandits.cyclic4 import cyclic4
from prefsim.bandits.dueling import dueling, regret_slope_lower
from prefsim.bandits.mslr5 import mslr5
from prefsim.claim import Claim, Evidence
from prefsim.claims._regret import COIN, CONFIDENCE, NOISELESS, RESOLUTION, regret, slopes, truths, with_feedback
from prefsim.policies import double_thompson as rule

SLOPE_SIZES = {"fast": (100_000, 20), "paper": (1_000_000, 100)}
ORDER_SIZES = {"fast": (20_000, 20), "paper": (200_000, 40)}
"""Horizons and runs."""

GROWTH = 2.0
"""Most that regret / ln T may grow in a decade; regret of the order sqrt(T) reaches 2.4 or more, linear regret 7.6."""


def without_winner(count: int, arms: int = 5, margin: float = 0.1) -> Bandit:
    """Return the first `count` random matrices without a Condorcet winner where no arm ties and Copeland scores differ."""
    generator = np.random.default_rng(0)
    found: list[np.ndarray] = []
    while len(found) < count:
        gap = np.triu(generator.uniform(margin, 0.5, (arms, arms)) * generator.choice([-1, 1], (arms, arms)), 1)
        wins = (gap - gap.T > 0).sum(axis=1)
        if wins.max() < arms - 1 and wins.min() < wins.max():
            found.append(0.5 + gap - gap.T)
    return dueling(found)


def log_slope(budget: str, feedback: str = "true") -> Evidence:
    """Slope of the last decade on the arXiv matrix, against both bounds."""
    bandit = arxiv_six_rankers()
    truth = truths(bandit)[0]
    upper, lower = rule.regret_slope(rule.Hyper(), truth, None), RESOLUTION[budget] * regret_slope_lower(truth)
    measured = slopes([bandit], "double_thompson", *SLOPE_SIZES[budget], feedback)
    return Evidence(measured, upper, lower, confidence=CONFIDENCE, label="slope of the regret in ln t")


def logarithmic(budget: str, feedback: str = "true") -> Evidence:
    """Growth of mean regret / ln t over the last decade, with and without a Condorcet winner.

    The mean over runs of ``(a - GROWTH b) / mean(b) + GROWTH`` is the ratio of the means of ``a`` and ``b``, and lies
    beyond GROWTH exactly if the mean of the paired ``a - GROWTH b`` is positive.
    """
    horizon, runs = ORDER_SIZES[budget]
    measured = []
    for bandit in (cyclic4(), arithmetic8(), mslr5(), without_winner({"fast": 2, "paper": 5}[budget])):
        played = with_feedback(bandit, feedback)
        times, curves = regret(played, "double_thompson", horizon, runs, [horizon // 10])
        before, after = np.moveaxis(curves[..., 1:] / np.log(times[1:]), -1, 0)
        measured.append((after - GROWTH * before) / before.mean(axis=0) + GROWTH)
    values = np.concatenate(measured, axis=1)
    return Evidence(values, GROWTH, confidence=CONFIDENCE, label="growth of regret / ln t in a decade")


CLAIMS = (
    Claim(
        key="double_thompson.log_slope",
        statement="The regret grows by at most sum_j (D_1j / 2) (4 alpha / D_1j^2 + 1 / kl(P_j1, 1/2)) per unit of "
        "ln T, and like every consistent algorithm's by no less than the lower bound (tested: half of it, three "
        "quarters at the paper budget).",
        source="Wu and Liu 2016, Theorem 2 (constants as recalled); Komiyama et al. 2015, Theorem 1",
        assumptions=("a Condorcet winner", "alpha > 1/2", "duels follow P"),
        measure=log_slope,
        controls=(COIN, NOISELESS),
        algorithms=("double_thompson",),
        asymptotic=True,
    ),
    Claim(
        key="double_thompson.logarithmic",
        statement="Regret (Copeland regret where there is no Condorcet winner) is O(ln T); tested: regret / ln T grows "
        "less than twofold in the last decade.",
        source="Wu and Liu 2016, Theorems 1 and 2",
        assumptions=("no two arms tie", "alpha > 1/2", "duels follow P"),
        measure=logarithmic,
        controls=(COIN,),
        algorithms=("double_thompson",),
        asymptotic=True,
    ),
)
