"""A first input in quarantine is said once, and that all of them go there is an error."""

from structlog.testing import capture_logs
from support.wire_noise import VALID

from positionstore.dimes.decoder import decode
from positionstore.ingest.rejections import Rejections
from positionstore.model.facts import Reason, Rejected
from positionstore.store.status import NONE_UNDERSTOOD

ODD = Rejected(b"{", Reason.NOT_JSON, "It is not JSON.")


def test_the_first_is_said_once() -> None:
    rejections = Rejections()
    with capture_logs() as said:
        for _ in range(1_000):
            rejections.see(ODD)
            rejections.see(decode(VALID))

    assert [(line["log_level"], line["event"]) for line in said] == [
        ("warning", "input_quarantined")
    ]
    assert said[0]["reason"] == "not_json"
    assert "quarantine retry" in said[0]["remedy"]


def test_that_all_of_them_go_there_is_an_error_until_one_does_not() -> None:
    rejections = Rejections()
    with capture_logs() as said:
        for _ in range(2):
            for _ in range(NONE_UNDERSTOOD * 3):
                rejections.see(ODD)
            rejections.see(decode(VALID))

    assert [line["event"] for line in said] == [
        "input_quarantined",
        *("every_input_quarantined", "inputs_understood_again") * 2,
    ]
