"""Write the JSON Schema of matrix files, or check that the shipped one is current (--check)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pytest_mlperf import catalogue, rounds
from pytest_mlperf.matrix import schema as matrix_schema

TARGET = Path(matrix_schema.__file__).with_name("matrix.schema.json")


def main() -> int:
    """Write or check; exit status 1 when the shipped schema is not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    vocabulary = catalogue.vocabularies(catalogue.HARNESSES)
    content = matrix_schema.schema({name: vocabulary(name) for name in rounds.names()})
    text = json.dumps(content, indent=2) + "\n"
    if not check:
        TARGET.write_text(text, encoding="utf-8")
    elif not TARGET.is_file() or TARGET.read_text(encoding="utf-8") != text:
        print(f"{TARGET}: not current (run python tools/make_schema.py)")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
