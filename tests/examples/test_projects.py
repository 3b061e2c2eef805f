"""Every example is a whole project: its configuration fits its senses."""

from pathlib import Path

import pytest
import yaml

from nerve.config.models import Config

PROJECTS = sorted(
    path.parent for path in (Path(__file__).parents[2] / "examples").glob("*/nerve.yaml")
)
every_project = pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)


def config_of(project):
    # BaseLoader leaves every scalar a string, so that `on` stays a word; pydantic does the rest.
    return Config.model_validate(yaml.load((project / "nerve.yaml").read_text(), yaml.BaseLoader))


@every_project
def test_every_sense_comes_up_with_its_options_and_its_migrations_hold(
    project, sense, check_migrations
):
    for name, config in config_of(project).senses.items():
        sense(name, project=project, options=config.options)
        check_migrations(name, project=project)


@every_project
def test_every_sense_is_run_by_a_reflex(project):
    config = config_of(project)
    assert {name for reflex in config.reflexes for name in reflex.sense} == set(config.senses)


@every_project
def test_every_project_explains_itself(project):
    assert "nerve run" in (project / "README.md").read_text()


def test_the_smallest_sense_tells_how_busy_the_processors_are(sense):
    [project] = [project for project in PROJECTS if project.name == "cpu-usage"]
    assert 0 <= sense("cpu-usage", project=project)().payload["busy_percent"] <= 100
