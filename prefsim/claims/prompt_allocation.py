"""Allocation of samples across prompts: the limit of Reinforce-Ada's shares, and what it gains over equal ones (derived)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefsim import bandits
from prefsim.bandit import Bandit
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import CONFIDENCE
from prefsim.run import run

Floats = NDArray[np.float64]

SIZES = {"fast": (100_000, 30), "paper": (1_000_000, 200)}
"""Horizon and runs."""


def rescaled_variance(bandit: Bandit, rules: list[Any], horizon: int, runs: int) -> Floats:
    """``T V(n)`` at the horizon, shape (runs, rules, instances)."""
    wasted = run(bandit, rules, horizon=horizon, runs=runs)["regret"].values[..., -1]
    root = np.sqrt(bandit.truth.cost).sum(axis=1)
    return np.moveaxis(root[:, np.newaxis] ** 2 / (1 - wasted / horizon), 2, 0)


def shares(budget: str, **change: int) -> Evidence:
    """``T V(n)`` over its limit, for four rules of leaving; `change` alters what is played, never the limit."""
    horizon, runs = SIZES[budget]
    bandit = bandits.prompt_allocation((0.1, 0.2, 0.3, 0.5, 0.7, 0.9))
    p, cost = bandit.truth.chances[0], bandit.truth.cost[0]
    expected = {
        (1, 0, 0): 1 / p,
        (3, 0, 0): 3 / p,
        (1, 0, 8): (1 - (1 - p) ** 8) / p,
        (1, 1, 0): 1 / (p * (1 - p)) - 1,
    }
    rules = [
        {
            "key": "reinforce_ada",
            "label": str(rule),
            **dict(zip(("positives", "negatives", "cap"), rule, strict=True)),
            **change,
        }
        for rule in expected
    ]
    limits = np.array([(cost / answers).sum() * answers.sum() for answers in expected.values()])
    measured = rescaled_variance(bandit, rules, horizon, runs)[..., 0] / limits
    return Evidence(measured, upper=1.02, lower=0.98, confidence=CONFIDENCE, label="T V(n) over its limit")


def against_equal_shares(budget: str, objective: str = "log_success") -> Evidence:
    """``T V(n)`` over that of equal shares, ``K sum c``, on prompts drawn at random."""
    horizon, runs = SIZES[budget]
    chances = np.random.default_rng(0).uniform(0.02, 0.98, size=(5, 8))
    bandit = bandits.prompt_allocation(chances, objective)
    rules = [("reinforce_ada", {"cap": 0}), ("reinforce_ada", {"cap": 8}), ("reinforce_ada", {"positives": 4, "cap": 32})]
    equal = bandit.arms * bandit.truth.cost.sum(axis=1)
    measured = rescaled_variance(bandit, rules, horizon, runs) / equal
    return Evidence(measured, upper=1.0, confidence=CONFIDENCE, label="T V(n) over that of equal shares")


CLAIMS = (
    Claim(
        key="reinforce_ada.shares",
        statement="t V(n) tends to (sum c / nu)(sum nu) with nu = a / p (a right answers wanted), (1 - (1 - p)^C) / p (one, or "
        "C answers) and 1 / (p (1 - p)) - 1 (one right and one wrong); tested to 2 %.",
        source="derived: cycles are independent, renewal theorem (prefsim.policies.reinforce_ada)",
        assumptions=("one answer at a time", "the cap is as stated"),
        measure=shares,
        controls=(
            Control("the cap is as stated: it is 4", {"cap": 4}),
            Control("one answer at a time: eight, so that easy prompts are asked too often", {"group": 8}),
        ),
        algorithms=("reinforce_ada",),
    ),
    Claim(
        key="reinforce_ada.never_worse",
        statement="Waiting for right answers has in the limit at most the variance of equal shares, whatever the chances, "
        "where the objective is the logarithm of success rates.",
        source="derived: Chebyshev's sum inequality (prefsim.policies.reinforce_ada)",
        assumptions=("V = sum (1 - p) / (p n)", "one answer at a time"),
        measure=against_equal_shares,
        controls=(Control("V = sum (1 - p) / (p n): V = sum p (1 - p) / n instead", {"objective": "success"}),),
        algorithms=("reinforce_ada", "uniform"),
    ),
)
