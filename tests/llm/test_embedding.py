"""Heads recover a planted cyclic preference that Bradley-Terry cannot, and agree with the tabular fit."""

from __future__ import annotations

import numpy as np
import pytest

import prefsim as ps
from prefsim.preference_model import fit_bradley_terry, fit_general_preference, skew_scores

torch = pytest.importorskip("torch", reason="needs torch: install prefsim[llm].")
pytest.importorskip("array_api_compat", reason="needs array-api-compat: install prefsim[llm].")
from prefsim.llm import embedding  # noqa: E402
from prefsim.llm.embedding import EmbeddingHead, ScoreHead, log_odds, preference_loss, train_head  # noqa: E402

ROTATION = np.kron(np.eye(2), [[0.0, -1.0], [1.0, 0.0]])
RNG = np.random.default_rng(4)
VECTORS = RNG.normal(size=(6, 4))


def matrix(vectors):
    """Log-odds of all pairs."""
    vectors = torch.as_tensor(vectors)
    return log_odds(vectors[:, None], vectors[None])


def sign_error(rotation=ROTATION):
    """GP2: ``<R v_i, v_j>``, and ``-v_i^T R v_j``."""
    odds = matrix(VECTORS).numpy()
    return max(np.abs(odds - (VECTORS @ rotation.T) @ VECTORS.T).max(), np.abs(odds + VECTORS @ rotation @ VECTORS.T).max())


def test_sign_of_the_rotation():
    assert sign_error() < 1e-13
    assert sign_error(np.abs(ROTATION)) > 0.5  # R symmetric
    assert sign_error(ROTATION.T) > 0.5  # the other sign
    np.testing.assert_allclose(matrix(VECTORS), skew_scores(VECTORS), atol=1e-13)
    game = ps.games.general_preference(VECTORS)
    np.testing.assert_allclose(torch.sigmoid(matrix(VECTORS)), game.preference, atol=1e-13)


def test_one_plane_with_a_constant_is_bradley_terry():
    rewards = torch.tensor([[1.0], [0.2], [-0.7]], dtype=torch.float64)
    head = ScoreHead(1, dtype=torch.float64)
    with torch.no_grad():
        head.weight.fill_(1.0)
    torch.testing.assert_close(matrix(head(rewards).detach()), rewards - rewards.T)
    assert matrix(head(rewards).detach())[0, 2] > 0  # the larger reward is preferred
    assert [tuple(parameter.shape) for parameter in head.parameters()] == [(1, 1), (1,)]


def test_loss_is_the_likelihood_of_the_verdict():
    u, v = torch.tensor(RNG.normal(size=(2, 9, 4)))
    wins = torch.sigmoid(log_odds(u, v))
    torch.testing.assert_close(preference_loss(u, v), -torch.log(wins))
    q = torch.tensor(RNG.uniform(size=9))
    torch.testing.assert_close(preference_loss(u, v, q), -q * torch.log(wins) - (1 - q) * torch.log(1 - wins))
    torch.testing.assert_close(preference_loss(v, u, 1 - q), preference_loss(u, v, q))


def planted(items, width=6, seed=0):
    """Features of items and their preferences: log-odds of two planes of a hidden linear map, cyclic by construction."""
    rng = np.random.default_rng(seed)
    hidden = np.random.default_rng(99).normal(size=(width, 4)) / width**0.5
    features = rng.normal(size=(items, width))
    vectors = features @ hidden * 1.3
    return torch.tensor(features), torch.sigmoid(matrix(vectors))


def fitted(head, bernoulli, steps=500):
    """Train on pairs of 60 items, look at 40 others: the largest and the mean error of preferences."""
    features, wins = planted(60)
    i, j = np.triu_indices(60, 1)
    target = wins[i, j]
    if bernoulli:
        i, j, target = np.tile(i, 8), np.tile(j, 8), target.repeat(8)
        target = torch.bernoulli(target, generator=torch.Generator().manual_seed(1))
    train_head(head, features[i], features[j], target, steps=steps, batch=128, rate=0.03)
    unseen, truth = planted(40, seed=7)
    with torch.no_grad():
        error = (torch.sigmoid(matrix(head(unseen))) - truth).abs()
    return error.max().item(), error.mean().item()


def test_planted_cycles_are_recovered_on_items_never_seen():
    truth = planted(40, seed=7)[1].numpy()
    assert not ps.summarize(truth).transitive and ps.summarize(truth).cyclic_triples > 500
    assert fitted(EmbeddingHead(6, 2, dtype=torch.float64), False)[0] < 0.01
    assert fitted(EmbeddingHead(6, 2, dtype=torch.float64), True)[1] < 0.03
    # Controls: too few planes, and a score.
    assert fitted(EmbeddingHead(6, 1, dtype=torch.float64), False)[1] > 0.05
    assert fitted(ScoreHead(6, dtype=torch.float64), False)[1] > 0.1


