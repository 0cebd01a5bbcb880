"""`[[ … ]]`: the operators that only look at text and files.

Numeric comparison evaluates its words as arithmetic, which can run commands (`[[ a[$(x)] -eq 0 ]]`), so they are
read as arithmetic is; `-v` takes a plain name only, for it evaluates subscripts, and so does `-R`, which is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from keyturn.readers.shell import arithmetic
from keyturn.readers.shell.syntax import Condition, Glob, NotUnderstood, Text, Word
from keyturn.readers.shell.wordlist import words

if TYPE_CHECKING:
    from keyturn.readers.shell.words import Words

FILE_TESTS = words("-e -f -d -s -r -w -x -L -h -b -c -p -S -g -k -u -O -G -N")
TEXT_TESTS = frozenset({"-z", "-n"})
TEXT_COMPARISONS = frozenset({"=", "==", "!=", "<", ">"})
FILE_COMPARISONS = frozenset({"-nt", "-ot", "-ef"})
NUMBER_COMPARISONS = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge"})

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PATTERN = re.compile(r"(?:[A-Za-z0-9_.^*+?\[\]{}():|,@%=/-]|\$(?=[)|]|$))+")
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
        if operator in NUMBER_COMPARISONS:
            return [_number(node["X"], words), operator, _number(node["Y"], words)]
        return [words.single(node["X"]), operator, words.single(node["Y"])]
    if kind == "BinaryTest" and operator == "=~":
        return [words.single(node["X"]), operator, _expression_pattern(node["Y"], words)]
    if kind == "UnaryTest" and operator == "-v":
        word = words.single(node["X"])
        if len(word.parts) == 1 and _NAME.fullmatch(getattr(word.parts[0], "value", "")):
            return [operator, word]
    raise NotUnderstood(f"A condition that is not described ({operator or kind})", span)


def _number(node: dict[str, Any], words: Words) -> Word:
    """A word that is compared as a number, and therefore evaluated: only what `arithmetic` understands."""
    parts = node.get("Parts") or [{}]
    if (
        len(parts) == 1
        and parts[0].get("Type") in ("Lit", "ParamExp")
        and _is_number(word := words.single(node))
    ):
        return word
    return Word((arithmetic.lower(node, words),), (node["Pos"]["Offset"], node["End"]["Offset"]))


def _expression_pattern(node: dict[str, Any], words: Words) -> Word:
    """An extended regular expression: plain characters as they stand, or one variable."""
    span = (node["Pos"]["Offset"], node["End"]["Offset"])
    parts = node.get("Parts") or [{}]
    if len(parts) == 1 and parts[0].get("Type") in ("ParamExp", "DblQuoted", "SglQuoted"):
        return words.single(node)
    raw = "".join(part.get("Value", "\0") if part.get("Type") == "Lit" else "\0" for part in parts)
    outside = re.sub(r"\\[.*+?^$/-]", "", raw)
    depth = 0
    for character in outside:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
    if depth or not _PATTERN.fullmatch(outside):
        raise NotUnderstood("A regular expression of a form that is not described", span)
    return Word((Glob(raw),), span)


def _is_number(word: Word) -> bool:
    """A plain number, or `$#`, `$?`, `${#name}`: what can't hold an expression."""
    if len(word.parts) != 1:
        return False
    part = word.parts[0]
    if isinstance(part, Text):
        return bool(_NUMBER.fullmatch(part.value))
    name, operator = getattr(part, "name", ""), getattr(part, "operator", "")
    return (name in ("#", "?") and operator == "") or operator == "length"
