"""G-optimal designs on the arms alive: how to share plays among them so that every mean is estimated equally well.

A design ``pi`` on arms of rank ``r`` has ``g = max_a ||a||^2_{V(pi)^-1} >= r``, ``V(pi) = sum_a pi(a) a a^T``, with equality
for the best one (Kiefer and Wolfowitz 1960). The steps of Fedorov and Wynn approach it: with ``s = (g / r - 1) / (g - 1)``,
``pi = (1 - s) pi`` and ``s`` more on the arm that attains ``g``, which changes ``V^-1`` by a rank-one update. They start from
``r`` independent arms, found by pivoting, in whose coordinates the arms are written: ``g`` is the same in all coordinates.
``state`` is that of a rule with the arrays named here; equal pivots and equal steps go to the arm presented first.
"""

from prefsim.ops import add_outer, dot, invert, multiply, quadratic


def span(state, features):
    """Fill in coordinates and a first design, even on the pivots; return the rank."""
    arms, dimension = features.shape
    largest = 0.0
    for a in range(arms):
        state.share[a] = 0.0
        for k in range(dimension):
            state.rest[a, k] = features[a, k]
            state.coordinates[a, k] = 0.0
        if state.alive[a] > 0:
            largest = max(largest, dot(features[a], features[a]))
    rank = 0
    while rank < dimension:
        pivot, size = 0, 0.0
        for a in range(arms):
            left = dot(state.rest[a], state.rest[a])
            if state.alive[a] > 0 and left > size:
                pivot, size = a, left
        if size <= 1e-20 * largest:
            break
        for k in range(dimension):
            state.direction[k] = state.rest[pivot, k]
        for a in range(arms):
            part = dot(state.rest[a], state.direction) / size
            state.coordinates[a, rank] = part
            for k in range(dimension):
                state.rest[a, k] -= part * state.direction[k]
        state.share[pivot] = 1.0
        rank += 1
    for a in range(arms):
        state.share[a] /= max(rank, 1)
    return rank


def weigh(state, weights, rank):
    """Write ``sum_a weights(a) a a^T``, with ones on the diagonal beyond the rank, and its inverse into the state."""
    for i in range(len(state.gram)):
        for k in range(len(state.gram)):
            state.gram[i, k] = 1.0 if i == k and i >= rank else 0.0
    for a in range(len(weights)):
        if weights[a] > 0:
            add_outer(state.gram, state.coordinates[a], float(weights[a]))
    invert(state.gram, state.inverse)


def design(state, rank, slack):
    """Improve the design until its ``g`` is within the slack; return ``g``."""
    weigh(state, state.share, rank)
    for a in range(len(state.share)):
        state.square[a] = quadratic(state.inverse, state.coordinates[a])
    while True:
        best, g = 0, 0.0
        for a in range(len(state.share)):
            if state.alive[a] > 0 and state.square[a] > g:
                best, g = a, state.square[a]
        if g <= (1.0 + slack) * rank:
            return g
        step = (g / rank - 1.0) / (g - 1.0)
        shrink = step / (1.0 - step + step * g)
        multiply(state.inverse, state.coordinates[best], state.direction)
        add_outer(state.inverse, state.direction, -shrink)
        for i in range(rank):
            for k in range(rank):
                state.inverse[i, k] /= 1.0 - step
        for a in range(len(state.share)):
            along = dot(state.coordinates[a], state.direction)
            state.square[a] = (state.square[a] - shrink * along * along) / (1.0 - step)
            state.share[a] *= 1.0 - step
        state.share[best] += step
