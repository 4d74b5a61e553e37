//! The crawler: a pool of greenlets that fetch pages, over an input that their own results feed.
//!
//! `imap_unordered` asks the frontier for the next address whenever the pool has a slot and the
//! reader keeps up, so neither pages nor their links pile up. What goes wrong with a page is its
//! member's failure and arrives among the results like any other. Nothing here is locked or atomic,
//! since greenlets share their thread: the counts are `Cell`s.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use ramie::channel::{self, Sender};
use ramie::{Failure, Mapping, Pool, get_hub};
use url::{Position, Url};

use crate::html;
use crate::http::{Buffer, Client, Media, Response};
use crate::options::Options;
use crate::outcome::{Outcome, Tally};

/// Buffers that have grown beyond this are given back to the system instead of the next page.
const KEPT_BUFFER: usize = 64 * 1024;

/// A page that was fetched.
struct Page {
    outcome: Outcome,
    /// The pages on this host that it links to.
    links: Vec<Url>,
    /// The number of its links that lead elsewhere.
    elsewhere: u64,
    /// The size of its body.
    bytes: u64,
}

/// Why a page was not fetched.
#[derive(Debug)]
struct PageFailure {
    outcome: Outcome,
    url: Url,
    why: String,
}

impl fmt::Display for PageFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.why, &self.url[Position::BeforePath..])
    }
}

/// One crawl of one host.
pub(crate) struct Crawler {
    client: Client,
    origin: String,
    pages: usize,
    concurrency: usize,
    timeout: Duration,
    retries: u32,
    pool: Pool,
    seen: RefCell<HashSet<Url>>,
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
        Ok(Rc::new(Crawler {
            client: Client::new(root)?,
            origin: root[..Position::BeforePath].to_owned(),
            pages: options.pages as usize,
            concurrency: options.concurrency as usize,
            timeout: options.timeout,
            retries: options.retries,
            pool: Pool::new(options.concurrency as usize),
            seen: RefCell::default(),
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
        // Bad pages are what a crawler lives with: they are counted, not reported one by one.
        get_hub().not_error::<PageFailure>();
        let (frontier, addresses) = channel::unbounded();
        let crawler = self.clone();
        let fetched = self.pool.try_imap_unordered(addresses, move |url| crawler.fetch(url));
        self.discover(root, &frontier);
        // As far ahead as the pool is wide: a reader that falls behind stops the fetching.
        for page in fetched.maxsize(self.concurrency) {
            match page {
                Ok(page) => {
                    self.count(page.outcome, String::new);
                    self.bytes.update(|bytes| bytes + page.bytes);
                    self.elsewhere.update(|elsewhere| elsewhere + page.elsewhere);
                    self.links.update(|links| links + page.elsewhere + page.links.len() as u64);
                    page.links.into_iter().for_each(|link| self.discover(link, &frontier));
                }
                Err(failure) => self.fail(&failure),
            }
            if self.tally().total() == self.known() as u64 {
                break;
            }
        }
    }

    /// Puts a page into the frontier, unless it was there before.
    fn discover(&self, url: Url, frontier: &Sender<Url>) {
        let mut seen = self.seen.borrow_mut();
        if seen.len() < self.pages && seen.insert(url.clone()) {
            // The other end belongs to the iteration, which is still going on.
            let _ = frontier.send(url);
        }
    }

    /// Fetches one page: what each member of the pool does.
    fn fetch(&self, url: Url) -> Result<Page, PageFailure> {
        let mut buffer = self.buffers.borrow_mut().pop().unwrap_or_default();
        let answer = (0..=self.retries).find_map(|_| {
            // The timeout interrupts whichever wait it meets: connecting, writing or reading.
            // Destructors run, so the connection is closed; the buffer lives outside and is there
            // for the next try.
            let answer = ramie::with_timeout(self.timeout, || self.client.get(&url, &mut buffer));
            if answer.is_err() {
                self.kills.update(|kills| kills + 1);
            }
            answer.ok()
        });
        let page = match answer {
            Some(Ok(response)) => self.digest(&url, &response, &buffer),
            Some(Err(error)) => Err((error.outcome(), error.to_string())),
            None => Err((Outcome::Slow, "no answer in time".to_owned())),
        };
        if buffer.capacity() <= KEPT_BUFFER {
            self.buffers.borrow_mut().push(buffer);
        }
        page.map_err(|(outcome, why)| PageFailure { outcome, url, why })
    }

    fn digest(&self, url: &Url, response: &Response, buffer: &Buffer) -> Result<Page, (Outcome, String)> {
        let mut page = Page { outcome: Outcome::Html, links: Vec::new(), elsewhere: 0, bytes: 0 };
        match (response.status, &response.location) {
            (300..400, Some(location)) => {
                page.outcome = Outcome::Redirect;
                self.collect(url.join(location), &mut page);
            }
            (200..300, _) => {
                let body = buffer.slice(&response.body);
                page.bytes = body.len() as u64;
                if response.media == Media::Html {
                    html::links(url, body, |link| self.collect(link, &mut page));
                } else {
                    page.outcome = Outcome::Other;
                }
            }
            (400..500, _) => return Err((Outcome::ClientError, format!("status {}", response.status))),
            (500..600, _) => return Err((Outcome::ServerError, format!("status {}", response.status))),
            (status, _) => return Err((Outcome::Malformed, format!("status {status} makes no sense here"))),
        }
        Ok(page)
    }

    /// Takes a link down, if it is one to this host.
    fn collect(&self, link: Result<Url, url::ParseError>, page: &mut Page) {
        match link {
            Ok(mut url) if url[..Position::BeforePath] == self.origin => {
                url.set_fragment(None);
                page.links.push(url);
            }
            _ => page.elsewhere += 1,
        }
    }

    /// Counts a page that the pool reports as failed: by its own error, or by a bug of this
    /// program.
    fn fail(&self, failure: &Failure) {
        let outcome =
            failure.downcast_ref::<PageFailure>().map_or(Outcome::Crashed, |failure| failure.outcome);
        if self.known() == 1 {
            // The one page that is known is the root: nothing else can have linked to anything.
            *self.root_failure.borrow_mut() = Some(format!("cannot crawl {}: {failure}", self.origin));
        }
        self.count(outcome, || failure.to_string());
    }

    fn count(&self, outcome: Outcome, sample: impl FnOnce() -> String) {
        let mut tally = self.tally.get();
        tally.add(outcome);
        self.tally.set(tally);
        if outcome.is_failure() && tally.of(outcome) == 1 {
            self.samples.borrow_mut().push((outcome, sample()));
        }
    }

    /// Returns the outcomes of the pages so far.
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

    /// Returns a message about greenlets that have panicked.
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
        self.pool.len()
    }
}
