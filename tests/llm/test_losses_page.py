"""The page on losses and advantages names every function, and its code prints what stands there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "llm_losses.md"
sys.path.append(str(ROOT / "docs"))

import examples  # noqa: E402

from prefsim.llm import direct, reinforce, surrogate  # noqa: E402


def test_the_page_runs_as_it_stands(tmp_path):
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    code = "\n".join(examples.blocks(PAGE))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(examples.blocks(PAGE, "text"))


def test_every_function_is_on_the_page():
    text = PAGE.read_text()
    made_here = [
        name
        for module in (reinforce, surrogate)
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]
    assert len(made_here) >= 12
    for name in (*direct.__all__, *made_here):
        assert f"`{name}`" in text or f"`{name}_" in text, name
