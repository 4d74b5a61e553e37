//! The links of a page.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use url::{ParseError, Url};

/// Calls `found` with every link of the page, resolved against its address or its `<base>`.
///
/// A tree of the document is not needed for that, so the tokens are looked at as they come. Invalid
/// UTF-8 becomes replacement characters.
pub(crate) fn links(page: &Url, body: &[u8], found: impl FnMut(Result<Url, ParseError>)) {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(&String::from_utf8_lossy(body)));
    let links = Links(RefCell::new(State { base: None, page, found }));
    let tokenizer = Tokenizer::new(links, TokenizerOpts::default());
    // It would pause for a script or for another encoding, which `Links` never asks for.
    let _done = tokenizer.feed(&input);
    tokenizer.end();
}

struct Links<'a, F>(RefCell<State<'a, F>>);

struct State<'a, F> {
    page: &'a Url,
    base: Option<Url>,
    found: F,
}

impl<F: FnMut(Result<Url, ParseError>)> State<'_, F> {
    fn open(&mut self, tag: &Tag) {
        let href = || tag.attrs.iter().find(|attribute| &*attribute.name.local == "href");
        match &*tag.name {
            "a" | "area" => {
                if let Some(href) = href() {
                    (self.found)(self.base.as_ref().unwrap_or(self.page).join(&href.value));
                }
            }
            // Only the first counts.
            "base" if self.base.is_none() => {
                self.base = href().and_then(|href| self.page.join(&href.value).ok())
            }
            _ => {}
        }
    }
}

impl<F: FnMut(Result<Url, ParseError>)> TokenSink for Links<'_, F> {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let Token::TagToken(tag) = token else { return TokenSinkResult::Continue };
        if tag.kind == TagKind::EndTag {
            return TokenSinkResult::Continue;
        }
        self.0.borrow_mut().open(&tag);
        // What looks like a tag in these is text; usually the builder of the tree tells.
        match &*tag.name {
            "script" => TokenSinkResult::RawData(RawKind::ScriptData),
            "style" | "xmp" | "iframe" | "noembed" | "noframes" => TokenSinkResult::RawData(RawKind::Rawtext),
            "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
            "plaintext" => TokenSinkResult::Plaintext,
            _ => TokenSinkResult::Continue,
        }
    }
}
