//! Runs the hub as a task of a tokio runtime on the same thread: the hub's descriptor is an `AsyncFd`,
//! its deadline a tokio timer, and its driver the task's waker. `ramie::tokio::run` does this for a
//! program with greenlets that use tokio; the example shows it for a task among others.
//!
//! ```text
//! cargo run --example embed_tokio
//! ```
//!
//! Ends by itself: yes

fn main() -> std::io::Result<()> {
    #[cfg(unix)]
    unix::main()?;
    #[cfg(not(unix))]
    println!("the hub has a descriptor on Unix only");
    Ok(())
}

#[cfg(unix)]
mod unix {
    use std::future::poll_fn;
    use std::io::{self, Read, Write};
    use std::pin::pin;
    use std::task::Poll;
    use std::time::{Duration, Instant};

    use ramie::channel::bounded;
    use ramie::hub::Next;
    use ramie::net::TcpStream;
    use ramie::{get_hub, sleep, spawn};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;
    use tokio::task::{LocalSet, spawn_local, unconstrained};

    /// Runs the hub of this thread until `over` returns `true`, which it is asked after each
    /// iteration.
    async fn drive(over: impl Fn() -> bool) -> io::Result<()> {
        let hub = get_hub();
        // SAFETY: the hub's descriptor is the same, and open, until the thread ends. This future is
        // dropped before.
        let fd = unsafe { AsyncFd::register_with_interest(hub, Interest::READABLE) }?;
        let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
        let driving = poll_fn(|context| {
            hub.set_driver(Some(context.waker().clone()));
            loop {
                let next = hub.poll_once();
                if over() {
                    return Poll::Ready(Ok(()));
                }
                match next {
                    // Other tasks have a turn first.
                    Next::Now => context.waker().wake_by_ref(),
                    Next::At(deadline) => {
                        timer.as_mut().reset(deadline.into());
                        if timer.as_mut().poll(context).is_ready() {
                            context.waker().wake_by_ref();
                        }
                    }
                    Next::Idle => {}
                }
                match fd.poll_read_ready(context)? {
                    // Cleared before the hub is polled again, so no event is missed.
                    Poll::Ready(mut guard) => guard.clear_ready(),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        // tokio's budget of operations would make the descriptor look as if it were not ready.
        let result = unconstrained(driving).await;
        hub.set_driver(None);
        result
    }

    pub(super) fn main() -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let tasks = LocalSet::new();
        tasks.block_on(&runtime, async {
            // A server of tokio's.
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            spawn_local(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    spawn_local(async move {
                        let (mut read, mut write) = stream.split();
                        tokio::io::copy(&mut read, &mut write).await
                    });
                }
            });
            // A task that sends to a greenlet: its `try_send` wakes the driver.
            let (sender, receiver) = bounded(1);
            spawn_local(async move {
                for number in 1..=5 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    sender.try_send(number).expect("the greenlet is faster");
                }
            });
            // A greenlet that is a client of the server.
            let client = spawn(move || -> io::Result<()> {
                let mut stream = TcpStream::connect(address)?;
                for number in receiver {
                    let start = Instant::now();
                    let message = format!("message {number}");
                    stream.write_all(message.as_bytes())?;
                    let mut echo = vec![0; message.len()];
                    stream.read_exact(&mut echo)?;
                    assert_eq!(echo, message.as_bytes());
                    println!("greenlet: {message} and back in {:?}", start.elapsed());
                    sleep(Duration::from_millis(1));
                }
                Ok(())
            });
            drive(|| client.ready()).await?;
            client.take()?
        })
    }
}
