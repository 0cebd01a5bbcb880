"""A private view for a process tree: its own user, mount, IPC and network namespaces, with only what it was given in them.

A new root is put together out of nothing: what isn't named isn't there, neither its files nor its sockets. Works as an ordinary
user where the kernel lets one have user namespaces. The caller must be single-threaded, and afterwards has no capabilities.

Sources: user_namespaces(7), mount_namespaces(7), pivot_root(2), open_tree(2), mount_setattr(2), move_mount(2), capabilities(7),
netdevice(7); the order of steps is that of bubblewrap.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import stat
import struct
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from keyturn.gates.exec import kernel

_NEW_NS, _NEW_IPC, _NEW_USER, _NEW_NET = 0x00020000, 0x08000000, 0x10000000, 0x40000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 2, 4, 8, 16384, 1 << 18
_MNT_DETACH = 2
_RDONLY, _NOSUID, _NODEV, _NOEXEC = 1, 2, 4, 8  # MOUNT_ATTR_*
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR, _OPENAT2 = 428, 429, 442, 437
_TREE_CLONE, _CLOEXEC, _EMPTY_PATH, _RECURSIVE = 1, os.O_CLOEXEC, 0x1000, 0x8000
_FROM_EMPTY, _TO_EMPTY = 0x4, 0x40  # MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH
_NO_LINKS, _IN_ROOT = 0x04, 0x10  # RESOLVE_NO_SYMLINKS, RESOLVE_IN_ROOT
_CAPBSET_DROP, _CAP_AMBIENT, _AMBIENT_CLEAR = 24, 47, 4
_CAPABILITY_VERSION = 0x20080522
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _UP = 0x8913, 0x8914, 1
_PRIVATE_SIZE = "25%"
"""Largest private folder, as a share of memory (tmpfs(5))."""

_libc = ctypes.CDLL(None, use_errno=True)
_mount = _libc.mount
_mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)

Kind = Literal["bind", "private", "empty", "mask", "link", "terminals"]


class Place(Struct, frozen=True):
    """One thing in the view, at the absolute `path`.

    `bind`: what lies there outside. `private`: a new folder of the tree's own, gone with it. `empty`: a folder, empty, and
    not to be written. `mask`: an empty file. `link`: a symbolic link to `target`. `terminals`: a devpts of its own.
    """

    path: str
    kind: Kind = "bind"
    writable: bool = False
    executable: bool = False
    devices: bool = False
    target: str = ""


class NoView(OSError):
    """The private view can't be had here; nothing was started."""


def enter(places: Iterable[Place], cwd: str, *, network: bool) -> None:
    """Make the view of *places* (folders before what is in them) the caller's only one, and go to *cwd* in it.

    With *network* the machine's network stays; otherwise there is one with a loopback of its own and nothing else. A place
    `/` keeps the whole tree. Raises `NoView`, saying what was in the way.
    """
    _step("the namespaces can't be made", _unshare, network)
    if not network:
        _step("the private network can't be set up", _loopback_up)
    _step("the mounts can't be made", _rooted, tuple(places))
    _step(f"the folder {cwd} is not in the view", os.chdir, cwd)
    _step("capabilities can't be given up", drop_capabilities)


def _step(what: str, do: object, *arguments: object) -> None:
    try:
        do(*arguments)  # type: ignore[operator]
    except NoView:
        raise
    except OSError as error:
        at = f" at {os.fsdecode(error.filename)}" if error.filename else ""
        raise NoView(error.errno or errno.EPERM, f"{what}: {error.strerror}{at}") from error


