"""`keyturn demo --story drift`: what drifts in a day of agents, each time found and linked to the change that explains it, or to none."""

from keyturn.demo.drift.play import play

__all__ = ["play"]
