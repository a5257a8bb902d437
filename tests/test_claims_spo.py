"""Self-play with any learner: the identity of gap and regret, and the learners' bounds, each with a mistake that shows."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from prefsim.claim import check
from prefsim.claims.spo import CLAIMS

BY_KEY = {claim.key: claim for claim in CLAIMS}


@pytest.mark.parametrize("key", BY_KEY)
def test_claim_is_supported_and_its_controls_fail(key):
    verdict = check(BY_KEY[key], "fast")
    assert verdict.outcome == "supported", f"{verdict.ratio} {verdict.message}"
    assert [control.outcome for control in verdict.controls] == ["violated"] * len(BY_KEY[key].controls)


def test_bounds_a_tenth_smaller_are_refuted():
    evidence = BY_KEY["spo.learner_bounds"].measure("fast")
    assert replace(evidence, upper=0.9 * np.asarray(evidence.upper)).judge()[0] == "violated"


def test_a_learner_that_follows_its_losses_breaks_its_bound(monkeypatch):
    rule = import_module("prefsim.solvers.regret_matching_plus")
    right = rule.win_rates
    monkeypatch.setattr(rule, "win_rates", lambda preference, log_policy: 1 - right(preference, log_policy))
    assert BY_KEY["spo.learner_bounds"].measure("fast").judge()[0] == "violated"
    # The identity asks nothing of the learner.
    assert BY_KEY["spo.any_learner"].measure("fast").judge()[0] == "supported"


def test_the_factor_is_two(monkeypatch):
    module = import_module("prefsim.claims.spo")
    inner = module.on.inner
    monkeypatch.setattr(module.on, "inner", lambda u, v: inner(u, v) + 1e-9)  # a regret off by 1e-9 a round
    assert BY_KEY["spo.any_learner"].measure("fast").judge()[0] == "violated"
