"""What an envelope is made of: what the look at the disk finds, what follows from it, and what is cleared away."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from keyturn.gates.exec import landlock
from keyturn.gates.exec.confinement import ASIDE, Placeholders, covered, missing, standing
from keyturn.gates.exec.envelope import Envelope, envelope, scrubbed
from keyturn.gates.exec.kernel import support
from keyturn.gates.exec.model import Support
from keyturn.gates.exec.survey import Survey, Unsurveyed, programs, survey
from keyturn.policy.profiles import PROTECTED, Profile, Profiles
from keyturn.resources import Label, Surroundings

SECRET = (Label("secret", (".env", "*.key", "~/.ssh", "~/.ssh/**", "deep/hidden")),)

needs_envelope = pytest.mark.skipif(
    bool(missing(support())), reason=f"no envelope on this kernel: {missing(support())}"
)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    work = Path(os.path.realpath(tmp_path)) / "work"
    for folder in (".git/objects", ".git/hooks", "deep", "sub/.git/objects", "node_modules"):
        (work / folder).mkdir(parents=True)
    for git in (work / ".git", work / "sub" / ".git"):
        (git / "HEAD").write_text("ref: refs/heads/main\n")
        (git / "config").write_text("[core]\n")
    for name in (".env", "deep/a.key", "deep/hidden", "node_modules/.env", "plain"):
        (work / name).write_text(name)
    return work


def looked(
    work: Path, profile: str | Profile = "workspace", home: str = "/nowhere", own: tuple[str, ...] = ()
) -> Survey:
    chosen = Profiles().get(profile) if isinstance(profile, str) else profile
    assert chosen is not None
    return survey(chosen, SECRET, Surroundings(cwd=str(work), workspace=str(work), home=home), own)


def made(work: Path, profile: str | Profile = "workspace", **more: str) -> Envelope:
    chosen = Profiles().get(profile) if isinstance(profile, str) else profile
    assert chosen is not None
    return envelope(chosen, looked(work, chosen, **more))


def kinds(whole: Envelope) -> dict[str, tuple[str, bool]]:
    return {place.path: (place.kind, place.writable) for place in whole.places}


def test_secrets_are_found_under_every_name(work: Path) -> None:
    os.link(work / ".env", work / "other-name")
    (work / "link").symlink_to("deep/a.key")
    (work / "deep" / "b.key").symlink_to(work / "plain")
    seen = looked(work)
    names = {os.path.relpath(path, work) for path in seen.hidden_files}
    assert names == {".env", "other-name", "deep/a.key", "deep/hidden", "plain"}, (
        "a link named so hides what it names"
    )
    assert kinds(made(work))[str(work / ".env")] == ("mask", False)


def test_repositories_settings_and_hooks_are_protected_and_can_not_be_moved_away(work: Path) -> None:
    seen = looked(work)
    assert {f"{work}/.git/config", f"{work}/.git/hooks", f"{work}/sub/.git/config"} <= set(seen.protected)
    assert {f"{work}/.git/config.worktree", f"{work}/sub/.git/hooks", f"{work}/.claude"} <= set(seen.absent)
    found = kinds(made(work))
    assert found[f"{work}/.git/config"] == ("bind", False)
    for above in (".git", "sub/.git", "sub"):
        assert found[f"{work}/{above}"] == ("bind", True), "a mount can't be renamed"


def test_what_leads_to_the_repository_of_a_worktree_is_protected(work: Path) -> None:
    (work / "tree").mkdir()
    (work / "tree" / ".git").write_text(f"gitdir: {work}/.git/worktrees/tree\n")
    kept = work / ".git" / "worktrees" / "tree"
    kept.mkdir(parents=True)
    for name in ("HEAD", "commondir", "gitdir"):
        (kept / name).write_text("x")
    seen = looked(work)
    assert {f"{work}/tree/.git", f"{kept}/commondir", f"{kept}/gitdir"} <= set(seen.protected)
    assert f"{kept}/config.worktree" in seen.absent


def test_sockets_and_pipes_in_the_workspace_are_hidden(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(work)
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    assert {f"{work}/pipe", f"{work}/socket"} <= set(looked(work).hidden_files)


@needs_envelope
def test_a_service_that_listens_in_the_workspace_is_not_reached(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(work)
    script = "curl -s --max-time 2 --unix-socket socket http://x/; echo $?"
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        server.listen()
        server.settimeout(0)
        confined(work, script)
        with pytest.raises(BlockingIOError):
            server.accept()
        subprocess.run(["bash", "-c", script], check=False, capture_output=True)
        server.accept()[0].close()  # the control


def test_nothing_inside_a_protected_folder_is_opened_again(work: Path) -> None:
    """A repository inside `.claude` must not make a folder on the way to it writable."""
    (work / ".claude" / "x" / ".git" / "objects").mkdir(parents=True)
    (work / ".claude" / "x" / ".git" / "HEAD").write_text("x")
    (work / ".claude" / "x" / ".git" / "config").write_text("x")
    found = kinds(made(work))
    assert found[f"{work}/.claude"] == ("bind", False)
    assert not [
        path for path, (_, writable) in found.items() if path.startswith(f"{work}/.claude") and writable
    ]


def test_a_folder_that_may_only_be_read_is_not_opened_by_a_repository_in_it(work: Path) -> None:
    profile = Profile("mine", read=("./sub",), write=(".",), protect=PROTECTED)
    found = kinds(made(work, profile))
    assert found[f"{work}/sub"] == ("bind", False)
    assert not [path for path, (_, writable) in found.items() if path.startswith(f"{work}/sub") and writable]


def test_keyturns_own_home_is_hidden_also_where_everything_is_read(work: Path, tmp_path: Path) -> None:
    own = Path(os.path.realpath(tmp_path)) / "kt"
    own.mkdir()
    whole = Profile("all", read=("/",))
    found = kinds(envelope(whole, looked(work, whole, own=(str(own),))))
    assert found["/"] == ("bind", False)
    assert found[str(own)] == ("empty", False)
    shallow_first = [place.path for place in envelope(whole, looked(work, whole, own=(str(own),))).places]
    assert shallow_first.index("/") < shallow_first.index(str(own))


def test_a_home_is_no_workspace(work: Path) -> None:
    with pytest.raises(Unsurveyed, match="is no workspace"):
        survey(
            Profiles().get("workspace") or Profile("x"), (), Surroundings(cwd="/", workspace="", home="/"), ()
        )


def test_too_much_to_hide_is_refused_and_not_hidden_by_half(work: Path) -> None:
    for number in range(501):
        (work / f"{number}.key").write_text("x")
    with pytest.raises(Unsurveyed, match="more than 500"):
        looked(work)


def test_the_read_only_profile_gives_no_right_to_write_outside_private_folders(work: Path) -> None:
    whole = made(work, "read-only")
    private = ("/tmp", "/var/tmp", "/run", "/dev", "/dev/shm", "/dev/pts")
    for rule in whole.rules:
        if rule.rights & landlock.WRITE and not rule.path.startswith("/dev/"):
            assert rule.path in private
        if rule.path == str(work):
            assert not rule.rights & landlock.EXECUTE
    assert whole.ports == landlock.Ports()
    assert not whole.executable_memory


def test_only_variables_that_somebody_named_are_passed_on() -> None:
    given = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "AWS_SECRET_ACCESS_KEY": "x",
        "LD_PRELOAD": "x",
        "MINE": "1",
        "TMPDIR": "/x",
    }
    assert scrubbed(given, Profile("x", environment=("MINE",))) == {
        "PATH": "/bin", "LC_ALL": "C", "MINE": "1", "TMPDIR": "/tmp",
    }  # fmt: skip


def test_what_a_kernel_leaves_open_is_said(work: Path) -> None:
    whole = made(work)
    assert "signals" in standing(whole, 7).walls
    old = standing(whole, 4)
    assert "signals" not in old.walls
    assert any("signals" in words for words in old.open)
    networked = standing(made(work, Profile("net", write=(".",), network=True, connect=(443,))), 7)
    assert "network" not in networked.walls
    assert "UDP" in networked.open
    assert missing(Support(True, True, 0, True)) == "there is no Landlock"
    assert "namespaces" in missing(Support(True, True, 7, False))
    assert missing(Support(False, False, 7, True))


def test_placeholders_are_taken_away_by_the_last_run_that_needs_them(work: Path) -> None:
    seen = looked(work)
    one = Placeholders(seen.absent, seen.protected, ())
    assert f"{work}/.claude" in one.made
    two = Placeholders(looked(work).absent, looked(work).protected, ())
    assert not two.made, "they are there"
    one.clear()
    assert (work / ".claude").is_dir(), "the other run still needs it"
    two.clear()
    assert not (work / ".claude").exists()
    cut_off = Placeholders(seen.absent, (), ())
    assert cut_off.made
    three = Placeholders((), looked(work).protected, ())
    for lock in cut_off._held.values():  # as when its process is killed
        os.close(lock)
    three.clear()
    assert not (work / ".claude").exists()


def test_a_folder_that_somebody_made_stays(work: Path) -> None:
    (work / ".claude").mkdir()
    seen = looked(work)
    Placeholders(seen.absent, seen.protected, ()).clear()
    assert (work / ".claude").is_dir()


def test_what_makes_git_look_elsewhere_is_put_aside(work: Path) -> None:
    watched = f"{work}/.git/commondir"
    run = Placeholders((), (), (watched,))
    Path(watched).write_text("../planted\n")
    assert run.clear() == [watched]
    assert not Path(watched).exists()
    assert Path(watched + ASIDE).read_text() == "../planted\n"


RUN = """
import json, os, sys
from keyturn.gates.exec.confinement import builder
from keyturn.gates.exec.envelope import envelope
from keyturn.gates.exec.model import Allow
from keyturn.gates.exec.supervisor import Supervisor
from keyturn.gates.exec.survey import survey
from keyturn.policy.profiles import Profile
from keyturn.resources import Surroundings
work, script, listed, more = json.loads(sys.argv[1])
more = {name: tuple(value) if isinstance(value, list) else value for name, value in more.items()}
profile = Profile("listed", **{"read": (".",), "programs": tuple(listed), **more})
around = Surroundings(cwd=work, workspace=work, home="/nowhere")
build = builder(envelope(profile, survey(profile, (), around, ())))
kept = os.open("/etc/passwd", os.O_RDONLY); os.set_inheritable(kept, True)
supervisor = Supervisor(lambda asked, answer: Allow())
child = supervisor.start(["bash", "-c", script], {"PATH": "/usr/bin:/bin"}, work, envelope=build)
code = child.wait()
supervisor.close()
sys.exit(code)
"""


def confined(work: Path, script: str, *listed: str, **more: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", RUN, json.dumps([str(work), script, listed, more])],
        capture_output=True, text=True, env=environment, timeout=120, check=False, start_new_session=True,
    )  # fmt: skip


@needs_envelope
def test_only_listed_programs_start_whatever_the_gate_says(work: Path) -> None:
    script = "cat plain; ls; /usr/bin/ls; env ls; find . -maxdepth 0 -exec ls {} +; echo over"
    listed = confined(work, script, "bash", "cat", "env", "find")
    assert listed.stdout == "plainover\n", listed.stderr
    assert listed.stderr.count("Permission denied") == 4
    assert "node_modules" in confined(work, script).stdout, "the control: without a list it starts"


@needs_envelope
def test_a_listed_program_that_is_a_script_has_its_interpreter(work: Path) -> None:
    script_of = next(
        (path for path in ("/usr/bin/ldd", "/usr/bin/zgrep", "/usr/bin/egrep") if os.path.exists(path)), ""
    )
    if not script_of:
        pytest.skip("no such script is installed")
    found = programs((os.path.basename(script_of),))
    assert os.path.realpath(script_of) in found
    assert any("sh" in os.path.basename(path) for path in found)
    assert any("ld-" in path or "ld.so" in path for path in found) or os.uname().machine != "x86_64"


@needs_envelope
def test_no_descriptor_of_the_supervisor_is_inherited(work: Path) -> None:
    done = confined(
        work, "echo /proc/self/fd/*; for n in 3 4 5 6 7 8 9 10 11 12; do read -r x <&$n && echo got; done"
    )
    assert "got" not in done.stdout


@needs_envelope
def test_what_the_person_redirected_can_be_named_again_and_nothing_beside_it(
    work: Path, tmp_path: Path
) -> None:
    """`> out` outside the view is the person's own doing; the file beside it is not."""
    out, beside = tmp_path / "out", tmp_path / "beside"
    beside.write_text("kept")
    script = f"echo one; echo two >> /dev/stdout; echo three >> /proc/self/fd/1; echo no >> {beside}; cat < /dev/stdin"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with out.open("a") as writing, (work / "plain").open() as reading:
        subprocess.run(
            [sys.executable, "-c", RUN, json.dumps([str(work), script, [], {}])],
            stdin=reading, stdout=writing, stderr=subprocess.PIPE, env=environment, timeout=120, check=False,
        )  # fmt: skip
    assert out.read_text() == "one\ntwo\nthree\nplain"
    assert beside.read_text() == "kept"


