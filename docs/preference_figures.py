"""Draws the figures of the chapter on preference games into the current folder; a build of the documentation runs it."""

from __future__ import annotations

import warnings

import matplotlib
import numpy as np

import prefsim as ps
from prefsim import ops, registry
from prefsim.drawing import BOUND, GREY, INK, PALETTE, style
from prefsim.equilibrium import local_frequency
from prefsim.metrics import gap, kl_to_equilibrium
from prefsim.stability import StabilityWarning, stability_limit

matplotlib.use("Agg")
import matplotlib.pyplot as plt

GAME = ps.games.rock_paper_scissors((0.5, 0.3, 0.1))
CORNERS = np.array([[0.5, np.sqrt(0.75)], [1.0, 0.0], [0.0, 0.0]])
BLUE, ORANGE, GREEN, PINK = PALETTE[:4]


def place(policy):
    """Points of the plane for policies (..., 3): the corners of a triangle are the actions alone."""
    return np.asarray(policy) @ CORNERS


def triangle(ax, title):
    """Empty picture of the policies over rock, scissors and paper."""
    ax.plot(*CORNERS[[0, 1, 2, 0]].T, color=INK, lw=0.8, zorder=3)
    for name, at, align, move in zip(GAME.labels, CORNERS, ("center", "right", "left"), (0.03, -0.09, -0.09), strict=True):
        ax.text(at[0], at[1] + move, name, ha=align, fontsize=7)
    ax.set(aspect="equal", xlim=(-0.04, 1.04), ylim=(-0.12, 0.96))
    ax.set_title(title, loc="center")
    ax.axis("off")


def dot(ax, policy, marker="o", color=INK, size=4):
    """Mark one policy."""
    ax.plot(*place(policy), marker=marker, ms=size, mfc=color, mec="white", mew=0.6, zorder=5, ls="")


def path(problem, solver, horizon, start=None, **hyper):
    """Policies of a run at every iteration, shape (horizon + 1, 3)."""
    settings = {} if start is None else {"start": start}
    data = ps.run(problem, [(solver, hyper)], horizon=horizon, metrics=["policy"], record="all", **settings)
    return data["policy"].values[0, 0, 0]


def gaps():
    """Both duality gaps as landscapes over the policies."""
    grid = np.array([(i, j, 120 - i - j) for i in range(121) for j in range(121 - i)]) / 120
    figure, axes = plt.subplots(1, 2, figsize=(6.2, 2.7), layout="constrained")
    for ax, beta in zip(axes, (0.0, 0.1), strict=True):
        game = GAME.replace(beta=beta)
        triangle(ax, rf"$\mathrm{{Gap}}_\beta$ at $\beta = {beta:g}$" if beta else r"$\mathrm{Gap}_0$, without regularisation")
        with np.errstate(divide="ignore"):
            height = gap(game, np.log(grid))
        levels = np.linspace(0, 1, 11)
        seen = ax.tricontourf(*place(grid).T, height, levels=levels, cmap="Blues", extend="max")
        ax.tricontour(*place(grid).T, height, levels=levels[1:], colors="white", linewidths=0.4)
        dot(ax, ps.solve_equilibrium(game).policy, color=ORANGE, size=6)
        if beta:
            dot(ax, game.reference, "s")
    figure.colorbar(seen, ax=axes, shrink=0.8, ticks=[0, 0.5, 1])
    figure.savefig("gaps.svg")


