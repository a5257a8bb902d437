"""DynLin-UCB: LinUCB on a dynamical linear bandit, whose actions persist until the state has forgotten the past.

Epoch ``m`` plays one action for ``H_m + 1`` rounds, ``H_m = floor(ln m / ln(1 / rho_bar))``, and learns from its last
reward only, ``V += u u^T``, ``b += y u``, ``hhat = V^-1 b``:

    u_m    = argmax_u <hhat, u> + beta ||u||_{V^-1}                     ties at random; V = lambda I at first
    beta   = beta_scale (c1 sqrt(lambda) + c2 / sqrt(lambda) ln(e (t + 1)))
             + sqrt(2 s2 (ln(1 / delta) + d / 2 ln(1 + t U^2 / (d lambda))))
    c1     = Theta + Omega Bn Phi / (1 - rho_bar),    c2 = U Omega Phi (U Bn / (1 - rho_bar) + X)
    s2     = sigma^2 (1 + Omega^2 Phi^2 / (1 - rho_bar^2))

with ``t`` the first round of the epoch and constants from the problem (``prefsim.bandits.dynamical_linear``). An epoch
cut off by the horizon teaches nothing. With ``rho_bar = 0`` it is LinUCB. Source: Mussi, Metelli, Restelli 2023,
Algorithm 1; regret ``O~(d sqrt(T) / (1 - rho_bar)^(3/2))``.

In epoch ``m`` the reward is ``<h, u>`` plus noise, plus a bias of at most
``Omega Phi rho_bar^H_m (X + U Bn / (1 - rho_bar))``. With ``ceil`` for ``floor`` ``rho_bar^H_m <= 1 / m``, these sum to
at most ``ln(e t)``, so that ``|<hhat - h, u>| <= beta ||u||_{V^-1}`` with probability ``1 - delta`` if ``X`` bounds the
states in which epochs begin, noise included; with the paper's ``floor`` that takes ``c2 / rho_bar``. On that event, with
``M`` epochs begun by round ``t``,

    regret(t) <= (H_M + 1) sqrt(8 M max(U c1, beta)^2 d ln(1 + M U^2 / (d lambda)))        (derived, as for LinUCB)
"""

from math import log, sqrt
from typing import NamedTuple

import numpy as np

from prefsim.ops import Array, argmax_random, dot, floats, integers, invert, multiply, quadratic, rank_one
from prefsim.policies._limits import complain

FEEDBACK = "bandit"
SIDE = "features"
HINTS = "dynamics"
ANYTIME = False
BOUND_COVERS = "dynamical"

REFRESH = 10_000
"""Epochs between fresh inversions."""

NEAR = 1e-9
"""Relative slack of ``m rho^H >= 1``, so that powers that are exact in decimals are not missed by rounding."""


class Hyper(NamedTuple):
    """Hyperparameters."""

    ridge: float = 0.0
    """The ridge parameter ``lambda``; 0 for ``ln T``."""
    delta: float = 0.0
    """Probability that an ellipsoid misses; 0 for ``1 / T``."""
    beta_scale: float = 1.0
    """Factor on the two terms of the radius without noise; below 1 coverage is no longer proved."""
    ceil: bool = False
    """Round the epochs' lengths up, as the proof needs, instead of down, as published."""
    rho: float = -1.0
    """Replaces the ``rho_bar`` that the problem tells; -1 keeps it."""


class State(NamedTuple):
    """Ridge regression, and the epoch being played."""

    gram: Array = floats("dimension", "dimension")
    """``V``."""
    inverse: Array = floats("dimension", "dimension")
    """``V^-1``."""
    moment: Array = floats("dimension")
    """``b``."""
    estimate: Array = floats("dimension")
    """``hhat``."""
    epoch: Array = integers(1)
    """``m``, from 1."""
    hold: Array = integers(1)
    """``H_m``."""
    power: Array = floats(1)
    """``rho_bar^H_m``."""
    left: Array = integers(1)
    """Rounds of the epoch still to play."""
    arm: Array = integers(1)
    """Its action."""
    index: Array = floats("arms")
    scratch: Array = floats("dimension")


def validate(hyper):
    """Refuse what makes no sense."""
    if not (hyper.rho == -1 or 0 <= hyper.rho < 1):
        return f"rho must lie in [0, 1), or be -1 for the problem's own bound; got {hyper.rho:g}."
    return complain(hyper if hyper.ridge != 0 else hyper._replace(ridge=1.0), "beta_scale")


def ridge(hyper, problem):
    """The ridge parameter in force."""
    return hyper.ridge if hyper.ridge > 0.0 else log(max(problem.horizon, 2))


def memory(hyper, problem):
    """The ``rho_bar`` in force."""
    return hyper.rho if hyper.rho >= 0.0 else problem.hints[0]


def radius(hyper, problem, t):
    """The radius ``beta`` of an epoch that begins in round `t`."""
    _, phi, theta, omega, push, length, bound, sigma = problem.hints
    rho, weight, d = memory(hyper, problem), ridge(hyper, problem), problem.dimension
    c1 = theta + omega * push * phi / (1.0 - rho)
    c2 = length * omega * phi * (length * push / (1.0 - rho) + bound)
    s2 = sigma**2 * (1.0 + (omega * phi) ** 2 / (1.0 - rho**2))
    surprise = -log(hyper.delta) if hyper.delta > 0.0 else log(problem.horizon)
    certain = c1 * sqrt(weight) + c2 / sqrt(weight) * (1.0 + log(t + 1.0))
    return hyper.beta_scale * certain + sqrt(2.0 * s2 * (surprise + d / 2.0 * log(1.0 + t * length**2 / (d * weight))))


