"""The queries: portable SQL files (`sql/analytics/NAME.sql`), their values put in as literals, carried to other engines by sqlglot.

A file begins with one line that says what it answers, and one for each value that it takes (`-- since: …`); `until` is always one.
The text's digest goes with every answer, so that whoever has the segments can ask the same again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Literal

import sqlglot
from msgspec import Struct
from sqlglot import exp

from keyturn.store.analytics.errors import QueryMalformed, QueryUnknown

NAMES = (
    "mix", "first_seen", "volume", "rules", "attribution", "separation", "reconciled", "changes", "session",
)  # fmt: skip
"""All of them, in the order in which they are listed."""

Dialect = Literal["duckdb", "postgres", "clickhouse"]
Value = int | str

_TAKES = re.compile(r"^-- ([a-z_]+): (.+)$", re.MULTILINE)
MOST_TEXT = 200


class Query(Struct, frozen=True):
    """One query: what it answers, the values it takes beside `until`, and its text with its digest."""

    name: str
    answers: str
    takes: dict[str, str]
    text: str
    digest: str

    def sql(self, values: Mapping[str, Value], dialect: Dialect = "duckdb") -> str:
        """The statement with *values* in place, for *dialect*. Raises `QueryMalformed`."""
        tree = _tree(self.name).copy()
        wanted = {one.name for one in tree.find_all(exp.Placeholder)}
        missing = sorted(wanted - values.keys())
        if missing:
            raise QueryMalformed(f"The query {self.name} needs {', '.join(missing)}.")
        for value in values.values():
            if isinstance(value, str) and len(value) > MOST_TEXT:
                raise QueryMalformed(f"A value of a query has at most {MOST_TEXT} characters.")
        return tree.transform(lambda node: _literal(node, values)).sql(dialect=dialect)


def query(name: str) -> Query:
    """The query called *name*. Raises `QueryUnknown`."""
    if name not in NAMES:
        raise QueryUnknown(f"There is no query {name!r}; there are: {', '.join(NAMES)}.")
    return _read(name)


@cache
def _read(name: str) -> Query:
    text = resources.files("keyturn.store").joinpath("sql", "analytics", f"{name}.sql").read_text("utf-8")
    answers = text.splitlines()[0].removeprefix("-- ")
    return Query(
        name, answers, dict(_TAKES.findall(text)), text, f"sha256:{sha256(text.encode()).hexdigest()}"
    )


@cache
def _tree(name: str) -> exp.Expr:
    return sqlglot.parse_one(_read(name).text, read="duckdb")


def _literal(node: exp.Expr, values: Mapping[str, Value]) -> exp.Expr:
    if not isinstance(node, exp.Placeholder):
        return node
    value = values[node.name]
    return exp.Literal.string(value) if isinstance(value, str) else exp.Literal.number(value)


__all__ = ["NAMES", "Dialect", "Query", "Value", "query"]
