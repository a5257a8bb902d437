"""Hand-fused kernels of bandits: what a good engineer would write for one policy on one environment, all in one function.

They are the baseline the engine is held against. Each draws the same counter-based numbers as the engine, so that its
regret must equal the engine's exactly: a baseline that computes something else would prove nothing.
"""

import numpy as np
from numba import njit

from prefsim import noise
from prefsim.engines.compiler import register

for _function in noise.SCALAR:
    register(_function)

open_stream, seek, uniform, normal, beta = noise.open_stream, noise.seek, noise.uniform, noise.normal, noise.beta


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
def thompson(means, horizon, keys, first, last, final):
    arms = len(means)
    top = means.max()
    for run in range(first, last):
        world = open_stream(keys[0], keys[1], 0, run)
        luck = open_stream(keys[2], keys[3], 0, run)
        order = shuffled(keys, 0, run, arms)
        heads, tails, sample = np.ones(arms), np.ones(arms), np.empty(arms)
        regret = 0.0
        for t in range(1, horizon + 1):
            seek(world, t)
            seek(luck, t)
            best = -1.0
            for i in range(arms):
                sample[i] = beta(luck, heads[i], tails[i])
                best = max(best, sample[i])
            arm = pick(sample, best, luck)
            chance = means[order[arm]]
            if uniform(world) < chance:
                heads[arm] += 1.0
            else:
                tails[arm] += 1.0
            regret += top - chance
        final[run] = regret


@njit(nogil=True, error_model="numpy")
def moss(means, horizon, keys, first, last, final):
    arms = len(means)
    top = means.max()
    for run in range(first, last):
        world = open_stream(keys[0], keys[1], 0, run)
        luck = open_stream(keys[2], keys[3], 0, run)
        order = shuffled(keys, 0, run, arms)
        pulls, total, index = np.zeros(arms), np.zeros(arms), np.full(arms, np.inf)
        regret = 0.0
        for t in range(1, horizon + 1):
            seek(world, t)
            seek(luck, t)
            best = index[0]
            for i in range(1, arms):
                best = max(best, index[i])
            arm = pick(index, best, luck)
            chance = means[order[arm]]
            pulls[arm] += 1.0
            if uniform(world) < chance:
                total[arm] += 1.0
            n = pulls[arm]
            index[arm] = total[arm] / n + 0.5 * np.sqrt(4.0 * max(0.0, np.log(horizon / (arms * n))) / n)
            regret += top - chance
        final[run] = regret


@njit(nogil=True, error_model="numpy")
def kl_ucb(means, horizon, keys, first, last, final):
    """Indices are followed along their tangents in the level, and only those at the top are solved for."""
    arms = len(means)
    top = means.max()
    for run in range(first, last):
        world = open_stream(keys[0], keys[1], 0, run)
        luck = open_stream(keys[2], keys[3], 0, run)
        order = shuffled(keys, 0, run, arms)
        pulls, total, upper = np.zeros(arms), np.zeros(arms), np.zeros(arms)
        base, slope, index = np.full(arms, 2.0), np.zeros(arms), np.empty(arms)
        exact = np.zeros(arms, np.int64)
        regret = 0.0
        for t in range(1, horizon + 1):
            seek(world, t)
            seek(luck, t)
            level = np.log(t)
            for i in range(arms):
                index[i] = base[i] + slope[i] * level
            stale = True
            best = 0.0
            while stale:
                best = index[0]
                for i in range(1, arms):
                    best = max(best, index[i])
                stale = False
                for i in range(arms):
                    if index[i] >= best - 1e-12 and pulls[i] > 0.0 and exact[i] != t:
                        stale = True
                        n = pulls[i]
                        m, bound = total[i] / n, level / n
                        if m >= 1.0:
                            q = 1.0
                        elif m <= 0.0:
                            q = 1.0 - np.exp(-bound)
                        else:
                            entropy = m * np.log(m) + (1.0 - m) * np.log(1.0 - m)
                            right = min(m + np.sqrt(0.5 * bound), 1.0 - np.exp((entropy - bound) / (1.0 - m)))
                            q = right
                            if right < 1.0:
                                if m < upper[i] < right:
                                    q = upper[i]
                                for _ in range(100):
                                    excess = entropy - m * np.log(q) - (1.0 - m) * np.log(1.0 - q) - bound
                                    move = excess * q * (1.0 - q) / (q - m)
                                    q = min(q - move, right)
                                    if move * move < 1e-14 * min(q - m, 1.0 - q):
                                        break
                            else:
                                q = 1.0
                        slope[i] = q * (1.0 - q) / (n * (q - m)) if q > m else 0.0
                        base[i] = q - slope[i] * level
                        upper[i] = index[i] = q
                        exact[i] = t
            arm = pick(index, best, luck)
            chance = means[order[arm]]
            pulls[arm] += 1.0
            if uniform(world) < chance:
                total[arm] += 1.0
            base[arm], slope[arm] = 2.0, 0.0
            regret += top - chance
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
