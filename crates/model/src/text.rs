//! Message catalogues in Fluent: what a subscriber, reporter or trainee reads, in every language of [`Lang`].
//!
//! A catalogue is complete or it does not load: every language has the same messages, so that nobody is shown a key.

use std::collections::BTreeSet;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use unic_langid::langid;

use crate::lang::Lang;

/// Messages in every language.
pub struct Catalogue {
    bundles: Vec<(Lang, FluentBundle<FluentResource>)>,
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Catalogue({} languages)", self.bundles.len())
    }
}

/// Why a catalogue is refused.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// Not Fluent.
    #[error("the {0} messages do not parse: {1}")]
    Syntax(&'static str, String),
    /// A message one language has and another has not.
    #[error("message '{1}' is missing in {0}")]
    Missing(&'static str, String),
}

impl Catalogue {
    /// Reads Fluent text for each language.
    pub fn read(texts: &[(Lang, &str)]) -> Result<Self, TextError> {
        let mut bundles = Vec::new();
        let mut keys: Vec<(Lang, BTreeSet<String>)> = Vec::new();
        for (lang, text) in texts {
            let resource = FluentResource::try_new((*text).to_owned())
                .map_err(|(_, errors)| TextError::Syntax(lang.tag(), format!("{errors:?}")))?;
            let ids = resource.entries().filter_map(|entry| match entry {
                fluent_syntax::ast::Entry::Message(message) => Some(message.id.name.to_owned()),
                _ => None,
            });
            keys.push((*lang, ids.collect()));
            let id = match lang {
                Lang::Ja => langid!("ja"),
                Lang::En => langid!("en"),
            };
            let mut bundle = FluentBundle::new_concurrent(vec![id]);
            // Isolation marks would end up in mails and terminals; both languages are written left to right.
            bundle.set_use_isolating(false);
            bundle.add_resource(resource).map_err(|e| TextError::Syntax(lang.tag(), format!("{e:?}")))?;
            bundles.push((*lang, bundle));
        }
        let all: BTreeSet<&String> = keys.iter().flat_map(|(_, ids)| ids).collect();
        for (lang, ids) in &keys {
            if let Some(missing) = all.iter().find(|key| !ids.contains(**key)) {
                return Err(TextError::Missing(lang.tag(), (*missing).clone()));
            }
        }
        Ok(Self { bundles })
    }

    /// One message; a key nobody wrote comes back as itself, which a test catches.
    pub fn say(&self, lang: Lang, key: &str, values: &[(&str, &str)]) -> String {
        let Some((_, bundle)) = self.bundles.iter().find(|(l, _)| *l == lang) else { return key.to_owned() };
        let Some(pattern) = bundle.get_message(key).and_then(|m| m.value()) else { return key.to_owned() };
        let mut args = FluentArgs::new();
        values.iter().for_each(|(name, value)| args.set(*name, *value));
        let mut errors = Vec::new();
        bundle.format_pattern(pattern, Some(&args), &mut errors).into_owned()
    }
}
