"""What is measured of policies: distances from equilibrium, with their exact normalisation, and win rates.

The functions in :data:`METRICS` take a game, log-policies with any number of extra axes in front of the game's batch
(the two broadcast), and a second log-policy where the metric asks for one: the equilibrium, or the opponent of a win
rate. Source of the formulas: the gap's closed form follows from ``p^T A p = 0``; the rest are definitions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefsim import ops
from prefsim.game import PreferenceGame, as_log_policy, check_game

Floats = NDArray[np.float64]


def gains(game: PreferenceGame, log_policy: Floats) -> Floats:
    """Win rates over 1/2 against `log_policy`: ``A p``, shape (..., n)."""
    policy = np.exp(log_policy)
    if game.payoff.ndim > 2 and game.payoff.shape[-3] == 1 and policy.ndim > 1:  # runs on one matrix are one product
        return np.matmul(policy, np.swapaxes(game.payoff[..., 0, :, :], -1, -2))
    return np.matmul(game.payoff, policy[..., None])[..., 0]


def _best_response(game: PreferenceGame, gain: Floats) -> Floats:
    """``log BR`` from ``A p``; games with ``beta = 0`` get a finite answer that is not used."""
    temperature = np.where(game.beta > 0, game.beta, 1.0)[..., None]
    # Only differences of win rates matter; taking the largest off first keeps their digits when beta is small.
    return ops.log_normalize(game.log_reference + (gain - gain.max(axis=-1, keepdims=True)) / temperature)


def best_response(game: PreferenceGame, log_policy: Floats) -> Floats:
    """Logarithm of the regularised best response ``BR(p) ∝ mu exp(A p / beta)``.

    Parameters
    ----------
    game : PreferenceGame
        Every temperature above 0.
    log_policy : array, shape (..., n)
        Logarithms of the policy responded to.

    Returns
    -------
    array, shape (..., n)

    Raises
    ------
    ValueError
        If a game has ``beta = 0``, where the best response is not unique.
    """
    if not (game.beta > 0).all():
        raise ValueError("best_response needs beta > 0; without regularisation every mixture of argmax A p is one.")
    return _best_response(game, gains(game, log_policy))


def gap(game: PreferenceGame, log_policy: Floats, log_equilibrium: Floats | None = None) -> Floats:
    """Two-sided duality gap, ``2 beta KL(p, BR(p))`` where ``beta > 0`` and ``2 max_y (A p)_y`` where ``beta = 0``.

    Resolved down to about ``1e-32 / beta`` where ``beta > 0``, far below what the difference of two values allows,
    and to about 1e-16 where ``beta = 0``. Shape: that of `log_policy` and the game's batch broadcast, without actions.
    """
    gain = gains(game, log_policy)
    if not (game.beta > 0).any():
        return 2 * gain.max(axis=-1)
    regularised = 2 * game.beta * ops.kl(log_policy, _best_response(game, gain))
    return np.where(game.beta > 0, regularised, 2 * gain.max(axis=-1))


def exploitability(game: PreferenceGame, log_policy: Floats, log_equilibrium: Floats | None = None) -> Floats:
    """One-sided exploitability, half the duality gap: what the best opponent wins over 1/2."""
    return gap(game, log_policy) / 2


def kl_to_equilibrium(game: PreferenceGame, log_policy: Floats, log_equilibrium: Floats | None = None) -> Floats:
    """``KL(pi*, p)``, equilibrium first; meaningful where the equilibrium is unique, as it is for ``beta > 0``."""
    return ops.kl(_needed(log_equilibrium, "kl_to_equilibrium"), log_policy)


def span_to_equilibrium(game: PreferenceGame, log_policy: Floats, log_equilibrium: Floats | None = None) -> Floats:
    """``max_y d_y - min_y d_y`` for ``d = log p - log pi*``: uniform control of the log-probabilities.

    Infinite where exactly one of the two leaves an action out.
    """
    equilibrium = _needed(log_equilibrium, "span_to_equilibrium")
    with np.errstate(invalid="ignore"):
        difference = np.where(log_policy == equilibrium, 0.0, log_policy - equilibrium)
    return ops.span(difference)


def win_rate(game: PreferenceGame, log_policy: Floats, log_opponent: Floats | None = None) -> Floats:
    """``p^T P q``, how often the policy is preferred to an opponent ``q``; the game's reference if none is given.

    1/2 against itself, and at least 1/2 for a Nash equilibrium, whoever the opponent. On games played for log-odds it
    is the win rate all the same, not the payoff. Shape as :func:`gap`.
    """
    rates = ops.win_rates(game.preference, game.log_reference if log_opponent is None else log_opponent)
    return (np.exp(log_policy) * rates).sum(axis=-1)


def _needed(log_equilibrium: Floats | None, metric: str) -> Floats:
    if log_equilibrium is None:
        raise ValueError(f"{metric} needs log_equilibrium; pass solve_equilibrium(game).log_policy.")
    return log_equilibrium


def duality_gap(
    game: PreferenceGame, policy: ArrayLike | None = None, *, log_policy: ArrayLike | None = None
) -> Floats:
    """Two-sided duality gap of a policy: zero exactly at equilibrium; regularised iff ``game.beta > 0``.

    ``max_q V(q, p) - min_q V(p, q)`` for the value ``V(p, q) = p^T P q - beta KL(p, mu) + beta KL(q, mu)``.
    It equals ``2 beta KL(p, BR(p))`` with ``BR(p) ∝ mu exp(A p / beta)``, and ``2 max_y (A p)_y`` at ``beta = 0``.
    The one-sided exploitability is half of it.

    Parameters
    ----------
    game : PreferenceGame
        One game or a batch of them.
    policy : array_like, shape (..., n)
        Probabilities. Leading axes broadcast with the game's batch.
    log_policy : array_like, shape (..., n)
        Logarithms of the policy up to a constant, instead of `policy`; ``-inf`` for probability 0.

    Returns
    -------
    array, shape (...)
        Leading axes of the policy and of the game, broadcast.

    Raises
    ------
    TypeError, ValueError
        If not exactly one policy is given, it is no policy over the game's actions, or the axes do not broadcast.
    """
    check_game(game)
    if (policy is None) == (log_policy is None):
        raise ValueError("give the policy once, as probabilities (policy) or as logarithms (log_policy).")
    argument, given = ("policy", policy) if log_policy is None else ("log_policy", log_policy)
    try:
        values = np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{argument} must be an array of numbers, one per action: {error}.") from None
    if log_policy is None:
        logs = as_log_policy(values, game.n, "policy", positive=False)
    else:
        if values.ndim == 0 or values.shape[-1] != game.n:
            raise ValueError(
                f"log_policy must have {game.n} entries on its last axis, one per action; got {values.shape}."
            )
        if not (values < np.inf).all() or not (values > -np.inf).any(axis=-1).all():
            raise ValueError("log_policy must hold logarithms below inf, no NaN, and a finite one in each row.")
        logs = ops.log_normalize(values)
    try:
        np.broadcast_shapes(logs.shape[:-1], game.batch_shape)
    except ValueError:
        raise ValueError(
            f"the leading axes of {argument} {logs.shape[:-1]} and of the game {game.batch_shape} must broadcast; "
            "give one policy, or one per game."
        ) from None
    return gap(game, logs)


class Metric(NamedTuple):
    """One quantity of a run.

    Attributes
    ----------
    function : callable
        ``function(game, log_policy, second=None)``, shapes as in this module's docstring; `second` is the
        log-equilibrium, or the opponent's log-policy for win rates.
    long_name : str
        Label for tables and axes.
    needs_equilibrium : bool
        Whether `second` must be given, and is the log-equilibrium.
    scale : {"log", "linear"}
        How figures draw it: a distance that should vanish on a logarithmic axis, a rate on a linear one.
    """

    function: Callable[..., Floats]
    long_name: str
    needs_equilibrium: bool
    scale: str = "log"


ANNOTATIONS = ("_bound", "_slope_upper", "_slope_lower")
"""Endings of the variables that accompany a metric in a result."""

METRICS: dict[str, Metric] = {
    "duality_gap": Metric(gap, "duality gap (two-sided)", False),
    "exploitability": Metric(exploitability, "exploitability (one-sided)", False),
    "kl_to_equilibrium": Metric(kl_to_equilibrium, "KL(equilibrium, policy)", True),
    "span_to_equilibrium": Metric(span_to_equilibrium, "span of log(policy / equilibrium)", True),
    "win_rate": Metric(win_rate, "win rate", False, "linear"),
}
"""The metrics of preference-game runs that look at one policy, by name."""

DISTANCE = "distance"
"""The metric that looks at the whole path: ``sum_{s < t} sum_y |pi_{s+1}(y) - pi_s(y)|``, every iteration counted."""

OPPONENTS = ("reference", "uniform", "equilibrium")
"""Opponents of a win rate beside the game's actions and the other algorithms of the run."""


