"""Kills as ramie has them: applied to gevent's greenlets, with the names of `deviations.json`."""
from gevent import getcurrent, pool
from gevent.greenlet import Greenlet


class Killable(Greenlet):
    """A greenlet that no kill reaches once it has its result: its death by a SystemExit continues."""

    world = None

    def throw(self, *error):
        world = self.world
        dies = self.ready() and not self.dead and getcurrent() is not self
        if world is None or world.over or not dies:
            super(Killable, self).throw(*error)
            return
        if self in world.killed_by_killall:
            # gevent then joins it, which takes a turn.
            world.cut('kill of one that dies')
        else:
            world.fired('kill of one that dies')


pool.Greenlet = Killable


def dead_raw(world, error):
    """True if an error is that of a kill which found a raw greenlet dead: it does nothing here."""
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


def killed_together(world, greenlets):
    """The greenlets that killall takes for living: no dead raw greenlet, none that has its result."""
    if len(set(greenlets)) < len(greenlets):
        world.cut('killed twice at once')
    living = [it for it in greenlets if isinstance(it, Greenlet) or not it.dead]
    if len(living) < len(greenlets):
        world.fired('dead raw greenlets')
    dying = [it for it in living if isinstance(it, Greenlet) and it.ready() and not it.dead]
    if dying:
        world.fired('kill of one that dies')
    return [it for it in living if it not in dying]


def kills_itself_again(world, group, step):
    """A member that its group has killed before kills the group: gevent has it wait for itself."""
    if not step.get('nowait') and getcurrent() in group.dying:
        world.cut('kill of oneself again')
