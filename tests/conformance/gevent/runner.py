"""Runs programs on gevent: reads one a line from stdin, answers each with its trace on a line of stdout.

The counterpart is `src/runner`; a change of one needs a change of the other. `README.md` documents both formats.
"""
import gc
import json
import os
import sys
import time
import warnings

import gevent
from gevent import get_hub

from killing import Killable
from words import ProgramOver
from world import World

JOINS = 5
# The limit of a batch of callbacks, in seconds: as long as it takes, in both worlds.
UNLIMITED = 1000
COLLECT_EVERY = 200


def run(program, tick):
    """Runs one program on a hub of its own."""
    hub = get_hub()
    world = World(program, tick, hub)
    Killable.world = world
    hub.handle_error = world.handle_error
    gevent.Greenlet.add_spawn_callback(world.started)
    try:
        try:
            world.run_body(0, 0)
        except BaseException as error:  # Whatever a program may raise.
            world.note('main ended by %s' % world.name(error))
        for _ in range(JOINS):
            try:
                hub.join()
                world.note('joined')
                world.joined = True
                break
            except BaseException as error:
                world.note('join ended by %s' % world.name(error))
        world.describe_end()
    finally:
        world.over = True
        clean_up(world, hub)
        Killable.world = None
        gevent.Greenlet.remove_spawn_callback(world.started)
    return {'trace': world.trace, 'cut': world.cut_at, 'deviations': world.deviations}


def clean_up(world, hub):
    """Ends all remaining greenlets, so that nothing reaches the next program."""
    for timeout in world.timeouts_made:
        timeout.close()
    deadline = time.monotonic() + 2
    # Items that are still queued for main would arrive while the hub is destroyed.
    quiet = world.joined
    while time.monotonic() < deadline:
        left = [greenlet for greenlet in world.everybody if not greenlet.dead]
        if not left and quiet:
            break
        try:
            for greenlet in left:
                gevent.kill(greenlet, ProgramOver)
            hub.join(timeout=0.05)
            quiet = True
        except BaseException:
            pass
    world.close()
    hub.destroy(destroy_loop=True)


def main():
    warnings.simplefilter('ignore')
    sys.setswitchinterval(UNLIMITED)
    gc.disable()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), 'w')
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    print(json.dumps({'gevent': gevent.__version__}), file=answers, flush=True)
    for count, line in enumerate(sys.stdin, 1):
        request = json.loads(line)
        answer = run(request['program'], request['tick'])
        print(json.dumps(answer), file=answers, flush=True)
        if count % COLLECT_EVERY == 0:
            gc.collect()


if __name__ == '__main__':
    main()
