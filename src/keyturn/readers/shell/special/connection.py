"""How ssh gets to a host: settings given with `-o`, hosts on the way, forwarded ports. Sources: ssh(1), ssh_config(5)."""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec.structs import replace

from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.ceiling import anything
from keyturn.readers.shell.effects import connects
from keyturn.readers.shell.wordlist import words

_SETTING = re.compile(r"\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+)(?=(.?))", re.DOTALL)
_HOST = re.compile(r"(?:ssh://)?(?:[^@/]*@)?([A-Za-z0-9._-]+)(?::[0-9]+)?/?")
_TOKEN = re.compile(r"%(.?)", re.DOTALL)
_PLAIN = words(
    "addressfamily batchmode bindaddress bindinterface challengeresponseauthentication checkhostip ciphers clearallforwardings "
    "compression compressionlevel connectionattempts connecttimeout controlmaster controlpersist escapechar exitonforwardfailure "
    "fingerprinthash forkafterauthentication gssapiauthentication hashknownhosts hostbasedauthentication hostkeyalgorithms "
    "hostkeyalias identitiesonly ipqos kbdinteractiveauthentication kexalgorithms loglevel macs "
    "nohostauthenticationforlocalhost numberofpasswordprompts passwordauthentication port preferredauthentications protocol "
    "pubkeyacceptedalgorithms pubkeyacceptedkeytypes pubkeyauthentication rekeylimit requesttty requiredrsasize "
    "serveralivecountmax serveraliveinterval sessiontype setenv stdinnull stricthostkeychecking tcpkeepalive updatehostkeys user "
    "verifyhostkeydns visualhostkey"
)
"""Settings that run nothing, lend nothing and name no file."""
_READ = words("certificatefile globalknownhostsfile identityagent identityfile revokedhostkeys")
_LENT = {
    "forwardagent": "the keys of this machine",
    "forwardx11": "the display of this machine",
    "forwardx11trusted": "the display of this machine",
    "gssapidelegatecredentials": "the tickets of this machine",
}
_LINES = words("proxycommand localcommand remotecommand")
"""Settings whose value is the rest of the line, quotes and all, for a shell."""
_FORWARDED = words("dynamicforward gatewayports localforward remoteforward tunnel tunneldevice")
_LIBRARIES = words("pkcs11provider securitykeyprovider xauthlocation")


def setting(value: Argument, host: Argument | None, call: Call) -> None:
    """One `-o Name=value`, for a connection to *host*."""
    match = _SETTING.match(value.text if value.known else value.prefix)
    if match is None:
        if value.known:
            call.refuse(f"A setting of {call.program} that is not described", value.span)
        else:
            anything(call)
        return
    name = match.group(1).lower()
    given = replace(value.without(value.text[: match.end()]), span=value.span)
    if given.known and name not in _LINES:
        given = replace(given, text=given.text.strip().strip('"'))
    _set(name, given, host, call)


def _set(name: str, value: Argument, host: Argument | None, call: Call) -> None:
    if name in _PLAIN:
        return
    if name in _READ:
        _files(value, call, ("reads",))
    elif name == "userknownhostsfile":
        _files(value, call, ("reads", "writes"))
    elif name == "controlpath":
        _files(value, call, ("writes",))
    elif name in _LENT:
        if not (value.known and value.text.lower() == "no"):
            call.add("grants", _LENT[name], "system")
    elif name in _FORWARDED:
        forwards(name, value, host, call)
    elif name in _LIBRARIES:
        call.code(value)
    elif name in _OTHERS:
        _OTHERS[name](value, host, call)
    else:
        call.refuse(f"The setting {name} of {call.program} is not described", value.span)


def _files(value: Argument, call: Call, verbs: tuple[str, ...]) -> None:
    """Names of files, told apart by blanks; `none` is no file, and `%` stands for something of the connection."""
    if not value.known or "%" in value.text or "${" in value.text:
        places = [replace(value, known=False, wild=False)]
    else:
        places = [replace(value, text=text) for text in value.text.split() if text != "none"]
    for place in places:
        for verb in verbs:
            if verb == "reads":
                call.path("reads", place)
            else:
                call.path("writes", place)


def _proxy(value: Argument, host: Argument | None, call: Call) -> None:
    """A command for the shell here, with tokens for the host, its port and the user."""
    if not value.known:
        call.refuse("A script whose text is only known when it runs", value.span)
        return
    if value.text.strip() == "none":
        return
    filled = {"%": "%", "p": "22", "r": "user"}
    if host is not None and host.known and _HOST.fullmatch(host.text):
        filled["h"] = filled["n"] = host.text.rsplit("@", 1)[-1]
    if any(token.group(1) not in filled for token in _TOKEN.finditer(value.text)):
        call.refuse("A command of ssh with a token that is not described", value.span)
        return
    call.line(_TOKEN.sub(lambda m: filled[m.group(1)], value.text), value.span)


def _named(value: Argument, host: Argument | None, call: Call) -> None:
    """`HostName`: the host that is really gone to."""
    del host
    jumps(value, call)


def _sent(value: Argument, host: Argument | None, call: Call) -> None:
    del host
    call.add("sends", f"variables {value.text}", "network")


def _there(value: Argument, host: Argument | None, call: Call) -> None:
    del host
    call.add("executes", value.text, "network")


_OTHERS: dict[str, Callable[[Argument, Argument | None, Call], None]] = {
    "hostname": _named,
    "localcommand": _proxy,
    "proxycommand": _proxy,
    "proxyjump": lambda value, host, call: jumps(value, call),
    "remotecommand": _there,
    "sendenv": _sent,
}


def jumps(value: Argument, call: Call) -> None:
    """Hosts on the way (`-J a,b`), or the one that a name stands for."""
    for text in value.text.split(","):
        match = _HOST.fullmatch(text)
        if value.known and text == "none":
            continue
        if value.known and match:
            connects(match.group(1), call)
        else:
            call.add("connects", text, "network")


def forwards(name: str, value: Argument, host: Argument | None, call: Call) -> None:
    """Ports and sockets that one side opens and the other side connects on."""
    call.add("configures", f"forwarding {value.text}", "network")
    call.add("connects", value.text, "network")
    if name in ("-R", "remoteforward"):
        call.add("sends", host.text if host else value.text, "network")
    if "/" in value.text:
        first = value.text.split(":", 1)[0]
        call.path("writes", replace(value, text=first) if value.known else value)


__all__ = ["forwards", "jumps", "setting"]
