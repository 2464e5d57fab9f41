"""HTTP/2 on the wire, byte by byte: also what no client would ever send."""

from collections.abc import Iterable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE = 0x1, 0x4


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(SETTINGS, payload=b"".join(name.to_bytes(2) + value.to_bytes(4) for name, value in pairs))


def window_update(stream: int, more: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, more.to_bytes(4))


def reset(stream: int, code: int = 0x8) -> bytes:
    return frame(RESET, 0, stream, code.to_bytes(4))


def headers(stream: int, block: bytes, flags: int = END_HEADERS) -> bytes:
    return frame(HEADERS, flags, stream, block)


def integer(value: int, bits: int, first: int) -> bytes:
    """An integer as HPACK has it, in a byte whose upper bits are taken and what follows it."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((first | value,))
    told, value = bytearray((first | most,)), value - most
    while value >= 0x80:
        told.append(value & 0x7F | 0x80)
        value >>= 7
    told.append(value)
    return bytes(told)


def text(value: bytes) -> bytes:
    return integer(len(value), 7, 0) + value


def literal(name: bytes | int, value: bytes, kept: bool = False) -> bytes:
    """A header, by its name or the name's place in the table; `kept` puts it into the table."""
    bits, first = (6, 0x40) if kept else (4, 0)
    named = integer(name, bits, first) if isinstance(name, int) else bytes((first,)) + text(name)
    return named + text(value)


def indexed(place: int) -> bytes:
    return integer(place, 7, 0x80)


AUTHORITY, POST, PATH, HTTP, CONTENT_TYPE, CONTENT_LENGTH = 1, 3, 4, 6, 31, 28
# Where the last header that was kept stands.
NEWEST = 62


def request(path: bytes, content_type: bytes, more: Iterable[tuple[bytes | int, bytes]] = (), kept: bool = False) -> bytes:
    """The headers of a call. Once they were kept, `again` is the same in fewer bytes."""
    fields = [(PATH, path), (AUTHORITY, b"localhost"), (CONTENT_TYPE, content_type), (b"te", b"trailers"), *more]
    return indexed(POST) + indexed(HTTP) + b"".join(literal(name, value, kept) for name, value in fields)


def again(fields: int) -> bytes:
    """A call whose headers were kept by the first one."""
    return indexed(POST) + indexed(HTTP) + b"".join(indexed(NEWEST + fields - 1 - nth) for nth in range(fields))


def message(payload: bytes = b"") -> bytes:
    """A gRPC message with its prefix."""
    return b"\0" + len(payload).to_bytes(4) + payload
