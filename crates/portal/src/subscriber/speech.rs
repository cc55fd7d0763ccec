//! The texts of one page in the visitor's language, with the values they mention, as the templates call them.

use noroshi_model::Lang;
use noroshi_model::guide::Texts;
use noroshi_model::text::{Catalogue, TextError};

use super::visitor::Visitor;
use crate::show;

/// The pages' texts in English, as Fluent: what is translated.
pub(super) const ENGLISH: &str = include_str!("../../i18n/en/portal.ftl");

pub(super) fn texts() -> Result<Catalogue, TextError> {
    Catalogue::read(&[
        (Lang::JA, include_str!("../../i18n/ja/portal.ftl")),
        (Lang::EN, ENGLISH),
        (Lang::JA_EASY, include_str!("../../i18n/ja-x-easy/portal.ftl")),
    ])
}

/// What a template speaks with.
pub(super) struct Speech<'a> {
    texts: &'a Catalogue,
    pub(super) lang: Lang,
    values: Vec<(&'static str, String)>,
    /// The page's own path, and the part of it that stays the same.
    path: String,
    pub(super) root: String,
    /// The chosen language, carried on every link and form.
    pub(super) query: String,
}

impl<'a> Speech<'a> {
    pub(super) fn new(
        texts: &'a Catalogue,
        visitor: &Visitor,
        path: &str,
        values: Vec<(&'static str, String)>,
    ) -> Self {
        let query = visitor.query();
        Self { texts, lang: visitor.lang, values, path: path.to_owned(), root: path.to_owned(), query }
    }

    /// The same for a page below.
    pub(super) fn below(mut self, rest: &str) -> Self {
        self.path.push_str(rest);
        self
    }

    pub(super) fn t(&self, key: &str) -> String {
        self.in_lang(self.lang, key)
    }

    pub(super) fn in_lang(&self, lang: Lang, key: &str) -> String {
        let values: Vec<(&str, &str)> = self.values.iter().map(|(k, v)| (*k, v.as_str())).collect();
        self.texts.say(lang, key, &values)
    }

    /// One of the values on its own.
    pub(super) fn value(&self, name: &str) -> &str {
        self.values.iter().find(|(k, _)| *k == name).map_or("", |(_, v)| v)
    }

    pub(super) fn of(&self, both: &Texts) -> String {
        show::whole(both.of(self.lang).trim())
    }

    /// Each language with its tag, its own name, its link, and whether it is this one.
    pub(super) fn languages(&self) -> Vec<(String, String, String, bool)> {
        let each = |lang: Lang| {
            let (tag, name) = (lang.tag().to_owned(), self.texts.say(lang, "language-name", &[]));
            (tag, name, format!("{}?lang={}", self.path, lang.tag()), lang == self.lang)
        };
        self.texts.spoken().into_iter().map(each).collect()
    }

    /// The operator's name where it is known, else the site's.
    pub(super) fn house(&self) -> String {
        match self.value("operator") {
            "" => self.t("site"),
            name => name.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Keys that the code puts together from parts, or chooses.
    const PUT_TOGETHER: [&str; 8] =
        ["why-", "state-", "trouble-", "told-", "home-code-", "checked-", "warned-reason-", "warned-why-"];

    #[test]
    fn every_text_a_page_asks_for_is_written_and_every_text_written_is_asked_for() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/subscriber");
        let mut asked = Vec::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            asked.extend(text.split(".t(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
        assert!(asked.len() > 30, "looked at {} texts only", asked.len());
        let texts = texts().unwrap();
        for key in &asked {
            texts.spoken().iter().for_each(|lang| assert_ne!(&texts.say(*lang, key, &[]), key));
        }
        for line in include_str!("../../i18n/ja/portal.ftl").lines() {
            let Some((key, _)) = line.split_once(" = ") else { continue };
            let is_used = asked.iter().any(|k| k == key) || PUT_TOGETHER.iter().any(|p| key.starts_with(p));
            assert!(is_used || ["site", "language-name"].contains(&key), "{key} is on no page");
        }
    }
}
