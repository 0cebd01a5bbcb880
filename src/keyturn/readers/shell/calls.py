"""What is handed around while a command is worked out: its words, where it runs, and what it would do."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from keyturn.actions import Effect, Verb
from keyturn.readers.paths import climbing, may_lie_above, path_effects, sure, unknown_path
from keyturn.readers.shell.syntax import Part, Span
from keyturn.resources import Surroundings, absolute, inside, zone

MAX_FOLDERS = 8
"""Most folders that a script may be in at one point; beyond that the folder counts as unknown."""


class Argument(Struct, frozen=True):
    """One word as a program would get it.

    `known`: `text` is exactly that word. Otherwise `text` shows it, `prefix` is what it surely begins with;
    `wild` says that only names inside the folder of `text` can come of it; `many` that it may become any
    number of words; `inherited` that all that isn't known of it are variables which the script does not set
    (see `inheritance`), so that no word of it begins with a dash; `unset` that these are names which no
    environment has (in small letters, or the script's arguments), so they are nobody's secret, and most likely empty;
    `ordinary` that no word of it is a name that programs obey; `files` that no folder is among them.
    """

    text: str
    span: Span = (0, 0)
    known: bool = True
    prefix: str = ""
    wild: bool = False
    many: bool = False
    inherited: bool = False
    unset: bool = False
    ordinary: bool = False
    files: bool = False

    @property
    def may_be_option(self) -> bool:
        """Whether it might begin with a dash when it runs."""
        if self.known:
            return self.text.startswith("-") and self.text != "-"
        if self.inherited and not self.prefix:
            return False
        return not self.prefix or self.prefix.startswith("-")

    @property
    def may_bring_options(self) -> bool:
        """Whether it may become several words, some of which begin with a dash."""
        return self.many and not self.wild and not self.inherited

    def without(self, prefix: str) -> Argument:
        """The argument after its known beginning *prefix* (an option's attached value)."""
        if self.known:
            return replace(self, text=self.text[len(prefix) :])
        return replace(self, text=self.text[len(prefix) :], prefix=self.prefix[len(prefix) :])


class Scene(Struct, frozen=True):
    """Where a command runs: `folders` are the possible working folders (None: unknown).

    `lines` are patterns that every line on standard input fits, None where nothing is known (see `names`).
    `own` are the names that the script may set, or None if it may set any (see `inheritance`).
    `variables` have one of a few known values there, `numbers` some integer; `alone` says that the command is the
    whole script, `odd_splitting` that unquoted expansions are not split at blanks only,
    `patterns` are variables of whose values it is known what they fit (a loop over names);
    `printed` is what the substitutions that were read last print, as far as it is known;
    `volatile` are variables that functions may change at any time.
    `given` is the whole of standard input, where a here-document or an `echo` gives it, with its place in the script.
    """

    around: Surroundings
    folders: frozenset[str | None]
    variables: Mapping[str, tuple[str, ...]] = {}
    depth: int = 0
    piped: bool = False
    own: frozenset[str] | None = None
    lines: tuple[Argument, ...] | None = None
    numbers: frozenset[str] = frozenset()
    alone: bool = False
    odd_splitting: bool = False
    volatile: Mapping[str, bool] = {}
    patterns: Mapping[str, tuple[Argument, ...]] = {}
    printed: dict[Part, tuple[Argument, ...] | None] = {}
    given: tuple[str, Span] | None = None

    @property
    def ends_here(self) -> bool:
        """Whether the shell ends with the command, so that what it sets in the shell is set for nothing."""
        return self.alone and self.around.fresh and not self.depth

    def moved(self, folders: frozenset[str | None]) -> Scene:
        """The same scene in other folders."""
        return replace(self, folders=folders if len(folders) <= MAX_FOLDERS else frozenset({None}))


class Problem(Struct, frozen=True):
    """Something about a command that is not understood."""

    why: str
    span: Span


class CodeUse(Struct, frozen=True):
    """A file that a command runs: `shown` as it is written, `paths` where it may lie, `language` how it is read.

    `bash` and `posix` are shells that read the file whatever it says; `shebang` lets its first line choose;
    `other` is digested only. `make` and `package` are found by name in one of `paths`, the first that is there.
    """

    shown: str
    paths: tuple[str, ...]
    language: str = "other"
    names: tuple[str, ...] = ()


class Call(Struct):
    """What one command would do, as it is worked out. `nested` are commands that it runs in turn.

    `scripts` are texts that it reads as a shell does: text, dialect, place; `typed` ones it reads line by line from
    the standard input that it shares with the commands in it.
    """

    program: str
    scene: Scene
    span: Span
    subcommand: str = ""
    options: list[str] = []
    effects: list[Effect] = []
    problems: list[Problem] = []
    nested: list[tuple[list[Argument], Scene]] = []
    scripts: list[tuple[str, str, Span]] = []
    typed: bool = False
    moves: frozenset[str | None] | None = None
    prints: tuple[Argument, ...] | None = None
    files: list[CodeUse] = []
    operands: list[Argument] = []
    code_paths: list[str] = []

    def refuse(self, why: str, span: Span | None = None) -> None:
        """Note that the command is not understood."""
        self.problems.append(Problem(why, span or self.span))

    def add(self, verb: Verb, what: str, zone: str, labels: tuple[str, ...] = ()) -> None:
        """Note an effect that is not about a path."""
        self.effects.append(Effect(verb, what, zone, labels))

    def setting(self, name: str) -> None:
        """Note a changed setting of the shell, unless it ends with this very command."""
        if not self.scene.ends_here:
            self.add("configures", f"the shell's {name}", "code")

    def path(self, verb: Verb, argument: Argument) -> None:
        """Note *verb* done to the path *argument*, in every folder the command may run in."""
        if not argument.known and not argument.wild:
            if argument.unset and verb == "reads":
                self.add(verb, argument.text, "environment")
            else:
                self.effects += unknown_path(verb, argument.text)
            return
        for folder in sorted(self.scene.folders, key=str):
            text = argument.text
            if not sure(text, folder, self.scene.around):
                self.effects += climbing(verb, text, folder or "/", self.scene.around)
            if folder is None and not text.startswith("/"):
                self.effects += unknown_path(verb, text)
            else:
                around = replace(self.scene.around, cwd=folder or "/")
                text = "./" + text if text.startswith("~") else text
                self.effects += path_effects(verb, text, around, argument.wild, argument.ordinary)

    def above(self, folder: Argument, own: str) -> bool:
        """Whether *folder* may be the absolute path *own*, or a folder that it lies in; links are followed."""
        places = self.places(folder.text)
        if not (folder.known or folder.wild) or not places:
            return True
        if folder.wild:
            return any(may_lie_above(place, own) for place in places)
        led = [real for given, real in self.scene.around.links if given in places]
        return any(inside(own, place) for place in (*places, *led))

    def runs(self, what: str) -> None:
        """Note that code called *what* runs; from a folder outside the workspace it is code of that zone, too."""
        self.add("executes", what, "code")
        self.elsewhere("executes", what)

    def elsewhere(self, verb: Verb, what: str) -> None:
        """Note an effect for every folder outside the workspace that the command may run in."""
        for folder in sorted(self.scene.folders, key=str):
            where = zone(folder, self.scene.around) if folder is not None else "unknown"
            if where != "workspace":
                self.add(verb, what, where)

    def runs_below(self, argument: Argument) -> None:
        """Note that *argument* is read and code in or beside it runs: outside the workspace, that is code of that zone."""
        before = len(self.effects)
        self.path("reads", argument)
        self.effects += [
            replace(effect, verb="executes") for effect in self.effects[before:] if effect.zone != "workspace"
        ]

    def code(self, argument: Argument, language: str = "other") -> None:
        """Note that the file *argument* is run. Code out of a pipe or descriptor can't be looked at."""
        if argument.known and not argument.text.startswith(("/dev/", "/proc/")):
            self.files.append(CodeUse(argument.text, self.places(argument.text), language))
        self.add("executes", argument.text, "code")
        self.runs_below(argument)
        if not argument.known:
            self.refuse("Code that is only known when it runs", argument.span)
        elif argument.text == "-" or argument.text.startswith(("/dev/", "/proc/")):
            self.refuse("Code that comes from a pipe or a descriptor", argument.span)

    def places(self, text: str) -> tuple[str, ...]:
        """Where the file called *text* may lie, by absolute names; empty when the folder isn't known."""
        around = self.scene.around
        found: list[str] = []
        for folder in sorted(self.scene.folders, key=str):
            if text.startswith("/") or folder is not None:
                whole = text if text.startswith("/") else f"{folder}/{text}"
                found.append(absolute(whole, around) if sure(text, folder, around) else whole)
        return tuple(dict.fromkeys(found))

    def line(self, text: str, span: Span) -> None:
        """Note that *text* is given to a shell of its own: `sh -c text`."""
        self.nest([Argument("sh", span), Argument("-c", span), Argument(text, span)])

    def nest(self, words: list[Argument], scene: Scene | None = None) -> None:
        """Note that *words* run as a command."""
        if words:
            self.nested.append((words, scene or self.scene))


def pieces(span: Span, many: bool = False) -> Argument:
    """What names with blanks in them become where a program or a shell splits lines into words: names of the working folder.

    A name whose pieces lead elsewhere, are options or name what programs obey is told when it is made (`readers.paths`).
    """
    return Argument("./**/*", span, known=False, prefix="./", wild=True, many=many, ordinary=True)


def below(folder: Argument, name: Argument) -> Argument:
    """The whole path *name* inside *folder* (`cp --parents a/b dir` writes `dir/a/b`)."""
    known = folder.known and name.known
    wild = (folder.known or folder.wild) and (name.known or name.wild)
    text = f"{folder.text.rstrip('/')}/{name.text.lstrip('/')}"
    return Argument(
        text, folder.span, known=known, prefix=folder.prefix or folder.text, wild=wild and not known
    )


def join(folder: Argument, name: Argument) -> Argument:
    """The path of *name*'s last component inside *folder* (`cp a/b dir` writes `dir/b`)."""
    last = name.text.rstrip("/").rsplit("/", 1)[-1]
    wild = folder.wild or name.wild
    known = folder.known and name.known
    if not known and not ((folder.known or folder.wild) and (name.known or name.wild)):
        return Argument(f"{folder.text}/{last}", folder.span, known=False)
    return Argument(
        f"{folder.text.rstrip('/')}/{last}",
        folder.span,
        known=known,
        prefix=folder.prefix or folder.text,
        wild=wild,
    )
