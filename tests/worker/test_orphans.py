KEEPING = """
import gc, os, subprocess

child = subprocess.Popen(["sh", "-c", "exit 3"])

def compute(db, peers, ctx):
    # Dead, and not reaped: the sense has not asked yet.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    return {"said": "dead"}
"""
ASKING = """
import sys

def compute(db, peers, ctx):
    return {"code": sys.modules["nerve_local_senses.keeping"].child.wait()}
"""
COUNTING = """
import gc

def compute(db, peers, ctx):
    return {"frozen": gc.get_freeze_count(), "others": len(gc.get_objects())}
"""


def test_a_child_from_the_import_of_a_sense_keeps_its_exit_code(bench):
    """RUN-5"""
    bench.sense("keeping", KEEPING)
    bench.sense("asking", ASKING)
    bench.start()
    assert bench.run("keeping").payload == {"said": "dead"}
    assert bench.run("asking").payload == {"code": 3}


def test_the_collector_leaves_alone_what_was_loaded(bench):
    bench.sense("counting", COUNTING)
    bench.start()
    counted = bench.run("counting").payload
    assert counted["frozen"] > 10 * counted["others"]
