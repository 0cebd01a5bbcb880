"""`[lexicon]`: what words of instructions mean, in a house's own language (`keyturn.drift.lexicon` has the classes and English).

[lexicon]
forbid = ["niemals", "nicht"]          # class = phrases; `word*` is any word with that beginning
gate = ["freigabe*"]
sensitive = ["produktion*"]

[lexicon.synonyms]
delete = ["lösche", "entferne"]        # words that mean the same
"""

from __future__ import annotations

from collections.abc import Mapping

from keyturn.policy.requirements.part import Part

Words = Mapping[str, object]
MOST = 5_000
CLASSES = (
    "forbid", "soft_forbid", "negation", "no", "gate", "gate_verb", "before", "after", "notify", "limit", "unlimited", "optional",
    "oblige", "permit", "hesitate", "escape", "unless", "without", "condition", "bypass", "bypassed", "autonomy", "universal", "explain",
    "clause", "filler", "stop", "person", "machine", "ongoing", "replaced", "high", "halt", "power", "low_rank", "middle_rank",
    "high_rank", "propose", "act", "strong", "sensitive", "target", "style", "informs", "describes",
)  # fmt: skip
"""What a phrase may be."""


def read_lexicon(part: Part) -> Words:
    """The section."""
    part.known(*CLASSES, "synonyms")
    found: dict[str, object] = {name: _phrases(part, name) for name in CLASSES if name in part.body}
    groups = part.body.get("synonyms")
    if isinstance(groups, dict):
        inner = Part(part.table, f"{part.heading}.synonyms", groups)
        found["synonyms"] = {str(name): _phrases(inner, str(name)) for name in groups}
    elif groups is not None:
        part.wrong("synonyms", "synonyms is a table of groups", '[lexicon.synonyms]\ndelete = ["lösche"]')
    return found


def _phrases(part: Part, name: str) -> tuple[str, ...]:
    phrases = part.texts(name)
    if len(phrases) > MOST:
        part.wrong(name, f"at most {MOST:,} phrases a class")
    for phrase in phrases:
        if not phrase.strip("* ") or len(phrase) > 100:
            part.wrong(phrase, "a phrase is words, of at most 100 characters")
    return phrases
