import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerve.config.sizes import MAX_SIZE_BYTES, format_size, parse_size, show_size


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("512KB", 524_288),
        ("1KiB", 1_024),
        ("64MB", 67_108_864),
        ("64MiB", 67_108_864),
        ("1GB", 1_073_741_824),
        ("2GiB", 2_147_483_648),
        ("0KB", 0),
        ("1024GB", MAX_SIZE_BYTES),
    ],
)
def test_a_size_is_integer_bytes_in_powers_of_1024(text, size_bytes):
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text",
    [
        "512",
        "512B",
        "512M",
        "512mb",
        "512 MB",
        "1.5GB",
        "-1GB",
        "+1GB",
        "1GB512MB",
        "MB",
        "",
        "1TB",
        "1025GB",
        "9" * 10**6 + "MB",
        "\u0665MB",
        512,
        5.0,
        True,
        None,
        ["1GB"],
    ],
)
def test_a_bad_unit_a_negative_or_an_overflowing_size_is_refused(text):
    with pytest.raises(ValueError):
        parse_size(text)


@given(st.integers(0, MAX_SIZE_BYTES // 1024))
def test_a_written_size_reads_back(kilobytes):
    assert parse_size(format_size(kilobytes * 1024)) == kilobytes * 1024


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0 KB"),
        (1_000, "1 KB"),
        (48 * 2**20, "48 MB"),
        (2**20 - 1, "1 MB"),
        (int(1.23 * 2**30), "1.2 GB"),
        (2**30, "1 GB"),
        (2**30 - 1, "1 GB"),
        (1_023 * 2**20, "1,023 MB"),
        (int(9.97 * 2**30), "10 GB"),
        (2**40, "1,024 GB"),
    ],
)
def test_a_measured_size_is_shown_short(size_bytes, shown):
    assert show_size(size_bytes) == shown


def test_sizes_are_written_in_the_largest_unit_that_loses_nothing():
    assert [format_size(n) for n in (2**30, 1_536 * 2**20, 1_025 * 1_024)] == [
        "1GB",
        "1536MB",
        "1025KB",
    ]
