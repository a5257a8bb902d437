"""The command line. Every command imports what it needs when it runs, so that help and lists come at once."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

LISTS = ("algorithms", "problems", "claims")

UsageError: type[Exception] = typer.BadParameter.__mro__[2]  # the base of what the parser raises; typer gives it no name


class OneSentence(TyperGroup):
    """Turns errors that speak to the user into one sentence on standard error, and interrupts into status 130."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command and exit: 0 done, 1 contradicted or unsolved, 2 bad input, 130 interrupted."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")  # a terminal without ticks and dashes must not stop the work
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: _say(f"warning: {message}")
            sys.exit(self._status(*args, **extra))

    def _status(self, *args: Any, **extra: Any) -> int:
        try:
            status = super().main(*args, **{**extra, "standalone_mode": False})
        except (ValueError, TypeError, OSError) as error:
            # This package speaks in sentences; anything else was not meant for the user and needs its traceback.
            if not isinstance(error, OSError) and not str(error).endswith((".", "?")):
                raise
            _say(f"error: {error}")
            return 2
        except FloatingPointError as error:
            _say(f"error: {error}")
            return 1
        except UsageError as error:
            _say(f"error: {error.format_message()}")  # type: ignore[attr-defined]
            return 2
        except RuntimeError as error:
            from prefsim.equilibrium import EquilibriumError

            if not isinstance(error, EquilibriumError):
                raise
            _say(f"error: {error}")
            return 1
        except (typer.Abort, KeyboardInterrupt):
            status = 130
        if status == 130:
            _say("interrupted; no unfinished file is left behind.")
        return status if isinstance(status, int) else 0


def _say(sentence: str) -> None:
    typer.echo(" ".join(sentence.split()), err=True)


app = typer.Typer(
    cls=OneSentence,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Simulate bandits and preference games, and hold theorems against the numbers.",
)


def main() -> None:
    """Run the command line on the arguments of this process."""
    app(sys.argv[1:] or ["--help"], prog_name="prefsim")


