"""Theorems, a file per paper; each file lists its claims in ``CLAIMS``."""
