"""CoLSTIM: imitate the noise of the duels to choose the first arm, and let the most hopeful rival face it.

With the logistic regression ``theta`` and its matrix ``V`` (as in every policy for linear duels), and for every arm a fresh
``e_x`` from the link's noise law, a standard Gumbel variable (the difference of two is logistic), cut off at ``-cut`` and
``cut``,

    x = argmax_x <theta, x> + e_x ||x||_{V^-1},    y = argmax_y <theta, y - x> + confidence ||y - x||_{V^-1}

Bengs, Saha, Huellermeier 2022, "Stochastic contextual dueling bandits under linear stochastic transitivity models": regret
``O~(sqrt(d T))`` by its abstract; the cut-off and the confidence are tuning inputs here, their tuned values in the paper are
not reproduced (recalled). ``y = x`` may happen and teaches nothing. Ties are broken uniformly at random.
"""

from math import log
from typing import NamedTuple

from prefsim.ops import argmax_random, uniform
from prefsim.policies._limits import complain
from prefsim.policies._linear_duels import (
    State,  # noqa: F401
    begin,
    describe_arms,
    distance,
    learn_in_ball,
    width,
)

FEEDBACK = "duel"
SIDE = "features"
ANYTIME = False


class Hyper(NamedTuple):
    """Hyperparameters."""

    confidence: float = 1.0
    """Factor on the rival's width."""
    cut: float = 4.0
    """Largest noise, in either direction."""
    ridge: float = 1.0
    """The ridge parameter."""
    delay: float = 0.5
    """Growth of ``det V`` between fits, as a share; 0 to fit after every duel."""


def validate(hyper):
    """Refuse what makes no sense."""
    return complain(hyper, "confidence", "cut", "delay")


def init(hyper, state, problem):
    """No data."""
    begin(hyper.ridge, state, problem)


def act(hyper, state, problem, t, noise):
    """Choose the first arm by perturbed utility, then its rival."""
    describe_arms(state, problem)
    for a in range(problem.arms):
        gumbel = -log(-log(max(uniform(noise), 1e-300)))
        state.index[a] = state.score[a] + min(max(gumbel, -hyper.cut), hyper.cut) * width(state, a)
    first = argmax_random(state.index, noise)
    for a in range(problem.arms):
        state.index[a] = state.score[a] + hyper.confidence * distance(state, a, first)
    return first, argmax_random(state.index, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Update the regression."""
    learn_in_ball(hyper.ridge, hyper.delay, state, problem, action, feedback)