def init(hyper, state, problem):
    """No data: ``V`` is the ridge alone."""
    weight = ridge(hyper, problem)
    state.power[0] = 1.0
    for k in range(problem.dimension):
        state.gram[k, k] = weight
        state.inverse[k, k] = 1.0 / weight


def lengthen(hyper, state, problem):
    """Begin the next epoch: the largest ``H`` with ``m rho^H >= 1``, or with `ceil` the smallest with ``m rho^H <= 1``."""
    rho = memory(hyper, problem)
    state.epoch[0] += 1
    while rho > 0.0 and state.hold[0] < problem.horizon:
        reach = state.epoch[0] * state.power[0]
        if (hyper.ceil and reach <= 1.0 + NEAR) or (not hyper.ceil and reach * rho < 1.0 - NEAR):
            break
        state.hold[0] += 1
        state.power[0] *= rho
    state.left[0] = state.hold[0] + 1


def act(hyper, state, problem, t, noise):
    """Stay with the epoch's action; at its end, choose the largest upper bound."""
    if state.left[0] == 0:
        lengthen(hyper, state, problem)
        width = radius(hyper, problem, t)
        for a in range(problem.arms):
            u = problem.features[a]
            state.index[a] = dot(u, state.estimate) + width * sqrt(max(0.0, quadratic(state.inverse, u)))
        state.arm[0] = argmax_random(state.index, noise)
    return state.arm[0]


def learn(hyper, state, problem, t, action, feedback):
    """Learn from the last reward of an epoch."""
    state.left[0] -= 1
    if state.left[0] == 0:
        update(state, problem.features[action], feedback, state.epoch[0] % REFRESH == 0)


def update(state, u, reward, refresh):
    """Add one observation to the regression; `refresh` inverts ``V`` anew."""
    rank_one(state.inverse, u, state.scratch)
    for i in range(len(u)):
        state.moment[i] += reward * u[i]
        for k in range(len(u)):
            state.gram[i, k] += u[i] * u[k]
    if refresh:
        invert(state.gram, state.inverse)
    multiply(state.inverse, state.moment, state.estimate)


def epochs(hyper, problem, t):
    """Epochs begun by round `t`, and ``H`` of the last one."""
    rho, hold, first, rounds = memory(hyper, problem), 0, 1, 0
    while rho > 0.0:
        # Epochs that hold this long: up to the last m below rho^-(hold + 1), or up to rho^-hold with ceil.
        last = int((1.0 + NEAR) / rho**hold) if hyper.ceil else int(np.ceil((1.0 - NEAR) / rho ** (hold + 1))) - 1
        played = (last - first + 1) * (hold + 1)
        if rounds + played >= t:
            break
        rounds, first, hold = rounds + played, last + 1, hold + 1
    return first - 1 + int(np.ceil((t - rounds) / (hold + 1))), hold


def regret_bound(hyper, truth, problem, t):
    """The derived bound, plus what the rounds cost when an ellipsoid misses; NaN where coverage is not proved.

    Epochs must begin in states of norm at most the bound `X` policies are told. With noise of deviation ``s`` in the state that
    holds in all of `T` rounds with probability ``1 - delta`` if ``X >= Phi |x_1| + U B Phi / (1 - rho) + s Phi (sqrt(n) +
    sqrt(2 ln(T / delta))) / sqrt(1 - rho^2)`` (Gaussian concentration of the norm; derived).
    """
    rho = memory(hyper, problem)
    spread, phi, _, _, push, length, bound, _ = problem.hints
    miss = hyper.delta if hyper.delta > 0.0 else 1.0 / problem.horizon
    tail = sqrt(len(truth.start)) + sqrt(2.0 * log(problem.horizon / miss))
    far = phi * (np.linalg.norm(truth.start) + length * push / (1.0 - spread) + truth.noise[1] * tail / sqrt(1.0 - spread**2))
    louder = truth.noise[0] > problem.hints[7] * (1.0 + 1e-12)  # the reward's noise, than policies are told
    unproved = louder or far > bound * (1.0 + 1e-12) or not 0.0 < spread <= rho
    if not hyper.ceil or hyper.beta_scale < 1.0 or unproved:
        return np.full(np.shape(t), np.nan)
    d, weight = problem.dimension, ridge(hyper, problem)
    largest = length * (problem.hints[2] + problem.hints[3] * problem.hints[4] * problem.hints[1] / (1.0 - rho))
    values = []
    for now in np.asarray(t, dtype=float):
        begun, hold = epochs(hyper, problem, now)
        growth = d * log(1.0 + begun * length**2 / (d * weight))
        width = max(largest, radius(hyper, problem, now))
        values.append((hold + 1) * sqrt(8.0 * begun * width**2 * growth) + 2.0 * miss * now * 2.0 * largest)
    return np.array(values)
