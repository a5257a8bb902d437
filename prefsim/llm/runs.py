"""A training run from a configuration, and its folder: what it was, results, log, checkpoint and policies kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from prefsim import results
from prefsim.llm import build, parallel
from prefsim.llm.config import Config, parse, plain, read
from prefsim.llm.methods import setup
from prefsim.llm.policy import Policy
from prefsim.llm.train import train

if TYPE_CHECKING:
    import xarray as xr

ABOUT, RESULTS, LOG = "run.json", "results.nc", "log.jsonl"
GROWS = ("output", "horizon", "parallel")
"""What a run may be given anew when it goes on."""


class Run(NamedTuple):
    """A folder that :func:`train_file` wrote."""

    folder: Path
    config: Config
    home: Path
    """Folder of the configuration, where its functions are looked for."""
    prompts: list[Any]
    held_out: list[Any]
    policies: dict[int, Path]
    """Files of the policies kept, by iteration."""


def train_file(path: str | Path) -> tuple[xr.Dataset, Path]:
    """Train as a configuration says, or go on where its folder stopped; the results, and the folder.

    Raises
    ------
    ValueError, TypeError
        Before any work starts, naming what is wrong; also if the folder holds a run of another configuration.
    """
    config, home = read(path), Path(path).resolve().parent
    if config.method is None or config.training is None or config.output is None:
        missing = next(table for table in ("method", "training", "output") if getattr(config, table) is None)
        raise ValueError(f"{path} has no [{missing}]; see the chapter on language models for a complete example.")
    method, training, output = dict(config.method), config.training, config.output
    name = method.pop("name")
    setup(name, training.beta, method)  # refuses unknown names before a model is loaded
    asked = build.prompts(config.prompts.file, config.model.chat)
    held_out = build.prompts(config.prompts.held_out, config.model.chat) if config.prompts.held_out else []
    about = {"config": plain(config), "home": str(home), "prompts": asked, "held_out": held_out}
    folder = output.folder
    check(folder, about)
    parallel.join(config.model.device)
    policy = build.policy(config.model, learning_rate=training.learning_rate, clip=training.clip, shard=config.parallel.shard)
    judge = build.oracle(config.judge, home)
    build.calibrate(judge, policy, asked, config.judge.calibration, training.seed)
    if parallel.main():
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "state.pt").is_file():
            (folder / LOG).unlink(missing_ok=True)
        results.write_whole(folder / ABOUT, lambda temporary: Path(temporary).write_text(json.dumps(about, indent=1)))
    every = output.policy_every or max(1, training.horizon // 4)

    def keep(t: int, policy: Policy) -> None:
        if t and (t % every == 0 or t == training.horizon):
            values = parallel.whole(policy.read())
            if parallel.main():
                results.write_whole(policy_file(folder, t), lambda temporary: torch.save(values, temporary))

    data = train(
        policy,
        asked,
        judge,
        name,
        beta=training.beta,
        horizon=training.horizon,
        k=training.k,
        m=training.m,
        batch=training.batch,
        seed=training.seed,
        record=training.record,
        callback=keep,
        checkpoint=str(folder),
        checkpoint_every=output.checkpoint_every,
        log=str(folder / LOG),
        tensorboard=None if output.tensorboard is None else str(output.tensorboard),
        **method,
    )
    if parallel.main():
        results.save(data, folder / RESULTS)
    return data, folder


def policy_file(folder: Path, t: int) -> Path:
    """File of the policy after `t` iterations."""
    return folder / f"policy-{t:08d}.pt"


def check(folder: Path, about: dict[str, Any]) -> None:
    """Refuse a folder with the run of another configuration, naming what differs."""
    if not (folder / ABOUT).is_file():
        return
    now, before = (_fixed(each) for each in (about, json.loads((folder / ABOUT).read_text())))
    different = [name for name in sorted({*now, *before}) if now.get(name) != before.get(name)]
    if different:
        raise ValueError(
            f"{folder} holds a run with other {', '.join(different)}; give the same configuration to go on, or another folder. "
            "Only the horizon may grow."
        )


def _fixed(about: dict[str, Any]) -> dict[str, Any]:
    """What must not change, by name as in the file: ``training.beta``."""
    found: dict[str, Any] = {"the prompts' text": about["prompts"]}
    for table, content in about["config"].items():
        if isinstance(content, dict) and table not in GROWS:
            found |= {f"{table}.{name}": value for name, value in content.items() if name not in GROWS}
    return found


def open_run(folder: str | Path) -> Run:
    """Read a run's folder.

    Raises
    ------
    ValueError
        If it is none.
    """
    folder = Path(folder)
    try:
        about = json.loads((folder / ABOUT).read_text())
    except (OSError, ValueError):
        raise ValueError(f"{folder} is no folder of prefsim llm train; it has no {ABOUT}.") from None
    home = Path(about["home"])
    kept = {int(file.stem.removeprefix("policy-")): file for file in sorted(folder.glob("policy-*.pt"))}
    return Run(folder, parse(about["config"], str(folder / ABOUT), home), home, about["prompts"], about["held_out"], kept)


def load_policy(file: Path, policy: Policy) -> list[Tensor]:
    """Parameters of a policy kept, where and as those of `policy` are."""
    found = torch.load(file, weights_only=True, map_location="cpu")
    return [values.to(like) for values, like in zip(found, policy.parameters, strict=True)]


def named(asked: str) -> tuple[str, Run, Sequence[int]]:
    """Read ``[NAME=]FOLDER[@T]``: a name, the run, and the iterations whose policies are meant (all kept without T)."""
    name, _, rest = ("", "", asked) if Path(asked).is_dir() else asked.rpartition("=")
    folder, _, time = (rest, "", "") if Path(rest).is_dir() else rest.rpartition("@")
    run = open_run(folder or rest)
    if not time:
        if not run.policies:
            raise ValueError(f"{run.folder} has kept no policy yet; let prefsim llm train go on.")
        return name or run.folder.resolve().name, run, list(run.policies)
    if not time.isdigit() or int(time) not in run.policies:
        kept = ", ".join(map(str, run.policies)) or "none"
        raise ValueError(f"{run.folder} has no policy of iteration {time}; kept: {kept}.")
    return name or run.folder.resolve().name, run, [int(time)]
