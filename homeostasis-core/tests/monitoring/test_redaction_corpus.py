"""The corpus: secrets in every place where an app has them, none of which may be written, and ordinary values, which
must stay what they are."""

from __future__ import annotations

import base64
import io
import json
import keyword
import re
from typing import Any, Callable
from urllib.parse import quote, quote_plus, urlencode

import pytest

from homeostasis.monitoring.wsgi import WsgiMonitor

JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
WORD = "hunter{n}zq"
"""A secret without a form of its own: only its place tells."""

NAMES = """
password passwd pwd pass passphrase secret client_secret clientSecret api_key apiKey X-Api-Key apikey access_key
AWS_SECRET_ACCESS_KEY secret_key SECRET_KEY private_key privateKey signing_key encryption_key token access_token
accessToken refresh_token id_token auth_token authToken csrf_token csrfmiddlewaretoken session_id sessionid PHPSESSID
JSESSIONID connect.sid credential credentials db_password DATABASE_PASSWORD userPassword new_password old_password
password_confirmation password2 otp totp pin cvv card_number cardNumber credit_card ssn iban authorization bearer jwt
dsn connection_string webhook_secret stripe_signature x-auth-token X-Vault-Token api_secret app_secret secret_token
master_key account_key storage_key license_key subscription_key Ocp-Apim-Subscription-Key security_code
passcode tax_id social_security_number mnemonic seed_phrase private_pem client_assertion code_verifier
"""

FORMS = [
    JWT,
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUV",
    "glpat-xYz12345abcDEF67890q",
    "xoxb-123456789012-1234567890123-abcdefGHIJKLmnopQRSTuvwx",
    "xapp-1-A0123456789-1234567890123-0123456789abcdef0123456789abcdef",
    "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "whsec_dGhpc2lzYXdlYmhvb2tzZWNyZXQwMTIzNDU2Nzg5",
    "sk-proj-abcdEFGH1234567890ijklMNOPqrst",
    "sk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789",
    "AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",
    "ya29.a0AfH6SMBx1234567890abcdefghijklmnop",
    "GOCSPX-abcdefghijklmnopqrstuvwxyz12",
    "npm_abcdefghijklmnopqrstuvwxyz0123456789",
    "pypi-AgEIcHlwaS5vcmcCJDAwMDAwMDAwLTAwMDAtMDAwMC0wMDAw",
    "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",
    "shpat_0123456789abcdef0123456789abcdef",
    "dop_v1_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH",
    "dckr_pat_abcdefghijklmnopqrstuvwxyz0",
    "glsa_0123456789abcdefABCDEF0123456789_01234567",
    "hvs.CAESIJlWbGxTZWNyZXQwMTIzNDU2Nzg5YWJjZGVm",
    "lin_api_0123456789abcdefABCDEF0123456789abcdefAB",
    "PMAK-0123456789abcdef01234567-0123456789abcdef0123456789abcdef01",
    "rubygems_0123456789abcdef0123456789abcdef0123456789abcdef",
    "dapi0123456789abcdef0123456789abcdef",
    "key-0123456789abcdef0123456789abcdef",
    "SK0123456789abcdef0123456789abcdef",
    "sq0csp-abcdefghijklmnopqrstuvwxyz0123456789ABCDEF_",
    "NRAK-ABCDEFGHIJKLMNOPQRSTUVWXYZ0",
    "123456789:AAEhBOweik9ai2RzLqXqfLmJ1pS4wKqYz0A",
    "AGE-SECRET-KEY-1QQPQYYSJJ0Q8VQ7VN9Z0D0D8A0Q7Q0K0",
    "EAACEdEose0cBA0123456789abcdefghijklmnopqrstuvwxyz",
    "4111 1111 1111 1111",
    "5500-0000-0000-0004",
    "378282246310005",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA0123456789zq\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOYBF0123456789zqzq\n-----END PGP PRIVATE KEY BLOCK-----",
]

