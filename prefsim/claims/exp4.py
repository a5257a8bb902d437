"""EXP4 with expert advice: unbiased estimates, and the regret bound against the best expert.

Source: Auer, Cesa-Bianchi, Freund and Schapire (2002), "The nonstochastic multiarmed bandit problem", Section 7; constants
as in Lattimore and Szepesvari, "Bandit Algorithms", Theorem 18.1 (recalled).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prefsim import ops
from prefsim.agent import Agent, agent
from prefsim.bandits.expert_advice import ADVICE, expert_advice
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import COIN, bound_evidence, mean_estimate

SIZES = {"fast": (100_000, 40), "paper": (1_000_000, 200)}
"""Horizon and runs."""

LOSSES = np.array([0.9, 0.2, 0.6])
STEP = 0.3


def finite_time_bound(budget: str, feedback: str = "true", step: float = 0.0) -> Evidence:
    """Mean regret against the best of four, and of thirty-two, experts."""
    generator = np.random.default_rng(0)
    crowd = generator.dirichlet(np.full(5, 0.3), (6, 32)).transpose(0, 2, 1)
    bandits = [expert_advice(), expert_advice(generator.uniform(size=(6, 5)), crowd)]
    return bound_evidence("exp4", bandits, *SIZES[budget], feedback, step=step)


def unbiased_estimate(budget: str, implicit: float = 0.0) -> Evidence:
    """Bias of the experts' estimated losses from several histories, by enumerating the arm drawn.

    `implicit` is added to the probability by which the rule divides.
    """

    def learn(live: Agent, arm: int, reward: float) -> None:
        live.state.chance[0] += implicit
        live.learn(arm, reward)

    residual = []
    for scale in np.linspace(0.0, 2.0, {"fast": 3, "paper": 20}[budget]):
        for advice in np.array(ADVICE):
            history = scale * np.arange(advice.shape[1]) / STEP

            def begin(seed: int, advice: Any = advice, history: Any = history) -> Agent:
                live = agent("exp4", features=advice, seed=seed, horizon=1, step=STEP)
                live.state.loss[:], live.state.weight[:] = history, np.exp(-STEP * history)
                live.state.total[0] = live.state.weight.sum()
                return live

            chances = advice @ ops.softmax(-STEP * history)
            residual.append(mean_estimate(begin, chances, LOSSES, learn) - advice.T @ LOSSES)
    return Evidence(np.abs(residual), 1e-12, label="bias of the estimated losses")


CLAIMS = (
    Claim(
        key="exp4.finite_time_bound",
        statement="Against the best of M experts, E regret(t) <= ln M / step + step K t / 2 at every t, which is "
        "sqrt(2 T K ln M) at the horizon.",
        source="Auer, Cesa-Bianchi, Freund, Schapire 2002 (constants recalled)",
        assumptions=("losses in [0, 1] and advice, fixed in advance or independent of the play", "step = sqrt(2 ln M / (T K))"),
        measure=finite_time_bound,
        controls=(COIN,),
        algorithms=("exp4",),
    ),
    Claim(
        key="exp4.unbiased_estimate",
        statement="An expert's estimated loss, advice(i) loss(i) / p(i) of the drawn arm i, has the mean loss of its advice.",
        source="Auer, Cesa-Bianchi, Freund, Schapire 2002, Section 7",
        assumptions=("p(i) is the probability with which arm i was drawn",),
        measure=unbiased_estimate,
        controls=(Control("division by p(i): by p(i) + .01, biased by design", {"implicit": 0.01}),),
        algorithms=("exp4",),
    ),
)
