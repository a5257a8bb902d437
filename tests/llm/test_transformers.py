"""Language models: what is scored is what is sampled, whatever the padding, the cache or the adapter (ladder T5a-d, T2b)."""

import copy
from contextlib import nullcontext

import pytest
import torch
from tiny import END, MODELS, PROMPTS, VOCABULARY, adapted, gpt2, llama, moved, perturb, policy_of

from prefsim.claims._ladder_samples import CURRENT, MIXED, frequencies
from prefsim.llm import Key, Responses, SamplingSpec, hf
from prefsim.llm import generate as sampling
from prefsim.llm.generate import Voice, generate
from prefsim.llm.hf import TransformersPolicy
from prefsim.llm.methods import setup
from prefsim.llm.oracles import Judge, from_callable
from prefsim.llm.records import Decoding
from prefsim.llm.train import Training


def key(prompts=PROMPTS, seed=0):
    return Key.of(seed, "test", "transformers", 0, range(len(prompts)))


def total(policy):
    space = policy.enumerate(PROMPTS)
    with torch.no_grad():
        return policy.logprob(space).exp().sum(-1)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("name", MODELS)
def test_probabilities_sum_to_one(name, temperature):
    assert (total(moved(MODELS[name](), temperature=temperature)) - 1).abs().max() < 1e-5


@pytest.mark.parametrize("fault", ["end dropped", "end added", "mask by padding id"])
def test_scoring_faults_are_caught(fault, monkeypatch):
    policy = moved(llama())
    true = Responses.mask.fget

    def mask(self):
        place = torch.arange(self.tokens.shape[-1])
        if fault == "end dropped":
            return place < (self.lengths - self.finished.long())[..., None]
        return true(self) & (self.tokens != END)  # padding id = end id

    if fault == "end added":
        plain = policy.token_logprobs

        def token_logprobs(responses):
            ended = responses._replace(
                tokens=torch.cat([responses.tokens, torch.full_like(responses.tokens[..., :1], END)], dim=-1)
            )
            extra = policy.conditionals(ended)[..., -1, END]
            return torch.cat([plain(responses), torch.where(responses.finished, 0.0, extra)[..., None]], dim=-1)

        policy.token_logprobs = token_logprobs
    else:
        monkeypatch.setattr(Responses, "mask", property(mask))
    assert (total(policy) - 1).abs().max() > 1e-3


@pytest.mark.parametrize("name", MODELS)
def test_padding_and_company_do_not_matter(name):
    policy = moved(MODELS[name]())
    together = policy.logprob(policy.enumerate(PROMPTS)).detach()
    for i, prompt in enumerate(PROMPTS):
        alone = policy.logprob(policy.enumerate([prompt])).detach()
        assert (alone[0] - together[i]).abs().max() < 1e-5
    space = policy.enumerate(PROMPTS)
    rows = torch.cat([policy.logprob(space.rows(i, i + 1)).detach() for i in range(0, 255, 40)])
    assert (rows[:, 0] - together.flatten()[0:255:40]).abs().max() < 1e-5


def test_positions_of_padding_are_needed(monkeypatch):
    """Without position ids of their own, padded rows of a model with absolute positions are scored wrong."""
    policy = moved(gpt2())
    right = policy.logprob(policy.enumerate(PROMPTS)).detach()
    monkeypatch.setattr(hf, "positions", lambda mask: torch.arange(mask.shape[1]).expand(mask.shape))
    assert (policy.logprob(policy.enumerate(PROMPTS)) - right).abs().max() > 1e-3


@pytest.mark.parametrize("name", MODELS)
def test_reference_is_the_adapter_switched_off(name):
    model = MODELS[name]()
    untouched = policy_of(copy.deepcopy(model))
    policy = policy_of(adapted(model))
    space = policy.enumerate(PROMPTS)
    with torch.no_grad():
        base = untouched.logprob(space)
        assert (policy.logprob_ref(space) - base).abs().max() < 1e-6
        assert (policy.logprob(space) - base).abs().max() > 1e-3
    # The base model inside a peft model keeps its adapter layers active: it is no reference.
    inside = policy.model.get_base_model()
    policy.acting_as = lambda name, train=False: nullcontext()
    policy.model = inside
    assert (policy.logprob_ref(space) - base).abs().max() > 1e-3


