import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerve.config import ConfigFaults
from nerve.config.secrets import MASK, Redactor, is_secret_path, looks_secret, mask_tree


@pytest.mark.parametrize(
    "key",
    [
        "token",
        "TOKEN",
        "api_key",
        "apiKey",
        "API-KEY",
        "apikeys",
        "password",
        "db_password",
        "DB_PASSWD",
        "dbpassword",
        "client_secret",
        "clientSecret",
        "private_key",
        "credentials",
        "credential",
        "auth",
        "basic-auth",
        "Authorization",
        "authToken",
        "GITHUB_TOKEN",
        "accesstoken",
        "AWS_SECRET_ACCESS_KEY",
        "passphrase",
        "bearer",
    ],
)
def test_a_key_that_looks_secret_is_recognised(key):
    """CFG-8"""
    assert looks_secret(key)


@pytest.mark.parametrize(
    "key",
    [
        "author",
        "authors",
        "tokenizer",
        "tokenize",
        "secretary",
        "keyboard",
        "key",
        "public_key",
        "passing",
        "compass",
        "path",
        "timeout",
        "authority",
        "",
        "primary_key",
        "monkey",
    ],
)
def test_a_false_friend_is_no_secret(key):
    assert not looks_secret(key)


def test_the_name_of_a_sense_makes_nothing_secret():
    assert not is_secret_path(("senses", "auth-log", "timeout"))
    assert is_secret_path(("senses", "auth-log", "options", "token"))
    assert is_secret_path(("senses", "disk", "secrets", "anything"))
    assert is_secret_path(("senses", "disk", "options", "tokens", 0, "x"))


def test_secrets_are_masked_at_any_depth_in_keys_and_values():
    """CFG-8"""
    redactor = Redactor(["s3cret", "12345"])
    value = {"a": [{"b": ("x s3cret y", 1, None, True, 12345, 1.5)}], "k-s3cret": 12}
    assert redactor.json(value) == {
        "a": [{"b": [f"x {MASK} y", 1, None, True, MASK, 1.5]}],
        f"k-{MASK}": 12,
    }


def test_a_secret_that_holds_a_shorter_one_goes_as_a_whole():
    assert Redactor(["pass", "password1"]).text("password1 pass") == f"{MASK} {MASK}"


def test_a_short_secret_is_not_searched_for():
    assert Redactor(["on", "abc", ""]).text("on abc") == "on abc"


def test_the_lines_of_a_long_secret_are_secret_too():
    redactor = Redactor(["line one\nline two"])
    assert redactor.text("said: line two") == f"said: {MASK}"
    assert redactor.text(json.dumps("line one\nline two")) == f'"{MASK}"'


def test_without_secrets_a_value_is_given_back_as_it_is():
    value = {"a": [1]}
    assert Redactor().json(value) is value


@given(secret=st.text(min_size=4), around=st.text())
def test_no_secret_survives_in_a_text(secret, around):
    """CFG-8"""
    if secret not in MASK and secret not in around and not any(c == "*" for c in secret + around):
        assert secret not in Redactor([secret]).text(f"{around}{secret}{around}")


def test_a_tree_is_masked_at_and_below_secret_paths():
    tree = {"a": {"b": [1, 2]}, "c": ["x", "y"]}
    assert mask_tree(tree, {("a", "b"), ("c", 1)}) == {"a": {"b": MASK}, "c": ["x", MASK]}


CONFIG = """
    senses:
      disk:
        options:
          plain: visible
          pin: 4711
          nested: {api_key: [{deep: deepsecret}, 987654], auth: true}
          url: "https://u:${API_TOKEN}@host"
          from_file: "${file:token}"
        secrets: {header: "Bearer ${MY_PAT}"}
        throttle: 2s
    reflexes: [{kind: sense, sense: disk, interval: 90s}]
    """
SECRETS = ["deepsecret", "987654", "envsecret", "filesecret", "patsecret"]


@pytest.fixture
def loaded(load, tmp_path):
    (tmp_path / "token").write_text("filesecret\n")
    return load(CONFIG, API_TOKEN="envsecret", MY_PAT="patsecret")


def test_what_is_shown_holds_defaults_and_no_secret(loaded):
    """CFG-8"""
    shown = loaded.shown["senses"]["disk"]
    assert shown["options"]["plain"] == "visible"
    assert shown["options"]["nested"] == {"api_key": [{"deep": MASK}, MASK], "auth": True}
    assert shown["secrets"] == {"header": MASK}
    assert (shown["throttle"], shown["timeout"]) == ("2s", "30s")
    assert loaded.shown["reflexes"][0]["interval"] == "1m30s"
    assert not any(secret in json.dumps(loaded.shown) for secret in SECRETS)


@pytest.mark.parametrize("secret", SECRETS)
def test_every_secret_of_a_configuration_is_redacted(loaded, secret):
    """CFG-8"""
    assert loaded.redactor.text(f"<{secret}>") == f"<{MASK}>"


def test_a_secret_variable_that_a_sense_asks_for_is_redacted(load):
    """CFG-8"""
    config = "senses: {disk: {env: [MY_PAT, HOME, ABSENT_TOKEN]}}"
    redactor = load(config, MY_PAT="patsecret", HOME="/home/u", OTHER_TOKEN="unasked").redactor
    assert redactor.text("<patsecret> /home/u unasked") == f"<{MASK}> /home/u unasked"


def test_variables_that_went_into_secrets_are_told(loaded):
    """CFG-8"""
    assert loaded.secret_env == {"API_TOKEN", "MY_PAT"}


def test_a_representation_of_a_configuration_shows_no_secret(loaded):
    """CFG-8"""
    assert not any(secret in repr(loaded.document) for secret in SECRETS)
    assert not any(secret in repr(loaded) for secret in SECRETS)


@pytest.mark.parametrize(
    "text",
    [
        'timezone: "${file:token}"',
        'senses: {disk: {timeout: "${file:token}"}}',
        'senses: {"disk": {options: {}, secrets: {a: "${file:token}", b: [1]}}}',
        'senses: {disk: {group: "${MY_TOKEN}"}}',
        'reflexes: [{kind: "${file:token}"}]',
        'reflexes: [{kind: sense, sense: "${file:token}", on: ["${file:token}", "${file:token}"]}]',
        'reflexes: [{kind: sense, sense: "${file:name}", cron: "${file:token}"}]',
        'senses: {token: {durability: "${file:token}"}}',
        'senses: {disk: {secrets: {token: "${file:token}"}, timeout: "filesecret/with/a/tail/of/more/than/forty"}}',
    ],
)  # fmt: skip
def test_no_fault_quotes_a_secret(load, tmp_path, text):
    """CFG-8"""
    (tmp_path / "token").write_text("filesecret/with/a/tail/of/more/than/forty")
    (tmp_path / "name").write_text("filesecret")
    with pytest.raises(ConfigFaults) as caught:
        load(text, MY_TOKEN="filesecret/x")
    assert "filesecret" not in str(caught.value)
    assert "filesecret" not in repr(caught.value.faults)
