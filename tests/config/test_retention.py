"""How long what happened is kept."""

import pytest

from nerve.config.models import RetentionConfig

DAY_MS = 86_400_000


@pytest.mark.parametrize("text", ["", "retention:", "retention: {logs: , archived: , compress: }"])
def test_by_default_thirty_days_are_kept_and_nothing_of_the_archive_is_deleted(load, text):
    """CFG-3"""
    kept = load(f"senses: {{disk: }}\n{text}").config.retention
    assert kept == RetentionConfig()
    assert (kept.logs_ms, kept.signals_ms, kept.archived_ms) == (30 * DAY_MS, 30 * DAY_MS, None)
    assert kept.compress == "none"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{logs: 23h}", "logs: must be at least 1d"),
        ("{signals: 0s}", "signals: must be at least 1d"),
        ("{archived: 1h}", "archived: must be at least 1d"),
        ("{archived: -1d}", "archived: not a duration: '-1d'; write 500ms, 5s, 10m, 1h30m or 1d"),
        (
            "{signals: 60d, archived: 59d}",
            "archived: is counted as logs and signals are, and cannot be shorter than either",
        ),
        ("{archivd: 90d}", 'archivd: unknown key; did you mean "archived"?'),
        ("{compress: zip}", 'compress: must be none or gzip; did you mean "gzip"?'),
    ],
)
def test_what_cannot_be_kept_so_is_a_fault_with_its_place(faults, text, fault):
    """CFG-1"""
    [line] = faults(f"senses: {{disk: }}\nretention: {text}")
    assert line.partition("retention.")[2] == fault
