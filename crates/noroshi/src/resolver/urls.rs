//! Lists of URLs: one page of a host on which others have theirs, too. Proxies ask about them ([`warning`](super::warning)); names never tell them.

use std::fs::File;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use noroshi_resolver::resolver::Resolver;
use noroshi_resolver::url::canonical::URL_OCTETS_MAX;
use noroshi_resolver::url::{Canonical, List, Lists};

use super::settings::AboutZone;

/// Refused lines that are told of a list at most.
const TOLD_MAX: usize = 20;

/// A list, and where it comes from.
#[derive(Clone, Debug)]
pub struct PlannedList {
    /// Its name.
    pub name: String,
    /// The file that it is read from.
    pub file: PathBuf,
    /// The measure, by its number, that a line must have agreed to.
    pub by_consent: Option<u8>,
    /// What people are told of it.
    pub about: AboutZone,
}

/// All lists, in their order.
pub struct Urls {
    planned: Vec<PlannedList>,
    lists: ArcSwap<Lists>,
    /// Those of them that clients may hold: whoever holds a list needs nobody's consent, so no list of a measure is among them.
    held: Arc<ArcSwap<Lists>>,
}

impl Urls {
    /// As planned, and read.
    pub fn read(planned: Vec<PlannedList>) -> anyhow::Result<Self> {
        let urls = Self { planned, lists: ArcSwap::default(), held: Arc::default() };
        urls.read_again()?;
        Ok(urls)
    }

    /// Reads all files again; where one cannot be, all stay as they are.
    pub fn read_again(&self) -> anyhow::Result<()> {
        let (mut lists, mut held) = (Vec::with_capacity(self.planned.len()), Vec::new());
        for planned in &self.planned {
            let at = || format!("[[resolver.url-list]] {}: {}", planned.name, planned.file.display());
            let file = File::open(&planned.file).with_context(at)?;
            let (list, refused) = List::read(&planned.name, file).with_context(at)?;
            for refused in refused.iter().take(TOLD_MAX) {
                tracing::warn!(list = planned.name, line = refused.line, "{}", refused.why);
            }
            if refused.len() > TOLD_MAX {
                tracing::warn!(
                    list = planned.name,
                    "{} lines more are none",
                    list.refused_count() - TOLD_MAX
                );
            }
            tracing::info!(list = planned.name, urls = list.len(), "read");
            if planned.by_consent.is_none() {
                held.push(list.clone());
            }
            lists.push(list);
        }
        let (lists, held) = (Lists::new(lists)?, Lists::new(held)?);
        self.lists.store(Arc::new(lists));
        self.held.store(Arc::new(held));
        Ok(())
    }

    /// The lists that clients may hold, as they stand at any time.
    pub fn held(&self) -> Arc<ArcSwap<Lists>> {
        Arc::clone(&self.held)
    }

    /// Whether a URL is longer than can be told, which nobody needs but who wants to pass by a list.
    pub fn is_too_long(&self, url: &str) -> bool {
        !self.planned.is_empty() && url.len() > URL_OCTETS_MAX
    }

    /// The first list that has a URL, of those that hold for a client.
    pub fn find(&self, resolver: &Resolver, client: IpAddr, url: &str) -> Option<&PlannedList> {
        if self.planned.is_empty() {
            return None;
        }
        let holds = |list: &PlannedList| {
            list.by_consent.is_none_or(|measure| resolver.agrees(measure.into(), client))
        };
        let holding = self.planned.iter().enumerate().filter(|(_, list)| holds(list));
        let holding = holding.fold(0, |lists, (place, _)| lists | 1 << place);
        let canonical = Canonical::of(url.as_bytes()).ok()?;
        let place = self.lists.load().find_among(&canonical, holding)?;
        self.planned.get(usize::from(place))
    }
}
