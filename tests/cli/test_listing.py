def test_senses_are_listed_with_what_runs_them_and_how_they_did(project, signal, json_lines):
    project.sense("disk")
    counts = [("disk", "signal", 3), ("disk", "coalesced", 1), ("cpu-usage", "throttled", 2)]
    project.record(signal(), counts=counts)
    disk, cpu = json_lines(project.nerve("list", "senses", "--json").stdout)
    assert disk["found"] == "folder"
    assert disk["place"].endswith("senses/disk/__init__.py")
    assert disk["runs"] == ["every 10s"]
    last = {"outcome": "signal", "count": 3, "last_at": "2026-11-21T01:03:18.318013Z"}
    assert disk["last"] == last
    assert cpu["runs"] == ["every 10s", "on disk"]
    assert cpu["last"] is None
    shown = project.nerve("list", "senses").stdout
    assert "signal, 2026-11-21 02:03:18" in shown
    assert "never ran" in shown


def test_a_narrow_terminal_takes_nothing_of_the_last_outcome(on_terminal, signal):
    on_terminal.project.sense("disk")
    on_terminal.project.record(signal(), counts=[("disk", "signal", 3)])
    lines = on_terminal("list", "senses")
    assert any("signal, 2026-11-21 02:03:18" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_senses_are_listed_before_anything_has_run(project):
    """CTL-2"""
    done = project.nerve("list", "senses")
    assert done.exit_code == 0
    assert done.stdout.count("never ran") == 2


def test_a_sense_that_is_nowhere_is_listed_as_such(project, json_lines):
    project.write("nerve.yaml", "senses: {nowhere-at-all: {}}\n")
    (line,) = json_lines(project.nerve("list", "senses", "--json").stdout)
    assert (line["found"], line["place"], line["runs"]) == ("not found", "", [])


def test_reflexes_are_listed_in_words(project, json_lines):
    assert json_lines(project.nerve("list", "reflexes", "--json").stdout) == [
        {"kind": "sense", "targets": ["disk", "cpu-usage"], "cause": "every 10s"},
        {"kind": "sense", "targets": ["cpu-usage"], "cause": "on disk"},
        {"kind": "workflow", "targets": ["page-me"], "cause": "on disk"},
    ]
    assert "cpu-usage" in project.nerve("list", "reflexes").stdout


def test_a_reflex_by_time_says_all_of_it(project, json_lines):
    project.write(
        "nerve.yaml",
        """\
senses: {disk: {}}
reflexes:
  - {kind: sense, sense: disk, interval: 1h30m, jitter: 5s, align: true}
  - {kind: sense, sense: disk, cron: '0 6 * * 1-5'}
""",
    )
    causes = [
        line["cause"] for line in json_lines(project.nerve("list", "reflexes", "--json").stdout)
    ]
    assert causes == ["every 1h30m, jitter 5s, aligned", "cron 0 6 * * 1-5"]
