"""`nerve metrics`: what it tells with a running nerve and without one, and to whom."""

import os
import queue
import re
import signal as signals
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from nerve.cli import exporter, metrics
from nerve.cli.exporter import Scrapes, ScrapeStuck
from nerve.cli.scrape import _buckets
from nerve.errors import Exit
from nerve.supervisor.states import WorkerState
from nerve.wire.measures import Spread

PATIENCE_S = 30


def samples_of(text):
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def value_of(text, name, **labels):
    found = [one.value for one in samples_of(text) if (one.name, one.labels) == (name, labels)]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.fixture
def serving(project, background):
    """Start it on a free port; return how to ask it."""

    def start(*arguments):
        process = background("metrics", "--port", "0", *arguments)
        said = []
        while not said or not (at := re.search(r"http://[^\s;]+", said[-1])):
            said.append(process.stderr.readline())
            assert said[-1], said

        def ask(path=""):
            try:
                with urllib.request.urlopen(at[0] + path, timeout=PATIENCE_S) as answer:
                    return answer.status, answer.headers, answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.headers, error.read().decode()

        return process, said, ask

    return start


def test_without_a_running_nerve_it_is_down_and_the_files_tell_what_they_have(project, signal):
    """CTL-2"""
    project.record(signal(), counts=[("cpu-usage", "error", 3), ("cpu-usage", "throttled", 5)])
    done = project.nerve("metrics", "--once")
    assert done.exit_code == Exit.OK, done.output
    assert value_of(done.stdout, "nerve_up") == 0
    assert value_of(done.stdout, "nerve_source_up", source="journal") == 1
    of_sense = {"sense": "cpu-usage"}
    assert value_of(done.stdout, "nerve_computes_total", outcome="error", **of_sense) == 3
    passed = "nerve_triggers_passed_over_total"
    assert value_of(done.stdout, passed, reason="throttled", **of_sense) == 5
    assert value_of(done.stdout, "nerve_database_size_bytes", database="logs.db") > 0
    assert value_of(done.stdout, "nerve_senses_quarantined") == 0


def test_where_nothing_has_run_it_is_down_and_that_is_no_error(project):
    """CTL-2"""
    done = project.nerve("metrics", "--once")
    assert done.exit_code == Exit.OK
    assert done.stderr == ""
    assert value_of(done.stdout, "nerve_up") == 0
    assert value_of(done.stdout, "nerve_source_up", source="journal") == 0


def test_a_journal_that_cannot_be_read_is_told_and_the_rest_is_there(project, signal):
    project.record(signal())
    project.state.journal_path.write_bytes(b"no database" * 1000)
    done = project.nerve("metrics", "--once")
    assert done.exit_code == Exit.OK
    assert value_of(done.stdout, "nerve_source_up", source="journal") == 0
    assert value_of(done.stdout, "nerve_source_up", source="files") == 1
    assert "journal:" in done.stderr


def test_of_a_running_nerve_it_tells_lateness_durations_groups_and_lag(project, background):
    project.write(
        "nerve.yaml",
        "senses: {disk: {group: host}, ear: {}}\nreflexes:\n"
        "  - {kind: sense, sense: disk, interval: 50ms}\n"
        "  - {kind: sense, sense: ear, on: disk}\n",
    )
    project.sense("disk", "def compute(db, peers, ctx): return 1\n")
    project.sense("ear")
    running = background("run")
    while " #" not in running.stdout.readline():
        pass
    text = project.nerve("metrics", "--once").stdout
    assert value_of(text, "nerve_up") == 1
    assert value_of(text, "nerve_compute_duration_seconds_count", sense="disk") >= 1
    assert value_of(text, "nerve_start_lateness_seconds_count", sense="disk") >= 1
    assert value_of(text, "nerve_group_worker_starts_total", group="host") == 1
    states = [one.value for one in samples_of(text) if one.name == "nerve_group_state"]
    assert (states.count(1), len(states)) == (2, 2 * len(WorkerState))
    assert value_of(text, "nerve_reflex_lag_signals", target="ear", source="disk") is not None
    assert value_of(text, "nerve_start_time_seconds") > 1.7e9
    running.send_signal(signals.SIGTERM)
    assert running.wait(PATIENCE_S) == 0


def test_it_serves_prometheus_on_loopback_until_it_is_asked_to_end(serving, project, signal):
    project.record(signal())
    process, said, ask = serving()
    status, headers, text = ask()
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=")
    assert value_of(text, "nerve_up") == 0
    assert ask("/more")[0] == 404
    assert "127.0.0.1" in said[-1]
    assert not any("warning" in line for line in said)
    process.send_signal(signals.SIGTERM)
    assert process.wait(PATIENCE_S) == 0


