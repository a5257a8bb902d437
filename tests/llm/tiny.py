"""Small transformers with random weights, and policies of them on a space of 85 responses."""

import copy

import pytest
import torch

from prefsim.llm.hf import TransformersPolicy

transformers = pytest.importorskip("transformers", reason="language models are tested where transformers is installed")

LETTERS, END, VOCABULARY = "abcd", 4, 12
PROMPTS = [[7], [5, 9, 6], [8, 8, 5, 11, 10]]


def gpt2(seed=0, vocabulary=VOCABULARY, dtype=torch.float32):
    """Absolute positions."""
    torch.manual_seed(seed)
    config = transformers.GPT2Config(
        vocab_size=vocabulary, n_positions=96, n_embd=32, n_layer=2, n_head=4, resid_pdrop=0.0, embd_pdrop=0.0,
        attn_pdrop=0.0, bos_token_id=None, eos_token_id=None, initializer_range=0.2,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config).to(dtype)


def llama(seed=0, vocabulary=VOCABULARY, dtype=torch.float32):
    """Rotary positions."""
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=96, bos_token_id=None, eos_token_id=None, initializer_range=0.2,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).to(dtype)


MODELS = {"gpt2": gpt2, "llama": llama}


def adapted(model, seed=0, **settings):
    """LoRA on the attention, perturbed so that it matters."""
    peft = pytest.importorskip("peft", reason="adapters are tested where peft is installed")
    targets = ["c_attn"] if hasattr(model, "transformer") else ["q_proj", "v_proj"]
    plain = {"r": 4, "lora_alpha": 8, "target_modules": targets, "lora_dropout": 0.0, "task_type": "CAUSAL_LM"}
    model = peft.get_peft_model(model, peft.LoraConfig(**plain, **settings))
    perturb([p for p in model.parameters() if p.requires_grad], seed)
    return model


def perturb(parameters, seed=0, size=0.1):
    """Move parameters by normal noise."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in parameters:
            p.add_(size * torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p))


def spell_out(ids):
    return "".join(LETTERS[i] for i in ids if i != END)


def policy_of(model, limit=3, **settings):
    """A policy on words of at most three letters."""
    allowed = torch.arange(model.config.vocab_size) <= END
    asked = {"max_new_tokens": limit, "eos_ids": [END], "allowed": allowed, "decode": spell_out, **settings}
    return TransformersPolicy(model, **asked)


def moved(model, **settings):
    """A policy whose parameters have left the reference."""
    policy = policy_of(copy.deepcopy(model), **settings)
    perturb(policy.parameters, 1)
    return policy
