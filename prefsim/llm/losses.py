"""Estimators: how the distance of a policy from a rule's target becomes a loss on sampled or enumerated responses.

Every function takes the log-probabilities of k responses to each of B prompts, with gradient, and returns one value a
prompt, shape (B,). `weights` are probabilities of *all* responses, shape (B, k), and give the exact expectation; None
means independent samples and gives unbiased estimates of it. The two conventions differ by ``k / (k - 1)`` in
:func:`variance`. `anchor` and `slope` are those of the target, ``target = anchor + slope gain + const``; everything but
the log-probabilities is taken as constant. Formulas: derived (``docs/llm.md``); published forms are named where they
differ from the exact step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from prefsim.llm import direct


def variance(lp: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Twice the variance of ``z = lp - target``: the expected squared difference of log-ratios, without a normaliser.

    Parameters
    ----------
    lp, target : Tensor, shape (B, k)
    weights : Tensor, optional, shape (B, k)
        ``2 (sum w z^2 - (sum w z)^2)``; without, ``2 / (k - 1) sum (z - mean z)^2``, the mean over distinct pairs.

    Raises
    ------
    ValueError
        If there are fewer than two responses.
    """
    z = _checked(lp, target) - target.detach()
    if weights is None:
        return 2 * z.var(dim=-1)
    return 2 * (weights * (z - (weights * z).sum(-1, keepdim=True)) ** 2).sum(-1)


