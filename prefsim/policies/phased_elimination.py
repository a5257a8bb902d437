"""Phased elimination with G-optimal designs, for a fixed set of arms with features.

Phase ``l = 1, 2, ...`` with ``e = 2^-l`` and survivors ``A`` of rank ``r``:

    pi = a design on A with g = max_{a in A} ||a||^2_{V(pi)^-1} <= (1 + slack) r,    V(pi) = sum_a pi(a) a a^T
    play every arm n(a) = ceil((2 R^2 g pi(a) / e^2) ln(K l (l + 1) / delta)) times
    theta = least squares on this phase's rewards alone;    drop a if max_{b in A} <theta, b - a> > 2 e

``R`` is the noise's sub-Gaussian parameter and ``g = r`` the optimum, which the steps of Fedorov and Wynn approach
(_g_optimal.py). With probability ``1 - delta`` the best arm survives, and arms of phase ``l >= 2`` have gaps of at most
``8 e``; so, with phases as long as they can be,

    E regret(t) <= sum_l min(8 e_l, 2 S L) rounds_l(t) + 2 S L delta t     (the first phase at 2 S L)

(derived; Lattimore and Szepesvari, Bandit Algorithms, Theorem 22.1, state ``C sqrt(d T ln(K T))``). ``delta = 0`` stands
for ``1 / T``. Nothing is random; equal pivots and equal steps go to the arm presented first.
"""

from math import ceil, log
from typing import NamedTuple

import numpy as np

from prefsim.ops import Array, dot, floats, integers, multiply
from prefsim.policies._g_optimal import design, span, weigh
from prefsim.policies._limits import complain

FEEDBACK = "bandit"
SIDE = "features"
FIXED = True
ANYTIME = False
BOUND_COVERS = "linear"

LEAST_SLACK = 1e-3
"""Designs approach the optimum without reaching it, and the more slowly the nearer they are."""


class Hyper(NamedTuple):
    """Hyperparameters."""

    delta: float = 0.0
    """Probability that the best arm is dropped or a bad one kept; 0 for ``1 / T``."""
    slack: float = 0.1
    """How far a design's ``g`` may exceed the optimum, relatively; 1 is the usual factor 2."""


class State(NamedTuple):
    """The phase that is being played."""

    alive: Array = integers("arms")
    """1 for survivors."""
    rest: Array = floats("arms", "dimension")
    """What is left of the features beside the pivots found so far."""
    coordinates: Array = floats("arms", "dimension")
    """Survivors in the basis of the pivots; 0 beyond the rank."""
    share: Array = floats("arms")
    """The design ``pi``."""
    square: Array = floats("arms")
    """``||a||^2_{V(pi)^-1}``; estimated means when a phase ends."""
    plan: Array = integers("arms")
    """Plays ``n(a)`` of this phase."""
    done: Array = integers("arms")
    """Those already made."""
    gram: Array = floats("dimension", "dimension")
    inverse: Array = floats("dimension", "dimension")
    moment: Array = floats("dimension")
    direction: Array = floats("dimension")
    phase: Array = integers(1)
    """``l``, 0 before the first."""
    cursor: Array = integers(1)
    """Arm being played, or the number of arms when a phase is over."""


def validate(hyper):
    """Refuse what makes no sense."""
    if hyper.slack < LEAST_SLACK:
        return f"slack must be > 0, and {LEAST_SLACK:g} at least, a design takes rank / slack steps; got {hyper.slack:g}."
    return complain(hyper)


def init(hyper, state, problem):
    """Everyone survives, and a phase is to begin."""
    for a in range(problem.arms):
        state.alive[a] = 1
    state.cursor[0] = problem.arms


def length(hyper, problem, g, phase):
    """Rounds of a phase before rounding up: ``(2 R^2 g / e^2) ln(K l (l + 1) / delta)``."""
    surprise = -log(hyper.delta) if hyper.delta > 0.0 else log(problem.horizon)
    return 2.0 * problem.deviation**2 * g * 4.0**phase * (log(problem.arms * phase * (phase + 1.0)) + surprise)


def begin(hyper, state, problem):
    """Plan the next phase."""
    state.phase[0] += 1
    rank = span(state, problem.features)
    rounds = length(hyper, problem, design(state, rank, hyper.slack), state.phase[0])
    idle = True
    for a in range(problem.arms):
        state.done[a] = 0
        state.plan[a] = ceil(min(float(problem.horizon), rounds * state.share[a]))
        if state.share[a] > 0.0:  # without noise one play is enough, but needed
            state.plan[a] = max(1, state.plan[a])
        idle = idle and state.plan[a] == 0
    for a in range(problem.arms):
        if idle and state.alive[a] > 0:  # features of 0 pay nothing, whichever is played
            state.plan[a] = problem.horizon
    weigh(state, state.plan, rank)
    for k in range(problem.dimension):
        state.moment[k] = 0.0
    state.cursor[0] = 0


def act(hyper, state, problem, t, noise):
    """Go on with the plan."""
    if state.cursor[0] == problem.arms:
        begin(hyper, state, problem)
    while state.done[state.cursor[0]] == state.plan[state.cursor[0]]:
        state.cursor[0] += 1
    return state.cursor[0]


def learn(hyper, state, problem, t, action, feedback):
    """Sum up; after the last play of a phase drop what is too far from the best."""
    state.done[action] += 1
    for k in range(problem.dimension):
        state.moment[k] += feedback * state.coordinates[action, k]
    for a in range(action, problem.arms):
        if state.done[a] < state.plan[a]:
            return
    state.cursor[0] = problem.arms
    multiply(state.inverse, state.moment, state.direction)
    top = -np.inf
    for a in range(problem.arms):
        state.square[a] = dot(state.coordinates[a], state.direction)
        if state.alive[a] > 0:
            top = max(top, state.square[a])
    for a in range(problem.arms):
        if top - state.square[a] > 2.0 * 0.5 ** state.phase[0]:
            state.alive[a] = 0


def regret_bound(hyper, truth, problem, t):
    """The sum over phases of the module's head, every phase as long as its design allows."""
    left, total = np.array(t, dtype=float), np.zeros(np.shape(t))
    largest = 2.0 * problem.norm * problem.length
    for phase in range(1, 200):
        rounds = length(hyper, problem, (1.0 + hyper.slack) * problem.dimension, phase) + problem.arms
        spent = np.minimum(left, rounds)
        total += (min(8.0 * 0.5**phase, largest) if phase > 1 else largest) * spent
        left -= spent
    return total + (hyper.delta if hyper.delta > 0.0 else 1.0 / problem.horizon) * largest * np.asarray(t)
