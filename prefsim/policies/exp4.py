"""EXP4, bandits with expert advice: exponential weights over experts, each of whom names probabilities of the arms.

    q(m) = exp(-step L(m)) / sum_n exp(-step L(n)),    p(i) = sum_m q(m) advice(i, m)
    L(m) += advice(i, m) loss / p(i)  for all experts m, i the arm drawn from p

with ``loss = 1 - reward`` in [0, 1] and no explicit mixing. ``step = 0`` stands for ``sqrt(2 ln M / (T K))``, ``M`` experts.
For every oblivious sequence of losses and advice, against the best expert,

    E regret(t) <= ln M / step + step K t / 2,    so  sqrt(2 T K ln M) at the horizon

(Auer, Cesa-Bianchi, Freund, Schapire 2002; in this form Lattimore and Szepesvari, Bandit Algorithms, Theorem 18.1,
recalled). Drawing an expert and then that expert's arm draws from ``p`` and costs O(arms + experts). There is no tie.
"""

from math import exp, log, sqrt
from typing import NamedTuple

from prefsim.ops import Array, draw, floats

FEEDBACK = "bandit"
REWARDS = "unit"
SIDE = "advice"
ANYTIME = False
BOUND_COVERS = "advice"


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 0.0
    """Learning rate; 0 for the theorem's ``sqrt(2 ln M / (T K))``."""


class State(NamedTuple):
    """Estimated losses of the experts and the weights that follow from them."""

    loss: Array = floats("dimension")
    weight: Array = floats("dimension")
    """``exp(-step (loss - min loss))``."""
    total: Array = floats(1)
    """Sum of the weights."""
    chance: Array = floats(1)
    """Probability with which the current arm was drawn."""
    step: Array = floats(1)
    """Learning rate in force."""


def rate(hyper, experts, arms, horizon):
    """The learning rate in force."""
    return hyper.step if hyper.step > 0 else sqrt(2 * log(experts) / (horizon * arms))


def validate(hyper):
    """Refuse what makes no sense."""
    return f"step must be >= 0, 0 for the default; got {hyper.step:g}." if hyper.step < 0 else ""


def init(hyper, state, problem):
    """Equal weights."""
    for m in range(problem.dimension):
        state.weight[m] = 1.0
    state.total[0] = problem.dimension
    state.step[0] = rate(hyper, problem.dimension, problem.arms, problem.horizon)


def act(hyper, state, problem, t, noise):
    """Draw an expert in proportion to its weight, and an arm from the advice."""
    expert = draw(state.weight, state.total[0], noise)
    arm = draw(problem.features[:, expert], 1.0, noise)
    chance = 0.0
    for m in range(problem.dimension):
        chance += state.weight[m] * problem.features[arm, m]
    state.chance[0] = chance / state.total[0]
    return arm


def learn(hyper, state, problem, t, action, feedback):
    """Charge every expert its share of the importance-weighted loss."""
    estimate = (1.0 - feedback) / state.chance[0]
    floor = state.loss[0] + problem.features[action, 0] * estimate
    for m in range(problem.dimension):
        state.loss[m] += problem.features[action, m] * estimate
        floor = min(floor, state.loss[m])
    total = 0.0
    for m in range(problem.dimension):
        state.weight[m] = exp(-state.step[0] * (state.loss[m] - floor))
        total += state.weight[m]
    state.total[0] = total


def regret_bound(hyper, truth, problem, t):
    """``ln M / step + step K t / 2``."""
    if problem.dimension == 1:
        return 0.0 * t
    step = rate(hyper, problem.dimension, problem.arms, problem.horizon)
    return log(problem.dimension) / step + step * problem.arms * t / 2