class Request(NamedTuple):
    """A metric as it is asked for: ``average_win_rate:uniform``, say."""

    metric: str
    """Key of :data:`METRICS`, ``"distance"`` or ``"policy"``."""
    average: bool
    """Whether it is measured at the average of the iterates."""
    opponent: str
    """Whom a win rate is against."""

    @classmethod
    def parse(cls, name: str) -> Request:
        """Take a name apart; what is not a known name comes out as an unknown metric."""
        plain, colon, opponent = name.partition(":")
        metric = plain.removeprefix("average_")
        if metric == "win_rate":
            return cls(metric, metric != plain, opponent if colon else "reference")
        return cls(metric if metric in METRICS and not colon else name, metric != plain, "")


def names() -> list[str]:
    """What a run of a preference game can measure; ``NAME`` stands for an opponent."""
    single = [*METRICS, "win_rate:NAME"]
    return [*single, *(f"average_{name}" for name in single), DISTANCE, "policy"]


def attributes(name: str) -> dict[str, Any]:
    """Label and unit of a variable of a run, for tables and axes."""
    if name in ("policy", DISTANCE):
        return {"long_name": {"policy": "probability", DISTANCE: "distance travelled (L1)"}[name], "units": "1"}
    asked = Request.parse(name)
    label = METRICS[asked.metric].long_name + (" of the average iterate" if asked.average else "")
    return {"long_name": f"{label} against {asked.opponent}" if asked.opponent else label, "units": "1"}
