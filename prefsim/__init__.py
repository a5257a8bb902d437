"""prefsim: bandits and preference games, right, provably and fast.

    import prefsim as ps

    game = ps.games.rock_paper_scissors([0.5, 0.3, 0.2]).replace(beta=0.1)
    data = ps.run(game, ["egpo", ("nash_md", {"step": 0.1})], horizon=1000)
    duels = ps.run(ps.bandits.arxiv_six_rankers(), ["rucb", "double_thompson"], horizon=100_000, runs=40)
    ps.plot(duels).savefig("regret.pdf")
    ps.verify("egpo")

Names are imported when first used, so that ``import prefsim`` costs next to nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

_HOME = {
    "Agent": "agent",
    "Bandit": "bandit",
    "Claim": "claim",
    "Cycling": "cycling",
    "DivergenceWarning": "play_games",
    "Equilibrium": "equilibrium",
    "EquilibriumError": "equilibrium",
    "Experiment": "experiment",
    "Feedback": "feedback",
    "Grid": "experiment",
    "PreferenceGame": "game",
    "Spec": "experiment",
    "StabilityWarning": "stability",
    "Tuned": "tune",
    "add_path": "registry",
    "agent": "agent",
    "detect_cycling": "cycling",
    "duality_gap": "metrics",
    "fit_bradley_terry": "preference_model",
    "fit_general_preference": "preference_model",
    "identify": "identify",
    "list_algorithms": "registry",
    "list_claims": "registry",
    "list_problems": "registry",
    "load": "results",
    "plot": "plots",
    "read_log": "identify",
    "run": "run",
    "save": "results",
    "solve_equilibrium": "equilibrium",
    "solve_zero_sum": "matrix_games",
    "step_limits": "step_limits",
    "summarize": "tournament",
    "tune": "tune",
    "verify": "claim",
    "worst_case": "worst_case",
}
_PACKAGES = ("bandits", "games")
_EXTRAS = ("llm",)
"""Packages that need an extra; a star import leaves them alone."""

__all__ = ["__version__", *sorted((*_HOME, *_PACKAGES))]


if TYPE_CHECKING:
    from prefsim import bandits, games, llm
    from prefsim.agent import Agent, agent
    from prefsim.bandit import Bandit
    from prefsim.claim import Claim, verify
    from prefsim.cycling import Cycling, detect_cycling
    from prefsim.equilibrium import Equilibrium, EquilibriumError, solve_equilibrium
    from prefsim.experiment import Experiment, Grid, Spec
    from prefsim.feedback import Feedback
    from prefsim.game import PreferenceGame
    from prefsim.identify import identify, read_log
    from prefsim.matrix_games import solve_zero_sum
    from prefsim.metrics import duality_gap
    from prefsim.play_games import DivergenceWarning
    from prefsim.plots import plot
    from prefsim.preference_model import fit_bradley_terry, fit_general_preference
    from prefsim.registry import add_path, list_algorithms, list_claims, list_problems
    from prefsim.results import load, save
    from prefsim.run import run
    from prefsim.stability import StabilityWarning
    from prefsim.step_limits import step_limits
    from prefsim.tournament import summarize
    from prefsim.tune import Tuned, tune
    from prefsim.worst_case import worst_case


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from prefsim.results import package_version

        return package_version("prefsim")
    if name in (*_PACKAGES, *_EXTRAS):
        return import_module(f"prefsim.{name}")
    if name in _HOME:
        return getattr(import_module(f"prefsim.{_HOME[name]}"), name)
    raise AttributeError(f"prefsim has no attribute {name!r}; it offers {', '.join(__all__)}.")


def __dir__() -> list[str]:
    return sorted((*__all__, *_EXTRAS))


class _Package(ModuleType):
    """Keeps ``ps.run`` the function: importing ``prefsim.run`` would bind the module of that name here."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
