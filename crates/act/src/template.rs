//! The mail's two forms as templates (Jinja), which an operator may replace by their own: `notice.txt` and `notice.html`.
//!
//! They are given everything a notice says, each text already in the reader's language ([`Says`]). A template that mentions what
//! there is not does not render, and [`Templates::lint`] holds it against every family and language before any mail is
//! written by it: a notice without its steps, its reason or a way to check that it is genuine is worse than none.

use std::collections::BTreeMap;
use std::path::Path;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, escape_formatter};
use serde::Serialize;

/// The text form.
pub const TEXT: &str = "notice.txt";
/// The HTML form.
pub const HTML: &str = "notice.html";
const SHIPPED: [(&str, &str); 2] =
    [(TEXT, include_str!("../templates/notice.txt")), (HTML, include_str!("../templates/notice.html"))];
/// Most bytes of a template.
const TEMPLATE_BYTES_MAX: u64 = 256 << 10;
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

/// Why templates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file cannot be read.
    #[error("{0} cannot be read: {1}")]
    Read(String, std::io::Error),
    /// Not Jinja, or it mentions what there is not.
    #[error("{0}")]
    Jinja(String),
}

impl From<minijinja::Error> for TemplateError {
    fn from(e: minijinja::Error) -> Self {
        let place = match (e.name(), e.line()) {
            (Some(name), Some(line)) => format!("{name}, line {line}: "),
            _ => String::new(),
        };
        Self::Jinja(format!("{place}{e}"))
    }
}

/// Both forms.
#[derive(Debug)]
pub struct Templates(Environment<'static>);

impl Templates {
    /// Ours, and instead of them those that are in a folder.
    pub fn read(folder: Option<&Path>) -> Result<Self, TemplateError> {
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
        for (name, shipped) in SHIPPED {
            let own = folder.map(|folder| folder.join(name)).filter(|path| path.exists());
            let source = match own {
                Some(path) => read(&path).map_err(|e| TemplateError::Read(path.display().to_string(), e))?,
                None => shipped.to_owned(),
            };
            environment.add_template_owned(name, source)?;
        }
        Ok(Self(environment))
    }

    /// One of the forms.
    pub fn render(&self, name: &str, says: &Says) -> Result<String, TemplateError> {
        Ok(self.0.get_template(name)?.render(Serde(says))?)
    }

    /// What is wrong with the forms for this notice: what a reader must be told and is not, and what may not be in a mail.
    pub fn lint(&self, says: &Says) -> Vec<String> {
        let mut wrong = Vec::new();
        for name in [TEXT, HTML] {
            let mail = match self.render(name, says) {
                Ok(mail) => mail,
                Err(e) => {
                    wrong.push(e.to_string());
                    continue;
                }
            };
            let plain = if name == HTML { unescaped(&mail) } else { mail.clone() };
            let must = [
                ("the link", &says.link),
                ("the reference", &says.reference),
                ("why", &says.why),
                ("how to check that it is genuine", &says.t["genuine"]),
                ("how to stop such mails", &says.t["optout"]),
                ("what it means", &says.about),
                ("the operator's name", &says.operator),
            ];
            let steps = says
                .steps
                .iter()
                .flat_map(|step| [("a step", &step.title), ("how to do a step", &step.body)]);
            let seen =
                says.seen.iter().flat_map(|seen| [("when", &seen.when), ("the address", &seen.address)]);
            for (what, text) in must.into_iter().chain(steps).chain(seen) {
                if !plain.contains(text.as_str()) {
                    wrong.push(format!("{name} ({}): {what} is not in it: {text}", says.lang));
                }
            }
            let lower = mail.to_lowercase();
            for (tag, why) in [
                ("<script", "no mail program runs scripts, and filters refuse them"),
                ("<img", "an image from elsewhere tells who reads"),
                ("<link", "a style sheet from elsewhere tells who reads"),
                ("<form", "a notice asks for nothing"),
                ("<iframe", "filters refuse it"),
                ("url(", "what is loaded from elsewhere tells who reads"),
            ] {
                if lower.contains(tag) {
                    wrong.push(format!("{name}: {tag}…: {why}"));
                }
            }
            let links = ["http://", "https://"].iter().flat_map(|scheme| plain.match_indices(scheme));
            for (at, _) in links {
                let rest = &plain[at..];
                let known = [Some(&says.link), Some(&says.t["page"])].into_iter().flatten();
                if !known.filter(|known| !known.is_empty()).any(|known| rest.starts_with(known.as_str())) {
                    let link: String = rest
                        .chars()
                        .take_while(|c| !c.is_whitespace() && !"\"<>".contains(*c))
                        .take(80)
                        .collect();
                    wrong.push(format!(
                        "{name}: a second link, {link}: whoever imitates the mail will change it"
                    ));
                }
            }
        }
        wrong.sort();
        wrong.dedup();
        wrong
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(TEMPLATE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
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
