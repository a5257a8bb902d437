"""Random numbers: published vectors, equal bits in every form, the right distributions, independent streams."""

import hashlib
import math
import struct
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from prefsim import noise as ns

# Random123 kat_vectors, "philox4x32 10": counter, key, result.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]
SHAPES = [
    (0.3, 1.0),
    (1.0, 0.3),
    (1.5, 2000.0),
    (2000.0, 0.3),
    (1.0, 1.0),
    (0.3, 0.3),
    (50.0, 60.0),
    (1.5, 1.5),
    (2, 3),
]
EXTREMES = [(1e-9, 1e-9), (1e-9, 1e9), (1e9, 1e-9), (1e9, 1e9), (1e9, 1.0), (1.0, 1e-9), (1e9, 1.5), (1 + 2**-52,) * 2]
WORD = st.integers(0, 2**32 - 1)


def words(text):
    return [np.uint64(int(word, 16)) for word in text.split()]


@pytest.fixture(scope="module")
def compiled():
    """The scalar functions inside compiled loops, the way an engine calls them."""
    from numba import njit
    from numba.extending import register_jitable

    for function in ns.SCALAR:
        register_jitable(forceinline=True, error_model="numpy")(function)
    open_stream, seek, philox = ns.open_stream, ns.seek, ns.philox4x32

    def loop(draw):
        @njit
        def drawn(key0, key1, instance, run, round, count, *arguments):
            noise = open_stream(key0, key1, instance, run)
            seek(noise, round)
            return np.array([draw(noise, *arguments) for _ in range(count)])

        return drawn

    block = njit(lambda c0, c1, c2, c3, k0, k1: philox(c0, c1, c2, c3, k0, k1))
    return SimpleNamespace(block=block, uniforms=loop(ns.uniform), normals=loop(ns.normal), betas=loop(ns.beta))


def sequence(draw, key, instance, run, round, count, *arguments):
    """``count`` numbers from the plain Python functions."""
    noise = ns.open_stream(*key, instance, run)
    ns.seek(noise, round)
    return np.array([draw(noise, *arguments) for _ in range(count)])


def same(left, right):
    """Equal shape and equal bits."""
    left, right = np.asarray(left), np.asarray(right)
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_published_vectors(compiled, counter, key, result):
    expected = words(result)
    assert list(ns.philox4x32(*words(counter), *words(key))) == expected
    assert list(compiled.block(*words(counter), *words(key))) == expected


def test_published_vectors_as_arrays():
    counters, keys, results = (np.array([words(text) for text in column]).T for column in zip(*KNOWN, strict=True))
    assert same(np.stack(ns.philox4x32(*counters, *keys)), results)


def test_uniform_is_the_top_53_bits_of_a_published_block():
    # Block 0 of round 0x85a308d3, run 0x13198a2e, instance 0x03707344 differs from the vector in its first word only,
    # so reach the vector's block 0x243f6a88 through the draw counter, which the handle keeps.
    counter, key, result = (words(part) for part in KNOWN[2])
    noise = ns.open_stream(*key, instance=counter[3], run=counter[2])
    ns.seek(noise, counter[1])
    noise[ns.DRAW] = np.uint64(2 * int(counter[0]))
    drawn = [ns.uniform(noise), ns.uniform(noise)]
    w = [int(word) for word in result]
    assert drawn == [((w[0] << 32 | w[1]) >> 11) / 2**53, ((w[2] << 32 | w[3]) >> 11) / 2**53]


@settings(deadline=None, max_examples=60)
@given(st.tuples(WORD, WORD), WORD, WORD, WORD, st.integers(0, 7))
def test_three_forms_give_equal_bits(compiled, key, instance, run, round, count):
    place = (instance, run, round, count)
    assert same(ns.uniforms(key, *place), sequence(ns.uniform, key, *place))
    assert same(ns.uniforms(key, *place), compiled.uniforms(*key, *place))
    assert same(ns.normals(key, *place), sequence(ns.normal, key, *place))
    assert same(ns.normals(key, *place), compiled.normals(*key, *place))


@pytest.mark.parametrize(("a", "b"), SHAPES + EXTREMES)
def test_beta_compiled_equals_python(compiled, a, b):
    place = (9, 2**32 - 1, 7)
    python = sequence(ns.beta, (5, 6), *place, 400, a, b)
    assert same(python, compiled.betas(5, 6, *place, 400, a, b))
    assert same(python, sequence(ns.beta, (5, 6), *map(np.int64, place), 400, np.float64(a), np.float64(b)))
    assert np.all((python >= 0) & (python <= 1))


