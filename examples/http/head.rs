//! Taking the head of an HTTP/1.1 message off a connection, for httparse: what clients, the proxy
//! and the file server share.

use std::io::{self, BufRead, Read};

/// The largest head that is taken.
const HEAD_LIMIT: usize = 32 * 1024;
/// The maximum number of headers.
pub(crate) const HEADERS: usize = 64;

/// A line with its end, or nothing at the end of the stream.
pub(crate) fn line(reader: &mut impl BufRead, limit: usize) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    reader.by_ref().take(limit as u64).read_until(b'\n', &mut line)?;
    match line.last() {
        None | Some(b'\n') => Ok(line),
        Some(_) if line.len() == limit => Err(malformed("a line is too long")),
        Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// A head up to and with its empty line, for httparse; `None` if the stream ends before it begins.
pub(crate) fn head(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    loop {
        let line = line(reader, HEAD_LIMIT - head.len())?;
        match line.as_slice() {
            [] if head.is_empty() => return Ok(None),
            [] => return Err(io::ErrorKind::UnexpectedEof.into()),
            // Before a request they mean nothing.
            b"\r\n" | b"\n" if head.is_empty() => {}
            b"\r\n" | b"\n" => {
                head.extend_from_slice(&line);
                return Ok(Some(head));
            }
            line => head.extend_from_slice(line),
        }
    }
}

pub(crate) fn malformed(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}
