"""Figures of the demonstration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from prefsim.equilibrium import solve_equilibrium
from prefsim.game import PreferenceGame

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def draw_games(game: PreferenceGame, shown: Sequence[int]) -> Figure:
    """Win matrices of some prompts, answers sorted by mean win rate, above their Nash equilibria."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(shown), figsize=(3.1 * len(shown), 4.4), height_ratios=(3, 1), layout="constrained")
    for column, i in enumerate(shown):
        order = np.argsort(-game.preference[i].mean(-1))
        picture = axes[0, column].imshow(game.preference[i][np.ix_(order, order)], vmin=0, vmax=1, cmap="PuOr")
        axes[0, column].set(title=f"prompt {i}", xticks=[], yticks=[], xlabel="against", ylabel="" if column else "answer")
        policy = solve_equilibrium(PreferenceGame(game.preference[i])).policy[order]
        axes[1, column].bar(range(len(order)), policy, color="#0072B2")
        axes[1, column].set(xticks=[], ylim=(0, 1), xlabel="answers by mean win rate", ylabel="" if column else "Nash")
    figure.colorbar(picture, ax=axes[0], label="probability of winning", shrink=0.8)
    return figure


def draw_training(results: dict[str, xr.Dataset]) -> Figure:
    """Win rate against the reference and KL, over gradients: an iteration of a two-phase method costs two."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(7.0, 2.8), layout="constrained")
    for (method, data), color in zip(results.items(), ("#0072B2", "#D55E00", "#009E73", "#CC79A7"), strict=False):
        for ax, name in zip(axes, ("win_rate_vs_reference", "kl_to_reference"), strict=True):
            x, y, error = (data[each].values.ravel() for each in ("gradients", name, f"{name}_se"))
            ax.errorbar(x, y, error, label=method, color=color, capsize=2)
    axes[0].axhline(0.5, color="0.6", linewidth=0.8, linestyle="--")
    axes[0].set(xlabel="gradients", ylabel="win rate against the reference")
    axes[1].set(xlabel="gradients", ylabel="KL to the reference (nats)")
    axes[0].legend(frameon=False)
    return figure
