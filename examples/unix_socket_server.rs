//! A server on a Unix socket: each line that it receives is sent to every connected client.
//!
//! ```text
//! cargo run --example unix_socket_server                  # or with a path: -- /tmp/other.sock
//! cargo run --example unix_socket_client                  # as often as you like, and type
//! ```
//!
//! Ends by itself: no

#[cfg(unix)]
fn main() -> std::io::Result<()> {
    use std::cell::RefCell;
    use std::io::{BufRead, BufReader, ErrorKind, Write};
    use std::rc::Rc;
    use std::time::Duration;

    use ramie::os::unix::net::{UnixListener, UnixStream};

    let path = std::env::args().nth(1).unwrap_or_else(|| "/tmp/ramie.sock".to_owned());
    // Removes the socket of an earlier server, if it is a socket and no server answers there.
    if UnixStream::connect(&path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
        std::fs::remove_file(&path)?;
    }
    let listener = UnixListener::bind(&path)?;
    println!("listening on {path}");
    // One thread: what they share needs no lock.
    let clients = Rc::new(RefCell::new(Vec::<Rc<UnixStream>>::new()));
    for (number, stream) in listener.incoming().enumerate() {
        let stream = Rc::new(stream?);
        // A client that does not read is not waited for any longer.
        stream.set_write_timeout(Some(Duration::from_secs(1)))?;
        clients.borrow_mut().push(stream.clone());
        let clients = clients.clone();
        ramie::spawn(move || {
            for line in BufReader::new(&*stream).lines() {
                let Ok(line) = line else { break };
                println!("{number}: {line}");
                // A copy of the list, as others come and go while we write.
                let all = clients.borrow().clone();
                for other in all {
                    if writeln!(&*other, "{number}: {line}").is_err() {
                        other.close();
                    }
                }
            }
            clients.borrow_mut().retain(|other| !Rc::ptr_eq(other, &stream));
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn main() {
    println!("there are no Unix sockets here");
}
