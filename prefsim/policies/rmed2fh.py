"""RMED2FH: RMED2 for a fixed horizon; the opponents ``b(l)`` are settled in a first phase and never revised.

    duel every pair max(1, ceil(alpha ln ln T)) times,  then fix  b(l)  of RMED2 for every arm;  then as RMED2, without further
    forced exploration

(ties random). Its regret per ``ln T`` tends to the least that any consistent algorithm can have, like RMED2's (Komiyama,
Honda, Kashima, Nakagawa 2015). A first phase of some ``3 ln ln T`` duels a pair errs now and then, and then the run costs
about as much as RMED1.
"""

from prefsim.ops import argmax_random
from prefsim.policies._rmed import State, cheapest, explores, informed_challenger, learn, log_log
from prefsim.policies.rmed2 import Hyper, regret_slope, validate
from prefsim.policies.rmed2 import init as begin

__all__ = ["Hyper", "State", "learn", "regret_slope", "validate"]

FEEDBACK = "duel"
SLOPE_COVERS = "duel_average"
ANYTIME = False


def init(hyper, state, problem):
    """No data, no ``b``."""
    begin(hyper, state, problem)
    state.rival[0] = -1


def act(hyper, state, problem, t, noise):
    """Choose the opponent of the loop's arm."""
    arms, arm = problem.arms, state.arm[0]
    if explores(state, arms, max(1.0, hyper.alpha * log_log(problem.horizon))):
        return state.pair[0] // arms, state.pair[0] % arms
    best = argmax_random(state.merit, noise)
    if state.rival[0] < 0:
        for i in range(arms):
            state.rival[i] = cheapest(state, arms, i, best, noise)
    return arm, informed_challenger(state, arms, t, arm, best, noise)
