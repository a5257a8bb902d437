"""How rules are executed: the plain reading (``reference``) and the compiled one (``numba``)."""
