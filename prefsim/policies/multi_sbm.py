"""MultiSBM: a bandit learner for every left arm finds the arm that beats it, which is the next left arm.

    round 1: the left arm is uniform;  later: it is the right arm of the round before
    the learner of the left arm names the right arm and is paid 1 if that arm wins, else 0

A learner plays only the rounds in which its arm stands on the left, and counts those alone (``n`` below ``ln`` in its index).
With a total order the best reply to every arm is the same, the best one, which then stays; for utilities with linear links the
regret is ``O(H (ln T + H ln H + H ln ln T))``, ``H = sum_i 1 / D_1i`` (Ailon, Karnin, Joachims 2014, Theorem 4; form recalled).
Where best replies run in a circle, as in ``cyclic4``, they may avoid the Condorcet winner, and nothing is promised. The usual
learner is UCB1; public code of duels uses ``exploration = 2.5``. Ties are the learner's affair.
"""

# ruff: noqa: F821
from typing import NamedTuple

from prefsim.ops import Array, integers, uniform

FEEDBACK = "duel"
LEARNER = "ucb1"
COPIES = "arms"


class Memory(NamedTuple):
    """What is remembered beside the learners."""

    left: Array = integers(1)
    """The left arm to come, or -1 before the first round."""
    rounds: Array = integers("arms")
    """Rounds each learner has played."""


def init(hyper, state, problem):
    """Every learner begins."""
    state.left[0] = -1
    for k in range(problem.arms):
        learner_init(hyper, copy_of(state, k), problem)


def act(hyper, state, problem, t, noise):
    """The left arm's learner names the right one."""
    if state.left[0] < 0:
        state.left[0] = int(uniform(noise) * problem.arms)
    left = state.left[0]
    return left, learner_act(hyper, copy_of(state, left), problem, state.rounds[left] + 1, noise)


def learn(hyper, state, problem, t, action, feedback):
    """The learner is paid if its arm won, and its arm moves to the left."""
    left, right = action
    state.rounds[left] += 1
    learner_learn(hyper, copy_of(state, left), problem, state.rounds[left], right, 1.0 - feedback)
    state.left[0] = right