@pytest.mark.parametrize("general", [True, False])
def test_a_head_on_names_is_the_tabular_fit(general):
    """One-hot features, the same ridge, solved to the optimum: the likelihood of the fits by SciPy."""
    cycle = ps.games.rock_paper_scissors((0.3, 0.1, 0.2)).preference
    wins = torch.tensor(100 * (cycle - np.eye(3) / 2))
    ridge = 1e-2
    tabular = (
        fit_general_preference(wins.numpy(), rank=2, ridge=ridge) if general else fit_bradley_terry(wins.numpy(), ridge=ridge)
    )
    head = EmbeddingHead(3, 1, dtype=torch.float64, seed=1) if general else ScoreHead(3, dtype=torch.float64)
    head.bias.requires_grad_(False)
    optimizer = torch.optim.LBFGS([head.weight], max_iter=500, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        vectors = head(torch.eye(3))
        loss = (wins * preference_loss(vectors[:, None], vectors[None])).sum() + ridge / 2 * head.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    found = torch.sigmoid(matrix(head(torch.eye(3)).detach())).numpy()
    np.testing.assert_allclose(found, tabular.game.preference, atol=1e-6)
    error = np.abs(found - cycle).max()
    assert error < 0.01 if general else error > 0.05


def test_ridge_keeps_certain_verdicts_finite():
    """A cycle without noise: only the ridge has an optimum, where lengths balance the gain in likelihood."""
    features = torch.eye(3, dtype=torch.float64)
    first, second, sure = features[[0, 1, 2]], features[[1, 2, 0]], torch.ones(3)
    lengths = []
    for ridge in (0.1, 0.01):
        head = EmbeddingHead(3, 1, dtype=torch.float64)
        train_head(head, first, second, sure, steps=600, batch=16, rate=0.1, ridge=ridge)
        vectors = head(features).detach()
        # By symmetry three vectors 120 degrees apart, of squared length q: s = q sin(120), minimise
        # log(1 + e^-s) + ridge q / 2, so sigma(-s) sin(120) = ridge / 2.
        s = np.log(np.sqrt(3) / ridge - 1)
        np.testing.assert_allclose([matrix(vectors)[i, (i + 1) % 3] for i in range(3)], s, rtol=0.02)
        lengths.append(vectors.square().sum().item())
    assert lengths[1] > lengths[0]


def test_same_seed_same_head_and_no_global_randomness():
    features, wins = planted(10)
    state, heads = torch.get_rng_state(), []
    for seed in (0, 0, 1):
        heads.append(EmbeddingHead(6, 2, seed=seed))
        train_head(heads[-1], features[:5], features[5:], wins[:5, 5:].diagonal(), steps=5, seed=seed)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(heads[0].weight, heads[1].weight) and not torch.equal(heads[0].weight, heads[2].weight)


def test_a_loss_that_falls_is_returned():
    features, wins = planted(30)
    losses = train_head(EmbeddingHead(6, 2), features[:15], features[15:], wins[:15, 15:].diagonal(), steps=200)
    assert len(losses) == 200 and np.mean(losses[-20:]) < np.mean(losses[:20])


def test_broken_code_is_caught(monkeypatch):
    right = embedding.log_odds
    for wrong in (
        lambda u, v: -right(u, v),
        lambda u, v: (u * v).sum(-1),
        lambda u, v: right(u, v) / 2,
        lambda u, v: (u[..., 0::2] * v[..., 1::2]).sum(-1),
    ):
        with monkeypatch.context() as patch:
            patch.setitem(globals(), "log_odds", wrong)
            patch.setattr(embedding, "log_odds", wrong)
            with pytest.raises(AssertionError):
                test_sign_of_the_rotation()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: EmbeddingHead(0, 1), "width must be a whole number of at least 1; got 0"),
        (lambda: EmbeddingHead(2, 1.5), "planes must be a whole number"),
        (lambda: log_odds(torch.ones(3), torch.ones(3)), "the same even number of coordinates"),
        (lambda: log_odds(torch.ones(4), torch.ones(2)), "two a plane; got 4 and 2"),
        (lambda: preference_loss(torch.ones(1, 2), torch.ones(1, 2), 2.0), r"probabilities in \[0, 1\]"),
        (
            lambda: train_head(EmbeddingHead(2, 1), torch.ones(3, 2), torch.ones(2, 2), torch.ones(3)),
            "first and second must have",
        ),
        (lambda: train_head(EmbeddingHead(2, 1), torch.ones(3, 2), torch.ones(3, 2), torch.ones(2)), "one pair or more"),
        (lambda: train_head(EmbeddingHead(2, 1), *(torch.ones(3, 2),) * 2, torch.ones(3), rate=0.0), "rate must be a finite"),
        (
            lambda: train_head(EmbeddingHead(2, 1), *(torch.ones(3, 2),) * 2, torch.ones(3), ridge=-1.0),
            "ridge must be a finite",
        ),
        (lambda: train_head(EmbeddingHead(2, 1), *(torch.ones(3, 2),) * 2, torch.ones(3), steps=0), "whole numbers above 0"),
        (
            lambda: train_head(EmbeddingHead(2, 1), *(torch.full((3, 2), torch.inf),) * 2, torch.ones(3)),
            "the loss of step 0 is nan",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
