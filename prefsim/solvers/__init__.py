"""Preference-game algorithms, a file each."""
