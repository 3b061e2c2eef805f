from nerve.supervisor.restarts import DEATHS_WINDOW_S, MAX_DEATHS, Restarts


def test_the_first_death_is_answered_at_once_and_the_next_ones_wait_longer():
    """RUN-8"""
    restarts = Restarts()
    delays = [restarts.delay_s(float(n), was_ready=True) for n in range(MAX_DEATHS - 1)]
    assert delays[0] == 0.0
    assert all(later > earlier for earlier, later in zip(delays, delays[2:], strict=False))


def test_the_fifth_death_within_the_window_ends_it():
    """RUN-8"""
    restarts = Restarts()
    assert [restarts.delay_s(float(n), was_ready=True) is None for n in range(MAX_DEATHS)] == [
        False
    ] * 4 + [True]


def test_deaths_that_lie_apart_never_end_it():
    """RUN-8"""
    restarts = Restarts()
    apart = DEATHS_WINDOW_S / (MAX_DEATHS - 1) + 0.1
    assert all(restarts.delay_s(n * apart, was_ready=True) is not None for n in range(100))


def test_starts_that_fail_in_a_row_end_it_however_long_each_takes():
    """RUN-8, BOOT-2"""
    restarts = Restarts()
    ends = [restarts.delay_s(1_000.0 * n, was_ready=False) is None for n in range(MAX_DEATHS)]
    assert ends == [False] * (MAX_DEATHS - 1) + [True]
