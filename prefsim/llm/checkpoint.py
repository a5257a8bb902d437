"""Checkpoints of a training run: written whole or not at all, at iteration boundaries only, to go on from exactly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from prefsim.llm import parallel
from prefsim.results import write_whole

if TYPE_CHECKING:
    from prefsim.llm.progress import Progress
    from prefsim.llm.train import Training


class Checkpoints:
    """The folder of a run, which holds its latest checkpoint. No state of random numbers is needed: their keys count.

    Parameters
    ----------
    folder : str, optional
        Where; nothing is written or read if omitted.
    every : int
        Iterations between checkpoints.
    description : dict
        What a run that goes on must have in common with the one that was cut off.
    """

    def __init__(self, folder: str | None, every: int, description: dict[str, Any]) -> None:
        self.file = None if folder is None else Path(folder) / "state.pt"
        self.every, self.description = every, json.loads(json.dumps(description))

    def resume(self, run: Training, progress: Progress) -> int:
        """Load the latest checkpoint, if there is one, and return the number of iterations done.

        Raises
        ------
        ValueError
            If it belongs to another run, naming what differs.
        """
        found = self.file is not None and self.file.is_file()
        parallel.agree("whether there is a checkpoint (processes need a common folder)", float(found))
        if self.file is None or not found:
            return 0
        content = torch.load(self.file, weights_only=True)
        before = json.loads(content["description"])
        different = [name for name in self.description if before.get(name) != self.description[name]]
        if different:
            raise ValueError(
                f"{self.file} holds a run with other {', '.join(different)} ({before.get(different[0])!r}, now "
                f"{self.description[different[0]]!r}); give the same settings, or another folder."
            )
        run.policy.load_state(content["policy"])
        run.counts, run.latest = content["counts"], content["latest"]
        run.judge.load_state(content["judge"])
        progress.load_state(content["progress"])
        return content["t"]

    def save_if_due(self, t: int, horizon: int, run: Training, progress: Progress) -> None:
        """Write a checkpoint after `t` iterations, if it is time for one."""
        if self.file is None or (t % self.every and t != horizon):
            return
        content = {
            "t": t,
            "description": json.dumps(self.description),
            "policy": run.policy.state(),
            "counts": run.counts,
            "latest": run.latest,
            "judge": run.judge.state(),
            "progress": progress.state(),
        }
        if parallel.main():
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.file, lambda temporary: torch.save(content, temporary))
