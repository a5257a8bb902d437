"""Preference oracles: whatever says how likely one response is preferred to another, and the judge that wraps it.

An oracle has ``win_matrix(prompt, A, B)``, the probabilities ``(len(A), len(B))`` that a text of `A` is preferred to one of
`B`, and ``payoff``: whether the game is played for ``"probability"`` or ``"log_odds"``, which have different equilibria.
Training sees it only through :class:`Judge`, which checks it and makes it antisymmetric.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from prefsim.llm import parallel

TOLERANCE = 1e-6
"""Largest |P(a > b) + P(b > a) - 1| that is taken for rounding where the judge is not asked in both orders."""


class PreferenceOracle(Protocol):
    """What a judge of responses must offer; ``transitive = True`` where a scalar score is all there is."""

    payoff: str

    def win_matrix(self, prompt: Any, a: Sequence[str], b: Sequence[str]) -> Tensor:
        """Probabilities that texts of `a` are preferred to texts of `b`, shape (len(a), len(b))."""


class _Oracle:
    """An oracle from a function."""

    def __init__(self, function: Callable[..., Any], payoff: str, transitive: bool, kind: str) -> None:
        if payoff not in ("probability", "log_odds"):
            raise ValueError(f"payoff must be 'probability' or 'log_odds'; got {payoff!r}.")
        self.function, self.payoff, self.transitive, self.kind = function, payoff, transitive, kind

    def win_matrix(self, prompt: Any, a: Sequence[str], b: Sequence[str]) -> Tensor:
        """As :meth:`PreferenceOracle.win_matrix`."""
        return torch.as_tensor(self.function(prompt, a, b))


def from_callable(function: Callable[..., Any], *, payoff: str = "probability") -> PreferenceOracle:
    """Make an oracle of ``function(prompt, a, b)``, which returns the win matrix of two lists of texts."""
    return _Oracle(function, payoff, False, "callable")


def matrix(preference: Any, names: Sequence[str] | None = None, *, payoff: str = "probability") -> PreferenceOracle:
    """Oracle of an enumerable game.

    Parameters
    ----------
    preference : array_like, shape (n, n) or (prompts, n, n)
        ``P[i, j]``, the probability that response `i` is preferred to `j`. With prompts, these are numbers.
    names : sequence of str, optional
        Texts of the responses; ``"0", "1", ...`` if omitted.
    payoff : {"probability", "log_odds"}
        What is played for.
    """
    table = torch.tensor(np.array(preference, dtype=np.float64))
    known = {name: i for i, name in enumerate(names or map(str, range(table.shape[-1])))}

    def look_up(prompt: Any, a: Sequence[str], b: Sequence[str]) -> Tensor:
        strange = next((text for text in (*a, *b) if text not in known), None)
        if strange is not None:
            raise ValueError(f"the game has no response {strange!r}; name all of them.")
        rows, columns = ([known[text] for text in texts] for texts in (a, b))
        return (table if table.ndim == 2 else table[prompt])[rows][:, columns]

    return _Oracle(look_up, payoff, False, "matrix")


def from_scores(
    scores: Callable[[Any, Sequence[str]], Any], scale: float = 1.0, *, payoff: str = "probability"
) -> PreferenceOracle:
    """Wrap a scalar reward model: ``sigmoid((f(a) - f(b)) / scale)``, ``f = scores(prompt, texts)``. It is transitive."""
    if not scale > 0:
        raise ValueError(f"scale must be above 0; got {scale:g}.")

    def compare(prompt: Any, a: Sequence[str], b: Sequence[str]) -> Tensor:
        first, second = (torch.as_tensor(scores(prompt, texts)).double() for texts in (a, b))
        return torch.sigmoid((first[:, None] - second) / scale)

    return _Oracle(compare, payoff, True, "scores")


def _named(prompt: Any) -> Any:
    """What a prompt is remembered by; chats and lists of ids are spelled out."""
    return prompt if isinstance(prompt, (str, int)) else repr(prompt)


class Committee(_Oracle):
    """Several criteria that vote; made by :func:`committee`."""

    def __init__(self, criteria: Sequence[Any], weights: Sequence[float] | None, kappa: float, payoff: str) -> None:
        given = torch.ones(len(criteria)) if weights is None else torch.as_tensor(weights)
        if len(given) != len(criteria) or not len(criteria) or given.min() < 0 or not given.sum() > 0:
            raise ValueError(f"weights must give each of the {len(criteria)} criteria a number >= 0; got {weights!r}.")
        if not kappa > 0:
            raise ValueError(f"kappa must be above 0; got {kappa:g}.")
        self.criteria, self.kappa = criteria, kappa
        self.shares = given.double() / given.sum()
        self.scales: dict[Any, Tensor] = {}
        super().__init__(self._vote, payoff, len(criteria) == 1, "committee")

    def _score(self, prompt: Any, texts: Sequence[str]) -> Tensor:
        return torch.stack([torch.as_tensor(criterion(prompt, texts)).double() for criterion in self.criteria])

    def calibrate(self, prompt: Any, texts: Sequence[str]) -> None:
        """Fix the criteria's scales for a prompt: their standard deviations over some texts, 1 where nothing varies."""
        spread = self._score(prompt, texts).std(dim=-1)
        self.scales[_named(prompt)] = torch.where(spread > 0, spread, 1.0)

    def _vote(self, prompt: Any, a: Sequence[str], b: Sequence[str]) -> Tensor:
        scale = self.scales.get(_named(prompt), torch.ones(len(self.criteria), dtype=torch.float64))[:, None, None]
        difference = self._score(prompt, a)[:, :, None] - self._score(prompt, b)[:, None, :]
        return torch.einsum("c,cab->ab", self.shares, torch.sigmoid(self.kappa * difference / scale))


