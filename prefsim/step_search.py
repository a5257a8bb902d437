"""The search for one solver's best step within a budget of preference queries; :func:`prefsim.tune` does one a solver."""

from __future__ import annotations

import itertools
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefsim import play_games, registry
from prefsim import run as simulate
from prefsim.experiment import Grid, Spec
from prefsim.feedback import Feedback, evaluations
from prefsim.game import PreferenceGame
from prefsim.stability import StabilityWarning

if TYPE_CHECKING:
    import xarray as xr

PER_DECADE = 4
"""Steps a decade of the first sweep."""
FINER = 6
"""Parts into which the second sweep divides both sides of the best step of the first: a ratio of ``10^(1/24) = 1.10``."""
DIGITS = 4
"""Significant digits of a step, so that what is printed is what was run."""
RESOLVED = 1e-12
"""Errors of log-policies that count as none, and so do gaps at ``beta = 0`` and spans of this size; KL divergences, and
gaps at ``beta > 0``, are quadratic in the error and count as none below its square."""
TIE = float(np.log(1.01))
"""Final values as close as this, in logarithms, are equal."""
DEPTH = float(np.log(1e-8))
"""How far below rounding a curve is believed: from there it may drop to 0, which would bend the interpolation."""
SMALLEST = 1e-300
"""Stands for zeros, negative rounding and underflow in logarithms."""


class Best(NamedTuple):
    """Outcome of a search.

    Attributes
    ----------
    step : float
        NaN for a solver without one.
    score : float
        Median of the final values, taken in logarithms; infinite if it diverged.
    end : str
        ``"smallest"`` or ``"largest"`` where the step is one end of those tried, else empty.
    own : bool
        Whether that end is the solver's own, rather than one of the range searched.
    data : xarray.Dataset
        Every candidate.
    """

    step: float
    score: float
    end: str
    own: bool
    data: xr.Dataset


