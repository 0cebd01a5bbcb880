"""Shell commands made by a grammar, over programs that any Debian has, in a folder made for them.

Every name is relative and stays inside: there is no `..`, no `~`, no absolute path and no program that talks to a
network, so the commands may really be run in a scratch folder.
"""

from __future__ import annotations

import random
import re
import shlex
from collections.abc import Callable
from pathlib import Path

TREE = {
    "a.txt": "one\ntwo\nthree\ntwo\n",
    "b.txt": "b\na\nc\n",
    "c d.txt": "blank in its name\n",
    "e.log": "error x\nok\n",
    "-dash": "d\n",
    "-tq.txt": "o\n",
    "q.txt/r.txt": "o\n",
    "z -e1etouch n9 a.log": "o\n",
    "sub/f.txt": "f\nx\n",
    "sub/deep/g.txt": "g\n",
    "sub/h.log": "h\n",
    "other/i.txt": "i 1\nj 2\n",
    "sp ace/k.txt": "k\n",
}
_FILES = (
    "a.txt", "b.txt", "c d.txt", "e.log", "sub/f.txt", "sub/deep/g.txt", "sub/h.log", "other/i.txt", "sp ace/k.txt", "./a.txt",
    "missing",
)  # fmt: skip
_FOLDERS = ("sub", "other", "sp ace", "sub/deep", "./sub", "missing.d")
_NEW = ("n1", "n2.txt", "new name", "sub/n3", "other/n4.txt", "n5.d/x", "'n6'", "$n7", "a*b")
_GLOBS = ("*.txt", "sub/*", "*.log", "s*/*.txt", "?.txt", "[ab].txt", "*", "other/*.t?t")
_TEXTS = ("two", "x", "a b", "$HOME", "it's", 'say "x"', "o*e", "-n", "", "a;b", "#c", "\\")


