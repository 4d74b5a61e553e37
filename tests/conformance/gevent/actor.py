"""Runs steps, records their results in the trace, and runs the steps inside of others."""
import gevent
from gevent import GreenletExit, Timeout, getcurrent
from gevent.exceptions import LoopExit

import shims
from events import EventSteps
from greenlets import GreenletSteps
from pools import PoolSteps
from words import Error, value_word

# Steps that may get an error of another body as their result.
CARRIERS = {'get', 'get_result', 'joinall', 'pool_join', 'apply', 'apply_cb', 'map', 'map_cb', 'next'}


class Actor(GreenletSteps, EventSteps, PoolSteps):

    def __init__(self, world, who, value):
        self.world = world
        self.who = who
        self.value = value

    def say(self, step, path, word):
        self.world.note('%s %s %s %s' % (self.who, path, step['op'], word))

    def block(self, steps, path):
        """Runs steps until one of them ends the body with a value."""
        world = self.world
        for at, step in enumerate(steps):
            world.steps += 1
            if world.steps > 400:
                return None
            value = self.step(step, '%s%d' % (path, at))
            if value is not None:
                return value
        return None

    def step(self, step, path):
        op = step['op']
        world = self.world
        if op == 'return':
            self.say(step, path, 'ok')
            return step.get('v', self.value)
        if op == 'raise':
            error = world.exception(step.get('exc', 'a'))
            if isinstance(error, type):
                error = error()
            self.say(step, path, world.name(error))
            raise error
        blocks = getattr(self, 'block_' + op, None)
        if blocks is not None:
            return blocks(step, path)
        try:
            word = value_word(getattr(self, 'op_' + op)(step))
        except BaseException as error:
            if world.over:
                raise
            # An error of another body is this step's result, however it came here, as in the other world.
            if op in CARRIERS and world.name(error) in world.ended:
                self.say(step, path, 'err %s' % world.name(error))
                if step.get('raising'):
                    raise
                return None
            self.say(step, path, 'raised %s' % world.name(error))
            raise
        self.say(step, path, word)
        return None

    # --- blocks

    def block_try(self, step, path):
        world = self.world
        value = None
        error = None
        try:
            try:
                value = self.block(step.get('steps', ()), path + '.')
            except BaseException as caught:
                if world.over or 'catch' not in step or not self.catches(step['catch'], caught):
                    raise
                self.say(step, path, 'caught %s' % world.name(caught))
                value = self.block(step.get('handler', ()), path + 'h')
        except BaseException as raised:
            error = raised
        if not world.over and step.get('finally'):
            ended = self.block(step['finally'], path + 'f')
            if ended is not None:
                return ended
        if error is not None:
            raise error
        return value

    def catches(self, catch, error):
        if catch == 'any':
            return True
        if catch in ('a', 'b'):
            return isinstance(error, Error) and error.kind == catch.upper()
        kinds = {'exit': GreenletExit, 'timeout': Timeout, 'loop_exit': LoopExit}
        return isinstance(error, kinds[catch])

    def timeout(self, step):
        exception = False if step.get('silent') else None
        if 'exc' in step:
            exception = self.world.exception(step['exc'])
        timeout = Timeout(self.world.time(step.get('t')), exception)
        self.world.new_timeout(timeout)
        return timeout

    def block_scope(self, step, path):
        timeout = self.timeout(step)
        ended = []
        value = None
        try:
            with timeout:
                value = self.block(step.get('steps', ()), path + '.')
                ended.append(True)
        except BaseException as error:
            if error is not timeout:
                self.say(step, path, 'raised %s' % self.world.name(error))
                raise
        self.say(step, path, 'ok' if ended else 'timeout')
        return value

    def leave(self, step, path, run):
        """Records how a block was left."""
        try:
            value = run()
        except BaseException as error:
            self.say(step, path, 'raised %s' % self.world.name(error))
            raise
        self.say(step, path, 'left')
        return value

    def block_with(self, step, path):
        greenlet = self.greenlet(step)
        if greenlet is None:
            self.say(step, path, 'unset')
            return None

        def run():
            with greenlet:
                return self.block(step.get('steps', ()), path + '.')
        return self.leave(step, path, run)

    def block_with_lock(self, step, path):
        thing = self.thing_of(step, 'semaphore', 'bounded', 'rlock')
        if thing is None:
            self.say(step, path, 'unset')
            return None

        def run():
            with shims.Held(self.world, thing):
                self.say(step, path, 'entered')
                return self.block(step.get('steps', ()), path + '.')
        return self.leave(step, path, run)

    def block_iwait(self, step, path):
        objects, names = self.waitables(step)
        count = step.get('n')

        def run():
            if shims.waits_for_none(self.world, count):
                return None
            breaks = step.get('v')
            timeout = shims.fresh(self.world, step)
            watched = shims.Watched(self.world, objects, count)
            with gevent.iwait(objects, timeout=timeout, count=count) as ready:
                for one in ready:
                    watched.told(one)
                    self.say(step, path, names[id(one)])
                    value = self.block(step.get('steps', ()), path + '.')
                    if value is not None:
                        return value
                    if breaks is not None:
                        breaks -= 1
                        if breaks <= 0:
                            return None
            watched.over(timeout, count)
            return None
        return self.leave(step, path, run)

    # --- letting time pass

    def op_sleep(self, step):
        gevent.sleep(self.world.time(step.get('t', 0)))
        return 'ok'

    def op_idle(self, step):
        self.world.idlers.wait()
        return 'ok'

    def op_callback(self, step):
        self.world.hub.loop.run_callback(self.world.run_body, step.get('body', 0), 0)
        return 'ok'

    def op_timeout_start(self, step):
        timeout = self.timeout(step)
        timeout.start()
        self.world.timeouts[step.get('l', 0)] = timeout
        return 'ok'

    def op_timeout_cancel(self, step):
        timeout = self.world.timeouts.get(step.get('l', 0))
        if timeout is None:
            return 'unset'
        timeout.cancel()
        return 'ok'

    def op_timeout_pending(self, step):
        timeout = self.world.timeouts.get(step.get('l', 0))
        return 'unset' if timeout is None else shims.pending(self.world, timeout)
