//! Reads the terminal and a Unix socket at the same time, in two greenlets. Neither blocks the
//! thread.
//!
//! ```text
//! cargo run --example unix_socket_server
//! cargo run --example unix_socket_client                  # then type; Ctrl-D ends it
//! ```
//!
//! Ends by itself: no, as it fails without its server

#[cfg(unix)]
fn main() -> std::io::Result<()> {
    use std::io::{BufRead, BufReader, Write};

    use ramie::io::{stdin, stdout};
    use ramie::os::unix::net::UnixStream;

    let path = std::env::args().nth(1).unwrap_or_else(|| "/tmp/ramie.sock".to_owned());
    let (reading, mut writing) = UnixStream::connect(path)?.into_split();
    let listening = ramie::spawn(move || -> std::io::Result<()> {
        for line in BufReader::new(reading).lines() {
            writeln!(stdout(), "{}", line?)?;
        }
        writeln!(stdout(), "that was all")
    });
    for line in stdin().lines() {
        writeln!(writing, "{}", line?)?;
    }
    // The server is told that nothing more comes, and ends its side when it has answered.
    drop(writing);
    listening.take().expect("it is not killed")
}

#[cfg(not(unix))]
fn main() {
    println!("there are no Unix sockets here");
}
