"""Steps on events, results, locks, queues, channels and sockets."""
import socket as plain

from gevent import GreenletExit, Timeout
from gevent.exceptions import ConcurrentObjectUseError
from gevent.queue import Empty, Full, ShutDown

import shims
from words import os_word, value_word


class EventSteps(object):

    def kind_of(self, step):
        at = step.get('o', 0)
        objects = self.world.program.get('objects', ())
        return objects[at]['kind'] if at < len(objects) else None

    def thing_of(self, step, *kinds):
        """The object of the step, if it is of one of the kinds."""
        if self.kind_of(step) not in kinds:
            return None
        return self.world.things[step.get('o', 0)]

    def until(self, step):
        return self.world.time(step.get('t'))

    # --- events and results

    def op_set(self, step):
        event = self.thing_of(step, 'event')
        if event is None:
            return 'unset'
        event.set()
        return 'ok'

    def op_clear(self, step):
        event = self.thing_of(step, 'event')
        if event is None:
            return 'unset'
        event.clear()
        return 'ok'

    def op_is_set(self, step):
        event = self.thing_of(step, 'event')
        return 'unset' if event is None else event.is_set()

    def op_wait_for(self, step):
        thing = self.thing_of(step, 'event', 'result', 'semaphore', 'bounded')
        if thing is None:
            return 'unset'
        kind = self.kind_of(step)
        if kind == 'event':
            return bool(thing.wait(self.until(step)))
        if kind == 'result':
            thing.wait(self.until(step))
            return thing.ready() if 't' in step else 'ok'
        return thing.wait(self.until(step))

    def op_set_result(self, step):
        result = self.thing_of(step, 'result')
        if result is None:
            return 'unset'
        result.set(step.get('v', 0))
        return 'ok'

    def op_set_exception(self, step):
        result = self.thing_of(step, 'result')
        if result is None:
            return 'unset'
        error = self.world.exception(step.get('exc', 'a'))
        if isinstance(error, type):
            error = error()
        self.world.may_be_returned(error)
        result.set_exception(error)
        return 'ok'

    def op_get_result(self, step):
        result = self.thing_of(step, 'result')
        if result is None:
            return 'unset'
        try:
            return result.get(block=not step.get('nowait'), timeout=self.until(step))
        except Timeout as error:
            if self.world.name(error) == 'timeout':
                if not result.ready():
                    return 'timeout'
                self.world.fired('satisfied wait')
                return result.get(block=False)
            raise
        except GreenletExit as error:
            if error is result.exception:
                return 'exit'
            raise

    # --- locks

    def op_acquire(self, step):
        lock = self.thing_of(step, 'semaphore', 'bounded', 'rlock')
        if lock is None:
            return 'unset'
        if step.get('nowait'):
            return bool(lock.acquire(blocking=False))
        got = bool(lock.acquire(timeout=self.until(step)))
        return shims.taken(self.world, got, lambda: bool(lock.acquire(blocking=False)))

    def op_release(self, step):
        lock = self.thing_of(step, 'semaphore', 'bounded', 'rlock')
        if lock is None:
            return 'unset'
        self.world.released(lock)
        try:
            counter = lock.release()
        except (ValueError, RuntimeError):
            return 'refused'
        return 'ok' if self.kind_of(step) == 'rlock' else counter

    # --- queues

    def op_put(self, step):
        queue = self.thing_of(step, 'queue', 'channel')
        if queue is None:
            return 'unset'
        putters = self.world.putters
        putters[id(queue)] += 1
        try:
            queue.put(step.get('v', 0), block=not step.get('nowait'), timeout=self.until(step))
        except Full:
            if shims.shut(self.world, queue, step):
                return 'ShutDown'
            if step.get('nowait') or self.kind_of(step) == 'channel' or queue.full():
                return 'Full'
            self.world.fired('satisfied wait')
            queue.put(step.get('v', 0), block=False)
        except ShutDown:
            return 'ShutDown'
        finally:
            putters[id(queue)] -= 1
        return 'ok'

    def op_take(self, step):
        queue = self.thing_of(step, 'queue', 'channel')
        if queue is None:
            return 'unset'
        if self.kind_of(step) == 'queue':
            shims.overfull(self.world, queue)
        try:
            return queue.get(block=not step.get('nowait'), timeout=self.until(step))
        except Empty:
            if self.kind_of(step) == 'channel' and self.world.putters[id(queue)]:
                self.world.cut('satisfied wait')
            if not queue.qsize() and shims.shut(self.world, queue, step):
                return 'ShutDown'
            if step.get('nowait') or self.kind_of(step) == 'channel' or not queue.qsize():
                return 'Empty'
            self.world.fired('satisfied wait')
            return queue.get(block=False)
        except ShutDown:
            return shims.left(self.world, queue, queue.get)

    def op_peek(self, step):
        queue = self.thing_of(step, 'queue')
        if queue is None:
            return 'unset'
        try:
            return queue.peek(block=not step.get('nowait'), timeout=self.until(step))
        except Empty:
            if not queue.qsize() and shims.shut(self.world, queue, step):
                return 'ShutDown'
            if step.get('nowait') or self.kind_of(step) == 'channel' or not queue.qsize():
                return 'Empty'
            self.world.fired('satisfied wait')
            return queue.peek(block=False)
        except ShutDown:
            return shims.left(self.world, queue, queue.peek)

    def tasks(self, step):
        """The queue of the step, if it counts tasks."""
        queue = self.thing_of(step, 'queue')
        return queue if hasattr(queue, 'task_done') else None

    def op_task_done(self, step):
        queue = self.tasks(step)
        if queue is None:
            return 'unset'
        try:
            queue.task_done()
            self.world.tasks[id(queue)].look(queue)
        except ValueError:
            return 'refused'
        return 'ok'

    def op_join_queue(self, step):
        queue = self.tasks(step)
        return 'unset' if queue is None else bool(self.world.tasks[id(queue)].join(queue, self.until(step)))

    def op_shutdown(self, step):
        queue = self.tasks(step)
        if queue is None:
            return 'unset'
        try:
            queue.shutdown(immediate=bool(step.get('immediate')))
        except ValueError:
            self.world.cut('items done before they were taken')
        self.world.tasks[id(queue)].look(queue)
        return 'ok'

    def op_resize(self, step):
        queue = self.tasks(step)
        if queue is None:
            return 'unset'
        queue.maxsize = step.get('n')
        shims.resized(self.world, queue)
        return 'ok'

    # --- sockets

    def socket(self, step):
        pair = self.thing_of(step, 'pair')
        return None if pair is None else pair[step.get('n', 0) % 2]

    def readers(self, step):
        return self.world.readers[step.get('o', 0)]

    def op_send(self, step):
        end = self.socket(step)
        if end is None:
            return 'unset'
        self.readers(step).send(step.get('n', 0) % 2)
        return self.on_socket(step, end, lambda: end.send(bytes([step.get('v', 0) % 256])) and 'ok')

    def op_recv(self, step):
        end = self.socket(step)
        if end is None:
            return 'unset'
        reading, at = self.readers(step).reading, step.get('n', 0) % 2
        reading[at] += 1
        try:
            return self.on_socket(step, end, lambda: str(list(end.recv(64))))
        finally:
            reading[at] -= 1

    def op_close(self, step):
        end = self.socket(step)
        if end is None:
            return 'unset'
        self.readers(step).close(step.get('n', 0) % 2)
        end.close()
        return 'ok'

    def on_socket(self, step, end, operation):
        try:
            end.settimeout(self.until(step))
            return operation()
        except plain.timeout:
            return 'timeout'
        except ConcurrentObjectUseError:
            self.world.cut('several readers')
            return 'refused'
        except OSError as error:
            return os_word(error)

    # --- queries of any object

    def op_look(self, step):
        kind = self.kind_of(step)
        if kind is None:
            return 'unset'
        thing = self.world.things[step.get('o', 0)]
        if kind == 'event':
            return 'set %s' % value_word(thing.is_set())
        if kind == 'result':
            word = '-'
            if thing.ready():
                try:
                    word = value_word(thing.get(block=False))
                except BaseException as error:
                    word = 'exit' if isinstance(error, GreenletExit) else 'err %s' % self.world.name(error)
            return 'ready %s %s' % (value_word(bool(thing.ready())), word)
        if kind == 'semaphore':
            return 'counter %d links %d' % (thing.counter, thing.linkcount())
        if kind == 'bounded':
            return 'counter %d' % thing.counter
        if kind == 'rlock':
            return 'locked %s' % value_word(bool(thing.locked()))
        if kind == 'queue':
            word = 'len %d full %s' % (len(thing), value_word(bool(thing.full())))
            if hasattr(thing, 'unfinished_tasks'):
                word += ' unfinished %d shut %s' % (thing.unfinished_tasks, value_word(bool(thing.is_shutdown)))
            return word
        if kind == 'channel':
            return 'balance %d' % thing.balance
        if kind == 'group':
            return 'len %d' % len(thing)
        if kind == 'pool':
            return 'len %d free %d full %s' % (len(thing), thing.free_count(), value_word(thing.full()))
        return 'pair'
