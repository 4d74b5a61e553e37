"""gevent's part of benches/pool.rs: python3 pool.py WHAT BATCHES BATCH.

Does so many batches of BATCH pieces of WHAT, and prints how many nanoseconds they took. Starting Python is not in it.
"""

import sys
from time import perf_counter_ns

import gevent
from gevent.pool import Group, Pool
from gevent.threadpool import ThreadPool

LIMIT = 100


def job():
    pass


def same(x):
    return x


def park():
    gevent.sleep(3600)


def spawn(count):
    pool = Pool(LIMIT)
    start = perf_counter_ns()
    for _ in range(count):
        pool.spawn(job)
    pool.join()
    return perf_counter_ns() - start


def map_(count):
    pool = Pool(LIMIT)
    start = perf_counter_ns()
    results = pool.map(same, range(count))
    took = perf_counter_ns() - start
    assert len(results) == count
    return took


def iterate(count, method):
    results = method(Pool(LIMIT))
    start = perf_counter_ns()
    came = sum(1 for _ in results(same, range(count)))
    took = perf_counter_ns() - start
    assert came == count
    return took


def group(count):
    start = perf_counter_ns()
    members = Group()
    for _ in range(count):
        members.spawn(job)
    members.join()
    return perf_counter_ns() - start


def kill(count):
    members = Group()
    for _ in range(count):
        members.spawn(park)
    gevent.sleep(0)
    start = perf_counter_ns()
    members.kill()
    return perf_counter_ns() - start


def threads(count):
    pool = ThreadPool(1)
    pool.spawn(job).get()
    start = perf_counter_ns()
    for _ in range(count):
        pool.spawn(job).get()
    return perf_counter_ns() - start


WHATS = {
    "spawn": spawn,
    "map": map_,
    "imap": lambda count: iterate(count, lambda pool: pool.imap),
    "imap_unordered": lambda count: iterate(count, lambda pool: pool.imap_unordered),
    "group": group,
    "kill": kill,
    "threads": threads,
}

# The first greenlet makes the hub.
gevent.spawn(job).join()
what, batches, batch = WHATS[sys.argv[1]], int(sys.argv[2]), int(sys.argv[3])
print(sum(what(batch) for _ in range(batches)))
