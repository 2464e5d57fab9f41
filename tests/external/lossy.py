"""A network that loses replies: what is asked arrives and is executed, and the connection breaks before the answer is back.

It stands between an HTTP/2 client, which makes one call at a time on a connection, and a server.
"""

import asyncio
import contextlib
import random
import struct
import threading

HEADERS, END_STREAM = 0x1, 0x1


class Lossy:
    """Runs as long as the `with` block, and loses this share of replies."""

    def __init__(self, server: str, share: float, seed: int):
        self.server, self.share, self.rng = server.rsplit(":", 1), share, random.Random(seed)
        self.replies = self.lost = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "Lossy":
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._connected, "127.0.0.1", 0), self._loop)
        (socket,) = starting.result().sockets
        self.address = f"127.0.0.1:{socket.getsockname()[1]}"
        return self

    def __exit__(self, *_) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _connected(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection(*self.server)
        ways = [asyncio.create_task(pass_on(client, to_server)), asyncio.create_task(self._answer(server, to_client))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            to_client.transport.abort()
            to_server.transport.abort()

    async def _answer(self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Passes on what the server says frame by frame, up to the reply that is lost."""
        begun = None
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await server.readexactly(9)
                length, kind, flags, stream = struct.unpack(">I", b"\0" + head[:3])[0], head[3], head[4], head[5:]
                frame = head + await server.readexactly(length)
                if kind == HEADERS and stream != begun:
                    begun = stream
                    self.replies += 1
                    lost = self.rng.random() < self.share
                    self.lost += lost
                if begun and lost:
                    # Nothing more is heard, but the whole reply was said.
                    if stream == begun and flags & END_STREAM:
                        return
                    continue
                to_client.write(frame)
                await to_client.drain()


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while said := await reader.read(1 << 16):
            writer.write(said)
            await writer.drain()
