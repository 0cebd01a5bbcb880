"""Constructs of bash: each is understood, says what it does, and what is emitted does what bash does with the original."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest
from readers_cases import AROUND, is_benign
from readers_oracle import executed, is_among, told, unquoted

from keyturn.actions import Shell
from keyturn.readers import READER_FAILED, read_afresh, read_shell
from keyturn.readers.shell import analysis

_needs_bash = pytest.mark.skipif(
    shutil.which("bash") is None, reason="bash is the second opinion and is missing"
)

UNDERSTOOD = [
    "n=0; for f in a b; do n=$((n+1)); ((n++)); ls $n; done",
    "for ((i=0;i<3;i++)); do ls $i; done",
    'f() { ls "$1"; }; f a b',
    'a=(1 \'x y\' z); a+=(q); ls "${a[@]}" ${#a[@]} ${a[1]} "${a[@]:1:2}"',
    'v=abc/def; ls ${v:1:2} ${v/a/b} ${v//b} ${v/#a/y} ${v^^} ${v@Q} "${v##*/}" ${v//\\//_} ${v%%c*}',
    'ls `ls \\`ls\\`` "`ls \\"x\\" \\\\$y`"',
    'ls a{b,"c d"}{1..3} ~/{a,b}',
    "[[ abc =~ ^a.*c$ ]] && ls",
    'ls "${1:-what? [y/N]}" {}, [] "a$\\|b" {{a..c},\u00f1}',
    "[[ $# -gt 1 || a == @(a|b) ]] && ls ok",
    "trap 'ls bye' EXIT; ls",
    "eval 'ls -l' x",
    "alias x=y; unset a; ls",
    "D=/e; cat $D; D=$D/x; cat $D",
    "case a in a) ls 1;& b) ls 2;;& *) ls 3;; esac",
    "for x; do ls $x; done; set -- a b; for x; do ls $x; done",
    "declare -a x=(1 2); readonly q=1; export A=1 B; ls $q ${x[1]}",
    "let 'j=2' i=3; ls $i $j",
    'ls $"hi" "a$" x$/ | cat; cat $\'a\\0b\'',
    "ls ${u:-d} \"${u:-d e}\" ${u:-'d e'} ${u:+x} ${u:=w} $u",
    "builtin echo x; command ls; pushd . ; ls",
    "coproc { ls 1; }; ls",
    "ls $((2*(3+4))) $[1+1] $((-5%3?1:2)) $(($(date +%s)*0))",
    "f() { x=2; ls $x; }; x=1; f; ls $x",
    "v='a b'; ls $v \"$v\" ${v// /_}; IFS=a; ls $v",
    "( f() { ls q; }; f )",
    "getopts ab o -a; ls $o",
    "if ((1>0)); then ls; fi; until true; do ls; done",
    "printf 'a\\nb\\n' | while read -r l; do ls $l; done",
    "ls <<'E_O-F'\nx $y\nE_O-F",
    "ls @(a|b) ~root/x [!a]x",
    "ls ^[\\>\\<] [^/]*$ [!a*?] [a\\]b] [\u043f\u0430]x",
    "echo ------- -e; echo -n -- a; printf '- %s' a",
    "pushd $x; ls; popd +1; dirs $y",
    "ls $'a\\r\\033[0m\\'x' $'\\[\\e\\x7f' $'q\\tz' a$'\\v'\"$x\"",
    "shift; ls $1; n=$(ls | wc -l); let n--; ls $((n*2))",
    'ls "[$x]" "["$x"]" a"{}"$x {} [ "{"a,b"}"',
]

HELD = {
    "echo $((x))": "evaluated",
    "read x; echo $((x))": "evaluated",
    "x=1; read x; (( x++ ))": "evaluated",
    "for x in 1 'a[$(rm y)]'; do echo $((x)); done": "evaluated",
    "n=0; f() { n=$1; }; f 'a[$(rm y)]'; echo $((n))": "evaluated",
    "n=0; eval \"n='a'\"; echo $((n))": "evaluated",
    "echo $(( $(cat f) ))": "expression",
    "n=$(cat f); echo $((n))": "evaluated",
    "n=$(ls | wc -l); n=$(cat f); let n--": "evaluated",
    "n=$(wc -l f); let n--": "evaluated",
    "[[ $x -eq 1 ]]": "evaluated",
    "echo ${a[x]}": "evaluated",
    "echo ${v:x}": "evaluated",
    "declare -i n=x": "declare",
    "declare -n r=x": "declare",
    "echo ${!v}": "name",
    "echo ${v@P}": "evaluates",
    "$x a": "name",
    "eval $x": "evaluated",
    'trap "$x" EXIT': "later",
    "f() { f; }; f": "calls itself",
    "wc() { echo 'a[$(rm x)]'; }; ls": "relies",
    "ls #\\\nrm x": "line end",
    "rm <&-x y": "descriptor",
    'echo "$\\\n(rm x)"': "line end",
    "a | time b": "TimeClause",
    "base64 -d f | bash": "standard input",
    "mapfile -C 'rm x' a": "no option -C",
    "jobs -x rm": "no option -x",
    "compgen -W '$(rm x)'": "no option -W",
    "printf -v 'a[$(rm x)]' 1": "printf",
    "alias l='ls'; l": "alias",
    'alias l="$x"; ls': "alias",
    "printf -vx y": "printf",
    "HOME=/etc; rm -r ~/x": "HOME",
    "ls \u00a0": "",
}

PROGRAM_VARIABLES = [
    "PATH",
    "LD_PRELOAD",
    "GIT_SSH_COMMAND",
    "PAGER",
    "BASH_ENV",
    "PYTHONSTARTUP",
    "NODE_OPTIONS",
    "npm_config_x",
    "HTTPS_PROXY",
    "PS4",
    "PROMPT_COMMAND",
    "PERL5OPT",
    "RUBYOPT",
    "JAVA_TOOL_OPTIONS",
    "MAKEFLAGS",
    "LESSOPEN",
    "MANPAGER",
    "EDITOR",
    "VISUAL",
    "IFS",
    "ENV",
    "SSH_ASKPASS",
    "CC",
    "KUBECONFIG",
    "AWS_PROFILE",
]


@pytest.mark.parametrize("script", UNDERSTOOD)
def test_a_construct_is_understood_and_emitted_as_a_fixed_point(script: str) -> None:
    reading = read_shell(script, AROUND)
    assert reading.complete, reading.unread
    assert reading.canonical is not None
    again = read_shell(reading.canonical, AROUND)
    assert again.canonical == reading.canonical


@pytest.mark.parametrize(("script", "why"), HELD.items())
def test_what_evaluates_unknown_text_is_not_understood_and_says_why(script: str, why: str) -> None:
    reading = read_afresh(Shell(script), AROUND)
    assert not reading.complete
    assert any(why in unread.why for unread in reading.unread), reading.unread


def _agrees(script: str) -> bool:
    """Whether bash runs nothing that the reading does not name, and the same for what is emitted."""
    reading = read_shell(script, AROUND)
    assert reading.canonical is not None
    raw = executed(script)
    return all(is_among(unquoted(entry), reading) for entry in raw) and told(
        executed(reading.canonical)
    ) == told(raw)


@_needs_bash
@pytest.mark.parametrize("script", UNDERSTOOD)
def test_bash_does_what_the_reading_says(script: str) -> None:
    assert _agrees(script)


_FRAGMENTS = [
    ";rm x", "$(rm x)", "`rm x`", "\nrm x\n", "&& rm x", "| rm x", '"', "'", "\\", "#", "$", "${v:-$(rm x)}", "{a,b}", "(",
    ")", "{ ", "}", "~", "*", "!", "$((1))", "((", "))", "[", "]", "[@]", "${", "a[$(rm x)]", "`", "\\`", "()", "f() {", "IFS=x ",
    "let ", "+", "$f", "${f@Q}", "//", "/", ":", "@", "%", "^", "=", "<<<", "&", '"$(rm x)"', "; f", "x=", "${!v}", "x=rm; ",
    "v='a[$(rm z)]'; ", "$v", "$((v))", "declare ",
]  # fmt: skip


@_needs_bash
def test_mutated_constructs_hide_nothing_from_the_reading() -> None:
    """Differential: fragments put anywhere into constructs; where the reading is complete, bash runs what it names."""
    chance = random.Random(7)
    looked_at = 0
    for _ in range(1200):
        script = chance.choice(UNDERSTOOD)
        for _ in range(chance.randint(1, 3)):
            at = chance.randint(0, len(script))
            script = script[:at] + chance.choice(_FRAGMENTS) + script[at:]
        reading = read_afresh(Shell(script), AROUND)
        assert not any(READER_FAILED in unread.why for unread in reading.unread), script
        if reading.complete and not any(part in script for part in ("until", "/dev/", "$$")):
            looked_at += 1
            assert _agrees(script), script
    assert looked_at > 100


_PIECES = [
    "[", "]", "{}", "{", "}", "!", "^", "-", "a", "2", "~", "/", ":", "=", "+", "@", "(", ")", "|", ",", "..", "#", "%", " ",
]  # fmt: skip
_AROUND_PIECES = ["'{}'", '"{}"', '"{}$x"', '"$x{}"', "{}"]
_TEMPTING = ["a", "2", "[a]", "[2]", "[", "]", "{a}", "!a", "-", "a2", "^a", "[!a]", "=", "[a", "a]"]


def _words(chance: random.Random) -> str:
    """A word of quoted and unquoted pieces, some of which would be a pattern if their quotes were lost."""
    word = ""
    for _ in range(chance.randint(1, 5)):
        piece = chance.choice(_PIECES)
        bare = (
            ["$x", "*", "?", "[a2]", "[!a]"] if chance.random() < 0.5 else [piece] if piece.isalnum() else []
        )
        word += chance.choice([*bare, *(form.replace("{}", piece, 1) for form in _AROUND_PIECES[:4])])
    return word


def _printed(words: list[str], folder: Path) -> list[str]:
    script = "\n".join(f"printf '<%s>' {word}; echo" for word in words)
    done = subprocess.run(
        ["bash", "-O", "extglob"], input=script, cwd=folder, env={"x": "a", "HOME": "/nowhere"}, capture_output=True,
        text=True, check=True, timeout=120,
    )  # fmt: skip
    return done.stdout.splitlines()


@_needs_bash
def test_words_mean_the_same_after_they_are_quoted_anew(tmp_path: Path) -> None:
    """Names that lie in the folder would answer to a pattern that emission made out of quoted text."""
    for name in _TEMPTING:
        (tmp_path / name).touch()
    chance = random.Random(3)
    words, again = [], []
    for _ in range(1500):
        word = _words(chance)
        canonical = read_shell(f"echo {word}", AROUND).canonical
        if canonical is not None:
            words.append(word)
            again.append(canonical.removeprefix("echo "))
    assert len(words) > 800
    said = zip(words, again, _printed(words, tmp_path), _printed(again, tmp_path), strict=True)
    assert [(word, canonical) for word, canonical, raw, emitted in said if raw != emitted] == []


@_needs_bash
def test_a_lost_quote_would_be_seen(tmp_path: Path) -> None:
    """Negative control: a bracket left bare beside a variable finds another file."""
    (tmp_path / "a").touch()
    assert _printed(['"[$x]"', '["$x"]'], tmp_path) == ["<[a]>", "<a>"]


@_needs_bash
def test_arithmetic_really_runs_what_a_variable_says() -> None:
    """Negative control: bash runs the command in a subscript, which is why unknown names are not understood."""
    assert executed("x='a[$(rm y)]'; echo $((x))") == ["rm y"]
    assert not read_shell("x='a[$(rm y)]'; echo $((x))", AROUND).complete


@pytest.mark.parametrize("name", PROGRAM_VARIABLES)
@pytest.mark.parametrize("form", ["{}=x ls", "export {}=x", "env {}=x ls"])
def test_setting_what_programs_obey_is_an_effect(name: str, form: str) -> None:
    reading = read_shell(form.format(name), AROUND)
    assert any(e.key == "configures:code" and e.what == f"${name}" for e in reading.effects), reading


@pytest.mark.parametrize(
    "script", ["FOO=bar; echo $FOO", "MYDIR=/x ls", "export TOTAL=3", "x=1 y=2; echo $x$y"]
)
def test_setting_a_variable_of_ones_own_is_none(script: str) -> None:
    """Negative control of the test above."""
    assert is_benign(read_shell(script, AROUND))


@pytest.mark.parametrize(
    ("script", "deleted"),
    [
        ("D=/etc; rm -r $D", {"/etc"}),
        ('D="/etc/my dir"; rm -r "$D/x"', {"/etc/my dir/x"}),
        ("D=/etc; E=$D/x; rm $E", {"/etc/x"}),
        ("f() { rm /etc/x; }; ls; f", {"/etc/x"}),
        ("ls() { rm /etc/x; }; ls", {"/etc/x"}),
        ("command cd /etc && rm x", {"/etc/x", "/data/project/x"}),
        ("pushd /etc && rm x", {"/etc/x"}),
        ("eval 'rm /etc/x'", {"/etc/x"}),
        ("trap 'rm /etc/x' EXIT", {"/etc/x"}),
        ("f() { rm /etc/x; }", {"/etc/x"}),
    ],
)
def test_what_is_deleted_is_known_through_variables_functions_and_evaluation(
    script: str, deleted: set[str]
) -> None:
    reading = read_shell(script, AROUND)
    assert reading.complete, reading.unread
    assert {e.what for e in reading.effects if e.verb == "deletes"} == deleted


def test_functions_that_call_each_other_are_walked_a_bounded_number_of_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A tower of functions, each calling the one below four times, would be walked 4^9 times."""
    walked = 0
    real = analysis.Walk.statement

    def counted(self: analysis.Walk, statement: object, scene: object) -> object:
        nonlocal walked
        walked += 1
        return real(self, statement, scene)  # type: ignore[arg-type]

    monkeypatch.setattr(analysis.Walk, "statement", counted)
    tower = "f0() { ls x; }\n" + "\n".join(
        f"f{n}() {{ f{n - 1}; f{n - 1}; f{n - 1}; f{n - 1}; }}" for n in range(1, 10)
    )
    reading = read_shell(tower + "\nf9", AROUND)
    assert not reading.complete
    assert walked < 20_000


