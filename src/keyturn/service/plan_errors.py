"""What goes wrong with plans, in words."""

from __future__ import annotations

from keyturn.errors import ExitCode, KeyturnError


class InvalidPlan(KeyturnError):
    """A plan has no steps, too many, steps of different agents, or a time that is too short or too long."""

    code = "plan.invalid"
    status = 422
    exit_code = ExitCode.USAGE
    not_done = "Nobody was asked and nothing ran."
    next_step = "Mend the list and propose it again, or ask for each action alone."


class PlanTicket(KeyturnError):
    """A step needs a ticket, and a ticket covers one action."""

    code = "plan.ticket"
    status = 422
    exit_code = ExitCode.REFUSED
    not_done = "Nobody was asked and nothing ran."
    next_step = "Leave that step out of the plan and ask for it alone."


class PlanOpen(KeyturnError):
    """The session has a plan already: one that waits for people, or one that is open."""

    code = "plan.open"
    status = 409
    exit_code = ExitCode.REFUSED
    not_done = "Nobody was asked and nothing ran."
    next_step = "Go on with that plan, or have it revoked or denied first."


class UnknownPlan(KeyturnError):
    """There is no such plan."""

    code = "plan.unknown"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "`keyturn plan list --all` shows every plan."


class PlanUnexplained(KeyturnError):
    """A plan is revoked with a reason."""

    code = "plan.reason_missing"
    status = 422
    exit_code = ExitCode.USAGE
    not_done = "The plan goes on as before."
    next_step = "Say why with `--reason`: the agent is told."


class PlanStopped(KeyturnError):
    """The plan was stopped or revoked before."""

    code = "plan.stopped_already"
    status = 409
    exit_code = ExitCode.REFUSED
    not_done = "It stays as it ended."
    next_step = "Nothing: the rest of it can't run."
