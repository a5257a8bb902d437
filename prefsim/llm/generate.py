"""Sampling from causal language models, one token after the other, with a cache for each voice of a mixture.

The sampled policy is the scored one by construction: temperature, allowed tokens and the softmax are one function
(:func:`conditional`), and there is no generation configuration whose defaults could cut or penalise anything. A token is
chosen by inversion with one counter-based uniform number a position, so what is drawn depends on its key alone, not on the
batch, on other processes or on torch's global generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from prefsim.llm import parallel
from prefsim.llm.records import Decoding


class Voice(NamedTuple):
    """One policy of a geometric mixture."""

    model: Any
    """A causal language model."""
    weight: float
    context: Callable[[], AbstractContextManager[Any]]
    """What to enter around a forward pass, such as a peft model's ``disable_adapter``."""


class Drawn(NamedTuple):
    """Sampled tokens (rows, T), their number and whether an end token came (rows,), and two sums over tokens, (rows,)."""

    tokens: Tensor
    lengths: Tensor
    finished: Tensor
    log_constant: Tensor
    """``sum log Z`` of the mixture."""
    log_probs: Tensor
    """Log-probabilities as the generator saw them; with caches and in batches of its own they are not quite the scorer's."""


def conditional(logits: Tensor, decoding: Decoding) -> Tensor:
    """Log-probabilities of the next token: tempered, restricted to the allowed tokens, in float32 at least."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32)) / decoding.temperature
    if decoding.allowed is not None:
        logits = logits.masked_fill(~decoding.allowed.to(logits.device), -torch.inf)
    return torch.log_softmax(logits, dim=-1)


def mixture(logs: Sequence[Tensor], weights: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the geometric mixture of conditionals, and the logarithm of its normaliser."""
    # A token that is not allowed has -inf under every voice; 0 * -inf would be NaN, but weights are positive.
    total = torch.stack([weight * log for weight, log in zip(weights, logs, strict=True)]).sum(0)
    constant = torch.logsumexp(total, dim=-1)
    return total - constant[..., None], constant


def choose(log_probs: Tensor, uniforms: Tensor) -> Tensor:
    """Tokens by inversion of the distribution function, in float64; (rows, vocabulary), (rows,) -> (rows,)."""
    steps = log_probs.double().exp().cumsum(-1)
    reached = uniforms[:, None].to(steps) * steps[:, -1:]
    return torch.searchsorted(steps, reached, right=True)[:, 0].clamp(max=steps.shape[-1] - 1)


def positions(mask: Tensor) -> Tensor:
    """Position ids of left-padded rows, counted from the first token."""
    return (mask.long().cumsum(-1) - 1).clamp(min=0)


@torch.no_grad()
def generate(
    voices: Sequence[Voice],
    prompt_ids: Tensor,
    prompt_mask: Tensor,
    decoding: Decoding,
    uniforms: Tensor,
    *,
    cached: bool = True,
    together: bool = False,
) -> Drawn:
    """Sample a response to every row.

    Parameters
    ----------
    voices : sequence of Voice
        One for a plain policy; more make a geometric mixture, token by token.
    prompt_ids, prompt_mask : Tensor, shape (rows, Tp)
        Prompts, padded on the left.
    decoding : Decoding
        The policy's.
    uniforms : Tensor, shape (rows, max_new_tokens)
        The random numbers.
    cached : bool
        Keep keys and values of every voice; without, each token recomputes the whole prefix (for checks).
    together : bool
        Go on until every process is done, as sharded models need.
    """
    rows, most = len(prompt_ids), decoding.max_new_tokens
    ends = torch.tensor(decoding.eos_ids, device=prompt_ids.device, dtype=torch.int64)
    tokens = torch.zeros(rows, most, dtype=torch.int64, device=prompt_ids.device)
    finished = torch.zeros(rows, dtype=torch.bool, device=prompt_ids.device)
    lengths = torch.zeros(rows, dtype=torch.int64, device=prompt_ids.device)
    log_constant, seen = torch.zeros(2, rows, dtype=torch.float32, device=prompt_ids.device)
    mask, ids = prompt_mask, prompt_ids
    caches: list[Any] = [None] * len(voices)
    for t in range(most):
        place = positions(mask)
        logs = []
        for v, voice in enumerate(voices):
            fed = slice(None) if caches[v] is None else slice(-1, None)
            with voice.context():
                out = voice.model(
                    input_ids=ids[:, fed],
                    attention_mask=mask,
                    position_ids=place[:, fed],
                    past_key_values=caches[v],
                    use_cache=cached,
                )
            caches[v] = out.past_key_values if cached else None
            logs.append(conditional(out.logits[:, -1], decoding))
        log_probs, constant = mixture(logs, [voice.weight for voice in voices])
        token = choose(log_probs, uniforms[:, t])
        tokens[:, t] = torch.where(finished, 0, token)
        log_constant += torch.where(finished, 0.0, constant.float())
        seen += torch.where(finished, 0.0, log_probs.gather(-1, token[:, None])[:, 0].float())
        lengths += ~finished
        finished = finished | torch.isin(token, ends)
        done = bool(finished.all())
        if all(parallel.gather(done)) if together else done:
            break
        ids = torch.cat([ids, tokens[:, t : t + 1]], dim=1)
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
    return Drawn(tokens, lengths, finished, log_constant, seen)
