"""In-slate Thompson sampling: one draw for each item, and the slate that is best if the draws are true.

    theta(i) ~ N(S(i) / X(i), scale^2 n(i) / (4 X(i)^2)),    play argmax over slates of sum_i x_i theta(i)

with ``S`` clicks in ``n`` rounds of item ``i``, and exposure ``X``, the sum of the chances ``x_i`` that it was looked at,
which the features of the slates tell. ``S - theta X`` is a martingale whatever was shown where, and a round adds a
sub-Gaussian step of parameter 1/2 (derived), hence the width. All items of a slate are learned at once, so that the number of
slates does not matter. Every item begins with half a click in one sure exposure. Ties are broken uniformly at random.
Ignoring positions, ``X = n``, mistakes a bad place for a bad item, which then keeps it. ``S / X`` is the estimator of Lagree,
Vernade and Cappe 2016 for the position-based model (recalled); no regret bound is known to us for this rule.
"""

from math import sqrt
from typing import NamedTuple

from prefsim.ops import Array, argmax_random, dot, floats, normal

FEEDBACK = "clicks"
SIDE = "features"


class Hyper(NamedTuple):
    """Hyperparameters."""

    scale: float = 1.0
    """Factor on the standard deviation; 0 is greedy."""
    positions: bool = True
    """Whether exposure counts the chance of being looked at, and not every round the same."""


class State(NamedTuple):
    """What the next round needs; the first four of shape (items,)."""

    clicks: Array = floats("dimension")
    exposure: Array = floats("dimension")
    rounds: Array = floats("dimension")
    sample: Array = floats("dimension")
    index: Array = floats("arms")


def validate(hyper):
    """Refuse what makes no sense."""
    return f"scale must be >= 0; got {hyper.scale:g}." if hyper.scale < 0 else ""


def init(hyper, state, problem):
    """Half a click in one exposure."""
    for i in range(problem.dimension):
        state.clicks[i], state.exposure[i], state.rounds[i] = 0.5, 1.0, 1.0


def act(hyper, state, problem, t, noise):
    """Draw every attraction and play the best slate."""
    for i in range(problem.dimension):
        width = 0.5 * hyper.scale * sqrt(state.rounds[i])
        state.sample[i] = (state.clicks[i] + width * normal(noise)) / state.exposure[i]
    for a in range(problem.arms):
        state.index[a] = dot(problem.features[a], state.sample)
    return argmax_random(state.index, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Count clicks and exposures of the items shown."""
    for i in range(problem.dimension):
        chance = problem.features[action, i]
        if chance > 0.0:
            state.clicks[i] += feedback[i]
            state.exposure[i] += chance if hyper.positions else 1.0
            state.rounds[i] += 1.0