SIMPLE = r"""
cat «|-n |-A »@files@
head -n «1|2» @files@
tail -«1|n2|c3» @file@
wc «-l|-c|» @files@
grep «|-n|-i|-c|-rn|-l|-v» -e @text@ @files@
ls «|-l|-a|-lR|-1» «@folder@|@files@|»
sort «|-r|-u|-k1|-n» @file@
sort «-o|-o |-uo|--output=|--outp=|--output »@new@ @files@
sort @file@ -o «@file@|@new@»
uniq «|-c|-d» @file@ «|@new@»
cut -d'« |:»' -f1 @file@
tr «a-z|ab» «A-Z|cd» < @file@
echo «|-n» @text@ @text@
printf «'%s\n'|x» @text@
cp «|-f|-p|-v|-n» @file@ «@new@|@folder@|@file@»
cp «-r|-a|-R» @folder@ «@new@|@folder@»
cp «-t |--target-directory=»@folder@ @files@
cp @files@ @folder@
cp «-b|--backup|--parents|-l|-s» @file@ «@folder@|@new@»
mv «|-f|-n|-v» @any@ «@new@|@folder@»
mv @files@ @folder@
mv -t @folder@ @files@
mv «-b|--backup» @file@ @file@
rm «|-f|-v» @files@
rm «-r|-rf|-R» «@folder@|@files@»
rm -- «-dash|@file@»
mkdir «|-p|-v» «@new@|@folder@»
mkdir -p «n8/n9|sub/x/y»
rmdir «|-p|--ignore-fail-on-non-empty» @folder@
ln «|-s|-f|-sf» @file@ @new@
ln «-s|» @files@ @folder@
ln -sT @file@ @new@
touch «|-c|-m» «@any@|@files@»
touch -r @file@ @new@
truncate -s «0|3» «@file@|@new@»
tee «|-a» @new@ «|@new@» < @file@
sed «-n 1p|s/o/0/g|2d|/x/d» @files@
sed «-i|-i.bak|--in-place|--in-place=.o|-n -i» «s/o/0/|1d|1p» @files@
sed «'w n1'|'s/o/0/w n2.txt'|'1r b.txt'|'1e touch n1'|'1e rm b.txt'|'s/[/]/x/w n1'|'1W n1'» @files@
sed -i «.bak|''» «s/o/0/|'1w n1'» @files@
sed --in-place='*.old' «1d|s/o/0/» @files@
split -l 1 @file@ «|part|sub/part|p»
csplit -s «|-f n|-f sub/n» @file@ 2
split «-l1 -d|-l 1 -a 3|-b 2 --additional-suffix=.q|-l 1 --numeric-suffixes=5» @file@ «|part|sub/p|n1.»
split -l 1 --filter='cat > n1' @file@
cp --parents @files@ «@folder@|other»
cp «-b -S .old|-S~ -b» @file@ @file@
mv -b -S .o @file@ @file@
find «.|sub» -name '*.txt' «|-print0» | tar «--null|--no-recursion» -cf n.tar -T -
tar -cf n.tar «@folder@|@files@» «--remove-files|--checkpoint=1 --checkpoint-action=exec='touch n1'|-I gzip|--totals»
tar -cf n.tar -C sub «f.txt|.»
tar -cf n.tar sub && tar -xf n.tar «--one-top-level=n8|--to-command='cat > n2.txt'|--transform=s/f/g/|-O|-k»
zip -q «n1|n2.zip|sub/n3.zip|n.z» @files@
zip -q «-m|-j|-r|-rm|-T|-T -TT 'cp a.txt n1;:'» n1.zip «@folder@|@files@»
find . -name '*.txt' | zip -q n1.zip -@
find . -name '*.txt' -print0 | «du -c --files0-from=-|sort --files0-from=-|wc --files0-from=-»
find . -name '*.txt' | tee n1 | xargs cat
«mv|cp|cp -r|ln -s» *.«txt|log» @folder@
«touch|touch -m|chmod u+x|rm|rm -f|tee» *.«txt|log»
find . «-name '*.txt' -o -name '*.log'|! -name '*.log' -a -name '*.txt'» «-exec touch {} +|-exec cp {} other \;|-delete»
find . -name sub -prune -o -name '*.txt' «-exec touch {} +|-exec cp {} other \;|-delete»
find . «\( -name '*.txt' -o -iname '*.LOG' \)|-iname 'A*.TXT' , -name f.txt» «-exec rm {} +|-print0 | xargs -0 touch»
find . -type f -not \( -name '*.log' \) «-exec rm {} +|-print0 | xargs -0 touch»
grep -«l|rl|L|rlZ» o «sub|.|*.txt|sub/* other/*» | xargs «|-0|-n1» «cat|rm -f|touch|sed -i 1d|cp -t other»
find . -name '*.«txt|log»' | xargs grep -«l|L» o | xargs «cat|touch|rm -f|sed -i 1d|chmod 600»
find . -name '*.«txt|log»' -exec grep -l o {} «+|\;» «|-print» | xargs «cat|touch|rm -f|sed -i 1d|chmod 600»
«cat|touch|rm -f|chmod 600|sed -i 1d» $(«grep -rl o sub|find . -name '*.log'|grep -l o *.txt»)
for f in $(«grep -rl o sub|find . -name '*.log'»); do «cat|touch|rm -f|sed -i 1d» $f; done
for f in «sub/*.txt|*.txt»; do «mv|cp» "$f" "${f%.txt}.md"; done
«cat|rm|touch|cp a.txt» @file@ \
rmdir «sub/*|n*|*»
unlink @file@
awk -f @file@ a.txt
find . -name '*.txt' | tr '\n' '\0' | xargs -0 «rm -f|touch»
tar «-cf|cf|-czf» «n.tar|sub/n.tar» «@folder@|@files@»
tar -cf n.tar sub && tar «-xf|tf|-xvf» n.tar «|-C other»
gzip «|-k|-f|-c» @files@
gzip -k a.txt && gunzip «-f|-c|-k» a.txt.gz
chmod «644|u+x|go-r» @files@
dd if=@file@ of=@new@ status=none
install «|-m 600» @file@ @new@
find «.|@folder@» «-name|-iname|-path» @text@ «|-print|-ls|-delete»
find . «-type f|-maxdepth 1|-size -9» «-delete|-print0|-fprint n1|-fls n2.txt»
find . -name '*.«txt|log»' -exec «cat|rm|touch|wc -l|sed -i 1d|chmod 600» {} «+|\;»
find @folder@ -type f -exec «cp|mv» {} @folder@ \;
find . -name '*.txt' -print0 | xargs -0 «|-n1» «cat|wc -l|rm -f|touch|echo»
printf '%s\n' a.txt b.txt | xargs -I{} «cp {} {}.bak|cat {}|rm {}|touch n-{}»
diff «|-u|-r» @file@ @file@
comm @file@ @file@
paste @files@
join @file@ @file@
awk «'{print $1}'|'NR==1'|'{print > "n1"}'» @files@
basename @any@
stat @files@
du -s @folder@
test «-f|-d|-e» @any@
cmp @file@ @file@
«tac|nl|expand|base64|sha256sum» @file@
shuf «-n1|» @file@ -o @new@
seq «3|1 2»
«true|false|:|pwd»
mktemp «-d|» «nXXXX|sub/nXXXX»
patch -p0 @file@ < @file@
unlink @file@
cd @folder@
""".strip().split("\n")

SHAPES = r"""
@one@; @two@
@one@ && @two@
@one@ || @two@
@one@⏎@two@
@one@ | «cat|sort|wc -l|tee n1|head -1|sort -o n2.txt|tr a b|xargs echo»
{ @one@; } > @new@
( @one@ ); @two@
! @one@
if @one@; then @two@; fi
if [ -e @file@ ]; then @one@; else @two@; fi
for f in «a.txt b.txt|*.txt|sub/*»; do «cat|rm|touch|cp -t other|sed -i 1d» "$f"; done
for f in «a b|n1»; do «echo x > $f|touch $f.new|mkdir -p "$f"|mv b.txt $f»; done
f=«a.txt|n1|sub»; «cat|rm -f|touch|ls» «$f|"$f"|${f}|$f.x»
case x in x) @one@;; *) @two@;; esac
while false; do @one@; done; @two@
cd @folder@ && @one@
(cd @folder@; @one@)
echo "$(@one@)"
cat «$(|<(»@one@)
«bash|sh» -c @quoted@
f() { @one@; }; @two@; f
@one@ & wait
[[ -f @file@ ]] && @one@
""".strip().split("\n")
"""`«a|b»` is one of these, `@name@` another piece, `⏎` the end of a line."""

