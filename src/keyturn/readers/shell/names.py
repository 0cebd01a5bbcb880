"""Names that one command of a pipeline prints and the next one takes: `find src -name '*.py' | xargs grep x`.

`Scene.lines` are patterns that every line on standard input fits, or None if nothing is known of it. find prints
names below its starting points; filters that only pass whole lines on keep them.

xargs splits at blanks unless told otherwise, so a name like `x /etc/passwd` would be two words. What
makes such names is `configures` (see `paths`), so that an agent can't have them made unseen.
"""

from __future__ import annotations

import re

from keyturn.actions import Effect, Step
from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.syntax import Redirection, Simple, Span, Statement, Text, Word
from keyturn.readers.shell.wordlist import words

_GREP = words(
    "--invert-match --ignore-case --extended-regexp --basic-regexp --fixed-strings --perl-regexp --word-regexp "
    "--line-regexp --regexp --max-count --null-data --no-messages --text --color --colour --line-buffered --null "
    "--no-filename"
)
FILTERS = {
    "grep": _GREP,
    "egrep": _GREP,
    "fgrep": _GREP,
    "sort": words(
        "--reverse --unique --numeric-sort --human-numeric-sort --version-sort --zero-terminated --ignore-case"
    ),
    "head": words("--lines -NUM --zero-terminated"),
    "tail": words("--lines -NUM +NUM --zero-terminated"),
    "uniq": words("--zero-terminated --ignore-case --repeated --unique"),
    "tac": words(""),
    "cat": words(""),
    "tee": words("--append --ignore-interrupts --output-error -p"),
    "shuf": words("--zero-terminated --head-count"),
}
"""Programs that pass on whole lines, with the options under which they do."""

_SPEAKING = words("-printf -ls -exec -execdir -ok -okdir -help --help -version --version -D")
"""Words of find that make it, or what it runs, print something other than names."""


_RUNNING = words("-exec -execdir -ok -okdir")

_ONE_NAME = {
    "whoami": words(""),
    "logname": words(""),
    "hostname": words("--short --long --fqdn"),
    "uname": words("--kernel-name --nodename --kernel-release --machine"),
    "nproc": words("--all"),
    "arch": words(""),
    "date": words("--utc --universal"),
    "id": words("--user --group --name --real"),
}
"""Programs that print plain names or numbers: no slash in them, and no dash before them; with options that keep that so."""
_DATE = re.compile(
    r"\+(?:%[YymdHMSsjFTNaAbBhIpuwVGgUWZRekl]|[A-Za-z0-9])(?:%[YymdHMSsjFTNaAbBhIpuwVGgUWZRekl]|[A-Za-z0-9_.:@ ,-])*"
)
"""Formats of date(1) that make neither a slash nor a leading dash."""

_WHERE = frozenset({"which", "realpath", "readlink"})
"""Programs that print absolute paths: `which` those of the person's PATH."""


def _told(call: Call) -> tuple[Argument, ...] | None:
    """What a program prints that only tells where or who something is."""
    options, operands = set(call.options), call.operands
    if call.problems:
        return None
    if call.program == "pwd" and not options and not operands and len(call.scene.folders) == 1:
        folder = next(iter(call.scene.folders))
        return (Argument(folder, call.span),) if folder is not None else None
    if call.program in _ONE_NAME and options <= _ONE_NAME[call.program]:
        plain = not operands
        if call.program == "date":
            plain = all(o.known and _DATE.fullmatch(o.text) for o in operands) and bool(operands)
        return (Argument("*", call.span, known=False, wild=True, inherited=True),) if plain else None
    if call.program in _WHERE and operands and options <= {"--canonicalize", "--all", "-a"}:
        if call.program == "readlink" and not options:
            return None
        named = call.program == "which" and all(o.known for o in operands)
        return (Argument("/…", call.span, known=False, prefix="/", inherited=True, unset=named),)
    return None


