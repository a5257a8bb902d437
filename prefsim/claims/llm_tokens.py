"""Sampling from language models: what is drawn is what is scored (T2b of the ladder of ``prefsim.llm``).

The model is a small Llama with random weights, moved away from its reference. Derived; ``docs/llm.md`` says why a final gap
would barely show these mistakes. Needs the extra ``prefsim[llm]``.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import numpy as np

from prefsim.claim import Claim, Control, Evidence
from prefsim.claims.llm_samples import DEVIATION

NEEDS = ("torch", "transformers")

PROMPT = "go"


@cache
def _policy(letters: str, limit: int, temperature: float) -> Any:
    """A policy over the words of some letters, or of all tokens, away from its reference."""
    import torch

    from prefsim.llm import TransformersPolicy
    from prefsim.llm.tiny import tiny

    model, tokenizer = tiny()
    allowed = torch.ones(tokenizer.size, dtype=torch.bool)
    if letters:
        allowed[:] = False
        allowed[[*letters.encode(), tokenizer.eos_token_id]] = True
    policy = TransformersPolicy(
        model, tokenizer, temperature=temperature, max_new_tokens=limit, allowed=allowed, score_batch=4096
    )
    generator = torch.Generator().manual_seed(1)
    noise = [0.1 * torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p) for p in policy.parameters]
    policy.write([p + change for p, change in zip(policy.read(), noise, strict=True)])
    return policy


def _frequencies(budget: str, *, temperature: float = 1.0, mistake: str = "") -> Evidence:
    from prefsim.claims._ladder_mistakes import MISTAKES
    from prefsim.claims._ladder_samples import CURRENT, MIXED, frequencies

    count = {"fast": 20_000, "paper": 50_000}[budget]
    cases = [(1.0, CURRENT), (0.7, MIXED), (0.7, CURRENT), (1.0, MIXED)][: {"fast": 2, "paper": 4}[budget]]
    with MISTAKES[mistake]():
        found = [frequencies(_policy("", 1, 1.0), CURRENT, count, prompt=PROMPT).max()]
    for warmth, spec in cases[: 0 if mistake else 1 if temperature != 1.0 else None]:
        policy = _policy("abcd", 3, warmth)
        sampled = copy.copy(policy)
        sampled.decoding = policy.decoding._replace(temperature=temperature * warmth)
        found.append(frequencies(sampled, spec, count, policy, PROMPT).max())
    return Evidence(np.array(found), upper=DEVIATION, label="largest deviation of a frequency, in standard errors")


CLAIMS = (
    Claim(
        "llm.sampled_tokens",
        "A language model's responses come as often as their scores say, plain and mixed token by token, at any temperature.",
        "derived (T2b)",
        ("one temperature and one set of allowed tokens in sampling and scoring", "caches and padding change nothing"),
        _frequencies,
        (
            Control("sampled at 0.9 times the temperature", {"temperature": 0.9}),
            Control("a default top_k = 50 is left in place", {"mistake": "cut vocabulary"}),
        ),
        ("nash_md",),
    ),
)
