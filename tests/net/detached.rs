//! Sockets that move from the hub of one thread to that of another.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use ramie::net::{Detached, TcpListener, TcpStream, UdpSocket};
use ramie::{sleep, spawn, yield_now};

use crate::util::{assert_send, within};

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(5);

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

/// Makes this thread's hub register the stream: a read has to wait.
fn register(near: &mut TcpStream, far: &mut TcpStream) {
    let mut writer = far.try_clone().unwrap();
    let late = spawn(move || {
        yield_now();
        writer.write_all(b"a").unwrap();
    });
    near.read_exact(&mut [0]).unwrap();
    late.join();
}

#[test]
fn a_stream_moves_with_its_data_and_its_settings() {
    within(LIMIT, || {
        assert_send::<Detached<TcpStream>>();
        let (mut near, mut far) = pair();
        register(&mut near, &mut far);
        near.set_read_timeout(Some(SHORT)).unwrap();
        near.set_write_timeout(Some(LIMIT)).unwrap();
        far.write_all(b"before").unwrap();
        let detached = near.detach().unwrap();
        far.write_all(b"between").unwrap();
        let elsewhere = thread::spawn(move || {
            let mut near = detached.attach().unwrap();
            assert_eq!(near.read_timeout().unwrap(), Some(SHORT));
            assert_eq!(near.write_timeout().unwrap(), Some(LIMIT));
            let mut text = [0; 13];
            near.read_exact(&mut text).unwrap();
            assert_eq!(&text, b"beforebetween");
            // The timeout is at work, and other greenlets run meanwhile.
            let other = spawn(|| sleep(Duration::from_millis(1)));
            assert_eq!(near.read(&mut text).unwrap_err().kind(), ErrorKind::TimedOut);
            assert!(other.ready());
            near.set_read_timeout(None).unwrap();
            near.write_all(b"answer").unwrap();
            near.read_exact(&mut text[..5]).unwrap();
            assert_eq!(&text[..5], b"after");
            // And back.
            near.detach().unwrap()
        });
        let mut text = [0; 6];
        far.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"answer");
        far.write_all(b"after").unwrap();
        let mut near = elsewhere.join().unwrap().attach().unwrap();
        assert_eq!(near.read_timeout().unwrap(), None);
        register(&mut near, &mut far);
        near.shutdown(Shutdown::Write).unwrap();
        assert_eq!(far.read(&mut text).unwrap(), 0);
    });
}

#[test]
fn a_handle_in_nonblocking_mode_stays_so() {
    within(LIMIT, || {
        let (near, _far) = pair();
        near.set_nonblocking(true).unwrap();
        let near = near.detach().unwrap();
        thread::spawn(move || {
            let error = near.attach().unwrap().read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        })
        .join()
        .unwrap();
    });
}

#[test]
fn a_stream_with_clones_stays_where_it_is() {
    within(LIMIT, || {
        let (near, mut far) = pair();
        let mut clone = near.try_clone().unwrap();
        assert_eq!(near.detach().unwrap_err().kind(), ErrorKind::ResourceBusy);
        far.write_all(b"a").unwrap();
        clone.read_exact(&mut [0]).unwrap();
        assert!(clone.detach().is_ok());
    });
}

#[test]
fn a_detached_stream_that_is_dropped_is_closed() {
    within(LIMIT, || {
        let (near, mut far) = pair();
        let near = near.detach().unwrap();
        assert!(format!("{near:?}").starts_with("Detached { descriptor"));
        thread::spawn(move || drop(near)).join().unwrap();
        assert_eq!(far.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn listeners_and_datagrams_move_too() {
    within(LIMIT, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let target = socket.local_addr().unwrap();
        let (listener, socket) = (listener.detach().unwrap(), socket.detach().unwrap());
        let server = thread::spawn(move || {
            let (listener, socket) = (listener.attach().unwrap(), socket.attach().unwrap());
            let received = spawn(move || socket.recv(&mut [0; 8]).unwrap());
            listener.accept().unwrap().0.write_all(b"hello").unwrap();
            received.get().unwrap()
        });
        let mut text = String::new();
        TcpStream::connect(address).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"four", target).unwrap();
        assert_eq!(server.join().unwrap(), 4);
    });
}

#[cfg(unix)]
#[test]
fn unix_sockets_move_too() {
    use ramie::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

    use crate::util::folder::Folder;

    within(LIMIT, || {
        let folder = Folder::new();
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).unwrap().detach().unwrap();
        let (near, far) = UnixDatagram::pair().unwrap();
        let near = near.detach().unwrap();
        let server = thread::spawn(move || {
            let (listener, near) = (listener.attach().unwrap(), near.attach().unwrap());
            near.send(b"listening").unwrap();
            let (stream, _) = listener.accept().unwrap();
            stream.detach().unwrap()
        });
        far.recv(&mut [0; 16]).unwrap();
        let mut client = UnixStream::connect(&path).unwrap();
        let mut stream = server.join().unwrap().attach().unwrap();
        client.write_all(b"hello").unwrap();
        let mut text = [0; 5];
        stream.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"hello");
        // A listener that was closed has no descriptor to move.
        let listener = UnixListener::bind(folder.join("other")).unwrap();
        listener.close();
        assert_eq!(listener.detach().unwrap_err().raw_os_error(), Some(9));
    });
}
