"""Sampling in ``prefsim.llm``: gradients from samples have the exact gradient as their mean, and words come as they are scored.

T2 and T2b of the ladder, on six responses with a logit each and on words of at most two or three letters. Seeds are fixed; the
bar is 4.5 standard errors. Derived (``docs/llm.md``). Needs the extra ``prefsim[llm]``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prefsim.claim import Claim, Control, Evidence

NEEDS = ("torch",)

DEVIATION = 4.5
"""Standard errors."""

REGRESSED: dict[str, tuple[Any, dict[str, Any]]] = {
    "variance, fresh": ("omd", {"m": 3, "k": 4}),
    "variance, fresh, one-bit": ("omd", {"m": 1, "k": 4, "label": "bernoulli"}),
    "variance, shared": ("omd", {"opponents": "shared"}),
    "variance, shared, three": ("omd", {"opponents": "shared", "k": 3}),
    "variance, shared, one-bit": ("omd", {"opponents": "shared", "label": "bernoulli"}),
    "variance, mixture": ("nash_md", {"m": 2}),
    "pairs, shared": ("omd", {"estimator": "pairs", "opponents": "shared", "k": 4}),
    "pairs, fresh": ("mwu", {"estimator": "pairs", "m": 1}),
    "labels": ("online_ipo_2", {}),
    "labels, one-bit": ("online_ipo_2", {"label": "bernoulli"}),
}
SCORED: dict[str, tuple[Any, dict[str, Any]]] = {
    "unpaired, fresh": ("mwu", {"estimator": "unpaired", "log_z": "half", "m": 2}),
    "unpaired, shared": ("mwu", {"estimator": "unpaired", "log_z": "half", "opponents": "shared"}),
    "policy gradient, mixture": (("nash_md_pg", {"mixture": 0.3}), {"m": 2}),
    "policy gradient, shared": ("spo", {}),
    "words, reward to go": (("nash_md_pg", {"mixture": 0.4}), {"m": 2, "words": "ab", "kl_gradient": "reward_to_go"}),
    "words, sequence": (("nash_md_pg", {"mixture": 0.4}), {"m": 2, "words": "ab", "kl_gradient": "sequence"}),
}
"""Cases of T2: estimators of differences, and those that look at one response at a time."""


def _deviation(found: list[float], label: str) -> Evidence:
    return Evidence(np.array(found), upper=DEVIATION, label=label)


def _sampled(budget: str, cases: dict[str, tuple[Any, dict[str, Any]]], case: str, changed: dict[str, Any]) -> Evidence:
    """T2: distances of mean sampled gradients from the exact ones; of all cases, or of one with switches changed."""
    from prefsim.claims._ladder_samples import deviations

    samples = {"fast": 20_000, "paper": 200_000}[budget]
    chosen = [cases[case]] if case else list(cases.values())
    found = [deviations(key, samples, **{**settings, **changed})[0].max() for key, settings in chosen]
    return _deviation(found, "largest deviation of a coordinate, in standard errors")


def _sampled_differences(budget: str, *, case: str = "", **changed: Any) -> Evidence:
    return _sampled(budget, REGRESSED, case, changed)


def _sampled_scores(budget: str, *, case: str = "", **changed: Any) -> Evidence:
    return _sampled(budget, SCORED, case, changed)


def _frequencies(budget: str, *, temperature: float = 1.0, weighted: bool = True) -> Evidence:
    """T2b: a policy over words, plain and mixed, token by token or with weights for the mixture of whole words."""
    from prefsim.claims._ladder_samples import CURRENT, MIXED, frequencies, stage

    count, found = {"fast": 50_000, "paper": 200_000}[budget], []
    for warmth in (1.0, 0.7) if weighted and temperature == 1.0 else (1.0,):
        policy = stage("abc", 3, scale=1.0, temperature=warmth).policy
        sampled = stage("abc", 3, scale=1.0, temperature=temperature * warmth).policy
        found.append(frequencies(sampled, CURRENT, count, policy).max())
        found.append(frequencies(sampled, MIXED, count, policy).max())
        found.append(frequencies(sampled, MIXED, count, policy, sequence=True, weighted=weighted).max())
    return _deviation(found, "largest deviation of a frequency, in standard errors")


CLAIMS = (
    Claim(
        "llm.sampled_differences",
        "Gradients of variance, pairs and pair_label from samples have the exact gradient as their mean.",
        "derived (T2)",
        ("independent responses", "shared opponents: win rates include the comparison with oneself, divisor k"),
        _sampled_differences,
        (Control("shared opponents without oneself, divisor k - 1", {"case": "variance, shared", "shared_divisor": "k-1"}),),
        ("omd", "online_ipo", "nash_md", "mwu"),
    ),
    Claim(
        "llm.sampled_scores",
        "Gradients of unpaired and policy_gradient from samples have the exact gradient as their mean.",
        "derived (T2)",
        ("independent responses of the policy", "shared opponents: win rates leave out the comparison with oneself"),
        _sampled_scores,
        (
            Control("oneself among the opponents", {"case": "unpaired, shared", "shared_divisor": "k", "step": 2.0}),
            Control("the same in policy_gradient", {"case": "policy gradient, shared", "shared_divisor": "k"}),
        ),
        ("mwu", "nash_md_pg", "spo"),
    ),
    Claim(
        "llm.sampled_words",
        "Words come as often as their scores say: from a policy, a mixture of tokens, and, weighted, a mixture of words.",
        "derived (T2b)",
        ("one temperature in sampling and scoring",),
        _frequencies,
        (
            Control("sampled at 0.9 times the temperature", {"temperature": 0.9}),
            Control("samples of the mixture of tokens, not weighted", {"weighted": False}),
        ),
        ("nash_md",),
    ),
)
