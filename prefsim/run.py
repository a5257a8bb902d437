"""Run an experiment on an engine and label the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from prefsim import metrics as gauge
from prefsim import play_bandits, play_games, registry, results
from prefsim.bandit import Bandit
from prefsim.experiment import Experiment
from prefsim.game import PreferenceGame

if TYPE_CHECKING:
    import xarray as xr

ENGINES = ("auto", "numba", "reference")

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
    if isinstance(experiment.problem, Bandit):
        return _label(experiment, play_bandits.play(experiment, chosen), chosen, {})
    variables, hypers = play_games.play(experiment, chosen)
    return _label(experiment, variables, chosen, _resolved_steps(experiment, hypers))


def _resolved_steps(experiment: Experiment, hypers: list[list[Any]]) -> dict[str, list[float]]:
    """Steps given as words, as the numbers they stood for, one per instance."""
    chosen = zip(experiment.algorithms, hypers, strict=True)
    return {spec.label: [float(h.step) for h in each] for spec, each in chosen if isinstance(spec.hyper.get("step"), str)}


def _label(
    experiment: Experiment, variables: dict[str, Any], engine: str, steps: dict[str, list[float]]
) -> xr.Dataset:
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
    filled = [registry.resolve(experiment.kind, s.key, s.hyper)[1]._asdict() for s in experiment.algorithms]
    for spec, values in zip(experiment.algorithms, filled, strict=True):
        if len(set(steps.get(spec.label, []))) == 1:
            values["step"] = steps[spec.label][0]
    for name in dict.fromkeys(n for values in filled for n in values):
        coords[name] = ("algorithm", [_number(values.get(name, np.nan)) for values in filled])
    if "policy" in variables:
        coords["action"] = list(experiment.problem.labels)
    for axis, size in zip(("instance", "run"), next(iter(variables.values())).shape[1:3], strict=True):
        coords[axis] = np.arange(size)
    return xr.Dataset(content, coords, {"provenance": results.provenance(experiment, engine, steps)})


def _number(value: Any) -> float:
    """A hyperparameter as a coordinate; a step given as a word differs by instance and has no single number."""
    return float("nan") if isinstance(value, str) else float(value)


def _attributes(experiment: Experiment, name: str) -> dict[str, Any]:
    if isinstance(experiment.problem, Bandit):
        environment = registry.load("bandits", experiment.problem.environment)
        own = name in getattr(environment, "TALLIES", ())
        attributes: dict[str, Any] = {
            "long_name": f"cumulative {name.replace('_', ' ')}",
            "units": "duels" if environment.FEEDBACK == "duel" else "reward",
            "normalisation": name.removesuffix("_regret") if own else experiment.problem.normalisation,
        }
        if own:
            return attributes
        if hasattr(experiment.problem.truth, "gap"):
            # A bound above this number a round is vacuous; figures grey it out.
            attributes["largest_gap"] = float(experiment.problem.truth.gap.max())
        return attributes
    if name == "policy":
        return {"long_name": "probability", "units": "1"}
    plain = name.removeprefix("average_")
    text = gauge.METRICS[plain].long_name
    return {"long_name": text if plain == name else f"{text} of the average iterate", "units": "1"}
