"""OCSF events, held against the schema itself (1.8.0, as `ocsf-json-schema` brings it): what is wrong with one, in words.

Beside the schema's own types, names, requirements and enumerations it looks at what only prose asks for: `type_uid` is made of class and
activity, the text beside an enumeration (`status` beside `status_id`) is its caption, and no profile's attributes are used untold.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from ocsf_json_schema.embedded import OcsfJsonSchemaEmbedded
from ocsf_json_schema.loader import get_ocsf_schema

VERSION = "1.8.0"


@cache
def _schema() -> tuple[Any, Any]:
    compiled = get_ocsf_schema(VERSION)
    return compiled, OcsfJsonSchemaEmbedded(compiled)


@cache
def _validator(kind: int, profiles: tuple[str, ...]) -> Any:
    known = _schema()[1]
    return Draft202012Validator(
        known.get_class_schema(known.lookup_class_name_from_uid(kind), list(profiles))
    )


def problems(event: dict[str, Any]) -> list[str]:
    """Everything that is wrong with *event*."""
    kind = event.get("class_uid")
    if kind not in {one["uid"] for one in _schema()[0]["classes"].values()}:
        return [f"class_uid: there is no class {kind!r}"]
    metadata = event.get("metadata")
    profiles = metadata.get("profiles", []) if isinstance(metadata, dict) else []
    found = [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"
        for error in _validator(kind, tuple(profiles)).iter_errors(event)
    ]
    if event.get("type_uid") != kind * 100 + event.get("activity_id", -1):
        found.append("type_uid: it is class_uid * 100 + activity_id")
    if not isinstance(metadata, dict) or metadata.get("version") != VERSION:
        found.append(f"metadata/version: it is not {VERSION}")
    name = _schema()[1].lookup_class_name_from_uid(kind)
    return [*found, *_captions(event, _schema()[0]["classes"][name]["attributes"], "")]


def _captions(told: dict[str, Any], attributes: dict[str, Any], path: str) -> Iterator[str]:
    """Texts that are not the caption of the number beside them; behind 99 (Other) any text is right."""
    for name, value in told.items():
        about = attributes.get(name, {})
        inner = _schema()[0]["objects"].get(about.get("object_type", ""), {}).get("attributes", {})
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict) and inner:
                yield from _captions(one, inner, f"{path}{name}/")
        sibling, captions = about.get("sibling"), about.get("enum")
        if sibling and captions and sibling in told and value != 99:
            caption = captions.get(str(value), {}).get("caption")
            if told[sibling] != caption:
                yield f"{path}{sibling}: {told[sibling]!r} beside {name} {value}, which is {caption!r}"
