"""Tsallis-INF: follow the leader regularised by Tsallis entropy 1/2, optimal against adversaries and on fixed means alike.

    w(i) = 4 / (eta (L(i) - x))^2  with x such that sum w = 1,    draw an arm from w

    importance weighted:  eta = 2 / sqrt(t),   L(i) += 1{i drawn} loss / w(i)
    reduced variance:     eta = 4 / sqrt(t),   L(i) += 1{i drawn} (loss - B(i)) / w(i) + B(i)  for every arm i,
                          B(i) = 1/2 where w(i) >= eta^2, else 0

with ``loss = 1 - reward`` in [0, 1]. No horizon is needed. For every oblivious sequence of losses

    E regret(t) <= 4 sqrt(K t) + 1   (importance weighted),    2 sqrt(K t) + 10 K ln t + 16   (reduced variance)

and where gaps ``D`` to one best arm are fixed while the losses drift (bernoulli, stochastically_constrained) the regret per
``ln T`` is in the limit at most ``sum_i 4 / D_i`` (derived below) and ``sum_i 1 / D_i + 28 K`` (Zimmert and Seldin 2021,
Theorem 1; that and the bounds for all sequences are recalled, not checked against the paper).

Importance weighted, a drawn arm of loss ``l`` moves the estimates, up to a constant, by ``l / w - l``, and the others by
``-l``. A move by ``g`` costs at most ``(2 s / eta) k^2 / (1 + k)``, ``s = sqrt(w)``, ``k = eta g s / 2``: in the mean at most
``(eta / 2) sum_i sqrt(w_i) (1 - w_i) (1 + eta w_i / (2 - eta))``. The growth of ``1 / eta`` costs ``2 (sqrt(t) - sqrt(t - 1))
(sum_i sqrt(w_i) - 1)``. With ``i`` over all arms but the best, both are ``sum_i sqrt(w_i / t)`` and ``O(sum_i w_i / sqrt(t)
+ K t^(-3/2))`` more, and the regret is ``E sum_t sum_i D_i w_i``. Twice the former less the latter bounds it too, by ``4 /
(D_i t)`` for every arm and round, and ``o(1 / t)`` more: what is as small as ``w_i / sqrt(t)`` loses to ``D_i w_i`` in time.

With ``z = -eta (x - min L)`` in [2, 2 sqrt K] the equation is ``sum_i u_i^2 = 1``, ``u_i = 2 / (eta (L_i - min L) + z)``, whose
left side is convex and falling in ``z``: Newton's steps ``z += (sum u^2 - 1) / sum u^3`` climb to the root from any point left
of it. They start at the last round's root; right of the root, the first of them lands left of it. There is no tie.
"""

from math import sqrt
from typing import NamedTuple

import numpy as np

from prefsim.ops import Array, draw, floats

FEEDBACK = "bandit"
REWARDS = "unit"
BOUND_COVERS = "adversarial"
ADAPTIVE = True
SLOPE_COVERS = "constrained"

STEPS = 100
"""Most Newton steps a round; about three are taken."""


class Hyper(NamedTuple):
    """Hyperparameters."""

    reduced: bool = False
    """Whether to use the estimates of reduced variance, and the larger learning rate they allow."""


class State(NamedTuple):
    """Estimated losses and the weights that follow from them."""

    loss: Array = floats("arms")
    weight: Array = floats("arms")
    """Probabilities of the current round."""
    root: Array = floats(1)
    """The last root ``z``."""


def init(hyper, state, problem):
    """No data."""
    state.root[0] = 2.0


def rate(hyper, t):
    """The learning rate of round `t`."""
    return (4.0 if hyper.reduced else 2.0) / sqrt(t)


def weigh(state, eta):
    """Solve for the weights at learning rate `eta`."""
    z, total, arms = state.root[0], 0.0, len(state.loss)
    floor = state.loss[0]
    for i in range(1, arms):
        floor = min(floor, state.loss[i])
    for _ in range(STEPS):
        total, slope = 0.0, 0.0
        for i in range(arms):
            u = 2.0 / (eta * (state.loss[i] - floor) + z)
            state.weight[i] = u * u
            total += u * u
            slope += u * u * u
        if abs(total - 1.0) < 1e-12:
            break
        z = max(2.0, z + (total - 1.0) / slope)
    state.root[0] = z
    for i in range(arms):
        state.weight[i] /= total


def act(hyper, state, problem, t, noise):
    """Draw from the weights."""
    weigh(state, rate(hyper, t))
    return draw(state.weight, 1.0, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Estimate the losses of the round."""
    loss = 1.0 - feedback
    if hyper.reduced:
        eta = rate(hyper, t)
        for i in range(problem.arms):
            base = 0.5 if state.weight[i] >= eta * eta else 0.0
            state.loss[i] += base
            if i == action:
                state.loss[i] += (loss - base) / state.weight[i]
    else:
        state.loss[action] += loss / state.weight[action]


def regret_bound(hyper, truth, problem, t):
    """The bound against oblivious adversaries."""
    t = np.asarray(t, dtype=float)
    if hyper.reduced:
        return 2 * np.sqrt(problem.arms * t) + 10 * problem.arms * np.log(np.maximum(t, 1)) + 16
    return 4 * np.sqrt(problem.arms * t) + 1


def regret_slope(hyper, truth, problem):
    """Leading coefficient of ``ln T`` where gaps are fixed; NaN unless one arm is best."""
    gaps = truth.gap[truth.gap > 0]
    if len(gaps) != len(truth.gap) - 1:
        return float("nan")
    return float((1 / gaps).sum() + 28 * len(truth.gap)) if hyper.reduced else float((4 / gaps).sum())