def temperature():
    """The regularised equilibrium from the reference to the Nash equilibrium, and how far from the latter it is."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.2, 2.6), layout="constrained")
    triangle(left, r"$\pi^\star_\beta$ from $\beta = \infty$ to $0$")
    betas = np.geomspace(1e-3, 100, 80)
    for color, mu in zip((BLUE, GREEN, PINK), ([1 / 3] * 3, [0.8, 0.1, 0.1], [0.05, 0.85, 0.1]), strict=True):
        games = ps.PreferenceGame(GAME.preference, reference=mu, beta=betas)
        policies = ps.solve_equilibrium(games).policy
        left.plot(*place(policies).T, color=color)
        dot(left, mu, "s", color)
        for beta in (1, 0.1, 0.01):
            dot(left, policies[np.abs(np.log(betas / beta)).argmin()], color=color, size=3.5)
        right.loglog(betas, ps.duality_gap(GAME, policies), color=color)
        right.loglog(betas, 2 * betas * np.log(1 / min(mu)), color=color, **BOUND)
    dot(left, ps.solve_equilibrium(GAME).policy, "*", ORANGE, 9)
    right.set(xlabel=r"temperature $\beta$", xlim=(1e-3, 100), ylim=(1e-4, 2))
    right.set_title(r"$\mathrm{Gap}_0(\pi^\star_\beta)$ and its bound")
    figure.savefig("temperature.svg")


def self_play():
    """Three fates of self-play: outwards, inwards, and for ever around."""
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.2), layout="constrained")
    start = [0.2, 0.6, 0.2]
    warm = GAME.replace(beta=0.05)
    runs = [
        (r"MWU, $\beta = 0$, $\eta = 0.3$", GAME, path(GAME, "mwu", 1000, start, step=0.3)),
        (r"OMD, $\beta = 0.05$, $\eta = 0.5$", warm, path(warm, "omd", 400, start, step=0.5)),
        (r"OMD, $\beta = 0.05$, $\eta = 6$", warm, path(warm, "omd", 400, start, step=6.0)),
    ]
    for ax, (title, game, policies) in zip(axes, runs, strict=True):
        triangle(ax, title)
        ax.plot(*place(policies).T, color=BLUE, lw=0.7)
        if not game.beta:
            averages = policies.cumsum(axis=0) / np.arange(1, len(policies) + 1)[:, None]
            ax.plot(*place(averages).T, color=GREEN, lw=1.2)
            dot(ax, averages[-1], color=GREEN)
        dot(ax, start, "s")
        dot(ax, ps.solve_equilibrium(game).policy, "*", ORANGE, 9)
    figure.savefig("self_play.svg")


def stability():
    """Predicted factor per iteration against the step, and what runs show."""
    figure, ax = plt.subplots(figsize=(4.6, 2.6), layout="constrained")
    game = GAME.replace(beta=0.05)
    equilibrium = ps.solve_equilibrium(game)
    omega = float(local_frequency(game, equilibrium.log_policy))
    nearby = np.exp(ops.log_normalize(equilibrium.log_policy + 1e-4 * np.array([1.0, -1.0, 0.0])))
    steps = np.geomspace(0.1, 12, 200)
    pulled, turned = 1 - 0.05 * steps, 1j * steps * omega
    factors = {"omd": pulled + turned, "egpo": pulled * (1 + turned) + turned**2}
    for color, solver, label in ((BLUE, "omd", "OMD: one evaluation"), (ORANGE, "egpo", "EGPO: two")):
        module = registry.load("solvers", solver)
        ax.semilogx(steps, abs(factors[solver]) ** 2, color=color, label=label)
        for step in np.geomspace(0.15, 10, 10):
            logs = np.log(path(game, solver, 6, nearby, step=float(step)))
            kl = kl_to_equilibrium(game, logs, equilibrium.log_policy)
            ax.plot(step, (kl[6] / kl[1]) ** (1 / 5), "o", color=color, ms=3.5)
        limit = stability_limit(module, module.Hyper(), omega, 0.05)
        ax.plot([limit, limit], [0, 1], color=color, **BOUND)
    ax.axhline(1, color=GREY, lw=0.8)
    ax.set(xlabel=r"step $\eta$", title=r"$\mathrm{KL}(\pi^\star, \cdot)$ is multiplied per iteration by", ylim=(0, 1.6))
    ax.legend(loc="lower left")
    figure.savefig("stability.svg")


def other_targets():
    """Where the mixture opponent ends, and where a moving magnet goes."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.2, 2.6), layout="constrained")
    game = ps.PreferenceGame(GAME.preference, reference=[0.6, 0.3, 0.1], beta=0.2)
    answer = ps.solve_equilibrium(game)
    triangle(left, r"Nash-MD, $\beta = 0.2$")
    nash = ps.solve_equilibrium(GAME).policy
    steps = np.linspace(0.2, 5, 25).round(1).tolist()
    ways = [("nash_md", {"step": step}) for step in steps]
    ends = ps.run(game, ways, horizon=500, metrics=["policy"])["policy"].values[:, 0, 0, -1]
    left.plot(*place([answer.policy, *ends]).T, color=BLUE, lw=1.6)
    for step in (1, 3, 5):
        end = ends[steps.index(step)]
        dot(left, end, color=BLUE)
        left.annotate(rf"$\eta = {step}$", place(end), (5, 1), textcoords="offset points", fontsize=7)
    dot(left, answer.policy, color=ORANGE, size=6)
    dot(left, nash, "*", ORANGE, 9)
    dot(left, game.reference, "s")
    start = [0.4, 0.5, 0.1]
    triangle(right, r"Magnets, $\alpha = 0.1$ and $0.2$")
    for color, alpha in ((GREEN, 0.1), (PINK, 0.2)):
        settings = {"step": 0.3, "alpha": alpha, "period": 400}
        data = ps.run(GAME, [("comal", settings)], horizon=8000, start=start, metrics=["policy"], record=range(0, 8001, 400))
        magnets = data["policy"].values[0, 0, 0]
        right.plot(*place(magnets).T, color=color, lw=1.0, marker="o", ms=2.5)
    dot(right, nash, "*", ORANGE, 9)
    dot(right, start, "s")
    figure.savefig("other_targets.svg")


