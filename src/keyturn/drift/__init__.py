"""Detectors over entries → findings; baselines; explanation by approved changes."""
