"""Which frames are planned first."""

from goodman_live.server_extension.engine.marks import Marks


def test_tonights_frame_does_not_wait_for_thousands_that_a_master_may_concern():
    marks = Marks()
    for old in range(1000, 3000):
        marks.add(old, 1.0, by_the_way=True)
    marks.add(7, 2.0)
    assert marks.take(2.0, 3) == [7, 1000, 1001]
    assert len(marks) == 1998


def test_a_frame_that_is_not_due_waits_and_a_later_mark_puts_it_off():
    marks = Marks()
    marks.add(1, 5.0)
    marks.add(2, 1.0, by_the_way=True)
    assert marks.take(2.0, 5) == [2]
    marks.add(1, 9.0)
    assert marks.take(6.0, 5) == []
    assert marks.soonest(60.0) == 9.0
    assert marks.take(9.0, 5) == [1]
    assert marks.soonest(60.0) == 60.0


def test_what_happened_to_a_frame_stays_urgent_whatever_comes_by_the_way():
    marks = Marks()
    marks.add(3, 1.0, by_the_way=True)
    marks.add(4, 1.0)
    marks.add(4, 1.0, by_the_way=True)
    assert marks.take(1.0, 2) == [4, 3]


def test_what_could_not_be_planned_comes_again_and_a_dropped_frame_does_not():
    marks = Marks()
    marks.add(1, 1.0)
    marks.add(2, 1.0)
    marks.drop(2)
    assert marks.take(1.0, 5) == [1]
    marks.add(1, 3.0)
    marks.put_back([1, 8], 11.0)
    assert marks.take(3.0, 5) == [1]
    assert marks.take(11.0, 5) == [8]
