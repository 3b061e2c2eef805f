from typing import NamedTuple

import pytest
from pydantic import ValidationError


class Times(NamedTuple):
    user: float
    system: float
    idle: float
    iowait: float = 0.0
    guest: float = 0.0
    guest_nice: float = 0.0


class Processors:
    """Stands in for psutil: two cores whose counters are moved by hand."""

    def __init__(self):
        self.cores = [Times(100.0, 50.0, 850.0), Times(100.0, 50.0, 850.0)]

    def run(self, *, busy_s, idle_s, core=None):
        for index, times in enumerate(self.cores):
            if core in (None, index):
                self.cores[index] = times._replace(
                    user=times.user + busy_s, idle=times.idle + idle_s
                )

    def reboot(self):
        self.cores = [Times(1.0, 0.0, 3.0), Times(1.0, 0.0, 3.0)]

    def cpu_times(self, *, percpu):
        assert percpu
        return list(self.cores)

    def getloadavg(self):
        return (3.1, 2.0, 1.0)


@pytest.fixture
def bench(make_bench):
    return make_bench("cpu-usage")


@pytest.fixture
def processors(bench, monkeypatch):
    fake = Processors()
    monkeypatch.setattr(bench.module, "psutil", fake)
    return fake


def test_the_first_look_tells_the_average_since_boot(bench, processors):
    payload = bench.look()
    assert payload["reason"] == "first"
    assert payload["busy_percent"] == 15.0
    assert payload["summary"] == "CPU 15 % busy since boot, load 3.1 on 2 cores"


def test_a_later_look_measures_the_time_between_two_looks(bench, processors):
    bench.look()
    processors.run(busy_s=4.0, idle_s=1.0)
    payload = bench.look(after_s=5)
    assert payload["busy_percent"] == 80.0
    assert payload["summary"] == "CPU 80 % busy, load 3.1 on 2 cores"


def test_a_steady_load_is_told_once_and_kept_at_every_look(bench, processors):
    bench.look()
    processors.run(busy_s=1.0, idle_s=4.0)
    assert bench.look(after_s=5) is None
    assert bench.rows("SELECT busy_percent, told FROM readings") == [(15.0, 1), (20.0, 0)]


def test_a_high_load_is_told_once_when_it_comes_and_once_when_it_goes(bench, processors):
    bench.look()
    reasons = []
    for busy_s in (9.2, 8.8, 9.3, 8.6, 8.4, 8.8):
        processors.run(busy_s=busy_s, idle_s=10 - busy_s)
        payload = bench.look(after_s=10, high_percent=90)
        reasons.append(payload and payload["reason"])
    # 88 and 86 are inside the margin of 5 points; 84 leaves it, and 88 does not enter again.
    assert reasons == ["high", None, None, None, "normal", None]


def test_a_slow_drift_is_told_when_it_is_far_from_the_last_signal(bench, processors):
    bench.look()
    reasons = []
    for busy_s in (2.5, 3.5, 4.5, 5.5):
        processors.run(busy_s=busy_s, idle_s=10 - busy_s)
        payload = bench.look(after_s=10, change_points=25)
        reasons.append(payload and payload["reason"])
    assert reasons == [None, None, "change", None]


def test_a_heartbeat_comes_when_nothing_changes(bench, processors):
    bench.look()
    processors.run(busy_s=1.5, idle_s=8.5)
    assert bench.look(after_s=119, heartbeat_minutes=2) is None
    processors.run(busy_s=1.5, idle_s=8.5)
    assert bench.look(after_s=1, heartbeat_minutes=2)["reason"] == "heartbeat"


def test_a_clock_set_back_does_not_silence_the_heartbeat(bench, processors):
    bench.look()
    processors.run(busy_s=1.5, idle_s=8.5)
    assert bench.look(after_s=-3600)["reason"] == "heartbeat"


def test_counters_that_started_anew_give_the_average_since_boot(bench, processors):
    bench.look()
    processors.reboot()
    assert bench.look(after_s=60, change_points=5)["busy_percent"] == 25.0


def test_a_core_that_comes_or_goes_starts_the_counters_anew(bench, processors):
    bench.look()
    processors.cores.append(Times(0.0, 0.0, 1.0))
    payload = bench.look(after_s=5, heartbeat_minutes=0.01)
    assert (payload["cores"], "since boot" in payload["summary"]) == (3, True)


def test_an_idle_counter_that_slips_back_a_tick_is_no_reboot(bench, processors):
    bench.look()
    processors.run(busy_s=5.0, idle_s=-0.01)
    assert bench.look(after_s=5)["busy_percent"] == 100.0


def test_two_looks_within_a_tick_tell_nothing_and_lose_nothing(bench, processors):
    bench.look()
    processors.run(busy_s=0.01, idle_s=0.0)
    assert bench.look(after_s=0.01) is None
    processors.run(busy_s=3.99, idle_s=1.0)
    assert bench.look(after_s=5)["busy_percent"] == 80.0


def test_waiting_for_a_disk_is_not_busy_and_guests_are_counted_once(bench, processors):
    processors.cores = [Times(user=60.0, system=0.0, idle=20.0, iowait=20.0, guest=30.0)]
    # guest time is inside user time: 60 of 100 seconds, less the 30 told twice by sum().
    assert bench.look()["busy_percent"] == pytest.approx(100 * (130 - 30 - 40) / 100)


def test_per_core_tells_each_core(bench, processors):
    bench.look()
    processors.run(core=0, busy_s=10.0, idle_s=0.0)
    processors.run(core=1, busy_s=0.0, idle_s=10.0)
    payload = bench.look(after_s=10, per_core=True)
    assert payload["core_busy_percent"] == [100.0, 0.0]
    assert payload["busy_percent"] == 50.0


def test_old_readings_are_pruned(bench):
    old = {"busy_percent": 1, "load_1min": 0, "load_5min": 0, "load_15min": 0, "high": False}
    rows = [{"at_us": bench.at_us(ago_s=9 * 86_400) + n, "told": False, **old} for n in range(5)]
    bench.write("readings", *rows)
    bench.look()
    assert bench.rows("SELECT at_us FROM readings") == [(bench.at_us(),)]


def test_it_runs_on_this_machine(bench):
    payload = bench.look(per_core=True)
    assert 0 <= payload["busy_percent"] <= 100
    assert len(payload["core_busy_percent"]) == payload["cores"]


@pytest.mark.parametrize(
    "wrong",
    [{"high_percent": 101}, {"heartbeat_minutes": 0}, {"keep_days": 7}, {"perCore": True}],
)
def test_options_out_of_range_or_unknown_are_refused(bench, wrong):
    with pytest.raises(ValidationError):
        bench.module.Options.model_validate(wrong)
