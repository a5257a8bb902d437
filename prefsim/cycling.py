"""Whether self-play arrives, circles or is driven to the boundary: turns around a point of rest, and their growth.

Near a full-support point of rest errors ``e`` of log-policies obey ``e+ = e + (rule) A S e``, ``S = diag(pi*) - pi* pi*^T``.
For each pair of eigenvalues ``+-i omega`` of ``A S`` there is a complex number ``u`` of a trajectory, the component of ``e``
along that mode in the metric of KL, which an iteration multiplies by a constant ``z``: ``1 - step beta + i step omega``
for ``omd``. A turn takes ``2 pi / arg z`` iterations, close to ``2 pi / (step omega)`` for small steps, and multiplies
``|u|^2``, a mode's share of ``2 KL(pi*, .)``, by ``|z|^(4 pi / arg z)``. Far away the same ``u`` still winds around 0: it
counts the turns, and the mean of KL over a turn says whether they grow. Source: derived, linearisation of mirror steps.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefsim import ops
from prefsim.experiment import Experiment
from prefsim.game import PreferenceGame, check_game

Floats = NDArray[np.float64]

FALSE_ALARM = 0.01
"""Level of the trend test (Mann-Kendall): how often turns without a trend are said to shrink or grow."""

FEWEST = 6
"""Fewest turns that the test looks at; six in order by chance have probability 2 / 6! < 0.003."""

ARRIVED = 1e-16
"""KL divergence from the point of rest at which a trajectory has arrived; what is below may be rounding."""

SCATTER = 0.2
"""Standard deviation of ``ln KL`` over the turns above which an orbit is not closed.

