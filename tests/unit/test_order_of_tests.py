"""Where a run puts what takes long."""

from support.ordering import stretches


def test_each_stretch_begins_with_what_takes_long_a_file_in_one_piece() -> None:
    slow = [["a1", "a2"], ["b1"], ["c1"], ["d1", "d2"]]
    quick = [str(number) for number in range(9)]

    ordered = stretches(slow, quick, 3)

    assert ordered[:5] == ["a1", "a2", "d1", "d2", "0"]
    assert ordered[5:10] == ["b1", "1", "2", "3", "4"]
    assert ordered[10:] == ["c1", "5", "6", "7", "8"]


def test_nothing_is_left_out_where_one_file_is_longer_than_a_stretch() -> None:
    slow = [["a"] * 10, ["b"]]
    ordered = stretches(slow, ["1", "2"], 4)
    assert sorted(ordered) == ["1", "2", *["a"] * 10, "b"]
    assert stretches([], ["1", "2", "3"], 2) == ["1", "2", "3"]
