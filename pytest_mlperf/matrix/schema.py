"""The JSON Schema of matrix files, for editors: generated from `document` and the words that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_mlperf.matrix.document import Document

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_mlperf.matrix import Vocabulary


def schema(vocabularies: Mapping[str, Vocabulary]) -> dict[str, Any]:
    """Return the schema of a matrix of these rounds.

    An axis takes one value or a list of them, as the loader does.
    """
    content = Document.model_json_schema()
    content["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    content["title"] = "pytest-mlperf matrix"
    content["properties"]["round"]["enum"] = sorted(vocabularies)
    words = _words(vocabularies.values())
    for name, axis in content["$defs"]["Axes"]["properties"].items():
        array = next(part for part in axis["anyOf"] if part["type"] == "array")
        if name in words:
            array["items"] = {"enum": words[name]}
        array["uniqueItems"] = True
        axis["anyOf"] = [array["items"], array]
        del axis["default"]
    _allow_own_harnesses(content)
    return content


def _allow_own_harnesses(content: dict[str, Any]) -> None:
    """Let the axis take any name where the matrix describes harnesses itself."""
    axes = content["$defs"]["Axes"]["properties"]
    known = {"type": "object", "properties": {"harness": {"anyOf": axes["harness"]["anyOf"]}}}
    any_name = {"type": "string", "minLength": 1}
    names = {"items": any_name, "minItems": 1, "type": "array", "uniqueItems": True}
    axes["harness"] = {**axes["harness"], "anyOf": [any_name, names]}
    content["$defs"]["KnownHarness"] = known
    reference = {"$ref": "#/$defs/KnownHarness"}
    content["if"] = {"not": {"required": ["harnesses"]}}
    content["then"] = {
        "properties": {
            "axes": reference,
            "include": {"items": reference},
            "exclude": {"items": reference},
            "overrides": {"items": {"properties": {"match": reference}}},
        }
    }


def _words(vocabularies: Iterable[Vocabulary]) -> dict[str, list[str]]:
    skus: set[str] = set()
    harnesses: set[str] = set()
    benchmarks: set[str] = set()
    for vocabulary in vocabularies:
        skus |= vocabulary.system_ids.keys()
        harnesses |= vocabulary.harnesses.keys()
        benchmarks |= {name for terms in vocabulary.harnesses.values() for name in terms.benchmarks}
    return {"sku": sorted(skus), "harness": sorted(harnesses), "benchmark": sorted(benchmarks)}
