"""One rule, any array library: NumPy, torch and the strict array standard give the same policies, a batch or one game."""

from __future__ import annotations

import numpy as np
import pytest

import prefsim as ps
from prefsim import ops, registry
from prefsim.engines.game_loops import MEMORY, POLICIES, Game, Iterate
from prefsim.engines.reference import stack

LIBRARIES = ["numpy", "array_api_strict", "torch"]
GAMES = ps.games.random(5, seed=3, count=3).replace(beta=[0.1, 0.3, 0.7])
START = ops.log_normalize(np.cos(np.arange(3 * 2 * 5) ** 1.5).reshape(3, 2, 5))
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
    return pytest.importorskip(library).asarray


def hyperparameters(key, settings, beta):
    entry = registry.algorithm("solvers", key)
    given = entry.hyper(settings)
    return entry.translate(given, beta) if entry.translate else given


def mirror_steps(rule, hyper, game, start, horizon):
    """Log-policies after 0, 1, ... iterations of a rule that gives ``opponent`` and ``target``."""
    now = {name: start for name in POLICIES} | {"reference": game.reference + 0 * start}
    yield start
    for t in range(horizon):
        gain = None
        for phase in range(getattr(rule, "PHASES", 1)):
            iterate = Iterate(**now, beta=game.beta, t=t)
            gain = ops.win_rates(game.preference, rule.opponent(hyper, iterate, phase))
            now["half"] = ops.log_normalize(rule.target(hyper, iterate, gain, phase))
        iterate = Iterate(**now, beta=game.beta, t=t)
        moved = {name: getattr(rule, name)(hyper, iterate, gain) for name in MEMORY if hasattr(rule, name)}
        now |= {name: ops.log_normalize(values) for name, values in moved.items()}
        now |= {"previous": now["current"], "current": now["half"]}
        yield now["current"]


def own_steps(rule, hyper, game, start, horizon):
    """The same for a rule that gives ``step``."""
    state = rule.init(hyper, start)
    yield state.policy
    for t in range(horizon):
        state = rule.step(hyper, state, game._replace(t=t))
        yield state.policy


def path(key, hyper, game, start, horizon, array):
    """Policies (iterations, ..., n) as NumPy arrays, computed in the library of `array` throughout."""
    rule = registry.algorithm("solvers", key).module
    convert = lambda value: array(value) if isinstance(value, np.ndarray) else value  # noqa: E731
    hyper = type(hyper)(*map(convert, hyper))
    game = Game(*map(convert, game))
    start = array(start)
    found = []
    for log_policy in (own_steps if hasattr(rule, "step") else mirror_steps)(rule, hyper, game, start, horizon):
        assert type(log_policy) is type(start) and log_policy.dtype == start.dtype
        found.append(np.exp(np.asarray(log_policy)))
    return np.array(found)


def batch(key, settings, horizon, array):
    hyper = stack([hyperparameters(key, settings, beta) for beta in GAMES.beta.tolist()])
    game = Game(GAMES.preference[:, None], GAMES.log_reference[:, None], GAMES.beta[:, None, None], 0)
    return path(key, hyper, game, START, horizon, array)


def length(key):
    """Nash Prox solves an equation a step: few steps are thousands of operations."""
    return 2 if key == "nash_prox" else 12


def named(cases):
    return pytest.mark.parametrize(("key", "settings"), cases, ids=["-".join((key, *settings)) for key, settings in cases])


@pytest.mark.parametrize("library", LIBRARIES)
@named(CASES)
def test_every_library_follows_the_reference_engine(key, settings, library):
    array, horizon = maker(library), length(key)
    run = {"horizon": horizon, "record": "all", "metrics": ["policy"], "engine": "reference"}
    data = ps.run(GAMES, [(key, settings)], start=np.exp(START), runs=2, **run).policy.values[0]
    ours = batch(key, settings, horizon, array)
    np.testing.assert_allclose(np.moveaxis(ours, 0, 2), data, rtol=1e-12, atol=1e-300)
    assert np.abs(ours[-1] - ours[0]).max() > 1e-3


@pytest.mark.parametrize("library", LIBRARIES)
@named(CASES)
def test_a_batch_is_one_game_at_a_time(key, settings, library):
    array, horizon = maker(library), length(key)
    together = batch(key, settings, horizon, array)
    for i, run in ((0, 1), (2, 0)):
        beta = float(GAMES.beta[i])
        game = Game(GAMES.preference[i], GAMES.log_reference[i], beta, 0)
        alone = path(key, hyperparameters(key, settings, beta), game, START[i, run], horizon, array)
        np.testing.assert_allclose(together[:, i, run], alone, rtol=1e-12, atol=1e-300)


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
    ours = np.asarray(getattr(ops, word)(*arguments))
    np.testing.assert_allclose(ours, getattr(ops, word)(*given), rtol=1e-14, atol=1e-15)


def test_the_vocabulary_is_covered():
    """What is left are numbers, not arrays: noise, declarations of state, and words of scalar loops for bandits."""
    numbers = {"Array", "argmax_random", "bernoulli_kl", "beta", "coin_kl", "draw", "floats", "integers", "normal", "uniform"}
    loops = {word for word in ops.__all__ if getattr(ops, word).__module__ in ("prefsim.vectors", "prefsim.logistic")}
    assert set(ops.__all__) == numbers | loops | set(WORDS)


def test_what_is_no_array_is_refused():
    with pytest.raises(TypeError):
        ops.softmax("half")
