"""Theorems as objects: a quantity, its bound with constants, the experiment that measures it, and controls.

A claim's ``measure`` runs an experiment and returns :class:`Evidence`. A control calls the same function with one
argument changed so that one assumption breaks; the evidence must then *violate* the bound, or the check is worthless.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefsim import registry
from prefsim.stability import StabilityWarning

SLACK = 1e-9
"""Relative slack of an inequality: rounding, not mathematics."""

BUDGETS = ("fast", "paper")


@dataclass(frozen=True)
class Evidence:
    """A measured quantity and what the theorem says of it.

    Parameters
    ----------
    measured : array_like, shape (..., t) or (...)
        Values; for a random quantity (`confidence` given) independent runs lie on the first axis and the theorem
        speaks of their mean.
    upper, lower : array_like, optional
        Bounds, broadcast against `measured` (without its run axis if random); NaN where the theorem says nothing.
        An identity is an `upper` tolerance on its absolute residual.
    times : array_like, shape (t,), optional
        Iterations or rounds of the last axis, for the figure.
    floor : float
        Where both the value and its upper bound lie below this number, only rounding is left and nothing is compared.
    confidence : float, optional
        Joint confidence of the one-sided limits on the mean over all entries (Bonferroni), for random quantities.
    label : str
        What is measured, for the figure's axis.
    """

    measured: ArrayLike
    upper: ArrayLike | None = None
    lower: ArrayLike | None = None
    times: ArrayLike | None = None
    floor: float = 0.0
    confidence: float | None = None
    label: str = ""

    def judge(self) -> tuple[str, float]:
        """Return ``"supported"``, ``"violated"`` or ``"inconclusive"``, and the worst ratio of value to bound.

        The ratio is ``measured / upper`` or ``lower / measured``, whichever is larger, at most 1 if the bound holds.
        Random quantities are violated only if the confidence limit *nearer* the bound is beyond it, and supported only
        if the farther one is within; their ratio is that of the mean.
        """
        value, low, high = self.limits()
        if self._ratio(low, high) > 1 + SLACK:
            return "violated", self._ratio(value, value)
        outcome = "supported" if self._ratio(high, low) <= 1 + SLACK else "inconclusive"
        return outcome, self._ratio(value, value)

    def limits(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """The quantity the theorem speaks of, and its lower and upper confidence limits; all equal if not random."""
        value = np.asarray(self.measured, dtype=np.float64)
        if self.confidence is None:
            return value, value, value
        from prefsim.statistics import mean_interval

        comparisons = max(1, value[0].size) * sum(bound is not None for bound in (self.upper, self.lower))
        share = (1 - self.confidence) / comparisons
        low, high = mean_interval(value, confidence=1 - 2 * share)
        return value.mean(axis=0), low, high

    def _ratio(self, against_upper: NDArray[np.float64], against_lower: NDArray[np.float64]) -> float:
        """Worst ratio; a NaN measurement is infinitely bad, and so is comparing nothing: that check must not pass."""
        from prefsim.statistics import bound_ratio

        ratios = []
        if self.upper is not None:
            value, bound = np.broadcast_arrays(against_upper, np.asarray(self.upper, dtype=np.float64))
            rounding = (np.abs(value) <= self.floor) & (np.abs(bound) <= self.floor)
            ratios.append(bound_ratio(value, np.where(rounding, np.nan, bound)).ratio)
        if self.lower is not None:
            value, bound = np.broadcast_arrays(against_lower, np.asarray(self.lower, dtype=np.float64))
            reached = np.where(np.isnan(bound), np.nan, np.fmax(value, 0.0))
            ratios.append(bound_ratio(np.where(np.isnan(bound), 0.0, bound), reached).ratio)
        return max((ratio for ratio in ratios if not np.isnan(ratio)), default=float("inf"))


@dataclass(frozen=True)
class Control:
    """One assumption broken on purpose.

    Parameters
    ----------
    breaks : str
        Which assumption, and how.
    change : mapping
        Keyword arguments of the claim's ``measure`` that break it.
    """

    breaks: str
    change: Mapping[str, Any]


@dataclass(frozen=True)
class Claim:
    """A theorem that can be run.

    Parameters
    ----------
    key : str
        ``subject.statement``, e.g. ``"egpo.linear_rate"``; :func:`verify` selects by prefix.
    statement : str
        The theorem in one sentence, with its constants.
    source : str
        Paper and theorem, or "derived" with the place of the derivation.
    assumptions : sequence of str
        What the theorem needs and the experiment provides.
    measure : callable
        ``measure(budget, **change) -> Evidence``; `budget` is ``"fast"`` or ``"paper"``.
    controls : sequence of Control
        At least one.
    algorithms : sequence of str
        Keys of the algorithms it speaks of, for cross-references.
    asymptotic : bool
        Whether only a limit or an order is known, so that the most a finite run can be is *consistent on this window*.
    """

    key: str
    statement: str
    source: str
    assumptions: Sequence[str]
    measure: Callable[..., Evidence]
    controls: Sequence[Control]
    algorithms: Sequence[str] = ()
    asymptotic: bool = False

    def __post_init__(self) -> None:
        if not self.controls:
            raise ValueError(f"claim {self.key} has no control; a check that cannot fail is a bug.")


@dataclass(frozen=True)
class ControlResult:
    """How a control came out; it does its duty if the bound was violated."""

    breaks: str
    outcome: str
    ratio: float

    @property
    def failed_as_required(self) -> bool:
        """Whether the broken assumption broke the bound."""
        return self.outcome == "violated"


@dataclass(frozen=True)
class Verdict:
    """What running a claim said.

    Attributes
    ----------
    claim : Claim
    outcome : str
        ``"supported"``, ``"consistent on this window"``, ``"violated"``, ``"inconclusive"`` or ``"error"``.
    ratio : float
        Worst ratio of the measured quantity to its bound.
    controls : tuple of ControlResult
    seconds : float
        Wall time, controls included.
    budget : str
    evidence : Evidence or None
        For the figure.
    message : str
        What went wrong, for ``"error"``.
    """

    claim: Claim
    outcome: str
    ratio: float
    controls: tuple[ControlResult, ...]
    seconds: float
    budget: str
    evidence: Evidence | None = field(repr=False, default=None)
    message: str = ""

    @property
    def ok(self) -> bool:
        """Not contradicted, and every control failed as it must."""
        return self.outcome not in ("violated", "error") and all(c.failed_as_required for c in self.controls)


def check(claim: Claim, budget: str = "fast") -> Verdict:
    """Run one claim and its controls."""
    if budget not in BUDGETS:
        raise registry.unknown(budget, BUDGETS, "budget")
    begun = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StabilityWarning)  # claims step past limits on purpose
            evidence = claim.measure(budget)
            outcome, ratio = evidence.judge()
            controls = tuple(
                ControlResult(control.breaks, *claim.measure(budget, **control.change).judge()) for control in claim.controls
            )
    except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        # One broken claim must not cost the verdicts of the others.
        spent = time.perf_counter() - begun
        return Verdict(claim, "error", float("nan"), (), spent, budget, None, f"{type(error).__name__}: {error}")
    if outcome == "supported" and claim.asymptotic:
        outcome = "consistent on this window"
    return Verdict(claim, outcome, ratio, controls, time.perf_counter() - begun, budget, evidence)


def all_claims() -> dict[str, Claim]:
    """Every registered claim by key, but for those whose file needs a package that is not installed."""
    found: dict[str, Claim] = {}
    for name in registry.keys("claims"):
        module = registry.load("claims", name)
        for claim in () if registry.lack(module) else module.CLAIMS:
            if claim.key in found:
                raise ValueError(f"two claims have the key {claim.key!r}; rename one.")
            found[claim.key] = claim
    return found


def select(prefixes: Sequence[str]) -> list[Claim]:
    """Claims whose key starts with one of `prefixes`, all if none is given; an unknown prefix raises ValueError."""
    known = all_claims()
    for prefix in prefixes:
        if not isinstance(prefix, str):
            raise TypeError(f"verify takes claims by key, like verify('egpo', 'ucb1'); got {prefix!r}.")
        if not any(key.startswith(prefix) for key in known):
            refuse_lacking(prefix)
            raise registry.unknown(prefix, [*known, *{key.split(".")[0] for key in known}], "claim")
    return [claim for key, claim in sorted(known.items()) if not prefixes or key.startswith(tuple(prefixes))]


def refuse_lacking(prefix: str) -> None:
    """Raise ValueError if a claim whose key starts so exists, but not without a package that is not installed."""
    for key, need in registry.lacking_claims().items():
        if key.startswith(prefix):
            raise ValueError(f"{key} {need}.")


def verify(*keys: str, budget: str = "fast", progress: Callable[[Verdict], None] | None = None) -> Any:
    """Run claims and their controls.

    Parameters
    ----------
    *keys : str
        Claims whose key starts with one of these; all claims if none is given.
    budget : {"fast", "paper"}
        Seconds per claim, or the sizes of the papers.
    progress : callable, optional
        Called with each verdict as it comes.

    Returns
    -------
    prefsim.report.Report
        ``.verdicts``, ``.ok``, ``.save("report.html")``.

    Raises
    ------
    ValueError
        For an unknown key or budget, before any work starts.
    """
    from prefsim.report import Report

    if budget not in BUDGETS:
        raise registry.unknown(budget, BUDGETS, "budget")
    verdicts = []
    for claim in select(keys):
        verdict = check(claim, budget)
        verdicts.append(verdict)
        if progress:
            progress(verdict)
    return Report(tuple(verdicts))