def committee(
    criteria: Sequence[Callable[[Any, Sequence[str]], Any]],
    weights: Sequence[float] | None = None,
    kappa: float = 1.0,
    *,
    payoff: str = "probability",
) -> Committee:
    """Criteria that vote: ``sum_c w_c sigmoid(kappa (f_c(a) - f_c(b)) / scale_c)``, which need not be transitive.

    Probabilities are averaged; an average of log-odds would collapse to one score. The scales are 1 until
    ``calibrate(prompt, texts)`` fixes them for a prompt; never from the texts being judged, or the preference of a pair
    would depend on its company.

    Parameters
    ----------
    criteria : sequence of callable
        Each ``f(prompt, texts)`` returns a number a text.
    weights : sequence of float, optional
        Of the votes, >= 0; equal if omitted.
    kappa : float
        Steepness of a vote.
    payoff : {"probability", "log_odds"}
        What is played for.
    """
    return Committee(criteria, weights, kappa, payoff)


def embedding_head(
    embed: Callable[[Any, Sequence[str]], Any], strengths: Sequence[float], *, payoff: str = "probability"
) -> PreferenceOracle:
    """General preference model: log-odds ``sum_l s_l (u_{2l-1} v_{2l} - u_{2l} v_{2l-1})``, `u` of the first response.

    Parameters
    ----------
    embed : callable
        ``embed(prompt, texts)`` returns vectors, shape (texts, 2 L).
    strengths : sequence of float
        ``s``, one for each of the L planes. One plane with ``u = (r, 1)`` is Bradley-Terry with score ``r``.
    payoff : {"probability", "log_odds"}
        What is played for. Source: Zhang et al. 2024, arXiv 2410.02197.
    """
    planes = torch.as_tensor(strengths, dtype=torch.float64)

    def compare(prompt: Any, a: Sequence[str], b: Sequence[str]) -> Tensor:
        u, v = (torch.as_tensor(embed(prompt, texts)).double() for texts in (a, b))
        if u.shape[-1] != 2 * len(planes):
            raise ValueError(f"embed must return {2 * len(planes)} numbers a text, two a plane; got {u.shape[-1]}.")
        first = torch.einsum("l,al,bl->ab", planes, u[:, 0::2], v[:, 1::2])
        return torch.sigmoid(first - torch.einsum("l,al,bl->ab", planes, u[:, 1::2], v[:, 0::2]))

    return _Oracle(compare, payoff, False, "embedding_head")


