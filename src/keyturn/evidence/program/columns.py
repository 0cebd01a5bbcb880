"""A bundle of the log taken apart at once, where all of it is in its one form: columns of what its entries are made of.

What it keeps: a bundle is given as columns only if looking at each entry by itself finds nothing wrong with its leaves, its numbers and
times, its lines, and what each disclosure is committed to by. Anything else is looked at entry by entry, which says what is wrong.
"""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Iterable, Mapping
from hashlib import sha256
from itertools import accumulate, chain, islice, repeat
from operator import lt
from typing import Any, NamedTuple

LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
TO_URL = bytes.maketrans(b"+/", b"-_")
FROM_URL = bytes.maketrans(b"-_", b"+/")
QUOTES = [b"", *(b'"' + b'","' * number + b'"' for number in range(2048))]
_BEGINS = b'{"_sd":['
_LEAVES = re.compile(
    rb'(?s:(..))(\{"_sd":\[([^\]]{0,65535})\],"_sd_alg":"sha-256","index":(0|[1-9][0-9]{0,15})'
    rb'(?:,"n":([1-9][0-9]{0,15}),"session":("[ !#-\[\]-~]{1,128}"))?'
    rb',"time":(0|[1-9][0-9]{0,15}),"type":"([a-z]+(?:\.[a-z]+)+)","v":1\})'
)
"""Leaves one after the other with their lengths, as `_HEADER` has them, but for sessions that are written with a backslash."""
_MANY = 257
_COUNTS = {quotes: count for count, quotes in enumerate(QUOTES[:_MANY])}
_SHOWN = {b"[" + quotes + b"]": count for quotes, count in _COUNTS.items()}
"""What is left without its letters, of a leaf's digests and of a line of disclosures: how many there are."""
_SIXTY_FOUR = 64
_UNPACKED = struct.Struct("43sx" * _SIXTY_FOUR)
"""Digests and what fills each up, taken apart in one call."""


class Columns(NamedTuple):
    """A bundle taken apart: its leaves, all disclosures, what follows the salt of each, and the time of its first entry.

    `entries`: type, session, number in it, time, how many digests its leaf has, and how many disclosures its line.
    """

    leaves: list[bytes]
    parts: list[bytes]
    after: list[bytes]
    first: int
    entries: Iterable[tuple[bytes, bytes, bytes, int, int, int]]


def columns_of(data: bytes, content: bytes, index: int, width: int, since: int) -> Columns | None:
    """The bundle of *width* entries from *index* on, with the leaves *data* and the lines *content*, none older than *since*.

    None unless each leaf and line is in its one form, numbers and times are in order, and each disclosure has its salt and is one that
    its own leaf commits to, once: then it has to be looked at entry by entry, which says what is wrong with which.
    """
    taken = _apart_leaves(data, index, width, since)
    skeleton = content.translate(None, LETTERS)
    shown = _counted(_SHOWN, skeleton[:-1], width)
    if taken is None or shown is None or skeleton[-1:] != b"\n":
        return None
    leaves, committed, owners, kinds, sessions, numbers, times = taken
    parts = content.split(b'"')[1::2]
    # quotes and brackets are where they belong, and no letter lies outside of quotes
    if sum(map(len, parts)) + len(skeleton) != len(content):
        return None
    try:
        digests = digests_of(parts)
        here = list(map(owners.pop, digests))
    except (ValueError, KeyError):
        return None
    if here != list(chain.from_iterable(map(repeat, range(width), shown))):
        return None
    after = [part[36:] for part in parts]
    entries = zip(kinds, sessions, numbers, times, committed, shown)
    return Columns(leaves, parts, after, times[0], entries)


def _apart_leaves(data: bytes, index: int, width: int, since: int) -> Any:
    """(leaves, how many digests each has, digest → its leaf's place, types, sessions, numbers, times), or None."""
    if data.count(_BEGINS) != width:
        return None
    found = _LEAVES.findall(data)
    if len(found) != width:
        return None
    before, leaves, quoted, said, numbers, sessions, times, kinds = map(list, zip(*found))
    lengths = list(map(len, leaves))
    # what was found is all that there is, and each leaf is as long as is said before it
    if sum(lengths) + 2 * width != len(data) or b"".join(before) != struct.pack(">%dH" % width, *lengths):
        return None
    moments = list(map(int, times))
    if list(map(int, said)) != list(range(index, index + width)) or sorted([since, *moments])[1:] != moments:
        return None
    text = b"\n".join(quoted)
    counts = _counted(_COUNTS, text.translate(None, LETTERS), width)
    if counts is None:
        return None
    digests = text.split(b'"')[1::2]
    if not {43}.issuperset(map(len, digests)) or len(text) != width - 1 + sum(
        [46 * count - 1 for count in counts if count]
    ):
        return None
    rising = bytearray(map(lt, digests, islice(digests, 1, None)))
    for end in accumulate(counts):
        if 0 < end <= len(rising):
            rising[end - 1] = 1
    owners = dict(zip(digests, chain.from_iterable(map(repeat, range(width), counts))))
    if 0 in rising or len(owners) != len(digests):
        return None
    return leaves, counts, owners, kinds, sessions, numbers, moments


def _counted(forms: Mapping[bytes, int], text: bytes, width: int) -> list[int] | None:
    """How many things each of *width* lines has, by its form; None if one has no such form, or there are more or fewer lines."""
    try:
        counts = [forms[line] for line in text.split(b"\n")]
    except KeyError:
        return None
    return counts if len(counts) == width else None


def digests_of(parts: list[bytes]) -> list[bytes]:
    """The digest of each disclosure, as leaves have it. Raises `ValueError` where one has no salt in its one form."""
    # a zero byte behind each digest makes each 44 characters, so that one call encodes all of them
    joined = binascii.b2a_base64(b"\0".join([sha256(part).digest() for part in parts]) + b"\0")
    text = joined.translate(TO_URL)
    # each begins with ["<22 letters>"," which is 27 bytes and 36 characters
    heads = binascii.a2b_base64(b"".join([part[:36] for part in parts]).translate(FROM_URL) + b"==")
    if heads.translate(None, LETTERS) != b'["","' * len(parts) or heads[24::27] + heads[
        26::27
    ] != b'"' * 2 * len(parts):
        raise ValueError("It has a disclosure whose salt is not 128 bits in 22 letters.")
    whole = len(parts) // _SIXTY_FOUR * _SIXTY_FOUR
    found = list(chain.from_iterable(_UNPACKED.iter_unpack(text[: 44 * whole])))
    return found + [text[at : at + 43] for at in range(44 * whole, 44 * len(parts), 44)]
