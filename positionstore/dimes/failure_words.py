"""Classifies single codes and sentences of a gateway's failure.

The codes and sentences are those of socket.io middlewares, NestJS, Passport, jsonwebtoken, jose,
express-jwt and Auth0, as they are published, and the vendor's.
"""

import re
from enum import StrEnum
from typing import Final

from positionstore.redaction import redacted

_LONGEST: Final = 4_000
"""Characters of a failure's text that are read; a longer one is no clear answer."""


class Label(StrEnum):
    """The meaning of one structured field or sentence."""

    SURE = "sure"  # names the credentials
    TOKEN = "token"  # noqa: S105 - names the token among them
    GENERAL = "general"  # refuses, and does not say why
    STALE = "stale"
    PASSING = "passing"
    NOTHING = "nothing"


# --- structured answers ---------------------------------------------------------------------------


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SURE_CODES: Final = _names(
    "invalid_api_key api_key_invalid apikey_invalid invalid_apikey invalid_key bad_api_key"
    " wrong_api_key unknown_api_key api_key_not_found missing_api_key api_key_missing"
    " api_key_required no_api_key api_key_revoked revoked_api_key key_revoked api_key_disabled"
    " api_key_expired expired_api_key invalid_credentials credentials_invalid bad_credentials"
    " wrong_credentials missing_credentials credentials_missing credentials_required"
    " no_credentials invalid_client"
    " account_suspended partner_suspended account_disabled partner_disabled"
)
_TOKEN_CODES: Final = _names(
    "invalid_token token_invalid bad_token missing_token token_missing token_required no_token"
    " invalid_jwt jwt_invalid malformed_token token_malformed invalid_signature"
    " json_web_token_error err_jws_signature_verification_failed err_jws_invalid err_jwt_invalid"
)
_GENERAL_CODES: Final = _names(
    "unauthorized unauthorised unauthenticated not_authenticated authentication_error"
    " authentication_failed authentication_required auth_failed auth_error auth_required"
    " unauthorized_error unauthorized_exception authentication_failure authorization_required"
    " not_authorized not_authorised invalid_authentication"
)
_STALE_CODES: Final = _names(
    "token_expired expired_token jwt_expired token_expired_error err_jwt_expired session_expired"
    " token_revoked revoked_token"
)
_PASSING_CODES: Final = _names(
    "rate_limit rate_limited rate_limit_error rate_limit_exceeded too_many_requests throttled"
    " too_many_connections connection_limit connection_limit_reached connection_limit_exceeded"
    " max_connections internal internal_error internal_server_error server_error api_error"
    " service_unavailable unavailable temporarily_unavailable overloaded overloaded_error"
    " server_busy busy timeout gateway_timeout bad_gateway deadline_exceeded resource_exhausted"
    " maintenance shutting_down not_ready try_again_later not_before_error jwt_not_active"
    " token_not_active econnrefused econnreset etimedout enotfound eai_again epipe ehostunreach"
    " type_error reference_error range_error fetch_error session_replaced duplicate_session"
    " connection_replaced err_jwks_timeout axios_error err_bad_request err_bad_response"
)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_WORD: Final = re.compile(r"[^a-z0-9]+")


def label_of_code(value: object) -> Label:
    """Return the meaning of a ``code``, ``type`` or ``status``: a known word or HTTP status."""
    if isinstance(value, bool):
        return Label.NOTHING
    if isinstance(value, str) and re.fullmatch(r"[1-5][0-9]{2}", value, re.ASCII):
        value = int(value)
    if isinstance(value, int):
        if value == 401:
            return Label.GENERAL
        passing = value in {408, 425, 429} or 500 <= value <= 599
        return Label.PASSING if passing else Label.NOTHING
    if not isinstance(value, str) or len(value) > 100:
        return Label.NOTHING
    code = _NO_WORD.sub("_", _CAMEL.sub("_", value).lower()).strip("_")
    # `UNAUTHORIZED`, `auth/invalid-api-key`, `websocket.unauthorized`: the last part counts too.
    last = _NO_WORD.sub("_", re.split(r"[/.:]", _CAMEL.sub("_", value).lower())[-1]).strip("_")
    for known, label in (
        (_SURE_CODES, Label.SURE),
        (_TOKEN_CODES, Label.TOKEN),
        (_STALE_CODES, Label.STALE),
        (_PASSING_CODES, Label.PASSING),
        (_GENERAL_CODES, Label.GENERAL),
    ):
        if code in known or last in known:
            return label
    return Label.NOTHING