@pytest.mark.parametrize(
    ("script", "kept", "gone"),
    [
        ("cp a b \\", ("cp", "a", "b", "\\"), ("cp", "a", "b")),
        ("ls a\\", ("ls", "a\\"), ("ls", "a")),
        ("echo x; rm y \\", ("rm", "y", "\\"), ("rm", "y")),
    ],
)
def test_a_last_backslash_is_read_as_a_character_and_as_gone(
    script: str, kept: tuple[str, ...], gone: tuple[str, ...]
) -> None:
    """`sh -c` keeps it; a line end behind it takes it away (bash(1) QUOTING). What is run anew has it in quotes."""
    reading = read_shell(script, AROUND)
    assert reading.complete
    assert {kept, gone} <= {step.argv for step in reading.steps}
    assert reading.canonical is not None
    assert {step.argv for step in read_shell(reading.canonical, AROUND).steps} >= {kept}
    assert gone not in {step.argv for step in read_shell(reading.canonical, AROUND).steps}


@pytest.mark.parametrize("script", ["ls \\\\", "echo 'a\\", "# \\", "x\\"])
def test_a_last_backslash_hides_nothing(script: str) -> None:
    """Two stand for one; inside a quote that doesn't end, and before what isn't described, nothing is understood."""
    assert read_shell(script, AROUND).complete is (script == "ls \\\\")


