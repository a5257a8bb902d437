"""Beat the mean (BTM): every arm meets random opponents, and the arm that fares worst against the mean is dropped.

Among the arms alive, the one with the fewest comparisons ``n`` duels a uniform other one, and only its own record moves:
``m(b)`` is the share of those duels that ``b`` won, 1/2 without any. Before every round, with ``n*`` the smallest ``n``,

    c = 3 gamma^2 sqrt(ln(1/delta) / n*),   delta = 1 / (2 T K),   c = 1 without data
    if  min m + c < max m - c:  drop the worst arm, and delete from the records all comparisons against it

until one arm is left, which then duels itself. Under a total order with ``gamma``-relaxed strong stochastic transitivity
(``gamma D_1k >= max(D_1j, D_jk)``) and the triangle inequality the best arm survives with probability ``1 - 1/T`` and the
regret is ``O(gamma^7 K ln T / eps)`` (Yue and Joachims 2011, "Beat the mean bandit"; exponent as recalled). One public library
drops the factor 3, another keeps it with ``gamma = 1.3``. Ties of the least compared and of the worst are broken at random.
"""

from math import log, sqrt
from typing import NamedTuple

from prefsim.ops import Array, argmax_random, floats, integers, uniform

FEEDBACK = "duel"
ANYTIME = False


class Hyper(NamedTuple):
    """Hyperparameters."""

    gamma: float = 1.0
    """Relaxation of transitivity, at least 1, the value of strong stochastic transitivity."""
    radius: float = 1.0
    """Factor on the confidence radius ``c``; the theorem is about 1."""


class State(NamedTuple):
    """Records of every arm as the one that was compared."""

    alive: Array = integers("arms")
    left: Array = integers(1)
    """Number of arms alive."""
    wins: Array = floats("arms", "arms")
    """``wins[b, j]``: comparisons of ``b`` that it won against ``j``."""
    duels: Array = floats("arms", "arms")
    """``duels[b, j]``: comparisons of ``b`` against ``j``."""
    won: Array = floats("arms")
    """Wins against arms alive."""
    count: Array = floats("arms")
    """Comparisons ``n`` against arms alive."""
    score: Array = floats("arms")
    scale: Array = floats(1)
    """``c sqrt(n*)``."""


def validate(hyper):
    """Refuse what makes no sense."""
    if hyper.gamma < 1:
        return f"gamma must be >= 1; got {hyper.gamma:g}."
    return f"radius must be > 0; got {hyper.radius:g}." if hyper.radius <= 0 else ""


def init(hyper, state, problem):
    """Everybody is alive."""
    state.left[0] = problem.arms
    state.scale[0] = hyper.radius * 3.0 * hyper.gamma**2 * sqrt(log(2.0 * problem.horizon * problem.arms))
    for i in range(problem.arms):
        state.alive[i] = 1


def act(hyper, state, problem, t, noise):
    """The arm compared least against a random other one."""
    arms = problem.arms
    if state.left[0] > 1:
        drop_worst(state, arms, noise)
    for i in range(arms):
        state.score[i] = -state.count[i] if state.alive[i] == 1 else -2.0 * problem.horizon
    first = argmax_random(state.score, noise)
    if state.left[0] == 1:
        return first, first
    skip = int(uniform(noise) * (state.left[0] - 1))
    second = first
    for j in range(arms):
        if state.alive[j] == 1 and j != first:
            if skip == 0:
                second = j
                break
            skip -= 1
    return first, second


def mean_of(state, i):
    """Share of the comparisons that an arm won."""
    return state.won[i] / state.count[i] if state.count[i] > 0 else 0.5


def drop_worst(state, arms, noise):
    """Drop the worst arm if it is worse than the best by two radii."""
    least, low, high = -1.0, 1.0, 0.0
    for i in range(arms):
        state.score[i] = -2.0
        if state.alive[i] == 1:
            mean = mean_of(state, i)
            low, high = min(low, mean), max(high, mean)
            least = state.count[i] if least < 0 else min(least, state.count[i])
            state.score[i] = -mean
    width = state.scale[0] / sqrt(least) if least > 0 else 1.0
    if low + width < high - width:
        worst = argmax_random(state.score, noise)
        state.alive[worst] = 0
        state.left[0] -= 1
        for i in range(arms):
            state.won[i] -= state.wins[i, worst]
            state.count[i] -= state.duels[i, worst]


def learn(hyper, state, problem, t, action, feedback):
    """Update the record of the first arm only; self-duels teach nothing."""
    first, second = action
    if first != second:
        state.wins[first, second] += feedback
        state.duels[first, second] += 1.0
        state.won[first] += feedback
        state.count[first] += 1.0


def recommend(hyper, state, problem, t):
    """The arm alive with the best record."""
    best = -1
    for i in range(problem.arms):
        if state.alive[i] == 1 and (best < 0 or mean_of(state, i) > mean_of(state, best)):
            best = i
    return best
