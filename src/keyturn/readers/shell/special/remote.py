"""ssh(1), scp(1) and rsync(1): what runs, is read, written and forwarded on this side of a connection, and to whom.

What a remote shell runs is `executes` in the zone `network`; what this side runs to get there (a proxy command, the
shell that rsync is told to use) is a command like any other. Sources: ssh(1), ssh_config(5), scp(1), rsync(1).
"""

from __future__ import annotations

import re

from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.ceiling import anything
from keyturn.readers.shell.effects import apply, connects, copy, remote_host
from keyturn.readers.shell.grammar import Grammar
from keyturn.readers.shell.invocation import Given
from keyturn.readers.shell.special.connection import forwards, jumps, setting

_TALKS = frozenset({"-V", "-Q", "-G"})
"""Options of ssh with which it only tells something."""
_ON_THE_WAY = frozenset({"-N", "-O"})
"""Options of ssh with which no command runs on the other side."""


def ssh(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """A host, then a command for its shell. Options may stand on both sides of the host."""
    words = apply(grammar, arguments, call)
    given, command = list(words.given), []
    host = words.operands[0] if words.operands else None
    if host is not None:
        again = apply(grammar, words.operands[1:], call)
        given += again.given
        command = again.operands
        call.operands = [host, *command]
    _options(given, host, call)
    names = {name for one in given for name in one.option.names}
    if host is None or names & _TALKS:
        return
    _destination(host, call)
    if not names & _ON_THE_WAY:
        call.add("executes", " ".join(word.text for word in call.operands)[:80], "network")


def _destination(host: Argument, call: Call) -> None:
    """`[user@]host` or `ssh://[user@]host[:port]`; what a pipe gives goes there."""
    match = re.fullmatch(
        r"(?:ssh://(?:[^@/]*@)?([A-Za-z0-9._-]+)(?::[0-9]+)?/?|(?:[^@/]*@)?([A-Za-z0-9._:-]+))", host.text
    )
    if host.known and match:
        connects(match.group(1) or match.group(2), call, sends=call.scene.piped)
        return
    call.add("connects", host.text, "network")
    if call.scene.piped:
        call.add("sends", host.text, "network")


def _options(given: list[Given], host: Argument | None, call: Call) -> None:
    """What the options that ssh, scp and sftp share do beside what their entries say."""
    for one in given:
        name, value = one.option.names[0], one.value
        if value is None:
            continue
        if name == "-o":
            setting(value, host, call)
        elif name == "-F" and not (value.known and value.text in ("none", "/dev/null")):
            call.code(value)
        elif name == "-J":
            jumps(value, call)
        elif call.program == "ssh" and name in ("-L", "-R", "-D", "-W"):
            forwards(name, value, host, call)
        elif call.program == "ssh" and name == "-S" and not (value.known and value.text == "none"):
            call.path("writes", value)


def scp(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """Copies to the last operand. Options end at the first operand, unlike elsewhere."""
    words = apply(grammar, arguments, call)
    operands = words.operands
    for operand in operands[1:] if not words.ended else ():
        if operand.known and operand.may_be_option:
            call.refuse("An option of scp behind a file", operand.span)
    host = next((name for name in map(remote_host, operands) if name is not None), None)
    _options(words.given, Argument(host, call.span) if host else None, call)
    for one in words.given:
        if one.value is not None and one.option.names[0] in ("-S", "-D"):
            call.nest([one.value, Argument(host or "host", call.span)])
    _copies(operands, call)


def _copies(operands: list[Argument], call: Call) -> None:
    for operand in operands[:-1] or operands:
        copy(operand, False, call)
    if len(operands) > 1:
        copy(operands[-1], True, call)


_SHOWS = frozenset({"-n", "--list-only"})
_DELETES = frozenset(
    (
        "--delete", "--delete-before", "--delete-during", "--delete-delay", "--delete-after", "--delete-excluded",
        "--delete-missing-args",
    )
)  # fmt: skip
_SILENT = frozenset({"writes", "configures", "sends"})


def rsync(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """Copies trees to the last operand, through a shell on the other side where one of them is `host:path`."""
    words = apply(grammar, arguments, call)
    operands = words.operands
    names = {name for one in words.given for name in one.option.names}
    for one in words.given:
        _rsync_value(one, call)
    before = len(call.effects)
    _copies(operands, call)
    if names & _SHOWS and "--no-n" not in names:
        call.effects[before:] = [e for e in call.effects[before:] if e.verb not in _SILENT]
    else:
        if names & _DELETES:
            for target in operands[1:][-1:]:
                _deletes(target, call)
        if "--remove-source-files" in names:
            for source in operands[:-1] or operands:
                _deletes(source, call)
    _remote_shell(words.given, operands, call)


def _deletes(place: Argument, call: Call) -> None:
    if remote_host(place) is not None:
        call.add("deletes", place.text, "network")
    else:
        call.path("deletes", place)


def _rsync_value(one: Given, call: Call) -> None:
    name, value = one.option.shown, one.value
    if value is None:
        return
    if name == "--rsync-path":
        call.add("executes", value.text, "network")
    elif name == "--files-from":
        host = remote_host(value)
        if host is not None:
            connects(host, call)
        elif not (value.known and value.text == "-"):
            call.path("reads", value)
    elif name == "--filter" and not (value.known and re.match(_RULES, value.text)):
        call.path("reads", Argument(value.text, value.span, known=False))


_RULES = re.compile(r"\s*(?:[-+HSPR!]|exclude|include|hide|show|protect|risk|clear)")
"""Filter rules of rsync that name no file to read rules from (rsync(1), FILTER RULES)."""


def _remote_shell(given: list[Given], operands: list[Argument], call: Call) -> None:
    """The command that rsync runs to get to the other side: `ssh` unless `-e` says otherwise; none for local copies."""
    places = [operand for operand in operands if not _local(operand)]
    told = [one.value for one in given if one.option.shown == "--rsh" and one.value]
    served = [o for o in places if o.text.startswith("rsync://") or "::" in o.text]
    if not places or (not told and len(served) == len(places)):
        return
    shell = told[-1] if told else Argument("ssh", call.span)
    if not shell.known:
        anything(call)
        return
    words = _split(shell.text)
    if words is None or not words:
        call.refuse("A remote shell of rsync whose words can't be told apart", shell.span)
        return
    for place in places:
        host = remote_host(place)
        where = (
            Argument(host, place.span)
            if host
            else Argument(place.text, place.span, known=False, prefix="host")
        )
        rest = [Argument(word, place.span) for word in ("rsync", "--server", ".")]
        call.nest([*(Argument(word, shell.span) for word in words), where, *rest])


def _local(operand: Argument) -> bool:
    """Whether *operand* is surely a path here: a slash or nothing stands before any colon."""
    text = operand.text if operand.known else operand.prefix
    return "/" in text.split(":", 1)[0] or (operand.known and ":" not in text)


def _split(text: str) -> list[str] | None:
    """The words of rsync's `-e`: blanks separate, quotes of both kinds hold together."""
    if "\t" in text or "\n" in text or "\\" in text:
        return None
    words: list[str] = []
    for match in re.finditer(r"(?:[^ '\"]|'[^']*'|\"[^\"]*\")+", text):
        word = match.group()
        if "''" in word or '""' in word:
            return None
        words.append(re.sub(r"'([^']*)'|\"([^\"]*)\"", lambda m: m.group(1) or m.group(2) or "", word))
    return words if _closed(text) else None


def _closed(text: str) -> bool:
    """Whether every quote in *text* has its end."""
    return not re.search(r"['\"]", re.sub(r"'[^']*'|\"[^\"]*\"", "", text))


__all__ = ["rsync", "scp", "ssh"]
