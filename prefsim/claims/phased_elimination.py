"""Phased elimination: its designs against Kiefer and Wolfowitz (1960), its regret against the bound that follows.

Lattimore and Szepesvari, Bandit Algorithms, Theorems 21.1 and 22.1 (recalled); the constants of the regret are derived.
"""

from __future__ import annotations

import numpy as np

from prefsim.bandit import Problem
from prefsim.bandits.linear import linear
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import bound_evidence
from prefsim.claims.linucb import FLAT, sphere
from prefsim.engines.reference import allocate
from prefsim.policies import phased_elimination as rule

SIZES = {"fast": (50_000, 40), "paper": (1_000_000, 200)}
"""Horizon and runs."""
SLACK = {"fast": 0.05, "paper": 0.002}


def optimal_value(budget: str, uniform: bool = False) -> Evidence:
    """``max_a ||a||^2_{V(pi)^-1} / d`` of the rule's designs, computed afresh, on arms most of which lie together."""
    ratios = []
    for seed, dimension in enumerate((2, 3, 5)):
        generator = np.random.default_rng(seed)
        features = np.eye(dimension)[0] + 0.1 * generator.normal(size=(20, dimension))
        features[:dimension] = np.eye(dimension)
        problem = Problem(len(features), 1, dimension=dimension, features=features)
        state = allocate(rule)(problem)
        state.alive[:] = 1
        rule.design(state, rule.span(state, features), SLACK[budget])
        share = np.full(len(features), 1 / len(features)) if uniform else state.share
        gram = (features.T * share) @ features
        ratios.append(np.einsum("ak,kl,al->a", features, np.linalg.inv(gram), features).max() / dimension)
    return Evidence(ratios, 1 + SLACK[budget], 1 - 1e-9, label="g over the dimension")


def regret_bound(budget: str, feedback: str = "true") -> Evidence:
    """Mean regret against the derived bound."""
    bandits = [linear(*sphere(10, 2), deviation=0.1), linear(*sphere(20, 3, 1), deviation=0.1)]
    return bound_evidence("phased_elimination", bandits, *SIZES[budget], feedback)


CLAIMS = (
    Claim(
        key="phased_elimination.optimal_value",
        statement="The smallest g = max_a ||a||^2_{V(pi)^-1} of all designs is d: the rule's designs are within the slack "
        "of it, and none is below.",
        source="Kiefer and Wolfowitz 1960 (Lattimore and Szepesvari, Theorem 21.1)",
        assumptions=("the arms span d dimensions", "the design is that of Fedorov and Wynn's steps"),
        measure=optimal_value,
        controls=(Control("the design: uniform instead, on arms most of which lie together", {"uniform": True}),),
        algorithms=("phased_elimination",),
    ),
    Claim(
        key="phased_elimination.regret_bound",
        statement="E regret(t) <= sum_l min(8 2^-l, 2 S L) rounds_l(t) + 2 S L t / T, every phase l as long as "
        "K + 2 R^2 (1 + slack) d 4^l ln(K l (l + 1) T).",
        source="derived, after Lattimore and Szepesvari, Bandit Algorithms, Theorem 22.1",
        assumptions=("mean rewards linear in fixed features", "noise R-sub-Gaussian, R known", "||theta|| <= S"),
        measure=regret_bound,
        controls=(FLAT,),
        algorithms=("phased_elimination",),
    ),
)
