"""Proofs over a policy: for every action there can be, or one action that shows otherwise. Needs the extra `proofs` (z3)."""

from keyturn.policy.proving.errors import NoSolver, NotExpressible, ProofUnconfirmed, PropertyMalformed
from keyturn.policy.proving.prove import Counterexample, Proof, prove

__all__ = [
    "Counterexample", "NoSolver", "NotExpressible", "Proof", "ProofUnconfirmed", "PropertyMalformed", "prove",
]  # fmt: skip
