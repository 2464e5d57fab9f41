"""A proxy between the facade and the endpoint that does to requests and answers what networks and endpoints do on bad days."""

import contextlib
import email.utils
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

MIB = 1 << 20


class Exchange:
    """A request that has connected, and what may become of it."""

    def __init__(self, proxy: "FaultProxy", client: socket.socket):
        self.proxy, self.client = proxy, client

    def read(self) -> bytes:
        """The whole request."""
        read = self.client.makefile("rb")
        head = b"".join(iter(read.readline, b"\r\n")) + b"\r\n"
        fields = (line.split(":", 1) for line in head.decode().split("\r\n")[1:] if line)
        self.headers = {name.lower(): value.strip() for name, value in fields}
        self.operation = self.headers["x-amz-target"].rpartition(".")[2]
        with self.proxy.counting:
            self.proxy.asked[self.operation] += 1
        return head + read.read(int(self.headers.get("content-length", 0)))

    def forward(self) -> bytes:
        """Has the request executed; returns the answer."""
        request = self.read().replace(b"\r\n", b"\r\nconnection: close\r\n", 1)
        with socket.create_connection(self.proxy.upstream, timeout=10) as upstream:
            upstream.sendall(request)
            answer = b"".join(iter(lambda: upstream.recv(1 << 16), b""))
        with self.proxy.counting:
            self.proxy.executed[self.operation] += 1
        return answer

    def answer(self, status: int, body: bytes, *headers: str) -> None:
        self.begin(status, f"content-length: {len(body)}", *headers)
        self.client.sendall(body)

    def refuse(self, status: int, code: str, *headers: str) -> None:
        self.answer(status, json.dumps({"__type": code, "message": "as the test wants"}).encode(), *headers)

    def begin(self, status: int, *headers: str) -> None:
        lines = [f"HTTP/1.1 {status} whatever", "content-type: application/x-amz-json-1.0", "connection: close", *headers]
        self.client.sendall("\r\n".join([*lines, "", ""]).encode())

    def reset(self) -> None:
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def stay(self) -> None:
        """Says nothing more until the caller has gone."""
        self.client.settimeout(30)
        self.client.recv(1)


Fault = Callable[[Exchange], None]


def passes(exchange: Exchange) -> None:
    exchange.client.sendall(exchange.forward())


def throttles(exchange: Exchange) -> None:
    exchange.read()
    exchange.refuse(400, "ThrottlingException", "x-amz-retry-after: 250")


def fails(exchange: Exchange) -> None:
    exchange.read()
    exchange.refuse(500, "InternalServerException")


def fails_when_done(exchange: Exchange) -> None:
    exchange.forward()
    exchange.refuse(500, "InternalServerException")


def is_unavailable(exchange: Exchange) -> None:
    exchange.read()
    exchange.answer(503, b"<html>come again</html>")


def is_unavailable_when_done(exchange: Exchange) -> None:
    exchange.forward()
    exchange.answer(503, b"<html>come again</html>")


def resets_before_the_request(exchange: Exchange) -> None:
    exchange.reset()


def resets_after_the_request(exchange: Exchange) -> None:
    exchange.read()
    exchange.reset()


def resets_when_done(exchange: Exchange) -> None:
    exchange.forward()
    exchange.reset()


def truncates(exchange: Exchange) -> None:
    exchange.client.sendall(exchange.forward()[:-5])


def garbles(exchange: Exchange) -> None:
    exchange.forward()
    exchange.answer(200, b"<html>all is well</html>")


def answers_another_question(exchange: Exchange) -> None:
    """JSON, and of other types than the members have."""
    exchange.forward()
    exchange.answer(200, json.dumps(dict.fromkeys(MEMBERS, 1)).encode())


def drips(exchange: Exchange) -> None:
    for byte in exchange.forward():
        exchange.client.sendall(bytes((byte,)))
        time.sleep(0.05)


def hangs(exchange: Exchange) -> None:
    exchange.forward()
    exchange.stay()


def hangs_in_the_body(exchange: Exchange) -> None:
    exchange.client.sendall(exchange.forward()[:-5])
    exchange.stay()


def swells(exchange: Exchange) -> None:
    """Announces no length and does not end."""
    exchange.forward()
    exchange.begin(200, "transfer-encoding: chunked")
    for _ in range(1024):
        exchange.client.sendall(b"100000\r\n" + bytes(MIB) + b"\r\n")


def announces_a_gibibyte(exchange: Exchange) -> None:
    exchange.forward()
    exchange.begin(200, f"content-length: {1024 * MIB}")
    exchange.stay()


def has_another_time(exchange: Exchange) -> None:
    """An endpoint whose clock is an hour ahead, and which takes no request that is signed at another time."""
    ahead = time.time() + 3600
    request = exchange.read()
    signed = time.mktime(time.strptime(exchange.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")) - time.timezone
    if abs(signed - ahead) > 300:
        exchange.refuse(403, "RequestTimeTooSkewed", f"date: {email.utils.formatdate(ahead, usegmt=True)}")
    else:
        exchange.read = lambda: request
        passes(exchange)


# What answers to the calls of the tests hold.
MEMBERS = ("environmentTemplate", "environmentTemplateVersion")


class FaultProxy:
    """Listens on loopback and hands what comes to the endpoint, until it is told to have a fault."""

    def __init__(self, endpoint: str):
        host, port = endpoint.removeprefix("http://").split(":")
        self.upstream = host, int(port)
        # How often each operation was asked for, and how often the endpoint was asked for it.
        self.asked: Counter[str] = Counter()
        self.executed: Counter[str] = Counter()
        self.counting = threading.Lock()
        self.fault, self.times = passes, 0

    def __enter__(self) -> "FaultProxy":
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://{}:{}".format(*self.listener.getsockname())
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        # Wakes the thread that accepts, which closing alone does not.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    @contextlib.contextmanager
    def having(self, fault: Fault, times: int = 1000) -> Iterator[None]:
        """So many connections meet the fault; the next ones pass."""
        self.fault, self.times = fault, times
        try:
            yield
        finally:
            self.times = 0

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                fault = self.fault if self.times > 0 else passes
                self.times -= 1
                threading.Thread(target=self._serve, args=(client, fault), daemon=True).start()

    def _serve(self, client: socket.socket, fault: Fault) -> None:
        # The caller may have gone.
        with contextlib.suppress(OSError), client:
            fault(Exchange(self, client))
