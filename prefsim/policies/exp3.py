"""EXP3: exponential weights on importance-weighted losses.

    p(i) = exp(-step L(i)) / sum_j exp(-step L(j)),    L(i) += loss / p(i) for the drawn arm i only

with ``loss = 1 - reward`` in [0, 1] and no explicit mixing. ``step = 0`` stands for ``sqrt(2 ln K / (T K))``. For every
oblivious sequence of losses

    E regret(t) <= ln K / step + step K t / 2,    so  sqrt(2 T K ln K) at the horizon

(Auer, Cesa-Bianchi, Freund, Schapire 2002; loss form in Bubeck and Cesa-Bianchi 2012, Theorem 3.1).
"""

from math import log, sqrt
from typing import NamedTuple

from prefsim.policies._exponential import State, begin, charge, play  # noqa: F401

FEEDBACK = "bandit"
REWARDS = "unit"
ANYTIME = False
BOUND_COVERS = "adversarial"
ADAPTIVE = True


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 0.0
    """Learning rate; 0 for the theorem's ``sqrt(2 ln K / (T K))``."""


def rate(hyper, arms, horizon):
    """The learning rate in force."""
    return hyper.step if hyper.step > 0 else sqrt(2 * log(arms) / (horizon * arms))


def validate(hyper):
    """Refuse what makes no sense."""
    return f"step must be >= 0, 0 for the default; got {hyper.step:g}." if hyper.step < 0 else ""


def init(hyper, state, problem):
    """Equal weights."""
    begin(state, problem.arms, rate(hyper, problem.arms, problem.horizon))


def act(hyper, state, problem, t, noise):
    """Draw an arm in proportion to its weight."""
    return play(state, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Charge the drawn arm its importance-weighted loss."""
    if feedback != 1.0:
        charge(state, action, (1.0 - feedback) / state.chance[0])


def regret_bound(hyper, truth, problem, t):
    """``ln K / step + step K t / 2``."""
    arms = problem.arms
    if arms == 1:
        return 0.0 * t
    step = rate(hyper, arms, problem.horizon)
    return log(arms) / step + step * arms * t / 2
