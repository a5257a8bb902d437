"""Symmetric equilibria of preference games, each with its duality gap as certificate.

``beta = 0``: the matrix game as a linear program. ``beta > 0``: Newton's method on the fixed-point equation
``log pi = log mu + A pi / beta + const``, by continuation in ``beta``; :func:`fixed_point` is a second solver for the
same equation, with a convergence theorem of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefsim import ops
from prefsim.game import PreferenceGame, check_game
from prefsim.matrix_games import nash
from prefsim.metrics import best_response, gains
from prefsim.metrics import gap as duality_gap

Floats = NDArray[np.float64]

FIRST_BETA = 0.5
"""Newton's method from the reference is safe at this temperature; continuation starts here."""
SHRINK = 0.7
"""Largest factor between the temperatures of the continuation."""
CLOSE = 1e-2
"""Residual of a log-policy from which Newton's method takes the next temperature."""
FINEST = 1 - 1e-6
"""Factor between temperatures from which continuation gives up: with references of 1e-300 actions enter the support
within a small fraction of a temperature."""
LONGEST = 50_000
"""Most iterations of the fixed point between attempts of Newton's method."""


class EquilibriumError(RuntimeError):
    """No policy with a small enough duality gap was found."""


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
        What found it: ``"newton"``, ``"fixed point + newton"``, ``"fixed point"``, ``"linear program"``,
        ``"simplex"``, ``"exact simplex"``; joined by commas when the games of a batch differ.
    """

    policy: Floats
    log_policy: Floats
    gap: Floats
    method: str


def solve_equilibrium(game: PreferenceGame, tolerance: float = 1e-12) -> Equilibrium:
    """Solve for the Nash equilibrium where ``beta = 0`` and the KL-regularised one where ``beta > 0``.

    Parameters
    ----------
    game : PreferenceGame
        One game or a batch of them; temperatures may differ.
    tolerance : float
        Largest two-sided duality gap that is accepted. The solvers do not stop there: regularised policies are
        refined until rounding, which leaves errors of about ``1e-16 / beta`` in the log-probabilities of actions that
        matter, and a gap far below the default.

    Returns
    -------
    Equilibrium
        The regularised equilibrium is unique. A Nash equilibrium need not be: then this is one of them.

    Raises
    ------
    EquilibriumError
        If a game's gap stays above `tolerance`.
    ValueError
        If `tolerance` is not above 0.

    Notes
    -----
    The Jacobian of ``F(theta) = theta - log mu - A softmax(theta) / beta`` is ``I - A S / beta`` with
    ``S = diag(p) - p p^T``; the eigenvalues of ``A S`` are imaginary, so it is never singular.
    """
    _check_tolerance(tolerance)
    check_game(game)
    flat = game.flatten()
    count = len(flat.beta)
    log_policy = np.empty((count, game.n))
    methods = np.empty(count, dtype=object)
    regularised = flat.beta > 0
    for i in np.flatnonzero(~regularised):
        log_policy[i], methods[i] = nash(flat.payoff[i], tolerance)
    if regularised.any():
        log_policy[regularised], methods[regularised] = _regularised(flat[regularised], tolerance)
    gap = duality_gap(flat, log_policy)
    _certify(gap, tolerance, methods, game.batch_shape)
    return _shaped(log_policy, gap, ", ".join(sorted(set(methods.tolist()))), game)


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
    _check_tolerance(tolerance)
    if not (game.beta > 0).all():
        raise ValueError("fixed_point needs beta > 0; solve_equilibrium solves games without regularisation.")
    flat = game.flatten()
    if iterations is None:
        # KL(pi*, mu) <= 1 / beta, to be contracted to the square of rounding.
        iterations = int(np.ceil((np.log(1e32 / flat.beta) / np.log1p(2 * flat.beta)).max()))
    # Averaging stands still where its moves are rounded away, 1e-16 |log p| / beta from the end; a response does not.
    log_policy = best_response(flat, _mirror_prox(flat, flat.log_reference, iterations))
    gap = duality_gap(flat, log_policy)
    _certify(gap, tolerance, np.full(len(gap), "fixed point", dtype=object), game.batch_shape)
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


def _check_tolerance(tolerance: float) -> None:
    if not isinstance(tolerance, (int, float)) or not tolerance > 0:
        raise ValueError(f"tolerance must be a number above 0, the largest duality gap accepted; got {tolerance!r}.")


def _certify(gap: Floats, tolerance: float, methods: NDArray[np.object_], batch: tuple[int, ...]) -> None:
    failed = np.flatnonzero(~(gap <= tolerance))
    if len(failed):
        worst = int(failed[np.nan_to_num(gap[failed], nan=np.inf).argmax()])
        where = f"game {[int(i) for i in np.unravel_index(worst, batch)]}" if batch else "the game"
        raise EquilibriumError(
            f"{where} was solved by {methods[worst]} only to a duality gap of {gap[worst]:.3g}, above the tolerance "
            f"{tolerance:g} ({len(failed)} of {len(gap)} such games); raise tolerance or beta, or use a less extreme "
            "reference."
        )


def _shaped(log_policy: Floats, gap: Floats, method: str, game: PreferenceGame) -> Equilibrium:
    shaped = log_policy.reshape(*game.batch_shape, game.n)
    return Equilibrium(np.exp(shaped), shaped, gap.reshape(game.batch_shape), method)


# Regularised games. Games are flat, log-policies (games, n), temperatures (games,).


def _regularised(flat: PreferenceGame, tolerance: float) -> tuple[Floats, list[str]]:
    """Newton by continuation, and from the fixed point where that fails."""
    log_policy = _newton(flat, flat.beta, _continuation(flat))
    methods = np.full(len(log_policy), "newton", dtype=object)
    slow = np.array(flat.log_reference)
    for _ in range(3):
        failed = np.flatnonzero(~_at_rounding(flat, log_policy, tolerance))
        if not len(failed):
            break
        rest = flat[failed]
        slow[failed] = _mirror_prox(rest, slow[failed], min(int(15 / rest.beta.min()), LONGEST))
        quick = _newton(rest, rest.beta, slow[failed])
        better = _error(rest, rest.beta, quick) < _error(rest, rest.beta, log_policy[failed])
        log_policy[failed[better]], methods[failed[better]] = quick[better], "fixed point + newton"
    return log_policy, methods.tolist()


def _at_rounding(flat: PreferenceGame, log_policy: Floats, tolerance: float) -> NDArray[np.bool_]:
    """Whether there is nothing left to gain; the gap does not see actions hardly played, the residual does."""
    rounding = 1e-14 * (1 / flat.beta - log_policy.min(axis=-1))
    return (duality_gap(flat, log_policy) <= tolerance) & (_error(flat, flat.beta, log_policy) <= rounding)


def _continuation(flat: PreferenceGame) -> Floats:
    """Follow the equilibrium from a high temperature down to the game's, in steps that Newton's method can take."""
    beta = np.maximum(flat.beta, FIRST_BETA)
    log_policy = _newton(flat, beta, flat.log_reference, CLOSE)
    shrink = np.full(len(beta), SHRINK)
    while True:
        going = np.flatnonzero((beta > flat.beta) & (shrink < FINEST))
        if not len(going):
            return log_policy
        rest = flat[going]
        colder = np.maximum(beta[going] * shrink[going], rest.beta)
        trial = _newton(rest, colder, log_policy[going], CLOSE)
        reached = _error(rest, colder, trial) <= CLOSE
        log_policy[going[reached]], beta[going[reached]] = trial[reached], colder[reached]
        shrink[going] = np.where(reached, np.maximum(SHRINK, shrink[going] ** 2), np.sqrt(shrink[going]))


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
        rotation = (rest.payoff - gains(rest, theta)[..., None]) * p[:, None, :]  # A S = A diag(p) - (A p) p^T
        f = _residual(rest, b, theta)
        f -= f.mean(axis=-1, keepdims=True)
        jacobian = np.eye(flat.n) - rotation / b[:, None, None]
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
