//! Message catalogues in Fluent: what a subscriber, reporter or trainee reads, in every language that texts are given for.
//!
//! A catalogue is complete or it does not load: a language has every message with the same values, so that nobody is shown a
//! key, or a sentence with a hole in it. A variant of a language (`ja-x-easy` of `ja`) may leave messages to it.

use std::collections::{BTreeMap, BTreeSet};

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement};

use crate::lang::Lang;

/// The values that each message mentions, by the message's key.
type Messages = BTreeMap<String, BTreeSet<String>>;

/// Messages in every language.
#[derive(Default)]
pub struct Catalogue {
    bundles: Vec<(Lang, FluentBundle<FluentResource>)>,
    /// What every language has.
    messages: Messages,
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Catalogue({:?})", self.spoken())
    }
}

/// Why a catalogue is refused.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// Not Fluent.
    #[error("the {0} messages do not parse: {1}")]
    Syntax(Lang, String),
    /// A message one language has and another has not.
    #[error("message '{1}' is missing in {0}")]
    Missing(Lang, String),
    /// A message that no other language has: a mistyped key.
    #[error("there is no message '{1}' to be said in {0}")]
    Unknown(Lang, String),
    /// The same message with other values.
    #[error("message '{key}' in {lang} mentions {found}, and the others mention {wanted}")]
    Values {
        /// The language.
        lang: Lang,
        /// The message.
        key: String,
        /// What it mentions.
        found: String,
        /// What it has to mention.
        wanted: String,
    },
    /// Given twice.
    #[error("{0} is there already")]
    Twice(Lang),
}

impl Catalogue {
    /// Reads Fluent text for each language, of which the first says what messages there are.
    pub fn read(texts: &[(Lang, &str)]) -> Result<Self, TextError> {
        let mut catalogue = Self { bundles: Vec::new(), messages: Messages::new() };
        for (lang, text) in texts {
            catalogue.add(*lang, text)?;
        }
        Ok(catalogue)
    }

    /// Adds a language.
    pub fn add(&mut self, lang: Lang, text: &str) -> Result<(), TextError> {
        if self.bundles.iter().any(|(known, _)| *known == lang) {
            return Err(TextError::Twice(lang));
        }
        let resource = FluentResource::try_new(text.to_owned())
            .map_err(|(_, errors)| TextError::Syntax(lang, format!("{errors:?}")))?;
        let found = messages(&resource);
        match self.bundles.first() {
            None => self.messages = found,
            Some(_) => self.check(lang, &found)?,
        }
        let id = lang.base().tag().parse().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![id]);
        // Isolation marks would end up in mails and terminals; the languages so far are written left to right.
        bundle.set_use_isolating(false);
        bundle.add_resource(resource).map_err(|e| TextError::Syntax(lang, format!("{e:?}")))?;
        self.bundles.push((lang, bundle));
        Ok(())
    }

    fn check(&self, lang: Lang, found: &Messages) -> Result<(), TextError> {
        let is_variant = lang.base() != lang && lang.base().among(&self.spoken()).is_some();
        if let Some(key) = self.messages.keys().find(|key| !found.contains_key(*key) && !is_variant) {
            return Err(TextError::Missing(lang, key.clone()));
        }
        for (key, values) in found {
            let wanted = self.messages.get(key).ok_or_else(|| TextError::Unknown(lang, key.clone()))?;
            if wanted != values {
                let list = |set: &BTreeSet<String>| match set.len() {
                    0 => "nothing".to_owned(),
                    _ => set.iter().map(|value| format!("${value}")).collect::<Vec<_>>().join(", "),
                };
                let (found, wanted) = (list(values), list(wanted));
                return Err(TextError::Values { lang, key: key.clone(), found, wanted });
            }
        }
        Ok(())
    }

    /// The keys of all messages.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.messages.keys().map(String::as_str)
    }

    /// The languages, in the order in which they were given.
    pub fn spoken(&self) -> Vec<Lang> {
        self.bundles.iter().map(|(lang, _)| *lang).collect()
    }

    /// One message, in the nearest language that has it; a key nobody wrote comes back as itself, which a test catches.
    pub fn say(&self, lang: Lang, key: &str, values: &[(&str, &str)]) -> String {
        let spoken = self.spoken();
        let nearest = lang.among(&spoken).or_else(|| Lang::EN.among(&spoken));
        let chain = nearest.into_iter().chain(nearest.map(|lang| lang.base())).chain(spoken.first().copied());
        for lang in chain {
            let bundle = self.bundles.iter().find(|(known, _)| *known == lang);
            let pattern = bundle.and_then(|(_, bundle)| Some((bundle, bundle.get_message(key)?.value()?)));
            if let Some((bundle, pattern)) = pattern {
                let mut args = FluentArgs::new();
                values.iter().for_each(|(name, value)| args.set(*name, *value));
                return bundle.format_pattern(pattern, Some(&args), &mut Vec::new()).into_owned();
            }
        }
        key.to_owned()
    }
}