def _unshare(network: bool) -> None:
    kernel.dumpable(True)  # else what describes the caller in /proc is root's, and the maps can't be written
    uid, gid = os.geteuid(), os.getegid()
    if _libc.unshare(_NEW_USER | _NEW_NS | _NEW_IPC | (0 if network else _NEW_NET)) != 0:
        raise _failed()
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{uid} {uid} 1")
    _write("/proc/self/gid_map", f"{gid} {gid} 1")


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        request = struct.pack("16sh22x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(line, _SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(line, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _UP))


# --- the new root ----------------------------------------------------------------------------------


def _rooted(places: tuple[Place, ...]) -> None:
    mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    mount("tmpfs", "/tmp", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755")  # noqa: S108 (a folder every system has)
    os.mkdir("/tmp/new", 0o755)  # noqa: S108
    os.mkdir("/tmp/old", 0o755)  # noqa: S108
    pivot_root("/tmp", "/tmp/old")  # noqa: S108
    os.chdir("/")
    whole = any(place.path == "/" and place.kind == "bind" for place in places)
    if not whole:
        mount("tmpfs", "/new", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755")
    old = os.open("/old", os.O_PATH | os.O_CLOEXEC)
    try:
        view = _View(old, whole)
        for place in places:
            view.put(place)
        view.finish()
    finally:
        os.close(old)
    os.chdir("/new")
    pivot_root(".", ".")
    if _libc.umount2(b".", _MNT_DETACH) != 0:
        raise _failed()
    os.chdir("/")


class _View:
    """The new root while it is put together, at `/new`; *old* is where everything is taken from."""

    def __init__(self, old: int, whole: bool) -> None:
        self._old = old
        self._whole = whole
        self._new = -1 if whole else os.open("/new", os.O_PATH | os.O_CLOEXEC)
        self._mask = -1

    def put(self, place: Place) -> None:
        try:
            self._put(place)
        except OSError as error:
            raise OSError(error.errno, error.strerror, place.path) from error

    def _put(self, place: Place) -> None:
        match place.kind:
            case "bind":
                self._bind(place)
            case "link":
                os.symlink(place.target, f"/new{place.path}")
            case "mask":
                self._attach(self._masking(), place, self._target(place.path, folder=False))
            case "private" | "empty":
                target = self._target(place.path, folder=True)
                options = "mode=700" if place.path not in ("/tmp", "/var/tmp", "/dev/shm") else "mode=1777"  # noqa: S108
                options = f"{options},size={_PRIVATE_SIZE}" if place.kind == "private" else "mode=555,size=4k"
                self._mounted("tmpfs", options, place, target)
            case "terminals":
                target = self._target(place.path, folder=True)
                self._mounted("devpts", "newinstance,ptmxmode=0666,mode=620", place, target)

    def finish(self) -> None:
        """The root's own folders are made, so nothing is to be written there any more."""
        if not self._whole:
            _set(self._new, _RDONLY)
            os.close(self._new)
        if self._mask >= 0:
            os.close(self._mask)

    def _bind(self, place: Place) -> None:
        source = _open(self._old, place.path, _NO_LINKS)
        try:
            folder = stat.S_ISDIR(os.fstat(source).st_mode)
            root = place.path == "/"
            target = os.open("/new", os.O_PATH) if root else self._target(place.path, folder=folder)
            self._attach(source, place, target)
            if root:
                self._new = os.open("/new", os.O_PATH | os.O_CLOEXEC)
        finally:
            os.close(source)

    def _attach(self, source: int, place: Place, target: int) -> None:
        """A copy of the mounts at *source*, with fewer rights, at *target*, which is closed."""
        flags = _TREE_CLONE | _CLOEXEC | _EMPTY_PATH | _RECURSIVE
        try:
            tree = kernel.call(_OPEN_TREE, source, b"", flags)
            try:
                _set(tree, _attributes(place), recursive=True)
                kernel.call(_MOVE_MOUNT, tree, b"", target, b"", _FROM_EMPTY | _TO_EMPTY)
            finally:
                os.close(tree)
        finally:
            os.close(target)

    def _mounted(self, kind: str, options: str, place: Place, target: int) -> None:
        try:
            attributes = _attributes(place)
            flags = _MS_NOSUID
            flags |= _MS_NODEV if attributes & _NODEV else 0
            flags |= _MS_NOEXEC if attributes & _NOEXEC else 0
            flags |= 1 if attributes & _RDONLY and place.kind == "empty" else 0
            mount(kind, f"/old/proc/self/fd/{target}", kind, flags, options)
        finally:
            os.close(target)

    def _masking(self) -> int:
        """The empty file that is seen instead of what is masked: on a mount of its own, and nowhere to be found."""
        if self._mask < 0:
            os.mkdir("/mask", 0o700)
            mount("tmpfs", "/mask", "tmpfs", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, "mode=700,size=4k")
            made = os.open("/mask/empty", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o444)
            os.close(made)
            self._mask = os.open("/mask/empty", os.O_PATH | os.O_CLOEXEC)
        return self._mask

    def _target(self, path: str, *, folder: bool) -> int:
        """Where *path* is to be seen, made if there is nothing yet."""
        try:
            return _open(self._new, path, _IN_ROOT | _NO_LINKS)
        except FileNotFoundError:
            pass
        parent = "/new"
        for name in path.strip("/").split("/")[:-1]:
            parent = f"{parent}/{name}"
            if not os.path.lexists(parent):
                os.mkdir(parent, 0o755)
        if folder:
            os.mkdir(f"/new{path}", 0o755)
        else:
            os.close(os.open(f"/new{path}", os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o444))
        return _open(self._new, path, _IN_ROOT | _NO_LINKS)


def _attributes(place: Place) -> int:
    attributes = _NOSUID
    if not place.writable:
        attributes |= _RDONLY
    if not place.executable:
        attributes |= _NOEXEC
    return attributes if place.devices else attributes | _NODEV


def _open(folder: int, path: str, resolve: int) -> int:
    how = struct.pack("<QQQ", os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW, 0, resolve)
    name = os.fsencode(path.strip("/") or ".")
    return kernel.call(
        _OPENAT2, folder, ctypes.c_char_p(name), ctypes.c_char_p(how), ctypes.c_size_t(len(how))
    )


def _set(fd: int, attributes: int, *, recursive: bool = False) -> None:
    packed = struct.pack("<QQQQ", attributes, 0, 0, 0)
    flags = _EMPTY_PATH | (_RECURSIVE if recursive else 0)
    kernel.call(_MOUNT_SETATTR, fd, b"", flags, ctypes.c_char_p(packed), ctypes.c_size_t(len(packed)))


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """mount(2). Raises `OSError`."""
    names = [os.fsencode(one) if one else None for one in (source, target, kind)]
    if _mount(names[0], names[1], names[2], flags, options.encode() or None) != 0:
        raise _failed()


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2). Raises `OSError`."""
    kernel.call(kernel.PIVOT_ROOT, os.fsencode(new), os.fsencode(old))


def drop_capabilities() -> None:
    """Give up every capability for ever, also what root would get back when it executes something."""
    _libc.prctl(_CAP_AMBIENT, _AMBIENT_CLEAR, 0, 0, 0)
    for number in range(64):
        if _libc.prctl(_CAPBSET_DROP, number, 0, 0, 0) != 0:
            break  # there are no more
    header = struct.pack("<Ii", _CAPABILITY_VERSION, 0)
    if _libc.capset(ctypes.c_char_p(header), ctypes.c_char_p(bytes(24))) != 0:
        raise _failed()


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _failed() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))


__all__ = ["NoView", "Place", "drop_capabilities", "enter"]