TEXTS = """
login failed: password={w}
login failed: password: {w}
login failed for ann with password '{w}'
the password is {w}
wrong password "{w}" for ann
auth failed (password={w}, user=ann)
Authorization: Bearer {w}
Authorization: Basic {w}==
Authorization: Token {w}
authorization header 'Bearer {w}1' is not valid
Cookie: session={w}; theme=dark
Set-Cookie: sid={w}; HttpOnly
X-Api-Key: {w}
could not connect to postgresql://shop:{w}@db:5432/shop
could not connect to mysql+pymysql://root:{w}@localhost/shop?charset=utf8
redis://:{w}@cache:6379/0 timed out
amqp://guest:{w}@mq//
mongodb+srv://ann:{w}@cluster0.mongodb.net
https://ann:{w}@example.com/a
ftp://ann:{w}@files.example.com
GET /x?access_token={w}&user=1 HTTP/1.1
GET https://s3.amazonaws.com/b/k?X-Amz-Signature={w}&X-Amz-Date=20240101T000000Z
https://blob.core.windows.net/c?sv=2020&sig={w}
https://example.com/cb#access_token={w}&token_type=bearer
https://example.com/?next=/a&api_key={w}
{{'password': '{w}', 'user': 'ann'}}
{{"api_key": "{w}"}}
{{\\"password\\": \\"{w}\\"}}
User(name='ann', password='{w}')
<User name=ann password={w}>
Settings(secret_key=SecretBox('{w}'))
[('user', 'ann'), ('password', '{w}')]
('password', '{w}')
["password", "{w}"]
OrderedDict([('token', '{w}')])
b'password={w}'
b'{{"secret": "{w}"}}'
export DB_PASSWORD={w}
DB_PASSWORD="{w}"
AWS_SECRET_ACCESS_KEY={w}/K7MDENG
mysql --user=ann --password={w}
curl -u ann:{w} https://example.com
curl -H 'Authorization: Bearer {w}'
tool --token {w} --verbose
tool --api-key {w}
ALTER USER ann WITH PASSWORD '{w}'
CREATE USER ann IDENTIFIED BY '{w}'
<password>{w}</password>
<add key="ApiKey" value="{w}"/>
password%3D{w}
grant_type=password&username=ann&password={w}
client_secret={w}&client_id=7
Server=db;User Id=ann;Password={w};Database=shop
AccountName=shop;AccountKey={w}==;EndpointSuffix=core.windows.net
host=db user=ann password={w} dbname=shop
secret => {w}
"secret" : "{w}",
passwd:	{w}
pwd = '{w}'
https://hooks.slack.com/services/T00000000/B00000000/{w}XXXXXXXX
https://discord.com/api/webhooks/123456789012345678/{w}abcdef
sent token {w}123 to ann
invalid api key: {w}
Invalid token: {w}9
session id {w}42 has expired
ann's PIN is 4821{n}
""".strip("\n").split("\n")

HEADERS = """
Authorization: Bearer {w}
Authorization: Basic {w}
Authorization: {w}
Authorization: {w} second{w}
Authorization: Digest username="ann", response="{w}"
Authorization: AWS4-HMAC-SHA256 Credential=x/20240101, Signature={w}
Proxy-Authorization: Basic {w}
Cookie: sid={w}; theme={w}
X-Api-Key: {w}
X-Auth-Token: {w}
X-Csrf-Token: {w}
X-Amz-Security-Token: {w}
X-Goog-Api-Key: {w}
Private-Token: {w}
Cf-Access-Client-Secret: {w}
X-Session-Id: {w}
Stripe-Signature: t=1,v1={w}
X-Hub-Signature-256: sha256={w}
Ocp-Apim-Subscription-Key: {w}
X-Vault-Token: {w}
Referer: https://example.com/reset?token={w}
X-Forwarded-Uri: /a?password={w}
""".strip().split("\n")

Channel = Callable[[str], Any]


