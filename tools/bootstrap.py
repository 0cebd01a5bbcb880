#!/usr/bin/env python3
"""Puts a working `uv` at build/tools/uv, with nothing but the standard library.

In this order: the uv that is already there; one on PATH, if recent; `pip`, if this Python has it; else the wheel from the
package index, checked against a pinned SHA-256. Prints one line; exits 0, or 1 with one line that says what to do.

Settings (all optional): UV_DEFAULT_INDEX, UV_INDEX_URL, PIP_INDEX_URL, pip.conf (index-url, extra-index-url), SSL_CERT_FILE,
PIP_CERT, https_proxy. This file runs on old Pythons, too, so that they get a sentence and not a syntax error.
"""

import base64
import configparser
import hashlib
import html
import io
import os
import platform
import re
import shutil
import ssl
import stat
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile

NEEDED_PYTHON = (3, 11)
VERSION = "0.13.8"
OLDEST = (0, 13, 0)
"""The oldest uv that is used when it is on PATH: the lock file is written in its revision."""

PUBLIC_INDEX = "https://pypi.org/simple"
TIMEOUT = 60
"""Seconds without a byte from the index before giving up."""

WHEELS = {
    "manylinux_2_17_x86_64.manylinux2014_x86_64": "e18a57b8b352eb7c8feb317b9f6f533c8f0ad9673fd6cf34bbe3cf1a9f6a8984",
    "musllinux_1_1_x86_64": "29451c60f5e8b07403e0a175d5229efc36b0289b34143ff4aaa499a5dd52553a",
    "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64": (
        "0b3e8b1a4f5e405e31e2ff33de8af4744831e9f7338539671efbd8c3c94e791d"
    ),
    "manylinux_2_17_armv7l.manylinux2014_armv7l": "86f1319f851e645bc295bb921e6be19beae7e69216c75ae809010ca7817393aa",
    "manylinux_2_17_i686.manylinux2014_i686": "5ace7ec339798aca31be51a75fa7c1544fe84e02fadd17a9fa3324813bbaf237",
    "manylinux_2_17_ppc64le.manylinux2014_ppc64le": "6999618363d03a0a085a9491db319e00b461dbda205db06ef1fd55dfcbf6472b",
    "manylinux_2_17_s390x.manylinux2014_s390x": "13050c64530a1ccfc223af0306a8152d41c0d36ea63bc19161221ca65dfe480a",
    "manylinux_2_31_riscv64": "b26fe533dc6153787e40443b7d9428ed41349127bff36a954ec82c48be01ded9",
    "macosx_10_12_x86_64": "b7124ca1956ec2e476a1003ea5715a15f0266afaec37f4dc9c6972ba8183e6d1",
    "macosx_11_0_arm64": "62b6943c7fd64fac6854f780bea6e0359e5a5bc3241f83ee357bb38276afac49",
}
"""Platform tag of each wheel of VERSION, and the SHA-256 of the file."""


class Failed(Exception):
    """Set-up can't go on; the text says why and what to do."""


def main(folder):
    """Make sure that *folder*/uv works."""
    if sys.version_info < NEEDED_PYTHON:
        needed = ".".join(map(str, NEEDED_PYTHON))
        raise Failed(
            f"Keyturn needs Python {needed} or newer; {sys.executable} is {platform.python_version()}."
            " Install a newer one and say which: make PYTHON=python3.12 ..."
        )
    target = os.path.join(folder, "uv")
    if (version_of(target) or (0,)) >= OLDEST:
        return None
    os.makedirs(folder, exist_ok=True)
    found = shutil.which("uv")
    if found and (version_of(found) or (0,)) >= OLDEST:
        write_wrapper(target, found)
        return f"set-up: using {found}"
    wheel = wheel_from_pip(folder) or wheel_from_index()
    unpack(wheel, target)
    if version_of(target) is None:
        os.unlink(target)
        raise Failed(
            "The uv that was installed does not run on this machine. Install uv by hand: https://docs.astral.sh/uv/"
        )
    return f"set-up: installed uv {VERSION} into {folder}"


