//! Reading and writing through a shared reference, for the streams of this crate.

#[cfg(feature = "tls")]
use std::io::{self, Read, Write};

#[cfg(feature = "tls")]
use ramie_hub::ReadWriteRef;

/// Implements `ReadWriteRef` for a type that implements `Read` and `Write` for its references.
macro_rules! by_ref {
    ($(@[$($generics:tt)*])? $type:ty) => {
        impl $(<$($generics)*>)? crate::io::ReadWriteRef for $type {
            fn read_ref(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
                std::io::Read::read(&mut &*self, buffer)
            }

            fn write_ref(&self, data: &[u8]) -> std::io::Result<usize> {
                std::io::Write::write(&mut &*self, data)
            }

            fn flush_ref(&self) -> std::io::Result<()> {
                std::io::Write::flush(&mut &*self)
            }
        }
    };
}

pub(crate) use by_ref;

/// An adapter that implements `Read` and `Write` for a shared reference.
#[cfg(feature = "tls")]
pub(crate) struct ByRef<'a, S>(pub(crate) &'a S);

#[cfg(feature = "tls")]
impl<S: ReadWriteRef> Read for ByRef<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_ref(buffer)
    }
}

#[cfg(feature = "tls")]
impl<S: ReadWriteRef> Write for ByRef<'_, S> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.write_ref(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush_ref()
    }
}
