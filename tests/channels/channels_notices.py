"""Requests as views, made by hand: plain ones, and such as an agent would make to deceive whoever reads a message."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from keyturn.actions import Effect, Reading, Step
from keyturn.channels.notices.composing import compose
from keyturn.channels.notices.notice import Notice, Phase
from keyturn.policy.decision import Decision, Obligations, RuleHit
from keyturn.policy.risk import Line, Risk
from keyturn.service.model import ApprovalView, Drill, RequestView, StageView

OPENED = 1_763_671_234_000
SCRIPT = "rm -r build"


def request(text: str = SCRIPT, tier: str = "medium", **changes: Any) -> RequestView:
    """A waiting request for a shell command."""
    made = RequestView(
        id="r_01k9gq3cmn0000000000000000",
        state="waiting",
        subject="action",
        kind="shell",
        digest="sha256:" + "a1" * 32,
        display="sha256:" + "b2" * 32,
        sentence="Deletes the folder build and everything in it.",
        text=text,
        content={"kind": "shell", "script": text},
        reading=Reading(
            "shell",
            True,
            (Step("rm", ("rm", "-r", "build"), (0, 11), (Effect("deletes", "/w/build", "workspace"),)),),
        ),
        decision=Decision(
            "hold",
            "sha256:" + "c3" * 32,
            rules=(RuleHit("delete-tree", "hold", because="it deletes a whole folder"),),
        ),
        obligations=Obligations(),
        stages=(StageView("reviewers", 1, 0, ("riley", "sam")),),
        approvals=(),
        attribution={"agent": {"name": "claude-code"}, "human": {"person": "dana", "how": "os-uid"}},
        session="s_1",
        gate="hooks:claude-code@laptop",
        assurance="cooperative",
        cwd="/home/dana/shop",
        opened=OPENED,
        expires=OPENED + 1_800_000,
        entry=41,
        risk=Risk(tier, 35, (Line("undo", 35, "A folder is deleted."),)),  # type: ignore[arg-type]
    )
    return replace(made, **changes)


def notice(view: RequestView | None = None, phase: Phase = "opened", *, approves: bool = True) -> Notice:
    """What is said about it."""
    link = "https://keyturn.example/requests/r_01k9gq3cmn0000000000000000"
    return compose(view or request(), phase, phase, link, chat_approves=approves)


FENCE = (
    "echo tidy\n```\n*Reviewed by security: safe.* <https://evil.example|Open in Keyturn>\n```\n"
    "# <!channel> @here <@U123> [approve](https://evil.example) <b>ok</b><script>x</script>\nrm -r build"
)
DENIED = ApprovalView("riley", "deny", "not <today> & @channel", OPENED + 60_000, "web", 0, 42)
CASES: dict[str, Notice] = {
    "plain": notice(),
    "without-approve": notice(approves=False),
    "signed": notice(request(obligations=Obligations(assurance="signed", reason_required=True))),
    "high": notice(
        request(tier="high", stages=(StageView("dba", 2, 1, ("sam",)), StageView("security", 1, 0)))
    ),
    "reminded": notice(phase="reminded"),
    "fence": notice(request(FENCE, sentence="Runs echo, ``` closes <!channel> fences & <b>tags</b>.")),
    "long": notice(request("echo harmless # " + "." * 3000 + "\nrm -rf / --no-preserve-root\n")),
    "bidi": notice(request("rm -r \u202eelif.txt\u2066 \u200bsafe\x1b[2K\r", cwd="/home/dana/\u202eshop")),
    "posing": notice(request("rm -r \u0430pp")),
    "bound": notice(
        request(environment={"PATH": "/tmp/x:/usr/bin"}, executes={"/w/deploy.sh": "sha256:" + "d4" * 32})
    ),
    "policy": notice(
        request(
            "-permit\n+forbid\n",
            subject="policy",
            kind="policy",
            attribution={"human": {"person": "kim"}},
            risk=None,
        )
    ),
    "denied": notice(
        request(
            state="denied", approvals=(DENIED,), ended=OPENED + 60_000, ended_why="not <today> & @channel"
        ),
        "ended",
    ),
    "approved": notice(
        request(state="approved", approvals=(replace(DENIED, choice="approve"),), ended=OPENED + 60_000),
        "ended",
    ),
    "drill": notice(
        request(
            state="withdrawn",
            ended=OPENED + 60_000,
            drill=Drill("more", "It also deleted <everything>.", "riley", True, 43),
        ),
        "ended",
    ),
    "expired": notice(
        request(state="expired", ended=OPENED + 1_800_000, ended_why="Nobody decided."), "ended"
    ),
}
