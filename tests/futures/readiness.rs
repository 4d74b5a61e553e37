//! Readiness by polls: `poll_readable` and `poll_writable` of sockets.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use ramie::net::{TcpListener, TcpStream};
use ramie::{run, sleep, spawn, yield_now};

use crate::util::eventually::until;
use crate::util::executor::{Wakes, in_greenlet};
use crate::util::participants::LIMIT;
use crate::util::within;

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

fn nonblocking(stream: &TcpStream) -> TcpStream {
    let clone = stream.try_clone().unwrap();
    clone.set_nonblocking(true).unwrap();
    clone
}

fn would_block<T>(tried: &io::Result<T>) -> bool {
    tried.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

fn poll_read(stream: &TcpStream, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
    loop {
        let tried = (&*stream).read(buffer);
        if !would_block(&tried) {
            return Poll::Ready(tried);
        }
        ready!(stream.poll_readable(cx))?;
    }
}

fn poll_write(stream: &TcpStream, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
    loop {
        let tried = (&*stream).write(data);
        if !would_block(&tried) {
            return Poll::Ready(tried);
        }
        ready!(stream.poll_writable(cx))?;
    }
}

#[test]
fn bytes_flow_both_ways_through_futures() {
    within(LIMIT, || {
        run(|| {
            const SIZE: usize = 4 << 20;
            let (near, far) = pair();
            let echo = spawn(move || {
                let mut far = far;
                let mut back = far.try_clone().unwrap();
                io::copy(&mut far, &mut back).unwrap()
            });
            let near = nonblocking(&near);
            let writer = near.try_clone().unwrap();
            let sends = spawn(move || {
                in_greenlet(async {
                    let data = [7; 1 << 16];
                    let mut left = SIZE;
                    while left > 0 {
                        left -= poll_fn(|cx| poll_write(&writer, cx, &data[..left.min(data.len())]))
                            .await
                            .unwrap();
                    }
                });
                writer.shutdown(std::net::Shutdown::Write).unwrap();
            });
            let received = in_greenlet(async {
                let mut buffer = [0; 1 << 16];
                let mut sum = 0;
                loop {
                    match poll_fn(|cx| poll_read(&near, cx, &mut buffer)).await.unwrap() {
                        0 => break sum,
                        read => sum += read,
                    }
                }
            });
            sends.join();
            assert_eq!((received, echo.get().ok()), (SIZE, Some(SIZE as u64)));
        });
    });
}

#[test]
fn each_direction_has_one_waker_and_the_last_one_wins() {
    within(LIMIT, || {
        let (near, far) = pair();
        let near = nonblocking(&near);
        // Full, so that the socket is not writable.
        while (&near).write(&[0; 1 << 16]).is_ok() {}
        sleep(Duration::from_millis(20));
        while (&near).write(&[0; 1 << 16]).is_ok() {}
        let ((first, one), (second, other), (third, writes)) = (Wakes::new(), Wakes::new(), Wakes::new());
        let mut buffer = [0; 8];
        assert!(would_block(&(&near).read(&mut buffer)));
        assert!(near.poll_readable(&mut Context::from_waker(&one)).is_pending());
        assert!(near.poll_readable(&mut Context::from_waker(&other)).is_pending());
        assert!(near.poll_writable(&mut Context::from_waker(&writes)).is_pending());
        assert_eq!(Arc::strong_count(&first), 2, "the replaced waker is dropped");
        (&far).write_all(b"x").unwrap();
        until(|| second.count() == 1);
        assert_eq!((first.count(), third.count()), (0, 0));
        assert!(near.poll_readable(&mut Context::from_waker(&other)).is_ready());
        let mut all = vec![0; 1 << 20];
        until(|| {
            let _read = (&far).read(&mut all.clone()).unwrap();
            third.count() == 1
        });
        assert!(near.poll_writable(&mut Context::from_waker(&writes)).is_ready());
        all.clear();
        drop((one, other, writes));
        assert_eq!([&first, &second, &third].map(Arc::strong_count), [1; 3], "no waker is left");
    });
}

#[test]
fn a_greenlet_and_a_future_wait_for_the_same_socket() {
    within(LIMIT, || {
        let (near, far) = pair();
        let polled = nonblocking(&near);
        let (wakes, waker) = Wakes::new();
        assert!(polled.poll_readable(&mut Context::from_waker(&waker)).is_pending());
        let reader = spawn(move || {
            let mut buffer = [0; 1];
            (&near).read_exact(&mut buffer).map(|()| buffer)
        });
        yield_now();
        (&far).write_all(b"x").unwrap();
        assert_eq!(reader.take().unwrap().unwrap(), *b"x");
        assert_eq!(wakes.count(), 1);
        // The greenlet has read everything.
        assert!(would_block(&(&polled).read(&mut [0; 1])));
        assert!(polled.poll_readable(&mut Context::from_waker(Waker::noop())).is_pending());
    });
}

#[test]
fn a_killed_reader_leaves_the_waker_and_a_drop_leaves_nothing() {
    within(LIMIT, || {
        let (near, _far) = pair();
        let polled = nonblocking(&near);
        let (wakes, waker) = Wakes::new();
        let reader = spawn(move || near.wait_readable());
        yield_now();
        assert!(polled.poll_readable(&mut Context::from_waker(&waker)).is_pending());
        reader.kill();
        drop(reader);
        assert_eq!((wakes.count(), Arc::strong_count(&wakes)), (0, 3));
        drop(polled);
        assert_eq!((wakes.count(), Arc::strong_count(&wakes)), (0, 2));
    });
}

#[cfg(unix)]
#[test]
fn a_close_wakes_the_future_with_an_error() {
    within(LIMIT, || {
        let (near, _far) = pair();
        let (wakes, waker) = Wakes::new();
        let mut cx = Context::from_waker(&waker);
        assert!(near.poll_readable(&mut cx).is_pending());
        near.close();
        assert_eq!(wakes.count(), 1);
        assert!(matches!(near.poll_readable(&mut cx), Poll::Ready(Err(_))));
        assert!(matches!(near.poll_writable(&mut cx), Poll::Ready(Err(_))));
    });
}

#[test]
fn the_end_of_a_stream_and_a_reset_are_readiness() {
    within(LIMIT, || {
        let (near, far) = pair();
        let near = nonblocking(&near);
        let (wakes, waker) = Wakes::new();
        let mut buffer = [0; 1];
        assert!(poll_read(&near, &mut Context::from_waker(&waker), &mut buffer).is_pending());
        drop(far);
        until(|| wakes.count() == 1);
        let end = poll_read(&near, &mut Context::from_waker(&waker), &mut buffer);
        assert!(matches!(end, Poll::Ready(Ok(0))));
    });
}

#[test]
fn a_waker_that_panics_does_not_end_the_loop() {
    struct Closes(std::sync::mpsc::Sender<()>);

    impl std::task::Wake for Closes {
        fn wake(self: Arc<Self>) {
            self.0.send(()).unwrap();
            panic!("the waker panics on purpose");
        }
    }

    within(LIMIT, || {
        let (near, far) = pair();
        let (send, woken) = std::sync::mpsc::channel();
        let waker = Waker::from(Arc::new(Closes(send)));
        assert!(near.poll_readable(&mut Context::from_waker(&waker)).is_pending());
        (&far).write_all(b"x").unwrap();
        until(|| woken.try_recv().is_ok());
        assert!(near.poll_readable(&mut Context::from_waker(&waker)).is_ready());
    });
}
