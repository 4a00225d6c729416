"""Whatever a server answers, the REST client has positions, rejected elements or a clean error."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TypeVar

import httpx
from hypothesis import example, given
from hypothesis import strategies as st
from support import invariants
from support.profiles import tries
from support.rest_doubles import KEY, Server, access, client_of, walked
from support.wire_noise import damaged, spelled, texts, values

from positionstore.dimes.rest import RestClient
from positionstore.errors import PositionstoreError
from positionstore.model.facts import Reason

Headers = list[tuple[bytes, bytes]]
T = TypeVar("T")

items = st.fixed_dictionaries(
    {}, optional={"id": texts | values, "status": texts | values, "result": values}
)
lists = st.fixed_dictionaries(
    {"data": st.lists(items | values, max_size=4) | values, "has_more": st.booleans() | values}
)
tokens = st.fixed_dictionaries({"token": texts | values}, optional={"expires_at": texts | values})
errors = st.fixed_dictionaries(
    {
        "error": values
        | st.fixed_dictionaries({}, optional=dict.fromkeys(("type", "code", "message"), values))
    }
)
bodies = (
    st.binary(max_size=100)
    | st.sampled_from([b"<html>\x1b[31m", b"\xef\xbb\xbf{}", b"[" * 3000, b"null"])
    | spelled(lists | items | tokens | errors | values)
    | damaged(spelled(lists | items | tokens | errors))
)
words = st.binary(max_size=30).map(lambda raw: raw.translate(None, b"\r\n\0"))
moments = st.sampled_from(
    [
        *(b"Wed, 01 Jul 2026 09:00:00 GMT", b"Wed, 01 Jul 0001 00:00:00 +2359", b"Mon, 99 Zzz"),
        *(b"Fri, 31 Dec 9999 23:59:59 -2359", b"1 Jan 99999 0:0:0", b"0", b"-1", b"1e999", b"NaN"),
        *(b"5", b"0.5", b"9" * 400, b"\xd9\xa3", b"Wed, 01 Jul 2026 09:00:00 -99999999999999999"),
    ]
)
headers = st.lists(
    st.tuples(st.sampled_from([b"Date", b"Retry-After"]), moments | words)
    | st.tuples(st.just(b"Location"), st.sampled_from([b"http://[", b"//a b", b"/\x1b"]) | words)
    | st.tuples(
        st.just(b"Content-Encoding"),
        st.sampled_from([b"gzip", b"deflate", b"gzip, gzip", b"identity", b"br"]) | words,
    ),
    max_size=3,
)
statuses = st.sampled_from([200, 200, 200, 204, 301, 400, 401, 403, 404, 422, 429, 500, 503, 599])
answers = st.tuples(statuses, headers, bodies)
Answer = tuple[int, Headers, bytes]


@tries(200)
@given(st.lists(answers, min_size=1, max_size=4))
@example([(200, [(b"Content-Encoding", b"gzip")], b"no gzip")])
@example([(200, [(b"Date", b"Fri, 31 Dec 9999 23:59:59 -2359")], b'{"data":[],"has_more":false}')])
@example([(200, [(b"Content-Type", b"a; charset=\xff")], b'{"data":[1],"has_more":false}')])
def test_a_walk_ends_with_pages_or_with_one_clean_line(given_answers: list[Answer]) -> None:
    pages = _outcome(given_answers, walked)

    for page in pages or []:
        for position in page.positions:
            assert position.position_id
            position.position_id.encode()  # no lone surrogate
            assert "\0" not in position.position_id + position.status
            assert isinstance(json.loads(position.body), dict)
        assert all(each.reason in Reason for each in page.rejected)
        assert page.as_of.utcoffset() is not None


@tries(100)
@given(st.lists(answers, min_size=1, max_size=3), st.text(max_size=10))
def test_asking_for_one_position_ends_with_it_without_it_or_with_one_clean_line(
    given_answers: list[Answer], position_id: str
) -> None:
    found = _outcome(given_answers, lambda client: client.position(access(), position_id))

    if found is not None:
        assert found[0].position_id == position_id


@tries(200)
@given(answers)
def test_a_token_is_one_that_a_header_can_carry_or_one_clean_line(answer: Answer) -> None:
    status, all_headers, body = answer
    date = next((value.decode("latin1") for name, value in all_headers if name == b"Date"), None)
    invariants.of_a_token(status, body, date)


@tries(200)
@given(damaged(spelled(lists)) | spelled(lists))
def test_each_element_of_a_list_is_kept_as_it_was_spelled(body: bytes) -> None:
    invariants.of_a_list(body)


def _outcome(
    given_answers: list[Answer], ask: Callable[[RestClient], Coroutine[None, None, T]]
) -> T | None:
    """Ask a client whose server answers so; None where that ended with an error."""
    server = Server(*(_answering(*answer) for answer in given_answers))

    async def asked() -> T:
        async with client_of(server) as client:
            return await ask(client)

    try:
        return asyncio.run(asked())
    except PositionstoreError as error:
        _is_clean(error)
        return None


def _is_clean(error: PositionstoreError) -> None:
    invariants.is_clean(error)
    assert KEY.get_secret_value() not in str(error)


def _answering(status: int, all_headers: Headers, body: bytes) -> Callable[..., httpx.Response]:
    def answer(_: httpx.Request) -> httpx.Response:
        packed = any(value == b"gzip" for name, value in all_headers if name == b"Content-Encoding")
        content = zlib.compress(body, wbits=31) if packed and len(body) % 2 else body
        return httpx.Response(status, headers=all_headers, stream=_Stream(content))

    return answer


class _Stream(httpx.AsyncByteStream):
    """A body that is unpacked when it is read, as one from a socket is."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content
