//! The contents of the example's own site. Everything follows from a page's number and the seed,
//! so the same options make the same site, and what a crawl of it has to find is known beforehand.
//!
//! Page 0 is the root. Page `n` is linked to by the nearest page at or below `n / 10` that has
//! links, so that every page can be reached; links to pages somewhere else, to other hosts, and
//! things that only look like links are strewn in.

use std::fmt::Write;

use crate::outcome::Outcome;

/// The answer of the site to a request for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Html,
    /// A page that takes its time, though not too much of it.
    Late,
    /// A page that takes longer than any client waits.
    Slow,
    /// A body without end, sent in small pieces.
    Endless,
    /// A body that is too large.
    Large,
    /// 404 and 410.
    Missing,
    /// 500 and 503.
    Failing,
    /// A connection that is reset in the middle of the body.
    Reset,
    /// A connection that ends in the middle of the body.
    Truncated,
    /// An answer that is not HTTP.
    Malformed,
    Redirect,
    /// A text that is not HTML.
    Text,
}

impl Kind {
    /// The number of pages of each kind, in a thousand; the others are plain HTML.
    const SHARES: [(Kind, u64); 11] = [
        (Kind::Late, 40),
        (Kind::Slow, 15),
        (Kind::Endless, 10),
        (Kind::Large, 5),
        (Kind::Missing, 15),
        (Kind::Failing, 15),
        (Kind::Reset, 10),
        (Kind::Truncated, 10),
        (Kind::Malformed, 10),
        (Kind::Redirect, 30),
        (Kind::Text, 30),
    ];

    /// Returns the outcome that a crawler must report.
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Kind::Html | Kind::Late => Outcome::Html,
            Kind::Slow | Kind::Endless => Outcome::Slow,
            Kind::Large => Outcome::TooLarge,
            Kind::Missing => Outcome::ClientError,
            Kind::Failing => Outcome::ServerError,
            Kind::Reset => Outcome::Reset,
            Kind::Truncated => Outcome::Truncated,
            Kind::Malformed => Outcome::Malformed,
            Kind::Redirect => Outcome::Redirect,
            Kind::Text => Outcome::Other,
        }
    }

    fn has_links(self) -> bool {
        self.outcome() == Outcome::Html
    }
}

/// Folders as HTML writes them and as a request names them.
const FOLDERS: [(&str, &str); 5] = [
    ("news", "news"),
    ("shop/shoes", "shop/shoes"),
    ("café", "caf%C3%A9"),
    ("a b", "a%20b"),
    ("~people", "~people"),
];

const FILLER: &str = "<p>While one greenlet waits, others run; all of them share one thread, so they share \
    <code>Rc</code> and <code>RefCell</code> freely, and nothing needs <code>Send</code>.</p>\n";

/// Links that must not be followed.
const ELSEWHERE: [&str; 7] = [
    "http://elsewhere.invalid/news/1.html",
    "https://127.0.0.1/news/1.html",
    "http://127.0.0.1:1/news/1.html",
    "//elsewhere.invalid/",
    "mailto:nobody@elsewhere.invalid",
    "javascript:void(0)",
    "http://[broken/",
];

/// The part of the site that is known before the first request.
#[derive(Debug)]
pub(crate) struct Plan {
    pages: u32,
    seed: u64,
    origin: String,
}

