"""Batches that keep one arm each, with exponential weights over them: what the policies for switching costs share.

The horizon is cut into ``N`` batches at ``floor(b T / N)``. Batch ``b`` is played with one arm, drawn from the weights
``w_b(k) = exp(-step L_b(k))`` or, on the *dartboard* (Geulen, Vocking and Winkler 2010), kept from the batch before with
probability ``exp(-step lhat(arm))`` and else drawn from ``w_b`` anew. One round ``u`` of the batch is chosen at random before
it begins; ``lhat_b`` is an unbiased estimate of the batch's total loss over the length ``ceil(T / N)`` of the longest batch.
That is the mean loss where ``N`` divides ``T``; elsewhere a bound on the sum of mean losses, times a length, would be none on
the regret, whose terms have either sign (derived).

For ``lhat >= 0`` with ``sum_k p(k) E lhat(k)^2 <= c``, at step ``sqrt(2 ln K / (N c))``, loss regret is at most
``ceil(T / N) (ln K / step + step c N / 2)`` and dartboards change arms at most ``step N`` times in expectation (derived).
"""

from math import exp, log, sqrt
from typing import NamedTuple

import numpy as np

from prefsim.ops import Array, floats, integers, uniform
from prefsim.policies._exponential import begin, charge, play, weigh


class State(NamedTuple):
    """Estimated losses, the weights that follow from them, and the batch being played."""

    loss: Array = floats("arms")
    weight: Array = floats("arms")
    total: Array = floats(1)
    """Sum of the weights."""
    floor: Array = floats(1)
    """Loss subtracted in the exponent."""
    chance: Array = floats(1)
    """Weight of the batch's arm over the sum."""
    step: Array = floats(1)
    """Learning rate."""
    batches: Array = integers(1)
    """Number of batches ``N``."""
    width: Array = integers(1)
    """Arms observed in a batch."""
    batch: Array = integers(1)
    """Batches begun."""
    end: Array = integers(1)
    """Last round of the batch."""
    share: Array = floats(1)
    """Length of the batch over that of the longest."""
    look: Array = integers(1)
    """The round that is observed."""
    pick: Array = integers("arms")
    """Arms in random order, those to observe first."""
    arm: Array = integers(1)
    keep: Array = floats(1)
    """Probability with which the dartboard keeps the arm."""
    seen: Array = floats(1)
    """Sum of the losses of the batch so far."""
    dartboard: Array = integers(1)
    """1 if arms are kept as on the dartboard, 0 if every batch draws its own."""


def prepare(state, problem, batches, width, step, dartboard):
    """Equal weights, and the plan: ``N`` batches, `width` arms observed in each, `step` 0 for the theorem's."""
    state.dartboard[0] = dartboard
    for i in range(problem.arms):
        state.pick[i] = i
    state.batches[0] = batches
    state.width[0] = width
    begin(state, problem.arms, rate(step, problem.arms, batches, problem.arms / width))


def rate(step, arms, batches, moment):
    """The learning rate in force, ``sqrt(2 ln K / (N c))`` unless given."""
    return step if step > 0.0 else sqrt(2.0 * log(arms) / (batches * moment))


def optimal_batches(problem):
    """``(T^2 K ln K / (2 cost^2))^(1/3)``, the number that minimises ``T sqrt(2 K ln K / N) + cost N``, at least 1."""
    rounds, arms = 1.0 * problem.horizon, problem.arms  # a float, as the square of a whole number may overflow
    if problem.cost**2 * rounds <= 0.5 * arms * log(arms):
        return problem.horizon
    return max(1, int((rounds**2 * arms * log(arms) / (2.0 * problem.cost**2)) ** (1.0 / 3.0) + 0.5))


def dartboard_plan(observe, batches, problem):
    """Arms to observe in a batch, and batches: as many as the budget pays for, and no more than rounds.

    `observe` is the number asked for (0 for all) and is raised where the budget would not be used up otherwise; so
    `batches`, 0 for as many as possible. A budget of 0 is none to keep to.
    """
    most = problem.arms * problem.horizon
    budget = most if problem.budget <= 0.0 else int(min(float(most), problem.budget))
    width = problem.arms if observe == 0 else max(observe, (budget + problem.horizon - 1) // problem.horizon)
    width = max(1, min(width, problem.arms, budget))
    count = max(1, min(problem.horizon, budget // width))
    return width, count if batches == 0 else min(batches, count)


def arm_of_round(state, problem, t, noise):
    """The batch's arm, drawn or kept at its beginning."""
    if t > state.end[0]:
        batches, rounds = state.batches[0], problem.horizon
        state.batch[0] += 1
        state.end[0] = state.batch[0] * rounds // batches
        if state.dartboard[0] == 0 or t == 1 or uniform(noise) >= state.keep[0]:
            state.arm[0] = play(state, noise)
        state.chance[0] = state.weight[state.arm[0]] / state.total[0]
        state.keep[0] = 1.0
        state.seen[0] = 0.0
        length = state.end[0] - t + 1
        state.share[0] = length / ((rounds + batches - 1) // batches)
        state.look[0] = t + int(uniform(noise) * length)
        for j in range(state.width[0]):
            k = j + int(uniform(noise) * (problem.arms - j))
            state.pick[j], state.pick[k] = state.pick[k], state.pick[j]
    return state.arm[0]


def want(state, t, wanted):
    """Ask for the picked arms in the chosen round."""
    if t == state.look[0]:
        for j in range(state.width[0]):
            wanted[state.pick[j]] = 1.0


def observe_picked(state, problem, t, rewards):
    """Estimate the batch's losses from the picked arms, whichever arm is played."""
    if t == state.look[0]:
        for j in range(state.width[0]):
            i = state.pick[j]
            estimate = state.share[0] * problem.arms / state.width[0] * (1.0 - rewards[i])
            state.loss[i] += estimate
            if i == state.arm[0]:
                state.keep[0] = exp(-state.step[0] * estimate)
        weigh(state)


def observe_played(state, problem, t, reward):
    """Estimate the batch's losses from the mean of the played arm's, over the probability of playing it."""
    state.seen[0] += 1.0 - reward
    if t == state.end[0]:
        longest = (problem.horizon + state.batches[0] - 1) // state.batches[0]
        charge_played(state, state.seen[0] / longest / state.chance[0])


def look_at_played(state, t, reward):
    """The same from the chosen round alone."""
    if t == state.look[0]:
        charge_played(state, state.share[0] * (1.0 - reward) / state.chance[0])


def charge_played(state, estimate):
    """Charge the batch's arm."""
    state.keep[0] = exp(-state.step[0] * estimate)
    charge(state, state.arm[0], estimate)


def loss_bound(arms, rounds, batches, moment, step, t):
    """Bound on the loss regret at rounds `t`, and the batches completed by then; a round of an open one costs 1 at most."""
    t = np.asarray(t, dtype=np.int64)
    done = ((t + 1) * batches - 1) // rounds
    if arms == 1:
        return 0.0 * t, done
    longest = -(-rounds // batches)
    return longest * (log(arms) / step + step * moment * done / 2) + t - done * rounds // batches, done
