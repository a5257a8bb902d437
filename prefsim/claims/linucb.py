"""Abbasi-Yadkori, Pal and Szepesvari (2011), "Improved algorithms for linear stochastic bandits": ellipsoids and regret.

Constants as recalled and derived, not checked against the paper: the self-normalised bound of its Theorem 2, and the
regret bound in the form of Lattimore and Szepesvari, Bandit Algorithms, Theorem 19.2.
"""

from __future__ import annotations

import numpy as np

from prefsim import ops
from prefsim.bandit import Problem
from prefsim.bandits.linear import linear
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import CONFIDENCE, Share, bound_evidence
from prefsim.policies import linucb as rule

SIZES = {"fast": (10_000, 20), "paper": (1_000_000, 100)}
"""Horizon and runs of the regret."""
RUNS = {"fast": (250, 250), "paper": (1000, 3000)}
"""Runs and rounds of the ellipsoids."""
UPDATES = {"fast": 25_000, "paper": 1_005_000}
"""Rank-one updates; never a multiple of the refresh."""
FLAT = Control("rewards follow the features: every arm pays .5 on average, regret still counts the truth", {"feedback": "coin"})
DELTA = 0.1
DEVIATION = 0.3


def sphere(arms: int, dimension: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features and a parameter on the unit sphere, shapes (arms, dimension) and (dimension,)."""
    vectors = np.random.default_rng(seed).normal(size=(arms + 1, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors[1:], vectors[0]


def ellipsoid_coverage(budget: str, told: float = 1.0, cauchy: bool = False, bend: float = 0.0) -> Evidence:
    """Runs of LinUCB in which ``||theta_t - theta||_V`` ever exceeds the radius; all runs at once, written anew in NumPy.

    `told` is the ratio of the deviation the radius is told to the true one, `cauchy` exchanges the noise for one without
    a mean, and `bend` adds a part to the means that is not linear in the features.
    """
    runs, rounds = RUNS[budget]
    features, parameter = sphere(6, 3)
    generator = np.random.default_rng(1)
    means = features @ parameter + bend * (-1.0) ** np.arange(len(features))
    hyper = rule.Hyper(delta=DELTA)
    problem = Problem(len(features), rounds, told * DEVIATION, 1.0, 1.0, 3)
    gram, moment = np.tile(hyper.ridge * np.eye(3), (runs, 1, 1)), np.zeros((runs, 3))
    missed = np.zeros(runs, dtype=bool)
    for _ in range(rounds):
        inverse = np.linalg.inv(gram)
        estimate = np.einsum("rkl,rl->rk", inverse, moment)
        growth = np.linalg.slogdet(gram)[1] - 3 * np.log(hyper.ridge)
        radius = np.array([rule.radius(hyper, problem, g) for g in growth])
        error = estimate - parameter
        missed |= np.einsum("rk,rkl,rl->r", error, gram, error) > radius**2
        width = np.sqrt(np.einsum("ak,rkl,al->ra", features, inverse, features))
        tie = 1e-9 * generator.random((runs, len(features)))
        arm = (estimate @ features.T + radius[:, None] * width + tie).argmax(1)
        noise = generator.standard_cauchy(runs) if cauchy else generator.normal(size=runs)
        x = features[arm]
        gram += x[:, :, None] * x[:, None, :]
        moment += (means[arm] + DEVIATION * noise)[:, None] * x
    label = "share of runs whose ellipsoids ever miss the parameter"
    return Share(missed, DELTA, confidence=CONFIDENCE, label=label)


def regret_bound(budget: str, feedback: str = "true") -> Evidence:
    """Mean regret against the bound at its largest determinant."""
    bandits = [linear(*sphere(10, 2), deviation=0.1), linear(*sphere(20, 3, 1), deviation=0.1)]
    return bound_evidence("linucb", bandits, *SIZES[budget], feedback)


def inverse_error(budget: str, ridge: float = 1.0, refresh: bool = True) -> Evidence:
    """``max |V^-1 V - I|`` at the end of many rank-one updates, by the rule's own functions."""
    generator, scratch = np.random.default_rng(2), np.zeros(3)
    gram, inverse = ridge * np.eye(3), np.eye(3) / ridge
    for t in range(1, UPDATES[budget] + 1):
        x = generator.normal(size=3)
        ops.rank_one(inverse, x, scratch)
        gram += np.outer(x, x)
        if refresh and t % rule.REFRESH == 0:
            ops.invert(gram, inverse)
    return Evidence(np.abs(inverse @ gram - np.eye(3)).max(), 1e-6, label="max |V^-1 V - I|")


CLAIMS = (
    Claim(
        key="linucb.ellipsoid_coverage",
        statement="With probability 1 - delta, ||theta_t - theta||_V <= sqrt(lambda) S + R sqrt(2 ln(1/delta) + "
        "ln(det V / lambda^d)) in all rounds t at once (tested at delta = .1, whatever the rounds).",
        source="Abbasi-Yadkori, Pal, Szepesvari 2011, Theorem 2 (recalled)",
        assumptions=("mean rewards linear in the features", "noise R-sub-Gaussian, R known", "||theta|| <= S"),
        measure=ellipsoid_coverage,
        controls=(
            Control("R known: the rule is told a tenth of the deviation", {"told": 0.1}),
            Control("noise sub-Gaussian: Cauchy noise, which has no mean", {"cauchy": True}),
            Control("means linear: every other arm pays .5 more, the rest .5 less", {"bend": 0.5}),
        ),
        algorithms=("linucb",),
    ),
    Claim(
        key="linucb.regret_bound",
        statement="E regret(t) <= sqrt(8 t max(S L, radius_t)^2 ln(det V_t / lambda^d)) + 2 S L t / T, the determinant at "
        "its largest, at every round t.",
        source="Abbasi-Yadkori, Pal, Szepesvari 2011; Lattimore and Szepesvari, Theorem 19.2; this form derived",
        assumptions=("mean rewards linear in the features", "noise R-sub-Gaussian, R known", "||theta|| <= S"),
        measure=regret_bound,
        controls=(FLAT,),
        algorithms=("linucb",),
    ),
    Claim(
        key="linucb.inverse",
        statement="Rank-one updates with an inversion every 10^4 keep max |V^-1 V - I| <= 1e-6.",
        source="derived: errors of the updates add up, and the inversion starts anew",
        assumptions=("an inversion every 10^4 updates",),
        measure=inverse_error,
        controls=(Control("inversions: none, from a ridge of 1e-8", {"ridge": 1e-8, "refresh": False}),),
        algorithms=("linucb",),
    ),
)