_LISTS = {
    "ls": words("-1 --reverse -r -t -S -X -v -U --sort --almost-all -A --ignore-backups -B --directory -d"),
    "git": words(
        "-z --cached -c --others -o --modified -m --deleted -d --exclude-standard --full-name --name-only --staged --diff-filter "
        "--merge-base --files-with-matches --files-without-match --null --ignore-case --word-regexp --extended-regexp "
        "--fixed-strings --perl-regexp --basic-regexp --untracked --no-index -I -e"
    ),
}
"""Programs that print names as they stand in the working folder, with options that add nothing to these."""

_NAMING = {
    "grep": words("--files-with-matches --files-without-match --name-only"),
    "diff": words("--name-only"),
}
"""Subcommands of git that print names when one of these is given: from the top of the repository or from here, below either way."""


_SEARCHES = words(
    "--files-with-matches --files-without-match --ignore-case --smart-case --extended-regexp --basic-regexp --fixed-strings "
    "--perl-regexp --word-regexp --line-regexp --regexp --invert-match --max-count --no-messages --recursive "
    "--dereference-recursive --binary-files --text -I --include --exclude --exclude-dir --devices --directories --null --glob --iglob "
    "--type --type-not --hidden --no-ignore --follow --max-depth --sort --sortr --case-sensitive --case-insensitive --unrestricted "
    "-U --multiline"
)
"""Options under which a search that prints only the names of files prints nothing else."""
_NAMES_ONLY = frozenset({"--files-with-matches", "--files-without-match"})
_EXPRESSION = frozenset({"--regexp", "--file"})
_SEARCHERS = {"grep": False, "egrep": False, "fgrep": False, "rg": True}
"""Programs that search, and whether they go through the working folder when no place is named."""


def _searched(call: Call) -> tuple[Argument, ...] | None:
    """What `grep -l` and `rg -l` print: names of the files that they look at."""
    options = set(call.options)
    if (
        call.problems
        or call.program not in _SEARCHERS
        or not _NAMES_ONLY & options
        or not options <= _SEARCHES
    ):
        return None
    places = call.operands if _EXPRESSION & options else call.operands[1:]
    everywhere = _SEARCHERS[call.program]
    deeply = everywhere or {"--recursive", "--dereference-recursive"} & options
    if {"--dereference-recursive", "--follow"} & options or not all(p.known or p.wild for p in places):
        return None
    if not places:
        return (Argument("**/*", call.span, known=False, wild=True),) if deeply else None
    below = tuple(
        Argument(
            f"{place.text.rstrip('/') or '/'}/**/*", call.span, known=False, prefix=place.text if place.known else place.prefix,
            wild=True,
        )
        for place in places
    )  # fmt: skip
    return (*places, *below) if deeply else tuple(places)


def _listed(call: Call) -> tuple[Argument, ...] | None:
    """What `ls` and `git ls-files` print: names in, or below, the working folder, which may begin with a dash."""
    if call.problems or call.program not in _LISTS or not set(call.options) <= _LISTS[call.program]:
        return None
    if call.program == "git":
        if call.subcommand in _NAMING:
            asked = _NAMING[call.subcommand] & set(call.options)
            above = call.subcommand == "grep" and any(".." in o.text or not o.known for o in call.operands)
            return (Argument("**/*", call.span, known=False, wild=True),) if asked and not above else None
        plain = call.subcommand == "ls-files" and all(o.known or o.wild for o in call.operands)
        inside = all(not o.text.startswith(("/", ":")) and ".." not in o.text for o in call.operands)
        return (Argument("**/*", call.span, known=False, wild=True),) if plain and inside else None
    if not call.operands:
        return (Argument("*", call.span, known=False, wild=True),)
    alone = {"--directory", "-d"} & set(call.options)
    return tuple(call.operands) if alone and all(o.known or o.wild for o in call.operands) else None


_LINES_TO_NULS = ("\\n", "\\0")


def _lines_kept(call: Call) -> bool:
    """Whether a filter passes on whole lines: `tr '\\n' '\\0'` only writes their ends in another way, for `xargs -0`."""
    if call.program == "tr":
        return not call.options and tuple(o.text for o in call.operands) in (_LINES_TO_NULS, ("\\n", "\\000"))
    return call.program in FILTERS and set(call.options) <= FILTERS[call.program]


