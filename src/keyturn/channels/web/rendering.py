"""Templates and assets. Escaping is always on, and every expression's hidden characters are shown: no author has to think of it.

`finalize` runs on each `{{ … }}` and gives plain text with tokens such as ‹U+202E›, which the escaping then makes safe in
element content and in quoted attributes alike. Only the functions of `reveal` and `exact` make `Markup`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup
from msgspec import Struct

from keyturn import __version__
from keyturn.channels.web import wording
from keyturn.channels.web.reveal import hidden_in, marked, mixed_words, plain

_HERE = Path(__file__).parent
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".png": "image/png"}


class Asset(Struct, frozen=True):
    """A file that pages refer to, as served."""

    body: bytes
    compressed: bytes
    media_type: str


def _load_assets() -> dict[str, Asset]:
    return {
        path.name: Asset(path.read_bytes(), gzip.compress(path.read_bytes(), 9, mtime=0), _TYPES[path.suffix])
        for path in sorted((_HERE / "assets").iterdir())
        if path.suffix in _TYPES
    }


ASSETS = _load_assets()
ASSETS_DIGEST = hashlib.sha256(
    b"".join(name.encode() + asset.body for name, asset in ASSETS.items())
).hexdigest()[:16]
"""In the address of every asset, so that a new version is never mixed with an old one from a cache."""


def finalize(value: Any) -> Any:
    """What every template expression goes through."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return plain(value)
    return value


def path(*parts: str) -> str:
    """A local address whose parts can't break out of their place: `path("requests", id)`."""
    return "/" + "/".join(quote(part.encode("utf-8", "replace"), safe="") for part in parts)


def pretty(value: Any) -> str:
    """A JSON value for reading, non-ASCII kept (it is revealed when shown)."""
    return (
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
    )


def _environment() -> jinja2.Environment:
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        finalize=finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.globals.update(
        path=path,
        assets=f"/assets/{ASSETS_DIGEST}",
        version=__version__,
        words=wording,
        hidden_in=hidden_in,
        mixed_words=mixed_words,
    )
    env.filters["marked"] = marked
    env.filters["pretty"] = pretty
    return env


_ENVIRONMENT = _environment()


def render(template: str, **values: Any) -> str:
    """A page or fragment."""
    return _ENVIRONMENT.get_template(template).render(**values)
