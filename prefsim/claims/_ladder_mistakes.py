"""Small patches of the torch adapter that the ladder must catch; loaded where torch is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from prefsim.llm import generate, losses, moves, opponents
from prefsim.llm.policy import Policy
from prefsim.llm.records import SamplingSpec
from prefsim.llm.train import Training


def _weight(factor: float) -> AbstractContextManager[Any]:
    """The reference's weight in the opponent, multiplied."""
    true = opponents.draw

    def draw(run: Any, t: int, phase: int, spec: SamplingSpec, responses: Any) -> Any:
        weight = factor * dict(spec.weights)["reference"]
        return true(run, t, phase, SamplingSpec((("current", 1 - weight), ("reference", weight))), responses)

    return patch.object(opponents, "draw", draw)


def _first_opponent() -> AbstractContextManager[Any]:
    """Both phases play against the policy they start from."""
    true, current = opponents.draw, SamplingSpec((("current", 1.0),))
    return patch.object(opponents, "draw", lambda run, t, phase, spec, y: true(run, t, phase, current, y))


@contextmanager
def _anchored_half() -> Iterator[None]:
    """The second phase takes the half-step for the policy its target is anchored at."""
    true, anchored, half = opponents.draw, moves.objective, {}

    def draw(run: Any, t: int, phase: int, spec: SamplingSpec, responses: Any) -> Any:
        if phase == 1:
            half["current"] = run.policy.logprob_of("half", responses)
        return true(run, t, phase, spec, responses)

    def objective(run: Any, t: int, plan: Any, responses: Any, verdict: Any, phase: int, moved: str = "") -> Any:
        if phase == 1:
            responses.log_probs.update(half)
        return anchored(run, t, plan, responses, verdict, phase, moved)

    with patch.object(opponents, "draw", draw), patch.object(moves, "objective", objective):
        yield


def _started_half() -> AbstractContextManager[Any]:
    """The half-step is not undone."""
    return patch.object(Policy, "restore", lambda self, snapshot: None)


def _sample_divisor() -> AbstractContextManager[Any]:
    """All responses are treated as a sample of them: the divisor is n - 1."""
    return patch.object(losses, "variance", lambda lp, target, weights: 2 * (lp - target).var(dim=-1))


def _per_token() -> AbstractContextManager[Any]:
    """Log-probabilities are divided by the number of tokens, on words of at most three letters."""
    from prefsim.claims._ladder import prefix_policy

    true, lengths = losses.variance, prefix_policy(True).enumerate([0]).lengths
    return patch.object(losses, "variance", lambda lp, target, weights: true(lp / lengths, target, weights))


def _any_pairs() -> AbstractContextManager[Any]:
    """Nobody asks where pairs come from."""
    return patch.object(Training, "_check_opponent", lambda *_: None)


def token_penalty(
    lp: Tensor, reference: Tensor, gain: Tensor, beta: float, weights: Tensor, kl_gradient: str = ""
) -> Tensor:
    """The score of a token is multiplied by its own log-ratio alone; the loss goes down all the same."""
    ratio = lp.detach() - reference
    return -(weights[..., None] * (gain[..., None] - 0.5 - beta * ratio) * lp).sum((-1, -2))


def _token_penalty() -> AbstractContextManager[Any]:
    return patch.object(losses, "policy_gradient", token_penalty)


def _cut_vocabulary() -> AbstractContextManager[Any]:
    """A default ``top_k = 50`` is left in place."""
    true = generate.conditional

    def cut(logits: Tensor, decoding: Any) -> Tensor:
        return true(logits.masked_fill(logits < logits.topk(50).values[..., -1:], -torch.inf), decoding)

    return patch.object(generate, "conditional", cut)


MISTAKES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "": nullcontext,
    "weight halved": lambda: _weight(0.5),
    "weight doubled": lambda: _weight(2.0),
    "first opponent": _first_opponent,
    "anchored at half": _anchored_half,
    "started at half": _started_half,
    "sample divisor": _sample_divisor,
    "per token": _per_token,
    "any pairs": _any_pairs,
    "token penalty": _token_penalty,
    "cut vocabulary": _cut_vocabulary,
}
"""Mistakes by name; the empty one changes nothing."""