def passed_on(call: Call) -> tuple[Argument, ...] | None:
    """What every line that *call* prints fits, or None."""
    told = _told(call)
    if told is not None:
        return told
    listed = _listed(call) or _searched(call)
    if listed is not None:
        return listed
    if call.program == "find":
        return None if _SPEAKING & set(call.options) else call.prints
    if _lines_kept(call) and call.scene.lines is not None:
        reads = any(effect.verb == "reads" for effect in call.effects)
        if not reads and not call.problems:
            return call.scene.lines
    return None


def passed_through(call: Call, printed: list[tuple[Argument, ...] | None]) -> tuple[Argument, ...] | None:
    """What every line fits that the commands print which *call* runs: `xargs grep -l`, `find -exec grep -l`; or None."""
    if call.problems or call.program not in ("xargs", "find"):
        return None
    if call.program == "find" and _SPEAKING.difference(_RUNNING, call.options) != _SPEAKING.difference(
        _RUNNING
    ):
        return None
    lines = [line for each in printed if each is not None for line in each]
    if any(each is None for each in printed):
        return None
    asked = call.prints if call.program == "find" and {"-print", "-print0"} & set(call.options) else ()
    return tuple(dict.fromkeys((*lines, *(asked or ()))))


def takes_input(redirections: tuple[Redirection, ...]) -> bool:
    """Whether standard input comes from somewhere else than the pipe."""
    return any(redirection.operator.startswith("<") for redirection in redirections)


def mixes(redirections: tuple[Redirection, ...]) -> bool:
    """Whether something else than names may get into standard output: anything but errors thrown away."""
    return any(
        redirection.operator.startswith("<")
        or not (redirection.fd == "2" and redirection.target is not None)
        or redirection.target.parts != (Text("/dev/null"),)
        for redirection in redirections
    )


_DEAF = words(
    "echo printf cd pwd mkdir rmdir touch ls test [ [[ = > true false : export declare local readonly set unset shift return exit "
    "pushd popd date whoami uname hostname id basename dirname realpath stat du df which sleep"
)
"""Programs that read nothing from standard input, whatever their words are."""

LEFT_OVER = Effect("executes", "what its commands leave of the text", "unknown")
"""A shell that reads lines from the input it shares with its commands goes on wherever one of them stopped reading."""


def goes_on_elsewhere(script: str, steps: list[Step]) -> bool:
    """Whether a shell that reads *script* line by line may go on in the middle of one, as a command took some of it."""
    return "\n" in script.strip() and not all(step.program in _DEAF for step in steps)


def given(redirections: tuple[Redirection, ...]) -> tuple[str, Span] | None:
    """The text that a here-document or here-string puts on standard input, if it is known to the last byte."""
    inputs = [each for each in redirections if each.operator.startswith("<") and each.fd in ("", "0")]
    if not inputs:
        return None
    word = inputs[-1].body if inputs[-1].body is not None else inputs[-1].target
    if inputs[-1].operator not in ("<<", "<<-", "<<<") or word is None:
        return None
    return static(word)


def echoed(statement: Statement) -> tuple[str, Span] | None:
    """What a plain `echo` of known words prints, as far as all shells agree about it: no options, no backslashes."""
    command = statement.command
    if not isinstance(command, Simple) or statement.redirections or command.assignments or command.keyword:
        return None
    said = [static(word) for word in command.words]
    texts = [one[0] for one in said if one is not None]
    if len(texts) != len(said) or texts[:1] != ["echo"] or (texts[1:2] and texts[1].startswith("-")):
        return None
    text = " ".join(texts[1:])
    return None if "\\" in text else (text, (0, 0))


def static(word: Word) -> tuple[str, Span] | None:
    """The text of a *word* that is known, and where it stands."""
    texts = [part.value for part in word.parts if isinstance(part, Text)]
    return ("".join(texts), word.span) if len(texts) == len(word.parts) else None


__all__ = ["LEFT_OVER", "echoed", "given", "goes_on_elsewhere", "mixes", "passed_on", "static", "takes_input"]
