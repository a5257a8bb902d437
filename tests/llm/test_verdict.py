"""Verdict tokens become preferences that no place in the order can bend."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: install prefsim[llm].")
pytest.importorskip("array_api_compat", reason="needs array-api-compat: install prefsim[llm].")
from prefsim.llm.verdict import first_preferred, verdict  # noqa: E402

RNG = np.random.default_rng(2)
A, B, TIE, A2, B2, TIE2 = RNG.normal(-2, 1.5, size=(6, 40))


def test_verdict_tokens_are_renormalised():
    np.testing.assert_allclose(first_preferred(A, B), np.exp(A) / (np.exp(A) + np.exp(B)), rtol=1e-14)
    np.testing.assert_allclose(first_preferred(A - 900, B - 900), first_preferred(A, B), rtol=1e-12)
    half = (np.exp(A) + np.exp(TIE) / 2) / (np.exp(A) + np.exp(B) + np.exp(TIE))
    np.testing.assert_allclose(first_preferred(A, B, TIE), half, rtol=1e-14)
    np.testing.assert_allclose(first_preferred(A, B, TIE) + first_preferred(B, A, TIE), 1, rtol=1e-14)
    none = np.array([-np.inf])
    assert first_preferred(none, none, np.zeros(1)) == 0.5  # a tie and nothing else
    assert first_preferred(np.zeros(1), none) == 1 and first_preferred(none, np.zeros(1)) == 0


def test_both_orders_are_averaged():
    found = verdict(A, B, A2, B2, TIE, TIE2)
    shown, swapped = first_preferred(A, B, TIE), first_preferred(A2, B2, TIE2)
    np.testing.assert_allclose(found.probability, (shown + (1 - swapped)) / 2, rtol=1e-14)
    np.testing.assert_allclose(found.inconsistency, np.abs(shown - (1 - swapped)), rtol=1e-12)
    totals = [np.exp(a) + np.exp(b) + np.exp(t) for a, b, t in ((A, B, TIE), (A2, B2, TIE2))]
    np.testing.assert_allclose(found.mass, np.minimum(*totals), rtol=1e-13)
    # Pairs asked the other way round: the same answer, antisymmetric to rounding.
    other = verdict(A2, B2, A, B, TIE2, TIE)
    np.testing.assert_allclose(found.probability + other.probability, 1, rtol=1e-15)


def test_a_bias_towards_a_place_cancels():
    merit, bias = RNG.normal(size=(2, 30))
    biased = verdict(merit + bias, 0 * merit, -merit + bias, 0 * merit)  # log-odds of the first place are raised
    only = verdict(bias, 0 * bias, bias, 0 * bias)
    np.testing.assert_allclose(only.probability, 0.5, atol=1e-15)
    assert ((biased.probability > 0.5) == (merit > 0)).all()
    consistent = verdict(merit, 0 * merit, 0 * merit, merit)
    np.testing.assert_allclose(consistent.probability, 1 / (1 + np.exp(-merit)), rtol=1e-14)
    assert consistent.inconsistency.max() < 1e-15
    # The swapped order read as if it were not: a judge without bias seems to have nothing else.
    assert verdict(merit, 0 * merit, merit, 0 * merit).inconsistency.min() > 1e-3


def test_tensors_give_the_same():
    plain, tensors = verdict(A, B, A2, B2, TIE, TIE2), verdict(*map(torch.tensor, (A, B, A2, B2, TIE, TIE2)))
    for one, other in zip(plain, tensors, strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: first_preferred(np.full(2, -np.inf), np.full(2, -np.inf)), "a pair has no verdict"),
        (lambda: first_preferred(np.array([np.nan]), np.zeros(1)), "not NaN"),
        (lambda: first_preferred(np.zeros(2), np.zeros(3)), "these must have one shape"),
        (lambda: verdict(A, B, A2[:3], B2[:3]), "these must have one shape"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
