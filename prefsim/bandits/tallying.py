"""Weighted tallying bandit: an arm's loss depends on a weighted count of its own recent plays.

    tally of the arm x played in round t:   z = sum_{j < m} w_j 1{a_{t-j} = x},    the present play (j = 0) included
    mean loss:                              h_x(z),  h_x from [0, W] to [0, 1],    W = sum_j w_j

Rounds before the first count as no play. The policy sees the reward ``1 - loss``; losses are Beta distributed around their
means with variance ``4 s^2 h (1 - h)`` for the deviation ``s <= 1/2``, so that they stay in [0, 1], ``s = 1/2`` tosses coins,
and ``s`` is the sub-Gaussian parameter (Marchal and Arbel 2017, Theorem 1, recalled). After ``m`` successive plays the tally is
``W`` exactly. Under *repeated exposure optimality* (REO) the least full-tally loss ``h* = min_x h_x(W)`` is the least of all
attainable losses; without it nothing is known to work.

``regret`` is ``cpr_hat``, the sum of ``h_{a_t}(z_t) - h*``. ``cpr`` is complete policy regret, against the best sequence of
``t`` plays. Under REO ``regret - (m - 1) <= cpr <= regret``, because playing ``x*`` throughout costs more than ``h*`` in the
first ``m - 1`` rounds at most (derived). If neither weights nor curves increase, the best sequence plays one arm throughout
(derived: the ``k``-th play of ``x`` has at most the tally of ``k`` successive plays, so the cost is at least a sum over arms
of concave functions of their numbers of plays), and ``cpr`` is recorded; elsewhere it is NaN. Source: Malik, Igoe, Li, Singh
2023, "Weighted tallying bandits" (ICML); that the present play counts is recalled.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from prefsim.bandit import Bandit
from prefsim.game import as_floats
from prefsim.ops import TIE, Array, beta, floats, integers, uniform

FEEDBACK = "bandit"
REWARDS = "unit"
SETTING = "tallying"
HINTS = "memory"
METRICS = ("regret", "cpr")

EXAMPLE = ((0.9, 0.9, 0.5, 0.1), (0.6, 0.5, 0.4, 0.3))

SAFE = 1e-8
"""Least parameter of a Beta law; below it the law is that of a coin, its limit."""


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    curves: Array
    """Mean losses at evenly spaced tallies from 0 to ``W``, shape (arms, knots)."""
    weights: Array
    """The weights ``w``, shape (memory,)."""
    ladder: Array
    """Tallies of 1, 2, ... successive plays, the last one ``W``; shape (memory,)."""
    gap: Array
    """``h_x(W) - h*`` of each arm, shape (arms,)."""
    peak: Array
    """Largest ``h_x(z) - h*`` of each arm, shape (arms,)."""
    best: Array
    """``h*``, shape (1,)."""
    concentration: Array
    """Sum of the parameters of the Beta laws, infinite for none; shape (1,)."""
    falling: Array
    """1 if neither weights nor curves increase, else 0; shape (1,)."""


class State(NamedTuple):
    """The recent past, and what the comparators paid."""

    past: Array = integers("weights")
    """Arms of the last rounds plus 1, round ``t`` at ``t mod m``; 0 before the first."""
    loss: Array = floats(1)
    """Mean loss of the round."""
    alone: Array = floats("arms")
    """Cost of playing an arm throughout."""
    least: Array = floats(1)
    """The smallest of those."""


def tallying(
    weights: ArrayLike = (1.0, 1.0, 1.0),
    curves: ArrayLike = EXAMPLE,
    deviation: float = 0.1,
    reo: bool = True,
) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    weights : array_like, shape (memory,)
        Weights ``w_0, w_1, ...`` of the present play, the one before, ...; not negative, not all 0.
    curves : array_like, shape (arms, knots) or (instances, arms, knots)
        Mean losses in [0, 1] at evenly spaced tallies from 0 to ``W``, linear between them; with equal weights and
        ``memory + 1`` knots, a number for every attainable tally.
    deviation : float
        Sub-Gaussian parameter of the noise, in [0, 1/2].
    reo : bool
        Whether to insist on repeated exposure optimality.

    Raises
    ------
    ValueError
        If shapes or ranges do not fit, or `reo` is asked for and an arm costs less than ``h*`` at some tally from ``w_0`` on.
    """
    w, h = as_floats(weights, "weights"), as_floats(curves, "curves")
    if w.ndim != 1 or not w.size or not np.isfinite(w).all() or w.min() < 0 or w.max() == 0:
        raise ValueError(f"weights must be a list of finite numbers >= 0, not all 0; got {weights!r}.")
    if h.ndim not in (2, 3) or not h.size or h.shape[-1] < 2:
        raise ValueError(f"curves must have shape (arms, knots) or (instances, arms, knots), knots >= 2; got {h.shape}.")
    if not np.isfinite(h).all() or h.min() < 0 or h.max() > 1:
        raise ValueError(f"curves must hold mean losses in [0, 1]; they reach from {h.min():g} to {h.max():g}.")
    if not 0 <= deviation <= 0.5:
        raise ValueError(f"deviation must lie in [0, 1/2], which losses in [0, 1] cannot exceed; got {deviation}.")
    h = h.reshape(-1, *h.shape[-2:])
    ladder = np.cumsum(w)
    best = h[:, :, -1].min(axis=1, keepdims=True)
    place = w[0] / ladder[-1] * (h.shape[-1] - 1)
    first = int(place)
    fresh = h[:, :, first] + (place - first) * (h[:, :, min(first + 1, h.shape[-1] - 1)] - h[:, :, first])
    least = np.minimum(fresh, h[:, :, first + 1 :].min(axis=2, initial=1.0)).min(axis=1, keepdims=True)
    if reo and (least < best - TIE).any():
        i = int((least - best).argmin())
        raise ValueError(
            f"curves must be least at the full tally (repeated exposure optimality), but a loss of {least[i, 0]:g} is attained "
            f"below it and {best[i, 0]:g} at it; reo=False plays them all the same, with no promise."
        )
    one = np.ones((len(h), 1))
    concentration = 1 / (4 * deviation**2) - 1 if deviation > 0 else np.inf
    falling = np.array([(np.diff(w) <= 0).all() and (np.diff(one) <= TIE).all() for one in h])[:, np.newaxis]
    gap, peak = h[:, :, -1] - best, h.max(axis=2) - best
    truth = Truth(h, one * w, one * ladder, gap, peak, best, one * concentration, one * falling)
    name = "cpr_hat" if reo else "cpr_hat, no REO"  # by which run() tells whether theorems cover it
    return Bandit("tallying", truth, h.shape[1], normalisation=name, deviation=float(deviation), hints=(len(w),))


