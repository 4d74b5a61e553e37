//! The workloads on tokio's current-thread runtime: on the runtime itself, and in a `LocalSet`, where futures need not
//! be `Send`.

use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet, LocalSet, yield_now};
use tokio::time::{sleep, timeout};

use crate::{BATCH, LIMIT, NAP, ROOM, SLEEPERS};

/// Where tokio's tasks run.
pub(crate) trait Tokio {
    fn block_on<F: Future>(future: F) -> F::Output;

    fn spawn<F: Future<Output: Send> + Send + 'static>(future: F) -> JoinHandle<F::Output>;

    fn spawn_in<F: Future<Output: Send> + Send + 'static>(set: &mut JoinSet<F::Output>, future: F);
}

pub(crate) struct OnRuntime;

impl Tokio for OnRuntime {
    fn block_on<F: Future>(future: F) -> F::Output {
        Builder::new_current_thread().enable_all().build().expect("a runtime can be made").block_on(future)
    }

    fn spawn<F: Future<Output: Send> + Send + 'static>(future: F) -> JoinHandle<F::Output> {
        tokio::spawn(future)
    }

    fn spawn_in<F: Future<Output: Send> + Send + 'static>(set: &mut JoinSet<F::Output>, future: F) {
        set.spawn(future);
    }
}

pub(crate) struct InLocalSet;

impl Tokio for InLocalSet {
    fn block_on<F: Future>(future: F) -> F::Output {
        OnRuntime::block_on(LocalSet::new().run_until(future))
    }

    fn spawn<F: Future<Output: Send> + Send + 'static>(future: F) -> JoinHandle<F::Output> {
        tokio::task::spawn_local(future)
    }

    fn spawn_in<F: Future<Output: Send> + Send + 'static>(set: &mut JoinSet<F::Output>, future: F) {
        set.spawn_local(future);
    }
}

async fn join<R>(handles: impl IntoIterator<Item = JoinHandle<R>>) {
    for handle in handles {
        handle.await.expect("it does not panic");
    }
}

pub(crate) fn yields<T: Tokio>(count: u64) {
    T::block_on(async {
        let member = |_| {
            T::spawn(async move {
                for _ in 0..count / 2 {
                    yield_now().await;
                }
            })
        };
        join([0, 1].map(member)).await;
    });
}

pub(crate) fn spawns<T: Tokio>(count: u64) {
    T::block_on(async {
        for _ in 0..count {
            join([T::spawn(async { black_box(()) })]).await;
        }
    });
}

pub(crate) fn batches<T: Tokio>(count: u64) {
    T::block_on(async {
        for _ in 0..count / BATCH {
            let members: Vec<_> = (0..BATCH).map(|_| T::spawn(async { black_box(()) })).collect();
            join(members).await;
        }
    });
}

/// Drops the future, and unwinds nothing.
pub(crate) fn kills<T: Tokio>(count: u64) {
    T::block_on(async {
        let event = Arc::new(Notify::new());
        for _ in 0..count {
            let event = event.clone();
            let waiter = T::spawn(async move { event.notified().await });
            yield_now().await;
            waiter.abort();
            waiter.await.expect_err("it was aborted");
        }
    });
}

pub(crate) fn timeouts<T: Tokio>(count: u64) {
    T::block_on(async {
        for _ in 0..count {
            let limited = timeout(black_box(Duration::from_secs(10)), async { black_box(5) });
            assert_eq!(limited.await, Ok(5));
        }
    });
}

pub(crate) fn timeouts_around_yields<T: Tokio>(count: u64) {
    T::block_on(async {
        let limited = async move {
            for _ in 0..count {
                timeout(black_box(Duration::from_secs(10)), yield_now()).await.expect("it takes no time");
            }
        };
        join([T::spawn(limited)]).await;
    });
}

pub(crate) fn sleeps<T: Tokio>(count: u64) {
    T::block_on(async {
        let sleeper = |_| {
            T::spawn(async move {
                for _ in 0..count / SLEEPERS {
                    sleep(NAP).await;
                }
            })
        };
        let sleepers: Vec<_> = (0..SLEEPERS).map(sleeper).collect();
        join(sleepers).await;
    });
}

