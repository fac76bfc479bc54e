#!/usr/bin/env python3
"""Prints every line of Rust, shell or Python that is wider than rustfmt.toml's max_width, and fails if there is one.

Exempt are tables in doc comments, and lines without a space to break at.
"""

import pathlib
import re
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TABLE = re.compile(r"\s*//[/!]?\s*\|")

width = int(re.search(r"max_width\s*=\s*(\d+)", (REPOSITORY / "rustfmt.toml").read_text())[1])
listed = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.rs", "*.sh", "*.py", ".ci/run"],
    cwd=REPOSITORY,
    check=True,
    capture_output=True,
    text=True,
)
too_wide = 0
for name in listed.stdout.splitlines():
    path = REPOSITORY / name
    if not path.is_file():  # Deleted, and not yet committed.
        continue
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if len(line) > width and not TABLE.match(line) and len(line.split()) > 1:
            print(f"{name}:{number}: {len(line)} characters")
            too_wide += 1
if too_wide:
    sys.exit(f"error: {too_wide} lines are wider than {width} characters")
