"""Bandit policies to be timed: against hand-fused kernels, whole runs against their kernel, PyMAB and uniform play."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np

import prefsim as ps
from prefsim import noise, registry
from prefsim.bandit import Bandit
from prefsim.bench.bars import EVERY_PAIR, HAND_FUSED, KERNEL, ONE_BY_ONE, ONE_THREAD, PYMAB, UNIFORM
from prefsim.bench.timing import Case, Measured, Work, again, compare, load, use_threads
from prefsim.engines.lane_type import WIDTH
from prefsim.engines.numba import group, play_bandit

ARMS, RUNS, HORIZON = 10, 200, 10_000
MEANS = np.array([0.5] + [0.4] * (ARMS - 1))
PREFERENCE = np.array([[0.5 + 0.03 * (j - i) for j in range(ARMS)] for i in range(ARMS)])
KEYS = np.array([noise.stream_key(0, "", s) for s in ("environment", "policy", "order")], dtype=np.uint64).ravel()

FEW = 20
"""Runs whose regrets are compared."""

SHAPES = ((10, 5), (50, 5), (10, 10), (50, 10))
"""Arms and dimensions of linear bandits."""

SIDE_BY_SIDE = (("ucb1", 2), ("ucb1", 10), ("ucb1", 100), ("moss", 10), ("ucb_asymptotic", 10), ("gaussian_thompson", 10))
"""Policies that play runs in lock-step, and how many arms."""

DUELS = ("rucb", "double_thompson", "rmed1", "copeland_confidence_bound")

WRITTEN = {
    "hand_fused": ("ucb1", "moss", "kl_ucb", "thompson", "exp3", "linucb"),
    "hand_fused_duels": ("rucb", "rmed1", "copeland_confidence_bound"),
    "hand_fused_double_thompson": ("double_thompson",),
}
"""Policies with a hand-fused kernel, by the module it is in."""

PEERS = ("ucb1", "kl_ucb", "moss", "thompson", "exp3", "linucb")
"""Policies that PyMAB has too."""


def cases(engines: Iterable[str]) -> Iterator[Case]:
    """Rows of all policies."""
    for module, policies in WRITTEN.items():
        for policy in policies:
            for bandit, what in problems(policy):
                measure = partial(against_hand_fused, module, policy, bandit)
                yield Case(policy, what, "numba", "round", HAND_FUSED, measure, (module,))
    module = "hand_fused_double_thompson"
    yield Case("double_thompson", f"{ARMS} arms", "numba", "round", EVERY_PAIR, against_every_pair, (module,))
    for policy, arms in SIDE_BY_SIDE:
        measure = partial(against_one_by_one, policy, arms)
        yield Case(policy, f"{arms} arms, {WIDTH} runs in lock-step", "numba", "round", ONE_BY_ONE, measure)
    for policy in ("ucb1", "exp3", "rucb"):
        measure = partial(against_kernel, policy)
        yield Case(policy, f"{ARMS} arms, ps.run", "numba", "round", KERNEL, measure)
    yield Case("ucb1", f"{ARMS} arms, two threads", "numba", "round", ONE_THREAD, against_one_thread)
    for policy in PEERS:
        measure = partial(against_pymab, policy)
        yield Case(policy, "10 arms, .1 to .9", "numba", "round", PYMAB, measure, ("pymab", "peers", "peer_adapters"))
    for policy in registry.algorithms("policies"):
        example = _example(registry.algorithm("policies", policy).module.FEEDBACK)
        if example is not None:
            for engine in engines:
                yield Case(policy, example[0], engine, "round", UNIFORM, partial(against_uniform, policy, example[1], engine))


def problems(policy: str) -> list[tuple[Bandit, str]]:
    """Bandits on which a policy is held against its hand-fused kernel, with their names."""
    if policy in DUELS:
        return [(ps.bandits.dueling(PREFERENCE), f"{ARMS} arms")]
    if policy == "linucb":
        return [(linear(arms, dimension), f"{arms} arms, {dimension} features") for arms, dimension in SHAPES]
    return [(ps.bandits.bernoulli(MEANS), f"{ARMS} arms")]


def linear(arms: int, dimension: int) -> Bandit:
    """Arms and parameter on the unit sphere."""
    vectors = np.random.default_rng(0).normal(size=(arms + 1, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return ps.bandits.linear(vectors[1:], vectors[0])


def engine_kernel(policy: str, bandit: Bandit, together: int = 1) -> Work:
    """So many runs by the engine's kernel, `together` side by side; returns their final regrets."""
    truth = type(bandit.truth)(*(field[0] for field in bandit.truth))
    entry = registry.algorithm("policies", policy)
    play = play_bandit(entry.module, registry.load("bandits", bandit.environment), group=together)
    record = np.array([0, HORIZON])

    def work(runs: int) -> Any:
        out = np.zeros((runs, 2, 3))
        play(entry.hyper({}), truth, bandit.problem(HORIZON), KEYS, 0, 0, runs, record, out, np.zeros(1, np.uint8))
        return out[:, 1, 0]

    return work


