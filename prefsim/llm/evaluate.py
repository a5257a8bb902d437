"""What judged samples say: win rates among policies with intervals, exploitability within a pool, and the judge's cycles.

Everything works on arrays of probabilities ``W[x, i, j]``, that response ``i`` to prompt ``x`` is preferred to ``j``, and
knows neither models nor text. Prompts are the independent samples: intervals resample them whole, with a seed.
``ps.PreferenceGame(W).save("judge.npz")`` makes games of the same array, one a prompt, for every tabular solver.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefsim.equilibrium import solve_equilibrium
from prefsim.game import PreferenceGame, as_floats, as_preference
from prefsim.preference_model import fit_bradley_terry
from prefsim.statistics import Band, bootstrap_interval
from prefsim.tournament import Tournament, summarize

Floats = NDArray[np.float64]

RIDGE = 1e-6
"""Ridge of Bradley-Terry fits to one duel a pair: too small to be seen, and certain preferences get finite rewards."""


class PoolReport(NamedTuple):
    """Policies held against each other by one judge, as means over prompts.

    Attributes
    ----------
    names : tuple of str
        The ``m`` policies.
    win_rates : Band
        Of the row's policy against the column's, with intervals entry by entry; shape (m, m).
    game : PreferenceGame
        The meta-game whose actions are the policies: their win rates, without a temperature.
    equilibrium : array, shape (m,)
        A mixture of the policies (a policy drawn for each prompt) that none of them beats on average, solved exactly.
    best_response : array of int, shape (m,)
        Who wins most against each policy; it itself if nobody wins more than half.
    exploitability : Band
        Win rate of the best response less 1/2, at least 0; shape (m,). It looks within the pool only, so the truth is larger;
        and it is the largest of noisy numbers, so with few prompts it is too large for that pool. The intervals, percentiles
        over prompts resampled for all policies together, share both faults.
    tournament : Tournament
        Winner, scores and cycles of the meta-game.
    """

    names: tuple[str, ...]
    win_rates: Band
    game: PreferenceGame
    equilibrium: Floats
    best_response: NDArray[np.intp]
    exploitability: Band
    tournament: Tournament


class JudgeReport(NamedTuple):
    """A judge's preferences among the ``k`` responses to each prompt; arrays of shape (prompts,).

    Attributes
    ----------
    cyclic_triples : array of int
        Triples in which each response beats one of the other two.
    triples : int
        All triples of a prompt.
    transitive : array of bool
        Whether some ranking, with ties, says who beats whom.
    condorcet_winner : array of int
        The response that beats every other one; -1 if there is none.
    bradley_terry_error : array of float
        Largest error ``|W - sigma(r_i - r_j)|`` of the rewards of largest likelihood: 0 for a judge that has a score.
    """

    cyclic_triples: NDArray[np.int64]
    triples: int
    transitive: NDArray[np.bool_]
    condorcet_winner: NDArray[np.int64]
    bradley_terry_error: Floats


def win_rate(judged: ArrayLike, *, hard: bool = False, confidence: float = 0.95, seed: int = 0) -> Band:
    """Win rate of one policy against another, with a bootstrap interval over prompts.

    Parameters
    ----------
    judged : array_like, shape (prompts, k, m)
        Probability that the policy's response is preferred to the opponent's; at least two prompts.
    hard : bool
        Count preferences above 1/2 as wins and those of 1/2 as half a win, instead of averaging probabilities.
    confidence, seed
        Coverage in (0, 1), and seed of the resampling.

    Returns
    -------
    Band
        Numbers, as arrays of shape ().
    """
    wins = as_floats(judged, "judged")
    if wins.ndim != 3 or 0 in wins.shape:
        raise ValueError(f"judged must have shape (prompts, k, m), both policies' responses to each prompt; got {wins.shape}.")
    if not ((wins >= 0) & (wins <= 1)).all():
        raise ValueError("judged must hold probabilities in [0, 1]; preferences that are scores go through a sigmoid first.")
    prompts = _hardened(wins, hard).mean(axis=(1, 2))
    return Band(prompts.mean(axis=0), *bootstrap_interval(prompts, confidence=confidence, seed=seed))


def evaluate_pool(
    judged: ArrayLike,
    owners: ArrayLike,
    names: Sequence[str],
    *,
    hard: bool = False,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
) -> PoolReport:
    """Hold policies, checkpoints and the reference against each other.

    Parameters
    ----------
    judged : array_like, shape (prompts, n, n)
        Preferences among all ``n`` responses to a prompt, whoever gave them; ``W + W^T = 1``. At least two prompts.
    owners : array_like of int, shape (n,)
        Index into `names` of the policy that gave each response; the same for every prompt.
    names : sequence of str
        The policies, each with at least one response.
    hard, confidence, seed
        As for :func:`win_rate`.
    resamples : int
        Number of bootstrap resamples of the exploitability.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit.
    """
    wins = _judged(judged)
    who = np.asarray(owners)
    if isinstance(names, str) or len(set(names)) != len(names):
        raise ValueError(f"names must be a list of different names, one for each policy; got {names!r}.")
    if who.shape != wins.shape[2:] or who.dtype.kind not in "iu" or sorted(set(who.tolist())) != list(range(len(names))):
        raise ValueError(
            f"owners must hold a whole number for each of the {wins.shape[2]} responses, and every number from 0 to "
            f"{len(names) - 1}, the last of names, at least once; got {who.tolist()}."
        )
    share = (who == np.arange(len(names))[:, None]) / np.bincount(who)[:, None]
    prompts = share @ _hardened(wins, hard) @ share.T
    center = prompts.mean(axis=0)
    game = PreferenceGame(center, names=list(names))
    edge = Band(center, *bootstrap_interval(prompts, confidence=confidence, seed=seed))
    drawn = _resampled(prompts.reshape(len(prompts), -1), resamples, seed).reshape(-1, *center.shape)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    exploitability = Band(game.payoff.max(axis=0), *np.quantile(np.maximum(drawn.max(axis=1) - 0.5, 0), tails, axis=0))
    equilibrium = solve_equilibrium(game).policy
    best = np.where(game.payoff.max(axis=0) > 0, game.payoff.argmax(axis=0), np.arange(game.n))
    return PoolReport(tuple(names), edge, game, equilibrium, best, exploitability, summarize(center))


def judge_report(judged: ArrayLike) -> JudgeReport:
    """Cycles, winners and distance from Bradley-Terry of a judge, prompt by prompt.

    Parameters
    ----------
    judged : array_like, shape (prompts, k, k)
        Preferences among ``k >= 2`` responses to each prompt; ``W + W^T = 1``.

    Raises
    ------
    TypeError, ValueError
        If `judged` is not that.
    """
    wins = _judged(judged)
    if wins.shape[1] < 2:
        raise ValueError("judged must compare at least 2 responses to each prompt.")
    found = [summarize(matrix) for matrix in wins]
    apart = 1 - np.eye(wins.shape[1])
    errors = [np.abs(fit_bradley_terry(matrix * apart, RIDGE).game.preference - matrix).max() for matrix in wins]
    return JudgeReport(
        np.array([each.cyclic_triples for each in found]),
        found[0].triples,
        np.array([each.transitive for each in found]),
        np.array([-1 if each.condorcet_winner is None else each.condorcet_winner for each in found]),
        np.array(errors),
    )


def length_correlation(
    win_rates: ArrayLike, lengths: ArrayLike, *, confidence: float = 0.95, seed: int = 0, resamples: int = 2000
) -> Band:
    """Correlation of win rate with length *within* prompts, and a percentile interval over prompts.

    Both are centred by prompt first, so that prompts that ask for long answers do not pass for a judge that likes them.

    Parameters
    ----------
    win_rates, lengths : array_like, shape (prompts, k)
        Of each response: its mean preference over the others, and its number of tokens or characters.
    confidence, seed, resamples
        Coverage, and seed and number of the bootstrap resamples.

    Returns
    -------
    Band
        Pearson correlations in [-1, 1]; NaN if lengths or win rates do not differ within any prompt (of a resample).
    """
    rates, sizes = as_floats(win_rates, "win_rates"), as_floats(lengths, "lengths")
    if rates.ndim != 2 or rates.shape != sizes.shape or len(rates) < 2:
        raise ValueError(
            f"win_rates and lengths must both have shape (prompts, k), 2 prompts or more; got {rates.shape} and {sizes.shape}."
        )
    if not (np.isfinite(rates).all() and np.isfinite(sizes).all()):
        raise ValueError("win_rates and lengths must be finite; leave out responses that were not judged.")
    x, y = (values - values.mean(axis=1, keepdims=True) for values in (rates, sizes))
    moments = np.stack([(x * y).sum(axis=1), (x * x).sum(axis=1), (y * y).sum(axis=1)], axis=1)
    drawn = _correlation(_resampled(moments, resamples, seed))
    tails = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Band(_correlation(moments.mean(axis=0)), *tails)


def _judged(judged: ArrayLike) -> Floats:
    wins = as_preference(judged, "judged")
    if wins.ndim != 3 or len(wins) == 0:
        raise ValueError(f"judged must have shape (prompts, n, n), a matrix for each prompt; got {wins.shape}.")
    return wins


def _hardened(wins: Floats, hard: bool) -> Floats:
    return (np.sign(wins - 0.5) + 1) / 2 if hard else wins


def _resampled(samples: Floats, resamples: int, seed: int) -> Floats:
    """Means of samples (prompts, ...) over prompts drawn with replacement, shape (resamples, ...)."""
    chosen = np.random.default_rng(seed).multinomial(len(samples), np.full(len(samples), 1 / len(samples)), size=resamples)
    return chosen @ samples / len(samples)


def _correlation(moments: Floats) -> Floats:
    """``sum xy / sqrt(sum xx sum yy)`` from the last axis."""
    scale = np.sqrt(moments[..., 1] * moments[..., 2])
    return np.where(scale > 0, moments[..., 0] / np.where(scale > 0, scale, 1.0), np.nan)
