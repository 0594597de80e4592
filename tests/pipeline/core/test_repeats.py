"""The same target in repeated exposures."""

from goodman_live.pipeline.core.repeats import repeats_of


def test_a_lone_target_is_itself_wherever_it_lies():
    assert repeats_of(1, {1: 2000.0}, [{1: 2100.0}, {1: 1990.0}]) == [1, 1]


def test_several_are_told_by_their_place():
    earlier = [{1: 2302.0, 2: 1998.0}, {1: 2001.0}, {1: 1500.0, 2: 1700.0}, {}]
    assert repeats_of(1, {1: 2000.0, 2: 2300.0}, earlier) == [2, 1, None, None]
    assert repeats_of(2, {1: 2000.0, 2: 2300.0}, earlier) == [1, None, None, None]


def test_a_lone_target_is_not_one_of_several_far_away():
    assert repeats_of(1, {1: 2000.0}, [{1: 1500.0, 2: 2300.0}]) == [None]
