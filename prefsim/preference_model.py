"""Preference games learned from duels: Bradley-Terry and the general preference model by maximum likelihood.

Both model the log-odds ``s_ij`` of ``i`` beating ``j`` and maximise ``sum_ij W_ij log sigmoid(s_ij)`` over win counts ``W``,
less a ridge: ``s_ij = r_i - r_j`` (Bradley and Terry 1952), or ``s_ij = <R v_i, v_j>`` with ``R`` the rotation by +90 degrees
in each pair of coordinates (Zhang et al. 2024, arXiv 2410.02197), which has room for cycles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefsim import noise
from prefsim.game import PreferenceGame

Floats = NDArray[np.float64]

STARTS = 4
"""Starting points of the fit that is not convex: the empirical log-odds, bare and with noise on top."""
STATIONARY = 1e-6
"""Largest gradient per duel that is accepted for an optimum."""


class FitError(RuntimeError):
    """The likelihood was not maximised."""


class PreferenceModel(NamedTuple):
    """A fitted model.

    Attributes
    ----------
    game : PreferenceGame
        The game of the fitted preferences.
    scores : array, shape (n, n)
        Fitted log-odds, skew-symmetric.
    parameters : array, shape (n,) or (n, rank)
        Rewards with mean 0, or embeddings as :func:`embed` makes them from `scores`.
    log_likelihood : float
        ``sum_ij W_ij log P_ij``, without the ridge, in nats.
    """

    game: PreferenceGame
    scores: Floats
    parameters: Floats
    log_likelihood: float


def fit_bradley_terry(wins: ArrayLike, ridge: float = 1e-3, **settings: Any) -> PreferenceModel:
    """Fit one reward per action.

    The likelihood is concave and does not see a shift of the rewards, which is fixed by mean 0.

    Parameters
    ----------
    wins : array_like, shape (n, n)
        ``W[i, j] >= 0``, how often ``i`` beat ``j``; zeros on the diagonal.
    ridge : float
        ``ridge / 2 sum_i r_i^2`` is taken off the log-likelihood: a normal prior of variance ``1 / ridge``, there so that
        actions that only won or only lost get finite rewards. 0 for plain maximum likelihood.
    **settings
        ``reference``, ``beta``, ``names``, ``transform`` of the :class:`prefsim.PreferenceGame` returned.

    Raises
    ------
    TypeError, ValueError
        If `wins` does not hold counts, `ridge` is below 0, or it is 0 and no maximum exists because the actions split into
        two groups of which one never lost to the other (Ford 1957).
    FitError
        If the optimiser stops short of the maximum.
    """
    from scipy.optimize import minimize

    counts, ridge = _checked(wins, ridge)
    if ridge == 0:
        _check_connected(counts)
    n, total = len(counts), counts.sum()

    def loss(rewards: Floats) -> tuple[float, Floats]:
        value, slope = _likelihood(counts, rewards[:, None] - rewards)
        # The last term holds the mean at 0, where every maximum of the rest can be moved to.
        value += ridge / 2 * (rewards @ rewards) + total / 2 * rewards.mean() ** 2
        return value / total, (slope.sum(axis=1) - slope.sum(axis=0) + ridge * rewards) / total + rewards.mean() / n

    def curvature(rewards: Floats) -> Floats:
        weight = (counts + counts.T) / (4 * np.cosh((rewards[:, None] - rewards) / 2) ** 2)
        return (np.diag(weight.sum(axis=1) + ridge) - weight) / total + 1 / n**2

    found = minimize(loss, np.zeros(n), jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-13})
    _check_stationary(np.abs(found.jac).max(), "Bradley-Terry")
    rewards = found.x - found.x.mean()
    return _model(counts, rewards[:, None] - rewards, rewards, settings)


def fit_general_preference(wins: ArrayLike, rank: int = 2, ridge: float = 1e-3, **settings: Any) -> PreferenceModel:
    """Fit skew-symmetric log-odds of a given rank.

    Embeddings are determined up to linear maps that preserve ``<R v, w>`` only; the ridge prefers the shortest, and
    those returned are brought to the form of :func:`embed`. The likelihood is not concave: the best of several starts is
    returned, the first of them made from the empirical log-odds, and nothing proves it the global maximum.

    Parameters
    ----------
    wins : array_like, shape (n, n)
        ``W[i, j] >= 0``, how often ``i`` beat ``j``; zeros on the diagonal.
    rank : int
        Rank of the log-odds, even; ``n - n % 2`` leaves them free.
    ridge : float
        ``ridge / 2 sum_i |v_i|^2`` is taken off the log-likelihood, ``> 0``; it is ``ridge / 2`` times the sum of the
        singular values of the log-odds.
    **settings
        ``reference``, ``beta``, ``names``, ``transform`` of the :class:`prefsim.PreferenceGame` returned.

    Raises
    ------
    TypeError, ValueError
        If `wins` does not hold counts, `rank` is odd or beyond the number of actions, or `ridge` is not above 0.
    FitError
        If the optimiser stops short of a stationary point from every start.
    """
    from scipy.optimize import minimize

    counts, ridge = _checked(wins, ridge)
    n, total = len(counts), counts.sum()
    _check_rank(rank, n)
    if ridge == 0:
        raise ValueError("ridge must be above 0, because the likelihood alone does not determine embeddings; 1e-3 is small.")

    def loss(flat: Floats) -> tuple[float, Floats]:
        vectors = flat.reshape(n, rank)
        value, slope = _likelihood(counts, skew_scores(vectors))
        turned = np.empty_like(vectors)
        turned[:, 0::2] = (slope - slope.T) @ vectors[:, 1::2]
        turned[:, 1::2] = -(slope - slope.T) @ vectors[:, 0::2]
        return (value + ridge / 2 * (flat @ flat)) / total, (turned.ravel() + ridge * flat) / total

    first = embed(np.log(counts + 0.5) - np.log(counts.T + 0.5), rank)
    luck = noise.normals(noise.stream_key(0, "preference_model", "start"), np.arange(STARTS), 0, 0, n * rank)
    options = {"gtol": 1e-11, "ftol": 1e-16, "maxiter": 20_000, "maxfun": 40_000, "maxcor": 30}
    starts = [first.ravel() + 0.3 * min(k, 1) * luck[k] for k in range(STARTS)]
    fits = [minimize(loss, start, jac=True, method="L-BFGS-B", options=options) for start in starts]
    stationary = [fit for fit in fits if np.abs(fit.jac).max() <= STATIONARY]
    if not stationary:
        _check_stationary(min(np.abs(fit.jac).max() for fit in fits), "general preference")
    scores = skew_scores(min(stationary, key=lambda fit: fit.fun).x.reshape(n, rank))
    return _model(counts, scores, embed(scores, rank), settings)


def skew_scores(embeddings: Floats) -> Floats:
    """``<R v_i, v_j>`` for embeddings (n, 2k), shape (n, n); exactly skew-symmetric."""
    product = embeddings[:, 0::2] @ embeddings[:, 1::2].T
    return product - product.T


def embed(scores: ArrayLike, rank: int) -> Floats:
    """Embeddings whose scores are the best approximation of given ones by a matrix of rank `rank`.

    For every eigenpair ``S w = i lambda w``, ``lambda > 0``, the real and imaginary part of ``sqrt(2 lambda) w`` are a pair of
    coordinates; the largest come first. Exact if `scores` has no higher rank.

    Parameters
    ----------
    scores : array_like, shape (n, n)
        Skew-symmetric.
    rank : int
        Even.

    Returns
    -------
    array, shape (n, rank)

    Raises
    ------
    ValueError
        If `scores` is not skew-symmetric, or `rank` is odd or beyond the number of actions.
    """
    matrix = np.array(scores, dtype=np.float64)
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] and np.isfinite(matrix).all()
    if not square or np.abs(matrix + matrix.T).max(initial=0) > 1e-9 * (1 + np.abs(matrix).max(initial=0)):
        raise ValueError("scores must be a finite skew-symmetric matrix, S + S^T = 0; pass log-odds, not probabilities.")
    _check_rank(rank, len(matrix))
    # i S is Hermitian; its lowest eigenvalues -lambda belong to S w = i lambda w.
    values, vectors = np.linalg.eigh(1j * matrix)
    scaled = vectors[:, : rank // 2] * np.sqrt(2 * np.maximum(-values[: rank // 2], 0))
    return np.stack([scaled.real, scaled.imag], axis=-1).reshape(len(matrix), rank)


def _likelihood(counts: Floats, scores: Floats) -> tuple[float, Floats]:
    """Negative log-likelihood and its derivative by each score."""
    return float((counts * np.logaddexp(0, -scores)).sum()), -counts * (0.5 - np.tanh(scores / 2) / 2)


def _model(counts: Floats, scores: Floats, parameters: Floats, settings: dict[str, Any]) -> PreferenceModel:
    game = PreferenceGame(0.5 + np.tanh(scores / 2) / 2, **settings)
    return PreferenceModel(game, scores, parameters, -_likelihood(counts, scores)[0])


def _checked(wins: ArrayLike, ridge: float) -> tuple[Floats, float]:
    try:
        counts = np.array(wins, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"wins must be a square array of counts: {error}.") from None
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or len(counts) < 2:
        raise ValueError(f"wins must have shape (n, n) with n >= 2, a row and a column per action; got {counts.shape}.")
    if not np.isfinite(counts).all() or counts.min() < 0:
        raise ValueError(f"wins must hold finite counts >= 0; its smallest entry is {counts.min():g}.")
    if np.diag(counts).any():
        i = int(np.flatnonzero(np.diag(counts))[0])
        raise ValueError(f"wins[{i}, {i}] is {counts[i, i]:g}; an action does not duel itself, so set the diagonal to 0.")
    if not counts.any():
        raise ValueError("wins holds no duel at all; give at least one count above 0.")
    if not isinstance(ridge, (int, float)) or not 0 <= ridge < np.inf:
        raise ValueError(f"ridge must be a finite number >= 0; got {ridge!r}.")
    return counts, float(ridge)


def _check_rank(rank: int, n: int) -> None:
    if not isinstance(rank, (int, np.integer)) or rank < 2 or rank % 2 or rank > n:
        raise ValueError(f"rank must be even, as of every skew matrix, from 2 to the number of actions {n}; got {rank!r}.")


def _check_connected(counts: Floats) -> None:
    from scipy.sparse.csgraph import connected_components

    groups, member = connected_components(counts > 0, connection="strong")
    if groups > 1:
        group: Sequence[int] = np.flatnonzero(member == member[0]).tolist()
        raise ValueError(
            f"wins splits into {groups} groups not linked by wins both ways (one is {group}), so that plain maximum likelihood "
            "has no finite solution; give ridge > 0."
        )


def _check_stationary(gradient: float, name: str) -> None:
    if not gradient <= STATIONARY:
        raise FitError(
            f"the {name} fit stopped at a gradient of {gradient:.3g} per duel, above {STATIONARY:g}; raise ridge, which keeps "
            "log-odds of one-sided pairs small."
        )
