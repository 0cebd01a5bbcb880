"""`[[ … ]]`: the operators that only look at text and files.

Numeric comparison evaluates its words as arithmetic, which can run commands (`[[ a[$(x)] -eq 0 ]]`), so only
plain numbers are read there; `-v` and `-R` evaluate subscripts and `=~` takes a pattern language of its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from keyturn.readers.shell.syntax import Condition, NotUnderstood, Text, Word
from keyturn.readers.shell.wordlist import words

if TYPE_CHECKING:
    from keyturn.readers.shell.words import Words

FILE_TESTS = words("-e -f -d -s -r -w -x -L -h -b -c -p -S -g -k -u -O -G -N")
TEXT_TESTS = frozenset({"-z", "-n"})
TEXT_COMPARISONS = frozenset({"=", "==", "!=", "<", ">"})
FILE_COMPARISONS = frozenset({"-nt", "-ot", "-ef"})
NUMBER_COMPARISONS = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge"})

_NUMBER = re.compile(r"-?[0-9]{1,18}")


def lower(node: dict[str, Any], words: Words) -> Condition:
    """The tree of a `[[ … ]]` as tokens with all grouping written out."""
    span = (node["Pos"]["Offset"], node["End"]["Offset"])
    return Condition(tuple(_expression(node["X"], words, 0)), span)


def _expression(node: dict[str, Any], words: Words, depth: int) -> list[str | Word]:
    span = (node["Pos"]["Offset"], node["End"]["Offset"])
    kind = node["Type"]
    if depth > 20:
        raise NotUnderstood("A condition nested more than 20 deep", span)
    if kind == "Word":
        return ["-n", words.single(node)]
    if kind == "ParenTest":
        return _expression(node["X"], words, depth + 1)  # every operator below brackets its own operands
    operator = node.get("Op")
    if kind == "UnaryTest" and operator == "!":
        return ["!", "(", *_expression(node["X"], words, depth + 1), ")"]
    if kind == "UnaryTest" and operator in FILE_TESTS | TEXT_TESTS:
        return [operator, words.single(node["X"])]
    if kind == "BinaryTest" and operator in ("&&", "||"):
        left, right = (_expression(node[side], words, depth + 1) for side in ("X", "Y"))
        return ["(", *left, ")", operator, "(", *right, ")"]
    if kind == "BinaryTest" and operator in TEXT_COMPARISONS | FILE_COMPARISONS | NUMBER_COMPARISONS:
        left_word, right_word = words.single(node["X"]), words.single(node["Y"])
        if operator in NUMBER_COMPARISONS and not (_is_number(left_word) and _is_number(right_word)):
            raise NotUnderstood("A comparison that evaluates its words as arithmetic", span)
        return [left_word, operator, right_word]
    raise NotUnderstood(f"A condition that is not described ({operator or kind})", span)


def _is_number(word: Word) -> bool:
    """A plain number, or `$#`, `$?`, `${#name}`: what can't hold an expression."""
    if len(word.parts) != 1:
        return False
    part = word.parts[0]
    if isinstance(part, Text):
        return bool(_NUMBER.fullmatch(part.value))
    name, operator = getattr(part, "name", ""), getattr(part, "operator", "")
    return (name in ("#", "?") and operator == "") or operator == "length"
