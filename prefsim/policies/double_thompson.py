"""Double Thompson sampling (D-TS): Thompson sampling for both arms of a duel, pruned by confidence bounds.

With wins ``W``, ``mu = W / n``, ``U, L = mu +- sqrt(alpha ln t / n)`` (1 and 0 without data), ``theta(i, j) ~ Beta(W_ij + 1,
W_ji + 1)``, ``theta(j, i) = 1 - theta(i, j)``:

    C = argmax_i #{ j : U(i, j) >= 1/2 },    first  c = argmax_{i in C} #{ j : theta(i, j) > 1/2 }    (ties random)
    fresh theta(j, c),  theta(c, c) = 1/2,   second d = argmax over { j : L(j, c) <= 1/2 } of theta(j, c)

Copeland regret ``O(K^2 ln T)``; with a Condorcet winner ``O(K ln T + K^2 ln ln T)`` (Wu and Liu 2016, Theorems 1 and 2).
Only what can change the decision is drawn: for the first arm rows of C, and none when C is a single arm; and since the first
arm asks for ``theta > 1/2`` only, a coin of that chance. So does the second, unless several arms beat the first: their samples
are then drawn from above 1/2. With ``a, b`` one above the wins of both arms, the chance ``P(Beta(a, b) > 1/2)`` grows by
``2^-(a + b) / (a B(a, b))`` when ``a`` grows by 1, and falls by ``2^-(a + b) / (b B(a, b))`` when ``b`` does (DLMF 8.17.20 and
8.17.21, recalled). ``need``: _duel_bounds.py; ``L(j, c) <= 1/2`` is the same event as ``U(c, j) >= 1/2``.
"""

from math import exp, inf, lgamma, log, log1p, sqrt
from typing import NamedTuple

from prefsim.ops import Array, argmax_random, bernoulli_kl, beta, floats, uniform
from prefsim.policies._duel_bounds import Hyper, validate
from prefsim.policies._duel_bounds import learn as count

__all__ = ["Hyper", "validate"]

FEEDBACK = "duel"
SLOPE_COVERS = "duel_average"


class State(NamedTuple):
    """Statistics of every pair and scratch space."""

    wins: Array = floats("arms", "arms")
    need: Array = floats("arms", "arms")
    """``need[i, j]``: value of ``sqrt(ln t)`` from which on ``U(i, j) >= 1/2``."""
    chance: Array = floats("arms", "arms")
    """``P(theta(i, j) > 1/2)``."""
    hopes: Array = floats("arms")
    """Optimistic Copeland counts."""
    until: Array = floats(1)
    """Value of ``sqrt(ln t)`` from which on they change without a duel."""
    score: Array = floats("arms")


def init(hyper, state, problem):
    """No data: every bound is trivial, every sample uniform."""
    for i in range(problem.arms):
        for j in range(problem.arms):
            state.chance[i, j] = 0.5


def act(hyper, state, problem, t, noise):
    """Sample the champion among the candidates, then its challenger."""
    arms, root = problem.arms, sqrt(log(t))
    most = prune(state, arms, root)
    candidates, champion = 0, 0
    for i in range(arms):
        state.score[i] = -1.0
        if state.hopes[i] == most:
            state.score[i] = 0.0
            candidates += 1
            champion = i
    if candidates > 1:
        for i in range(arms):
            for j in range(arms):
                # A pair of two candidates is drawn once, from the side of the smaller index.
                if j == i or state.hopes[i] != most or (j < i and state.hopes[j] == most):
                    continue
                if beats(state, i, j, noise):
                    state.score[i] += 1.0
                elif state.hopes[j] == most:
                    state.score[j] += 1.0
        champion = argmax_random(state.score, noise)
    return champion, challenger(state, arms, champion, root, noise)


def beats(state, i, j, noise):
    """Whether a fresh ``theta(i, j)`` exceeds 1/2."""
    return uniform(noise) < state.chance[i, j]


def prune(state, arms, root):
    """Count the arms each one may beat, and return the largest count: C is who has it."""
    if root >= state.until[0]:
        state.until[0] = inf
        for i in range(arms):
            hopes = 0.0
            for j in range(arms):
                if state.need[i, j] <= root:
                    hopes += 1.0
                else:
                    state.until[0] = min(state.until[0], state.need[i, j])
            state.hopes[i] = hopes
    most = 0.0
    for i in range(arms):
        most = max(most, state.hopes[i])
    return most


def challenger(state, arms, champion, root, noise):
    """Sample whom the champion may not beat, afresh."""
    last, several = champion, False
    for j in range(arms):
        state.score[j] = 0.0
        if j != champion and state.need[champion, j] <= root and beats(state, j, champion, noise):
            state.score[j] = 1.0
            several = last != champion
            last = j
    if not several:
        return last
    for j in range(arms):
        if state.score[j] > 0.0:
            state.score[j] = upper_half(noise, state.wins[j, champion] + 1.0, state.wins[champion, j] + 1.0)
    return argmax_random(state.score, noise)


def upper_half(noise, a, b):
    """Draw from Beta(a, b) above 1/2, where for ``a < b`` its density falls at the rate ``2 (b - a)`` or faster."""
    if a >= b or (b - a) * (b - a) <= a + b:
        while True:
            theta = beta(noise, a, b)
            if theta > 0.5:
                return theta
    rate = 2.0 * (b - a)
    while True:
        x = -log(1.0 - uniform(noise)) / rate
        luck = log(1.0 - uniform(noise))
        if x < 0.5 and luck <= (a - 1.0) * log1p(2.0 * x) + (b - 1.0) * log1p(-2.0 * x) + rate * x:
            return 0.5 + x


def learn(hyper, state, problem, t, action, feedback):
    """Update the pair; self-duels teach nothing."""
    i, j = action
    if i == j:
        return
    a, b = state.wins[i, j] + 1.0, state.wins[j, i] + 1.0
    move = exp(lgamma(a + b) - lgamma(a) - lgamma(b) - (a + b) * log(2.0))
    move = move / a if feedback > 0.5 else -move / b
    state.chance[i, j] += move
    state.chance[j, i] -= move
    state.until[0] = 0.0
    count(hyper, state, problem, t, action, feedback)


def regret_slope(hyper, truth, problem):
    """``sum_j (D_wj / 2) (4 alpha / D_wj^2 + 1 / kl(P_jw, 1/2))``: pruning plus sampling (Wu and Liu 2016, recalled)."""
    if hyper.alpha <= 0.5:
        return float("nan")
    gap = truth.gap[truth.gap > 0]
    return float((gap / 2 * (4 * hyper.alpha / gap**2 + 1 / bernoulli_kl(0.5 - gap, 0.5))).sum())
