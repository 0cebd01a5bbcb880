"""`keyturn policy`: the dry run's interface (scripts depend on it), tests and explanations at the command line."""

from __future__ import annotations

import io
import json

import pytest
from click.testing import CliRunner
from policy_building import BASE

from keyturn.cli import keyturn as root
from keyturn.cli.dry_run import MAX_LINE, DryRun
from keyturn.cli.policy import visible
from keyturn.policy import STARTER, load

RUNNER = CliRunner()
CONTROLS = """id = "ours"
title = "Ours"
edition = "1"
[[control]]
id = "X.1"
title = "x"
gist = "x"
passes = "x"
tests = ["nobody"]
how = "automatic"
"""


@pytest.fixture(autouse=True)
def _no_home(monkeypatch, tmp_path):
    monkeypatch.setenv("KEYTURN_HOME", str(tmp_path / "home"))


def decide(kind: str, *lines: object, options: tuple[str, ...] = ()) -> list[dict]:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    result = RUNNER.invoke(root, ["policy", "decide", "--kind", kind, *options, "--jsonl", "-"], input=text)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def here(command: str, **more: object) -> dict:
    return {"content": command, "cwd": "/home/dev/project", "home": "/home/dev", **more}


def test_a_dry_run_answers_each_line_in_order():
    first, second, third = decide("shell", here("ls -la"), here("rm -rf /"), here("frobnicate --now"))
    assert (first["decision"], first["complete"], first["rules"]) == ("run", True, ["read"])
    assert first["effects"][0] == {
        "verb": "reads",
        "what": "/home/dev/project",
        "zone": "workspace",
        "labels": [],
    }
    assert (second["decision"], second["rules"]) == ("refuse", ["keyturn-own-files", "wipe"])
    assert (third["decision"], third["complete"]) == ("hold", False)
    assert all(answer["reasons"] for answer in (first, second, third))
    assert set(first) == {"decision", "complete", "effects", "rules", "reasons"}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{", "input.malformed"),
        ("", "input.malformed"),
        ("[]", "input.malformed"),
        ("{}", "input.malformed"),
        ('{"content": 3}', "input.malformed"),
        ('{"content": "ls", "cwd": 3}', "input.malformed"),
        ('{"content": "ls", "cwd": "here"}', "input.malformed"),
        ('{"content": "ls", "environment": 3}', "input.malformed"),
        ('{"content": "ls", "agent": 3}', "input.malformed"),
        ('{"content": "\\ud800"}', "input.malformed"),
        ("[" * 100_000, "input.malformed"),
    ],
)
def test_a_line_that_can_t_be_read_is_an_error_and_the_stream_goes_on(line, code):
    before, wrong, after = decide("shell", here("ls"), line, here("ls"))
    assert wrong["error"]["code"] == code
    assert wrong["error"]["not_done"]
    assert (before["decision"], after["decision"]) == ("run", "run")


def test_a_line_beyond_the_limit_is_an_error_and_the_next_is_read():
    tried = DryRun(load(STARTER), "shell", "", protected=())
    lines = b'{"content": "' + b"x" * (MAX_LINE + 10) + b'"}\n' + json.dumps(here("ls")).encode()
    wrong, right = (json.loads(answer) for answer in tried.answers(io.BytesIO(lines)))
    assert wrong["error"]["code"] == "input.too_large"
    assert right["decision"] == "run"


def test_answers_leave_before_the_next_line_arrives():
    class OneByOne:
        def __init__(self):
            self.asked = 0

        def readline(self, limit):
            self.asked += 1
            return json.dumps(here("ls")).encode() + b"\n" if self.asked < 3 else b""

    source = OneByOne()
    answers = DryRun(load(STARTER), "shell", "", protected=()).answers(source)
    next(answers)
    assert source.asked == 1


def test_sql_is_held_because_it_is_not_read():
    (answer,) = decide("sql", {"content": "select 1"})
    assert (answer["decision"], answer["complete"]) == ("hold", False)
    assert "does not read SQL" in answer["reasons"][0]


def test_other_kinds_are_decided_too():
    (file,) = decide("file", here({"path": "/home/dev/project/a.py", "operation": "edit"}))  # type: ignore[arg-type]
    (page,) = decide("http", here("https://example.org/"))
    (tool,) = decide("mcp", here({"server": "github", "tool": "create_issue", "arguments": {"title": "x"}}))  # type: ignore[arg-type]
    (note,) = decide("mcp", here({"server": "client:codex", "tool": "update_plan"}))  # type: ignore[arg-type]
    assert [a["decision"] for a in (file, page, tool, note)] == ["run", "hold", "hold", "run"]
    (wrong,) = decide("mcp", here({"server": "github", "name": "create_issue"}))  # type: ignore[arg-type]
    assert "no `name`" in wrong["error"]["happened"]


def test_a_workspace_that_holds_the_home_is_none():
    (inside,) = decide("shell", here("touch x"))
    (at_home,) = decide("shell", {"content": "touch x", "cwd": "/home/dev", "home": "/home/dev"})
    (at_root,) = decide("shell", {"content": "touch x", "cwd": "/", "home": "/home/dev"})
    assert [inside["decision"], at_home["decision"], at_root["decision"]] == ["run", "hold", "hold"]


def test_variables_that_change_what_runs_hold():
    (plain,) = decide("shell", here("ls", environment={"LANG": "C", "LC_ALL": "C"}))
    (loaded,) = decide("shell", here("ls", environment={"LD_PRELOAD": "/tmp/x.so"}))
    assert plain["decision"] == "run"
    assert loaded["decision"] == "hold"
    assert "LD_PRELOAD" in loaded["reasons"][0]


