"""Saha and Gaillard (2022), "Versatile dueling bandits: best-of-both-world analyses for learning from relative preferences".

The constants are those of Zimmert and Seldin (2021) for a learner, recalled; by the identity of sparring (``sparring.py``) they
hold for duels. That the estimates of reduced variance are unbiased is ``tsallis_inf.unbiased_estimate``.
"""

from __future__ import annotations

import numpy as np

from prefsim.bandit import Bandit
from prefsim.bandits.adversarial_duel import adversarial_duel
from prefsim.bandits.arithmetic8 import arithmetic8
from prefsim.bandits.cyclic4 import cyclic4
from prefsim.bandits.duel_trap import duel_trap
from prefsim.bandits.mslr5 import mslr5
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import COIN, CONFIDENCE, growth, regret
from prefsim.registry import load

ARMS = 6
SIZES = {"fast": (20_000, 60), "paper": (200_000, 200)}
"""Horizon and runs."""

ORDER_SIZES = {"fast": (100_000, 40), "paper": (1_000_000, 100)}


def sequence() -> np.ndarray:
    """Random preferences in blocks of 20 rounds; arm 0 beats the others by .15 in three blocks of four, else loses by it."""
    generator = np.random.default_rng(0)
    gap = np.triu(generator.uniform(-0.4, 0.4, (24, ARMS, ARMS)), 1)
    gap[:, 0, 1:] = 0.15 * np.where(np.arange(24) % 4 == 3, -1, 1)[:, None]
    return np.repeat(0.5 + gap - gap.swapaxes(1, 2), 20, axis=0)


def opponents(adversary: str) -> Bandit:
    """The sequence with every arm as comparator, an instance each; or the ``"trap"``."""
    return duel_trap(ARMS) if adversary == "trap" else adversarial_duel(sequence(), range(ARMS))


def adversarial_bound(budget: str, adversary: str = "oblivious") -> Evidence:
    """Mean regret against every fixed arm at half decades, importance weighted and with reduced variance."""
    horizon, runs = SIZES[budget]
    record = [int(horizon / 10 ** (k / 2)) for k in range(7)]
    rule, bandit = load("policies", "versatile_dueling"), opponents(adversary)
    measured, bound = [], []
    for reduced in (False, True):
        times, curves = regret(bandit, "versatile_dueling", horizon, runs, record, reduced=reduced)
        measured.append(curves)
        bound += [rule.regret_bound(rule.Hyper(reduced), None, bandit.problem(horizon), times)] * bandit.instances
    values = np.concatenate(measured, axis=1)
    return Evidence(values, np.array(bound), times=times, confidence=CONFIDENCE, label="regret against a fixed arm")


def logarithmic(budget: str, feedback: str = "true") -> Evidence:
    """Growth of mean regret / ln t over the last decade where preferences stay."""
    return growth([cyclic4(), arithmetic8(), mslr5()], "versatile_dueling", *ORDER_SIZES[budget], feedback)


CLAIMS = (
    Claim(
        key="versatile_dueling.adversarial_bound",
        statement="Against preferences fixed in advance and every fixed arm, E regret(t) <= 4 sqrt(K t) + 1 importance "
        "weighted, and <= 2 sqrt(K t) + 10 K ln t + 16 with reduced variance.",
        source="Saha and Gaillard 2022 (order); Zimmert and Seldin 2021, Theorem 1 (constants recalled); sparring's identity",
        assumptions=("preferences are fixed in advance",),
        measure=adversarial_bound,
        controls=(
            Control("preferences are fixed in advance: all others beat the two arms that duel", {"adversary": "trap"}),
        ),
        algorithms=("versatile_dueling",),
    ),
    Claim(
        key="versatile_dueling.logarithmic",
        statement="With a Condorcet winner the regret is O(sum_i ln T / D_1i); tested: regret / ln T grows less than twofold "
        "in the last decade.",
        source="Saha and Gaillard 2022 (order)",
        assumptions=("a Condorcet winner", "duels follow P"),
        measure=logarithmic,
        controls=(COIN,),
        algorithms=("versatile_dueling",),
        asymptotic=True,
    ),
)
