"""The documentation's examples run as they stand, and its generated pages say what the registry knows."""

import html
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from prefsim import claim, describe, registry

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
sys.path.append(str(DOCS))

import examples  # noqa: E402
import generate  # noqa: E402
import text  # noqa: E402


def run(arguments, folder, **environment):
    """Run this Python in another process, where it can neither see nor change this one's registry."""
    path = os.pathsep.join(filter(None, [str(ROOT), str(DOCS), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def commands(page):
    """Arguments of every ``prefsim`` command of a page, small."""
    lines = "\n".join(examples.blocks(page, "console")).replace("\\\n", " ").splitlines()
    return [shlex.split(examples.shrink(line), comments=True)[2:] for line in lines if line.startswith("$ prefsim")]


def test_small_budgets():
    assert examples.shrink("run(horizon=100_000, runs=40)") == "run(horizon=60, runs=2)"
    assert examples.shrink("--horizon 100000 --runs 40") == "--horizon 60 --runs 2"
    assert examples.shrink("horizon = 500") == "horizon = 60"


def test_tutorial(tmp_path):
    page = DOCS / "tutorial.md"
    printed = run(["-c", examples.shrink("\n".join(examples.blocks(page)))], tmp_path)
    assert "rock      0.156055\nscissors  0.260025\npaper     0.583920" in printed
    for name in ("regret.svg", "convergence.svg"):
        assert (tmp_path / name).read_text().startswith("<?xml")
    for block in examples.blocks(page, "toml"):
        (tmp_path / re.match(r"# (\w+\.toml)", block)[1]).write_text(examples.shrink(block))
    found = [arguments for arguments in commands(page) if arguments[0] in ("run", "plot")]  # verify ran in Python
    assert len(found) == 5
    for arguments in found:
        output = run(["-m", "prefsim", *arguments], tmp_path)
        if "--preference" in arguments:
            promised = next(b for b in examples.blocks(page, "text") if "KL-regularised" in b)
            for line in promised.splitlines():
                assert line.strip() in output
            assert "Intransitive: 1 of 4 triples is cyclic, and there is no Condorcet winner." in output


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A folder with the files of the page on extending, and the rest of its code."""
    folder, rest = tmp_path_factory.mktemp("extending"), []
    for block in examples.blocks(DOCS / "extending.md"):
        name = re.match(r"# (mine/\w+/\w+\.py)\n", block)
        if name:
            file = folder / name[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block)
        else:
            rest.append(block)
    return folder, "\n".join(rest)


def test_extending(extended):
    folder, code = extended
    kinds = {file.parent.name for file in (folder / "mine").rglob("*.py")}
    assert kinds == set(registry.KINDS)
    assert "1 claim: 1 supported; 1 of 1 controls failed" in run(["-c", examples.shrink(code)], folder)


def test_dropped_files_are_listed_and_documented(extended):
    folder, _ = extended
    listed = run(["-m", "prefsim", "list"], folder, PREFSIM_PATH="mine")
    for name in ("heavy_ball", "softmax_gradient", "decaying_greedy", "dice", "beta_rewards", "heavy_ball.additive_game"):
        assert name in listed
    code = "import generate, json; print(json.dumps(generate.pages()))"
    pages = json.loads(run(["-c", code], folder, PREFSIM_PATH="mine"))
    assert "Polyak 1964" in pages["algorithms/heavy_ball.md"]
    assert "](../algorithms/heavy_ball.md)" in pages["algorithms/index.md"]
    assert {"problems/dice.md", "problems/beta_rewards.md", "claims/heavy_ball.additive_game.md"} <= set(pages)


@pytest.mark.parametrize("name", ["preference_games", "bandits"])
def test_chapter(name, tmp_path):
    """All that a chapter prints stands in it, and the answers to its exercises hold."""
    page = DOCS / f"{name}.md"
    assert run(["-c", "\n".join(examples.blocks(page))], tmp_path) == "".join(examples.blocks(page, "text"))


def test_preference_figures_are_those_of_the_chapter():
    shown = re.findall(r"\{figure\} _generated/(\w+\.svg)", (DOCS / "preference_games.md").read_text())
    drawn = re.findall(r"savefig\(\"(\w+\.svg)\"\)", (DOCS / "preference_figures.py").read_text())
    assert len(drawn) == 6 and sorted(shown) == sorted(drawn)


def test_architecture():
    for block in examples.blocks(DOCS / "architecture.md"):
        exec(examples.shrink(block), {})


def test_every_name_has_a_page():
    pages = generate.pages()
    for kind in ("solvers", "policies"):
        for key, entry in registry.algorithms(kind).items():
            page = pages[f"algorithms/{key}.md"]
            for parameter in describe.hyperparameters(entry):
                assert f"| `{parameter.name}` | `{parameter.default}` |" in page
            assert "\ndef " in page or "\nfrom prefsim.policies import " in page  # the rule, or whose it is
    for kind in ("games", "bandits"):
        for key in registry.keys(kind):
            page = pages[f"problems/{key}.md"]
            for parameter in describe.arguments(registry.family(kind, key)):
                assert f"| `{parameter.name}` |" in page
    for key, entry in claim.all_claims().items():
        assert f"prefsim verify {key}" in pages[f"claims/{key}.md"]
        for name in entry.algorithms:
            assert f"(../claims/{key}.md)" in pages[f"algorithms/{name}.md"]


def shown(markdown):
    """Text a reader sees."""
    from markdown_it import MarkdownIt

    return html.unescape(re.sub(r"<[^>]+>", "", MarkdownIt().render(markdown))).strip()


def test_text_is_taken_literally():
    for entry in claim.all_claims().values():
        for plain in (entry.statement, entry.source, *entry.assumptions, *(c.breaks for c in entry.controls)):
            assert shown(text.inline(plain)) == plain.replace("``", "").strip()
    assert text.inline("the *average* of pi* and p*") == "the *average* of pi\\* and p\\*"
    assert shown(text.inline("a_b <c> [d](e) `f` ^g^ #h |i| $j$ 1. {k}")) == "a_b <c> [d](e) `f` ^g^ #h |i| $j$ 1. {k}"
    assert text.formula("KL(pi*, pi_t) <= beta eta^2 sqrt(2)") == "KL(π*, π_t) ≤ β η² √(2)"
    assert text.formula("alphabet, theta, pin") == "alphabet, theta, pin"


def test_docstrings_become_prose_and_formulas():
    page = text.prose("""What ``it`` is.

        x+ = x * y_t

    Then *more*, arXiv
    2312.00886.
    """)
    assert page == (
        "What `it` is\\.\n\n```{code-block} text\n:class: formula\n\nx+ = x * y_t\n```\n\n"
        "Then *more*\\, [arXiv 2312.00886](https://arxiv.org/abs/2312.00886)\\."
    )


def test_verdicts_come_from_the_stored_file(tmp_path):
    key, entry = next(iter(claim.all_claims().items()))
    control = {"breaks": entry.controls[0].breaks, "outcome": "supported", "ratio": 0.5, "failed_as_required": False}
    verdict = {"key": key, "outcome": "supported", "ok": False, "ratio": 0.25, "message": "", "controls": [control]}
    content = {"version": "9.9", "budget": "paper", "ok": False, "claims": [verdict]}
    (tmp_path / "verdicts.json").write_text(json.dumps(content))
    pages = generate.pages(tmp_path)
    page = pages[f"claims/{key}.md"]
    assert "control passed]{.verdict .bad}" in page and "paper budget" in page and "**0.25**" in page
    assert "**does not fail**" in page
    assert "prefsim 9.9 at the paper budget" in pages["claims/index.md"]
    assert "not run yet" in pages["claims/index.md"]


@pytest.mark.parametrize("page", ["mathematics.md", "preference_games.md", "bandits.md"])
def test_theory_names_claims_that_exist(page):
    known = claim.all_claims()
    subjects = {key.split(".")[0] for key in known}
    named = re.findall(r"`(\w+\.\w+)`", (DOCS / page).read_text())
    named = [name for name in named if name.split(".")[0] in subjects]
    assert len(named) > 10
    assert [name for name in named if name not in known] == []
