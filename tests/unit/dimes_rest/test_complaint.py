import pytest

from positionstore.dimes.complaint import complaint, is_error_body

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIweDAifQ.c2lnbmF0dXJl"


def test_the_error_body_is_quoted_by_type_code_and_message() -> None:
    body = b'{"error":{"type":"a_type","code":"a_code","message":"In words.","params":{"a":1}}}'
    assert complaint(418, body) == "418: a_type/a_code: In words."
    assert is_error_body(body)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error":{"code":"a_code"}}', "500: a_code"),
        (b'{"error":{"type":"a_type","message":"M"}}', "500: a_type: M"),
        (b'{"error":{"type":"t","code":17}}', "500: t/17"),
        (b'{"message":"Bad Gateway"}', "500: Bad Gateway"),
        (b'{"error":{"message":"M"}}', "500: M"),
        (b"<html><title>502</title></html>", "500"),
        (b"", "500"),
        (b"\xff\xfe", "500"),
    ],
)
def test_whatever_else_it_says_is_one_line(body: bytes, said: str) -> None:
    assert complaint(500, body) == said


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b"[]", b'{"error":{}}', b'{"error":"x"}', b'{"message":"x"}']
)
def test_another_s_words_are_no_error_body(body: bytes) -> None:
    assert not is_error_body(body)


@pytest.mark.parametrize("secret", ["dm_live_skey_0123456789", JWT, "opaque-token"])
def test_a_quoted_secret_is_masked(secret: str) -> None:
    body = b'{"error":{"type":"t","code":"c","message":"The key %s is bad."}}' % secret.encode()
    said = complaint(401, body, secret=secret)
    assert secret not in said
    assert said == "401: t/c: The key *** is bad."


def test_a_long_or_unprintable_message_is_cut_and_cleaned() -> None:
    body = (
        b'{"error":{"type":"t","code":"c","message":"a\\n\\u001b[31mb\\u0000' + b"x" * 9000 + b'"}}'
    )
    said = complaint(400, body)
    assert said.isprintable()
    assert len(said) < 320
