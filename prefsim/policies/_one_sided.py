"""What policies for one-sided feedback share: the reduction to combinatorial semi-bandits, and the costs of complaints.

*Reduction* (Bechavod and Roth 2023, Section 4, in this form derived). Classifier ``f`` makes ``sum_i y_i + f(x_i) (1 - 2
y_i)`` errors, so accepting costs ``1 - 2 y_i`` and rejecting nothing, up to a number that does not depend on ``f``; the
cost is seen exactly where ``f`` accepts: semi-bandit feedback. A complaint about the pair (l, r) adds ``C (f(x_l) -
f(x_r))``, which is known for every ``f`` without labels: as if ``C`` copies of ``x_l`` with label 0 and of ``x_r`` with
label 1 had come, labels open. The Lagrangian loss of a round is ``L_t(f) = sum_i f(x_i) (1 - 2 y_i) + C (f(x_l) -
f(x_r))``.

*Estimate.* With ``P_i`` the probability of accepting ``x_i``,

    Lhat_t(f) = sum_i f(x_i) (2 (1 - y_i) 1[i accepted] / P_i - 1) + C (f(x_l) - f(x_r)),    E Lhat_t(f) = L_t(f),

because ``E 1[i accepted] / P_i = 1`` where ``f`` accepts. The cost is shifted by 1 and halved before it is divided, which
keeps the estimate above ``-(k + C)``, and shifted back without a division afterwards.

*Two regrets from one* (derived). Let ``R`` bound ``E sum_t L_t(q_t) - L_t(q)`` for a mixture ``q`` that never reaches
within ``margin`` of a complaint. A complaint says ``pi_t(x_l) - pi_t(x_r)`` is over the tolerance of somebody, so it adds
more than ``C margin`` to that sum, and with ``Delta = max_t err(q) - err(q_t)``

    E errors(T) - errors of q <= R,        E complaints(T) <= (R + k T Delta) / (C margin).

So for ``R`` of the order ``(k + C) sqrt(T)`` and ``C = T^power``, errors are of the order ``T^(1/2 + power)`` and
complaints of the order ``T^(1/2) + T^(1 - power)``, both sublinear; they meet at ``T^(3/4)`` for ``power = 1/4``.
"""

from prefsim.ops import Array

HINTS = "one-sided feedback"


def individuals(problem):
    """Individuals of a round."""
    return int(problem.hints[0])


def price(hyper, horizon):
    """Cost ``C`` of a complaint."""
    return hyper.penalty if hyper.penalty >= 0 else horizon**hyper.power


def add_losses(loss: Array, features: Array, feedback: Array, inverse: Array, cost: float) -> None:
    """Add the estimates of a round to every arm's loss; ``inverse[i]`` stands for ``1 / P_i`` where ``i`` was accepted."""
    for i in range(len(feedback)):
        estimate = cost * feedback[i, 1] - 1.0
        if feedback[i, 0] == feedback[i, 0]:  # NaN, which is no label, differs from itself
            estimate += 2.0 * (1.0 - feedback[i, 0]) * inverse[i]
        for a in range(len(loss)):
            loss[a] += estimate * features[a, i]
