#!/usr/bin/env python3
"""Checks that every path that docs/architecture.md names in backquotes exists.

A word in backquotes is a path if it holds a slash or ends like a file; `<name>` in it stands for any name. A path is
looked for at the repository's root, then in the folder that the same line names before it, and in its `src`.
"""

import pathlib
import re
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "architecture.md"
PATH = re.compile(r"[A-Za-z0-9_.<>/-]+")
FILE = re.compile(r".*\.(rs|toml|md|sh|py|txt)")


def is_path(word: str) -> bool:
    return bool(PATH.fullmatch(word)) and ("/" in word or bool(FILE.fullmatch(word)))


missing = 0
for number, line in enumerate(PAGE.read_text().splitlines(), 1):
    folders = [REPOSITORY]
    for word in filter(is_path, re.findall(r"`([^`]+)`", line)):
        pattern = re.sub("<[^>]*>", "*", word).rstrip("/")
        found = [path for folder in folders for path in folder.glob(pattern)]
        if not found:
            print(f"docs/architecture.md:{number}: there is no {word}")
            missing += 1
        elif found[0].is_dir() and folders == [REPOSITORY]:
            folders += [found[0], found[0] / "src"]
if missing:
    sys.exit(f"error: {missing} paths of docs/architecture.md do not exist")
