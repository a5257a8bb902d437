"""A language model's verdict on two responses, from the log-probabilities of its verdict tokens."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from prefsim.llm.arrays import Array, namespace, same_shape


class Verdict(NamedTuple):
    """What a judge says about pairs ``(a, b)`` that it was shown in both orders; arrays of one shape."""

    probability: Array
    """Probability that ``a`` is preferred to ``b``."""
    inconsistency: Array
    """``|J(a, b) + J(b, a) - 1|``: 0 if the order does not matter, 1 if nothing else does."""
    mass: Array
    """Probability that any verdict token is said, of the order where it is smaller; far below 1 for a judge that does not
    follow its instructions, whose verdict means little."""


def first_preferred(log_first: Array, log_second: Array, log_tie: Array | None = None) -> Array:
    """Probability that the response shown first is preferred: ``(e^first + e^tie / 2) / (e^first + e^second + e^tie)``.

    Parameters
    ----------
    log_first, log_second, log_tie : arrays, shape (...)
        Log-probabilities, in nats, of the tokens that prefer the response shown first and second, and of the one that calls a
        tie if there is one. A token may have ``-inf``, but not all of them. A common constant cancels.

    Raises
    ------
    TypeError, ValueError
        If these are no such numbers, or no verdict token has any probability.
    """
    return _read(log_first, log_second, log_tie)[0]


def verdict(
    log_first: Array,
    log_second: Array,
    swapped_first: Array,
    swapped_second: Array,
    log_tie: Array | None = None,
    swapped_tie: Array | None = None,
) -> Verdict:
    """Average of both orders, ``(J(a, b) + 1 - J(b, a)) / 2``, which a bias towards a place does not reach.

    Parameters
    ----------
    log_first, log_second, log_tie : arrays, shape (...)
        As for :func:`first_preferred`, with ``a`` shown first.
    swapped_first, swapped_second, swapped_tie : arrays, shape (...)
        The same with ``b`` shown first: `swapped_first` prefers ``b``.
    """
    shown, total = _read(log_first, log_second, log_tie)
    swapped, swapped_total = _read(swapped_first, swapped_second, swapped_tie)
    shown, swapped = same_shape(log_first=shown, swapped_first=swapped)
    xp = namespace(shown)
    mass = xp.exp(xp.where(total < swapped_total, total, swapped_total))
    return Verdict((shown + 1 - swapped) / 2, xp.abs(shown + swapped - 1), mass)


def _read(log_first: Array, log_second: Array, log_tie: Array | None) -> tuple[Array, Array]:
    """Probability of the first, and logarithm of the mass on all verdict tokens."""
    given = {"log_first": log_first, "log_second": log_second}
    first, second, *tie = same_shape(**given if log_tie is None else {**given, "log_tie": log_tie})
    xp = namespace(first)
    equal = tie[0] if tie else xp.zeros_like(first) - np.inf
    if not all(bool((values < np.inf).all()) for values in (first, second, equal)):
        raise ValueError("log-probabilities of verdict tokens must be below +inf and not NaN; check the judge's dtype.")
    total = xp.logaddexp(xp.logaddexp(first, second), equal)
    if not bool((total > -np.inf).all()):
        raise ValueError(
            "a pair has no verdict: its verdict tokens all have probability 0; check their spelling and the prompt."
        )
    return xp.exp(first - total) + xp.exp(equal - total) / 2, total
