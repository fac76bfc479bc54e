#!/usr/bin/env python3
"""Lists the import cycles among the files of each crate; exit status 1 if there is one.

    scripts/checks/import_cycles.py             # every crate
    scripts/checks/import_cycles.py cli trainer # these
    scripts/checks/import_cycles.py --edges cli # and every import, to look one up

A file imports another when its code names an item that the other file defines: through `use`, or through a path such as
`crate::a::f()`. Paths are followed through re-exports to the file with the definition. No import is a parent's `mod
child;`, a re-export (`pub use`) that the parent's own code does not use, or anything under `#[cfg(test)]`. A method
call names no file, and neither does an item that a macro writes.
"""

import argparse
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*)
  | (?P<raw>(?:b|c)?r(?P<hashes>\#*)".*?"(?P=hashes))
  | (?P<string>(?:b|c)?"(?:\\.|[^"\\])*")
  | (?P<char>b?'(?:\\(?:u\{[^}]*\}|x..|.)|[^'\\])')
  | (?P<lifetime>'[A-Za-z_]\w*)
  | (?P<name>(?:r\#)?[A-Za-z_]\w*)
  | (?P<colons>::)
  | (?P<other>[^\s])
    """,
    re.VERBOSE | re.DOTALL,
)
DEFINES = {"fn", "struct", "enum", "union", "trait", "type", "const", "static", "mod"}
OPENING, CLOSING = {"(", "[", "{"}, {")", "]", "}"}


def tokens_of(text):
    """Names, `::`, punctuation and strings of a Rust source, without comments."""
    found, at = [], 0
    while at < len(text):
        if text.startswith("/*", at):
            depth, at = 1, at + 2
            while depth and at < len(text):
                if text.startswith("/*", at):
                    depth, at = depth + 1, at + 2
                elif text.startswith("*/", at):
                    depth, at = depth - 1, at + 2
                else:
                    at += 1
            continue
        match = TOKEN.match(text, at)
        if match is None:
            at += 1
            continue
        at = match.end()
        if match.lastgroup in ("name", "colons", "other", "string"):
            found.append(match.group().removeprefix("r#") if match.lastgroup == "name" else match.group())
    return found


def is_name(token):
    return token[0].isalpha() or token[0] == "_"


@dataclass
class Import:
    """One leaf of a `use` tree."""

    path: tuple
    alias: str
    is_public: bool


@dataclass
class Module:
    """A module, in a file of its own or inline in its parent's."""

    path: tuple
    file: Path
    folder: Path
    parent: "Module | None" = None
    children: dict = field(default_factory=dict)
    defined: set = field(default_factory=set)
    imports: list = field(default_factory=list)
    # Paths in the code, outside of `use`; and single names in it.
    paths: list = field(default_factory=list)
    names: set = field(default_factory=set)

    @property
    def root(self):
        return self if self.parent is None else self.parent.root


def end_of_item(tokens, at):
    """Behind the item that begins here: its `;`, or its closing brace."""
    depth = 0
    while at < len(tokens):
        token = tokens[at]
        if token in OPENING:
            depth += 1
        elif token in CLOSING:
            depth -= 1
            if depth < 0:
                return at
            if depth == 0 and token == "}":
                return at + 1
        elif token == ";" and depth == 0:
            return at + 1
        at += 1
    return at


def closing_of(tokens, at):
    """The place of the bracket that closes the one here."""
    depth = 0
    for place in range(at, len(tokens)):
        depth += (tokens[place] in OPENING) - (tokens[place] in CLOSING)
        if depth == 0:
            return place
    return len(tokens)


def is_test_only(attribute):
    """Of the tokens within `#[..]`: `cfg(test)`, or `cfg(all(.., test, ..))`."""
    return attribute[:4] == ["cfg", "(", "test", ")"] or (attribute[:3] == ["cfg", "(", "all"] and "test" in attribute)


def leaves(tokens, at, prefix, is_public, out):
    """Reads one `use` tree into `out`; returns the place behind it."""
    path = list(prefix)
    while at < len(tokens):
        token = tokens[at]
        if token == "{":
            at += 1
            while tokens[at] != "}":
                at = leaves(tokens, at, path, is_public, out)
                if tokens[at] == ",":
                    at += 1
            return at + 1
        if token == "*":
            out.append(Import(tuple(path), "*", is_public))
            return at + 1
        if token != "::":
            path.append(token)
            if at + 1 >= len(tokens) or tokens[at + 1] != "::":
                alias = token
                if token == "self" and len(path) > 1:
                    path.pop()
                    alias = path[-1]
                if tokens[at + 1 : at + 2] == ["as"]:
                    alias, at = tokens[at + 2], at + 2
                out.append(Import(tuple(path), alias, is_public))
                return at + 1
        at += 1
    return at


def read_module(module, tokens, at, end):
    """Reads the tokens of one module. Bodies of functions belong to the module, inline modules are their own."""
    is_public, override, depth = False, None, 0
    while at < end:
        token = tokens[at]
        following = tokens[at + 1] if at + 1 < end else ""
        if token == "#" and (following == "[" or tokens[at + 1 : at + 3] == ["!", "["]):
            start = at + (1 if following == "[" else 2)
            close = closing_of(tokens, start)
            attribute = tokens[start + 1 : close]
            at = close + 1
            if is_test_only(attribute) and following == "[":
                while tokens[at : at + 2] == ["#", "["]:
                    at = closing_of(tokens, at + 1) + 1
                at = end_of_item(tokens, at)
            elif attribute[:2] == ["path", "="]:
                override = attribute[2].strip('"')
            continue
        if token == "pub":
            is_public = True
            at = closing_of(tokens, at + 1) + 1 if following == "(" else at + 1
            continue
        if token == "use" and following != "<":
            leaves(tokens, at + 1, (), is_public, module.imports)
            at = end_of_use(tokens, at)
        elif token == "mod" and depth == 0 and at + 2 < end and tokens[at + 2] in (";", "{"):
            at = read_child(module, tokens, at, following, override)
            override = None
        else:
            if depth == 0 and token in DEFINES and following and is_name(following):
                is_keyword = following in ("fn", "mut", "unsafe", "async")
                module.defined.add(tokens[at + 2] if is_keyword and is_name(tokens[at + 2]) else following)
            elif depth == 0 and token == "macro_rules":
                module.defined.add(tokens[at + 2])
            if is_name(token) and (at == 0 or tokens[at - 1] not in ("::", ".")):
                at = read_path(module, tokens, at, end)
                is_public = False
                continue
            depth += (token in OPENING) - (token in CLOSING)
            at += 1
        is_public = False


def end_of_use(tokens, at):
    while tokens[at] != ";":
        at += 1
    return at + 1


def read_path(module, tokens, at, end):
    """A name in the code, with what follows behind `::`."""
    path = [tokens[at]]
    at += 1
    while at + 1 < end and tokens[at] == "::" and is_name(tokens[at + 1]):
        path.append(tokens[at + 1])
        at += 2
    if len(path) > 1:
        module.paths.append(tuple(path))
    else:
        module.names.add(path[0])
    return at


def read_child(module, tokens, at, name, override):
    """`mod name;` or `mod name { .. }`; returns the place behind it."""
    if tokens[at + 2] == ";":
        choices = [module.folder / f"{name}.rs", module.folder / name / "mod.rs"]
        if override is not None:
            choices = [module.file.parent / override]
        for file in choices:
            if file.is_file():
                module.children[name] = read_file(file, module.path + (name,), module)
        return at + 3
    close = closing_of(tokens, at + 2)
    child = Module(module.path + (name,), module.file, module.folder / name, module)
    module.children[name] = child
    read_module(child, tokens, at + 3, close)
    return close + 1


def read_file(file, path, parent=None):
    is_folder = parent is None or file.name == "mod.rs"
    module = Module(path, file, file.parent if is_folder else file.with_suffix(""), parent)
    tokens = tokens_of(file.read_text())
    read_module(module, tokens, 0, len(tokens))
    return module


def every(module):
    yield module
    for child in module.children.values():
        yield from every(child)


def resolve(module, path, seen=frozenset()):
    """The module that defines a path's item, and whether the path names that module itself; None for other crates."""
    if (id(module), path) in seen:
        return None
    seen = seen | {(id(module), path)}
    first, rest = path[0], path[1:]
    if first == "crate":
        return resolve_in(module.root, rest, seen)
    if first == "self":
        return resolve_in(module, rest, seen)
    if first == "super":
        return resolve_in(module.parent, rest, seen) if module.parent else None
    if first in module.children or first in module.defined:
        return resolve_in(module, path, seen)
    return through_imports(module, path, seen)


def resolve_in(module, path, seen):
    """As `resolve`, of a path below this module."""
    if not path:
        return module, True
    first, rest = path[0], path[1:]
    if first == "super":
        return resolve_in(module.parent, rest, seen) if module.parent else None
    if first in module.children:
        return resolve_in(module.children[first], rest, seen)
    if first in module.defined:
        return module, False
    return through_imports(module, path, seen) or (module, False)


def through_imports(module, path, seen):
    first, rest = path[0], path[1:]
    for leaf in module.imports:
        if leaf.alias == first:
            # `use glob::glob;` names another crate: `glob` is nothing in this module.
            return None if leaf.path[0] == first else resolve(module, leaf.path + rest, seen)
    for leaf in module.imports:
        if leaf.alias == "*":
            target = resolve(module, leaf.path, seen)
            if target is None or not target[1] or target[0] is module:
                continue
            target = target[0]
            if first in target.defined or first in target.children:
                return resolve_in(target, path, seen)
            found = through_imports(target, path, seen | {(id(target), path)})
            if found is not None:
                return found
    return None


def edges_of(root):
    """For each file of a crate the files that it imports, each with the names."""
    edges = {}

    def add(module, path):
        found = resolve(module, path)
        if found is not None and not found[1] and found[0].file != module.file:
            names = edges.setdefault(module.file, {}).setdefault(found[0].file, set())
            names.add("::".join(path))

    for module in every(root):
        own = [child for child in every(module) if child.file == module.file]
        for leaf in module.imports:
            if leaf.alias == "*":
                target = resolve(module, leaf.path)
                is_child = target is not None and module in ancestors(target[0])
                is_other = target is not None and target[1] and target[0].file != module.file
                if is_other and not (leaf.is_public and is_child):
                    names = edges.setdefault(module.file, {}).setdefault(target[0].file, set())
                    names.add("::".join(leaf.path) + "::*")
                continue
            if leaf.is_public:
                target = resolve(module, leaf.path)
                is_child = target is not None and module in ancestors(target[0])
                is_used = any(
                    leaf.alias in part.names or leaf.alias in {path[0] for path in part.paths} for part in own
                )
                if is_child and not is_used:
                    continue
            add(module, leaf.path)
        for path in module.paths:
            add(module, path)
    return edges


def ancestors(module):
    while module.parent is not None:
        module = module.parent
        yield module


def cycles_of(edges):
    """Groups of files of which each reaches each other (Tarjan, 1972)."""
    order, low, stack, groups = {}, {}, [], []

    def visit(file):
        order[file] = low[file] = len(order)
        stack.append(file)
        for other in sorted(edges.get(file, ())):
            if other not in order:
                visit(other)
                low[file] = min(low[file], low[other])
            elif other in stack:
                low[file] = min(low[file], order[other])
        if low[file] == order[file]:
            group = [stack.pop()]
            while group[-1] != file:
                group.append(stack.pop())
            if len(group) > 1:
                groups.append(sorted(group))

    for file in sorted(edges):
        if file not in order:
            visit(file)
    return groups


def show(edges, files, targets, source):
    for file in files:
        for other in sorted(edges[file]):
            if other in targets:
                names = ", ".join(sorted(edges[file][other]))
                print(f"    {file.relative_to(source)} -> {other.relative_to(source)}: {names}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crates", nargs="*", help="names of folders in crates/")
    parser.add_argument("--edges", action="store_true", help="list every import too")
    args = parser.parse_args()
    folders = [ROOT / "crates" / name for name in args.crates] or sorted(ROOT.glob("crates/*/"))
    sys.setrecursionlimit(10_000)
    total = 0
    for folder in folders:
        source = folder / "src"
        roots = [source / "lib.rs", source / "main.rs", *sorted(source.glob("bin/*.rs"))]
        roots = [root for root in roots if root.is_file()]
        if not roots:
            sys.exit(f"{folder} has no crate")
        for root in roots:
            edges = edges_of(read_file(root, ()))
            groups = cycles_of(edges)
            total += len(groups)
            label = folder.name if len(roots) == 1 else f"{folder.name}/{root.name}"
            print(f"{label}: {len(groups)} import cycles")
            for group in groups:
                print(f"  a cycle of {len(group)} files:")
                show(edges, group, group, source)
            if args.edges:
                print("  every import:")
                everything = {other for others in edges.values() for other in others}
                show(edges, sorted(edges), everything, source)
    sys.exit(1 if total else 0)


if __name__ == "__main__":
    main()
