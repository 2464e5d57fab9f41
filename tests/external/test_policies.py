"""Callers that may do some things and not others: boto3 by access key, grpcurl as the local caller, and the command that tells why."""

import json
import subprocess
import time
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from grpcurl import STATUS_EXIT, grpcurl
from server import BINARY

EXAMPLES = Path(__file__).parents[2] / "examples" / "policies"
PERMISSION_DENIED = STATUS_EXIT + 7
BAD_SETTINGS = 64
RELOAD_SECONDS = 20

CALLERS = """
[[caller]]
access-key = { id = "AKIDALICE", secret = "of alice" }
account = "111111111111"

[[caller]]
access-key = { id = "AKIDBOB", secret = "of bob" }
account = "111111111111"
"""
READERS = '@id("reads") permit (principal, action in Proton::Action::"ReadOnly", resource);\n'
ALICE = '@id("alice") permit (principal == Proton::Caller::"access-key:AKIDALICE", action, resource);\n'
WEB = "arn:aws:proton:us-east-1:111111111111:environment-template/web"


def client(server, key_id, secret):
    return boto3.client(
        "proton",
        endpoint_url=server.aws_json,
        region_name="us-east-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


def check(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run([BINARY, "policy", "check", *arguments], capture_output=True, text=True, timeout=60)


def until(holds) -> None:
    deadline = time.monotonic() + RELOAD_SECONDS
    while not holds():
        assert time.monotonic() < deadline


def test_boto3_may_do_what_its_policies_say_as_they_change(start, tmp_path):
    policies, callers = tmp_path / "policies", tmp_path / "callers.toml"
    policies.mkdir()
    (policies / "all.cedar").write_text(READERS + ALICE)
    callers.write_text(CALLERS)
    callers.chmod(0o600)
    server = start(flags=[f"--policies={policies}", f"--callers={callers}"])
    alice, bob = client(server, "AKIDALICE", "of alice"), client(server, "AKIDBOB", "of bob")

    alice.create_environment_template(name="web")
    assert bob.get_environment_template(name="web")["environmentTemplate"]["arn"] == WEB
    with pytest.raises(ClientError) as refused:
        bob.delete_environment_template(name="web")
    error = refused.value.response["Error"]
    assert error["Code"] == "AccessDeniedException"
    assert error["Message"] == (
        "User: access-key:AKIDBOB is not authorized to perform: "
        f"proton:DeleteEnvironmentTemplate on resource: {WEB}"
    )

    def may_list(caller) -> bool:
        try:
            caller.list_environment_templates()
            return True
        except ClientError:
            return False

    (policies / "all.cedar").write_text(ALICE)
    until(lambda: not may_list(bob))
    assert may_list(alice)
    (policies / "all.cedar").write_text(ALICE.replace("principal ==", "principle =="))
    until(lambda: "the policies stay as they were" in server.log.read_text())
    assert may_list(alice)
    (policies / "all.cedar").write_text(READERS)
    until(lambda: may_list(bob))


def test_grpcurl_is_told_what_the_local_caller_may_not_do(start, tmp_path):
    (tmp_path / "readers.cedar").write_text(READERS)
    server = start(flags=[f"--policies={tmp_path / 'readers.cedar'}"])
    listed = grpcurl("current", server.grpc, "proton.v1.ProtonService/ListEnvironments")
    assert listed.returncode == 0, listed.stderr
    request = json.dumps({"name": "prod"})
    refused = grpcurl("current", "-d", request, server.grpc, "proton.v1.ProtonService/DeleteEnvironment")
    assert refused.returncode == PERMISSION_DENIED
    prod = "arn:aws:proton:us-east-1:000000000000:environment/prod"
    assert f"local may not perform proton:DeleteEnvironment on {prod}" in refused.stderr
    assert "ACCESS_DENIED" in refused.stderr


@pytest.mark.parametrize(
    ("policy", "upstream", "said"),
    [
        (READERS.replace("ReadOnly", "ReadsOnly"), "embedded", "team.cedar:1: "),
        ("", "embedded", "no file there ends in .cedar"),
        (
            'permit (principal, action, resource) when { resource.hasTag("a") };',
            "http://127.0.0.1:1",
            "only --upstream embedded can tell",
        ),
    ],
)
def test_wrong_policies_end_the_start_with_one_line(tmp_path, policy, upstream, said):
    policies = tmp_path / "policies"
    policies.mkdir()
    if policy:
        (policies / "team.cedar").write_text(policy)
    settings = [f"--policies={policies}", f"--upstream={upstream}", "--listen=127.0.0.1:0", "--aws-json=off"]
    command = [BINARY, "serve", f"--data-dir={tmp_path / 'data'}", *settings]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == BAD_SETTINGS, ended.stderr
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_the_check_names_the_policies_that_decide(tmp_path):
    examples = f"--policies={EXAMPLES}"
    assert check(examples).stdout == "policies in order: 6\n"
    deploy = ["UpdateService", "arn:aws:proton:us-east-1:111111111111:service/shop-web"]
    shop = check(examples, "spiffe://prod.example/ns/shop/ci", *deploy)
    assert (shop.returncode, shop.stdout.splitlines()[1:]) == (0, ["  by shop-deploys-its-own"])
    blog = check(examples, "spiffe://prod.example/ns/blog/ci", *deploy)
    assert (blog.returncode, blog.stdout.splitlines()[1:]) == (1, ["  no policy permits it"])
    tagged = check(examples, "spiffe://prod.example/ns/shop/ci", *deploy, "--tag=stage=production", "--json")
    answer = json.loads(tagged.stdout)
    assert (tagged.returncode, answer["decision"]) == (1, "DENY")
    assert answer["policies"] == ["production-is-the-platforms"]
    person = ["jwt:https://issuer.example#ann", "--claim=groups=shop", "--claim=groups=platform"]
    assert check(examples, *person, *deploy, "--tag=stage=production").returncode == 0


def test_the_check_places_callers_as_their_file_does(tmp_path):
    (tmp_path / "callers.toml").write_text(CALLERS + '[[caller]]\nsubject = "ci:*"\naccount = "222222222222"\n')
    (tmp_path / "callers.toml").chmod(0o600)
    (tmp_path / "own.cedar").write_text(
        "permit (principal, action, resource) when { resource in Proton::Account::\"111111111111\" && "
        'principal.account == "111111111111" };'
    )
    files = [f"--policies={tmp_path / 'own.cedar'}", f"--callers={tmp_path / 'callers.toml'}"]
    asked = ["GetEnvironmentTemplate", WEB]
    assert check(*files, "access-key:AKIDALICE", *asked).returncode == 0
    assert check(*files, "jwt:https://issuer.example#ci:1", *asked).returncode == 1
    nowhere = check(*files, "access-key:AKIDEVE", *asked)
    assert (nowhere.returncode, nowhere.stdout.splitlines()[1:]) == (1, ["  the caller has no account"])


@pytest.mark.parametrize(
    "question",
    [
        ["alice", "GetEnvironment", "*"],
        ["local", "GetEnvironments", "*"],
        ["local", "GetEnvironment"],
        ["local", "GetEnvironment", "environment/prod"],
        ["local", "GetEnvironment", WEB],
    ],
)
def test_a_wrong_question_is_told_apart_from_a_no(question):
    asked = check(f"--policies={EXAMPLES}", *question)
    assert asked.returncode == BAD_SETTINGS, asked.stdout
    assert asked.stderr
