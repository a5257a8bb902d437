"""Symmetric equilibria of preference games, each with its duality gap as certificate.

``beta = 0``: the matrix game, by pivoting or an interior point. ``beta > 0``: Newton's method on the fixed-point equation
``log pi = log mu + A pi / beta + const``, by continuation in ``beta``; :func:`fixed_point` is a second solver for the
same equation, with a convergence theorem of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefsim import ops
from prefsim.engines.threads import parallel, threads
from prefsim.game import PreferenceGame, check_game
from prefsim.matrix_games import EquilibriumError, certify, check_selection, check_tolerance, join, nash
from prefsim.metrics import best_response, gains
from prefsim.metrics import gap as duality_gap

__all__ = ["Equilibrium", "EquilibriumError", "fixed_point", "local_frequency", "solve_equilibrium"]

Floats = NDArray[np.float64]

FIRST_BETA = 0.5
"""Newton's method from the reference is safe at this temperature; continuation starts here."""
PACES = ((0.3, 1.0), (0.7, 1e-2))
"""Two paces of the continuation: smallest factor between temperatures, and residual of a log-policy from which Newton's
method takes the next one. The second, for games with extreme references, is slow but hardly loses its way."""
FINEST = 1 - 1e-6
"""Factor between temperatures from which continuation gives up: with references of 1e-300 actions enter the support
within a small fraction of a temperature."""
REMEDY = "raise tolerance or beta, or use a less extreme reference"
WORTH_THREADS = 400_000
"""Entries of a batch's payoffs from which Newton's method is worth a thread pool: tens of milliseconds."""
SMALL = 128
"""Actions up to which games are shared out over threads; beyond, factorisations have threads of their own."""
PIECES = 2
"""Ranges of games a thread takes: NumPy does many at once in fewer calls."""
LONGEST = 50_000
"""Most iterations of the fixed point between attempts of Newton's method."""


class Equilibrium(NamedTuple):
    """A symmetric equilibrium of a game or batch of games.

    Attributes
    ----------
    policy : array, shape (..., n)
        Probabilities.
    log_policy : array, shape (..., n)
        Their logarithms, accurate where probabilities underflow; ``-inf`` outside the support when ``beta = 0``.
    gap : array, shape (...)
        Two-sided duality gap of `policy`, regularised where ``beta > 0``: the certificate.
    method : str
        What found it: ``"newton"``, ``"fixed point + newton"``, ``"fixed point"``, ``"pivoting"``,
        ``"interior point"``, ``"exact pivoting"``; joined by commas when the games of a batch differ.
    """

    policy: Floats
    log_policy: Floats
    gap: Floats
    method: str


def solve_equilibrium(game: PreferenceGame, tolerance: float = 1e-12, *, selection: str = "vertex") -> Equilibrium:
    """Solve for the Nash equilibrium where ``beta = 0`` and the KL-regularised one where ``beta > 0``.

    Parameters
    ----------
    game : PreferenceGame
        One game or a batch of them; temperatures may differ.
    tolerance : float
        Largest two-sided duality gap that is accepted. The solvers do not stop there: regularised policies are
        refined until rounding, which leaves errors of about ``1e-16 / beta`` in the log-probabilities of actions that
        matter, and a gap far below the default.
    selection : {"vertex", "analytic_center", "max_entropy"}
        Which Nash equilibrium is returned where ``beta = 0`` and there are several: a vertex of their set (which one
        depends on the order of the actions); the limit of the central path, that is the maximiser of the product of all
        probabilities of actions that some equilibrium plays and all losses ``-(A p)_y`` of the others; or the one closest
        to the reference in ``KL(p, mu)``, of largest entropy where the reference is uniform, which is the limit of the
        regularised equilibria for ``beta -> 0``.

    Returns
    -------
    Equilibrium
        The regularised equilibrium is unique; a Nash equilibrium need not be, and then it is that of `selection`.

    Raises
    ------
    EquilibriumError
        If a game's gap stays above `tolerance`, or the set of its equilibria could not be told apart.
    ValueError
        If `tolerance` is not above 0 or `selection` is not known.

    Notes
    -----
    The Jacobian of ``F(theta) = theta - log mu - A softmax(theta) / beta`` is ``I - A S / beta`` with
    ``S = diag(p) - p p^T``; the eigenvalues of ``A S`` are imaginary, so it is never singular.
    """
    check_tolerance(tolerance)
    check_selection(selection)
    check_game(game)
    flat = game.flatten()
    regularised = flat.beta > 0
    if not regularised.any():
        log_policy, methods = nash(flat.payoff, tolerance, selection, flat.log_reference)
    elif regularised.all():
        log_policy, methods = _regularised(flat, tolerance)
    else:
        log_policy, methods = np.empty(flat.log_reference.shape), np.empty(len(regularised), dtype=object)
        rest = flat[~regularised]
        log_policy[~regularised], methods[~regularised] = nash(rest.payoff, tolerance, selection, rest.log_reference)
        log_policy[regularised], methods[regularised] = _regularised(flat[regularised], tolerance)
    gap = duality_gap(flat, log_policy)
    certify(gap, tolerance, methods, game.batch_shape, REMEDY)
    return _shaped(log_policy, gap, join(methods), game)


