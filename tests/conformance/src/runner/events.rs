//! Steps on events, results and locks.

use ramie::sync::AsyncResult;

use super::words::Done;
use super::world::{Actor, Thing};
use crate::program::{Kind, Op, Step};

impl Actor<'_> {
    pub(super) fn event_step(&self, step: &Step) -> Done {
        let Some(thing) = self.world.thing(step) else { return Done::unset() };
        let time = step.t.map(|t| self.world.time(t));
        match (step.op, thing) {
            (Op::Set, Thing::Event(event)) => event.set(),
            (Op::Clear, Thing::Event(event)) => event.clear(),
            (Op::IsSet, Thing::Event(event)) => return Done::flag(event.is_set()),
            (Op::WaitFor, Thing::Event(event)) => match time {
                None => {
                    event.wait();
                    return Done::flag(true);
                }
                Some(time) => return Done::flag(event.wait_timeout(time)),
            },
            (Op::WaitFor, Thing::Result(result)) => match time {
                None => result.wait(),
                Some(time) => return Done::flag(result.wait_timeout(time)),
            },
            (Op::WaitFor, Thing::Semaphore(semaphore)) => {
                return Done::value(
                    time.map_or_else(|| semaphore.wait(), |time| semaphore.wait_timeout(time)),
                );
            }
            (Op::WaitFor, Thing::Bounded(semaphore)) => {
                return Done::value(
                    time.map_or_else(|| semaphore.wait(), |time| semaphore.wait_timeout(time)),
                );
            }
            (Op::SetResult, Thing::Result(result)) => result.set(step.v.unwrap_or(0)),
            (Op::SetException, Thing::Result(result)) => {
                let exception = self.world.exception(step.exc.unwrap_or(Kind::A));
                self.world.may_be_returned(&exception);
                result.set_exception(exception);
            }
            (Op::GetResult, Thing::Result(result)) => return self.get_result(step, result),
            (Op::Acquire, Thing::Semaphore(semaphore)) => match time {
                _ if step.nowait => return Done::flag(semaphore.try_acquire()),
                Some(time) => return Done::flag(semaphore.acquire_timeout(time)),
                None => {
                    semaphore.acquire();
                    return Done::flag(true);
                }
            },
            (Op::Acquire, Thing::Bounded(semaphore)) => match time {
                _ if step.nowait => return Done::flag(semaphore.try_acquire()),
                Some(time) => return Done::flag(semaphore.acquire_timeout(time)),
                None => {
                    semaphore.acquire();
                    return Done::flag(true);
                }
            },
            (Op::Acquire, Thing::Rlock(lock)) => match time {
                _ if step.nowait => return Done::flag(lock.try_acquire()),
                Some(time) => return Done::flag(lock.acquire_timeout(time)),
                None => {
                    lock.acquire();
                    return Done::flag(true);
                }
            },
            (Op::Release, Thing::Semaphore(semaphore)) => return Done::value(semaphore.release()),
            (Op::Release, Thing::Bounded(semaphore)) => {
                return semaphore.release().map_or_else(|_| Done::word("refused"), Done::value);
            }
            (Op::Release, Thing::Rlock(lock)) => {
                return Done::word(if lock.release().is_ok() { "ok" } else { "refused" });
            }
            _ => return Done::unset(),
        }
        Done::ok()
    }

    fn get_result(&self, step: &Step, result: &AsyncResult<i64>) -> Done {
        match step.t {
            _ if step.nowait => self.world.result_in_time(result.try_get()),
            Some(t) => self.world.result_in_time(result.get_timeout(self.world.time(t))),
            None => self.world.result(result.get()),
        }
    }

    /// All that can be asked of an object without waiting.
    pub(super) fn look(&self, step: &Step) -> Done {
        let Some(thing) = self.world.thing(step) else { return Done::unset() };
        Done::word(match thing {
            Thing::Event(event) => format!("set {}", event.is_set()),
            Thing::Result(result) => {
                let word = if result.ready() {
                    self.world.result_in_time(result.try_get()).word
                } else {
                    "-".into()
                };
                format!("ready {} {word}", result.ready())
            }
            Thing::Semaphore(semaphore) => {
                format!("counter {} links {}", semaphore.counter(), semaphore.linkcount())
            }
            Thing::Bounded(semaphore) => format!("counter {}", semaphore.counter()),
            Thing::Rlock(lock) => format!("locked {}", lock.locked()),
            Thing::Queue(queue) => queue.look(),
            Thing::Channel(channel) => format!("balance {}", channel.balance()),
            Thing::Group(group) => format!("len {}", group.borrow().len()),
            Thing::Pool(pool) => {
                format!("len {} free {} full {}", pool.len(), pool.free_count(), pool.full())
            }
            Thing::Pair(_) => "pair".into(),
        })
    }
}
