"""Exponential weights drawn anew every round: the best loss regret of full information, and far too many changes of arm.

    p(k) ~ exp(-step L(k)),    draw an arm from p,    L(k) += l(k) for every arm

``step = 0`` stands for ``sqrt(8 ln K / T)``. For every oblivious sequence of losses the loss regret is at most
``ln K / step + step t / 8``, ``sqrt(T ln K / 2)`` at the horizon (Freund and Schapire 1997; in this form Cesa-Bianchi and
Lugosi 2006, Theorem 2.2, recalled), but where two arms stay close the arm changes in a constant share of the rounds: the
reason why ``shrinking_dartboard``, with the same weights, keeps its arm as long as it can.
"""

from math import log, sqrt
from typing import NamedTuple

import numpy as np

from prefsim.policies._exponential import State, begin, play, weigh  # noqa: F401

FEEDBACK = "full"
REWARDS = "unit"
ANYTIME = False
BOUND_COVERS = "switching"


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 0.0
    """Learning rate; 0 for the theorem's ``sqrt(8 ln K / T)``."""


def rate(hyper, arms, horizon):
    """The learning rate in force."""
    return hyper.step if hyper.step > 0 else sqrt(8 * log(arms) / horizon)


def validate(hyper):
    """Refuse what makes no sense."""
    return f"step must be >= 0, 0 for the default; got {hyper.step:g}." if hyper.step < 0 else ""


def init(hyper, state, problem):
    """Equal weights."""
    begin(state, problem.arms, rate(hyper, problem.arms, problem.horizon))


def act(hyper, state, problem, t, noise):
    """Draw an arm in proportion to its weight."""
    return play(state, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Charge every arm its loss."""
    for i in range(problem.arms):
        state.loss[i] += 1.0 - feedback[i]
    weigh(state)


def regret_bound(hyper, truth, problem, t):
    """``ln K / step + step t / 8``, and a change in every round."""
    if problem.arms == 1:
        return 0.0 * t
    step = rate(hyper, problem.arms, problem.horizon)
    return log(problem.arms) / step + step * t / 8 + problem.cost * np.maximum(t - 1, 0)
