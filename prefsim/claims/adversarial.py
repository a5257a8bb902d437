"""Regret against oblivious adversaries, and what becomes of it when the adversary watches.

Sources: Auer, Cesa-Bianchi, Freund and Schapire (2002), "The nonstochastic multiarmed bandit problem"; Neu (2015); Zimmert
and Seldin (2021), "Tsallis-INF", Theorem 1 (constants recalled).
"""

from __future__ import annotations

import numpy as np

from prefsim import registry
from prefsim.bandit import Bandit
from prefsim.bandits.adversarial import adversarial
from prefsim.bandits.trap import trap
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import CONFIDENCE, regret
from prefsim.run import run

ARMS = 10
SIZES = {"fast": (20_000, 60), "paper": (200_000, 200)}
"""Horizon and runs."""

POLICIES: tuple[tuple[str, dict[str, bool]], ...] = (
    ("exp3", {}),
    ("exp3_ix", {}),
    ("tsallis_inf", {}),
    ("tsallis_inf", {"reduced": True}),
)

ADAPTIVE = Control(
    "the losses are fixed in advance: the adversary charges 1 to whatever is played and 0 to the rest", {"adversary": "trap"}
)


def tables() -> np.ndarray:
    """Three tables of losses, shape (3, rounds, ARMS); the best fixed arm gains about .1 a round on the rest, or nothing.

    A base that alternates between cheap and dear rounds in blocks; losses that rise and fall arm by arm; fair coins.
    """
    generator = np.random.default_rng(0)
    rounds = np.arange(1000)
    gap = np.where(np.arange(ARMS) == 0, 0.0, 0.1)
    blocks = np.where(rounds[:, None] // 50 % 2 == 0, gap, 0.9 + gap)
    waves = 0.45 + 0.45 * np.sin(2 * np.pi * (rounds[:, None] / 200 + np.arange(ARMS) / ARMS)) + gap
    coins = generator.integers(0, 2, (len(rounds), ARMS)).astype(float)
    return np.stack([blocks, waves, coins])


def opponents(adversary: str) -> list[Bandit]:
    """The environments of an ``"oblivious"`` adversary, or the ``"trap"``."""
    if adversary == "trap":
        return [trap(ARMS)]
    return [adversarial(tables())]


def oblivious_bound(budget: str, adversary: str = "oblivious") -> Evidence:
    """Mean realised regret at half decades against the bounds of the four policies."""
    horizon, runs = SIZES[budget]
    record = [int(horizon / 10 ** (k / 2)) for k in range(7)]
    measured, bound = [], []
    for key, hyper in POLICIES:
        rule = registry.load("policies", key)
        for bandit in opponents(adversary):
            times, curves = regret(bandit, key, horizon, runs, record, **hyper)
            measured.append(curves)
            limit = rule.regret_bound(rule.Hyper(**hyper), None, bandit.problem(horizon), times)
            bound += [limit] * bandit.instances
    values = np.concatenate(measured, axis=1)
    return Evidence(values, np.array(bound), times=times, confidence=CONFIDENCE, label="realised regret")


def trap_regret(budget: str, adversary: str = "trap") -> Evidence:
    """Realised regret per round in the trap, against ``1 - 1 / K`` from below."""
    horizon = SIZES[budget][0] // 10
    algorithms = ["exp3", "tsallis_inf", "ucb1"]
    final = [run(b, algorithms, horizon=horizon, runs=4)["regret"].values[..., -1] for b in opponents(adversary)]
    return Evidence(np.concatenate(final, axis=1) / horizon, lower=1 - 1 / ARMS, label="realised regret per round")


CLAIMS = (
    Claim(
        key="adversarial.oblivious_bound",
        statement="Against losses fixed in advance, at every t: EXP3 E regret <= ln K / step + step K t / 2, EXP3-IX <= "
        "ln K / step + step K t, Tsallis-INF <= 4 sqrt(K t) + 1, with reduced variance <= 2 sqrt(K t) + 10 K ln t + 16.",
        source="Auer et al. 2002; Neu 2015; Zimmert and Seldin 2021, Theorem 1 (constants recalled)",
        assumptions=("losses in [0, 1]", "losses are fixed in advance"),
        measure=oblivious_bound,
        controls=(ADAPTIVE,),
        algorithms=("exp3", "exp3_ix", "tsallis_inf"),
    ),
    Claim(
        key="adversarial.trap",
        statement="An adversary that charges 1 to whatever is played and 0 to the rest inflicts realised regret of at least "
        "T (1 - 1 / K) on every policy.",
        source="derived: some arm was played at most T / K times",
        assumptions=("the adversary sees the arm before it charges",),
        measure=trap_regret,
        controls=(Control("the adversary sees the arm: the losses are fixed in advance", {"adversary": "oblivious"}),),
        algorithms=("exp3", "tsallis_inf", "ucb1"),
    ),
)
