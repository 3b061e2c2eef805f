"""Markdown as the pages use it: tables, headings and their anchors, code, links."""

import re

CELL_BREAK = re.compile(r"\s*\n\s*")
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]\n]*(?:\n[^\]\n]*)?\]\(([^)\s]+)\)")
NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")
INLINE_CODE = re.compile(r"`([^`]+)`")
PARAGRAPH_END = re.compile(r"\n\s*\n")
INDENT = "    "


def table(columns, rows):
    """Return a table; what would end a cell or a row is escaped."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def anchor(heading):
    """Return what a link to a heading ends in, as GitHub has it."""
    return NOT_IN_ANCHORS.sub("", heading.replace("`", "").lower()).replace(" ", "-")


def anchors(text):
    """Return all anchors of a page; the second of the same name has -1 behind it."""
    seen, found = {}, set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        name = anchor(heading)
        number = seen[name] = seen.get(name, -1) + 1
        found.add(f"{name}-{number}" if number else name)
    return found


def links(text):
    """Return where the links of a page lead."""
    return LINK.findall(FENCE.sub("", text))


def fenced(text, language):
    """Return the content of the blocks of one language."""
    opening = f"```{language}\n"
    found = [block for block in FENCE.findall(text) if block.startswith(opening)]
    return [block.removeprefix(opening).removesuffix("```") for block in found]


def code(text):
    """Return each piece of code of a page: lines of blocks, and what stands between backticks.

    Of blocks that show a terminal these are the commands, without what they say.
    """
    found = [line for block in FENCE.findall(text) for line in _typed(*block.splitlines()[:-1])]
    for paragraph in PARAGRAPH_END.split(FENCE.sub("", text)):
        lines = paragraph.strip("\n").splitlines()
        if all(line.startswith(INDENT) for line in lines):
            found += [line.strip() for line in lines]
        else:
            found += INLINE_CODE.findall(paragraph.replace("\n", " "))
    return found


def _typed(opening, *lines):
    if opening.startswith("```console"):
        return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return lines


def _cell(text):
    return CELL_BREAK.sub(" ", text).replace("|", r"\|")
