"""Callers in roles of their own, which moto's STS gives credentials for."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import grpc
import pytest
from moto.server import ThreadedMotoServer

ACCOUNT = "111111111111"
CALLERS = "".join(
    f"""
[[caller]]
proxied = "{name}@example.com"
account = "{ACCOUNT}"
role = "arn:aws:iam::{ACCOUNT}:role/{name}"
"""
    for name in ("alice", "bob")
)


@pytest.fixture
def sts():
    moto = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    moto.start()
    yield "http://{}:{}".format(*moto.get_host_and_port())
    moto.stop()


class Proton(BaseHTTPRequestHandler):
    """Has no services, and knows who asks."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        key = self.headers["authorization"].split("Credential=")[1].split("/")[0]
        self.server.asked.append((key, self.headers.get("x-amz-security-token")))
        body = json.dumps({"services": []}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def proton():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proton)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def channel(start, sts, proton, tmp_path):
    callers = tmp_path / "callers.toml"
    callers.write_text(CALLERS)
    environment = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL_STS": sts}
    upstream = "--upstream=http://127.0.0.1:{}".format(proton.server_address[1])
    flags = [upstream, f"--callers={callers}", "--trusted-proxy=loopback", "--identity-header=x-caller"]
    return start(environment=environment, flags=flags, fronts=1).channel


def list_services(channel, caller):
    call = channel.unary_unary("/proton.v1.ProtonService/ListServices")
    return call(b"", metadata=[("x-caller", caller)], timeout=30)


def who(sts, key, token):
    """Whom STS gave these credentials for."""
    client = boto3.client(
        "sts",
        endpoint_url=sts,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key="moto does not look",
        aws_session_token=token,
    )
    return client.get_caller_identity()["Arn"]


def test_each_caller_acts_in_its_role(channel, sts, proton):
    for name in ("alice", "bob", "alice"):
        list_services(channel, f"{name}@example.com")
        arn = who(sts, *proton.asked[-1])
        assert arn.startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{name}@example.com-"), arn
    assert len(proton.asked) == 3
    assert proton.asked[0] == proton.asked[2]


def test_nobody_without_an_entry_acts_at_all(channel, proton):
    with pytest.raises(grpc.RpcError) as refused:
        list_services(channel, "carol@example.com")
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert proton.asked == []
