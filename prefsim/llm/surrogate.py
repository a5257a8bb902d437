"""Losses of advantages: REINFORCE and its clipped form, reductions over tokens, and estimators of the KL divergence.

Pure functions on NumPy arrays and torch tensors. Advantages, weights and masks are those of ``reinforce.py`` and carry no
gradient. Identities are derived and tested; sources were recalled, not checked.
"""

from __future__ import annotations

from typing import Any

from prefsim.llm.arrays import Array, as_array, fitting, namespace, number, same_shape, there

REDUCTIONS = ("sequence_sum", "sequence_mean", "token_mean", "fixed_length")
"""How :func:`reduce` makes one number of token losses."""

KL_ESTIMATORS = ("k1", "k2", "k3")


def policy_loss(lp: Array, advantages: Array, weights: Any = 1.0, mask: Array | None = None) -> Array:
    """``-mean(weight * advantage * lp)`` over the responses there are: one number.

    `lp` are sums over tokens, shape (..., K), as are `advantages` and `weights` (or one number), without gradient.
    """
    policy, advantage = same_shape(lp=lp, advantages=advantages)
    terms = -fitting(weights, policy, "weights") * advantage * policy
    if mask is None:
        return terms.mean()
    present = there(terms, mask)
    return namespace(terms).where(present > 0, terms, namespace(terms).zeros_like(terms)).sum() / present.sum()


def clipped_loss(lp: Array, lp_old: Array, advantages: Array, low: float = 0.2, high: float = 0.2) -> Array:
    """``-min(rho A, clip(rho, 1 - low, 1 + high) A)`` with ``rho = exp(lp - lp_old)``, for responses or tokens; shape (...).

    At ``rho = 1`` the gradient is that of ``-A lp``; it is 0 where a move in favour of ``A`` has left the interval. Source:
    Schulman et al. 2017 (arXiv 1707.06347), Equation 7.

    Parameters
    ----------
    lp, lp_old, advantages : arrays, shape (...)
        Log-probabilities now and when responses were drawn, of whole responses or of tokens, and their advantages.
    low, high : float
        How far ratios may fall below 1, in [0, 1), and rise above it, ``>= 0``.
    """
    policy, old, advantage = same_shape(lp=lp, lp_old=lp_old, advantages=advantages)
    xp = namespace(policy)
    ratio = xp.exp(policy - old)
    clipped = xp.clip(ratio, 1 - number(low, "low", 0, 1), 1 + number(high, "high", 0))
    return -xp.where(ratio * advantage <= clipped * advantage, ratio * advantage, clipped * advantage)


def kl_estimate(lp: Array, ref: Array, kind: str = "k3") -> Array:
    """Estimates of ``KL(pi, mu)`` from responses (or tokens, given their prefix) of ``pi``; shape (...).

    With ``r = lp - ref``: ``"k1"`` is ``r``, ``"k2"`` is ``r^2 / 2`` and ``"k3"`` is ``e^-r - 1 + r``. As values, the first and
    the last are unbiased and the last is never negative. As *losses*, differentiated through `lp` alone, none but "k2" has the
    gradient of ``KL(pi, mu)``: that of "k1" is 0 in expectation, that of "k3" belongs to ``KL(mu, pi)`` (derived). Source:
    Schulman 2020, "Approximating KL divergence" (a note).
    """
    policy, reference = same_shape(lp=lp, ref=ref)
    if kind not in KL_ESTIMATORS:
        raise ValueError(f"kind must be one of {', '.join(KL_ESTIMATORS)}; got {kind!r}.")
    ratio = policy - reference
    if kind == "k1":
        return ratio
    return ratio**2 / 2 if kind == "k2" else namespace(policy).expm1(-ratio) + ratio


def reduce(values: Array, mask: Array, reduction: str = "sequence_sum", length: int | None = None) -> Array:
    """One number of token losses (..., T), of which `mask` says where there is a token.

    Parameters
    ----------
    values, mask : arrays, shape (..., T)
        Losses of tokens, and whether there is a token; zeros behind the end of a response.
    reduction : {"sequence_sum", "sequence_mean", "token_mean", "fixed_length"}
        Sum over tokens, then the mean over responses: the loss of sequence log-probabilities, and the only one here the theory
        is about. Mean over the tokens of a response, then over responses (GRPO). Mean over all tokens (DAPO). Sum over tokens
        divided by responses times `length` (Dr. GRPO): the first, rescaled.
    length : int
        Tokens a response may have; needed by "fixed_length".
    """
    loss = as_array(values, "values")
    present = there(loss, mask)
    xp = namespace(loss)
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}; got {reduction!r}.")
    tokens = present.sum(-1)
    if not bool((tokens > 0).all()):
        raise ValueError("mask has a response without tokens; drop it, or count its end-of-sequence token.")
    sums = xp.where(present > 0, loss, xp.zeros_like(loss)).sum(-1)
    if reduction == "token_mean":
        return sums.sum() / tokens.sum()
    if reduction == "sequence_mean":
        return (sums / tokens).mean()
    if reduction == "sequence_sum":
        return sums.mean()
    if length is None or length < int(tokens.max()):
        raise ValueError(f"fixed_length needs length, at least {int(tokens.max())} tokens here; got {length}.")
    return sums.mean() / length
