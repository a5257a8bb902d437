"""Successive elimination with a warm-up, for losses that settle only after an arm has been played for a while.

    phase s = 1, 2, ...:  play every active arm M times and forget it, then n_s times; mean(i) of these n_s alone
    then drop every i with  max_j mean(j) - mean(i) > 2 r_s,    r_s = scale * sigma sqrt(2 ln(2 K T) / n_s)

``M`` (`memory`) bounds the environment's memory ``m``, ``sigma`` is the problem's deviation, and ``n_s = max(2^s, M)``,
``M 2^(s-1)`` or ``2^s``. After ``m - 1`` plays an arm's tally is full, so that samples are those of the full tally. A phase
cut off by the horizon decides nothing; the last arm is played to the end. Samples of one phase are not used again, and the
radius is a union over arms and phases only. With ``2^s`` early phases forget more than they keep: about ``M log2 M`` plays an
arm more.

With probability ``1 - S / T``, ``S`` the phases begun, all means stay within ``r_s`` of ``h_i(W)``, and then the best arm is
never dropped and arm ``i`` goes in the first phase ``S_i`` with ``n_s > N_i = 32 sigma^2 ln(2 K T) / D_i^2``, since ``4 r_s <
D_i`` drops it. A warm-up costs ``m - 1`` rounds of at most the arm's largest excess ``e_i <= 1`` over ``h*`` and ``D_i`` a
round from then on, and the last arm warms up once more:

    E cpr_hat(t) <= sum_{i != *} [S_i (m - 1) e_i + D_i sum_{s <= S_i} (M - m + 1 + n_s)]
                    + (max S_i + 1) (m - 1) e_* + (S / T) t max e

(derived; with ``M 2^(s-1)``, ``S_i <= 2 + log2 max(1, N_i / M)`` and ``sum n_s <= max(M, 4 N_i)``). Source: Malik, Igoe, Li,
Singh 2023 (ICML), who prove ``O~(sqrt(K T) + (m + M) K)`` for their modified successive elimination and that every algorithm
pays ``Omega~(m K + M)``; phases and constants are ours.
"""

from math import log, sqrt
from typing import NamedTuple

import numpy as np

from prefsim.ops import Array, floats, integers

FEEDBACK = "bandit"
HINTS = "memory"
ANYTIME = False
BOUND_COVERS = "tallying"


class Hyper(NamedTuple):
    """Hyperparameters."""

    memory: int = 0
    """The bound ``M``; 0 for the memory itself, which the environment tells."""
    phases: int = 0
    """Samples of a phase: 0 for ``max(2^s, M)``, 1 for ``M 2^(s-1)``, 2 for ``2^s``."""
    warmup: bool = True
    """Whether to forget ``M`` plays before the samples."""
    scale: float = 1.0
    """Factor on the radius."""


class State(NamedTuple):
    """What the next round needs."""

    total: Array = floats("arms")
    """Sum of an arm's rewards in this phase."""
    active: Array = integers("arms")
    """The active arms, those in force first."""
    count: Array = integers(1)
    """How many are active."""
    place: Array = integers(1)
    """Place of the arm being played in `active`."""
    plays: Array = integers(1)
    """Its plays in this phase."""
    phase: Array = integers(1)


def validate(hyper):
    """Refuse what makes no sense."""
    if hyper.memory < 0 or hyper.phases not in (0, 1, 2):
        return f"memory must be >= 0, 0 if told, and phases 0, 1 or 2; got {hyper.memory} and {hyper.phases}."
    return f"scale must be >= 0; got {hyper.scale:g}." if hyper.scale < 0 else ""


def init(hyper, state, problem):
    """All arms are active."""
    state.count[0], state.phase[0] = problem.arms, 1
    for i in range(problem.arms):
        state.active[i] = i


def bound(hyper, problem):
    """``M``."""
    return hyper.memory if hyper.memory > 0 else int(problem.hints[0])


def samples(hyper, problem, phase):
    """``n_s``."""
    power = 1 << min(phase, 62)
    if hyper.phases == 2:
        return power
    return max(power, bound(hyper, problem)) if hyper.phases == 0 else bound(hyper, problem) * (power // 2)


def act(hyper, state, problem, t, noise):
    """Go on with the arm being played."""
    return state.active[state.place[0]]


def learn(hyper, state, problem, t, action, feedback):
    """Gather the reward unless it is warm-up; at the end of a phase drop arms."""
    if state.count[0] == 1:
        return
    state.plays[0] += 1
    forgotten, kept = bound(hyper, problem) if hyper.warmup else 0, samples(hyper, problem, state.phase[0])
    if state.plays[0] > forgotten:
        state.total[action] += feedback
    if state.plays[0] < forgotten + kept:
        return
    state.plays[0] = 0
    state.place[0] += 1
    if state.place[0] < state.count[0]:
        return
    state.place[0] = 0
    state.phase[0] += 1
    best = state.total[state.active[0]]
    for k in range(1, state.count[0]):
        best = max(best, state.total[state.active[k]])
    width = 2.0 * hyper.scale * problem.deviation * sqrt(2.0 * log(2.0 * problem.arms * problem.horizon) * kept)
    left = 0
    for k in range(state.count[0]):
        arm = state.active[k]
        if best - state.total[arm] <= width:
            state.active[left] = arm
            left += 1
        state.total[arm] = 0.0
    state.count[0] = left


def regret_bound(hyper, truth, problem, t):
    """The derived bound; NaN where `hyper` leaves its assumptions."""
    m, warm = len(truth.weights), bound(hyper, problem)
    if hyper.scale != 1.0 or not hyper.warmup or warm < m:
        return np.full(np.shape(t), np.nan)
    return np.array([_bound(hyper, truth, problem, m - 1, warm, now) for now in np.ravel(t)]).reshape(np.shape(t))


def _bound(hyper, truth, problem, fresh, warm, t):
    """The bound at one round; at least two arms play every phase, so that few have begun."""
    sizes, spent = [], 0
    while spent < t:
        sizes.append(samples(hyper, problem, len(sizes) + 1))
        spent += 2 * (warm + sizes[-1])
    plays, star = np.cumsum(sizes), int(np.argmin(truth.gap))
    cost, latest = 0.0, 0
    for gap, peak in zip(np.delete(truth.gap, star), np.delete(truth.peak, star), strict=True):
        need = 32 * problem.deviation**2 * log(2 * problem.arms * problem.horizon) / gap**2 if gap > 0 else np.inf
        last = min(1 + sum(size <= need for size in sizes), len(sizes))
        cost += last * fresh * peak + gap * (last * (warm - fresh) + (plays[last - 1] if last else 0))
        latest = max(latest, last)
    cost += (latest + 1) * fresh * truth.peak[star] + len(sizes) / problem.horizon * t * truth.peak.max()
    return min(cost, t * truth.peak.max())
