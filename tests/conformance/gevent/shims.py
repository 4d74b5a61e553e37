"""The intended differences of ramie: each one is applied to gevent here, as narrowly as possible.

Every name that is counted here has its entry in `deviations.json`, which says what it is and why. `fired` counts a
difference that was applied, and the comparison continues; `cut` ends the comparison of the program at that point.
"""
import gevent
from gevent import GreenletExit, Timeout, event, getcurrent, pool
from gevent._imap import IMapUnordered
from gevent.greenlet import Greenlet
from gevent.hub import Waiter
from greenlet import settrace

from killing import Killable


class Switches(object):
    """Counts the switches of this thread between greenlets."""

    count = 0

    def __call__(self, event, args):
        self.count += 1


SWITCHES = Switches()
settrace(SWITCHES)


def switches():
    return SWITCHES.count


# --- a waiter on a set event wakes


class Late(object):
    """Keeps the pass over an object with a late waiter, when its last link is removed."""

    def __init__(self, world):
        super(Late, self).__init__()
        self.world = world
        self.late = 0
        self.served = False
        self.passing = False
        self.sets = 0

    def all_served(self):
        self.served = False
        self.passing = False

    def told(self):
        """A waiter was notified: until the next callback this object's pass may be running."""
        if not self.passing:
            self.passing = True
            self.world.hub.loop.run_callback(self.all_served)

    def unlink(self, callback):
        links = self.linkcount()
        if not (self.late and links == 1):
            super(Late, self).unlink(callback)
            return
        self.rawlink(ignore)
        super(Late, self).unlink(callback)
        if self.linkcount() > links:
            # It was served before: nothing was at stake.
            super(Late, self).unlink(ignore)
        else:
            self.world.fired('late waiter')

    def wait(self, timeout=None):
        if self.ready():
            if self.served:
                self.world.cut('late twice')
            self.late += 1
            before = switches()
            try:
                return super(Late, self).wait(timeout)
            finally:
                self.late -= 1
                if switches() != before:
                    self.served = True
                    self.told()
        sets = self.sets
        result = super(Late, self).wait(timeout)
        if not result and self.ready():
            if timeout is not None:
                self.world.fired('satisfied wait')
            return True
        if result and self.sets == sets:
            # Notified of a setting that was over before it came.
            self.world.cut('told of an earlier setting')
        if result:
            self.told()
        return result


def ignore(_):
    pass


class Since(object):
    """The link of a wait for several to a clear event: notices that it is notified of an earlier setting."""

    def __init__(self, event, link):
        self.sets = event.sets
        self.link = link

    def __call__(self, event):
        if event.sets == self.sets:
            # The pass was queued before the wait began, by a setting that the event was cleared of.
            event.world.cut('told of an earlier setting')
        self.link(event)

    def __eq__(self, other):
        return self is other or self.link == other

    __hash__ = None


class Event(Late, event.Event):
    eager = 0
    set_in_pass = False

    def rawlink(self, callback):
        if isinstance(getattr(callback, '__self__', None), Waiter) and not self.ready():
            callback = Since(self, callback)
        super(Event, self).rawlink(callback)

    def clear(self):
        if self.eager and self.is_set():
            self.world.cut('linked while it was set')
        if self.set_in_pass and self.passing and self.is_set():
            self.world.cut('set for a moment')
        super(Event, self).clear()

    def set(self):
        if not self.is_set():
            self.set_in_pass = self.passing and self.linkcount() > 0
        self.sets += 1
        super(Event, self).set()


class AsyncResult(Late, event.AsyncResult):

    def set(self, value=None):
        self.sets += 1
        super(AsyncResult, self).set(value)

    def set_exception(self, exception, exc_info=None):
        self.sets += 1
        super(AsyncResult, self).set_exception(exception, exc_info)

    def __call__(self, source):
        if source.successful() and isinstance(source.value, GreenletExit):
            self.world.fired('exit is no value')
            self.set_exception(source.value)
            return
        self.sets += 1
        super(AsyncResult, self).__call__(source)


