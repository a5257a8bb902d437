"""Preference models with a head on features: general-preference embeddings, and Bradley-Terry scores as their special case.

A response with features ``f`` (a pooled hidden state, say) gets an embedding ``v = W f + b`` in ``2 L`` coordinates, and

    log-odds of a over b  =  <R v_a, v_b>  =  sum_l  v_a[2l-1] v_b[2l] - v_a[2l] v_b[2l-1]

(coordinates counted from 1), the parametrisation of ``prefsim.preference_model``: skew-symmetric, with room for cycles. ``R``
has the blocks ``[[0, -1], [1, 0]]``; ``v_a^T R v_b``, which is found in print as well, is the negative. One plane with
``v = (r, 1)`` is Bradley-Terry with reward ``r``. Source: Zhang et al. 2024 (arXiv 2410.02197); sign derived.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from prefsim.llm.arrays import number
from prefsim.llm.direct import dpo


class EmbeddingHead(nn.Module):
    """Linear map from features to general-preference embeddings.

    Parameters
    ----------
    width : int
        Number of features.
    planes : int
        ``L``: log-odds of rank ``2 L`` over any set of responses.
    seed : int
        Of the initial weights, which cannot be 0: there the gradient vanishes.
    dtype : torch.dtype
    """

    def __init__(self, width: int, planes: int, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        for name, value in (("width", width), ("planes", planes)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1; got {value!r}.")
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(width, self._columns(planes), generator=generator, dtype=dtype) / width**0.5)
        self.bias = nn.Parameter(torch.zeros(self._columns(planes), dtype=dtype))

    @staticmethod
    def _columns(planes: int) -> int:
        return 2 * planes

    def forward(self, features: Tensor) -> Tensor:
        """Embeddings (..., 2 L) of features (..., width)."""
        return features.to(self.weight.dtype) @ self.weight + self.bias


class ScoreHead(EmbeddingHead):
    """Bradley-Terry: one reward ``r`` a response, as the embedding ``(r, 1)``. Its preferences have no cycles.

    Parameters
    ----------
    width, seed, dtype
        As for :class:`EmbeddingHead`.
    """

    def __init__(self, width: int, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(width, 1, seed=seed, dtype=dtype)

    @staticmethod
    def _columns(planes: int) -> int:
        return planes

    def forward(self, features: Tensor) -> Tensor:
        """Embeddings (..., 2) of features (..., width)."""
        reward = super().forward(features)
        return torch.cat([reward, torch.ones_like(reward)], dim=-1)


def log_odds(first: Tensor, second: Tensor) -> Tensor:
    """``<R first, second>`` of embeddings (..., 2 L) that broadcast, shape (...): above 0 where the first is preferred."""
    one, other = first.shape[-1], second.shape[-1]
    if one != other or one % 2:
        raise ValueError(f"embeddings must have the same even number of coordinates, two a plane; got {one} and {other}.")
    return (first[..., 0::2] * second[..., 1::2] - first[..., 1::2] * second[..., 0::2]).sum(-1)


def preference_loss(first: Tensor, second: Tensor, preference: Tensor | float = 1.0) -> Tensor:
    """Cross-entropy ``-q log sigma(s) - (1 - q) log sigma(-s)`` of the log-odds ``s`` of two embeddings, one value a pair.

    `preference` is the probability that the first is preferred, or 1 for a winner and a loser; shape (...), or one number.
    """
    s = log_odds(first, second)
    nothing = torch.zeros_like(s)
    return dpo(s, nothing, nothing, nothing, 1.0, preference)


def train_head(
    head: EmbeddingHead,
    first: Tensor,
    second: Tensor,
    preference: Tensor,
    *,
    steps: int = 1000,
    batch: int = 256,
    rate: float = 1e-2,
    ridge: float = 0.0,
    seed: int = 0,
) -> list[float]:
    """Fit a head to compared pairs by Adam, whose rate falls to 0 along a cosine.

    Parameters
    ----------
    head : EmbeddingHead or ScoreHead
        Changed in place. What makes the features is not trained; detach them.
    first, second : Tensor, shape (pairs, width)
        Features of the two responses.
    preference : Tensor, shape (pairs,)
        Probability that the first is preferred; 0 and 1 for single verdicts.
    steps, batch : int
        Gradient steps, and pairs drawn (with replacement) for each.
    rate : float
        Learning rate at the start, ``> 0``.
    ridge : float
        Adds ``ridge / 2`` times the mean squared length of the embeddings of a pair to its loss, ``>= 0``. Verdicts that a
        ranking or a cycle explains without error have no best embeddings without it: their length grows for ever.
    seed : int
        Of the pairs drawn.

    Returns
    -------
    list of float
        The loss of every step, without the ridge, in nats a pair.

    Raises
    ------
    ValueError
        If an argument does not fit, or a loss is not finite.
    """
    if first.shape != second.shape or first.ndim != 2 or preference.shape != first.shape[:1] or not len(first):
        raise ValueError(
            "first and second must have shape (pairs, width) and preference (pairs,), one pair or more; got "
            f"{tuple(first.shape)}, {tuple(second.shape)} and {tuple(preference.shape)}."
        )
    if not (isinstance(steps, int) and isinstance(batch, int) and steps > 0 < batch):
        raise ValueError(f"steps and batch must be whole numbers above 0; got {steps!r} and {batch!r}.")
    optimizer = torch.optim.Adam(head.parameters(), lr=number(rate, "rate", 0, open_low=True))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    generator, ridge, losses = torch.Generator().manual_seed(seed), number(ridge, "ridge", 0), []
    for step in range(steps):
        drawn = torch.randint(len(first), (batch,), generator=generator).to(first.device)
        u, v = head(first[drawn]), head(second[drawn])
        loss = preference_loss(u, v, preference[drawn].to(u.dtype)).mean()
        if not torch.isfinite(loss):
            raise ValueError(f"the loss of step {step} is {loss.item()}; lower rate, or look for features that are not finite.")
        optimizer.zero_grad()
        (loss + ridge / 4 * (u.square().sum(-1) + v.square().sum(-1)).mean()).backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses
