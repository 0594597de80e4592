"""TLS in front of a server on loopback, as a terminator in front of the Hub gives it."""

import asyncio
import contextlib
import ssl
import tempfile
import threading
from pathlib import Path

from distributed.security import Security


@contextlib.contextmanager
def terminated(port, front):
    """Pass what comes by TLS to port `front` on to `port`, both of loopback, until the end."""
    begun = threading.Event()
    end = []  # how to end it, once it runs

    async def work():
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(serve, "127.0.0.1", front, ssl=context)
        end.append(lambda: loop.call_soon_threadsafe(over.set))
        begun.set()
        await over.wait()
        server.close()

    async def serve(reader, writer):
        try:
            far = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, far[1]), pump(far[0], writer))

    async def pump(reader, writer):
        with contextlib.suppress(OSError):  # a browser leaves when it likes
            while data := await reader.read(2**16):
                writer.write(data)
                await writer.drain()
        writer.close()

    context = certified()
    # A thread of its own: Playwright has a loop in that of the tests.
    thread = threading.Thread(target=asyncio.run, args=(work(),), daemon=True)
    thread.start()
    assert begun.wait(60)
    try:
        yield
    finally:
        end.pop()()
        thread.join(60)


def certified():
    """Return what a server needs for TLS: a key and a certificate that it signed itself."""
    own = Security.temporary()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as kept:
        kept.write(own.tls_scheduler_key + own.tls_scheduler_cert)
        kept.flush()
        context.load_cert_chain(Path(kept.name))
    return context
