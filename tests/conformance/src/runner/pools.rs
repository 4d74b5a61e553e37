//! Steps on groups and pools: members, and functions over inputs.

use std::cell::RefCell;
use std::rc::Rc;

use ramie::pool::PoolFull;
use ramie::{AnyGreenlet, Failure, Group, Mapping, Pool, raise, yield_now};

use super::words::Done;
use super::world::{Actor, Handle, Thing, World, put};
use crate::program::{Kind, Op, Step};

/// The numbers that a mapping is given; raises at one of them, and may yield before each.
struct Input {
    world: Rc<World>,
    at: i64,
    end: i64,
    fail: Option<i64>,
    slow: bool,
}

impl Iterator for Input {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        if self.slow {
            yield_now();
        }
        if self.fail == Some(self.at) {
            self.fail = None;
            let exception = self.world.exception(Kind::A);
            self.world.may_be_returned(&exception);
            self.world.note(format!("input raises {}", self.world.name(&exception)));
            raise(exception);
        }
        if self.at == self.end {
            return None;
        }
        self.at += 1;
        Some(self.at - 1)
    }
}

fn full_word<B>(result: Result<(), PoolFull<B>>) -> Done {
    Done::word(if result.is_ok() { "ok" } else { "PoolFull" })
}

impl Actor<'_> {
    pub(super) fn pool_step(&self, step: &Step) -> Done {
        let world = self.world;
        match step.op {
            Op::Next => return self.next(step),
            Op::GroupOf => return self.group_of(step),
            _ => {}
        }
        match world.thing(step) {
            Some(Thing::Group(group)) => {
                let group = group.borrow().clone();
                self.on_group(step, &group, None)
            }
            Some(Thing::Pool(pool)) => self.on_group(step, pool.as_group(), Some(pool)),
            _ => Done::unset(),
        }
    }

    /// A greenlet that can be a member.
    fn member(&self, step: &Step) -> Option<AnyGreenlet> {
        match self.world.greenlet(step) {
            None | Some(Handle::Raw(_)) => None,
            Some(handle) => Some(handle.any().clone()),
        }
    }

    fn group_of(&self, step: &Step) -> Done {
        let Some(Thing::Group(group)) = self.world.thing(step) else { return Done::unset() };
        let members: Vec<AnyGreenlet> = step
            .gs
            .iter()
            .filter_map(|&at| match self.world.slot(at) {
                None | Some(Handle::Raw(_)) => None,
                Some(handle) => Some(handle.any().clone()),
            })
            .collect();
        *group.borrow_mut() = Group::from_greenlets(members);
        Done::ok()
    }

    fn on_group(&self, step: &Step, group: &Group, pool: Option<&Pool>) -> Done {
        let world = self.world;
        let time = step.t.map(|t| world.time(t));
        match step.op {
            Op::PoolSpawn => {
                world.keep(step, Handle::One(group.spawn(world.body(step.body.unwrap_or(0), 0))))
            }
            Op::PoolStart | Op::PoolAdd => {
                let Some(member) = self.member(step) else { return Done::unset() };
                let adds = step.op == Op::PoolAdd;
                return match (pool, time) {
                    (Some(pool), _) if step.nowait => {
                        full_word(if adds { pool.try_add(&member) } else { pool.try_start(&member) })
                    }
                    (Some(pool), Some(time)) => full_word(if adds {
                        pool.add_timeout(&member, time)
                    } else {
                        pool.start_timeout(&member, time)
                    }),
                    _ => {
                        if adds {
                            group.add(&member);
                        } else {
                            group.start(&member);
                        }
                        Done::ok()
                    }
                };
            }
            Op::Discard => {
                let Some(member) = self.member(step) else { return Done::unset() };
                group.discard(&member);
            }
            Op::PoolJoin => return self.pool_join(step, group),
            Op::PoolKill => return self.pool_kill(step, group),
            Op::Killone => {
                let Some(member) = self.member(step) else { return Done::unset() };
                return self.killone(step, group, &member);
            }
            Op::WaitAvailable => {
                let Some(pool) = pool else {
                    group.wait_available();
                    return Done::ok();
                };
                return Done::value(
                    time.map_or_else(|| pool.wait_available(), |time| pool.wait_available_timeout(time)),
                );
            }
            Op::PoolState => {
                let inside = self.member(step).is_some_and(|member| group.contains(&member));
                let free = pool.map_or_else(String::new, |pool| format!(" free {}", pool.free_count()));
                return Done::word(format!("len {}{free} full {} has {inside}", group.len(), group.full()));
            }
            _ => return self.mapping_step(step, group),
        }
        Done::ok()
    }

    fn pool_join(&self, step: &Step, group: &Group) -> Done {
        let time = step.t.map(|t| self.world.time(t));
        let result = match (step.raising, time) {
            (false, None) => {
                group.join();
                Ok(true)
            }
            (false, Some(time)) => Ok(group.join_timeout(time)),
            (true, None) => group.join_raising(),
            (true, Some(time)) => group.join_raising_timeout(time),
        };
        match result {
            Ok(joined) => Done::flag(joined),
            Err(failure) => self.world.failed(&failure),
        }
    }

    fn pool_kill(&self, step: &Step, group: &Group) -> Done {
        group.kill_with(self.world.kill(step));
        Done::ok()
    }

    fn killone(&self, step: &Step, group: &Group, member: &AnyGreenlet) -> Done {
        group.killone_with(member, self.world.kill(step));
        Done::ok()
    }

    // --- functions over inputs ----------------------------------------------------------------------------------

    fn input(&self, step: &Step) -> Input {
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        Input {
            world: self.world.clone(),
            at: 0,
            end: number(step.n.unwrap_or(0)),
            fail: step.fail.map(number),
            slow: step.slow,
        }
    }

    fn function(&self, step: &Step) -> impl Fn(i64) -> i64 + 'static {
        let (world, body) = (self.world.clone(), step.body.unwrap_or(0));
        move |item| world.run_body(body, item)
    }

    /// Returns the callback for a result.
    fn callback(&self, step: &Step) -> Option<impl FnOnce(i64) + 'static> {
        let (world, body) = (self.world.clone(), step.cb?);
        Some(move |value| {
            world.run_body(body, value);
        })
    }

    fn mapping_step(&self, step: &Step, group: &Group) -> Done {
        let world = self.world;
        let body = || world.body(step.body.unwrap_or(0), 0);
        match step.op {
            Op::Apply => world.result(group.apply(body())),
            Op::ApplyCb => match self.callback(step) {
                Some(callback) => world.result(group.apply_cb(body(), callback)),
                None => world.result(group.apply(body())),
            },
            Op::ApplyAsync => {
                let greenlet = match self.callback(step) {
                    Some(callback) => group.apply_async_cb(body(), callback),
                    None => group.apply_async(body()),
                };
                world.keep(step, Handle::One(greenlet));
                Done::ok()
            }
            Op::Map => world.result(group.map(self.input(step), self.function(step))),
            Op::MapCb => {
                let result: Result<Vec<i64>, Failure> = match self.callback(step) {
                    None => group.map(self.input(step), self.function(step)),
                    Some(callback) => {
                        group.map_cb(self.input(step), self.function(step), |results: &[i64]| {
                            callback(results.iter().sum());
                        })
                    }
                };
                world.result(result)
            }
            Op::MapAsync => {
                let greenlet = group.map_async(self.input(step), self.function(step));
                world.keep(step, Handle::Many(greenlet));
                Done::ok()
            }
            _ => {
                let (input, function) = (self.input(step), self.function(step));
                let ordered = step.op == Op::Imap;
                let mut mapping =
                    if ordered { group.imap(input, function) } else { group.imap_unordered(input, function) };
                if let Some(maxsize) = step.v.and_then(|v| usize::try_from(v).ok()) {
                    mapping = mapping.maxsize(maxsize);
                }
                let mapping = Rc::new(RefCell::new(mapping));
                world.all_mappings.borrow_mut().push(mapping.clone());
                put(&world.mappings, step.l.unwrap_or(0), mapping);
                Done::ok()
            }
        }
    }

    fn next(&self, step: &Step) -> Done {
        let world = self.world;
        let mapping = world.mappings.borrow().get(step.l.unwrap_or(0)).cloned().flatten();
        let Some(mapping) = mapping else { return Done::unset() };
        // Only one at a time can ask.
        let Ok(mut mapping) = mapping.try_borrow_mut() else { return Done::word("busy") };
        let next = match step.t {
            None => Ok(mapping.next()),
            Some(t) => mapping.next_timeout(world.time(t)),
        };
        match next {
            Err(_) => Done::timeout(),
            Ok(None) => Done::word("none"),
            Ok(Some(result)) => world.result(result),
        }
    }
}
