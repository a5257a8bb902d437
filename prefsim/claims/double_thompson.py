"""Wu and Liu (2016), "Double Thompson sampling for dueling bandits".

Their coefficients bound pruning and sampling separately and are far from what is seen, so there are two claims: the
slope on the arXiv matrix between the known bounds, and regret of the order ``ln T`` where only the order is used.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numpy as np

from prefsim.agent import agent
from prefsim.bandit import Bandit, Problem
from prefsim.bandits.arithmetic8 import arithmetic8
from prefsim.bandits.arxiv_six_rankers import arxiv_six_rankers
from prefsim.bandits.cyclic4 import cyclic4
from prefsim.bandits.dueling import dueling, regret_slope_lower
from prefsim.bandits.mslr5 import mslr5
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import COIN, CONFIDENCE, NOISELESS, RESOLUTION, growth, slopes, truths
from prefsim.noise import open_stream, seek, stream_key
from prefsim.policies import double_thompson as rule

SLOPE_SIZES = {"fast": (100_000, 20), "paper": (1_000_000, 100)}
ORDER_SIZES = {"fast": (20_000, 20), "paper": (200_000, 40)}
"""Horizons and runs."""

RECORDS = ((3, 2), (1, 3), (12, 10))
"""Wins of the two arms against each other, for the independence of the draws; never equal, to tell the sides apart."""


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
    """Growth of regret / ln t, with and without a Condorcet winner."""
    bandits = (cyclic4(), arithmetic8(), mslr5(), without_winner({"fast": 2, "paper": 5}[budget]))
    return growth(bandits, "double_thompson", *ORDER_SIZES[budget], feedback)


def independent_draws(budget: str, fresh: bool = True) -> Evidence:
    """Correlation of which of two arms the first and the second draw favour, plus 1, for given wins of both.

    The champion tells what the first draw said, the challenger what the second did. Unless `fresh`, the text of the rule
    runs with a ``beats`` that repeats a pair's first draw.
    """
    from scipy import stats

    seen: dict[tuple[int, int], bool] = {}

    def repeated(state: Any, i: int, j: int, noise: Any) -> bool:
        if (i, j) not in seen:
            seen[i, j] = rule.beats(state, i, j, noise)
            seen[j, i] = not seen[i, j]
        return seen[i, j]

    names = {**vars(rule), **({} if fresh else {"beats": repeated})}
    names["challenger"] = FunctionType(rule.challenger.__code__, names)
    act = FunctionType(rule.act.__code__, names)
    count = {"fast": 2000, "paper": 40_000}[budget]
    measured = np.empty((count, len(RECORDS)))
    for k, (won, lost) in enumerate(RECORDS):
        live, handle = agent("double_thompson", 2), open_stream(*stream_key(0, "", "policy"), k, 0)
        for feedback in (1.0,) * won + (0.0,) * lost:
            rule.learn(rule.Hyper(), live.state, Problem(2), 1, (0, 1), feedback)
        chance = stats.beta.sf(0.5, won + 1, lost + 1)
        for draw in range(count):
            seen.clear()
            seek(handle, draw)
            first, second = act(rule.Hyper(), live.state, Problem(2), 10**6, handle)
            measured[draw, k] = ((first == 0) - chance) * ((second == 0) - chance) / (chance * (1 - chance))
    return Evidence(1 + measured, 1.2, 0.8, confidence=CONFIDENCE, label="1 + correlation of the two draws")


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
    Claim(
        key="double_thompson.independent_draws",
        statement="Given the wins so far, the second draw of a pair is independent of the first: which arm the one favours "
        "is uncorrelated with which the other does (tested: correlation within .2).",
        source="Wu and Liu 2016, Algorithm 1: the challenger is sampled afresh",
        assumptions=("the second draw is fresh",),
        measure=independent_draws,
        controls=(Control("a fresh second draw: the pair's first draw is used again", {"fresh": False}),),
        algorithms=("double_thompson", "double_thompson_plus"),
    ),
)
