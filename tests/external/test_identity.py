"""Callers that prove who they are, and callers that do not: boto3 and the AWS CLI by access key, grpcurl by bearer token."""

import base64
import json
import os
import subprocess
import sys
import time

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from certificates import Authority
from contract import PROTO
from grpcurl import STATUS_EXIT, TOOLS, VERSIONS, grpcurl

ISSUER = "https://issuer.example"
SECRET = "canary-secret-of-alice"
PERMISSION_DENIED, UNAUTHENTICATED = STATUS_EXIT + 7, STATUS_EXIT + 16
RELOAD_SECONDS = 20

CALLERS = f"""
[[caller]]
access-key = {{ id = "AKIDALICE", secret = "{SECRET}" }}
account = "111111111111"

[[caller]]
access-key = {{ id = "AKIDBOB", secret-file = "bob.secret" }}
account = "222222222222"

[[caller]]
subject = "alice"
account = "111111111111"
"""


def url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Signs tokens with a key that it made itself."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        numbers = self.key.public_key().public_numbers()
        x, y = (url64(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        self.keys = json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "x": x, "y": y}]})

    def token(self, **claims) -> str:
        claims = {"iss": ISSUER, "aud": "proton", "sub": "alice", "exp": int(time.time()) + 300, **claims}
        text = ".".join(url64(json.dumps(part).encode()) for part in ({"alg": "ES256", "kid": "1"}, claims))
        r, s = utils.decode_dss_signature(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{url64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


@pytest.fixture(scope="module")
def issuer():
    return Issuer()


@pytest.fixture
def guarded(start, tmp_path, issuer):
    """A server that asks who calls."""
    for name, text in {"callers.toml": CALLERS, "bob.secret": "canary-secret-of-bob\n", "keys.json": issuer.keys}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    settings = {"CALLERS": "callers.toml", "JWT_KEYS": "keys.json"}
    environment = {f"PROTON_GRPC_{name}": str(tmp_path / file) for name, file in settings.items()}
    environment |= {"PROTON_GRPC_JWT_ISSUER": ISSUER, "PROTON_GRPC_JWT_AUDIENCE": "proton", "PROTON_GRPC_LOG": "trace"}
    return start(environment=environment)


def client(server, key_id, secret, **config):
    return boto3.client(
        "proton",
        endpoint_url=server.aws_json,
        region_name="us-east-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, **config),
    )


def refused(client) -> tuple[str, int]:
    with pytest.raises(ClientError) as error:
        client.get_account_settings()
    return error.value.response["Error"]["Code"], error.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_boto3_is_let_in_with_the_right_secret_only(guarded):
    alice, bob = client(guarded, "AKIDALICE", SECRET), client(guarded, "AKIDBOB", "canary-secret-of-bob")
    created = alice.create_environment_template(name="web")["environmentTemplate"]
    assert created["arn"] == "arn:aws:proton:us-east-1:111111111111:environment-template/web"
    assert bob.list_environment_templates()["templates"] == []
    assert refused(client(guarded, "AKIDALICE", "wrong")) == ("InvalidSignatureException", 400)
    assert refused(client(guarded, "AKIDEVE", SECRET)) == ("UnrecognizedClientException", 400)
    assert refused(client(guarded, "", "", signature_version=UNSIGNED)) == ("MissingAuthenticationTokenException", 400)


def test_what_does_no_harm_may_be_asked_twice_within_a_second(guarded):
    """botocore gives both the same signature."""
    alice = client(guarded, "AKIDALICE", SECRET)
    arn = alice.create_environment_template(name="tagged")["environmentTemplate"]["arn"]
    for _ in range(5):
        alice.tag_resource(resourceArn=arn, tags=[{"key": "team", "value": "shop"}])


@pytest.mark.parametrize(("secret", "ends"), [(SECRET, 0), ("wrong", 255)])
def test_the_aws_cli_signs_for_its_account(guarded, tmp_path, secret, ends):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    key = {"AWS_ACCESS_KEY_ID": "AKIDALICE", "AWS_SECRET_ACCESS_KEY": secret, "AWS_CONFIG_FILE": str(tmp_path / "none")}
    called = subprocess.run(
        [sys.executable, "-m", "awscli", "proton", "get-account-settings", "--region", "us-east-1"]
        + ["--endpoint-url", guarded.aws_json],
        env={**inherited, **key},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert called.returncode == ends, called.stderr
    assert ends == 0 or "InvalidSignatureException" in called.stderr


def test_grpcurl_is_let_in_with_a_token_of_the_issuer_only(guarded, issuer):
    assert called_with(guarded, issuer.token()).returncode == 0
    assert called_with(guarded, issuer.token(sub="mallory")).returncode == PERMISSION_DENIED
    for token in (None, issuer.token(exp=1), issuer.token(aud="photon"), Issuer().token()):
        assert called_with(guarded, token).returncode == UNAUTHENTICATED


def test_the_contract_is_shown_to_callers_only(guarded, issuer):
    bearer = f"authorization: Bearer {issuer.token()}"
    assert "proton.v1.ProtonService" in grpcurl("current", "-H", bearer, guarded.grpc, "list").stdout
    assert grpcurl("current", guarded.grpc, "list").returncode != 0


def called_with(server, token):
    """A call that needs no reflection."""
    header = [] if token is None else ["-H", f"authorization: Bearer {token}"]
    contract = ["-import-path", PROTO, "-proto", "proton/v1/proton_service.proto"]
    return grpcurl("current", *header, *contract, server.grpc, "proton.v1.ProtonService/GetAccountSettings")


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority")


@pytest.fixture
def certified(start, tmp_path, authority):
    """A server that takes certificates for identities."""
    callers = tmp_path / "callers.toml"
    callers.write_text('[[caller]]\nspiffe = "spiffe://prod.example/shop/*"\naccount = "222222222222"\n')
    certificate, key = authority.issue("server")
    return start(
        flags=[
            f"--callers={callers}",
            "--trust-domain=prod.example",
            f"--tls-cert={certificate}",
            f"--tls-key={key}",
            f"--tls-client-ca={authority.ca}",
        ]
    )


WEB = "spiffe://prod.example/shop/web"
CERTIFIED = [
    ([WEB], 0, None),
    (["spiffe://prod.example/bank"], PERMISSION_DENIED, "AccessDeniedException"),
    (["spiffe://test.example/shop/web"], UNAUTHENTICATED, "UnrecognizedClientException"),
    ([], UNAUTHENTICATED, "IncompleteSignature"),
    ([WEB, "spiffe://prod.example/shop/api"], UNAUTHENTICATED, "IncompleteSignature"),
]


@pytest.mark.parametrize(("uris", "ends", "name"), CERTIFIED)
def test_a_certificate_with_one_id_of_the_trust_domain_is_an_identity(certified, authority, uris, ends, name):
    certificate, key = map(str, authority.issue("client", *uris))
    grpc, aws_json = (address.replace("127.0.0.1", "localhost") for address in (certified.grpc, certified.aws_json))

    tls = ["-cacert", str(authority.ca), "-cert", certificate, "-key", key]
    contract = ["-import-path", PROTO, "-proto", "proton/v1/proton_service.proto"]
    command = [TOOLS / "bin" / VERSIONS["current"], *tls, *contract, grpc, "proton.v1.ProtonService/GetAccountSettings"]
    called = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert called.returncode == ends, called.stderr

    shown = Config(client_cert=(certificate, key), signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    address = aws_json.replace("http:", "https:")
    asks = boto3.client("proton", endpoint_url=address, region_name="us-east-1", verify=str(authority.ca), config=shown)
    if name is None:
        created = asks.create_environment_template(name="web")["environmentTemplate"]
        assert created["arn"] == "arn:aws:proton:us-east-1:222222222222:environment-template/web"
    else:
        assert refused(asks) == (name, 400)


def test_a_changed_file_of_callers_is_taken_up(guarded, tmp_path):
    carol = client(guarded, "AKIDCAROL", "secret")
    assert refused(carol)[0] == "UnrecognizedClientException"
    entry = '[[caller]]\naccess-key = { id = "AKIDCAROL", secret = "secret" }\naccount = "333333333333"\n'
    (tmp_path / "callers.toml").write_text(CALLERS + entry)
    deadline = time.monotonic() + RELOAD_SECONDS
    while True:
        try:
            carol.get_account_settings()
            break
        except ClientError:
            assert time.monotonic() < deadline
    (tmp_path / "callers.toml").write_text("[[caller]]")
    carol.get_account_settings()


def test_no_secret_and_no_token_reaches_the_log(guarded, issuer):
    token = issuer.token()
    alice = client(guarded, "AKIDALICE", SECRET)
    signed = []
    alice.meta.events.register("before-send", lambda request, **_: signed.append(request.headers["Authorization"]))
    alice.get_account_settings()
    refused(client(guarded, "AKIDALICE", "wrong"))
    assert called_with(guarded, token).returncode == 0
    log = guarded.log.read_text()
    assert "TRACE" in log
    signature = signed[0].decode() if isinstance(signed[0], bytes) else signed[0]
    for secret in (SECRET, "canary-secret", token, token.rsplit(".", 1)[1], signature.rsplit("=", 1)[1]):
        assert secret not in log
