import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerve.config import load_config
from nerve.config.effects import EFFECTS, Takes
from nerve.config.models import Config
from nerve.supervisor.changes import changes, groups_of, left_for_a_restart
from tests.config.test_keys import DECLARED

BASE = {"senses": {"a": {}, "b": {"group": "web"}}, "workflows": {"w": {"overflow": "drop"}}}
ON = {"kind": "sense", "sense": "a", "on": ["b"]}
FLOW = {"kind": "workflow", "workflow": "w", "on": ["a"]}


def config(senses=None, **more):
    base = BASE["senses"] if senses is None else senses
    return Config.model_validate({**BASE, "senses": base, **more})


def with_a(**settings):
    return {"senses": {"a": settings, "b": {"group": "web"}}}


def reflexes(first, second):
    return {"reflexes": [first]}, {"reflexes": [second]}


EVERY = {"kind": "sense", "sense": "a", "interval": "10s"}
ALIGNED = EVERY | {"align": True}
CHANGED = {
    "Config.timezone": ({}, {"timezone": "Asia/Tokyo"}, "timezone"),
    "Config.state_dir": ({}, {"state_dir": "x"}, "state_dir"),
    "Config.senses": ({}, {"senses": {"a": {}}}, {"web"}),
    "Config.groups": ({}, {"groups": {"web": {"nice": 3}}}, {"web"}),
    "Config.retention": ({}, {"retention": {"logs": "2d"}}, "retention.logs"),
    "Config.journal": ({}, {"journal": {"durability": "normal"}}, "journal.durability"),
    "Config.reflexes": ({}, {"reflexes": [EVERY]}, "reflexes of a"),
    "Config.workflows": ({}, {"workflows": {}}, "workflows"),
    "SenseConfig.use": ({}, with_a(use="x.y"), {"default"}),
    "SenseConfig.group": ({}, with_a(group="web"), {"web"}),
    "SenseConfig.throttle": ({}, with_a(throttle="1s"), "senses.a.throttle"),
    "SenseConfig.timeout": ({}, with_a(timeout="1s"), {"default"}),
    "SenseConfig.grace_period": ({}, with_a(grace_period="1s"), "senses.a.grace_period"),
    "SenseConfig.durability": ({}, with_a(durability="full"), {"default"}),
    "SenseConfig.options": ({}, with_a(options={"x": 1}), {"default"}),
    "SenseConfig.retention": ({}, with_a(retention={"rows": "1d"}), {"default"}),
    "SenseConfig.secrets": ({}, with_a(secrets={"x": "y"}), {"default"}),
    "SenseConfig.env": ({}, with_a(env=["X_TOKEN"]), {"default"}),
    "GroupConfig.memory": ({}, {"groups": {"web": {"memory": "512MB"}}}, {"web"}),
    "GroupConfig.open_files": ({}, {"groups": {"web": {"open_files": 99}}}, {"web"}),
    "GroupConfig.processes": ({}, {"groups": {"web": {"processes": 9}}}, {"web"}),
    "GroupConfig.nice": ({}, {"groups": {"web": {"nice": 3}}}, {"web"}),
    "GroupConfig.output_lines_per_second": (
        {},
        {"groups": {"web": {"output_lines_per_second": 9}}},
        {"web"},
    ),
    "RetentionConfig.logs": ({}, {"retention": {"logs": "2d"}}, "retention.logs"),
    "RetentionConfig.signals": ({}, {"retention": {"signals": "2d"}}, "retention.signals"),
    "RetentionConfig.archived": ({}, {"retention": {"archived": "99d"}}, "retention.archived"),
    "RetentionConfig.compress": ({}, {"retention": {"compress": "gzip"}}, "retention.compress"),
    "JournalConfig.durability": ({}, {"journal": {"durability": "normal"}}, "journal.durability"),
    "SenseReflex.kind": (*reflexes(FLOW, EVERY), "reflexes of a"),
    "SenseReflex.sense": (*reflexes(EVERY, EVERY | {"sense": ["a", "b"]}), "reflexes of b"),
    "SenseReflex.interval": (*reflexes(EVERY, EVERY | {"interval": "2s"}), "reflexes of a"),
    "SenseReflex.jitter": (*reflexes(EVERY, EVERY | {"jitter": "2s"}), "reflexes of a"),
    "SenseReflex.align": (*reflexes(EVERY, ALIGNED), "reflexes of a"),
    "SenseReflex.cron": (
        *reflexes(EVERY, {"kind": "sense", "sense": "a", "cron": "@daily"}),
        "reflexes of a",
    ),
    "SenseReflex.timezone": (*reflexes(ALIGNED, ALIGNED | {"timezone": "Asia/Tokyo"}), "reflexes of a"),
    "SenseReflex.on": (*reflexes(ON, ON | {"on": ["a"]}), "reflexes of a"),
    "SenseReflex.where": (*reflexes(ON, ON | {"where": "n > 1"}), "reflexes of a"),
    "SenseReflex.debounce": (*reflexes(ON, ON | {"debounce": "1s"}), "reflexes of a"),
    "SenseReflex.missed": (*reflexes(EVERY, EVERY | {"missed": "once"}), "reflexes of a"),
    "SenseReflex.catchup": (
        *reflexes(EVERY | {"missed": "once"}, EVERY | {"missed": "once", "catchup": "1h"}),
        "reflexes of a",
    ),
    "WorkflowReflex.kind": (*reflexes(EVERY, FLOW), "reflexes of w"),
    "WorkflowReflex.workflow": (*reflexes(EVERY, FLOW), "reflexes of w"),
    "WorkflowReflex.on": (*reflexes(FLOW, FLOW | {"on": ["b"]}), "reflexes of w"),
    "QueueWorkflow.overflow": ({}, {"workflows": {"w": {"overflow": "queue"}}}, "workflows"),
    "QueueWorkflow.concurrency": (
        {"workflows": {"w": {"overflow": "queue"}}},
        {"workflows": {"w": {"overflow": "queue", "concurrency": 3}}},
        "workflows",
    ),
    "QueueWorkflow.max_queue": (
        {"workflows": {"w": {"overflow": "queue"}}},
        {"workflows": {"w": {"overflow": "queue", "max_queue": 3}}},
        "workflows",
    ),
    "DropWorkflow.overflow": ({"workflows": {"w": {"overflow": "queue"}}}, {}, "workflows"),
    "DropWorkflow.concurrency": (
        {},
        {"workflows": {"w": {"overflow": "drop", "concurrency": 3}}},
        "workflows",
    ),
}  # fmt: skip
"""By key: what is said before and after, and the key that changes at once or later, or the groups."""


