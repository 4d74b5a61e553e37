//! The site of the examples `http_server` and `https_server`, on free ports of the loopback.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ramie::net::{TcpListener, TcpStream};
use ramie::server::StreamServer;
use ramie::tls::rustls::ServerConfig;
use ramie::tls::{Acceptor, TlsStream};

use crate::http;
use crate::util::log::Log;

const IDLE: Duration = Duration::from_secs(30);
pub(crate) const HELLO: &str = "<h1>Hello from a greenlet</h1>\n";

/// A server that counts, and the errors of its hub.
pub(crate) struct Site {
    server: StreamServer,
    pub(crate) connections: Rc<Cell<usize>>,
    /// The number of connections that have ended well.
    pub(crate) requests: Rc<Cell<usize>>,
    pub(crate) errors: Log,
}

impl Site {
    pub(crate) fn open() -> Self {
        let (connections, requests) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let counters = (connections.clone(), requests.clone());
        let server = StreamServer::bind("127.0.0.1:0", move |mut stream: TcpStream, _| {
            serve(&counters.0, &counters.1, &mut stream, |stream| stream)
        });
        Self::started(server.unwrap(), connections, requests)
    }

    /// The same over TLS.
    pub(crate) fn secure(config: impl Into<Arc<ServerConfig>>) -> Self {
        let (connections, requests) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let counters = (connections.clone(), requests.clone());
        let mut config = Arc::unwrap_or_clone(config.into());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = Acceptor::new(Arc::new(config)).handshake_timeout(Some(IDLE));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = StreamServer::tls(listener, acceptor, move |mut stream: TlsStream<TcpStream>, _| {
            serve(&counters.0, &counters.1, &mut stream, TlsStream::get_ref)
        });
        Self::started(server, connections, requests)
    }

    fn started(server: StreamServer, connections: Rc<Cell<usize>>, requests: Rc<Cell<usize>>) -> Self {
        server.set_limit(1000);
        server.start().unwrap();
        Site { server, connections, requests, errors: Log::of_errors() }
    }

    /// Host and port.
    pub(crate) fn host(&self) -> String {
        self.server.address().unwrap().to_string()
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.server_port().unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host())
    }

    /// Waits until the connections there are have ended, and says of what.
    #[track_caller]
    pub(crate) fn ends(&self) -> Vec<String> {
        assert!(self.server.handlers().join_timeout(IDLE), "a connection is left");
        self.errors.words()
    }
}

fn serve<S: http::Stream>(
    connections: &Cell<usize>,
    requests: &Cell<usize>,
    stream: &mut S,
    socket: impl Fn(&S) -> &TcpStream,
) -> io::Result<()> {
    connections.set(connections.get() + 1);
    socket(stream).set_read_timeout(Some(IDLE))?;
    socket(stream).set_write_timeout(Some(IDLE))?;
    socket(stream).set_nodelay(true)?;
    let served = http::serve(stream, http::site)?;
    requests.set(requests.get() + served);
    Ok(())
}