fn messages(resource: &FluentResource) -> Messages {
    let mut messages = Messages::new();
    for entry in resource.entries() {
        if let Entry::Message(message) = entry {
            let values = messages.entry(message.id.name.to_owned()).or_default();
            message.value.iter().for_each(|pattern| mentioned(pattern, values));
        }
    }
    messages
}

/// The values that a pattern mentions, also in its variants.
fn mentioned(pattern: &Pattern<&str>, values: &mut BTreeSet<String>) {
    for element in &pattern.elements {
        let PatternElement::Placeable { expression } = element else { continue };
        in_expression(expression, values);
    }
}

fn in_expression(expression: &Expression<&str>, values: &mut BTreeSet<String>) {
    let inline = match expression {
        Expression::Inline(inline) => inline,
        Expression::Select { selector, variants } => {
            variants.iter().for_each(|variant| mentioned(&variant.value, values));
            selector
        }
    };
    match inline {
        InlineExpression::VariableReference { id } => drop(values.insert(id.name.to_owned())),
        InlineExpression::Placeable { expression } => in_expression(expression, values),
        InlineExpression::FunctionReference { arguments, .. } => {
            for argument in &arguments.positional {
                if let InlineExpression::VariableReference { id } = argument {
                    values.insert(id.name.to_owned());
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JA: &str = "hello = こんにちは、{ $name } さん\nbye = さようなら\n";
    const EN: &str = "hello = Hello { $name }\nbye = Good-bye\n";

    fn both() -> Catalogue {
        Catalogue::read(&[(Lang::JA, JA), (Lang::EN, EN)]).unwrap()
    }

    fn lang(tag: &str) -> Lang {
        Lang::parse(tag).unwrap()
    }

    #[test]
    fn a_language_is_added_and_spoken_by_its_regions_too() {
        let mut texts = both();
        texts.add(lang("pt"), "hello = Olá { $name }\nbye = Até logo\n").unwrap();
        let say = |tag: &str| texts.say(lang(tag), "bye", &[]);
        assert_eq!(
            (say("pt-BR"), say("en-US"), say("de")),
            ("Até logo".into(), "Good-bye".into(), "Good-bye".into())
        );
        assert_eq!(texts.spoken(), [Lang::JA, Lang::EN, lang("pt")]);
    }

    #[test]
    fn a_variant_may_leave_messages_to_its_language_and_another_language_may_not() {
        let mut texts = both();
        texts.add(Lang::JA_EASY, "bye = さようなら。またね。\n").unwrap();
        assert_eq!(texts.say(Lang::JA_EASY, "bye", &[]), "さようなら。またね。");
        assert_eq!(texts.say(Lang::JA_EASY, "hello", &[("name", "アン")]), "こんにちは、アン さん");
        assert!(
            matches!(texts.add(lang("pt"), "bye = Até logo\n"), Err(TextError::Missing(_, key)) if key == "hello")
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_message_and_why() {
        for (text, told) in [
            ("hello = Olá\nbye = Até logo\n", "mentions nothing, and the others mention $name"),
            ("hello = Olá { $nome }\nbye = Até logo\n", "'hello' in pt mentions $nome"),
            ("hello = Olá { $name }\nbye = Até logo\nbyee = x\n", "no message 'byee'"),
            ("hello = Olá { $name\n", "do not parse"),
        ] {
            let e = both().add(lang("pt"), text).unwrap_err().to_string();
            assert!(e.contains(told), "{e}");
        }
        let select = "hello = { $name ->\n    [x] Olá\n   *[other] Olá { $name }\n }\nbye = Até logo\n";
        both().add(lang("pt"), select).unwrap();
        assert!(matches!(both().add(Lang::EN, EN), Err(TextError::Twice(_))));
    }
}
