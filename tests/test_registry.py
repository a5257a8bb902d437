"""A new algorithm is one file; a broken one is refused with a sentence."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import prefsim as ps
from prefsim import registry

STEPPING = """
'A step, and an inner loop beside it.'


def State(policy):
    return policy


def init(hyper, log_policy):
    return log_policy


def step(hyper, state, game):
    return state
"""

SOLVER = '''
"""Half-hearted multiplicative weights: the step is halved on odd iterations.

log pi+ = log pi + step(t) * P(. > pi).
"""

from typing import NamedTuple


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 0.2
    """Learning rate on even iterations."""


def opponent(hyper, iterate, phase):
    """Self-play."""
    return iterate.current


def target(hyper, iterate, gain, phase):
    """Exponential weights, half of them on odd iterations."""
    return iterate.current + (hyper.step if iterate.t % 2 == 0 else hyper.step / 2) * gain
'''

POLICY = '''
"""Follow the leader on {factor} times the mean; ties at random."""

from typing import NamedTuple

from prefsim.ops import Array, argmax_random, floats

FEEDBACK = "bandit"
FACTOR = {factor}


class Hyper(NamedTuple):
    """Hyperparameters."""

    optimism: float = 1.0
    """Value of an arm that was never played."""


class State(NamedTuple):
    """Sums and counts."""

    total: Array = floats("arms")
    pulls: Array = floats("arms")
    index: Array = floats("arms")


def init(hyper, state, problem):
    """Nothing to prepare."""


def index(hyper, state, i):
    """A helper function compiles too."""
    return FACTOR * state.total[i] / state.pulls[i] if state.pulls[i] > 0 else hyper.optimism


def act(hyper, state, problem, t, noise):
    """Play the leader."""
    for i in range(problem.arms):
        state.index[i] = index(hyper, state, i)
    return argmax_random(state.index, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Average."""
    state.total[action] += feedback
    state.pulls[action] += 1.0
