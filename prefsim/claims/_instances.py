"""Instances with known equilibria and the paths solvers take on them, shared by the claims about preference games."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefsim import games, metrics, noise, ops, registry
from prefsim.claim import Evidence
from prefsim.engines.reference import GamePlayer
from prefsim.equilibrium import solve_equilibrium
from prefsim.game import PreferenceGame
from prefsim.run import run

Floats = NDArray[np.float64]

FLOOR = 1e-20
"""KL divergences below this are rounding."""

TOLERANCE = 1e-12
"""What an identity may miss, relative to the size of its terms where that exceeds 1."""

SIZES = {"fast": (3, 5, 10), "paper": (3, 4, 10, 30, 100)}
COUNT = {"fast": 3, "paper": 8}


class Instances(NamedTuple):
    """Regularised games whose equilibrium is known.

    Attributes
    ----------
    payoff : array, shape (m, n, n)
        ``A``. Controls may hold what is not the payoff of any preference matrix.
    log_reference, log_equilibrium : array, shape (m, n)
    beta : array, shape (m,)
    """

    payoff: Floats
    log_reference: Floats
    beta: Floats
    log_equilibrium: Floats

    @property
    def n(self) -> int:
        """Number of actions."""
        return self.payoff.shape[-1]

    @property
    def legal(self) -> bool:
        """Whether these are preference games: skew payoffs within [-1/2, 1/2]."""
        return bool((np.abs(self.payoff) <= 0.5).all() and (self.payoff == -np.swapaxes(self.payoff, 1, 2)).all())

    def game(self) -> PreferenceGame:
        """The batch as a public object; refused unless :attr:`legal`."""
        return PreferenceGame(0.5 + self.payoff, beta=self.beta, log_reference=self.log_reference)

    def wide(self, axes: int = 1) -> Any:
        """The fields metrics look at, with `axes` axes inserted behind the instances, to broadcast against policies."""
        between = (slice(None), *(None,) * axes)
        return Instances(*(field[between] for field in self))

    def kl(self, path: Floats) -> Floats:
        """``KL(pi*, p)`` of log-policies (m, ..., n)."""
        return ops.kl(self.wide(path.ndim - 2).log_equilibrium, path)

    def gain(self, path: Floats) -> Floats:
        """``A p`` of log-policies (m, ..., n)."""
        return metrics.gains(self.wide(path.ndim - 2), path)

    def skewed(self, diagonal: float) -> Instances:
        """Add a diagonal to the payoff, which is then not skew, and plant the same equilibrium."""
        return plant(self.payoff + diagonal * np.eye(self.n), self.log_equilibrium, self.beta)

    def scaled(self, factor: float) -> Instances:
        """Multiply the payoff and plant the same equilibrium."""
        return self if factor == 1 else plant(factor * self.payoff, self.log_equilibrium, self.beta)


class Cell(NamedTuple):
    """Measurements on one batch of instances and their bounds, NaN where there is none; they broadcast."""

    measured: Any
    upper: Any = np.nan
    lower: Any = np.nan


def plant(payoff: Floats, log_equilibrium: Floats, beta: Floats) -> Instances:
    """Choose the reference that makes a policy the fixed point: ``mu ∝ pi* exp(-A pi* / beta)``."""
    gain = np.matmul(payoff, np.exp(log_equilibrium)[..., None])[..., 0]
    return Instances(payoff, ops.log_normalize(log_equilibrium - gain / beta[:, None]), beta, log_equilibrium)


def unregularised(payoff: Floats, equilibrium: Floats | None = None) -> Instances:
    """Games with ``beta = 0`` and a uniform reference; the equilibrium may be left open."""
    uniform = np.full(payoff.shape[:2], -np.log(payoff.shape[-1]))
    return Instances(payoff, uniform, np.zeros(len(payoff)), uniform if equilibrium is None else equilibrium)


def interior(n: int) -> Instances:
    """Games with a chosen full-support equilibrium: ``A = Q B Q^T``, ``Q = I - 1 pi^T``, so that ``A pi = 0``."""
    log_policy = random_policies("interior", (4, 1), n)[:, 0]
    q = np.eye(n) - np.exp(log_policy)[:, None, :]
    payoff = q @ games.random(n, seed=5, count=4).payoff @ np.swapaxes(q, 1, 2)
    payoff = (payoff - np.swapaxes(payoff, 1, 2)) / 2
    return unregularised(payoff / (2 * np.abs(payoff).max(axis=(1, 2), keepdims=True)), log_policy)


def dominant(n: int) -> Instances:
    """Action 1 beats all others for sure, who are equal among themselves."""
    payoff = np.zeros((1, n, n))
    payoff[0, 0, 1:], payoff[0, 1:, 0] = 0.5, -0.5
    return unregularised(payoff, np.where(np.arange(n) == 0, 0.0, -np.inf)[None])


def random_policies(name: str, shape: tuple[int, int], n: int, spread: float = 1.0) -> Floats:
    """Log-policies with independent normal logits, shape (*shape, n)."""
    key = noise.stream_key(0, "claims", name)
    return ops.log_normalize(spread * noise.normals(key, np.arange(shape[0])[:, None], np.arange(shape[1]), 0, n))


def tournament(n: int) -> Floats:
    """Transitive tournament: every action beats all after it for sure."""
    return np.sign(np.arange(n) - np.arange(n)[:, None]) / 2


@cache
def family(n: int, beta: float, count: int) -> Instances:
    """Return games of `n` actions: random and extreme payoffs with random planted equilibria, and the EGPO benchmark.

    The extremes are the transitive tournament and, for odd `n`, the cyclic one, once more with everything uniform. The
    benchmark has mild references and equilibria close to the boundary; the planted games are the other way round.
    """
    extremes = [tournament(n), *([games.cyclic(n).payoff] * 2 if n % 2 else [])]
    payoff = np.concatenate([games.random(n, seed=1, count=count).payoff, extremes])
    equilibrium = random_policies("equilibrium", (len(payoff), 1), n)[:, 0]
    if n % 2:
        equilibrium[-1] = -np.log(n)
    planted = plant(payoff, equilibrium, np.full(len(payoff), beta))
    benchmark = games.random(n, seed=2, count=count).replace(beta=beta)
    solved = Instances(
        benchmark.payoff, benchmark.log_reference, benchmark.beta, solve_equilibrium(benchmark).log_policy
    )
    return Instances(*(np.concatenate(pair) for pair in zip(planted, solved, strict=True)))


def grid(budget: str, betas: Sequence[float], scale: float = 1.0) -> Iterator[tuple[float, Instances, Floats]]:
    """Yield a temperature, the family at it with payoffs times `scale`, and the :func:`starts` of each game."""
    for n in SIZES[budget]:
        for beta in betas:
            batch = family(n, beta, COUNT[budget]).scaled(scale)
            yield beta, batch, starts(batch)


def starts(batch: Instances) -> Floats:
    """The reference and a random policy for each game, shape (m, 2, n)."""
    return np.stack([batch.log_reference, random_policies("start", (len(batch.beta), 1), batch.n, 2.0)[:, 0]], axis=1)


def record(last: int) -> NDArray[np.int64]:
    """Iterations to look at: 0 and about 30 up to `last`, geometric."""
    return np.unique(np.concatenate([[0], np.geomspace(1, last, 30).astype(np.int64), [last]]))


def trajectory(
    solver: str | Any,
    hyper: Mapping[str, Any],
    batch: Instances,
    start: Floats,
    times: Sequence[int] | NDArray[np.int64],
) -> Floats:
    """Log-policies of a solver at `times`, shape (m, runs, t, n).

    Parameters
    ----------
    solver : str or object
        Key of a registered solver, or anything with a rule's ``opponent`` and ``target``.
    hyper : mapping
        Hyperparameters.
    batch : Instances
        Where they are preference games and the solver is registered, :func:`prefsim.run` runs it; else its rule is
        iterated as it stands, because the public entrance refuses what a control needs.
    start : array, shape (m, runs, n)
        Log-policies.
    times : sequence of int
        Increasing; the first is 0.
    """
    if isinstance(solver, str) and batch.legal:
        settings: dict[str, Any] = {"horizon": int(times[-1]), "record": [int(t) for t in times], "metrics": ["policy"]}
        chosen = [(solver, dict(hyper))]
        data = run(batch.game(), chosen, start=np.exp(start), runs=start.shape[1], **settings)
        with np.errstate(divide="ignore"):
            return np.log(data["policy"].values[0])
    if isinstance(solver, str):
        entry = registry.algorithm("solvers", solver)
        given = entry.hyper(hyper)
        hypers = [entry.translate(given, float(b)) if entry.translate else given for b in batch.beta]
        solver = entry.module
    else:
        hypers = [_Settings(**hyper)] * len(batch.beta)
    player = GamePlayer(solver, hypers, batch.beta, 0.5 + batch.payoff, batch.log_reference, start, False)
    path = []
    for t in times:
        player.advance(int(t))
        path.append(player.current)
    return np.stack(path, axis=2)


class _Settings(NamedTuple):
    """Hyperparameters of a rule written inside a claim."""

    step: float = 0.1


def moves(solver: str | Any, hyper: Mapping[str, Any], batch: Instances, path: Floats) -> Floats:
    """Where one iteration leads from every policy of a path, shape of the path."""
    start = path.reshape(len(path), -1, batch.n)
    return trajectory(solver, hyper, batch, start, [0, 1])[:, :, 1].reshape(path.shape)


def inner(u: Floats, v: Floats) -> Floats:
    """Dot product over actions."""
    return (u * v).sum(axis=-1)


def log_mean_exp(log_policy: Floats, values: Floats) -> Floats:
    """``log E_p exp(values)``, which is not negative where the mean of `values` is 0."""
    return ops.logsumexp(log_policy + values)


def residual(left: Floats, terms: Sequence[Floats]) -> Cell:
    """How much an identity ``left = sum(terms)`` is missed by, against rounding of its terms."""
    size = np.maximum(1.0, np.abs(left) + sum(np.abs(term) for term in terms))
    return Cell(np.abs(left - sum(terms)), TOLERANCE * size)


def evidence(
    label: str, cells: Sequence[Cell], times: Sequence[int] | NDArray[np.int64] | None = None, floor: float = 0.0
) -> Evidence:
    """Join cells of different sizes into one piece of evidence: a row per instance and run, times on the last axis."""
    width = 1 if times is None else len(times)

    def joined(k: int) -> Floats:
        rows = np.concatenate([np.broadcast_to(cell[k], np.shape(cell[0])).reshape(-1, width) for cell in cells])
        return rows if times is not None else rows[:, 0]

    measured, *bounds = (joined(k) for k in range(3))
    upper, lower = (None if np.isnan(bound).all() else bound for bound in bounds)
    if upper is not None:
        upper = np.maximum(upper, floor)  # a bound may underflow where values do not
    return Evidence(measured, upper, lower, times, floor, label=label)


def additive_evidence(budget: str, solver: str, cycle: float) -> Evidence:
    """Errors of a solver on additive games against ``(1 - step beta)^t`` times the first; `cycle` adds a cyclic part."""
    times = record({"fast": 100, "paper": 1000}[budget])
    cells = []
    for n in (3, 5, 11):
        for beta in (0.05, 0.5):
            utilities = np.sort(0.5 * noise.uniforms(noise.stream_key(0, "claims", "utilities"), np.arange(4), 0, n, n))
            payoff = (1 - cycle) * games.additive(utilities).payoff + cycle * games.cyclic(n).payoff
            # With a uniform reference the equilibrium is exp(u / beta), which a cyclic part moves.
            batch = Instances(
                payoff, np.full((4, n), -np.log(n)), np.full(4, beta), ops.log_normalize(utilities / beta)
            )
            start = starts(batch)
            for step in (0.1, 1.5):
                path = trajectory(solver, {"step": step}, batch, start, times)
                error = path - batch.log_equilibrium[:, None, None]
                error -= error.mean(axis=-1, keepdims=True)
                predicted = (1 - step * beta) ** times[:, None] * error[:, :, :1]
                size = 1 + np.abs(path).max(axis=-1)
                cells.append(Cell(np.abs(error - predicted).max(axis=-1), TOLERANCE * size))
    return evidence("error of the predicted log-ratio errors", cells, times)
