//! What is compared: all workloads, in the order of the table.

use crate::workload::Workload;
use crate::{channels, echo, http, kill, memory, pool, sleepers, spawns, timeouts, yields};

pub(crate) const WORKLOADS: &[Workload] = &[
    yields::YIELD,
    yields::RING,
    yields::PENDING,
    spawns::SPAWN,
    channels::PING_PONG,
    channels::THROUGHPUT,
    sleepers::SLEEPERS,
    timeouts::TIMEOUT,
    memory::MEMORY,
    pool::POOL,
    kill::KILL,
    echo::ECHO,
    http::HTTP,
];

pub(crate) fn workload(name: &str) -> Option<&'static Workload> {
    WORKLOADS.iter().find(|workload| workload.name == name)
}