'''


def write(root, kind, name, text):
    folder = root / kind
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(text)


@pytest.fixture
def dropped(tmp_path, monkeypatch):
    """A folder on the registry's path holding one solver and one policy."""
    write(tmp_path, "solvers", "half_hearted", SOLVER)
    write(tmp_path, "policies", "follow_leader", POLICY.format(factor=1.0))
    monkeypatch.setenv("PREFSIM_PATH", str(tmp_path))
    registry._forget()
    yield tmp_path
    monkeypatch.undo()
    registry._forget()


def test_a_dropped_file_is_listed_runs_and_agrees_on_both_engines(dropped):
    assert ps.list_algorithms()["half_hearted"].startswith("Half-hearted multiplicative weights")
    assert "follow_leader" in ps.list_algorithms()
    game = ps.games.random(4, seed=0)
    plain, fast = (ps.run(game, ["half_hearted", "mwu"], horizon=30, engine=e) for e in ("reference", "numba"))
    np.testing.assert_allclose(fast.duality_gap, plain.duality_gap, rtol=1e-12)
    problem = ps.bandits.bernoulli([0.2, 0.6, 0.5])
    plain, fast = (ps.run(problem, ["follow_leader"], horizon=200, runs=3, engine=e) for e in ("reference", "numba"))
    np.testing.assert_array_equal(fast.regret, plain.regret)


def test_a_dropped_file_reaches_the_command_line(dropped):
    def prefsim(*words):
        code = "from prefsim.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "half_hearted" in prefsim("list", "algorithms")
    assert "Learning rate on even iterations" in prefsim("show", "half_hearted")
    assert "half_hearted" in prefsim("run", "rock_paper_scissors", "half_hearted", "--horizon", "10")


def test_divergence_is_reported_and_nothing_before_it_is_lost(dropped):
    write(dropped, "solvers", "exploding", SOLVER.replace("return iterate.current + (", "return -3 * iterate.current + ("))
    registry._forget()
    game = ps.games.random(4, seed=0)
    with np.errstate(all="ignore"), pytest.warns(ps.DivergenceWarning, match=r"exploding diverged by iteration \d+"):
        data = ps.run(game, ["mwu", "exploding"], horizon=2000)
    gap = data.duality_gap.sel(algorithm="exploding").values
    assert np.isfinite(gap[..., :5]).all() and np.isnan(gap[..., -1]).all()
    assert np.isfinite(data.duality_gap.sel(algorithm="mwu")).all()


NUMBER = textwrap.dedent("""
    import json, sys, time
    begun = time.perf_counter()
    import prefsim as ps
    data = ps.run(ps.bandits.bernoulli([.2, .6, .5, .55]), ["follow_leader"], horizon=500, runs=4, engine="numba")
    print(json.dumps([time.perf_counter() - begun, data.regret.values[..., -1].tolist()]))
""")


def number(folder, cache):
    import json

    environment = {**os.environ, "PREFSIM_PATH": str(folder), "PREFSIM_CACHE": str(cache)}
    done = subprocess.run([sys.executable, "-c", NUMBER], capture_output=True, text=True, env=environment, check=True)
    return json.loads(done.stdout)


def test_compiled_code_is_reused_and_an_edited_rule_is_not(dropped, tmp_path):
    cache = tmp_path / "cache"
    _, first = number(dropped, cache)
    compiled = sorted(p.name for p in cache.rglob("*.nbc"))
    _, second = number(dropped, cache)
    assert second == first and sorted(p.name for p in cache.rglob("*.nbc")) == compiled != []
    write(dropped, "policies", "follow_leader", POLICY.format(factor=-1.0))
    _, edited = number(dropped, cache)
    assert edited != first
    assert len(list(cache.rglob("*.nbc"))) > len(compiled)


def test_a_constant_imported_from_elsewhere_counts_as_an_edit(dropped, tmp_path, monkeypatch):
    """The runner's name covers what a rule compiles, not just the file it stands in."""
    helper = tmp_path / "shared_constants.py"
    text = POLICY.format(factor=1.0).replace("FACTOR = 1.0\n", "from shared_constants import FACTOR\n")
    write(dropped, "policies", "follow_leader", text)
    cache = tmp_path / "cache"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    results = []
    for factor in (1.0, -1.0):
        helper.write_text(f"FACTOR = {factor}\n")
        results.append(number(dropped, cache)[1])
    assert results[0] != results[1]


@pytest.mark.parametrize("edit", ["constants.FACTOR", "constants.factor()", "constants.TABLE[0]"])
def test_what_a_rule_reads_through_a_module_counts_as_an_edit(dropped, tmp_path, monkeypatch, edit):
    text = POLICY.format(factor=1.0).replace("FACTOR = 1.0\n", "import constants\n").replace("FACTOR *", f"{edit} *")
    write(dropped, "policies", "follow_leader", text)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    results = []
    for factor in (1.0, -1.0):
        helper = f"import numpy as np\nFACTOR = {factor}\nTABLE = np.array([FACTOR])\ndef factor():\n    return {factor}\n"
        (tmp_path / "constants.py").write_text(helper)
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        results.append(number(dropped, tmp_path / "cache")[1])
    assert results[0] != results[1]


def test_sums_over_actions_need_their_axis_back(dropped):
    """Without it a rule would mix policies wherever there are as many runs as actions."""
    import_line = "from typing import NamedTuple\n\nfrom prefsim.ops import column, kl\n"
    drift = "kl(iterate.current, iterate.reference)"
    text = SOLVER.replace("from typing import NamedTuple\n", import_line).replace("* gain", f"* (1 + column({drift})) * gain")
    write(dropped, "solvers", "half_hearted", text)
    registry._forget()
    game = ps.games.random(4, seed=0, count=2)
    settings = {"horizon": 20, "runs": 4, "start": "random", "metrics": ["policy"]}
    plain, fast = (ps.run(game, ["half_hearted"], engine=e, **settings) for e in ("reference", "numba"))
    np.testing.assert_allclose(fast.policy, plain.policy, rtol=1e-12)
    write(dropped, "solvers", "half_hearted", text.replace(f"column({drift})", drift))
    registry._forget()
    for name in [name for name in sys.modules if name.endswith("solvers.half_hearted")]:
        del sys.modules[name]
    with pytest.raises(ValueError, match=r"ops\.column"):
        ps.run(game, ["half_hearted"], **settings)


ENVIRONMENT = '''
"""Gaussian rewards."""

from typing import NamedTuple

import numpy as np

from prefsim.bandit import Bandit
from prefsim.ops import Array, normal

FEEDBACK = "bandit"
METRICS = ("regret",)


class Truth(NamedTuple):
    """Means and gaps."""

    means: Array
    gap: Array


def gauss(means=(3.0, 0.0)):
    """Build it."""
    mean = np.array([means])
    return Bandit("gauss", Truth(mean, mean.max() - mean), len(means), normalisation="pseudo")


def feedback(truth, world, action, t, noise):
    """Reward."""
    return truth.means[action] + normal(noise)


def regrets(truth, world, action, t, signal):
    """Gap."""
    return (truth.gap[action],)
