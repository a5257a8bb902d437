"""What to do with a budget of observations: batched EXP3 on its own plays, or the dartboard on entries it asks for.

Playing shows nothing (a total budget ``B``): ``shrinking_dartboard`` with ``B``, whose bound is never above that of
``batched_exp3`` on as many entries. Playing shows the own loss and ``B_ex`` entries come on top:

    B_ex < threshold min(T, K^(1/3) (T / cost)^(2/3)):  batched_exp3 with N* batches, the extra entries are left alone
    else:                                               shrinking_dartboard with B_ex, the own losses are left alone

This attains the minimax rates of Cheng, Zhou and Ji 2023 up to logarithms, ``T sqrt(K / B)`` in the first case and
``min(K^(1/3) T^(2/3), T sqrt(K / B_ex))`` in the second, at ``cost = 1`` (structure recalled). Other prices move the crossing
of the two rates to where it stands above, and no more entries than rounds are needed to gain on bandit feedback (derived).
"""

from typing import NamedTuple

from prefsim.policies import batched_exp3, shrinking_dartboard
from prefsim.policies._batches import (
    State,  # noqa: F401
    arm_of_round,
    dartboard_plan,
    observe_picked,
    observe_played,
    optimal_batches,
    prepare,
    want,
)
from prefsim.policies._limits import complain

FEEDBACK = ("entries", "bandit")
REWARDS = "unit"
ANYTIME = False
BOUND_COVERS = "switching"


class Hyper(NamedTuple):
    """Hyperparameters."""

    observe: int = 1
    """Arms the dartboard observes in a batch, raised where the budget allows more; 0 for all."""
    threshold: float = 1.0
    """Multiple of ``min(T, K^(1/3) (T / cost)^(2/3))`` from which extra entries are used."""


def validate(hyper):
    """Refuse what makes no sense."""
    return complain(hyper, "observe", "threshold")


def takes_dartboard(hyper, problem):
    """Whether the entries are worth more than the own losses."""
    crossing = 1.0 * problem.horizon
    if problem.cost > 0.0:
        crossing = min(crossing, problem.arms ** (1.0 / 3.0) * (problem.horizon / problem.cost) ** (2.0 / 3.0))
    return not problem.free or problem.budget >= max(1.0, hyper.threshold * crossing)


def init(hyper, state, problem):
    """Choose, and begin with equal weights."""
    if takes_dartboard(hyper, problem):
        width, batches = dartboard_plan(hyper.observe, 0, problem)
        prepare(state, problem, batches, width, 0.0, 1)
    else:
        prepare(state, problem, optimal_batches(problem), 1, 0.0, 0)


def act(hyper, state, problem, t, noise):
    """The batch's arm."""
    return arm_of_round(state, problem, t, noise)


def ask(hyper, state, problem, t, action, noise, wanted):
    """The dartboard's picks, or nothing."""
    if state.dartboard[0] == 1:
        want(state, t, wanted)


def learn(hyper, state, problem, t, action, feedback):
    """Charge the arm the batch's mean loss."""
    observe_played(state, problem, t, feedback)


def learn_entries(hyper, state, problem, t, action, feedback):
    """Use the picks, or the own losses."""
    if state.dartboard[0] == 1:
        observe_picked(state, problem, t, feedback)
    else:
        observe_played(state, problem, t, feedback[action])


def regret_bound(hyper, truth, problem, t):
    """The bound of the rule that is taken."""
    if takes_dartboard(hyper, problem):
        return shrinking_dartboard.regret_bound(shrinking_dartboard.Hyper(hyper.observe), truth, problem, t)
    return batched_exp3.regret_bound(batched_exp3.Hyper(), truth, problem, t)
