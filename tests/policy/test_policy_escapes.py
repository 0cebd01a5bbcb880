"""Commands that were measured to do something else than they look like: none may run unasked under the starter policy.

Each list has its negative control: the harmless neighbour of the same form, which must run, so that a rule that simply
holds everything does not pass.
"""

from __future__ import annotations

import pytest

from keyturn.actions import Shell
from keyturn.policy import STARTER, load
from keyturn.policy.decision import Facts
from keyturn.readers import read_afresh
from keyturn.resources import Surroundings

FACTS = Facts(agent="agent", human="dev")

ESCAPES = {
    "code hidden in a builtin's word": ["x='-n -p a[$(id)]'; wait $x", "x='-pa[$(id)0]'; wait -n \"$x\""],
    "awk that writes or prints variables": [
        'awk \'{print "x",\n"y" > "o"}\' f',
        "awk '{print $1 &&\n$2 > \"o\"}' f",
        "awk 'BEGIN{for(k in ENVIRON) print k, ENVIRON[k]}'",
    ],
    "a folder above a link": [
        "cat /var/run/../home/dev/x",
        "cd /var/run && cat ../home/dev/x",
        "cat /dev/fd/3/../home/dev/x 3</usr",
        "echo x > /dev/fd/3/../home/dev/bin/ls 3</usr",
        "cd /usr/lib && git -C ../../x status",
    ],
    "what the kernel makes up for one process": [
        "cat /proc/self/root/home/dev/x",
        "cat /proc/1/cwd/x",
        "cat /proc/self/task/1/environ",
        "grep -ra x /proc/self",
        "grep -ra x /proc/1/",
        "cat /proc/*/cwd/x",
        "ls /dev/fd/3/x",
        "find /proc/self/root/home",
    ],
    "a pattern that may match a home": [
        "cat /hom?/dev/notes",
        "cat /*/dev/notes",
        "grep -r x /hom?",
        "find / -exec cat {} +",
        "cat /proc/*/status",
    ],
    "a link that leads out": [
        "ln -s /proc/self/root r",
        "ln -s /usr/../home u",
        "ln -s / r",
        "ln /etc/passwd x",
        "cp -P /proc/self/root r",
        "cd a/b/c && ln -s ../../.. ../../../l",
        "ln -s .git/hooks x",
    ],
    "names of old copies": [
        "sed -i'../../x/*' s/a/b/ f",
        "sed --in-place='/home/dev/x/*' s/a/b/ f",
        "sed -i.md s/a/b/ CLAUDE",
        "cp -b -S .md x CLAUDE",
        "mv --backup --suffix=.md x CLAUDE",
    ],
    "a repository inside the workspace": [
        "touch sub/HEAD",
        "mv x sub/HEAD",
        "cp -r .git/. sub",
        "cd .git && cp -r . ../sub",
    ],
    "words of a program in another dress": [
        "python -m pytest --junitxml=/home/dev/x",
        "python -m pytest /home/dev/other",
        "python -m ruff check --fix /home/dev/other",
        "python -m unittest discover -s /home/dev/other",
        "uv run pytest --junitxml=../x",
        "uv run pytest -c/home/dev/x.ini",
        'uv run ruff check -o "$OLDPWD/f"',
        "timeout 5 python -m pytest --junitxml=/home/dev/x",
    ],
    "paths in values and packages": [
        "pytest --cov-report=html:/home/dev/x",
        "eslint -f ./x.js .",
        "eslint --format /home/dev/x.js .",
        "go test ../../other/...",
        "go build /home/dev/x",
        "go vet ../x",
        "go fmt ../..",
        "docker inspect x",
    ],
    "words out of a file": ["ruff check @x", "mypy @x", "tsc @x", "pytest @x"],
    "variables of processes": ["ps ep1", "ps eww1", "ps e,", "ps -o pid,environ", "ps -O environ"],
    "names that grow": [
        "split -l1 -a1 q CLAUDE.m",
        "split -a2 q m --additional-suffix=.json",
        "gunzip CLAUDE.md.gz",
        "gunzip -N z.gz",
        "gzip -d -S .x CLAUDE.md.x",
    ],
    "rights of another user": [
        "install -m 4755 a b",
        "install -m u+s,g+x a b",
        "mkdir -m 2777 d",
        "chmod u+s,g+r a",
    ],
    "git": ["git reflog delete HEAD@{0}", "git config edit", "git branch -M a main", "git switch -C main"],
    "secrets of services": ["cat /run/secrets/db", "cat /var/run/secrets/kubernetes.io/serviceaccount/token"],
}

HARMLESS = [
    "sleep 1 & wait",
    "awk '{print $1, $2}' f",
    "awk '$1 > 2 {print}' f",
    "cat src/../README",
    "cd src && cat ../README",
    "cat /proc/cpuinfo",
    "cat /proc/self/status",
    "ls /usr/*",
    "ln -s a b",
    "cd sub && ln -s ../a b",
    "sed -i.bak s/a/b/ f",
    "cp -b x y",
    "mv x sub/head",
    "cp -r src/. sub",
    "python -m pytest -q",
    "python -m ruff check src",
    "python -m unittest discover -s tests",
    "uv run pytest -q tests/test_x.py",
    "timeout 60 python -m pytest -q",
    "ruff check x",
    "pytest --cov=src --cov-report=term-missing",
    "eslint -f json src",
    "go test ./...",
    "go build ./cmd/x",
    "docker ps",
    "install -m 755 a b",
    "chmod u+x a",
    "ps aux",
    "ps -eo pid,args",
    "gunzip a.gz",
    "git reflog",
    "git branch x",
    "git switch -c x",
]


@pytest.fixture(scope="module")
def verdict():
    starter = load(STARTER)
    around = Surroundings(
        cwd="/home/dev/ws", workspace="/home/dev/ws", home="/home/dev", labels=starter.labels
    )

    def verdict_of(script: str) -> str:
        return starter.decide("shell", read_afresh(Shell(script), around), FACTS).verdict

    return verdict_of


@pytest.mark.parametrize(("kind", "script"), [(k, s) for k, scripts in ESCAPES.items() for s in scripts])
def test_a_command_that_does_more_than_it_looks_like_never_runs_unasked(verdict, kind, script):
    assert verdict(script) != "run", kind


@pytest.mark.parametrize("script", HARMLESS)
def test_its_harmless_neighbour_still_runs(verdict, script):
    """Negative control of the test above."""
    assert verdict(script) == "run"
