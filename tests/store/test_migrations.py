import hashlib
import threading

import pytest

from nerve.errors import DatabaseLocked, DatabaseNewer, MigrationFailed
from nerve.store.migrations import Migrations, upgrade

CREATE = "op.execute('CREATE TABLE reading (id INTEGER PRIMARY KEY, value REAL)')"


def test_each_revision_is_applied_once(owner, revise, tables):
    """DB-2"""
    revise("a1", None, CREATE)
    folder = revise("a2", "a1", "op.add_column('reading', sa.Column('unit', sa.Text()))")
    raw = owner()
    assert upgrade(raw, Migrations(folder)) == ["a1", "a2"]
    assert upgrade(raw, Migrations(folder)) == []
    raw.close()
    raw = owner()
    assert upgrade(raw, Migrations(folder)) == []
    assert Migrations(folder).current(raw) == "a2"
    assert tables(raw) == {"reading", "alembic_version"}


def test_a_new_revision_is_applied_to_a_database_with_rows(owner, revise):
    """DB-2"""
    folder = revise("a1", None, CREATE)
    raw = owner()
    upgrade(raw, Migrations(folder))
    raw.execute("INSERT INTO reading (value) VALUES (1.5)")
    revise("a2", "a1", "op.execute('UPDATE reading SET value = value * 2')")
    assert upgrade(raw, Migrations(folder)) == ["a2"]
    assert upgrade(raw, Migrations(folder)) == []
    assert raw.execute("SELECT value FROM reading").fetchall() == [(3.0,)]


def test_a_chosen_revision_is_as_far_as_it_goes(owner, revise):
    revise("a1", None, CREATE)
    folder = revise("a2", "a1", "op.execute('DROP TABLE reading')")
    assert upgrade(owner(), Migrations(folder), to="a1") == ["a1"]


def test_without_a_folder_there_is_nothing_to_do(owner, tmp_path, tables):
    raw = owner()
    migrations = Migrations(tmp_path / "none")
    assert upgrade(raw, migrations) == []
    assert migrations.head() is None
    assert migrations.history() == ()
    assert tables(raw) == set()