'''


def test_an_environment_is_a_file_and_theorems_keep_to_theirs(dropped):
    write(dropped, "bandits", "gauss", ENVIRONMENT)
    registry._forget()
    data = ps.run("gauss", ["ucb1", "uniform"], horizon=200, runs=2)
    assert "regret_bound" not in data  # UCB1's theorem is for rewards in [0, 1]
    assert float(data.regret.sel(algorithm="ucb1").values[..., -1].max()) < 100
    with pytest.raises(ValueError, match=r"thompson needs rewards in \[0, 1\]"):
        ps.run("gauss", ["thompson"], horizon=5)
    write(dropped, "bandits", "broken", ENVIRONMENT.replace("gauss", "broken").replace("def regrets", "def costs"))
    registry._forget()
    with pytest.raises(ValueError, match="must define regrets"):
        ps.run("broken", ["ucb1"], horizon=5)
    for kind, field in (("full", "rewards"), ("of its own", "report")):
        name = kind.replace(" ", "_")
        write(dropped, "bandits", name, ENVIRONMENT.replace("gauss", name).replace('"bandit"', f'"{kind}"'))
        registry._forget()
        with pytest.raises(ValueError, match=f"gives '{kind}' feedback, so its State must have the field {field}"):
            registry.load("bandits", name)


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        ("solvers", SOLVER.replace("step: float = 0.2", "t: float = 0.2"), "takes the name of an axis"),
        ("solvers", SOLVER.replace("step: float = 0.2", 'step: str = "big"'), "must default to a bool, int or float"),
        ("solvers", SOLVER.replace("iterate.t % 2 == 0", "iterate.beta < 0.15"), "without branching on beta"),
        ("solvers", SOLVER + "ALIASES = {'mwu': (Hyper, None)}", "another file is called"),
        ("policies", "def", "cannot be imported: SyntaxError"),
        ("solvers", SOLVER.replace("def target", "def aim"), r"must define target\(hyper, iterate, gain, phase\)"),
        ("solvers", SOLVER.replace("(hyper, iterate, phase)", "(iterate)"), r"contract is opponent\(hyper, iterate"),
        ("solvers", STEPPING + SOLVER.replace("(hyper, iterate, phase)", "(iterate)"), r"contract is opponent\(hyper, iterate"),
        ("solvers", SOLVER.replace("step: float = 0.2", "step: float"), "needs a default"),
        ("policies", POLICY.format(factor=1).replace("class State", "class Memory"), "must define State"),
        ("policies", "X = 1", "needs a docstring"),
        ("games", '"""A family without its function."""', r"must define a function broken\(...\)"),
        ("claims", '"""A package by its letters."""\nCLAIMS, NEEDS = (), "torch"', r"a tuple of packages; give \('torch',\)"),
    ],
)
def test_a_broken_file_is_refused_with_a_sentence(dropped, kind, text, sentence):
    write(dropped, kind, "broken", text)
    registry._forget()
    with pytest.raises(ValueError, match=sentence):
        registry.load(kind, "broken")
        registry.algorithms(kind)


def test_two_files_of_one_key_are_refused(dropped):
    write(dropped, "solvers", "egpo", SOLVER)
    registry._forget()
    with pytest.raises(ValueError, match="two files define the solver 'egpo'"):
        ps.list_algorithms()


def test_unknown_names_are_answered_with_the_nearest():
    game = ps.games.rock_paper_scissors()
    with pytest.raises(ValueError, match="did you mean 'nash_md'"):
        ps.run(game, ["nash_mb"], horizon=1)
    with pytest.raises(ValueError, match="runs on bandits"):
        ps.run(game, ["ucb1"], horizon=1)
    with pytest.raises(ValueError, match="did you mean 'arxiv_six_rankers'"):
        ps.run("arxiv_six_ranker", ["rucb"], horizon=1)
    with pytest.raises(AttributeError, match="did you mean 'cyclic'"):
        _ = ps.games.cyclik
    with pytest.raises(ValueError, match="did you mean 'step'"):
        ps.run(game, [("mwu", {"stpe": 1.0})], horizon=1)
    with pytest.raises(ValueError, match="holds none of the folders"):
        ps.add_path(os.path.dirname(__file__))


def test_families_are_functions_even_after_their_files_are_imported():
    import prefsim.games.cyclic  # noqa: F401

    assert callable(ps.games.cyclic) and ps.games.cyclic(3).recipe == {"family": "cyclic", "n": 3, "margin": 0.5}
    assert "cyclic" in dir(ps.games)
    assert callable(ps.run) and callable(ps.agent)


def test_a_mistyped_path_is_not_ignored(monkeypatch):
    monkeypatch.setenv("PREFSIM_PATH", "/nonexistent/rules")
    registry._forget()
    with pytest.raises(ValueError, match="holds none of the folders"):
        ps.list_algorithms()
    monkeypatch.undo()
    registry._forget()


def test_an_interrupt_stops_compiled_rounds(tmp_path):
    """10^12 rounds would take a day; an interrupt must end them at once."""
    code = (
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # background jobs are born deaf to interrupts
        "import prefsim as ps\n"
        "p = ps.bandits.bernoulli([.3, .6])\n"
        "ps.run(p, ['uniform'], horizon=10)\n"
        "print('ready', flush=True)\n"
        "ps.run(p, ['uniform'], horizon=4 * 10**9, runs=256)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline().strip() == "ready"
    time.sleep(1)
    child.send_signal(signal.SIGINT)
    try:
        _, complaint = child.communicate(timeout=30)
    finally:
        child.kill()
    assert child.returncode != 0 and "KeyboardInterrupt" in complaint
