"""Families of preference games, a file each; ``prefsim.games.<file name>(...)`` builds one."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from prefsim.registry import Families

sys.modules[__name__].__class__ = Families

if TYPE_CHECKING:

    def __getattr__(key: str) -> Callable[..., Any]: ...