Noise around a stable point of rest winds around it too, but at any moment its KL is exponentially distributed along a
mode, with the standard deviation ``pi / sqrt(6) = 1.28`` of the logarithm; damping slower than a turn leaves that to turns.
"""

TURNS = 100
"""Turns of the linearisation in a default horizon, which has `SHORTEST` to `LONGEST` iterations."""
SHORTEST, LONGEST = 1_000, 200_000


class Cycling(NamedTuple):
    """How a trajectory moves around a point of rest. Its text, ``str(...)``, is a sentence.

    Attributes
    ----------
    verdict : {"converges", "spirals in", "cycles", "spirals out", "undecided"}
        ``"converges"`` is arrival in less than one turn.
    turns : float
        Turns made (before arrival).
    period : float
        Iterations a turn took in the second half of the turns; NaN for less than six turns.
    growth : float
        Factor of the mean KL from the point of rest, from turn to turn in that half; 1 for a closed orbit.
    kl : float
        ``KL(point of rest, last policy)``.
    predicted_period, predicted_growth : float
        The same two numbers of the linearisation, NaN if unknown or without rotation.
    """

    verdict: str
    turns: float
    period: float
    growth: float
    kl: float
    predicted_period: float = float("nan")
    predicted_growth: float = float("nan")

    def __str__(self) -> str:
        parts = [f"{self.verdict}: {self.turns:.3g} turns"]
        if np.isfinite(self.period):
            parts.append(f"a turn takes {self.period:.4g} iterations and multiplies KL by {self.growth:.4g}")
        if np.isfinite(self.predicted_period):
            near = f"near the point of rest {self.predicted_period:.4g} iterations and a factor {self.predicted_growth:.4g}"
            parts.append(near)
        return ", ".join([*parts, f"at the end KL is {self.kl:.3g}."])


def detect_cycling(
    game: PreferenceGame,
    algorithm: Any,
    horizon: int | None = None,
    *,
    start: Any = "random",
    seed: int = 0,
    tolerance: float = 0.01,
    engine: str = "auto",
) -> Cycling:
    """Run a solver and say whether its last iterate converges, cycles or is driven to the boundary.

    Parameters
    ----------
    game : PreferenceGame
        One game.
    algorithm : str, (str, mapping) or Spec
        The solver, as for :func:`prefsim.run`.
    horizon : int, optional
        Iterations; by default 100 turns of the linearisation, from 1000 to 200 000. All of them are kept in memory.
    start : "random", "reference" or array_like, shape (n,)
        First policy.
    seed : int
        Seed of a random start.
    tolerance : float
        Change of KL a turn, as a share of it, up to which an orbit is called closed. A spiral slower than that is called
        a cycle, so a small tolerance asks for a long horizon.
    engine : {"auto", "numba", "reference", "cupy"}

    Returns
    -------
    Cycling
        With the linearisation, measured on the rule itself by a small push off its point of rest.

    Raises
    ------
    ValueError, TypeError
        If an argument cannot be used, or the policies leave the interior of the simplex or the range of numbers.

    See Also
    --------
    prefsim.cycling.classify : the same for recorded log-policies, with the statistic and its false alarms.
    """
    from prefsim import play_games, stability

    check_game(game)
    if game.batch_shape:
        raise ValueError(f"detect_cycling looks at one game at a time; got a batch {game.batch_shape}, index it first.")
    experiment = Experiment(game, [algorithm], LONGEST if horizon is None else horizon, seed=seed, start=start)
    if len(experiment.algorithms) > 1:
        raise ValueError("detect_cycling looks at one algorithm at a time; give its hyperparameters as numbers, not a Grid.")
    flat = game.flatten()
    rule = play_games.resolve(experiment.algorithms[0], flat, experiment.horizon)
    center = stability.resting(game, stability.temperatures(rule[0], rule[1][0], float(game.beta))[1])
    modes = _modes(game, center)

    def path(first: Floats, stop: int) -> Floats:
        """Log-policies (iteration, run, action) from first ones (run, action)."""
        chosen = "numba" if engine == "auto" else engine
        player = play_games.start_players(experiment, chosen, flat, [rule], np.array(first[None]))[0]
        kept = np.empty((stop + 1, *first.shape))
        for t in range(stop + 1):
            player.advance(t)
            kept[t] = player.current[0]
        return kept

    factors = _factors(center, modes, path)
    if horizon is None:
        turn = np.angle(factors[-1]) if len(factors) else 0.0  # the fastest mode is the last
        horizon = int(np.clip(TURNS * 2 * np.pi / turn if turn > 0 else 0, SHORTEST, LONGEST))
    found, mode = _classify(modes, path(play_games.first_policies(experiment, flat)[0], horizon)[:, 0], center, tolerance)
    if mode is None or not np.angle(factors[mode]) > 0:
        return found
    period = 2 * np.pi / float(np.angle(factors[mode]))
    return found._replace(predicted_period=period, predicted_growth=float(np.abs(factors[mode])) ** (2 * period))


def classify(
    game: PreferenceGame, log_policies: ArrayLike, *, log_center: ArrayLike | None = None, tolerance: float = 0.01
) -> Cycling:
    """Say how a recorded trajectory moves around a point of rest.

    The statistic is the logarithm of the mean of ``KL(center, .)`` over a turn, for the second half of the turns. A
    Mann-Kendall test at level 1 % and a Theil-Sen slope beyond `tolerance` together make a spiral: turns without a trend,
    whatever their distribution, are called a spiral in at most 1 % of cases if they are exchangeable (noise that is
    damped more slowly than a turn makes successive turns alike, and the share larger). A slope within it, and a standard
    deviation of at most 0.2, make a cycle. Anything else, or less than six turns without arrival, is undecided.

    Parameters
    ----------
    game : PreferenceGame
        One game.
    log_policies : array_like, shape (iterations, n)
        Every iterate, at least three of them a turn.
    log_center : array_like, shape (n,), optional
        Logarithm of the policy to look around; the game's equilibrium when omitted. Where the trajectory settles, its
        last policy takes its place.
    tolerance : float
        As for :func:`detect_cycling`.

    Raises
    ------
    ValueError
        If the trajectory has the wrong shape, is not finite, or does not move.
    """
    from prefsim.equilibrium import solve_equilibrium

    check_game(game)
    center = solve_equilibrium(game).log_policy if log_center is None else ops.log_normalize(np.asarray(log_center, float))
    logs = np.asarray(log_policies, dtype=np.float64)
    if game.batch_shape or logs.ndim != 2 or logs.shape[1] != game.n:
        raise ValueError(
            f"log_policies must have shape (iterations, {game.n}), of one game; got {logs.shape} and a game of batch shape "
            f"{game.batch_shape}."
        )
    return _classify(_modes(game, center), logs, center, tolerance)[0]


class _Modes(NamedTuple):
    """Complex modes of ``A S``: ``u = weights @ e`` turns with ``omega > 0``."""

    omega: Floats
    weights: NDArray[np.complex128]
    """Shape (modes, n); 0 outside the support."""
    vectors: Floats
    """Errors of log-policies that belong to them, largest entry 1; shape (modes, n)."""


def _modes(game: PreferenceGame, log_center: Floats) -> _Modes:
    """Eigenvectors of ``S^(1/2) A S^(1/2)``, which is skew and has the spectrum of ``A S``, in rising order of frequency."""
    root = np.exp(log_center / 2)
    centre = np.eye(game.n) - np.outer(root, root)
    skew = centre @ (root[:, None] * game.payoff * root) @ centre
    omega, vectors = np.linalg.eigh(-1j * skew)
    turning = omega > 1e-9
    rows = vectors[:, turning].T
    errors = np.where(root > 0, rows.real / np.where(root > 0, root, 1.0), 0.0)
    return _Modes(omega[turning], rows.conj() * root, errors / np.abs(errors).max(axis=1, keepdims=True))


def _components(modes: _Modes, log_policies: Floats, log_center: Floats) -> NDArray[np.complex128]:
    """Numbers ``u``, shape (..., modes), of log-policies (..., n) seen from a centre; actions outside its support count 0."""
    error = np.where(np.isfinite(log_center), log_policies - np.where(np.isfinite(log_center), log_center, 0.0), 0.0)
    return error @ modes.weights.T


def _factors(center: Floats, modes: _Modes, path: Any) -> NDArray[np.complex128]:
    """Multiplier ``z`` of each mode: of the difference between a run from the centre and one pushed off it by 1e-6.

    Read off where the difference is between 1e-10 and 1e-4 of the log-policies, after the transients of rules with
    memory as far as there is room.
    """
    if not len(modes.omega):
        return np.empty(0, np.complex128)
    runs = path(np.concatenate([center[None], ops.log_normalize(center + 1e-6 * modes.vectors)]), 50)
    factors, zero = np.full(len(modes.omega), np.nan, np.complex128), np.where(np.isfinite(center), 0.0, -np.inf)
    for j in range(len(factors)):
        pushed, still = (_components(modes, runs[:, k], zero)[:, j] for k in (1 + j, 0))
        u = pushed - still
        outside = (np.abs(u) < 1e-4 * np.abs(u[0])) | ~(np.abs(u) < 1e2 * np.abs(u[0]))
        last = int(outside.argmax()) - 1 if outside.any() else len(u) - 1
        if last >= 1:
            factors[j] = u[last] / u[last - 1]
    return factors


def _classify(modes: _Modes, logs: Floats, log_center: Floats, tolerance: float) -> tuple[Cycling, int | None]:
    """Verdict, and the mode it looked at."""
    inside = np.isfinite(log_center)
    if not np.isfinite(logs[:, inside]).all():
        t = int(np.flatnonzero(~np.isfinite(logs[:, inside]).all(axis=1))[0])
        raise ValueError(f"the log-policy of iteration {t} is not finite, so it has no angle; take a smaller step or horizon.")
    kl = ops.kl(log_center, logs)
    final = float(kl[-1])
    late = logs[-max(2, len(logs) // 10) :, inside]
    if np.abs(late - late[-1]).max() < 1e-9 and final > ARRIVED:  # arrived elsewhere
        log_center = np.where(inside, logs[-1], -np.inf)
        kl = ops.kl(log_center, logs)
    away = np.flatnonzero(kl > ARRIVED)
    if not len(away) or np.ptp(logs[:, inside], axis=0).max() < 1e-9:
        raise ValueError("the trajectory does not leave its point of rest; give another start.")
    arrived = away[-1] + 1 < len(logs)
    stop = int(away[-1]) + 1
    every = _components(modes, logs[:stop], log_center)
    mode = int((np.abs(every[stop // 2 :]) ** 2).sum(axis=0).argmax()) if len(modes.omega) else None
    turns, period, slope, p, scatter = 0.0, np.nan, np.nan, 1.0, np.inf
    if mode is not None:
        u = every[:, mode]
        small = np.abs(u) ** 2 < 0.01 * ARRIVED
        u = u[: int(small.argmax())] if small.any() else u
        turns, period, slope, p, scatter = _turning(u, kl[: len(u)])
    limit = np.log1p(tolerance)
    if arrived:
        verdict = "spirals in" if turns >= 1 else "converges"
    elif p <= FALSE_ALARM and abs(slope) > limit:
        verdict = "spirals in" if slope < 0 else "spirals out"
    elif abs(slope) <= limit and scatter <= SCATTER:
        verdict = "cycles"
    elif turns < 1 and kl[-1] <= min(kl.max() / 100, kl.min() * (1 + tolerance)):
        verdict = "converges"
    else:
        verdict = "undecided"
    return Cycling(verdict, turns, period, float(np.exp(slope)), final), mode


def _turning(u: NDArray[np.complex128], kl: Floats) -> tuple[float, float, float, float, float]:
    """Turns made by ``u``, and of the second half of them: iterations a turn, slope of ``ln`` mean KL of a turn, its
    significance, and the scatter of that logarithm; NaN if there are too few.
    """
    from scipy.stats import kendalltau, theilslopes

    if len(u) < 2:
        return 0.0, np.nan, np.nan, 1.0, np.inf
    angle = np.unwrap(np.angle(u)) / (2 * np.pi)
    progress = np.maximum.accumulate(np.sign(angle[-1] - angle[0]) * (angle - angle[0]))
    turns = float(progress[-1])
    count = int(turns)
    kept = max(count - count // 2, FEWEST)
    if count < kept:
        return turns, np.nan, np.nan, 1.0, np.inf
    ends = np.interp(np.arange(count - kept, count + 1), progress, np.arange(len(u)))
    sizes = np.log([_mean(kl, first, last) for first, last in itertools.pairwise(ends.tolist())])
    order = np.arange(kept)
    slope, p = float(theilslopes(sizes, order)[0]), float(kendalltau(order, sizes).pvalue)
    return turns, float(ends[-1] - ends[0]) / kept, slope, p, float(sizes.std())


def _mean(values: Floats, first: float, last: float) -> float:
    """Mean of an interpolated sequence between two places."""
    at = np.concatenate([[first], np.arange(np.floor(first) + 1, np.ceil(last)), [last]])
    heights = np.interp(at, np.arange(len(values)), values)
    return float(((heights[1:] + heights[:-1]) / 2 * np.diff(at)).sum() / (last - first))
