"""Senses that mean harm, each kind contained, named and repaired, while a healthy one runs on."""

from tests.faults.conftest import TABLE, open_files
from tests.runtime.conftest import DIES_BETWEEN

SHORT = {"timeout": "300ms", "grace_period": "200ms"}

HANGS = {
    "holds-the-gil": "sum(itertools.repeat(1, 10**12))",
    "masks-signals": "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
    "    time.sleep(600)",
    "swallows": "while True:\n        try:\n            while True: time.sleep(0.01)\n"
    "        except BaseException: pass",
    "stops-itself": "while True:\n        try: os.kill(os.getpid(), signal.SIGSTOP)\n"
    "        except BaseException: pass",
    "ignores-alarm": "signal.signal(signal.SIGALRM, signal.SIG_IGN)\n"
    "    while True: time.sleep(0.01)",
}
FORKS = """
def breed(depth):
    os.setsid()
    end = time.monotonic() + 5  # lest a failed test takes the machine
    while time.monotonic() < end:
        if depth < 3 and os.fork() == 0:
            breed(depth + 1)
        time.sleep(0.06)
    os._exit(0)

def compute(db, peers, ctx):
    wait_for_go()
    if os.fork() == 0:
        breed(0)
    time.sleep(20)
"""


def compute(body):
    return f"def compute(db, peers, ctx):\n    {body}\n"


def deadly(body):
    return f"def compute(db, peers, ctx):\n    wait_for_go()\n    {body}\n"


def test_what_hangs_is_killed_with_its_stack_told_and_its_neighbours_run_on(hostile):
    """RUN-3, RUN-4, RUN-5, RUN-6, RUN-9"""
    for name, body in HANGS.items():
        hostile.hostile(name, compute(body), **SHORT)
    hostile.hostile("forks", FORKS, processes=20)
    running = hostile.start()
    files = hostile.began(running)
    for name in HANGS:
        (hung,) = running.log("worker.hard_timeout", source=name)
        assert f"{name.replace('-', '_')}/__init__.py" in hung["payload"]["stack"], hung
        hostile.assert_guilty(running, name, "killed", "did not end within timeout")
    hostile.assert_guilty(running, "forks", "killed", "child processes, limit 20")
    hostile.assert_all_run_on(running, [f"by-{name}" for name in (*HANGS, "forks")])
    hostile.assert_no_descriptor_is_lost(running, files)
    hostile.assert_healthy_never_died(running)
    hostile.assert_ended_well(running)
    for name in (*HANGS, "forks"):
        assert hostile.outcomes(name) == {"killed": 1}, name


DEATHS = {
    "exits": (deadly("os._exit(3)"), "crashed", "exited with 3"),
    "segfaults": (deadly("ctypes.string_at(0)"), "crashed", "SIGSEGV", "segfaults/__init__.py"),
    "overflows": (
        deadly(
            "sys.setrecursionlimit(10**9)\n"
            "    class Deep:\n        def __getattr__(self, name): return getattr(self, name)\n"
            "    Deep().end"
        ),
        "crashed",
        "SIGSEGV",
        "overflows/__init__.py",
    ),
    "closes": (deadly("os.closerange(0, 4096)\n    return 1"), "crashed", "while closes ran"),
    "kills-group": (deadly("os.killpg(0, signal.SIGKILL)"), "crashed", "SIGKILL"),
    "shares": (
        deadly(
            "much = mmap.mmap(-1, 300_000_000)\n"
            "    for _ in range(300): much.write(bytes(1_000_000))\n    time.sleep(20)"
        ),
        "killed",
        "MB of memory, limit 200 MB",
    ),
    "breeds": (
        deadly(
            "for _ in range(3):\n        if os.fork() == 0:\n"
            "            os.setsid()\n            much = bytearray(b'x') * 100_000_000\n"
            "            time.sleep(20)\n    time.sleep(20)"
        ),
        "killed",
        "MB of memory, limit 200 MB",
    ),
}
GARBAGE = """
def compute(db, peers, ctx):
    db.exec_driver_sql("INSERT INTO seen DEFAULT VALUES")
    wait_for_go()
    for name in os.listdir("/proc/self/fd"):
        try:
            os.set_blocking(int(name), False)
            os.write(int(name), os.urandom(100_000))
        except OSError:
            pass
"""