def noise_floor():
    """How far sampled opponents keep a constant step from the equilibrium, predicted and measured."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.2, 2.5), layout="constrained")
    game = GAME.replace(beta=0.1)
    equilibrium = ps.solve_equilibrium(game)
    omega = float(local_frequency(game, equilibrium.log_policy))
    steps = (0.02, 0.1, 0.5)
    settings = {"runs": 60, "metrics": ["kl_to_equilibrium"], "feedback": "sampled:samples=4"}
    data = ps.run(game, [("omd", {"step": step}) for step in steps], horizon=4000, **settings)
    mean = data["kl_to_equilibrium"].mean("run").isel(instance=0)
    for k, step in enumerate(steps):
        left.loglog(data["t"], mean[k], color=PALETTE[k], label=rf"$\eta = {step:g}$")
        left.axhline(floor(step, omega, 0.1, 4), color=PALETTE[k], **BOUND)
    left.set(xlabel="iteration", title=r"mean $\mathrm{KL}(\pi^\star, \pi_t)$, 4 opponents an iteration")
    left.legend(loc="upper right")
    grid = np.geomspace(0.02, 3, 9)
    window = range(1000, 3001, 50)
    ways = [("omd", {"step": float(step)}) for step in grid]
    swept = ps.run(game, ways, horizon=3000, record=window, start=equilibrium.policy, **settings)
    stationary = swept["kl_to_equilibrium"].isel(instance=0).sel(t=list(window)).mean(("run", "t"))
    fine = np.geomspace(0.02, 4, 100)
    right.loglog(fine, floor(fine, omega, 0.1, 4), color=INK, **BOUND)
    right.loglog(grid, stationary, "o", color=BLUE, ms=3.5)
    right.set(xlabel=r"step $\eta$", title="the floor")
    figure.savefig("noise_floor.svg")


def floor(step, omega, beta, samples):
    """Stationary ``E KL`` of OMD near the equilibrium of three actions, opponents sampled (linearised)."""
    return step / samples * omega**2 / (2 * beta - step * (beta**2 + omega**2))


with style(), warnings.catch_warnings():
    warnings.simplefilter("ignore", StabilityWarning)  # some steps are too large on purpose
    for draw in (gaps, temperature, self_play, stability, other_targets, noise_floor):
        draw()
