"""Shrinking dartboard: exponential weights that keep their arm as long as the dart stays on the board.

    keep the arm with probability exp(-step lhat(arm)),    else draw from p(k) ~ exp(-step L(k)),    L += lhat

once a batch of ``T / N`` rounds. ``lhat(k) = (K / m) l_u(k)`` for ``m`` arms picked at random, 0 for the others, in one round
``u`` picked at random: ``m`` entries a batch, whichever arm is played. The arm of batch ``b`` has the law ``p_b`` whatever was
observed, as a redrawn one would, but it is redrawn only as often as the weights shrink. With a budget of ``B`` entries,
``N = B / m`` and ``step = sqrt(2 m ln K / (N K))``, for oblivious losses, switches priced at ``cost``,

    E regret(T) <= T sqrt(2 K ln K / B) + cost sqrt(2 B ln K / K)

(``ceil(T / N) N`` for ``T``; derived). ``observe = 0`` looks at all arms (SD-full), 1 at a single one (SD-flexible); with more
than ``m T`` entries ``m`` rises to ``B / T``, up to full information, where the first term is ``sqrt(2 T ln K)``. The estimate
must not depend on the played arm: ``sd_played_arm_biased`` is what happens else. Dartboard of Geulen, Vocking and Winkler
2010; with budgets Cheng, Zhou and Ji 2023 (structure recalled, constants derived; ``_batches.py``).
"""

from typing import NamedTuple

from prefsim.policies._batches import (  # noqa: F401
    State,
    arm_of_round,
    dartboard_plan,
    loss_bound,
    observe_picked,
    prepare,
    rate,
    want,
)
from prefsim.policies._limits import complain

FEEDBACK = ("full", "entries")
REWARDS = "unit"
ANYTIME = False
BOUND_COVERS = "switching"


class Hyper(NamedTuple):
    """Hyperparameters."""

    observe: int = 1
    """Arms ``m`` observed in a batch, raised where the budget allows more; 0 for all."""
    batches: int = 0
    """Number of batches; 0 for as many as the budget pays for, which is the most there are in any case."""
    step: float = 0.0
    """Learning rate; 0 for the theorem's ``sqrt(2 m ln K / (N K))``."""


def validate(hyper):
    """Refuse what makes no sense."""
    return complain(hyper, "observe", "batches", "step")


def init(hyper, state, problem):
    """Equal weights."""
    width, batches = dartboard_plan(hyper.observe, hyper.batches, problem)
    prepare(state, problem, batches, width, hyper.step, 1)


def act(hyper, state, problem, t, noise):
    """Keep or redraw the arm when a batch begins."""
    return arm_of_round(state, problem, t, noise)


def ask(hyper, state, problem, t, action, noise, wanted):
    """Look at the picked arms, in one round of the batch."""
    want(state, t, wanted)


def learn(hyper, state, problem, t, action, feedback):
    """Use what the picked arms showed."""
    observe_picked(state, problem, t, feedback)


def regret_bound(hyper, truth, problem, t):
    """Loss regret, and ``cost step`` for every batch completed."""
    width, batches = dartboard_plan(hyper.observe, hyper.batches, problem)
    moment = problem.arms / width
    step = rate(hyper.step, problem.arms, batches, moment)
    bound, done = loss_bound(problem.arms, problem.horizon, batches, moment, step, t)
    return bound + problem.cost * step * done
