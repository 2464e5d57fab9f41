"""A proton-grpc process for a test, and bundles for it to register."""

import io
import os
import queue
import re
import subprocess
import tarfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import boto3
import grpc
from botocore.config import Config

from ids import Ids

BINARY = Path(os.environ.get("PROTON_GRPC_BIN", Path(__file__).parents[2] / "target" / "debug" / "proton-grpc"))
READY = re.compile(r"^(grpc|aws-json|metrics) listening on (127\.0\.0\.1:\d+|unix:.+?)\s*$")
START_SECONDS = 30

ENVIRONMENT_BUNDLE = {
    "schema/schema.yaml": """\
schema:
  format:
    openapi: "3.0.0"
  environment_input_type: "EnvironmentInput"
  types:
    EnvironmentInput:
      type: object
      properties:
        cidr:
          type: string
          default: 10.0.0.0/16
""",
    "infrastructure/manifest.yaml": """\
infrastructure:
  templates:
    - file: "cloudformation.yaml"
      rendering_engine: jinja
      template_language: cloudformation
""",
    "infrastructure/cloudformation.yaml": """\
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties:
      DisplayName: "{{ environment.inputs.cidr }}"
Outputs:
  Name:
    Value: "{{ environment.inputs.cidr }}"
""",
}

SERVICE_BUNDLE = {
    "schema/schema.yaml": """\
schema:
  format:
    openapi: "3.0.0"
  service_input_type: "ServiceInput"
  pipeline_input_type: "PipelineInput"
  types:
    ServiceInput:
      type: object
      properties:
        port:
          type: number
          default: 80
    PipelineInput:
      type: object
      properties:
        branch:
          type: string
          default: main
""",
    **{
        f"{part}_infrastructure/{file.removeprefix('infrastructure/')}": text.replace("environment.inputs.cidr", "service.name")
        for part in ("instance", "pipeline")
        for file, text in ENVIRONMENT_BUNDLE.items()
        if file.startswith("infrastructure/")
    },
}


def packed(bundle: dict[str, str]) -> bytes:
    """A bundle as the gzipped tar archive that Proton reads."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, text in bundle.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return archive.getvalue()


def put_bundle(bundles: Path, bucket: str, key: str, bundle: dict[str, str]) -> None:
    """Puts a bundle where the directory store looks for bucket and key."""
    file = bundles / bucket / key
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(packed(bundle))


class Server:
    """A server on free loopback ports with a data directory of its own, killed at the end of the `with` block. Another one
    on the same directory goes on from there."""

    def __init__(
        self,
        directory: Path,
        bundles: str | None = None,
        environment: dict[str, str] | None = None,
        flags: Sequence[str] = (),
    ):
        self.directory = directory
        self.listeners = 3 if any(flag.startswith("--metrics") for flag in flags) else 2
        self.ids = Ids()
        self.bundles = directory / "bundles"
        self.bundles.mkdir(parents=True, exist_ok=True)
        arguments = ["--listen", "127.0.0.1:0", "--aws-json", "127.0.0.1:0", "--data-dir", str(directory / "data")]
        arguments += ["--bundles", bundles or f"dir:{self.bundles}", *flags]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PROTON_GRPC_"))}
        self.log = directory / "log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "serve", *arguments],
                env={**inherited, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        """Reads standard output to its end, so that the server never waits for a full pipe."""
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def __enter__(self) -> "Server":
        try:
            ready: dict[str, str] = {}
            deadline = time.monotonic() + START_SECONDS
            while len(ready) < self.listeners:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
                if line is None:
                    raise RuntimeError(f"server ended with {self.process.wait()}: {self.log.read_text()}")
                if match := READY.match(line):
                    ready[match[1]] = match[2]
        except BaseException:
            self.kill()
            raise
        self.grpc, self.aws_json = ready["grpc"], f"http://{ready['aws-json']}"
        self.metrics = f"http://{ready['metrics']}" if "metrics" in ready else None
        self.channel = grpc.insecure_channel(self.grpc)
        return self

    def __exit__(self, *_) -> None:
        self.close()
        self.kill()

    def close(self) -> None:
        """Lets go of the connections to the server, if it ever was ready."""
        if hasattr(self, "channel"):
            self.channel.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def put_bundle(self, bucket: str, key: str, bundle: dict[str, str]) -> None:
        put_bundle(self.bundles, bucket, key, bundle)

    def boto3(self):
        """A Proton client that leaves every check to the server and asks once."""
        return aws_client(
            "proton", self.aws_json, Config(parameter_validation=False, retries={"total_max_attempts": 1})
        )


def aws_client(service: str, endpoint: str, config: Config | None = None):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=config,
    )