def _version(wanted: bool) -> None:
    if wanted:
        from prefsim.results import package_version

        typer.echo(f"prefsim {package_version('prefsim')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Hold the options that stand before a command."""


@app.command("list")
def list_(what: Annotated[str, typer.Argument(help="algorithms, problems or claims; all three when omitted.")] = "") -> None:
    """List algorithms, problems and claims, a sentence each."""
    from prefsim import console, registry

    if what and what not in LISTS:
        raise registry.unknown(what, LISTS, "list")
    for name in LISTS:
        if what in ("", name):
            console.show(*console.listings(name))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of an algorithm, a problem or a claim.")],
    game: Annotated[str | None, typer.Option(help="Game on which to show how large a solver's step may be.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="Argument of the game, NAME=VALUE.")] = None,
    beta: Annotated[float | None, typer.Option(help="Temperature of the game.")] = None,
) -> None:
    """Show the documentation, the parameters and the claims of one name, or what is known of a solver's step on a game."""
    from prefsim import claim, console, registry

    asked = {key: value for key, value in {"set": settings or None, "beta": beta}.items() if value is not None}
    if game is not None:
        from prefsim.arguments import plan
        from prefsim.step_limits import step_limits

        planned = plan([game, name], asked, {})
        console.show(*console.step_page(name, game, step_limits(planned.problem, planned.algorithms[0])))
        return
    if asked:
        raise ValueError(f"--{' and --'.join(asked)} must go with a game; name it, for example --game rock_paper_scissors.")
    pages = [
        console.algorithm_page(registry.algorithm(kind, name))
        for kind in ("solvers", "policies")
        if name in registry.algorithms(kind)
    ]
    pages += [console.problem_page(kind, name) for kind in ("games", "bandits") if name in registry.keys(kind)]
    claims = claim.all_claims()
    if name in claims:
        pages.append(console.claim_page(claims[name]))
    if not pages:
        claim.refuse_lacking(name)
        raise registry.unknown(name, [*registry.list_algorithms(), *registry.list_problems(), *claims], "name")
    for page in pages:
        console.show(*page)


@app.command()
def run(
    names: Annotated[list[str], typer.Argument(help="A problem and algorithms (key or key:step=0.1,...), or one file.toml.")],
    preference: Annotated[Path | None, typer.Option(help="CSV (or .npz) of preferences, as the problem.")] = None,
    counts: Annotated[bool, typer.Option("--counts", help="The CSV holds win counts.")] = False,
    settings: Annotated[list[str] | None, typer.Option("--set", help="Argument of the problem, NAME=VALUE.")] = None,
    beta: Annotated[float | None, typer.Option(help="Temperature of the game.")] = None,
    horizon: Annotated[int | None, typer.Option(help="Iterations (default 1000) or rounds (default 10000).")] = None,
    runs: Annotated[int | None, typer.Option(help="Independent repetitions (default 1).")] = None,
    seed: Annotated[int | None, typer.Option(help="Root seed (default 0).")] = None,
    metrics: Annotated[str | None, typer.Option(help="What to measure, separated by commas, e.g. win_rate:uniform.")] = None,
    start: Annotated[str | None, typer.Option(help="First policy of a game: reference, random or [0.2, 0.8].")] = None,
    precision: Annotated[str | None, typer.Option(help="Arithmetic of a game's iterates: float64 or float32.")] = None,
    engine: Annotated[str, typer.Option(help="auto, numba, reference; on a GPU cupy for games, cuda for bandits.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="File for the results, e.g. duel.nc.")] = None,
) -> None:
    """Run algorithms on a problem, print where they end, and keep every run in a file."""
    from prefsim import console, results
    from prefsim import run as simulate
    from prefsim.arguments import plan

    if out is not None:
        results.check_writable(out)
    given = {"horizon": horizon, "runs": runs, "seed": seed, "metrics": metrics, "start": start, "precision": precision}
    chosen = {name: value for name, value in given.items() if value is not None}
    problem = {"preference": preference, "counts": counts or None, "set": settings or None, "beta": beta}
    asked = {name: value for name, value in problem.items() if value is not None}
    experiment = plan(names, asked, chosen)
    data = simulate(experiment, engine=engine)
    if preference is not None:
        console.show(*console.equilibria(experiment.problem))
    console.show(*console.finals(data))
    if out is not None:
        results.save(data, out)
        typer.echo(f"Wrote {out}; prefsim plot {out} draws it.")


@app.command()
def tune(
    names: Annotated[list[str], typer.Argument(help="A game and solvers (key or key:decay=0.9,...), without steps.")],
    queries: Annotated[int, typer.Option(help="Budget of each solver in preference queries.")],
    preference: Annotated[Path | None, typer.Option(help="CSV (or .npz) of preferences, as the game.")] = None,
    counts: Annotated[bool, typer.Option("--counts", help="The CSV holds win counts.")] = False,
    settings: Annotated[list[str] | None, typer.Option("--set", help="Argument of the game, NAME=VALUE.")] = None,
    beta: Annotated[float | None, typer.Option(help="Temperature of the game.")] = None,
    metric: Annotated[str, typer.Option(help="Distance from equilibrium to make small.")] = "duality_gap",
    start: Annotated[str | None, typer.Option(help="First policy: reference, random or [0.2, 0.8].")] = None,
    seed: Annotated[int, typer.Option(help="Root seed.")] = 0,
) -> None:
    """Find each solver's best step with the same number of preference queries, and print the run to go on with."""
    from prefsim import console
    from prefsim import tune as search
    from prefsim.arguments import plan

    if names[0].endswith(".toml"):
        raise ValueError(f"tune reads no experiments; name the game and solvers of {names[0]} themselves.")
    problem = {"preference": preference, "counts": counts or None, "set": settings or None, "beta": beta}
    asked = {name: value for name, value in problem.items() if value is not None}
    planned = plan(names, asked, {"start": start} if start is not None else {})
    tuned = search(planned.problem, planned.algorithms, queries=queries, metric=metric, start=planned.start, seed=seed)
    typer.echo(str(tuned))
    typer.echo("\nGo on with other games or another seed than these, and compare at equal queries:")
    typer.echo(console.run_line(tuned, [] if preference is not None else names[:1], {**asked, "start": start}))


@app.command()
def plot(
    file: Annotated[Path, typer.Argument(help="Results written by prefsim run.")],
    out: Annotated[Path | None, typer.Option(help="Figure: .pdf, .png, .svg or .pgf (default: FILE with .pdf).")] = None,
    metric: Annotated[str | None, typer.Option(help="What to draw; regret or the duality gap when omitted.")] = None,
    x: Annotated[str, typer.Option(help="t, queries, gradients, or a hyperparameter to draw final values against.")] = "t",
    table: Annotated[bool, typer.Option(help="Write the numbers shown beside the figure, as FIGURE.csv.")] = True,
) -> None:
    """Draw results with bands over runs and, where they are known, bounds."""
    from prefsim import plots, results

    target = results.check_writable(out or file.with_suffix(".pdf"))
    plots.save(plots.plot(file, metric, x=x), target, table=table)
    typer.echo(f"Wrote {target}.")


@app.command()
def verify(
    keys: Annotated[list[str] | None, typer.Argument(help="Claims whose key starts so; all when omitted.")] = None,
    budget: Annotated[str, typer.Option(help="fast, or paper for the sizes of the papers.")] = "fast",
    json: Annotated[Path | None, typer.Option(help="File for the verdicts as JSON.")] = None,
    html: Annotated[Path | None, typer.Option(help="File for the verdicts as a page with figures.")] = None,
) -> None:
    """Check theorems, and controls that must fail; status 1 when a verdict contradicts its claim or a control passes."""
    from prefsim import claim, report

    chosen = [(path, suffix) for path, suffix in ((json, ".json"), (html, ".html")) if path is not None]
    for path, suffix in chosen:
        report.check_path(path, (suffix,))
    keys = keys or []
    width = max((len(c.key) for c in claim.select(keys)), default=0)
    found = claim.verify(*keys, budget=budget, progress=lambda verdict: typer.echo(report.line(verdict, width)))
    typer.echo(found.summary)
    for path, _ in chosen:
        found.save(path)
        typer.echo(f"Wrote {path}.")
    raise typer.Exit(0 if found.ok else 1)


@app.command()
def bench(
    names: Annotated[
        list[str] | None, typer.Argument(help="Algorithms, or equilibria; everything when omitted, which takes minutes.")
    ] = None,
    engine: Annotated[list[str] | None, typer.Option(help="numba or reference; both when omitted.")] = None,
    slow: Annotated[bool, typer.Option("--slow", help="Time the largest problems too.")] = False,
    json: Annotated[Path | None, typer.Option(help="File for the timings as JSON.")] = None,
) -> None:
    """Time algorithms on this machine, each as a ratio to a baseline measured beside it, and hold them against their bars."""
    # Ratios are those of one core; the linear-algebra library counts its threads when it loads.
    for limit in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(limit, "1")
    from prefsim import bench as timing
    from prefsim import report

    if json is not None:
        report.check_path(json, (".json",))
    found: list[timing.Timing] = []
    for one in timing.bench(names or (), engine or timing.ENGINES, slow=slow):
        if not found:
            typer.echo(timing.HEADER)
        found.append(one)
        typer.echo(str(one))
    if json is not None:
        timing.save(found, json)
        typer.echo(f"Wrote {json}.")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def llm(context: typer.Context) -> Any:
    """Train language models by the same rules, evaluate them, and make games of what a judge says of their answers."""
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise ValueError("prefsim llm needs torch; install the extra: pip install 'prefsim[llm]'.")
    from prefsim.llm.cli import app as commands

    return commands(context.args or ["--help"], prog_name="prefsim llm", standalone_mode=False)


@app.command()
def cite(file: Annotated[Path, typer.Argument(help="Results written by prefsim run.")]) -> None:
    """Print what to cite for a file of results: prefsim, and the papers its algorithms name."""
    from prefsim import describe, results

    typer.echo(describe.citation(results.load(file)))
