"""The command line, end to end: what it prints, what it writes, its exit status and its sentences for bad input."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import prefsim as ps
from prefsim import registry
from prefsim.claim import all_claims
from prefsim.cli import app
from prefsim.describe import Paper, arguments, hyperparameters, papers

HEAVY = ("xarray", "matplotlib", "numba", "scipy", "jinja2", "torch")
WINS = ",rock,paper,scissors\nrock,0.5,0.2,0.9\npaper,0.8,0.5,0.3\nscissors,0.1,0.7,0.5\n"

CLAIM = '''"""Claims for a test."""

from prefsim.claim import Claim, Control, Evidence


def measure(budget, value=1.0):
    return Evidence([value], upper=2.0)


def claim(key, honest, broken):
    run = lambda budget, value=honest: measure(budget, value)
    return Claim(key, "x <= 2", "nobody", ["x"], run, [Control("x", {"value": broken})])


CLAIMS = [claim("trial.true", 1.0, 3.0), claim("trial.false", 3.0, 4.0), claim("trial.toothless", 1.0, 1.5)]
'''


BLAST = '''"""A solver that leaves the numbers."""

from typing import NamedTuple


class Hyper(NamedTuple):
    """Hyperparameters."""


def opponent(hyper, iterate, phase):
    return iterate.current


def target(hyper, iterate, gain, phase):
    return gain - 1e150 * iterate.current
'''


def call(*args: object):
    return CliRunner().invoke(app, [str(a) for a in args])


def process(*args: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "prefsim", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **environment})


def sentence(result) -> str:
    """The one line on standard error of a refused command."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), result.stderr
    return lines[0]


def numbers(output: str, label: str) -> list[list[float]]:
    """The numbers behind every row of a table that starts with `label`."""
    rows = [line.split()[1:] for line in output.splitlines() if line.split()[:1] == [label]]
    return [[float(cell) for cell in row if re.fullmatch(r"[\d.e+-]+", cell)] for row in rows]


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "wins.csv"
    path.write_text(WINS)
    return path


