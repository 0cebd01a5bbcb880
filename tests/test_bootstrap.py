"""Set-up takes the pinned uv and no other, from the index this machine is configured for, and fails in one line."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "tools" / "bootstrap.py"
PROGRAM = b"#!/bin/sh\necho uv 0.13.8\n"


def wheel(program: bytes = PROGRAM) -> bytes:
    """A wheel that holds *program* where uv's does."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("uv-0.13.8.data/scripts/uv", program)
    return out.getvalue()


class Index:
    """A package index on this machine, remembering who asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.credentials: list[str | None] = []
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.credentials.append(self.headers.get("Authorization"))
                name = self.path.rpartition("/")[2]
                page = "".join(
                    f'<a href="../../files/{name}#sha256=0">x</a>\n' for name in index.files
                ).encode()
                body = page if self.path == "/simple/uv/" else index.files.get(name)
                self.send_response(200 if body is not None else 404)
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"


@pytest.fixture
def index() -> Iterator[Index]:
    made = Index()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def bootstrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, index: Index) -> ModuleType:
    """The set-up script on a machine without uv and pip, whose uv wheel is the one above."""
    spec = importlib.util.spec_from_file_location("bootstrap", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tag = module.platform_tag()
    index.files[f"uv-{module.VERSION}-py3-none-{tag}.whl"] = wheel()
    monkeypatch.setitem(module.WHEELS, tag, hashlib.sha256(wheel()).hexdigest())
    monkeypatch.setattr(module.shutil, "which", lambda _: None)
    monkeypatch.setitem(sys.modules, "pip", None)
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL", "PIP_CONFIG_FILE", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://{index.host}/simple")
    return module


def runs(folder: Path) -> bool:
    return subprocess.run([folder / "uv"], capture_output=True, check=True).stdout == b"uv 0.13.8\n"


def test_without_uv_and_pip_the_pinned_wheel_is_taken_from_the_index(
    bootstrap: ModuleType, tmp_path: Path
) -> None:
    assert "installed uv" in bootstrap.main(str(tmp_path))
    assert runs(tmp_path)
    assert bootstrap.main(str(tmp_path)) is None  # and not once more


def test_a_wheel_with_one_other_byte_is_thrown_away(
    bootstrap: ModuleType, index: Index, tmp_path: Path
) -> None:
    for name in index.files:
        index.files[name] = wheel(PROGRAM + b" ")
    with pytest.raises(bootstrap.Failed, match="SHA-256 is not the pinned one"):
        bootstrap.main(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_an_index_without_the_wheel_is_said_in_one_line(
    bootstrap: ModuleType, index: Index, tmp_path: Path
) -> None:
    index.files.clear()
    with pytest.raises(bootstrap.Failed, match="does not have uv-") as failed:
        bootstrap.main(str(tmp_path))
    assert "\n" not in str(failed.value)


def test_an_index_with_a_password_gets_it_and_nobody_else_sees_it(
    bootstrap: ModuleType, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"corp=http://ana:s%2Fecret@{index.host}/simple/")
    bootstrap.main(str(tmp_path))
    assert set(index.credentials) == {"Basic " + base64.b64encode(b"ana:s/ecret").decode()}
    index.files.clear()
    (tmp_path / "uv").unlink()
    with pytest.raises(bootstrap.Failed) as failed:
        bootstrap.main(str(tmp_path))
    assert "ecret" not in str(failed.value)


def test_the_index_of_pip_conf_is_asked_and_then_its_extra_ones(
    bootstrap: ModuleType, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    config = tmp_path / "pip.conf"
    config.write_text(
        f"[global]\nindex-url = http://{index.host}/nowhere\nextra-index-url = http://{index.host}/simple\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    bootstrap.main(str(tmp_path))
    assert runs(tmp_path)


def test_an_old_python_is_told_so(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 10, 4))
    with pytest.raises(bootstrap.Failed, match=r"needs Python 3\.11 or newer"):
        bootstrap.main(str(tmp_path))


def test_a_recent_uv_on_the_path_is_used_and_an_old_one_is_not(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "it's uv"
    monkeypatch.setattr(bootstrap.shutil, "which", lambda _: str(own))
    for version, used in (("0.99.0", True), ("0.4.0", False)):
        own.write_text(f"#!/bin/sh\necho uv {version}\n")
        own.chmod(0o755)
        said = bootstrap.main(str(tmp_path / version))
        assert (str(own) in said) is used
        assert runs(tmp_path / version) is not used


def test_a_machine_without_a_wheel_is_told_what_to_do(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap.platform, "machine", lambda: "sparc64")
    with pytest.raises(bootstrap.Failed, match="by hand"):
        bootstrap.platform_tag()
