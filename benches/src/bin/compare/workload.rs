//! The form of a workload, and the contenders.

use std::io;
use std::net::SocketAddr;

/// One workload, in as many sizes as its table and its plot want.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// What its figure is of, for the table.
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    /// The sizes of the table; 0 alone where there is nothing to choose.
    pub(crate) sizes: &'static [u64],
    /// The sizes of the plot of growth; none where it is not in there.
    pub(crate) growth: &'static [u64],
    pub(crate) run: Run,
    /// The contenders in other languages.
    pub(crate) peers: &'static [&'static str],
}

/// A contender's name, and what it does.
pub(crate) type Contenders<F> = &'static [(&'static str, F)];

pub(crate) enum Run {
    /// Returns the figure.
    Cost(Contenders<fn(u64) -> f64>),
    /// Listens, announces where, and serves until the process is ended. The figures come from the client.
    Serve(Contenders<fn() -> io::Result<()>>),
}

/// The contenders that are known here, in the order of the table.
pub(crate) const CONTENDERS: &[&str] = &[
    "ramie",
    "ramie-corosensei",
    "least-hub",
    "corosensei",
    "epoll",
    "may",
    "may-1",
    "tokio",
    "tokio-local",
    "tokio-wake",
    "tokio-httparse",
    "smol",
    "monoio",
    "monoio-epoll",
    "glommio",
    "threads",
    "go",
    "go-1",
    "gevent",
    "boost",
];

/// Contenders that have no scheduler, or one that keeps no promise: the floor, and no rivals.
pub(crate) const BARE: [&str; 3] = ["least-hub", "corosensei", "epoll"];

/// Contenders that use every core they may: all others run on one thread, or on one worker.
pub(crate) const ON_ALL_CORES: [&str; 3] = ["may", "threads", "go"];

impl Workload {
    /// The contenders in this program.
    pub(crate) fn own(&self) -> Vec<&'static str> {
        match self.run {
            Run::Cost(contenders) => contenders.iter().map(|(name, _)| *name).collect(),
            Run::Serve(contenders) => contenders.iter().map(|(name, _)| *name).collect(),
        }
    }

    pub(crate) fn has(&self, contender: &str) -> bool {
        self.own().contains(&contender) || self.peers.contains(&contender)
    }

    pub(crate) fn is_served(&self) -> bool {
        matches!(self.run, Run::Serve(_))
    }

    /// What a figure of that size is called.
    pub(crate) fn label(&self, size: u64) -> String {
        if self.sizes == [0] { self.name.to_owned() } else { format!("{}/{size}", self.name) }
    }

    /// Runs a contender in this process and prints its figure.
    pub(crate) fn run(&self, contender: &str, size: u64) -> io::Result<()> {
        match self.run {
            Run::Cost(contenders) => println!("{} {}", find(contenders, contender)(size), self.unit),
            Run::Serve(contenders) => find(contenders, contender)()?,
        }
        Ok(())
    }
}

fn find<F: Copy>(contenders: Contenders<F>, name: &str) -> F {
    contenders.iter().find(|(own, _)| *own == name).expect("the parent asks for what there is").1
}

/// Tells the parent where a server listens.
pub(crate) fn announce(address: SocketAddr) {
    println!("port {}", address.port());
}

/// Tells the parent that this contender cannot take part here, and why.
pub(crate) fn skip(reason: &str) -> io::Result<()> {
    println!("skip {reason}");
    Ok(())
}
