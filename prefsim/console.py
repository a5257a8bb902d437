"""What the command line shows: tables and pages for a terminal, built with rich."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Iterator
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from prefsim import describe, registry
from prefsim.stability import STILL

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from prefsim.equilibrium import Equilibrium
    from prefsim.game import PreferenceGame
    from prefsim.step_limits import StepLimits
    from prefsim.tournament import Tournament
    from prefsim.tune import Tuned

MOST_ROWS = 25
"""Actions shown of a larger game."""


def show(*parts: Any) -> None:
    """Print to standard output; a pipe gets a fixed width instead of a terminal's."""
    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False, markup=False, emoji=False)
    for part in parts:
        console.print(part)


def prose(text: str) -> Text:
    """Text to be wrapped, its formulas (indented) line by line, in which double backticks become emphasis."""
    shown, paragraphs = Text(), text.split("\n\n")
    text = "\n\n".join(part if "\n " in f"\n{part}" else " ".join(part.split()) for part in paragraphs)
    for k, part in enumerate(text.split("``")):
        shown.append(part, style="cyan" if k % 2 else "")
    return shown


def table(title: str, *columns: str, rows: Iterable[Iterable[str | Text]], numbers: bool = False) -> Group:
    """Build a plain table below its title; with `numbers` all columns but the first are aligned to the right."""
    built = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for k, column in enumerate(columns):
        built.add_column(Text(column), justify="right" if numbers and k else "left", no_wrap=k == 0 or numbers)
    for row in rows:
        built.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return Group(Text(title, style="bold"), built)


def listing(what: str, entries: dict[str, str]) -> Group | Text:
    """Keys with a sentence each."""
    if not entries:
        return Text(f"{what}: none.")
    return table(what, "name", "what it is", rows=[(key, prose(text)) for key, text in entries.items()])


def listings(what: str) -> list[Group | Text]:
    """The tables of ``prefsim list``."""
    if what == "claims":
        lacking = registry.lacking_claims()
        elsewhere = [listing("Claims that cannot be checked here", lacking)] if lacking else []
        return [listing("Claims", registry.list_claims()), *elsewhere]
    if what == "problems":
        titles = {"games": "Preference games", "bandits": "Bandits"}
        named = {kind: {key: registry.summary(registry.load(kind, key)) for key in registry.keys(kind)} for kind in titles}
    else:
        titles = {"solvers": "Solvers of preference games", "policies": "Bandit policies"}
        named = {kind: {key: e.summary for key, e in registry.algorithms(kind).items()} for kind in titles}
    return [listing(title, named[kind]) for kind, title in titles.items()]


def finals(data: xr.Dataset) -> Iterator[Group]:
    """One table a metric: mean over runs and instances at the horizon, quantiles, and the bound where there is one."""
    horizon = int(data["t"].values[-1])
    samples = data.sizes["instance"] * data.sizes["run"]
    counted = [f"{data.sizes[d]:,} {d}s" for d in ("instance", "run") if data.sizes[d] > 1]
    over = f", mean over {' and '.join(counted)}" if counted else ""
    for name, array in data.data_vars.items():
        if array.dims != ("algorithm", "instance", "run", "t"):
            continue
        last = array.values[..., -1].reshape(data.sizes["algorithm"], samples)
        bound = data[f"{name}_bound"].values[..., -1].mean(axis=1) if f"{name}_bound" in data else np.full(len(last), np.nan)
        columns = ["algorithm", "mean", "10 %", "90 %"] if samples > 1 else ["algorithm", "value"]
        rows = []
        for label, values, limit in zip(data["algorithm"].values, last, bound, strict=True):
            numbers = [values.mean(), *np.quantile(values, (0.1, 0.9))] if samples > 1 else [values[0]]
            cells = [f"{v:.4g}" if np.isfinite(v) else "diverged" for v in numbers]
            if np.isfinite(bound).any():
                cells.append(f"{limit:.4g}" if np.isfinite(limit) else "–")
            rows.append((str(label), *cells))
        if np.isfinite(bound).any():
            columns.append("bound")
        title = f"{array.attrs.get('long_name', name)} at t = {horizon:,}{over}"
        yield table(title[0].upper() + title[1:], *columns, rows=rows, numbers=True)


def run_line(tuned: Tuned, game: list[str], options: dict[str, Any]) -> str:
    """The ``prefsim run`` of tuned algorithms, on a game named or given by the same options."""
    words = ["prefsim", "run", *game]
    for key, hyper in tuned.algorithms:
        given = ",".join(f"{name}={str(v).lower() if isinstance(v, bool) else f'{v:.12g}'}" for name, v in hyper.items())
        words.append(f"{key}:{given}" if given else key)
    for name, value in {**options, "horizon": max(tuned.horizons.values()), "metrics": tuned.metric}.items():
        for each in value if isinstance(value, list) else [value]:
            words += [] if each is None else [f"--{name}"] if each is True else [f"--{name}", str(each)]
    return shlex.join(words)


