//! The echo servers of the runtimes that have a thread for each core and io_uring below: monoio over
//! each of its two drivers, and glommio. They are here with the feature `io-uring`, on Linux; where
//! the kernel refuses the ring they are skipped with its reason.
//!
//! Each has its stock settings. monoio takes buffers by value and gives them back, so each
//! connection has a vector of the size of the others' arrays.

#[cfg(not(all(target_os = "linux", feature = "io-uring")))]
mod servers {
    use std::io;

    use crate::workload::skip;

    const REASON: &str = "built without the feature io-uring";

    pub(crate) fn monoio() -> io::Result<()> {
        skip(REASON)
    }

    pub(crate) fn monoio_epoll() -> io::Result<()> {
        skip(REASON)
    }

    pub(crate) fn glommio() -> io::Result<()> {
        skip(REASON)
    }
}

#[cfg(all(target_os = "linux", feature = "io-uring"))]
mod servers {
    use std::io;

    use glommio::{LocalExecutorBuilder, Placement};
    use monoio::io::{AsyncReadRent as _, AsyncWriteRentExt as _};
    use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};
    use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use crate::echo::{ANY_PORT, ROOM, ignore};
    use crate::workload::{announce, skip};

    pub(crate) fn monoio() -> io::Result<()> {
        match RuntimeBuilder::<IoUringDriver>::new().build() {
            Ok(mut runtime) => runtime.block_on(serve()),
            Err(error) => skip(&format!("no ring: {error}")),
        }
    }

    pub(crate) fn monoio_epoll() -> io::Result<()> {
        RuntimeBuilder::<LegacyDriver>::new().build()?.block_on(serve())
    }

    async fn serve() -> io::Result<()> {
        let listener = monoio::net::TcpListener::bind(ANY_PORT)?;
        announce(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            monoio::spawn(converse(stream));
        }
    }

    async fn converse(mut stream: monoio::net::TcpStream) {
        let mut buffer = Vec::with_capacity(ROOM);
        loop {
            let (got, read) = stream.read(buffer).await;
            if !matches!(got, Ok(1..)) {
                return;
            }
            let (sent, written) = stream.write_all(read).await;
            ignore(sent.map(drop));
            buffer = written;
            buffer.clear();
        }
    }

    pub(crate) fn glommio() -> io::Result<()> {
        match LocalExecutorBuilder::new(Placement::Unbound).make() {
            Ok(executor) => executor.run(serve_by_glommio()),
            Err(error) => skip(&format!("no ring: {error}")),
        }
    }

    async fn serve_by_glommio() -> io::Result<()> {
        let listener = glommio::net::TcpListener::bind(ANY_PORT)?;
        announce(listener.local_addr()?);
        loop {
            let mut stream = listener.accept().await?;
            stream.set_nodelay(true)?;
            let connection = glommio::spawn_local(async move {
                let mut buffer = [0; ROOM];
                while let Ok(got @ 1..) = stream.read(&mut buffer).await {
                    ignore(stream.write_all(&buffer[..got]).await);
                }
            });
            connection.detach();
        }
    }
}

pub(crate) use servers::{glommio, monoio, monoio_epoll};
