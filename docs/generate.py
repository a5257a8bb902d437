"""Writes the pages that follow from the package itself: one for every algorithm, problem and claim, and the figures.

``conf.py`` calls :func:`write` before every build; what it writes is not kept under version control. The pages say what
the rule files say: their docstrings, the strings below their fields, their code, and the claims that name them.
"""

from __future__ import annotations

import ast
import inspect
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from examples import figures
from text import code, escape, formula, inline, link, prose, table

from prefsim import claim, describe, registry
from prefsim.qualify import torch_sentence
from prefsim.report import PASSED, SYMBOLS

DOCS = Path(__file__).parent
PACKAGE = DOCS.parent / "prefsim"
KINDS = {
    "solvers": "solver of preference games",
    "policies": "bandit policy",
    "games": "family of preference games",
    "bandits": "bandit",
}


def _source(module: Any) -> Path:
    written = sys.modules[getattr(module, "REDUCTION", module.__name__)]
    return Path(inspect.getsourcefile(written) or "")


def _where(module: Any) -> str:
    file = _source(module)
    return code(str(file.relative_to(PACKAGE.parent)) if file.is_relative_to(PACKAGE) else file.name)


def _rule(module: Any) -> str:
    """Text of a file below its docstring."""
    text = _source(module).read_text()
    return "\n".join(text.splitlines()[ast.parse(text).body[0].end_lineno :]).strip()


def _parameters(title: str, parameters: list[describe.Parameter], none: str) -> str:
    if not parameters:
        return none
    rows = [(code(p.name), code(p.default) if p.default else "*required*", inline(p.meaning)) for p in parameters]
    return f"## {title}\n\n{table(('name', 'default', 'meaning'), rows)}"


def _verdicts(docs: Path) -> tuple[dict[str, Any], str]:
    """Verdicts by key from the committed file, and a sentence on where they come from."""
    file = docs / "verdicts.json"
    if not file.exists():
        return {}, "No verdicts are stored with these pages; `prefsim verify` reaches them."
    content = json.loads(file.read_text())
    origin = f"Verdicts of prefsim {content['version']} at the {content['budget']} budget."
    return {entry["key"]: {**entry, "budget": content["budget"]} for entry in content["claims"]}, origin


def _badge(outcome: str, ok: bool) -> str:
    said = PASSED if not ok and outcome not in ("violated", "error") else outcome
    tone = "bad" if not ok else "open" if outcome == "inconclusive" else "good"
    return f"[{SYMBOLS.get(said, '✗')} {said}]{{.verdict .{tone}}}"


def _outcome(key: str, verdicts: dict[str, Any]) -> str:
    if key not in verdicts:
        return "*not run yet*"
    return _badge(verdicts[key]["outcome"], verdicts[key]["ok"])


def _ratio(value: float | None) -> str:
    return "∞" if value is None else f"{value:.3g}"


def _claims_about(names: tuple[str, ...], verdicts: dict[str, Any]) -> str:
    """Claims that speak of any of the names; those filed under a name come first, in the order of the names."""
    found = [c for c in claim.all_claims().values() if set(names) & set(c.algorithms)]
    if not found:
        return "## Claims\n\nNo claim speaks of it yet."
    order = {name: k for k, name in enumerate(names)}
    found.sort(key=lambda c: (order.get(c.key.split(".")[0], len(order)), c.key))
    return "## Claims\n\n" + _statements(found, verdicts)


def _statements(claims: list[claim.Claim], verdicts: dict[str, Any]) -> str:
    """Table of claims: name and verdict beside the statement."""
    rows = []
    for entry in claims:
        ratio = f" [ratio {_ratio(verdicts[entry.key]['ratio'])}]{{.ratio}}" if entry.key in verdicts else ""
        rows.append((f"{link(entry.key)}<br>{_outcome(entry.key, verdicts)}{ratio}", inline(formula(entry.statement))))
    return table(("claim and verdict", "statement"), rows)


