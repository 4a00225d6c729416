from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from positionstore.dimes.failures import words_of
from positionstore.dimes.frames import FrameFilter
from positionstore.dimes.jumps import ClockJumpDetector
from positionstore.dimes.recovery import Replay
from positionstore.model.facts import Reason, Rejected

NAMESPACE = "/v1/ws/prediction-markets/positions"
EVENT = f'42{NAMESPACE},["position.opened",{{"id":"evt_1"}}]'
ENVELOPE = '{"id":"e","type":"t","created_at":"2026-07-01T12:00:00Z","data":{"id":"p"}}'
BEGIN = datetime(2026, 7, 1, tzinfo=UTC)


class Desk:
    """A tap and what came out of it."""

    def __init__(self) -> None:
        self.now = BEGIN
        self.passed = 1000.0
        self.stalls = 0.0
        self.delivered: list[tuple[str | Rejected, datetime]] = []
        self.told: list[tuple[str, object]] = []
        self.failing = False
        self.replay = Replay()
        self.tap = FrameFilter(
            NAMESPACE,
            deliver=self._deliver,
            jumps=ClockJumpDetector(self._clock, lambda: self.passed),
            on_connected=lambda at: self.told.append(("connected", at)),
            on_error=lambda said: self.told.append(("error", words_of(said))),
            on_refused=lambda said: self.told.append(("refused", words_of(said))),
            on_disconnected=lambda: self.told.append(("disconnected", None)),
            on_old_server=lambda: self.told.append(("old server", None)),
            on_jump=lambda: self.told.append(("jump", None)),
            replay=self.replay,
        )

    def _clock(self) -> datetime:
        self.wait(self.stalls)
        now = self.now
        self.wait(self.stalls)
        return now

    def _deliver(self, packet: str | Rejected, at: datetime) -> None:
        if self.failing and isinstance(packet, str):
            raise ZeroDivisionError
        self.delivered.append((packet, at))

    def take(self, *frames: str | bytes) -> list[bool]:
        return [self.tap.take(frame) for frame in frames]

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.passed += seconds

    @property
    def rejected(self) -> list[Rejected]:
        return [packet for packet, _ in self.delivered if isinstance(packet, Rejected)]


def test_events_are_kept_in_order_and_stamped() -> None:
    desk = Desk()
    second = EVENT.replace("evt_1", "evt_2")
    assert desk.take(EVENT) == [True]
    desk.now += timedelta(seconds=1)
    assert desk.take(second) == [True]
    assert desk.delivered == [(EVENT, BEGIN), (second, BEGIN + timedelta(seconds=1))]
    assert desk.tap.events == 2


@pytest.mark.parametrize("hours", [-2.0, -0.001, 0.001, 2.0, 24.0 * 365])
def test_after_a_jump_of_the_clock_events_are_kept_and_no_life_is_proved(hours: float) -> None:
    desk = Desk()
    desk.take(EVENT)
    desk.wait(20)
    desk.take("2")
    before = desk.now
    desk.wait(5)
    desk.now += timedelta(hours=hours)
    assert desk.take(EVENT) == [True]
    desk.wait(5)
    desk.take("2", EVENT)

    assert desk.told == [("jump", None)]
    assert desk.tap.last_frame_at == before
    assert len(desk.delivered) == desk.tap.events == 3


def test_a_process_that_stands_still_while_it_looks_at_the_clock_saw_no_jump() -> None:
    desk = Desk()
    for desk.stalls in (0.0, 60.0, 0.0, 30.0):
        desk.wait(1)
        desk.take("2")

    assert desk.told == []


def test_a_clock_that_is_slewed_has_not_jumped() -> None:
    desk = Desk()
    for _ in range(1000):
        desk.wait(25)
        desk.now += timedelta(milliseconds=15)  # half a thousandth, as NTP does it at most
        desk.take("2")

    assert desk.told == []
    assert desk.tap.last_frame_at == desk.now


@pytest.mark.parametrize("frame", ['0{"sid":"x"}', "1", "2", "2probe", "3", "6"])
def test_frames_of_the_engine_pass_on_and_prove_life(frame: str) -> None:
    desk = Desk()
    assert desk.take(frame) == [False]
    assert desk.delivered == []
    assert desk.tap.last_frame_at == BEGIN


def test_being_let_in_passes_on_and_is_told() -> None:
    desk = Desk()
    assert desk.take(f'40{NAMESPACE},{{"sid":"x"}}') == [False]
    assert desk.told == [("connected", BEGIN)]


def test_a_disconnect_right_after_a_connect_is_told() -> None:
    desk = Desk()
    error = f'42{NAMESPACE},["error",{{"message":"Invalid key"}}]'
    desk.take(f'40{NAMESPACE},{{"sid":"x"}}', error, f"41{NAMESPACE},")
    assert desk.told[1:] == [("error", "Invalid key"), ("disconnected", None)]
    assert desk.delivered == []


