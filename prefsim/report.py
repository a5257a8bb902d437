"""A page of verdicts: for a terminal, as JSON, and as one self-contained HTML file with figures."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from prefsim.claim import ControlResult, Verdict

SYMBOLS = {"supported": "✓", "consistent on this window": "≈", "inconclusive": "?", "violated": "✗", "error": "!"}
"""A sign beside the word, so that nothing is said by colour alone."""

PASSED = "control passed"
"""What is said of a claim that no outcome contradicts but whose check did not fail where it must."""

SUFFIXES = (".html", ".json")


def check_path(path: str | os.PathLike[str], suffixes: tuple[str, ...] = SUFFIXES) -> Path:
    """Return `path` if a report can be written there; ValueError otherwise, before any work."""
    from prefsim.results import check_writable

    target = Path(path)
    if target.suffix not in suffixes:
        raise ValueError(f"cannot write {target}: the file name must end in {' or '.join(suffixes)}.")
    return check_writable(target)


def status(verdict: Verdict) -> str:
    """Return the outcome in words, or that a control passed where the outcome alone would look fine."""
    fine = verdict.outcome not in ("violated", "error")
    return PASSED if fine and not verdict.ok else verdict.outcome


def line(verdict: Verdict, width: int = 0) -> str:
    """One line of text for a verdict; keys are padded to `width`."""
    said = status(verdict)
    start = f"{SYMBOLS.get(said, '✗')} {said:<25}  {verdict.claim.key:<{width}}"
    if verdict.outcome == "error":
        return f"{start}  {verdict.message}"
    failed = sum(c.failed_as_required for c in verdict.controls)
    controls = f"{failed} of {len(verdict.controls)} controls fail as they must"
    return f"{start}  ratio {verdict.ratio + 0.0:<9.3g}  {controls}  {verdict.seconds:6.1f} s"


@dataclass(frozen=True, repr=False)
class Report:
    """What :func:`prefsim.verify` returns.

    Parameters
    ----------
    verdicts : tuple of Verdict
        In the order in which they were reached.
    """

    verdicts: tuple[Verdict, ...]

    @property
    def ok(self) -> bool:
        """Whether there are verdicts, none contradicts its claim, and every control failed as it must."""
        return bool(self.verdicts) and all(verdict.ok for verdict in self.verdicts)

    @property
    def budget(self) -> str:
        """The budget of the verdicts."""
        return ", ".join(dict.fromkeys(verdict.budget for verdict in self.verdicts))

    @property
    def summary(self) -> str:
        """One sentence: how many claims came out how, and whether the controls did their duty."""
        if not self.verdicts:
            return "No claim was checked."
        counts: dict[str, int] = {}
        for verdict in self.verdicts:
            counts[status(verdict)] = counts.get(status(verdict), 0) + 1
        total, controls = len(self.verdicts), [c for verdict in self.verdicts for c in verdict.controls]
        outcomes = ", ".join(f"{count} {said}" for said, count in counts.items())
        failed = sum(c.failed_as_required for c in controls)
        return f"{total} claim{'s' * (total > 1)}: {outcomes}; {failed} of {len(controls)} controls failed as they must."

    def table(self) -> str:
        """Return one line a verdict, aligned, and the summary."""
        width = max((len(verdict.claim.key) for verdict in self.verdicts), default=0)
        return "\n".join([*(line(verdict, width) for verdict in self.verdicts), self.summary])

    __repr__ = table

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: strict JSON, no timestamps; a ratio that is not a finite number is None."""
        from prefsim.results import package_version

        return {
            "version": package_version("prefsim"),
            "budget": self.budget,
            "ok": self.ok,
            "claims": [_describe(verdict) for verdict in self.verdicts],
        }

    def to_html(self) -> str:
        """Return one HTML page without external resources."""
        from jinja2 import Environment, FileSystemLoader
        from markupsafe import Markup

        from prefsim.results import package_version
        from prefsim.svg import number
        from prefsim.vignette import figure

        folder = Path(__file__).parent / "templates"
        environment = Environment(loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True, lstrip_blocks=True)
        environment.filters["code"] = _code
        environment.filters["ratio"] = lambda r: number(float(f"{r:.3g}")) if isfinite(r) else "∞" if r > 0 else "–"
        environment.filters["svg"] = Markup
        rows = [
            (v, status(v), SYMBOLS.get(status(v), "✗"), figure(v.evidence) if v.evidence is not None else None)
            for v in self.verdicts
        ]
        template = environment.get_template("report.html.j2")
        return template.render(report=self, rows=rows, version=package_version("prefsim"))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report as HTML or JSON, chosen by the ending of the file name, whole or not at all.

        Raises
        ------
        ValueError
            If the name ends otherwise, or the file cannot be written.
        """
        from prefsim.results import write_whole

        target = check_path(path)
        if target.suffix == ".json":
            text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        else:
            text = self.to_html()
        write_whole(target, lambda temporary: Path(temporary).write_text(text, encoding="utf-8"))


def _describe(verdict: Verdict) -> dict[str, Any]:
    claim = verdict.claim
    return {
        "key": claim.key,
        "statement": claim.statement,
        "source": claim.source,
        "assumptions": list(claim.assumptions),
        "algorithms": list(claim.algorithms),
        "outcome": verdict.outcome,
        "message": verdict.message,
        "ok": verdict.ok,
        "ratio": _finite(verdict.ratio),
        "controls": [_describe_control(control) for control in verdict.controls],
        "seconds": round(verdict.seconds, 3),
    }


def _describe_control(control: ControlResult) -> dict[str, Any]:
    return {
        "breaks": control.breaks,
        "outcome": control.outcome,
        "ratio": _finite(control.ratio),
        "failed_as_required": control.failed_as_required,
    }


def _finite(ratio: float) -> float | None:
    return float(ratio) if isfinite(ratio) else None


def _code(text: str) -> Any:
    """Show what stands between double backticks as code."""
    from markupsafe import Markup, escape

    parts = [escape(part) for part in text.split("``")]
    marked = [part if k % 2 == 0 else Markup("<code>") + part + Markup("</code>") for k, part in enumerate(parts)]
    return Markup("").join(marked)