class Search:
    """Which steps a solver admits, for how many iterations the budget pays, and which candidate is best.

    Parameters
    ----------
    spec : Spec
        A solver with its other hyperparameters.
    game : PreferenceGame
        One game or a batch.
    queries : int
        Budget in preference queries.
    feedback : Feedback
    limits : (float, float)
        Smallest and largest step to try.

    Raises
    ------
    ValueError
        If the entry fixes a step, the solver's queries are not known in advance, or the budget is below one iteration.
    """

    def __init__(
        self, spec: Spec, game: PreferenceGame, queries: int, feedback: Feedback, limits: tuple[float, float]
    ) -> None:
        self.spec, self.game, self.limits = spec, game, limits
        entry = registry.algorithm("solvers", spec.key)
        if "step" in spec.hyper:
            raise ValueError(f"{spec.label} fixes its step, which tune is there to find; leave step out of that entry.")
        self.default: Any = getattr(entry.hyper(spec.hyper), "step", None)
        cost = feedback.queries(game.n) * evaluations(entry.module)
        if not np.isfinite(cost):
            raise ValueError(
                f"{spec.label} asks for a number of preferences that is not known in advance, so a budget of queries does not "
                "say how long it may run; leave it out."
            )
        self.horizon = int(queries // cost)
        if self.horizon < 1:
            raise ValueError(
                f"queries={queries} does not pay for one iteration of {spec.label}, which takes {cost:g} preference queries "
                f"in a game of {game.n} actions; give at least as many."
            )
        # One game for each temperature is enough to ask what a solver admits.
        flat = game.flatten()
        self.temperatures = flat[np.unique(flat.beta, return_index=True)[1]]
        # The label the user gave, unless it only repeats key and hyperparameters.
        self.name = "" if Spec(spec.key, spec.hyper).expand()[0].label == spec.label else spec.label

    def entry(self, step: float) -> Any:
        """The solver with a step, as :func:`prefsim.run` reads it."""
        hyper = {**self.spec.hyper, **({} if self.default is None else {"step": step})}
        return {"key": self.spec.key, "label": self.name, **hyper} if self.name else (self.spec.key, hyper)

    def refusal(self, step: float) -> str:
        """Why a run would not take a step, in its words; empty if it would."""
        try:
            play_games.resolve(Spec(self.spec.key, {**self.spec.hyper, "step": step}, self.spec.label), self.temperatures, 1)
        except ValueError as error:
            return str(error)
        return ""

    def grid(self) -> tuple[list[float], set[str]]:
        """Steps of the first sweep, and which of their ends the solver sets itself."""
        low, high = self.limits
        count = max(int(np.ceil(PER_DECADE * np.log10(high / low))), 1)
        default = [self.default] if low <= self.default <= high else []
        tried = _rounded([*np.geomspace(low, high, count + 1), *default])
        admitted = [step for step in tried if not self.refusal(step)]
        if not admitted:
            raise ValueError(f"no step between {low:g} and {high:g} will do: {self.refusal(tried[0])}")
        own = set()
        for end, k, beyond in (("smallest", tried.index(admitted[0]), -1), ("largest", tried.index(admitted[-1]), 1)):
            if 0 <= k + beyond < len(tried):
                own.add(end)
                admitted.append(self.limit(tried[k], tried[k + beyond]))
        return sorted(set(admitted)), own

    def limit(self, good: float, bad: float) -> float:
        """The last step admitted between one that is and one that is not, to the digits printed."""
        safe, inwards = good, np.sign(good - bad)
        for _ in range(24):
            middle = float(np.sqrt(good * bad))
            good, bad = (good, middle) if self.refusal(middle) else (middle, bad)
        for step in _rounded([good]) + _rounded([good * (1 + inwards * 5 * 10.0**-DIGITS)]):
            if not self.refusal(step):
                return step
        return safe

    def run(self, metric: str, settings: dict[str, Any]) -> Best:
        """Sweep, sweep again around the best, and judge all candidates together."""
        if self.default is None:
            data = self._play([self.spec], metric, settings)
            return Best(float("nan"), _score(data[metric].values, 0), "", False, data)
        steps, own = self.grid()
        data = self._sweep(steps, metric, settings)
        k = self._choose(data, metric)
        around = steps[max(k - 1, 0) : k + 2]
        between = [np.geomspace(a, b, FINER + 1)[1:-1] for a, b in itertools.pairwise(around)]
        finer = [step for step in _rounded(itertools.chain(*between)) if step not in steps and not self.refusal(step)]
        if finer:
            import xarray as xr

            parts = [data, self._sweep(finer, metric, settings)]
            data = xr.concat(parts, "algorithm", coords="different", compat="equals", join="exact").sortby("step")
            k = self._choose(data, metric)
        end = {0: "smallest", data.sizes["algorithm"] - 1: "largest"}.get(k, "")
        return Best(float(data["step"][k]), _score(data[metric].values, k), end, end in own, data)

    def _choose(self, data: xr.Dataset, metric: str) -> int:
        distance = np.abs(np.log(data["step"].values / self.default))
        return choose(median_logs(data[metric].values), data["t"].values, resolution(metric, self.game), distance)

    def _sweep(self, steps: list[float], metric: str, settings: dict[str, Any]) -> xr.Dataset:
        return self._play([Spec(self.spec.key, {**self.spec.hyper, "step": Grid(steps)}, self.name)], metric, settings)

    def _play(self, specs: list[Spec], metric: str, settings: dict[str, Any]) -> xr.Dataset:
        # A search goes where solvers diverge; metrics overflow on the way there.
        with warnings.catch_warnings(), np.errstate(over="ignore", invalid="ignore"):
            for expected in (play_games.DivergenceWarning, StabilityWarning):
                warnings.simplefilter("ignore", expected)
            return simulate(self.game, specs, horizon=self.horizon, metrics=[metric], **settings)[[metric]]


def _rounded(steps: Any) -> list[float]:
    """Steps to the digits printed, each once, increasing."""
    return sorted({float(f"{step:.{DIGITS}g}") for step in steps})


def resolution(metric: str, game: PreferenceGame) -> float:
    """Logarithm of the value of a metric below which it is rounding."""
    plain = metric.removeprefix("average_")
    gap = plain in ("duality_gap", "exploitability")
    quadratic = plain.startswith("kl_") or (gap and bool((game.beta > 0).all()))
    return float(np.log(RESOLVED)) * (2 if quadratic else 1)


def median_logs(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median over instances and runs of the logarithm of a metric (algorithm, instance, run, t); shape (algorithm, t).

    What is not a number has diverged and counts as infinite; zeros and negative rounding count as `SMALLEST`.
    """
    logs = np.log(np.maximum(np.where(np.isnan(values), np.inf, values), SMALLEST))
    return np.median(logs, axis=(1, 2))


def _score(values: NDArray[np.float64], k: int) -> float:
    """Median of a candidate's final values."""
    final = float(median_logs(values[k : k + 1, ..., -1:])[0, 0])
    return float(np.exp(final)) if final > np.log(SMALLEST) else 0.0


def choose(
    curves: NDArray[np.float64], times: NDArray[np.int64], rounding: float, distance: NDArray[np.float64]
) -> int:
    """Index of the best candidate.

    The lowest final value wins. Those within `TIE` of it, and all below `rounding`, are equal; of these the one wins
    whose curve came there first and stayed, then the one of the smallest `distance`.

    Parameters
    ----------
    curves : array, shape (candidates, times)
        Logarithms of the metric, infinite where a candidate diverged.
    times : array, shape (times,)
        Iterations, increasing.
    rounding : float
        Logarithm of the smallest value that means something.
    distance : array, shape (candidates,)
        Settles what is left, such as candidates that all diverged.
    """
    final = np.maximum(curves[:, -1], rounding)
    if not np.isfinite(final).any():
        return int(distance.argmin())
    level = float(final.min()) + TIE
    seen = np.maximum(curves, rounding + DEPTH)
    return int(min(np.flatnonzero(final <= level), key=lambda k: (arrival(seen[k], times, level), distance[k])))


def arrival(curve: NDArray[np.float64], times: NDArray[np.int64], level: float) -> float:
    """Time from which a curve stays at or below a level that it ends below; linear between records, as a geometric decay is."""
    above = np.flatnonzero(curve > level)
    if not len(above):
        return float(times[0])
    k = int(above[-1])
    # An infinite value has no slope: nothing is known between the two records.
    share = (curve[k] - level) / (curve[k] - curve[k + 1]) if np.isfinite(curve[k]) else 1.0
    return float(times[k] + share * (times[k + 1] - times[k]))
