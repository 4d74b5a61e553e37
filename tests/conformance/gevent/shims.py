"""Where ramie departs from gevent on purpose: each departure is applied to gevent here, as narrowly as it goes.

Every name that is counted here has its entry in `deviations.json`, which says what it is and why. `fired` counts a
departure that was applied and goes on comparing; `cut` ends the comparison of the program at that point.
"""
import gevent
from gevent import GreenletExit, Timeout, event, getcurrent, pool
from gevent.greenlet import Greenlet
from greenlet import settrace

from words import InputError


class Switches(object):
    """Counts how often this thread has gone from one greenlet to another."""

    count = 0

    def __call__(self, event, args):
        self.count += 1


SWITCHES = Switches()
settrace(SWITCHES)


def switches():
    return SWITCHES.count


# --- a waiter on a set event wakes


class Late(object):
    """Keeps the pass over an object that somebody late waits for, when its last link is removed."""

    def __init__(self, world):
        super(Late, self).__init__()
        self.world = world
        self.late = 0
        self.served = False
        self.sets = 0

    def all_served(self):
        self.served = False

    def unlink(self, callback):
        links = self.linkcount()
        if not (self.late and links == 1 and self.ready()):
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
                    self.world.hub.loop.run_callback(self.all_served)
        sets = self.sets
        result = super(Late, self).wait(timeout)
        if not result and self.ready():
            if timeout is not None:
                self.world.fired('satisfied wait')
            return True
        if result and self.sets == sets:
            # Told of a setting that was over before it came.
            self.world.cut('told of an earlier setting')
        return result


def ignore(_):
    pass


class Event(Late, event.Event):
    eager = 0

    def clear(self):
        if self.eager and self.is_set():
            self.world.cut('linked while it was set')
        super(Event, self).clear()

    def set(self):
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
    """Notices what a wait for several was told on too little, or what it missed."""

    def __init__(self, world, objects, count):
        self.world = world
        self.objects = objects
        if count == 0:
            world.cut('wait for none')
        for it in objects:
            links_mapping(world, it)
        self.sets = {id(it): it.sets for it in objects if isinstance(it, Event) and not it.ready()}
        self.left = list(objects)
        self.eager = [it for it in objects if isinstance(it, Event) and it.ready()]
        for it in self.eager:
            it.eager += 1

    def told(self, one):
        if one in self.eager:
            self.eager.remove(one)
            one.eager -= 1
        if id(one) in self.sets and self.sets[id(one)] == one.sets:
            self.world.cut('told of an earlier setting')
        if one in self.left:
            self.left.remove(one)

    def over(self, timeout, count):
        """The wait has ended: if by its limit, then nothing may be ready."""
        for it in self.eager:
            it.eager -= 1
        served = len(self.objects) - len(self.left)
        if timeout is not None and served < (len(self.objects) if count is None else count):
            if any(one.ready() for one in self.left):
                self.world.cut('satisfied wait')


# --- groups and pools


def first_failure(world, greenlets):
    """The first of them in time that has failed."""
    failed = [greenlet for greenlet in greenlets if greenlet.exception is not None]
    return min(failed, key=lambda greenlet: world.deaths.get(greenlet, len(world.deaths)), default=None)


class Members(object):

    def add(self, greenlet, *args, **kwargs):
        super(Members, self).add(greenlet, *args, **kwargs)
        self.places[greenlet] = self.places.get(greenlet, 0) + 1

    def _discard(self, greenlet):
        if self.places.get(greenlet, 0) > 1:
            self.world.cut('slots of one that was added twice')
        super(Members, self)._discard(greenlet)
        self.places[greenlet] = 0

    def join(self, timeout=None, raise_error=False):
        members = list(self.greenlets) if raise_error else ()
        result = super(Members, self).join(timeout=timeout)
        first = first_failure(self.world, members)
        if first is not None:
            if sum(greenlet.exception is not None for greenlet in members) > 1:
                self.world.fired('first failure')
            first.get(block=False)
        return result

    def map_async(self, func, iterable, callback=None):
        self.world.fired('one greenlet a mapping')
        return Greenlet.spawn(self._GroupMappingMixin__map, func, iterable)

    def _GroupMappingMixin__map(self, func, iterable):
        results = []
        for greenlet in [self.spawn(func, item) for item in iterable]:
            value = greenlet.get()
            if isinstance(value, GreenletExit):
                self.world.fired('exit is no value')
                raise value
            results.append(value)
        return results


class Group(Members, pool.Group):

    def __init__(self, world):
        super(Group, self).__init__()
        self.world = world
        self._empty_event = Event(world)
        self._empty_event.set()
        self.greenlets = Ordered()
        self.places = {}


class Pool(Members, pool.Pool):

    def __init__(self, world, size):
        super(Pool, self).__init__(size)
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
    """An imap that ends for good."""

    def __init__(self, world, mapping, ordered, limited):
        self.world = world
        self.mapping = mapping
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
            self.interrupted = self.world.name(error) not in self.world.ended and not self.over
            raise
        self.interrupted = False
        return result

    def next_item(self):
        if self.over:
            self.world.fired('end of a mapping')
            raise StopIteration
        try:
            return next(self.mapping)
        except StopIteration:
            self.over = True
            raise
        except InputError:
            self.over = True
            if not self.ordered:
                self.world.cut('input error last')
            raise