class Watched(object):
    """Notices the wake-ups that a wait for several objects missed."""

    def __init__(self, world, objects, count):
        self.world = world
        self.objects = objects
        self.left = list(objects)
        self.given = {id(it): self.times_given(it) for it in objects}
        self.eager = [it for it in objects if isinstance(it, Event) and it.ready()]
        for it in self.eager:
            it.eager += 1

    def times_given(self, it):
        """The number of times that an object was set or released so far."""
        return it.sets if isinstance(it, Late) else self.world.releases.get(id(it), 0)

    def told(self, one):
        if one in self.eager:
            self.eager.remove(one)
            one.eager -= 1
        if isinstance(one, Event):
            one.told()
        if one in self.left:
            self.left.remove(one)

    def over(self, timeout, count):
        """The wait has ended: if by its limit, then nothing may be ready."""
        for it in self.eager:
            it.eager -= 1
        served = len(self.objects) - len(self.left)
        if timeout is not None and served < (len(self.objects) if count is None else count):
            # One that was ready for a moment while the body of an iteration ran has told that iteration here.
            if any(one.ready() or self.times_given(one) != self.given[id(one)] for one in self.left):
                self.world.cut('satisfied wait')


def waits_for_none(world, count):
    """True if a wait for several is for none of them: then nothing is linked here."""
    if count == 0:
        world.fired('wait for none')
    return count == 0


# --- groups and pools


class Listener(object):
    """A join that gets the failures of the greenlets that are members when it begins."""

    def __init__(self, members):
        self.members = list(members)
        self.told = []
        self.discarded = []

    def leaves(self, greenlet):
        if greenlet in self.members:
            self.members.remove(greenlet)
            if greenlet.exception is not None:
                self.told.append(greenlet)
            elif not greenlet.ready():
                self.discarded.append(greenlet)

    def first(self):
        """The failure that was reported to the group first; unreported failures come last."""
        for greenlet in self.told + self.members + self.discarded:
            if greenlet.exception is not None:
                return greenlet
        return None

class Members(object):

    def add(self, greenlet, *args, **kwargs):
        super(Members, self).add(greenlet, *args, **kwargs)
        self.places[greenlet] = self.places.get(greenlet, 0) + 1

    def _discard(self, greenlet):
        for listener in self.listeners:
            listener.leaves(greenlet)
        more = self.places.pop(greenlet, 1) - 1
        super(Members, self)._discard(greenlet)
        for _ in range(more):
            self.world.fired('slots of one that was added twice')
            greenlet.unlink(self._discard)
            self.give_back()
        self.look()

    def give_back(self):
        """Gives one more slot back."""

    def spawn(self, *args, **kwargs):
        if not (getcurrent() in self.feeders or isinstance(getcurrent(), IMapUnordered)):
            return super(Members, self).spawn(*args, **kwargs)
        self.feeding += 1
        self.look()
        try:
            return super(Members, self).spawn(*args, **kwargs)
        finally:
            self.feeding -= 1

    def look(self):
        """Notices that all members wait for mappings of this pool, which wait for slots."""
        stuck = self.greenlets and all(it in self.waiting for it in self.greenlets)
        if stuck and self.feeding and getattr(self, 'size', None) and self._semaphore.counter == 0:
            self.world.cut('nested mapping')

    def join(self, timeout=None, raise_error=False):
        if not raise_error:
            return super(Members, self).join(timeout=timeout)
        listener = Listener(self.greenlets)
        members = list(listener.members)
        self.listeners.append(listener)
        try:
            result = super(Members, self).join(timeout=timeout)
        finally:
            self.listeners.remove(listener)
        first = listener.first()
        if first is not None:
            if sum(greenlet.exception is not None for greenlet in members) > 1:
                self.world.fired('first failure')
            first.get(block=False)
        return result

    def map_async(self, func, iterable, callback=None):
        self.world.fired('one greenlet a mapping')
        progress = Progress(self)
        mapping = Killable.spawn(self._GroupMappingMixin__map, func, iterable, progress)
        mapping.rawlink(progress.ended)
        return mapping

    def _GroupMappingMixin__map(self, func, iterable, progress=None):
        self.feeders.add(getcurrent())
        results, jobs = [], []
        if progress is not None:
            iterable, progress.jobs = progress.ask(iterable), jobs
        for item in iterable:
            jobs.append(self.spawn(func, item))
        try:
            results = self.results(jobs)
        except BaseException as error:
            if progress is not None and any(error in (job.exception, job.value) for job in jobs):
                progress.over = True
            raise
        if progress is not None:
            progress.over = True
        return results

    def results(self, jobs):
        results = []
        for greenlet in jobs:
            value = greenlet.get()
            if isinstance(value, GreenletExit):
                self.world.fired('exit is no value')
                raise value
            results.append(value)
        return results


