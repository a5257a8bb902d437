"""Looks into policies for linear duels while they play: error of the estimate, radius, width and cost of every round."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefsim import noise
from prefsim.bandits.contextual_duels import contextual_duels
from prefsim.policies import _confident_pairs, _linear_duels

Floats = NDArray[np.float64]


def watch(hyper, state, problem, parameter, preference, keys, run, out):  # type: ignore[no-untyped-def]
    """Play one run on fixed arms; fill ``out[t]`` with error, radius, width, first and second arm.

    The error is ``||theta - theta*||_V`` of the estimate and matrix in force in that round, the width ``||x - y||_{V^-1}``.
    """
    nature = open_stream(keys[0], keys[1], 0, run)  # noqa: F821
    luck = open_stream(keys[2], keys[3], 0, run)  # noqa: F821
    init(hyper, state, problem)  # noqa: F821
    for t in range(1, len(out) + 1):
        seek(nature, t)  # noqa: F821
        seek(luck, t)  # noqa: F821
        first, second = act(hyper, state, problem, t, luck)  # noqa: F821
        describe_arms(state, problem)  # noqa: F821
        square = 0.0
        for k in range(len(parameter)):
            part = 0.0
            for i in range(k, len(parameter)):
                part += state.factor[i, k] * (state.estimate[i] - parameter[i])
            square += part * part
        out[t - 1, 0] = np.sqrt(square)
        out[t - 1, 1] = radius(hyper, state, problem, t)  # noqa: F821
        out[t - 1, 2] = distance(state, first, second)  # noqa: F821
        out[t - 1, 3] = first
        out[t - 1, 4] = second
        won = 1.0 if uniform(nature) < preference[first, second] else 0.0  # noqa: F821
        learn(hyper, state, problem, t, (first, second), won)  # noqa: F821


@cache
def compiled(policy: Any, radius: Callable[..., float]) -> Any:
    """The loop above for one policy, whose radius is this function."""
    from prefsim.engines.compiler import compile_runner

    shared = {name: getattr(_linear_duels, name) for name in ("describe_arms", "distance")}
    streams = {name: getattr(noise, name) for name in ("open_stream", "seek", "uniform")}
    rule = {name: getattr(policy, name) for name in ("init", "act", "learn")}
    arguments = ", ".join(inspect.signature(watch).parameters)
    entry = f"def run({arguments}):\n    watch({arguments})\n"
    return compile_runner(watch, "", {**streams, **shared, **rule, "radius": radius}, entry)


def rounds(
    policy: Any,
    hyper: Any,
    horizon: int,
    runs: int,
    *,
    radius: Callable[..., float] = _confident_pairs.radius,
    arms: int = 6,
    flip: float = 0.0,
    seed: int = 0,
) -> dict[str, Floats]:
    """Play a policy on random unit features in the plane, fresh for every run, with a parameter of norm 1.

    Returns
    -------
    dict of arrays, shape (runs, horizon)
        ``error``, ``radius``, ``width`` and ``cost``, the utility regret of the round.
    """
    from prefsim.engines import reference

    generator = np.random.default_rng(seed)
    key = [word for name in ("environment", "policy") for word in noise.stream_key(seed, "watch", name)]
    keys, parameter = np.array(key, dtype=np.uint64), np.array([0.6, 0.8])
    out = np.zeros((runs, horizon, 5))
    cost = np.zeros((runs, horizon))
    play = compiled(policy, radius)
    for run in range(runs):
        features = generator.normal(size=(arms, 2))
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        bandit = contextual_duels(parameter, features=features, flip=flip)
        problem = bandit.problem(horizon)
        problem.features[:] = features
        state = reference.allocate(policy)(problem)
        play(hyper, state, problem, parameter, bandit.truth.preference[0], keys, run, out[run])
        pair = out[run, :, 3:].astype(int)
        cost[run] = bandit.truth.gap[0][pair].mean(axis=1)
    return {"error": out[..., 0], "radius": out[..., 1], "width": out[..., 2], "cost": cost}
