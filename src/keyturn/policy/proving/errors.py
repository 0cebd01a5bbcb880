"""What can go wrong with a proof. Nothing is ever guessed: what can't be said in logic is refused by name."""

from __future__ import annotations

from keyturn.errors import ExitCode, KeyturnError


class NoSolver(KeyturnError):
    """The solver (z3) is not installed."""

    code = "proof.no_solver"
    status = 501
    exit_code = ExitCode.USAGE
    not_done = "Nothing was proven or disproven."
    next_step = "Install it: `pip install 'keyturn[proofs]'`."


class PropertyMalformed(KeyturnError):
    """The property is none of the forms that are known."""

    code = "proof.property"
    status = 400
    exit_code = ExitCode.USAGE
    not_done = "Nothing was proven or disproven."
    next_step = "The forms are listed in docs/how-to/replay-and-prove.md."


class NotExpressible(KeyturnError):
    """A rule or the property says something that has no exact form in logic here."""

    code = "proof.not_expressible"
    status = 422
    exit_code = ExitCode.USAGE
    not_done = "Nothing was proven or disproven."
    next_step = "Write the condition with the forms listed in docs/how-to/replay-and-prove.md, or leave the rule to its test cases."


class ProofUnconfirmed(KeyturnError):
    """The solver found an action that the real engine decides otherwise: one of the two is wrong."""

    code = "proof.unconfirmed"
    status = 500
    not_done = "Nothing was proven or disproven."
    next_step = "This is a mistake of Keyturn's: report it with the policy and the property. The engine's own answer stands."
