"""Every example is a whole project: its configuration fits its senses."""

import json
from pathlib import Path

import pytest
import yaml

from nerve.config.models import Config
from tests.batteries.conftest import load_sense

PROJECTS = sorted(
    path.parent for path in (Path(__file__).parents[2] / "examples").glob("*/nerve.yaml")
)
every_project = pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)


def config_of(project):
    # BaseLoader leaves every scalar a string, so that `on` stays a word; pydantic does the rest.
    return Config.model_validate(yaml.load((project / "nerve.yaml").read_text(), yaml.BaseLoader))


@every_project
def test_every_sense_is_there_and_takes_its_options(project):
    for name, sense in config_of(project).senses.items():
        module = load_sense(project / "senses" / name.replace("-", "_"))
        assert callable(module.compute)
        if sense.options:
            module.Options.model_validate(sense.options)


@every_project
def test_every_sense_is_run_by_a_reflex(project):
    config = config_of(project)
    assert {name for reflex in config.reflexes for name in reflex.sense} == set(config.senses)


@every_project
def test_every_project_explains_itself(project):
    assert "nerve run" in (project / "README.md").read_text()


def test_the_smallest_sense_tells_how_busy_the_processors_are():
    [project] = [project for project in PROJECTS if project.name == "cpu-usage"]
    payload = load_sense(project / "senses" / "cpu_usage").compute(None, None, None)
    assert 0 <= payload["busy_percent"] <= 100
    assert json.dumps(payload)
