"""One rule, any array library: the reference engine's players on NumPy, torch, the strict array standard and CuPy."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

import prefsim as ps
from prefsim import cli, ops, registry
from prefsim.engines import reference

LIBRARIES = ["numpy", "array_api_strict", "torch", "cupy"]
GAMES = ps.games.random(5, seed=3, count=3).replace(beta=[0.1, 0.3, 0.7])
START = ops.log_normalize(np.cos(np.arange(3 * 2 * 5) ** 1.5).reshape(3, 2, 5))
SOLVERS = sorted(registry.algorithms("solvers"))
CASES = [
    (key, settings)
    for key, entry in registry.algorithms("solvers").items()
    for settings in ({}, *({name: True} for name, value in entry.parameters._field_defaults.items() if value is False))
]


def maker(library):
    """What turns numbers into double-precision arrays of `library`."""
    if library == "numpy":
        return np.asarray
    if library == "torch":
        pytest.importorskip("array_api_compat")
        torch = pytest.importorskip("torch")
        return lambda values: torch.as_tensor(np.array(values), dtype=torch.float64)
    module = pytest.importorskip(library)
    if library == "cupy" and not module.cuda.is_available():
        pytest.skip("there is no device")
    return module.asarray


def plain(values):
    """An array of any library as NumPy's."""
    return values.get() if hasattr(values, "get") else np.asarray(values)


def player(key, settings, array, rows=slice(None), runs=slice(None)):
    """A player of some games and runs that computes in the library of `array`."""
    entry = registry.algorithm("solvers", key)
    game, given = GAMES[rows].flatten(), entry.hyper(settings)
    hypers = [entry.translate(given, beta) if entry.translate else given for beta in game.beta.tolist()]
    games = (np.array(game.beta), game.preference, game.log_reference, START[rows][:, runs])
    return reference.play_game(entry.module, hypers, *games, True, distance=True, array=array)


def fields(played):
    """All that a player holds: policies or state, and what it gathered."""
    own = played.policies if hasattr(played, "policies") else played.state._asdict()
    return {**own, "total": played.total, "distance": played.distance}


def length(key):
    """Nash Prox solves an equation a step: few steps are thousands of operations."""
    return 2 if key == "nash_prox" else 12


def named(cases):
    return pytest.mark.parametrize(("key", "settings"), cases, ids=["-".join((key, *settings)) for key, settings in cases])


@pytest.mark.parametrize("library", LIBRARIES[1:])
@named(CASES)
def test_every_library_follows_the_reference_engine(key, settings, library):
    array = maker(library)
    theirs, ours = player(key, settings, np.asarray), player(key, settings, array)
    for stop in (1, length(key)):
        theirs.advance(stop)
        ours.advance(stop)
        for name, values in fields(ours).items():
            assert type(values) is type(array(START)) and values.dtype == array(START).dtype
            np.testing.assert_allclose(plain(values), fields(theirs)[name], rtol=1e-12, atol=1e-12, err_msg=name)
    assert np.abs(np.exp(theirs.current) - np.exp(START)).max() > 1e-3


@pytest.mark.parametrize("library", LIBRARIES)
@named(CASES)
def test_a_batch_is_one_game_at_a_time(key, settings, library):
    array = maker(library)
    together = player(key, settings, array)
    together.advance(length(key))
    for i, run in ((0, 1), (2, 0)):
        alone = player(key, settings, array, slice(i, i + 1), slice(run, run + 1))
        alone.advance(length(key))
        for name, values in fields(alone).items():
            np.testing.assert_allclose(plain(fields(together)[name])[i, run], plain(values)[0, 0], rtol=1e-12, atol=1e-12)


SHAPES = [((4, 4), (4,)), ((4, 4), (3, 2, 4)), ((3, 1, 4, 4), (3, 2, 4)), ((3, 1, 4, 4), (2, 4)), ((3, 2, 4, 4), (3, 2, 4)),
          ((1, 4, 4), (4,)), ((3, 4, 4), (4,)), ((5, 1, 1, 4, 4), (5, 3, 2, 4)), ((2, 1, 4, 4), (1, 1, 4))]  # fmt: skip


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("matrices", "policies"), SHAPES)
def test_win_rates_are_sums_over_the_opponent_in_every_shape(matrices, policies, library):
    """Whether policies are multiplied one at a time or as the rows of one product."""
    array = maker(library)
    preference = np.sin(np.arange(np.prod(matrices)) ** 1.3).reshape(matrices)
    log_policy = ops.log_normalize(np.cos(np.arange(np.prod(policies)) ** 1.7).reshape(policies))
    expected = np.sum(preference * np.exp(log_policy)[..., None, :], axis=-1)
    found = plain(ops.win_rates(array(preference), array(log_policy)))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)


def test_games_that_share_a_matrix_hold_it_once():
    matrix = GAMES.preference[0]
    games = (np.array([0.1, 0.2, 0.4]), np.broadcast_to(matrix, (3, 5, 5)), GAMES.log_reference, START, False)
    rule = registry.algorithm("solvers", "egpo")
    hypers = [rule.hyper({})] * 3
    shared = reference.play_game(rule.module, hypers, *games)
    apart = reference.play_game(rule.module, hypers, games[0], np.array([matrix] * 3), *games[2:])
    assert shared.preference.shape == (5, 5) and apart.preference.shape == (3, 1, 5, 5)
    for one in (shared, apart):
        one.advance(20)
    np.testing.assert_allclose(shared.current, apart.current, rtol=1e-13)