def test_an_address_that_others_reach_is_warned_of(serving):
    _, said, _ = serving("--address", "0.0.0.0")
    assert "no password and no TLS" in said[0]


def test_a_port_that_is_taken_is_said_and_what_to_do(project):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = project.nerve("metrics", "--port", str(taken.getsockname()[1]))
    assert done.exit_code == Exit.INPUT_OUTPUT
    assert "--port" in done.stderr


def test_an_address_that_is_none_is_a_usage_error(project):
    assert project.nerve("metrics", "--address", "here").exit_code == Exit.USAGE


def test_without_the_package_it_says_what_to_install(project, monkeypatch):
    monkeypatch.setattr(metrics, "PACKAGE", "no_such_package_here")
    refused = project.nerve("metrics", "--once")
    assert refused.exit_code == Exit.USAGE
    assert "pip install 'nerve[metrics]'" in refused.stderr


def test_its_help_needs_no_package():
    shown = (
        "import sys; sys.modules['prometheus_client'] = None; from nerve.cli import main; "
        "sys.argv = ['nerve', 'metrics', '--help']; main()"
    )
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "nerve[metrics]" in done.stdout


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=12))
def test_each_bucket_counts_what_the_smaller_ones_do_and_the_last_one_everything(counts):
    bounds = [0.001 * 4**n for n in range(len(counts) - 1)]
    buckets = _buckets(bounds, Spread(counts=tuple(counts), sum_s=1.0))
    assert [float(bound) for bound, _ in buckets] == [*bounds, float("inf")]
    reached = [value for _, value in buckets]
    assert reached == sorted(reached)
    assert reached[-1] == sum(counts)


def test_a_file_whose_name_is_no_utf_8_is_shown_and_spoils_no_scrape(project, signal):
    project.record(signal())
    (project.state.senses / os.fsdecode(b"\xff.db")).touch()
    done = project.nerve("metrics", "--once")
    assert done.exit_code == Exit.OK, done.output
    assert value_of(done.stdout, "nerve_database_size_bytes", database=r"senses/\udcff.db") == 0


def test_a_scrape_that_hangs_is_given_up_and_no_other_begins_until_it_has_ended():
    let_go, looks = threading.Event(), []

    def look():
        looks.append(1)
        let_go.wait(PATIENCE_S)
        return []

    scrapes = Scrapes(look, timeout_s=0.01)
    with pytest.raises(ScrapeStuck, match="longer than"):
        scrapes.collect()
    with pytest.raises(ScrapeStuck, match="earlier"):
        scrapes.collect()
    assert len(looks) == 1
    let_go.set()
    scrapes._running.join(PATIENCE_S)
    scrapes._timeout_s = PATIENCE_S
    assert [family.name for family in scrapes.collect()] == ["nerve_scrape_duration_seconds"]
    assert len(looks) == 2


@pytest.fixture
def served_here(monkeypatch):
    """Serve a look of the test's in this process; return its address."""
    started = []

    def start(look):
        server = exporter.listening(Scrapes(look), "127.0.0.1", 0)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        started.append((server, thread))
        return server.server_address

    yield start
    for server, thread in started:
        server.shutdown()
        thread.join(PATIENCE_S)
        server.server_close()


def test_a_client_that_never_asks_is_hung_up_on_and_the_next_is_answered(served_here, monkeypatch):
    begun = queue.Queue()

    class Timer:
        def __init__(self, _, then):
            self.then = then

        def start(self):
            begun.put(self)

        def cancel(self):
            pass

    monkeypatch.setattr(threading, "Timer", Timer)
    address = served_here(lambda: [GaugeMetricFamily("nerve_up", "Up.", 1)])
    with socket.create_connection(address, PATIENCE_S) as silent:
        silent.sendall(b"GET /met")
        of_silent = begun.get(timeout=PATIENCE_S)
        asking = socket.create_connection(address, PATIENCE_S)
        of_silent.then()
        assert silent.recv(1) == b""
    with asking:
        asking.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        with asking.makefile() as answer:
            assert "nerve_up 1" in answer.read()


def test_a_look_that_fails_is_answered_and_the_next_one_works(served_here, capsys):
    looks = iter([RuntimeError("lost"), []])

    def look():
        found = next(looks)
        if isinstance(found, Exception):
            raise found
        return found

    host, port = served_here(look)
    url = f"http://{host}:{port}/metrics"
    with pytest.raises(urllib.error.HTTPError) as failed:
        urllib.request.urlopen(url, timeout=PATIENCE_S)
    with failed.value as answer:
        assert answer.code == 503
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        assert answer.status == 200
