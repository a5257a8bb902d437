"""RMED1, relative minimum empirical divergence: duel the arms that may be the best, in proportion to that chance.

    duel every pair once;  then loop over the arms l with  I_l - I* <= ln t + f(K)      (I, i*, f and the loop: _rmed.py)
    O_l = { j != l : mu(l, j) <= 1/2 }
    opponent of l:  i* if i* in O_l or O_l is empty,  else argmin over j != l of mu(l, j)         (ties random)

For ``l = i*`` with empty ``O_l`` that is a self-duel: exploitation. With a Condorcet winner ``w`` the expected regret is at
most ``sum_i D_wi ln T / (2 kl(P_iw, 1/2)) + O(K^(2 + e))``, optimal among rules that compare every arm with the winner
(Komiyama, Honda, Kashima, Nakagawa 2015).
"""

from typing import NamedTuple

from prefsim.ops import argmax_random
from prefsim.policies._rmed import State, begin, challenger, explores, learn, winner_coefficient

__all__ = ["State", "learn"]

FEEDBACK = "duel"
SLOPE_COVERS = "duel_average"


class Hyper(NamedTuple):
    """Hyperparameters."""

    slack: float = 0.3
    """Patience ``f(K) / K^1.01`` with arms that look inferior; the theorem needs > 0."""


def validate(hyper):
    """Refuse what makes no sense."""
    return f"slack must be >= 0; got {hyper.slack:g}." if hyper.slack < 0 else ""


def init(hyper, state, problem):
    """No data."""
    begin(state, problem.arms, hyper.slack)


def act(hyper, state, problem, t, noise):
    """Choose the opponent of the loop's arm."""
    arms = problem.arms
    if explores(state, arms, 1.0):
        return state.pair[0] // arms, state.pair[0] % arms
    best = argmax_random(state.merit, noise)
    return state.arm[0], challenger(state, arms, state.arm[0], best, noise)


def regret_slope(hyper, truth, problem):
    """``sum_i D_wi / (2 kl(P_iw, 1/2))``."""
    return winner_coefficient(truth) if hyper.slack > 0 else float("nan")
