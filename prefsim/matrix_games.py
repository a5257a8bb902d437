"""Nash equilibria of zero-sum matrix games: pivoting when small, an interior point when large, fractions when ill-scaled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefsim import pivoting
from prefsim.game import as_floats

Floats = NDArray[np.float64]

SELECTIONS = ("vertex", "analytic_center", "max_entropy")
"""Which equilibrium is returned where there are several."""
LARGEST_PIVOTING = 256
"""Number of actions of the larger side from which the interior point is the faster one."""
LARGEST_EXACT = 30
"""Number of actions up to which a matrix game is solved in fractions when floats fail."""
ONLY = 1e-11
"""A basis all of whose reduced costs and probabilities exceed this has the only equilibrium."""


class EquilibriumError(RuntimeError):
    """No policy with a small enough duality gap was found."""


class ZeroSumEquilibrium(NamedTuple):
    """Optimal policies of the two players of a zero-sum game or batch of games.

    Attributes
    ----------
    row : array, shape (..., m)
        Policy of the player who wants a large payoff.
    column : array, shape (..., n)
        Policy of the player who wants a small one.
    value : array, shape (...)
        Value of the game.
    gap : array, shape (...)
        ``max A column - min row A``, the duality gap: the certificate.
    method : str
        What found them: ``"pivoting"``, ``"interior point"``, ``"exact pivoting"``; joined by commas when the games of a
        batch differ.
    """

    row: Floats
    column: Floats
    value: Floats
    gap: Floats
    method: str


def solve_zero_sum(payoff: ArrayLike, tolerance: float = 1e-12, *, selection: str = "vertex") -> ZeroSumEquilibrium:
    """Solve ``max_x min_y x^T A y`` over two simplexes.

    Parameters
    ----------
    payoff : array_like, shape (..., m, n)
        ``A[..., i, j]``, what the row player gets and the column player loses.
    tolerance : float
        Largest duality gap that is accepted, as a share of the range of the payoffs.
    selection : {"vertex", "analytic_center", "max_entropy"}
        Which policies are returned where there are several optimal ones, as in :func:`prefsim.solve_equilibrium`; the
        set is that of pairs of optimal policies, the reference is uniform.

    Returns
    -------
    ZeroSumEquilibrium

    Raises
    ------
    EquilibriumError
        If a game's gap stays above `tolerance`.
    TypeError, ValueError
        If `payoff` is not a batch of matrices of finite numbers, or `tolerance` or `selection` is none.
    """
    matrix = as_floats(payoff, "payoff")
    if matrix.ndim < 2 or 0 in matrix.shape or not np.isfinite(matrix).all():
        raise ValueError(f"payoff must hold finite numbers in shape (..., m, n), m, n >= 1; got shape {matrix.shape}.")
    check_selection(selection)
    check_tolerance(tolerance)
    batch, (m, n) = matrix.shape[:-2], matrix.shape[-2:]
    flat = matrix.reshape(-1, m, n)
    low, high = flat.min(axis=(1, 2)), flat.max(axis=(1, 2))
    half = np.where(high > low, (high - low) / 2, 1.0)
    unit = (flat - ((low + high) / 2)[:, None, None]) / half[:, None, None]
    row, column, methods = _solve(unit, np.full(len(flat), 2 * tolerance), selection, np.zeros((len(flat), m + n)), False)
    best, worst = np.einsum("gmn,gn->gm", flat, column).max(axis=1), np.einsum("gm,gmn->gn", row, flat).min(axis=1)
    certify((best - worst) / (2 * half), tolerance, methods, batch, "raise tolerance")
    value, gap = ((best + worst) / 2).reshape(batch), (best - worst).reshape(batch)
    return ZeroSumEquilibrium(row.reshape(*batch, m), column.reshape(*batch, n), value, gap, join(methods))


def nash(
    payoff: Floats, tolerance: float, selection: str = "vertex", log_reference: Floats | None = None
) -> tuple[Floats, NDArray[np.object_]]:
    """Log-policies, shape (..., n), and methods, shape (...), for skew games without regularisation, shape (..., n, n).

    The gap is not certified: where no method is good enough, the policy is the best that any of them found.
    """
    shape = payoff.shape[:-1]
    flat = payoff.reshape(-1, *payoff.shape[-2:])
    scale = flat.max(axis=(1, 2))  # of skew entries, the largest is the largest in absolute value
    scale[scale == 0] = 1.0
    reference = np.zeros(shape) if log_reference is None else log_reference
    unit = flat / scale[:, None, None]
    _, policy, methods = _solve(unit, tolerance / scale, selection, reference.reshape(-1, shape[-1]), True)
    with np.errstate(divide="ignore"):
        return np.log(policy).reshape(shape), methods.reshape(shape[:-1])


def check_selection(selection: str) -> None:
    """Refuse unknown selections; raises ValueError."""
    if selection not in SELECTIONS:
        raise ValueError(f"selection must be one of {', '.join(map(repr, SELECTIONS))}; got {selection!r}.")


def check_tolerance(tolerance: float) -> None:
    """Refuse tolerances that are not above 0; raises ValueError."""
    if not isinstance(tolerance, (int, float)) or not tolerance > 0:
        raise ValueError(f"tolerance must be a number above 0, the largest duality gap accepted; got {tolerance!r}.")


def certify(gap: Floats, tolerance: float, methods: NDArray[np.object_], batch: tuple[int, ...], remedy: str) -> None:
    """Raise EquilibriumError with the worst of the games whose gap exceeds the tolerance."""
    failed = (~(gap <= tolerance)).nonzero()[0]
    if len(failed):
        worst = int(failed[np.nan_to_num(gap[failed], nan=np.inf).argmax()])
        where = f"game {[int(i) for i in np.unravel_index(worst, batch)]}" if batch else "the game"
        raise EquilibriumError(
            f"{where} was solved by {methods[worst]} only to a duality gap of {gap[worst]:.3g}, above the tolerance "
            f"{tolerance:g} ({len(failed)} of {len(gap)} such games); {remedy}."
        )


def join(methods: NDArray[np.object_]) -> str:
    """Names of the methods that solved the games of a batch."""
    return ", ".join(sorted(set(methods.tolist())))


# Games are a flat batch with entries of size around 1; policies of both players, which are equal where games are skew.


def _gap(payoff: Floats, row: Floats, column: Floats) -> Floats:
    """Duality gap, shape (games,); players of a skew game have one policy."""
    gain = np.matmul(payoff, column[..., None])[..., 0].max(axis=-1)
    if row is column:
        return 2 * gain
    return gain - np.matmul(row[..., None, :], payoff)[..., 0, :].min(axis=-1)


def _solve(
    payoff: Floats, tolerance: Floats, selection: str, log_reference: Floats, skew: bool
) -> tuple[Floats, Floats, NDArray[np.object_]]:
    """Policies of rows and columns, and methods."""
    games, m, n = payoff.shape
    methods = np.full(games, "pivoting", dtype=object)
    if max(m, n) <= LARGEST_PIVOTING:
        found = pivoting.vertices(payoff)
        row, column = (found.column if skew else found.row), found.column
        gap = _gap(payoff, row, column)
        if selection != "vertex":
            gap[found.margin <= ONLY] = np.inf
    else:
        row, column, gap = np.empty((games, m)), np.empty((games, n)), np.full(games, np.inf)
    for k in (~(gap <= tolerance)).nonzero()[0]:
        for method, x, y in _candidates(payoff[k], selection, log_reference[k], skew):
            reached = _gap(payoff[k], x, y)
            if not gap[k] <= reached:
                row[k], column[k], methods[k], gap[k] = x, y, method, reached
            if gap[k] <= tolerance[k]:
                break
        if gap[k] == np.inf:
            raise EquilibriumError(
                f"the set of equilibria of game {k} was not resolved, because its payoffs differ by too many orders of "
                f"magnitude, so that its {selection} is not known; selection='vertex' asks for less."
            )
    return row, column, methods


def _candidates(payoff: Floats, selection: str, log_reference: Floats, skew: bool) -> Iterator[tuple[str, Floats, Floats]]:
    """Methods beyond compiled pivoting, each with the policies of one game, if they are of that selection."""
    from prefsim.faces import select
    from prefsim.interior_point import interior_point

    m, n = payoff.shape
    if skew:
        matrix, blocks = payoff, np.ones((n, 1))
    else:
        matrix = np.block([[np.zeros((m, m)), payoff], [-payoff.T, np.zeros((n, n))]])
        blocks = np.repeat(np.eye(2), [m, n], axis=0)
    found = interior_point(matrix, blocks)
    if found.strict:
        policy = found.policy if found.unique else select(matrix, blocks, found, selection, log_reference)
        yield "interior point", *((policy, policy) if skew else (policy[:m], policy[m:]))
    exact = max(m, n) <= LARGEST_EXACT
    ways = (("pivoting", pivoting.vertices, ONLY), ("exact pivoting", pivoting.exact_vertices, 0.0))
    for method, solve, only in ways[: 1 + exact]:
        vertex = solve(payoff[None])
        if selection == "vertex" or vertex.margin[0] > only:
            column = vertex.column[0]
            yield method, column if skew else vertex.row[0], column
