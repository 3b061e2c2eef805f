from types import SimpleNamespace

import pytest
from pydantic import ValidationError


class Interfaces:
    """Stands in for psutil: interfaces whose counters are moved by hand."""

    def __init__(self):
        self.states = {}
        self.counters = {}

    def add(self, name, *, up=True, received=1_000_000):
        self.states[name] = SimpleNamespace(isup=up)
        self.counters[name] = SimpleNamespace(
            bytes_recv=received, bytes_sent=0, errin=0, errout=0, dropin=0, dropout=0
        )

    def remove(self, name):
        del self.states[name], self.counters[name]

    def carry(self, name, **more):
        for counter, number in more.items():
            setattr(self.counters[name], counter, getattr(self.counters[name], counter) + number)

    def net_io_counters(self, *, pernic, nowrap):
        # With nowrap psutil keeps state of its own, which a restarted worker would lose.
        assert (pernic, nowrap) == (True, False)
        return dict(self.counters)

    def net_if_stats(self):
        return dict(self.states)


@pytest.fixture
def bench(make_bench):
    return make_bench("network")


@pytest.fixture
def interfaces(bench, monkeypatch):
    fake = Interfaces()
    fake.add("eth0")
    monkeypatch.setattr(bench.module, "psutil", fake)
    return fake


def events(payload):
    return [(event["interface"], event["event"]) for event in payload["events"]]


def rates(bench):
    return bench.rows("SELECT interface, received_bytes_per_s FROM readings ORDER BY id")


def test_the_first_look_tells_what_is_up_and_no_rates(bench, interfaces):
    interfaces.add("eth1", up=False)
    payload = bench.look()
    assert payload["summary"] == "Network 1 of 2 interfaces up"
    assert payload["interfaces"][0] == {"name": "eth0", "is_up": True, "troubles": []}
    assert rates(bench) == []


def test_rates_come_from_the_counters_of_two_looks(bench, interfaces):
    bench.look()
    interfaces.carry("eth0", bytes_recv=50_000_000, bytes_sent=10_000_000)
    payload = bench.look(after_s=10, heartbeat_minutes=0.1)
    assert payload["interfaces"][0]["received_bytes_per_s"] == 5_000_000.0
    assert payload["summary"] == "Network 1 of 1 interfaces up; 5.00 MB/s in, 1.00 MB/s out"
    assert rates(bench) == [("eth0", 5_000_000.0)]


def test_counters_that_went_backwards_give_no_rate_for_one_look(bench, interfaces):
    bench.look()
    interfaces.counters["eth0"].bytes_recv = 500
    bench.look(after_s=10)
    assert rates(bench) == []
    interfaces.carry("eth0", bytes_recv=1_000)
    bench.look(after_s=10)
    assert rates(bench) == [("eth0", 100.0)]


@pytest.mark.parametrize(
    ("wall_s", "clock_s"),
    [(3600, 10), (-3600, 10), (600, -4_000), (10, 0)],
    ids=["suspended", "clock set back", "rebooted", "no time passed"],
)
def test_clocks_that_disagree_give_no_rate_for_one_look(bench, interfaces, wall_s, clock_s):
    bench.look()
    interfaces.carry("eth0", bytes_recv=1_000)
    bench.look(after_s=wall_s, clock_after_s=clock_s)
    assert rates(bench) == []


def test_a_clock_that_is_being_adjusted_still_gives_rates(bench, interfaces):
    bench.look()
    interfaces.carry("eth0", bytes_recv=3_000)
    bench.look(after_s=30.2, clock_after_s=30.0)
    assert rates(bench) == [("eth0", 100.0)]


def test_an_interface_that_goes_down_and_up_is_told(bench, interfaces):
    bench.look()
    interfaces.states["eth0"].isup = False
    payload = bench.look(after_s=10)
    assert events(payload) == [("eth0", "down")]
    assert payload["summary"].startswith("Network eth0: down; 0 of 1 interfaces up")
    assert bench.look(after_s=10) is None
    interfaces.states["eth0"].isup = True
    assert events(bench.look(after_s=10)) == [("eth0", "up")]


def test_interfaces_that_come_and_go_are_told_once(bench, interfaces):
    bench.look()
    interfaces.add("tun0")
    assert events(bench.look(after_s=10)) == [("tun0", "appeared")]
    interfaces.remove("tun0")
    assert events(bench.look(after_s=10)) == [("tun0", "gone")]
    assert bench.look(after_s=10) is None


def test_an_interface_that_is_in_one_of_two_lists_only_is_left_out(bench, interfaces):
    del interfaces.states["eth0"]  # it went away between the two questions
    assert bench.look()["interfaces"] == []


def test_ignored_interfaces_are_left_out(bench, interfaces):
    for name in ("lo", "veth12ab"):
        interfaces.add(name)
    assert [interface["name"] for interface in bench.look()["interfaces"]] == ["eth0"]


@pytest.mark.parametrize(
    ("trouble", "counter", "numbers"),
    [
        # Per look of 60 s: at the threshold, above half of it, at half of it.
        ("errors", "errin", (10, 6, 5)),
        ("drops", "dropout", (600, 301, 300)),
        ("busy", "bytes_sent", (6_000_000_000, 3_000_000_060, 3_000_000_000)),
    ],
)
def test_a_trouble_begins_at_its_threshold_and_ends_at_half_of_it(
    bench, interfaces, trouble, counter, numbers
):
    bench.look()
    told = []
    for number in numbers:
        interfaces.carry("eth0", **{counter: number})
        payload = bench.look(after_s=60)
        told.append(payload and events(payload))
    assert told == [[("eth0", f"{trouble} began")], None, [("eth0", f"{trouble} ended")]]


def test_a_trouble_lasts_while_there_is_no_rate(bench, interfaces):
    bench.look()
    interfaces.carry("eth0", errin=100)
    bench.look(after_s=60)
    interfaces.counters["eth0"].errin = 0
    assert bench.look(after_s=60) is None
    assert bench.rows("SELECT troubles FROM interfaces") == [("errors",)]


def test_a_heartbeat_comes_when_nothing_changes(bench, interfaces):
    bench.look()
    assert bench.look(after_s=1799) is None
    assert bench.look(after_s=1)["reason"] == "heartbeat"


def test_old_readings_are_pruned(bench, interfaces):
    bench.look()
    bench.look(after_s=60)
    bench.look(after_s=8 * 86_400)
    assert bench.rows("SELECT at_us FROM readings") == [(bench.at_us(),)]


def test_it_runs_on_this_machine(bench):
    payload = bench.look(ignore=[])
    assert "lo" in [interface["name"] for interface in payload["interfaces"]]


@pytest.mark.parametrize("wrong", [{"busy_mb_per_s": 0}, {"ignore": "lo"}, {"errors": 1}])
def test_options_out_of_range_or_unknown_are_refused(bench, wrong):
    with pytest.raises(ValidationError):
        bench.module.Options.model_validate(wrong)
