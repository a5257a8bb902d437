"""APOHF with a linear score: its rule is the greedy arm and its upper bound, and it finds good arms in few duels.

Lin et al. 2024, "Prompt optimization with human feedback"; the rule and its constants from their code.
"""

from __future__ import annotations

import numpy as np

from prefsim.agent import agent
from prefsim.bandits.score_duels import score_duels
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import CONFIDENCE
from prefsim.run import run

NU = 2.0


def greedy_rule(budget: str, full: bool = True) -> Evidence:
    """Share of rounds in which the pair is not that of the greedy arm and the other arm of largest upper bound."""
    horizon, runs = {"fast": (40, 6), "paper": (150, 40)}[budget]
    generator, wrong = np.random.default_rng(0), np.zeros(runs)
    for seed in range(runs):
        features = generator.normal(size=(8, 3)) @ [[1.0, 0.9, 0.8], [0.0, 0.4, 0.3], [0.0, 0.0, 0.5]]  # correlated
        live = agent("apohf", features=features, horizon=horizon, seed=seed, full=full, nu=NU, ridge=1.0, start=0, delay=0.0)
        matrix = np.eye(3)
        for _ in range(horizon):
            first, second = live.act()  # type: ignore[misc]
            score, apart = features @ live.state.estimate, features - features[first]
            bound = score + np.sqrt(NU * np.einsum("ad,da->a", apart, np.linalg.solve(matrix, apart.T)))
            bound[first] = -np.inf
            wrong[seed] += score[first] < score.max() - 1e-9 or bound[second] < bound.max() - 1e-9
            z = features[first] - features[second]
            live.learn((first, second), float(generator.random() < 1 / (1 + np.exp(-z.sum()))))
            matrix += np.outer(z, z)
    return Evidence(wrong / horizon, 1e-9, label="share of rounds with another pair")


def found_score(budget: str, permuted: bool = False) -> Evidence:
    """Gap of the arm recommended after 150 duels, in units of that of the arm played most in random duels."""
    runs = {"fast": 40, "paper": 400}[budget]
    generator = np.random.default_rng(1)
    features = generator.normal(size=(200, 8))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    scores = features @ generator.normal(size=8) + 0.1 * generator.normal(size=200)
    shown = generator.permutation(features) if permuted else features
    bandit = score_duels(scores, shown)
    data = run(bandit, ["apohf", "uniform"], horizon=150, runs=runs, record=[150], metrics=["simple_regret"])
    gap = data["simple_regret"].values[:, 0, :, -1]
    return Evidence(gap[0] / gap[1].mean(), 0.25, confidence=CONFIDENCE, label="gap found, random = 1")


CLAIMS = (
    Claim(
        key="apohf.greedy_rule",
        statement="With a linear score and the full matrix, APOHF plays the greedy arm against the other arm of largest upper "
        "bound, beta^2 = nu.",
        source="derived from the code of Lin et al. 2024: the gradient of a linear score is the feature vector",
        assumptions=("U is kept whole", "the same estimate"),
        measure=greedy_rule,
        controls=(Control("U is kept whole: only its diagonal, on correlated features", {"full": False}),),
        algorithms=("apohf",),
    ),
    Claim(
        key="apohf.found_score",
        statement="Of 200 arms with linear scores and some noise, 150 queries leave a quarter of a random arm's gap at most.",
        source="derived setting, after the experiments of Lin et al. 2024; the factor is ours",
        assumptions=("embeddings inform of scores",),
        measure=found_score,
        controls=(Control("embeddings inform of scores: they are permuted", {"permuted": True}),),
        algorithms=("apohf",),
    ),
)