def version_of(program):
    """(major, minor, patch) of a uv that runs, else None."""
    if not os.access(program, os.X_OK):
        return None
    try:
        done = subprocess.run(
            [program, "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(rb"uv (\d+)\.(\d+)\.(\d+)", done.stdout)
    return tuple(int(number) for number in found.groups()) if found and done.returncode == 0 else None


def write_wrapper(target, program):
    """*target* runs *program*: not a link, because shims look at the name they are called by."""
    quoted = "'" + program.replace("'", "'\\''") + "'"
    place(target, (f'#!/bin/sh\nexec {quoted} "$@"\n').encode())


def place(target, data):
    """Write an executable file in one step, so that a broken set-up never leaves half of one."""
    handle, draft = tempfile.mkstemp(dir=os.path.dirname(target) or ".")
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    os.chmod(draft, stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
    os.replace(draft, target)


# --- pip -------------------------------------------------------------------------------------------


def wheel_from_pip(folder):
    """The wheel's bytes through pip, which knows this machine's index, proxy and certificates; None without pip or luck."""
    try:
        import pip  # noqa: F401
    except ImportError:
        return None
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        hashes = os.path.join(scratch, "uv.txt")
        with open(hashes, "w") as file:
            file.write(
                f"uv=={VERSION}" + "".join(f" --hash=sha256:{known}" for known in WHEELS.values()) + "\n"
            )
        command = [
            sys.executable,
            "-m",
            "pip",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "download",
        ]
        command += ["--no-deps", "--only-binary=:all:", "--require-hashes", "--dest", scratch, "-r", hashes]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wheels = [name for name in os.listdir(scratch) if name.endswith(".whl")]
        if done.returncode or len(wheels) != 1:
            return None
        with open(os.path.join(scratch, wheels[0]), "rb") as file:
            data = file.read()
    return data if hashlib.sha256(data).hexdigest() in WHEELS.values() else None


# --- the index itself -----------------------------------------------------------------------------------


def wheel_from_index():
    """The wheel's bytes from the first index that has them."""
    tag = platform_tag()
    name = f"uv-{VERSION}-py3-none-{tag}.whl"
    problems = []
    for index in indexes():
        try:
            return checked(fetch(link(index, name)), WHEELS[tag])
        except (OSError, ValueError, Failed) as problem:
            problems.append(f"{without_password(index)}: {reason(problem)}")
    raise Failed(
        "uv can't be installed ({}). Install uv yourself (https://docs.astral.sh/uv/), or set UV_DEFAULT_INDEX to an index"
        " that this machine reaches, and SSL_CERT_FILE if it has its own certificate authority.".format(
            "; ".join(problems)
        )
    )


def platform_tag():
    """The tag of the wheel for this machine."""
    machine = {"amd64": "x86_64", "arm64": "aarch64", "i386": "i686", "armv8l": "armv7l"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    if sys.platform == "darwin":
        fitting = "arm64" if machine == "aarch64" else "10_12_x86_64"
    elif platform.libc_ver()[0] != "glibc":
        fitting = "musllinux_1_1_" + machine
    else:
        fitting = "linux_2_17_" + machine if machine != "riscv64" else "riscv64"
    for tag in WHEELS:
        if fitting in tag:
            return tag
    raise Failed(
        f"There is no ready-made uv for {sys.platform} on {machine}. Install it by hand: https://docs.astral.sh/uv/"
    )


def indexes():
    """The configured package indexes, the first one to be asked first."""
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if os.environ.get(name):
            return [re.sub(r"^[A-Za-z0-9_.-]+=", "", os.environ[name])]  # uv lets an index have a name
    home = os.path.expanduser("~")
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    found = configparser.ConfigParser(interpolation=None)
    files = [
        "/etc/xdg/pip/pip.conf",
        "/etc/pip.conf",
        os.path.join(home, ".pip", "pip.conf"),
        os.path.join(config, "pip", "pip.conf"),
    ]
    try:
        found.read(files + [os.environ.get("PIP_CONFIG_FILE", "")])
    except (OSError, configparser.Error, UnicodeDecodeError):
        pass  # a pip.conf that pip couldn't read either says nothing
    main_index = found.get("global", "index-url", fallback=PUBLIC_INDEX)
    return [main_index, *found.get("global", "extra-index-url", fallback="").split()]


def link(index, name):
    """The address of the file *name* on *index* (PEP 503)."""
    page_url = index.rstrip("/") + "/uv/"
    if page_url.startswith("file:"):
        page_url += "index.html"
    page = fetch(page_url).decode("utf-8", "replace")
    for found in re.finditer(rf"""href\s*=\s*["']([^"'#]*/)?{re.escape(name)}(#[^"']*)?["']""", page):
        return with_credentials(
            urllib.parse.urljoin(page_url, html.unescape(found.group(1) or "") + name), index
        )
    raise Failed(f"it does not have {name}")


def with_credentials(url, index):
    """*url* with the user and password of *index*, if it is on the same host."""
    ours, theirs = urllib.parse.urlsplit(url), urllib.parse.urlsplit(index)
    if "@" in theirs.netloc and theirs.netloc.rpartition("@")[2] == ours.netloc:
        ours = ours._replace(netloc=theirs.netloc)
    return urllib.parse.urlunsplit(ours)


def fetch(url):
    """The bytes at *url*."""
    parts = urllib.parse.urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(
        urllib.parse.urlunsplit(parts._replace(netloc=host)), headers={"Accept": "text/html, */*;q=0.5"}
    )
    if at:
        name, _, password = user.partition(":")
        pair = urllib.parse.unquote(name) + ":" + urllib.parse.unquote(password)
        request.add_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
    context = ssl.create_default_context()  # honours SSL_CERT_FILE and SSL_CERT_DIR
    for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE"):
        if os.path.isfile(os.environ.get(name, "")):
            context.load_verify_locations(os.environ[name])
    with urllib.request.urlopen(request, timeout=TIMEOUT, context=context) as answer:
        return answer.read()


def checked(data, sha256):
    """*data*, if it is the file that was pinned."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Failed("it gave a file whose SHA-256 is not the pinned one, so it was thrown away")
    return data


def unpack(wheel, target):
    """Write the program inside *wheel* to *target*."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        inside = [name for name in archive.namelist() if name.endswith(".data/scripts/uv")]
        if len(inside) != 1:
            raise Failed("The uv wheel does not hold the program where it is expected.")
        place(target, archive.read(inside[0]))


def reason(problem):
    """A problem in a few words."""
    if isinstance(problem, urllib.error.HTTPError):
        return f"it answered {problem.code}"
    if isinstance(problem, urllib.error.URLError):
        return str(problem.reason)
    return str(problem) or type(problem).__name__


def without_password(url):
    """*url* as it can be shown."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


if __name__ == "__main__":
    try:
        said = main(sys.argv[1] if len(sys.argv) > 1 else os.path.join("build", "tools"))
    except Failed as failed:
        sys.exit(f"set-up: {failed}")
    except OSError as problem:
        sys.exit(f"set-up: {problem}")
    except KeyboardInterrupt:
        sys.exit(130)
    if said:
        print(said)
