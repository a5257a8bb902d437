"""Run an experiment on an engine and label the numbers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from prefsim import metrics as gauge
from prefsim import play_bandits, play_games, registry, results
from prefsim.bandit import Bandit
from prefsim.engines import GPU, choice, load_engine
from prefsim.experiment import Experiment
from prefsim.feedback import evaluations
from prefsim.game import PreferenceGame
from prefsim.stability import StabilityWarning, unstable

if TYPE_CHECKING:
    import xarray as xr

ENGINES = ("auto", "numba", "reference", "cupy", "cuda")

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
    engine : {"auto", "numba", "reference", "cupy", "cuda"}
        ``"auto"`` compiles, except for runs of bandits that are over before the compiled engine would be loaded; the
        provenance of the result says what it chose and why. On an NVIDIA GPU, ``"cupy"`` plays preference games and
        ``"cuda"`` bandits. All engines give the same numbers.
    **settings
        ``horizon``, ``runs``, ``seed``, ``metrics``, ``record``, ``start``, ``feedback``, ``name`` and ``precision`` of
        :class:`prefsim.Experiment`. ``precision="float32"`` iterates games in single precision, about twice as fast on
        many policies, to a gap of some 1e-7 where ``beta = 0``; what is measured is computed in float64 all the same.

    Returns
    -------
    xarray.Dataset
        Axes ``(algorithm, instance, run, t)``; every run is kept. Where a theorem covers the setting its bound stands
        beside the data as ``<metric>_bound``, coefficients of ``ln t`` as ``regret_slope_upper`` and ``_lower``.

    Raises
    ------
    ValueError, TypeError
        Before any work starts, naming the argument.

    Warns
    -----
    StabilityWarning
        Where a constant step is past the local stability limit of a game of up to 64 actions, and a smaller one is not.
    DivergenceWarning
        Where a solver leaves the range of floating point.
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
    chosen, reason = choice.choose(experiment) if engine == "auto" else (engine, "It was asked for.")
    if chosen in GPU:
        load_engine(chosen).check(experiment)
    if isinstance(experiment.problem, Bandit):
        return _label(experiment, play_bandits.play(experiment, chosen), chosen, reason, {})
    variables, hypers = play_games.play(experiment, chosen)
    for sentence in unstable(experiment, hypers):
        warnings.warn(sentence, StabilityWarning, stacklevel=2)
    return _label(experiment, variables, chosen, reason, _resolved_steps(experiment, hypers))


def _resolved_steps(experiment: Experiment, hypers: list[list[Any]]) -> dict[str, list[float]]:
    """Steps given as words, as the numbers they stood for, one per instance."""
    chosen = zip(experiment.algorithms, hypers, strict=True)
    return {spec.label: [float(h.step) for h in each] for spec, each in chosen if isinstance(spec.hyper.get("step"), str)}


def _label(
    experiment: Experiment, variables: dict[str, Any], engine: str, reason: str, steps: dict[str, list[float]]
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
    clock = {"long_name": "iteration" if experiment.kind == "solvers" else "round"}
    coords: dict[str, Any] = {"algorithm": labels, "t": ("t", experiment.times, clock)}
    if experiment.kind == "solvers":
        each = [evaluations(registry.algorithm("solvers", spec.key).module) for spec in experiment.algorithms]
        gradients, feedback = np.outer(each, experiment.times), experiment.feedback
        queries = feedback.queries(experiment.problem.n) * gradients
        coords["gradients"] = (("algorithm", "t"), gradients, {"long_name": "gradients", "units": "win-rate vectors"})
        coords["queries"] = (("algorithm", "t"), queries, {"long_name": "preference queries", "units": feedback.unit})
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
    return xr.Dataset(content, coords, {"provenance": results.provenance(experiment, engine, reason, steps)})


def _number(value: Any) -> float:
    """A hyperparameter as a coordinate; a step given as a word differs by instance and has no single number."""
    return float("nan") if isinstance(value, str) else float(value)


def _attributes(experiment: Experiment, name: str) -> dict[str, Any]:
    bandit = isinstance(experiment.problem, Bandit)
    return play_bandits.attributes(experiment.problem, name) if bandit else gauge.attributes(name)
