"""Runs bandit policies on an engine, and sets their theory beside the data."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import numpy as np

from prefsim import noise, registry
from prefsim.bandit import Bandit, Problem
from prefsim.engines import load_engine
from prefsim.experiment import Experiment

LONG = 50_000_000
"""Rounds from which a terminal is shown a progress bar."""


def play(experiment: Experiment, engine: str) -> dict[str, Any]:
    """Simulate every policy; arrays (algorithm, instance, run, t) by metric, with bounds and slopes where they apply."""
    bandit: Bandit = experiment.problem
    environment = registry.load("bandits", bandit.environment)
    if environment.FEEDBACK == "duel" and bandit.arms < 2:
        raise ValueError("a duel needs at least two arms; this problem has one.")
    wanted = experiment.chosen_metrics(["regret"], environment.METRICS)
    rules = []
    for spec in experiment.algorithms:
        entry = registry.algorithm("policies", spec.key)
        accepted = entry.module.FEEDBACK
        if environment.FEEDBACK not in ((accepted,) if isinstance(accepted, str) else accepted):
            raise ValueError(f"{spec.key} learns from {accepted} feedback, but {bandit!r} gives {environment.FEEDBACK}.")
        if getattr(entry.module, "REWARDS", "") == "unit" and getattr(environment, "REWARDS", "") not in ("unit", "bernoulli"):
            raise ValueError(
                f"{spec.key} needs rewards in [0, 1], which {bandit!r} does not promise; an environment file with such "
                'rewards says REWARDS = "unit".'
            )
        rules.append((entry.module, entry.hyper(spec.hyper)))
    key = [noise.stream_key(experiment.seed, experiment.name, s) for s in ("environment", "policy", "order")]
    keys = np.array(key, dtype=np.uint64).ravel()
    times = experiment.times
    problem = Problem(bandit.arms, experiment.horizon)
    backend = load_engine(engine)
    shape = (bandit.instances, experiment.runs, len(times), len(environment.METRICS))
    values = np.zeros((len(rules), *shape))
    with _progress(len(rules) * bandit.instances * experiment.runs, experiment.horizon) as progress:
        for a, (policy, hyper) in enumerate(rules):
            play = backend.play_bandit(policy, environment)
            for i in range(bandit.instances):
                arguments = (hyper, _instance(bandit, i), problem, keys, i)
                out = values[a, i]

                def work(first: int, last: int, halt: Any, play=play, arguments=arguments, out=out) -> None:  # type: ignore[no-untyped-def]
                    play(*arguments, first, last, times, out, halt)

                if engine == "reference":
                    work(0, experiment.runs, np.zeros(1, np.uint8))
                else:
                    backend.parallel(work, experiment.runs, progress)
    index = [environment.METRICS.index(name) for name in wanted]
    variables: dict[str, Any] = {name: values[..., m] for name, m in zip(wanted, index, strict=True)}
    variables.update(_regret_theory(bandit, environment, rules, experiment, times))
    return variables


def _instance(bandit: Bandit, i: int) -> Any:
    return type(bandit.truth)(*(field[i] for field in bandit.truth))


def _regret_theory(bandit: Bandit, environment: Any, rules: list[Any], experiment: Experiment, times: Any) -> dict[str, Any]:
    """Bounds and slopes beside the data, where they apply.

    They speak of regret against a best (Condorcet) arm; bounds are for rewards in [0, 1] or duels, slopes for Bernoulli
    rewards or duels.
    """
    duels, rewards = environment.FEEDBACK == "duel", getattr(environment, "REWARDS", "")
    if bandit.normalisation not in ("pseudo", "duel_average") or not hasattr(bandit.truth, "gap"):
        return {}
    count = (len(rules), bandit.instances)
    bound, upper = np.full((*count, len(times)), np.nan), np.full(count, np.nan)
    for a, (policy, hyper) in enumerate(rules):
        for i in range(bandit.instances):
            truth = _instance(bandit, i)
            if hasattr(policy, "regret_bound") and (duels or rewards in ("unit", "bernoulli")):
                bound[a, i] = policy.regret_bound(hyper, truth, experiment.horizon, times)
            if hasattr(policy, "regret_slope") and (duels or rewards == "bernoulli"):
                upper[a, i] = policy.regret_slope(hyper, truth)
    theory: dict[str, Any] = {}
    if np.isfinite(bound).any():
        theory["regret_bound"] = bound
    if np.isfinite(upper).any():
        theory["regret_slope_upper"] = upper
    if hasattr(environment, "regret_slope_lower"):
        lower = np.array([environment.regret_slope_lower(_instance(bandit, i)) for i in range(bandit.instances)])
        theory["regret_slope_lower"] = np.broadcast_to(lower, count)
    return theory


@contextmanager
def _progress(units: int, rounds: int) -> Any:
    """A progress bar over runs for long work on a terminal; yields the function to report finished runs with."""
    if units * rounds < LONG or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("simulating", total=units)
        report: Callable[[int], None] = lambda done: bar.advance(task, done)  # noqa: E731
        yield report
