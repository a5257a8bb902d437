"""Versatile dueling: two Tsallis-INF learners duel each other, in adversarial and in stochastic preferences alike.

    left arm i and right arm j, drawn independently;    the left learner's loss is 1 - o, the right learner's o

where ``o`` is 1 if the left arm won: sparring (``sparring.py``) with another learner, under a name of its own because of its
guarantees. Half the sum of the learners' regrets is the duel regret against any fixed arm, so for every oblivious sequence of
preferences

    E regret(t) <= 4 sqrt(K t) + 1        (reduced = False; 2 sqrt(K t) + 10 K ln t + 16 with True)

and with a Condorcet winner ``w`` the regret is of the order ``sum_i ln T / D_wi`` (Saha and Gaillard 2022; the constants are
those of Zimmert and Seldin 2021, recalled, by the identity of sparring). Ties do not occur.
"""

# ruff: noqa: F821
FEEDBACK = "duel"
LEARNER = "tsallis_inf"
COPIES = 2


def init(hyper, state, problem):
    """Both learners begin."""
    for k in range(COPIES):
        learner_init(hyper, copy_of(state, k), problem)


def act(hyper, state, problem, t, noise):
    """Each names an arm, with randomness of its own."""
    left = learner_act(hyper, copy_of(state, 0), problem, t, noise)
    return left, learner_act(hyper, copy_of(state, 1), problem, t, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Each is charged its own defeat."""
    learner_learn(hyper, copy_of(state, 0), problem, t, action[0], feedback)
    learner_learn(hyper, copy_of(state, 1), problem, t, action[1], 1.0 - feedback)


def regret_bound(hyper, truth, problem, t):
    """Half the sum of the two learners' bounds, which are equal."""
    return learner_bound(hyper, truth, problem, t)
