"""find(1): starting points, then an expression of tests and actions."""

from __future__ import annotations

import re
from itertools import pairwise

from msgspec.structs import replace

from keyturn.readers.paths import CONFIGURING_FOLDERS, CONFIGURING_NAMES, KINDS, names_meet
from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.ceiling import anything
from keyturn.readers.shell.effects import labelled
from keyturn.readers.shell.grammar import Grammar
from keyturn.readers.shell.special.find_names import NOT, OR, Names, reaching
from keyturn.readers.shell.special.wrappers import inserted
from keyturn.readers.shell.wordlist import words

ALONE = words(
    "-true -false -empty -daystart -depth -d -mount -xdev -follow -noleaf -nouser -nogroup -print -print0 -ls -prune "
    "-quit -executable -readable -writable -not -and -a -o -or , ( ) ! -warn -nowarn -ignore_readdir_race "
    "-noignore_readdir_race -L -H -P -help -version --help --version -acl -sparse -xattr -local"
)
WITH_TEXT = words(
    "-name -iname -path -ipath -wholename -iwholename -regex -iregex -regextype -type -xtype -size -mtime -atime -ctime "
    "-mmin -amin -cmin -used -perm -user -uid -group -gid -links -inum -maxdepth -mindepth -printf -fstype -lname "
    "-ilname -context -flags -Bmin -Btime -xattrname"
)
WITH_FILE = frozenset({"-newer", "-anewer", "-cnewer", "-mnewer", "-Bnewer", "-samefile"})
WRITING = frozenset({"-fprint", "-fprint0", "-fls", "-fprintf", "-cpio", "-ncpio"})
RUNNING = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
ACTING = WRITING | RUNNING | {"-delete", "-files0-from"}
_GLOBAL = re.compile(r"-[HLPEXdsx]+|-O[0-3]|-D[a-z,]*")
_REFUSED = frozenset({"-f"})
"""BSD's find takes `-f` before the starting points only, others don't at all: behind them it ends every find before it looks."""
_PRIMARY = re.compile(r"--?[A-Za-z].*", re.DOTALL)
_NEWER = re.compile(r"-newer[aBcm][aBcmt]")
_NAMING = frozenset({"-name", "-iname", "-path", "-ipath", "-wholename", "-iwholename"})
_FOLLOWS = frozenset({"-L", "-H", "-follow"})


