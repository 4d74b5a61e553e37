"""Steps on greenlets: starting, killing, asking, linking, and waiting for several."""
import gevent
from gevent import GreenletExit, Timeout, getcurrent
from gevent.greenlet import Greenlet

import killing
import shims
from killing import Killable
from words import value_word


def is_raw(handle):
    return not isinstance(handle, Greenlet)


class GreenletSteps(object):

    def handle(self, step):
        return self.world.greenlets.get(step.get('g', 0))

    def greenlet(self, step):
        """The greenlet in the step's slot, unless it is a raw one."""
        handle = self.handle(step)
        return None if handle is None or is_raw(handle) else handle

    def keep(self, step, greenlet):
        self.world.greenlets[step.get('g', 0)] = greenlet

    def thrown(self, step):
        if 'exc' not in step:
            return GreenletExit
        error = self.world.exception(step['exc'])
        if not isinstance(error, type):
            self.world.thrown.add(self.world.name(error))
        return error

    # --- starting

    def op_spawn(self, step):
        self.keep(step, Killable.spawn(self.world.run_body, step.get('body', 0), 0))
        return 'ok'

    def op_create(self, step):
        self.keep(step, Killable(self.world.run_body, step.get('body', 0), 0))
        return 'ok'

    def op_spawn_later(self, step):
        after = shims.fresh(self.world, step) or 0
        self.keep(step, Killable.spawn_later(after, self.world.run_body, step.get('body', 0), 0))
        return 'ok'

    def op_spawn_raw(self, step):
        raw = gevent.spawn_raw(self.world.run_body, step.get('body', 0), 0)
        self.keep(step, raw)
        return 'ok'

    def op_start(self, step):
        greenlet = self.greenlet(step)
        if greenlet is None:
            return 'unset'
        greenlet.start()
        return 'ok'

    def op_start_later(self, step):
        greenlet = self.greenlet(step)
        if greenlet is None:
            return 'unset'
        greenlet.start_later(shims.fresh(self.world, step) or 0)
        return 'ok'

    # --- killing

    def op_kill(self, step):
        handle = self.handle(step)
        if handle is None:
            return 'unset'
        if is_raw(handle):
            error = self.thrown(step)
            if not isinstance(error, type):
                error.thrown_into = handle
            gevent.kill(handle, error)
            return 'ok'
        error = self.thrown(step)
        if step.get('nowait'):
            handle.kill(error, block=False)
        else:
            handle.kill(error, block=True, timeout=self.until(step))
            if 't' in step:
                return handle.ready()
        return 'ok'

    def op_kill_main(self, step):
        gevent.kill(self.world.main, self.thrown(dict(step, exc=step.get('exc', 'a'))))
        return 'ok'

    def op_throw(self, step):
        greenlet = self.greenlet(step)
        if greenlet is None:
            return 'unset'
        error = self.thrown(dict(step, exc=step.get('exc', 'exit')))
        killing.throw(self.world, greenlet, error)
        return 'ok'

    # --- asking

    def op_get(self, step):
        greenlet = self.greenlet(step)
        if greenlet is None:
            return 'unset'
        try:
            return greenlet.get(block=not step.get('nowait'), timeout=self.world.time(step.get('t')))
        except Timeout as error:
            if self.world.name(error) == 'timeout':
                if not greenlet.ready():
                    return 'timeout'
                self.world.fired('satisfied wait')
                return greenlet.get(block=False)
            raise

    def op_join(self, step):
        greenlet = self.greenlet(step)
        if greenlet is None:
            return 'unset'
        greenlet.join(self.world.time(step.get('t')))
        return greenlet.ready() if 't' in step else 'ok'

    def op_state(self, step):
        greenlet = self.greenlet(step)
        if greenlet is None:
            return 'unset'
        value = '-'
        if greenlet.ready():
            try:
                value = value_word(greenlet.get(block=False))
            except BaseException as error:
                value = 'err %s' % self.world.name(error)
        flags = (('started', bool(greenlet)), ('ready', greenlet.ready()), ('dead', greenlet.dead),
                 ('successful', greenlet.successful()))
        return ' '.join([name if flag else '-' for name, flag in flags] + [value])

    # --- links

    def link(self, step, method, body=True):
        greenlet = self.greenlet(step)
        if greenlet is None:
            return 'unset'
        world = self.world
        callback = lambda _: world.run_body(step.get('body', 0), 0)
        getattr(greenlet, method)(callback)
        world.links[step.get('l', 0)] = (greenlet, callback)
        return 'ok'

    def op_link(self, step):
        return self.link(step, 'link')

    def op_link_value(self, step):
        return self.link(step, 'link_value')

    def op_link_exception(self, step):
        return self.link(step, 'link_exception')

    def op_rawlink(self, step):
        return self.link(step, 'rawlink')

    def op_link_result(self, step):
        greenlet = self.greenlet(step)
        result = self.thing_of(step, 'result')
        if greenlet is None or result is None or getattr(greenlet, 'maps', False):
            return 'unset'
        # A function for each link: gevent's links are equal if their objects are, and unlink takes all.
        callback = lambda source: result(source)
        greenlet.link(callback)
        self.world.links[step.get('l', 0)] = (greenlet, callback)
        return 'ok'

    def op_unlink(self, step):
        if self.greenlet(step) is None:
            return 'unset'
        linked = self.world.links.get(step.get('l', 0))
        if linked is None:
            return 'unset'
        linked[0].unlink(linked[1])
        return 'ok'

    def op_unlink_all(self, step):
        greenlet = self.greenlet(step)
        if greenlet is None:
            return 'unset'
        greenlet.unlink_all()
        return 'ok'

    # --- several at once

    def several(self, step, raw):
        handles = [(at, self.world.greenlets.get(at)) for at in step.get('gs', ())]
        return [(at, it) for at, it in handles if it is not None and (raw or not is_raw(it))]

    def waitables(self, step):
        """The objects that a step waits for, and their names in the trace."""
        objects = []
        names = {}
        for at, greenlet in self.several(step, False):
            objects.append(greenlet)
            names[id(greenlet)] = 'g%d' % at
        for at in step.get('os', ()):
            thing = self.thing_of({'o': at}, 'event', 'result', 'semaphore', 'bounded')
            if thing is not None:
                if any(thing is one for one in objects):
                    self.world.cut('an object twice')
                objects.append(thing)
                names[id(thing)] = 'o%d' % at
        return objects, names

    def op_wait(self, step):
        objects, names = self.waitables(step)
        timeout, count = shims.fresh(self.world, step), step.get('n')
        if shims.waits_for_none(self.world, count):
            return ''
        watched = shims.Watched(self.world, objects, count)
        ready = gevent.wait(objects, timeout=timeout, count=count)
        for one in ready:
            watched.told(one)
        watched.over(timeout, count)
        return ','.join(names[id(one)] for one in ready)

    def op_joinall(self, step):
        several = self.several(step, False)
        names = {id(it): 'g%d' % at for at, it in several}
        options = {'timeout': shims.fresh(self.world, step), 'count': step.get('n')}
        ended = shims.joinall(self.world, [it for _, it in several], bool(step.get('raising')), options)
        return ','.join(names[id(it)] for it in ended)

    def op_killall(self, step):
        greenlets = killing.killed_together(self.world, [it for _, it in self.several(step, True)])
        killed_by_killall = self.world.killed_by_killall
        if not step.get('nowait'):
            killed_by_killall.extend(greenlets)
        try:
            gevent.killall(greenlets, self.thrown(step), block=not step.get('nowait'),
                           timeout=self.world.time(step.get('t')))
        except AttributeError:
            self.world.cut('raw survivors')
        except Timeout as error:
            if self.world.name(error) == 'timeout':
                if not all(it.dead for it in greenlets):
                    return 'timeout'
                self.world.fired('satisfied wait')
                return 'ok'
            raise
        finally:
            if not step.get('nowait'):
                for it in greenlets:
                    killed_by_killall.remove(it)
        return 'ok'

    def op_hub_join(self, step):
        if getcurrent() is not self.world.main:
            return 'unset'
        return shims.join_hub(self.world, shims.fresh(self.world, step))
