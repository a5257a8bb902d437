"""Zimmert and Seldin (2021), "Tsallis-INF: an optimal algorithm for stochastic and adversarial bandits".

Constants recalled, not checked against the paper. The bounds against adversaries are in ``adversarial.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prefsim.agent import Agent, agent
from prefsim.bandits.bernoulli import bernoulli
from prefsim.bandits.stochastically_constrained import stochastically_constrained
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import COIN, CONFIDENCE, growth, mean_estimate, regret, truths, with_feedback
from prefsim.policies import tsallis_inf as rule

INSTANCES = ((0.5, *[0.4] * 9), (0.9, 0.6), (0.1, 0.05, 0.05, 0.02))
SIZES = {"fast": (100_000, 40), "paper": (1_000_000, 200)}
"""Horizon and runs."""

GAPS = ((0.0, 0.1, 0.1, 0.1), (0.0, *[0.1] * 9))
DRIFT_SIZES = {"fast": (200_000, 20), "paper": (2_000_000, 100)}

LOSSES = np.array([0.9, 0.2, 0.6, 0.4])


def finite_time_bound(budget: str, feedback: str = "true") -> Evidence:
    """Mean regret on Bernoulli arms at half decades, importance weighted and with reduced variance."""
    horizon, runs = SIZES[budget]
    record = [int(horizon / 10 ** (k / 2)) for k in range(9)]
    measured, bound = [], []
    for reduced in (False, True):
        for bandit in map(bernoulli, INSTANCES):
            times, curves = regret(with_feedback(bandit, feedback), "tsallis_inf", horizon, runs, record, reduced=reduced)
            measured.append(curves)
            bound.append(rule.regret_bound(rule.Hyper(reduced), truths(bandit)[0], bandit.problem(horizon), times))
    values = np.concatenate(measured, axis=1)
    return Evidence(values, np.array(bound), times=times, confidence=CONFIDENCE, label="regret")


def constrained(budget: str, policy: str = "tsallis_inf") -> Evidence:
    """Growth of mean regret / ln t over the last decade while the base of the rewards jumps."""
    return growth([stochastically_constrained(gaps) for gaps in GAPS], policy, *DRIFT_SIZES[budget])


def weights(losses: Any, eta: float) -> Any:
    """The weights by their definition, ``w = 4 / (eta (L - x))^2`` with sum 1, found by bisection."""
    low, high = losses.min() - 2 * np.sqrt(len(losses)) / eta, losses.min() - 2 / eta
    for _ in range(200):
        x = (low + high) / 2
        if (4 / (eta * (losses - x)) ** 2).sum() > 1:
            high = x
        else:
            low = x
    return 4 / (eta * (losses - low)) ** 2


def unbiased_estimate(budget: str, drawn_only: bool = False) -> Evidence:
    """Bias of the estimated losses of reduced variance, from several histories, by enumerating the arm drawn.

    With `drawn_only` the baseline ``B`` is added to the drawn arm's estimate alone, as in some public code.
    """

    def learn(live: Agent, arm: int, reward: float) -> None:
        history = live.state.loss.copy()
        live.learn(arm, reward)
        if drawn_only:
            others = np.arange(len(history)) != arm
            live.state.loss[others] = history[others]

    residual = []
    for t in {"fast": (1, 100, 10_000), "paper": (1, 10, 100, 1000, 10_000, 100_000)}[budget]:
        history = 0.5 * np.sqrt(t) * LOSSES

        def begin(seed: int, t: int = t, history: Any = history) -> Agent:
            live = agent("tsallis_inf", len(LOSSES), seed=seed, reduced=True)
            live.state.loss[:], live.t = history, t - 1
            return live

        residual.append(mean_estimate(begin, weights(history, 4 / np.sqrt(t)), LOSSES, learn) - LOSSES)
    return Evidence(np.abs(residual), 1e-9, label="bias of the estimated losses")


CLAIMS = (
    Claim(
        key="tsallis_inf.finite_time_bound",
        statement="E regret(t) <= 4 sqrt(K t) + 1 importance weighted, and <= 2 sqrt(K t) + 10 K ln t + 16 with reduced "
        "variance; 12650 and 7722 on ten arms at a million rounds.",
        source="Zimmert and Seldin 2021, Theorem 1 (constants recalled)",
        assumptions=("losses in [0, 1], fixed in advance or independent of the play",),
        measure=finite_time_bound,
        controls=(COIN,),
        algorithms=("tsallis_inf",),
    ),
    Claim(
        key="tsallis_inf.constrained",
        statement="Where gaps are fixed and losses drift, the regret is O(sum_i ln T / D_i); tested: regret / ln T grows less "
        "than twofold in the last decade.",
        source="Zimmert and Seldin 2021, Theorem 1 (order recalled), with the environment of their experiments",
        assumptions=("one arm is best by fixed gaps", "the policy is robust against adversaries"),
        measure=constrained,
        controls=(Control("robust policy: UCB1 trusts means that depend on when an arm was played", {"policy": "ucb1"}),),
        algorithms=("tsallis_inf", "ucb1"),
        asymptotic=True,
    ),
    Claim(
        key="tsallis_inf.unbiased_estimate",
        statement="The estimates of reduced variance, 1{i drawn} (loss - B(i)) / w(i) + B(i), have mean loss(i) for every arm.",
        source="derived: E 1{i drawn} = w(i)",
        assumptions=("B(i) is added for every arm", "arms are drawn from the weights of the definition"),
        measure=unbiased_estimate,
        controls=(Control("B(i) for every arm: for the drawn arm only", {"drawn_only": True}),),
        algorithms=("tsallis_inf", "versatile_dueling"),
    ),
)
