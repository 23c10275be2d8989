from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs

import pytest

from homeostasis.monitoring import redaction
from homeostasis.monitoring.bodies import redact_body, redact_headers, redact_query
from homeostasis.monitoring.redaction import REDACTED, Redactor

SECRET_NAMES = [
    "password",
    "passwd",
    "PASSWORD",
    "userPassword",
    "db_password",
    "passphrase",
    "secret",
    "client_secret",
    "SECRET_KEY",
    "token",
    "access_token",
    "accessToken",
    "refresh-token",
    "id_token",
    "auth_token",
    "X-Auth-Token",
    "api_key",
    "apikey",
    "X-Api-Key",
    "API-KEY",
    "apiKey2",
    "access_key",
    "aws_secret_access_key",
    "private_key",
    "privateKey",
    "authorization",
    "Authorization",
    "Proxy-Authorization",
    "cookie",
    "Set-Cookie",
    "session_id",
    "sessionid",
    "PHPSESSID",
    "JSESSIONID",
    "csrf_token",
    "X-CSRFToken",
    "xsrf",
    "credential",
    "credentials",
    "jwt",
    "bearer",
    "pwd",
    "user_pwd",
    "pin",
    "cvv",
    "card_number",
    "creditCard",
    "ssn",
    "otp",
    "totp_code",
    "sid",
    "dsn",
    "signing_key",
    "encryption_key",
    "connection_string",
    "password_hash",
]
ORDINARY_NAMES = [
    "user",
    "name",
    "email",
    "order_id",
    "author",
    "authored",
    "tokenizer",
    "tokens",
    "max_tokens",
    "token_type",
    "token_count",
    "password_min_length",
    "secret_name",
    "keyboard",
    "key",
    "keys",
    "monkey",
    "pinned",
    "spinner",
    "opinion",
    "sidebar",
    "inside",
    "passenger",
    "compass",
    "bypass",
    "sessions_url",
    "cookie_policy",
    "items",
    "total",
    "path",
    "route",
    "query",
    "price",
    "assignment",
    "design",
    "signal",
    "option",
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_secret_names(name: str) -> None:
    """A name that means a secret is known, however it is written."""
    assert Redactor().is_secret(name)


@pytest.mark.parametrize("name", ORDINARY_NAMES)
def test_ordinary_names(name: str) -> None:
    """Names that only look alike are left alone: their values are what the healer works with."""
    assert not Redactor().is_secret(name)


def test_own_names() -> None:
    """`redact_names` adds names, without case and separators."""
    assert Redactor(["National Id"]).is_secret("national_id")


def test_long_names_are_judged_but_not_kept() -> None:
    """A client that sends ever new keys of a megabyte fills no memory."""
    names = redaction._Secrets(frozenset())
    assert [names["password" + "x" * 10**6], names["password"], names["x" * 10**6]] == [True, True, False]
    assert list(names) == ["password"]


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
SECRETS = [
    (f"bad token {JWT} given", JWT),
    ("key AKIAIOSFODNN7EXAMPLE refused", "AKIAIOSFODNN7EXAMPLE"),
    ("push with ghp_" + "a1B2" * 9, "a1B2a1B2"),
    ("github_pat_" + "A1b2_" * 8, "A1b2_A1b2"),
    ("glpat-abcdefghij0123456789", "abcdefghij0123456789"),
    ("xoxb-123456789012-abcdefGHIJ", "abcdefGHIJ"),
    ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", "4eC39HqLyjWDarjtT1zdp7dc"),
    ("header Bearer abc123DEF456ghi", "abc123DEF456ghi"),
    ("header Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
    ("connect postgresql://ann:s3cr3t@db:5432/shop", "s3cr3t"),
    ("redis://:s3cr3t@cache:6379/0", "s3cr3t"),
    ("card 4111 1111 1111 1111 declined", "4111 1111"),
    ("card 5500-0000-0000-0004", "5500-0000"),
    ("amex 378282246310005", "378282246310005"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJB\n-----END RSA PRIVATE KEY-----", "MIIBOgIBAAJB"),
    ("login failed: password=hunter2", "hunter2"),
    ("login failed: password: hunter2", "hunter2"),
    ("{'password': 'hunter2', 'user': 'ann'}", "hunter2"),
    ('{"api_key": "k-12345"}', "k-12345"),
    ("GET /x?access_token=abcdef&user=1", "abcdef"),
    ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_secrets_in_text(text: str, secret: str) -> None:
    """Known forms of secrets, and values assigned to secret names, are taken out of messages."""
    clean = Redactor().text(text)
    assert secret not in clean
    assert REDACTED in clean


ORDINARY = [
    "'pear'",
    "unsupported operand type(s) for +: 'int' and 'NoneType'",
    "Expecting value: line 1 column 1 (char 0)",
    "basic information about bearer certificates",
    "unexpected token: expected '}'",
    "order 1234567890123456 not found",
    "1700000000000000000",
    "https://example.com/a?b=c",
    "name 'session' is not defined",
    "token = request.headers['X-Token']",
    "2024-01-01T00:00:00.000000",
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "password must not be empty",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_is_kept(text: str) -> None:
    """Messages, ids, times and addresses without a secret stay as they are."""
    assert Redactor().source(text) == text
    if "=" not in text or "http" in text:
        assert Redactor().text(text) == text


HOSTILE = [
    "a=" * 30_000,
    "a" * 60_000 + "=",
    "password:" * 7_000,
    'password="' * 6_000,
    "password='" + "\\\\" * 30_000,
    "password=['" * 6_000,
    "password=a(" * 6_000,
    "<aa " * 15_000 + "</",
    "('password','" * 5_000,
    "1 " * 30_000 + "=",
    "%41" * 20_000 + "=",
    "eyJ" * 20_000,
    "://a:" * 12_000,
    "authorization:" + " " * 60_000 + "=",
    "-----BEGIN RSA PRIVATE KEY-----" * 2_000,
    "a:" + "b " * 30_000 + "=",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:12])
def test_hostile_texts_end(text: str) -> None:
    """No text makes the search take longer than its length is worth: this would take hours."""
    redactor = Redactor()
    assert len(redactor.text(text)) <= 2 * len(text)
    assert len(redactor.source(text)) <= 2 * len(text)


def test_source_lines_keep_their_code() -> None:
    """In source only literals are replaced."""
    redactor = Redactor()
    assert redactor.source("password = form['password']") == "password = form['password']"
    assert redactor.source('login(password="hunter2")') == f'login(password="{REDACTED}")'


def test_headers_keep_scheme_and_cookie_names() -> None:
    """Headers stay recognisable: the scheme and the names of cookies."""
    headers = [("Authorization", "Bearer abc"), ("Cookie", "sid=1; theme=dark"), ("X-Api-Key", "k"), ("Accept", "*/*")]
    assert redact_headers(headers, Redactor()) == [
        ("Authorization", f"Bearer {REDACTED}"),
        ("Cookie", f"sid={REDACTED}; theme={REDACTED}"),
        ("X-Api-Key", REDACTED),
        ("Accept", "*/*"),
    ]


def test_json_keeps_its_structure() -> None:
    """A JSON body stays JSON of the same shape and types; without a secret it stays the same bytes."""
    redactor = Redactor()
    body = {
        "user": "ann",
        "password": "x",
        "pin": 1234,
        "n": None,
        "deep": [{"token": {"a": ["b"]}}],
        "card": 4111111111111111,
    }
    clean = json.loads(redact_body(json.dumps(body).encode(), "application/json; charset=utf-8", redactor))
    assert clean == {
        "user": "ann",
        "password": REDACTED,
        "pin": 0,
        "n": None,
        "deep": [{"token": {"a": [REDACTED]}}],
        "card": 0,
    }
    plain = b'{ "user":"ann" ,"n": 1.0}'
    assert redact_body(plain, "application/json", redactor) == plain


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b'{"a": \xff}', b"\x00\x01", b"null", b'"eyJ"'])
def test_hostile_bodies(body: bytes) -> None:
    """Bodies that are no JSON, or nested without end, do not break the redaction."""
    assert isinstance(redact_body(body, "application/json", Redactor()), bytes)


def test_torn_json_is_redacted_as_text() -> None:
    """A body that was cut off is searched as text."""
    assert b"hunter2" not in redact_body(b'{"password": "hunter2", "items": [1, 2', "application/json", Redactor())


def test_forms_and_queries_keep_their_pairs() -> None:
    """Form bodies and query strings keep order, repetition and encoding of what is no secret."""
    redactor = Redactor()
    query = "a=1&password=x+y&a=%C3%BC&flag&empty=&next=http%3A%2F%2Fu%3Ap%40h%2F"
    clean = redact_query(query, redactor)
    assert clean.startswith("a=1&password=%5Bredacted%5D&a=%C3%BC&flag&empty=&next=")
    assert parse_qs(clean)["next"] == [f"http://{REDACTED}@h/"]
    assert (
        redact_body(b"user=ann&pin=1", "application/x-www-form-urlencoded", redactor) == b"user=ann&pin=%5Bredacted%5D"
    )


def test_multipart_keeps_its_parts() -> None:
    """Secret fields of a multipart body are replaced; files stay."""
    body = (
        b'--b\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunter2\r\n'
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n\x00\xff\r\n--b--\r\n'
    )
    clean = redact_body(body, "multipart/form-data; boundary=b", Redactor())
    assert clean == body.replace(b"hunter2", REDACTED.encode())


def test_no_secret_of_a_request_reaches_an_event(remembering, raised_by) -> None:
    """Whatever part of a request or of a frame holds a secret, the event does not."""
    import io

    from homeostasis.monitoring.wsgi import WsgiMonitor

    client = remembering()
    basic = base64.b64encode(b"ann:hunter2-basic").decode()

    def app(environ, start_response):
        data = json.loads(environ["wsgi.input"].read())
        password = data["password"]
        raise ValueError(f"cannot log in with password={password}")

    body = json.dumps({"password": "hunter2-body"}).encode()
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": f"/login/{JWT}",
        "QUERY_STRING": "api_key=hunter2-query",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_AUTHORIZATION": f"Basic {basic}",
        "HTTP_COOKIE": "sid=hunter2-cookie",
        "wsgi.input": io.BytesIO(body),
    }
    raised_by(WsgiMonitor(app), environ, None)
    text = json.dumps(client.records)
    assert client.records[0]["request"]["method"] == "POST"
    assert "hunter2" not in text
    assert basic not in text
    assert JWT not in text
    assert base64.urlsafe_b64decode(client.records[0]["request"]["body"]) == b'{"password": "[redacted]"}'