def algorithm_page(entry: registry.Algorithm, verdicts: dict[str, Any]) -> str:
    """Documentation, hyperparameters, claims and code of a solver or policy."""
    own = entry.module.__name__.rsplit(".", 1)[-1]
    parts = [f"# {code(entry.key)}", f"{KINDS[entry.kind].capitalize()} · {_where(entry.module)}"]
    if entry.translate is not None:
        parts += [prose(entry.parameters.__doc__, entry.key), f"The documentation of {link(own, entry.key)}:"]
    parts += [
        prose(entry.module.__doc__, entry.key),
        *([f"[{torch_sentence(entry.module)}](../../llm.md)"] if entry.kind == "solvers" else []),
        _parameters("Hyperparameters", describe.hyperparameters(entry), "It has no hyperparameters."),
        _claims_about((entry.key, own), verdicts),
    ]
    bounds = getattr(entry.module, "BOUNDS", {})
    drawn = [f"{code(metric)}: {inline(summary(bound))}" for metric, bound in bounds.items()]
    for name in ("regret_bound", "regret_slope"):
        if hasattr(entry.module, name):
            drawn.append(f"{code(name)}: {inline(summary(getattr(entry.module, name)))}")
    if drawn:
        listed = "\n".join(f"- {line}" for line in drawn)
        parts += ["## Theory beside the data", f"Where its assumptions hold, figures and data carry\n\n{listed}"]
    parts += ["## The rule", f"```python\n{_rule(entry.module)}\n```"]
    return "\n\n".join(parts) + "\n"


def summary(function: Any) -> str:
    """First sentence of a function's docstring."""
    return " ".join((function.__doc__ or "").split("\n\n")[0].split())


def problem_page(kind: str, key: str) -> str:
    """Documentation, arguments and a glance at a family of games or bandits."""
    module = registry.load(kind, key)
    family = registry.family(kind, key)
    parameters = describe.arguments(family)
    parts = [f"# {code(key)}", f"{KINDS[kind].capitalize()} · {_where(module)}", prose(module.__doc__, key)]
    parts.append(_parameters("Arguments", parameters, "It takes no arguments."))
    if all(p.default for p in parameters):
        parts += ["## At a glance", f"```python\nps.{kind}.{key}()\n```", _glance(family())]
    parts += ["## The file", f"```python\n{_rule(module)}\n```"]
    return "\n\n".join(parts) + "\n"


def _glance(problem: Any) -> str:
    """The preference matrix of a small problem at its defaults, and its order."""
    from prefsim.console import preferences, standing
    from prefsim.tournament import summarize

    shown = preferences(problem)
    if shown is None:
        return f"{code(repr(problem))}"
    matrix, labels = shown
    rows = [(f"**{escape(name)}**", *(f"{p:.3g}" for p in row)) for name, row in zip(labels, matrix, strict=True)]
    sentence = escape(standing(summarize(matrix), labels))
    return sentence + ("\n\n" + table(("", *map(escape, labels)), rows) if len(matrix) <= 10 else "")


def claim_page(entry: claim.Claim, module: Any, verdicts: dict[str, Any]) -> str:
    """Statement, verdict, assumptions, controls and the code that measures."""
    said = verdicts.get(entry.key)
    parts = [f"# {code(entry.key)}", f"```{{admonition}} Claim\n:class: statement\n\n{inline(formula(entry.statement))}\n```"]
    parts.append(f"**Source.** {inline(formula(entry.source))} · {_where(module)}")
    if entry.algorithms:
        parts.append("**Speaks of** " + ", ".join(link(key) for key in entry.algorithms) + ".")
    parts += ["## Assumptions", "\n".join(f"- {inline(formula(a))}" for a in entry.assumptions) or "None."]
    parts.append("## Verdict")
    if said is None:
        parts.append("Not run yet.")
    else:
        parts.append(
            f"{_badge(said['outcome'], said['ok'])} at the {said['budget']} budget: worst ratio of measurement to bound "
            f"**{_ratio(said['ratio'])}**." + (f" {inline(said['message'])}" if said.get("message") else "")
        )
    if entry.asymptotic:
        parts.append("The theorem is asymptotic, so the most a finite run can be is consistent with it on its window.")
    parts += ["Each control breaks one assumption and must then violate the bound:"]
    results = {c["breaks"]: c for c in (said or {}).get("controls", [])}
    rows = []
    for control in entry.controls:
        result = results.get(control.breaks)
        came = f"{'fails, as it must' if result['failed_as_required'] else '**does not fail**'}" if result else "*not run yet*"
        rows.append((inline(formula(control.breaks)), came, _ratio(result["ratio"]) if result else ""))
    parts.append(table(("control", "outcome", "ratio"), rows))
    parts += ["## Check it", f"```console\n$ prefsim verify {entry.key}\n```", "## How it is measured"]
    parts.append(f"```python\n{inspect.getsource(entry.measure).strip()}\n```")
    return "\n\n".join(parts) + "\n"


