import json

import yaml


def test_the_schema_is_printed_as_json(project):
    """CFG-9"""
    schema = json.loads(project.nerve("schema").stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert "senses" in schema["properties"]


def test_the_effective_configuration_shows_defaults_and_hides_secrets(project):
    """CFG-8"""
    project.write("token.txt", "from-a-file-4711\n")
    project.write(
        "nerve.yaml",
        """\
senses:
  disk:
    secrets: {token: '${file:token.txt}'}
    options: {deep: [{api_key: hunter2hunter2}], url: 'https://${SHOWN}/${file:token.txt}'}
""",
    )
    environ = {"SHOWN": "example.org"}
    for arguments in (["config", "show"], ["config", "show", "--json"]):
        done = project.nerve(*arguments, env=environ)
        assert done.exit_code == 0
        assert "4711" not in done.stdout
        assert "hunter2" not in done.stdout
        shown = yaml.safe_load(done.stdout)
        assert shown["senses"]["disk"]["timeout"] == "30s"
        assert "********" in done.stdout


def test_the_effective_configuration_can_be_loaded_again(project):
    shown = project.nerve("config", "show").stdout
    again = project.write("again.yaml", shown)
    assert project.nerve("-c", str(again), "config", "show").stdout == shown
