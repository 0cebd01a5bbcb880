"""Simulated agents with known truth: how often a detector cries wolf, and how soon it finds what is there."""
