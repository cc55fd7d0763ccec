//! The mail's two forms and its subject as templates (Jinja), which an operator may replace by their own: `notice.txt`,
//! `notice.html` and `subject.txt`.
//!
//! They are given everything a notice says, each text already in the reader's language ([`Says`]). A template that mentions what
//! there is not does not render, and [`Templates::lint`] holds it against every family and language before any mail is
//! written by it: a notice without its steps, its reason or a way to check that it is genuine is worse than none.

use std::collections::BTreeMap;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, escape_formatter};
use noroshi_model::Id;
use serde::Serialize;

/// The text form.
pub const TEXT: &str = "notice.txt";
/// The HTML form.
pub const HTML: &str = "notice.html";
/// The subject.
pub const SUBJECT: &str = "subject.txt";
/// All forms, with ours.
const SHIPPED: [(&str, &str); 3] = [
    (TEXT, include_str!("../templates/notice.txt")),
    (HTML, include_str!("../templates/notice.html")),
    (SUBJECT, "{{ t[\"subject\"] }}"),
];
/// The names of all forms.
pub const FORMS: [&str; 3] = [TEXT, HTML, SUBJECT];
/// Longest subject, in characters: more is cut off by mail programs, on telephones long before.
pub const SUBJECT_CHARS_MAX: usize = 100;
/// Digits by which a form is told from others.
const FORM_DIGITS: usize = 8;
/// Steps a template may take, so that a loop in it ends.
const FUEL: u64 = 1_000_000;

/// What a template can say.
#[derive(Clone, Debug, Serialize)]
pub struct Says {
    /// The language's tag.
    pub lang: String,
    /// The texts by their keys, with their values: `t["what-title"]`.
    pub t: BTreeMap<String, String>,
    /// The ISP's name.
    pub operator: String,
    /// Where to ask.
    pub desk: String,
    /// Whether the code can be typed on a page of the operator's own.
    pub has_page: bool,
    /// The code.
    pub code: String,
    /// The reference for the telephone.
    pub reference: String,
    /// The link.
    pub link: String,
    /// Why the operator may tell.
    pub why: String,
    /// When and from which address it was seen, newest first.
    pub seen: Vec<Seen>,
    /// That there was more, in words.
    pub more: Option<String>,
    /// What kind of device it is.
    pub device: String,
    /// What it means.
    pub about: String,
    /// What to do.
    pub steps: Vec<Step>,
}

/// One sighting.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// `2026-11-20 12:12 JST`
    pub when: String,
    /// The address.
    pub address: String,
}

/// One thing to do.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// The imperative.
    pub title: String,
    /// How.
    pub body: String,
}

/// Why a template cannot be used: it is no Jinja, or mentions what there is not.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(String);

impl From<minijinja::Error> for TemplateError {
    fn from(e: minijinja::Error) -> Self {
        let place = match (e.name(), e.line()) {
            (Some(name), Some(line)) => format!("{name}, line {line}: "),
            _ => String::new(),
        };
        Self(format!("{place}{e}"))
    }
}

/// All forms.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    /// A hash of what was written in them.
    form: String,
}

