"""``python -m prefsim`` is the command ``prefsim``."""

from prefsim.cli import main

main()