pub(crate) fn events<T: Tokio>(count: u64) {
    T::block_on(async {
        let (ours, theirs) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (their_ours, their_theirs) = (ours.clone(), theirs.clone());
        let there = T::spawn(async move {
            for _ in 0..count / 2 {
                their_theirs.notified().await;
                their_ours.notify_one();
            }
        });
        let here = T::spawn(async move {
            for _ in 0..count / 2 {
                theirs.notify_one();
                ours.notified().await;
            }
        });
        join([there, here]).await;
    });
}

pub(crate) fn ping_pong<T: Tokio>(count: u64) {
    T::block_on(async {
        let (ping, mut pinged) = mpsc::channel(1);
        let (pong, mut ponged) = mpsc::channel(1);
        let echo = T::spawn(async move {
            while let Some(n) = pinged.recv().await {
                let n: u64 = n;
                pong.send(n).await.expect("it is waited for");
            }
        });
        let play = T::spawn(async move {
            for n in 0..count / 2 {
                ping.send(n).await.expect("the echo is there");
                assert_eq!(ponged.recv().await, Some(n));
            }
        });
        join([echo, play]).await;
    });
}

pub(crate) fn channel<T: Tokio>(count: u64) {
    T::block_on(async {
        let (sender, mut receiver) = mpsc::channel(ROOM);
        let sending = T::spawn(async move {
            for n in 0..count {
                sender.send(n).await.expect("it is received");
            }
        });
        let receiving = T::spawn(async move {
            let mut received = 0;
            while receiver.recv().await.is_some() {
                received += 1;
            }
            assert_eq!(received, count);
        });
        join([sending, receiving]).await;
    });
}

/// Spawns each job behind a semaphore, as tokio's documentation shows it.
async fn start<T: Tokio>(count: u64, mut started: impl FnMut(JoinHandle<u64>)) {
    let room = Arc::new(Semaphore::new(LIMIT));
    for job in 0..count {
        let permit = room.clone().acquire_owned().await.expect("it is not closed");
        started(T::spawn(async move {
            let result = black_box(job);
            drop(permit);
            result
        }));
    }
    let _all = room.acquire_many(LIMIT as u32).await.expect("it is not closed");
}

pub(crate) fn pool_spawn<T: Tokio>(count: u64) {
    T::block_on(start::<T>(count, drop));
}

pub(crate) fn pool_map<T: Tokio>(count: u64) {
    T::block_on(async {
        let mut jobs = Vec::new();
        start::<T>(count, |job| jobs.push(job)).await;
        let mut results = Vec::new();
        for job in jobs {
            results.push(job.await.expect("it does not panic"));
        }
        assert_eq!(results.len() as u64, count);
    });
}

pub(crate) fn pool_imap_unordered<T: Tokio>(count: u64) {
    T::block_on(async {
        let mut jobs = JoinSet::new();
        let mut results = 0;
        for job in 0..count {
            if jobs.len() == LIMIT {
                jobs.join_next().await.expect("it is not empty").expect("it does not panic");
                results += 1;
            }
            T::spawn_in(&mut jobs, async move { black_box(job) });
        }
        results += jobs.join_all().await.len() as u64;
        assert_eq!(results, count);
    });
}

pub(crate) fn echoes<T: Tokio>(count: u64) {
    T::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
        let address = listener.local_addr().expect("it has an address");
        let server = T::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("the client comes");
            let mut buffer = [0; 1024];
            while let Ok(got @ 1..) = stream.read(&mut buffer).await {
                stream.write_all(&buffer[..got]).await.expect("the client is there");
            }
        });
        let client = T::spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("the server listens");
            stream.set_nodelay(true).expect("it is TCP");
            let mut buffer = [0; 128];
            for _ in 0..count {
                stream.write_all(&buffer).await.expect("the server is there");
                stream.read_exact(&mut buffer).await.expect("the server answers");
            }
        });
        join([server, client]).await;
    });
}
