"""Linear contextual dueling bandits: the ellipsoids hold the parameter, what a round costs when they do, and the rate.

The radius and the inequalities are derived in ``policies/_confident_pairs.py`` and the policies' files; rates are those of Saha
2021 (MaxInP) and Di et al. 2023 (the symmetric rule), recalled.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from prefsim.bandits.contextual_duels import contextual_duels
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import CONFIDENCE, regret
from prefsim.claims._watch_duels import rounds
from prefsim.policies import apohf, max_in_pair, vacdb

DELTA = 0.1
COVERAGE = {"fast": (1500, 150), "paper": (10_000, 1000)}
"""Horizon and runs."""


def coverage(budget: str, flip: float = 0.0) -> Evidence:
    """Upper confidence limit (Clopper and Pearson 1934) of the chance that an ellipsoid misses the parameter at some time."""
    from scipy.stats import beta

    horizon, runs = COVERAGE[budget]
    seen = rounds(max_in_pair, max_in_pair.Hyper(delta=DELTA), horizon, runs, flip=flip)
    missed = int((seen["error"] > seen["radius"]).any(axis=1).sum())
    limit = 1.0 if missed == runs else float(beta.ppf(CONFIDENCE, missed + 1, runs - missed))
    return Evidence([limit], DELTA, label="chance that an ellipsoid misses, upper limit")


def square_root_of_nu(hyper, state, problem, t):  # type: ignore[no-untyped-def]
    """The radius of the greedy arm's rival."""
    return sqrt(hyper.nu)


def round_costs(budget: str, shrink: float = 1.0) -> Evidence:
    """Largest excess over the bound of a round, by rule and run, in rounds whose ellipsoid holds the parameter.

    The radius is small, so that ellipsoids are about as large as errors and miss now and then. The rules play, and are
    held against, that radius times `shrink`; which rounds count is decided by the radius itself.
    """
    horizon, runs = {"fast": (300, 40), "paper": (3000, 200)}[budget]
    greedy = apohf.Hyper(nu=(1.5 * shrink) ** 2, ridge=1.0, full=True, distinct=False, start=0)
    excess = []
    for constant, played in (
        (2.0, rounds(max_in_pair, max_in_pair.Hyper(practical=True, scale=0.6 * shrink), horizon, runs)),
        (1.0, rounds(vacdb, vacdb.Hyper(practical=True, scale=0.6 * shrink), horizon, runs)),
        (1.5, rounds(apohf, greedy, horizon, runs, radius=square_root_of_nu)),
    ):
        held = played["error"] <= played["radius"] / shrink
        over = played["cost"] - constant * played["radius"] * played["width"]
        excess.append(np.where(held, over, -np.inf).max(axis=1))
    return Evidence(np.maximum(excess, 0.0), 1e-9, label="excess over the bound of a round")


def rate(budget: str, policies: tuple[str, ...] = ("max_in_pair", "vacdb")) -> Evidence:
    """``R / (sqrt(T) ln T)`` at the horizon over that at an eighth of it."""
    horizon, runs = {"fast": (6400, 16), "paper": (64_000, 100)}[budget]
    bandit = contextual_duels((3.0, 0.0, 0.0), arms=8)
    times = np.array([horizon // 8, horizon])
    growth = []
    for policy in policies:
        hyper = {} if policy == "uniform" else {"practical": True, "scale": 0.3}
        _, curves = regret(bandit, policy, horizon, runs, times, **hyper)
        statistic = curves[:, 0, -2:] / (np.sqrt(times) * np.log(times))
        growth.append(statistic[:, 1] / statistic[:, 0])
    return Evidence(np.transpose(growth), 1.0, confidence=CONFIDENCE, label="growth of R / (sqrt(T) ln T)")


CLAIMS = (
    Claim(
        key="contextual_duels.coverage",
        statement="With probability at least 1 - delta, ||theta - theta*||_V <= beta at all times, "
        "beta = sqrt(2 ln(1 / delta) + ln(det V / ridge^d)) / (2 kappa) + sqrt(ridge) S.",
        source="derived, from Abbasi-Yadkori, Pal, Szepesvari 2011, Theorem 1",
        assumptions=("utilities are linear and the link is logistic", "||theta*|| <= S, ||x - y|| <= L and kappa = s'(S L)"),
        measure=coverage,
        controls=(Control("the link is logistic: three outcomes in ten are exchanged", {"flip": 0.3}),),
        algorithms=("max_in_pair", "vacdb"),
    ),
    Claim(
        key="contextual_duels.round_costs",
        statement="In every round in which ||theta - theta*||_V <= beta, utility regret is at most c beta ||x - y||_{V^-1}: "
        "c = 2 for MaxInP, 1 for the symmetric rule, 1.5 for the greedy arm and its upper bound.",
        source="derived from the rules: the best arm is compared with the pair",
        assumptions=("the rule plays the radius for which the ellipsoid holds the parameter",),
        measure=round_costs,
        controls=(Control("the rule's radius is that of the ellipsoid: it is a quarter of it", {"shrink": 0.25}),),
        algorithms=("max_in_pair", "vacdb", "apohf"),
    ),
    Claim(
        key="contextual_duels.rate",
        statement="R(T) / (sqrt(T) ln T) does not grow (radius .3 sqrt(d ln(1 + t / d) + 1)).",
        source="Saha 2021 and Di et al. 2023, rates O~(d sqrt(T)), recalled",
        assumptions=("utilities are linear and the link is logistic", "optimism: the pair follows the duels seen"),
        measure=rate,
        controls=(Control("the pair follows the duels seen: uniformly random pairs", {"policies": ("uniform",)}),),
        algorithms=("max_in_pair", "vacdb"),
        asymptotic=True,
    ),
)
