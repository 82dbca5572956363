"""Check the records of the main job: one session, ended, conformant, with a record for every case.

python3 .ci/check_smoke.py mlperf-results
"""

import json
import sys
from pathlib import Path

CASES = 42

(folder,) = Path(sys.argv[1]).iterdir()
header, *lines, footer = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
endings = footer["footer"]["endings"]
assert "header" in header, "records.jsonl has no header"
assert footer["footer"]["conformance"] == "conformant", endings
assert endings["pass"] == CASES, endings
assert len({line["record"]["case"]["id"] for line in lines}) == len(lines) == sum(endings.values()), (
    "records and endings"
)
print(f"{CASES} cases passed, {len(lines)} records")
