"""Run an experiment on an engine and label the numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prefsim import metrics as gauge
from prefsim import noise, registry, results
from prefsim.bandit import Bandit, Problem
from prefsim.experiment import Experiment, Spec
from prefsim.feedback import KINDS, Oracle
from prefsim.game import PreferenceGame, as_log_policy
from prefsim.stability import automatic_step

if TYPE_CHECKING:
    import xarray as xr

ENGINES = ("auto", "numba", "reference")
LONG = 50_000_000
"""Rounds from which a terminal is shown a progress bar."""


class DivergenceWarning(RuntimeWarning):
    """A solver left the numbers; what it computed before is kept."""


def run(
    problem: Experiment | PreferenceGame | Bandit | str,
    algorithms: Sequence[Any] | str | None = None,
    *,
    engine: str = "auto",
    **settings: Any,
) -> xr.Dataset:
    """Run algorithms on a problem.

    Parameters
    ----------
    problem : PreferenceGame, Bandit, str or Experiment
        The problem, the key of one, or a whole experiment (then nothing but `engine` may follow).
    algorithms : sequence
        Names, or ``(name, {hyperparameter: value})``.
    engine : {"auto", "numba", "reference"}
        ``"auto"`` compiles. All engines give the same numbers.
    **settings
        ``horizon``, ``runs``, ``seed``, ``metrics``, ``record``, ``start``, ``feedback`` and ``name`` of
        :class:`prefsim.Experiment`.

    Returns
    -------
    xarray.Dataset
        Axes ``(algorithm, instance, run, t)``; every run is kept. Where a theorem covers the setting its bound stands
        beside the data as ``<metric>_bound``, coefficients of ``ln t`` as ``regret_slope_upper`` and ``_lower``.

    Raises
    ------
    ValueError, TypeError
        Before any work starts, naming the argument.
    """
    if isinstance(problem, Experiment):
        if algorithms is not None or settings:
            raise TypeError("run(experiment) takes no further settings; build another Experiment instead.")
        experiment = problem
    else:
        if algorithms is None or "horizon" not in settings:
            raise TypeError("run needs algorithms and horizon, for example run(game, ['egpo'], horizon=1000).")
        for name in settings:
            if name not in Experiment.__dataclass_fields__:
                raise registry.unknown(name, Experiment.__dataclass_fields__, "setting of run:")
        experiment = Experiment(problem, algorithms, **settings)
    if engine not in ENGINES:
        raise registry.unknown(engine, ENGINES, "engine")
    chosen = "numba" if engine == "auto" else engine
    play = _run_games if isinstance(experiment.problem, PreferenceGame) else _run_bandits
    variables = play(experiment, chosen)
    return _label(experiment, variables, chosen)


def _backend(engine: str) -> Any:
    import importlib

    return importlib.import_module(f"prefsim.engines.{engine}")


def _checked_metrics(experiment: Experiment, default: Sequence[str], known: Sequence[str]) -> list[str]:
    chosen = list(default if experiment.metrics is None else experiment.metrics)
    if not chosen:
        raise ValueError(f"metrics is empty; name at least one of: {', '.join(known)}.")
    for name in chosen:
        if name not in known:
            raise registry.unknown(name, known, "metric")
    return chosen


def _run_bandits(experiment: Experiment, engine: str) -> dict[str, Any]:
    bandit: Bandit = experiment.problem
    environment = registry.load("bandits", bandit.environment)
    if environment.FEEDBACK == "duel" and bandit.arms < 2:
        raise ValueError("a duel needs at least two arms; this problem has one.")
    wanted = _checked_metrics(experiment, ["regret"], environment.METRICS)
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
    backend = _backend(engine)
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


def _run_games(experiment: Experiment, engine: str) -> dict[str, Any]:
    game: PreferenceGame = experiment.problem.flatten()
    known = [*gauge.METRICS, *(f"average_{name}" for name in gauge.METRICS), "policy"]
    wanted = _checked_metrics(experiment, ["duality_gap", "average_duality_gap"], known)
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
        player = _backend(engine).play_game(*arguments, *([] if hasattr(solver, "step") else [oracle]))
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
                stacklevel=3,
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
    return variables


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


@contextmanager
def _progress(units: int, rounds: int) -> Any:
    """A progress bar over runs for long work on a terminal; yields the function to report finished runs with."""
    import sys

    if units * rounds < LONG or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("simulating", total=units)
        report: Callable[[int], None] = lambda done: bar.advance(task, done)  # noqa: E731
        yield report


def _label(experiment: Experiment, variables: dict[str, Any], engine: str) -> xr.Dataset:
    import xarray as xr

    axes = ("algorithm", "instance", "run", "t")
    content: dict[str, Any] = {}
    for name, values in variables.items():
        if name.startswith("regret_slope"):
            content[name] = (axes[:2], values, {"long_name": "coefficient of ln t, asymptotic"})
        elif name.endswith("_bound"):
            content[name] = (("algorithm", "instance", "t"), values, {"long_name": f"bound on {name[:-6]}"})
        else:
            dims = (*axes, "action") if name == "policy" else axes
            content[name] = (dims, values, _attributes(experiment, name))
    labels = [spec.label for spec in experiment.algorithms]
    coords: dict[str, Any] = {"algorithm": labels, "t": experiment.times}
    if experiment.kind == "solvers":
        phases = [getattr(registry.algorithm("solvers", s.key).module, "PHASES", 1) for s in experiment.algorithms]
        moves = np.outer(phases, experiment.times)
        coords["gradients"] = (("algorithm", "t"), moves, {"long_name": "policy updates"})
        queries = experiment.feedback.queries(experiment.problem.n)
        coords["queries"] = (("algorithm", "t"), queries * moves, {"long_name": "preference queries"})
    coords["key"] = ("algorithm", [spec.key for spec in experiment.algorithms])
    filled = [registry.algorithm(experiment.kind, s.key).hyper(s.hyper)._asdict() for s in experiment.algorithms]
    for name in dict.fromkeys(n for values in filled for n in values):
        coords[name] = ("algorithm", [_number(values.get(name, np.nan)) for values in filled])
    if "policy" in variables:
        coords["action"] = list(experiment.problem.labels)
    for axis, size in zip(("instance", "run"), next(iter(variables.values())).shape[1:3], strict=True):
        coords[axis] = np.arange(size)
    return xr.Dataset(content, coords, {"provenance": results.provenance(experiment, engine)})


def _number(value: Any) -> float:
    """A hyperparameter as a coordinate; a step given as a word differs by instance and has no single number."""
    return float("nan") if isinstance(value, str) else float(value)


def _attributes(experiment: Experiment, name: str) -> dict[str, Any]:
    if isinstance(experiment.problem, Bandit):
        unit = "duels" if experiment.problem.normalisation in ("duel_average", "copeland") else "reward"
        attributes: dict[str, Any] = {
            "long_name": f"cumulative {name.replace('_', ' ')}",
            "units": unit,
            "normalisation": experiment.problem.normalisation,
        }
        if hasattr(experiment.problem.truth, "gap"):
            # A bound above this number a round is vacuous; figures grey it out.
            attributes["largest_gap"] = float(experiment.problem.truth.gap.max())
        return attributes
    if name == "policy":
        return {"long_name": "probability", "units": "1"}
    plain = name.removeprefix("average_")
    text = gauge.METRICS[plain].long_name
    return {"long_name": text if plain == name else f"{text} of the average iterate", "units": "1"}
