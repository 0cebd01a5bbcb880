"""What a pack does not prove, in words that stand in every pack: an auditor relies on no more than is there."""

from __future__ import annotations

from keyturn.evidence.report.model import Report

ALWAYS = (
    (
        "That the log is the only one.",
        "Whoever holds the log's key can keep two logs, or cut this one off and go on from an older state. A checkpoint that somebody "
        "else kept shows it: `verify.py PACK --head FILE` says whether this log goes on from it. Compare checkpoints with other auditors.",
    ),
    (
        "That the words around the results say the same.",
        "`verify.py` makes tables, tests, exceptions and verdicts again. It does not make report.html, report.pdf and the files in oscal/, "
        "ocsf/ and grc/ again: those are the operator's word, signed. Run a `verify.py` that did not come with this pack, with the log's "
        "key as you got it, and see which period, controls, tests and thresholds it names.",
    ),
    (
        "That everything went through a gate.",
        "What an agent did past every gate is in no entry. Reconciliation with the targets' own logs finds it where such a log was read; "
        "the tests `reconciled` and `targets_saw_it` say for which targets and periods.",
    ),
    (
        "That a gate said the truth about what ran.",
        "A receipt is the gate's word. Each gate has an assurance level: advisory and cooperative gates run beside the agent, "
        "enforced and credentialed ones do not depend on it.",
    ),
    (
        "That people saw what the log says they were shown.",
        "A signature covers the digest of what was shown; the page that showed it came from the operator, unless the person signed with "
        "`keyturn approve --sign`, which works everything out again. Approvals by click are the operator's word.",
    ),
    (
        "That an account is the person.",
        "Keys are bound to accounts of an identity provider where there is one, and otherwise to the word of the administrator who "
        "approved them. Compare the enrolments with the roster of employees, and call a few people.",
    ),
    (
        "That an approved action was wise.",
        "Tests say who approved what and when, not whether they should have.",
    ),
    (
        "When exactly something happened.",
        "Times are those of the operator's clock. They never go backwards in the log; no outside time-stamp binds them in this version.",
    ),
    (
        "What is withheld.",
        "Fields that were withheld from you or erased are counted, not shown. "
        "A test that rests on one of them is `not tested`, never `pass`.",
    ),
)
"""(claim, why) that holds for every pack."""


def limits(report: Report) -> str:
    """`LIMITS.md` of a pack."""
    frame = report.frame
    lines = [
        "# What this pack does not prove",
        "",
        f"Pack {frame.pack} about {frame.framework_title}. Read this before you rely on it.",
        "",
    ]
    for claim, why in (*ALWAYS, *_own(report)):
        lines += [f"- **{claim}** {why}"]
    if report.cannot:
        lines += ["", "## Controls that no log of agents' actions can show", ""]
        lines += [f"- {one}" for one in report.cannot]
    open_ = [one for one in report.controls if one.result.verdict in ("not-tested", "no-population")]
    if open_:
        lines += ["", "## Controls of this framework without a result here", ""]
        lines += [f"- {one.control.id} {one.control.title}: {one.result.why}" for one in open_]
    partial = [one for one in report.controls if one.control.how == "partial"]
    if partial:
        lines += ["", "## Controls that are tested in part", ""]
        lines += [f"- {one.control.id} {one.control.title}: also needs {one.control.also}" for one in partial]
    return "\n".join(lines) + "\n"


def _own(report: Report) -> list[tuple[str, str]]:
    frame = report.frame
    made = []
    if not report.heads:
        made.append(
            (
                "That nothing was cut off before this pack.",
                "No earlier checkpoint was handed in when it was made (`keyturn evidence pack --head FILE`).",
            )
        )
    if frame.disclosure != "content":
        made.append(
            (
                "What the actions were made of.",
                "Scripts, environments, instructions and reasoning are withheld; their digests are there. How an action was read, with its "
                "programs and their arguments, is not: tests rest on it.",
            )
        )
    if not frame.recorded:
        made.append(
            (
                "That this pack is the only one.",
                "It was made from an exported log, and its making is not in the log.",
            )
        )
    return made
