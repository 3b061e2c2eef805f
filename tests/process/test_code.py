import os

from nerve.process import code
from nerve.process.code import fingerprint


def test_what_is_written_renamed_or_removed_shows_and_what_python_writes_does_not(tmp_path):
    """CTL-4"""
    (tmp_path / "migrations").mkdir()
    source, revision = tmp_path / "__init__.py", tmp_path / "migrations" / "first.py"
    source.write_text("a = 1")
    revision.write_text("b = 2")
    seen = [fingerprint([str(tmp_path)])]
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").write_text("")
    (tmp_path / ".swp").write_text("")
    assert fingerprint([str(tmp_path)]) == seen[0]
    source.write_text("a = 12")
    seen.append(fingerprint([str(tmp_path)]))
    os.utime(revision, ns=(1, 1))
    seen.append(fingerprint([str(tmp_path)]))
    revision.rename(revision.with_name("second.py"))
    seen.append(fingerprint([str(tmp_path)]))
    revision.with_name("second.py").unlink()
    seen.append(fingerprint([str(tmp_path)]))
    assert len(set(seen)) == 5


def test_one_file_is_a_root_as_well_and_one_that_is_gone_counts_as_that(tmp_path):
    """CTL-4"""
    file = tmp_path / "load.py"
    gone = fingerprint([str(file)])
    file.write_text("")
    assert fingerprint([str(file)]) != gone
    assert fingerprint([str(file)]) == fingerprint([str(file)])


def test_what_was_written_while_it_was_loaded_has_no_fingerprint(tmp_path):
    """CTL-4: nobody knows which of the two was loaded."""
    file = tmp_path / "load.py"
    file.write_text("")
    os.utime(file, ns=(0, 5_000_000_000))
    assert fingerprint([str(file)], loaded_since_ns=5_000_000_001) == ""
    assert fingerprint([str(file)], loaded_since_ns=6_000_000_000) == fingerprint([str(file)])


def test_a_folder_with_any_number_of_files_is_looked_at_within_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(code, "MAX_FILES", 2)
    for n in range(3):
        (tmp_path / f"{n}.py").write_text("")
    before = fingerprint([str(tmp_path)])
    (tmp_path / "2.py").write_text("more")
    assert fingerprint([str(tmp_path)]) == before
