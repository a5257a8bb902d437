"""Hand-fused kernels: what a good engineer would write for one policy on one environment, everything in one function.

They are the baseline the engine is held against. Each draws the same counter-based numbers as the engine, so that its
regret must equal the engine's exactly: a baseline that computes something else would prove nothing.
"""

import numpy as np
from numba import njit

from prefsim import noise
from prefsim.engines.compiler import register

for _function in noise.SCALAR:
    register(_function)

open_stream, seek, uniform, normal = noise.open_stream, noise.seek, noise.uniform, noise.normal


@njit(inline="always")
def shuffled(keys, instance, run, arms):
    stream = open_stream(keys[4], keys[5], instance, run)
    order = np.arange(arms)
    for i in range(arms - 1, 0, -1):
        j = int(uniform(stream) * (i + 1))
        order[i], order[j] = order[j], order[i]
    return order


@njit(inline="always")
def pick(values, best, luck):
    """Uniform choice among the maximisers within 1e-12."""
    ties, last = 0, 0
    for i in range(len(values)):
        if values[i] >= best - 1e-12:
            ties += 1
            last = i
    if ties == 1:
        return last
    chosen = int(uniform(luck) * ties)
    for i in range(len(values)):
        if values[i] >= best - 1e-12:
            if chosen == 0:
                return i
            chosen -= 1
    return last


@njit(nogil=True, error_model="numpy")
def ucb1(means, horizon, keys, first, last, final):
    arms = len(means)
    top = means.max()
    for run in range(first, last):
        world = open_stream(keys[0], keys[1], 0, run)
        luck = open_stream(keys[2], keys[3], 0, run)
        order = shuffled(keys, 0, run, arms)
        total, mean, root, index = np.zeros(arms), np.full(arms, np.inf), np.zeros(arms), np.empty(arms)
        pulls = np.zeros(arms)
        regret = 0.0
        for t in range(1, horizon + 1):
            seek(world, t)
            seek(luck, t)
            width = np.sqrt(2.0 * np.log(t))
            best = -1.0
            for i in range(arms):
                index[i] = mean[i] + width * root[i]
                best = max(best, index[i])
            arm = pick(index, best, luck)
            chance = means[order[arm]]
            pulls[arm] += 1.0
            if uniform(world) < chance:
                total[arm] += 1.0
            mean[arm] = total[arm] / pulls[arm]
            root[arm] = 1.0 / np.sqrt(pulls[arm])
            regret += top - chance
        final[run] = regret


@njit(nogil=True, error_model="numpy")
def exp3(means, horizon, keys, first, last, final):
    arms = len(means)
    top = means.max()
    step = np.sqrt(2 * np.log(arms) / (horizon * arms))
    for run in range(first, last):
        world = open_stream(keys[0], keys[1], 0, run)
        luck = open_stream(keys[2], keys[3], 0, run)
        order = shuffled(keys, 0, run, arms)
        loss, weight = np.zeros(arms), np.ones(arms)
        total, floor, regret = float(arms), 0.0, 0.0
        for t in range(1, horizon + 1):
            seek(world, t)
            seek(luck, t)
            left = uniform(luck) * total
            arm = 0
            while arm < arms - 1 and left >= weight[arm]:
                left -= weight[arm]
                arm += 1
            chance = means[order[arm]]
            if uniform(world) >= chance:
                loss[arm] += 1.0 / (weight[arm] / total)
                weight[arm] = np.exp(-step * (loss[arm] - floor))
                total = weight.sum()
                if total < 1e-100:
                    floor = loss.min()
                    for i in range(arms):
                        weight[i] = np.exp(-step * (loss[i] - floor))
                    total = weight.sum()
            regret += top - chance
        final[run] = regret


