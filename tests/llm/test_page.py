"""The code of the chapter on language models runs as it stands, and the solvers' pages carry the torch mark."""

import re
import sys
from pathlib import Path

import pytest

from prefsim import qualify, registry
from prefsim.llm import methods

DOCS = Path(__file__).parents[2] / "docs"
sys.path.append(str(DOCS))

import examples  # noqa: E402


def test_chapter(capsys):
    pytest.importorskip("transformers", reason="the chapter trains a transformer")
    exec(compile("\n".join(examples.blocks(DOCS / "llm.md")), "llm.md", "exec"), {})
    rates = [float(word) for word in capsys.readouterr().out.strip("[]\n ").split()]
    assert len(rates) == 4 and all(0 < rate < 1 for rate in rates)


def test_torch_marks():
    marks = {key: qualify.torch_sentence(registry.load("solvers", key)) for key in registry.keys("solvers")}
    assert marks["egpo"].startswith("Trains torch policies by regression")
    assert "one inner iteration of its step at a time" in marks["nash_prox"]
    assert "by its policy gradient" in marks["nash_md_pg"] and "not sampled" in marks["nash_md_pg"]
    assert marks["regret_matching_plus"] == (
        "Does not train torch policies: it gives step instead of opponent and target, so it needs the whole game."
    )


def test_defaults_are_those_of_the_table():
    table = (DOCS / "llm.md").read_text().split("| | by default |\n|---|---|\n")[1].split("\n\n")[0]
    named = 0
    for names, said in (row.strip("| ").split(" | ") for row in table.splitlines()):
        names, _, shared = names.partition("; ")
        for name in re.findall("`([a-z_0-9]+)`", names + shared):
            switches = methods.setup(name, 0.1, {}).switches
            assert f"`{switches.estimator}`" in said, name
            assert (switches.opponents == "shared") == ("shared" in said or f"`{name}`" in shared), name
            named += 1
    assert named >= 20
