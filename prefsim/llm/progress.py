"""What is measured of a policy while it trains, and the labelled data that come out."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prefsim import metrics
from prefsim.game import PreferenceGame
from prefsim.llm import parallel
from prefsim.llm.evaluate import length_correlation
from prefsim.llm.records import Key, SamplingSpec
from prefsim.results import PACKAGES, _digest, package_version

if TYPE_CHECKING:
    import xarray as xr

    from prefsim.llm.train import Training


@contextmanager
def bar(horizon: int) -> Iterator[Callable[[int, dict[str, float]], None]]:
    """A progress bar on a terminal; yields the function that takes the iterations done and the latest numbers."""
    if not sys.stderr.isatty() or not parallel.main():
        yield lambda t, latest: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("training", total=horizon)
        yield lambda t, latest: shown.update(
            task, completed=t, description=f"training, loss {latest['loss']:.3g}" if latest else "training"
        )


COSTS = {
    "gradients": "gradients",
    "responses": "responses sampled",
    "generated_tokens": "tokens generated",
    "comparisons": "ordered pairs judged",
    "seconds": "seconds of training",
}
"""Coordinates of ``t``: what an iteration count hides. Measuring is not counted."""

NAMES = {
    "win_rate_vs_reference": "win rate against the reference",
    "win_rate_vs_reference_se": "its standard error over prompts",
    "thresholded_win_rate_vs_reference": "share of comparisons with the reference won",
    "win_rate_vs_previous": "win rate against the policy of the record time before",
    "win_rate_vs_previous_se": "its standard error over prompts",
    "thresholded_win_rate_vs_previous": "share of comparisons with the policy of the record time before won",
    "kl_to_reference": "KL(policy, reference) by sequence",
    "kl_to_reference_se": "its standard error over prompts",
    "duality_gap": "duality gap (two-sided), mean over prompts",
    "entropy": "entropy of the responses",
    "response_length": "tokens a response",
    "length_correlation": "correlation, within prompts, of the win rate against the reference with length",
    "truncated": "share of responses without an end token",
    "target_variance": "variance of log pi less the target, before the last move",
    "loss": "loss at the first gradient of the last move",
    "residual": "loss after the inner steps of the last move",
    "gradient_norm": "norm of the first gradient of the last move",
    "clipped": "whether that gradient was clipped",
    "judge_inconsistency": "mean |J(a, b) + J(b, a) - 1|",
    "effective_samples": "effective number of opponents' samples",
    "generator_difference": "mean |log pi of the generator - log pi of the scorer| of a response",
    "largest_generator_difference": "largest |log pi of the generator - log pi of the scorer| of a response",
}
"""Variables of the results, as figures call them."""


class Progress:
    """Measures the policy of a run at its record times."""

    def __init__(self, run: Training, times: NDArray[np.int64], log: str | None, tensorboard: str | None = None) -> None:
        self.run, self.times, self.log = run, times, log
        self.events = _writer(tensorboard) if tensorboard is not None and parallel.main() else None
        self.rows: dict[int, dict[str, float]] = {}
        self.last: Any = None
        self.before, self.paused, self.began = 0.0, 0.0, time.perf_counter()

    def measure_if_due(self, t: int) -> None:
        """Measure after `t` iterations if that is a record time that has not been measured."""
        if t in self.rows or t not in self.times:
            return
        run, begun = self.run, time.perf_counter()
        row = {name: float(run.counts.get(name, run.judge.comparisons)) for name in COSTS}
        row["seconds"] = self.seconds()
        counts, comparisons = dict(run.counts), run.judge.comparisons
        row |= run.latest | (self._exactly() if run.exact else self._sampled(t))
        if run.distance is not None:
            (row["target_variance"],) = parallel.total(run.part * run.distance.item())
        row["judge_inconsistency"] = run.judge.inconsistency
        run.counts, run.judge.comparisons = counts, comparisons
        self.rows[t] = row
        self._show(t, row)
        if self.log is not None and parallel.main():
            with Path(self.log).open("a") as file:
                file.write(json.dumps({"t": t, **row}) + "\n")
        self.paused += time.perf_counter() - begun

    def _show(self, t: int, row: dict[str, float]) -> None:
        if self.events is None:
            return
        for name, value in row.items():
            if np.isfinite(value):
                self.events.add_scalar(name, value, t)
        self.events.flush()

    def seconds(self) -> float:
        """Time spent on training, earlier parts of a resumed run included."""
        return self.before + time.perf_counter() - self.began - self.paused

    def _exactly(self) -> dict[str, float]:
        run = self.run
        space = run.space
        log_policy = torch.log_softmax(run.policy.logprob_of("current", space).double(), dim=-1)
        log_reference = torch.log_softmax(run.policy.logprob_ref(space).double(), dim=-1)
        wins = run.payoff if run.judge.oracle.payoff == "probability" else torch.sigmoid(run.payoff)
        p, mu = log_policy.exp(), log_reference.exp()
        kl = (p * (log_policy - log_reference)).sum(-1)
        games = PreferenceGame(
            wins.numpy(), beta=run.beta, log_reference=log_reference.numpy(), transform=run.judge.oracle.payoff
        )
        others = {"reference": mu} | ({} if self.last is None else {"previous": self.last})
        self.last = p
        won = [
            _over_prompts(f"win_rate_vs_{name}", torch.einsum("bi,bij,bj->b", p, wins, other)) for name, other in others.items()
        ]
        return {
            **{name: value for row in won for name, value in row.items()},
            **_over_prompts("kl_to_reference", kl),
            "duality_gap": float(metrics.gap(games, log_policy.numpy()).mean()),
            "entropy": -(p * log_policy).sum(-1).mean().item(),
            "response_length": (p * space.lengths).sum(-1).mean().item(),
            "truncated": (p * ~space.finished).sum(-1).mean().item(),
        }

    def _sampled(self, t: int) -> dict[str, float]:
        run = self.run
        policy, own = run.policy, parallel.share(range(len(run.prompts)))
        prompts = [run.prompts[i] for i in own]

        def sample(name: str, k: int) -> Any:
            key = Key.of(run.seed, run.name, f"evaluation/{name}", t, own)
            return policy.sample(prompts, k, SamplingSpec(((name, 1.0),)), key)

        ours, theirs = sample("current", run.k), sample("reference", run.m)
        lengths, finished = parallel.rows(ours.lengths), parallel.rows(ours.finished)
        others = {"reference": theirs.texts} | ({} if self.last is None else {"previous": parallel.share(self.last)})
        self.last = sum(parallel.gather(ours.texts), ())
        found: dict[str, float] = {}
        for name, other in others.items():
            texts = zip(prompts, ours.texts, other, strict=True)
            with run.judge.together():
                wins = parallel.rows(torch.stack([run.judge.win_matrix(prompt, a, b) for prompt, a, b in texts]))
            found |= _over_prompts(f"win_rate_vs_{name}", wins.mean((1, 2)))
            found[f"thresholded_win_rate_vs_{name}"] = ((wins > 0.5).double() + 0.5 * (wins == 0.5)).mean().item()
            if name == "reference" and len(run.prompts) > 1:
                rates = wins.mean(2).numpy(), lengths.cpu().numpy()
                found["length_correlation"] = float(length_correlation(*rates, resamples=1).center)
        log_policy = parallel.rows(policy.logprob_of("current", ours).double())
        ratio = log_policy - parallel.rows(policy.logprob_ref(ours).double())
        if "generator" in ours.log_probs:
            difference = (parallel.rows(ours.log_probs["generator"].double()) - log_policy).abs()
            found["generator_difference"] = difference.mean().item()
            found["largest_generator_difference"] = difference.max().item()
        found |= {
            **_over_prompts("kl_to_reference", ratio.mean(-1)),
            "entropy": -log_policy.mean().item(),
            "response_length": lengths.double().mean().item(),
            "truncated": (~finished).double().mean().item(),
        }
        return found | ({"effective_samples": run.effective} if run.effective is not None else {})

    def description(self) -> dict[str, Any]:
        """What the run is: everything its numbers depend on but the policy's parameters and the judge's inside."""
        run = self.run
        policy = run.policy
        allowed = policy.decoding.allowed
        return {
            "algorithm": run.setup.label,
            "key": run.setup.key,
            "hyper": run.setup.given._asdict(),
            "switches": run.switches._asdict(),
            "beta": run.beta,
            "sizes": {"k": run.k, "m": run.m, "batch": run.batch, "prompts": len(run.prompts)},
            "expectation": "exact" if run.exact else "sampled",
            "seed": run.seed,
            "name": run.name,
            "oracle": {
                "kind": getattr(run.judge.oracle, "kind", type(run.judge.oracle).__name__),
                "payoff": run.judge.oracle.payoff,
                "transitive": bool(getattr(run.judge.oracle, "transitive", False)),
            },
            "policy": {
                "kind": type(policy).__name__,
                "parameters": sum(p.numel() for p in policy.parameters),
                "optimizer": type(policy.optimizers["current"]).__name__,
                "rates": policy.rates,
                "clip": policy.clip,
                "decoding": {**policy.decoding._asdict(), "allowed": None if allowed is None else int(allowed.sum())},
            },
        }

    def state(self) -> dict[str, Any]:
        """Measurements so far, for a checkpoint."""
        return {"rows": self.rows, "seconds": self.seconds(), "last": self.last}

    def load_state(self, state: dict[str, Any]) -> None:
        """Return to what :meth:`state` gave."""
        self.rows, self.before, self.last = state["rows"], state["seconds"], state["last"]
        if self.log is not None and parallel.main():  # lines written after the checkpoint will be written again
            Path(self.log).write_text("".join(json.dumps({"t": t, **row}) + "\n" for t, row in self.rows.items()))

    def dataset(self) -> xr.Dataset:
        """The measurements with their axes and provenance."""
        import xarray as xr

        times = [t for t in self.times.tolist() if t in self.rows]
        rows = [self.rows[t] for t in times]

        def column(name: str) -> list[float]:
            return [row.get(name, np.nan) for row in rows]

        axes = ("algorithm", "instance", "run", "t")
        measured = [name for name in NAMES if any(name in row for row in rows)]
        content = {name: (axes, np.array(column(name))[None, None, None], _labels(name)) for name in measured}
        run = self.run
        coords: dict[str, Any] = {"algorithm": [run.setup.label], "t": ("t", times, {"long_name": "iteration"})}
        for name, label in COSTS.items():
            coords[name] = (("algorithm", "t"), np.array(column(name))[None], {"long_name": label})
        coords |= {"key": ("algorithm", [run.setup.key]), "instance": [0], "run": [0]}
        for name, value in run.setup.given._asdict().items():
            coords[name] = ("algorithm", [float(value)])
        return xr.Dataset(content, coords, {"provenance": json.dumps(self._provenance())})

    def _provenance(self) -> dict[str, Any]:
        from prefsim import llm, noise, ops
        from prefsim.llm import losses, opponents, trace, train

        run = self.run
        modules = [run.setup.solver, ops, noise, losses, opponents, trace, sys.modules[train.__module__], llm]
        return {
            "version": package_version("prefsim"),
            "experiment": self.description() | {"horizon": int(self.times[-1])},
            "seed": run.seed,
            "engine": "torch",
            "steps": {},
            "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]) if sys.argv else "",
            "packages": {name: package_version(name) for name in (*PACKAGES, "torch", "transformers", "accelerate", "peft")},
            "python": platform.python_version(),
            "device": f"{platform.machine()}, {os.cpu_count()} cores; {run.policy.parameters[0].device}",
            "sources": {module.__name__: _digest(module) for module in modules},
        }


def _writer(folder: str) -> Any:
    """TensorBoard's writer; refused where its package is missing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ValueError("tensorboard=... needs the package tensorboard; pip install tensorboard, or leave it out.") from None
    return SummaryWriter(folder)  # type: ignore[no-untyped-call]


def _over_prompts(name: str, values: Tensor) -> dict[str, float]:
    """Mean over prompts and its standard error, NaN for a single prompt."""
    spread = values.std().item() if len(values) > 1 else float("nan")
    return {name: values.mean().item(), f"{name}_se": spread / len(values) ** 0.5}


def _labels(name: str) -> dict[str, str]:
    units = {"response_length": "tokens", "kl_to_reference": "nats", "entropy": "nats"}
    return {"long_name": NAMES[name], "units": units.get(name, "1")}