WRAPPERS = (
    "env", "env LC_ALL=C", "LC_ALL=C", "timeout 5", "nice", "nice -n 5", "command", "time", "stdbuf -oL", "nohup",
)  # fmt: skip
_CHOICE = re.compile("«([^»]*)»")
_PIECE = re.compile("@([a-z]+)@")


def plant(folder: Path) -> None:
    """Make the files of `TREE` in *folder*."""
    for name, text in TREE.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class Generator:
    """Commands out of one random source."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    # --- words ------------------------------------------------------------------------------------

    def _quoted(self, text: str) -> str:
        style = self._chance.randrange(6)
        if style == 0:
            return "'" + text.replace("'", "'\\''") + "'"
        if style == 1 and not set(text) & set('$`\\!"'):
            return f'"{text}"'
        if style == 2 and text and "'" not in text and "\\" not in text:
            return f"$'{text}'"
        if style == 3 and text.isascii() and text.replace(".", "").replace("/", "").isalnum():
            at = self._chance.randrange(len(text) + 1)
            return f"{text[:at]}'{text[at:]}'" if text[at:] else text
        return shlex.quote(text)

    def _pick(self, *choices: str) -> str:
        return self._chance.choice(choices)

    def file(self) -> str:
        """An existing file, mostly."""
        return self._quoted(self._chance.choice(_FILES))

    def files(self) -> str:
        """Some files, or a pattern."""
        if self._chance.random() < 0.35:
            return self._chance.choice(_GLOBS)
        return " ".join(self.file() for _ in range(self._chance.randint(1, 3)))

    def folder(self) -> str:
        """A folder, mostly an existing one."""
        return self._quoted(self._chance.choice(_FOLDERS))

    def new(self) -> str:
        """The name of something that is to be made."""
        return self._quoted(self._chance.choice(_NEW))

    def text(self) -> str:
        """A word that is not a path."""
        return self._quoted(self._chance.choice(_TEXTS))

    def any(self) -> str:
        """A file, a folder or a new name."""
        return self._chance.choice((self.file, self.folder, self.new))()

    # --- commands ---------------------------------------------------------------------------------

    def _filled(self, template: str, pieces: dict[str, Callable[[], str]]) -> str:
        chosen = _CHOICE.sub(lambda match: self._chance.choice(match.group(1).split("|")), template)
        return _PIECE.sub(lambda match: pieces[match.group(1)](), chosen)

    def simple(self) -> str:
        """One program with its words."""
        pieces = {
            "file": self.file, "files": self.files, "folder": self.folder, "new": self.new, "text": self.text, "any": self.any,
        }  # fmt: skip
        return self._filled(self._chance.choice(SIMPLE), pieces)

    def redirected(self) -> str:
        """A simple command, perhaps with redirections or a wrapper in front."""
        command = self.simple()
        roll = self._chance.random()
        if roll < 0.3:
            operator = self._pick(">", ">>", ">|", "2>", "&>", "&>>", "<>", "1>")
            command += f" {operator} {self._pick(self.new(), self.file(), '/dev/null')}"
        elif roll < 0.36:
            command += f" < {self.file()} > {self.new()} 2>&1"
        elif roll < 0.4:
            command = f"{self._pick('>', '2>>')} {self.new()} {command}"
        elif roll < 0.44:
            command += f" <<< {self.text()}"
        elif roll < 0.48 and "\n" not in command:
            command += (
                f" <<{self._pick('E', chr(39) + 'E' + chr(39))}\n{self._pick('x', '$HOME', 'a b')}\nE\n"
            )
        if self._chance.random() < 0.15 and not command.startswith((">", "2>", "cd", ":")):
            command = f"{self._chance.choice(WRAPPERS)} {command}"
        return command

    def script(self, depth: int = 2) -> str:
        """A command of any shape."""
        roll = self._chance.random()
        if depth == 0 or roll < 0.3:
            return self.redirected()
        one, two = self.script(depth - 1), self.script(depth - 1)
        if "\nE\n" in one + two:
            return self.redirected()
        pieces: dict[str, Callable[[], str]] = {
            "one": lambda: one, "two": lambda: two, "quoted": lambda: shlex.quote(one), "file": self.file,
            "folder": self.folder, "new": self.new,
        }  # fmt: skip
        return self._filled(self._chance.choice(SHAPES), pieces).replace("⏎", "\n")


__all__ = ["TREE", "Generator", "plant"]