def test_a_refused_namespace_is_told_with_its_words() -> None:
    desk = Desk()
    assert desk.take(f'44{NAMESPACE},{{"message":"Unauthorized"}}') == [True]
    assert desk.told == [("refused", "Unauthorized")]


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (f'42{NAMESPACE},["error"]', ""),
        (f'42{NAMESPACE},["error","Nope"]', "Nope"),
        (f'42{NAMESPACE},["error","a","b"]', "a: b"),
        (f'42{NAMESPACE},["error",{{"code":"a"}},"Q8WJphX"]', "a"),
        (f'42{NAMESPACE},["error" , {{"code":"a"}}]', "a"),
    ],
)
def test_an_error_event_is_no_position(frame: str, words: str) -> None:
    desk = Desk()
    assert desk.take(frame) == [True]
    assert desk.told == [("error", words)]
    assert desk.delivered == []


@pytest.mark.parametrize(
    ("arguments", "words"), [('"Nope",', "Nope"), ("", ""), ('{"a":"b"},', "b")]
)
def test_the_offset_behind_an_error_is_not_quoted(arguments: str, words: str) -> None:
    desk = Desk()
    desk.take(f'40{NAMESPACE},{{"sid":"s","pid":"p"}}')
    desk.take(f'42{NAMESPACE},["error",{arguments}"Q8WJphX"]')
    assert desk.told[1:] == [("error", words)]
    assert desk.tap.offset == ("Q8WJphX" if arguments else None)


def test_what_it_takes_to_recover_a_session_is_remembered() -> None:
    desk = Desk()
    assert (desk.tap.pid, desk.tap.offset, desk.tap.patience) == (None, None, None)
    desk.take('0{"sid":"e","pingInterval":25000,"pingTimeout":20000}')
    desk.take(f'40{NAMESPACE},{{"sid":"s","pid":"private"}}')
    assert (desk.tap.pid, desk.tap.offset, desk.tap.patience) == ("private", None, 45.0)
    desk.take(f'42{NAMESPACE},["position.opened",{ENVELOPE},"first"]')
    desk.take(f'42{NAMESPACE},["position.opened",{ENVELOPE},"1795838590462-0"]')
    desk.take(f'42{NAMESPACE},["position.opened",{ENVELOPE}]')
    desk.take(f'42{NAMESPACE},["a volatile one","BTC"]')
    desk.take(f'42{NAMESPACE},17["an answer is wanted",{ENVELOPE},"BTC"]')
    assert desk.tap.offset == "1795838590462-0"
    assert [packet for packet in desk.delivered if isinstance(packet[0], Rejected)] == []


@pytest.mark.parametrize(
    ("packet", "of_all"),
    [
        (f'42{NAMESPACE},["position.opened",{ENVELOPE},"Q8WJphX"]', True),
        (f'42{NAMESPACE},["position.opened",{ENVELOPE}]', False),
        (f'42{NAMESPACE},17["position.opened",{ENVELOPE},"a text"]', False),
        (f'451-{NAMESPACE},["x",{{"_placeholder":true,"num":0}}]', False),
        (f'42{NAMESPACE},["tick","BTC"]', True),
        (f'42{NAMESPACE},["tick"]', True),
        (f'42{NAMESPACE},["tick",', True),
        ("2", True),
    ],
)
def test_an_event_without_an_offset_would_not_be_sent_again(packet: str, *, of_all: bool) -> None:
    desk = Desk()
    desk.take(f'42{NAMESPACE},["position.opened",{ENVELOPE}]')
    assert desk.replay.of_all, "before it is known that the gateway recovers sessions"
    desk.take(f'40{NAMESPACE},{{"sid":"s","pid":"p"}}', packet)
    assert desk.replay.of_all is of_all
    desk.take(f'42{NAMESPACE},["position.opened",{ENVELOPE},"Q8WJphX"]')
    assert desk.replay.of_all is of_all


@pytest.mark.parametrize("answer", ['{"sid":"s"}', '{"sid":"s","pid":null}', '{"sid":"s","pid":7}'])
def test_a_gateway_without_a_private_id_offers_no_recovery(answer: str) -> None:
    desk = Desk()
    assert desk.take(f"40{NAMESPACE},{answer}") == [False]
    assert desk.tap.pid is None


def test_an_envelope_is_an_event_even_under_the_name_error() -> None:
    desk = Desk()
    frame = f'42{NAMESPACE},["error",{ENVELOPE}]'
    desk.take(frame)
    assert desk.delivered == [(frame, BEGIN)]
    assert desk.told == []