def is_field(key: object, names: frozenset[str]) -> bool:
    """Whether a key of an object is one of some names, in any spelling."""
    return _NO_WORD.sub("", str(key).lower()) in names


# --- sentences ------------------------------------------------------------------------------------

# A key alone may be a cache's, or a row's.
_KEY: Final = (
    r"(?:api[ _-]?key|apikey|partner key|access key|credentials?"
    r"|(?:your|provided|given|supplied) key)"
)
_TOKEN: Final = (
    r"(?:(?:access|auth|authentication|bearer|user|id|session|json web) ?token|jwt|token)"  # noqa: S105 - a pattern
)
_KEYS: Final = rf"{_KEY}(?: or {_KEY})?"
_TOKENS: Final = rf"(?:{_KEY}|{_TOKEN})(?: or (?:{_KEY}|{_TOKEN}))?"
_BAD: Final = (
    r"(?:invalid|incorrect|wrong|bad|unknown|unrecogni[sz]ed|malformed|missing|revoked"
    r"|disabled|deactivated|inactive|suspended)"
)
_IS_BAD: Final = (
    rf"(?:{_BAD}|required|not (?:valid|recogni[sz]ed|found|known|provided|supplied|active"
    r"|authori[sz]ed)|rejected)"
)
_THE: Final = r"(?:(?:the|your|this|an?|no|provided|given|supplied|client) )*"
_PAST: Final = r"(?: (?:provided|supplied|given|sent|found|specified|was provided|was found))?"


def _refusing(what: str) -> str:
    """Return the pattern of a sentence that calls something bad, or missing."""
    return (
        rf"{_THE}{_BAD}(?: or {_BAD})? {_THE}{what}{_PAST}"
        rf"|{_THE}{what} (?:is|was|are|were|has been|must be)? ?{_IS_BAD}"
        rf"|{_THE}{what} (?:does not exist|doesn't exist|must be provided"
        r"|could not be recogni[sz]ed)"
        rf"|no (?:valid )?{what}(?: (?:was|were))? (?:provided|supplied|given|found|sent)"
    )


