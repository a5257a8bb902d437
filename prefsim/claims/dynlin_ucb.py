"""Mussi, Metelli and Restelli (2023), "Dynamical linear bandits", ICML: the algorithm DynLin-UCB and why it works.

The bias and confidence statements are derived (``prefsim.policies.dynlin_ucb``); the orders of the regret are the paper's.
"""

from __future__ import annotations

from math import log

import numpy as np

from prefsim import bandits
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._dynamics import Learned, learn, steady
from prefsim.claims._regret import CONFIDENCE, truths
from prefsim.engines import reference
from prefsim.policies import dynlin_ucb as rule
from prefsim.run import run


def power_of_five(m: int, up: bool = False) -> int:
    """``floor(log_5 m)``, or the ceiling, in whole numbers."""
    exponent = 0
    while 5 ** (exponent + (not up)) <= m - up:
        exponent += 1
    return exponent


def last_sample_bias(budget: str, first: bool = False) -> Evidence:
    """Bias of an epoch's last reward without noise, over its bound; `first` takes the first reward."""
    horizon, shares = {"fast": 3000, "paper": 100_000}[budget], []
    for bandit in (bandits.dlb_synthetic(0.0), bandits.dlb_advertising(0.0)):
        truth, (rho, phi, _, omega, push, length, bound, _) = truths(bandit)[0], bandit.hints
        path = learn(bandit, horizon)
        bias = np.abs((path.first if first else path.last) - truth.features[path.arm] @ steady(truth))
        allowed = omega * phi * rho ** (path.rounds - 1) * (bound + length * push / (1 - rho))
        shares.append((bias / allowed).max())
    return Evidence(shares, 1.0, label="bias over its bound")


def one_update_an_epoch(budget: str, every: bool = False) -> Evidence:
    """Deviation of epochs' lengths and numbers of updates on the synthetic system; `every` updates in every round."""
    horizon, wrong = {"fast": 3000, "paper": 100_000}[budget], []
    for up in (False, True):
        path = learn(bandits.dlb_synthetic(), horizon, ceil=up, every=every)
        lengths = [1 + power_of_five(m, up) for m in range(1, len(path.rounds) + 1)]
        wrong += [np.abs(path.rounds - lengths).max(), np.abs(path.updates - 1).max()]
    return Evidence(wrong, 1e-9, label="deviation from one update in 1 + H_m rounds")


def confidence(budget: str, persistent: bool = True) -> Evidence:
    """Largest error over width of any estimate in every run; without `persistent` play alternates and learns every round."""
    horizon, runs = {"fast": (4000, 5), "paper": (100_000, 10)}[budget]
    bandit = bandits.dlb_synthetic(0.1)
    truth, problem = truths(bandit)[0], bandit.problem(horizon)
    features, h, hyper = truth.features, steady(truth), rule.Hyper(ceil=True)
    worst = []
    for seed in range(runs):
        path: Learned = learn(bandit, horizon, seed, ceil=True, forced=None if persistent else (0, 5))
        width = np.sqrt(np.einsum("ad,mde,ae->ma", features, path.inverse, features))
        beta = np.array([rule.radius(hyper, problem, int(t)) for t in path.begun])
        worst.append((np.abs((path.estimate - h) @ features.T) / (beta[:, None] * width)).max())
    # Each run may miss with probability 1 / T; all hold with probability 1 - runs / T.
    return Evidence(worst, 1.0, label="error of the estimate over its width")


def regret_rate(budget: str, rho: float = -1.0) -> Evidence:
    """Growth per decade of the largest ``R_T / (sqrt(T) ln^2 T)`` over seeds; `rho` replaces the bound on the memory."""
    decades, runs = {"fast": (3, 4, 5), "paper": (3, 4, 5, 6)}[budget], {"fast": 20, "paper": 50}[budget]
    times = [10**k for k in decades]
    data = run(bandits.dlb_synthetic(), [("dynlin_ucb", {"rho": rho})], horizon=times[-1], runs=runs, record=times)
    worst = data["regret"].sel(t=times).values[0, 0].max(axis=0)
    scaled = worst / (np.sqrt(times) * np.log(times) ** 2)
    return Evidence(scaled[1:] / scaled[:-1], 1.0, times=times[1:], label="growth of R_T / (sqrt(T) ln^2 T) in a decade")


