"""Hand-fused kernels of dueling bandits; see ``hand_fused.py``."""

import numpy as np
from hand_fused import open_stream, pick, seek, shuffled, uniform
from numba import njit


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


@njit(inline="always")
def record(wins, need, alpha, c, d, won):
    """Enter a duel of two different arms."""
    wins[c, d] += won
    wins[d, c] += 1.0 - won
    duels = wins[c, d] + wins[d, c]
    need[c, d] = (0.5 - wins[c, d] / duels) * np.sqrt(duels / alpha)
    need[d, c] = -need[c, d]


@njit(nogil=True, error_model="numpy")
def rmed1(preference, gap, horizon, keys, first, last, final):
    arms = len(gap)
    slack = 0.3 * arms**1.01
    for run in range(first, last):
        world = open_stream(keys[0], keys[1], 0, run)
        luck = open_stream(keys[2], keys[3], 0, run)
        order = shuffled(keys, 0, run, arms)
        wins, mean, evidence = np.zeros((arms, arms)), np.full((arms, arms), 0.5), np.zeros((arms, arms))
        merit, score = np.zeros(arms), np.empty(arms)
        left, following = np.ones(arms, np.int64), np.zeros(arms, np.int64)
        turn, a, b, regret = 0, 0, 1, 0.0
        for t in range(1, horizon + 1):
            seek(world, t)
            seek(luck, t)
            exploring = a < arms - 1
            if exploring:
                c, d = a, b
                b += 1
                if b == arms:
                    a += 1
                    b = a + 1
            else:
                c = turn
                top = merit[0]
                for j in range(1, arms):
                    top = max(top, merit[j])
                d = best = pick(merit, top, luck)
                if best == c or mean[c, best] > 0.5:
                    lowest, safe = 2.0, True
                    for j in range(arms):
                        score[j] = -mean[c, j]
                        if j != c:
                            lowest = min(lowest, mean[c, j])
                            safe = safe and mean[c, j] > 0.5
                    if not safe:
                        score[c] = -np.inf
                        d = pick(score, -lowest, luck)
            i, j = order[c], order[d]
            won = 1.0 if uniform(world) < preference[i, j] else 0.0
            if c != d:
                wins[c, d] += won
                wins[d, c] += 1.0 - won
                duels = wins[c, d] + wins[d, c]
                p = wins[c, d] / duels
                x = 2.0 * p - 1.0
                if abs(x) < 0.01:
                    kl = x * x * (0.5 + x * x * (1 / 12 + x * x / 30))
                elif abs(x) >= 1.0:
                    kl = np.log(2.0)
                else:
                    kl = p * np.log(2.0 * p) + (1.0 - p) * np.log(2.0 * (1.0 - p))
                mean[c, d], mean[d, c] = p, wins[d, c] / duels
                evidence[c, d] = duels * kl if mean[c, d] < 0.5 else 0.0
                evidence[d, c] = duels * kl if mean[d, c] < 0.5 else 0.0
                against_c = against_d = 0.0
                for k in range(arms):
                    against_c += evidence[c, k]
                    against_d += evidence[d, k]
                merit[c], merit[d] = -against_c, -against_d
            if not exploring:
                left[turn] = 0
                top = merit[0]
                for j in range(1, arms):
                    top = max(top, merit[j])
                limit = np.log(t) + slack
                turn = -1
                for j in range(arms - 1, -1, -1):
                    if left[j] == 1:
                        turn = j
                    elif top - merit[j] <= limit:
                        following[j] = 1
                if turn < 0:
                    for j in range(arms - 1, -1, -1):
                        left[j] = following[j]
                        following[j] = 0
                        if left[j] == 1:
                            turn = j
            regret += 0.5 * (gap[order[c]] + gap[order[d]])
        final[run] = regret