def _index(title: str, text: str, sections: dict[str, str], names: Iterable[str]) -> str:
    body = "\n\n".join(f"## {head}\n\n{content}" for head, content in sections.items())
    tree = "\n".join(names)
    return f"# {title}\n\n{text}\n\n{body}\n\n```{{toctree}}\n:hidden:\n\n{tree}\n```\n"


def pages(docs: Path = DOCS) -> dict[str, str]:
    """Every generated page by its path below ``reference/``."""
    verdicts, origin = _verdicts(docs)
    found: dict[str, str] = {}
    solvers, policies = registry.algorithms("solvers"), registry.algorithms("policies")
    for key, entry in {**solvers, **policies}.items():
        found[f"algorithms/{key}.md"] = algorithm_page(entry, verdicts)
    for kind in ("games", "bandits"):
        for key in registry.keys(kind):
            found[f"problems/{key}.md"] = problem_page(kind, key)
    subjects: dict[str, list[claim.Claim]] = {}
    for name in registry.keys("claims"):
        module = registry.load("claims", name)
        for entry in () if registry.lack(module) else module.CLAIMS:
            found[f"claims/{entry.key}.md"] = claim_page(entry, module, verdicts)
            subjects.setdefault(entry.key.split(".")[0], []).append(entry)

    def listed(entries: dict[str, registry.Algorithm]) -> str:
        return table(("name", "what it is"), [(link(k), inline(e.summary)) for k, e in entries.items()])

    def families(kind: str) -> str:
        named = {key: registry.summary(registry.load(kind, key)) for key in registry.keys(kind)}
        return table(("name", "what it is"), [(link(k), inline(text)) for k, text in named.items()])

    found["algorithms/index.md"] = _index(
        "Algorithms",
        "One file each; [](../../extending.md) shows how to add one.",
        {"Solvers of preference games": listed(solvers), "Bandit policies": listed(policies)},
        [*solvers, *policies],
    )
    found["problems/index.md"] = _index(
        "Problems",
        "Built by `ps.games.<name>(...)` and `ps.bandits.<name>(...)`.",
        {"Preference games": families("games"), "Bandits": families("bandits")},
        [*registry.keys("games"), *registry.keys("bandits")],
    )
    found["claims/index.md"] = _index(
        "Claims",
        "Theorems as programs: each states its bound with constants and comes with controls that break an assumption and "
        f"must fail. {origin} The ratio is the worst of measurement to bound, at most 1 if the bound holds.",
        {code(subject): _statements(subjects[subject], verdicts) for subject in sorted(subjects)},
        [entry.key for subject in sorted(subjects) for entry in subjects[subject]],
    )
    return found


def write(docs: Path = DOCS) -> None:
    """Write all generated pages and figures below `docs`; unchanged files keep their dates."""
    folder, content = docs / "reference", pages(docs)
    for name, text in content.items():
        file = folder / name
        if not file.exists() or file.read_text() != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    for file in folder.rglob("*.md"):
        if str(file.relative_to(folder)) not in content:
            file.unlink()
    figures(docs)
    for notebook in sorted((docs.parent / "notebooks").glob("*.ipynb")):
        copy = docs / "_generated" / notebook.name
        if not copy.exists() or copy.read_bytes() != notebook.read_bytes():
            shutil.copyfile(notebook, copy)
