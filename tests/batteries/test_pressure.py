import pytest
from pydantic import ValidationError

LOOK_EVERY_S = 10


class Machine:
    """The pressure sense beside the real databases of its peers, filled by hand."""

    def __init__(self, make_bench, *configured):
        self.peers = {name: make_bench(name) for name in ("cpu-usage", "memory", "disk")}
        self.pressure = make_bench("pressure", {name: self.peers[name] for name in configured})

    def cpu(self, busy_percent, *, ago_s=0.0):
        load = {"load_1min": 0, "load_5min": 0, "load_15min": 0}
        told = {"high": False, "told": False}
        at_us = self.pressure.at_us(ago_s=ago_s)
        row = {"at_us": at_us, "busy_percent": busy_percent, **load, **told}
        self.peers["cpu-usage"].write("readings", row)

    def memory(self, available_percent):
        zero = dict.fromkeys(("total_bytes", "available_bytes", "swap_total_bytes"), 0)
        rest = {"swap_used_bytes": 0, "swap_percent": 0, "troubles": "", "told": False}
        at_us = self.pressure.at_us()
        row = {"at_us": at_us, "available_percent": available_percent, **zero, **rest}
        self.peers["memory"].write("readings", row)

    def disk(self, **used_percent):
        rest = {
            "total_bytes": 1,
            "free_bytes": 1,
            "inodes_percent": 0,
            "full": 0,
            "told_percent": 0,
        }
        at_us = self.pressure.at_us()
        for mount, percent in used_percent.items():
            row = {"mount": mount, "at_us": at_us, "used_percent": percent, **rest}
            self.peers["disk"].write("mounts", row)

    def levels(self, *busy_percents, **options):
        """Give one CPU reading per look, 10 s apart; return the level told at each."""
        told = []
        for busy_percent in busy_percents:
            self.pressure.clock.advance(LOOK_EVERY_S)
            self.cpu(busy_percent)
            payload = self.pressure.look(**options)
            told.append(payload and payload["level"])
        return told


@pytest.fixture
def machine(make_bench):
    return Machine(make_bench, "cpu-usage", "memory", "disk")


@pytest.fixture
def cpu_only(make_bench):
    return Machine(make_bench, "cpu-usage")


def test_the_first_look_tells_the_worst_of_all_peers(machine):
    machine.cpu(20.0)
    machine.memory(available_percent=15.0)
    machine.disk(root=40.0, srv=60.0)
    payload = machine.pressure.look()
    assert (payload["level"], payload["before"]) == ("busy", None)
    assert payload["levels"] == {"cpu-usage": "calm", "memory": "busy", "disk": "calm"}
    assert payload["percent"] == {"cpu-usage": 20.0, "memory": 85.0, "disk": 60.0}
    assert payload["summary"] == "The machine is busy: cpu-usage 20 %, memory 85 %, disk 60 %"


def test_a_new_level_needs_several_readings_in_a_row(cpu_only):
    told = cpu_only.levels(10, 80, 80, 10, 80, 80, 80, consecutive=3)
    assert told == ["calm", None, None, None, None, None, "busy"]


def test_a_level_is_left_only_a_margin_below_where_it_was_entered(cpu_only):
    told = cpu_only.levels(75, 68, 66, 64, 68, 70, consecutive=1, margin_points=5)
    assert told == ["busy", None, None, "calm", None, "busy"]


def test_strained_falls_back_to_busy_before_it_is_calm(cpu_only):
    told = cpu_only.levels(95, 86, 84, 64, consecutive=1, margin_points=5)
    assert told == ["strained", None, "busy", "calm"]


def test_readings_that_tremble_between_two_levels_change_nothing(cpu_only):
    assert cpu_only.levels(10, *(72, 95) * 5, consecutive=2) == ["calm", *[None] * 10]


def test_a_reading_counts_once_however_often_it_is_read(cpu_only):
    cpu_only.levels(10)
    cpu_only.pressure.clock.advance(LOOK_EVERY_S)
    cpu_only.cpu(99.0)
    assert [cpu_only.pressure.look(consecutive=2) for _ in range(4)] == [None] * 4


def test_a_peer_without_a_database_is_tolerated_and_named(machine, tmp_path):
    machine.peers["disk"].run.close()
    machine.peers["disk"].database.unlink()
    machine.cpu(20.0)
    machine.memory(available_percent=50.0)
    payload = machine.pressure.look()
    assert payload["level"] == "calm"
    assert list(payload["unread"]) == ["disk"]
    assert payload["summary"].endswith("memory 50 %, could not read disk")


def test_a_peer_without_a_reading_is_named(machine):
    machine.cpu(20.0)
    assert machine.pressure.look()["unread"]["memory"] == "it has no reading yet"


def test_nothing_is_told_before_a_first_peer_can_be_read(machine):
    assert machine.pressure.look() is None
    machine.cpu(20.0)
    assert machine.pressure.look(after_s=10)["level"] == "calm"


def test_a_peer_that_cannot_be_read_any_more_keeps_its_level(machine):
    machine.cpu(95.0)
    machine.memory(available_percent=50.0)
    assert machine.pressure.look()["level"] == "strained"
    machine.pressure.clock.advance(6 * 60)
    machine.memory(available_percent=50.0)
    assert machine.pressure.look(stale_minutes=5, consecutive=1) is None
    assert machine.pressure.rows("SELECT level FROM sources WHERE source = 'cpu-usage'") == [(2,)]
    machine.cpu(10.0)
    payload = machine.pressure.look(consecutive=1)
    assert (payload["level"], payload["before"]) == ("calm", "strained")


def test_the_age_of_a_stale_reading_is_told(machine):
    machine.cpu(95.0, ago_s=600)
    machine.memory(available_percent=50.0)
    assert machine.pressure.look()["unread"]["cpu-usage"] == "its last reading is 10 min old"


def test_a_peer_that_is_no_longer_configured_is_forgotten(make_bench, machine):
    machine.cpu(95.0)
    machine.memory(available_percent=50.0)
    machine.pressure.look()
    fewer = make_bench("pressure", {"memory": machine.peers["memory"]})
    fewer.clock.advance(LOOK_EVERY_S)
    assert fewer.look()["level"] == "calm"


def test_without_any_peer_in_the_configuration_it_says_so(make_bench):
    error = make_bench("pressure").run().error
    assert (error.kind, bool(error.hint)) == ("peer", True)
    assert "cpu-usage, memory, disk" in error.message


def test_old_changes_are_pruned_and_the_newest_is_never(cpu_only):
    cpu_only.levels(10, 95, 10, consecutive=1)
    cpu_only.pressure.clock.advance(40 * 86_400)
    assert cpu_only.levels(10, consecutive=1) == [None]
    assert cpu_only.pressure.rows("SELECT level FROM changes") == [("calm",)]
    assert cpu_only.levels(95, consecutive=1) == ["strained"]
    cpu_only.pressure.clock.advance(300)
    assert cpu_only.levels(95, consecutive=1) == [None]
    assert cpu_only.pressure.rows("SELECT level FROM changes") == [("strained",)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"cpu_busy_percent": 90, "cpu_strained_percent": 80},
        {"disk_busy_percent": 3},
        {"consecutive": 0},
        {"level": 1},
    ],
)
def test_options_that_make_no_sense_are_refused(cpu_only, wrong):
    with pytest.raises(ValidationError):
        cpu_only.pressure.module.Options.model_validate(wrong)