class Progress(object):
    """The state of a map_async: a killed one stops the members that it has started."""

    def __init__(self, group):
        self.group = group
        self.jobs = []
        self.asking = False
        self.over = False

    def ask(self, iterable):
        numbers = iter(iterable)
        while True:
            self.asking = True
            try:
                item = next(numbers)
            except StopIteration:
                self.asking = False
                return
            self.asking = False
            yield item

    def ended(self, mapping):
        if self.over or self.asking and mapping.exception is not None:
            return
        for job in self.jobs:
            if job in self.group and not job.ready():
                self.group.world.fired('killed mapping')
            self.group.killone(job, block=False)


class Inside(object):
    """A member that waits for a mapping of its own group."""

    def __init__(self, group):
        self.group = group

    def __enter__(self):
        self.group.waiting.append(getcurrent())
        self.group.look()

    def __exit__(self, *_):
        self.group.waiting.remove(getcurrent())


class Group(Members, pool.Group):

    greenlet_class = Killable

    def __init__(self, world):
        super(Group, self).__init__()
        self.listeners = []
        self.feeders = set()
        self.feeding = 0
        self.waiting = []
        self.world = world
        self._empty_event = Event(world)
        self._empty_event.set()
        self.greenlets = Ordered()
        self.places = {}


class Pool(Members, pool.Pool):

    greenlet_class = Killable

    def __init__(self, world, size):
        super(Pool, self).__init__(size)
        self.listeners = []
        self.feeders = set()
        self.feeding = 0
        self.waiting = []
        self.world = world
        self._empty_event = Event(world)
        self._empty_event.set()
        self.greenlets = Ordered()
        self.places = {}

    def free_count(self):
        members = super(Pool, self).free_count()
        slots = members if self.size is None else self._semaphore.counter
        if slots != members:
            self.world.fired('free places are slots')
        return slots

    def discard(self, greenlet):
        if greenlet not in self:
            self.world.fired('discard of a stranger')
            return
        super(Pool, self).discard(greenlet)

    def give_back(self):
        self._semaphore.release()


class Ordered(dict):
    """A set that is iterated in the order in which its members came, where gevent's has no order."""

    def add(self, member):
        self[member] = None

    def discard(self, member):
        self.pop(member, None)


def group_of(world, members):
    group = Group(world)
    if members:
        world.fired('group of greenlets')
    for member in members:
        group.add(member)
    return group


# --- mappings


class Mapping(object):
    """An imap that stays at its end."""

    def __init__(self, world, group, mapping, source, ordered, limited):
        self.world = world
        self.group = group
        self.mapping = mapping
        self.source = source
        self.ordered = ordered
        self.over = False
        self.busy = False
        self.limited = limited
        self.interrupted = False

    def next(self):
        if self.limited and self.interrupted:
            self.world.cut('asked again')
        self.interrupted = True
        try:
            result = self.next_item()
        except BaseException as error:
            self.interrupted = not self.over and not self.world.is_result(error)
            raise
        self.interrupted = False
        return result

    def next_item(self):
        if self.over:
            self.world.fired('end of a mapping')
            raise StopIteration
        try:
            with Inside(self.group):
                return next(self.mapping)
        except StopIteration:
            self.over = True
            raise
        except Exception as error:
            if error is self.source.error:
                self.over = True
                if not self.ordered:
                    self.world.cut('input error last')
            raise


# --- others


def joinall(world, greenlets, raise_error, options):
    ended = []
    if waits_for_none(world, options['count']):
        return ended
    watched = Watched(world, greenlets, options['count'])
    with gevent.iwait(greenlets, **options) as ready:
        for greenlet in ready:
            watched.told(greenlet)
            if raise_error and greenlet.exception is not None:
                world.fired('links of a broken joinall')
                greenlet.get(block=False)
            ended.append(greenlet)
    watched.over(options['timeout'], options['count'])
    return ended


