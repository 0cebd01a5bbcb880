"""What a program's sorted words do: every described option and operand as effects of its call."""

from __future__ import annotations

import re

from msgspec.structs import replace

from keyturn.actions import Effect, Verb
from keyturn.readers.paths import sure, unknown_path
from keyturn.readers.shell.calls import Argument, Call, Scene, below, join
from keyturn.readers.shell.ceiling import widest
from keyturn.readers.shell.grammar import Clause, FixedEffect, Grammar, Operand, fixed, programs
from keyturn.readers.shell.hosts import REMOTE, connects, copy, fill, goes_to, remote_host, unpack
from keyturn.readers.shell.invocation import Given, Words, read_words
from keyturn.readers.shell.transfer import proxy, read_file, shows, upload, url
from keyturn.resources import absolute

_ASKS = re.compile(r"-[0-9]+")
_PLUS = re.compile(r"\+[0-9]+")
_SPECIAL_BITS = re.compile(r"0*[1-7][0-7]{3}|.*[+=][rwxX]*[st].*")
"""Set-user-ID and kin: whoever runs the file then acts as its owner (chmod(1))."""
_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.~-]*")
_PACKED = re.compile(r"(?:[.]g?z|[-_]g?z|[.]t[ag]z|[.]Z|[.]t?bz2?|[.]t?xz|[.]lzma|[.]zst)$", re.IGNORECASE)


def apply(grammar: Grammar, arguments: list[Argument], call: Call) -> Words:
    """Work out *arguments* under *grammar*: every option's and operand's effects are added to *call*."""
    if (
        not grammar.harmless
        and any(a.may_bring_options for a in arguments)
        and not _only_after_end(arguments)
    ):
        widest(grammar, call)
    if grammar.harmless and grammar.reads_files:
        for argument in arguments:
            if argument.many or (not argument.known and argument.may_be_option):
                call.path("reads", argument)
    words = read_words(grammar, arguments, call)
    call.operands = words.operands
    for given in words.given:
        if any(clause.action == "enters" for clause in given.option.clauses) and given.value:
            enter(given.value, call)
    if _asks_about(arguments, words):
        return words
    for effect in grammar.always:
        always(effect, words, call)
    kinds, required = grammar.operands, grammar.required
    skip = False
    for given in words.given:
        for clause in given.option.clauses:
            if clause.action == "operands":
                kinds = tuple(Operand(w.removesuffix("..."), w.endswith("...")) for w in clause.rest.split())
            if clause.action in ("operands", "alone"):
                required = 0
            skip = skip or clause.action == "pattern"
            if clause.action == "target":
                kinds, required = tuple(kind for kind in kinds if kind.kind != "into"), 1
    if skip and kinds and kinds[0].kind in ("text", "code", "rest"):
        kinds = kinds[1:]
    for given in words.given:
        for clause in given.option.clauses:
            _clause(clause, given, call, grammar)
            if clause.action == "target" and given.value is not None:
                _into(given.value, words.operands, call)
    _dispatched(words, call)
    if grammar.subcommands:
        _subcommand(grammar, words, call)
    else:
        if kinds and all(kind.kind == "held" and kind.many for kind in kinds):
            call.refuse(f"What {call.program} does is not described")
        if len(words.operands) < required:
            call.refuse(f"{call.program} needs at least {required} operand{'s' if required > 1 else ''}")
        asked = any(c.action == "default" for given in words.given for c in given.option.clauses)
        _operands(kinds, words.operands, call, grammar, ("reads .",) if asked else grammar.default)
    return words


_ABOUT = frozenset({"--version", "--help", "-version", "-help"})


def _asks_about(arguments: list[Argument], words: Words) -> bool:
    """Whether the only word makes a program tell about itself and end (GNU Coding Standards, 4.8.1 and 4.8.2)."""
    only = arguments[0].text if len(arguments) == 1 and arguments[0].known else ""
    return only in _ABOUT and len(words.given) == 1 and not words.given[0].option.clauses


