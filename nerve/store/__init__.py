"""What nerve keeps on disk: the state directory, its databases, its blobs.

    StateDir      who holds the directory, and where things lie in it
    sqlite        connections: one owner that writes, any number of readers that cannot
    engine        the same connections as SQLAlchemy hands them to a compute
    migrations    revisions applied whole or not at all
    schema        the runtime's own tables, and the test that a database stands at their head
    dayfile, daylines
                  what has left the journal: a file for each day, and how it is read
    due, archive  what of the journal is old, and how it gets into files of its own (daywriter)
    peers, blobs  what a compute gets besides its own database

The parent, the workers and the commands use it; only workers and commands may
import `engine`, `peers`, `migrations` and `autogenerate`, which bring SQLAlchemy and
Alembic with them. One invariant holds everywhere: a database has one writer, and
everybody else opens it read-only.
"""
