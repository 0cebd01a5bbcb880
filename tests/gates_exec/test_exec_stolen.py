"""A reviewer's token used from inside an agent's session: refused and reported, whichever way it comes. From outside it passes.

The policy only observes and a reviewer lets pass what is held, so nothing stands between the agent and the stolen token but
where it is used from.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "gates"))

from test_exec_run import KEYTURN, Done, House

from keyturn.home import Home
from keyturn.policy.folder import STARTER, read_folder

OBSERVING = read_folder(STARTER)
OBSERVING["policy.toml"] = OBSERVING["policy.toml"].replace(b'"enforce"', b'"observe"')

WAYS = {
    "plain": "{approve}",
    "over loopback": "KEYTURN_URL={url} {approve}",
    "without the variable that a run sets": "env -u KEYTURN_SESSION {approve}",
    "in a session of its own": "setsid --wait env -u KEYTURN_SESSION {approve}",
    "left behind by its parent": "rm -f done; mkfifo done; (setsid sh -c '{approve} > out 2>&1; : > done' &); cat done",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("stolen"), OBSERVING)
    house.keyturn("person", "change", "erin", "--group", "reviewers", "--group", "policy")
    try:
        yield house
    finally:
        house.stop()


def proposed(house: House, name: str) -> tuple[str, str]:
    """A policy version that waits for somebody else: its request, and the digest that an approval names."""
    folder = house.work.parent / f"policy-{abs(hash(name))}"
    folder.mkdir()
    for path, data in OBSERVING.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    (folder / "README.md").write_text(f"For {name}.\n")
    view = json.loads(house.keyturn("policy", "publish", str(folder), "--json"))
    return view["id"], view["digest"]


def ran(house: House) -> Done:
    """The agent's run; what is held of it, a reviewer outside lets pass: the question here is what it may do then."""
    run = house.start("--agent", "tester", "--", "./agent")
    assert run.process.stderr is not None
    for line in run.process.stderr:
        run.err += line
        if "waiting for" in line and "(request " in line:
            house.decide("approve", line.rpartition("(request ")[2].split(")")[0])
    return run.end()


def findings(house: House) -> list[dict[str, object]]:
    return [
        one for one in json.loads(house.keyturn("findings", "--json")) if one["kind"] == "approval.from_agent"
    ]


@pytest.mark.parametrize("way", WAYS)
def test_a_stolen_reviewers_token_is_refused_inside_a_run_and_passes_outside(house: House, way: str) -> None:
    request, digest = proposed(house, way)
    url = json.loads((house.home / "run" / "server.json").read_text())["url"]
    words = [*KEYTURN, "approve", request, "--digest", digest, "--reason", "looks fine"]
    approve = f"env KEYTURN_TOKEN_FILE={house.token} {' '.join(json.dumps(w) for w in words)}"
    (house.work / "agent").write_text("#!/bin/sh\n" + WAYS[way].format(approve=approve, url=url) + "\n")
    (house.work / "agent").chmod(0o755)
    before = len(findings(house))
    done = ran(house)
    said = done.err + ((house.work / "out").read_text() if (house.work / "out").exists() else "")
    assert "auth.from_agent" in said, said
    assert json.loads(house.keyturn("show", request, "--json"))["state"] == "waiting"
    found = findings(house)
    assert len(found) == before + 1
    assert found[0]["subject"] == {
        "person": "erin",
        "session": done.told["session"],
        "route": f"POST /v1/requests/{request}/approve",
    }
    doctor = subprocess.run(
        [*KEYTURN, "doctor"], env=house.environment, capture_output=True, text=True, check=False
    )
    assert "was used from inside the agent's session" in doctor.stdout
    # Negative control: the same token and words, from outside.
    passed = subprocess.run(
        words,
        env={**house.environment, "KEYTURN_TOKEN_FILE": str(house.token)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert passed.returncode == 0, passed.stderr


def test_nor_does_it_make_links_tokens_or_agents_from_there(house: House) -> None:
    """Each of them would be a way around: a link opens a web session, an exchanged token acts for the person, a header names a proxy."""
    address = json.loads((house.home / "run" / "server.json").read_text())["url"].removeprefix("http://")
    script = [
        "import http.client, json, socket, sys, urllib.parse",
        f"token = open({str(house.token)!r}).read().strip()",
        "def call(path, body, kind):",
        "    c = http.client.HTTPConnection('localhost')",
        f"    c.sock = socket.socket(socket.AF_UNIX); c.sock.connect({str(Home(house.home).api_socket)!r})",
        "    c.request('POST', path, body, {'Content-Type': kind, 'Authorization': 'Bearer ' + token})",
        "    return json.loads(c.getresponse().read())",
        "form = {'grant_type': 'urn:ietf:params:oauth:grant-type:token-exchange', 'subject_token': token, 'agent': 'coder',",
        "        'subject_token_type': 'urn:ietf:params:oauth:token-type:access_token'}",
        "def forged(path):",
        f"    c = http.client.HTTPConnection({address!r})",
        "    c.request('POST', path, '{}', {'Content-Type': 'application/json', 'Authorization': 'Bearer ' + token,",
        "              'X-Forwarded-For': '192.0.2.1', 'Forwarded': 'for=192.0.2.1', 'X-Forwarded-Proto': 'https'})",
        "    return json.loads(c.getresponse().read())",
        "print(call('/v1/login', '{}', 'application/json')['error']['code'], forged('/v1/login')['error']['code'],",
        "      call('/v1/tokens', '{\"scopes\": [\"approve\"]}', 'application/json')['error']['code'],",
        "      call('/v1/token', urllib.parse.urlencode(form), 'application/x-www-form-urlencoded')['error']['code'])",
    ]
    (house.work / "steal.py").write_text("\n".join(script))
    (house.work / "agent").write_text(f"#!/bin/sh\nexec {sys.executable} steal.py\n")
    done = ran(house)
    assert done.out.split() == ["auth.from_agent"] * 4, done.err
    outside = subprocess.run(
        [sys.executable, "steal.py"],
        cwd=house.work,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "KeyError" in outside.stderr, "negative control: outside, none of them is an error"