def dropped(world, mapping):
    """A mapping that nobody can ask any more: here it is stopped."""
    if not mapping.over:
        world.cut('dropped mapping')


def kill_of_mapping(world, greenlet):
    if getattr(greenlet, 'maps', False) and not greenlet.ready():
        world.cut('killed mapping')


# --- others


def dead_raw(world, error):
    """Whether an error is that of a kill which found a raw greenlet dead: nothing happens to it here."""
    raw = getattr(error, 'thrown_into', None)
    if raw is not None and world.ends.get(raw) is not error:
        world.fired('kill of a dead raw greenlet')
        return True
    return False


def throw(world, greenlet, error):
    me = getcurrent()
    runs = bool(greenlet) and not greenlet.ready() and greenlet.gr_frame is not None
    if runs and me is not world.hub and greenlet is not me:
        world.cut('throw')
        greenlet.kill(error, block=False)
        return
    greenlet.throw(error)


def joinall(world, greenlets, raise_error, options):
    ended = []
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
    """A wait for what can be taken has ended by its limit; here it has another look."""
    if not got:
        got = again()
        if got:
            world.fired('satisfied wait')
    return got


class Tasks(object):
    """When the tasks of a queue were last all done."""

    def __init__(self, world):
        self.world = world
        self.ends = 0

    def look(self, queue):
        if queue.unfinished_tasks == 0:
            self.ends += 1

    def join(self, queue, timeout):
        open_before, ends = queue.unfinished_tasks > 0, self.ends
        result = queue.join(timeout)
        if open_before and self.ends == ends and result:
            self.world.cut('told of an earlier setting')
        if not result and queue.unfinished_tasks == 0:
            self.world.fired('satisfied wait')
            return True
        return result


def fresh(world, step):
    """The time of a step whose timer gevent would start from the beginning of the loop's iteration."""
    if 't' not in step:
        return None
    world.hub.loop.update_now()
    world.fired('fresh clock')
    return world.time(step['t'])


def resized(world, queue):
    if world.putters[id(queue)] and not queue.full():
        world.cut('resized queue')


class Held(object):
    """A lock around a block; one that was given back meanwhile is not given back twice."""

    def __init__(self, world, lock):
        self.world = world
        self.lock = lock

    def __enter__(self):
        self.lock.__enter__()

    def __exit__(self, *error):
        try:
            self.lock.__exit__(*error)
        except (ValueError, RuntimeError):
            self.world.fired('given back before')


class Idling(object):
    """Notices that several wait for an idle loop: gevent serves them in the reverse of their order."""

    def __init__(self, world):
        self.world = world

    def __enter__(self):
        self.world.idlers += 1
        if self.world.idlers > 1:
            self.world.cut('several idlers')

    def __exit__(self, *_):
        self.world.idlers -= 1


def join_hub(world, timeout):
    """Joins the hub. Without any time, whether it was over first depends on where the loop is."""
    joined = bool(world.hub.join(timeout))
    if timeout == 0:
        world.cut('nothing left')
    return joined


def shut(world, queue, step):
    """Whether a queue was shut down in the very iteration in which a limit on it was reached."""
    if not step.get('nowait') and getattr(queue, 'is_shutdown', False):
        world.fired('satisfied wait')
        return True
    return False


def dies(world, greenlet):
    """Notices a kill of a greenlet whose death by a SystemExit has main go first."""
    if isinstance(greenlet, Greenlet) and greenlet.ready() and not greenlet.dead and greenlet is not getcurrent():
        world.cut('kill of one that dies')


class Readers(object):
    """Notices a send to an end that was closed while somebody read there: gevent closes it only later."""

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


def killed_together(world, greenlets):
    """For killall, a raw greenlet that is dead is none, as any other is."""
    if len(set(greenlets)) < len(greenlets):
        world.cut('killed twice at once')
    for it in greenlets:
        dies(world, it)
    living = [it for it in greenlets if isinstance(it, Greenlet) or not it.dead]
    if len(living) < len(greenlets):
        world.fired('dead raw greenlets')
    return living


def kills_itself_again(world, group, step):
    """A member that its group has killed before kills the group: gevent has it wait for itself."""
    for greenlet in group:
        dies(world, greenlet)
    if not step.get('nowait') and getcurrent() in group.dying:
        world.cut('kill of oneself again')


def pending(world, timeout):
    """Whether a timeout is pending. One that is due in this iteration is so in gevent until its turn comes."""
    if timeout.pending and timeout.timer.pending:
        world.cut('pending until it is thrown')
    return bool(timeout.pending)


def in_the_window(world, error):
    """Whether an error was thrown into a greenlet whose death by a SystemExit has main go first."""
    target = getattr(error, 'killed', None)
    if target is not None and target.ready() and isinstance(target.exception, SystemExit):
        world.cut('kill of one that dies')


def overfull(world, queue):
    """Notices that an item is taken from a queue that holds more than it may while somebody waits to put."""
    limit = getattr(queue, 'maxsize', None)
    if world.putters[id(queue)] and limit and len(queue) > limit:
        world.cut('overfull queue')


def links_mapping(world, greenlet):
    """Notices a link on a mapping that has ended: here its own link may have queued a pass already."""
    if getattr(greenlet, 'maps', False) and greenlet.ready():
        world.cut('link on a mapping that has ended')