def equilibrium(game: PreferenceGame, found: Equilibrium, tournament: Tournament) -> list[Group | Text]:
    """The equilibrium policy by name, its certificate, and whether the preferences are intransitive."""
    beta = float(game.beta)
    title = f"KL-regularised equilibrium, beta = {beta:g}" if beta > 0 else "Nash equilibrium"
    order = np.argsort(-found.policy, kind="stable")
    rows = [
        (game.labels[i], f"{found.policy[i]:.6f}", f"{tournament.borda[i]:.4f}", f"{tournament.copeland[i]:g}")
        for i in order[:MOST_ROWS]
    ]
    parts: list[Group | Text] = [table(title, "action", "probability", "Borda score", "beaten", rows=rows, numbers=True)]
    if game.n > MOST_ROWS:
        rest = found.policy[order[MOST_ROWS:]].sum()
        parts.append(Text(f"... and {game.n - MOST_ROWS} more actions with probability {rest:.6f} together."))
    parts.append(Text(f"Certificate: its duality gap is {float(found.gap):.2g} ({found.method})."))
    parts.append(Text(standing(tournament, game.labels)))
    return parts


def equilibria(game: PreferenceGame) -> list[Group | Text]:
    """:func:`equilibrium` of one game; of a batch, sentences about all of its games together."""
    from prefsim.equilibrium import solve_equilibrium
    from prefsim.tournament import summarize

    found = solve_equilibrium(game)
    if not game.batch_shape:
        return equilibrium(game, found, summarize(game.preference))
    matrices = game.flatten().preference
    tournaments = [summarize(matrix) for matrix in matrices]
    intransitive = sum(not tournament.transitive for tournament in tournaments)
    winners = sum(tournament.condorcet_winner is not None for tournament in tournaments)
    return [
        Text(f"{len(matrices)} games of {game.n} actions: {intransitive} intransitive, {winners} with a Condorcet winner."),
        Text(f"Certificate: the largest duality gap of their equilibria is {found.gap.max():.2g} ({found.method})."),
    ]


def standing(tournament: Tournament, labels: tuple[str, ...]) -> str:
    """Transitive or not, cyclic triples, Condorcet winner or none; of a total order, what its margins obey."""
    winner = tournament.condorcet_winner
    verb = "is" if tournament.cyclic_triples == 1 else "are"
    cyclic = f"{tournament.cyclic_triples:,} of {tournament.triples:,} triples {verb} cyclic"
    nature = "Transitive" if tournament.transitive else "Intransitive"
    through = " (through ties)" if not tournament.transitive and tournament.cyclic_triples == 0 else ""
    top = f"{labels[winner]} is the Condorcet winner" if winner is not None else "there is no Condorcet winner"
    found = f"{nature}{through}: {cyclic}, and {top}."
    if not tournament.total_order or tournament.triples == 0:
        return found
    strong, triangle = ("holds" if said else "fails" for said in (tournament.strong, tournament.triangle))
    relaxed = f" (gamma = {tournament.gamma:.4g} relaxes it enough)" if not tournament.strong and tournament.gamma > 1 else ""
    order = f"strong stochastic transitivity {strong}{relaxed} and the triangle inequality {triangle}"
    return f"{found} Victories form an order, in which {order}."


def preferences(problem: Any) -> tuple[NDArray[np.float64], tuple[str, ...]] | None:
    """Preference matrix (the first of several) of a game or dueling bandit and the names of its actions, if it has one."""
    matrix = getattr(getattr(problem, "truth", problem), "preference", None)
    if matrix is None:
        return None
    matrix = np.asarray(matrix).reshape(-1, *matrix.shape[-2:])[0]
    return matrix, tuple(problem.names or (str(i) for i in range(len(matrix))))


def algorithm_page(entry: registry.Algorithm) -> list[Any]:
    """Documentation, hyperparameters and claims of a solver or policy."""
    from prefsim.claim import all_claims

    own = entry.module.__name__.rsplit(".", 1)[-1]
    kind = {"solvers": "solver of preference games", "policies": "bandit policy"}[entry.kind]
    alias = f", another parametrisation of {own}" if entry.translate is not None else ""
    parts: list[Any] = [Text(f"{entry.key}: {kind}{alias}", style="bold")]
    parts.append(Padding(prose((entry.module.__doc__ or "").strip()), (1, 0, 1, 2)))
    if entry.translate is not None:
        parts.append(Padding(prose(entry.summary), (0, 0, 1, 2)))
    if entry.kind == "solvers":
        from prefsim.qualify import torch_sentence

        parts.append(Padding(Text(torch_sentence(entry.module)), (0, 0, 1, 2)))
    hyper = [(p.name, p.default, prose(p.meaning)) for p in describe.hyperparameters(entry)]
    parts.append(table("Hyperparameters", "name", "default", "meaning", rows=hyper) if hyper else Text("No hyperparameters."))
    claims = {c.key: c.statement for c in all_claims().values() if {entry.key, own} & set(c.algorithms)}
    parts.append(listing("Claims", claims) if claims else Text("No claim speaks of it yet."))
    problem = "rock_paper_scissors" if entry.kind == "solvers" else _example_bandit(entry.module.FEEDBACK)
    beta = " --beta 0.1" if entry.kind == "solvers" else ""
    parts.append(Text(f"Try: prefsim run {problem} {entry.key}{beta}"))
    return parts


