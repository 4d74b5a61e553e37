//! The crawler: a greenlet for each page that was ever linked to, of which a semaphore lets some work at once.
//!
//! Nothing here is locked or atomic, since greenlets share their thread: the counts are `Cell`s. That a page which
//! waits for its turn costs a stack is the point: it is a page of memory, and the code stays a straight line.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use ramie::{Event, Semaphore};
use url::{Position, Url};

use crate::html;
use crate::http::{Buffer, Client, Media, Response};
use crate::options::Options;
use crate::outcome::{Outcome, Tally};

/// Buffers that have grown beyond this are given back to the system instead of the next page.
const KEPT_BUFFER: usize = 64 * 1024;

/// One crawl of one host.
pub(crate) struct Crawler {
    client: Client,
    origin: String,
    pages: usize,
    concurrency: usize,
    timeout: Duration,
    retries: u32,
    permits: Semaphore,
    seen: RefCell<HashSet<Url>>,
    /// Pages whose greenlet has not ended.
    pending: Cell<usize>,
    done: Event,
    buffers: RefCell<Vec<Buffer>>,
    tally: Cell<Tally>,
    /// For each kind of failure, the first one.
    samples: RefCell<Vec<(Outcome, String)>>,
    root_failure: RefCell<Option<String>>,
    bytes: Cell<u64>,
    kills: Cell<u64>,
    links: Cell<u64>,
    elsewhere: Cell<u64>,
}

impl Crawler {
    /// A crawler for the host of `root`. An error is a message for the user.
    pub(crate) fn new(options: &Options, root: &Url) -> Result<Rc<Self>, String> {
        let concurrency = options.concurrency as usize;
        Ok(Rc::new(Crawler {
            client: Client::new(root)?,
            origin: root[..Position::BeforePath].to_owned(),
            pages: options.pages as usize,
            concurrency,
            timeout: options.timeout,
            retries: options.retries,
            permits: Semaphore::new(concurrency),
            seen: RefCell::default(),
            pending: Cell::new(0),
            done: Event::new(),
            buffers: RefCell::default(),
            tally: Cell::default(),
            samples: RefCell::default(),
            root_failure: RefCell::default(),
            bytes: Cell::new(0),
            kills: Cell::new(0),
            links: Cell::new(0),
            elsewhere: Cell::new(0),
        }))
    }

    /// Crawls everything that can be reached, and returns when the last page is done.
    pub(crate) fn crawl(self: &Rc<Self>, root: Url) {
        self.visit(root);
        self.done.wait();
    }

    /// Sends a greenlet to a page, unless one was sent before.
    fn visit(self: &Rc<Self>, url: Url) {
        {
            let mut seen = self.seen.borrow_mut();
            if seen.len() >= self.pages || !seen.insert(url.clone()) {
                return;
            }
        }
        self.pending.update(|pending| pending + 1);
        let crawler = self.clone();
        let page = ramie::spawn(move || crawler.permits.with(|| crawler.fetch(&url)));
        // Called in the hub however the greenlet ends, so a bug cannot leave `crawl` waiting for ever.
        let crawler = self.clone();
        page.rawlink(move |page| {
            if let Some(failure) = page.exception() {
                crawler.count(Outcome::Crashed, || failure.to_string());
            }
            crawler.pending.update(|pending| pending - 1);
            if crawler.pending.get() == 0 {
                crawler.done.set();
            }
        });
    }

    /// Fetches one page, counts what came of it and visits what it links to.
    // Its frame is large; inlined, it would be part of the stack of every greenlet that only waits for its turn.
    #[inline(never)]
    fn fetch(self: &Rc<Self>, url: &Url) {
        let mut buffer = self.buffers.borrow_mut().pop().unwrap_or_default();
        let answer = (0..=self.retries).find_map(|_| {
            // The timeout interrupts whichever wait it meets: connecting, writing or reading. Destructors run, so the
            // connection is closed; the buffer lives outside and is there for the next try.
            let answer = ramie::with_timeout(self.timeout, || self.client.get(url, &mut buffer));
            if answer.is_err() {
                self.kills.update(|kills| kills + 1);
            }
            answer.ok()
        });
        match answer {
            Some(Ok(response)) => self.digest(url, &response, &buffer),
            Some(Err(error)) => self.fail(error.outcome(), url, &error.to_string()),
            None => self.fail(Outcome::Slow, url, "no answer in time"),
        }
        if buffer.capacity() <= KEPT_BUFFER {
            self.buffers.borrow_mut().push(buffer);
        }
    }

