from types import SimpleNamespace

import psutil
import pytest
from pydantic import ValidationError

MIB = 2**20


class Machine:
    """Stands in for psutil: processes that are started, run and ended by hand."""

    STATUS_ZOMBIE = psutil.STATUS_ZOMBIE

    def __init__(self):
        self.processes = {}

    def start(self, pid, name="sh", *, rss_mib=1, started_s=1000.0, cpu_s=0.0, status="sleeping"):
        self.processes[pid] = {
            "name": name,
            "status": status,
            "memory_info": SimpleNamespace(rss=rss_mib * MIB),
            "cpu_times": SimpleNamespace(user=cpu_s, system=0.0),
            "create_time": started_s,
        }

    def run(self, pid, *, cpu_s):
        before = self.processes[pid]["cpu_times"]
        self.processes[pid]["cpu_times"] = SimpleNamespace(user=before.user + cpu_s, system=0.0)

    def process_iter(self, attrs):
        return [SimpleNamespace(pid=pid, info=info) for pid, info in self.processes.items()]

    def virtual_memory(self):
        return SimpleNamespace(total=1000 * MIB)


@pytest.fixture
def bench(make_bench):
    return make_bench("processes")


@pytest.fixture
def machine(bench, monkeypatch):
    fake = Machine()
    monkeypatch.setattr(bench.module, "psutil", fake)
    fake.start(1, "init", rss_mib=10)
    fake.start(2, "firefox", rss_mib=300)
    return fake


def cpu_percents(payload):
    return {process["name"]: process["cpu_percent"] for process in payload["top_cpu"]}


def test_the_first_look_tells_who_is_there_and_no_shares(bench, machine):
    payload = bench.look()
    assert payload["reason"] == "first"
    assert payload["summary"] == "2 processes, 0 of them zombies; most memory: firefox 300 MiB"
    assert [process["pid"] for process in payload["top_memory"]] == [2, 1]
    assert payload["top_cpu"] == []


def test_shares_come_from_the_processor_time_between_two_looks(bench, machine):
    bench.look()
    machine.run(2, cpu_s=8.0)
    machine.run(1, cpu_s=1.0)
    payload = bench.look(after_s=10, heartbeat_minutes=0.1)
    assert cpu_percents(payload) == {"firefox": 80.0, "init": 10.0}
    assert payload["summary"].endswith("most CPU: firefox 80 %")


def test_a_process_with_a_used_id_is_another_process(bench, machine):
    machine.start(7, "old", cpu_s=500.0)
    bench.look()
    machine.start(7, "new", cpu_s=2.0, started_s=2000.0)
    assert cpu_percents(bench.look(after_s=10, heartbeat_minutes=0.1)) == {"new": 20.0}


def test_a_start_that_moved_with_the_clock_is_the_same_process(bench, machine):
    machine.start(7, "same", cpu_s=500.0, started_s=1000.0)
    bench.look()
    machine.start(7, "same", cpu_s=501.0, started_s=1001.0)
    assert cpu_percents(bench.look(after_s=10, heartbeat_minutes=0.1)) == {"same": 10.0}


def test_clocks_that_disagree_give_no_shares_for_one_look(bench, machine):
    bench.look()
    machine.run(2, cpu_s=8.0)
    assert cpu_percents(bench.look(after_s=3600, clock_after_s=10)) == {}


def test_what_may_not_be_read_is_counted_without_its_numbers(bench, machine):
    machine.start(9, "secret")
    machine.processes[9] |= {"memory_info": None, "cpu_times": None}
    payload = bench.look()
    assert payload["count"] == 3
    assert payload["top_memory"][-1]["rss_bytes"] == 0


def test_a_process_without_a_start_is_left_out(bench, machine):
    machine.start(9)
    machine.processes[9]["create_time"] = None
    assert bench.look()["count"] == 2


def test_a_name_that_is_no_text_is_told_all_the_same(bench, machine):
    machine.start(9, "b\udcff", rss_mib=400)
    assert bench.look()["top_memory"][0]["name"] == "b?"


def test_zombies_are_told_when_they_pile_up_and_when_they_are_gone(bench, machine):
    for pid in range(100, 200):
        machine.start(pid)
    bench.look()
    told = []
    for zombies in (10, 9, 8):
        for pid in range(100, 120):
            status = "zombie" if pid < 100 + zombies else "sleeping"
            machine.processes[pid]["status"] = status
        payload = bench.look(after_s=30, max_zombies=10)
        told.append(payload and payload["troubles"])
    assert told == [["zombies"], None, []]


def test_one_process_with_too_much_memory_is_a_trouble(bench, machine):
    bench.look()
    machine.processes[2]["memory_info"].rss = 600 * MIB
    assert bench.look(after_s=30, max_rss_percent=50)["troubles"] == ["rss"]


def test_too_many_processes_are_a_trouble(bench, machine):
    bench.look()
    machine.start(3)
    assert bench.look(after_s=30, max_count=3, change_percent=1000)["troubles"] == ["count"]


def test_a_large_change_of_their_number_is_told(bench, machine):
    for pid in range(100, 108):
        machine.start(pid)
    bench.look()
    for pid in range(200, 204):
        machine.start(pid)
    assert bench.look(after_s=30) is None
    machine.start(300)
    assert bench.look(after_s=30)["reason"] == "change"


def test_a_heartbeat_comes_when_nothing_changes(bench, machine):
    bench.look()
    assert bench.look(after_s=1799) is None
    assert bench.look(after_s=1)["reason"] == "heartbeat"


def test_the_top_by_memory_and_by_cpu_is_kept_for_each_look(bench, machine):
    bench.look(top=1)
    machine.run(1, cpu_s=5.0)
    bench.look(after_s=10, top=1)
    rows = bench.rows("SELECT reading_id, name, cpu_percent FROM top ORDER BY reading_id, pid")
    assert rows == [(1, "firefox", None), (2, "init", 50.0), (2, "firefox", 0.0)]


def test_old_readings_are_pruned_with_their_top(bench, machine):
    bench.look()
    bench.look(after_s=8 * 86_400)
    assert bench.rows("SELECT id FROM readings") == [(2,)]
    assert bench.rows("SELECT DISTINCT reading_id FROM top") == [(2,)]


def test_the_processor_times_kept_are_bounded(bench, machine, monkeypatch):
    monkeypatch.setattr(bench.module, "MAX_TRACKED", 2)
    machine.start(3, cpu_s=9.0)
    machine.start(4, cpu_s=8.0)
    bench.look()
    assert bench.rows("SELECT pid FROM tracked ORDER BY pid") == [(3,), (4,)]


def test_a_process_that_vanishes_while_it_is_read_is_left_out(bench, monkeypatch):
    real = psutil.Process.as_dict

    def vanish(process, *args, **kwargs):
        if process.pid == psutil.Process().pid:
            raise psutil.NoSuchProcess(process.pid)
        return real(process, *args, **kwargs)

    monkeypatch.setattr(psutil.Process, "as_dict", vanish)
    bench.look()
    pids = {pid for (pid,) in bench.rows("SELECT pid FROM tracked")}
    assert pids
    assert psutil.Process().pid not in pids


def test_it_runs_on_this_machine(bench):
    payload = bench.look()
    assert payload["count"] >= 1
    assert payload["top_memory"][0]["rss_bytes"] > 0


@pytest.mark.parametrize("wrong", [{"top": 0}, {"max_rss_percent": 101}, {"count": 1}])
def test_options_out_of_range_or_unknown_are_refused(bench, wrong):
    with pytest.raises(ValidationError):
        bench.module.Options.model_validate(wrong)
