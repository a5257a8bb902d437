"""What RMED1, RMED2 and RMED2FH share: the evidence against every arm, and the loop over the arms that may be the best.

With ``mu(i, j)`` the share of ``n(i, j)`` duels that ``i`` won against ``j``, 1/2 without data, the evidence against arm
``i`` being a Condorcet winner is the empirical divergence

    I_i = sum over { j : mu(i, j) < 1/2 } of n(i, j) kl(mu(i, j), 1/2),    i* = argmin I,    I* = min I   (ties random)

    L_C = L_R = all arms, L_N = {}
    for l in L_C:  duel (l, opponent),  drop l from L_R,
                   add to L_N every j not in L_R with  I_j - I* <= ln t + f(K),    f(K) = slack K^1.01
    L_C = L_R = L_N, L_N = {},  and again

I is read anew after every duel. Arms outside the loop count as "not in L_R", which is how a dropped arm returns; ``i*``
qualifies when the last arm is done, so that L_N is never empty then. The loop goes by presented number, a random order.
A duel changes one term of I on one side, so a round costs one divergence and O(arms). Rules: Komiyama, Honda, Kashima and
Nakagawa 2015, Algorithms 1 to 3, as recalled with the authors' public code.
"""

from math import ceil, inf, log
from typing import NamedTuple

from prefsim.ops import Array, argmax_random, bernoulli_kl, coin_kl, floats, integers


class State(NamedTuple):
    """Statistics of every pair, the loop, and scratch space."""

    wins: Array = floats("arms", "arms")
    mean: Array = floats("arms", "arms")
    """``mean[i, j]``: share of duels ``i`` won against ``j``; 1/2 without data."""
    evidence: Array = floats("arms", "arms")
    """``n kl(mu, 1/2)`` where ``i`` loses to ``j``, else 0."""
    merit: Array = floats("arms")
    """``-I_i``."""
    left: Array = integers("arms")
    """1 for the arms of L_R, which the loop has still to process."""
    following: Array = integers("arms")
    """1 for the arms of L_N, the next loop."""
    arm: Array = integers(1)
    """The arm ``l`` whose turn it is."""
    slack: Array = floats(1)
    """``f(K)``."""
    pair: Array = integers(1)
    """Pairs ``(pair // arms, pair % arms)`` before this one have had `goal` duels."""
    goal: Array = integers(1)
    exploring: Array = integers(1)
    """1 if the round tops up a pair and does not advance the loop."""
    rival: Array = integers("arms")
    """``b(l)``: the arm to compare ``l`` with (RMED2 and RMED2FH)."""
    score: Array = floats("arms")


def begin(state, arms, slack):
    """No data; all arms are in the loop."""
    state.slack[0] = slack * arms**1.01
    for i in range(arms):
        state.left[i] = 1
        for j in range(arms):
            state.mean[i, j] = 0.5


def log_log(t):
    """``ln ln t``, at least 0."""
    return log(max(log(t), 1.0))


def explores(state, arms, need):
    """Whether some pair has had fewer than `need` duels; if so, ``state.pair`` is at the first of them."""
    state.exploring[0] = 1
    while True:
        while state.pair[0] < arms * arms:
            i, j = state.pair[0] // arms, state.pair[0] % arms
            if i < j and state.wins[i, j] + state.wins[j, i] < state.goal[0]:
                return True
            state.pair[0] += 1
        if need <= state.goal[0]:
            state.exploring[0] = 0
            return False
        state.goal[0] = ceil(need)
        state.pair[0] = 0


def challenger(state, arms, arm, best, noise):
    """RMED1's opponent: ``i*`` if it may beat the arm or nobody may, else who beats the arm most."""
    feared = best != arm and state.mean[arm, best] <= 0.5
    safe = True
    for j in range(arms):
        state.score[j] = -state.mean[arm, j]
        if j != arm and state.mean[arm, j] <= 0.5:
            safe = False
    if feared or safe:
        return best
    state.score[arm] = -inf
    return argmax_random(state.score, noise)


def cheapest(state, arms, arm, best, noise):
    """``b(arm)``: the stronger opponent against which evidence costs least regret; ``i*`` if there is none."""
    found = False
    for j in range(arms):
        state.score[j] = -inf
        if state.mean[arm, j] < 0.5:
            duels = state.wins[arm, j] + state.wins[j, arm]
            cost = max(state.mean[best, arm] + state.mean[best, j] - 1.0, 0.0)
            state.score[j] = -cost * duels / state.evidence[arm, j]
            found = True
    return argmax_random(state.score, noise) if found else best


def informed_challenger(state, arms, t, arm, best, noise):
    """Opponent of RMED2 and RMED2FH: mostly ``b(arm)``, now and then ``i*``, for ``b`` may be wrong."""
    rival = state.rival[arm]
    with_best = state.wins[arm, best] + state.wins[best, arm]
    with_rival = state.wins[arm, rival] + state.wins[rival, arm]
    if best != arm and state.mean[arm, best] <= 0.5 and with_best <= with_rival / max(log_log(t), 1e-12):
        return best
    if rival != arm and state.mean[arm, rival] <= 0.5:
        return rival
    return challenger(state, arms, arm, best, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Update the pair from both sides, and advance the loop unless the round was exploration."""
    first, second = action
    if first != second:
        state.wins[first, second] += feedback
        state.wins[second, first] += 1.0 - feedback
        duels = state.wins[first, second] + state.wins[second, first]
        evidence = duels * coin_kl(state.wins[first, second] / duels)
        for i, j in ((first, second), (second, first)):
            state.mean[i, j] = state.wins[i, j] / duels
            state.evidence[i, j] = evidence if state.mean[i, j] < 0.5 else 0.0
            total = 0.0  # summed afresh: differences would drift
            for k in range(problem.arms):
                total += state.evidence[i, k]
            state.merit[i] = -total
    if state.exploring[0] == 0:
        advance(state, problem.arms, t)


def advance(state, arms, t):
    """The arm has had its duel: gather who may be the best, and go on to the next arm or the next loop."""
    state.left[state.arm[0]] = 0
    best = state.merit[0]
    for j in range(1, arms):
        best = max(best, state.merit[j])
    limit = log(t) + state.slack[0]
    after = -1
    for j in range(arms - 1, -1, -1):
        if state.left[j] == 1:
            after = j
        elif best - state.merit[j] <= limit:
            state.following[j] = 1
    if after < 0:
        for j in range(arms - 1, -1, -1):
            state.left[j] = state.following[j]
            state.following[j] = 0
            if state.left[j] == 1:
                after = j
    state.arm[0] = after


def winner_coefficient(truth):
    """``sum_i D_wi / (2 kl(P_iw, 1/2))``: the price of comparing every arm with the winner ``w`` only."""
    gap = truth.gap[truth.gap > 0]
    return float((gap / (2 * bernoulli_kl(0.5 - gap, 0.5))).sum())
