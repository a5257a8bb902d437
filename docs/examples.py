"""The examples of the hand-written pages: their code, the same at small budgets, and the figures they draw."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SMALL = {"horizon": "60", "runs": "2"}
"""Budgets that :func:`shrink` puts into examples."""


def blocks(page: Path, language: str = "python") -> list[str]:
    """Return the fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def shrink(text: str) -> str:
    """Replace horizons and numbers of runs in Python code or a command by small ones."""
    for name, value in SMALL.items():
        text = re.sub(rf"(\b{name}(?:=| = )|--{name} )[\d_]+", rf"\g<1>{value}", text)
    return text


def figures(docs: Path) -> None:
    """Draw the figures of the tutorial, which saves them as it stands, and those of the chapter on preference games."""
    tutorial, drawings = docs / "tutorial.md", docs / "preference_figures.py"
    _draw(tutorial, "\n".join(blocks(tutorial)), docs / "_generated")
    _draw(drawings, drawings.read_text(), docs / "_generated")


def _draw(source: Path, code: str, target: Path) -> None:
    """Run the code of a file and keep the figures it saves, unless they are newer than all it depends on."""
    target.mkdir(exist_ok=True)
    names = re.findall(r"savefig\(\"(\w+\.svg)\"\)", code)
    sources = [source, *(ROOT / "prefsim").rglob("*.py")]
    newest = max(file.stat().st_mtime for file in sources)
    if all((target / name).exists() and (target / name).stat().st_mtime > newest for name in names):
        return
    if os.environ.get("PREFSIM_NOTEBOOK_BUDGET") == "small":
        code = shrink(code)
    with tempfile.TemporaryDirectory() as folder:
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        for name in names:
            shutil.copy(Path(folder) / name, target / name)