def linucb_without_memory(budget: str, rho: float = 0.0) -> Evidence:
    """Share of rounds in which it plays otherwise than a LinUCB written down plainly, with the same radius."""
    horizon, bandit = {"fast": 1000, "paper": 20_000}[budget], bandits.dlb_synthetic(0.1)
    truth, problem = truths(bandit)[0], bandit.problem(horizon)
    path = learn(bandit, horizon, rho=rho)
    V, b, differ = log(horizon) * np.eye(3), np.zeros(3), 0
    for arm, t, reward in zip(path.arm, path.begun, path.last, strict=True):
        width = rule.radius(rule.Hyper(rho=0.0), problem, int(t))
        spread = np.sqrt(np.einsum("ad,de,ae->a", truth.features, np.linalg.inv(V), truth.features))
        index = truth.features @ np.linalg.solve(V, b) + width * spread
        differ += index[arm] < index.max() - 1e-9
        u = truth.features[arm]
        V, b = V + np.outer(u, u), b + reward * u
    # Rounds in which the action is held count as different: LinUCB decides anew.
    return Evidence((differ + horizon - len(path.arm)) / horizon, 1e-9, label="share of different decisions")


def memory_exponent(budget: str, growing: bool = False) -> Evidence:
    """Exponent of the regret in ``1 / (1 - rho)`` in every run; `growing` lets ``h`` grow as ``1 / (1 - rho)``."""
    horizon, runs = {"fast": (10_000, 10), "paper": (1_000_000, 20)}[budget]
    memories = np.array([0.2, 0.5, 0.8, 0.9])
    regrets = []
    for rho in memories:
        share = 0.1 / (1 - rho) if growing else 1.0
        bandit = bandits.dlb_stability(float(rho), [0.5 * share, 0.6 * share], [0.1 * share, 0.3 * share])
        regrets.append(run(bandit, ["dynlin_ucb"], horizon=horizon, runs=runs)["regret"].values[0, 0, :, -1])
    exponents = np.polyfit(-np.log(1 - memories), np.log(regrets), 1)[0]
    return Evidence(exponents[:, None], 1.0, confidence=CONFIDENCE, label="exponent of the regret in 1 / (1 - rho)")


def inverse_accuracy(budget: str, ridge: float = 0.0) -> Evidence:
    """Largest entry of ``V^-1 V - I`` along rank-one updates; `ridge` replaces ``lambda``."""
    updates, bandit = {"fast": 20_000, "paper": 1_000_000}[budget], bandits.dlb_synthetic()
    features, problem = truths(bandit)[0].features, bandit.problem(updates)
    state, error = reference.allocate(rule)(problem), []
    rule.init(rule.Hyper(ridge=ridge), state, problem)
    times = [*range(1, 10), *(10**k for k in range(1, 7) if 10**k <= updates), updates]
    for m, arm in enumerate(np.random.default_rng(0).integers(len(features), size=updates), start=1):
        rule.update(state, features[arm], 0.5, m % rule.REFRESH == 0)
        if m in times:
            error.append(np.abs(state.inverse @ state.gram - np.eye(3)).max())
    return Evidence(max(error), 1e-6, label="largest entry of V^-1 V - I")


DERIVED = "derived from the algorithm's definition"

