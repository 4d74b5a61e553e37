//! Steps on greenlets: starting, killing, asking, linking, and waiting for several.

use std::rc::Rc;

use ramie::hub::spawn_raw;
use ramie::{
    AnyGreenlet, Greenlet, JoinOptions, Kill, TimedOut, Waitable, get_hub, iwait, joinall_with, killall_with,
    spawn, spawn_later,
};

use super::words::Done;
use super::world::{Actor, Handle, Thing, put};
use crate::program::{Op, Step};

impl Actor<'_> {
    pub(super) fn greenlet_step(&self, step: &Step) -> Done {
        let world = self.world;
        let body = || world.body(step.body.unwrap_or(0), 0);
        let after = || world.time(step.t.unwrap_or(0));
        match step.op {
            Op::Spawn => world.keep(step, Handle::One(spawn(body()))),
            Op::Create => world.keep(step, Handle::One(Greenlet::new(body()))),
            Op::SpawnLater => world.keep(step, Handle::One(spawn_later(after(), body()))),
            Op::SpawnRaw => {
                let body = body();
                let raw = spawn_raw(move || {
                    body();
                });
                world.keep(step, Handle::Raw(raw));
            }
            Op::KillMain => {
                let error = world.exception(step.exc.unwrap_or(crate::program::Kind::A));
                world.main.kill_with(Kill::new(error).nowait());
            }
            Op::Wait => return self.wait(step),
            Op::Joinall => return self.joinall(step),
            Op::Killall => return self.killall(step),
            Op::HubJoin => return self.hub_join(step),
            Op::State => return self.state(step),
            _ => {
                let Some(handle) = world.greenlet(step) else { return Done::unset() };
                if let Handle::Raw(raw) = &handle {
                    return self.raw_step(step, raw);
                }
                return self.step_on(step, &handle);
            }
        }
        Done::ok()
    }

    /// A raw greenlet can be killed, and nothing else.
    fn raw_step(&self, step: &Step, raw: &AnyGreenlet) -> Done {
        if step.op != Op::Kill {
            return Done::unset();
        }
        raw.kill_with(self.world.kill(step).nowait());
        Done::ok()
    }

    fn step_on(&self, step: &Step, handle: &Handle) -> Done {
        let world = self.world;
        let greenlet = handle.any();
        let link = |id| put(&world.links, step.l.unwrap_or(0), (greenlet.clone(), id));
        let (other, body) = (world.clone(), step.body.unwrap_or(0));
        let run = move |_: &AnyGreenlet| {
            other.run_body(body, 0);
        };
        match step.op {
            Op::Start => greenlet.start(),
            Op::StartLater => greenlet.start_later(world.time(step.t.unwrap_or(0))),
            Op::Kill => return self.kill(step, greenlet),
            Op::Throw => greenlet.throw(world.exception(step.exc.unwrap_or(crate::program::Kind::Exit))),
            Op::Get => {
                return match handle {
                    Handle::Many(many) => self.get(step, many),
                    Handle::One(one) => self.get(step, one),
                    Handle::Raw(_) => Done::unset(),
                };
            }
            Op::Join => match step.t {
                None => greenlet.join(),
                Some(t) => return Done::flag(greenlet.join_timeout(world.time(t))),
            },
            Op::Link => link(greenlet.link(run)),
            Op::LinkValue => link(greenlet.link_value(run)),
            Op::LinkException => link(greenlet.link_exception(run)),
            Op::Rawlink => link(greenlet.rawlink(run)),
            Op::LinkResult => match (handle, world.thing(step)) {
                (Handle::One(one), Some(Thing::Result(result))) => link(one.link(result.link_target())),
                _ => return Done::unset(),
            },
            Op::Unlink => {
                let linked = world.links.borrow().get(step.l.unwrap_or(0)).cloned().flatten();
                match linked {
                    Some((of, id)) => of.unlink(id),
                    None => return Done::unset(),
                }
            }
            _ => greenlet.unlink_all(),
        }
        Done::ok()
    }

    fn get<T: Clone + std::fmt::Debug + 'static>(&self, step: &Step, greenlet: &Greenlet<T>) -> Done {
        match step.t {
            _ if step.nowait => self.world.result_in_time(greenlet.try_get()),
            Some(t) => self.world.result_in_time(greenlet.get_timeout(self.world.time(t))),
            None => self.world.result(greenlet.get()),
        }
    }

    fn kill(&self, step: &Step, greenlet: &AnyGreenlet) -> Done {
        let ended = greenlet.kill_with(self.world.kill(step));
        if !step.nowait && step.t.is_some() {
            return Done::flag(ended);
        }
        Done::ok()
    }

    pub(super) fn state(&self, step: &Step) -> Done {
        let handle = match self.world.greenlet(step) {
            None | Some(Handle::Raw(_)) => return Done::unset(),
            Some(handle) => handle,
        };
        let greenlet = handle.any();
        let value = if !greenlet.ready() {
            "-".into()
        } else {
            match &handle {
                Handle::Many(many) => self.world.result(many.get()).word,
                Handle::One(one) => self.world.result(one.get()).word,
                Handle::Raw(_) => String::new(),
            }
        };
        let flag = |name, flag| if flag { name } else { "-" };
        let flags = [
            flag("started", greenlet.started()),
            flag("ready", greenlet.ready()),
            flag("dead", greenlet.dead()),
            flag("successful", greenlet.successful()),
        ];
        Done::word(format!("{} {value}", flags.join(" ")))
    }

    // --- several at once ----------------------------------------------------------------------------------------

    /// The objects that a step waits for, and their names in the trace.
    pub(super) fn waitables(&self, step: &Step) -> (Vec<Rc<dyn Waitable>>, Vec<String>) {
        let mut objects: Vec<Rc<dyn Waitable>> = Vec::new();
        let mut names = Vec::new();
        for &at in &step.gs {
            match self.world.slot(at) {
                Some(Handle::One(one)) => objects.push(Rc::new(one)),
                Some(Handle::Many(many)) => objects.push(Rc::new(many)),
                _ => continue,
            }
            names.push(format!("g{at}"));
        }
        for &at in &step.os {
            match self.world.things.get(at) {
                Some(Thing::Event(event)) => objects.push(Rc::new(event.clone())),
                Some(Thing::Result(result)) => objects.push(Rc::new(result.clone())),
                Some(Thing::Semaphore(semaphore)) => objects.push(Rc::new(semaphore.clone())),
                Some(Thing::Bounded(semaphore)) => objects.push(Rc::new(semaphore.clone())),
                _ => continue,
            }
            names.push(format!("o{at}"));
        }
        (objects, names)
    }

    fn wait(&self, step: &Step) -> Done {
        let (objects, names) = self.waitables(step);
        let mut iter = iwait(&objects);
        if let Some(t) = step.t {
            iter = iter.timeout(self.world.time(t));
        }
        let mut ready = Vec::new();
        while ready.len() < step.n.unwrap_or(usize::MAX) && iter.next().is_some() {
            ready.push(names[iter.last_index().expect("it has just given one")].clone());
        }
        Done::word(ready.join(","))
    }

    fn several(&self, step: &Step, raw: bool) -> Vec<(String, Handle)> {
        let slots = step.gs.iter().filter_map(|&at| Some((format!("g{at}"), self.world.slot(at)?)));
        slots.filter(|(_, handle)| raw || !matches!(handle, Handle::Raw(_))).collect()
    }

    fn joinall(&self, step: &Step) -> Done {
        let several = self.several(step, false);
        let greenlets: Vec<AnyGreenlet> = several.iter().map(|(_, handle)| handle.any().clone()).collect();
        let options = JoinOptions {
            timeout: step.t.map(|t| self.world.time(t)).into(),
            count: step.n,
            raise_error: step.raising,
        };
        match joinall_with(&greenlets, options) {
            Err(failure) => self.world.failed(&failure),
            Ok(ended) => {
                let name = |ended: &AnyGreenlet| {
                    let at = greenlets.iter().position(|greenlet| std::ptr::eq(greenlet, ended));
                    at.map_or("?", |at| several[at].0.as_str())
                };
                Done::word(ended.into_iter().map(name).collect::<Vec<_>>().join(","))
            }
        }
    }

    fn killall(&self, step: &Step) -> Done {
        let greenlets: Vec<AnyGreenlet> =
            self.several(step, true).iter().map(|(_, handle)| handle.any().clone()).collect();
        match killall_with(&greenlets, self.world.kill(step)) {
            Ok(()) => Done::ok(),
            Err(TimedOut) => Done::timeout(),
        }
    }

    fn hub_join(&self, step: &Step) -> Done {
        if !ramie::getcurrent().is_main() || get_hub().in_callback() {
            return Done::unset();
        }
        match step.t {
            None => {
                get_hub().join();
                Done::flag(true)
            }
            Some(t) => Done::flag(get_hub().join_timeout(self.world.time(t))),
        }
    }
}