@pytest.fixture(params=LIBRARIES[1:])
def library(request, monkeypatch):
    """The library that computes behind ``engine="cupy"``: CuPy where it finds a device, else another in its place."""
    pytest.importorskip("array_api_compat")
    array = maker(request.param)
    if request.param != "cupy":
        runtime = SimpleNamespace(getDeviceProperties=lambda number: {"name": b"stand-in"})
        cuda = SimpleNamespace(is_available=lambda: True, Device=lambda: SimpleNamespace(id=0), runtime=runtime)
        module = SimpleNamespace(asarray=array, asnumpy=plain, cuda=cuda, __version__="0")
        monkeypatch.setitem(sys.modules, "cupy", module)
    return request.param


def test_the_engine_gives_the_numbers_of_the_reference(library):
    metrics = ["duality_gap", "average_duality_gap", "kl_to_equilibrium", "win_rate:mwu", "distance", "policy"]
    settings = {"horizon": 40, "runs": 2, "start": "random", "metrics": metrics}
    algorithms = [key for key in SOLVERS if key != "nash_prox"]
    theirs, ours = (ps.run(GAMES, algorithms, engine=engine, **settings) for engine in ("reference", "cupy"))
    for name in metrics:
        assert ours[name].dtype == np.float64
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9, atol=1e-14, err_msg=name)
    assert '"engine": "cupy"' in ours.provenance and "CuPy" in ours.provenance and "CuPy" not in theirs.provenance


def test_the_command_line_takes_the_engine(library, tmp_path):
    done = CliRunner().invoke(cli.app, ["run", "rock_paper_scissors", "omd", "--horizon", "5", "--engine", "cupy"])
    assert done.exit_code == 0, done.output


def test_a_diverging_run_is_reported(library):
    with pytest.warns(ps.DivergenceWarning, match=r"nash_prox\(inner=5\) diverged by iteration 1"):
        data = ps.run(GAMES.replace(beta=0.02), [("nash_prox", {"inner": 5})], horizon=3, engine="cupy")
    assert np.isnan(data.duality_gap[..., -1]).all()


@pytest.mark.parametrize(
    ("problem", "algorithms", "settings", "sentence"),
    [
        (ps.bandits.bernoulli([0.2, 0.5]), ["ucb1"], {}, "games only; bandits run on a GPU with engine=.cuda"),
        (GAMES, ["omd"], {"feedback": "sampled"}, "exact feedback only; estimates run with"),
    ],
)
def test_what_the_engine_does_not_play_is_refused(problem, algorithms, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        ps.run(problem, algorithms, horizon=5, engine="cupy", **settings)


def test_without_cupy_or_a_device_a_sentence_says_what_to_do(monkeypatch):
    pytest.importorskip("array_api_compat")
    without = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False))
    for module, sentence in ((None, r'pip install "prefsim\[gpu\]"'), (without, "no CUDA device")):
        monkeypatch.setitem(sys.modules, "cupy", module)
        with pytest.raises(ValueError, match=sentence):
            ps.run(GAMES, ["omd"], horizon=5, engine="cupy")
    done = CliRunner().invoke(cli.app, ["run", "rock_paper_scissors", "omd", "--horizon", "5", "--engine", "cupy"])
    assert done.exit_code == 2 and "no CUDA device" in done.output


ROWS = np.array([[0.0, 1.0, 1.0, -3.0], [0.2, -0.1, 0.7, 0.2], [0.0, 0.0, 0.0, 0.0], [800.0, -800.0, 1e-13, 2.0]])
with np.errstate(divide="ignore"):
    DEAD = np.log([[0.5, 0.5, 0, 0], [1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], [0.1, 0.2, 0.3, 0.4]])
WORDS = {
    "logsumexp": (ROWS,),
    "log_normalize": (ROWS,),
    "softmax": (ROWS,),
    "span": (ROWS,),
    "log": (ROWS,),
    "exp": (DEAD,),
    "clip": (ROWS, -0.05, np.inf),
    "positive_part": (ROWS,),
    "best_reply": (ROWS,),
    "project_simplex": (ROWS,),
    "column": (ROWS[:, 0],),
    "normalize": (np.abs(ROWS), DEAD),
    "advantage": (ROWS, DEAD),
    "kl": (DEAD, ops.log_normalize(ROWS / 100)),
    "win_rates": (np.tri(4), DEAD),
    "choose": (np.array([True, False, False, True]), ROWS, DEAD),
    "every": (np.array([True, False]),),
}


@pytest.mark.parametrize("library", LIBRARIES[1:])
@pytest.mark.parametrize("word", WORDS)
def test_the_vocabulary_means_the_same(word, library):
    array, given = maker(library), WORDS[word]
    if word == "choose" or word == "every":  # booleans stay booleans
        boolean = pytest.importorskip(library)
        arguments = [boolean.asarray(given[0]), *(array(a) for a in given[1:])]
    else:
        arguments = [array(a) if isinstance(a, np.ndarray) else a for a in given]
    ours = plain(getattr(ops, word)(*arguments))
    np.testing.assert_allclose(ours, getattr(ops, word)(*given), rtol=1e-14, atol=1e-15)


def test_the_vocabulary_is_covered():
    """What is left are numbers, not arrays: noise, declarations of state, and words of scalar loops for bandits."""
    numbers = {"Array", "argmax_random", "bernoulli_kl", "beta", "coin_kl", "draw", "floats", "integers", "normal", "uniform"}
    loops = {word for word in ops.__all__ if getattr(ops, word).__module__ in ("prefsim.vectors", "prefsim.logistic")}
    assert set(ops.__all__) == numbers | loops | set(WORDS)


def test_what_is_no_array_is_refused():
    with pytest.raises(TypeError):
        ops.softmax("half")
