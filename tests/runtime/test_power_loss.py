"""What is made of it when logs.db has lost its last commits and the senses' databases have not."""

import os
import shutil
import signal

SOURCE = """
from sqlalchemy import text

def compute(db, peers, ctx):
    n = db.execute(text("INSERT INTO seen DEFAULT VALUES RETURNING n")).scalar_one()
    return {"n": n}
"""
ECHO = """
from sqlalchemy import text

def compute(db, peers, ctx):
    for signal in ctx.trigger.signals:
        db.execute(text("INSERT INTO heard VALUES (:i, :n)"), {"i": signal.id, "n": signal.payload["n"]})
"""


def test_after_a_power_loss_no_id_stands_for_two_signals_and_each_new_one_is_answered(project):
    """LOG-1, SIG-2"""
    seen = 'op.create_table("seen", sa.Column("n", sa.Integer, primary_key=True))'
    heard = 'op.create_table("heard", sa.Column("signal", sa.Integer), sa.Column("n", sa.Integer))'
    project.sense("source", SOURCE, first=seen)
    project.sense("echo", ECHO, first=heard)
    project.config(
        """
        journal: {durability: normal}
        senses: {source: {group: one}, echo: {group: two}}
        reflexes:
          - {kind: sense, sense: source, interval: 20ms}
          - {kind: sense, sense: echo, on: source}
        """
    )
    kept, written = project.root / "kept", ("logs.db", "logs.db-wal")
    kept.mkdir()
    running = project.start()
    running.signals("source")
    running.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, running.process.pid, os.WSTOPPED | os.WNOWAIT)
    for name in written:
        shutil.copy(project.state / name, kept)
    running.process.send_signal(signal.SIGCONT)
    told = [entry["id"] for entry in running.signals("source", 20)]
    running.kill()
    (project.state / "logs.db-shm").unlink()
    for name in written:
        shutil.copy(kept / name, project.state)
    said, code = project.once()
    assert code == 0, said
    new = [(e["id"], e["payload"]["n"]) for e in said if e.get("sense") == "source"]
    assert new
    assert min(new)[0] > max(told)
    answered = project.query("echo", "SELECT signal, n FROM heard")
    assert set(new) <= set(answered)
    assert len(answered) == len({signal_id for signal_id, _ in answered})
