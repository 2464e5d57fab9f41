"""A PostgreSQL server of one's own, which can be stopped as an operator would or as a power loss does."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

# What is wanted of the disk is order, not speed, so fsync stays on.
SETTINGS = """\
listen_addresses = ''
shared_buffers = 32MB
max_connections = 200
log_min_messages = fatal
"""


class Postgres:
    """Runs until `stop`. PostgreSQL does not run as root, who starts it as nobody."""

    def __init__(self) -> None:
        self.programs = programs()
        self.directory = Path(tempfile.mkdtemp(prefix="proton-grpc-postgres-"))
        self.data = self.directory / "data"
        if os.geteuid() == 0:
            shutil.chown(self.directory, "nobody", "nogroup")
        options = ["--no-sync", "--auth=trust", "--username=proton", "--encoding=UTF8", "--locale=C"]
        self._run("initdb", *options, "-D", str(self.data))
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write(f"{SETTINGS}unix_socket_directories = '{self.directory}'\n")
        self._control("start")
        self.url = f"postgres://proton@{quote(str(self.directory), safe='')}/postgres"

    def restart(self, mode: str) -> None:
        """Ends all connections, rolling back (`fast`) or in the middle of things, to recover from the log (`immediate`)."""
        self._control("restart", "-m", mode)

    def execute(self, statement: str) -> None:
        arguments = ["--no-psqlrc", "--quiet", "-h", str(self.directory), "-U", "proton", "-c", statement, "postgres"]
        self._run("psql", *arguments)

    def stop(self) -> None:
        self._control("stop", "-m", "immediate")
        shutil.rmtree(self.directory)

    def _control(self, *what: str) -> None:
        self._run("pg_ctl", "-D", str(self.data), "-w", "-l", str(self.data / "log"), *what)

    def _run(self, program: str, *arguments: str) -> None:
        user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"] if os.geteuid() == 0 else []
        # What pg_ctl starts keeps its output open, so nobody may wait for the end of that.
        with tempfile.TemporaryFile() as said:
            ended = subprocess.run(
                [*user, str(self.programs / program), *arguments],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
            said.seek(0)
            assert ended.returncode == 0, f"{program} {arguments}: {said.read().decode()}"


def programs() -> Path:
    """The directory with the server's programs."""
    tools = os.environ.get("PROTON_GRPC_TOOLS")
    known = [Path(tools) / "bin"] if tools else []
    known += map(Path, os.environ.get("PATH", "").split(os.pathsep))
    known += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for directory in known:
        # Beside the program itself, not beside a link to it, are the others that it needs.
        found = (directory / "initdb").resolve().parent
        if all((found / program).exists() for program in ("initdb", "pg_ctl", "psql")):
            return found
    raise RuntimeError("PostgreSQL's programs (initdb, pg_ctl, psql) are missing: run scripts/tools")
