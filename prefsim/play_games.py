"""Runs solvers of preference games on an engine, and measures them at the record times."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefsim import metrics as gauge
from prefsim import noise, registry
from prefsim.engines import load_engine
from prefsim.experiment import Experiment, Spec
from prefsim.feedback import KINDS, Oracle
from prefsim.game import PreferenceGame, as_log_policy
from prefsim.stability import automatic_step


class DivergenceWarning(RuntimeWarning):
    """A solver left the numbers; what it computed before is kept."""


def play(experiment: Experiment, engine: str) -> tuple[dict[str, Any], list[list[Any]]]:
    """Iterate every solver and measure it at the record times.

    Returns arrays (algorithm, instance, run, t) by metric, with bounds where they apply, and the hyperparameters in
    force by algorithm and instance.
    """
    game: PreferenceGame = experiment.problem.flatten()
    known = [*gauge.METRICS, *(f"average_{name}" for name in gauge.METRICS), "policy"]
    wanted = experiment.chosen_metrics(["duality_gap", "average_duality_gap"], known)
    rules = [_solver(spec, game, experiment.horizon) for spec in experiment.algorithms]
    start = _start(experiment, game)
    times = experiment.times
    wide = game[:, None]
    equilibrium = None
    if any(gauge.METRICS[name.removeprefix("average_")].needs_equilibrium for name in wanted if name != "policy"):
        from prefsim.equilibrium import solve_equilibrium

        equilibrium = solve_equilibrium(wide).log_policy
    shape = (len(rules), *start.shape[:2], len(times))
    variables = {name: np.empty(shape if name != "policy" else (*shape, game.n)) for name in wanted}
    average = any(name.startswith("average_") for name in wanted)
    key = noise.stream_key(experiment.seed, experiment.name, "feedback")
    oracle = Oracle(KINDS.index(experiment.feedback.kind), experiment.feedback.samples, experiment.feedback.scale, *key)
    arrays = (np.array(game.beta), 0.5 + game.payoff, np.array(game.log_reference))
    for a, (solver, hypers) in enumerate(rules):
        if oracle.kind != 0 and hasattr(solver, "step"):
            raise ValueError(
                f"{experiment.algorithms[a].label} computes its own step from the whole game and cannot work from "
                f"{experiment.feedback.kind} feedback; leave it out, or use exact feedback."
            )
        arguments = (solver, hypers, *arrays, start, average)
        player = load_engine(engine).play_game(*arguments, *([] if hasattr(solver, "step") else [oracle]))
        diverged = None
        for k, t in enumerate(times):
            player.advance(int(t))
            if diverged is None and np.isnan(player.current).any():
                diverged = int(t)
            with np.errstate(divide="ignore", invalid="ignore" if diverged is not None else "warn"):
                mean = np.log(player.total / t) if average and t > 0 else start
                for name in wanted:
                    if name == "policy":
                        variables[name][a, :, :, k] = np.exp(player.current)
                    else:
                        policy = mean if name.startswith("average_") else player.current
                        measure = gauge.METRICS[name.removeprefix("average_")].function
                        variables[name][a, :, :, k] = measure(wide, policy, equilibrium)
        if diverged is not None:
            warnings.warn(
                f"{experiment.algorithms[a].label} diverged by iteration {diverged}: its log-policies left the range of "
                "floating point. Values from there on are NaN; choose a smaller step.",
                DivergenceWarning,
                stacklevel=4,
            )
    spread = -start.min(axis=(1, 2))
    for name in wanted:
        bound = np.full((len(rules), len(game.beta), len(times)), np.nan)
        for a, (solver, hypers) in enumerate(rules):
            function = getattr(solver, "BOUNDS", {}).get(name)
            if function is None or game.transform != "probability" or oracle.kind != 0:  # exact, |A| <= 1/2
                continue
            for i, hyper in enumerate(hypers):
                worst = variables[name][a, i, :, 0].max()
                bound[a, i, 1:] = function(hyper, float(game.beta[i]), worst, spread[i], times[1:])
        if np.isfinite(bound).any():
            variables[f"{name}_bound"] = bound
    return variables, [hypers for _, hypers in rules]


def _solver(spec: Spec, game: PreferenceGame, horizon: int) -> tuple[Any, list[Any]]:
    """The rule and its hyperparameters for every instance, refused where a step is outside the method's range."""
    entry = registry.algorithm("solvers", spec.key)
    given = entry.hyper(spec.hyper)
    hypers = []
    for i, beta in enumerate(game.beta.tolist()):
        if isinstance(getattr(given, "step", None), str):
            # A word stands for a step in the rule's own units, whatever name the algorithm goes by.
            shared = {n: v for n, v in given._asdict().items() if n in entry.module.Hyper._fields and n != "step"}
            hyper = entry.module.Hyper(**shared)
            step = automatic_step(spec.label, given.step, entry.module, hyper, game[i], horizon)
            hyper = hyper._replace(step=step)
        else:
            hyper = entry.translate(given, beta) if entry.translate is not None else given
        if getattr(hyper, "step", 1.0) <= 0:
            raise ValueError(f"{spec.label}: step must be positive; got {given.step:g}.")
        complaint = entry.module.validate(hyper, beta) if hasattr(entry.module, "validate") else ""
        if complaint:
            raise ValueError(f"{spec.label} on a game with beta = {beta:g}: {complaint}")
        hypers.append(hyper)
    return entry.module, hypers


def _start(experiment: Experiment, game: PreferenceGame) -> NDArray[np.float64]:
    """First log-policies, shape (instances, runs, n)."""
    instances, n, runs = len(game.beta), game.n, experiment.runs
    shape = (instances, runs, n)
    if isinstance(experiment.start, str) and experiment.start == "random":
        key = noise.stream_key(experiment.seed, experiment.name, "start")
        logits = noise.normals(key, np.arange(instances)[:, None], np.arange(runs), 0, n)
        return logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    if runs > 1 and isinstance(experiment.start, str) and experiment.feedback.kind == "exact":
        raise ValueError(
            f"runs={runs} would repeat the same numbers: solvers are deterministic; give start='random' or feedback."
        )
    if isinstance(experiment.start, str):
        return np.array(np.broadcast_to(game.log_reference[:, None], shape))
    start = as_log_policy(experiment.start, n, "start", positive=True)
    if start.ndim == 2:
        start = start[:, None]
    try:
        return np.array(np.broadcast_to(start, shape))
    except ValueError:
        raise ValueError(
            f"start of shape {np.shape(experiment.start)} does not fit {instances} instances and {runs} runs of "
            f"{n} actions; give (n,), (instances, n) or (instances, runs, n)."
        ) from None