def test_broadcasting():
    runs, rounds = np.arange(3)[:, None], np.array([0, 8])
    table = ns.uniforms((1, 2), 5, runs, rounds, 3)
    assert table.shape == (3, 2, 3)
    for i, j in np.ndindex(3, 2):
        assert same(table[i, j], sequence(ns.uniform, (1, 2), 5, i, rounds[j], 3))
    assert ns.normals((1, 2), 5, runs, rounds, 3).shape == (3, 2, 3)


# --- distributions ---------------------------------------------------------------------------------------------------

DRAWS = 200_000


def test_uniform_distribution(compiled):
    drawn = compiled.uniforms(1, 2, 3, 4, 5, DRAWS)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert stats.kstest(drawn, "uniform").pvalue > 1e-4
    low_bits = (drawn * 2**53).astype(np.uint64) & np.uint64(0xFF)
    assert stats.chisquare(np.bincount(low_bits.astype(int), minlength=256)).pvalue > 1e-4
    pairs = np.histogram2d(drawn[0::2], drawn[1::2], bins=16, range=[[0, 1], [0, 1]])[0]
    assert stats.chisquare(pairs.ravel()).pvalue > 1e-4


def test_uniform_distribution_across_each_counter_word():
    axis = np.arange(50_000)
    for place in ((axis, 0, 0), (0, axis, 0), (0, 0, axis)):
        assert stats.kstest(ns.uniforms((1, 2), *place, 1).ravel(), "uniform").pvalue > 1e-4


def test_normal_distribution(compiled):
    drawn = compiled.normals(1, 2, 3, 4, 5, DRAWS)
    assert same(drawn, ns.normals((1, 2), 3, 4, 5, DRAWS))
    assert stats.kstest(drawn, "norm").pvalue > 1e-4
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 5 / math.sqrt(DRAWS)


@pytest.mark.parametrize(
    ("a", "b"),
    [(1, 1), (1, 5), (5, 1), (0.5, 0.5), (0.3, 4), (4, 0.3), (0.7, 1.2), (2, 3), (1.01, 1.02), (50, 1000), (30, 1.5)],
)
def test_beta_distribution(compiled, a, b):
    drawn = compiled.betas(1, 2, 3, 4, 5, DRAWS, float(a), float(b))
    assert stats.kstest(drawn, stats.beta(a, b).cdf).pvalue > 1e-4


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (0.3, 0.3),
        (0.99, 0.99),
        (0.3, 4),
        (4, 0.3),
        (0.01, 2),
        (0.5, 900),
        (1.02, 1.01),
        (2, 3),
        (3, 2),
        (1.5, 900),
        (50, 60),
    ],
)
def test_squeezes_of_beta_never_change_a_decision(compiled, a, b):
    """The same trials decided by Cheng's full test alone."""
    u, second = ns.uniforms((1, 2), 3, 4, 5, 2 * DRAWS).reshape(-1, 2).T
    low, high, total = min(a, b), max(a, b), a + b
    if low > 1:
        first, other = low, high
        scale = np.sqrt((total - 2) / (2 * a * b - total))
        slope = low + 1 / scale
    else:
        first, other = high, low
        scale, slope = 1 / low, total
    v = np.minimum(scale * np.log(u / (1 - u)), 680)
    w = first * np.exp(v)
    accepted = slope * v - np.log(4) + total * np.log(total / (other + w)) >= np.log(u * u * second)
    expected = ((w if a == first else other) / (other + w))[accepted]
    drawn = compiled.betas(1, 2, 3, 4, 5, expected.size, float(a), float(b))
    np.testing.assert_allclose(drawn, expected, rtol=1e-10)


@pytest.mark.parametrize(("a", "b"), [(1e9, 1e9), (3e8, 7e8), (1e9, 2.0), (2.0, 1e9)])
def test_beta_of_large_parameters_has_the_right_moments(compiled, a, b):
    drawn = compiled.betas(1, 2, 3, 4, 5, DRAWS, a, b)
    mean, variance = a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))
    assert abs(drawn.mean() - mean) < 5 * math.sqrt(variance / DRAWS)
    assert np.var(drawn) == pytest.approx(variance, rel=0.03)


def test_beta_of_tiny_parameters_is_a_fair_coin(compiled):
    # As a = b -> 0, Beta(a, b) tends to mass a / (a + b) on each end.
    drawn = compiled.betas(1, 2, 3, 4, 5, DRAWS, 1e-9, 3e-9)
    assert np.all((drawn < 1e-12) | (drawn > 1 - 1e-12))
    assert abs((drawn > 0.5).mean() - 0.25) < 5 * math.sqrt(0.1875 / DRAWS)


