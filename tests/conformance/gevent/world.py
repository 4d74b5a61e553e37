"""The state of a running program: its objects, its slots, its trace, and the bodies that it runs."""
from gevent import getcurrent, queue, socket
from gevent.greenlet import Greenlet
from gevent.lock import BoundedSemaphore, RLock, Semaphore

import killing
import shims
from actor import Actor
from words import Error, error_word
from gevent import GreenletExit

BUDGET = 400


class Raw(object):
    """A raw greenlet in a slot: it can be killed, and nothing else."""

    def __init__(self, greenlet):
        self.greenlet = greenlet


class World(object):

    def __init__(self, program, tick, hub):
        self.program = program
        self.tick = tick
        self.hub = hub
        self.main = getcurrent()
        self.trace = []
        self.cut_at = None
        self.deviations = {}
        self.greenlets = {}
        self.links = {}
        self.timeouts = {}
        self.mappings = {}
        self.timeouts_made = []
        self.ended = set()
        self.ends = {}
        self.runs = [0] * len(program['bodies'])
        self.errors = 0
        self.steps = 0
        self.over = False
        self.joined = False
        self.everybody = []
        self.putters = {}
        self.idlers = shims.Idlers(self)
        self.killed_by_killall = []
        self.all_mappings = []
        self.thrown = set()
        self.releases = {}
        self.tasks = {}
        self.readers = [shims.Readers(self) for _ in program.get('objects', ())]
        self.things = [self.thing(it) for it in program.get('objects', ())]

    def thing(self, it):
        kind = it['kind']
        if kind == 'event':
            return shims.Event(self)
        if kind == 'result':
            return shims.AsyncResult(self)
        if kind == 'semaphore':
            return Semaphore(it['n'])
        if kind == 'bounded':
            return BoundedSemaphore(it['n'])
        if kind == 'rlock':
            return RLock()
        if kind == 'queue':
            kinds = {'fifo': queue.Queue, 'lifo': queue.LifoQueue, 'priority': queue.PriorityQueue,
                     'simple': queue.SimpleQueue}
            made = kinds[it['order']](it.get('n'), it.get('items', ()))
            self.putters[id(made)] = 0
            self.tasks[id(made)] = shims.Tasks(self)
            return made
        if kind == 'channel':
            made = queue.Channel()
            self.putters[id(made)] = 0
            return made
        if kind == 'group':
            return shims.Group(self)
        if kind == 'pool':
            return shims.Pool(self, it.get('n'))
        if kind == 'pair':
            return socket.socketpair()
        raise ValueError(kind)

    def close(self):
        for thing in self.things:
            if isinstance(thing, tuple):
                for end in thing:
                    end.close()

    # --- the trace

    def note(self, line):
        if not self.over:
            self.trace.append(line)

    def cut(self, name):
        """From here on the trace is not compared: the worlds differ on purpose."""
        if self.cut_at is None and not self.over:
            self.cut_at = len(self.trace)
            self.fired(name)

    def fired(self, name):
        """Counts a deviation."""
        if not self.over and self.cut_at in (None, len(self.trace)):
            self.deviations[name] = self.deviations.get(name, 0) + 1

    def describe_end(self):
        actor = Actor(self, 'end', 0)
        for at in range(len(self.things)):
            self.note('end o%d %s' % (at, actor.op_look({'o': at})))
        slots = max(self.greenlets) + 1 if self.greenlets else 0
        for at in range(slots):
            self.note('end g%d %s' % (at, actor.op_state({'g': at})))

    # --- exceptions

    def exception(self, kind):
        """The exception that a step raises or throws: an instance of the program's own errors, a class of gevent's."""
        if kind == 'exit':
            return GreenletExit
        if kind == 'system':
            return SystemExit(3)
        self.errors += 1
        return Error(kind.upper(), self.errors)

    def input_error(self):
        self.errors += 1
        return Error('A', self.errors)

    def name(self, error):
        number = getattr(error, 'program_number', None)
        if number is not None:
            return 'T%d' % number
        return error_word(error)

    def may_be_returned(self, error):
        self.ended.add(self.name(error))

    def released(self, lock):
        self.releases[id(lock)] = self.releases.get(id(lock), 0) + 1

    def is_result(self, error):
        """True if an error can only be a worker's result: a worker has ended with it, and none was killed with it."""
        name = self.name(error)
        return isinstance(error, Error) and name in self.ended and name not in self.thrown

    def new_timeout(self, timeout):
        timeout.program_number = len(self.timeouts_made)
        self.timeouts_made.append(timeout)

    def handle_error(self, context, kind, error, traceback):
        if error is None:
            error = kind()
        if isinstance(error, GreenletExit):
            # Reported in neither world, though gevent's handler is asked.
            return
        if not isinstance(context, Greenlet) and killing.dead_raw(self, error):
            return
        self.may_be_returned(error)
        self.note('error %s' % self.name(error))
        if issubclass(kind, SystemExit) and not self.over:
            if isinstance(context, Greenlet) and context is not getcurrent():
                self.cut('system exit by kill')
            self.hub.handle_system_error(kind, error, traceback)

    # --- bodies

    def started(self, greenlet):
        self.everybody.append(greenlet)

    def time(self, ticks):
        return None if ticks is None else ticks * self.tick

    def run_body(self, body, argument):
        """Runs a body to its end, in the greenlet that calls it."""
        if self.over:
            return 0
        if body >= len(self.program['bodies']):
            return argument
        me = getcurrent()
        if me is not self.main and me is not self.hub and not isinstance(me, Greenlet):
            self.everybody.append(me)
        run = self.runs[body]
        self.runs[body] += 1
        actor = Actor(self, 'b%d#%d' % (body, run), argument)
        self.note('%s begin %d' % (actor.who, argument))
        try:
            value = actor.block(self.program['bodies'][body], '')
        except BaseException as error:
            self.note('%s end by %s' % (actor.who, self.name(error)))
            self.may_be_returned(error)
            self.ends[me] = error
            raise
        if value is None:
            value = argument
        self.note('%s end %d' % (actor.who, value))
        return value
