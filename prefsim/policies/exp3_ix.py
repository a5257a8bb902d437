"""EXP3-IX, exponential weights with implicit exploration: losses divided by a little more than their probability.

    p(i) = exp(-step L(i)) / sum_j exp(-step L(j)),    L(i) += loss / (p(i) + gamma) for the drawn arm i only

with ``loss = 1 - reward`` in [0, 1] and ``gamma = implicit * step``, ``implicit = 1/2``. The estimates are too small on
purpose: that tames their variance, and so the regret of a run instead of its mean. ``step = 0`` stands for
``sqrt(2 ln(K + 1) / (T K))``. For every oblivious sequence of losses, with probability ``1 - delta`` for any ``delta``,

    regret(T) <= sqrt(8 T K ln(K + 1)) + sqrt(T K / (2 ln(K + 1))) ln(1 / delta) + ln((K + 1) / delta)

(Neu 2015; in this form Lattimore and Szepesvari, Bandit Algorithms, Theorem 12.1, recalled and derived again). In
expectation the estimate of the best arm is no larger than its loss, which gives more directly (derived)

    E regret(t) <= ln K / step + (step / 2 + gamma) K t.

There is no index and so no tie; ``implicit = 0`` is EXP3.
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
    """Learning rate; 0 for the theorem's ``sqrt(2 ln(K + 1) / (T K))``."""
    implicit: float = 0.5
    """Implicit exploration ``gamma``, in units of the learning rate."""


def rate(hyper, arms, horizon):
    """The learning rate in force."""
    return hyper.step if hyper.step > 0 else sqrt(2 * log(arms + 1) / (horizon * arms))


def validate(hyper):
    """Refuse what makes no sense."""
    if hyper.implicit < 0:
        return f"implicit must be >= 0; got {hyper.implicit:g}."
    return f"step must be >= 0, 0 for the default; got {hyper.step:g}." if hyper.step < 0 else ""


def init(hyper, state, problem):
    """Equal weights."""
    begin(state, problem.arms, rate(hyper, problem.arms, problem.horizon))


def act(hyper, state, problem, t, noise):
    """Draw an arm in proportion to its weight."""
    return play(state, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Charge the drawn arm its loss, divided by its probability and the implicit exploration."""
    if feedback != 1.0:
        charge(state, action, (1.0 - feedback) / (state.chance[0] + hyper.implicit * state.step[0]))


def regret_bound(hyper, truth, problem, t):
    """``ln K / step + step (1 / 2 + implicit) K t``, on the expectation."""
    arms = problem.arms
    if arms == 1:
        return 0.0 * t
    step = rate(hyper, arms, problem.horizon)
    return log(arms) / step + step * (0.5 + hyper.implicit) * arms * t


def regret_tail(problem, t, delta):
    """What the regret at round `t` exceeds with probability at most `delta`, for the default hyperparameters.

    ``(2 ln(K + 1) + ln(1 / delta)) / step + step K t + ln((K + 1) / delta)``: the proof of the theorem, stopped at `t`.
    """
    arms, surprise = problem.arms, -log(delta)
    step = rate(Hyper(), arms, problem.horizon)
    return (2 * log(arms + 1) + surprise) / step + step * arms * t + log(arms + 1) + surprise