def tally(truth, world, arm, t):
    """Weighted count of an arm's plays in the rounds up to `t`."""
    total, place, m = 0.0, t % len(world.past), len(world.past)
    for j in range(m):
        if world.past[place] == arm + 1:
            total += truth.weights[j]
        place = place - 1 if place > 0 else m - 1
    return total


def loss_at(truth, arm, z):
    """Mean loss ``h_arm(z)``."""
    last = truth.curves.shape[1] - 1
    full = truth.ladder[len(truth.ladder) - 1]
    place = z / full * last
    if place >= last:
        return truth.curves[arm, last]
    k = int(place)
    return truth.curves[arm, k] + (place - k) * (truth.curves[arm, k + 1] - truth.curves[arm, k])


def feedback(truth, world, action, t, noise):
    """Reward of the played arm: 1 minus its loss."""
    world.past[t % len(world.past)] = action + 1
    mean, k = loss_at(truth, action, tally(truth, world, action, t)), truth.concentration[0]
    world.loss[0] = mean
    if k == np.inf:
        return 1.0 - mean
    if k * min(mean, 1.0 - mean) < SAFE:
        return 0.0 if uniform(noise) < mean else 1.0
    return 1.0 - beta(noise, k * mean, k * (1.0 - mean))


def regrets(truth, world, action, t, signal):
    """Excess over ``h*``; and over what the best constant sequence's cost grew by, where that is the best of all."""
    excess, cost = world.loss[0] - truth.best[0], np.nan
    if truth.falling[0] > 0.0:
        z, least = truth.ladder[min(t, len(truth.ladder)) - 1], np.inf
        for a in range(len(world.alone)):
            world.alone[a] += loss_at(truth, a, z)
            least = min(least, world.alone[a])
        cost = world.loss[0] - (least - world.least[0])
        world.least[0] = least
    return excess, cost