def test_keyturn_s_own_home_is_protected(tmp_path):
    (answer,) = decide("shell", here(f"cat {tmp_path}/home/tokens/dana"))
    assert (answer["decision"], answer["rules"]) == ("refuse", ["keyturn-own-files"])


def write(folder, files: dict[str, bytes]):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def tried(tmp_path, rules: str = BASE, tests: str = "", mode: str = "enforce"):
    return write(
        tmp_path / "tried",
        {
            "policy.toml": f'name = "tried"\nmode = "{mode}"\n'.encode(),
            "rules/a.cedar": rules.encode(),
            "tests/t.toml": tests.encode(),
        },
    )


def test_observe_mode_says_what_would_have_been(tmp_path):
    folder = tried(tmp_path, mode="observe")
    (answer,) = decide("shell", here("curl https://example.org"), options=("--policy", str(folder)))
    assert (answer["decision"], answer["would"]) == ("run", "hold")


def test_policy_test_ends_with_0_when_green_and_3_when_red(tmp_path):
    folder = tried(tmp_path, tests='[[must_run]]\ncommand = "ls"\nrule = "look"\n')
    green = RUNNER.invoke(root, ["policy", "test", str(folder)])
    assert (green.exit_code, green.output.splitlines()[-1].split(" (")[0]) == (0, "1 of 1 cases are right")
    tried(tmp_path, tests='[[must_refuse]]\ncommand = "ls"\n')
    red = RUNNER.invoke(root, ["policy", "test", str(folder), "--json"])
    told = json.loads(red.output)
    assert red.exit_code == 3
    assert (told["green"], told["failures"]) == (False, 1)
    assert told["cases"][0]["words"].startswith("must be refused, was run by look")
    wrong_rule = tried(tmp_path, tests='[[must_run]]\ncommand = "ls"\nrule = "push"\n')
    assert RUNNER.invoke(root, ["policy", "test", str(wrong_rule)]).exit_code == 3


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        ('[[must_rnu]]\ncommand = "ls"\n', 'did you mean "must_run"'),
        ('[[must_run]]\ncomand = "ls"\n', 'did you mean "command"'),
        ('[[must_run]]\nname = "x"\n', "a case has a command"),
        ('[[must_run]]\ncommand = "ls"\nrule = "nobody"\n', "no rule nobody"),
        ('[[must_run]]\ncommand = "ls"\nmissing = ["humna"]\n', "missing is any of"),
        ('[[must_run]]\ncommand = "ls"\nassurance = "sure"\n', "assurance is one of"),
        ('must_run = "ls"\n', "cases are written"),
    ],
)
def test_a_case_that_can_t_be_read_is_no_green_case(tmp_path, tests, message):
    result = RUNNER.invoke(root, ["policy", "test", str(tried(tmp_path, tests=tests))])
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_control_that_names_no_test_is_shown_with_carets(tmp_path):
    folder = tried(tmp_path, tests='[[must_run]]\ncommand = "ls"\n')
    assert RUNNER.invoke(root, ["policy", "test", str(folder)]).exit_code == 0  # negative control
    write(folder, {"controls/ours.toml": CONTROLS.replace("nobody", "two_people").encode()})
    assert RUNNER.invoke(root, ["policy", "test", str(folder)]).exit_code == 0
    write(folder, {"controls/ours.toml": CONTROLS.encode()})
    result = RUNNER.invoke(root, ["policy", "test", str(folder)])
    assert result.exit_code == 2
    assert "controls/ours.toml:9:11: there is no test 'nobody'" in result.stderr
    assert "^^^^^^" in result.stderr
    assert "evidence.unknown_query" in result.stderr


def test_mistakes_are_shown_with_carets(tmp_path):
    folder = tried(tmp_path, BASE.replace("reads:workspace", "raeds:workspace"))
    result = RUNNER.invoke(root, ["policy", "test", str(folder)])
    assert result.exit_code == 2
    assert "rules/a.cedar:4:9" in result.stderr
    assert "^^^^" in result.stderr
    assert "policy.invalid" in result.stderr


def test_explain_names_the_rule_the_bytes_and_the_nearest_rule_that_allows():
    result = RUNNER.invoke(
        root, ["policy", "explain", "ls && git push origin main", "--cwd", "/home/dev/project"]
    )
    assert result.exit_code == 0
    assert "rules/40-hold.cedar:" in result.output
    assert "matches step 2: git push origin main" in result.output
    assert "Nearest rule that allows" in result.output
    told = json.loads(RUNNER.invoke(root, ["policy", "explain", "git push origin main", "--json"]).output)
    assert told["decision"]["verdict"] == "hold"
    assert told["rules"][0]["matched"] == "git push origin main"


def test_explain_reads_other_kinds():
    file = RUNNER.invoke(root, ["policy", "explain", "--kind", "file", "--operation", "write", "/etc/hosts"])
    tool = RUNNER.invoke(root, ["policy", "explain", "--kind", "mcp", '{"server": "github", "tool": "x"}'])
    page = RUNNER.invoke(root, ["policy", "explain", "--kind", "http", "https://example.org"])
    assert all("It would be held" in result.output for result in (file, tool, page))
    for wrong in (["--kind", "mcp", "{"], ["--kind", "sql", "select 1"]):
        assert RUNNER.invoke(root, ["policy", "explain", *wrong]).exit_code == 2


def test_characters_that_steer_a_terminal_are_shown_by_number():
    assert visible("a\x1b[2Jb\u202ec\n") == "a<U+001B>[2Jb<U+202E>c<U+000A>"
    assert visible("é ok") == "é ok"


def test_the_home_s_working_copy_is_the_default(tmp_path):
    write(tmp_path / "home" / "policy", {"policy.toml": b'name = "mine"', "rules/a.cedar": BASE.encode()})
    assert "mine" in RUNNER.invoke(root, ["policy", "test"]).output
