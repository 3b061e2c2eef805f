"""The two references: their heads are written by hand, all below MARK is made."""

from pathlib import Path

from tests.docs import commands, configuration

ROOT = Path(__file__).parents[2]
MARK = (
    "<!-- All below is made by `make docs`, from the program. Change that instead, and run it. -->"
)
PAGES = {
    ROOT / "docs/configuration.md": configuration.made,
    ROOT / "docs/commands.md": commands.made,
}


def page(path):
    """Return what the page has to be: its present head, and below that what is made now."""
    head, mark, _ = path.read_text().partition(MARK)
    if not mark:
        raise ValueError(f"{path} has lost the line that ends its head: {MARK}")
    return f"{head}{MARK}\n\n{PAGES[path]()}"