def words(templates: list[str]) -> list[tuple[str, str]]:
    made = []
    for number, template in enumerate(templates):
        word = WORD.format(n=number)
        made.append(
            (template.format(w=word, n=number).replace("\\t", "\t"), f"4821{number}" if "PIN" in template else word)
        )
    return made


def by_name(names: str) -> list[tuple[str, str]]:
    return [(name, WORD.format(n=number)) for number, name in enumerate(names.split())]


@pytest.fixture
def written(remembering: Any, project: Any) -> Callable[..., str]:
    """Sends a request to an app that crashes, and returns all that is written of it, bodies decoded."""
    client = remembering()

    def send(asked: dict[str, Any] | None = None, sent: bytes = b"", raising: Any = "x", **local: Any) -> str:
        def app(environ: Any, start_response: Any) -> Any:
            environ["wsgi.input"].read()
            namespace = {"raising": raising, "__name__": "shop"}
            source = f"def crash({', '.join(local)}):\n    raise ValueError(raising)\n"
            exec(compile(source, str(project / "made.py"), "exec"), namespace)
            namespace["crash"](**local)

        whole = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/a",
            "CONTENT_LENGTH": str(len(sent)),
            "wsgi.input": io.BytesIO(sent),
            **(asked or {}),
        }
        client.records.clear()
        with pytest.raises(ValueError):
            WsgiMonitor(app)(whole, None)
        (record,) = [record for record in client.records if record["record"] == "event"]
        decoded = base64.urlsafe_b64decode(record["request"]["body"]).decode("utf-8", "replace")
        return json.dumps(record, ensure_ascii=False) + decoded

    return send


def leaks(text: str, secret: str) -> bool:
    """Whether the secret, or its telling half, is in the text, however it is quoted."""
    telling = max(re.split(r"[\n ]", secret), key=len) if "BEGIN" not in secret else secret.split("\n")[1]
    return any(form in text for form in (telling, quote(telling), quote_plus(telling)))


def cases() -> list[tuple[str, str]]:
    """Channel and secret, for the count below."""
    found = [
        (channel, name) for name in NAMES.split() for channel in ("local", "key", "json", "form", "multipart", "query")
    ]
    found += [(channel, text) for text in TEXTS for channel in ("message", "value", "bytes")]
    found += [("header", text) for text in HEADERS]
    return found + [(channel, form) for form in FORMS for channel in ("message", "value", "json value", "path")]


def test_the_corpus_is_large() -> None:
    """Hundreds of secrets in a dozen places."""
    assert len({text for _, text in cases()}) >= 200
    assert len(cases()) >= 800


def identifier(name: str) -> str:
    return re.sub(r"\W", "_", name) + ("_" if keyword.iskeyword(name) else "")


def test_no_secret_by_its_name(written: Any) -> None:
    """Names of variables, keys, JSON and form fields, parts and query parameters hide what they hold."""
    found = []
    for name, word in by_name(NAMES):
        multipart = (
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{word}\r\n'
            f'--b\r\nContent-Disposition: form-data; name="other"\r\n\r\nfine\r\n--b--\r\n'
        ).encode()
        nested = {"a": [{"b": {name: word, "list": [{name: [word]}]}}], "ok": 1}
        texts = {
            "local": written(**{identifier(name): word}),
            "key": written(data={"outer": [{name: word}]}),
            "attribute": written(thing=type("Thing", (ValueError,), {})(f"{name}={word}")),
            "json": written({"CONTENT_TYPE": "application/json"}, json.dumps(nested).encode()),
            "form": written({"CONTENT_TYPE": "application/x-www-form-urlencoded"}, urlencode({name: word}).encode()),
            "multipart": written({"CONTENT_TYPE": "multipart/form-data; boundary=b"}, multipart),
            "torn json": written({"CONTENT_TYPE": "application/json"}, json.dumps(nested).encode()[:-3]),
            "query": written({"QUERY_STRING": f"a=1&{quote_plus(name)}={word}"}),
        }
        found += [(channel, name) for channel, text in texts.items() if leaks(text, word)]
    assert not found, found


