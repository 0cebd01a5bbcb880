"""What is swapped while a decision is made, and a gate that is shut, filled or closed: each is a no, beside its control."""

from __future__ import annotations

from pathlib import Path

import pytest
from exec_world import needs_gate, run, scripted

pytestmark = needs_gate

SWAPS = {
    "a link": ("link", "import os; os.symlink('/bin/echo', 'new'); os.replace('new', 'link')"),
    "a script's text": ("script", "open('script', 'w').write('#!/bin/sh\\necho PWNED\\n')"),
    "a script's file": (
        "script",
        "import os; open('new', 'w').write('#!/bin/sh\\necho PWNED\\n'); os.chmod('new', 0o755); os.replace('new', 'script')",
    ),
    "a script's interpreter": ("script", "open('script', 'w').write('#!/bin/echo PWNED\\n')"),
}


@pytest.mark.parametrize("swap", SWAPS)
def test_what_is_swapped_while_the_decision_is_made_does_not_run(swap: str, tmp_path: Path) -> None:
    """The negative control is "continue" alone, which runs what was put there."""
    name, code = SWAPS[swap]
    code = f"import os; os.chdir({str(tmp_path)!r}); {code}"
    for only_continue in (False, True):
        (tmp_path / name).unlink(missing_ok=True)
        if name == "link":
            (tmp_path / "link").symlink_to("/bin/true")
        else:
            (tmp_path / "script").write_text("#!/bin/sh\nexit 0\n")
            (tmp_path / "script").chmod(0o755)
        outcome = run(
            ["sh", "-c", f"./{name} PWNED; :"],
            tmp_path, swap=(f"/{name}", code), only_continue=only_continue, timeout=120,
        )  # fmt: skip
        assert ("PWNED" in outcome.out) == only_continue
        assert len(outcome.killed) == (not only_continue)


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "open"])
def test_after_the_gate_is_closed_nothing_starts(closed: bool) -> None:
    code = (
        "import os, sys\n"
        "from keyturn.gates.exec.supervisor import Supervisor\n"
        "from keyturn.gates.exec.model import Allow\n"
        "s = Supervisor(lambda e, a: Allow())\n"
        "r, w = os.pipe(); o, p = os.pipe()\n"
        "c = s.start(['sh', '-c', 'echo up; read x; /bin/echo ran >&2'], dict(os.environ), '/', stdin=r, stdout=p)\n"
        "os.close(p); open(o).readline()\n"
        f"if {closed}: s.close()\n"
        "os.write(w, b'\\n')\n"
        "print(c.wait())\n"
    )
    done = scripted(code)
    if closed:
        assert done.stdout.strip() in ("126", "127"), done.stderr
        assert "ran" not in done.stderr
    else:
        assert (done.stdout, done.stderr) == ("0\n", "ran\n")


def test_more_execs_than_may_wait_are_refused_and_those_that_wait_are_kept() -> None:
    code = (
        "import os, sys\n"
        "from keyturn.gates.exec import supervisor\n"
        "from keyturn.gates.exec.model import Allow\n"
        "supervisor.MAX_WAITING = 4\n"
        "held = []\n"
        "def decide(e, answer):\n"
        "    if e.argv[0] != '/bin/echo': return Allow()\n"
        "    held.append(answer)\n"
        "s = supervisor.Supervisor(decide)\n"
        "o, p = os.pipe()\n"
        "script = 'for i in 1 2 3 4 5 6 7 8 9 10; do /bin/echo ran & done; wait'\n"
        "c = s.start(['sh', '-c', script], dict(os.environ), '/', stderr=p)\n"
        "os.close(p); said = open(o); refused = 0\n"
        "while refused < 6: refused += 'too many programs wait' in said.readline()\n"
        "[answer(Allow()) for answer in held]\n"
        "c.wait(); print(len(held), refused)\n"
    )
    done = scripted(code)
    assert done.stdout == "ran\n" * 4 + "4 6\n", done.stderr
