"""The worst case over a family of instances: what a rate is about, and what one instance of the family never shows.

A lower bound's hard instance has a parameter that the proof tunes to the horizon and the budget; at any fixed value every rule
looks better than its rate somewhere. So the largest mean regret over a grid of values is taken for each horizon or budget
first, and the exponent is fitted to those maxima.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefsim.statistics import Rate

if TYPE_CHECKING:
    import xarray

Floats = NDArray[np.float64]

METRICS = ("regret", "loss_regret", "switches")


def epsilon_grid(arms: int, horizon: int, budget: float | None = None) -> Floats:
    """Values of ``epsilon`` among which the worst one is sought, shape (10,), increasing.

    0; 1/2, 1, 2, 4 and 8 times ``sqrt(K / B)``, where ``B = T`` unless a smaller budget is given; and 1/2, 1, 2 and 4 times
    ``(K / T)^(1/3)``; no more than 1/2. These are the gaps at which observations of one kind or the other stop being enough.
    """
    seen = horizon if budget is None else min(budget, horizon)
    fine, coarse = np.sqrt(arms / seen), (arms / horizon) ** (1 / 3)
    values = [0.0, *(np.array([0.5, 1, 2, 4, 8]) * fine), *(np.array([0.5, 1, 2, 4]) * coarse)]
    return np.sort(np.minimum(values, 0.5))


def worst_case(
    algorithms: Sequence[Any],
    horizon: int | Sequence[int],
    *,
    budget: float | Sequence[float] | None = None,
    arms: int = 2,
    cost: float = 1.0,
    feedback: str = "bandit",
    runs: int = 20,
    seed: int = 0,
    grid: Callable[[int, int, float | None], ArrayLike] = epsilon_grid,
    engine: str = "auto",
) -> xarray.Dataset:
    """Play the multi-scale random walk for every horizon or budget over a grid of ``epsilon``, and keep the worst.

    Parameters
    ----------
    algorithms : sequence
        Policies, as for :func:`prefsim.run`; ``"budget"`` as the value of a hyperparameter stands for the budget.
    horizon, budget : number or sequence of numbers
        Rounds, and entries to ask for (with ``feedback="entries"`` or ``"extra"``); one of the two may be a sequence.
    arms, cost, feedback
        Of :func:`prefsim.bandits.multi_scale_random_walk`; the walk's steps have the literal standard deviation.
    runs, seed, engine
        Of :func:`prefsim.run`.
    grid : callable
        ``grid(arms, horizon, budget)`` gives the values of ``epsilon``, as many for every size.

    Returns
    -------
    xarray.Dataset
        ``regret`` (changes of arm included), ``loss_regret``, ``switches`` at the horizon, axes (algorithm, size, epsilon,
        run), where ``size`` is the horizon or the budget that varies; ``epsilon_value`` (size, epsilon); ``worst``, largest
        mean regret over epsilon (algorithm, size), and ``worst_epsilon``, where it is taken.

    Raises
    ------
    ValueError
        If both `horizon` and `budget` are sequences, one is empty or below 1, or a hyperparameter stands for no budget.
    """
    import xarray as xr

    from prefsim.bandits.multi_scale_random_walk import multi_scale_random_walk
    from prefsim.experiment import Spec
    from prefsim.run import run

    if np.ndim(horizon) and budget is not None and np.ndim(budget):
        raise ValueError("only one of horizon and budget may be a sequence; loop over the other.")
    by = "horizon" if np.ndim(horizon) or budget is None or not np.ndim(budget) else "budget"
    sizes = np.atleast_1d(np.asarray(horizon if by == "horizon" else budget))
    if not sizes.size:
        raise ValueError(f"{by} must hold at least one number.")
    if np.min(horizon) < 1 or (budget is not None and np.min(budget) < 1):
        raise ValueError(f"horizon and budget must be at least 1; got {horizon} and {budget}.")
    specs = [spec for item in algorithms for spec in Spec.parse(item).expand()]
    if budget is None and any(value == "budget" for spec in specs for value in spec.hyper.values()):
        raise ValueError('"budget" stands for the budget as a hyperparameter, and none was given; give budget=....')
    played, values = [], []
    for size in sizes.tolist():
        rounds, entries = (int(size), budget) if by == "horizon" else (horizon, size)
        values.append(np.asarray(grid(arms, rounds, entries), dtype=np.float64))  # type: ignore[arg-type]
        walk = multi_scale_random_walk(arms, values[-1].tolist(), cost=cost, feedback=feedback, budget=entries)  # type: ignore[arg-type]
        filled = [
            replace(s, hyper={k: int(entries) if v == "budget" else v for k, v in s.hyper.items()})  # type: ignore[arg-type]
            for s in specs
        ]
        settings = {"horizon": rounds, "record": [rounds], "runs": runs, "seed": seed, "metrics": list(METRICS)}
        data = run(walk, filled, engine=engine, **settings)
        played.append([data[name].isel(t=-1).to_numpy() for name in METRICS])
    stacked = np.stack(played, axis=2)  # metric, algorithm, size, epsilon, run
    mean = stacked[0].mean(axis=-1)
    at = np.broadcast_to(np.stack(values), mean.shape)
    axes = ("algorithm", "size", "epsilon", "run")
    words = {"regret": "regret and price of the changes", "loss_regret": "loss regret", "switches": "changes of arm"}
    content: dict[str, Any] = {n: (axes, v, {"long_name": words[n]}) for n, v in zip(METRICS, stacked, strict=True)}
    content["worst"] = (axes[:2], mean.max(axis=-1), {"long_name": "largest mean regret over epsilon"})
    content["worst_epsilon"] = (axes[:2], np.take_along_axis(at, mean.argmax(axis=-1)[..., None], axis=-1)[..., 0])
    coords = {
        "algorithm": [s.label for s in specs],
        "size": ("size", sizes, {"long_name": {"horizon": "rounds", "budget": "entries"}[by]}),
        "epsilon_value": (axes[1:3], np.stack(values)),
        "run": np.arange(runs),
    }
    return xr.Dataset(content, coords, {"by": by, "arms": arms, "cost": cost, "feedback": feedback, "seed": seed})


def worst_exponent(sizes: ArrayLike, values: ArrayLike, confidence: float = 0.95, seed: int = 0, resamples: int = 1000) -> Rate:
    """Exponent of a worst case: least-squares slope of ``log max_epsilon mean`` against ``log size``.

    Parameters
    ----------
    sizes : array_like, shape (sizes,)
        Horizons or budgets, at least two.
    values : array_like, shape (sizes, epsilons, runs)
        Costs of single runs.
    confidence, seed, resamples
        Of the percentile bootstrap interval over runs; the maximum over epsilon is taken anew in every resample.

    Returns
    -------
    Rate
        Slope and interval; the maximum of noisy means lies a little above that of the means, at every size alike.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a maximum is not positive.
    """
    x, y = np.log(np.asarray(sizes, dtype=np.float64)), np.asarray(values, dtype=np.float64)
    if y.ndim != 3 or x.shape != y.shape[:1] or len(x) < 2:
        raise ValueError(f"values must have shape (sizes, epsilons, runs) for two sizes or more; got {y.shape}, {x.shape}.")
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    worst = y.mean(axis=-1).max(axis=-1)
    if worst.min() <= 0:
        raise ValueError("the largest mean must be positive at every size to have a logarithm.")
    runs = y.shape[-1]
    chosen = np.random.default_rng(seed).multinomial(runs, np.full(runs, 1 / runs), size=resamples) / runs
    slopes = np.log(np.maximum((y @ chosen.T).max(axis=1), 1e-300)).T @ weights
    lower, upper = np.quantile(slopes, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Rate(float(np.log(worst) @ weights), float(lower), float(upper))
