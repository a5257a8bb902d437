"""Hand-fused kernels of double Thompson sampling; see ``hand_fused.py``."""

from math import lgamma

import numpy as np
from hand_fused import beta, open_stream, pick, seek, shuffled, uniform
from hand_fused_duels import record
from numba import njit


@njit(inline="always")
def upper_half(luck, a, b):
    """A draw from Beta(a, b) above 1/2."""
    if a >= b or (b - a) * (b - a) <= a + b:
        theta = 0.0
        while theta <= 0.5:
            theta = beta(luck, a, b)
        return theta
    rate = 2.0 * (b - a)
    while True:
        x = -np.log(1.0 - uniform(luck)) / rate
        v = np.log(1.0 - uniform(luck))
        if x < 0.5 and v <= (a - 1.0) * np.log1p(2.0 * x) + (b - 1.0) * np.log1p(-2.0 * x) + rate * x:
            return 0.5 + x


@njit(nogil=True, error_model="numpy")
def double_thompson(preference, gap, horizon, keys, first, last, final):
    """Coins in place of Beta variables wherever only the side of 1/2 matters."""
    arms, alpha = len(gap), 0.51
    for run in range(first, last):
        world = open_stream(keys[0], keys[1], 0, run)
        luck = open_stream(keys[2], keys[3], 0, run)
        order = shuffled(keys, 0, run, arms)
        wins, need, chance = np.zeros((arms, arms)), np.zeros((arms, arms)), np.full((arms, arms), 0.5)
        hopes, score = np.empty(arms), np.empty(arms)
        until, regret = 0.0, 0.0
        for t in range(1, horizon + 1):
            seek(world, t)
            seek(luck, t)
            root = np.sqrt(np.log(t))
            if root >= until:
                until, most = np.inf, 0.0
                for i in range(arms):
                    hopes[i] = 0.0
                    for j in range(arms):
                        if need[i, j] <= root:
                            hopes[i] += 1.0
                        else:
                            until = min(until, need[i, j])
                    most = max(most, hopes[i])
            c, candidates = 0, 0
            for i in range(arms):
                score[i] = -1.0
                if hopes[i] == most:
                    score[i] = 0.0
                    c = i
                    candidates += 1
            if candidates > 1:
                for i in range(arms):
                    if hopes[i] == most:
                        for j in range(arms):
                            if j > i or (j < i and hopes[j] != most):
                                if uniform(luck) < chance[i, j]:
                                    score[i] += 1.0
                                elif hopes[j] == most:
                                    score[j] += 1.0
                best = score[0]
                for i in range(1, arms):
                    best = max(best, score[i])
                c = pick(score, best, luck)
            d, rivals = c, 0
            for j in range(arms):
                score[j] = 0.0
                if j != c and need[c, j] <= root and uniform(luck) < chance[j, c]:
                    score[j] = 1.0
                    d = j
                    rivals += 1
            if rivals > 1:
                best = 0.0
                for j in range(arms):
                    if score[j] > 0.0:
                        score[j] = upper_half(luck, wins[j, c] + 1.0, wins[c, j] + 1.0)
                        best = max(best, score[j])
                d = pick(score, best, luck)
            i, j = order[c], order[d]
            won = 1.0 if uniform(world) < preference[i, j] else 0.0
            if c != d:
                a, b = wins[c, d] + 1.0, wins[d, c] + 1.0
                move = np.exp(lgamma(a + b) - lgamma(a) - lgamma(b) - (a + b) * np.log(2.0))
                move = move / a if won > 0.5 else -move / b
                chance[c, d] += move
                chance[d, c] -= move
                record(wins, need, alpha, c, d, won)
                until = 0.0
            regret += 0.5 * (gap[i] + gap[j])
        final[run] = regret


@njit(nogil=True, error_model="numpy")
def double_thompson_every_pair(preference, gap, horizon, keys, first, last, final):
    """As the paper writes it down: every pair is drawn, then the challenger's column again."""
    arms, alpha = len(gap), 0.51
    for run in range(first, last):
        world = open_stream(keys[0], keys[1], 0, run)
        luck = open_stream(keys[2], keys[3], 0, run)
        order = shuffled(keys, 0, run, arms)
        wins, need = np.zeros((arms, arms)), np.zeros((arms, arms))
        hopes, score = np.empty(arms), np.empty(arms)
        regret = 0.0
        for t in range(1, horizon + 1):
            seek(world, t)
            seek(luck, t)
            root = np.sqrt(np.log(t))
            most = 0.0
            for i in range(arms):
                hopes[i] = score[i] = 0.0
                for j in range(arms):
                    hopes[i] += 1.0 if need[i, j] <= root else 0.0
                most = max(most, hopes[i])
            for i in range(arms):
                for j in range(i + 1, arms):
                    if beta(luck, wins[i, j] + 1.0, wins[j, i] + 1.0) > 0.5:
                        score[i] += 1.0
                    else:
                        score[j] += 1.0
            best = -1.0
            for i in range(arms):
                if hopes[i] != most:
                    score[i] = -1.0
                best = max(best, score[i])
            c = pick(score, best, luck)
            best = 0.5
            for j in range(arms):
                score[j] = 0.5 if j == c else beta(luck, wins[j, c] + 1.0, wins[c, j] + 1.0)
                if need[c, j] > root:
                    score[j] = -1.0
                best = max(best, score[j])
            d = pick(score, best, luck)
            i, j = order[c], order[d]
            won = 1.0 if uniform(world) < preference[i, j] else 0.0
            if c != d:
                record(wins, need, alpha, c, d, won)
            regret += 0.5 * (gap[i] + gap[j])
        final[run] = regret
