"""Claims about the torch adapter: supported, violated by their controls by a margin, red when the adapter is broken."""

import pytest

from prefsim.claim import all_claims, check
from prefsim.claims import llm_ladder, llm_samples
from prefsim.claims._ladder import regressed
from prefsim.llm import Key, losses, opponents

CLAIMS = {key: claim for key, claim in all_claims().items() if key.startswith("llm.")}
MARGINS = {
    "llm.tabular_iterates": 1e4,
    "llm.policy_gradient_iterates": 1e4,
    "llm.score_function": 1e8,
    "llm.solved_steps": 100,
    "llm.half_partition": 100,
}
"""By how much controls must miss their bars: 1e-6 in log-probabilities, 1e-2 of a gradient, 1e-4 in probabilities."""
WORDS = {"log-probabilities divided by length": 100, "1/2 for log Z at eta = 2, against MWU": 100}


def outcome(key):
    return CLAIMS[key].measure("fast").judge()[0]


def test_identities_and_ladder_are_there():
    assert len(CLAIMS) == 8 + 5 + 3 + 1
    assert set(regressed()) == set(CLAIMS["llm.tabular_iterates"].algorithms)


@pytest.mark.parametrize("key", CLAIMS)
def test_claim_is_supported_and_its_controls_fail(key):
    pytest.importorskip("transformers" if key == "llm.sampled_tokens" else "torch")
    verdict = check(CLAIMS[key], "fast")
    assert verdict.outcome == "supported", f"{verdict.ratio} {verdict.message}"
    assert [control.outcome for control in verdict.controls] == ["violated"] * len(CLAIMS[key].controls)
    for control in verdict.controls:
        assert control.ratio > MARGINS.get(key, WORDS.get(control.breaks, 1)), control.breaks


@pytest.mark.parametrize(
    ("measure", "change"),
    [
        (llm_ladder._iterates, {"keys": llm_ladder.GENERIC}),
        (llm_ladder._iterates, {"keys": ("egpo",), "target": "fixed_point"}),
        (llm_ladder._words, {"key": "omd"}),
        (llm_ladder._words, {"key": "nash_md"}),
        (llm_ladder._words, {"log_z": "exact"}),
        (llm_ladder._solved, {"log_z": "exact"}),
        (llm_samples._sampled_scores, {"case": "unpaired, shared", "step": 2.0}),
    ],
)
def test_controls_fail_for_their_mistake_alone(measure, change):
    assert measure("fast", **change).judge()[0] == "supported"


def scaled(factor):
    """A loss that is multiplied."""
    return lambda right: lambda *given, **settings: factor * right(*given, **settings)


@pytest.mark.parametrize(
    ("keys", "where", "name", "wrong"),
    [
        (["one_step", "policy_gradient", "natural_gradient", "loss_scale"], losses, "variance", scaled(1 + 1e-6)),
        (["score_function", "loss_scale", "policy_gradient_iterates"], losses, "policy_gradient", scaled(1 + 1e-6)),
        (["pair_labels"], losses, "pair_label", lambda right: lambda lp, a, s, b, w, hard: right(lp, a, -s, b, w, hard=hard)),
        (["label_kinds"], losses, "pair_label", lambda right: lambda lp, a, s, b, w, hard=False: right(lp, a, s, b, w)),
    ],
)  # fmt: skip
def test_a_broken_adapter_turns_claims_red(keys, where, name, wrong, monkeypatch):
    monkeypatch.setattr(where, name, wrong(getattr(where, name)))
    assert {outcome(f"llm.{key}") for key in keys} == {"violated"}


def test_a_wrong_divisor_turns_sampled_gradients_red(monkeypatch):
    right = opponents.shared_gain
    monkeypatch.setattr(opponents, "shared_gain", lambda values, keeps: right(values, not keeps))
    assert llm_samples._sampled_differences("fast", case="variance, shared").judge()[0] == "violated"
    assert llm_samples._sampled_scores("fast", case="policy gradient, shared").judge()[0] == "violated"


def test_wrong_draws_turn_frequencies_red(monkeypatch):
    """Every uniform number a little too small."""
    right = Key.uniforms
    monkeypatch.setattr(Key, "uniforms", lambda key, k, count: 0.97 * right(key, k, count))
    assert outcome("llm.sampled_words") == "violated"
