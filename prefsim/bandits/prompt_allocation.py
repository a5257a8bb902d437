"""Allocation of samples across prompts: how often to ask each for an answer, so that a gradient is estimated best.

A sample of prompt ``j`` is right with chance ``p_j``, and pays 1 if it is. A policy gradient of ``sum_j u(p_j)`` with the
success rate for baseline estimates ``u'(p_j) E[(r - p_j) grad log pi]`` from the ``n_j`` samples of the prompt. If the size of
``grad log pi`` does not depend on whether the answer is right, its variance is in proportion to

    V(n) = sum_j c_j / n_j,    c_j = u'(p_j)^2 p_j (1 - p_j)

that is ``p (1 - p)`` for the success rate, ``u(p) = p``, and ``(1 - p) / p`` for its logarithm, to which hard prompts matter
most. Among allocations of ``t`` samples ``V >= S^2 / t``, ``S = sum_j sqrt(c_j)``, with equality at ``n_j`` in proportion to
``sqrt(c_j)`` (Neyman 1934; Cauchy and Schwarz). ``regret`` counts *wasted samples*, those the best allocation would save at the
same variance,

    regret(t) = t - S^2 / V(n)

all ``t`` of them until every prompt was asked. It grows in proportion to ``t`` for any fixed wrong shares (derived).
"""

from math import sqrt
from typing import NamedTuple

from numpy.typing import ArrayLike

from prefsim.bandit import Bandit, as_means
from prefsim.ops import Array, floats, uniform

FEEDBACK = "bandit"
REWARDS = "bernoulli"
METRICS = ("regret",)
UNIT = "samples"

EXAMPLE = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95)


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    chances: Array
    """Chances of a right answer, shape (arms,)."""
    cost: Array
    """The numbers ``c``, shape (arms,)."""


class State(NamedTuple):
    """What has been asked."""

    asked: Array = floats("arms")
    """Samples of each prompt."""
    wasted: Array = floats(1)
    """Wasted samples so far."""


def prompt_allocation(chances: ArrayLike = EXAMPLE, objective: str = "log_success") -> Bandit:
    """Build the environment.

    Parameters
    ----------
    chances : array_like, shape (arms,) or (instances, arms)
        Chances of a right answer, strictly between 0 and 1.
    objective : {"success", "log_success"}
        Whether the gradient is that of the mean success rate, or of its logarithm.

    Raises
    ------
    ValueError
        If a chance is 0, 1 or outside, or `objective` is neither.
    """
    p = as_means(chances, "chances")
    if not (p.min() > 0 and p.max() < 1):
        raise ValueError(f"chances must lie strictly between 0 and 1, or a prompt teaches nothing; got {chances!r}.")
    if objective not in ("success", "log_success"):
        raise ValueError(f"objective must be 'success' or 'log_success'; got {objective!r}.")
    cost = p * (1 - p) if objective == "success" else (1 - p) / p
    return Bandit("prompt_allocation", Truth(p, cost), p.shape[1], normalisation="wasted_samples")


def feedback(truth, world, action, t, noise):
    """Whether the answer is right."""
    return 1.0 if uniform(noise) < truth.chances[action] else 0.0


def regrets(truth, world, action, t, signal):
    """What the number of wasted samples grew by."""
    world.asked[action] += 1.0
    variance, root, everyone = 0.0, 0.0, True
    for j in range(len(world.asked)):
        root += sqrt(truth.cost[j])
        if world.asked[j] > 0.0:
            variance += truth.cost[j] / world.asked[j]
        else:
            everyone = False
    wasted = t - root * root / variance if everyone else float(t)
    growth = wasted - world.wasted[0]
    world.wasted[0] = wasted
    return (growth,)
