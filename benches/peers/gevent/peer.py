"""The workloads of `compare` on gevent: `peer.py WORKLOAD SIZE MILLIS` prints the figure, or where it listens.

What each figure includes stands in the heads of the Rust files; this one does the same. No monkey patching: everything
here is gevent's own.
"""

import sys
import time

import gevent
from gevent import event, pool, queue, server
from gevent.socket import IPPROTO_TCP, TCP_NODELAY

SIZE, TARGET = int(sys.argv[2]), int(sys.argv[3]) / 1000
MESSAGES = 100_000
HOUR = 3600


def cost(batch, run):
    """What `cost` in measure.rs is."""
    batches = 1
    took = run(batches)
    while took * 4 < TARGET:
        batches = int(batches * min(16, max(2, TARGET / 3 / max(took, 1e-9))))
        took = run(batches)
    batches = max(1, int(batches * TARGET / took))
    return each(run(batches), batches * batch)


def each(took, pieces):
    return took * 1e9 / pieces


def descend(depth, seed):
    before = seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
    if depth == 1:
        gevent.sleep(0)
        below = before
    else:
        below = descend(depth - 1, before)
    return below ^ seed


def at(depth):
    """A yield so many calls deep."""
    if depth:
        return lambda: descend(depth, 1)
    return lambda: gevent.sleep(0)


def limited():
    """A yield with a limit around it."""
    with gevent.Timeout(10):
        gevent.sleep(0)


def ring(size, piece):
    def run(rounds):
        start = []

        def member():
            gevent.sleep(0)
            if not start:
                start.append(time.perf_counter())
            for _ in range(rounds):
                piece()

        gevent.joinall([gevent.spawn(member) for _ in range(size)])
        return time.perf_counter() - start[0]

    return cost(size, run)


def pend(count):
    """Starts timers that are spread over an hour that is an hour away."""
    timers = [gevent.get_hub().loop.timer(HOUR + HOUR * number / count) for number in range(count)]
    for timer in timers:
        timer.start(lambda: None)
    return timers


def pending():
    timers = pend(SIZE)
    figure = ring(2, at(0))
    for timer in timers:
        timer.close()
    return figure


def spawn():
    def body():
        pass

    def run(batches):
        start = time.perf_counter()
        for _ in range(batches):
            for greenlet in [gevent.spawn(body) for _ in range(SIZE)]:
                greenlet.join()
        return time.perf_counter() - start

    return cost(SIZE, run)


def ping_pong():
    def run(turns):
        ping, pong = queue.Queue(1), queue.Queue(1)

        def echo():
            for _ in range(turns):
                pong.put(ping.get())

        def play():
            start = time.perf_counter()
            for turn in range(turns):
                ping.put(turn)
                pong.get()
            return time.perf_counter() - start

        gevent.spawn(echo)
        return gevent.spawn(play).get()

    # A ping-pong goes there and back.
    return cost(2, run)


def stream():
    def run(batches):
        channel = queue.Queue(SIZE)

        def send():
            for n in range(batches * MESSAGES):
                channel.put(n)

        def receive():
            for _ in range(batches * MESSAGES):
                channel.get()

        start = time.perf_counter()
        gevent.spawn(send)
        gevent.spawn(receive).join()
        return time.perf_counter() - start

    return cost(MESSAGES, run)


def sleepers():
    def run(rounds):
        go = event.Event()

        def sleeper():
            go.wait()
            for _ in range(rounds):
                gevent.sleep(0.001)

        greenlets = [gevent.spawn(sleeper) for _ in range(SIZE)]
        gevent.sleep(0)
        start = time.perf_counter()
        go.set()
        gevent.joinall(greenlets)
        return time.perf_counter() - start

    return cost(SIZE, run)


def sleepers_cpu():
    before = time.process_time()
    gevent.joinall([gevent.spawn(gevent.sleep, 2) for _ in range(SIZE)])
    return each(time.process_time() - before, SIZE)


def timeout():
    timers = pend(SIZE)

    def run(times):
        start = time.perf_counter()
        for _ in range(times):
            with gevent.Timeout(10):
                pass
        return time.perf_counter() - start

    figure = cost(1, run)
    for timer in timers:
        timer.close()
    return figure


def used():
    """The resident memory and the page tables of this process."""
    with open("/proc/self/status", encoding="ascii") as lines:
        words = [line.split() for line in lines]
    return sum(int(word[1]) * 1024 for word in words if word[0] in ("VmRSS:", "VmPTE:"))


def memory():
    waited_for = event.Event()
    before = used()
    greenlets = [gevent.spawn(waited_for.wait) for _ in range(SIZE)]
    gevent.sleep(0)
    while not all(greenlet.started for greenlet in greenlets):
        gevent.sleep(0)
    gevent.sleep(0)
    return (used() - before) / SIZE


def job(number):
    gevent.sleep(0)
    return number


def jobs():
    hundred = pool.Pool(100)
    start = time.perf_counter()
    for number in range(SIZE):
        hundred.spawn(job, number)
    hundred.join()
    return each(time.perf_counter() - start, SIZE)


def jobs_mapped():
    start = time.perf_counter()
    results = pool.Pool(100).map(job, range(SIZE))
    took = time.perf_counter() - start
    assert len(results) == SIZE
    return each(took, SIZE)


def jobs_unordered():
    start = time.perf_counter()
    came = sum(1 for _ in pool.Pool(100).imap_unordered(job, range(SIZE)))
    took = time.perf_counter() - start
    assert came == SIZE
    return each(took, SIZE)


def kill():
    waited_for, held = event.Event(), [0]

    def park():
        held[0] += 1
        try:
            waited_for.wait()
        finally:
            held[0] -= 1

    greenlets = [gevent.spawn(park) for _ in range(SIZE)]
    while held[0] < SIZE:
        gevent.sleep(0)
    start = time.perf_counter()
    gevent.killall(greenlets)
    took = time.perf_counter() - start
    assert held[0] == 0
    return each(took, SIZE)


def echo():
    def serve(connection, _address):
        connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        while got := connection.recv(1024):
            connection.sendall(got)

    listening = server.StreamServer(("127.0.0.1", 0), serve)
    listening.start()
    print("port", listening.server_port, flush=True)
    listening.serve_forever()


WORKLOADS = {
    "yield": lambda: ring(2, at(SIZE)),
    "ring": lambda: ring(SIZE, at(0)),
    "pending": pending,
    "spawn": spawn,
    "ping-pong": ping_pong,
    "channel": stream,
    "sleepers": sleepers,
    "sleepers-cpu": sleepers_cpu,
    "timeout": timeout,
    "timeout-yield": lambda: ring(2, limited),
    "memory": memory,
    "pool": jobs,
    "pool-map": jobs_mapped,
    "pool-imap_unordered": jobs_unordered,
    "kill": kill,
}

if sys.argv[1] == "echo":
    echo()
else:
    print(WORKLOADS[sys.argv[1]](), "bytes" if sys.argv[1] == "memory" else "ns")