def taken(world, got, again):
    """A wait for an object that can be taken has ended by its limit; here it checks once more."""
    if not got:
        got = again()
        if got:
            world.fired('satisfied wait')
    return got


class Tasks(object):
    """The time at which the tasks of a queue were last all done."""

    def __init__(self, world):
        self.world = world
        self.ends = 0
        self.late = 0

    def look(self, queue):
        if queue.unfinished_tasks == 0:
            self.ends += 1

    def wait(self, queue, timeout):
        open_before, result = queue.unfinished_tasks > 0, False
        self.late += not open_before
        try:
            result = queue.join(timeout)
            return result
        finally:
            if not result and open_before and self.late:
                # Its limit or an exception was first: gevent may have dropped the notification, and with
                # it the late joiners, whatever was put since.
                self.world.cut('late waiter')
            self.late -= not open_before

    def join(self, queue, timeout):
        open_before, ends = queue.unfinished_tasks > 0, self.ends
        result = self.wait(queue, timeout)
        if open_before and self.ends == ends and result:
            self.world.cut('told of an earlier setting')
        if not result and queue.unfinished_tasks == 0:
            self.world.fired('satisfied wait')
            return True
        return result


def fresh(world, step):
    """The time of a step with a timer that gevent starts from the beginning of the loop's iteration."""
    if 't' not in step:
        return None
    world.hub.loop.update_now()
    world.fired('fresh clock')
    return world.time(step['t'])


def resized(world, queue):
    if world.putters[id(queue)] and not queue.full():
        world.cut('resized queue')


class Held(object):
    """A lock around a block; a lock that was released inside the block is not released twice."""

    def __init__(self, world, lock):
        self.world = world
        self.lock = lock

    def __enter__(self):
        self.lock.__enter__()

    def __exit__(self, *error):
        self.world.released(self.lock)
        try:
            self.lock.__exit__(*error)
        except (ValueError, RuntimeError):
            self.world.fired('given back before')


class Idlers(object):
    """The greenlets that wait for an idle loop, served in the order in which they came."""

    def __init__(self, world):
        self.world = world
        self.line = []

    def wait(self):
        hub = self.world.hub
        one = [hub.loop.idle(), Waiter(hub)]
        self.line.append(one)
        one[0].start(self.due, one[0])
        try:
            one[1].get()
        finally:
            if one in self.line:
                self.line.remove(one)
            one[0].stop()
            one[0].close()

    def due(self, watcher):
        """Resumes the first in line, where gevent would resume the one that started the watcher."""
        owner = next((one for one in self.line if one[0] is watcher), None)
        if owner is None:
            return
        first = self.line.pop(0)
        if first is not owner:
            self.world.fired('several idlers')
            first[0], owner[0] = owner[0], first[0]
        first[1].switch(None)


def join_hub(world, timeout):
    """Joins the hub. Without any time, the result depends on the position of the loop."""
    joined = bool(world.hub.join(timeout))
    if timeout == 0:
        world.cut('nothing left')
    return joined


def shut(world, queue, step):
    """True if a queue was shut down in the very iteration in which a limit on it was reached."""
    if not step.get('nowait') and getattr(queue, 'is_shutdown', False):
        world.fired('satisfied wait')
        return True
    return False


def left(world, queue, method):
    """The result of a getter after a shutdown has ended its wait: an item, if one is left."""
    if not queue.qsize():
        return 'ShutDown'
    world.fired('items left at a shutdown')
    return method(block=False)


class Readers(object):
    """Notices a send to an end that was closed while a greenlet read from it: gevent closes it only later."""

    def __init__(self, world):
        self.world = world
        self.reading = [0, 0]
        self.closed = set()

    def close(self, end):
        if self.reading[end]:
            self.closed.add(end)

    def send(self, end):
        if 1 - end in self.closed:
            self.world.cut('close under a reader')


def pending(world, timeout):
    """True if a timeout is pending. In gevent a timeout that is due in this iteration is pending until its turn."""
    if timeout.pending and timeout.timer.pending:
        world.cut('pending until it is thrown')
    return bool(timeout.pending)


def overfull(world, queue):
    """Notices that an item is taken from a queue that holds more than it may while a putter waits."""
    limit = getattr(queue, 'maxsize', None)
    if world.putters[id(queue)] and limit and len(queue) > limit:
        world.cut('overfull queue')