def _dispatched(words: Words, call: Call) -> None:
    """`python -m pytest …`: a described program in another dress, whose words are read like its own."""
    for given in words.given:
        module = given.value if any(c.action == "dispatches" for c in given.option.clauses) else None
        if module is not None and module.known and module.text in programs(call.scene.around.programs):
            call.nest([module, *words.operands])


def always(effect: FixedEffect, words: Words, call: Call) -> None:
    """Note an effect that every call has."""
    what = _filled(effect.what, words)
    if effect.zone == "here":
        wild = "*" in what and "{" not in effect.what
        prefix = what.split("*", 1)[0] if wild else ""
        call.path(effect.verb, Argument(what, call.span, known=not wild, prefix=prefix, wild=wild))
    elif effect.zone == "elsewhere":
        call.elsewhere(effect.verb, what)
    elif (effect.verb, effect.zone) == ("executes", "code"):
        call.runs(what)
    else:
        call.add(effect.verb, what, effect.zone, effect.labels)


def _filled(what: str, words: Words) -> str:
    """`{operands}` in a described effect stands for the operands as given, shortened."""
    if "{operands}" not in what:
        return what
    shown = " ".join(operand.text for operand in words.operands)
    return what.replace("{operands}", shown[:80]).strip()


def enter(folder: Argument, call: Call) -> None:
    """The rest of *call* happens in *folder* (`git -C`, `make -C`)."""
    call.scene = call.scene.moved(entered(folder, call.scene, physical=True))


def entered(folder: Argument, scene: Scene, physical: bool = False) -> frozenset[str | None]:
    """The working folders after changing to *folder*: by name as `cd` does or, if *physical*, as chdir(2) does."""
    if not folder.known or folder.text == "-":
        return frozenset({None})
    moved: set[str | None] = set()
    for start in scene.folders:
        lost = physical and not sure(folder.text, start, scene.around)
        if lost or (start is None and not folder.text.startswith("/")):
            moved.add(None)
        else:
            text = "./" + folder.text if folder.text.startswith("~") else folder.text
            moved.add(absolute(text, replace(scene.around, cwd=start or "/")))
    return frozenset(moved)


def _only_after_end(arguments: list[Argument]) -> bool:
    """Whether words that may become several all stand after `--`."""
    seen = False
    for argument in arguments:
        seen = seen or (argument.known and argument.text == "--")
        if argument.may_bring_options and not seen:
            return False
    return True


def _clause(clause: Clause, given: Given, call: Call, grammar: Grammar) -> None:
    action, value = clause.action, given.value
    if action == "held":
        call.refuse(f"The option {given.option.shown} {clause.rest or 'is not described'}")
    elif action == "also":
        always(fixed(clause.rest), Words(), call)
    elif action == "dispatches" and value is not None:
        call.subcommand = f"{given.option.names[0]} {value.text}"
        _value("executes", "", value, given, call)
    elif action == "code" and value is not None:
        call.code(value)
    elif action == "globs" and value is not None:
        call.effects += labelled(value, call)
    elif action == "runs" and value is not None:
        call.runs_below(value)
    elif action == "lists" and value is not None:
        _lists(value, call)
    elif action == "script" and value is not None:
        _script(value, call)
    elif action == "name" and value is not None:
        if not (value.known and _NAME.fullmatch(value.text)):
            call.refuse(f"The value of {given.option.shown} could name a file", value.span)
    elif action == "only" and value is not None:
        if not (value.known and re.fullmatch(clause.rest, value.text)):
            call.refuse(f"The value of {given.option.shown} is none that is described", value.span)
    elif action == "mode" and value is not None:
        if not value.known or _SPECIAL_BITS.fullmatch(value.text):
            call.add("grants", f"mode {value.text}", "system")
    elif action in ("reads", "writes", "deletes", "outputs", "unpacks", "connects", "uploads", "executes"):
        _value(action, clause.rest, value, given, call)


def _lists(file: Argument, call: Call) -> None:
    """A file with names of files to read; `-` are those that the command before it prints."""
    lines = call.scene.lines if file.known and file.text == "-" else None
    read_file(file, call)
    for line in lines or (Argument("the paths that a list names", file.span, known=False),):
        call.path("reads", line)


