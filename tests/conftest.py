"""Shared fixtures: compiled runners go to one folder for the whole test run."""

import os
import tempfile

# Before anything imports the engine: tests must not depend on, or fill, the user's cache.
os.environ.setdefault("PREFSIM_CACHE", tempfile.mkdtemp(prefix="prefsim-tests-"))
