"""Sampling from causal language models, one token after the other, with a cache for each voice of a mixture.

The sampled policy is the scored one by construction: temperature, allowed tokens and the softmax are one function
(:func:`conditional`), and there is no generation configuration whose defaults could cut or penalise anything. A token is
chosen by inversion with one counter-based uniform number a position, so what is drawn depends on its key alone, not on the
batch, on other processes or on torch's global generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from prefsim.llm import parallel
from prefsim.llm.records import Decoding

MOST_AT_ONCE = 2**22
"""Numbers of a vocabulary's width that scoring computes with at a time."""


class Voice(NamedTuple):
    """One policy of a geometric mixture."""

    model: Any
    """A causal language model that can be told to compute the logits of the last position alone."""
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


def tempered(logits: Tensor, decoding: Decoding) -> Tensor:
    """Logits of the policy: divided by the temperature, -inf where a token is not allowed, in float32 at least."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if decoding.temperature != 1:
        logits = logits / decoding.temperature
    if decoding.allowed is not None:
        logits = logits.masked_fill(~decoding.allowed.to(logits.device), -torch.inf)
    return logits


def conditional(logits: Tensor, decoding: Decoding) -> Tensor:
    """Log-probabilities of the next token."""
    return torch.log_softmax(tempered(logits, decoding), dim=-1)


class _Scored(torch.autograd.Function):
    """:func:`scored`; between the passes it keeps what the model gave, and makes whole rows of numbers a few at a time."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, tokens: Tensor, decoding: Decoding) -> Tensor:
        ctx.save_for_backward(logits, tokens)
        ctx.decoding = decoding
        found = []
        for part, chosen in _parts(logits, tokens):
            logs = torch.log_softmax(tempered(part, decoding), dim=-1)
            found.append(logs.gather(-1, chosen[..., None])[..., 0])
        return torch.cat(found)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        logits, tokens = ctx.saved_tensors
        slopes = torch.empty_like(logits)
        first = 0
        for part, chosen in _parts(logits, tokens):
            rows = slice(first, first + len(part))
            first += len(part)
            outer = gradient[rows, :, None] / ctx.decoding.temperature
            slope = torch.softmax(tempered(part, ctx.decoding), dim=-1).mul_(-outer)
            slopes[rows] = slope.scatter_add_(-1, chosen[..., None], outer)
        return slopes, None, None


def _parts(logits: Tensor, tokens: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    size = max(1, MOST_AT_ONCE // logits[0].numel())
    return zip(logits.split(size), tokens.split(size), strict=True)


def scored(logits: Tensor, tokens: Tensor, decoding: Decoding) -> Tensor:
    """Log-probabilities of tokens: :func:`conditional` at them; (rows, T, vocabulary), (rows, T) -> (rows, T)."""
    found: Tensor = _Scored.apply(logits, tokens, decoding)  # type: ignore[no-untyped-call]
    return found


def mixture(logs: Sequence[Tensor], weights: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the geometric mixture of conditionals, and the logarithm of its normaliser."""
    if len(logs) == 1:
        return logs[0], torch.zeros_like(logs[0][..., 0])
    # A token that is not allowed has -inf under every voice; 0 * -inf would be NaN, but weights are positive.
    total = torch.stack([weight * log for weight, log in zip(weights, logs, strict=True)]).sum(0)
    constant = torch.logsumexp(total, dim=-1)
    return total - constant[..., None], constant


def choose(log_probs: Tensor, uniforms: Tensor) -> Tensor:
    """Tokens by inversion of the distribution function, summed in float64; (rows, vocabulary), (rows,) -> (rows,)."""
    steps = log_probs.exp().cumsum(-1, dtype=torch.float64)
    reached = uniforms[:, None].to(steps) * steps[:, -1:]
    return torch.searchsorted(steps, reached, right=True)[:, 0].clamp(max=steps.shape[-1] - 1)


def positions(mask: Tensor) -> Tensor:
    """Position ids of left-padded rows, counted from the first token."""
    return (mask.long().cumsum(-1) - 1).clamp(min=0)


def _repeats(cache: Any) -> bool:
    """Whether the keys and values of a prompt can be repeated for its responses."""
    return all(hasattr(part, "batch_repeat_interleave") for part in (cache, *getattr(cache, "layers", ())))


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
    """Sample one or several responses to every prompt.

    Parameters
    ----------
    voices : sequence of Voice
        One for a plain policy; more make a geometric mixture, token by token.
    prompt_ids, prompt_mask : Tensor, shape (B, Tp)
        Prompts, padded on the left.
    decoding : Decoding
        The policy's.
    uniforms : Tensor, shape (B k, max_new_tokens)
        The random numbers, those of the k responses to a prompt beside each other.
    cached : bool
        Keep keys and values of every voice, those of a prompt computed once for all its responses; without, each token
        recomputes the whole prefix of every response (for checks).
    together : bool
        Go on until every process is done, as sharded models need.
    """
    rows, most, device = len(uniforms), decoding.max_new_tokens, prompt_ids.device
    copies = rows // len(prompt_ids)
    ends = torch.tensor(decoding.eos_ids, device=device, dtype=torch.int64)
    tokens = torch.zeros(rows, most, dtype=torch.int64, device=device)
    finished = torch.zeros(rows, dtype=torch.bool, device=device)
    lengths = torch.zeros(rows, dtype=torch.int64, device=device)
    log_constant, seen = torch.zeros(2, rows, dtype=torch.float32, device=device)
    mask, ids = prompt_mask.repeat_interleave(copies, 0), prompt_ids.repeat_interleave(copies, 0)
    caches: list[Any] = [None] * len(voices)

    def forward(v: int, ids: Tensor, mask: Tensor) -> Any:
        fed = slice(None) if caches[v] is None else slice(-1, None)
        with voices[v].context():
            return voices[v].model(
                input_ids=ids[:, fed],
                attention_mask=mask,
                position_ids=positions(mask)[:, fed],
                past_key_values=caches[v],
                use_cache=cached,
                logits_to_keep=1,
            )

    def next_logits(v: int) -> Tensor:
        if not cached or caches[v] is not None or copies == 1:
            out = forward(v, ids, mask)
        else:
            out = forward(v, prompt_ids, prompt_mask)
            if _repeats(out.past_key_values):
                out.past_key_values.batch_repeat_interleave(copies)
                out.logits = out.logits.repeat_interleave(copies, 0)
            else:
                out = forward(v, ids, mask)
        caches[v] = out.past_key_values if cached else None
        return out.logits[:, -1]

    for t in range(most):
        logs = [conditional(next_logits(v), decoding) for v in range(len(voices))]
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