CLAIMS = (
    Claim(
        key="dynlin_ucb.last_sample_bias",
        statement="Without noise the last reward of epoch m is <h, u_m> up to Omega Phi rho_bar^H_m (X + U Bn / (1 - "
        "rho_bar)).",
        source=DERIVED + ": omega^T A^H (x - (I - A)^-1 B u)",
        assumptions=("rho_bar >= rho(A)", "||x|| <= X", "the action is held for H_m + 1 rounds"),
        measure=last_sample_bias,
        controls=(Control("the action has been held for H_m rounds: the first reward of the epoch is taken", {"first": True}),),
        algorithms=("dynlin_ucb",),
    ),
    Claim(
        key="dynlin_ucb.one_update_an_epoch",
        statement="Epoch m lasts 1 + floor(ln m / ln(1 / rho_bar)) rounds (ceiling with ceil) and changes V and b once.",
        source="Mussi, Metelli, Restelli 2023, Algorithm 1 (lengths in whole numbers, rho_bar = 1/5)",
        assumptions=("only the last reward of an epoch is kept",),
        measure=one_update_an_epoch,
        controls=(Control("only the last reward is kept: every round updates V and b", {"every": True}),),
        algorithms=("dynlin_ucb",),
    ),
    Claim(
        key="dynlin_ucb.confidence",
        statement="With epochs rounded up, |<hhat - h, u>| <= beta ||u||_{V^-1} for all actions and epochs, with probability "
        "1 - 1/T.",
        source=DERIVED + "; self-normalised bound of Abbasi-Yadkori, Pal, Szepesvari 2011, plus the sum of the biases",
        assumptions=("H_m >= ln m / ln(1 / rho_bar)", "||x|| <= X", "sigma is true", "actions persist"),
        measure=confidence,
        controls=(
            Control(
                "actions persist: (1, 1/2, 0) and (0, 1/2, 1) alternate, with an update every round", {"persistent": False}
            ),
        ),
        algorithms=("dynlin_ucb",),
    ),
    Claim(
        key="dynlin_ucb.regret_rate",
        statement="The regret is of the order sqrt(T) up to logarithms: over seeds, max R_T / (sqrt(T) ln^2 T) does not grow.",
        source="Mussi, Metelli, Restelli 2023, regret bound O~(d sqrt(T) / (1 - rho_bar)^(3/2))",
        assumptions=("rho_bar >= rho(A) and all other bounds hold",),
        measure=regret_rate,
        controls=(
            Control("rho_bar >= rho(A): rho_bar = 0, LinUCB, of which some runs lock on the second-best action", {"rho": 0.0}),
        ),
        algorithms=("dynlin_ucb",),
        asymptotic=True,
    ),
    Claim(
        key="dynlin_ucb.linucb_without_memory",
        statement="With rho_bar = 0 it decides in every round, as LinUCB with the same radius does.",
        source=DERIVED,
        assumptions=("rho_bar = 0",),
        measure=linucb_without_memory,
        controls=(Control("rho_bar = 0: it is .2", {"rho": 0.2}),),
        algorithms=("dynlin_ucb", "linucb"),
    ),
    Claim(
        key="dynlin_ucb.memory_exponent",
        statement="With h fixed the regret at a given T grows at most as 1 / (1 - rho), up to logarithms (the exponent 3/2 "
        "of the paper lets the state's gain grow as well).",
        source=DERIVED + ": in regret_bound, c1 and c2 are bounded and s2 and H grow at most as 1 / (1 - rho)",
        assumptions=("h, theta and omega do not depend on rho",),
        measure=memory_exponent,
        controls=(Control("h does not depend on rho: it grows as 1 / (1 - rho)", {"growing": True}),),
        algorithms=("dynlin_ucb",),
        asymptotic=True,
    ),
    Claim(
        key="dynlin_ucb.inverse_accuracy",
        statement="Along a million rank-one updates V^-1 V differs from I by at most 1e-6.",
        source="numerical: Sherman and Morrison's update, with a fresh inversion every 10000",
        assumptions=("lambda is not tiny: rounding in V^-1 is about 1e-16 / lambda at first, and stays a fixed error of V",),
        measure=inverse_accuracy,
        controls=(Control("lambda is not tiny: it is 1e-12", {"ridge": 1e-12}),),
        algorithms=("dynlin_ucb", "linucb"),
    ),
)
