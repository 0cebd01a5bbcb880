"""Errors of the use cases."""

from __future__ import annotations

from keyturn.errors import ExitCode, KeyturnError


class Unauthenticated(KeyturnError):
    """No credential, or one that is not known."""

    code = "auth.unknown"
    status = 401
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed and nothing ran."
    next_step = "Send a person's token or a gate's credential, or open a link from `keyturn login`."


class Forbidden(KeyturnError):
    """The credential is known, but not for this."""

    code = "auth.forbidden"
    status = 403
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was changed and nothing ran."
    next_step = "Ask somebody who may; `keyturn person list` shows who is in which group."


class InTheClear(KeyturnError):
    """A secret came from another machine without TLS."""

    code = "auth.in_the_clear"
    status = 403
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was changed and nothing ran."
    next_step = "Replace the token, and go through the reverse proxy with TLS; the setting `proxies` names it when it is elsewhere."


class FromAgent(KeyturnError):
    """A person's token or web session was used from inside an agent's session."""

    code = "auth.from_agent"
    status = 403
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was changed and nothing ran; it was recorded as a finding."
    next_step = "Do not retry. People decide outside of agents' sessions; replace the token with `keyturn person token`."


class ReadsOnly(KeyturnError):
    """An auditor tried to change something."""

    code = "auth.reads_only"
    status = 403
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was changed, nothing was decided and nothing ran."
    next_step = "Ask somebody who is no auditor."


class UnknownRequest(KeyturnError):
    """No request has that id."""

    code = "request.unknown"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was decided and nothing ran."
    next_step = "`keyturn requests --all` lists them."


class UnknownSession(KeyturnError):
    """No session has that id."""

    code = "session.unknown"
    status = 404
    exit_code = ExitCode.USAGE
    next_step = "Open a session first."


class SessionClosed(KeyturnError):
    """The session has ended, so nothing more can be done in it."""

    code = "session.closed"
    status = 409
    exit_code = ExitCode.REFUSED
    next_step = "Open a new session."


class SessionStopped(KeyturnError):
    """A person stopped the session, so nothing more runs in it."""

    code = "session.stopped"
    status = 409
    exit_code = ExitCode.REFUSED
    next_step = "Do not retry. Ask the person who stopped it before anything is started again."


class StopUnexplained(KeyturnError):
    """A stop without a reason."""

    code = "session.stop_unexplained"
    status = 422
    exit_code = ExitCode.USAGE
    not_done = "Nothing was stopped."
    next_step = "Say why: the reason is recorded and shown to whoever runs the agent."


class UnknownAction(KeyturnError):
    """No action has that id."""

    code = "action.unknown"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was recorded."
    next_step = "Report with the id that the decision gave."


class ReceiptRepeated(KeyturnError):
    """An action's receipt is already there."""

    code = "receipt.repeated"
    status = 409
    not_done = "The first receipt stands; nothing was changed."
    next_step = "Report each action once."


class NotClaimable(KeyturnError):
    """The request is not approved, or its permit was already claimed."""

    code = "request.not_claimable"
    status = 409
    exit_code = ExitCode.REFUSED
    next_step = "`keyturn show` tells the request's state."


class UnknownGrant(KeyturnError):
    """No grant has that id."""

    code = "grant.unknown"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "`keyturn grant list --all` lists them."


class GrantEnded(KeyturnError):
    """The grant was revoked before."""

    code = "grant.ended"
    status = 409
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was changed; the first revocation stands."
    next_step = "`keyturn grant list --all` says when and why."


class GrantUnexplained(KeyturnError):
    """A revocation without a reason."""

    code = "grant.unexplained"
    status = 422
    exit_code = ExitCode.USAGE
    not_done = "Nothing was revoked."
    next_step = "Say why: the reason is recorded, and the agent is told."


class UnknownBreakGlass(KeyturnError):
    """Nobody broke the glass under that id."""

    code = "breakglass.unknown"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "`keyturn breakglass list --all` lists them."


class ReviewUnexplained(KeyturnError):
    """A review without words."""

    code = "breakglass.unexplained"
    status = 422
    exit_code = ExitCode.USAGE
    not_done = "No review was recorded; it still has to be reviewed."
    next_step = "Say what you looked at and what you found."


class PersonExists(KeyturnError):
    """That person's id is taken."""

    code = "person.exists"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nobody was enrolled."
    next_step = "Choose another id, or change the person with `keyturn person change`."


class PersonUnknown(KeyturnError):
    """No person has that id."""

    code = "person.unknown"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "`keyturn person list` shows everyone."


class PolicyTestsRed(KeyturnError):
    """A policy's own test cases fail."""

    code = "policy.tests_red"
    status = 422
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was proposed; the active policy stays."
    next_step = "Run `keyturn policy test DIR` and mend the policy or its cases."


class NoProfile(KeyturnError):
    """The policy has no profile of that name to confine a command with."""

    code = "policy.no_profile"
    status = 404
    exit_code = ExitCode.USAGE
    next_step = "Name one that there is; profiles are in the policy's envelope.toml."


class PolicyUnchanged(KeyturnError):
    """That version is the active one."""

    code = "policy.unchanged"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nothing was proposed."
    next_step = "Change something, or leave it."


class ChainTooLong(KeyturnError):
    """So many sessions started each other that who stands behind the action can't be told."""

    code = "session.chain_too_long"
    status = 403
    exit_code = ExitCode.REFUSED
    not_done = "Nothing ran."
    next_step = "Let a person start a session for this."
