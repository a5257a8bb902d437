"""What the pieces of the adapter hand to each other: how text is decoded, responses, whom to sample, and the switches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from prefsim import noise, registry


class Decoding(NamedTuple):
    """Part of the policy's definition: the same in sampling and in scoring, for the policy and its reference."""

    temperature: float = 1.0
    """The policy is ``softmax(logits / temperature)``."""
    max_new_tokens: int = 64
    """A response ends here, without an end token, if it has not ended before."""
    eos_ids: tuple[int, ...] = ()
    """Tokens that end a response; the first one counts as its last token."""
    allowed: Tensor | None = None
    """Tokens that may occur at all, bool, shape (vocabulary,); None allows every one."""


class Responses(NamedTuple):
    """Responses to prompts, with what is known of them. B prompts, k responses each, T tokens at most."""

    prompts: tuple[Any, ...]
    """The B prompts."""
    tokens: Tensor
    """Token ids as they were generated, padded on the right, int64, shape (B, k, T)."""
    lengths: Tensor
    """Number of tokens, the end token counted, shape (B, k). Masks come from here, never from a padding id."""
    finished: Tensor
    """Whether the response ended in an end token, bool, shape (B, k)."""
    texts: tuple[tuple[str, ...], ...] = ()
    """What the judge reads, B tuples of k."""
    log_probs: dict[str, Tensor] = {}  # noqa: RUF012 - never changed in place
    """Log-probabilities under named policies, detached, shape (B, k)."""
    log_weights: Tensor | None = None
    """Logarithm of the weight that makes samples of a token mixture ones of the sequence mixture, shape (B, k)."""
    weights: Tensor | None = None
    """Probabilities of the measure where the responses are all there are, shape (B, k); None for samples."""

    @property
    def mask(self) -> Tensor:
        """Which positions hold a token, bool, shape (B, k, T)."""
        return torch.arange(self.tokens.shape[-1], device=self.tokens.device) < self.lengths[..., None]

    def ended(self) -> Responses:
        """Those in an end token, where the same responses to every prompt are."""
        kept = self.finished[0]
        if not kept.any():
            raise ValueError("truncation='drop' leaves no response where none can end; give truncation='open'.")
        texts = tuple(tuple(text for text, keep in zip(row, kept.tolist(), strict=True) if keep) for row in self.texts)
        fields = (self.tokens[:, kept], self.lengths[:, kept], self.finished[:, kept])
        return Responses(self.prompts, *fields, texts=texts)

    def rows(self, first: int, last: int) -> Responses:
        """Responses ``first .. last - 1`` in the order of ``(B, k)`` laid out flat, as so many prompts with one each."""
        k = self.tokens.shape[1]
        fields = (self.tokens, self.lengths, self.finished)
        tokens, lengths, finished = (field.flatten(0, 1)[first:last, None] for field in fields)
        return Responses(tuple(self.prompts[row // k] for row in range(first, last)), tokens, lengths, finished)


class SamplingSpec(NamedTuple):
    """Whom to sample: a geometric mixture of named policies, mostly of a single one."""

    weights: tuple[tuple[str, float], ...]
    """Names and their positive weights, which sum to 1."""

    @property
    def single(self) -> str:
        """The name of the only policy, or an empty string."""
        return self.weights[0][0] if len(self.weights) == 1 else ""


class Key(NamedTuple):
    """Names the random numbers of one sampling: they depend on it, the prompt, the response and the position only."""

    words: tuple[int, int]
    """Of :func:`prefsim.noise.stream_key`."""
    round: int
    """The iteration."""
    instances: tuple[int, ...]
    """Numbers of the prompts in the whole list."""

    @classmethod
    def of(cls, seed: int, name: str, stream: str, round: int, instances: Sequence[int]) -> Key:
        """Build the key of a stream at an iteration for some prompts."""
        return cls(noise.stream_key(seed, name, stream), round, tuple(int(i) for i in instances))

    def uniforms(self, k: int, count: int) -> Tensor:
        """Draws in [0, 1), float64, shape (B, k, count)."""
        drawn = noise.uniforms(self.words, np.array(self.instances)[:, None], np.arange(k), self.round, count)
        return torch.from_numpy(drawn)


class Switches(NamedTuple):
    """The choices that make a variant of a method; recorded in every result."""

    estimator: str = "variance"
    """``variance``, ``pairs``, ``pair_label``, ``unpaired``, ``soft_logistic``, ``policy_gradient`` or ``best_worst``."""
    target: str = "step"
    """``step`` regresses onto the rule's output; ``fixed_point`` divides out the weight of the reference."""
    loss_scale: float = 1.0
    """Multiplies the loss."""
    log_z: str = "estimate"
    """Of ``unpaired``: ``estimate``, ``exact``, ``half`` or ``zero``."""
    margin: float = 0.0
    """Of ``best_worst``: prompts whose best and worst win rates differ by less than this are left out."""
    log_prob: str = "sum"
    """``sum`` over tokens, or ``mean``, which is no log-policy: the minimiser changes as soon as lengths differ."""
    allow_heuristics: bool = False
    """Whether ``best_worst`` and ``mean``, which do not take a rule's step, may be asked for."""
    kl_gradient: str = "reward_to_go"
    """Of ``policy_gradient``: ``reward_to_go`` or ``sequence``."""
    truncation: str = "open"
    """``open`` scores and judges responses that hit the limit as they are; ``drop`` leaves them out, of responses and of
    opponents, and so plays the game of policies *given that they end*. A prompt with fewer than two left counts as 0."""
    behaviour: str = "current"
    """Where responses come from: ``current``, ``reference``, or ``uniform`` where they can be enumerated."""
    opponents: str = "fresh"
    """``fresh`` samples, or ``shared``: the responses themselves, where they come from the opponent."""
    shared_divisor: str = "auto"
    """Of shared opponents: ``k`` keeps the comparison with itself, ``k-1`` drops it; ``auto`` takes the unbiased one."""
    label: str = "soft"
    """``soft`` win rates, or one ``bernoulli`` draw a comparison."""
    mixture_by: str = "token"
    """A geometric mixture is taken ``token`` by token, or of ``sequence`` probabilities (by weights on samples)."""
    extragradient_batch: str = "same"
    """Responses of the second phase: the ``same`` ones, or ``fresh`` ones."""
    inner: int = 1
    """Gradient steps on one batch (at most), for methods that solve each step."""
    inner_tolerance: float = 0.0
    """The inner steps end when the gradient has shrunk to this fraction of the first one."""
    inner_solver: str = "optimizer"
    """``optimizer`` takes the policy's own; ``lbfgs`` is for small policies."""
    order_swap: bool = True
    """Whether the judge reads every pair in both orders."""
    micro_batch: int = 0
    """Responses back-propagated at a time; 0 for all. The gradient is the same."""


CHOICES: dict[str, tuple[str, ...]] = {
    "estimator": ("variance", "pairs", "pair_label", "unpaired", "soft_logistic", "policy_gradient", "best_worst"),
    "log_prob": ("sum", "mean"),
    "target": ("step", "fixed_point"),
    "log_z": ("estimate", "exact", "half", "zero"),
    "truncation": ("open", "drop"),
    "kl_gradient": ("reward_to_go", "sequence"),
    "behaviour": ("current", "reference", "uniform"),
    "opponents": ("fresh", "shared"),
    "shared_divisor": ("auto", "k", "k-1"),
    "label": ("soft", "bernoulli"),
    "mixture_by": ("token", "sequence"),
    "extragradient_batch": ("same", "fresh"),
    "inner_solver": ("optimizer", "lbfgs"),
}
"""What the switches that are words may be, the default first but for methods with one of their own."""


HEURISTICS: dict[str, str] = {"estimator": "best_worst", "log_prob": "mean"}
"""Switches and their values that do not take a rule's step."""


def heuristics(switches: Switches) -> list[str]:
    """Heuristics in force, as text."""
    return [f"{name}={value}" for name, value in HEURISTICS.items() if getattr(switches, name) == value]


def check_switches(switches: Switches) -> None:
    """Refuse values no switch has; raises ValueError, naming the switch."""
    for name, known in CHOICES.items():
        if getattr(switches, name) not in known:
            raise registry.unknown(getattr(switches, name), known, f"{name}:")
    used = heuristics(switches)
    if used and not switches.allow_heuristics:
        raise ValueError(
            f"{' and '.join(used)} does not take the rule's step but ends in another policy; give "
            "allow_heuristics=True to have it all the same, or leave it out."
        )
    if switches.log_prob == "mean" and switches.estimator in ("unpaired", "policy_gradient"):
        raise ValueError(f"log_prob='mean' has no form for {switches.estimator}; give another estimator, or log_prob='sum'.")
    if switches.truncation == "drop" and switches.estimator in ("unpaired", "policy_gradient"):
        raise ValueError(
            f"truncation='drop' changes log-probabilities by a constant, which {switches.estimator} sees and differences do "
            "not; give another estimator, or truncation='open'."
        )
    if not switches.margin >= 0:
        raise ValueError(f"margin must be a difference of win rates, at least 0; got {switches.margin:g}.")
    if switches.inner < 1:
        raise ValueError(f"inner must be at least 1 gradient step; got {switches.inner}.")
    if switches.micro_batch < 0:
        raise ValueError(f"micro_batch must be 0 (everything at once) or more responses; got {switches.micro_batch}.")
    if not switches.loss_scale > 0:
        raise ValueError(f"loss_scale must be above 0; got {switches.loss_scale:g}.")
    if not 0 <= switches.inner_tolerance < 1:
        raise ValueError(f"inner_tolerance is a fraction in [0, 1); got {switches.inner_tolerance:g}.")


def spell(letters: int, limit: int, ends: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Every response over an alphabet: tokens (n, limit), lengths (n,) and whether it ended (n,).

    Letters are ``0 .. letters - 1`` and the end token is ``letters``. With an end token: all responses of fewer than
    `limit` letters that end in it, shortest first, then all of `limit` letters; without: the latter alone.
    """
    rows, lengths, finished = [], [], []
    for size in range(0 if ends else limit, limit + 1):
        count, ended = letters**size, size < limit
        padded = torch.zeros(count, limit, dtype=torch.int64)
        padded[:, :size] = torch.arange(count)[:, None] // letters ** torch.arange(size).flip(0) % letters
        if ended:
            padded[:, size] = letters
        rows.append(padded)
        lengths.append(torch.full((count,), size + ended))
        finished.append(torch.full((count,), ended))
    return torch.cat(rows), torch.cat(lengths), torch.cat(finished)
