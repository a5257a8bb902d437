"""Runs solvers of preference games on an engine, and measures them at the record times."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefsim import metrics as gauge
from prefsim import noise, ops, registry, trace
from prefsim.engines import load_engine
from prefsim.experiment import Experiment, Spec
from prefsim.feedback import KINDS, Oracle
from prefsim.game import PreferenceGame, as_log_policy
from prefsim.stability import automatic_step

DEFAULTS = ("duality_gap", "average_duality_gap")
"""What is measured unless something else is asked for."""


class DivergenceWarning(RuntimeWarning):
    """A solver left the numbers; what it computed before is kept."""


def play(experiment: Experiment, engine: str) -> tuple[dict[str, Any], list[list[Any]]]:
    """Iterate every solver and measure it at the record times.

    Returns arrays (algorithm, instance, run, t) by metric, with bounds where they apply, and the hyperparameters in
    force by algorithm and instance.
    """
    game: PreferenceGame = experiment.problem.flatten()
    asked = {name: gauge.Request.parse(str(name)) for name in experiment.metrics or DEFAULTS}
    opponents = {name: _opponent(experiment, one.opponent) for name, one in asked.items() if one.metric == "win_rate"}
    wanted = experiment.chosen_metrics(DEFAULTS, [*gauge.names(), *opponents])
    rules = [resolve(spec, game, experiment.horizon) for spec in experiment.algorithms]
    start = first_policies(experiment, game)
    times = experiment.times
    wide = game[:, None]
    equilibrium = None
    measures = {name: gauge.METRICS[one.metric] for name, one in asked.items() if one.metric in gauge.METRICS}
    if any(m.needs_equilibrium for m in measures.values()) or ("equilibrium", 0) in opponents.values():
        from prefsim.equilibrium import solve_equilibrium

        equilibrium = solve_equilibrium(wide).log_policy
    fixed = {name: _fixed_opponent(wide, equilibrium, *who) for name, who in opponents.items() if who[0] != "algorithm"}
    shape = (len(rules), *start.shape[:2], len(times))
    variables = {name: np.empty(shape if name != "policy" else (*shape, game.n)) for name in wanted}
    average = any(one.average for one in asked.values())
    players = start_players(experiment, engine, game, rules, start, average=average, distance=gauge.DISTANCE in wanted)
    # Logarithms of policies in single precision are of policies that sum to 1 up to 1e-7, which every metric would see.
    measurable = _renormalised if experiment.precision == "float32" else np.asanyarray
    diverged: dict[str, int] = {}
    # All solvers together, a record time after the other, so that they can be held against each other.
    for k, t in enumerate(times):
        iterates = []
        for spec, player in zip(experiment.algorithms, players, strict=True):
            player.advance(int(t))
            iterates.append(measurable(player.current))
            if spec.label not in diverged and np.isnan(iterates[-1]).any():
                diverged[spec.label] = int(t)
        with np.errstate(divide="ignore", invalid="ignore" if diverged else "warn"):
            means = [measurable(np.log(player.total / t)) if average and t > 0 else start for player in players]
            for name, (a, player) in itertools.product(wanted, enumerate(players)):
                if name in measures:
                    policies = means if asked[name].average else iterates
                    second = equilibrium
                    if name in opponents:
                        second = fixed[name] if name in fixed else policies[opponents[name][1]]
                    variables[name][a, :, :, k] = measures[name].function(wide, policies[a], second)
                else:
                    variables[name][a, :, :, k] = np.exp(iterates[a]) if name == "policy" else player.distance
    for label, t in diverged.items():
        warnings.warn(
            f"{label} diverged by iteration {t}: its log-policies left the range of floating point. Values from there "
            "on are NaN; choose a smaller step.",
            DivergenceWarning,
            stacklevel=3,
        )
    exact = game.transform == "probability" and experiment.feedback.kind == "exact"  # |A| <= 1/2, as bounds assume
    spread = -start.min(axis=(1, 2))
    for name in wanted:
        bound = np.full((len(rules), len(game.beta), len(times)), np.nan)
        for a, (solver, hypers) in enumerate(rules):
            function = getattr(solver, "BOUNDS", {}).get(name)
            if function is None or not exact:
                continue
            for i, hyper in enumerate(hypers):
                worst = variables[name][a, i, :, 0].max()
                bound[a, i, 1:] = function(hyper, float(game.beta[i]), worst, spread[i], times[1:])
        if np.isfinite(bound).any():
            variables[f"{name}_bound"] = bound
    return variables, [hypers for _, hypers in rules]


def start_players(
    experiment: Experiment,
    engine: str,
    game: PreferenceGame,
    rules: list[tuple[Any, list[Any]]],
    start: NDArray[np.float64],
    *,
    average: bool = False,
    distance: bool = False,
) -> list[Any]:
    """An engine's player of every rule at its start, refused where a rule cannot work from the feedback."""
    key = noise.stream_key(experiment.seed, experiment.name, "feedback")
    oracle = Oracle(KINDS.index(experiment.feedback.kind), experiment.feedback.samples, experiment.feedback.scale, *key)
    for spec, (solver, hypers) in zip(experiment.algorithms, rules, strict=True):
        if oracle.kind != 0 and hasattr(solver, "step"):
            raise ValueError(
                f"{spec.label} computes its own step from the whole game and cannot work from "
                f"{experiment.feedback.kind} feedback; leave it out, or use exact feedback."
            )
        if experiment.precision != "float64":
            _check_affine(spec.label, solver, hypers, game)
    one = game.payoff[:1] if game.payoff.strides[0] == 0 else game.payoff  # a matrix that games share stays one
    preference = np.broadcast_to(0.5 + one, game.payoff.shape)
    arrays = (np.array(game.beta), preference, np.array(game.log_reference), start, average)
    options = {} if experiment.precision == "float64" else {"precision": experiment.precision}
    return load_engine(engine).play_games(rules, *arrays, oracle=oracle, distance=distance, **options)