def hand_kernel(function: Any, policy: str, bandit: Bandit) -> Work:
    """So many runs by a hand-fused kernel of the policy; returns their final regrets."""
    truth = type(bandit.truth)(*(field[0] for field in bandit.truth))
    arguments: tuple[Any, ...] = (truth.preference, truth.gap) if policy in DUELS else (truth.means,)
    if policy == "linucb":
        arguments = (truth.features, truth.means, truth.deviation[0], bandit.known["norm"])

    def work(runs: int) -> Any:
        final = np.zeros(runs)
        function(*arguments, HORIZON, KEYS, 0, runs, final)
        return final

    return work


def whole(policy: str, bandit: Bandit, runs: int) -> Any:
    """A ``ps.run`` call, checks, labels and provenance included."""
    return lambda: ps.run(bandit, [policy], horizon=HORIZON, runs=runs)


def against_hand_fused(module: str, policy: str, bandit: Bandit) -> Measured:
    """Ours and the hand-fused kernel, whose regrets must be the same."""
    ours, hand = engine_kernel(policy, bandit), hand_kernel(getattr(load(module), policy), policy, bandit)
    error = np.max(np.abs(ours(FEW) / hand(FEW) - 1))
    return Measured(compare(ours, hand, per=HORIZON), float(error))


def against_every_pair() -> Measured:
    """Ours and a kernel that draws every pair, as the algorithm is printed; the error is in standard errors of mean regret."""
    policy = "double_thompson"
    bandit = problems(policy)[0][0]
    printed = load("hand_fused_double_thompson").double_thompson_every_pair
    ours, theirs = engine_kernel(policy, bandit), hand_kernel(printed, policy, bandit)
    regrets = np.array([ours(FEW), theirs(FEW)])
    error = np.ptp(regrets.mean(axis=1)) / (np.hypot(*regrets.std(axis=1, ddof=1)) / np.sqrt(FEW))
    return Measured(compare(ours, theirs, per=HORIZON), float(error))


def against_one_by_one(policy: str, arms: int) -> Measured:
    """Runs in lock-step and the same runs one after the other, whose regrets must be the same."""
    bandit = ps.bandits.bernoulli([0.5] + [0.4] * (arms - 1))
    together, alone = (engine_kernel(policy, bandit, count) for count in (WIDTH, 1))
    error = np.max(np.abs(together(FEW) - alone(FEW)))
    calls = again(lambda: together(8 * WIDTH)), again(lambda: alone(8 * WIDTH))
    return Measured(compare(*calls, per=8 * WIDTH * HORIZON), float(error))


def against_kernel(policy: str) -> Measured:
    """A whole ``ps.run`` call and its kernel."""
    bandit, rule = problems(policy)[0][0], registry.algorithm("policies", policy).module
    kind = "duel" if policy in DUELS else "bandit"
    together = group(rule, registry.load("bandits", bandit.environment), False, kind, RUNS)
    kernel, runs = engine_kernel(policy, bandit, together), RUNS * together
    calls = again(whole(policy, bandit, runs)), again(lambda: kernel(runs))
    return Measured(compare(*calls, per=runs * HORIZON))


def against_one_thread() -> Measured:
    """Independent runs on two threads and on one, by the clock on the wall."""
    job = whole("ucb1", ps.bandits.bernoulli(MEANS), 5 * RUNS)

    def on(count: int) -> Any:
        def work() -> None:
            with use_threads(count):
                job()

        return again(work)

    return Measured(compare(on(2), on(1), per=5 * RUNS * HORIZON, clock=time.perf_counter))


@cache
def _pymab() -> dict[str, Any]:
    """What PyMAB does on the instances of ``benchmarks/peers.py``, by our name of the policy."""
    return {row["ours"][0]: row for row in load("peer_adapters").pymab(load("peers").JOB)}


def against_pymab(policy: str) -> Measured:
    """A whole ``ps.run`` and PyMAB's ``Experiment.run``, one after the other."""
    theirs = _pymab()[policy]
    return Measured([load("peers").ours(*theirs["ours"])["ns"] / 1e9, theirs["ns"] / 1e9])


def _example(feedback: str | tuple[str, ...]) -> tuple[str, Bandit] | None:
    """A problem that a policy of this feedback can play, with its name."""
    if "duel" in (feedback, *feedback):
        return "arxiv_six_rankers", ps.bandits.arxiv_six_rankers()
    if "bandit" in (feedback, *feedback):
        return f"{ARMS} arms", ps.bandits.bernoulli(MEANS)
    if {"full", "entries"} & {feedback, *feedback}:
        return "all losses shown", ps.bandits.switching_losses(feedback="full")
    return None


def against_uniform(policy: str, bandit: Bandit, engine: str) -> Measured | None:
    """A policy and uniform play; None if it needs features, advice or hints, which no problem here has."""

    def play(key: str) -> Work:
        return lambda rounds: ps.run(bandit, [key], horizon=rounds, runs=1, record=[rounds], engine=engine)

    try:
        play(policy)(2)
    except ValueError:
        return None
    return Measured(compare(play(policy), play("uniform"), besides=True, repeats=3))
