"""Dynamical linear bandits round by round, for claims about what no recorded metric shows: states, estimates, epochs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefsim import noise, registry
from prefsim.bandit import Bandit
from prefsim.claims._regret import truths
from prefsim.engines import reference
from prefsim.policies import dynlin_ucb as rule

Floats = NDArray[np.float64]


def steady(truth: Any) -> Floats:
    """``h = theta + B^T (I - A^T)^-1 omega``, shape (dimension,)."""
    return np.asarray(truth.theta + truth.B.T @ held(truth))


def held(truth: Any) -> Floats:
    """``(I - A^T)^-1 omega``: what a unit of state is worth until it is forgotten, shape (states,)."""
    return np.asarray(np.linalg.solve(np.eye(len(truth.A)) - truth.A.T, truth.omega))


class Path(NamedTuple):
    """One run under given actions."""

    reward: Floats
    """Shape (rounds,)."""
    states: Floats
    """From the first to the one after the last round, shape (rounds + 1, states)."""
    state_noise: Floats
    """Shape (rounds, states)."""
    reward_noise: Floats
    """Shape (rounds,)."""


def follow(bandit: Bandit, actions: Any, seed: int = 0) -> Path:
    """Let the environment's own functions play `actions`, shape (rounds,); the noise is drawn a second time beside it."""
    truth, environment = truths(bandit)[0], registry.load("bandits", bandit.environment)
    key = noise.stream_key(seed, "", "environment")
    nature, world = noise.open_stream(*key, 0, 0), reference.allocate(environment)(bandit.problem(), truth)
    environment.start(truth, world, None, nature)
    n = len(truth.A)
    reward, states = np.empty(len(actions)), np.empty((len(actions) + 1, n))
    for t, action in enumerate(actions):
        states[t] = world.x
        noise.seek(nature, t + 1)
        reward[t] = environment.feedback(truth, world, action, t + 1, nature)
    states[-1] = world.x
    drawn = noise.normals(key, 0, 0, np.arange(1, len(actions) + 1), n + 1)
    return Path(reward, states, truth.noise[1] * drawn[:, 1:], truth.noise[0] * drawn[:, 0])


class Learned(NamedTuple):
    """What DynLin-UCB did in one run, an entry for each completed epoch."""

    arm: NDArray[np.int64]
    begun: NDArray[np.int64]
    """First round, from 1."""
    rounds: NDArray[np.int64]
    first: Floats
    """Its first reward."""
    last: Floats
    """Its last reward."""
    estimate: Floats
    """``hhat`` when it began, shape (epochs, dimension)."""
    inverse: Floats
    """``V^-1`` when it began, shape (epochs, dimension, dimension)."""
    updates: NDArray[np.int64]
    """Changes of ``V`` from its beginning to its end."""


def learn(bandit: Bandit, horizon: int, seed: int = 0, every: bool = False, forced: Any = None, **hyper: float) -> Learned:
    """Play DynLin-UCB by its own functions against the system's equations.

    `every` updates the regression in every round of an epoch. `forced` names the arms that are played in turn instead,
    a round each, with an update after each.
    """
    truth, problem = truths(bandit)[0], bandit.problem(horizon)
    problem.features[:] = truth.features
    values = rule.Hyper(**hyper)  # type: ignore[arg-type]
    state = reference.allocate(rule)(problem)
    rule.init(values, state, problem)
    luck = noise.open_stream(*noise.stream_key(seed, "", "policy"), 0, 0)
    random = np.random.default_rng(seed)
    x, t, kept = truth.start.copy(), 1, []
    while t <= horizon:
        noise.seek(luck, t)
        arm = int(rule.act(values, state, problem, t, luck)) if forced is None else forced[t % len(forced)]
        length = int(state.left[0]) if forced is None else 1
        if t + length - 1 > horizon:
            break
        before, estimate, inverse = state.gram.copy(), state.estimate.copy(), state.inverse.copy()
        u, rewards, updates = truth.features[arm], [], 0
        for k in range(length):
            rewards.append(float(truth.omega @ x + truth.theta @ u + truth.noise[0] * random.standard_normal()))
            x = truth.A @ x + truth.B @ u + truth.noise[1] * random.standard_normal(len(x))
            if forced is not None or (every and k < length - 1):
                rule.update(state, u, rewards[-1], False)
            if forced is None:
                rule.learn(values, state, problem, t + k, arm, rewards[-1])
            updates += int((state.gram != before).any())
            before[:] = state.gram
        kept.append((arm, t, length, rewards[0], rewards[-1], estimate, inverse, updates))
        t += length
    return Learned(*(np.array(column) for column in zip(*kept, strict=True)))