    fn digest(self: &Rc<Self>, url: &Url, response: &Response, buffer: &Buffer) {
        match (response.status, &response.location) {
            (300..400, Some(location)) => {
                self.count(Outcome::Redirect, String::new);
                self.follow(url.join(location));
            }
            (200..300, _) => {
                let body = buffer.slice(&response.body);
                self.bytes.update(|bytes| bytes + body.len() as u64);
                if response.media == Media::Html {
                    self.count(Outcome::Html, String::new);
                    html::links(url, body, |link| self.follow(link));
                } else {
                    self.count(Outcome::Other, String::new);
                }
            }
            (400..500, _) => self.fail(Outcome::ClientError, url, &format!("status {}", response.status)),
            (500..600, _) => self.fail(Outcome::ServerError, url, &format!("status {}", response.status)),
            (status, _) => {
                self.fail(Outcome::Malformed, url, &format!("status {status} makes no sense here"))
            }
        }
    }

    /// Visits a link, if it is one to this host.
    fn follow(self: &Rc<Self>, link: Result<Url, url::ParseError>) {
        self.links.update(|links| links + 1);
        match link {
            Ok(mut url) if url[..Position::BeforePath] == self.origin => {
                url.set_fragment(None);
                self.visit(url);
            }
            _ => self.elsewhere.update(|elsewhere| elsewhere + 1),
        }
    }

    fn fail(&self, outcome: Outcome, url: &Url, why: &str) {
        if self.seen.borrow().len() == 1 {
            // The one page that is known is the root: nothing else can have linked to anything.
            *self.root_failure.borrow_mut() = Some(format!("cannot crawl {url}: {why}"));
        }
        self.count(outcome, || format!("{why}: {}", &url[Position::BeforePath..]));
    }

    fn count(&self, outcome: Outcome, sample: impl FnOnce() -> String) {
        let mut tally = self.tally.get();
        tally.add(outcome);
        self.tally.set(tally);
        if outcome.is_failure() && tally.of(outcome) == 1 {
            self.samples.borrow_mut().push((outcome, sample()));
        }
    }

    /// How the pages ended, so far.
    pub(crate) fn tally(&self) -> Tally {
        self.tally.get()
    }

    /// The first failure of that kind.
    pub(crate) fn sample(&self, outcome: Outcome) -> Option<String> {
        self.samples.borrow().iter().find(|(kind, _)| *kind == outcome).map(|(_, sample)| sample.clone())
    }

    /// Why the root could not be crawled, if it could not.
    pub(crate) fn root_failure(&self) -> Option<String> {
        self.root_failure.borrow().clone()
    }

    /// What to say when greenlets have panicked.
    pub(crate) fn crashes(&self) -> Option<String> {
        let crashes = self.tally().of(Outcome::Crashed);
        (crashes > 0).then(|| format!("{crashes} pages met a bug of this program"))
    }

    /// The bytes of the bodies that came whole.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Requests sent.
    pub(crate) fn requests(&self) -> u64 {
        self.client.requests()
    }

    /// Tries that the timeout ended: of a page that is slow for good, each one.
    pub(crate) fn kills(&self) -> u64 {
        self.kills.get()
    }

    /// Links found, and how many of them lead elsewhere.
    pub(crate) fn links(&self) -> (u64, u64) {
        (self.links.get(), self.elsewhere.get())
    }

    /// The pages that are known.
    pub(crate) fn known(&self) -> usize {
        self.seen.borrow().len()
    }

    /// The pages that are worked on.
    pub(crate) fn active(&self) -> usize {
        self.concurrency - self.permits.counter()
    }
}
