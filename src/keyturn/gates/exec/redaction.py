"""Secrets are masked before they reach a recording (promise 9). Pure: text in, text out.

Rules kept here:

- What `keyturn.redaction` finds in a text is masked here, too; the rules below are about what arrives in pieces, and err on the safe side.
- A line in which a secret may stand (`scan.hinted`) is kept back until it ends, as long as it is no longer than `MOST_LINE`.
- Tokens are found by their issuers' own prefixes and lengths (AWS, GitHub, GitLab, Slack, OpenAI, Google, JSON Web Tokens);
  values by the name before them (`password=…`, `Authorization: …`); private keys by their PEM armour (RFC 7468).
- A secret that arrives in pieces is masked like one that arrives whole: whatever could still become one is kept back until it
  can't, or ends.
- Colours and erasures inside a word don't hide it: they are looked through (ECMA-48 SGR and EL).
- What is kept back is bounded: a word longer than `MOST_HELD` is not recorded at all, which errs on the safe side.

What it can't see: a secret without a known form and without a name before it, or one whose letters an editor draws out of order.
"""

from __future__ import annotations

import re

from keyturn.redaction.scan import hinted, hits

MASK = "[masked]"
HIDDEN = "[hidden]"
MOST_HELD = 8_192
MOST_LINE = 2_000
"""Characters of an unfinished line that is kept back as a whole: whatever draws a screen never ends its lines."""

_QUIET_ESCAPE = re.compile(r"\x1b\[[0-9;:]*[mK]")
_OPEN_ESCAPE = re.compile(r"\x1b(?:\[[0-9;:?<=>!]*)?\Z")
_NAMES = (
    r"(?:pass(?:word|wd|phrase)?|secret|api[_-]?key|access[_-]?key|secret[_-]?key|auth[_-]?token|access[_-]?token|"
    r"client[_-]?secret|private[_-]?key|token|credentials?)"
)
_NAMED = rf"[\w-]{{0,64}}?{_NAMES}[\"']?[ \t]{{0,4}}[=:][ \t]{{0,4}}"
_HEADER = r"(?:proxy-)?authorization[\"']?[ \t]{0,4}[:=][ \t]{0,4}|x-api-key[ \t]{0,4}:[ \t]{0,4}|(?:set-)?cookie:[ \t]{0,4}"
_TOKENS = (
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}",
    r"(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,})",
    r"glpat-[\w-]{16,}",
    r"xox[abeoprs]-[\w-]{8,}|xapp-[\w-]{8,}",
    r"sk-[A-Za-z0-9_-]{16,}",
    r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
    r"AIza[\w-]{30,}",
    r"npm_[A-Za-z0-9]{30,}",
    r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*",
)
_TOKEN = re.compile(r"(?<![A-Za-z0-9])(?:" + "|".join(_TOKENS) + ")")
_VALUE = re.compile(
    rf"(?<![\w-])(?:{_HEADER})(?P<header>[^\r\n\"'\x1b]+)"
    rf"|(?<![\w-])(?:{_NAMED})(?P<value>\"[^\"\r\n]*\"?|'[^'\r\n]*'?|[^\s\"'&;,\x1b]+)"
    r"|://[^\s/:@]{0,256}:(?P<url>[^\s/@]+)@",
    re.IGNORECASE,
)
_OPENING = re.compile(rf"(?<![\w-])(?:{_HEADER})[^\r\n]*\Z|(?<![\w-])(?:{_NAMED})\Z", re.IGNORECASE)
_QUOTED = re.compile(rf"(?<![\w-])(?:{_NAMED})(?:\"[^\"\r\n]*|'[^'\r\n]*)\Z", re.IGNORECASE)
_WORD = re.compile(r"[^\s\x1b]+\Z")
_NAME_END = re.compile(
    rf"(?<![\w-])[\w-]{{0,64}}?(?:{_NAMES}|authorization|x-api-key)[\"']?[ \t]{{0,4}}\Z", re.IGNORECASE
)
_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_PEM_PARTIAL = re.compile(r"-{1,5}(?:\Z|B[A-Z0-9 -]{0,60}\Z)")
_PEM_BODY = re.compile(
    r"(?:[A-Za-z0-9+/=\s:,.\\()]|\x1b\[[0-9;:]*[mK]|-(?!----)|-{1,5}(?:\Z|E[A-Z0-9 -]{0,60}\Z))*"
)


def masked(text: str) -> str:
    """*text* whole, with what looks like a secret replaced by `MASK`."""
    redactor = Redactor()
    return redactor.feed(text) + redactor.flush()