def test_no_secret_in_texts(written: Any) -> None:
    """Messages, logged lines, URLs, reprs and command lines hide what they assign."""
    found = []
    for text, word in words(TEXTS):
        seen = {
            "message": written(raising=text),
            "value": written(value=text),
            "bytes": written(value=text.encode()),
            "item": written(value=[{"a": (text,)}]),
            "json value": written({"CONTENT_TYPE": "application/json"}, json.dumps({"a": [text]}).encode()),
            "text body": written({"CONTENT_TYPE": "text/plain"}, text.encode()),
        }
        found += [(channel, text) for channel, made in seen.items() if leaks(made, word)]
    assert not found, found


def test_no_secret_in_headers(written: Any) -> None:
    """Headers keep their names and lose their secrets."""
    found = []
    for text, word in words(HEADERS):
        name, value = text.split(": ", 1)
        key = "HTTP_" + name.upper().replace("-", "_")
        if leaks(written({key: value}), word):
            found.append(text)
    assert not found, found


def test_no_secret_by_its_form(written: Any) -> None:
    """Keys and tokens of well-known forms are found wherever they stand."""
    found = []
    for form in FORMS:
        seen = {
            "message": written(raising=f"refused {form} for ann"),
            "value": written(value=form),
            "bytes": written(value=form.encode()),
            "item": written(value={"a": [form]}),
            "json value": written({"CONTENT_TYPE": "application/json"}, json.dumps({"a": {"b": form}}).encode()),
            "query": written({"QUERY_STRING": f"a={quote_plus(form)}"}),
            "path": written({"PATH_INFO": f"/a/{form}"}),
            "header": written({"HTTP_X_THING": form}),
        }
        found += [(channel, form) for channel, made in seen.items() if leaks(made, form)]
    assert not found, found


ORDINARY_NAMES = """
user username name email order_id author authored tokenizer token_count max_tokens total_tokens token_type password_length
passport_office passenger passengers passing compass bypass path pathname pinned pinch spinner opinion shipping_pin_code_count
secretary secretariat key keys key_name primary_key foreign_key sort_key keyboard keyword monkey turkey
session_count session_timeout cookie_policy author_id authority authentication_method is_authenticated
description address phone country city zip quantity price total currency discount status state created_at updated_at
sid_count pinboard card_type card_count account_id account_name balance iban_count signature_count design assignment
code error_code country_code status_code zip_code language_code item items sku lines customer customer_id url next page
size color weight height width length title body content message detail reason comment note tag tags category brand
stock warehouse supplier invoice payment_method shipping_method delivery tracking_number reference version locale theme
"""

