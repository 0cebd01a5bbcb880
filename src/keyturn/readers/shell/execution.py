"""One simple command of a script: its words, assignments, redirections, and all that it runs in turn.

What stands around a command (lists, loops, functions) is the business of `analysis`, which goes through it.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from itertools import chain, product

from msgspec.structs import replace

from keyturn.actions import Effect, Step, Unread
from keyturn.readers.http import OddUrl, url_effects
from keyturn.readers.shell.arguments import MAX_ALTERNATIVES, argument, printed_instead, variables_in
from keyturn.readers.shell.calls import Argument, Call, Scene
from keyturn.readers.shell.commands import work_out
from keyturn.readers.shell.content import Trust, follow
from keyturn.readers.shell.emission import emit
from keyturn.readers.shell.inheritance import within
from keyturn.readers.shell.names import LEFT_OVER, goes_on_elsewhere, passed_on, passed_through
from keyturn.readers.shell.results import MAX_STEPS, Folders, Results
from keyturn.readers.shell.scope import assigned, functions, without
from keyturn.readers.shell.syntax import (
    Arithmetic,
    Assignment,
    Part,
    Redirection,
    Sequence,
    Simple,
    Span,
    Statement,
    Substitution,
    Variable,
    Word,
)
from keyturn.readers.shell.variables import is_secret_name, value_of, variable_effect, variable_problem

MAX_DEPTH = 12
"""Deepest chain of commands that run commands (`env timeout 5 sh -c …`)."""

_INTEGER = re.compile(r"-?[0-9]{1,18}")

_SPLITTERS = frozenset({"read", "mapfile", "readarray", "printf", "echo", ":", "true"})
"""Builtins that are given variables as the shell itself has them: no other program sees these."""


class Commands(Results, ABC):
    """The part of a walk that works commands out."""

    @abstractmethod
    def script(self, tree: Sequence, scene: Scene) -> None:
        """A whole script."""

    @abstractmethod
    def sequence(self, sequence: Sequence, scene: Scene) -> tuple[Folders, Folders]:
        """Statements one after the other; the folders if the last succeeded, and if it failed."""

    @abstractmethod
    def _call_function(self, name: str, scene: Scene) -> Folders: ...

    # --- simple commands ---------------------------------------------------------------------------

    def _simple(
        self, command: Simple, redirections: tuple[Redirection, ...], scene: Scene
    ) -> tuple[Folders, Folders]:
        visible = bool(command.words) or command.keyword == "export" or any("x" in f for f in command.flags)
        effects: list[Effect] = []
        for assignment in command.assignments:
            given = (
                visible and value_of(Assignment("", command.words[0])) not in _SPLITTERS
                if command.words
                else visible
            )
            effects += self._assignment(assignment, scene, given)
        for word in command.words:
            self._substitutions(word, scene)
        effects += [e for r in redirections for e in self._redirection(r, scene)]
        if not command.words:
            if command.keyword and (not command.assignments or any("p" in flag for flag in command.flags)):
                effects.append(Effect("reads", "variables", "system", ("secret",)))
            if command.assignments or redirections or command.keyword:
                shown_as = command.keyword or ("=" if command.assignments else ">")
                shown = tuple(_shown(assignment, scene) for assignment in command.assignments)
                self._add(Step(shown_as, shown, effects=tuple(effects), span=self._span(command.span)))
            return scene.folders, scene.folders
        name = value_of(Assignment("", command.words[0]))
        if name is not None and name in self._aliases:
            self._refuse(f"An alias may have changed what {name} means", command.span)
        if name is not None and name in self._functions:
            return self._called_by_name(name, command, effects, scene)
        succeeded: Folders = frozenset()
        alternatives = self._alternatives(command.words, scene)
        for words in alternatives:
            succeeded |= self.command(words, scene, self._span(command.span), effects)
        if len(alternatives) > 1:
            self._lines = None
        return succeeded, scene.folders

    def _called_by_name(
        self, name: str, command: Simple, effects: list[Effect], scene: Scene
    ) -> tuple[Folders, Folders]:
        """A function's name: its bodies and, unless it was defined for sure, the program of that name."""
        shown = tuple(argument(word, scene).text for word in command.words)
        self._add(Step(name, shown, effects=tuple(effects), span=self._span(command.span)))
        prefixed = {assignment.name: False for assignment in command.assignments}
        ends = self._call_function(name, without(scene, prefixed)) | scene.folders
        if name not in self._defined or scene.depth:
            words = [argument(word, scene) for word in command.words]
            ends |= self.command(words, scene, self._span(command.span), effects)
        self._lines = None
        return ends, ends

    def _assignment(self, assignment: Assignment, scene: Scene, visible: bool) -> list[Effect]:
        """The effects of setting a variable; what its value runs are steps of their own."""
        for index, word in assignment.items or ():
            if index is not None:
                self._arithmetic(index, scene)
            self._substitutions(word, scene)
        if assignment.index is not None:
            self._arithmetic(assignment.index, scene)
        if assignment.value is not None:
            self._substitutions(assignment.value, scene)
        if assignment.name == "IFS" and not visible:
            return []  # unquoted expansions are not followed from here on (`odd_splitting`)
        problem = variable_problem(assignment.name)
        if problem:
            self._refuse(problem, assignment.span)
        value = None if assignment.append else value_of(assignment)
        effect = variable_effect(assignment.name, value, visible)
        return [effect] if effect and not (scene.ends_here and not visible) else []

    def _set(self, name: str, value: str | None, visible: bool, span: Span) -> None:
        """A variable that a loop or an expression sets."""
        problem = variable_problem(name)
        if problem:
            self._refuse(problem, span)
        effect = variable_effect(name, value, visible)
        if effect:
            self._add(Step("=", (name,), effects=(effect,), span=self._span(span)))

    def _alternatives(
        self, words: tuple[Word, ...], scene: Scene, *, named: bool = True
    ) -> list[list[Argument]]:
        """The command's arguments, once for each combination of the known variables in it. *named*: the first names it."""
        names = list(dict.fromkeys(name for word in words for name in variables_in(word, scene)))
        choices = list(product(*(scene.variables[name] for name in names)))
        if len(choices) > MAX_ALTERNATIVES:
            names, choices = [], [()]
        bound = [dict(zip(names, choice, strict=True)) for choice in choices]
        filled = [[argument(word, scene, values) for word in words] for values in bound]
        return list(chain.from_iterable(printed_instead(words, row, scene, named) for row in filled))

    def command(
        self, words: list[Argument], scene: Scene, span: Span, extra: list[Effect] | None = None
    ) -> Folders:
        """Work out one command and all that it runs in turn; returns the folders after it succeeded."""
        if scene.depth > MAX_DEPTH or len(self.steps) > MAX_STEPS:
            self._refuse("Commands that run commands, nested too deeply or too many", span)
            return scene.folders
        call = work_out(words, scene, span)
        call.effects += extra or []
        inner = follow(call, self.trust, self._inner)
        self._step(call, tuple(word.text for word in words))
        for step in inner:
            self._add(step)
        deeper = replace(scene, depth=scene.depth + 1)
        moved: Folders = frozenset()
        printed: list[tuple[Argument, ...] | None] = []
        for nested, where in call.nested:
            self._lines = None
            moved |= self.command(nested, replace(where, depth=deeper.depth), span)
            printed.append(self._lines)
        for script, dialect, at in call.scripts:
            first = len(self.steps)
            inner_scene = replace(call.scene, depth=deeper.depth, given=None)
            moved |= self._script(script, dialect, at, inner_scene, call.program, call.typed)
            if call.typed and goes_on_elsewhere(script, self.steps[first:]):
                self._add(Step(call.program, (), effects=(LEFT_OVER,), span=span))
        quiet = not (call.nested or call.scripts or inner)
        self._lines = passed_on(call) if quiet else None
        if call.nested and not (call.scripts or inner):
            self._lines = passed_through(call, printed)
        if call.program == "alias":
            self._aliases |= {word.text.split("=", 1)[0] for word in words[1:] if "=" in word.text}
        if call.program == "unset" and any(word.text in self._functions for word in words[1:]):
            self._refuse("unset of a function's name", span)
        if call.program in ("command", "builtin", "eval") and moved:
            return moved | scene.folders
        return call.moves if call.moves is not None else scene.folders

    def _inner(self, script: str, dialect: str, call: Call, trust: Trust) -> tuple[list[Step], bool]:
        """The steps of a *script* that *call* takes out of a file, and whether all of it is understood."""
        walk = type(self)(trust)
        walk._script(
            script, dialect, self._span(call.span), replace(call.scene, depth=call.scene.depth + 1), ""
        )
        return walk.steps, not walk.unread and all(step.complete for step in walk.steps)

    def _script(
        self, script: str, dialect: str, span: Span, scene: Scene, program: str, typed: bool = False
    ) -> Folders:
        """A script given as text: read like the outer one; its spans are the text's.

        `sh -c` starts anew; `eval` goes on in this shell; what `trap` is given runs at any time, so it may neither
        set variables nor change the folder.
        """
        from keyturn.readers.shell.script import understand

        tree = understand(script, dialect)
        if isinstance(tree, Unread):
            self._refuse(tree.why, span)
            return scene.folders
        outer, self._base = self._base, span
        texts, self.texts = self.texts, {}
        try:
            if program not in ("eval", "trap"):
                kept = self._functions, self._defined, self._called, self._aliases
                self._defined, self._called, self._aliases = set(), set(), set()
                own = within(scene.own, script)
                self.script(tree, replace(scene, variables={}, patterns={}, numbers=frozenset(), own=own))
                self._functions, self._defined, self._called, self._aliases = kept
                return scene.folders
            if functions(tree):
                self._refuse("A function that evaluated text defines", span)
            if program == "eval":
                return frozenset().union(*self.sequence(tree, scene))
            later = replace(scene, variables={}, patterns={}, numbers=frozenset())
            ends = frozenset().union(*self.sequence(tree, later.moved(scene.folders | {None})))
            if assigned(tree) or not ends <= scene.folders | {None}:
                self._refuse("A trap that sets variables or changes the folder", span)
        finally:
            again = emit(tree, self.texts, word=not typed)
            self._base, self.texts = outer, texts
            texts[span, script] = again if texts.get((span, script), again) == again else script
        return scene.folders

    # --- parts -------------------------------------------------------------------------------------

    def _substitutions(self, word: Word, scene: Scene) -> None:
        for part in word.parts:
            self._part(part, scene)

    def _part(self, part: Part, scene: Scene) -> None:
        if isinstance(part, Substitution):
            outer = self._base
            self._base = outer or part.base
            kept, self._lines = self._lines, None
            self.sequence(part.script, replace(scene, alone=False, given=None))
            one = len(part.script.statements) == 1 and not part.script.statements[0].background
            scene.printed[part] = self._lines if one else None
            self._base, self._lines = outer, kept
        elif isinstance(part, Arithmetic):
            self._arithmetic(part, scene)
        elif isinstance(part, Variable):
            if is_secret_name(part.name) and part.operator not in ("length", ":+", "+"):
                effect = Effect("reads", f"${part.name}", "system", ("secret",))
                self._add(Step("$", (f"${part.name}",), effects=(effect,)))
            for word in (part.word, part.replacement):
                if word is not None:
                    self._substitutions(word, scene)
            for expression in (part.index, *part.slice):
                if isinstance(expression, Arithmetic):
                    self._arithmetic(expression, scene)
            if part.operator in (":=", "="):
                self._set(part.name, None, False, (0, 0))

    def _redirections_alone(self, statement: Statement, scene: Scene) -> None:
        effects = [e for r in statement.redirections for e in self._redirection(r, scene)]
        self._add(Step(">", (), effects=tuple(effects), span=self._span(statement.span)))

    def _redirection(self, redirection: Redirection, scene: Scene) -> list[Effect]:
        """The effects of one redirection; here-documents and duplicated descriptors have none of their own."""
        word = redirection.body if redirection.body is not None else redirection.target
        assert word is not None
        self._substitutions(word, scene)
        if redirection.body is not None or redirection.operator in ("<<<", ">&", "<&"):
            return []
        if any(isinstance(part, Substitution) and part.opening != "$(" for part in word.parts):
            return []  # `> >(command)`: a pipe to a command that is a step of its own
        effects = [
            self._target(words[0], redirection, scene)
            for words in self._alternatives((word,), scene, named=False)
        ]
        return list(dict.fromkeys(effect for some in effects for effect in some))

    def _target(self, target: Argument, redirection: Redirection, scene: Scene) -> list[Effect]:
        call = Call(redirection.operator, scene, self._span(redirection.span))
        if target.text.startswith(("/dev/tcp/", "/dev/udp/")) or (
            not target.known and target.prefix in ("", "/")
        ):
            return self._device(target, redirection, call)
        if redirection.operator in ("<", "<>"):
            call.path("reads", target)
        if redirection.operator != "<":
            call.path("writes", target)
        return call.effects

    def _device(self, target: Argument, redirection: Redirection, call: Call) -> list[Effect]:
        """bash(1) REDIRECTION: `/dev/tcp/host/port` opens a connection; a target that isn't known might be one."""
        pieces = target.text.split("/")
        if target.known and len(pieces) == 5:
            try:
                return url_effects(
                    f"http://{pieces[3]}/", call.scene.around, sends=redirection.operator != "<"
                )
            except OddUrl as odd:
                self._refuse(str(odd), redirection.span)
                return []
        call.path(
            "reads" if redirection.operator == "<" else "writes", replace(target, wild=False, known=False)
        )
        return call.effects

    def _unsure(self, scene: Scene) -> set[str]:
        return {name for name, numeric in scene.volatile.items() if not numeric}

    def _arithmetic(self, expression: Arithmetic, scene: Scene) -> None:
        """A variable in arithmetic is evaluated: it must be known to be a number (bash(1) ARITHMETIC EVALUATION)."""
        for token in expression.tokens:
            if not isinstance(token, str):
                self._part(token, scene)
        for name in expression.reads:
            values = scene.variables.get(name)
            number = values is not None and all(_INTEGER.fullmatch(value) for value in values)
            if not number and name not in scene.numbers:
                self._refuse(f"Arithmetic over the variable {name}, whose text is evaluated", expression.span)
        for name in expression.sets:
            self._set(name, None, False, expression.span)


def _shown(assignment: Assignment, scene: Scene) -> str:
    if assignment.items is not None:
        return f"{assignment.name}=({' '.join(argument(word, scene).text for _, word in assignment.items)})"
    return f"{assignment.name}={argument(assignment.value, scene).text if assignment.value else ''}"
