"""APOHF with its neural score, asked and told: dueling bandits over the embeddings of prompts.

A network scores embeddings; after every answer it is trained anew from the same initial weights on all duels so far, the
best prompt by its score is shown beside the one of largest upper bound, and a person says which is better. The rule and its
constants are those of the authors' code (Lin et al. 2024, "Prompt optimization with human feedback"). Needs PyTorch.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefsim import noise
from prefsim.game import as_floats


class NeuralDuels:
    """Neural dueling bandit; :meth:`ask` for a pair, :meth:`tell` which one won.

    The score ``f`` is a ReLU network ``d -> 32 -> 32 -> 1`` with ``theta_0`` standard normal, drawn once. After
    `start` random pairs of distinct arms, in every round: train from ``theta_0`` with a fresh Adam, 1000 steps on the mean
    logistic loss of ``f(e_1) - f(e_2)`` over all duels, with weight decay ``ridge / (duels + 50)``; then

        x = argmax f,    y = argmax over y != x of  f(y) + sqrt(nu sum_p (g_y - g_x)_p^2 / U_p)
        g_k = gradient of f(e_k) in theta,    U = ridge + sum over duels of (g_1 - g_2)^2,  at the current theta

    Parameters
    ----------
    embeddings : array_like, shape (arms, dimension)
        What describes the arms.
    hidden : tuple of int
        Widths of the hidden layers. ``()`` is the authors' LinearDB: no bias, no weight decay, ``U`` starting at 1e-10.
    nu, ridge : float
        Exploration and penalty.
    start : int
        Random pairs at the start.
    steps, rate : int, float
        Training steps and learning rate of Adam.
    seed : int
        Of ``theta_0`` and of the random pairs.

    Raises
    ------
    ImportError
        If PyTorch is missing.
    ValueError
        If an argument is out of range.
    """

    def __init__(
        self,
        embeddings: ArrayLike,
        hidden: tuple[int, ...] = (32, 32),
        *,
        nu: float = 1.0,
        ridge: float = 0.1,
        start: int = 5,
        steps: int = 1000,
        rate: float = 1e-3,
        seed: int = 0,
    ) -> None:
        self._torch = _torch()
        vectors = as_floats(embeddings, "embeddings")
        if vectors.ndim != 2 or len(vectors) < 2 or not vectors.size or not np.isfinite(vectors).all():
            raise ValueError(f"embeddings must be finite, of shape (arms, dimension), two arms at least; got {vectors.shape}.")
        if not (nu >= 0 and ridge > 0 and rate > 0 and start >= 1 and steps >= 1):
            raise ValueError("nu must be >= 0, ridge and rate > 0, start and steps at least 1.")
        self.hidden, self.nu, self.ridge, self.start, self.steps, self.rate = hidden, nu, ridge, start, steps, rate
        self.duels: list[tuple[int, int, float]] = []
        self._noise = noise.open_stream(*noise.stream_key(seed, "neural_duels", "pairs"), 0, 0)
        self._inputs = self._torch.tensor(vectors, dtype=self._torch.float32)
        key = noise.stream_key(seed, "neural_duels", "weights")
        sizes = [vectors.shape[1], *hidden, 1]
        shapes = [shape for a, b in pairwise(sizes) for shape in ([(b, a), (b,)] if hidden else [(b, a)])]
        self.initial = [self._normal(key, layer, shape) for layer, shape in enumerate(shapes)]
        self.weights = [w.clone() for w in self.initial]
        self._pending: tuple[int, int] | None = None

    def _normal(self, key: tuple[int, int], layer: int, shape: tuple[int, ...]) -> Any:
        values = noise.normals(key, 0, 0, layer, int(np.prod(shape))).reshape(shape)
        return self._torch.tensor(values, dtype=self._torch.float32)

    def _score(self, weights: Any, inputs: Any) -> Any:
        """``f`` of embeddings (..., dimension), shape (...)."""
        if not self.hidden:
            return (inputs @ weights[0].T)[..., 0]
        for k in range(0, len(weights) - 2, 2):
            inputs = self._torch.relu(inputs @ weights[k].T + weights[k + 1])
        return (inputs @ weights[-2].T + weights[-1])[..., 0]

    def train(self) -> None:
        """Fit the network to all duels so far, from ``theta_0``; the result depends on nothing else."""
        torch = self._torch
        first, second, won = (torch.tensor(column) for column in zip(*self.duels, strict=True))
        weights = [w.clone().requires_grad_() for w in self.initial]
        decay = self.ridge / (len(self.duels) + 50) if self.hidden else 0.0
        adam = torch.optim.Adam(weights, lr=self.rate, weight_decay=decay)
        used, place = torch.unique(torch.cat([first, second]), return_inverse=True)
        inputs, a, b = self._inputs[used], place[: len(first)], place[len(first) :]
        for _ in range(self.steps):
            adam.zero_grad()
            score = self._score(weights, inputs)
            torch.nn.functional.binary_cross_entropy_with_logits(score[a] - score[b], won).backward()
            adam.step()
        self.weights = [w.detach() for w in weights]

    def scores(self) -> NDArray[np.float64]:
        """``f`` of every arm at the current weights, shape (arms,)."""
        return np.asarray(self._score(self.weights, self._inputs).double())

    def gradients(self) -> Any:
        """``g_k`` of every arm at the current weights, a tensor of shape (arms, parameters)."""
        one = self._torch.func.grad(lambda weights, x: self._score(weights, x))
        parts = self._torch.func.vmap(one, in_dims=(None, 0))(self.weights, self._inputs)
        return self._torch.cat([part.flatten(1) for part in parts], dim=1)

    def ask(self) -> tuple[int, int]:
        """The pair to show now; asking twice gives the same answer."""
        if self._pending is None:
            self._pending = self._random_pair() if len(self.duels) < self.start else self._chosen_pair()
        return self._pending

    def _random_pair(self) -> tuple[int, int]:
        noise.seek(self._noise, len(self.duels) + 1)
        arms = len(self._inputs)
        first = int(noise.uniform(self._noise) * arms)
        second = int(noise.uniform(self._noise) * (arms - 1))
        return first, second + (second >= first)

    def _chosen_pair(self) -> tuple[int, int]:
        self.train()
        score, g = self.scores(), self.gradients()
        x = int(score.argmax())
        pairs = self._torch.tensor([duel[:2] for duel in self.duels])
        spread = (self.ridge if self.hidden else 1e-10) + ((g[pairs[:, 0]] - g[pairs[:, 1]]) ** 2).sum(0)
        bound = score + np.sqrt(self.nu * np.asarray(((g - g[x]) ** 2 / spread).sum(1).double()))
        bound[x] = -np.inf
        return x, int(bound.argmax())

    def tell(self, pair: tuple[int, int], won: float) -> None:
        """Say whether the first of the pair won, 1 or 0.

        Raises
        ------
        ValueError
            If the pair is not the one asked for, or `won` is neither.
        """
        if self._pending is None or tuple(pair) != self._pending:
            raise ValueError(f"pair {pair} is not the one ask() returned, {self._pending}; show that one.")
        if won not in (0, 1):
            raise ValueError(f"won must be 1 if the first of the pair won and 0 if not; got {won!r}.")
        self.duels.append((*self._pending, float(won)))
        self._pending = None

    def best(self) -> int:
        """The best by the current score of the arms asked about so far.

        Raises
        ------
        ValueError
            If nothing was told yet.
        """
        if not self.duels:
            raise ValueError("no duel was told yet; ask and tell first.")
        seen = sorted({arm for duel in self.duels for arm in duel[:2]})
        return seen[int(self.scores()[seen].argmax())]


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError("NeuralDuels needs PyTorch; install prefsim with its extra: pip install 'prefsim[llm]'.") from error
    return torch


__all__ = ["NeuralDuels"]