ORDINARY_TEXTS = """
'pear'
unsupported operand type(s) for +: 'int' and 'NoneType'
'NoneType' object has no attribute 'price'
list index out of range
Expecting value: line 1 column 1 (char 0)
invalid literal for int() with base 10: 'abc'
could not convert string to float: '1,5'
basic information about bearer certificates
the bearer of this letter
unexpected token: expected '}}'
Unexpected token < in JSON at position 0
token expired
invalid token
missing password
password must not be empty
password is required
the password is too short
Password: must have at least 8 characters
wrong password for ann
secret santa: draw a name
session is closed
name 'session' is not defined
'Session' object has no attribute 'get'
cookie not set
order 1234567890123456 not found
1700000000000000000
9007199254740993
3.141592653589793
2024-01-01T00:00:00.000000
2024-01-01 12:30:45,123 ERROR shop.views: failed
3f2504e0-4f89-11d3-9a0c-0305e82c3301
d6c4bab0f1e2d3c4b5a697887766554433221100
9e107d9d372bb6826bd81d3542a419d6
sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
https://example.com/a?b=c&page=2
https://example.com/orders/7?sort=-date#lines
http://localhost:8000/health
ann@example.com
mailto:ann@example.com?subject=hello
+49 30 1234567
(555) 123-4567
/usr/lib/python3.11/json/decoder.py
C:\\\\Users\\\\ann\\\\shop.py
SELECT * FROM orders WHERE id = 7 AND user = 'ann'
UPDATE users SET name = 'Ann' WHERE id = 3
INSERT INTO tokens (id) VALUES (1)
duplicate key value violates unique constraint "users_email_key"
key 'pear' not found in {{'apple': 3}}
{{'user': 'ann', 'items': [1, 2], 'total': 9.5}}
{{"order": {{"id": 7, "lines": [{{"sku": "pear", "qty": 2}}]}}}}
User(name='ann', age=30)
<Order 7 of ann: 3 lines>
<shop.models.Order object at 0x7f0000000000>
datetime.date(2024, 1, 1)
Decimal('19.99')
GET /orders/7 HTTP/1.1
POST /login HTTP/1.1
Content-Type: application/json; charset=utf-8
text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8
Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36
gzip, deflate, br
max-age=3600, must-revalidate
W/"0815-abcdef"
en-US,en;q=0.9,de;q=0.8
tool --verbose --output file.txt
pip install homeostasis-flask
git checkout -b feature/pass-through
Traceback (most recent call last):
File "shop.py", line 3, in price
return PRICES[sku]
if token == expected: return True
tokens = line.split()
x = {{}}; x['a']
a=1&b=2&c=%C3%BC
user=ann&page=3
author=Tolkien
key=value
primary key: id
sort key: date
public key fingerprint
the key is missing
keyboard: us
status: 200
level: ERROR
count=3 total=9.5 currency=EUR
lat=52.52 lon=13.40
v1.2.3-rc.1+build.5
0x1F600
Zürich, Köln, 東京
hello world
a very long sentence about nothing in particular that goes on and on
pass
passed 3 of 4 tests
passing by
compass: north
passport 4
pin the version
pinned=3
bypass: none
the session started at 12:30
3 sessions are open
auth: required
authors: Ann, Bob
design: signature edition
signature of f() takes 1 argument
missing 1 required positional argument: 'token'
f() got an unexpected keyword argument 'password'
KeyError: 'password'
KeyError: 'token'
field 'secret' is required
1 validation error for Login
credentials are missing
no credentials given
access denied for user 'ann'@'localhost'
4111
12-34-56
2024/01/01
ISBN 978-3-16-148410-0
DE89 is a prefix
EUR 1.234,56
192.168.0.1:8080
::1
fe80::1ff:fe23:4567:890a
00:1B:44:11:3A:B7
base64 is not encryption
data:image/png;base64,iVBORw0KGgo=
#ff8800
rgb(255, 136, 0)
Lorem ipsum dolor sit amet
SKU-0042-XL
order-2024-000123
T-Shirt (blue), size L
sk-label
npm run build
hf-space
key-value store
dapi
""".strip("\n").split("\n")


def test_ordinary_values_are_kept(written: Any) -> None:
    """Of hundreds of ordinary names and texts at most one in a hundred is harmed: they are what a cause is found by."""
    texts = [text.replace("{{", "{").replace("}}", "}").replace("\\\\\\\\", "\\") for text in ORDINARY_TEXTS]
    harmed = []
    for name in ORDINARY_NAMES.split():
        word = f"plain-{name}"
        seen = [
            written(**{identifier(name): word}),
            written(data={name: word}),
            written({"QUERY_STRING": f"{name}={word}"}),
            written({"CONTENT_TYPE": "application/json"}, json.dumps({name: word}).encode()),
        ]
        if not all(word in text for text in seen):
            harmed.append(name)
    for text in texts:
        made = written(raising=text, value=text)
        record = json.loads(made)["exceptions"][0]
        frame = record["frames"][-1]["locals"]["value"]
        if record["message"] != text or frame["redacted"]:
            harmed.append(text)
    total = len(ORDINARY_NAMES.split()) + len(texts)
    assert total >= 200
    assert len(harmed) <= total // 100, harmed
