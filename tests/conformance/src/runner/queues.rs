//! Steps on queues and channels.

use ramie::queue::{Channel, Order, Queue, SimpleQueue, TryGetError, TryPutError};

use super::words::Done;
use super::world::{Actor, AnyQueue, Thing};
use crate::program::{Op, Step};

fn put_word<T>(result: Result<(), TryPutError<T>>) -> Done {
    Done::word(match result {
        Ok(()) => "ok",
        Err(TryPutError::Full(_)) => "Full",
        Err(TryPutError::ShutDown(_)) => "ShutDown",
    })
}

fn get_word(result: Result<i64, TryGetError>) -> Done {
    match result {
        Ok(item) => Done::value(item),
        Err(TryGetError::Empty) => Done::word("Empty"),
        Err(TryGetError::ShutDown) => Done::word("ShutDown"),
    }
}

impl AnyQueue {
    pub(super) fn look(&self) -> String {
        match self {
            AnyQueue::Fifo(queue) => look(queue),
            AnyQueue::Lifo(queue) => look(queue),
            AnyQueue::Priority(queue) => look(queue),
            AnyQueue::Simple(queue) => format!("len {} full {}", queue.len(), queue.is_full()),
        }
    }
}

fn look<O: Order<i64> + 'static>(queue: &Queue<i64, O>) -> String {
    format!(
        "len {} full {} unfinished {} shut {}",
        queue.len(),
        queue.is_full(),
        queue.unfinished_tasks(),
        queue.is_shutdown()
    )
}

impl Actor<'_> {
    pub(super) fn queue_step(&self, step: &Step) -> Done {
        match self.world.thing(step) {
            Some(Thing::Queue(AnyQueue::Fifo(queue))) => self.on_queue(step, queue),
            Some(Thing::Queue(AnyQueue::Lifo(queue))) => self.on_queue(step, queue),
            Some(Thing::Queue(AnyQueue::Priority(queue))) => self.on_queue(step, queue),
            Some(Thing::Queue(AnyQueue::Simple(queue))) => self.on_simple(step, queue),
            Some(Thing::Channel(channel)) => self.on_channel(step, channel),
            _ => Done::unset(),
        }
    }

    fn on_queue<O: Order<i64> + 'static>(&self, step: &Step, queue: &Queue<i64, O>) -> Done {
        let time = step.t.map(|t| self.world.time(t));
        let item = step.v.unwrap_or(0);
        match step.op {
            Op::Put => put_word(match time {
                _ if step.nowait => queue.try_put(item),
                Some(time) => queue.put_timeout(item, time),
                None => queue.put(item).map_err(|error| TryPutError::ShutDown(error.into_inner())),
            }),
            Op::Take => get_word(match time {
                _ if step.nowait => queue.try_get(),
                Some(time) => queue.get_timeout(time),
                None => queue.get().map_err(|_| TryGetError::ShutDown),
            }),
            Op::Peek => get_word(match time {
                _ if step.nowait => queue.try_peek(),
                Some(time) => queue.peek_timeout(time),
                None => queue.peek().map_err(|_| TryGetError::ShutDown),
            }),
            Op::TaskDone => Done::word(if queue.task_done().is_ok() { "ok" } else { "refused" }),
            Op::JoinQueue => match time {
                None => {
                    queue.join();
                    Done::flag(true)
                }
                Some(time) => Done::flag(queue.join_timeout(time)),
            },
            Op::Shutdown => {
                if step.immediate {
                    queue.shutdown_immediate();
                } else {
                    queue.shutdown();
                }
                Done::ok()
            }
            _ => {
                queue.set_maxsize(step.n);
                Done::ok()
            }
        }
    }

    fn on_simple(&self, step: &Step, queue: &SimpleQueue<i64>) -> Done {
        let time = step.t.map(|t| self.world.time(t));
        let item = step.v.unwrap_or(0);
        match step.op {
            Op::Put => put_word(match time {
                _ if step.nowait => queue.try_put(item),
                Some(time) => queue.put_timeout(item, time),
                None => {
                    queue.put(item);
                    Ok(())
                }
            }),
            Op::Take => match time {
                _ if step.nowait => get_word(queue.try_get()),
                Some(time) => get_word(queue.get_timeout(time)),
                None => Done::value(queue.get()),
            },
            Op::Peek => match time {
                _ if step.nowait => get_word(queue.try_peek()),
                Some(time) => get_word(queue.peek_timeout(time)),
                None => Done::value(queue.peek()),
            },
            _ => Done::unset(),
        }
    }

    fn on_channel(&self, step: &Step, channel: &Channel<i64>) -> Done {
        let time = step.t.map(|t| self.world.time(t));
        let item = step.v.unwrap_or(0);
        match step.op {
            Op::Put => put_word(match time {
                _ if step.nowait => channel.try_put(item),
                Some(time) => channel.put_timeout(item, time),
                None => {
                    channel.put(item);
                    Ok(())
                }
            }),
            Op::Take => match time {
                _ if step.nowait => get_word(channel.try_get()),
                Some(time) => get_word(channel.get_timeout(time)),
                None => Done::value(channel.get()),
            },
            _ => Done::unset(),
        }
    }
}