def _example_bandit(feedback: str | tuple[str, ...]) -> str:
    return "arxiv_six_rankers" if "duel" in (feedback, *feedback) else "bernoulli --set 'means=[0.5, 0.6]'"


def step_page(asked: str, game: str, found: StepLimits) -> list[Any]:
    """How large a step may be on one game, and which number is a theorem, a formula or a measurement."""
    least = "smallest" if found.inverse else "largest"
    never, always = (inf, 0.0) if found.inverse else (0.0, inf)
    where = "the equilibrium" if found.rest == found.beta else (
        "the equilibrium without regularisation" if found.rest == 0 else f"the equilibrium at temperature {found.rest:.4g}"
    )
    words = {never: "none", always: "any"}
    theorem = "theorem, from any start" if isfinite(found.theory) else "no theorem gives a constant step"
    rows = [
        ("beta", f"{found.beta:g}", "temperature of the game"),
        ("omega", f"{found.omega:.4g}", f"rotation frequency around {where}"),
        ("theory", _number_or_none(found.theory), theorem),
        ("limit", words.get(found.limit) or (f"{found.limit:.4g}" if isfinite(found.limit) else "unknown"), {
            "formula": f"formula: {least} step at which small errors shrink, locally",
            "measurement": "measurement: largest step at which a small error shrank; there is no formula",
        }.get(found.source, "there is no formula, and nothing turns that could be measured")),
        ("auto", _number_or_none(found.automatic), "what step='auto' takes: half the range by the formula"),
    ]
    parts: list[Any] = [table(f"Step of {asked} on {game}, in units of {found.rule}", "", "value", "what it is", rows=rows)]
    rule = registry.load("solvers", found.rule)
    for title, hook in (("Theorem (horizon 1000): ", "theory_step"), ("Formula: ", "amplification")):
        if hasattr(rule, hook) and (hook != "theory_step" or isfinite(found.theory)):
            parts.append(Text(title).append(prose((getattr(rule, hook).__doc__ or "").split("\n\n")[0])))
    return parts + [Text(note) for note in _caveats(found, never)]


def _number_or_none(number: float) -> str:
    return f"{number:.4g}" if isfinite(number) else "none"


def _caveats(found: StepLimits, never: float) -> Iterator[str]:
    """What the numbers of :func:`step_page` do not say."""
    if found.omega <= STILL:
        yield "Nothing turns around this equilibrium, so no step in the solver's range is too large near it."
    elif found.limit == never:
        yield "Every step is unstable: the last iterate moves away from the equilibrium. Read the average iterate, if any."
    if found.source == "measurement" and not isfinite(found.limit):
        yield "Steps from 0.01 to 1000 were tried, as far as the solver admits them."
    if found.played < found.actions:
        yield (
            f"The equilibrium plays {found.played} of {found.actions} actions, and omega and the limit speak of these. The "
            "others die out where they lose strictly; where they tie, nothing is known."
        )
    if found.rest == 0 and found.played % 2 == 0:
        yield (
            "An even number of actions is played, so this equilibrium lies on a segment of others. The limit is for this "
            "one, and errors along the segment neither grow nor shrink."
        )


def problem_page(kind: str, key: str) -> list[Any]:
    """Documentation and arguments of a family of games or bandits."""
    what = {"games": "preference games", "bandits": "bandits"}[kind]
    parts: list[Any] = [Text(f"{key}: {what}", style="bold")]
    parts.append(Padding(prose((registry.load(kind, key).__doc__ or "").strip()), (1, 0, 1, 2)))
    from prefsim.tournament import summarize

    family = registry.family(kind, key)
    arguments = describe.arguments(family)
    rows = [(p.name, p.default or "required", prose(p.meaning)) for p in arguments]
    title = "Arguments (--set name=value)"
    parts.append(table(title, "name", "default", "meaning", rows=rows) if rows else Text("No arguments."))
    shown = preferences(family()) if all(p.default for p in arguments) else None
    if shown is not None:
        parts.append(Text(f"By default: {standing(summarize(shown[0]), shown[1])}"))
    return parts


def claim_page(claim: Any) -> list[Any]:
    """Statement, source, assumptions and controls of a claim."""
    parts: list[Any] = [Text(f"{claim.key}: claim", style="bold"), Padding(prose(claim.statement), (1, 0, 1, 2))]
    parts.append(Text("Source: ", style="bold").append(prose(claim.source)))
    for title, lines in (("Assumptions", claim.assumptions), ("Controls (must fail)", [c.breaks for c in claim.controls])):
        if lines:
            parts.append(Text(title, style="bold"))
            parts.extend(Padding(prose(f"* {line}"), (0, 0, 0, 2)) for line in lines)
    if claim.asymptotic:
        parts.append(Text("Asymptotic: the most a run can say is that it is consistent on its window."))
    parts.append(Text(f"Check it: prefsim verify {claim.key}"))
    return parts
