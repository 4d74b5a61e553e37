"""An example of a contender for `compare --contender asyncio="python3 benches/peers/example.py"`.

It runs three workloads on Python's asyncio and skips the others. `benches/README.md`, "Another
contender", describes the protocol that it speaks.
"""

import asyncio
import sys
import time

WORKLOAD, SIZE, TARGET = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) / 1000


async def descend(depth):
    if depth == 0:
        await asyncio.sleep(0)
    else:
        await descend(depth - 1)


async def ring(members, depth):
    """The nanoseconds of one yield of so many tasks that take turns."""

    async def member(rounds):
        for _ in range(rounds):
            await descend(depth)

    rounds = 1
    while True:
        start = time.perf_counter()
        await asyncio.gather(*(member(rounds) for _ in range(members)))
        took = time.perf_counter() - start
        # Until it is long enough to be measured; the shorter ones have warmed up.
        if took >= TARGET:
            return took * 1e9 / (members * rounds)
        rounds *= 2


async def echo():
    """Serves until this process is ended."""

    async def serve(reader, writer):
        while got := await reader.read(1024):
            writer.write(got)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if WORKLOAD == "echo":
    asyncio.run(echo())
elif WORKLOAD == "yield":
    print(asyncio.run(ring(2, SIZE)), "ns")
elif WORKLOAD == "ring":
    print(asyncio.run(ring(SIZE, 0)), "ns")
else:
    print("skip not written for asyncio")