def pairs(lp: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Squared difference of log-ratios, averaged over the pairs of consecutive responses (over all pairs, weighted)."""
    return _squares(_checked(lp, target) - target.detach(), 0.0, weights)


def pair_label(
    lp: Tensor, anchor: Tensor, slope: float, label: Tensor, weights: Tensor | None = None, *, hard: bool = False
) -> Tensor:
    """``(Delta lp - Delta anchor - slope b)^2`` with labels in place of win rates; pairs must come from the opponent.

    Parameters
    ----------
    label : Tensor, shape (B, k / 2), or (B, k, k) with `weights`
        ``b`` in [-1/2, 1/2] of consecutive responses: ``P - 1/2``, or plus and minus 1/2 for the winner's order; with
        `weights`, of all pairs.
    hard : bool
        With `weights`: expect over labels drawn with those means instead of taking the means. Same gradient.
    """
    loss = _squares(_checked(lp, anchor) - anchor.detach(), slope * label, weights)
    if hard and weights is not None:
        loss = loss + slope**2 * _over_pairs(0.25 - label**2, weights)
    return loss


def unpaired(lp: Tensor, anchor: Tensor, slope: float, gain: Tensor, log_z: str, weights: Tensor | None = None) -> Tensor:
    """``(lp - anchor - slope gain + log Z)^2`` for responses of the policy that the anchor is the log-probability of.

    Parameters
    ----------
    gain : Tensor, shape (B, k)
    log_z : {"estimate", "exact", "half", "zero"}
        ``log Z = log E exp(slope gain)`` over the responses, which is biased for samples; exact with `weights`; or
        ``slope / 2`` (SPPO as published, Wu et al. 2024) or 0 (GPO as published on log-odds, Zhang et al. 2024), whose
        minimiser is another policy.

    Raises
    ------
    ValueError
        If an exact normaliser is asked of samples.
    """
    tilt = slope * gain.detach()
    if log_z == "exact" and weights is None:
        raise ValueError("log_z='exact' needs all responses; give expectation='exact', or log_z='estimate' or 'half'.")
    if log_z in ("exact", "estimate"):
        mass = torch.full_like(tilt, 1 / tilt.shape[-1]) if weights is None else weights
        constant: Tensor | float = torch.logsumexp(tilt + mass.log(), dim=-1, keepdim=True).expand_as(lp)
    else:
        constant = slope / 2 if log_z == "half" else 0.0
    return _mean(direct.sppo(lp, anchor.detach(), gain.detach(), slope, constant), weights)


def soft_logistic(lp: Tensor, anchor: Tensor, slope: float, gain: Tensor, weights: Tensor | None = None) -> Tensor:
    """``-s(dg) log s(D) - s(-dg) log s(-D)``, ``D = (Delta lp - Delta anchor) / slope``, ``s`` the logistic function.

    Minimised by ``Delta lp = Delta anchor + slope dg`` (DNO, Rosset et al. 2024, arXiv 2404.03715, with ``slope = 1/eta``).
    Averaged over all distinct pairs; win rates that are estimated bias it, because they enter through ``s``.
    """
    loss = direct.dno(*_members(_checked(lp, anchor)), *_members(anchor.detach()), *_members(gain.detach()), eta=1 / slope)
    if weights is not None:
        return _over_pairs(loss, weights)
    k = lp.shape[-1]
    return (loss.sum((-1, -2)) - loss.diagonal(dim1=-2, dim2=-1).sum(-1)) / (k * (k - 1))


def best_worst(lp: Tensor, anchor: Tensor, slope: float, gain: Tensor, margin: float = 0.0) -> Tensor:
    """``-log s(D)`` of the best response against the worst, ``D`` as in :func:`soft_logistic`. A heuristic.

    The practical form of DNO (Rosset et al. 2024, arXiv 2404.03715; recalled, not checked against the paper). Labels are hard
    and pairs are chosen by them, so that the loss ends in no step of the rule. Prompts whose two win rates differ by less than
    `margin`, or not at all, are left out: their value is 0.
    """
    best, worst = (find(gain, dim=-1, keepdim=True) for find in (torch.argmax, torch.argmin))

    def pair(values: Tensor) -> tuple[Tensor, Tensor]:
        return values.gather(-1, best), values.gather(-1, worst)

    loss = direct.dpo(*pair(_checked(lp, anchor)), *pair(anchor.detach()), beta=1 / slope)
    high, low = pair(gain.detach())
    return (loss * ((high - low >= margin) & (high > low)))[..., 0]


def policy_gradient(
    token_lp: Tensor,
    reference: Tensor,
    gain: Tensor,
    beta: float,
    weights: Tensor | None = None,
    *,
    kl_gradient: str = "reward_to_go",
) -> Tensor:
    """Score-function form of ``E[gain] - beta KL(policy, reference)``, negated; responses must come from the policy.

    Parameters
    ----------
    token_lp, reference : Tensor, shape (B, k, T)
        Log-probabilities of the tokens, 0 beyond the end, under the policy and under the reference.
    gain : Tensor, shape (B, k)
        1/2 is taken off as a baseline.
    kl_gradient : {"reward_to_go", "sequence"}
        The log-ratios that multiply a token's score: its own and all later ones, or those of the whole response. The
        expectations agree, the variance of the first is lower. A token's own ratio alone would be wrong.
    """
    ratio = token_lp.detach() - reference.detach()
    if kl_gradient == "reward_to_go":
        penalty = ratio.flip(-1).cumsum(-1).flip(-1)
    else:
        penalty = ratio.sum(-1, keepdim=True).expand_as(ratio)
    score = ((gain.detach().to(token_lp)[..., None] - 0.5 - beta * penalty) * token_lp).sum(-1)
    return -_mean(score, weights)


def coefficients(loss: Tensor, lp: Tensor) -> Tensor:
    """Derivatives of a loss by the log-probabilities it was computed from, for :func:`surrogate`; shape of `lp`."""
    (found,) = torch.autograd.grad(loss, lp)
    return found


def surrogate(lp: Tensor, derivatives: Tensor) -> Tensor:
    """``sum_j c_j lp_j`` with constant ``c_j``: the gradient of any loss of `lp`, a part of the responses at a time.

    By the chain rule the gradient of ``L(lp(theta))`` is ``sum_j dL/dlp_j grad lp_j``, whatever the loss. For
    :func:`variance`, ``c_j = 4 / (k - 1) (z_j - mean z)``: a group-relative policy gradient whose advantage is the
    distance to the target.
    """
    return (derivatives.detach() * lp).sum()


def _checked(lp: Tensor, other: Tensor) -> Tensor:
    if lp.shape[-1] < 2:
        raise ValueError(f"a difference of log-ratios needs at least two responses a prompt; got {lp.shape[-1]}.")
    if lp.shape != other.shape:
        raise ValueError(f"log-probabilities {tuple(lp.shape)} and their target {tuple(other.shape)} must have one shape.")
    return lp


def _members(values: Tensor) -> tuple[Tensor, Tensor]:
    """First and second members of all pairs of responses, (B, k) -> (B, k, k) each."""
    k = values.shape[-1]
    return values[..., :, None].expand(*values.shape, k), values[..., None, :].expand(*values.shape, k)


def _mean(values: Tensor, weights: Tensor | None) -> Tensor:
    return values.mean(-1) if weights is None else (weights * values).sum(-1)


def _over_pairs(values: Tensor, weights: Tensor) -> Tensor:
    """Expectation over independent pairs of values (B, k, k)."""
    return torch.einsum("bi,bij,bj->b", weights, values, weights)


def _squares(z: Tensor, shift: Tensor | float, weights: Tensor | None) -> Tensor:
    if weights is not None:
        return _over_pairs((z[..., :, None] - z[..., None, :] - shift) ** 2, weights)
    if z.shape[-1] % 2:
        raise ValueError(f"pairs need an even number of responses a prompt; got k = {z.shape[-1]}.")
    return ((z[..., 0::2] - z[..., 1::2] - shift) ** 2).mean(-1)