def _script(value: Argument, call: Call) -> None:
    if value.known:
        call.line(value.text, value.span)
    else:
        call.refuse("A script whose text is only known when it runs", value.span)


def _value(action: str, rest: str, value: Argument | None, given: Given, call: Call) -> None:
    if value is None:
        if given.option.values[0] != "optional" and "optional" not in given.option.values:
            path = rest if rest and not rest.isupper() else "."
            call.path("reads" if action == "reads" else "writes", Argument(path, call.span))
        return
    if action == "reads":
        read_file(value, call)
    elif action == "outputs":
        if not (value.known and value.text == "-"):
            call.path("writes", value)
    elif action in ("writes", "deletes"):
        call.path("writes" if action == "writes" else "deletes", value)
    elif action == "unpacks":
        unpack(value, call)
    elif action == "connects":
        if rest == "proxy":
            proxy(value, call)
        else:
            url(value, call, sends=False)
    elif action == "uploads":
        upload(value, rest, call)
    else:
        call.runs(value.text)
        if not value.known:
            call.refuse("Code that is only known when it runs", value.span)


def _subcommand(grammar: Grammar, words: Words, call: Call) -> None:
    if not words.operands:
        for default in grammar.default:
            verb, _, path = default.partition(" ")
            call.path("reads" if verb == "reads" else "writes", Argument(path, call.span))
        told = any(given.option.shown in ("--version", "--help", "-v", "-version") for given in words.given)
        if not grammar.default and not told:
            call.refuse(f"{call.program} without a subcommand")
        return
    first = words.operands[0]
    sub = grammar.subcommands.get(first.text) if first.known else None
    if sub is None:
        shown = first.text if first.known else "that is only known when it runs"
        call.refuse(f"The subcommand {shown} of {call.program} is not described", first.span)
        call.subcommand = f"{call.subcommand} {first.text}".strip() if first.known else call.subcommand
        return
    call.subcommand = f"{call.subcommand} {sub.name}".strip()
    if sub.special:
        from keyturn.readers.shell.special import SPECIALS

        SPECIALS[sub.special](sub, words.operands[1:], call)
    else:
        apply(sub, words.operands[1:], call)


def _operands(
    kinds: tuple[Operand, ...],
    operands: list[Argument],
    call: Call,
    grammar: Grammar,
    defaults: tuple[str, ...],
) -> None:
    assigned = _assign(kinds, len(operands))
    if assigned is None:
        call.refuse(f"{call.program} with an operand that is not described", operands[-1].span)
        return
    if all(kind in ("text", "object") for kind in assigned):
        for default in defaults:
            verb, _, path = default.partition(" ")
            call.path("reads" if verb == "reads" else "writes", Argument(path, call.span))
    repeating = next((kind.kind for kind in kinds if kind.many), None)
    spread = any(
        o.many and not (o.wild and kind == repeating) for o, kind in zip(operands, assigned, strict=True)
    )
    for index, (kind, operand) in enumerate(zip(assigned, operands, strict=True)):
        kind_set = {k.kind for k in kinds} if spread and not grammar.harmless else {kind}
        for one in sorted(kind_set):
            if (
                one in ("text", "object")
                and grammar.held_text
                and (not operand.known or re.search(grammar.held_text, operand.text))
            ):
                if operand.known:
                    call.refuse(
                        f"Text that could make {call.program} do more than is described", operand.span
                    )
                else:
                    widest(grammar, call)
            if grammar.argument_files and (operand.text.startswith("@") or operand.may_be_option):
                call.refuse(f"{call.program} takes words out of a file that begins with @", operand.span)
            _operand(one, operand, operands, index, call)
            if one in ("rest", "program"):
                return


def _assign(kinds: tuple[Operand, ...], count: int) -> list[str] | None:
    """The kind of each of *count* operands; the repeating one takes what the others leave."""
    if not count:
        return []
    names = [kind.kind for kind in kinds]
    at = next((i for i, kind in enumerate(kinds) if kind.many), None)
    if at is None and names[-1:] == ["program"]:
        names += ["program"] * (count - len(names))  # a program's own words are not told apart here
    if at is None:
        return names[:count] if count <= len(names) else None
    before, after = names[:at], names[at + 1 :]
    middle = count - len(before) - len(after)
    if middle < 0:
        return (before + after)[:count] if not after else None
    return before + [names[at]] * middle + after