class Judge:
    """An oracle as training sees it: checked, antisymmetric, remembered and counted.

    Parameters
    ----------
    oracle : PreferenceOracle
        What is asked.
    order_swap : bool
        Ask every pair in both orders and average, ``(J(a, b) + 1 - J(b, a)) / 2``, which removes a bias towards the
        first or the second place.

    Attributes
    ----------
    comparisons : int
        Ordered pairs the oracle was asked for.
    """

    def __init__(self, oracle: PreferenceOracle, *, order_swap: bool = True) -> None:
        for name in ("payoff", "win_matrix"):
            if not hasattr(oracle, name):
                raise TypeError(f"the oracle {oracle!r} has no {name}; wrap a function in ps.llm.from_callable.")
        self.oracle, self.order_swap = oracle, order_swap
        self.comparisons = 0
        self.known: dict[tuple[Any, str, str], float] = {}
        self._inconsistent = [0.0, 0]

    @property
    def inconsistency(self) -> float:
        """Mean of ``|J(a, b) + J(b, a) - 1|`` over the pairs asked in both orders; NaN if there are none."""
        total, count = self._inconsistent
        return total / count if count else float("nan")

    def win_matrix(self, prompt: Any, a: Sequence[str], b: Sequence[str]) -> Tensor:
        """Probabilities, float64, shape (len(a), len(b)); 1/2 for equal texts, and ``W(a, b) + W(b, a)^T = 1``.

        Raises
        ------
        ValueError
            If the oracle's numbers are not finite, outside [0, 1], of another shape, or not antisymmetric while it is
            asked in one order only.
        """
        name = _named(prompt)
        missing = {(x, y) for x in a for y in b if x != y and (name, x, y) not in self.known}
        if missing:
            rows, columns = (list(dict.fromkeys(side)) for side in zip(*sorted(missing), strict=True))
            self._learn(prompt, rows, columns)
        found = [[0.5 if x == y else self.known[name, x, y] for y in b] for x in a]
        return torch.tensor(found, dtype=torch.float64)

    def gains(self, prompt: Any, a: Sequence[str], b: Sequence[str]) -> Tensor:
        """What the game is played for, shape (len(a), len(b)): win rates, or log-odds, which need wins below 1."""
        wins = self.win_matrix(prompt, a, b)
        if self.oracle.payoff != "log_odds":
            return wins
        if wins.min() == 0 or wins.max() == 1:
            raise ValueError(f"log-odds are infinite where a win is certain, as on {prompt!r}; play for probabilities.")
        return torch.logit(wins)

    def state(self) -> dict[str, Any]:
        """What it remembers and has counted, for a checkpoint."""
        return {"comparisons": self.comparisons, "known": self.known, "inconsistent": self._inconsistent}

    def load_state(self, state: dict[str, Any]) -> None:
        """Return to what :meth:`state` gave."""
        self.comparisons, self.known, self._inconsistent = state["comparisons"], state["known"], state["inconsistent"]

    @contextmanager
    def together(self) -> Iterator[None]:
        """Judge in all processes at once; afterwards each knows, and has counted, what any of them was asked."""
        known, asked, (total, count) = len(self.known), self.comparisons, self._inconsistent
        yield
        if parallel.count() == 1:
            return
        news = dict(islice(self.known.items(), known, None))
        here = (news, self.comparisons - asked, self._inconsistent[0] - total, self._inconsistent[1] - count)
        learned, comparisons, totals, counts = zip(*parallel.gather(here), strict=True)
        for each in reversed(learned):  # where two were asked the same, the first counts
            self.known.update(each)
        self.comparisons = asked + sum(comparisons)
        self._inconsistent = [total + sum(totals), count + sum(counts)]

    def _learn(self, prompt: Any, rows: list[str], columns: list[str]) -> None:
        wins = self._ask(prompt, rows, columns)
        if self.order_swap:
            swapped = 1 - self._ask(prompt, columns, rows).T
            different = torch.tensor([[x != y for y in columns] for x in rows])
            self._inconsistent[0] += (wins - swapped)[different].abs().sum().item()
            self._inconsistent[1] += int(different.sum())
            wins = (wins + swapped) / 2
        name = _named(prompt)
        for x, row in zip(rows, wins.tolist(), strict=True):
            for y, value in zip(columns, row, strict=True):
                before = self.known.setdefault((name, x, y), value)
                if x != y and not self.order_swap and abs(before - value) > TOLERANCE:
                    raise ValueError(
                        f"the oracle gives {x!r} over {y!r} the probability {value:.6g}, and {1 - before:.6g} the other way "
                        "round; they must sum to 1. Give order_swap=True, which asks in both orders and averages."
                    )
                self.known[name, y, x] = 1 - before

    def _ask(self, prompt: Any, a: list[str], b: list[str]) -> Tensor:
        wins = torch.as_tensor(self.oracle.win_matrix(prompt, a, b)).detach().double().cpu()
        self.comparisons += len(a) * len(b)
        if wins.shape != (len(a), len(b)):
            raise ValueError(f"the oracle returned shape {tuple(wins.shape)} for {len(a)} by {len(b)} texts.")
        if not torch.isfinite(wins).all() or wins.min() < 0 or wins.max() > 1:
            raise ValueError(
                f"the oracle must return probabilities in [0, 1]; got values from {wins.min():g} to {wins.max():g} "
                f"on the prompt {prompt!r}."
            )
        return wins
