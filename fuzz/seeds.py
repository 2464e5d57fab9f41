"""Writes what the fuzz targets begin with below a directory, from what the repository has: examples, fixtures, the model.

    target/tools/python/bin/python fuzz/seeds.py target/fuzz
"""

import base64
import gzip
import hashlib
import hmac
import io
import json
import re
import sys
import tarfile
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "external"))

import certificates  # noqa: E402
import contract  # noqa: E402
import model  # noqa: E402
import small  # noqa: E402

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NAMES = re.findall(r"^ {12}(\w+) \w+$", (ROOT / "tests/suite/every_operation.rs").read_text(), re.M)
FIXTURES = ROOT / "src/control_plane/provision/local/template/fixtures"


def requests():
    """The index of every operation, with its smallest request, its fullest, and those that break one limit."""
    for index, name in enumerate(NAMES):
        shape = model.shape_of_input(name)
        yield from ((index, name, request) for request in (model.minimal(shape), model.full(shape)))
        yield from ((index, name, case.request) for case in model.violations(name))


def aws_json():
    for index, _, request in requests():
        yield bytes([index]) + json.dumps(request).encode()


def grpc_request():
    for index, name, request in requests():
        yield bytes([index]) + contract.request(name, request).SerializeToString()


def policy():
    yield from grpc_request()


def archive():
    for kind in small.BUNDLES:
        for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
            yield from both_ways(tar(form, small.BUNDLES[kind]))
    odd = {"a/" + "long" * 60: "text", "schema.yaml": ""}
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        yield from both_ways(tar(form, odd))
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE):
        yield from both_ways(tar(tarfile.GNU_FORMAT, {"a": ""}, kind))


def tar(form: int, files: dict[str, str], kind: bytes = tarfile.REGTYPE) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form) as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(path)
            entry.type, entry.size, entry.linkname = kind, len(text), "b" if kind in (b"1", b"2") else ""
            archive.addfile(entry, io.BytesIO(text.encode()))
    # The two empty blocks at the end are enough.
    return packed.getvalue().rstrip(b"\0") + bytes(1536)


def both_ways(packed: bytes):
    yield b"\1" + packed
    yield b"\0" + gzip.compress(packed, mtime=0)


def files(*patterns: str):
    for pattern in patterns:
        yield from (file.read_bytes() for file in sorted(ROOT.glob(pattern)))


def manifest():
    yield from files("examples/**/manifest.yaml", "tests/corpus/**/manifest.yaml")


def schema():
    yield from files("examples/**/schema.yaml", "tests/corpus/**/schema.yaml")
    yield small.SCHEMA.encode()


def spec():
    for bundle in sorted({file.parents[1] for file in ROOT.glob("[et]*/**/spec/spec.yaml")}):
        text = (bundle / "schema/schema.yaml").read_bytes(), (bundle / "spec/spec.yaml").read_bytes()
        yield b"\n...\n".join(text)
        yield b"\n...\n".join((text[0], re.sub(rb'(?<=: )("[^"]*"|\d+)', b"hunter2", text[1])))
        yield text[1]
    inputs = ["a: 1.50", "a: hunter2", "a: [1, {b: null}]", "a: 'yes'", "a: 1e16", 'a: "\\u2028"', "a: |\n    x\n     y"]
    for text in inputs:
        yield (small.SCHEMA + "\n...\nproton: EnvironmentSpec\nspec:\n  " + text + "\n").encode()


def template():
    yield from files("examples/**/cloudformation.yaml", "tests/corpus/**/cloudformation.yaml")
    cases = json.loads((ROOT / "tests/fixtures/render/jinja2.json").read_text())["cases"]
    yield from (case["template"].encode() for case in cases)


def cloudformation():
    yield from (file.read_bytes() for file in sorted(FIXTURES.iterdir()) if file.suffix != ".outputs")
    yield small.TEMPLATE.encode()
    yield from files("src/control_plane/render/**/*.snap")


def page_token():
    request = contract.request("ListEnvironmentTemplateVersions", {"templateName": "web"}).SerializeToString()
    within = b"111111111111/us-east-1\0ListEnvironmentTemplateVersions\0" + request
    for position in (b"", b"a", b"\xc3\xa9", b"0000000001/0000000002"):
        yield position
        yield base64.b64encode(hashlib.sha256(within + b"\0" + position).digest()[:9] + position)


def sigv4_header():
    stamp, body = "20150830T123600Z", b"{}"
    headers = {"host": "localhost", "x-amz-date": stamp, "x-amz-target": "AwsProton20200720.GetAccountSettings"}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{stamp[:8]}/us-east-1/proton/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    signed = f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={names}, Signature={signature}"
    yield f"{lines}authorization: {signed}\n\n".encode() + body
    yield f"{lines}authorization: {signed.replace('0', '1')}\nx-amz-security-token: t\n\n".encode() + body


def caller():
    claims = {"iss": "https://issuer.example", "aud": "proton", "sub": "ci", "exp": 1440941760}
    parts = [json.dumps(part).encode() for part in ({"alg": "ES256", "kid": "k", "typ": "JWT"}, claims)]
    parts = [base64.urlsafe_b64encode(part).rstrip(b"=") for part in [*parts, bytes(64)]]
    yield b"authorization: Bearer " + b".".join(parts)
    forwarded = b'By=spiffe://td/edge;Hash=0;Subject="CN=a,O=\\"b\\"";URI=spiffe://td/ns/web'
    yield b"x-forwarded-client-cert: " + forwarded
    yield b"x-forwarded-client-cert: URI=spiffe://td/a," + forwarded
    with tempfile.TemporaryDirectory() as directory:
        authority = certificates.Authority(Path(directory) / "authority")
        pem, _ = authority.issue("web", "spiffe://td/ns/web")
        lines = [line for line in pem.read_text().splitlines() if "-----" not in line]
        yield b"\n\n" + base64.b64decode("".join(lines))


TARGETS = [archive, aws_json, caller, cloudformation, grpc_request, manifest, page_token, policy, schema, sigv4_header, spec, template]


def main() -> None:
    contract.generate_stubs()
    for target in TARGETS:
        directory = Path(sys.argv[1]) / target.__name__
        directory.mkdir(parents=True, exist_ok=True)
        seeds = {hashlib.sha1(seed).hexdigest(): seed for seed in target()}
        for name, seed in seeds.items():
            (directory / name).write_bytes(seed)
        print(f"{target.__name__:<16} {len(seeds):>5} seeds")


main()
