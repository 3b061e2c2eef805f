from nerve.supervisor.restarts import DEATHS_WINDOW_S, MAX_DEATHS, Restarts


def test_the_first_death_is_answered_at_once_and_the_next_ones_wait_longer():
    """RUN-8"""
    restarts = Restarts()
    delays = [restarts.delay_s(float(n)) for n in range(MAX_DEATHS - 1)]
    assert delays[0] == 0.0
    assert all(later > earlier for earlier, later in zip(delays, delays[2:], strict=False))


def test_the_fifth_death_within_the_window_ends_it():
    """RUN-8"""
    restarts = Restarts()
    assert [restarts.delay_s(float(n)) is None for n in range(MAX_DEATHS)] == [False] * 4 + [True]


def test_deaths_that_lie_apart_never_end_it():
    """RUN-8"""
    restarts = Restarts()
    apart = DEATHS_WINDOW_S / (MAX_DEATHS - 1) + 0.1
    assert all(restarts.delay_s(n * apart) is not None for n in range(100))
