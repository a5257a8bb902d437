"""AR2: for rewards that are autoregressive in time, alternate between the better of two recent arms and promising old ones.

    every round:  estimate of the played arm <- alpha y, of every other arm <- alpha estimate
    superior arm: the better estimated of the two arms played most recently
    an arm i becomes triggered when
        estimate(superior) - estimate(i) <= c1 sigma sqrt((alpha^2 - alpha^(2 (t - tau_i + 1))) / (1 - alpha^2))
    odd rounds play the arm triggered first (ties at random) and untrigger it, other rounds the superior arm

``tau_i`` is the arm's last play, ``c1 = 24 sqrt(4 ln(1 / (alpha sigma)) + 4 ln D + 2 ln 4K)``. Every
``D = ceil(K alpha^-3 sigma^-3)`` rounds it starts again by playing every arm once, in the order presented. Source: Chen,
Golrezaei, Bouneffouf 2023, with ``alpha = rho_bar`` and the constants that Mussi, Metelli, Restelli 2023 used it with as
a baseline on dynamical linear bandits (their code never untriggers; taken from there, not checked against the paper). No
guarantee there: rewards of a dynamical linear bandit are not autoregressive arm by arm. If ``alpha sigma = 0`` the
threshold is its limit, 0, and nothing restarts.
"""

from math import ceil, log, sqrt
from typing import NamedTuple

from prefsim.ops import Array, argmax_random, floats, integers

FEEDBACK = "bandit"
HINTS = "dynamics"

FOREVER = 1e15
"""Rounds that no run reaches."""


class Hyper(NamedTuple):
    """Hyperparameters."""

    scale: float = 1.0
    """Factor on ``c1``."""


class State(NamedTuple):
    """Estimates, triggers, and the two arms played last."""

    estimate: Array = floats("arms")
    decay: Array = floats("arms")
    """``alpha^(2 (t - tau_i + 1))`` as of the round to come."""
    age: Array = floats("arms")
    """Rounds since an arm was triggered, 0 if it is not."""
    recent: Array = integers(2)
    """The arm played last, and the other arm played most recently."""
    since: Array = floats(1)
    """Rounds played since the start or restart."""
    period: Array = floats(1)
    """``D``."""
    factor: Array = floats(1)
    """``c1 sigma``."""


def validate(hyper):
    """Refuse what makes no sense."""
    return f"scale must be >= 0; got {hyper.scale:g}." if hyper.scale < 0 else ""


def init(hyper, state, problem):
    """Period and threshold."""
    noise = problem.hints[0] * problem.hints[7]
    state.period[0] = FOREVER
    if noise > 0.0:
        state.period[0] = min(FOREVER, float(ceil(min(FOREVER, problem.arms / noise**3))))
        root = 4.0 * log(1.0 / noise) + 4.0 * log(state.period[0]) + 2.0 * log(4.0 * problem.arms)
        state.factor[0] = hyper.scale * 24.0 * sqrt(max(0.0, root)) * problem.hints[7]


def act(hyper, state, problem, t, noise):
    """Sweep, or play a triggered arm in odd rounds and the superior one in even rounds."""
    if state.since[0] < problem.arms:
        return int(state.since[0])
    best, other = state.recent[0], state.recent[1]
    if state.estimate[other] > state.estimate[best]:
        best, other = other, best
    alpha = problem.hints[0]
    oldest = 0.0
    for i in range(problem.arms):
        if state.age[i] > 0.0:
            state.age[i] += 1.0
        else:
            width = state.factor[0] * sqrt(max(0.0, alpha**2 - state.decay[i]) / (1.0 - alpha**2))
            if i != best and state.estimate[best] - state.estimate[i] <= width:
                state.age[i] = 1.0
        if i != best:
            oldest = max(oldest, state.age[i])
    if t % 2 == 1 and oldest > 0.0:
        state.age[best], kept = 0.0, state.age[best]
        arm = argmax_random(state.age, noise)
        state.age[best] = kept
        return arm
    return best


def learn(hyper, state, problem, t, action, feedback):
    """Forget a little; remember the played arm's reward."""
    alpha = problem.hints[0]
    for i in range(problem.arms):
        state.estimate[i] *= alpha
        state.decay[i] *= alpha**2
    state.estimate[action] = alpha * feedback
    state.decay[action] = alpha**4  # the next round is tau + 1
    state.age[action] = 0.0
    if state.recent[0] != action:
        state.recent[1], state.recent[0] = state.recent[0], action
    state.since[0] += 1.0
    if state.since[0] >= state.period[0]:
        state.since[0] = 0.0
        for i in range(problem.arms):
            state.age[i] = 0.0
