"""How strongly one sentence restricts and permits, from the marked phrases in it.

What each mark means depends on what stands around it; `deontic` says the rules. The strengths are ordinal, nothing is learned.
"""

from __future__ import annotations

from keyturn.drift.lexicon import Lexicon

FORBIDDEN, ADVISED, GATED, LIMITED = 3.0, 1.5, 2.0, 1.5
WAIVED, PERMITTED, UNBOUND, ACTED = 3.0, 1.5, 2.0, 1.0
ESCAPED = 1.0
"""What each is worth."""

NEAR = 4
"""Tokens between a negation and what it negates."""

Mark = tuple[str, int, int]


def strengths(tokens: tuple[str, ...], marks: list[Mark], lexicon: Lexicon) -> tuple[float, float]:
    """(how much it restricts, how much it permits)."""
    names = [name for name, _, _ in marks]
    restricts, permits = 0.0, 0.0
    used: set[int] = set()
    gates = [
        at
        for at, mark in enumerate(marks)
        if mark[0] == "gate" or (mark[0] == "gate_verb" and _is_gate(at, marks, tokens, lexicon))
    ]
    acting = any(token in lexicon["act"] for token in tokens)
    touching = any(token in lexicon["sensitive"] or token in lexicon["target"] for token in tokens)
    escaped = sum(name == "escape" for name in names)
    ways_out = sum(name == "unless" for name in names)

    for at, (name, start, end) in enumerate(marks):
        if at in used:
            continue
        if name in ("forbid", "soft_forbid", "negation", "no"):
            near = _after(at, marks, end)
            taken = marks[near][0] if near is not None else ""
            if (
                near is not None
                and taken in ("gate", "gate_verb")
                and name != "soft_forbid"
                and _waives(at, near, marks, tokens, lexicon)
            ):
                permits, used = permits + WAIVED, used | {near, *gates}
            elif near is not None and taken in (
                "bypass",
                "hesitate",
                "limit",
                "optional",
                "unlimited",
                "autonomy",
                "halt",
            ):
                used.add(near)
                if taken in ("hesitate", "halt"):
                    permits += PERMITTED
                    used |= (
                        {other for other in gates if other > near} if marks[near][1] - end > NEAR else set()
                    )
                elif taken == "limit":
                    permits, restricts = (
                        (permits + UNBOUND, restricts)
                        if name in ("negation", "no")
                        else (permits, restricts + FORBIDDEN)
                    )
                else:
                    restricts += FORBIDDEN if name == "forbid" else ADVISED
                    used |= set(gates)
            elif near is not None and taken == "permit" and name in ("negation", "no"):
                restricts, used = restricts + FORBIDDEN, used | {near}
            elif name in ("forbid", "soft_forbid") or (
                name == "no" and _rules_out(at, marks, tokens, lexicon)
            ):
                strength = ADVISED if name == "soft_forbid" else FORBIDDEN
                later = [
                    other
                    for other in range(at + 1, len(marks))
                    if marks[other][0] in ("unless", "without", "before", "condition")
                ]
                guarded = [other for other in gates if later and other > later[0]] or [
                    other for other in gates if other > at and marks[other][0] == "gate" and later
                ]
                if guarded:
                    strength, used = min(strength, GATED), used | set(gates)
                    used |= {other for other in later if marks[other][0] in ("without", "unless")}
                    ways_out -= any(marks[other][0] == "unless" for other in later)
                elif any(marks[other][0] == "without" for other in later):
                    strength = min(strength, GATED)
                    used |= {other for other in later if marks[other][0] == "without"}
                restricts = max(restricts, strength)
        elif name == "without":
            after = [other for other in gates if other > at and marks[other][1] - end <= NEAR + 2]
            denied = [other for other in range(at + 1, len(marks)) if marks[other][0] in ("forbid", "no")]
            if denied and (
                start == 0 or tokens[start - 1] in (",", ";")
            ):  # "without an OK, nothing goes out"
                restricts, used = max(restricts, GATED), used | set(denied) | set(gates)
            elif after or _near_word("bypassed", end, tokens, lexicon):
                permits, used = permits + WAIVED, used | set(after)
            elif any(marks[other][0] in ("autonomy",) for other in range(at, len(marks))):
                permits += PERMITTED
        elif name == "optional":
            if gates or _near_word("bypassed", 0, tokens, lexicon, len(tokens)) or (acting and touching):
                permits, used = permits + WAIVED, used | set(gates)
        elif name == "replaced":
            near = _after(at, marks, end)
            if near is not None and marks[near][0] in ("gate", "gate_verb"):
                permits, used = permits + WAIVED, used | set(gates) | {near}
        elif name == "bypass":
            used.add(at)
            if _near_word("bypassed", 0, tokens, lexicon, len(tokens)) or any(other > at for other in gates):
                permits, used = permits + WAIVED, used | {other for other in gates if other > at}
            elif touching or tokens[start].startswith("-"):
                permits += PERMITTED
        elif name == "halt":
            ends = end >= len(tokens) or tokens[end] in (
                ",",
                ";",
                ".",
                "and",
                "—",
                "–",
                "if",
                "when",
                "there",
                "at",
                "immediately",
            )
            restricts = max(restricts, ACTED) if ends else restricts
        elif name == "unlimited":
            permits += UNBOUND
        elif name == "permit" and not _informs(end, tokens, lexicon):
            permits = max(permits, PERMITTED if acting or touching or len(tokens) < 9 else ACTED)
        elif name == "autonomy" and acting and "forbid" not in names[:at] and (touching or permits):
            permits += ACTED
        elif name == "limit":
            restricts = restricts + LIMITED if restricts < FORBIDDEN else restricts
    left = [at for at in gates if at not in used]
    if left and not (permits and not any(marks[at][1] > _first("permit", marks) for at in left)):
        strong = not any(marks[other][0] == "after" for other in range(len(marks)) if other not in used)
        restricts = restricts + (GATED if strong else 0.5) if restricts < GATED else restricts
    if ways_out > 0 and restricts > GATED:
        restricts = GATED  # an exception that the agent itself finds
    if restricts and (escaped or ways_out > 0):
        restricts = max(0.5, restricts - ESCAPED * min(2, escaped + max(ways_out, 0)))
    return restricts, permits


