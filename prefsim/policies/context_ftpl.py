"""Context-Semi-Bandit-FTPL for one-sided feedback: play the best classifier on past estimates and fictitious examples.

    f_z = argmin_f sum_{s < t} Lhat_s(f) + sum_{x in separators} z(x) f(x),     z(x) Laplace of scale ``noise``, independent

is one call of an oracle for cost-sensitive classification (here a search through the finite class). Of ``samples`` calls
with fresh noise the frequencies are the mixture deployed, which auditors can judge, and the first decides: given the
mixture, it is drawn from it. Nobody knows the chance of acceptance, so it is resampled (Neu and Bartok 2013): ``1 / P_i``
becomes the number of further calls until one accepts ``x_i``, at most ``resamples``, of mean ``(1 - (1 - P_i)^resamples) /
P_i``. Estimates and cost of complaints as in the reduction (:mod:`prefsim.policies._one_sided`).

``noise = 0`` stands for ``sqrt(T (4 k^2 + C^2) / S)``, ``S`` separators (ours). The regret is of the order ``T^(3/4)`` with
the authors' tuning, which is not ours (Syrgkanis, Krishnamurthy, Schapire 2016; Bechavod and Roth 2023; recalled). Ties go
to the first arm.
"""

from math import log, sqrt
from typing import NamedTuple

from prefsim.ops import Array, floats, uniform
from prefsim.policies._limits import complain
from prefsim.policies._one_sided import HINTS, add_losses, individuals, price

FEEDBACK = "semi"
SIDE = "features"
ANYTIME = False

__all__ = ["HINTS", "individuals"]

MOST_CALLS = 10_000
"""Oracle calls of each kind in a round."""


class Hyper(NamedTuple):
    """Hyperparameters."""

    noise: float = 0.0
    """Scale of the fictitious costs; 0 for the default."""
    samples: int = 20
    """Oracle calls whose frequencies are deployed."""
    resamples: int = 20
    """Most further calls."""
    power: float = 0.25
    """The cost of a complaint is ``C = T^power``."""
    penalty: float = -1.0
    """The cost ``C`` itself; negative for ``T^power``."""


class State(NamedTuple):
    """Estimated losses and the mixture."""

    loss: Array = floats("arms")
    commitment: Array = floats("arms", 1)
    """The mixture deployed."""
    inverse: Array = floats("individuals")
    """Calls until the individual was accepted again; 0 where it was turned down."""
    fiction: Array = floats("dimension")
    """Costs of the separators."""


def validate(hyper):
    """Refuse what makes no sense."""
    for name in ("samples", "resamples"):
        if not 1 <= getattr(hyper, name) <= MOST_CALLS:
            return f"{name} must lie between 1 and {MOST_CALLS}; got {getattr(hyper, name)}."
    return complain(hyper, "noise")


def init(hyper, state, problem):
    """No losses yet."""


def scale(hyper, problem):
    """Scale of the Laplace noise."""
    k, cost = problem.hints[0], price(hyper, problem.horizon)
    if hyper.noise > 0:
        return hyper.noise
    return sqrt(problem.horizon * (4 * k * k + cost * cost) / max(problem.dimension - k, 1))


def oracle(hyper, state, problem, noise):
    """The best classifier on past estimates and fresh fictitious costs."""
    size, k = scale(hyper, problem), len(state.inverse)
    for s in range(k, problem.dimension):
        u = uniform(noise) - 0.5
        state.fiction[s] = -size * log(1.0 - 2.0 * abs(u)) * (1.0 if u >= 0 else -1.0)
    best, least = 0, 0.0
    for a in range(problem.arms):
        value = state.loss[a]
        for s in range(k, problem.dimension):
            value += state.fiction[s] * problem.features[a, s]
        if a == 0 or value < least:
            best, least = a, value
    return best


def act(hyper, state, problem, t, noise):
    """Deploy the frequencies of some calls, play the first, and resample the chances of those it accepts."""
    for a in range(problem.arms):
        state.commitment[a, 0] = 0.0
    arm = oracle(hyper, state, problem, noise)
    state.commitment[arm, 0] = 1.0 / hyper.samples
    for _ in range(1, hyper.samples):
        state.commitment[oracle(hyper, state, problem, noise), 0] += 1.0 / hyper.samples
    waiting = 0
    for i in range(len(state.inverse)):
        state.inverse[i] = 0.0
        if problem.features[arm, i] > 0.0:
            state.inverse[i] = hyper.resamples
            waiting += 1
    call = 0
    while waiting > 0 and call < hyper.resamples - 1:
        call += 1
        other = oracle(hyper, state, problem, noise)
        for i in range(len(state.inverse)):
            if state.inverse[i] == hyper.resamples and problem.features[other, i] > 0.0:
                state.inverse[i] = call
                waiting -= 1
    return arm


def learn(hyper, state, problem, t, action, feedback):
    """Estimate the losses of all classifiers."""
    add_losses(state.loss, problem.features, feedback, state.inverse, price(hyper, problem.horizon))
