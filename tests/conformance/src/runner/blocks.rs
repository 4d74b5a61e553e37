//! Steps that have steps inside them, and those that only let time pass.

use ramie::hub::idle;
use ramie::{Timeout, get_hub, iwait, raise, sleep};

use super::words::{Done, Error, attempt};
use super::world::{Actor, Handle, Thing, put};
use crate::program::{Catch, Step};

impl Actor<'_> {
    /// Runs a block in a place of its own.
    fn inside(&self, place: &'static str, steps: &[Step], path: &str) -> Option<i64> {
        let before = self.place.replace(place);
        let result = attempt(|| self.block(steps, path));
        self.place.set(before);
        result.unwrap_or_else(|exception| raise(exception))
    }

    pub(super) fn try_block(&self, step: &Step, path: &str) -> Option<i64> {
        let result = attempt(|| {
            let tried = attempt(|| self.block(&step.steps, &format!("{path}.")));
            match tried {
                Err(exception)
                    if !self.world.over.get()
                        && step.catch.is_some_and(|it| self.catches(it, &exception)) =>
                {
                    self.say(step, path, &format!("caught {}", self.world.name(&exception)));
                    self.inside("in handler", &step.handler, &format!("{path}h"))
                }
                other => other.unwrap_or_else(|exception| raise(exception)),
            }
        });
        if !self.world.over.get() && !step.finally.is_empty() {
            let place = if result.is_err() { "in clean-up" } else { self.place.get() };
            let ended = self.inside(place, &step.finally, &format!("{path}f"));
            if ended.is_some() {
                return ended;
            }
        }
        result.unwrap_or_else(|exception| raise(exception))
    }

    fn catches(&self, catch: Catch, exception: &ramie::Exception) -> bool {
        match catch {
            Catch::A => exception.downcast_ref::<Error>().is_some_and(|error| error.kind == 'A'),
            Catch::B => exception.downcast_ref::<Error>().is_some_and(|error| error.kind == 'B'),
            Catch::Exit => exception.is::<ramie::GreenletExit>(),
            Catch::Timeout => exception.is::<Timeout>(),
            Catch::LoopExit => exception.is::<ramie::LoopExit>(),
            Catch::Any => true,
        }
    }

    fn timeout(&self, step: &Step) -> Timeout {
        let timeout = Timeout::maybe(step.t.map(|t| self.world.time(t)));
        let timeout = if step.silent { timeout.silent() } else { timeout };
        match step.exc {
            None => timeout,
            Some(kind) => timeout.exception(self.world.exception(kind)),
        }
    }

    pub(super) fn scope(&self, step: &Step, path: &str) -> Option<i64> {
        let timeout = self.timeout(step);
        self.world.new_timeout(&timeout);
        let result = attempt(|| timeout.scope(|| self.inside("in scope", &step.steps, &format!("{path}."))));
        match result {
            Ok(Ok(value)) => {
                self.say(step, path, "ok");
                value
            }
            Ok(Err(_)) => {
                self.say(step, path, "timeout");
                None
            }
            Err(exception) => {
                self.say(step, path, &format!("raised {}", self.world.name(&exception)));
                raise(exception)
            }
        }
    }

    pub(super) fn with(&self, step: &Step, path: &str) -> Option<i64> {
        let handle = match self.world.greenlet(step) {
            Some(handle @ (Handle::One(_) | Handle::Many(_))) => handle,
            _ => {
                self.say(step, path, "unset");
                return None;
            }
        };
        self.leave(
            step,
            path,
            attempt(|| handle.any().scope(|_| self.block(&step.steps, &format!("{path}.")))),
        )
    }

    pub(super) fn with_lock(&self, step: &Step, path: &str) -> Option<i64> {
        let steps = || {
            self.say(step, path, "entered");
            self.block(&step.steps, &format!("{path}."))
        };
        let result = match self.world.thing(step) {
            Some(Thing::Semaphore(semaphore)) => attempt(|| semaphore.with(steps)),
            Some(Thing::Bounded(semaphore)) => attempt(|| semaphore.with(steps)),
            Some(Thing::Rlock(lock)) => attempt(|| {
                let _held = lock.lock();
                steps()
            }),
            _ => {
                self.say(step, path, "unset");
                return None;
            }
        };
        self.leave(step, path, result)
    }

    /// Says how a block was left.
    fn leave(&self, step: &Step, path: &str, result: Result<Option<i64>, ramie::Exception>) -> Option<i64> {
        match result {
            Ok(value) => {
                self.say(step, path, "left");
                value
            }
            Err(exception) => {
                self.say(step, path, &format!("raised {}", self.world.name(&exception)));
                raise(exception)
            }
        }
    }

    pub(super) fn iwait(&self, step: &Step, path: &str) -> Option<i64> {
        let (objects, names) = self.waitables(step);
        let iteration = || {
            let mut iter = iwait(&objects);
            if let Some(t) = step.t {
                iter = iter.timeout(self.world.time(t));
            }
            let mut left = step.n.unwrap_or(usize::MAX);
            let mut breaks = step.v;
            while left > 0 && iter.next().is_some() {
                left -= 1;
                let at = iter.last_index().expect("it has just given one");
                self.say(step, path, &names[at]);
                let value = self.block(&step.steps, &format!("{path}."));
                if value.is_some() {
                    return value;
                }
                breaks = breaks.map(|breaks| breaks - 1);
                if breaks.is_some_and(|breaks| breaks <= 0) {
                    break;
                }
            }
            None
        };
        self.leave(step, path, attempt(iteration))
    }

    pub(super) fn control_step(&self, step: &Step) -> Done {
        use crate::program::Op;
        let at = step.l.unwrap_or(0);
        let timeout = || self.world.timeouts.borrow().get(at).cloned().flatten();
        match step.op {
            Op::Sleep => sleep(self.world.time(step.t.unwrap_or(0))),
            Op::Idle => idle(),
            Op::Callback => {
                let world = self.world.clone();
                let body = step.body.unwrap_or(0);
                get_hub().run_callback(move || {
                    world.run_body(body, 0);
                });
            }
            Op::TimeoutStart => {
                let timeout = self.timeout(step);
                self.world.new_timeout(&timeout);
                timeout.start();
                put(&self.world.timeouts, at, timeout);
            }
            Op::TimeoutCancel => match timeout() {
                Some(timeout) => timeout.cancel(),
                None => return Done::unset(),
            },
            _ => return timeout().map_or_else(Done::unset, |timeout| Done::flag(timeout.pending())),
        }
        Done::ok()
    }
}
