"""Print a command of the README: the code block after `<!-- command: NAME -->`."""

import re
import sys
from pathlib import Path

readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
match = re.search(rf"<!-- command: {re.escape(sys.argv[1])} -->\n```sh\n(.*?)\n```", readme, re.DOTALL)
if match is None:
    sys.exit(f"README.md: no command '{sys.argv[1]}'")
print(match[1])
