"""Batched EXP3: one arm a batch, drawn from exponential weights of importance-weighted batch losses.

    p(k) ~ exp(-step L(k)),    L(k) += (mean loss of the batch) / p(k) for the arm played, and nothing for the others

for ``N`` batches of ``T / N`` rounds, ``step = sqrt(2 ln K / (N K))``. For oblivious losses, changes of arm priced at ``cost``,

    E regret(T) <= T sqrt(2 K ln K / N) + cost N    (``ceil(T / N) N`` for ``T``; derived),

least at ``N* = (T^2 K ln K / (2 cost^2))^(1/3)``, where it is ``3 cost N*``: the rate ``K^(1/3) T^(2/3)`` of bandits with
switching costs (Arora, Dekel and Tewari 2012; optimal by Dekel, Ding, Koren and Peres 2014). Where changes cost nothing
``N* = T`` and the rule is ``exp3``. With a total budget of ``B`` entries and nothing free it looks at the played arm in one
random round of each batch, ``N = min(N*, B)``. ``batches = 1`` never changes arms. ``exp3_batched`` is another rule, with
mixing, gains and the map of rewards that dynamical linear bandits need.
"""

from typing import NamedTuple

import numpy as np

from prefsim.policies._batches import (  # noqa: F401
    State,
    arm_of_round,
    look_at_played,
    loss_bound,
    observe_played,
    optimal_batches,
    prepare,
    rate,
)
from prefsim.policies._limits import complain

FEEDBACK = ("bandit", "entries")
REWARDS = "unit"
ANYTIME = False
BOUND_COVERS = "switching"


class Hyper(NamedTuple):
    """Hyperparameters."""

    batches: int = 0
    """Number of batches; 0 for the optimal ``N*``, and never more than rounds, or entries that may be asked for."""
    step: float = 0.0
    """Learning rate; 0 for the theorem's ``sqrt(2 ln K / (N K))``."""


def validate(hyper):
    """Refuse what makes no sense."""
    return complain(hyper, "batches", "step")


def count(hyper, problem):
    """Number of batches."""
    most = problem.horizon if problem.free else int(min(float(problem.horizon), max(1.0, problem.budget)))
    return min(most, optimal_batches(problem) if hyper.batches == 0 else hyper.batches)


def init(hyper, state, problem):
    """Equal weights."""
    prepare(state, problem, count(hyper, problem), 1, hyper.step, 0)


def act(hyper, state, problem, t, noise):
    """Draw an arm when a batch begins."""
    return arm_of_round(state, problem, t, noise)


def ask(hyper, state, problem, t, action, noise, wanted):
    """Look at the played arm, in one round of the batch."""
    if t == state.look[0]:
        wanted[action] = 1.0


def learn(hyper, state, problem, t, action, feedback):
    """Charge the arm the batch's mean loss."""
    observe_played(state, problem, t, feedback)


def learn_entries(hyper, state, problem, t, action, feedback):
    """Charge the arm the loss of the round looked at."""
    look_at_played(state, t, feedback[action])


def regret_bound(hyper, truth, problem, t):
    """Loss regret, and ``cost`` for every batch but the first."""
    batches = count(hyper, problem)
    step = rate(hyper.step, problem.arms, batches, problem.arms)
    bound, done = loss_bound(problem.arms, problem.horizon, batches, problem.arms, step, t)
    return bound + (problem.cost * np.minimum(done, batches - 1) if problem.arms > 1 else 0.0)
