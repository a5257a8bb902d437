"""Double linear Thompson sampling: two draws of the utility from one Gaussian posterior, each sends its best arm.

With the logistic regression ``theta`` and its matrix ``V`` (as in every policy for linear duels),

    theta_1, theta_2 independent from N(theta, spread^2 V^-1),    x = argmax <theta_1, x>,  y = argmax <theta_2, y>

A factor of ``V`` is at hand, so that a draw gives ``<theta, x> + spread <L^-1 x, g>``, ``g`` standard normal. ``spread = 2``
is the Laplace approximation where utilities are equal: there the Hessian of the loss is ``V / 4``. No guarantee is
registered. The contextual form of double Thompson sampling (Wu and Liu 2016). ``y = x`` may happen and teaches nothing.
Ties are broken uniformly at random.
"""

from typing import NamedTuple

from prefsim.ops import argmax_random, dot, normal
from prefsim.policies._limits import complain
from prefsim.policies._linear_duels import (
    State,  # noqa: F401
    begin,
    describe_arms,
    learn_in_ball,
)

FEEDBACK = "duel"
SIDE = "features"
ANYTIME = False


class Hyper(NamedTuple):
    """Hyperparameters."""

    spread: float = 2.0
    """Standard deviation of a draw, in units of ``V^(-1/2)``."""
    ridge: float = 1.0
    """The ridge parameter."""
    delay: float = 0.5
    """Growth of ``det V`` between fits, as a share; 0 to fit after every duel."""


def validate(hyper):
    """Refuse what makes no sense."""
    return complain(hyper, "spread", "delay")


def init(hyper, state, problem):
    """No data."""
    begin(hyper.ridge, state, problem)


def champion(hyper, state, problem, noise):
    """Best arm of one draw."""
    g = state.work[0]
    for k in range(problem.dimension):
        g[k] = normal(noise)
    for a in range(problem.arms):
        state.index[a] = state.score[a] + hyper.spread * dot(state.white[a], g)
    return argmax_random(state.index, noise)


def act(hyper, state, problem, t, noise):
    """Let the champions of two draws meet."""
    describe_arms(state, problem)
    first = champion(hyper, state, problem, noise)
    return first, champion(hyper, state, problem, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Update the regression."""
    learn_in_ball(hyper.ridge, hyper.delay, state, problem, action, feedback)
