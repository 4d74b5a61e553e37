//! The subjects of programs: the objects and steps that belong together, and how often each is
//! drawn.

use crate::program::{Object, Op, Order};
use crate::random::Random;

/// A subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Control,
    Greenlets,
    Links,
    Timeouts,
    Events,
    Results,
    Locks,
    Queues,
    Channels,
    Groups,
    Pools,
    Mappings,
    Sockets,
}

const ALL: [Subject; 11] = [
    Subject::Greenlets,
    Subject::Links,
    Subject::Timeouts,
    Subject::Events,
    Subject::Results,
    Subject::Locks,
    Subject::Queues,
    Subject::Channels,
    Subject::Groups,
    Subject::Pools,
    Subject::Mappings,
];

/// Steps that any program has, with their weights.
pub(super) const ALWAYS: &[(Op, usize)] = &[
    (Op::Sleep, 12),
    (Op::Spawn, 8),
    (Op::State, 3),
    (Op::Raise, 4),
    (Op::Return, 3),
    (Op::Try, 8),
    (Op::Look, 2),
];

const CONTROL: &[(Op, usize)] = &[
    (Op::Sleep, 14),
    (Op::Spawn, 8),
    (Op::SpawnRaw, 3),
    (Op::Create, 2),
    (Op::Start, 2),
    (Op::SpawnLater, 3),
    (Op::StartLater, 2),
    (Op::Kill, 6),
    (Op::KillMain, 1),
    (Op::Throw, 1),
    (Op::Get, 3),
    (Op::Join, 4),
    (Op::State, 3),
    (Op::Link, 2),
    (Op::Rawlink, 1),
    (Op::Raise, 4),
    (Op::Return, 3),
    (Op::Try, 8),
    (Op::Scope, 4),
    (Op::Callback, 2),
    (Op::Idle, 1),
    (Op::Wait, 2),
    (Op::Joinall, 1),
    (Op::Killall, 1),
    (Op::HubJoin, 2),
    (Op::With, 1),
    (Op::Look, 1),
];

const GREENLETS: &[(Op, usize)] = &[
    (Op::Spawn, 10),
    (Op::SpawnRaw, 3),
    (Op::Create, 5),
    (Op::Start, 5),
    (Op::SpawnLater, 3),
    (Op::StartLater, 3),
    (Op::Kill, 12),
    (Op::KillMain, 2),
    (Op::Throw, 4),
    (Op::Get, 6),
    (Op::Join, 6),
    (Op::State, 4),
    (Op::Wait, 4),
    (Op::Iwait, 4),
    (Op::Joinall, 5),
    (Op::Killall, 6),
    (Op::HubJoin, 2),
    (Op::With, 4),
    (Op::Try, 8),
    (Op::Raise, 5),
    (Op::Idle, 2),
    (Op::Sleep, 8),
];

const LINKS: &[(Op, usize)] = &[
    (Op::Spawn, 6),
    (Op::Create, 2),
    (Op::Start, 3),
    (Op::Link, 8),
    (Op::LinkValue, 6),
    (Op::LinkException, 6),
    (Op::Rawlink, 8),
    (Op::LinkResult, 3),
    (Op::Unlink, 6),
    (Op::UnlinkAll, 2),
    (Op::Kill, 6),
    (Op::Join, 5),
    (Op::Get, 3),
    (Op::Callback, 4),
    (Op::Sleep, 5),
];

const TIMEOUTS: &[(Op, usize)] = &[
    (Op::Scope, 14),
    (Op::TimeoutStart, 8),
    (Op::TimeoutCancel, 5),
    (Op::TimeoutPending, 4),
    (Op::Sleep, 8),
    (Op::Idle, 3),
    (Op::Join, 5),
    (Op::Get, 4),
    (Op::Kill, 5),
    (Op::Wait, 4),
    (Op::Try, 8),
];

const EVENTS: &[(Op, usize)] = &[
    (Op::Set, 12),
    (Op::Clear, 6),
    (Op::IsSet, 4),
    (Op::WaitFor, 20),
    (Op::Wait, 4),
    (Op::Iwait, 4),
    (Op::Kill, 6),
    (Op::Look, 1),
];

const RESULTS: &[(Op, usize)] = &[
    (Op::SetResult, 8),
    (Op::SetException, 5),
    (Op::GetResult, 14),
    (Op::WaitFor, 8),
    (Op::LinkResult, 8),
    (Op::Spawn, 5),
    (Op::Wait, 3),
    (Op::Iwait, 2),
    (Op::Kill, 5),
    (Op::Look, 1),
];

const LOCKS: &[(Op, usize)] = &[
    (Op::Acquire, 16),
    (Op::Release, 14),
    (Op::WithLock, 8),
    (Op::WaitFor, 6),
    (Op::Wait, 3),
    (Op::Iwait, 3),
    (Op::Kill, 6),
    (Op::Look, 2),
];

