"""PyPI's aiocometd-ng, a client of Bayeux in Python, over the transports it has."""

import asyncio
import contextlib
import os
import pathlib
import re
import traceback

import aiohttp
from aiocometd_ng import Client, ConnectionType

TOP = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ORB_TEST_BINARY") or str(TOP / "target/release/orbited")
TEST_S, WAIT_S = 90, 30
TRANSPORTS = {"long-polling": ConnectionType.LONG_POLLING, "websocket": ConnectionType.WEBSOCKET}


class Server:
    """The server under test, and its internal port."""

    def __init__(self, url, internal, http):
        self.url, self.internal, self.http = url, internal, http

    async def publish(self, channel, value):
        async with self.http.post(f"{self.internal}/api/publish/{channel}", json=value) as answer:
            assert answer.status == 201, answer.status

    async def metric(self, sample):
        async with self.http.get(self.internal + "/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(re.escape(sample) + "[ {]", line))

    async def until(self, sample, value):
        for _ in range(WAIT_S * 100):
            found = await self.metric(sample)
            if found == value:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"waited in vain: {sample} is {found}, not {value}")


@contextlib.asynccontextmanager
async def serve():
    """Starts a server on free ports; one that does not end with status 0 is an error."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ORBITED_")}
    flags = ["--listen", "127.0.0.1:0", "--internal", "127.0.0.1:0", "--stomp", "off"]
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    child = await asyncio.create_subprocess_exec(BINARY, *flags, env=kept, stdout=pipe, stderr=null)
    try:
        line = (await child.stdout.readline()).decode()
        address, internal = re.match(r"ready http=(\S+) internal=(\S+)", line).groups()
        async with aiohttp.ClientSession() as http:
            yield Server(f"http://{address}/cometd", f"http://{internal}", http)
    finally:
        child.terminate()
        status = await child.wait()
    assert status == 0, f"the server ended with {status}"


def client(server, transport):
    # Where there is a time it passes an argument to asyncio that Python 3.10 has removed.
    return Client(server.url, TRANSPORTS[transport], connection_timeout=0)


async def take_to_the_end(comet):
    """All messages in front of the one that says "end"."""
    got = []
    while True:
        message = await asyncio.wait_for(comet.receive(), WAIT_S)
        if message["data"] == "end":
            return got
        got.append(message)


async def what_the_application_publishes(transport):
    """1,000 messages of the application come in order: lost 0, repeated 0"""
    async with serve() as server, client(server, transport) as comet:
        await comet.subscribe("/chat/room1")
        await comet.subscribe("/chat/*")
        assert comet.connection_type == TRANSPORTS[transport], comet.connection_type
        sent = [{"n": n, "text": "é\u2028\"<"} for n in range(1000)]

        async def publish():
            for value in sent + ["end"]:
                await server.publish("chat/room1", value)

        publishing = asyncio.create_task(publish())
        got = await take_to_the_end(comet)
        await publishing
        assert [message["data"] for message in got] == sent
        assert {message["channel"] for message in got} == {"/chat/room1"}


async def what_it_publishes_itself(transport):
    """1,000 messages of its own come in order, once each, to it and to another"""
    async with serve() as server, client(server, transport) as comet, client(server, transport) as other:
        await comet.subscribe("/a")
        await other.subscribe("/**")

        async def publish():
            for value in [*range(1000), "end"]:
                answer = await comet.publish("/a", value)
                assert answer["successful"], answer

        publishing = asyncio.create_task(publish())
        for got in await asyncio.gather(take_to_the_end(comet), take_to_the_end(other)):
            assert [message["data"] for message in got] == list(range(1000))
        await publishing


async def unsubscribing_and_leaving(transport):
    """unsubscribing ends what comes, and leaving is clean and leaves no tables"""
    async with serve() as server:
        async with client(server, transport) as comet:
            await comet.subscribe("/a")
            await comet.subscribe("/b")
            await comet.unsubscribe("/a")
            await server.until("orbited_subscriptions", 1)
            await server.publish("b", "last")
            await server.publish("b", "end")
            assert [message["data"] for message in await take_to_the_end(comet)] == ["last"]
        await server.until('orbited_signoffs_total{reason="clean"}', 1)
        for table in ["sessions", "subscriptions", "channels", "queue_bytes"]:
            await server.until("orbited_" + table, 0)


def quietly(loop, context):
    """When it is closed the client cancels what waits, and does not catch what that raises."""
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)


async def main():
    """Runs the tests in order, each ending with one line: `ok`, or `FAILED` and why."""
    only, status = os.environ.get("ORB_TEST_ONLY", ""), 0
    asyncio.get_running_loop().set_exception_handler(quietly)
    for transport in TRANSPORTS:
        for test in [what_the_application_publishes, what_it_publishes_itself, unsubscribing_and_leaving]:
            sentence = f"aiocometd-ng over {transport}: {test.__doc__}"
            if only not in sentence:
                continue
            try:
                await asyncio.wait_for(test(transport), TEST_S)
                print("ok    ", sentence, flush=True)
            except Exception:  # Whatever it is, the others run.
                print("FAILED", sentence + "\n" + traceback.format_exc(), flush=True)
                status = 1
    return status


raise SystemExit(asyncio.run(main()))