def find(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """Reads below its starting points; `-delete`, `-exec` and `-fprint` act on what it finds there."""
    del grammar
    at = 0
    while at < len(arguments) and arguments[at].known and _GLOBAL.fullmatch(arguments[at].text):
        call.options.append(arguments[at].text)
        at += 1
    roots: list[Argument] = []
    while at < len(arguments) and not _begins_expression(arguments[at]):
        roots.append(arguments[at])
        at += 1
    roots = roots or [Argument(".", call.span)]
    for root in roots:
        call.path("reads", root)
        if root.may_bring_options:
            anything(call)
    _Expression(arguments[at:], roots, call).read()


def _begins_expression(argument: Argument) -> bool:
    if not argument.known:
        return argument.may_be_option and may_act(argument)
    return argument.text.startswith("-") or argument.text in ("(", ")", "!", ",")


def may_act(argument: Argument) -> bool:
    """Whether *argument*, once expanded, may hold a word that makes find do more than look.

    What a pattern expands to fits the pattern; no file is called `-delete` that fits `*.txt`.
    """
    if argument.known:
        return argument.text in ACTING
    if argument.inherited and not argument.prefix.startswith("-"):
        return False
    if argument.wild:
        return any(names_meet(argument.text, action) for action in ACTING)
    return True


class _Expression:
    """One expression, read from left to right."""

    def __init__(self, words: list[Argument], roots: list[Argument], call: Call) -> None:
        self._words = words
        self._roots = roots
        self._call = call
        self._at = 0
        self._deletes: list[int] = []
        self._prints: list[int] = []
        self._commands: list[tuple[int, list[Argument], bool]] = []
        self._seen, self._true = reaching([word.text if word.known else None for word in words], self._arity)

    def read(self) -> None:
        """Read all of it, then add what the actions do to what is found."""
        while self._at < len(self._words):
            word = self._words[self._at]
            self._at += 1
            if not word.known:
                if may_act(word):
                    anything(self._call)
                else:
                    self._call.path("reads", word)
                continue
            self._primary(word)
        self._call.prints = self._printed()
        for place in self._deletes:
            for name in self._found(self._seen.get(place)):
                self._call.path("deletes", name)
        for place, command, in_folder in self._commands:
            self._run(command, in_folder, self._found(self._seen.get(place)))

    def _printed(self) -> tuple[Argument, ...]:
        """Names that are printed: those that reach a `-print`, or all for which the expression is true where there is none."""
        asked = [self._seen.get(place) for place in self._prints] if self._prints else [self._true]
        found = list(dict.fromkeys(name for names in asked for name in self._found(names)))
        files = _only_files([word.text for word in self._words])
        return (*(replace(root, files=files) for root in self._roots if _may_be_found(root, found)), *found)

    def _arity(self, at: int) -> int | None:
        """How many words the primary at *at* takes beside itself; None where that is not described."""
        text = self._words[at].text
        if text in ALONE or text in _REFUSED or text == "-delete":
            return 0
        if text in WITH_TEXT or text in WITH_FILE or _NEWER.fullmatch(text):
            return 1
        if text in WRITING:
            return 2 if text == "-fprintf" else 1
        if text not in RUNNING:
            return None
        for index in range(at + 1, len(self._words)):
            word, before = self._words[index], self._words[index - 1]
            if word.known and (word.text == ";" or (word.text == "+" and before.text == "{}")):
                return index - at
        return None

    def _primary(self, word: Argument) -> None:
        text = word.text
        if text in ("-print", "-print0"):
            self._prints.append(self._at - 1)
        self._call.options += [text] if text.startswith("-") else []
        if text in ALONE or text in _REFUSED:
            return
        if text in WITH_TEXT:
            self._value(word)
        elif text in WITH_FILE or _NEWER.fullmatch(text):
            value = self._value(word)
            if value is not None and not text.endswith("t"):
                self._call.path("reads", value)
        elif text in WRITING:
            value = self._value(word)
            if value is not None:
                self._call.path("writes", value)
            if text == "-fprintf":
                self._value(word)
        elif text == "-delete":
            self._deletes.append(self._at - 1)
        elif text in RUNNING:
            self._command(word)
        elif text.startswith("-") and not _PRIMARY.fullmatch(text):
            return  # no find has a primary that isn't letters: it ends with an error before it looks
        elif text.startswith("-"):
            self._call.refuse(f"find has no {text} that is described", word.span)
        else:
            self._call.path(
                "reads", word
            )  # find(1): paths must precede the expression; some versions take them

    def _value(self, word: Argument) -> Argument | None:
        if self._at >= len(self._words):
            return None  # every find ends with an error before it looks
        value = self._words[self._at]
        self._at += 1
        if value.many and may_act(value):
            anything(self._call)
        return value

    def _command(self, word: Argument) -> None:
        place = self._at - 1
        words: list[Argument] = []
        while self._at < len(self._words):
            argument = self._words[self._at]
            self._at += 1
            ends = argument.known and argument.text in (";", "+")
            if ends and (argument.text == ";" or (words and words[-1].text == "{}")):
                self._commands.append((place, words, word.text.endswith("dir")))
                return
            if argument.may_bring_options:
                anything(self._call)
            words.append(argument)
        self._commands.append(
            (place, words, word.text.endswith("dir"))
        )  # find(1) stops with an error; read all the same

    def _found(self, names: Names) -> list[Argument]:
        """What find may find: names below the starting points that fit one of *names*."""
        texts = [word.text for word in self._words]
        if any(option in _FOLLOWS for option in self._call.options):
            return [Argument("{}", self._call.span, known=False, prefix="/")]
        files = _only_files(texts)
        lasts = ("*",) if names is None or any(_risky(name) for name in names) else names
        found = []
        for root in self._roots:
            found += self._sought(texts, root)
            text = root.text.rstrip("/") or ("/" if root.text else ".")
            prefix = root.text if root.known else root.prefix
            for last in lasts:
                path = f"{text.rstrip('/')}/**/{last}"
                found.append(
                    Argument(
                        path,
                        self._call.span,
                        known=False,
                        prefix=prefix or "./",
                        wild=root.known or root.wild,
                        files=files,
                    )
                )
        return found

    def _sought(self, texts: list[str], root: Argument) -> list[Argument]:
        """Patterns of names that are looked for below *root* and fit labelled files."""
        found = []
        for at, text in enumerate(texts[:-1]):
            value = self._words[at + 1]
            if text not in _NAMING or not value.known or texts[at - 1] in ("!", "-not") or not root.known:
                continue
            last = value.text.rpartition("/")[2]
            for name in dict.fromkeys((last, last.lower()) if text.startswith("-i") else (last,)):
                pattern = Argument(name, value.span)
                if name.strip("*?") and labelled(pattern, self._call, root.text or "."):
                    path = f"{root.text.rstrip('/') or '.'}/**/{name}"
                    found.append(Argument(path, self._call.span, known=False, prefix=root.text, wild=True))
        return found

    def _run(self, words: list[Argument], in_folder: bool, found: list[Argument]) -> None:
        scene = self._call.scene.moved(frozenset({None})) if in_folder else self._call.scene
        for name in found:
            given = [self._filled(word, name, in_folder) for word in words]
            if given and not given[0].known:
                self._call.refuse("A command whose name is what find finds", words[0].span)
            self._call.nest(given, scene)

    def _filled(self, word: Argument, name: Argument, in_folder: bool) -> Argument:
        if "{}" not in word.text:
            return word
        if word.known and word.text != "{}" and name.wild and not in_folder:
            named = inserted(word, "{}", name)
            if named is not None:
                return named
        if not word.known or word.text != "{}":
            return Argument(
                word.text, word.span, known=False, prefix=word.prefix or word.text.split("{}", 1)[0]
            )
        if in_folder and name.wild and not name.text.startswith("/"):
            # `./name` inside a folder below the starting point: the same file, told from the first folder.
            folders = self._call.scene.folders
            folder = next(iter(folders)) if len(folders) == 1 else None
            if folder is None:
                return Argument("{}", word.span, known=False, prefix="./")
            return Argument(f"{folder}/{name.text}", word.span, known=False, prefix="./", wild=True)
        return replace(name, span=word.span, known=False)


def _only_files(words: list[str]) -> bool:
    """Whether find tells only files: `-type f` holds for all, no `-o`, `,` or `!` leads past it."""
    typed = any(word == "-type" and kind == "f" for word, kind in pairwise(words))
    return typed and not {*OR, *NOT, ",", "("} & set(words)


def _may_be_found(root: Argument, found: list[Argument]) -> bool:
    """Whether a starting point may itself be among what is found, whose last name is narrowed."""
    lasts = [name.text.rsplit("/", 1)[-1] for name in found]
    own = root.text.rstrip("/").rsplit("/", 1)[-1] if root.known else "*"
    return any(names_meet(last, own) for last in lasts)


def _risky(pattern: str) -> bool:
    """Whether find's `-name`, which also matches a leading dot, may name a file that programs obey."""
    return pattern not in KINDS and any(
        names_meet(pattern, name) for name in (*CONFIGURING_NAMES, *CONFIGURING_FOLDERS)
    )
