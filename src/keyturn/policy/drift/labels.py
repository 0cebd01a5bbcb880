"""Labels that drift.toml names must be ones that the policy gives: a limit on a label that nothing has would never count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from keyturn.policy.drift.model import DriftRules
from keyturn.policy.drift.sections import FILE
from keyturn.policy.drift.selectors import Selectors
from keyturn.policy.folder import Table
from keyturn.policy.problems import Problem, nearest
from keyturn.policy.vocabulary import READER_LABELS


def unknown_labels(data: bytes, rules: DriftRules, labels: Iterable[str]) -> list[Problem]:
    """What *rules*, read from *data*, count or watch by labels that are neither the readers' nor among *labels*."""
    known = tuple(dict.fromkeys((*labels, *READER_LABELS)))
    table = Table(FILE, data)
    for heading, selectors in _sections(rules):
        for label in _named(selectors):
            if label not in known:
                hint = nearest(label, known) or "labels: " + ", ".join(known)
                table.wrong(label, f"resources.toml has no label {label}", hint, after=f"[{heading}]")
    return table.problems


def _sections(rules: DriftRules) -> Iterator[tuple[str, Selectors]]:
    for name, limit in rules.limits.items():
        yield f"limit.{name}", limit.counts
    for name, order in rules.orders.items():
        yield f"order.{name}", (*order.watched, *order.other)


def _named(selectors: Selectors) -> Iterator[str]:
    for selector in selectors:
        for term in selector.terms:
            if term.what in ("label", "labelled"):
                yield term.which.rpartition(":")[2]


__all__ = ["unknown_labels"]