def test_for_each_key_it_is_said_what_a_reload_makes_of_it():
    """CFG-9, CTL-4"""
    assert set(EFFECTS) == DECLARED == set(CHANGED)


@pytest.mark.parametrize("key", CHANGED)
def test_a_changed_key_takes_effect_as_it_is_said(tmp_path, key):
    """CFG-9, CTL-4"""
    before, after, told = CHANGED[key]
    found = changes(config(**before), config(**after))
    if EFFECTS[key] is Takes.NERVE or told in ("state_dir", "journal.durability"):
        assert not found
    elif isinstance(told, set):
        assert (found.groups.keys() | set(found.gone), found.at_once) == (
            told | set(found.gone),
            (),
        )
    else:
        assert told in found.at_once
        assert not found.groups


def test_what_needs_a_restart_of_nerve_is_named_until_it_is_undone(tmp_path):
    """CTL-4"""
    path = tmp_path / "nerve.yaml"

    def loaded(text, **environ):
        path.write_text(text)
        return load_config(path, environ=environ)

    started = loaded("state_dir: one\n")
    assert left_for_a_restart(started, loaded("state_dir: ./one\n"), {}) == ()
    assert left_for_a_restart(started, loaded("state_dir: two\n"), {}) == ("state_dir",)
    assert left_for_a_restart(started, loaded("timezone: UTC", NERVE_STATE_DIR="/x"), {}) == (
        "state_dir",
    )
    normal = loaded("{state_dir: one, journal: {durability: normal}}")
    assert left_for_a_restart(started, normal, {}) == ("journal.durability",)
    (hidden,) = left_for_a_restart(
        started,
        loaded("{state_dir: one, senses: {a: {secrets: {x: '${HIDDEN}'}}}}", HIDDEN="12345"),
        {"HIDDEN": "12345"},
    )
    assert "HIDDEN" in hidden


def test_a_sense_that_moves_concerns_both_groups_and_one_that_only_gets_some_may_go_on():
    """CTL-4"""
    found = changes(config(), config({"a": {"group": "web"}, "b": {"group": "web"}}))
    assert found.groups == {"web": ("a comes from default",)}
    assert (found.gone, found.moved) == (("default",), {"a": ("default", "web")})
    assert found.only_takes("web")
    assert found.sources_of("web") == {"default"}
    assert found.suspicious == ()
    more = {"a": {"group": "web"}, "b": {"group": "web", "timeout": "1s"}}
    assert not changes(config(), config(more)).only_takes("web")


def test_code_that_changed_and_what_a_sense_may_refuse_is_tried_first():
    """CTL-4"""
    new = {"a": {"options": {"x": 1}}, "b": {"group": "web", "timeout": "1s"}, "c": {}}
    found = changes(config(), config(new), ["b", "gone"])
    assert found.suspicious == ("a", "b", "c")
    assert found.groups == {
        "default": ("senses.a.options", "c is new"),
        "web": ("senses.b.timeout", "code of b"),
    }


names = st.sampled_from(["a", "b", "c", "d"])
settings_of_senses = st.fixed_dictionaries(
    {"group": st.sampled_from(["one", "two", "three"])},
    optional={
        "throttle": st.sampled_from(["1s", "2s"]),
        "timeout": st.sampled_from(["1s", "2s"]),
        "options": st.just({"x": 1}),
    },
)
configs = st.dictionaries(names, settings_of_senses).map(config)


@given(st.dictionaries(names, settings_of_senses))
def test_what_is_the_same_changes_nothing(senses):
    """CTL-4: in whatever order it stands."""
    assert not changes(config(senses), config(dict(reversed(senses.items()))))


@given(configs, configs)
def test_a_group_goes_on_only_if_its_worker_would_be_told_the_same(old, new):
    """CTL-4: all that a worker is started with, but what it can be told."""
    found = changes(old, new)

    def of(config, group):
        return {
            name: sense.model_copy(update={"throttle_ms": None, "grace_period_ms": 0})
            for name, sense in config.senses.items()
            if sense.group == group
        }

    for group in groups_of(old.senses) | groups_of(new.senses):
        is_same = of(old, group) == of(new, group)
        assert is_same == (group not in found.groups and group not in found.gone)


@given(configs, configs)
def test_each_sense_stays_comes_goes_or_moves(old, new):
    """CTL-4"""
    found = changes(old, new)
    assert found.came == new.senses.keys() - old.senses.keys()
    assert found.went == old.senses.keys() - new.senses.keys()
    assert not found.moved.keys() & (found.came | found.went)
    for name, (left, joined) in found.moved.items():
        assert left in found.gone or left in found.groups
        assert joined in found.groups
        assert (old.senses[name].group, new.senses[name].group) == (left, joined)
