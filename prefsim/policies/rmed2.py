"""RMED2: RMED1 that also learns against which opponent an arm is refuted at the least regret.

    first bring every pair to max(1, alpha ln ln t) duels, outside the loop of RMED1 (I, i* and the loop: _rmed.py); then
    b(l) = argmin over { j : mu(l, j) < 1/2 } of (mu(i*, l) + mu(i*, j) - 1)+ / kl(mu(l, j), 1/2),    i* if there is none
    opponent of l:  i* if i* in O_l and n(l, i*) <= n(l, b(l)) / ln ln t,  else b(l) if in O_l,  else that of RMED1

(ties random). Its regret per ``ln T`` tends to the least that any consistent algorithm can have, ``sum_i min_j (D_wi + D_wj)
/ (2 kl(P_ij, 1/2))``; the theorem is asymptotic (Komiyama, Honda, Kashima, Nakagawa 2015). At least one duel of every pair
as in their Algorithm 1, recalled: that matters in the first two rounds only.
"""

from typing import NamedTuple

from prefsim.bandits.dueling import regret_slope_lower
from prefsim.ops import argmax_random
from prefsim.policies._rmed import State, begin, cheapest, explores, informed_challenger, learn, log_log

__all__ = ["State", "learn"]

FEEDBACK = "duel"
SLOPE_COVERS = "duel_average"

MOST_FORCED = 1e15
"""More duels than any run has rounds."""


class Hyper(NamedTuple):
    """Hyperparameters."""

    alpha: float = 3.0
    """Forced exploration, duels of every pair per ``ln ln t``; the theorem needs > 0."""
    slack: float = 0.3
    """Patience ``f(K) / K^1.01`` with arms that look inferior; the theorem needs > 0."""


def validate(hyper):
    """Refuse what makes no sense."""
    if hyper.alpha > MOST_FORCED:
        return f"alpha must be at most {MOST_FORCED:g}, as duels are counted in whole numbers; got {hyper.alpha:g}."
    return f"alpha and slack must be >= 0; got {hyper.alpha:g} and {hyper.slack:g}." if min(hyper) < 0 else ""


def init(hyper, state, problem):
    """No data."""
    begin(state, problem.arms, hyper.slack)


def act(hyper, state, problem, t, noise):
    """Choose the opponent of the loop's arm."""
    arms, arm = problem.arms, state.arm[0]
    if explores(state, arms, max(1.0, hyper.alpha * log_log(t))):
        return state.pair[0] // arms, state.pair[0] % arms
    best = argmax_random(state.merit, noise)
    state.rival[arm] = cheapest(state, arms, arm, best, noise)
    return arm, informed_challenger(state, arms, t, arm, best, noise)


def regret_slope(hyper, truth, problem):
    """The coefficient of the lower bound."""
    return regret_slope_lower(truth) if min(hyper) > 0 else float("nan")
