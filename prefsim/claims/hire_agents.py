"""Hiring agents for information: the optimal mechanism is obeyed, and explore-then-commit has regret T^(2/3).

Source: Cacciamani, Castiglioni and Gatti (2024), "Online information acquisition: hiring multiple agents"; the program and
the algorithm's form are derived (:mod:`prefsim.mechanisms`, :mod:`prefsim.policies.hire_commit`).
"""

from __future__ import annotations

import numpy as np

from prefsim.bandits.hire_agents import hire_agents
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import CONFIDENCE, truths
from prefsim.hiring import optimal_mechanism
from prefsim.mechanisms import INDIFFERENT, best_responses, sizes
from prefsim.run import run

SIZES = {"fast": (10_000, 60), "paper": (100_000, 200)}
"""The shorter of two horizons a decade apart, and runs."""

GROWTH = 1.25
"""Most that regret / T^(2/3) may grow in a decade; linear regret reaches 2.15."""

DRAWS = {"fast": 5, "paper": 50}


def incentives(budget: str, perturbed: float = 0.0) -> Evidence:
    """Largest gain of an agent by disobedience or a false report under the optimal mechanism, over random instances.

    Every payment is multiplied by one less up to `perturbed`, at random.
    """
    generator = np.random.default_rng(0)
    gains = []
    for draw in range(DRAWS[budget]):
        agents, efforts = ((1, 2), (1, 3), (2, 2), (2, 3), (3, 2))[draw % 5]
        accuracy = np.sort(generator.uniform(0.6, 0.9, (agents, efforts)), axis=1)
        costs = 0.3 * (accuracy - 0.6) ** 2
        costs[:, 0] = 0.0
        bandit = hire_agents(accuracy, costs, common=generator.uniform())
        truth, z, limit = truths(bandit)[0], sizes(bandit.hints), bandit.hints[5]
        found = optimal_mechanism(z, truth.joint, truth.cost, truth.utility, limit)
        paid = found.mechanism[:, 1 + z.signals**z.agents :]
        paid *= 1 - perturbed * generator.uniform(size=paid.shape)
        effort, report = np.zeros((2, z.agents, z.efforts * z.signals), dtype=np.int64)
        gains.append(best_responses(z, truth.joint, truth.cost, found.mechanism, effort, report))
    return Evidence(gains, INDIFFERENT, label="gain by disobedience or a false report")


def rate(budget: str, slack: float = 1.0) -> Evidence:
    """Growth of regret / T^(2/3) from one horizon to the tenfold one, the policy starting anew at each.

    Runs at the two horizons are independent of each other; the statistic is that of ``claims._regret.growth``.
    """
    horizon, runs = SIZES[budget]
    scaled = []
    for t in (horizon, 10 * horizon):
        data = run("hire_agents", [("hire_commit", {"slack": slack})], horizon=t, runs=runs, name=f"{t}", record=[t])
        scaled.append(data["regret"].values[0, 0, :, -1] / t ** (2 / 3))
    before, after = scaled
    measured = (after - GROWTH * before) / before.mean() + GROWTH
    return Evidence(measured, GROWTH, confidence=CONFIDENCE, label="growth of regret / T^(2/3) in a decade")


CLAIMS = (
    Claim(
        key="hire_agents.incentives",
        statement="Under the optimal mechanism no agent gains by another effort or by any map of its reports: every obedience "
        "and honesty constraint has a residual of at least -1e-9.",
        source="derived (prefsim.mechanisms); model of Cacciamani, Castiglioni, Gatti 2024",
        assumptions=("the model is exact", "payments are those of the program"),
        measure=incentives,
        controls=(Control("payments are those of the program: each is up to 5% less", {"perturbed": 0.05}),),
    ),
    Claim(
        key="hire_commit.rate",
        statement="The regret of explore-then-commit with slack T^(-1/3) against the optimal mechanism is O(T^(2/3)).",
        source="derived (prefsim.policies.hire_commit); rate of Cacciamani, Castiglioni, Gatti 2024",
        assumptions=("obedience and honesty strict by T^(-1/3)", "payments that force every effort are known"),
        measure=rate,
        controls=(Control("obedience and honesty strict by T^(-1/3): by nothing", {"slack": 0.0}),),
        algorithms=("hire_commit",),
        asymptotic=True,
    ),
)