@pytest.mark.parametrize("bits", [(0, 0), (0, 2**53 - 1), (2**53 - 1, 0), (2**53 - 1, 2**53 - 1)])
@pytest.mark.parametrize(("a", "b"), SHAPES + EXTREMES)
def test_extreme_uniforms_are_survived(monkeypatch, bits, a, b):
    """The first two uniforms are 0 or the largest below 1; ordinary ones follow."""
    first = [bit * 2.0**-53 for bit in bits]
    rest = iter(np.random.default_rng(0).random(200))
    monkeypatch.setattr(ns, "uniform", lambda noise: first.pop(0) if first else next(rest))
    assert 0 <= ns.beta(None, a, b) <= 1
    assert math.isfinite(ns.box_muller(bits[0] * 2.0**-53, bits[1] * 2.0**-53))


def test_each_part_of_the_name_gives_other_numbers():
    key = ns.stream_key(0, "experiment", "environment")
    names = [(1, "experiment", "environment"), (0, "other", "environment"), (0, "experiment", "algorithm")]
    places = [(key, 0, 0, 0), (key, 1, 0, 0), (key, 0, 1, 0), (key, 0, 0, 1)]
    places += [(ns.stream_key(*name), 0, 0, 0) for name in names]
    drawn = np.array([ns.uniforms(*place, 1000) for place in places])
    assert np.unique(drawn).size == drawn.size
    correlation = np.corrcoef(drawn) - np.eye(len(places))
    assert np.abs(correlation).max() < 5 / math.sqrt(1000)


def test_consumption_in_a_round_does_not_move_the_next():
    expected = ns.uniforms((1, 2), 3, 4, 1, 5).tolist()
    for consume in ([], [ns.uniform], [ns.normal, ns.uniform], [lambda noise: ns.beta(noise, 2, 3)] * 3):
        noise = ns.open_stream(1, 2, 3, 4)
        for draw in consume:
            draw(noise)
        for _ in range(2):  # the second time the round has been visited already
            ns.seek(noise, 1)
            assert [ns.uniform(noise) for _ in range(5)] == expected


def test_handles_do_not_share_state():
    left, right = ns.open_stream(1, 2, 3, 4), ns.open_stream(1, 2, 3, 5)
    mixed = [draw for _ in range(4) for draw in (ns.uniform(left), ns.uniform(right))]
    assert mixed[0::2] == ns.uniforms((1, 2), 3, 4, 0, 4).tolist()
    assert mixed[1::2] == ns.uniforms((1, 2), 3, 5, 0, 4).tolist()


def test_key_is_the_digest_of_a_json_list():
    digest = hashlib.blake2b(b'[7, "duel", "environment"]', digest_size=8).digest()
    assert ns.stream_key(7, "duel", "environment") == struct.unpack("<2I", digest)
    assert ns.stream_key(np.int64(7), "duel", "environment") == struct.unpack("<2I", digest)


def test_names_are_encoded_without_ambiguity():
    names = [
        ("a", "b"),
        ("ab", ""),
        ("", "ab"),
        ('a", "b', ""),
        ("", 'a", "b'),
        ("a ", "b"),
        ("\u00e4", "b"),
        ("a\n", "b"),
    ]
    keys = {ns.stream_key(seed, *name) for name in names for seed in (0, 1, 10, 2**200)}
    assert len(keys) == 4 * len(names)
    assert all(0 <= word < 2**32 for key in keys for word in key)


@pytest.mark.parametrize("seed", [True, np.True_, 1.0, "1", None])
def test_a_seed_that_is_no_integer_is_refused(seed):
    with pytest.raises(TypeError, match="seed must be an integer"):
        ns.stream_key(seed, "experiment", "stream")


@pytest.mark.parametrize(
    ("error", "sentence", "function", "arguments"),
    [
        (ValueError, "seed must be at least 0, got -1", ns.stream_key, (-1, "experiment", "stream")),
        (TypeError, "experiment must be a string", ns.stream_key, (0, None, "stream")),
        (TypeError, "stream must be a string", ns.stream_key, (0, "experiment", 3)),
        (ValueError, "run must lie in", ns.uniforms, ((1, 2), 0, -1, 0, 1)),
        (ValueError, "round must lie in", ns.normals, ((1, 2), 0, 0, [0, 2**32], 1)),
        (TypeError, "instance must be an integer", ns.uniforms, ((1, 2), 0.5, 0, 0, 1)),
        (ValueError, "count must lie in", ns.uniforms, ((1, 2), 0, 0, 0, -1)),
    ],
)
def test_bad_names_and_words_are_refused(error, sentence, function, arguments):
    with pytest.raises(error, match=sentence):
        function(*arguments)
