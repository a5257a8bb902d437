"""Thompson sampling with Beta(1, 1) priors: play the arm whose posterior sample is largest.

    theta(i) ~ Beta(1 + successes(i), 1 + failures(i)),    play argmax theta

A reward strictly between 0 and 1 is first turned into a coin of that mean (Agrawal and Goyal 2012, Algorithm 2), drawn
at the start of the next round. Ties have next to no probability and are broken uniformly at random. On Bernoulli rewards
``E regret(T) / ln T`` tends to the Lai-Robbins coefficient ``sum_i D_i / kl(mu_i, mu*)`` (Kaufmann, Korda, Munos 2012;
Agrawal and Goyal 2013).
"""

from typing import NamedTuple

from prefsim.ops import Array, argmax_random, bernoulli_kl, beta, floats, integers, uniform

FEEDBACK = "bandit"
SLOPE_COVERS = "bernoulli"
REWARDS = "unit"


class Hyper(NamedTuple):
    """No hyperparameters."""


class State(NamedTuple):
    """Posterior counts."""

    successes: Array = floats("arms")
    failures: Array = floats("arms")
    sample: Array = floats("arms")
    pending_arm: Array = integers(1)
    """Arm whose fractional reward still waits for its coin, or -1."""
    pending_reward: Array = floats(1)


def init(hyper, state, problem):
    """Start from the prior."""
    state.pending_arm[0] = -1


def act(hyper, state, problem, t, noise):
    """Sample every posterior and play the largest."""
    waiting = state.pending_arm[0]
    if waiting >= 0:
        coin = 1.0 if uniform(noise) < state.pending_reward[0] else 0.0
        state.successes[waiting] += coin
        state.failures[waiting] += 1.0 - coin
        state.pending_arm[0] = -1
    for i in range(problem.arms):
        state.sample[i] = beta(noise, 1.0 + state.successes[i], 1.0 + state.failures[i])
    return argmax_random(state.sample, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Count a success or a failure; leave anything between for the coin."""
    if feedback == 0.0 or feedback == 1.0:
        state.successes[action] += feedback
        state.failures[action] += 1.0 - feedback
    else:
        state.pending_arm[0] = action
        state.pending_reward[0] = feedback


def regret_slope(hyper, truth, problem):
    """Lai-Robbins coefficient of ``ln T`` for Bernoulli arms."""
    worse = truth.gap > 0
    return float((truth.gap[worse] / bernoulli_kl(truth.means[worse], truth.means.max())).sum())