def _operand(kind: str, operand: Argument, operands: list[Argument], index: int, call: Call) -> None:
    if kind == "text":
        return
    if kind == "reads":
        read_file(operand, call)
    elif kind in ("writes", "deletes"):
        call.path("writes" if kind == "writes" else "deletes", operand)
    elif kind in ("runs", "fixes"):
        call.runs_below(operand)
        if kind == "fixes":
            call.path("writes", operand)
    elif kind == "edits":
        call.path("reads", operand)
        call.path("writes", operand)
    elif kind == "moves":
        call.path("deletes", operand)
    elif kind == "into":
        _into(operand, operands[:index], call)
    elif kind == "links":
        _link(operand, operands[-1], call)
    elif kind == "begins":
        call.path(
            "writes",
            replace(operand, text=operand.text + "*", known=False, wild=operand.known or operand.wild),
        )
    elif kind == "makes":
        _makes(operand, call)
    elif kind == "packs":
        _packs(operand, call)
    elif kind == "unpacks":
        unpack(operand, call)
    elif kind in ("url", "sends"):
        url(operand, call, sends=kind == "sends")
    elif kind == "shows":
        shows(operand, call)
    elif kind == "remote":
        goes_to(operand, call)
    elif kind == "copy":
        copy(operand, index == len(operands) - 1, call)
    elif kind == "code":
        call.code(operand)
    elif kind == "program":
        call.nest(operands[index:])
    elif kind == "object":
        _object(operand, call)
    elif kind == "changes":
        call.path("writes", Argument(".", operand.span))
    elif kind == "repository":
        _repository(operand, call)
    elif kind == "process":
        call.add("configures", f"process {operand.text}", "system")
    elif kind == "system":
        call.add("configures", f"{call.program} {operand.text}", "system")
    elif kind == "package":
        _package(operand, call)
    elif kind == "held":
        call.refuse(f"What {call.program} does with {operand.text} is not described", operand.span)


def _object(operand: Argument, call: Call) -> None:
    """A commit or a path of git; one outside the work tree is read like any file (git-diff(1), --no-index)."""
    pieces = operand.text.split("/")
    if not operand.known or operand.text.startswith("/") or ".." in pieces:
        call.path("reads", operand)
    else:  # what history keeps of a secret file is as secret as the file
        call.effects += labelled(replace(operand, text=operand.text.rpartition(":")[2]), call)


def labelled(pattern: Argument, call: Call, folder: str = ".") -> list[Effect]:
    """What looking below *folder* for names that fit *pattern* reads of labelled files: of others it says nothing."""
    if not pattern.known or pattern.text.startswith("!"):
        return []
    text = f"{folder.rstrip('/')}/**/{pattern.text.rstrip('/').rpartition('/')[2]}"
    exact = [] if set(pattern.text) & set("*?[{") else [pattern]
    below = Argument(text, pattern.span, known=False, prefix=f"{folder}/", wild=True)
    return [e for one in (*exact, below) for e in _effects_of("reads", one, call) if e.labels]


def _repository(operand: Argument, call: Call) -> None:
    """A repository to copy (git-clone(1), GIT URLS). `transport::address` runs a program."""
    text = operand.text
    match = REMOTE.fullmatch(text)
    ssh = re.fullmatch(r"(?:ssh|git)://(?:[A-Za-z0-9._-]+@)?([A-Za-z0-9._-]+)(?::[0-9]+)?/.*", text)
    if not operand.known or "::" in text:
        call.refuse("A repository of a form that is not described", operand.span)
    elif text.startswith(("http://", "https://")):
        url(operand, call, sends=False)
    elif ssh or (match and "/" not in text.split(":", 1)[0]):
        host = ssh or match
        assert host is not None
        connects(host.group(1), call)
    elif "://" in text:
        call.refuse("A repository of a form that is not described", operand.span)
    else:
        call.path("reads", operand)


