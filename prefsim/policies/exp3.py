"""EXP3: exponential weights on importance-weighted losses.

    p(i) = exp(-step L(i)) / sum_j exp(-step L(j)),    L(i) += loss / p(i) for the drawn arm i only

with ``loss = 1 - reward`` in [0, 1] and no explicit mixing. ``step = 0`` stands for ``sqrt(2 ln K / (T K))``. For every
oblivious sequence of losses

    E regret(t) <= ln K / step + step K t / 2,    so  sqrt(2 T K ln K) at the horizon

(Auer, Cesa-Bianchi, Freund, Schapire 2002; loss form in Bubeck and Cesa-Bianchi 2012, Theorem 3.1).
"""

from math import exp, log, sqrt
from typing import NamedTuple

from prefsim.ops import Array, floats, uniform

FEEDBACK = "bandit"
REWARDS = "unit"
ANYTIME = False
BOUND_COVERS = "adversarial"


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 0.0
    """Learning rate; 0 for the theorem's ``sqrt(2 ln K / (T K))``."""


class State(NamedTuple):
    """Estimated losses and the weights that follow from them."""

    loss: Array = floats("arms")
    weight: Array = floats("arms")
    """``exp(-step (loss - floor))``; only the drawn arm's changes in a round."""
    total: Array = floats(1)
    """Sum of the weights."""
    floor: Array = floats(1)
    """Loss subtracted in the exponent, raised before the weights underflow."""
    chance: Array = floats(1)
    """Probability with which the current arm was drawn."""
    step: Array = floats(1)
    """Learning rate in force."""


def rate(hyper, arms, horizon):
    """The learning rate in force."""
    return hyper.step if hyper.step > 0 else sqrt(2 * log(arms) / (horizon * arms))


def validate(hyper):
    """Refuse what makes no sense."""
    return f"step must be >= 0, 0 for the default; got {hyper.step:g}." if hyper.step < 0 else ""


def init(hyper, state, problem):
    """Equal weights."""
    for i in range(problem.arms):
        state.weight[i] = 1.0
    state.total[0] = problem.arms
    state.step[0] = rate(hyper, problem.arms, problem.horizon)


def act(hyper, state, problem, t, noise):
    """Draw an arm in proportion to its weight."""
    left = uniform(noise) * state.total[0]
    arm = 0
    while arm < problem.arms - 1 and left >= state.weight[arm]:
        left -= state.weight[arm]
        arm += 1
    while state.weight[arm] == 0.0:  # rounding may walk past the last arm that can be drawn
        arm -= 1
    state.chance[0] = state.weight[arm] / state.total[0]
    return arm


def learn(hyper, state, problem, t, action, feedback):
    """Charge the drawn arm its importance-weighted loss."""
    if feedback == 1.0:
        return
    state.loss[action] += (1.0 - feedback) / state.chance[0]
    state.weight[action] = exp(-state.step[0] * (state.loss[action] - state.floor[0]))
    total = 0.0  # summed one by one: every engine must round alike
    for i in range(problem.arms):
        total += state.weight[i]
    if total < 1e-100:
        floor = state.loss[0]
        for i in range(1, problem.arms):
            floor = min(floor, state.loss[i])
        state.floor[0] = floor
        total = 0.0
        for i in range(problem.arms):
            state.weight[i] = exp(-state.step[0] * (state.loss[i] - floor))
            total += state.weight[i]
    state.total[0] = total


def regret_bound(hyper, truth, problem, t):
    """``ln K / step + step K t / 2``."""
    arms = problem.arms
    if arms == 1:
        return 0.0 * t
    step = rate(hyper, arms, problem.horizon)
    return log(arms) / step + step * arms * t / 2
