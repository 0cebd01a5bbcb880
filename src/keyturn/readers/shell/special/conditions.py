"""`test` and `[`: told by the number of words, as POSIX.1-2017 XCU *test* describes. `-v` and `-R` evaluate subscripts."""

from __future__ import annotations

from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.ceiling import anything
from keyturn.readers.shell.conditions import FILE_TESTS, TEXT_TESTS
from keyturn.readers.shell.grammar import Grammar
from keyturn.readers.shell.wordlist import words

_COMPARISONS = words("= == != < > -eq -ne -lt -le -gt -ge")
_FILE_COMPARISONS = frozenset({"-nt", "-ot", "-ef"})


def test(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """One condition; longer ones are split at `-a` and `-o`."""
    del grammar
    words = list(arguments)
    if call.program == "[":
        if not words or not words[-1].known or words[-1].text != "]":
            call.refuse("[ without ]")
            return
        words.pop()
    if any(word.many for word in words):
        if any(word.may_bring_options or (word.wild and not word.inherited) for word in words):
            anything(call)  # one of the words may turn out to be `-v`, which evaluates a subscript
        for word in words:
            if not word.known and not (word.wild and word.inherited):
                call.path("reads", word)
        return
    part: list[Argument] = []
    for word in words:
        if len(words) > 4 and word.known and word.text in ("-a", "-o"):
            _condition(part, call)
            part = []
        else:
            part.append(word)
    _condition(part, call)


def _condition(words: list[Argument], call: Call) -> None:
    while words and words[0].known and words[0].text == "!" and len(words) in (2, 3, 4):
        words = words[1:]
    if len(words) == 3 and words[1].known and words[1].text in _COMPARISONS | _FILE_COMPARISONS:
        if words[1].text in _FILE_COMPARISONS:
            call.path("reads", words[0])
            call.path("reads", words[2])
    elif len(words) == 2 and words[0].known and words[0].text in FILE_TESTS:
        call.path("reads", words[1])
    elif not (len(words) == 2 and words[0].known and words[0].text in TEXT_TESTS | {"-t"}) and len(words) > 1:
        call.refuse("A condition that is not described")
