"""Exp2 with one-sided feedback: unbiased estimates, and few complaints of the auditors.

Source: Bechavod and Roth (2023), "Individually fair learning with one-sided feedback"; the constants are derived
(:mod:`prefsim.policies._one_sided`, :mod:`prefsim.policies.exp2`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prefsim import ops, registry
from prefsim.agent import Agent, agent
from prefsim.bandits.fair_one_sided import fair_one_sided
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import CONFIDENCE, mean_estimate, truths
from prefsim.run import run

SIZES = {"fast": (100_000, 6), "paper": (1_000_000, 10)}
"""Horizon and runs."""

PREDICTIONS = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 0], [1, 1, 1]], dtype=float)
"""Of five classifiers on three individuals."""
STEP, PENALTY = 0.3, 2.5


def unbiased_estimate(budget: str, rejected: float = np.nan) -> Evidence:
    """Bias of the estimated Lagrangian losses from several histories, by enumerating the classifier drawn.

    `rejected` is what is told as the label of somebody who was turned down.
    """
    complaint = np.array([1.0, 0.0, -1.0])
    residual = []
    for scale in np.linspace(0.0, 2.0, {"fast": 3, "paper": 20}[budget]):
        for labels in np.ndindex(2, 2, 2):
            y = np.array(labels, dtype=float)
            history = scale * np.array([0.0, 1.0, 0.5, 2.0, 1.5]) / STEP

            def begin(seed: int, history: Any = history) -> Agent:
                live = agent("exp2", features=PREDICTIONS, hints=[3], seed=seed, horizon=1, step=STEP, penalty=PENALTY)
                live.state.loss[:] = history
                return live

            def learn(live: Agent, arm: int, reward: float, y: Any = y) -> None:
                live.learn(arm, np.column_stack([np.where(PREDICTIONS[arm] > 0, y, rejected), complaint]))

            estimate = mean_estimate(begin, ops.softmax(-STEP * history), np.zeros(5), learn)
            residual.append(estimate - PREDICTIONS @ (1 - 2 * y + PENALTY * complaint))
    return Evidence(np.abs(residual), 1e-12, label="bias of the estimated losses")


def complaints(budget: str, penalty: float = -1.0) -> Evidence:
    """Mean number of complaints at half decades against ``(R + k t Delta) / (C margin)`` with ``C = T^(1/4)``.

    `penalty` is what the policy takes for ``C``, never the bound.
    """
    horizon, runs = SIZES[budget]
    record = [int(horizon / 10 ** (k / 2)) for k in range(5)]
    bandit, rule = fair_one_sided(), registry.load("policies", "exp2")
    data = run(bandit, [("exp2", {"penalty": penalty})], horizon=horizon, runs=runs, record=record, metrics=["violations"])
    times, truth = data["t"].values, truths(bandit)[0]
    regret = rule.regret_bound(rule.Hyper(), truth, bandit.problem(horizon), times)
    bound = (regret - times * truth.gap.min()) / (horizon**0.25 * truth.rules[3])
    return Evidence(data["violations"].values[0, 0], bound, times=times, confidence=CONFIDENCE, label="complaints")


CLAIMS = (
    Claim(
        key="exp2.unbiased_estimate",
        statement="The estimate sum_i f(x_i) (2 (1 - y_i) 1[i accepted] / P_i - 1) + C (f(x_l) - f(x_r)) of a round has the "
        "mean sum_i f(x_i) (1 - 2 y_i) + C (f(x_l) - f(x_r)), for every classifier f.",
        source="derived (prefsim.policies._one_sided); reduction of Bechavod, Roth 2023",
        assumptions=("a label is seen exactly if the individual was accepted", "P_i is the probability of that"),
        measure=unbiased_estimate,
        controls=(Control("labels are unknown where nobody was accepted: they count as 0", {"rejected": 0.0}),),
        algorithms=("exp2",),
    ),
    Claim(
        key="exp2.violations",
        statement="With C = T^(1/4), E complaints(t) <= (ln F / step + 2 step t (4 k^2 + C^2) + k t Delta) / (C margin), which "
        "is O(T^(3/4)), Delta the error of the fair comparator less the least error in the class.",
        source="derived (prefsim.policies._one_sided); Bechavod, Roth 2023 for the argument",
        assumptions=(
            "a complaint costs C (pi(x_l) - pi(x_r))",
            "a mixture of the class stays within alpha - margin of every auditor",
        ),
        measure=complaints,
        controls=(Control("complaints cost something: C = 0", {"penalty": 0.0}),),
        algorithms=("exp2",),
    ),
)