impl Plan {
    /// The plan of a site that will be found at `origin`, as in `http://127.0.0.1:8000`.
    pub(crate) fn new(pages: u32, seed: u64, origin: String) -> Self {
        Plan { pages, seed, origin }
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn pages(&self) -> u32 {
        self.pages
    }

    /// A number that belongs to a page: the same for the same page and purpose, and otherwise any.
    pub(crate) fn dice(&self, page: u32, purpose: &str) -> u64 {
        let mut state = purpose.bytes().fold(self.seed ^ 0x9E37_79B9_7F4A_7C15, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        state ^= u64::from(page).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        for shift in [30, 27, 31] {
            state = (state ^ (state >> shift)).wrapping_mul(0x94D0_49BB_1331_11EB);
        }
        state ^ (state >> 29)
    }

    pub(crate) fn kind(&self, page: u32) -> Kind {
        if page == 0 {
            return Kind::Html;
        }
        let mut throw = self.dice(page, "kind") % 1000;
        for (kind, share) in Kind::SHARES {
            match throw.checked_sub(share) {
                Some(rest) => throw = rest,
                None => return kind,
            }
        }
        Kind::Html
    }

    /// The page's address as HTML writes it: one folder's name, and entities not yet escaped.
    fn address(page: u32, folders: fn(&(&'static str, &'static str)) -> &'static str) -> String {
        if page == 0 {
            return "/".to_owned();
        }
        if page % 20 == 7 {
            return format!("/find?page={page}&lang=en");
        }
        format!("/{}/{page}.html", folders(&FOLDERS[page as usize % FOLDERS.len()]))
    }

    /// The page that a request asks for, if there is such a page.
    pub(crate) fn page(&self, target: &str) -> Option<u32> {
        let end = target.strip_suffix(".html").or_else(|| target.strip_suffix("&lang=en")).unwrap_or(target);
        let digits = end.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let page = if target == "/" { 0 } else { end[digits..].parse().ok()? };
        (page < self.pages && Self::address(page, |(_, request)| request) == target).then_some(page)
    }

    /// The pages that this one is the first to link to.
    fn children(&self, page: u32) -> std::ops::Range<u32> {
        let mut next = page + 1;
        while next < self.pages && !self.kind(next).has_links() {
            next += 1;
        }
        let first = |page: u32| page.saturating_mul(10).clamp(1, self.pages);
        first(page)..first(next)
    }

    /// A reference to a page in one of the ways in which it can be written.
    fn href(&self, page: u32, way: u64) -> String {
        let path = Self::address(page, |(html, _)| html);
        // Pages lie two folders deep at most, and no path leads above the root.
        match way % 6 {
            0 => path,
            1 => format!("../..{path}"),
            2 => format!(".././../.{path}#part-{}", way % 7),
            3 => format!("{}{path}#", self.origin),
            4 => format!("{}{path}", self.origin.replacen("http:", "", 1)),
            _ => format!("{}{path}", self.origin.replacen("http:", "HTTP:", 1)),
        }
    }

    /// Returns the target of a redirect: another page, or another host.
    pub(crate) fn redirect(&self, page: u32) -> String {
        let throw = self.dice(page, "redirect");
        let target = (throw >> 32) as u32 % self.pages;
        if throw % 8 == 7 { ELSEWHERE[0].to_owned() } else { self.href(target, throw) }
    }

    /// Writes a page of HTML.
    pub(crate) fn write_html(&self, page: u32, html: &mut String) {
        let throw = self.dice(page, "html");
        // Requests for these would be counted as strays.
        let decoy = "<a href=\"/decoy/1.html\">decoy</a>";
        let _ = write!(
            html,
            "<!DOCTYPE html>\n<html><head><title>Page {page} {decoy}</title>\n\
             <script>document.write('{decoy}');</script></head>\n<body><h1>Page {page}</h1>\n<!-- {decoy} -->\n\
             <textarea>{decoy}</textarea><a name=\"top\">No link</a> <link href=\"/decoy/2.css\">\n<ul>\n"
        );
        for child in self.children(page) {
            self.write_link(child, throw.rotate_left(child), html);
        }
        html.push_str("</ul>\n");
        for number in 0..3 + throw % 5 {
            html.push_str(FILLER);
            let throw = self.dice(page, ["one", "two", "three", "four"][number as usize % 4]);
            self.write_link((throw >> 32) as u32 % self.pages, throw, html);
        }
        let away = ELSEWHERE[throw as usize % ELSEWHERE.len()];
        let _ = writeln!(html, "<p><a href=\"{away}\">Away</a> <a href=\"#top\">Up</a></body></html>");
    }

    fn write_link(&self, page: u32, way: u64, html: &mut String) {
        let href = self.href(page, way).replace('&', "&amp;");
        let _ = match way % 3 {
            0 => writeln!(html, "<li><a href=\"{href}\">Page {page}</a>"),
            1 => writeln!(html, "<LI><A CLASS=x HREF='{href}' >Page <b>{page}</b></A></LI>"),
            _ => writeln!(html, "<li><a\n  title=\"a > b\" href = \"  {href}\n\">Page {page}</a>"),
        };
    }

    /// Writes a text that is not HTML, though it looks like it.
    pub(crate) fn write_text(&self, page: u32, text: &mut String) {
        for line in 0..1 + self.dice(page, "text") % 50 {
            let _ = writeln!(text, "{line}: <a href=\"/decoy/3.html\">a text is not searched for links</a>");
        }
    }
}
