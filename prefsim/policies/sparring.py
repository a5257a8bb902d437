"""Sparring: two bandit learners duel each other, and each is paid when its own arm wins.

The left learner names the first arm and receives the bit ``o`` (1 if the first arm won) as its reward, the right learner
names the second arm and receives ``1 - o``. Against any arm ``1`` the pseudo-regrets of the two learners add up to
``D_1i + D_1j`` round by round, so that with a Condorcet winner

    average duel regret = (left regret + right regret) / 2        exactly, and also for preferences that change adversarially

(Ailon, Karnin, Joachims 2014; the identity follows from ``P + P^T = 1``). The learners are copies of any bandit policy, by
default UCB1; a learner with a bound against adversaries hands half the sum of two such bounds on. The other learner's arm is
drawn independently of its own, but reacts to its earlier ones, so that the losses are no oblivious sequence: the bound must
hold on the pseudo-regret for losses that depend on the past, as the proofs for EXP3, EXP3-IX and Tsallis-INF allow.

Sparring UCB in public code plays ``mean + sqrt(a ln n / n_k)`` with ``n`` its own rounds, here all of them, and ``a = 2.5``:
that is ``exploration = 2.5`` of UCB1, whose default is 2. Ties are the learner's affair. A self-duel is paid like any other.
"""

# ruff: noqa: F821
FEEDBACK = "duel"
LEARNER = "ucb1"
COPIES = 2


def init(hyper, state, problem):
    """Both learners begin."""
    for k in range(COPIES):
        learner_init(hyper, copy_of(state, k), problem)


def act(hyper, state, problem, t, noise):
    """Each names an arm."""
    left = learner_act(hyper, copy_of(state, 0), problem, t, noise)
    return left, learner_act(hyper, copy_of(state, 1), problem, t, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Each is paid for its own victory."""
    learner_learn(hyper, copy_of(state, 0), problem, t, action[0], feedback)
    learner_learn(hyper, copy_of(state, 1), problem, t, action[1], 1.0 - feedback)


def regret_bound(hyper, truth, problem, t):
    """Half the sum of the two learners' bounds, which are equal."""
    return learner_bound(hyper, truth, problem, t)
