"""SCB, scalable Copeland bandit: arms earn virtual rewards for certified victories, and a KL bandit sorts them out.

    epochs of T_1 = 1000, T_r = T_(r-1)^2 rounds, each from scratch;  t counts the rounds of the epoch
    confidence  b(x, t) = alpha (ln(4 x K) + 2 max(1, ln max(1, ln t)))
    cycle through the active arms (all at first);  arm i draws a uniform opponent j != i
        a pair that is not certified duels until  n kl(p, 1/2) > b(t, t),  p the leader's share;  its leader has won for good
        i earns the virtual reward 1{ i is the certified winner against j }
    after each cycle drop the arms whose KL upper bound is below the best KL lower bound,  n kl(mean, q) <= b(T_r, t)
    with one arm left, or every pair of an active arm certified, play (i, i) with the most certified victories  (ties random)

Rounds are spent on duels only: virtual rewards of certified pairs come at once. Copeland regret ``O(K (losses of the winner +
ln K) ln T / margin^2)`` without exact ties (Zoghi, Karnin, Whiteson, de Rijke 2015); the constants are those of the public
code of Wu and Liu 2016. All active arms have as many virtual rewards, so the best lower bound is the best arm's.
"""

from math import log
from typing import NamedTuple

from prefsim.ops import Array, argmax_random, coin_kl, floats, integers, uniform
from prefsim.policies._duel_bounds import Hyper, validate

__all__ = ["Hyper", "validate"]

FEEDBACK = "duel"


class State(NamedTuple):
    """The epoch, its duels, and the virtual bandit."""

    begun: Array = floats(1)
    """Rounds before this epoch."""
    length: Array = floats(1)
    """``T_r``."""
    wins: Array = floats("arms", "arms")
    beats: Array = integers("arms", "arms")
    """``beats[i, j] = 1``: certified."""
    active: Array = integers("arms")
    earned: Array = floats("arms")
    """Virtual rewards."""
    cycles: Array = floats(1)
    arm: Array = integers(1)
    """Whose turn it is."""
    opponent: Array = integers(1)
    """Drawn opponent, or -1."""
    best: Array = integers(1)
    """The arm to play from now on, or -1."""
    score: Array = floats("arms")


def init(hyper, state, problem):
    """The first epoch."""
    start(state, problem.arms, 0.0, 1000.0)


def start(state, arms, begun, length):
    """A new epoch."""
    state.begun[0], state.length[0] = begun, length
    state.arm[0], state.opponent[0], state.best[0], state.cycles[0] = 0, -1, -1, 0.0
    for i in range(arms):
        state.active[i], state.earned[i] = 1, 0.0
        for j in range(arms):
            state.wins[i, j], state.beats[i, j] = 0.0, 0


def confidence(hyper, arms, scale, t):
    """``b(x, t)``."""
    return hyper.alpha * (log(4.0 * scale * arms) + 2.0 * log(max(log(max(t, 1.0)), 2.718281828459045)))


def divergence(p, q):
    """``kl(p, q)`` for ``0 < q < 1``."""
    first = p * log(p / q) if p > 0.0 else 0.0
    return first + (1.0 - p) * log((1.0 - p) / (1.0 - q)) if p < 1.0 else first


def act(hyper, state, problem, t, noise):
    """Go on until a pair must duel, or an arm is settled on."""
    arms = problem.arms
    if t - state.begun[0] > state.length[0]:
        start(state, arms, state.begun[0] + state.length[0], state.length[0] ** 2)
    while state.best[0] < 0:
        i, j = state.arm[0], state.opponent[0]
        if j < 0:
            j = int(uniform(noise) * (arms - 1))
            if j >= i:
                j += 1
            state.opponent[0] = j
        if state.beats[i, j] + state.beats[j, i] == 0:
            return i, j
        state.earned[i] += state.beats[i, j]
        state.opponent[0] = -1
        following = i + 1
        while following < arms and state.active[following] == 0:
            following += 1
        if following == arms:
            state.cycles[0] += 1.0
            drop(state, arms, confidence(hyper, arms, state.length[0], t - state.begun[0]) / state.cycles[0])
            following = 0
            while state.active[following] == 0:
                following += 1
        state.arm[0] = following
        settle(state, arms, noise)
    return state.best[0], state.best[0]


def drop(state, arms, level):
    """Drop the arms whose upper bound is below the best lower bound; ``kl <= level`` bounds both."""
    mean = 0.0
    for i in range(arms):
        if state.active[i] == 1:
            mean = max(mean, state.earned[i] / state.cycles[0])
    low, high = 0.0, mean
    for _ in range(60):
        middle = 0.5 * (low + high)
        if middle > 0.0 and divergence(mean, middle) <= level:
            high = middle
        else:
            low = middle
    for i in range(arms):
        worse = state.earned[i] / state.cycles[0]
        if state.active[i] == 1 and worse < high < 1.0 and divergence(worse, high) > level:
            state.active[i] = 0


def settle(state, arms, noise):
    """Choose the arm to play from now on, once nothing is left to find out."""
    count, unknown = 0, False
    for i in range(arms):
        state.score[i] = -1.0
        if state.active[i] == 1:
            count += 1
            state.score[i] = 0.0
            for j in range(arms):
                state.score[i] += state.beats[i, j]
                unknown = unknown or (j != i and state.beats[i, j] + state.beats[j, i] == 0)
    if count == 1 or not unknown:
        state.best[0] = argmax_random(state.score, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Count the duel, and certify its leader when the evidence suffices."""
    i, j = action
    if i == j:
        return
    state.wins[i, j] += feedback
    state.wins[j, i] += 1.0 - feedback
    duels, age = state.wins[i, j] + state.wins[j, i], t - state.begun[0]
    if duels * coin_kl(state.wins[i, j] / duels) > confidence(hyper, problem.arms, age, age):
        if state.wins[i, j] > state.wins[j, i]:
            state.beats[i, j] = 1
        else:
            state.beats[j, i] = 1


def recommend(hyper, state, problem, t):
    """The arm settled on, or the one with the most certified victories so far."""
    if state.best[0] >= 0:
        return state.best[0]
    arm, most = 0, -1
    for i in range(problem.arms):
        victories = 0
        for j in range(problem.arms):
            victories += state.beats[i, j]
        if victories > most:
            arm, most = i, victories
    return arm
