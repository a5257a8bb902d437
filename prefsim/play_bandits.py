"""Runs bandit policies on an engine, and sets their theory beside the data."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import numpy as np

from prefsim import noise, registry
from prefsim.bandit import Bandit, kinds
from prefsim.engines import load_engine
from prefsim.engines.bandit_loop import COUNTED
from prefsim.experiment import Experiment

LONG = 50_000_000
"""Rounds from which a terminal is shown a progress bar."""


def play(experiment: Experiment, engine: str) -> dict[str, Any]:
    """Simulate every policy; arrays (algorithm, instance, run, t) by metric, with bounds and slopes where they apply."""
    bandit: Bandit = experiment.problem
    environment = registry.load("bandits", bandit.environment)
    if "duel" in kinds(environment) and bandit.arms < 2:
        raise ValueError("a duel needs at least two arms; this problem has one.")
    measured = [*environment.METRICS, *getattr(environment, "TALLIES", ()), *COUNTED]
    wanted = experiment.chosen_metrics(["regret"], measured)
    counted = not set(wanted) <= set(environment.METRICS)
    rules = []
    for spec in experiment.algorithms:
        entry, hyper = registry.resolve("policies", spec.key, spec.hyper)
        rules.append((entry.module, hyper, _agreed(spec.key, entry.module, bandit, environment)))
    key = [noise.stream_key(experiment.seed, experiment.name, s) for s in ("environment", "policy", "order")]
    keys = np.array(key, dtype=np.uint64).ravel()
    times = experiment.times
    problem = bandit.problem(experiment.horizon)
    backend = load_engine(engine)
    shape = (bandit.instances, experiment.runs, len(times), len(measured if counted else environment.METRICS))
    values = np.zeros((len(rules), *shape))
    with _progress(len(rules) * bandit.instances * experiment.runs, experiment.horizon) as progress:
        for a, (policy, hyper, kind) in enumerate(rules):
            sharing = {}
            if hasattr(backend, "group"):
                sharing = {"group": backend.group(policy, environment, counted, kind, experiment.runs)}
            play = backend.play_bandit(policy, environment, counted, kind, **sharing)
            for i in range(bandit.instances):
                arguments = (hyper, _instance(bandit, i), problem, keys, i)
                out = values[a, i]

                def work(first: int, last: int, halt: Any, play=play, arguments=arguments, out=out) -> None:  # type: ignore[no-untyped-def]
                    play(*arguments, first, last, times, out[first:last], halt)

                if engine == "reference":
                    work(0, experiment.runs, np.zeros(1, np.uint8))
                else:
                    backend.parallel(work, experiment.runs, progress, **sharing)
    index = [measured.index(name) for name in wanted]
    variables: dict[str, Any] = {name: values[..., m] for name, m in zip(wanted, index, strict=True)}
    variables.update(_regret_theory(bandit, environment, rules, experiment, times))
    return variables


def _agreed(key: str, policy: Any, bandit: Bandit, environment: Any) -> str:
    """The kind of feedback a policy is given; refuses one on an environment that does not give what it learns from."""
    offered = bandit.feedback or kinds(environment)
    agreed = [kind for kind in kinds(policy) if kind in offered]
    if not agreed:
        learns, gives = " or ".join(kinds(policy)), " or ".join(offered)
        raise ValueError(f"{key} learns from {learns} feedback, but {bandit!r} gives {gives}.")
    if getattr(policy, "REWARDS", "") == "unit" and getattr(environment, "REWARDS", "") not in ("unit", "bernoulli"):
        raise ValueError(
            f"{key} needs rewards in [0, 1], which {bandit!r} does not promise; an environment file with such "
            'rewards says REWARDS = "unit".'
        )
    needed, given = getattr(policy, "SIDE", ""), getattr(environment, "SIDE", "")
    if needed and needed != given:
        raise ValueError(
            f"{key} needs {needed} of the arms, but {bandit!r} gives {given or 'none'}; an environment file that gives "
            f'them says SIDE = "{needed}".'
        )
    if getattr(policy, "HINTS", "") and getattr(policy, "HINTS", "") != getattr(environment, "HINTS", ""):
        raise ValueError(f"{key} is for {policy.HINTS}, whose constants it must be told; {bandit!r} is something else.")
    if "commitment" in policy.State._fields and "commitment" not in getattr(getattr(environment, "State", None), "_fields", ()):
        raise ValueError(f"{key} commits itself before a round, which {bandit!r} does not ask for.")
    if getattr(policy, "FIXED", False) and hasattr(environment, "observe"):
        raise ValueError(f"{key} needs {needed or 'arms'} that stay, but those of {bandit!r} change from round to round.")
    return agreed[0]


def _instance(bandit: Bandit, i: int) -> Any:
    return type(bandit.truth)(*(field[i] for field in bandit.truth))


INCLUDES = {
    "unit": {"bernoulli"},
    "subgaussian": {"unit", "bernoulli", "linear", "gaussian"},
    "adversarial": {"unit", "bernoulli", "constrained"},
    "constrained": {"unit", "bernoulli"},
    "adversarial_duel": {"duel_average"},
    "contextual": {"linear"},
}
"""Settings whose theorems hold in others too."""


def setting(bandit: Bandit, environment: Any) -> str:
    """Name of the setting a theorem must cover: what the rewards are like, or which regret a duel is charged."""
    if "duel" in kinds(environment):
        return bandit.normalisation
    if bandit.normalisation not in ("pseudo", "realised", "dlb_steady", "cpr_hat", "switching"):
        return ""
    return str(getattr(environment, "SETTING", getattr(environment, "REWARDS", "")))


def covers(settings: str | tuple[str, ...], where: str) -> bool:
    """Whether theorems for `settings` hold in the setting `where`."""
    names = (settings,) if isinstance(settings, str) else settings
    return any(where == name or where in INCLUDES.get(name, ()) for name in names)


def _regret_theory(bandit: Bandit, environment: Any, rules: list[Any], experiment: Experiment, times: Any) -> dict[str, Any]:
    """Bounds and slopes beside the data, where the setting is one they cover."""
    where, problem = setting(bandit, environment), bandit.problem(experiment.horizon)
    count = (len(rules), bandit.instances)
    bound, upper, lower = np.full((*count, len(times)), np.nan), np.full(count, np.nan), np.full(count, np.nan)
    for i in range(bandit.instances):
        truth = _instance(bandit, i)
        for a, (policy, hyper, _) in enumerate(rules):
            if covers(getattr(policy, "BOUND_COVERS", ()), where):
                bound[a, i] = policy.regret_bound(hyper, truth, problem, times)
            if covers(getattr(policy, "SLOPE_COVERS", ()), where):
                upper[a, i] = policy.regret_slope(hyper, truth, problem)
        if bandit.normalisation in ("pseudo", "duel_average") and hasattr(environment, "regret_slope_lower"):
            lower[:, i] = environment.regret_slope_lower(truth)
    theory = {"regret_bound": bound, "regret_slope_upper": upper, "regret_slope_lower": lower}
    return {name: values for name, values in theory.items() if np.isfinite(values).any()}


UNITS = {"switches": "rounds", "simple_regret": "reward a round", "identification_error": "1"}
"""Units of the metrics every environment has; all others accumulate regret."""


def attributes(bandit: Bandit, name: str) -> dict[str, Any]:
    """What a metric is: its name in words, its unit, and which regret it is."""
    words = name.replace("_", " ")
    if name in COUNTED:
        return {"long_name": words, "units": UNITS[name]}
    environment = registry.load("bandits", bandit.environment)
    unit = getattr(environment, "UNIT", "duels" if "duel" in kinds(environment) else "reward")
    unit = unit[name] if isinstance(unit, dict) else unit
    told = {"long_name": f"cumulative {words}", "units": unit}
    if name in getattr(environment, "TALLIES", ()):
        return {**told, "normalisation": name.removesuffix("_regret")}
    told["normalisation"] = bandit.normalisation
    if hasattr(bandit.truth, "gap"):
        # A bound above this number a round is vacuous; figures grey it out.
        return {**told, "largest_gap": float(getattr(bandit.truth, "peak", bandit.truth.gap).max())}
    return told


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
