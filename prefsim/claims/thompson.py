"""Thompson sampling is asymptotically optimal on Bernoulli arms: its regret grows like the Lai-Robbins bound.

On the instance here, ten arms with means .5 and nine times .4, the coefficient is 44.70. Only the slope of the last
decade is held against it: levels carry constants that no theorem states, and the slope rises to its limit from below.
"""

from __future__ import annotations

from prefsim.bandits.bernoulli import bernoulli
from prefsim.claim import Claim, Evidence
from prefsim.claims._regret import COIN, CONFIDENCE, NOISELESS, RESOLUTION, slopes, truths
from prefsim.policies import thompson as rule

MEANS = (0.5, *[0.4] * 9)
SIZES = {"fast": (100_000, 40), "paper": (1_000_000, 200)}
"""Horizon and runs."""


def log_slope(budget: str, feedback: str = "true") -> Evidence:
    """Slope of the last decade against the Lai-Robbins coefficient, from both sides."""
    bandit = bernoulli(MEANS)
    coefficient = rule.regret_slope(rule.Hyper(), truths(bandit)[0], None)
    measured = slopes([bandit], "thompson", *SIZES[budget], feedback)
    lower = RESOLUTION[budget] * coefficient
    return Evidence(measured, coefficient, lower, confidence=CONFIDENCE, label="slope of the regret in ln t")


CLAIMS = (
    Claim(
        key="thompson.log_slope",
        statement="E regret(T) / ln T tends to sum_i D_i / kl(mu_i, mu*); tested: the slope of the last decade is at "
        "most that, and at least half of it (three quarters at the paper budget).",
        source="Kaufmann, Korda, Munos 2012, Theorem 1; Lai and Robbins 1985 for the lower bound",
        assumptions=("Bernoulli rewards, independent and identically distributed", "uniform priors"),
        measure=log_slope,
        controls=(COIN, NOISELESS),
        algorithms=("thompson",),
        asymptotic=True,
    ),
)
