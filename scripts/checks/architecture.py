#!/usr/bin/env python3
"""Checks docs/architecture.md: its paths exist, and its glossary equals that of the crate xception-model.

A word in backquotes is a path if it holds a slash or ends like a file; `<name>` in it stands for any name. A path is
looked for at the repository's root, then in the folder that the same line names before it, and in its `src`.
"""

import pathlib
import re
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "architecture.md"
CRATE = REPOSITORY / "crates" / "xception-model" / "src" / "lib.rs"
PATH = re.compile(r"[A-Za-z0-9_.<>/-]+")
FILE = re.compile(r".*\.(rs|toml|md|sh|py|txt)")


def glossary(text: str) -> list[str]:
    """The rows of the table that begins with `| word | meaning |`."""
    lines = [line.removeprefix("//! ") for line in text.splitlines()]
    start = lines.index("| word | meaning |")
    end = next(at for at in range(start, len(lines)) if not lines[at].startswith("|"))
    return lines[start:end]


def is_path(word: str) -> bool:
    return bool(PATH.fullmatch(word)) and ("/" in word or bool(FILE.fullmatch(word)))


problems = 0
for number, line in enumerate(PAGE.read_text().splitlines(), 1):
    folders = [REPOSITORY]
    for word in filter(is_path, re.findall(r"`([^`]+)`", line)):
        pattern = re.sub("<[^>]*>", "*", word).rstrip("/")
        found = [path for folder in folders for path in folder.glob(pattern)]
        if not found:
            print(f"docs/architecture.md:{number}: there is no {word}")
            problems += 1
        elif found[0].is_dir() and folders == [REPOSITORY]:
            folders += [found[0], found[0] / "src"]
here, there = glossary(PAGE.read_text()), glossary(CRATE.read_text())
for line in sorted(set(here) ^ set(there)):
    print(f"only in one glossary, of docs/architecture.md and {CRATE.relative_to(REPOSITORY)}: {line}")
    problems += 1
if problems:
    sys.exit(f"error: docs/architecture.md has {problems} problems")