def test_what_takes_its_worker_down_is_named_and_its_neighbours_run_on(hostile):
    """RUN-5, RUN-6, RUN-7, RUN-9, MSG-2, MSG-5, LOG-5"""
    for name, (source, *_) in DEATHS.items():
        limits = {"memory": "200MB"} if name in ("shares", "breeds") else {}
        hostile.hostile(name, source, **limits)
    hostile.hostile("garbles", GARBAGE, neighbour=False, revisions={"first": TABLE})
    hostile.hostile("leaves-thread", DIES_BETWEEN + deadly("die_between()"))
    running = hostile.start()
    files = hostile.began(running)
    for name, (_, outcome, *words) in DEATHS.items():
        hostile.assert_guilty(running, name, outcome, *words)
    hostile.assert_guilty(running, "garbles", "killed", "sent what is no message")
    running.log("message.invalid", source="garbles")
    (corrupt,) = running.log("sense.unavailable", source="garbles")
    assert corrupt["payload"]["kind"] == "corrupt", corrupt
    (died,) = running.log("worker.died", source="leaves-thread")
    assert died["payload"]["guilty"] is None
    assert "after leaves-thread ran" in died["payload"]["message"]
    neighbours = [f"by-{name}" for name in (*DEATHS, "leaves-thread")]
    hostile.assert_all_run_on(running, neighbours)
    hostile.assert_no_descriptor_is_lost(running, files)
    hostile.assert_healthy_never_died(running)
    hostile.assert_ended_well(running)
    for name, (_, outcome, *_) in DEATHS.items():
        assert hostile.outcomes(name) == {outcome: 1}, name
    assert hostile.outcomes("garbles") == {"killed": 1}
    assert hostile.outcomes("leaves-thread") == {"no_signal": 1}


INSERT = "db.exec_driver_sql('INSERT INTO seen DEFAULT VALUES')\n    "
ERRORS = {
    "huge": ("return 'x' * 20_000_000", "payload_too_large"),
    "recurses": ("def deep(): deep()\n    deep()", "error"),
    "not-a-number": ("return {'n': [math.nan]}", "payload_invalid"),
    "cyclic": ("ring = []\n    ring.append(ring)\n    return ring", "payload_invalid"),
    "exits-softly": ("sys.exit(3)", "error"),
    "interrupts": ("raise KeyboardInterrupt", "error"),
    "closes-db": (INSERT + "db.close()\n    return 1", "transaction_ended"),
    "commits": (INSERT + "db.commit()\n    return 1", "transaction_ended"),
    "rolls-back": (INSERT + "db.rollback()\n    return 1", "transaction_ended"),
    "raw-commit": (INSERT + "db.exec_driver_sql('COMMIT')\n    return 1", "transaction_ended"),
}
FLOODS = "for n in range(200_000): print(n)\n    return {'printed': n + 1}"
WANDERS = "os.chdir('/')\n    return os.getcwd()"
REWIRES = """
def compute(db, peers, ctx):
    for number in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    return 1
"""
GREEDY = "wait_for_go()\n    pieces = []\n    while True: pieces.append(bytearray(1_000_000))"


def test_what_only_goes_wrong_is_an_error_and_its_worker_lives(hostile):
    """RUN-2, RUN-4, RUN-5, LOG-5, MSG-2"""
    for name, (body, _) in ERRORS.items():
        table = {"revisions": {"first": TABLE}}
        hostile.hostile(name, compute(body), group="one", neighbour=False, **table)
    hostile.hostile("floods", compute(FLOODS), group="one")
    hostile.hostile("wanders", compute(WANDERS), group="one", neighbour=False)
    where = compute("return os.getcwd()")
    hostile.hostile("where", where, group="one", neighbour=False, cause="on: wanders")
    hostile.hostile("rewires", REWIRES, group="one", neighbour=False)
    slow = {"timeout": "300ms", "grace_period": "30s"}  # so that it is not killed, whoever is late
    after = {"cause": "on: rewires", "group": "one", "neighbour": False}
    hostile.hostile("slow", compute("time.sleep(600)"), **after, **slow)
    hostile.hostile("greedy", deadly(GREEDY), memory="200MB")
    running = hostile.start()
    files = hostile.began(running)
    for name, (_, kind) in ERRORS.items():
        (failed,) = running.log("compute.error", source=name)
        assert failed["payload"]["kind"] == kind, failed
    (greedy,) = running.log("compute.error", source="greedy")
    assert greedy["payload"]["kind"] == "memory"
    running.log("worker.stopped", source="greedy")
    running.signals("floods")
    (flooded,) = running.log("output.left_out")
    assert flooded["payload"]["left_out"] > 100_000
    assert [e["payload"] for e in running.signals("where")] == [str(hostile.root)]
    running.log("compute.soft_timeout", source="slow")
    hostile.assert_all_run_on(running, ["by-floods", "by-greedy"])
    hostile.assert_no_descriptor_is_lost(running, files)
    hostile.assert_healthy_never_died(running)
    hostile.assert_ended_well(running)
    for name in (*ERRORS, "greedy"):
        assert hostile.outcomes(name) == {"error": 1}, name
    assert hostile.outcomes("slow") == {"soft_timeout": 1}
    assert all(hostile.query(name, "SELECT count(*) FROM seen") == [(0,)] for name in ERRORS)
    assert not hostile.query("logs", "SELECT payload FROM logs WHERE type = 'worker.died'")


