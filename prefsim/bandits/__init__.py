"""Bandit environments, a file each; ``prefsim.bandits.<file name>(...)`` builds one."""

import sys

from prefsim.registry import Families

sys.modules[__name__].__class__ = Families
