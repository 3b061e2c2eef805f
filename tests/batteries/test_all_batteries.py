"""What every battery must hold to, and the nerve.yaml that uses them all."""

import re
from importlib.metadata import entry_points

import pytest
import yaml

from nerve.config.models import Config
from tests.batteries.conftest import CHECKOUT, SENSES

FOLDERS = sorted(path.parent for path in SENSES.glob("*/__init__.py"))
every_battery = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def nerve_yaml():
    # BaseLoader leaves every scalar a string, so that `on` stays a word; pydantic does the rest.
    text = (CHECKOUT / "nerve.yaml").read_text(encoding="utf-8")
    return Config.model_validate(yaml.load(text, Loader=yaml.BaseLoader))


def sense_name(folder):
    return folder.name.replace("_", "-")


@every_battery
def test_the_migrations_keep_rows_can_be_undone_and_make_the_tables_that_the_code_expects(
    check_migrations, folder
):
    check_migrations(sense_name(folder))


@every_battery
def test_the_readme_names_every_option_with_its_default(make_bench, folder):
    rows = re.findall(r"^\| (`.+`) \| (.+?) \|", (folder / "README.md").read_text(), re.MULTILINE)
    documented = {}
    for names, defaults in rows:
        options = re.findall(r"`(\w+)`", names)
        several = defaults.split(", ") if len(options) > 1 else [defaults]
        documented |= dict(zip(options, several, strict=True))
    fields = make_bench(sense_name(folder)).module.Options.model_fields
    assert documented == {name: written(field.default) for name, field in fields.items()}


def written(default):
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list):
        return ", ".join(default) or "[]"
    return f"{default:g}" if isinstance(default, float) else str(default)


@every_battery
def test_the_query_in_the_readme_runs(make_bench, folder):
    query = re.search(
        r"^    SELECT .*?;$", (folder / "README.md").read_text(), re.DOTALL | re.MULTILINE
    )
    make_bench(sense_name(folder)).rows(query.group())


@every_battery
def test_every_option_is_described(make_bench, folder):
    assert all(
        field.description
        for field in make_bench(sense_name(folder)).module.Options.model_fields.values()
    )


def test_the_batteries_are_installed_under_their_names():
    installed = {entry.name: entry.value for entry in entry_points(group="nerve.senses")}
    assert installed == {sense_name(folder): f"nerve.batteries.{folder.name}" for folder in FOLDERS}


def test_nerve_yaml_uses_every_battery_with_options_that_are_valid(make_bench):
    senses = nerve_yaml().senses
    assert set(senses) == {sense_name(folder) for folder in FOLDERS}
    for folder in FOLDERS:
        make_bench(sense_name(folder)).module.Options.model_validate(
            senses[sense_name(folder)].options
        )


def test_nerve_yaml_runs_every_battery_by_time():
    timed = {
        name for reflex in nerve_yaml().reflexes if reflex.interval_ms for name in reflex.sense
    }
    assert timed == {sense_name(folder) for folder in FOLDERS}
