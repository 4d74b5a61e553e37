//! The command line.

use std::ffi::{OsStr, OsString};
use std::str::FromStr;
use std::time::Duration;

use lexopt::prelude::*;
use url::Url;

pub(crate) const HELP: &str = "\
Crawls a web site with a greenlet for each page.

Usage: crawl [OPTIONS]

Options:
  --url URL          Crawl this server, following links to the same host and port only.
                     Without it: a site of the program's own, whose counts are then checked.
  --pages N          Pages of the own site, or pages to fetch at most from a server [2000]
  --concurrency N    Pages in progress at once [100]
  --timeout SECONDS  Time for a page before it is killed, as in 0.5 [0.5]
  --retries N        How often a page that was killed is tried again [1]
  --seed N           Another number, another site [1]
  -h, --help         Print this

Exit status: 0 when the crawl is done (and the counts are as expected), 1 when not, 2 for a wrong option.
";

/// More than this is a typing error rather than a wish.
const MOST: u32 = 10_000_000;

/// The request of the command line.
#[derive(Debug)]
pub(crate) enum Command {
    Crawl(Options),
    Help,
}

/// The options of a crawl.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) url: Option<Url>,
    pub(crate) pages: u32,
    pub(crate) concurrency: u32,
    pub(crate) timeout: Duration,
    pub(crate) retries: u32,
    pub(crate) seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            url: None,
            pages: 2_000,
            concurrency: 100,
            timeout: Duration::from_millis(500),
            retries: 1,
            seed: 1,
        }
    }
}

/// Parses the arguments, the first of which is the program's name. An error is a message for the
/// user.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_iter(arguments);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        let name = match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long(name) => name.to_owned(),
            other => return Err(other.unexpected().to_string()),
        };
        if !["url", "pages", "concurrency", "timeout", "retries", "seed"].contains(&name.as_str()) {
            return Err(format!("unknown option '--{name}'"));
        }
        let value = parser.value().map_err(|error| error.to_string())?;
        match name.as_str() {
            "url" => options.url = Some(url(&value)?),
            "pages" => options.pages = number(&name, &value, 1, MOST)?,
            "concurrency" => options.concurrency = number(&name, &value, 1, MOST)?,
            "timeout" => options.timeout = seconds(&name, &value)?,
            "retries" => options.retries = number(&name, &value, 0, 100)?,
            _ => options.seed = number(&name, &value, 0, u64::MAX)?,
        }
    }
    Ok(Command::Crawl(options))
}

fn number<N>(name: &str, value: &OsStr, least: N, most: N) -> Result<N, String>
where
    N: FromStr + PartialOrd + std::fmt::Display,
{
    let number = value.to_str().and_then(|value| value.parse().ok());
    number.filter(|number| (&least..=&most).contains(&number)).ok_or_else(|| {
        format!("--{name} takes a whole number from {least} to {most}, not '{}'", value.display())
    })
}

fn seconds(name: &str, value: &OsStr) -> Result<Duration, String> {
    let seconds = value.to_str().and_then(|value| value.parse::<f64>().ok());
    seconds
        .filter(|seconds| (0.001..=86_400.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("--{name} takes seconds from 0.001 to 86400, not '{}'", value.display()))
}

fn url(value: &OsStr) -> Result<Url, String> {
    let wrong = |why: &str| format!("--url: '{}': {why}", value.display());
    let text = value.to_str().ok_or_else(|| wrong("not UTF-8"))?;
    let mut url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    match url.scheme() {
        "http" => {}
        "https" => return Err(wrong("this crawler speaks http without TLS only")),
        scheme => return Err(wrong(&format!("'{scheme}' is not http"))),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("a user's name or password in it is not sent"));
    }
    url.set_fragment(None);
    Ok(url)
}