@pytest.mark.parametrize("arguments", [[], ["--help"], ["list"], ["show", "egpo"]])
def test_looking_around_imports_nothing_heavy(arguments):
    code = (
        f"import sys; sys.argv = ['prefsim', *{arguments!r}]\nfrom prefsim.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n"
        f"    print('LOADED', end.code, sorted({{m.split('.')[0] for m in sys.modules}} & set({HEAVY!r})))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "LOADED 0 []" in result.stdout, result.stdout + result.stderr


def test_list_shows_everything_and_one_kind_alone():
    everything = call("list").stdout
    for name in (*ps.list_algorithms(), *ps.list_problems(), *ps.list_claims()):
        assert re.search(rf"^ {re.escape(name)} ", everything, re.M), name
    alone = call("list", "problems").stdout
    assert " cyclic " in alone and " egpo " not in alone


def test_claims_that_need_a_missing_package_are_said_to(monkeypatch):
    monkeypatch.setattr(registry, "find_spec", lambda package: None)  # as if nothing were installed
    here, elsewhere = call("list", "claims").stdout.split("Claims that cannot be checked here")
    assert re.search(r"^ egpo\.", here, re.M) and not re.search(r"^ (llm|reinforce)\.", here, re.M)
    for key in ("llm.one_step", "llm.sampled_tokens", "reinforce.backward"):
        assert re.search(rf"^ {re.escape(key)} +needs torch: pip install 'prefsim\[llm\]'", elsewhere, re.M)
    assert not any(key.startswith(("llm.", "reinforce.")) for key in (*ps.list_claims(), *all_claims()))
    for command in (("verify", "llm"), ("show", "reinforce.backward")):
        result = call(*command)
        assert result.exit_code == 2 and "needs torch: pip install 'prefsim[llm]'" in result.output


def test_listing_claims_imports_no_torch():
    code = "import sys\nimport prefsim as ps\nps.list_claims()\nprint('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "False", result.stdout + result.stderr


def test_show_gives_recursion_hyperparameters_andall_claims():
    page = call("show", "nash_md").stdout
    assert "log pi+ = log m + step * P(. > m)" in page
    assert re.search(r"step +0\.1 +Constant learning rate", page)
    assert re.search(r"schedule +false +Use the theorem's decreasing steps", page)
    for key, claim in all_claims().items():
        assert (key in page) == ("nash_md" in claim.algorithms)


def test_show_knows_aliases_problems_andall_claims():
    assert "another parametrisation of egpo" in call("show", "mirror_prox").stdout
    page = call("show", "cyclic").stdout
    assert re.search(r"n +3 +Number of actions, odd", page) and re.search(r"margin +0\.5 ", page)
    for key, claim in list(all_claims().items())[:1]:
        page = " ".join(call("show", key).stdout.split())
        assert all(" ".join(c.breaks.replace("``", "").split()) in page for c in claim.controls)


def test_show_says_how_large_a_step_may_be_on_a_game():
    page = call("show", "omd", "--game", "rock_paper_scissors", "--set", "weights=[0.5, 0.3, 0.2]", "--beta", 0.05).stdout
    found = ps.step_limits(ps.games.rock_paper_scissors([0.5, 0.3, 0.2]).replace(beta=0.05), "omd")
    shown = {line.split()[0]: line.split()[1] for line in page.splitlines() if len(line.split()) > 1}
    for name, number in (("theory", found.theory), ("limit", found.limit), ("auto", found.automatic), ("omega", found.omega)):
        assert shown[name] == f"{number:.4g}"
    assert "formula: largest step" in page and "theorem, from any start" in page
    divided = call("show", "inpo", "--game", "cyclic", "--beta", 0.05).stdout
    assert "formula: smallest step" in divided
    assert "Every step is unstable" in call("show", "mwu", "--game", "cyclic").stdout
    assert "plays 1 of 4 actions" in call("show", "omwu", "--game", "bradley_terry").stdout
    assert "must go with a game" in sentence(call("show", "omd", "--beta", 0.1))
    assert "has no step" in sentence(call("show", "fictitious_play", "--game", "cyclic"))


@pytest.mark.parametrize("kind", ["solvers", "policies"])
def test_every_hyperparameter_has_a_meaning(kind):
    for key, entry in registry.algorithms(kind).items():
        assert all(p.meaning and p.default for p in hyperparameters(entry)), key


@pytest.mark.parametrize("kind", ["games", "bandits"])
def test_every_argument_of_a_problem_has_a_meaning(kind):
    for key in registry.keys(kind):
        assert all(p.meaning for p in arguments(registry.family(kind, key))), key


def test_run_prints_what_the_library_computes(tmp_path):
    out = tmp_path / "duel.nc"
    result = call("run", "arxiv_six_rankers", "rucb", "uniform", "--horizon", 500, "--runs", 6, "--seed", 3, "--out", out)
    assert result.exit_code == 0, result.output
    same = ps.run("arxiv_six_rankers", ["rucb", "uniform"], horizon=500, runs=6, seed=3)
    assert ps.load(out)["regret"].equals(same["regret"])
    for label in ("rucb", "uniform"):
        final = same["regret"].sel(algorithm=label).values[0, :, -1]
        wanted = [final.mean(), *np.quantile(final, [0.1, 0.9])]
        np.testing.assert_allclose(numbers(result.stdout, label)[0][:3], wanted, rtol=1e-3)
    assert "mean over 6 runs" in result.stdout and str(out) in result.stdout


def test_run_prints_the_bound_where_there_is_one():
    result = call("run", "bernoulli", "ucb1", "exp3", "--set", "means=[0.3, 0.7]", "--horizon", 200, "--runs", 2)
    bound = 8 * np.log(200) / 0.4 + (1 + np.pi**2 / 3) * 0.4
    np.testing.assert_allclose(numbers(result.stdout, "ucb1")[0][-1], bound, rtol=1e-3)


def test_run_reads_settings_of_problem_and_algorithm(tmp_path):
    out = tmp_path / "x.nc"
    settings = ["--set", "n=5", "--set", "margin=0.25", "--beta", 0.1, "--metrics", "kl_to_equilibrium, duality_gap"]
    result = call("run", "cyclic", "nash_md:step=0.2", "egpo", *settings, "--start", "[0.4, 0.3, 0.1, 0.1, 0.1]", "--out", out)
    assert result.exit_code == 0, result.output
    data = ps.load(out)
    game = ps.games.cyclic(n=5, margin=0.25).replace(beta=0.1)
    metrics, start = ["kl_to_equilibrium", "duality_gap"], [0.4, 0.3, 0.1, 0.1, 0.1]
    same = ps.run(game, [("nash_md", {"step": 0.2}), "egpo"], horizon=1000, start=start, metrics=metrics)
    assert all(data[name].equals(same[name]) for name in metrics)
    assert json.loads(data.attrs["provenance"])["experiment"]["horizon"] == 1000


def test_default_horizon_of_bandits_is_longer(tmp_path):
    assert call("run", "cyclic4", "uniform", "--out", tmp_path / "x.nc").exit_code == 0
    assert int(ps.load(tmp_path / "x.nc")["t"][-1]) == 10_000


def test_run_from_a_file(tmp_path):
    path, out = tmp_path / "experiment.toml", tmp_path / "x.nc"
    experiment = ps.Experiment(ps.games.rock_paper_scissors().replace(beta=0.2), ["egpo"], horizon=30)
    experiment.to_toml(path)
    assert call("run", path, "--out", out).exit_code == 0
    assert ps.load(out).drop_attrs().equals(ps.run(experiment).drop_attrs())
    assert "drop --horizon" in sentence(call("run", path, "--horizon", 5))


def test_run_on_a_matrix_of_ones_own(csv):
    result = call("run", "--preference", csv, "egpo", "nash_md", "--beta", 0.1, "--horizon", 2000)
    assert result.exit_code == 0, result.output
    game = ps.games.from_csv(csv, beta=0.1)
    policy = ps.solve_equilibrium(game).policy
    for name, probability in zip(game.labels, policy, strict=True):
        np.testing.assert_allclose(numbers(result.stdout, name)[0][0], probability, atol=1e-6)
    assert "Intransitive: 1 of 1 triples is cyclic, and there is no Condorcet winner." in result.stdout
    assert "KL-regularised equilibrium, beta = 0.1" in result.stdout
    certificate = float(re.search(r"duality gap is ([\d.e+-]+)", result.stdout)[1])
    assert 0 <= certificate < 1e-12
    assert numbers(result.stdout, "egpo")[0][-1] < 1e-12 < numbers(result.stdout, "nash_md")[0][-1]


def test_run_on_transitive_counts(tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text(",ann,bob,cat\nann,0,9,8\nbob,1,0,7\ncat,2,3,0\n")
    result = call("run", "--preference", path, "mwu", "--counts", "--horizon", 10)
    assert "Transitive: 0 of 1 triples are cyclic, and ann is the Condorcet winner." in result.stdout
    shown = " ".join(process("show", "mslr5").stdout.split())
    assert "strong stochastic transitivity holds and the triangle inequality fails." in shown
    assert numbers(result.stdout, "ann")[0][0] == 1.0


def test_a_diverging_run_warns_in_one_sentence(tmp_path):
    (tmp_path / "solvers").mkdir()
    (tmp_path / "solvers" / "blast.py").write_text(BLAST)
    result = process("run", "cyclic", "blast", "--start", "[0.5, 0.3, 0.2]", "--horizon", 9, PREFSIM_PATH=str(tmp_path))
    assert result.returncode == 0 and "diverged" in result.stdout
    assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("warning: blast diverged")


def test_plot_and_cite(tmp_path):
    data = tmp_path / "game.nc"
    assert call("run", "rock_paper_scissors", "egpo", "nash_md", "--beta", 0.1, "--horizon", 20, "--out", data).exit_code == 0
    user_table = tmp_path / "game.csv"
    user_table.write_text(WINS)
    assert call("plot", data).exit_code == 0
    assert (tmp_path / "game.pdf").read_bytes().startswith(b"%PDF")
    assert user_table.read_text() == WINS
    picture = tmp_path / "a.png"
    assert call("plot", data, "--out", picture, "--metric", "average_duality_gap").exit_code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "duality_gap" in sentence(call("plot", data, "--metric", "duality_gaps"))
    cited = call("cite", data).stdout
    assert "eprint = {2503.08942}" in cited and "author = {Munos and others}" in cited
    assert f"version = {{{ps.__version__}}}" in cited


def test_papers_are_read_off_prose():
    text = "for T > 2 (Zhou, Fazel,\nDu 2025, arXiv 2503.08942; see Yue and Joachims (2011), de Rijke et al. 2014). In 1999 no."
    assert papers(text) == [
        Paper("Zhou, Fazel, Du", "2025", "2503.08942"),
        Paper("Yue and Joachims", "2011", ""),
        Paper("de Rijke et al.", "2014", ""),
    ]


CELLS = {
    "sum": (",a,b\na,0.5,0.7\nb,0.7,0.5\n", "sum to 1"),
    "nan": (",a,b\na,0.5,nan\nb,0.7,0.5\n", "nan"),
    "shape": (",a,b\na,0.5,0.7\n", "one row per action"),
    "range": (",a,b\na,0.5,1.5\nb,-0.5,0.5\n", "probabilities lie in [0, 1]"),
    "missing": (",a,b\na,0.5,\nb,0.7,0.5\n", "row 'a', column 'b' is empty"),
}


@pytest.mark.parametrize("case", CELLS)
def test_bad_matrices_are_refused(case, tmp_path):
    text, said = CELLS[case]
    path = tmp_path / "bad.csv"
    path.write_text(text)
    assert said in sentence(call("run", "--preference", path, "egpo"))


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ("preference = [[0.5, 0.7], [0.7, 0.5]]", "P + P^T = 1"),
        ("preference = [[0.5, nan], [0.7, 0.5]]", "finite"),
        ("preference = [[0.5, 0.7]]", "square"),
        ("preference = [[0.5, 1.7], [-0.7, 0.5]]", "[0, 1]"),
        ("preference = [[0.5]]\nreference = [0.0]", "positive"),
        ("preference = [[0.5]]\nreference = [0.5, 0.5]", "reference must have 1"),
        ("preference = [[0.5]]\nbeta = -1", "beta"),
        ("family = 'cyclc'", "did you mean 'cyclic'"),
        ("family = [", "cannot read"),
    ],
)
def test_bad_files_are_refused(problem, said, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(f"horizon = 5\nalgorithms = ['egpo']\n[problem]\n{problem}\n")
    assert said in sentence(call("run", path))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("run cyclic egpo --beta -1", "beta must be a finite temperature >= 0"),
        ("run cyclc egpo", "did you mean 'cyclic'"),
        ("run cyclic egp", "did you mean 'egpo'"),
        ("run cyclic rucb", "bandits"),
        ("run cyclic", "algorithms is empty"),
        ("run cyclic nash_md:stp=1", "did you mean 'step'"),
        ("run cyclic nash_md:step", "cannot read"),
        ("run cyclic egpo --horizon 0", "horizon must be at least 1"),
        ("run cyclic egpo --horizon ten", "--horizon"),
        ("run cyclic egpo --runs -3", "runs must be at least 1"),
        ("run cyclic egpo --seed -1", "seed"),
        ("run cyclic egpo --set n=4", "n must be an odd number"),
        ("run cyclic egpo --set m=5", "unknown argument of cyclic"),
        ("run cyclic egpo --set n", "NAME=VALUE"),
        ("run cyclic egpo --set n=[", "cannot read '['"),
        ("run cyclic egpo --metrics duality", "did you mean"),
        ("run cyclic egpo --engine numb", "did you mean 'numba'"),
        ("run cyclic egpo --start randm", "did you mean 'random'"),
        ("run cyclic egpo --start [1,1,1]", "start must sum to 1"),
        ("run cyclic egpo --counts", "--preference"),
        ("run cyclic egpo --out /no/such/folder/x.nc", "does not exist"),
        ("run cyclic egpo --out /", "it is a folder"),
        ("run bernoulli ucb1", "bernoulli needs means"),
        ("run missing.toml", "missing.toml"),
        ("run --preference missing.csv egpo", "there is no file missing.csv"),
        ("run cyclic egpo --horizn 5", "--horizon"),
        ("run", "Missing argument"),
        ("rnu", "No such command"),
        ("list claim", "did you mean 'claims'"),
        ("show egp", "did you mean 'egpo'"),
        ("plot missing.nc", "there is no file missing.nc"),
        ("plot missing.nc --out /no/such/folder/x.pdf", "does not exist"),
        ("cite missing.nc", "there is no file missing.nc"),
        ("verify no.such.claim", "unknown claim"),
        ("verify --budget fst", "did you mean 'fast'"),
        ("verify --json v.html", "must end in .json"),
        ("verify --html /no/such/folder/v.html", "does not exist"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(command, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said in sentence(call(*command.split(" ")))
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_result_is_refused_before_any_work(csv, monkeypatch):
    monkeypatch.setattr("prefsim.engines.numba.play_games", None)  # any work would raise another error
    assert "does not exist" in sentence(call("run", "--preference", csv, "egpo", "--out", csv.parent / "no" / "x.nc"))


def test_a_process_says_one_sentence_and_exits_two():
    result = process("run", "cyclic", "egpo", "--horizon", 0)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", "error: horizon must be at least 1; got 0.\n")


def test_no_arguments_is_help():
    result = process()
    assert result.returncode == 0 and "verify" in result.stdout


@pytest.fixture
def claims(tmp_path) -> str:
    (tmp_path / "path" / "claims").mkdir(parents=True)
    (tmp_path / "path" / "claims" / "trial.py").write_text(CLAIM)
    return str(tmp_path / "path")


@pytest.mark.parametrize(
    ("key", "status", "said"),
    [("true", 0, "supported"), ("false", 1, "violated"), ("toothless", 1, "control passed")],
)
def test_verify_status(key, status, said, claims, tmp_path):
    files = {"--json": tmp_path / "v.json", "--html": tmp_path / "v.html"}
    result = process("verify", f"trial.{key}", *(a for item in files.items() for a in item), PREFSIM_PATH=claims)
    assert result.returncode == status, result.stderr
    line = result.stdout.splitlines()[0]
    assert said in line and f"trial.{key}" in line
    content = json.loads(files["--json"].read_text())
    assert [c["key"] for c in content["claims"]] == [f"trial.{key}"] and content["ok"] == (status == 0)
    assert f"trial.{key}" in files["--html"].read_text()


def test_verify_selects_by_prefix_and_counts_all(claims):
    result = process("verify", "trial", PREFSIM_PATH=claims)
    assert result.returncode == 1 and len(result.stdout.splitlines()) == 4
    assert "3 claims: " in result.stdout and "2 of 3 controls failed as they must" in result.stdout


def test_show_and_list_see_claims_on_the_path(claims):
    assert "trial.true" in process("list", "claims", PREFSIM_PATH=claims).stdout
    assert "Controls (must fail)" in process("show", "trial.true", PREFSIM_PATH=claims).stdout


def test_an_interrupt_exits_130_with_a_word(tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(ps, "run", interrupted)
    result = call("run", "cyclic4", "uniform", "--out", tmp_path / "x.nc")
    assert result.exit_code == 130 and result.stderr.strip().startswith("interrupted")
    assert list(tmp_path.iterdir()) == []


def test_an_error_that_is_no_sentence_keeps_its_traceback(monkeypatch):
    def broken(*_, **__):
        raise ValueError("operands could not be broadcast together")

    monkeypatch.setattr(ps, "run", broken)
    result = call("run", "cyclic4", "uniform")
    assert result.exit_code == 1 and isinstance(result.exception, ValueError)
