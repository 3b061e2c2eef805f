from types import SimpleNamespace

import pytest
from pydantic import ValidationError

GIB = 2**30


class Machine:
    """Stands in for psutil: a machine of 100 GiB with 10 GiB of swap."""

    def __init__(self):
        self.available_gib = 60
        self.swap = SimpleNamespace(total=10 * GIB, used=0)

    def virtual_memory(self):
        return SimpleNamespace(total=100 * GIB, available=self.available_gib * GIB)

    def swap_memory(self):
        return self.swap


@pytest.fixture
def bench(make_bench):
    return make_bench("memory")


@pytest.fixture
def machine(bench, monkeypatch, tmp_path):
    fake = Machine()
    fake.stall_file = tmp_path / "pressure"
    monkeypatch.setattr(bench.module, "psutil", fake)
    monkeypatch.setattr(bench.module, "STALL_FILE", fake.stall_file)
    return fake


def stalled(percent):
    return f"some avg10={percent} avg60=0.07 avg300=0.07 total=1\nfull avg10=0.00 total=0\n"


def test_the_first_look_tells_what_is_left(bench, machine):
    payload = bench.look()
    assert payload["reason"] == "first"
    assert payload["summary"] == "Memory 60 % available (60.0 GiB of 100.0 GiB), swap 0 % used"
    assert payload["available_bytes"] == 60 * GIB
    assert payload["stall_percent"] is None


def test_a_steady_machine_is_told_once(bench, machine):
    bench.look()
    machine.available_gib = 55
    assert bench.look(after_s=5) is None
    assert bench.rows("SELECT available_percent, told FROM readings") == [(60.0, 1), (55.0, 0)]


def test_low_memory_is_told_when_it_comes_and_when_it_goes_and_not_while_it_trembles(
    bench, machine
):
    machine.available_gib = 12
    bench.look()
    reasons = []
    for machine.available_gib in (9, 11, 9, 14, 16, 12):
        payload = bench.look(after_s=5, low_percent=10)
        reasons.append(payload and (payload["reason"], payload["troubles"]))
    assert reasons == [("troubles", ["low"]), None, None, None, ("troubles", []), None]


def test_used_swap_is_a_trouble(bench, machine):
    bench.look()
    machine.swap.used = 5 * GIB
    assert bench.look(after_s=5, swap_percent=50)["troubles"] == ["swap"]


def test_a_machine_without_swap_has_no_trouble_with_it(bench, machine):
    machine.swap = SimpleNamespace(total=0, used=0)
    payload = bench.look()
    assert (payload["swap_percent"], payload["troubles"]) == (0.0, [])
    assert "swap" not in payload["summary"]


def test_programs_that_wait_for_memory_are_a_trouble(bench, machine):
    bench.look()
    machine.stall_file.write_text(stalled(31.5))
    payload = bench.look(after_s=5)
    assert (payload["troubles"], payload["stall_percent"]) == (["stall"], 31.5)
    assert payload["summary"].endswith("programs waited for it 32 % of the time")


@pytest.mark.parametrize("content", ["", "some nothing\n", "some avg10=x\n"])
def test_a_pressure_file_that_makes_no_sense_is_as_good_as_none(bench, machine, content):
    machine.stall_file.write_text(content)
    assert bench.look()["stall_percent"] is None


def test_a_pressure_file_that_cannot_be_read_is_as_good_as_none(bench, machine):
    machine.stall_file.mkdir()  # reading it is an OSError, as where the kernel switched it off
    assert bench.look()["stall_percent"] is None


def test_a_large_change_is_told_without_any_trouble(bench, machine):
    bench.look()
    machine.available_gib = 40
    assert bench.look(after_s=5, change_points=15)["reason"] == "change"


def test_a_heartbeat_comes_when_nothing_changes(bench, machine):
    bench.look()
    assert bench.look(after_s=599) is None
    assert bench.look(after_s=1)["reason"] == "heartbeat"


def test_old_readings_are_pruned(bench, machine):
    bench.look()
    bench.look(after_s=8 * 86_400)
    assert bench.rows("SELECT count(*) FROM readings") == [(1,)]


def test_it_runs_on_this_machine(bench):
    payload = bench.look()
    assert 0 < payload["available_bytes"] <= payload["total_bytes"]


@pytest.mark.parametrize("wrong", [{"low_percent": 0}, {"swap_percent": 5}, {"low": 10}])
def test_options_out_of_range_or_unknown_are_refused(bench, wrong):
    with pytest.raises(ValidationError):
        bench.module.Options.model_validate(wrong)
