"""A constant allocation, as a human expert would set it: always the playable action nearest to a given one.

    play argmin_a ||u_a - (first, second, third)||        ties at random

The default is the allocation of the expert in the advertising experiment of Mussi, Metelli and Restelli (2023): the
shares (1641952, 259591273, 716354611) of the budget 1.5, capped at 1 each, which makes (.0031, .4969, 1) (from the
authors' code). That is not one of the six playable actions there; the nearest is (0, 1/2, 1), with ``J = .0880`` where
the expert's own is ``.0889``. Actions with fewer coordinates are compared on those they have, further coordinates with 0.
No guarantee: regret is ``T`` times a gap.
"""

from typing import NamedTuple

from prefsim.ops import Array, argmax_random, floats

FEEDBACK = "bandit"
SIDE = "features"
HINTS = "dynamics"


class Hyper(NamedTuple):
    """Hyperparameters."""

    first: float = 0.00314
    """First coordinate of the allocation."""
    second: float = 0.49686
    """Second coordinate."""
    third: float = 1.0
    """Third coordinate."""


class State(NamedTuple):
    """Minus the squared distances."""

    index: Array = floats("arms")


def init(hyper, state, problem):
    """Nothing to learn."""


def act(hyper, state, problem, t, noise):
    """The nearest action."""
    for a in range(problem.arms):
        state.index[a] = 0.0
        for k in range(problem.dimension):
            wanted = hyper.first if k == 0 else hyper.second if k == 1 else hyper.third if k == 2 else 0.0
            state.index[a] -= (problem.features[a, k] - wanted) ** 2
    return argmax_random(state.index, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Experts do not learn."""
