"""What a solver sees of the game: exact win rates, or estimates from samples, duels or noise. Same rules, another oracle.

Every estimate is unbiased for the win rates ``P(y > q) = 1/2 + (A q)_y`` against the opponent ``q`` the rule names. Its
randomness is a stream of its own, counted by iteration and phase, so that it does not depend on the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

from prefsim.noise import normal, uniform
from prefsim.ops import draw

KINDS = ("exact", "sampled", "duels", "noisy")


class Feedback(NamedTuple):
    """How win rates are observed.

    Attributes
    ----------
    kind : str
        ``"exact"``; ``"sampled"``: the mean of ``P(y > y')`` over `samples` opponents ``y' ~ q``, shared by all
        actions; ``"duels"``: for every action `samples` duels of one bit each, against fresh opponents; ``"noisy"``:
        exact plus independent normal noise of standard deviation `scale`.
    samples : int
        Opponents or duels an evaluation (an action, for duels).
    scale : float
        Standard deviation of the noise.
    """

    kind: str = "exact"
    samples: int = 1
    scale: float = 0.1

    @classmethod
    def parse(cls, item: Any) -> Feedback:
        """Read ``"duels"``, ``"sampled:samples=8"``, ``("noisy", {"scale": 0.2})``, a mapping with ``kind``, or a Feedback.

        Raises
        ------
        TypeError, ValueError
            Naming the entry that cannot be used.
        """
        from prefsim.experiment import Spec, whole
        from prefsim.registry import unknown

        if isinstance(item, Feedback):
            return item
        if isinstance(item, Mapping):
            item = (item.get("kind", "exact"), {k: v for k, v in item.items() if k != "kind"})
        if not isinstance(item, (str, tuple, list)):
            kinds = ", ".join(KINDS)
            raise TypeError(f'feedback is one of {kinds}, or a pair like ("sampled", {{"samples": 8}}); got {item!r}.')
        spec = Spec.parse(item)
        if spec.key not in KINDS:
            raise unknown(spec.key, KINDS, "feedback")
        for name in spec.hyper:
            if name not in ("samples", "scale"):
                raise unknown(name, ["samples", "scale"], "setting of feedback:")
        samples = whole("samples", spec.hyper.get("samples", 1), 1, None)
        scale = float(spec.hyper.get("scale", 0.1))
        if not 0 < scale < float("inf"):
            raise ValueError(f"scale must be a positive standard deviation; got {scale:g}.")
        return cls(spec.key, samples, scale)

    def queries(self, actions: int) -> int:
        """Preference queries one win-rate vector costs, in `unit`: all of ``P``, or `samples` of each action.

        What is asked again counts again, in exact feedback too: nothing is remembered from one vector to the next.
        """
        return actions * (self.samples if self.kind in ("sampled", "duels") else actions)

    @property
    def unit(self) -> str:
        """What a query returns: one probability, an entry of ``P``, or one bit, the winner of a duel."""
        return "duels" if self.kind == "duels" else "entries of P"


def evaluations(solver: ModuleType) -> float:
    """Win-rate vectors ``P(. > q)`` a solver asks for in an iteration; one is a gradient of the game's value.

    ``PHASES`` where it gives opponent and target, else what its file declares as ``EVALUATIONS``: 1 unless it says
    otherwise, NaN where the number depends on the game. Times :meth:`Feedback.queries` it is the cost of an iteration.
    """
    return float(getattr(solver, "EVALUATIONS" if hasattr(solver, "step") else "PHASES", 1))


class Oracle(NamedTuple):
    """A :class:`Feedback` as the engines take it: numbers, and the key of its random stream."""

    kind: int = 0
    """Index into `KINDS`."""
    samples: int = 1
    scale: float = 0.0
    key0: int = 0
    key1: int = 0


def estimate(kind, samples, scale, payoff, policy, noise, gain):  # type: ignore[no-untyped-def]
    """Fill `gain` with an estimate of ``A q`` for one row; `kind` is an index into `KINDS`.

    ``payoff`` (n, n), ``policy`` (n,) probabilities up to rounding, ``noise`` a handle at the right round.
    """
    n = len(policy)
    total = 0.0
    for y in range(n):
        total += policy[y]
    for y in range(n):
        gain[y] = 0.0
    if kind == 1:
        for _ in range(samples):
            j = draw(policy, total, noise)
            for y in range(n):
                gain[y] += payoff[y, j] / samples
    elif kind == 2:
        for y in range(n):
            for _ in range(samples):
                j = draw(policy, total, noise)
                won = 0.5 if uniform(noise) < 0.5 + payoff[y, j] else -0.5
                gain[y] += won / samples
    else:
        for y in range(n):
            for j in range(n):
                gain[y] += payoff[y, j] * policy[j] / total
            gain[y] += scale * normal(noise)
