"""Every kind of finding: its policy area, how bad it is, and what it means. docs/reference/findings.md lists them; a test compares."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from keyturn.drift.finding import Severity

Area = Literal[
    "data access",
    "change management",
    "logging and attribution",
    "separation of duties",
    "credentials",
    "retention",
]
"""The six policy areas."""


class Kind(Struct, frozen=True):
    """What a kind of finding is about. `detector` names its class in the taxonomy (a behaviour, b instruction, c configuration,
    d policy and practice, e attribution, f separation of duties, g credentials, h retention, i coverage, j audit lag)."""

    area: Area
    severity: Severity
    detector: str
    meaning: str


KINDS: dict[str, Kind] = {
    "configuration.unexplained": Kind(
        "change management",
        "high",
        "c",
        "A target's configuration changed, and no approved change covers it: by content, in its window, once.",
    ),
    "configuration.not_applied": Kind(
        "change management",
        "low",
        "c",
        "An approved change of a configuration was not made, or not all of it, when its window had closed.",
    ),
    "ratchet.surface": Kind(
        "change management",
        "high",
        "a",
        "What an agent changes moved far from what it changed at first, in steps that were each small.",
    ),
    "ratchet.instructions": Kind(
        "change management",
        "high",
        "b",
        "Several versions of an agent's instructions together let it do more than the ones that people approved at first.",
    ),
    "credential.shared": Kind(
        "logging and attribution",
        "high",
        "e",
        "One credential was used by two definitions of agents, or from two machines at once.",
    ),
    "bypass.unknown_tag": Kind(
        "logging and attribution",
        "critical",
        "i",
        "A target's own log has tags that are forged, used again, or beside another statement than their action's.",
    ),
    "bypass.untagged": Kind(
        "logging and attribution",
        "critical",
        "i",
        "Something was done on a target with the credential of agents, and without the tag that every allowed action leaves there.",
    ),
    "bypass.surplus": Kind(
        "logging and attribution",
        "critical",
        "i",
        "A target's own log has more executions of something than were allowed.",
    ),
    "source.silent": Kind(
        "logging and attribution",
        "high",
        "i",
        "Agents acted on a target, and its own log says nothing of that time: it is late, off, or was cut.",
    ),
    "action.not_in_target": Kind(
        "logging and attribution",
        "medium",
        "i",
        "An action was allowed, and the target's own log has no line of it: it failed unseen, or the log has a gap.",
    ),
    "breakglass.unreviewed": Kind(
        "separation of duties", "high", "j", "Somebody broke the glass, and nobody reviewed it in time."
    ),
    "lag.unseen": Kind(
        "logging and attribution",
        "high",
        "j",
        "A finding of severity high or critical lay there longer than policy wants, and nobody looked at it.",
    ),
    "secret.in_action": Kind(
        "credentials",
        "high",
        "g",
        "A secret stood in an action's own text: a command, an edit, a tool's arguments.",
    ),
    "secret.written": Kind("credentials", "high", "g", "An agent asked to write a secret to a file."),
    "secret.spread": Kind(
        "credentials",
        "high",
        "g",
        "A secret that an agent had written to a file went on: another session read it, it was sent, or it came up elsewhere.",
    ),
    "secret.recorded": Kind(
        "credentials",
        "critical",
        "g",
        "An imported rule found a secret in the ledger that the rules at capture did not know.",
    ),
    "approval.from_agent": Kind(
        "separation of duties",
        "critical",
        "f",
        "A person's token was used to change something from inside an agent's session.",
    ),
    "rate.exceeded": Kind(
        "data access",
        "high",
        "a",
        "More was asked for in a time than a limit of policy lets go; the rest was held.",
    ),
    "scope.exceeded": Kind(
        "data access",
        "medium",
        "a",
        "An action touches files or hosts that neither its instruction nor the agent's own words name.",
    ),
    "scope.grown": Kind(
        "credentials",
        "medium",
        "g",
        "The credentials and permissions that an agent uses grew over its sessions, against the ones that it used at first.",
    ),
    "order.broken": Kind(
        "change management",
        "high",
        "a",
        "A session did, or would have done, something out of the order that policy asks for.",
    ),
    "retry.variant": Kind(
        "change management", "medium", "d", "An agent was told no, and asked for the same in another form."
    ),
    "attribution.missing": Kind(
        "logging and attribution",
        "high",
        "e",
        "An action came without a part of attribution that policy asks for.",
    ),
    "attribution.collapsed": Kind(
        "logging and attribution",
        "high",
        "e",
        "More agents, or people, stand behind one account than policy lets.",
    ),
    "attribution.boilerplate": Kind(
        "logging and attribution",
        "medium",
        "e",
        "An agent's reasons read alike in different sessions: they explain nothing.",
    ),
    "attribution.nobody": Kind(
        "logging and attribution",
        "high",
        "e",
        "An agent acts for somebody who was removed, is in no group or on leave, or for a name that several people use.",
    ),
    "attribution.spread": Kind(
        "logging and attribution",
        "medium",
        "e",
        "One instruction, word for word, opened more sessions than policy lets.",
    ),
    "sod.reciprocal": Kind(
        "separation of duties",
        "high",
        "f",
        "Two people approve nearly everything of each other, though others could.",
    ),
    "sod.concentration": Kind(
        "separation of duties",
        "medium",
        "f",
        "Nearly all approvals are one person's, though others could give them.",
    ),
    "sod.together": Kind(
        "separation of duties", "high", "f", "Two people approved one request within a second of each other."
    ),
    "sod.same_place": Kind(
        "separation of duties",
        "medium",
        "f",
        "Who asked and who approved, or two who approved one request, did it from one browser, account or network address.",
    ),
    "sod.absent": Kind(
        "separation of duties",
        "high",
        "e",
        "Somebody who is on leave, or a name that several people use, approved a request.",
    ),
    "sod.self_executed": Kind(
        "separation of duties",
        "critical",
        "f",
        "Something ran that policy wants another person for, and nobody else decided.",
    ),
    "sod.beneficiary": Kind(
        "separation of duties",
        "high",
        "f",
        "A proposed policy lets more run, for its author's own agents only.",
    ),
    "review.rubber_stamp": Kind(
        "separation of duties",
        "high",
        "d",
        "A reviewer approves everything within seconds, or never says no.",
    ),
    "retention.overdue": Kind(
        "retention", "high", "h", "A file that an agent made of labelled data is still there after its time."
    ),
    "retention.found": Kind(
        "retention",
        "high",
        "h",
        "Files lie in a folder of a retention rule (a cache, a work folder, a vector store) that are older than the rule lets.",
    ),
    "definition.changed": Kind(
        "change management",
        "high",
        "c",
        "What an agent is (instructions, settings, hooks, servers, tools) is not what people approved.",
    ),
    "definition.unknown": Kind(
        "change management", "low", "c", "Nobody has approved what an agent is where it works."
    ),
    "tool.changed": Kind(
        "change management",
        "high",
        "c",
        "A tool of a server is not the one that was listed before under its name: its description, schemas or annotations changed.",
    ),
    "instructions.unapproved": Kind(
        "change management",
        "medium",
        "b",
        "An agent's instructions name commands, files or hosts that policy refuses, or tools that are not in what people approved.",
    ),
    "behaviour.sensitive": Kind(
        "data access",
        "high",
        "a",
        "An agent does more that is sensitive than its approved baseline: a larger share of its actions, or more sessions with any.",
    ),
    "behaviour.order": Kind(
        "change management",
        "medium",
        "a",
        "An agent's sessions go otherwise than in its approved baseline, whatever they are made of.",
    ),
    "behaviour.novel": Kind(
        "change management",
        "medium",
        "a",
        "More of an agent's sessions than expected do something that its approved baseline has never seen.",
    ),
    "behaviour.volume": Kind(
        "data access",
        "medium",
        "a",
        "An agent does more in a day than in its approved baseline, day after day.",
    ),
    "behaviour.hours": Kind(
        "data access",
        "medium",
        "a",
        "An agent is at work at hours of the week at which its approved baseline has it next to never, day after day.",
    ),
    "sigma.match": Kind(
        "change management", "medium", "a", "An action matches a Sigma rule of the security team."
    ),
    "clause.unenforced": Kind(
        "change management",
        "medium",
        "d",
        "A clause of the written policy (clauses.toml) is enforced by no rule, limit, order, retention or freeze.",
    ),
    "rule.expired_used": Kind("change management", "critical", "d", "A rule decided after it had ended."),
    "rule.always_approved": Kind(
        "separation of duties",
        "low",
        "d",
        "Everything that a rule held was approved: people may not look any more.",
    ),
    "rule.unused": Kind("change management", "low", "d", "A rule that lets run let nothing run for a while."),
    "rule.not_asked": Kind(
        "change management",
        "medium",
        "d",
        "A rule that held a lot in the log's first days holds nothing any more, though as much is done.",
    ),
    "allowlist.creep": Kind(
        "change management",
        "medium",
        "d",
        "Of what people would be asked about, exceptions let run a much larger part than in the log's first days.",
    ),
    "exception.norm": Kind(
        "change management",
        "medium",
        "d",
        "An exception decides more than the rules that it is an exception of.",
    ),
}
"""Every kind that this version opens."""
