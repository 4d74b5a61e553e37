//! Bodies as the readers and writers of std.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, BufRead, Read};
use std::pin::Pin;

use hyper::HeaderMap;
use hyper::body::{Body, Buf};

use crate::block_on;

/// A reader of a body of hyper, such as `Incoming`: waits for the next part and lets other greenlets
/// run.
///
/// The connection of the body must be driven by another greenlet: a handler of
/// [`handler_fn`](super::handler_fn) may read its request, a future that hyper polls may not. The
/// sender of the body waits as long as no part is read.
///
/// # Errors
///
/// An error of the body becomes one of kind [`Other`](io::ErrorKind::Other) with the body's as its
/// source.
///
/// # Cancellation
///
/// A kill or a timeout during a read consumes nothing.
///
/// # Examples
///
/// ```
/// use http_body_util::Full;
/// use ramie::hyper::BodyReader;
/// use std::io::BufRead;
///
/// let body = Full::new(&b"one\ntwo"[..]);
/// let lines = BodyReader::new(body).lines().collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(lines, ["one", "two"]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct BodyReader<B: Body> {
    /// `None` once the body has ended.
    body: Option<B>,
    /// The part that is being read.
    part: Option<B::Data>,
    trailers: Option<HeaderMap>,
}

impl<B: Body> BodyReader<B> {
    /// Creates a reader of a body.
    pub fn new(body: B) -> Self {
        BodyReader { body: Some(body), part: None, trailers: None }
    }

    /// Returns the trailers, once the end of the body was read, if there are any.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }
}

impl<B> BufRead for BodyReader<B>
where
    B: Body + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while !self.part.as_ref().is_some_and(Buf::has_remaining) {
            let Some(body) = &mut self.body else { return Ok(&[]) };
            let frame = block_on(poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)));
            match frame.transpose().map_err(io::Error::other)? {
                None => {
                    self.body = None;
                    self.part = None;
                }
                Some(frame) => match frame.into_data() {
                    Ok(data) => self.part = Some(data),
                    Err(frame) => self.trailers = frame.into_trailers().ok().or(self.trailers.take()),
                },
            }
        }
        Ok(self.part.as_ref().map_or(&[], Buf::chunk))
    }

    fn consume(&mut self, read: usize) {
        if let Some(part) = &mut self.part {
            part.advance(read);
        }
    }
}

impl<B> Read for BodyReader<B>
where
    B: Body + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl<B: Body> fmt::Debug for BodyReader<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyReader").field("ended", &self.body.is_none()).finish_non_exhaustive()
    }
}