def fixed_point(game: PreferenceGame, tolerance: float = 1e-12, *, iterations: int | None = None) -> Equilibrium:
    """Solve regularised games by Nash mirror prox with step ``2 beta``, independently of :func:`solve_equilibrium`.

    ``KL(pi*, pi_k) <= (1 + 2 beta)^-k KL(pi*, mu)`` (Nash mirror prox, arXiv 2505.19731; step in its units), so about
    ``40 / beta`` iterations reach rounding. Stops earlier when the log-probabilities no longer move.

    Parameters
    ----------
    game : PreferenceGame
        Every temperature above 0.
    tolerance : float
        Largest two-sided duality gap that is accepted.
    iterations : int, optional
        Number of iterations; by default as many as the certificate asks for.

    Raises
    ------
    EquilibriumError
        If a game's gap stays above `tolerance`.
    ValueError
        If a temperature is 0 or `tolerance` is not above 0.
    """
    check_tolerance(tolerance)
    if not (game.beta > 0).all():
        raise ValueError("fixed_point needs beta > 0; solve_equilibrium solves games without regularisation.")
    flat = game.flatten()
    if iterations is None:
        # KL(pi*, mu) <= 1 / beta, to be contracted to the square of rounding.
        iterations = int(np.ceil((np.log(1e32 / flat.beta) / np.log1p(2 * flat.beta)).max()))
    # Averaging stands still where its moves are rounded away, 1e-16 |log p| / beta from the end; a response does not.
    log_policy = best_response(flat, _mirror_prox(flat, flat.log_reference, iterations))
    gap = duality_gap(flat, log_policy)
    certify(gap, tolerance, np.full(len(gap), "fixed point", dtype=object), game.batch_shape, REMEDY)
    return _shaped(log_policy, gap, "fixed point", game)


def local_frequency(game: PreferenceGame, log_equilibrium: Floats) -> Floats:
    """Return ``omega``, the largest angular frequency of self-play around the equilibrium, shape (...).

    The largest ``|Im|`` of the eigenvalues of ``A S``, ``S = diag(pi*) - pi* pi*^T``, all of them imaginary. Computed
    as the spectral norm of the skew matrix ``C^T A C``, ``S = C C^T``. At most ``cot(pi / (2 n)) / (2 n) < 1 / pi``.

    Parameters
    ----------
    game : PreferenceGame
    log_equilibrium : array, shape (..., n)
        Logarithm of the equilibrium, e.g. ``solve_equilibrium(game).log_policy``.
    """
    root = np.exp(np.asarray(log_equilibrium) / 2)
    centre = np.eye(game.n) - root[..., :, None] * root[..., None, :]
    skew = centre @ (root[..., :, None] * game.payoff * root[..., None, :]) @ centre
    return np.linalg.norm(skew, ord=2, axis=(-2, -1))


def _shaped(log_policy: Floats, gap: Floats, method: str, game: PreferenceGame) -> Equilibrium:
    shaped = log_policy.reshape(*game.batch_shape, game.n)
    return Equilibrium(np.exp(shaped), shaped, gap.reshape(game.batch_shape), method)


# Regularised games. Games are flat, log-policies (games, n), temperatures (games,).


def _regularised(flat: PreferenceGame, tolerance: float) -> tuple[Floats, NDArray[np.object_]]:
    """Newton by continuation, and from the fixed point where that fails."""
    log_policy = np.array(flat.log_reference)
    methods = np.full(len(log_policy), "newton", dtype=object)
    failed = np.arange(len(log_policy))
    for pace in PACES:
        log_policy[failed] = _followed(flat[failed], *pace)
        failed = np.flatnonzero(~_at_rounding(flat, log_policy, tolerance))
        if not len(failed):
            break
    slow = np.array(flat.log_reference)
    for _ in range(3):
        if not len(failed):
            break
        rest = flat[failed]
        slow[failed] = _mirror_prox(rest, slow[failed], min(int(15 / rest.beta.min()), LONGEST))
        quick = _newton(rest, rest.beta, slow[failed])
        better = _error(rest, rest.beta, quick) < _error(rest, rest.beta, log_policy[failed])
        log_policy[failed[better]], methods[failed[better]] = quick[better], "fixed point + newton"
        failed = np.flatnonzero(~_at_rounding(flat, log_policy, tolerance))
    return log_policy, methods