@needs_envelope
def test_where_there_is_network_only_the_ports_named_are_reached(work: Path) -> None:
    if support().landlock_abi < landlock.TCP_SINCE:
        pytest.skip("this kernel's Landlock knows nothing of TCP, which `standing` says")
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = [server.getsockname()[1] for server in (one, two)]
        script = "; ".join(
            f"(: > /dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo reached {port}" for port in ports
        )
        named = confined(work, script, network=True, connect=[ports[0]])
        assert named.stdout == f"reached {ports[0]}\n", named.stderr
        assert confined(work, script, network=True).stdout.count("reached") == 2
        assert confined(work, script).stdout == ""


@needs_envelope
def test_a_terminal_can_be_named_again(work: Path) -> None:
    ours, theirs = os.openpty()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    script = "echo one > /dev/stderr; echo two > /dev/stdout; [ -t 1 ] && echo three"
    with os.fdopen(theirs, "r+b", buffering=0) as side:
        done = subprocess.run(
            [sys.executable, "-c", RUN, json.dumps([str(work), script, [], {}])],
            stdin=side, stdout=side, stderr=side, env=environment, timeout=120, check=False,
        )  # fmt: skip
        shown = os.read(ours, 4_096)
    os.close(ours)
    assert done.returncode == 0
    assert shown.split() == [b"one", b"two", b"three"]


def test_covered_adds_what_was_made() -> None:
    assert covered(Survey("/w", protected=("/w/a",)), ("/w/b",)).protected == ("/w/a", "/w/b")