@njit(nogil=True, error_model="numpy")
def copeland_confidence_bound(preference, gap, horizon, keys, first, last, final):
    arms, alpha = len(gap), 0.51
    for run in range(first, last):
        world = open_stream(keys[0], keys[1], 0, run)
        luck = open_stream(keys[2], keys[3], 0, run)
        order = shuffled(keys, 0, run, arms)
        wins, need = np.zeros((arms, arms)), np.zeros((arms, arms))
        winner, superior = np.ones(arms, np.int64), np.zeros((arms, arms), np.int64)
        size, high, low = np.zeros(arms, np.int64), np.empty(arms, np.int64), np.empty(arms, np.int64)
        score, losses, regret = np.empty(arms), arms, 0.0
        for t in range(1, horizon + 1):
            seek(world, t)
            seek(luck, t)
            root = np.sqrt(np.log(t))
            disproved, top, proved = 0, 0, 0
            for i in range(arms):
                above = below = 0
                for j in range(arms):
                    if j != i:
                        above += need[i, j] <= root
                        below += need[j, i] >= root
                        disproved |= superior[i, j] & (need[j, i] > root)
                high[i] = above
                low[i] = below if root > 0.0 else 0
                top, proved = max(top, high[i]), max(proved, low[i])
            if disproved:
                losses = arms
                winner[:], size[:], superior[:] = 1, 0, 0
            hypotheses = 0
            for i in range(arms):
                if winner[i] == 1 and high[i] < proved:
                    winner[i] = 0
                    if size[i] != losses + 1:
                        size[i] = 0
                        for j in range(arms):
                            superior[i, j] = j != i and need[i, j] > root
                            size[i] += superior[i, j]
                hypotheses += winner[i]
            if hypotheses == 0:
                losses = arms
                winner[:], size[:], superior[:] = 1, 0, 0
            for i in range(arms):
                if high[i] == top and low[i] == top:
                    winner[i], size[i], superior[i, :] = 1, 0, 0
                    losses = arms - 1 - top
                    for j in range(arms):
                        if j != i and size[j] < losses + 1:
                            size[j], superior[j, :] = 0, 0
                        while j != i and size[j] > losses + 1:
                            skip = int(uniform(luck) * size[j])
                            size[j] -= 1
                            for k in range(arms):
                                if superior[j, k] == 1:
                                    if skip == 0:
                                        superior[j, k] = 0
                                        break
                                    skip -= 1
            c = d = -1
            if uniform(luck) < 0.25:
                count = 0
                for i in range(arms):
                    for j in range(arms):
                        count += superior[i, j] & (need[j, i] <= root) & (need[i, j] <= root)
                if count > 0:
                    skip = int(uniform(luck) * count)
                    for i in range(arms):
                        for j in range(arms):
                            if superior[i, j] & (need[j, i] <= root) & (need[i, j] <= root):
                                if skip == 0:
                                    c, d = i, j
                                skip -= 1
            if c < 0:
                both = 0
                for i in range(arms):
                    both += (high[i] == top) & (winner[i] == 1)
                restricted = both > 0 and uniform(luck) < 2.0 / 3.0
                for i in range(arms):
                    score[i] = 1.0 if high[i] == top and (winner[i] == 1 or not restricted) else 0.0
                c = pick(score, 1.0, luck)
                rivals = 0
                for j in range(arms):
                    rivals += (j != c) & (superior[c, j] == 1) & (need[c, j] <= root)
                restricted = rivals > 0 and uniform(luck) < 0.5
                best = -1.0
                for j in range(arms):
                    score[j] = -1.0
                    if j == c:
                        score[j] = -1.0 if restricted else 0.5
                    elif need[c, j] <= root and (superior[c, j] == 1 or not restricted):
                        duels = wins[c, j] + wins[j, c]
                        score[j] = wins[j, c] / duels + root * np.sqrt(alpha / duels) if duels > 0 else 1.0
                    best = max(best, score[j])
                d = pick(score, best, luck)
            i, j = order[c], order[d]
            won = 1.0 if uniform(world) < preference[i, j] else 0.0
            if c != d:
                record(wins, need, alpha, c, d, won)
            regret += 0.5 * (gap[i] + gap[j])
        final[run] = regret
