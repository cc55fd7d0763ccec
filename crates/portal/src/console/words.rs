//! Words of the console's pages that are in two languages: what came in, and sites. The others are in English.

use noroshi_model::Lang;
use noroshi_model::text::{Catalogue, TextError};

use super::asked::Asked;
use crate::show;
use crate::subscriber::visitor::Visitor;

pub(super) fn texts() -> Result<Catalogue, TextError> {
    Catalogue::read(&[
        (Lang::JA, include_str!("../../i18n/ja/console.ftl")),
        (Lang::EN, include_str!("../../i18n/en/console.ftl")),
    ])
}

/// Words of one language, as templates ask for them.
pub(super) struct Words<'a> {
    texts: &'a Catalogue,
    lang: Lang,
    /// Whether it was chosen: then it is carried on, as part of an address.
    pub(super) carried: String,
}

impl<'a> Words<'a> {
    pub(super) fn new(texts: &'a Catalogue, visitor: &Visitor, asked: &Asked) -> Self {
        let carried = match asked.field("lang") {
            "" => String::new(),
            _ => format!("lang={}&", visitor.lang.tag()),
        };
        Self { texts, lang: visitor.lang, carried }
    }

    pub(super) fn t(&self, key: &str) -> String {
        self.texts.say(self.lang, key, &[])
    }

    /// What a code of one of ours is called: `state`, `life`, `threat`. Another is shown as it is.
    pub(super) fn code(&self, kind: &str, code: &str) -> String {
        let key = format!("site-{kind}-{code}");
        let said = self.t(&key);
        if said == key { show::visible(code) } else { said }
    }

    pub(super) fn tag(&self) -> String {
        self.lang.tag().to_owned()
    }

    /// Each language with its own name, and whether it is this one.
    pub(super) fn languages(&self) -> [(String, &'static str, bool); 2] {
        [(Lang::JA, "日本語"), (Lang::EN, "English")]
            .map(|(lang, name)| (lang.tag().to_owned(), name, lang == self.lang))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::{SITE_STATES, SITE_THREATS};

    #[test]
    fn every_text_the_pages_ask_for_is_written_and_every_text_written_is_asked_for() {
        let pages = [
            include_str!("../../templates/console/languages.html"),
            include_str!("../../templates/console/intake.html"),
            include_str!("../../templates/console/sites.html"),
            include_str!("../../templates/console/site.html"),
        ];
        let pages = pages.concat();
        let mut asked: Vec<&str> =
            pages.split(".t(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        // What codes are called.
        let codes: Vec<String> = [
            ("state", &SITE_STATES[..]),
            ("life", &["answers", "elsewhere", "missing", "gone", "barred"]),
            ("threat", &SITE_THREATS),
        ]
        .iter()
        .flat_map(|(kind, codes)| codes.iter().map(move |code| format!("site-{kind}-{code}")))
        .collect();
        asked.extend(codes.iter().map(String::as_str));
        let texts = texts().unwrap();
        for key in &asked {
            Lang::WRITTEN.iter().for_each(|lang| assert_ne!(&texts.say(*lang, key, &[]), key));
        }
        for line in include_str!("../../i18n/ja/console.ftl").lines() {
            let Some((key, _)) = line.split_once(" = ") else { continue };
            assert!(asked.contains(&key), "{key} is on no page");
        }
    }
}
