"""Families of preference games, a file each; ``prefsim.games.<file name>(...)`` builds one."""

import sys

from prefsim.registry import Families

sys.modules[__name__].__class__ = Families
