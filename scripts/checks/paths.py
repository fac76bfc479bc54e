#!/usr/bin/env python3
"""Checks that every path that docs/architecture.md names in backquotes exists.

A word in backquotes is a path if it holds a slash or ends like a file; `<name>` in it stands for any name. A path that does not
start at the repository's root is looked for in the folder of a crate that the same line names before it.
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
    folder = REPOSITORY
    for word in filter(is_path, re.findall(r"`([^`]+)`", line)):
        pattern = re.sub("<[^>]*>", "*", word).rstrip("/")
        if any(REPOSITORY.glob(pattern)):
            if word.startswith("crates/"):
                folder = REPOSITORY / "/".join(word.split("/")[:2]) / "src"
        elif folder == REPOSITORY or not any(folder.glob(pattern)):
            print(f"docs/architecture.md:{number}: there is no {word}")
            missing += 1
if missing:
    sys.exit(f"error: {missing} paths of docs/architecture.md do not exist")
