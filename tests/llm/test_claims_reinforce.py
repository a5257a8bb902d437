"""Claims about group-relative REINFORCE: supported, their controls violated, red when the functions are broken."""

from __future__ import annotations

import numpy as np
import pytest

from prefsim.claim import all_claims, check
from prefsim.llm import reinforce

CLAIMS = {key: claim for key, claim in all_claims().items() if key.startswith("reinforce.")}


def outcome(key):
    return CLAIMS[key].measure("fast").judge()[0]


def test_there_is_a_claim_for_each_identity():
    assert len(CLAIMS) == 6


@pytest.mark.parametrize("key", CLAIMS)
def test_claim_is_supported_and_its_controls_fail(key):
    verdict = check(CLAIMS[key], "fast")
    assert verdict.outcome == "supported", f"{verdict.ratio} {verdict.message}"
    assert [control.outcome for control in verdict.controls] == ["violated"] * len(CLAIMS[key].controls)


@pytest.mark.parametrize(
    ("keys", "name", "wrong"),
    [
        (["asymre_limit", "topr_share"], "asymre_advantages", lambda right: lambda r, **given: right(r + 0.1, **given)),
        (["topr_share"], "topr_weights", lambda right: lambda r, lp, old: np.where(r > 0, 1.0, 0.9)),
        (["backward"], "backward_rewards", lambda right: lambda seen, r0, r1: right(seen, r0, r1) * (1 - r0)),
        (["forward", "forward_gradient"], "forward_weights", lambda right: lambda seen, r1: 0.9 * right(seen, r1)),
        (["forward"], "forward_weights", lambda right: lambda seen, r1: right(seen, r1) + 0.01),
        (["bnpo_normaliser"], "bnpo_advantages", lambda right: lambda r, parameters: right(r, parameters=(1.4, 1.5))),
    ],
)
def test_broken_functions_turn_claims_red(keys, name, wrong, monkeypatch):
    monkeypatch.setattr(reinforce, name, wrong(getattr(reinforce, name)))
    assert {outcome(f"reinforce.{key}") for key in keys} == {"violated"}
