"""Bandit environments, a file each; ``prefsim.bandits.<file name>(...)`` builds one."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from prefsim.registry import Families

sys.modules[__name__].__class__ = Families

if TYPE_CHECKING:

    def __getattr__(key: str) -> Callable[..., Any]: ...
