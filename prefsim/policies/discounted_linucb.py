"""D-LinUCB: optimism over a ridge regression that forgets, for parameters that drift.

A round ago counts ``g = discount`` times as much as now. After reward ``y`` of features ``x``,

    V = g V + x x^T + (1 - g) lambda I,    V2 = g^2 V2 + x x^T + (1 - g^2) lambda I,    b = g b + y x
    theta = V^-1 b,    play  argmax_a <x_a, theta> + radius sqrt(x_a^T V^-1 V2 V^-1 x_a)
    radius = sqrt(lambda) S + R sqrt(2 ln(1 / delta) + d ln(1 + L^2 (1 - g^{2n}) / (lambda d (1 - g^2))))

with ``V = V2 = lambda I`` at first and ``n = t - 1`` rounds of data. While the parameter stays, it lies within these widths
with probability ``1 - delta``. With variation ``B = sum_t |theta_t - theta_{t+1}|`` and ``g = 1 - (B / (d T))^{2/3}`` the
dynamic regret is of order ``d^{2/3} B^{1/3} T^{2/3}`` up to logarithms (Russac, Vernade, Cappe 2019, Theorem 2 and
Corollary 1; recalled). ``discount = 1`` is LinUCB with the determinant at its largest. ``delta = 0`` stands for ``1 / T``.
The inverse is computed afresh every round, as ``V`` changes by more than a rank. Ties are broken uniformly at random.
"""

from math import log, sqrt
from typing import NamedTuple

from prefsim.ops import Array, argmax_random, dot, floats, invert, multiply, quadratic
from prefsim.policies._limits import complain

FEEDBACK = "bandit"
SIDE = "features"
ANYTIME = False


class Hyper(NamedTuple):
    """Hyperparameters."""

    discount: float = 0.999
    """What an observation loses in weight per round, in (0, 1]; it remembers some ``1 / (1 - discount)`` rounds."""
    ridge: float = 1.0
    """The ridge parameter ``lambda``."""
    delta: float = 0.0
    """Probability that the widths are too small; 0 for ``1 / T``."""
    scale: float = 1.0
    """Factor on the theorem's radius."""


class State(NamedTuple):
    """Discounted regression."""

    gram: Array = floats("dimension", "dimension")
    """``V``."""
    squared: Array = floats("dimension", "dimension")
    """``V2``, with squared weights."""
    inverse: Array = floats("dimension", "dimension")
    """``V^-1``."""
    moment: Array = floats("dimension")
    """``b``."""
    estimate: Array = floats("dimension")
    """``theta``."""
    index: Array = floats("arms")
    scratch: Array = floats("dimension")


def validate(hyper):
    """Refuse what makes no sense."""
    if not 0 < hyper.discount <= 1:
        return f"discount must lie in (0, 1]; got {hyper.discount:g}."
    return complain(hyper, "scale")


def init(hyper, state, problem):
    """No data: the ridge alone."""
    for k in range(problem.dimension):
        state.gram[k, k] = hyper.ridge
        state.squared[k, k] = hyper.ridge
        state.inverse[k, k] = 1.0 / hyper.ridge


def radius(hyper, problem, rounds):
    """Radius after `rounds` rounds of data."""
    g = hyper.discount
    mass = (1.0 - g ** (2 * rounds)) / (1.0 - g * g) if g < 1.0 else float(rounds)
    growth = problem.dimension * log(1.0 + problem.length**2 * mass / (hyper.ridge * problem.dimension))
    surprise = -log(hyper.delta) if hyper.delta > 0.0 else log(problem.horizon)
    return sqrt(hyper.ridge) * problem.norm + problem.deviation * sqrt(2.0 * surprise + growth)


def act(hyper, state, problem, t, noise):
    """Play the largest upper bound."""
    width = hyper.scale * radius(hyper, problem, t - 1)
    for a in range(problem.arms):
        x = problem.features[a]
        multiply(state.inverse, x, state.scratch)
        state.index[a] = dot(x, state.estimate) + width * sqrt(max(0.0, quadratic(state.squared, state.scratch)))
    return argmax_random(state.index, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Forget, and update the regression."""
    g = hyper.discount
    x = problem.features[action]
    for i in range(problem.dimension):
        state.moment[i] = g * state.moment[i] + feedback * x[i]
        for k in range(problem.dimension):
            square = x[i] * x[k]
            state.gram[i, k] = g * state.gram[i, k] + square
            state.squared[i, k] = g * g * state.squared[i, k] + square
        state.gram[i, i] += (1.0 - g) * hyper.ridge
        state.squared[i, i] += (1.0 - g * g) * hyper.ridge
    invert(state.gram, state.inverse)
    multiply(state.inverse, state.moment, state.estimate)
