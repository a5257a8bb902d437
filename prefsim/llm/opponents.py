"""Whom the policy plays against in an iteration, and what the judge says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from prefsim.llm import parallel
from prefsim.llm.records import Responses, SamplingSpec

if TYPE_CHECKING:
    from prefsim.llm.train import Training


class Drawn(NamedTuple):
    """Opponents: samples of them, the log-probabilities of all responses under them, or neither where they are shared."""

    responses: Responses | None = None
    log_policy: Tensor | None = None


class Verdict(NamedTuple):
    """What the judge says of responses."""

    gain: Tensor
    """Mean payoff of each response against the opponent, shape (B, k)."""
    label: Tensor
    """Payoffs over 1/2 of consecutive responses, shape (B, k / 2), or of all pairs where responses are enumerated."""
    kept: Tensor | None = None
    """Which responses count, bool, shape (B, k); all if None."""


def draw(run: Training, t: int, phase: int, spec: SamplingSpec, responses: Responses) -> Drawn:
    """Sample opponents, or find the probabilities of all responses under them, where `responses` are all."""
    chosen, policy = run.switches, run.policy
    if run.exact:
        if spec.single or chosen.mixture_by == "sequence":
            known = responses.log_probs
            logs = [w * (known[name] if name in known else policy.logprob_of(name, responses)) for name, w in spec.weights]
            return Drawn(log_policy=torch.log_softmax(torch.stack(logs).sum(0), dim=-1))
        return Drawn(log_policy=torch.log_softmax(policy.mixture_logprob(spec, responses), dim=-1))
    if chosen.opponents == "shared" or chosen.estimator == "pair_label":
        return Drawn()
    sampled = policy.sample(run.asked(), run.m, spec, run.key(t, f"opponents/{phase}"))
    run.count(sampled)
    return Drawn(sampled)


def judge(run: Training, t: int, phase: int, drawn: Drawn, responses: Responses) -> Verdict:
    """Win rates and labels of the responses against what was drawn."""
    kept = None if run.exact or run.switches.truncation == "open" else responses.finished.cpu()
    if drawn.log_policy is not None:
        payoff = run.payoff[list(run.instances)]
        gain = torch.einsum("bij,bj->bi", payoff, drawn.log_policy.double().exp())
        return Verdict(gain, payoff - _middle(run))
    texts = zip(run.asked(), responses.texts, strict=True)
    if run.switches.estimator == "pair_label":
        pairs = [[run.judge.gains(p, y[i : i + 1], y[i + 1 : i + 2]) for i in range(0, len(y), 2)] for p, y in texts]
        values = torch.stack([torch.cat(row).flatten() for row in pairs])
        label = _labelled(run, t, phase, values[..., None])[..., 0] - _middle(run)
        return Verdict(torch.zeros(responses.lengths.shape, dtype=torch.float64), label, kept)
    if drawn.responses is None:
        values = torch.stack([run.judge.gains(p, y, y) for p, y in texts])
        values = _labelled(run, t, phase, values, skew=True)
        gain = shared_gain(values, _keeps_self(run))
        for b, row in enumerate([] if kept is None else kept):
            if row.sum() > 1:
                gain[b, row] = shared_gain(values[b : b + 1, row][:, :, row], _keeps_self(run))[0]
        return Verdict(gain, values - _middle(run), kept)
    values = torch.stack([run.judge.gains(p, y, o) for (p, y), o in zip(texts, drawn.responses.texts, strict=True)])
    values = _labelled(run, t, phase, values)
    weights = torch.zeros(values.shape[0], values.shape[2], dtype=torch.float64)
    if run.switches.mixture_by == "sequence" and drawn.responses.log_weights is not None:
        weights = drawn.responses.log_weights.double().cpu()
    if kept is not None:
        ended = drawn.responses.finished.cpu()
        some = ended.any(-1, keepdim=True)
        kept, weights = kept & some, torch.where(ended | ~some, weights, -torch.inf)
    shares = torch.softmax(weights, dim=-1)
    (run.effective,) = parallel.total(run.part * (1 / (shares**2).sum(-1)).mean().item())
    return Verdict(torch.einsum("bkm,bm->bk", values, shares), values - _middle(run), kept)


def shared_gain(values: Tensor, keeps_self: bool) -> Tensor:
    """Mean payoff against the responses of the same batch, the comparison with itself kept or dropped; (B, k, k) -> (B, k)."""
    if keeps_self:
        return values.mean(-1)
    own = values.diagonal(dim1=-2, dim2=-1)
    return (values.sum(-1) - own) / (values.shape[-1] - 1)


def _keeps_self(run: Training) -> bool:
    """Kept, it leaves ``variance`` and ``pairs`` unbiased; dropped, the estimators that look at one response at a time."""
    chosen = run.switches
    if chosen.shared_divisor == "auto":
        return chosen.estimator in ("variance", "pairs", "soft_logistic")
    return chosen.shared_divisor == "k"


def _middle(run: Training) -> float:
    """Payoff of a tie."""
    return 0.0 if run.judge.oracle.payoff == "log_odds" else 0.5


def _labelled(run: Training, t: int, phase: int, values: Tensor, skew: bool = False) -> Tensor:
    """Payoffs (B, k, m) as they are, or a coin for each; with `skew` the coin of a pair is tossed once."""
    if run.switches.label == "soft":
        return values
    uniforms = run.key(t, f"labels/{phase}").uniforms(values.shape[1], values.shape[2])
    coins = (uniforms < values).double()
    if not skew:
        return coins
    upper = coins.triu(1)
    return upper + (1 - upper).transpose(-1, -2).tril(-1) + 0.5 * torch.eye(values.shape[-1], dtype=torch.float64)
