"""Steps on groups and pools: members, and functions over inputs."""
import gevent
from gevent import GreenletExit, Timeout
from gevent.pool import PoolFull

import killing
import shims
from words import value_word


class Input(object):
    """The numbers that a mapping is given, and what they have raised."""

    def __init__(self, numbers):
        self.numbers = numbers
        self.error = None

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return next(self.numbers)
        except StopIteration:
            raise
        except Exception as error:
            self.error = error
            raise


class PoolSteps(object):

    def group(self, step):
        return self.thing_of(step, 'group', 'pool')

    def op_group_of(self, step):
        if self.thing_of(step, 'group') is None:
            return 'unset'
        members = [it for _, it in self.several(step, False)]
        self.world.things[step.get('o', 0)] = shims.group_of(self.world, members)
        return 'ok'

    # --- members

    def op_pool_spawn(self, step):
        group = self.group(step)
        if group is None:
            return 'unset'
        self.keep(step, group.spawn(self.world.run_body, step.get('body', 0), 0))
        return 'ok'

    def enter(self, step, method):
        group, greenlet = self.group(step), self.greenlet(step)
        if group is None or greenlet is None:
            return 'unset'
        options = {}
        if self.kind_of(step) == 'pool':
            options = {'blocking': not step.get('nowait'), 'timeout': self.until(step)}
        try:
            getattr(group, method)(greenlet, **options)
        except PoolFull:
            if step.get('nowait') or group.full():
                return 'PoolFull'
            self.world.fired('satisfied wait')
            getattr(group, method)(greenlet, blocking=False)
        return 'ok'

    def op_pool_start(self, step):
        return self.enter(step, 'start')

    def op_pool_add(self, step):
        return self.enter(step, 'add')

    def op_discard(self, step):
        group, greenlet = self.group(step), self.greenlet(step)
        if group is None or greenlet is None:
            return 'unset'
        group.discard(greenlet)
        return 'ok'

    def op_pool_join(self, step):
        group = self.group(step)
        if group is None:
            return 'unset'
        return bool(group.join(timeout=self.until(step), raise_error=bool(step.get('raising'))))

    def op_pool_kill(self, step):
        group = self.group(step)
        if group is None:
            return 'unset'
        killing.kills_itself_again(self.world, group, step)
        group.kill(self.thrown(step), block=not step.get('nowait'), timeout=self.until(step))
        return 'ok'

    def op_killone(self, step):
        group, greenlet = self.group(step), self.greenlet(step)
        if group is None or greenlet is None:
            return 'unset'
        group.killone(greenlet, self.thrown(step), block=not step.get('nowait'), timeout=self.until(step))
        return 'ok'

    def op_wait_available(self, step):
        group = self.group(step)
        if group is None:
            return 'unset'
        if self.kind_of(step) == 'group':
            group.wait_available()
            return 'ok'
        return group.wait_available(self.until(step))

    def op_pool_state(self, step):
        group = self.group(step)
        if group is None:
            return 'unset'
        free = ' free %d' % group.free_count() if self.kind_of(step) == 'pool' else ''
        has = self.greenlet(step) in group
        return 'len %d%s full %s has %s' % (len(group), free, value_word(group.full()), value_word(has))

    # --- functions over inputs

    def input(self, step):
        """The numbers that a mapping is given; raises at one of them, and may yield before each."""
        world, fail, slow = self.world, step.get('fail'), step.get('slow')
        at, end = 0, step.get('n', 0)
        while True:
            if slow:
                gevent.sleep(0)
            if fail == at:
                error = world.input_error()
                world.may_be_returned(error)
                world.note('input raises %s' % world.name(error))
                raise error
            if at == end:
                return
            at += 1
            yield at - 1

    def function(self, step):
        world, body = self.world, step.get('body', 0)
        return lambda *item: world.run_body(body, item[0] if item else 0)

    def callback(self, step):
        """The function that is called with a result."""
        if 'cb' not in step:
            return None
        world, body = self.world, step['cb']

        def callback(value):
            if isinstance(value, GreenletExit):
                # A greenlet that was killed has no value here.
                world.fired('exit is no value')
                return
            world.run_body(body, sum(value) if isinstance(value, list) else value)
        return callback

    def op_apply(self, step):
        group = self.group(step)
        return 'unset' if group is None else group.apply(self.function(step))

    def op_apply_cb(self, step):
        group = self.group(step)
        if group is None:
            return 'unset'
        return group.apply_cb(self.function(step), callback=self.callback(step))

    def op_apply_async(self, step):
        group = self.group(step)
        if group is None:
            return 'unset'
        self.keep(step, group.apply_async(self.function(step), callback=self.callback(step)))
        return 'ok'

    def op_map(self, step):
        group = self.group(step)
        if group is None:
            return 'unset'
        with shims.Inside(group):
            return group.map(self.function(step), self.input(step))

    def op_map_cb(self, step):
        group = self.group(step)
        if group is None:
            return 'unset'
        with shims.Inside(group):
            results = group.map(self.function(step), self.input(step))
        callback = self.callback(step)
        if callback is not None:
            callback(results)
        return results

    def op_map_async(self, step):
        group = self.group(step)
        if group is None:
            return 'unset'
        greenlet = group.map_async(self.function(step), self.input(step))
        greenlet.maps = True
        self.keep(step, greenlet)
        return 'ok'

    def mapping(self, step, method):
        group = self.group(step)
        if group is None:
            return 'unset'
        source = Input(self.input(step))
        made = getattr(group, method)(self.function(step), source, maxsize=step.get('v'))
        mapping = shims.Mapping(self.world, group, made, source, method == 'imap', bool(step.get('v')))
        # A mapping continues after its slot is taken: the effects of a drop are for tests of ramie alone.
        self.world.all_mappings.append(mapping)
        self.world.mappings[step.get('l', 0)] = mapping
        return 'ok'

    def op_imap(self, step):
        return self.mapping(step, 'imap')

    def op_imap_unordered(self, step):
        return self.mapping(step, 'imap_unordered')

    def op_next(self, step):
        mapping = self.world.mappings.get(step.get('l', 0))
        if mapping is None:
            return 'unset'
        if mapping.busy:
            # Only one at a time can ask.
            return 'busy'
        mapping.busy = True
        timeout = Timeout(self.until(step))
        timeout.start()
        try:
            return mapping.next()
        except StopIteration:
            return 'none'
        except Timeout as error:
            if error is timeout:
                return 'timeout'
            raise
        finally:
            timeout.close()
            mapping.busy = False
