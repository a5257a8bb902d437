"""Each solver's best step at the same price: a search in which all may ask for the same number of preferences.

Defaults of step sizes, in the units of their papers, are no basis for a comparison. Neither are iterations: one of EGPO
costs two vectors of win rates, one of OMD a single one.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from prefsim import registry
from prefsim.bandit import Bandit
from prefsim.experiment import Experiment, whole
from prefsim.game import PreferenceGame
from prefsim.metrics import METRICS
from prefsim.problems import build_problem
from prefsim.step_search import Best, Search

if TYPE_CHECKING:
    import xarray as xr


class Tuned(NamedTuple):
    """What :func:`prefsim.tune` found; printed, a small table.

    Attributes
    ----------
    algorithms : list
        ``(key, {..., "step": best})`` in the order given, ready for :func:`prefsim.run`; a solver without a step is
        unchanged, and an entry with a label of its own is a table ``{"key": ..., "label": ..., ...}``.
    steps : dict of str to float
        Best step by label; NaN for a solver without one.
    scores : dict of str to float
        The metric at the end of the budget, its median over instances and runs; infinite if the solver diverged.
    at_edge : dict of str to str
        A sentence for every label whose best step is the smallest or largest tried: an end of `steps`, which should be
        widened, or the end of what the solver admits, which cannot be.
    horizons : dict of str to int
        Iterations that the budget pays for, by label.
    data : xarray.Dataset
        Every candidate, as from :func:`prefsim.run`. Solvers that run for different times share the axis `t`, with NaN
        where a solver was not recorded: ``data.where(data.key == "egpo", drop=True).dropna("t")`` is one of them.
    metric : str
        What was made small.
    queries : int
        The budget.
    """

    algorithms: list[Any]
    steps: dict[str, float]
    scores: dict[str, float]
    at_edge: dict[str, str]
    horizons: dict[str, int]
    data: xr.Dataset
    metric: str
    queries: int

    def __str__(self) -> str:
        rows = [("algorithm", "step", "iterations", self.metric)]
        for label, step in self.steps.items():
            score = self.scores[label]
            shown = f"{step:g}" if np.isfinite(step) else "none", f"{score:.4g}" if np.isfinite(score) else "diverged"
            rows.append((label, shown[0], f"{self.horizons[label]:,}", shown[1]))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join([f"{row[0]:{widths[0]}}", *map(str.rjust, row[1:], widths[1:])]) for row in rows]
        return "\n".join([f"Best steps with {self.queries:,} preference queries each", *lines, *self.at_edge.values()])


def tune(
    problem: PreferenceGame | str,
    algorithms: Sequence[Any] | str,
    *,
    queries: int,
    metric: str = "duality_gap",
    seed: int = 0,
    steps: tuple[float, float] = (1e-4, 1e3),
    **settings: Any,
) -> Tuned:
    """Find the step at which each solver is best after the same number of preference queries.

    A geometric grid (four steps a decade, the solver's default, and the ends of what it admits), then a finer one
    between the neighbours of its best, so that the answer is within 10 percent of the best step wherever the score has
    one valley there. A step is better if the metric of its last iterate is smaller when the budget is spent: the median
    over instances and runs, in logarithms, where diverging is worst. Final values within 1 percent of the smallest, and
    all values below rounding, are equal; of these the step wins that came there with the fewest queries and stayed, then
    the one nearest to the solver's default.

    Steps chosen on the games they are shown on flatter the method that is most sensitive to its step. Tune on some
    games and compare on others; with sampled feedback or random starts, also with another seed::

        draws = [ps.games.random(5, seed=s).preference for s in range(20)]
        tuned = ps.tune(ps.PreferenceGame(draws[:10], beta=0.1), ["omd", "egpo"], queries=20_000)
        shown = ps.run(ps.PreferenceGame(draws[10:], beta=0.1), tuned.algorithms, horizon=800)

    Read the comparison at equal ``shown.queries``, not at equal ``t``, and look at every instance: the step that is best
    for the median may be past the stability limit of some games, where the solver then circles.

    Parameters
    ----------
    problem : PreferenceGame or str
        One game, or a batch of them that shares one step; or the name of a family that needs no arguments.
    algorithms : sequence
        As for :func:`prefsim.run`, without ``step``; other hyperparameters are kept.
    queries : int
        Budget of each solver in preference queries, the unit of ``data.queries`` (:meth:`prefsim.Feedback.queries`); it
        runs for as many whole iterations as that pays for.
    metric : str
        What to make small: a distance from equilibrium such as ``"duality_gap"``, or ``"average_duality_gap"``.
    seed : int
        Root seed; all candidates see the same noise.
    steps : (float, float)
        Smallest and largest step to try, each solver in its own unit.
    **settings
        ``runs``, ``start``, ``feedback``, ``record``, ``name`` and ``engine`` of :func:`prefsim.run`.

    Returns
    -------
    Tuned

    Raises
    ------
    ValueError, TypeError
        Naming the argument: an entry that fixes its step, a budget below one iteration, a solver whose queries are not
        known in advance, or one that admits no step here.

    Warns
    -----
    UserWarning
        If a best step is an end of `steps`.
    """
    game = build_problem({"family": problem}) if isinstance(problem, str) else problem
    if not isinstance(game, PreferenceGame):
        what = "a bandit, whose policies have no step" if isinstance(game, Bandit) else type(game).__name__
        raise TypeError(f"problem must be a PreferenceGame, or the name of a family of games; got {what}.")
    queries = whole("queries", queries, 1, None)
    distances = [name for plain, m in METRICS.items() if m.scale == "log" for name in (plain, f"average_{plain}")]
    if metric not in distances:
        raise registry.unknown(metric, distances, "metric to make small:")
    for name, instead in (("horizon", "queries"), ("metrics", "metric")):
        if name in settings:
            raise TypeError(f"tune takes {instead}, the same for all solvers, instead of {name}.")
    limits = _limits(steps)
    # Refuses what a run would refuse, in its words, before any work, and expands grids of other hyperparameters.
    plan = {k: v for k, v in settings.items() if k in Experiment.__dataclass_fields__ and k != "record"}
    experiment = Experiment(game, algorithms, horizon=1, seed=seed, **plan)
    searches = [Search(spec, game, queries, experiment.feedback, limits) for spec in experiment.algorithms]
    found = {search.spec.label: search.run(metric, {**settings, "seed": seed}) for search in searches}
    edges = {label: _edge(label, best, limits) for label, best in found.items() if best.end}
    for label, sentence in edges.items():
        if not found[label].own:
            warnings.warn(sentence, UserWarning, stacklevel=2)
    return Tuned(
        algorithms=[search.entry(best.step) for search, best in zip(searches, found.values(), strict=True)],
        steps={label: best.step for label, best in found.items()},
        scores={label: best.score for label, best in found.items()},
        at_edge=edges,
        horizons={search.spec.label: search.horizon for search in searches},
        data=_joined([best.data for best in found.values()]),
        metric=metric,
        queries=queries,
    )


def _limits(steps: Any) -> tuple[float, float]:
    try:
        low, high = (float(step) for step in steps)
    except (TypeError, ValueError):
        raise TypeError(f"steps must be a pair of numbers, the smallest and largest step to try; got {steps!r}.") from None
    if not 0 < low < high < np.inf:
        raise ValueError(f"steps must be two positive numbers, the smaller one first; got {steps!r}.")
    return low, high


def _edge(label: str, best: Best, limits: tuple[float, float]) -> str:
    if best.own:
        return f"{label}: the best step {best.step:g} is the {best.end} the solver admits here."
    return f"{label}: the best step {best.step:g} is the {best.end} tried; widen steps=({limits[0]:g}, {limits[1]:g})."


def _joined(parts: list[xr.Dataset]) -> xr.Dataset:
    """All candidates on one axis; hyperparameters that a solver does not have are NaN, as in a run."""
    import xarray as xr

    names = dict.fromkeys(name for part in parts for name, values in part.coords.items() if values.dims == ("algorithm",))
    filled = []
    for part in parts:
        blank = ("algorithm", np.full(part.sizes["algorithm"], np.nan))
        filled.append(part.assign_coords({name: blank for name in names if name not in part.coords}))
    joined = xr.concat(filled, "algorithm", coords="different", compat="equals", join="outer", combine_attrs="override")
    origins = [json.loads(part.attrs["provenance"]) for part in parts]
    sources = {name: digest for origin in origins for name, digest in origin["sources"].items()}
    content = {**origins[0], "sources": sources, "tuned": [origin["experiment"] for origin in origins]}
    return joined.assign_attrs(provenance=json.dumps(content))