impl Templates {
    /// Ours, and instead of them those that are given, by name.
    pub fn new(own: &BTreeMap<String, String>) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|name| match name.ends_with(".html") {
            true => AutoEscape::Html,
            false => AutoEscape::None,
        });
        environment.set_formatter(|out, state, value| match state.auto_escape() {
            AutoEscape::Html if !value.is_safe() => Ok(write!(out, "{}", escaped(&value.to_string()))?),
            _ => escape_formatter(out, state, value),
        });
        let texts = SHIPPED.map(|(name, shipped)| own.get(name).map_or(shipped, String::as_str));
        for (name, text) in FORMS.into_iter().zip(texts) {
            environment.add_template_owned(name, text.to_owned())?;
        }
        let mut form = Id::of("form", &texts.map(str::as_bytes)).to_string();
        form.truncate(FORM_DIGITS);
        Ok(Self { environment, form })
    }

    /// Eight hexadecimal digits of a hash of what was written in the forms: another text is another form.
    pub fn form(&self) -> &str {
        &self.form
    }

    /// One of the forms.
    pub fn render(&self, name: &str, says: &Says) -> Result<String, TemplateError> {
        Ok(self.environment.get_template(name)?.render(Serde(says))?)
    }

    /// The subject, in one line.
    pub fn subject(&self, says: &Says) -> Result<String, TemplateError> {
        Ok(self.render(SUBJECT, says)?.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// What is wrong with the forms for this notice: what a reader must be told and is not, and what may not be in a mail.
    pub fn lint(&self, says: &Says) -> Vec<String> {
        let mut wrong = Vec::new();
        for name in [TEXT, HTML] {
            match self.render(name, says) {
                Ok(mail) => {
                    let plain = if name == HTML { unescaped(&mail) } else { mail.clone() };
                    wrong.extend(lacking(says, &plain).map(|what| format!("{name} ({}): {what}", says.lang)));
                    wrong.extend(unwanted(&mail).map(|what| format!("{name}: {what}")));
                    wrong.extend(foreign_links(says, &plain).map(|link| {
                        format!("{name}: a second link, {link}: whoever imitates the mail will change it")
                    }));
                }
                Err(e) => wrong.push(e.to_string()),
            }
        }
        match self.subject(says) {
            Ok(subject) => {
                wrong.extend(amiss(&subject).map(|what| format!("{SUBJECT} ({}): {what}", says.lang)));
            }
            Err(e) => wrong.push(e.to_string()),
        }
        wrong
    }
}

/// What is wrong with a subject.
fn amiss(subject: &str) -> Option<String> {
    match subject.chars().count() {
        0 => Some("the subject is empty".into()),
        1..=SUBJECT_CHARS_MAX if subject.contains("://") => {
            Some("a link in the subject: a notice has one, below".into())
        }
        1..=SUBJECT_CHARS_MAX if subject.chars().any(char::is_control) => {
            Some("a control character in the subject".into())
        }
        1..=SUBJECT_CHARS_MAX => None,
        chars => Some(format!("the subject has {chars} characters; at most {SUBJECT_CHARS_MAX}")),
    }
}

/// What a reader must be told and is not.
fn lacking<'a>(says: &'a Says, plain: &'a str) -> impl Iterator<Item = String> + 'a {
    let must = [
        ("the link", &says.link),
        ("the reference", &says.reference),
        ("why", &says.why),
        ("how to check that it is genuine", &says.t["genuine"]),
        ("how to stop such mails", &says.t["optout"]),
        ("what it means", &says.about),
        ("the operator's name", &says.operator),
    ];
    let steps =
        says.steps.iter().flat_map(|step| [("a step", &step.title), ("how to do a step", &step.body)]);
    let seen = says.seen.iter().flat_map(|seen| [("when", &seen.when), ("the address", &seen.address)]);
    let all = must.into_iter().chain(steps).chain(seen);
    all.filter(|(_, text)| !plain.contains(text.as_str()))
        .map(|(what, text)| format!("{what} is not in it: {text}"))
}

/// What may not be in a mail.
fn unwanted(mail: &str) -> impl Iterator<Item = String> {
    let lower = mail.to_lowercase();
    let unwanted = [
        ("<script", "no mail program runs scripts, and filters refuse them"),
        ("<img", "an image from elsewhere tells who reads"),
        ("<link", "a style sheet from elsewhere tells who reads"),
        ("<form", "a notice asks for nothing"),
        ("<iframe", "filters refuse it"),
        ("url(", "what is loaded from elsewhere tells who reads"),
    ];
    unwanted
        .into_iter()
        .filter(move |(tag, _)| lower.contains(tag))
        .map(|(tag, why)| format!("{tag}…: {why}"))
}

/// Links that are neither the notice's nor in the operator's own words.
fn foreign_links<'a>(says: &'a Says, plain: &'a str) -> impl Iterator<Item = String> + 'a {
    let links = ["http://", "https://"].into_iter().flat_map(|scheme| plain.match_indices(scheme));
    let ours = [&says.link, &says.t["page"], &says.desk, &says.operator];
    links.filter_map(move |(at, scheme)| {
        let ends = plain[at..].find(|c: char| c.is_whitespace() || "\"<>」)”".contains(c));
        let link = &plain[at..ends.map_or(plain.len(), |ends| at + ends)];
        let is_ours = link.len() > scheme.len() && ours.iter().any(|own| own.contains(link));
        (!is_ours).then(|| link.chars().take(80).collect())
    })
}

/// What has a meaning in HTML, as text. Slashes have none: a link stays one that every mail program knows.
fn escaped(text: &str) -> String {
    ESCAPES.iter().fold(text.to_owned(), |text, (plain, escaped)| text.replace(plain, escaped))
}

fn unescaped(html: &str) -> String {
    ESCAPES.iter().rev().fold(html.to_owned(), |text, (plain, escaped)| text.replace(escaped, plain))
}

const ESCAPES: [(&str, &str); 5] =
    [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&#39;")];
