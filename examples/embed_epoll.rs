//! Runs greenlets inside an epoll loop of the program's own: the hub is one more descriptor in it.
//!
//! ```text
//! cargo run --example embed_epoll        # Linux
//! ```
//!
//! Ends by itself: yes

fn main() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    linux::main()?;
    #[cfg(not(target_os = "linux"))]
    println!("epoll is a part of Linux");
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{self, BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    use ramie::hub::Next;
    use ramie::io::wait_read;
    use ramie::{get_hub, sleep, spawn};
    use rustix::event::{Timespec, epoll};

    /// The descriptor that is ready.
    const HUB: u64 = 0;
    const OWN: u64 = 1;

    pub(super) fn main() -> io::Result<()> {
        let hub = get_hub();
        let (ours, theirs) = UnixStream::pair()?;

        // A greenlet that talks to the loop: it sends a line, and waits for the answer.
        theirs.set_nonblocking(true)?;
        let talker = spawn(move || -> io::Result<()> {
            for number in 1..=5 {
                sleep(Duration::from_millis(10));
                (&theirs).write_all(format!("question {number}\n").as_bytes())?;
                wait_read(&theirs, None)?;
                let mut answer = String::new();
                BufReader::new(&theirs).read_line(&mut answer)?;
                println!("  greenlet: got {answer:?}");
            }
            Ok(())
        });

        // The loop: its own socket, and the hub, both level-triggered.
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, hub, epoll::EventData::new_u64(HUB), epoll::EventFlags::IN)?;
        epoll::add(&epoll, &ours, epoll::EventData::new_u64(OWN), epoll::EventFlags::IN)?;
        let mut lines = BufReader::new(&ours);
        while !talker.ready() {
            let next = hub.poll_once();
            if talker.ready() {
                break;
            }
            // With `Next::Now` this only asks for the loop's own events.
            let timeout = next.timeout(Instant::now());
            println!("loop: waits for {}", if next == Next::Idle { "an event" } else { "some time" });
            for event in wait(&epoll, timeout)? {
                if event == OWN {
                    let mut line = String::new();
                    lines.read_line(&mut line)?;
                    println!("loop: got {line:?}");
                    (&ours).write_all(b"answer\n")?;
                }
                // Nothing to do for HUB: the next `poll_once` takes the events.
            }
        }
        talker.take().map_err(|failure| io::Error::other(failure.to_string()))?
    }

    /// Returns the descriptors that are ready.
    fn wait(epoll: &impl std::os::fd::AsFd, timeout: Option<Duration>) -> io::Result<Vec<u64>> {
        let timeout = timeout
            .map(|timeout| Timespec::try_from(timeout).unwrap_or(Timespec { tv_sec: 3600, tv_nsec: 0 }));
        let mut events = Vec::with_capacity(8);
        epoll::wait(epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref())?;
        Ok(events.iter().map(|event| event.data.u64()).collect())
    }
}
