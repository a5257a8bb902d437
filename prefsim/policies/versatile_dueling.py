"""Versatile dueling: two Tsallis-INF learners duel each other, in adversarial and in stochastic preferences alike.

    left arm i and right arm j, drawn independently;    the left learner's loss is 1 - o, the right learner's o

where ``o`` is 1 if the left arm won: sparring (``sparring.py``) with another learner, under a name of its own because of its
guarantees. Half the sum of the learners' regrets is the duel regret against any fixed arm, so for every oblivious sequence of
preferences

    E regret(t) <= 4 sqrt(K t) + 1        (reduced = False; 2 sqrt(K t) + 10 K ln t + 16 with True)

and with a Condorcet winner ``w`` the regret is of the order ``sum_i ln T / D_wi`` (Saha and Gaillard 2022; the constants are
those of Zimmert and Seldin 2021, recalled, by the identity of sparring). Ties do not occur.
"""

from prefsim.policies import sparring

RULE = sparring
LEARNER = "tsallis_inf"