def _followed(flat: PreferenceGame, pace: float, close: float) -> Floats:
    """Continuation and Newton's method, on all threads if the batch is worth them; games do not see each other."""
    games = len(flat.beta)
    if games * flat.n**2 < WORTH_THREADS or flat.n > SMALL or min(games, threads()) == 1:
        return _newton(flat, flat.beta, _continuation(flat, pace, close))
    log_policy = np.empty((games, flat.n))

    def work(first: int, last: int, halt: object) -> None:
        rest = flat[first:last]
        log_policy[first:last] = _newton(rest, rest.beta, _continuation(rest, pace, close))

    parallel(work, games, pieces=PIECES)
    return log_policy


def _at_rounding(flat: PreferenceGame, log_policy: Floats, tolerance: float) -> NDArray[np.bool_]:
    """Whether there is nothing left to gain; the gap does not see actions hardly played, the residual does."""
    rounding = 1e-14 * (1 / flat.beta - log_policy.min(axis=-1))
    return (duality_gap(flat, log_policy) <= tolerance) & (_error(flat, flat.beta, log_policy) <= rounding)


def _continuation(flat: PreferenceGame, pace: float, close: float) -> Floats:
    """Follow the equilibrium from a high temperature down to the game's, in steps that Newton's method can take."""
    beta = np.maximum(flat.beta, FIRST_BETA)
    log_policy = _newton(flat, beta, flat.log_reference, close)
    shrink = np.full(len(beta), pace)
    while True:
        going = np.flatnonzero((beta > flat.beta) & (shrink < FINEST))
        if not len(going):
            return log_policy
        rest = flat[going]
        colder = np.maximum(beta[going] * shrink[going], rest.beta)
        trial = _newton(rest, colder, log_policy[going], close)
        reached = _error(rest, colder, trial) <= close
        log_policy[going[reached]], beta[going[reached]] = trial[reached], colder[reached]
        shrink[going] = np.where(reached, np.maximum(pace, shrink[going] ** 2), np.sqrt(shrink[going]))


def _residual(flat: PreferenceGame, beta: Floats, log_policy: Floats) -> Floats:
    """``F(theta)`` up to a constant, which no step depends on."""
    gain = gains(flat, log_policy)
    return log_policy - flat.log_reference - (gain - gain.max(axis=-1, keepdims=True)) / beta[:, None]


def _error(flat: PreferenceGame, beta: Floats, log_policy: Floats) -> Floats:
    return ops.span(_residual(flat, beta, log_policy))


def _newton(flat: PreferenceGame, beta: Floats, start: Floats, enough: float = 0.0) -> Floats:
    """Newton steps with backtracking on the span of ``F``, until it is below `enough` or rounding stops it."""
    log_policy = np.array(start)
    error = _error(flat, beta, log_policy)
    active = np.flatnonzero(error > enough)
    for _ in range(60):
        if not len(active):
            break
        rest, b, theta = flat[active], beta[active], log_policy[active]
        p = np.exp(theta)
        f = _residual(rest, b, theta)
        f -= f.mean(axis=-1, keepdims=True)
        # I - A S / beta with A S = A diag(p) - (A p) p^T
        jacobian = rest.payoff - gains(rest, theta)[..., None]
        jacobian *= (-p / b[:, None])[:, None, :]
        jacobian[:, np.arange(flat.n), np.arange(flat.n)] += 1
        direction = np.linalg.solve(jacobian, f[..., None])[..., 0]
        length = np.ones(len(active))
        for _ in range(30):
            trial = ops.log_normalize(theta - length[:, None] * direction)
            trial_error = _error(rest, b, trial)
            short = trial_error > (1 - 0.1 * length) * error[active]
            if not short.any():
                break
            length[short] /= 2
        better = trial_error < error[active]
        log_policy[active[better]], error[active[better]] = trial[better], trial_error[better]
        active = active[better & (trial_error > enough)]
    return log_policy


def _mirror_prox(flat: PreferenceGame, start: Floats, iterations: int) -> Floats:
    """Nash mirror prox with step ``2 beta``, until the log-policies stand still."""
    step = 2 * flat.beta[:, None]

    def move(anchor: Floats, opponent: Floats) -> Floats:
        return ops.log_normalize((anchor + step * best_response(flat, opponent)) / (1 + step))

    log_policy = np.array(start)
    for _ in range(iterations):
        following = move(log_policy, move(log_policy, log_policy))
        still = bool((following == log_policy).all())
        log_policy = following
        if still:
            break
    return log_policy