def _package(operand: Argument, call: Call) -> None:
    """A package to install: its own code will run. A path or URL in its place is code from there."""
    call.add("executes", f"package {operand.text}", "code")
    if not operand.known or "://" in operand.text or operand.text.startswith("git+"):
        call.refuse("A package that comes from elsewhere than the package index", operand.span)
    elif ("/" in operand.text and not operand.text.startswith("@")) or operand.text.startswith("."):
        call.path("reads", operand)


def _into(target: Argument, sources: list[Argument], call: Call) -> None:
    """The target of cp or mv: the file itself or, if it is a folder, the sources' names inside it."""
    options = set(call.options)
    call.path("writes", target)
    _kept(target, call)
    for source in sources:
        if options & {"--link", "--symbolic-link"}:
            call.path("writes", source)  # what is later done to the link is done there
        if "--no-target-directory" in options:
            fill(target, call)
        if source.text.rstrip("/").rsplit("/", 1)[-1] in ("", ".", ".."):
            if any(effect.verb == "configures" for effect in _effects_of("writes", source, call)):
                unpack(target, call)  # `cp -r .git/. x`: the names are those inside the source
            else:
                fill(target, call)
        elif "--parents" in options:
            call.path("writes", below(target, source))
            _kept(below(target, source), call)
        else:
            call.path("writes", join(target, source))
            _kept(join(target, source), call)


def _effects_of(verb: Verb, argument: Argument, call: Call) -> list[Effect]:
    """What doing *verb* to *argument* would be, without noting it."""
    asked = Call(call.program, call.scene, call.span)
    asked.path(verb, argument)
    return asked.effects


def _link(operand: Argument, link: Argument, call: Call) -> None:
    """Where a link points: whatever is later done to the link is done there, so it counts as written, too.

    The text of a symbolic link is taken from the folder that the link lies in: the target's own folder, or the target.
    """
    call.path("reads", operand)
    call.path("writes", operand)
    if operand.text.startswith("/"):
        return
    if not (operand.known and link.known):
        call.effects += unknown_path("writes", operand.text)
        return
    for base in (link.text.rstrip("/").rpartition("/")[0], link.text):
        if base or link.text.startswith("/"):
            call.path("writes", replace(operand, text=f"{base}/{operand.text}"))


_SUFFIXES = {"bzip2": ".bz2", "bunzip2": ".bz2", "xz": ".xz", "unxz": ".xz", "zstd": ".zst", "unzstd": ".zst"}


def _makes(template: Argument, call: Call) -> None:
    """The template of mktemp(1): its run of X becomes letters."""
    match = re.fullmatch(r"(.*?)X{3,}([^/X]*)", template.text)
    if template.known and match:
        name = f"{match.group(1)}*{match.group(2)}"
        call.path("writes", replace(template, text=name, known=False, prefix=match.group(1), wild=True))
    else:
        call.path("writes", template)


def _kept(target: Argument, call: Call) -> None:
    """With `--backup`, what was called *target* stays under that name and an ending (cp(1), mv(1), ln(1), install(1))."""
    if {"-b", "--backup", "-S", "--suffix"} & set(call.options):
        endings = ("*",) if {"-S", "--suffix"} & set(call.options) else ("~", ".~*~")
        for ending in endings:
            wild = target.wild or ("*" in ending and target.known)
            known = target.known and "*" not in ending
            call.path("writes", replace(target, text=target.text + ending, known=known, wild=wild))


def _packs(operand: Argument, call: Call) -> None:
    """A file that gzip(1) replaces, what it is called packed, and what it is called once it is unpacked."""
    call.path("writes", operand)
    call.path("writes", replace(operand, text=operand.text + _SUFFIXES.get(call.program, ".gz")))
    plain = _PACKED.sub("", operand.text)
    if plain != operand.text:
        call.path("writes", replace(operand, text=plain))


__all__ = [
    "Given", "Words", "always", "apply", "connects", "copy", "enter", "entered", "read_words", "remote_host", "unpack",
]  # fmt: skip
