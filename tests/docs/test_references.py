"""docs/configuration.md and docs/commands.md are what the program makes of them."""

import re

import pytest
from pydantic import Field

from nerve.config.models import Config, Section
from nerve.config.values import Nice
from tests.docs import commands, configuration, references


@pytest.mark.parametrize("path", references.PAGES, ids=lambda path: path.name)
def test_a_reference_is_what_the_program_makes(path):
    is_made = path.read_text() == references.page(path)
    assert is_made, f"docs/{path.name} is not what the program says now; run: make docs"


def test_every_part_of_the_file_has_a_section():
    """CFG-9"""
    with_section = {model for _, model, _ in configuration.sections()}
    assert with_section == models_below(Config)


def models_below(model):
    """Every model that a schema of nerve.yaml is made of."""
    names = set(model.model_json_schema().get("$defs", {}))
    return {model} | {part for part in Section.__subclasses__() if part.__name__ in names}


def test_every_command_has_a_section_and_a_line_in_the_list():
    made = commands.made()
    for path, _, _ in commands.commands():
        assert re.search(rf"^#+ {path}$", made, re.MULTILINE)
    assert "[`nerve db upgrade`](#nerve-db-upgrade)" in made


def test_a_description_that_names_another_default_is_found_out():
    class Wrong(Section):
        nice: Nice = Field(3, description="How far. Default 2.")

    with pytest.raises(ValueError, match=r"Default 2\. It is `3`"):
        configuration._row("nice", Wrong.model_fields["nice"], Nice, "")


def test_a_page_that_lost_its_mark_is_not_written(tmp_path):
    page = tmp_path / "commands.md"
    page.write_text("# Commands\n")
    with pytest.raises(ValueError, match="has lost the line"):
        references.page(page)
