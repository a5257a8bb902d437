"""How often the arms of a linear bandit must be played: the convex program behind its asymptotic lower bound.

A consistent algorithm on arms with unique best ``a*`` has ``liminf E regret(T) / ln T >= c``, where

    c = inf_w sum_a w_a D_a    such that    ||a||^2_{H(w)^-1} <= D_a^2 / (2 sigma^2)  for every a with gap D_a > 0,

``H(w) = sum_a w_a a a^T`` and Gaussian noise of deviation ``sigma`` (Lattimore and Szepesvari 2017, "The end of
optimism?", Theorem 1 and its Corollary 2; recalled, not checked against the paper; the form of Graves and Lai 1997).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefsim.ops import TIE

Floats = NDArray[np.float64]

PRECISION = 1e-5
"""Relative distance of cost and certificate at which the search ends."""
SHRINK = 0.1
NEWTON_STEPS = 200


class Allocation(NamedTuple):
    """Answer of :func:`graves_lai`."""

    plays: Floats
    """Plays of each arm per unit of ``ln T``, shape (arms,); 0 for the best arm, whose plays cost nothing."""
    cost: float
    """What those plays cost, ``sum_a plays_a D_a``; they satisfy every constraint, so the infimum is at most this."""
    certificate: float
    """A number the infimum is at least, by duality; ``cost - certificate`` bounds the error of both."""


def graves_lai(features: ArrayLike, gap: ArrayLike, deviation: float) -> Allocation:
    """Solve the program of the module's head, with a certificate.

    Plays of ``a*`` are free, so they grow without limit, and what is orthogonal to ``a*`` remains: with features ``b``
    projected there, ``x = b / sqrt(D)``, ``y = sqrt(2) sigma b / D`` and spending ``u = w D``, it reads

        min sum u    such that    q_a = y_a^T M(u)^-1 y_a <= 1,    M(u) = sum_b u_b x_b x_b^T,

    which is convex. Newton steps follow the central path of its logarithmic barrier. Any ``v >= 0`` gives a lower bound
    ``(sum_a v_a q_a)^2 / (sum_a v_a max_b h_b)``, ``h_b = sum_a v_a (x_b^T M^-1 y_a)^2``, because ``q`` is convex and
    of degree -1 in ``u`` (derived); on the path ``v_a = 1 / (1 - q_a)`` makes it tight.

    Parameters
    ----------
    features : array_like, shape (arms, dimension)
        Feature vectors; they need not span the space.
    gap : array_like, shape (arms,)
        Gaps, 0 for the best arm (up to ``ops.TIE``).
    deviation : float
        Standard deviation of the Gaussian noise.

    Returns
    -------
    Allocation

    Raises
    ------
    ValueError
        If best arms have different features: the theorem needs a unique one.
    """
    vectors, gaps = np.asarray(features, dtype=np.float64), np.asarray(gap, dtype=np.float64)
    best = vectors[gaps <= TIE]
    if np.ptp(best, axis=0).max() > 0:
        raise ValueError("the lower bound needs a unique best arm, but best arms have different features here.")
    plays = np.zeros(len(gaps))
    length = np.linalg.norm(best[0])
    axis = best[0] / length if length > 0 else best[0]
    across = vectors - np.outer(vectors @ axis, axis)
    scale = np.abs(vectors).max()
    costly = np.flatnonzero((gaps > TIE) & (np.linalg.norm(across, axis=1) > 1e-12 * scale))
    if len(costly) == 0:  # whatever differs from the best arm is learned from playing it
        return Allocation(plays, 0.0, 0.0)
    _, singular, basis = np.linalg.svd(across[costly], full_matrices=False)
    inside = across[costly] @ basis[singular > 1e-10 * singular[0]].T
    root = np.sqrt(gaps[costly])[:, None]
    spending, certificate = _cheapest(inside / root, np.sqrt(2) * deviation * inside / root**2)
    plays[costly] = spending / gaps[costly]
    return Allocation(plays, float(spending.sum()), certificate)


def _cheapest(x: Floats, y: Floats) -> tuple[Floats, float]:
    """Spending that satisfies the constraints, and the lower bound that goes with it."""
    arms = len(x)

    def look(u: Floats) -> tuple[Floats, Floats]:
        """``M^-1`` and the ``q_a``."""
        inverse = np.linalg.inv((x.T * u) @ x).astype(np.float64)
        return inverse, np.asarray(np.einsum("ak,kl,al->a", y, inverse, y))

    u = np.full(arms, 2 * look(np.ones(arms))[1].max())
    inverse, q = look(u)
    weight = u.sum() / arms
    spending, certificate = u, 0.0
    for _ in range(NEWTON_STEPS):
        response = x @ inverse @ y.T
        dual = 1 / (1 - q)
        feasible = u * q.max()
        if feasible.sum() < spending.sum():
            spending = feasible
        steepest = (response**2 @ dual).max()
        certificate = max(certificate, float((dual @ q) ** 2 / (dual.sum() * steepest)))
        if spending.sum() - certificate <= PRECISION * spending.sum():
            break
        gradient = 1 / weight - response**2 @ dual - 1 / u
        curvature = 2 * (x @ inverse @ x.T) * ((response * dual) @ response.T)
        curvature += (response**2 * dual**2) @ (response**2).T
        # In units of u, so that the matrix stays well scaled when entries of u vanish.
        step = u * np.linalg.solve(np.outer(u, u) * curvature + np.eye(arms), -u * gradient)
        decrement = -gradient @ step
        size, value = 1.0, u.sum() / weight - np.log1p(-q).sum() - np.log(u).sum()
        while size > 1e-10:
            tried = u + size * step
            if tried.min() > 0:
                inverse, q = look(tried)
                if q.max() < 1 and tried.sum() / weight - np.log1p(-q).sum() - np.log(tried).sum() <= value:
                    break
            size /= 2
        else:
            break  # rounding hides any further progress
        u = tried
        if decrement < 0.1:
            weight *= SHRINK
    return spending, certificate
