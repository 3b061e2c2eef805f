"""A project whose senses a test writes, for the kit to be tried on."""

import textwrap

import pytest


class Project:
    """A folder with nerve.yaml and senses."""

    def __init__(self, root):
        self.root = root
        (root / "senses").mkdir(parents=True)
        (root / "nerve.yaml").write_text("senses: {}\n")

    def sense(self, name, source, **revisions):
        """Write a sense; each of `revisions` is the body of its file after the chain."""
        folder = self.root / "senses" / name.replace("-", "_")
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").write_text(textwrap.dedent(source))
        previous = None
        for revision, body in revisions.items():
            (folder / "migrations").mkdir(exist_ok=True)
            head = f"import sqlalchemy as sa\nfrom alembic import op\nrevision = {revision!r}\ndown_revision = {previous!r}\n"
            (folder / "migrations" / f"{revision}.py").write_text(head + textwrap.dedent(body))
            previous = revision


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")
