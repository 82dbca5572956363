"""The JSON Schema of the lines of `records.jsonl`: generated from the types that are written there."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from pytest_mlperf.hardware import Inventory
from pytest_mlperf.record import ENDINGS, Record
from pytest_mlperf.report.records import FORMAT

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_MAYBE = {"anyOf": [_TEXT, {"type": "null"}]}
_REFERENCES = "#/$defs/{model}"


def schema() -> dict[str, Any]:
    """Return the schema of a line: of the header, of a record, or of the footer.

    Objects may have more keys than are named: those are of a later version of the same format.
    """
    content = TypeAdapter(Record).json_schema(mode="serialization", ref_template=_REFERENCES)
    definitions = content.pop("$defs")
    inventory = TypeAdapter(Inventory).json_schema(mode="serialization", ref_template=_REFERENCES)
    definitions |= inventory.pop("$defs", {})
    definitions |= {
        "Header": _header(),
        "Record": _record(content),
        "Footer": _footer(),
        "Inventory": inventory,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "a line of records.jsonl of pytest-mlperf",
        "oneOf": [
            _object({name.lower(): {"$ref": f"#/$defs/{name}"}}) for name in ("Header", "Record", "Footer")
        ],
        "$defs": dict(sorted(definitions.items())),
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _header() -> dict[str, Any]:
    return _object(
        {
            "format": {"const": FORMAT},
            "pytest_mlperf": _TEXT,
            "session": {"type": "string", "format": "uuid"},
            "host": _TEXT,
            "started_at": {"type": "string", "format": "date-time"},
            "inventory": {"$ref": "#/$defs/Inventory"},
            "goes_on": _MAYBE,
            "earlier": {"type": "array", "items": {"type": "string", "format": "uuid"}},
            "asked": {"type": "array", "items": _TEXT},
        }
    )


def _record(content: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a record, with what stands beside its fields."""
    content["properties"] |= {
        "verdict": {"enum": ["PASS", "FAIL", "VALID", "INVALID", None]},
        "image": _MAYBE,
        "labels": _TEXTS,
    }
    content["required"] = [*content["required"], "verdict", "image", "labels"]
    return content


def _footer() -> dict[str, Any]:
    return _object(
        {
            "conformance": {"enum": ["conformant", "incomplete", "not conformant"]},
            "labels": _TEXTS,
            "endings": _object({ending: {"type": "integer", "minimum": 0} for ending in ENDINGS}),
        }
    )