@pytest.mark.parametrize("name", MODELS)
def test_reference_of_a_full_model_stays(name):
    model = MODELS[name]()
    policy = policy_of(model)
    space = policy.enumerate(PROMPTS)
    before = policy.logprob(space).detach()
    perturb(policy.parameters)
    assert torch.equal(policy.logprob_ref(space), before)
    assert (policy.logprob(space) - before).abs().max() > 1e-3
    assert policy.logprob(space).requires_grad


@pytest.mark.parametrize("kind", ["full", "lora"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("spec", [CURRENT, MIXED])
def test_cached_sampling_is_uncached_sampling(name, kind, spec, monkeypatch):
    """Token for token, with prompts of different lengths and several responses each, without any end token."""
    model = MODELS[name](dtype=torch.float64)
    policy = moved(model, limit=24) if kind == "full" else policy_of(adapted(model), limit=24)
    ids, mask = policy.encode(PROMPTS)
    decoding = Decoding(0.9, 24, (END,), torch.arange(VOCABULARY) != END)
    uniforms = key().uniforms(3, 24).flatten(0, 1)
    voices = [Voice(policy, weight, lambda name=name: policy.acting_as(name)) for name, weight in spec.weights]
    cached, plain = (generate(voices, ids, mask, decoding, uniforms, cached=flag) for flag in (True, False))
    assert torch.equal(cached.tokens, plain.tokens)
    # Prompts that are fed once for each of their responses, and caches that cannot be repeated, change nothing.
    apart = generate(voices, ids.repeat_interleave(3, 0), mask.repeat_interleave(3, 0), decoding, uniforms)
    monkeypatch.setattr(sampling, "_repeats", lambda cache: False)
    for other in (apart, generate(voices, ids, mask, decoding, uniforms)):
        assert torch.equal(other.tokens, plain.tokens)
    assert (cached.log_constant - plain.log_constant).abs().max() < 1e-6
    assert cached.lengths.tolist() == [24] * 9
    assert len(set(map(tuple, cached.tokens.tolist()))) == 9
    assert (cached.log_constant.abs().max() > 1e-3) == (len(spec.weights) > 1)


@pytest.fixture(scope="module")
def sampled_policies():
    return {t: moved(llama(), temperature=t, score_batch=4096) for t in (1.0, 0.7)}


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("spec", [CURRENT, MIXED])
def test_sampler_agrees_with_scorer(sampled_policies, temperature, spec):
    """The mistakes this must catch are the controls of the claim ``llm.sampled_tokens``."""
    assert frequencies(sampled_policies[temperature], spec, 50_000, prompt=PROMPTS[1]).max() < 4.5


@pytest.mark.parametrize("at_once", [1, 10**6])
def test_scores_are_the_conditionals_of_the_tokens(at_once, monkeypatch):
    """And so are their derivatives, in few parts or in one, where some tokens are not allowed."""
    monkeypatch.setattr(sampling, "MOST_AT_ONCE", at_once)
    decoding = Decoding(0.7, 4, (END,), torch.arange(VOCABULARY) <= END)
    logits = torch.randn(6, 4, VOCABULARY, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    tokens = torch.arange(24).reshape(6, 4) % (END + 1)
    known = sampling.conditional(logits, decoding).gather(-1, tokens[..., None])[..., 0]
    found = sampling.scored(logits, tokens, decoding)
    assert (found - known).abs().max() < 1e-14
    weights = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours, direct = (torch.autograd.grad((weights * values).sum(), logits)[0] for values in (found, known))
    assert (ours - direct).abs().max() < 1e-14 and direct.abs().max() > 0.1


def test_a_step_runs_the_model_no_more_than_it_must(monkeypatch):
    """Two passes over whole responses, the reference's and the gradient's, and no logits of prompts."""
    policy = policy_of(llama())
    passes, plain = [], TransformersPolicy.__call__

    def counted(self, **inputs):
        out = plain(self, **inputs)
        passes.append((out.logits.requires_grad, tuple(out.logits.shape[:2])))
        return out

    monkeypatch.setattr(TransformersPolicy, "__call__", counted)
    judge = from_callable(lambda prompt, a, b: torch.full((len(a), len(b)), 0.5))
    chosen = setup("online_ipo_2", 0.1, {"step": 0.5})
    run = Training(policy, PROMPTS, Judge(judge), chosen, 0.1)
    run.configure(4, 4, None, "sampled", 0, "passes")
    run.iterate(0)
    scoring = [found for found in passes if found[1][1] > 1]
    assert scoring == [(False, (12, 4)), (True, (12, 4))]
    # Every prompt is fed once, for all its responses.
    sampling_passes = [rows for _, (rows, width) in passes if width == 1]
    assert sampling_passes[0] == 3 and set(sampling_passes[1:]) == {12}


def test_models_that_compute_all_logits():
    """What a model without `logits_to_keep` gives is the same."""

    class Old(type(llama())):
        def forward(self, input_ids, attention_mask, position_ids, past_key_values=None, use_cache=False):
            return super().forward(
                input_ids, attention_mask, position_ids=position_ids, past_key_values=past_key_values, use_cache=use_cache
            )

    new, old = llama(), Old(llama().config)
    old.load_state_dict(new.state_dict())
    policies = [policy_of(model) for model in (new, old)]
    drawn = [policy.sample(PROMPTS, 3, MIXED, key()) for policy in policies]
    assert torch.equal(drawn[0].tokens, drawn[1].tokens)
    scores = [policy.logprob(found).detach() for policy, found in zip(policies, drawn, strict=True)]
    assert (scores[0] - scores[1]).abs().max() < 1e-6


def test_a_copy_takes_the_live_parameters_place_once():
    policy = policy_of(llama(), limit=8)
    policy.keep("slow")
    perturb(policy.parameters, 1, 1.0)
    writes, plain = [], policy.write
    policy.write = lambda values: (writes.append(1), plain(values))
    drawn = policy.sample(PROMPTS, 2, SamplingSpec((("slow", 1.0),)), key())
    assert len(writes) == 2
    assert torch.equal(drawn.tokens, policy.sample(PROMPTS, 2, SamplingSpec((("reference", 1.0),)), key()).tokens)
    assert not torch.equal(drawn.tokens, policy.sample(PROMPTS, 2, CURRENT, key()).tokens)


def test_sampling_leaves_the_global_generator_alone():
    policy = moved(llama())
    state = torch.get_rng_state()
    first = policy.sample(PROMPTS, 4, MIXED, key())
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    assert torch.equal(policy.sample(PROMPTS, 4, MIXED, key()).tokens, first.tokens)
    alone = policy.sample(PROMPTS[2:], 2, MIXED, Key.of(0, "test", "transformers", 0, [2]))
    assert torch.equal(alone.tokens[0], first.tokens[2, :2])


def test_half_precision_scores_in_single():
    policy = policy_of(llama(dtype=torch.bfloat16))
    assert policy.logprob(policy.enumerate(PROMPTS)).dtype == torch.float32


REFUSED = {
    "temperature must be above 0": {"temperature": -1.0},
    "eos_ids is empty": {"eos_ids": []},
    "give decode": {"decode": None},
    "max_new_tokens and score_batch": {"limit": 0},
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_bad_policies(sentence):
    with pytest.raises(ValueError, match=sentence):
        policy_of(gpt2(), **REFUSED[sentence])


def test_randomness_inside_the_network_is_refused():
    model = gpt2()
    model.transformer.h[0].mlp.dropout.p = 0.1
    with pytest.raises(ValueError, match=r"dropout of transformer.h.0.mlp.dropout is 0.1"):
        policy_of(model)
    model = llama()
    model.model.layers[1].self_attn.attention_dropout = 0.2
    with pytest.raises(ValueError, match=r"dropout of model.layers.1.self_attn is 0.2"):
        policy_of(model)


def test_trained_biases_are_refused():
    with pytest.raises(ValueError, match="the adapter trains biases"):
        policy_of(adapted(gpt2(), bias="lora_only"))


def test_bad_prompts():
    policy = policy_of(gpt2())
    with pytest.raises(ValueError, match="there is no tokenizer"):
        policy.encode(["text"])
    with pytest.raises(ValueError, match="has no tokens"):
        policy.encode([[]])
    with pytest.raises(ValueError, match="too many to enumerate"):
        policy_of(gpt2(), limit=9).enumerate(PROMPTS)