def test_bash_agrees_about_a_last_backslash() -> None:
    for text, ending, words in (("a \\", "", b"<a><\\>"), ("a \\", "\n", b"<a>"), ("a\\", "", b"<a\\>")):
        script = f"printf '<%s>' {text}{ending}"
        assert subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout == words


@pytest.mark.parametrize(
    "script",
    ["unset $(cat names)", "read -r $name", "unset `printenv`", "mapfile $x", "alias $(cat all)"],
)
def test_names_that_are_only_known_when_it_runs_may_do_anything(script: str) -> None:
    """`a[$(rm x)]` is evaluated, PATH is a name: it is read as running anything, which no starter rule lets run."""
    reading = read_shell(script, AROUND)
    effects = {(effect.verb, effect.zone) for step in reading.steps for effect in step.effects}
    assert ("executes", "unknown") in effects


def test_a_backslash_in_a_quoted_default_is_not_taken_for_a_quote() -> None:
    for script in ('ls "${x:-a\\.b}"', 'ls "${x:-a\\?}"'):
        assert not read_shell(script, AROUND).complete
    assert read_shell('ls "${x:-a.b?}"', AROUND).complete


@pytest.mark.parametrize("script", ["unset PATH[0]", "unset -v PATH", "unset BASH_ENV[1]"])
def test_an_element_of_what_programs_obey_is_it(script: str) -> None:
    steps = read_shell(script, AROUND).steps
    assert any(effect.verb == "configures" for step in steps for effect in step.effects)


def test_a_function_that_the_script_defines_is_not_unset_unseen() -> None:
    assert not read_shell("ls() { rm x; }; unset -f ls; ls", AROUND).complete
    assert not read_shell("unset -f $name", AROUND).complete or any(
        effect.verb == "executes"
        for step in read_shell("unset -f $name", AROUND).steps
        for effect in step.effects
    )
    assert read_shell("unset -f z", AROUND).complete
