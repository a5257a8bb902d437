"""Bandit with expert advice: before every round each expert names probabilities of the arms, having seen more than we do.

A hidden context ``c`` is drawn uniformly in every round. Expert ``m`` advises to play arm ``a`` with probability ``advice[c,
a, m]``, and arm ``a`` pays 1 with probability ``means[c, a]``. Policies are told the round's advice as an array (arms,
experts). ``regret`` is the pseudo-regret against the best expert ``m``: a round adds the value of that expert's advice less
the played arm's mean,

    sum_a advice[c, a, m] means[c, a] - means[c, played],

which can be negative, as a policy may do better than every expert (Auer, Cesa-Bianchi, Freund, Schapire 2002, Section 7).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from prefsim.bandit import Bandit
from prefsim.game import as_floats
from prefsim.ops import Array, floats, integers, uniform

FEEDBACK = "bandit"
REWARDS = "unit"
SETTING = "advice"
SIDE = "advice"
METRICS = ("regret",)

MEANS = ((0.8, 0.3, 0.3), (0.3, 0.8, 0.3), (0.3, 0.3, 0.8))
ADVICE = (
    ((0.9, 0.2, 1.0, 0.0), (0.1, 0.4, 0.0, 0.5), (0.0, 0.4, 0.0, 0.5)),
    ((0.0, 0.4, 1.0, 0.5), (0.9, 0.2, 0.0, 0.0), (0.1, 0.4, 0.0, 0.5)),
    ((0.1, 0.4, 1.0, 0.5), (0.0, 0.4, 0.0, 0.5), (0.9, 0.2, 0.0, 0.0)),
)
"""Four experts: one who nearly knows, one who is nearly ignorant, one who always says arm 0, and one who is wrong."""


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    means: Array
    """Mean reward of each arm in each context, shape (contexts, arms)."""
    advice: Array
    """Probabilities the experts name, shape (contexts, arms, experts)."""
    value: Array
    """Mean reward of following the best expert in each context, shape (contexts,)."""


class State(NamedTuple):
    """What changes from round to round."""

    features: Array = floats("arms", "dimension")
    """The advice of the round, shape (arms, experts)."""
    context: Array = integers(1)


def expert_advice(means: ArrayLike = MEANS, advice: ArrayLike = ADVICE) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    means : array_like, shape (contexts, arms)
        Mean rewards in [0, 1].
    advice : array_like, shape (contexts, arms, experts)
        What each expert says in each context: probabilities that sum to 1 over the arms.

    Raises
    ------
    ValueError
        If shapes do not fit, a mean leaves [0, 1], or advice is no probability distribution.
    """
    mean, said = as_floats(means, "means"), as_floats(advice, "advice")
    if mean.ndim != 2 or said.ndim != 3 or said.shape[:2] != mean.shape or not said.size:
        raise ValueError(
            f"means must have shape (contexts, arms) and advice (contexts, arms, experts); got {mean.shape} and {said.shape}."
        )
    if not np.isfinite(mean).all() or mean.min() < 0 or mean.max() > 1:
        raise ValueError("means must hold mean rewards in [0, 1].")
    if not (said >= 0).all() or np.abs(said.sum(axis=1) - 1).max() > 1e-9:
        raise ValueError("advice must be probabilities, >= 0 and with sum 1 over the arms (the middle axis).")
    said = said / said.sum(axis=1, keepdims=True)
    value = np.einsum("cam,ca->cm", said, mean)
    truth = Truth(mean[None], said[None], value[None, :, value.mean(axis=0).argmax()])
    return Bandit("expert_advice", truth, mean.shape[1], normalisation="pseudo", dimension=said.shape[2])


def observe(truth, world, t, noise):
    """Draw the context and hear the experts."""
    context = int(uniform(noise) * len(truth.means))
    world.context[0] = context
    arms, experts = world.features.shape
    for a in range(arms):
        for m in range(experts):
            world.features[a, m] = truth.advice[context, a, m]


def feedback(truth, world, action, t, noise):
    """Reward of the played arm."""
    return 1.0 if uniform(noise) < truth.means[world.context[0], action] else 0.0


def regrets(truth, world, action, t, signal):
    """Value of the best expert's advice, less the played arm's mean."""
    return (truth.value[world.context[0]] - truth.means[world.context[0], action],)