def test_a_name_that_only_begins_like_error_is_an_event() -> None:
    desk = Desk()
    desk.take(f'42{NAMESPACE},["errors",{ENVELOPE}]')
    assert len(desk.delivered) == 1


def test_binary_packets_are_kept_whole() -> None:
    desk = Desk()
    head = f'452-{NAMESPACE},["position.opened",{{"_placeholder":true,"num":0}},1]'
    assert desk.take(head, b"\x00\xff", b"abc") == [True, True, True]
    (what,) = desk.rejected
    assert what.reason is Reason.BINARY_ATTACHMENT
    assert what.raw == f"{head}\x1ebAP8=\x1ebYWJj".encode()


def test_a_binary_packet_that_stays_unfinished_is_kept_when_the_connection_ends() -> None:
    desk = Desk()
    desk.take(f'452-{NAMESPACE},["x",{{}}]', b"\x00")
    assert desk.rejected == []
    desk.tap.flush()
    assert desk.rejected[0].raw.endswith(b"\x1ebAA==")


def test_a_stray_attachment_and_a_packet_without_one_are_kept() -> None:
    desk = Desk()
    desk.take(b"stray", f'450-{NAMESPACE},["x",{{}}]')
    assert [what.reason for what in desk.rejected] == [Reason.BINARY_ATTACHMENT] * 2


def test_attachments_without_end_are_not_waited_for() -> None:
    desk = Desk()
    desk.take(f'45999999999-{NAMESPACE},["x",{{}}]', *([b"a"] * 999))
    assert desk.rejected == []
    desk.take(b"a")
    assert desk.rejected[0].raw.count(b"\x1eb") == 1_000
    desk.take(b"another")
    assert len(desk.rejected) == 2


def test_attachments_of_many_megabytes_are_not_gathered() -> None:
    desk = Desk()
    desk.take(f'459-{NAMESPACE},["x",{{}}]', *([bytes(4 * 2**20)] * 9))
    assert len(desk.rejected) > 2
    assert sum(what.raw.count(b"\x1eb") + (what.raw[:1] == b"b") for what in desk.rejected) == 9


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param("", id="an empty frame"),
        "hello",
        "5",
        "9",
        "4",
        "43/v1/ws/prediction-markets/positions,1[]",
        "46",
        "0not json",
        "40{}",
        "40/other,{}",
        "41/other,",
        "44/other,{}",
        f"40{NAMESPACE},{{broken",
    ],
)
def test_what_no_library_should_see_is_quarantined(frame: str) -> None:
    desk = Desk()
    assert desk.take(frame) == [True]
    (what,) = desk.rejected
    assert what.raw == frame.encode()
    assert desk.told == []


def test_odd_event_packets_are_delivered_for_the_writer_to_look_at() -> None:
    desk = Desk()
    frames = ['42["x",{}]', f"42{NAMESPACE},", f"42{NAMESPACE},5[]", "42garbage"]
    assert desk.take(*frames) == [True] * 4
    assert [packet for packet, _ in desk.delivered] == frames


def test_a_failing_handler_costs_nothing() -> None:
    desk = Desk()
    desk.failing = True
    assert desk.take(EVENT) == [True]
    (what,) = desk.rejected
    assert what.reason is Reason.INTERNAL_ERROR
    assert what.raw == EVENT.encode()


@given(st.text() | st.binary())
def test_no_frame_raises(frame: str | bytes) -> None:
    desk = Desk()
    kept = desk.tap.take(frame)
    desk.tap.flush()
    assert not kept or desk.delivered or desk.told


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (
            f'42{NAMESPACE},["exception",{{"status":"error","message":"Unauthorized"}}]',
            "Unauthorized",
        ),
        (f'42{NAMESPACE},["exception"]', ""),
        (f'42{NAMESPACE},["unauthorized",{{"message":"nope"}}]', "unauthorized: nope"),
        (f'42{NAMESPACE},["unauthorized"]', "unauthorized"),
    ],
)
def test_errors_of_other_names_are_no_positions(frame: str, said: str) -> None:
    desk = Desk()
    assert desk.take(frame) == [True]
    assert desk.delivered == []
    ((what, words),) = desk.told
    assert what == "error"
    assert isinstance(words, str)
    assert words.endswith(said)


def test_an_envelope_is_an_event_by_the_name_of_an_error_too() -> None:
    desk = Desk()
    frame = f'42{NAMESPACE},["exception",{ENVELOPE}]'
    assert desk.take(frame) == [True]
    assert [packet for packet, _ in desk.delivered] == [frame]


def test_a_server_of_socket_io_2_is_known_by_its_first_packet() -> None:
    desk = Desk()
    assert desk.take("40") == [True]
    assert desk.told == [("old server", None)]
    assert desk.delivered == []
