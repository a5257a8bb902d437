"""Reinforce-Ada's allocation: ask every prompt until it has given enough signal, and go on with the others.

    in turn, ask every active prompt `group` times; it leaves once it has given `positives` right and `negatives` wrong
    answers in this cycle, or `cap` answers in all; when none is left, the next cycle begins with all

the successive elimination of prompts of Xiong et al. 2025 (arXiv:2510.04996, recalled): ``positives = 1`` is their rule that
waits for a success, ``positives = negatives`` their balanced one. Shares tend to those of ``nu_j``, the expected answers of a
cycle (renewal theorem), so that ``t V(n) -> (sum_j c_j / nu_j) (sum_j nu_j)``. For ``group = 1`` and no cap

    nu = positives / p    without negatives,        nu = 1 / (p (1 - p)) - 1    for one of each

With ``negatives = 0``, ``group = 1`` and any cap it is never worse in that limit than as many samples for every prompt, if the
objective is the logarithm of success rates (derived): ``nu`` falls with ``p``, while ``p nu``, the expected right answers of a
cycle (Wald), does not, so that ``c / nu = (1 - p) / (p nu)`` falls too, and then ``sum_j c_j / nu_j sum_j nu_j <= K sum_j c_j``
(Chebyshev's sum inequality). For success rates themselves it may be worse: the hardest prompts have little variance.
"""

from typing import NamedTuple

from prefsim.ops import Array, floats, integers

FEEDBACK = "bandit"
REWARDS = "unit"


class Hyper(NamedTuple):
    """Hyperparameters."""

    positives: int = 1
    """Right answers a prompt must give."""
    negatives: int = 0
    """Wrong answers a prompt must give."""
    group: int = 1
    """Answers a prompt is asked for at a time."""
    cap: int = 32
    """Answers after which a prompt is given up in this cycle; 0 for never."""


class State(NamedTuple):
    """The cycle being played."""

    active: Array = integers("arms")
    """The active prompts, those in force first."""
    count: Array = integers(1)
    """How many are active."""
    place: Array = integers(1)
    """Place of the prompt being asked in `active`."""
    right: Array = floats("arms")
    """Right answers in this cycle."""
    answers: Array = integers("arms")
    """Answers in this cycle."""


def validate(hyper):
    """Refuse what makes no sense."""
    for name, least in (("positives", 0), ("negatives", 0), ("group", 1), ("cap", 0)):
        if getattr(hyper, name) < least:
            return f"{name} must be at least {least}; got {getattr(hyper, name)}."
    if hyper.positives + hyper.negatives < 1:
        return f"positives or negatives must be above 0; got {hyper.positives} and {hyper.negatives}."
    return ""


def init(hyper, state, problem):
    """Begin a cycle with all prompts."""
    state.count[0], state.place[0] = problem.arms, 0
    for i in range(problem.arms):
        state.active[i], state.right[i], state.answers[i] = i, 0.0, 0


def act(hyper, state, problem, t, noise):
    """Ask the next active prompt."""
    return state.active[state.place[0]]


def learn(hyper, state, problem, t, action, feedback):
    """Count the answer; at the end of a turn drop the prompts that have given enough."""
    state.right[action] += feedback
    state.answers[action] += 1
    if state.answers[action] % hyper.group > 0:
        return
    state.place[0] += 1
    if state.place[0] < state.count[0]:
        return
    state.place[0], left = 0, 0
    for k in range(state.count[0]):
        arm = state.active[k]
        right, answers = state.right[arm], state.answers[arm]
        enough = right >= hyper.positives and answers - right >= hyper.negatives
        if not enough and (hyper.cap == 0 or answers < hyper.cap):
            state.active[left] = arm
            left += 1
    state.count[0] = left
    if left == 0:
        init(hyper, state, problem)