FAILURES = {
    "python": "raise ValueError('half way')",
    "sql": "op.execute('INSERT INTO nowhere VALUES (1)')",
    "exit": "raise SystemExit(0)",
    "batch": "op.batch_alter_table('nowhere').__enter__().drop_column('x')\nraise RuntimeError",
    "commit": "op.execute('COMMIT')",
    "rollback": "op.execute('ROLLBACK')",
    "driver's commit": "op.get_bind().connection.driver_connection.commit()",
    "script": "op.get_bind().connection.driver_connection.executescript('SELECT 1')",
    "autocommit": "with op.get_context().autocommit_block(): op.execute('CREATE TABLE z (x)')",
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_failure_in_the_middle_leaves_nothing_and_can_be_retried(owner, revise, tables, failure):
    """DB-3"""
    raw = owner()
    revise("a1", None, CREATE)
    folder = revise("a2", "a1", f"op.execute('CREATE TABLE half (x)')\n{failure}")
    with pytest.raises(MigrationFailed) as failed:
        upgrade(raw, Migrations(folder))
    assert failed.value.revision == "a2"
    assert failed.value.path == folder / "a2_test.py"
    assert failed.value.__cause__ is not None
    assert tables(raw) == set()
    assert not raw.in_transaction
    assert raw.execute("PRAGMA foreign_keys").fetchone() == (1,)
    revise("a2", "a1", "op.execute('CREATE TABLE whole (x)')")
    assert upgrade(raw, Migrations(folder)) == ["a1", "a2"]


def test_a_new_column_that_rows_have_no_value_for_is_named_with_what_to_do(owner, revise):
    raw = owner()
    upgrade(raw, Migrations(revise("a1", None, CREATE)))
    raw.execute("INSERT INTO reading (value) VALUES (1.5)")
    folder = revise(
        "a2",
        "a1",
        """
        with op.batch_alter_table("reading") as reading:
            reading.add_column(sa.Column("unit", sa.Text(), nullable=False))
            reading.drop_column("value")
        """,
    )
    with pytest.raises(MigrationFailed, match="NOT NULL constraint failed") as failed:
        upgrade(raw, Migrations(folder))
    assert "no value for reading.unit: give the new column a server_default" in failed.value.hint
    assert "sqlalche.me" not in str(failed.value)


def test_a_kill_in_the_middle_leaves_nothing_and_can_be_retried(
    owner, revise, elsewhere, tmp_path, tables
):
    """DB-3"""
    revise("a1", None, CREATE)
    folder = revise("a2", "a1", "import os; os.kill(os.getpid(), 9)")
    code = """
        import sys
        from pathlib import Path
        from nerve.store.migrations import Migrations, upgrade
        from nerve.store.sqlite import open_owner
        upgrade(open_owner(Path(sys.argv[1]), full_sync=False), Migrations(Path(sys.argv[2])))
    """
    assert elsewhere(code, tmp_path / "own.db", folder).wait() == -9
    raw = owner()
    assert tables(raw) == set()
    revise("a2", "a1", "pass")
    assert upgrade(raw, Migrations(folder)) == ["a1", "a2"]


FAMILY = """
op.execute('CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT)')
op.execute('CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER NOT NULL '
           'REFERENCES parent (id) ON DELETE CASCADE)')
op.execute("INSERT INTO parent VALUES (1, 'one'), (2, 'two')")
op.execute('INSERT INTO child VALUES (10, 1), (11, 1), (12, 2)')
"""


def test_a_rewrite_of_a_parent_table_keeps_its_child_rows(owner, revise):
    """DB-4"""
    revise("a1", None, FAMILY)
    rewrite = """
    with op.batch_alter_table('parent') as batch:
        batch.alter_column('name', nullable=False, existing_type=sa.Text())
    """
    folder = revise("a2", "a1", rewrite)
    raw = owner()
    upgrade(raw, Migrations(folder))
    assert raw.execute("SELECT count(*) FROM child").fetchone() == (3,)
    assert raw.execute("PRAGMA foreign_keys").fetchone() == (1,)
    raw.execute("DELETE FROM parent WHERE id = 1")
    assert raw.execute("SELECT id FROM child").fetchall() == [(12,)]


def test_a_migration_that_leaves_orphans_is_refused(owner, revise, tables):
    """DB-4"""
    folder = revise("a1", None, FAMILY + "op.execute('DELETE FROM parent WHERE id = 1')")
    raw = owner()
    with pytest.raises(MigrationFailed, match="rows of child point at rows of parent"):
        upgrade(raw, Migrations(folder))
    assert tables(raw) == set()


def test_of_two_processes_the_second_waits_and_finds_nothing_to_do(
    owner, revise, elsewhere, tmp_path
):
    """DB-5"""
    body = """
    import pathlib, sys
    op.execute('CREATE TABLE reading (x)')
    print('inside', flush=True)
    sys.stdin.readline()
    """
    folder = revise("a1", None, body)
    code = """
        import sys
        from pathlib import Path
        from nerve.store.migrations import Migrations, upgrade
        from nerve.store.sqlite import open_owner
        print(upgrade(open_owner(Path(sys.argv[1]), full_sync=False), Migrations(Path(sys.argv[2]))))
    """
    raw = owner(any_thread=True)
    first = elsewhere(code, tmp_path / "own.db", folder)
    assert first.stdout.readline() == "inside\n"
    applied = []
    waiting = threading.Event()
    migrations = Migrations(folder)
    require_known = migrations.require_known

    def about_to_begin(connection):
        require_known(connection)
        waiting.set()

    migrations.require_known = about_to_begin
    second = threading.Thread(target=lambda: applied.append(upgrade(raw, migrations)))
    second.start()
    waiting.wait()
    assert first.communicate("\n")[0] == "['a1']\n"
    second.join()
    assert applied == [[]]


def test_a_lock_that_is_held_for_too_long_is_an_error(owner, revise):
    """DB-5"""
    folder = revise("a1", None, CREATE)
    owner().execute("BEGIN IMMEDIATE")
    raw = owner(busy_timeout_ms=10)
    with pytest.raises(DatabaseLocked):
        upgrade(raw, Migrations(folder))
    assert raw.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_a_database_newer_than_the_code_is_refused_untouched(owner, revise, tmp_path):
    raw = owner()
    folder = revise("a1", None, CREATE)
    revise("a2", "a1", "op.execute('CREATE TABLE later (x)')")
    upgrade(raw, Migrations(folder))
    (folder / "a2_test.py").unlink()
    before = hashlib.sha256((tmp_path / "own.db-wal").read_bytes()).digest()
    with pytest.raises(DatabaseNewer) as newer:
        upgrade(raw, Migrations(folder))
    assert newer.value.revision == "a2"
    assert newer.value.path == tmp_path / "own.db"
    with pytest.raises(DatabaseNewer):
        upgrade(raw, Migrations(tmp_path / "none"))
    assert hashlib.sha256((tmp_path / "own.db-wal").read_bytes()).digest() == before


def test_a_short_revision_id_is_not_taken_for_a_longer_one(owner, revise):
    raw = owner()
    folder = revise("abc123", None, CREATE)
    upgrade(raw, Migrations(folder))
    raw.execute("UPDATE alembic_version SET version_num = 'abc1'")
    with pytest.raises(DatabaseNewer):
        upgrade(raw, Migrations(folder))


def test_several_heads_are_named(owner, revise):
    revise("a1", None, CREATE)
    revise("b1", "a1", "pass")
    folder = revise("b2", "a1", "pass")
    with pytest.raises(MigrationFailed, match="several heads: b1, b2"):
        upgrade(owner(), Migrations(folder))


def test_a_broken_chain_is_named(owner, revise):
    folder = revise("a1", "nowhere", CREATE)
    with pytest.raises(
        MigrationFailed,
        match=r"down_revision 'nowhere' in .*/a1_test.py names a revision that is not",
    ):
        upgrade(owner(), Migrations(folder))


@pytest.mark.parametrize("imports", ["import nothing_like_this", "def (", "raise SystemExit(0)"])
def test_a_revision_file_that_does_not_import_is_named(owner, revise, imports):
    folder = revise("a1", None, CREATE, imports=imports)
    with pytest.raises(MigrationFailed, match="cannot be read") as failed:
        upgrade(owner(), Migrations(folder))
    assert failed.value.path == folder / "a1_test.py"


def test_a_revision_file_without_ids_is_named(owner, tmp_path):
    (tmp_path / "notes.py").write_text("x = 1\n")
    with pytest.raises(MigrationFailed, match=r"notes\.py"):
        upgrade(owner(), Migrations(tmp_path))


def test_two_histories_live_in_one_database(owner, revise, tmp_path, tables):
    raw = owner()
    folder = revise("a1", None, CREATE)
    assert upgrade(raw, Migrations(folder, "first_version")) == ["a1"]
    revise("a1", None, "op.execute('CREATE TABLE other (x)')")
    assert upgrade(raw, Migrations(folder, "second_version")) == ["a1"]
    assert tables(raw) == {"reading", "other", "first_version", "second_version"}


def test_a_strange_version_table_is_refused(owner, revise, tables):
    folder = revise("a1", None, CREATE)
    raw = owner()
    raw.execute("CREATE TABLE alembic_version (wrong)")
    with pytest.raises(MigrationFailed):
        upgrade(raw, Migrations(folder))
    assert tables(raw) == {"alembic_version"}


def test_a_database_on_two_branches_is_refused(owner, revise):
    revise("a1", None, CREATE)
    folder = revise("b1", "a1", "pass")
    raw = owner()
    upgrade(raw, Migrations(folder))
    raw.execute("INSERT INTO alembic_version VALUES ('b2')")
    with pytest.raises(MigrationFailed, match="several branches: b1, b2"):
        upgrade(raw, Migrations(folder))


def test_a_disk_that_fills_up_while_migrating_leaves_the_database_as_it_was(owner, revise, tables):
    """LOG-6"""
    raw = owner()
    raw.execute("CREATE TABLE before (x)")
    pages = raw.execute("PRAGMA page_count").fetchone()[0]
    raw.execute(f"PRAGMA max_page_count={pages + 3}")
    folder = revise(
        "a1", None, CREATE + "\nop.execute('INSERT INTO before VALUES (zeroblob(99999))')"
    )
    with pytest.raises(MigrationFailed, match="full"):
        upgrade(raw, Migrations(folder))
    assert tables(raw) == {"before"}
    raw.execute("PRAGMA max_page_count=10000")
    assert upgrade(raw, Migrations(folder)) == ["a1"]
