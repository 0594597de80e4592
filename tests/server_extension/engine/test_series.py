"""When the master of a series of calibrations is rebuilt."""

from itertools import pairwise

from goodman_live.server_extension.engine.series import (
    AT_LEAST_EVERY_S,
    GAPS,
    LONGEST_S,
    SAME_SERIES_S,
    Series,
)


def rebuilds(times: list[float], quiet_s: float = 3.0) -> list[float]:
    """Return when a master is rebuilt, for frames that come at some times."""
    series, waiting, made = Series(quiet_s), {}, []
    for number, now in enumerate(times):
        made += [due for due in waiting.values() if due <= now]
        waiting = {one: due for one, due in waiting.items() if due > now}
        before, due = series.add("bias", number, now)
        waiting.pop(before, None)
        waiting[number] = due
    return made + list(waiting.values())


def test_ten_frames_that_come_slowly_are_one_master_after_the_first():
    every = 8.0
    times = [100.0 + every * number for number in range(10)]
    made = rebuilds(times)
    # the first frame does not know yet that more will come
    assert made == [times[0] + 3.0, times[-1] + GAPS * every]


def test_a_burst_waits_no_longer_than_the_quiet_time():
    assert rebuilds([1.0, 1.1, 1.2]) == [1.2 + 3.0]


def test_a_single_frame_hours_later_is_soon_in_the_master():
    assert rebuilds([0.0, 20_000.0]) == [3.0, 20_003.0]
    assert rebuilds([0.0, SAME_SERIES_S]) == [3.0, SAME_SERIES_S + LONGEST_S]


def test_a_series_that_does_not_end_is_built_now_and_then():
    every = 6.0
    made = rebuilds([every * number for number in range(100)])
    assert 5 <= len(made) <= 100 * every / AT_LEAST_EVERY_S + 2
    assert all(b - a <= AT_LEAST_EVERY_S + every for a, b in pairwise(made))


def test_the_first_master_waits_for_nothing_and_groups_do_not_know_each_other():
    series = Series(3.0)
    assert series.add("bias", 1, 10.0) == (None, 13.0)
    assert series.add("flat", 2, 11.0) == (None, 14.0)
    assert series.add("bias", 3, 12.0, at_once=True) == (1, 12.0)
    assert series.add("bias", 4, 12.5) == (3, 15.5)
