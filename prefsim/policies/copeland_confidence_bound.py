"""CCB, Copeland confidence bound: optimistic champions, and a memory of who may be the winner and to whom it loses.

With ``U, L`` as in RUCB, ``cop+_i = #{ j != i : U(i, j) >= 1/2 }``, ``cop-_i = #{ j != i : L(i, j) >= 1/2 }``, C = argmax cop+,
hypothesised winners B (all arms at first), hypothesised superiors ``B^i`` (none) and number of losses ``Lb`` (K), each round

    1  L(i, j) > 1/2 for some j in B^i:  reset B, every B^i and Lb
    2  drop from B every i with cop+_i < max cop-;  unless |B^i| = Lb + 1, set B^i = { j : U(i, j) < 1/2 };  B empty: reset
    3  for i in C with cop+_i = cop-_i:  add i to B, B^i = {}, Lb = K - 1 - cop+_i;  for every other j: B^j = {} if it has fewer
       than Lb + 1 members, a random Lb + 1 of them if it has more
    4  with probability 1/4, if there are pairs i, j in B^i with L(i, j) <= 1/2 <= U(i, j):  duel one of them at random
    5  else with probability 2/3 C = B and C, if not empty;  c uniform in C;  d = argmax of U(j, c) over { j : L(j, c) <= 1/2 },
       and with probability 1/2 over those of them in B^c, if any;  duel (c, d)

(ties random; ``U(c, c) = 1/2``). Without exact ties the Copeland regret is O(ln T) (Zoghi, Karnin, Whiteson, de Rijke 2015;
steps as in the public code of Wu and Liu 2016). ``need``: _duel_bounds.py; ``L(i, j) >= 1/2`` if ``need[j, i] >= sqrt(ln t)``.
"""

from math import log, sqrt
from typing import NamedTuple

from prefsim.ops import Array, argmax_random, floats, integers, uniform
from prefsim.policies._duel_bounds import Hyper, learn, validate

__all__ = ["Hyper", "learn", "validate"]

FEEDBACK = "duel"


class State(NamedTuple):
    """Statistics of every pair, the hypotheses, and scratch space."""

    wins: Array = floats("arms", "arms")
    need: Array = floats("arms", "arms")
    """``need[i, j]``: value of ``sqrt(ln t)`` from which on ``U(i, j) >= 1/2``; 0 without data."""
    winner: Array = integers("arms")
    """1 for the members of B."""
    superior: Array = integers("arms", "arms")
    """``superior[i, j] = 1``: ``j`` is in ``B^i``."""
    size: Array = integers("arms")
    """``|B^i|``."""
    losses: Array = integers(1)
    """``Lb``."""
    high: Array = integers("arms")
    """``cop+``."""
    low: Array = integers("arms")
    """``cop-``."""
    score: Array = floats("arms")


def init(hyper, state, problem):
    """No data, no hypotheses."""
    reset(state, problem.arms)


def reset(state, arms):
    """Back to the first hypotheses."""
    state.losses[0] = arms
    for i in range(arms):
        state.winner[i] = 1
        clear(state, arms, i)


def clear(state, arms, i):
    """``B^i = {}``."""
    state.size[i] = 0
    for j in range(arms):
        state.superior[i, j] = 0


def act(hyper, state, problem, t, noise):
    """Revise the hypotheses, then test one of them or duel optimistically."""
    arms, root = problem.arms, sqrt(log(t))
    top = revise(state, arms, root, noise)
    if uniform(noise) < 0.25:
        count = 0
        for i in range(arms):
            for j in range(arms):
                count += open_pair(state, root, i, j)
        if count > 0:
            skip = int(uniform(noise) * count)
            for i in range(arms):
                for j in range(arms):
                    if open_pair(state, root, i, j):
                        if skip == 0:
                            return i, j
                        skip -= 1
    both = 0
    for i in range(arms):
        both += state.high[i] == top and state.winner[i] == 1
    restricted = both > 0 and uniform(noise) < 2.0 / 3.0
    for i in range(arms):
        chosen = state.high[i] == top and (state.winner[i] == 1 or not restricted)
        state.score[i] = 1.0 if chosen else 0.0
    champion = argmax_random(state.score, noise)
    rivals = 0
    for j in range(arms):
        rivals += j != champion and state.superior[champion, j] == 1 and state.need[champion, j] <= root
    restricted = rivals > 0 and uniform(noise) < 0.5
    for j in range(arms):
        state.score[j] = -1.0
        if j == champion:
            state.score[j] = -1.0 if restricted else 0.5
        elif state.need[champion, j] <= root and (state.superior[champion, j] == 1 or not restricted):
            duels = state.wins[champion, j] + state.wins[j, champion]
            state.score[j] = state.wins[j, champion] / duels + root * sqrt(hyper.alpha / duels) if duels > 0 else 1.0
    return champion, argmax_random(state.score, noise)


def open_pair(state, root, i, j):
    """Whether ``j`` is in ``B^i`` and ``L(i, j) <= 1/2 <= U(i, j)``."""
    return state.superior[i, j] == 1 and state.need[j, i] <= root and state.need[i, j] <= root


def revise(state, arms, root, noise):
    """Steps 1 to 3; return the largest ``cop+``."""
    disproved, top, proved = False, 0, 0
    for i in range(arms):
        state.high[i] = 0
        state.low[i] = 0
        for j in range(arms):
            if j != i:
                state.high[i] += state.need[i, j] <= root
                state.low[i] += root > 0.0 and state.need[j, i] >= root
                disproved = disproved or (state.superior[i, j] == 1 and state.need[j, i] > root)
        top = max(top, state.high[i])
        proved = max(proved, state.low[i])
    if disproved:
        reset(state, arms)
    left = 0
    for i in range(arms):
        if state.winner[i] == 1 and state.high[i] < proved:
            state.winner[i] = 0
            if state.size[i] != state.losses[0] + 1:
                clear(state, arms, i)
                for j in range(arms):
                    if j != i and state.need[i, j] > root:
                        state.superior[i, j] = 1
                        state.size[i] += 1
        left += state.winner[i]
    if left == 0:
        reset(state, arms)
    for i in range(arms):
        if state.high[i] == top and state.low[i] == top:
            state.winner[i] = 1
            clear(state, arms, i)
            state.losses[0] = arms - 1 - top
            for j in range(arms):
                if j != i:
                    trim(state, arms, j, noise)
    return top


def trim(state, arms, j, noise):
    """Empty ``B^j`` if it has fewer than ``Lb + 1`` members, thin it out at random if it has more."""
    if state.size[j] < state.losses[0] + 1:
        clear(state, arms, j)
    while state.size[j] > state.losses[0] + 1:
        skip = int(uniform(noise) * state.size[j])
        state.size[j] -= 1
        for k in range(arms):
            if state.superior[j, k] == 1:
                if skip == 0:
                    state.superior[j, k] = 0
                    break
                skip -= 1
