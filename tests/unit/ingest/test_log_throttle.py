import pytest
from support.waiting import eventually

from positionstore.ingest import log_throttle
from positionstore.ingest.log_throttle import CountedLines, LoggedCauses, shape


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Request 17 failed", "Request 18 failed"),
        ("request id: abcdef", "request id: fedcba"),
        ("Not now (req_0a1b)", "Not now (req_9z8y)"),
        ("Ray ID: 8f00dd", "Ray ID: beef"),
        ("at 2026-07-01T12:00:00Z", "at 2027-01-01T00:00:00.5Z"),
        ("Nope", "NOPE"),
    ],
)
def test_what_differs_each_time_makes_no_other_cause(one: str, other: str) -> None:
    assert shape(one) == shape(other)
    causes = LoggedCauses()
    assert [causes.is_new(words) for words in (one, other, one)] == [True, False, False]
    assert causes.repeated == 2


def test_other_words_and_other_kinds_are_other_causes() -> None:
    causes = LoggedCauses()
    assert causes.is_new("HTTP 502", kind="HTTP 502")
    assert causes.is_new("HTTP 503", kind="HTTP 503")
    assert causes.is_new("no answer")
    causes.forget()
    assert causes.is_new("no answer")


def test_what_is_remembered_is_bounded() -> None:
    causes = LoggedCauses()
    words = ["".join(chr(97 + int(digit)) for digit in str(n)) for n in range(100_000)]
    assert sum(causes.is_new(each) for each in words) == log_throttle._MOST
    assert causes.repeated == 100_000 - log_throttle._MOST
    assert len(causes._shapes) == log_throttle._MOST


async def test_a_thousand_in_one_tick_are_one_line_with_a_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_throttle, "_FIRST_WAIT", 0.01)
    lines: list[tuple[str, int]] = []
    counted = CountedLines(lambda words, times: lines.append((words, times)))
    for n in range(1_000):
        counted.note(f"Request {n} failed")
    assert lines == []
    await eventually(lambda: len(lines) > 0)
    assert lines == [("Request 0 failed", 1_000)]
    counted.note("Request 1000 failed")
    counted.note("Request 1001 failed")
    await eventually(lambda: len(lines) > 1)
    assert lines[1] == ("Request 1000 failed", 2)
    await eventually(lambda: not counted._kinds)  # forgotten after a pause without any
    assert len(lines) == 2


async def test_many_kinds_are_bounded_too_and_flushed_at_the_end() -> None:
    lines: list[tuple[str, int]] = []
    counted = CountedLines(lambda words, times: lines.append((words, times)))
    for n in range(10_000):
        counted.note("".join(chr(97 + int(digit)) for digit in str(n)))
    assert len(counted._kinds) == log_throttle._MOST + 1
    counted.flush()
    assert len(lines) == log_throttle._MOST + 1
    assert sum(times for _, times in lines) == 10_000
    assert not counted._kinds
