"""Double Thompson sampling (D-TS): Thompson sampling for both arms of a duel, pruned by confidence bounds.

With wins ``W``, ``mu = W / n``, ``U, L = mu +- sqrt(alpha ln t / n)`` (1 and 0 without data), ``theta(i, j) ~ Beta(W_ij + 1,
W_ji + 1)``, ``theta(j, i) = 1 - theta(i, j)``:

    C = argmax_i #{ j : U(i, j) >= 1/2 },    first  c = argmax_{i in C} #{ j : theta(i, j) > 1/2 }    (ties random)
    fresh theta(j, c),  theta(c, c) = 1/2,   second d = argmax over { j : L(j, c) <= 1/2 } of theta(j, c)

Copeland regret ``O(K^2 ln T)``; with a Condorcet winner ``O(K ln T + K^2 ln ln T)`` (Wu and Liu 2016, Theorems 1 and 2).
Only samples that can change the decision are drawn: rows of C, and none when C is a single arm. ``need`` as in RUCB;
``L(j, c) <= 1/2`` is the same event as ``U(c, j) >= 1/2``.
"""

from math import log, sqrt
from typing import NamedTuple

from prefsim.ops import Array, argmax_random, bernoulli_kl, beta, floats

FEEDBACK = "duel"
SLOPE_COVERS = "duel_average"


class Hyper(NamedTuple):
    """Hyperparameters."""

    alpha: float = 0.51
    """Exploration of the pruning bounds, above 1/2."""


class State(NamedTuple):
    """Statistics of every pair and scratch space."""

    wins: Array = floats("arms", "arms")
    need: Array = floats("arms", "arms")
    """``need[i, j]``: value of ``sqrt(ln t)`` from which on ``U(i, j) >= 1/2``."""
    hopes: Array = floats("arms")
    """Optimistic Copeland counts."""
    score: Array = floats("arms")


def validate(hyper):
    """Refuse what makes no sense."""
    return f"alpha must be > 0; the theorem needs > 1/2; got {hyper.alpha:g}." if hyper.alpha <= 0 else ""


def init(hyper, state, problem):
    """No data: every bound is trivial."""


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
                if beta(noise, state.wins[i, j] + 1.0, state.wins[j, i] + 1.0) > 0.5:
                    state.score[i] += 1.0
                elif state.hopes[j] == most:
                    state.score[j] += 1.0
        champion = argmax_random(state.score, noise)
    return champion, challenger(state, arms, champion, root, noise)


def prune(state, arms, root):
    """Count the arms each one may beat, and return the largest count: C is who has it."""
    most = 0.0
    for i in range(arms):
        hopes = 0.0
        for j in range(arms):
            if state.need[i, j] <= root:
                hopes += 1.0
        state.hopes[i] = hopes
        most = max(most, hopes)
    return most


def challenger(state, arms, champion, root, noise):
    """Sample whom the champion may not beat, afresh."""
    for j in range(arms):
        state.score[j] = -1.0
        if j != champion and state.need[champion, j] <= root:
            state.score[j] = beta(noise, state.wins[j, champion] + 1.0, state.wins[champion, j] + 1.0)
    state.score[champion] = 0.5
    return argmax_random(state.score, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Update the pair; self-duels teach nothing."""
    i, j = action
    if i == j:
        return
    state.wins[i, j] += feedback
    state.wins[j, i] += 1.0 - feedback
    duels = state.wins[i, j] + state.wins[j, i]
    state.need[i, j] = (0.5 - state.wins[i, j] / duels) * sqrt(duels / hyper.alpha)
    state.need[j, i] = -state.need[i, j]


def regret_slope(hyper, truth, problem):
    """``sum_j (D_wj / 2) (4 alpha / D_wj^2 + 1 / kl(P_jw, 1/2))``: pruning plus sampling (Wu and Liu 2016, recalled)."""
    if hyper.alpha <= 0.5:
        return float("nan")
    gap = truth.gap[truth.gap > 0]
    return float((gap / 2 * (4 * hyper.alpha / gap**2 + 1 / bernoulli_kl(0.5 - gap, 0.5))).sum())
