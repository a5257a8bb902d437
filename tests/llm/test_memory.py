"""Less memory, the same gradient: layers computed again, micro-batches added up."""

import pytest
import torch
from tiny import MODELS, PROMPTS, adapted, policy_of

from prefsim.llm import from_callable, train
from prefsim.llm.records import Key, SamplingSpec

SPEC = SamplingSpec((("current", 1.0),))


def gradient(policy, responses):
    for p in policy.parameters:
        p.grad = None
    policy.logprob(responses).pow(2).sum().backward()
    return [p.grad.clone() for p in policy.parameters if p.grad is not None]


def kept(policy, responses):
    """Numbers remembered for the backward pass."""
    count = 0

    def pack(values):
        nonlocal count
        count += values.numel()
        return values

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda values: values):
        policy.logprob(responses)
    return count


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("name", MODELS)
def test_layers_computed_again(name, lora):
    def policy(**settings):
        model = MODELS[name](dtype=torch.float64)
        return policy_of(adapted(model) if lora else model, limit=8, **settings)

    plain, again = policy(), policy(gradient_checkpointing=True)
    responses = plain.sample(PROMPTS, 4, SPEC, Key.of(0, "test", "responses", 0, range(3)))
    assert not again.model.training  # or sampling would do without its cache
    found = again.sample(PROMPTS, 4, SPEC, Key.of(0, "test", "responses", 0, range(3)))
    assert torch.equal(found.tokens, responses.tokens)
    for ours, theirs in zip(gradient(again, responses), gradient(plain, responses), strict=True):
        assert (ours - theirs).abs().max() <= 1e-10
    assert kept(again, responses) < 0.6 * kept(plain, responses)
    assert torch.equal(again.logprob_ref(responses), plain.logprob_ref(responses))
    assert not again.model.training


def test_training_with_both():
    """Two responses at a time, layers computed again: the parameters of a plain run, to rounding."""
    judge = from_callable(lambda prompt, a, b: [[1 / (1 + 2.0 ** (len(y) - len(x))) for y in b] for x in a])
    policies = []
    for settings, size in (({}, 0), ({"gradient_checkpointing": True}, 2)):
        model = MODELS["llama"](dtype=torch.float64)
        policies.append(policy_of(model, optimizer=lambda p: torch.optim.SGD(p, lr=0.1), clip=None, **settings))
        start = policies[-1].read()
        train(policies[-1], PROMPTS, judge, "egpo", beta=0.1, horizon=2, k=4, record=[0], micro_batch=size)
    for ours, theirs in zip(*(policy.parameters for policy in policies), strict=True):
        assert (ours - theirs).abs().max() <= 1e-10
    assert any((p - first).abs().max() > 1e-4 for p, first in zip(policies[0].parameters, start, strict=True))
