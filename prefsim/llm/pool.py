"""Policies held against each other on prompts: sampled, judged and handed to :mod:`prefsim.llm.evaluate`; games of answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from prefsim.equilibrium import Equilibrium, solve_equilibrium
from prefsim.game import PreferenceGame
from prefsim.llm import exploit
from prefsim.llm.evaluate import Floats, JudgeReport, PoolReport, evaluate_pool, judge_report
from prefsim.llm.exploit import Exploited
from prefsim.llm.oracles import Judge, PreferenceOracle
from prefsim.llm.policy import Policy
from prefsim.llm.records import Key, Responses, SamplingSpec
from prefsim.statistics import Band, bootstrap_interval


class Evaluation(NamedTuple):
    """Policies on prompts."""

    pool: PoolReport
    """Win rates, exploitability within the pool and its equilibrium."""
    kl: Band
    """KL to the reference by sequence, in nats, means of ``log pi/mu`` over the policy's samples: they may fall below 0."""
    length: Floats
    """Mean tokens of a response."""
    truncated: Floats
    """Share of responses without an end token."""
    judge: JudgeReport
    """The judge among all answers to a prompt."""
    inconsistency: float
    """Mean ``|J(a, b) + J(b, a) - 1|`` of the judge."""
    trained: tuple[Exploited, ...] | None = None
    """Exploitability by a best response trained against each policy, if asked for."""


class JudgedAnswers(NamedTuple):
    """The preference games of one policy's answers, a game for each prompt."""

    game: PreferenceGame
    """Batch of shape (prompts,); actions are the answers in the order they were drawn, equal texts included."""
    answers: tuple[tuple[str, ...], ...]
    report: JudgeReport
    equilibrium: Equilibrium
    inconsistency: float


def evaluate_policies(
    policies: Mapping[str, tuple[Policy, str]],
    prompts: Sequence[Any],
    oracle: PreferenceOracle,
    *,
    k: int = 4,
    seed: int = 0,
    hard: bool = False,
    confidence: float = 0.95,
    best_response: int = 0,
    beta: float = 0.0,
    train_on: Sequence[Any] | None = None,
) -> Evaluation:
    """Sample `k` answers of every policy to every prompt, judge all pairs, and say who wins.

    Parameters
    ----------
    policies : mapping of str to (Policy, str)
        For each name the policy and whom it acts as: ``"current"``, ``"reference"`` or a key of ``policy.copies``.
    prompts : sequence
        At least two, best ones that no policy was trained on.
    oracle : PreferenceOracle
        The judge; asked in both orders.
    k : int
        Answers a policy and prompt.
    seed : int
        Of samples and resampling. A policy's samples depend on its name, not on the others.
    hard, confidence
        As for :func:`prefsim.llm.evaluate.evaluate_pool`.
    best_response, beta, train_on
        Steps for which a best response to each policy is trained, on the prompts `train_on` (`prompts` if omitted) at
        temperature `beta`, to be measured on `prompts`; none is for 0 steps. See :func:`prefsim.llm.best_response`.

    Raises
    ------
    ValueError
        If there are fewer than two policies or prompts.
    """
    if len(policies) < 2 or len(prompts) < 2 or k < 1:
        raise ValueError(
            f"win rates need at least 2 policies, 2 prompts and 1 answer; got {len(policies)}, {len(prompts)} and {k}."
        )
    judge = Judge(oracle)
    drawn, ratios = [], []
    for name, (policy, acting) in policies.items():
        found = _drawn(policy, acting, prompts, k, seed, f"evaluation/{name}")
        ratio = policy.logprob_of(acting, found).double() - policy.logprob_ref(found).double()
        ratios.append(ratio.mean(-1).cpu().numpy())
        drawn.append(found)
    texts = [[text for found in drawn for text in found.texts[x]] for x in range(len(prompts))]
    judged = np.stack([judge.win_matrix(prompt, each, each).numpy() for prompt, each in zip(prompts, texts, strict=True)])
    owners = np.repeat(np.arange(len(policies)), k)
    kl = np.stack(ratios, axis=1)
    trained = None
    if best_response:
        asked: dict[str, Any] = {"beta": beta, "steps": best_response, "held_out": prompts, "k": k}
        asked |= {"seed": seed, "confidence": confidence}
        on = prompts if train_on is None else train_on
        trained = tuple(exploit.best_response(p, on, oracle, acting=acting, **asked) for p, acting in policies.values())
    return Evaluation(
        evaluate_pool(judged, owners, list(policies), hard=hard, confidence=confidence, seed=seed),
        Band(kl.mean(axis=0), *bootstrap_interval(kl, confidence=confidence, seed=seed)),
        np.array([found.lengths.double().mean().item() for found in drawn]),
        np.array([(~found.finished).double().mean().item() for found in drawn]),
        judge_report(judged),
        judge.inconsistency,
        trained,
    )


def judge_answers(
    policy: Policy,
    prompts: Sequence[Any],
    oracle: PreferenceOracle,
    *,
    k: int = 8,
    beta: float = 0.0,
    seed: int = 0,
    acting: str = "current",
) -> JudgedAnswers:
    """Sample `k` answers to every prompt, judge all pairs, and solve the games they make.

    The reference of the games is uniform: the answers are samples of the policy, so the mean over them estimates the
    policy's. Whether an equilibrium of the sample tells of the game of all texts is a matter of `k`.

    Parameters
    ----------
    policy, acting
        Who answers, and as whom: ``"current"``, ``"reference"`` or a copy.
    prompts, oracle
        Of which there is at least one, and the judge.
    k : int
        Answers a prompt, at least 2.
    beta : float
        Temperature of the games.
    seed : int
        Of the samples.
    """
    if k < 2 or not len(prompts):
        raise ValueError(f"games need at least 1 prompt and k >= 2 answers to it; got {len(prompts)} and k = {k}.")
    judge = Judge(oracle)
    answers = _drawn(policy, acting, prompts, k, seed, "answers").texts
    judged = np.stack([judge.win_matrix(prompt, each, each).numpy() for prompt, each in zip(prompts, answers, strict=True)])
    names = [f"answer {i + 1}" for i in range(k)]
    game = PreferenceGame(judged, beta=beta, names=names, transform=oracle.payoff)
    return JudgedAnswers(game, answers, judge_report(judged), solve_equilibrium(game), judge.inconsistency)


def _drawn(policy: Policy, acting: str, prompts: Sequence[Any], k: int, seed: int, stream: str) -> Responses:
    key = Key.of(seed, "llm", stream, 0, range(len(prompts)))
    return policy.sample(prompts, k, SamplingSpec(((acting, 1.0),)), key)
