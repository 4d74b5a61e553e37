//! Crawls a web site with a pool of greenlets: so many pages at once, with a timeout for each, and
//! a table at the end.
//!
//! Without `--url` it serves a site of its own on a loopback port, in the same thread and the same
//! hub: pages that link to each other, some late, some never answering, some broken in every way
//! that a crawler meets. It knows what it serves, so in the end it compares, and fails if the crawl
//! has counted anything else.
//!
//! ```text
//! cargo run --release --example crawl
//! cargo run --release --example crawl -- --url http://127.0.0.1:8000/
//! ```
//!
//! Read `crawler.rs` first: a `Pool`, its `imap_unordered`, a timeout, and `http.rs` below it is
//! plain blocking code.
//!
//! Ends by itself: yes

mod crawler;
mod html;
mod http;
mod options;
mod outcome;
mod plan;
mod progress;
mod report;
mod site;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use url::Url;

use crate::crawler::Crawler;
use crate::options::{Command, Options};
use crate::progress::Progress;
use crate::site::Site;

/// The time that the site has, after the crawl, to notice that no client is left.
const DRAIN: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let options = match options::parse(env::args_os()) {
        Ok(Command::Crawl(options)) => report::check_open_files(&options).map(|()| options),
        Ok(Command::Help) => return print(options::HELP),
        Err(message) => Err(message + "\nTry --help."),
    };
    let options = match options {
        Ok(options) => options,
        Err(message) => {
            eprintln!("crawl: {message}");
            return ExitCode::from(2);
        }
    };
    match ramie::run(|| run(&options)) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("crawl: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<ExitCode, String> {
    let alive = report::watch_greenlets();

    let (site, root) = match &options.url {
        Some(url) => (None, url.clone()),
        None => {
            let site = Site::open(options).map_err(|error| format!("cannot serve a site: {error}"))?;
            let root =
                Url::parse(site.plan().origin()).map_err(|error| format!("the site's address: {error}"))?;
            ramie::spawn({
                let site = site.clone();
                move || site.serve()
            });
            (Some(site), root)
        }
    };

    let crawler = Crawler::new(options, &root)?;
    let progress = Progress::start(&crawler);
    let start = Instant::now();
    crawler.crawl(root);
    let time = start.elapsed();
    progress.finish();

    if let Some(failure) = crawler.root_failure() {
        return Err(failure);
    }
    let code = print(&report::table(&crawler, time, alive.get()));
    match site {
        Some(site) => compare(&site, &crawler).map(|()| code),
        None => crawler.crashes().map_or(Ok(code), Err),
    }
}

/// Lets the site notice that the crawl is over, and compares the two sides.
fn compare(site: &Rc<Site>, crawler: &Crawler) -> Result<(), String> {
    site.close();
    if !ramie::get_hub().join_timeout(DRAIN) {
        return Err(format!("the site still had something to do {} s after the crawl", DRAIN.as_secs()));
    }
    report::compare(site, crawler)
}

/// Prints to stdout. A reader that has left is no failure.
fn print(text: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("crawl: cannot print: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