@njit(nogil=True, error_model="numpy")
def rucb(preference, gap, horizon, keys, first, last, final):
    arms, alpha = len(gap), 0.51
    for run in range(first, last):
        world = open_stream(keys[0], keys[1], 0, run)
        luck = open_stream(keys[2], keys[3], 0, run)
        order = shuffled(keys, 0, run, arms)
        wins, mean, width = np.zeros((arms, arms)), np.ones((arms, arms)), np.zeros((arms, arms))
        need, hurdle, upper = np.zeros((arms, arms)), np.zeros(arms), np.empty(arms)
        leader, regret = -1, 0.0
        for t in range(1, horizon + 1):
            seek(world, t)
            seek(luck, t)
            root = np.sqrt(np.log(t))
            c, size = -1, 0
            for i in range(arms):
                if hurdle[i] <= root:
                    c = i
                    size += 1
            if leader >= 0 and hurdle[leader] > root:
                leader = -1
            if size == 0:
                c = int(uniform(luck) * arms)
            elif size == 1:
                leader = c
            elif leader >= 0 and uniform(luck) < 0.5:
                c = leader
            else:
                skip = int(uniform(luck) * (size - 1 if leader >= 0 else size))
                for i in range(arms):
                    if hurdle[i] <= root and i != leader:
                        if skip == 0:
                            c = i
                            break
                        skip -= 1
            best = -1.0
            for j in range(arms):
                upper[j] = mean[c, j] + root * width[c, j] if j != c else -1.0
                best = max(best, upper[j])
            d = pick(upper, best, luck)
            if upper[d] < 0.5 - 1e-12:
                d = c
            i, j = order[c], order[d]
            won = 1.0 if uniform(world) < preference[i, j] else 0.0
            if c != d:
                wins[c, d] += won
                wins[d, c] += 1.0 - won
                duels = wins[c, d] + wins[d, c]
                spread = np.sqrt(alpha / duels)
                mean[d, c] = wins[c, d] / duels
                mean[c, d] = wins[d, c] / duels
                width[c, d] = width[d, c] = spread
                need[c, d] = (0.5 - mean[d, c]) / spread
                need[d, c] = (0.5 - mean[c, d]) / spread
                top = need[c, 0]
                for k in range(1, arms):
                    top = max(top, need[c, k])
                hurdle[c] = top
                top = need[d, 0]
                for k in range(1, arms):
                    top = max(top, need[d, k])
                hurdle[d] = top
            regret += 0.5 * (gap[i] + gap[j])
        final[run] = regret


@njit(nogil=True, error_model="numpy")
def linucb(features, means, deviation, norm, horizon, keys, first, last, final):
    """Arms are fixed, so that means and widths follow by rank-one updates; never refreshed, as no such horizon needs it."""
    arms, dimension = features.shape
    top = means.max()
    for run in range(first, last):
        world = open_stream(keys[0], keys[1], 0, run)
        luck = open_stream(keys[2], keys[3], 0, run)
        order = shuffled(keys, 0, run, arms)
        x = np.empty((arms, dimension))
        square, mean, index = np.zeros(arms), np.zeros(arms), np.empty(arms)
        for a in range(arms):
            for k in range(dimension):
                x[a, k] = features[order[a], k]
                square[a] += x[a, k] ** 2
        inverse, u, growth, regret = np.eye(dimension), np.empty(dimension), 0.0, 0.0
        for t in range(1, horizon + 1):
            seek(world, t)
            seek(luck, t)
            width = norm + deviation * np.sqrt(2.0 * np.log(horizon) + growth)
            best = -1e300
            for a in range(arms):
                index[a] = mean[a] + width * np.sqrt(square[a])
                best = max(best, index[a])
            arm = pick(index, best, luck)
            value = means[order[arm]]
            q = square[arm]
            shrink = 1.0 / (1.0 + q)
            move = shrink * (value + deviation * normal(world) - mean[arm])
            growth += np.log(1.0 + q)
            for i in range(dimension):
                u[i] = 0.0
                for k in range(dimension):
                    u[i] += inverse[i, k] * x[arm, k]
            for i in range(dimension):
                for k in range(dimension):
                    inverse[i, k] -= shrink * u[i] * u[k]
            for a in range(arms):
                along = 0.0
                for k in range(dimension):
                    along += x[a, k] * u[k]
                mean[a] += move * along
                square[a] -= shrink * along * along
            regret += top - value
        final[run] = regret