KILLS_SERVER = """
def compute(db, peers, ctx):
    if os.path.exists("go"):
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(20)
"""
KILLS_SIBLINGS = """
def compute(db, peers, ctx):
    if not os.path.exists("siblings"):
        return
    os.unlink("siblings")
    with open(f"/proc/{os.getppid()}/task/{os.getppid()}/children") as siblings:
        for pid in map(int, siblings.read().split()):
            if pid != os.getpid():
                os.kill(pid, signal.SIGKILL)
    return 1
"""


def test_who_kills_what_all_depend_on_is_found_and_quarantined(hostile):
    """RUN-5, RUN-8, RUN-9, MSG-5"""
    hostile.hostile("kills-server", KILLS_SERVER, neighbour=False, cause="interval: 1s")
    hostile.hostile("kills-siblings", KILLS_SIBLINGS, neighbour=False, cause="interval: 200ms")
    hostile.hostile("victim", compute("return 1"), cause="interval: 100ms")
    running = hostile.start()
    running.log("worker.ready", hostile.group_count)
    (hostile.root / "siblings").touch()
    running.signals("kills-siblings")
    for group in ("victim", "healthy", "kills-server"):
        died, *_ = running.log("worker.died", source=group)  # twice, if its replacement was killed
        assert "SIGKILL" in died["payload"]["how"]
    hostile.assert_all_run_on(running, ["by-victim"])
    files = open_files(running)
    (hostile.root / "go").touch()
    lost = running.log("forkserver.died", 3)
    assert all("kills-server" in entry["payload"]["running"] for entry in lost), lost
    (quarantined,) = running.log("sense.quarantined")
    assert quarantined["source"] == "kills-server"
    hostile.assert_all_run_on(running, ["victim", "by-victim"])
    hostile.assert_no_descriptor_is_lost(running, files)
    hostile.assert_ended_well(running)
    # A crash more, if it was computing when its sibling killed its worker.
    crashed = [told["message"] for told in hostile.rows("compute.crashed", "kills-server")]
    assert sum("fork server" in message for message in crashed) == 3, crashed
    assert hostile.outcomes("kills-server")["crashed"] == len(crashed)
    assert not hostile.query("logs", "SELECT 1 FROM logs WHERE type = 'group.fatal'")


HANGS_WHILE_LOADED = {
    "loads-long": ("time.sleep(600)", None),
    "loads-in-c": ("sum(itertools.repeat(1, 10**12))", None),
    "migrates-long": ("", "import time; time.sleep(600)"),
    "migrates-in-c": ("", "import itertools; sum(itertools.repeat(1, 10**12))"),
}


def test_what_hangs_at_the_start_is_left_out_and_a_quarantine_outlives_a_restart(hostile):
    """BOOT-2, BOOT-3, RUN-3, RUN-9"""
    for name, (loading, migrating) in HANGS_WHILE_LOADED.items():
        revisions = {"revisions": {"first": migrating}} if migrating else {}
        hostile.hostile(name, f"{loading}\n{compute('pass')}", **revisions)
    hostile.hostile("exits", compute("os._exit(3)"), cause="interval: 100ms")
    short = {"LOAD_TIMEOUT_MS": "2000", "MIGRATE_TIMEOUT_MS": "2000"}
    short |= {"BOOT_TIMEOUT_S": "8", "BOOT_GRACE_S": "1"}
    neighbours = [f"by-{name}" for name in (*HANGS_WHILE_LOADED, "exits")]
    first = hostile.start(**short)
    for name, kind in (("loads-long", "load_timeout"), ("migrates-long", "migration_timeout")):
        (told,) = first.log("sense.unavailable", source=name)
        assert told["payload"]["kind"] == kind, told
    for name, folder in (("loads-in-c", "__init__.py"), ("migrates-in-c", "first.py")):
        (slow,) = first.log("worker.boot_timeout", source=name)
        assert folder in slow["payload"]["stack"], slow
        (died,) = first.log("worker.died", source=name)
        assert died["payload"]["guilty"] == name
    (quarantined,) = first.log("sense.quarantined")
    assert quarantined["source"] == "exits"
    hostile.assert_all_run_on(first, neighbours)
    hostile.assert_healthy_never_died(first)
    hostile.assert_ended_well(first)
    before = hostile.outcomes("exits")
    assert before.pop("crashed") == 3
    second = hostile.start(**short)
    (held,) = second.log("recovery.quarantine")
    assert held["source"] == "exits"
    hostile.assert_all_run_on(second, neighbours)
    hostile.assert_ended_well(second)
    after = hostile.outcomes("exits")
    assert after.pop("crashed") == 3
    assert after["quarantined"] > before.get("quarantined", 0)
    assert len(hostile.rows("worker.died", "exits")) == 3
