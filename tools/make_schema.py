"""Write the JSON Schemas of matrices and records, or check that the shipped ones are current (--check)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pytest_mlperf import catalogue, rounds
from pytest_mlperf.matrix import schema as matrix_schema
from pytest_mlperf.report import schema as records_schema

MATRIX = Path(matrix_schema.__file__).with_name("matrix.schema.json")
RECORDS = Path(records_schema.__file__).with_name("records.schema.json")


def main() -> int:
    """Write or check; exit status 1 when a shipped schema is not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    vocabulary = catalogue.vocabularies(catalogue.HARNESSES)
    contents = {
        MATRIX: matrix_schema.schema({name: vocabulary(name) for name in rounds.names()}),
        RECORDS: records_schema.schema(),
    }
    stale = 0
    for target, content in contents.items():
        text = json.dumps(content, indent=2) + "\n"
        if not check:
            target.write_text(text, encoding="utf-8")
        elif not target.is_file() or target.read_text(encoding="utf-8") != text:
            print(f"{target}: not current (run python tools/make_schema.py)")
            stale = 1
    return stale


if __name__ == "__main__":
    raise SystemExit(main())