def _check_affine(label: str, solver: Any, hypers: list[Any], game: PreferenceGame) -> None:
    """Refuse single precision to rules with thresholds, roots and loops of their own, which were written for double."""
    affine = not hasattr(solver, "step")
    if affine:
        try:
            trace.trace(solver, trace.columns(hypers), np.array(game.beta), np.arange(1))
        except trace.Untraceable:
            affine = False
    if not affine:
        raise ValueError(
            f"{label} cannot run with precision='float32', which is for rules that are affine in log-policies and gain; "
            "leave it out, or leave precision out."
        )


def _renormalised(log_policy: NDArray[Any]) -> NDArray[np.float64]:
    return ops.log_normalize(log_policy.astype(np.float64))


def _opponent(experiment: Experiment, name: str) -> tuple[str, int]:
    """What kind of opponent a win rate names, and which of its kind."""
    specs, actions = experiment.algorithms, experiment.problem.labels
    found = [(word, 0) for word in gauge.OPPONENTS if word == name]
    found += [("action", y) for y, label in enumerate(actions) if label == name]
    labelled = [a for a, spec in enumerate(specs) if spec.label == name]
    found += [("algorithm", a) for a in labelled or [a for a, spec in enumerate(specs) if spec.key == name]]
    if not found:
        raise registry.unknown(name, [*gauge.OPPONENTS, *actions, *(spec.label for spec in specs)], "opponent of win_rate:")
    if len(found) > 1:
        meant = [f"the algorithm {specs[k].label!r}" if kind == "algorithm" else f"the {kind} {name!r}" for kind, k in found]
        raise ValueError(
            f"win_rate:{name} could mean {' or '.join(meant)}; name an algorithm by its label, and actions differently "
            "from everything else."
        )
    if "/" in name or name.endswith(gauge.ANNOTATIONS):
        raise ValueError(
            f"win_rate:{name} cannot name a variable of the results: no '/' may stand in it, nor "
            f"{', '.join(gauge.ANNOTATIONS)} at its end; rename the action or label the algorithm."
        )
    return found[0]


def _fixed_opponent(game: PreferenceGame, equilibrium: Any, kind: str, number: int) -> NDArray[np.float64]:
    """Log-policy of an opponent that does not change."""
    if kind == "action":
        return np.where(np.arange(game.n) == number, 0.0, -np.inf)
    if kind == "uniform":
        return np.full(game.n, -np.log(game.n))
    return equilibrium if kind == "equilibrium" else game.log_reference


def resolve(spec: Spec, game: PreferenceGame, horizon: int) -> tuple[Any, list[Any]]:
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


def first_policies(experiment: Experiment, game: PreferenceGame) -> NDArray[np.float64]:
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
