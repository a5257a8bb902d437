"""The commands behind ``prefsim llm``: train, evaluate, judge-matrix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prefsim import console
from prefsim.llm import build, config, parallel, pool, runs
from prefsim.llm.progress import COSTS

if TYPE_CHECKING:
    import xarray as xr

    from prefsim.llm.policy import Policy
    from prefsim.statistics import Band

MOST_SHOWN = 25
"""Prompts in a table."""

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train language models by preference-game rules, evaluate them, and make games of what a judge says.",
)


@app.command()
def train(
    file: Annotated[Path, typer.Argument(help="Configuration: model, prompts, judge, method, training, output.")],
) -> None:
    """Train a policy, or go on where its folder stopped; the folder gets results, log, checkpoint and policies."""
    data, folder = runs.train_file(file)
    if not parallel.main():
        return
    console.show(_measured(data))
    typer.echo(f"Wrote {folder}; prefsim llm evaluate {folder} holds its policies against the reference.")


@app.command()
def evaluate(
    asked: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="FOLDER (all policies kept), FOLDER@T, or NAME=FOLDER@T.")
    ],
    prompts: Annotated[Path | None, typer.Option(help="Prompts; those held out by the first run when omitted.")] = None,
    k: Annotated[int, typer.Option(help="Answers a policy and prompt.")] = 4,
    seed: Annotated[int, typer.Option(help="Of samples and intervals.")] = 0,
    hard: Annotated[bool, typer.Option("--hard", help="Count wins instead of averaging probabilities.")] = False,
    confidence: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    best_response: Annotated[int, typer.Option(help="Steps of training a best response to each policy; 0 for none.")] = 0,
    json: Annotated[Path | None, typer.Option(help="File for the numbers as JSON.")] = None,
) -> None:
    """Hold policies and their reference against each other: win rates, exploitability, KL by sequence."""
    _check_json(json)
    members = [runs.named(each) for each in asked]
    first = members[0][1]
    other = next((run for _, run, _ in members if run.config.judge != first.config.judge), None)
    if other is not None:
        raise ValueError(f"{first.folder} and {other.folder} have different judges; evaluate them one by one.")
    texts = first.held_out if prompts is None else build.prompts(prompts, first.config.model.chat)
    if not texts:
        raise ValueError(f"{first.folder} has no held-out prompts; give --prompts FILE.")
    policies = _policies(members)
    judge = build.oracle(first.config.judge, first.home)
    build.calibrate(judge, policies["reference"][0], texts, first.config.judge.calibration, seed)
    trained: dict[str, Any] = {"best_response": best_response, "beta": _training(first).beta, "train_on": first.prompts}
    found = pool.evaluate_policies(policies, texts, judge, k=k, seed=seed, hard=hard, confidence=confidence, **trained)
    _show(found, len(texts), k, confidence)
    if json is not None:
        settings = {"k": k, "seed": seed, "hard": hard, "confidence": confidence, "prompts": len(texts)}
        _write_json(json, settings | evaluation(found))
        typer.echo(f"Wrote {json}.")


@app.command("judge-matrix")
def judge_matrix(
    file: Annotated[Path, typer.Argument(help="Configuration: model, prompts, judge; other tables are not used.")],
    out: Annotated[Path, typer.Option(help="File for the games, .npz; texts and numbers go to .json beside it.")],
    k: Annotated[int, typer.Option(help="Answers a prompt.")] = 8,
    beta: Annotated[float, typer.Option(help="Temperature of the games.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the samples.")] = 0,
) -> None:
    """Sample answers to every prompt, judge all pairs, and save the preference games they make."""
    from prefsim.results import check_writable

    if check_writable(out).suffix != ".npz":
        raise ValueError(f"--out must end in .npz, the format of saved games; got {out}.")
    chosen, home = config.read(file), file.resolve().parent
    texts = build.prompts(chosen.prompts.file, chosen.model.chat)
    policy, judge = build.policy(chosen.model), build.oracle(chosen.judge, home)
    build.calibrate(judge, policy, texts, chosen.judge.calibration, seed)
    found = pool.judge_answers(policy, texts, judge, k=k, beta=beta, seed=seed)
    found.game.save(out)
    _write_json(out.with_suffix(".json"), answers(found, texts))
    columns = ("prompt", "cyclic triples", "Condorcet winner", "Bradley-Terry error", "most probable", "probability")
    console.show(console.table(f"Games of {k} answers", *columns, rows=_rows(found, texts)))
    if len(texts) > MOST_SHOWN:
        typer.echo(f"... and {len(texts) - MOST_SHOWN} more prompts, in {out.with_suffix('.json')}.")
    console.show(*console.equilibria(found.game))
    typer.echo(f"Wrote {out} and {out.with_suffix('.json')}; prefsim run --preference {out} egpo runs solvers on it.")


def _measured(data: xr.Dataset) -> Any:
    """What was measured of the policy, before and after."""
    arrays = [*data.data_vars.values(), *(data[name] for name in COSTS)]
    ends = [(array.attrs["long_name"], [array.values.flat[i] for i in (0, -1)]) for array in arrays]
    rows = [(name, *("–" if value != value else f"{value:.4g}" for value in values)) for name, values in ends]
    times = [f"t = {data['t'].values[i]:,}" for i in (0, -1)]
    return console.table(f"Training by {data['algorithm'].values[0]}", "", *times, rows=rows, numbers=True)


def _policies(members: list[tuple[str, runs.Run, Any]]) -> dict[str, tuple[Policy, str]]:
    """The pool: a model loaded once for all runs that start from it, its reference, and the policies kept as copies."""
    loaded: dict[str, Policy] = {}
    found: dict[str, tuple[Policy, str]] = {}
    for name, run, times in members:
        key = json.dumps(config.plain(run.config.model))
        if key not in loaded:
            training = _training(run)
            loaded[key] = build.policy(run.config.model, learning_rate=training.learning_rate, clip=training.clip)
            found["reference" if len(loaded) == 1 else f"reference of {name}"] = (loaded[key], "reference")
        for t in times:
            label = f"{name}@{t}"
            if label in found:
                raise ValueError(f"two policies are called {label}; name their runs, as in first=FOLDER second=FOLDER.")
            policy = loaded[key]
            policy.copies[label] = runs.load_policy(run.policies[t], policy)
            found[label] = (policy, label)
    return found


def _training(run: runs.Run) -> config.Training:
    """How a run was trained; all that were have it."""
    return run.config.training or config.Training(beta=0.0, horizon=1)


def evaluation(found: pool.Evaluation) -> dict[str, Any]:
    """An evaluation as JSON holds it."""
    report = found.pool

    def band(values: Band) -> dict[str, Any]:
        return {name: getattr(values, name).tolist() for name in values._fields}

    return {
        "policies": list(report.names),
        "win_rates": band(report.win_rates),
        "exploitability": band(report.exploitability),
        "best_response": [report.names[i] for i in report.best_response],
        "equilibrium": report.equilibrium.tolist(),
        "trained_best_responses": [{n: band(b) for n, b in each._asdict().items()} for each in found.trained or ()],
        "kl_to_reference": band(found.kl),
        "response_length": found.length.tolist(),
        "truncated": found.truncated.tolist(),
        "judge": {
            "cyclic_triples": found.judge.cyclic_triples.tolist(),
            "triples": found.judge.triples,
            "bradley_terry_error": found.judge.bradley_terry_error.tolist(),
            "inconsistency": found.inconsistency,
        },
    }


def answers(found: pool.JudgedAnswers, prompts: list[Any]) -> dict[str, Any]:
    """Judged answers as JSON holds them."""
    report, equilibrium = found.report, found.equilibrium
    games = [
        {
            "prompt": prompt,
            "answers": list(found.answers[x]),
            "cyclic_triples": int(report.cyclic_triples[x]),
            "condorcet_winner": int(winner) if (winner := report.condorcet_winner[x]) >= 0 else None,
            "bradley_terry_error": float(report.bradley_terry_error[x]),
            "equilibrium": equilibrium.policy[x].tolist(),
            "gap": float(equilibrium.gap[x]),
        }
        for x, prompt in enumerate(prompts)
    ]
    return {"triples": report.triples, "inconsistency": found.inconsistency, "games": games}


def _rows(found: pool.JudgedAnswers, prompts: list[Any]) -> list[tuple[str, ...]]:
    report = found.report
    rows: list[tuple[str, ...]] = []
    for x, prompt in enumerate(prompts[:MOST_SHOWN]):
        winner, policy = report.condorcet_winner[x], found.equilibrium.policy[x]
        text = build.judges.spoken(prompt)
        shown = text if len(text) <= 30 else text[:29] + "…"
        triples, error = f"{report.cyclic_triples[x]} of {report.triples}", f"{report.bradley_terry_error[x]:.3f}"
        best = found.game.labels[winner] if winner >= 0 else "none"
        rows.append((shown, triples, best, error, found.game.labels[policy.argmax()], f"{policy.max():.4f}"))
    return rows


def _show(found: pool.Evaluation, prompts: int, k: int, confidence: float) -> None:
    report, rates = found.pool, found.pool.win_rates
    numbers = [str(i + 1) for i in range(len(report.names))]
    title = f"Win rates of rows against columns: {k} answers to each of {prompts} prompts, {confidence:.0%} intervals"
    rows = [
        (f"{numbers[i]} {name}", *("½" if i == j else _interval(rates, (i, j)) for j in range(len(report.names))))
        for i, name in enumerate(report.names)
    ]
    console.show(console.table(title, "policy", *numbers, rows=rows))
    columns = ("policy", "exploitability", "by", "in the mixture", "KL to reference", "tokens", "truncated")
    rows = [
        (
            name,
            _interval(report.exploitability, i),
            report.names[report.best_response[i]] if report.best_response[i] != i else "nobody",
            f"{report.equilibrium[i]:.3f}",
            _interval(found.kl, i),
            f"{found.length[i]:.1f}",
            f"{found.truncated[i]:.0%}",
        )
        for i, name in enumerate(report.names)
    ]
    console.show(console.table("Exploitability within the pool, and the mixture nobody in it beats", *columns, rows=rows))
    if found.trained is not None:
        titles = ("policy", "exploitability, at least", "win rate of the best response", "its KL to reference")
        members = zip(report.names, found.trained, strict=True)
        rows = [(name, *(_interval(band, ()) for band in each)) for name, each in members]
        console.show(console.table("Best responses trained against each policy", *titles, rows=rows))
    typer.echo(console.standing(report.tournament, report.names))
    cyclic = found.judge.cyclic_triples.mean()
    typer.echo(
        f"Among all answers to a prompt {cyclic:.1f} of {found.judge.triples:,} triples are cyclic; "
        f"the judge's two orders differ by {found.inconsistency:.3g} on average."
    )


def _interval(band: Band, place: Any) -> str:
    return f"{band.center[place]:.3f} [{band.lower[place]:.3f}, {band.upper[place]:.3f}]"


def _check_json(path: Path | None) -> None:
    from prefsim.report import check_path

    if path is not None:
        check_path(path, (".json",))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    from prefsim.results import write_whole

    write_whole(path, lambda temporary: Path(temporary).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n"))
