"""The texts that an export fills in: a graph, a script, a program."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["read_template"]


def read_template(name: str, *kinds: str) -> str:
    """Return the text, of parts between `#[ kind ...` and `#]` those alone whose kinds are all among `kinds`."""
    kept, inside = [], True
    text = files("maskzoo.export").joinpath(name).read_text(encoding="utf-8")
    for line in text.splitlines(keepends=True):
        if line.strip().startswith("#["):
            inside = set(line.split()[1:]) <= set(kinds)
        elif line.strip() == "#]":
            inside = True
        elif inside:
            kept.append(line)
    return "".join(kept)
