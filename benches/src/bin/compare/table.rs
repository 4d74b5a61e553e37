//! What is compared: all workloads, in the order of the table.

use crate::workload::Workload;
use crate::{channels, echo, http, kill, memory, pool, sleepers, spawns, timeouts, yields};

pub(crate) const WORKLOADS: &[Workload] = &[
    yields::YIELD,
    yields::RING,
    yields::PENDING,
    spawns::SPAWN,
    channels::PING_PONG,
    channels::CHANNEL,
    sleepers::SLEEPERS,
    sleepers::SLEEPERS_CPU,
    timeouts::TIMEOUT,
    timeouts::TIMEOUT_YIELD,
    memory::MEMORY,
    pool::POOL,
    pool::POOL_MAP,
    pool::POOL_IMAP_UNORDERED,
    kill::KILL,
    echo::ECHO,
    http::HTTP,
];

pub(crate) fn workload(name: &str) -> Option<&'static Workload> {
    WORKLOADS.iter().find(|workload| workload.name == name)
}
