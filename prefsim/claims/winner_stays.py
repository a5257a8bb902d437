"""Chen and Frazier (2017), "Dueling bandits with weak regret": winner stays finds the best arm and stops paying for it.

Weak regret charges the better arm of a duel only. That of WS-W is bounded in T; its constants are recalled, so that only
the order is tested.
"""

from __future__ import annotations

import numpy as np

from prefsim.bandits.arithmetic8 import arithmetic8
from prefsim.bandits.arxiv_six_rankers import arxiv_six_rankers
from prefsim.bandits.cyclic4 import cyclic4
from prefsim.bandits.mslr5 import mslr5
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import COIN, CONFIDENCE, with_feedback
from prefsim.run import run

SIZES = {"fast": (50_000, 100), "paper": (1_000_000, 400)}
"""Horizon and runs."""

GROWTH = 0.1
"""Most that the last decade may add, as a share of what was paid before; ``ln T`` adds .27 at 5e4 rounds and .2 at 1e6."""


def bounded(budget: str, metric: str = "weak_regret", feedback: str = "true") -> Evidence:
    """Regret of the last decade over the mean regret before it.

    The mean over runs of ``(a - GROWTH b) / mean(b) + GROWTH`` is the ratio of the means of ``a`` and ``b``, and lies
    beyond GROWTH exactly if the mean of the paired ``a - GROWTH b`` is positive.
    """
    horizon, runs = SIZES[budget]
    measured = []
    for bandit in (cyclic4(), arithmetic8(), mslr5(), arxiv_six_rankers()):
        played = with_feedback(bandit, feedback)
        data = run(played, ["winner_stays"], horizon=horizon, runs=runs, metrics=[metric], record=[horizon // 10, horizon])
        curves = data[metric].values[0, 0]
        before, last = curves[:, -2], curves[:, -1] - curves[:, -2]
        measured.append((last - GROWTH * before) / before.mean() + GROWTH)
    values = np.stack(measured, axis=1)
    return Evidence(values, GROWTH, confidence=CONFIDENCE, label="weak regret of the last decade over that before")


CLAIMS = (
    Claim(
        key="winner_stays.bounded_weak_regret",
        statement="Cumulative weak regret is bounded in T, O(K^2) with a Condorcet winner; tested: the last decade adds less "
        "than a tenth of what was paid before.",
        source="Chen and Frazier 2017 (recalled)",
        assumptions=("a Condorcet winner", "weak regret", "duels follow P"),
        measure=bounded,
        controls=(Control("weak regret: strong regret is linear, every duel has a loser", {"metric": "strong_regret"}), COIN),
        algorithms=("winner_stays",),
        asymptotic=True,
    ),
)
