"""Random-walk perturbation: follow the leader of losses on which fair coins walk.

    Z(k) += +1/2 or -1/2 with equal chance, for every arm and round;    play argmin_k L_{t-1}(k) + Z_t(k)

The perturbation of a round is that of the last one and one step, so that the leader seldom changes: loss regret and the
number of changes are both of the order ``sqrt(T ln K)`` in expectation for oblivious losses (Devroye, Lugosi and Neu 2013;
steps of 1/2 recalled). The horizon is not needed. Whole numbers tie often: the arm is kept if it is among the best, else one
of them is drawn.
"""

from typing import NamedTuple

from prefsim.ops import TIE, Array, argmax_random, floats, integers, uniform

FEEDBACK = "full"
REWARDS = "unit"


class Hyper(NamedTuple):
    """None."""


class State(NamedTuple):
    """The perturbed losses."""

    score: Array = floats("arms")
    """``-(L + Z)``."""
    arm: Array = integers(1)


def init(hyper, state, problem):
    """No data."""


def act(hyper, state, problem, t, noise):
    """One step of every walk, then the leader."""
    best = -1e300
    for i in range(problem.arms):
        state.score[i] += 0.5 if uniform(noise) < 0.5 else -0.5
        best = max(best, state.score[i])
    if t == 1 or state.score[state.arm[0]] < best - TIE:
        state.arm[0] = argmax_random(state.score, noise)
    return state.arm[0]


def learn(hyper, state, problem, t, action, feedback):
    """Charge every arm its loss."""
    for i in range(problem.arms):
        state.score[i] -= 1.0 - feedback[i]
