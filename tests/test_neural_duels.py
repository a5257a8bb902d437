"""The neural dueling bandit: its network, its rule and its training, against a plain reading with autograd."""

import builtins

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from prefsim.neural_duels import NeuralDuels  # noqa: E402

GENERATOR = np.random.default_rng(0)
EMBEDDINGS = GENERATOR.normal(size=(12, 6)) / np.sqrt(6)
SCORES = 4 * EMBEDDINGS[:, 0]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def play(duels, rounds, seed=1):
    generator = np.random.default_rng(seed)
    for _ in range(rounds):
        first, second = duels.ask()
        assert duels.ask() == (first, second) and first != second
        duels.tell((first, second), float(generator.random() < 1 / (1 + np.exp(SCORES[second] - SCORES[first]))))


def test_the_network_is_that_of_the_paper():
    duels = NeuralDuels(np.eye(3, 768))
    assert sum(w.numel() for w in duels.weights) == 25_697
    values = torch.cat([w.flatten() for w in duels.initial]).numpy()
    assert abs(values.mean()) < 0.03 and abs(values.std() - 1) < 0.03
    assert sum(w.numel() for w in NeuralDuels(np.eye(3, 768), ()).weights) == 768


def sequential(duels):
    """The same network as a torch module."""
    layers = []
    for k in range(0, len(duels.weights), 2):
        weight, bias = duels.weights[k : k + 2]
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
        layer.weight.data, layer.bias.data = weight.clone(), bias.clone()
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def test_the_pair_follows_the_definition():
    duels = NeuralDuels(EMBEDDINGS, (8, 8), steps=60, nu=3.0)
    play(duels, 9)
    first, second = duels.ask()
    network, gradients = sequential(duels), []
    inputs = torch.tensor(EMBEDDINGS, dtype=torch.float32)
    score = network(inputs)[:, 0].detach().numpy().astype(float)
    np.testing.assert_allclose(duels.scores(), score, rtol=1e-5, atol=1e-5)
    for x in inputs:
        network.zero_grad()
        network(x).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters()]).numpy().astype(float))
    g = np.array(gradients)
    spread = 0.1 + sum((g[a] - g[b]) ** 2 for a, b, _ in duels.duels)
    bound = score + np.sqrt(3.0 * ((g - g[score.argmax()]) ** 2 / spread).sum(1))
    bound[score.argmax()] = -np.inf
    assert (first, second) == (score.argmax(), bound.argmax())


def test_training_follows_the_definition():
    """The same steps by a torch module: mean logistic loss, Adam, decay ridge / (duels + 50)."""
    duels = NeuralDuels(EMBEDDINGS, (8, 8), steps=40, ridge=20.0, rate=0.01)
    play(duels, 6)
    duels.weights = [w.clone() for w in duels.initial]
    network = sequential(duels)
    adam = torch.optim.Adam(network.parameters(), lr=0.01, weight_decay=20.0 / 56)
    inputs = torch.tensor(EMBEDDINGS, dtype=torch.float32)
    a, b, won = (np.array(column) for column in zip(*duels.duels, strict=True))
    for _ in range(40):
        adam.zero_grad()
        margin = (network(inputs[a]) - network(inputs[b]))[:, 0]
        loss = -torch.nn.functional.logsigmoid(torch.where(torch.tensor(won) > 0, margin, -margin)).mean()
        loss.backward()
        adam.step()
    duels.train()
    np.testing.assert_allclose(duels.scores(), network(inputs)[:, 0].detach().numpy(), rtol=1e-3, atol=1e-3)


def test_training_depends_on_the_initial_weights_and_the_duels_only():
    ends = []
    for seed in (0, 0, 1):
        duels = NeuralDuels(EMBEDDINGS, (8, 8), steps=30, seed=seed)
        duels.duels = [(0, 1, 1.0), (2, 3, 0.0), (4, 0, 1.0)]
        for _ in range(1 if ends else 3):  # trained once or thrice: it starts over every time
            duels.train()
        ends.append(duels.scores())
    np.testing.assert_array_equal(ends[0], ends[1])
    assert np.abs(ends[0] - ends[2]).max() > 0.1


def test_it_starts_with_random_pairs_and_names_an_arm_it_asked_about():
    duels = NeuralDuels(EMBEDDINGS, (8, 8), steps=5)
    play(duels, 5)
    np.testing.assert_array_equal(duels.scores(), NeuralDuels(EMBEDDINGS, (8, 8)).scores())  # nothing was trained yet
    play(duels, 2)
    seen = {arm for duel in duels.duels for arm in duel[:2]}
    assert duels.best() in seen
    assert duels.scores()[duels.best()] == max(duels.scores()[sorted(seen)])


def test_linear_duels_find_the_better_half():
    duels = NeuralDuels(EMBEDDINGS, (), steps=100, rate=0.05)
    play(duels, 30)
    assert SCORES[duels.best()] > np.median(SCORES)
    assert np.corrcoef(duels.scores(), SCORES)[0, 1] > 0.5


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="two arms at least"):
        NeuralDuels([[1.0, 2.0]])
    with pytest.raises(ValueError, match="ridge and rate > 0"):
        NeuralDuels(EMBEDDINGS, ridge=0.0)
    duels = NeuralDuels(EMBEDDINGS)
    with pytest.raises(ValueError, match="no duel was told yet"):
        duels.best()
    with pytest.raises(ValueError, match="not the one ask"):
        duels.tell((0, 0), 1)
    with pytest.raises(ValueError, match="won must be 1"):
        duels.tell(duels.ask(), 0.5)


def test_missing_torch_is_explained(monkeypatch):
    honest = builtins.__import__

    def missing(name, *arguments, **named):
        if name == "torch":
            raise ImportError(name)
        return honest(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"pip install 'prefsim\[llm\]'"):
        NeuralDuels(EMBEDDINGS)
