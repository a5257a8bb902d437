"""Dynamical linear bandits: what holds for any sequence of actions and any policy.

Setting of Mussi, Metelli and Restelli (2023); the identities follow from summing the recursion of the state (derived).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prefsim import bandits
from prefsim.bandit import Bandit
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._dynamics import follow, held, steady
from prefsim.claims._regret import CONFIDENCE, truths
from prefsim.run import run

MYOPIC = 37 / 144
"""Gap of the action (0, 1, 1/2) on the synthetic system: 13/16 - 5/9."""


def systems(sigma: float) -> list[Bandit]:
    """The two published systems, and one that starts elsewhere and does not decouple."""
    other = bandits.dynamical_linear([[0.5, 0.3], [-0.2, 0.6]], [[0.1, 0.2], [0.0, -0.1]], [0.4, -0.3], [0.2, 0.1],
                                     [[1, 0], [0, 1], [-1, 0]], sigma, start=[0.5, -1.0])  # fmt: skip
    return [bandits.dlb_synthetic(sigma), bandits.dlb_advertising(sigma), other]


def path_identity(budget: str, late: bool = False) -> Evidence:
    """Residual of the identity for random actions; `late` emits the reward after the state has moved."""
    rounds, residual = {"fast": 300, "paper": 20_000}[budget], []
    for bandit in systems(0.1):
        truth = truths(bandit)[0]
        actions = np.random.default_rng(rounds).integers(bandit.arms, size=rounds)
        path = follow(bandit, actions)
        reward = path.reward + (np.diff(path.states, axis=0) @ truth.omega if late else 0.0)
        promised = truth.features[actions] @ steady(truth) + path.reward_noise + path.state_noise @ held(truth)
        moved = (path.states[1:] - path.states[0]) @ held(truth)
        residual.append(np.abs(np.cumsum(reward) - np.cumsum(promised) + moved))
    times = np.arange(1, rounds + 1)
    return Evidence(residual, 1e-9 * times, times=times, label="residual of the identity")


def constant_action(budget: str, rectified: bool = False) -> Evidence:
    """Residual of the transient under every constant action; `rectified` pays ``|<omega, x>|``."""
    rounds, residual = {"fast": 30, "paper": 300}[budget], []
    for bandit in systems(0.0)[:2]:
        truth = truths(bandit)[0]
        for arm, u in enumerate(truth.features):
            path = follow(bandit, np.full(rounds, arm))
            memory = path.states[:-1] @ truth.omega
            reward = path.reward + (np.abs(memory) - memory if rectified else 0.0)
            lost = [held(truth) @ np.linalg.matrix_power(truth.A, t) @ truth.B @ u for t in range(rounds)]
            residual.append(np.abs(reward - (steady(truth) @ u - lost)))
    return Evidence(residual, 1e-12, times=np.arange(1, rounds + 1), label="residual of the mean reward")


def realised_minus_steady(budget: str, growth: float = 0.0) -> Evidence:
    """Distance of the two regrets' difference from both ends of its range; `growth` replaces an eigenvalue of ``A``."""
    horizon, runs = {"fast": (1000, 40), "paper": (10_000, 1000)}[budget]
    measured, upper = [], []
    for bandit in systems(0.01)[:1] if growth else systems(0.01):
        rho, phi, _, omega, _, _, bound, sigma = bandit.hints
        truth = truths(bandit)[0]
        # The state of the theorem includes its noise: X plus the mean norm of a stationary one.
        size = bound + sigma * phi * np.sqrt(len(truth.A) / (1 - rho**2))
        largest = omega * phi * (size + np.linalg.norm(truth.start)) / (1 - rho)
        if growth:
            A = bandit.truth.A.copy()
            A[:, 0, 0] = growth
            bandit = _with(bandit, bandit.truth._replace(A=A))
        metrics, record = ["regret", "realised_regret"], [horizon // 100, horizon // 10, horizon]
        data = run(bandit, ["uniform", "dynlin_ucb"], horizon=horizon, runs=runs, metrics=metrics, record=record)
        difference = (data["realised_regret"] - data["regret"]).sel(t=record).values[:, 0]
        for each in difference:
            measured += [largest + each, largest - each]
            upper += [np.full(3, 2 * largest)] * 2
    values = np.moveaxis(np.array(measured), 1, 0)
    return Evidence(values, np.array(upper), times=record, confidence=CONFIDENCE, label="distance from the ends")


def _with(bandit: Bandit, truth: Any) -> Bandit:
    """The bandit with another truth, of which policies are told what they were told before."""
    told: Any = bandit.known
    return Bandit(bandit.environment, truth, bandit.arms, normalisation="untrue", hints=bandit.hints.tolist(), **told)


def myopic_regret(budget: str, aligned: bool = False) -> Evidence:
    """Residual of the regret of the action that pays most at once; `aligned` makes ``theta`` proportional to ``h``."""
    horizon = {"fast": 1000, "paper": 100_000}[budget]
    bandit = bandits.dlb_synthetic()
    truth = truths(bandit)[0]
    theta = 0.4 * (steady(truth) - truth.theta) if aligned else truth.theta
    if aligned:
        bandit = bandits.dynamical_linear(truth.A, truth.B, truth.omega, theta, truth.features)
    first, second, third = truth.features[np.argmax(truth.features @ theta)]
    rule = ("expert", {"first": first, "second": second, "third": third})
    data = run(bandit, [rule], horizon=horizon, runs=2)
    residual = np.abs(data["regret"].values[0, 0] - MYOPIC * data["t"].values)
    return Evidence(residual, 1e-9 * data["t"].values, times=data["t"].values, floor=1e-12, label="residual of the regret")


SOURCE = "derived: sum the recursion of the state (setting of Mussi, Metelli, Restelli 2023)"

CLAIMS = (
    Claim(
        key="dynamical_linear.path_identity",
        statement="On every path, sum_t y_t = sum_t <h, u_t> + omega^T (I - A)^-1 (sum_t eps_t - x_{T+1} + x_1) + sum_t eta_t.",
        source=SOURCE,
        assumptions=("rho(A) < 1", "the reward is emitted before the state moves"),
        measure=path_identity,
        controls=(Control("the reward comes before the state moves: it is paid by the state after", {"late": True}),),
    ),
    Claim(
        key="dynamical_linear.constant_action",
        statement="Under a constant action from x_1 = 0, E y_t = <h, u> - omega^T (I - A)^-1 A^{t-1} B u.",
        source=SOURCE + "; checked without noise, in which rewards are linear",
        assumptions=("rho(A) < 1", "the state pays linearly"),
        measure=constant_action,
        controls=(Control("the state pays linearly: it pays |<omega, x>|", {"rectified": True}),),
    ),
    Claim(
        key="dynamical_linear.realised_minus_steady",
        statement="Whatever the policy, realised and steady regret differ in the mean by at most Omega Phi (||x|| + ||x_1||) / "
        "(1 - rho) with ||x|| = X + sigma Phi sqrt(n / (1 - rho^2)), at every T.",
        source=SOURCE + "; E ||noise of the state||^2 <= sigma^2 Phi^2 n / (1 - rho^2)",
        assumptions=("rho(A) < 1", "independent noise"),
        measure=realised_minus_steady,
        controls=(Control("rho(A) < 1: an eigenvalue is 1.001 and the state explodes", {"growth": 1.001}),),
    ),
    Claim(
        key="dynamical_linear.myopic_regret",
        statement="On the synthetic system the action that pays most at once, (0, 1, 1/2), costs 37/144 = .2569 a round.",
        source="derived: J* - J(0, 1, 1/2) = 13/16 - 5/9",
        assumptions=("theta and h rank the actions differently",),
        measure=myopic_regret,
        controls=(Control("theta is not aligned with h: it is, and the myopic action is the best", {"aligned": True}),),
    ),
)
