"""Single gradient steps of the torch adapter and samples from its policies; loaded where torch is installed.

Every prompt has a table of its own, all alike, so one training step on thousands of prompts leaves thousands of independent
gradients in the tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from prefsim.claims._instances import Floats
from prefsim.claims._ladder import BETA, games, one_thread
from prefsim.game import PreferenceGame
from prefsim.llm import Judge, Key, LogitsPolicy, Policy, PrefixPolicy, SamplingSpec, matrix
from prefsim.llm.methods import setup
from prefsim.llm.train import Training

CURRENT = SamplingSpec((("current", 1.0),))
MIXED = SamplingSpec((("current", 0.6), ("reference", 0.4)))
RARE = 25
"""Responses expected less often than this share a cell."""


class _Table(Judge):
    """A judge of one game for all prompts, asked without the checks and the memory that thousands of prompts make costly."""

    def gains(self, prompt: Any, a: Sequence[str], b: Sequence[str]) -> Tensor:
        """As :meth:`Judge.gains`."""
        return self.oracle.win_matrix(0, a, b)


class Stage(NamedTuple):
    """A small policy away from its reference, and its game."""

    policy: PrefixPolicy
    game: PreferenceGame
    names: Sequence[str]


def stage(
    words: str = "", limit: int = 2, *, prompts: int = 1, scale: float = 0.6, rate: float = 1.0, temperature: float = 1.0
) -> Stage:
    """Six responses with a logit each, or the words over some letters; plain gradient descent at `rate` a prompt."""

    def optimizer(parameters: list[Tensor]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=rate * prompts)

    settings: dict[str, Any] = {"prompts": prompts, "optimizer": optimizer, "temperature": temperature}
    policy: PrefixPolicy
    if words:
        rows = sum(len(words) ** size for size in range(limit))
        logits = torch.tensor(np.random.default_rng(3).normal(scale=0.6, size=(1, rows, len(words) + 1)))
        policy = PrefixPolicy(words, limit, reference=logits.repeat(prompts, 1, 1), **settings)
    else:
        policy = LogitsPolicy(6, torch.tensor(np.array(games(6, count=1).log_reference[0])), **settings)
    space = policy.enumerate([0])
    with torch.no_grad():
        reference = policy.logprob_ref(space)[0].numpy()
    noise = np.random.default_rng(5).normal(scale=scale, size=policy.table[0].shape)
    policy.write([policy.table + torch.tensor(noise)])
    game = games(len(reference), count=1).replace(log_reference=reference)
    return Stage(policy, game, space.texts[0])


@one_thread()
def moved(where: Stage, algorithm: Any, exact: bool = True, k: int = 2, m: int | None = None, **settings: Any) -> Floats:
    """Changes of the tables by one iteration of a method, shape (prompts, entries); exact win rates for ``exact``."""
    chosen = setup(algorithm, BETA, settings)
    if exact and chosen.switches.estimator != "pair_label":
        # Exact win rates are the means of the coins.
        chosen = chosen._replace(switches=chosen.switches._replace(label="soft"))
    policy, before = where.policy, where.policy.read()[0]
    judge = _Table(matrix(where.game.preference[0], names=where.names))
    run = Training(policy, list(range(len(before))), judge, chosen, BETA)
    run.configure(k, k if m is None else m, None, "exact" if exact else "sampled", 11, "llm")
    run.iterate(0)
    return (policy.read()[0] - before).flatten(1).numpy()


def deviations(
    algorithm: Any, samples: int = 20_000, k: int = 2, words: str = "", share: float = 1.0, **settings: Any
) -> tuple[Floats, float]:
    """Distance of the mean sampled gradient from (a share of) the exact one: in standard errors, and the relative norm."""
    prompts = samples // k
    exact = share * moved(stage(words), algorithm, k=k, **settings)[0]
    found = moved(stage(words, prompts=prompts), algorithm, exact=False, k=k, **settings)
    spread = found.std(axis=0, ddof=1) / prompts**0.5
    some = spread > 0
    away = np.abs(found.mean(axis=0) - exact)
    return away[some] / spread[some], float(np.linalg.norm(away) / np.linalg.norm(exact))


@one_thread()
def frequencies(
    sampled: Policy,
    spec: SamplingSpec,
    count: int,
    scored: Policy | None = None,
    prompt: Any = 0,
    *,
    sequence: bool = False,
    weighted: bool = True,
) -> Floats:
    """Deviation of sample frequencies from the probabilities of all responses, in standard errors; rare ones pooled.

    Parameters
    ----------
    sampled, scored : Policy
        Who draws, and whose probabilities are enumerated: the same policy if omitted.
    spec : SamplingSpec
        A policy or a mixture.
    count : int
        Samples.
    prompt : object
        Of a policy with prompts.
    sequence : bool
        Hold the frequencies to the mixture of whole responses.
    weighted : bool
        Weigh the samples for it, as they must be.
    """
    scored = scored or sampled
    space = scored.enumerate([prompt])
    with torch.no_grad():
        law = (scored.logprob(space) if spec.single else scored.mixture_logprob(spec, space))[0].double()
        logs = [weight * scored.logprob_of(name, space)[0].double() for name, weight in spec.weights]
    chance = law.exp().numpy()
    weight = np.exp((torch.stack(logs).sum(0) - law).numpy()) if sequence else np.ones(len(chance))
    drawn = sampled.sample([prompt], count, spec, Key.of(0, "claims", "frequencies", 0, [0]))
    given = np.ones(count)
    if sequence and weighted and drawn.log_weights is not None:
        given = drawn.log_weights[0].double().exp().numpy()
    places = {tokens: place for place, tokens in enumerate(_spelled(space))}
    at = np.array([places[tokens] for tokens in _spelled(drawn)])
    cells = np.where(chance * count >= RARE, np.arange(len(chance)), len(chance))
    inside = cells[:, None] == np.unique(cells)
    share = (chance * weight) @ inside / (chance @ weight)
    spread = np.sqrt(count * (chance * weight**2) @ (inside - share) ** 2)
    return np.abs(given @ (inside[at] - share)) / spread


def _spelled(responses: Any) -> list[tuple[int, ...]]:
    """Tokens of the responses to the first prompt, without the padding."""
    pairs = zip(responses.tokens[0].tolist(), responses.lengths[0].tolist(), strict=True)
    return [tuple(tokens[:length]) for tokens, length in pairs]