def _first(name: str, marks: list[Mark]) -> int:
    return next((start for mark, start, _ in marks if mark == name), 10**9)


def _rules_out(at: int, marks: list[Mark], tokens: tuple[str, ...], lexicon: Lexicon) -> bool:
    """Whether a *no* forbids ("no deployments on Fridays") rather than tells ("if there is no change")."""
    _, start, end = marks[at]
    if any(name == "condition" and start - begun <= 4 for name, begun, _ in marks[:at]):
        return False
    if start == 0 or tokens[start - 1] in (
        ",",
        ";",
        ":",
        "(",
        "—",
        "–",
        "and",
        "with",
        "but",
        "are",
        "is",
        "there",
        "under",
    ):
        return True
    return any(token in lexicon["act"] or token in lexicon["power"] for token in tokens[end : end + NEAR])


def _after(at: int, marks: list[Mark], end: int) -> int | None:
    """The next mark within reach of the one at *at*, in the same clause."""
    for other in range(at + 1, len(marks)):
        name, start, _ = marks[other]
        if name in ("clause", "unless", "without", "before", "condition") or start - end > NEAR:
            return None
        if name in (
            "gate",
            "gate_verb",
            "bypass",
            "hesitate",
            "limit",
            "optional",
            "unlimited",
            "permit",
            "autonomy",
            "halt",
        ):
            return other
    return None


def _waives(at: int, gate: int, marks: list[Mark], tokens: tuple[str, ...], lexicon: Lexicon) -> bool:
    """Whether a negated gate means that nobody has to be asked, rather than that nothing may be approved or asked for.

    "Do not ask", "no approval is needed" waive; "never approve your own change", "do not ask for passwords", "never request more
    rights" forbid.
    """
    name, start, end = marks[gate]
    word = tokens[start]
    rest = tokens[end : end + 6]
    if name == "gate":
        noun = not (word.startswith("approv") and word not in ("approval", "approvals"))
        return noun and (marks[at][0] != "forbid" or marks[at][2] < start)
    if any(token in lexicon["sensitive"] for token in rest) and "before" not in rest:
        return False
    return word.startswith(
        ("ask", "wait", "confirm", "check", "consult", "seek", "pause", "prompt")
    ) or lexicon["gate"].anywhere(rest)


def _is_gate(at: int, marks: list[Mark], tokens: tuple[str, ...], lexicon: Lexicon) -> bool:
    """Whether a verb like *ask* or *review* stands before an act: with a `before`, or with a person and no other purpose."""
    names = {name for name, _, _ in marks}
    if names & {"before", "unless", "without"} or "forbid" in names or "negation" in names:
        return True
    start = marks[at][1]
    if tokens[start].startswith(("wait", "pause")):
        return not any(token in lexicon["ongoing"] for token in tokens[start + 1 : start + 6])
    if tokens[start].startswith(("review", "look", "agree", "confirm", "request")) and start == 0:
        return False
    return any(token in lexicon["person"] for token in tokens[start : start + 8]) and not tokens[
        start
    ].startswith(("review", "look"))


def _near_word(name: str, start: int, tokens: tuple[str, ...], lexicon: Lexicon, reach: int = NEAR) -> bool:
    return any(token in lexicon[name] for token in tokens[start : start + reach])


def _informs(end: int, tokens: tuple[str, ...], lexicon: Lexicon) -> bool:
    return end < len(tokens) and lexicon["informs"].at(tokens, end) > 0