class Redactor:
    """One stream of text. `feed` gives what is safe to record by now; `flush` the rest."""

    def __init__(self) -> None:
        self._held = ""
        self._in_key = False
        self._in_blob = False

    def feed(self, text: str) -> str:
        """Take *text*; give what can't become part of a secret any more."""
        self._held += text
        return self._take(ended=False)

    def flush(self) -> str:
        """The stream ended: give what was kept back, masked where it must be."""
        return self._take(ended=True)

    def _take(self, *, ended: bool) -> str:
        given: list[str] = []
        while self._held:
            if self._in_key and not self._leave_key():
                break
            if self._in_blob and not self._leave_blob():
                break
            begin = _PEM_BEGIN.search(self._held)
            if begin is not None:
                given += [_mask(self._held[: begin.start()]), MASK]
                self._held, self._in_key = self._held[begin.end() :], True
                continue
            cut = len(self._held) if ended else _safe(self._held)
            if len(self._held) - cut > MOST_HELD:
                given += [_mask(self._held[:cut]), MASK]
                self._held, self._in_blob = "", True
                break
            given.append(_mask(self._held[:cut]))
            self._held = self._held[cut:]
            break
        return "".join(given)

    def _leave_key(self) -> bool:
        """Drop the key's body; whether something else begins."""
        end = _PEM_END.search(self._held)
        body = _PEM_BODY.match(self._held)
        stop = body.end() if body else 0
        if end is not None and end.start() <= stop:
            self._held, self._in_key = self._held[end.end() :], False
            return True
        if stop < len(self._held):
            self._held, self._in_key = self._held[stop:], False
            return True
        self._held = self._held[-80:] if "-" in self._held[-80:] else ""
        return False

    def _leave_blob(self) -> bool:
        rest = re.search(r"[\s\x1b]", self._held)
        self._held, self._in_blob = (self._held[rest.start() :], False) if rest else ("", True)
        return rest is not None


def _seen(text: str) -> tuple[str, list[int]]:
    """*text* without colours and erasures, and where each of its characters (and its end) was."""
    if "\x1b" not in text:
        return text, []
    plain: list[str] = []
    places: list[int] = []
    at = 0
    for escape in _QUIET_ESCAPE.finditer(text):
        plain.append(text[at : escape.start()])
        places.extend(range(at, escape.start()))
        at = escape.end()
    plain.append(text[at:])
    places.extend(range(at, len(text) + 1))
    return "".join(plain), places


def _mask(text: str) -> str:
    plain, places = _seen(text)
    spans = [match.span() for match in _TOKEN.finditer(plain)]
    for match in _VALUE.finditer(plain):
        name = match.lastgroup or "value"
        start, end = match.span(name)
        spans.append((start, end))
    spans += _hits(plain)
    done: list[str] = []
    at = 0
    for start, end in sorted(spans):
        first = places[start] if places else start
        last = places[end - 1] + 1 if places else end
        if last <= at:
            continue
        if first >= at:
            done += [text[at:first], MASK]
        at = last
    return "".join([*done, text[at:]])


def _hits(plain: str) -> list[tuple[int, int]]:
    """Where `keyturn.redaction` finds secrets, in characters."""
    data = plain.encode("utf-8", "surrogatepass")
    found = [(hit.start, hit.end) for hit in hits(data)]
    if not found or len(data) == len(plain):
        return found
    return [tuple(len(data[:at].decode("utf-8", "surrogatepass")) for at in span) for span in found]  # type: ignore[misc]


def _safe(text: str) -> int:
    """How much of *text* can't become part of a secret, whatever follows."""
    escape = _OPEN_ESCAPE.search(text)
    whole = text[: escape.start()] if escape else text
    plain, places = _seen(whole)
    line = max(plain.rfind("\n"), plain.rfind("\r")) + 1
    starts = [len(plain)]
    if 0 < len(plain) - line <= MOST_LINE and hinted(plain[line:].encode("utf-8", "surrogatepass")):
        starts.append(line)
    for pattern in (_OPENING, _QUOTED, _WORD, _NAME_END, _PEM_PARTIAL):
        found = pattern.search(plain, line if pattern is not _WORD else max(line, len(plain) - 2 * MOST_HELD))
        if found is not None:
            starts.append(found.start())
    first = min(starts)
    for match in _VALUE.finditer(plain, line):  # a name and its value are cut apart nowhere
        if match.start() < first < match.end():
            first = match.start()
    return (places[first] if places else first) if first < len(plain) else len(whole)