const QUEUES: &[(Op, usize)] = &[
    (Op::Put, 20),
    (Op::Take, 18),
    (Op::Peek, 5),
    (Op::TaskDone, 6),
    (Op::JoinQueue, 5),
    (Op::Shutdown, 3),
    (Op::Resize, 4),
    (Op::Kill, 6),
    (Op::Look, 2),
];

const CHANNELS: &[(Op, usize)] = &[(Op::Put, 18), (Op::Take, 18), (Op::Kill, 6), (Op::Look, 2)];

const GROUPS: &[(Op, usize)] = &[
    (Op::PoolSpawn, 16),
    (Op::PoolStart, 6),
    (Op::PoolAdd, 6),
    (Op::Discard, 4),
    (Op::PoolJoin, 10),
    (Op::PoolKill, 8),
    (Op::Killone, 6),
    (Op::WaitAvailable, 2),
    (Op::PoolState, 4),
    (Op::GroupOf, 3),
    (Op::Apply, 5),
    (Op::ApplyAsync, 5),
    (Op::ApplyCb, 3),
    (Op::Create, 6),
    (Op::Kill, 4),
    (Op::Link, 2),
];

const POOLS: &[(Op, usize)] = &[
    (Op::PoolSpawn, 16),
    (Op::PoolStart, 7),
    (Op::PoolAdd, 7),
    (Op::Discard, 4),
    (Op::PoolJoin, 10),
    (Op::PoolKill, 8),
    (Op::Killone, 6),
    (Op::WaitAvailable, 6),
    (Op::PoolState, 4),
    (Op::Apply, 7),
    (Op::ApplyAsync, 8),
    (Op::ApplyCb, 4),
    (Op::Create, 8),
    (Op::Kill, 4),
    (Op::Link, 2),
];

const MAPPINGS: &[(Op, usize)] = &[
    (Op::Map, 10),
    (Op::MapAsync, 8),
    (Op::MapCb, 7),
    (Op::Imap, 10),
    (Op::ImapUnordered, 10),
    (Op::Next, 26),
    (Op::PoolJoin, 3),
    (Op::PoolKill, 4),
    (Op::PoolSpawn, 3),
    (Op::Kill, 2),
    (Op::Get, 3),
];

const SOCKETS: &[(Op, usize)] =
    &[(Op::Send, 12), (Op::Recv, 20), (Op::Close, 3), (Op::Kill, 4), (Op::Sleep, 6)];

impl Subject {
    pub(super) fn any(random: &mut Random) -> Self {
        random.pick(&ALL).unwrap_or(Subject::Greenlets)
    }

    pub(super) fn ops(self) -> &'static [(Op, usize)] {
        match self {
            Subject::Control => CONTROL,
            Subject::Greenlets => GREENLETS,
            Subject::Links => LINKS,
            Subject::Timeouts => TIMEOUTS,
            Subject::Events => EVENTS,
            Subject::Results => RESULTS,
            Subject::Locks => LOCKS,
            Subject::Queues => QUEUES,
            Subject::Channels => CHANNELS,
            Subject::Groups => GROUPS,
            Subject::Pools => POOLS,
            Subject::Mappings => MAPPINGS,
            Subject::Sockets => SOCKETS,
        }
    }

    /// An object to be about.
    pub(super) fn object(self, random: &mut Random) -> Option<Object> {
        match self {
            Subject::Control | Subject::Greenlets | Subject::Timeouts => None,
            Subject::Events => Some(Object::Event),
            Subject::Links | Subject::Results => Some(Object::Result),
            Subject::Locks => Some(match random.below(5) {
                0..3 => Object::Semaphore { n: random.below(3) },
                3 => Object::Bounded { n: 1 + random.below(2) },
                _ => Object::Rlock,
            }),
            Subject::Queues => {
                let orders = [Order::Fifo, Order::Fifo, Order::Lifo, Order::Priority, Order::Simple];
                let order = random.pick(&orders)?;
                let n = random.chance(70).then(|| 1 + random.below(2));
                let items = if order != Order::Simple && random.chance(30) { vec![3, 1] } else { Vec::new() };
                Some(Object::Queue { order, n, items })
            }
            Subject::Channels => Some(Object::Channel),
            Subject::Groups => Some(Object::Group),
            Subject::Pools => Some(Object::Pool { n: random.chance(85).then(|| random.below(4)) }),
            Subject::Mappings => Some(if random.chance(40) {
                Object::Group
            } else {
                Object::Pool { n: Some(1 + random.below(3)) }
            }),
            Subject::Sockets => Some(Object::Pair),
        }
    }
}