_SURE: Final = re.compile(
    rf"{_refusing(_KEYS)}|no (?:valid )?(?:api key|credentials)"
    r"|(?:partner|account|user|client) (?:is |was |has been )?(?:suspended|disabled|deactivated)"
    r"|(?:missing|invalid|malformed) (?:authorization|authentication)"
    r" (?:header|credentials|payload)"
    r"|format is authorization"
)
_ABOUT_TOKEN: Final = re.compile(
    rf"{_refusing(_TOKENS)}|no (?:valid )?(?:auth token|authorization token(?: was found)?)"
    r"|(?:jwt )?(?:audience|issuer|subject|id) invalid|jwt (?:audience|issuer) invalid"
    rf"|(?:invalid|wrong) (?:{_TOKEN} )?(?:signature|algorithm|audience|issuer)"
    r"|jwt signature is required|signature verification failed"
)
_GENERAL: Final = re.compile(
    r"(?:you are )?(?:unauthori[sz]ed|unauthenticated|not (?:authori[sz]ed|authenticated))"
    r"(?: (?:access|client|connection|request|user|exception))?(?: to connect)?"
    r"|(?:401 )?unauthori[sz]ed(?: 401)?|(?:http |status |code |status code )?401"
    r"|(?:client |socket |websocket |partner )?(?:authentication|authorization|auth)"
    r" (?:error|failed|failure|required|is required|rejected|unsuccessful)"
    r"|(?:failed|unable|could not) (?:to )?authenticate"
)
_STALE: Final = re.compile(
    rf"{_THE}(?:{_TOKEN}|session) (?:is |has |was |has been )?(?:expired|revoked)"
    rf"|{_THE}expired {_TOKEN}|{_THE}revoked {_TOKEN}"
    rf"|{_THE}(?:invalid|bad) or (?:expired|revoked) {_TOKEN}"
    rf"|{_THE}(?:expired|revoked) or invalid {_TOKEN}"
    rf"|{_THE}{_TOKEN} (?:is )?(?:invalid or (?:has )?(?:expired|revoked)"
    r"|expired or (?:is )?invalid|not valid or (?:has )?expired)"
    r"|\"?exp\" claim timestamp check failed"
)
_KEY_OVER: Final = re.compile(
    rf"{_THE}{_KEY} (?:is |has |was |has been )?expired|{_THE}expired {_KEY}"
    rf"|{_THE}(?:invalid|bad) or (?:expired|revoked|disabled|inactive) {_KEY}"
    rf"|{_THE}(?:expired|revoked|disabled) or invalid {_KEY}"
    rf"|{_THE}{_KEY} (?:is )?(?:invalid or (?:has )?(?:been )?(?:expired|revoked|disabled))"
)
_PASSING: Final = re.compile(
    r"internal (?:server )?error|something went wrong|unexpected error"
    r"|(?:service|server|gateway|backend|upstream|database|redis|system|api) (?:is )?"
    r"(?:(?:currently|temporarily) )?(?:un(?:available|reachable|healthy)|busy|overloaded|down"
    r"|not ready|shutting down|restarting|starting|timed out|timeout|error)"
    r"|temporar(?:y|ily)|bad gateway|gateway time-?out|shutting down|maintenance"
    r"|\btoo many\b|\brate.?limit|throttl|\bquota\b|\bmax(?:imum)? (?:number of )?connections?"
    r"|connection (?:limit|pool)|(?:limit|quota) (?:reached|exceeded)"
    r"|newer connection|taken over|another connection|connected (?:from )?elsewhere"
    r"|\b(?:jwt|token) (?:is )?not (?:yet )?active|\bnbf\b|not (?:yet )?ready|starting up"
    r"|fetch failed|request failed with status|network error|\btime(?:d )?out|deadline exceeded"
    r"|socket hang up"
    r"|\be(?:connrefused|connreset|connaborted|notfound|timedout|hostunreach|pipe|ai_again)\b"
    r"|connection (?:refused|reset|lost|terminated|timed out)"
    r"|cannot read propert|is not a function|is not defined|is not iterable"
    r"|of (?:undefined|null)\b|\b(?:type|reference|range|syntax)error\b|unexpected token\b"
    r"|(?:try again|retry) (?:later|in|soon|after)\b|(?:could not|unable to|failed to)"
    r" (?:connect|reach|fetch|load|verify|check)|unreachable|getaddrinfo|invalid namespace"
)
_REMARK: Final = re.compile(
    r"(?:please|check|look|see|visit|contact|make sure|ensure|provide|verify|use|try again|retry"
    r"|connection closed|closing|disconnect|goodbye|bye|connection rejected|access denied"
    r"|connection refused by server|forbidden|request(?:[ _-]?id)?\b|ref\b|code \d+$|status \d+$"
    r"|expected\b)"
)
_PREFIX: Final = re.compile(
    r"(?:uncaught )?(?:[a-z]*(?:error|exception)|err|error|websocket|socket(?:\.io)?|ws|http"
    r"|authentication_error|auth|request failed)$"
)
_QUOTED: Final = re.compile(r"\*{3}|'[^']{0,200}'|`[^`]{0,200}`|\([^)]{0,200}\)")
_CLAUSES: Final = re.compile(r"[.!;,\n](?=\s|$)|:\s|\s[-\u2013\u2014]+\s")


def label_of_text(text: str) -> Label:
    """Return the meaning of a text, sentence by sentence."""
    if len(text) > _LONGEST:
        return Label.NOTHING
    plain = " ".join(redacted(text).lower().replace("\u2019", "'").split())
    if _PASSING.search(plain):
        return Label.PASSING
    clauses = [clause.strip(' .!"') for clause in _CLAUSES.split(_QUOTED.sub("", plain))]
    found = [_of_clause(" ".join(clause.split())) for clause in clauses if clause.strip(' .!"')]
    for label in (Label.STALE, Label.SURE, Label.TOKEN):
        if label in found:
            return label
    # A general refusal with a reason that is not understood is not clear.
    if Label.GENERAL in found and Label.NOTHING not in found:
        return Label.GENERAL
    return Label.NOTHING


def _of_clause(clause: str) -> Label | None:
    if _STALE.fullmatch(clause):
        return Label.STALE
    if _SURE.fullmatch(clause) or _KEY_OVER.fullmatch(clause):
        return Label.SURE
    if _ABOUT_TOKEN.fullmatch(clause):
        return Label.TOKEN
    if _GENERAL.fullmatch(clause):
        return Label.GENERAL
    code = label_of_code(clause) if "_" in clause else Label.NOTHING
    if code is not Label.NOTHING:
        return code
    return None if _REMARK.match(clause) or _PREFIX.fullmatch(clause) else Label.NOTHING
