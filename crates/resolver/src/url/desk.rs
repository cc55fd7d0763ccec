//! Where clients ask: Safe Browsing's interface (v4) in JSON, for our own lists.
//!
//! A client takes over the prefixes of a list and keeps them up to date; only where a URL's hash begins with one of them it asks, for all hashes with that prefix. So it is never
//! said what is visited. What is asked is kept nowhere, not even as a count. There is no way to ask for a URL (`threatMatches:find`) on purpose.
//!
//! A list's `threatType` is its name. Clients that know no others than Google's need lists that are named so: `MALWARE`, `SOCIAL_ENGINEERING`, `UNWANTED_SOFTWARE`,
//! `POTENTIALLY_HARMFUL_APPLICATION`. Every list is of `ANY_PLATFORM` and of `URL`s.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

use super::held::{Held, PREFIX_OCTETS, Prefix, Update, coded};
use super::lists::{LISTS_MAX, Lists};
use super::rice::Coded;

/// Octets of a request's body at most.
pub const BODY_OCTETS_MAX: usize = 256 * 1024;
/// Prefixes that are asked for at once, at most: as many as Google takes.
pub const PREFIXES_MAX: usize = 500;
/// Seconds after which a client asks again for what changed, at the earliest.
pub const UPDATE_S: u32 = 300;
/// Seconds for which a client may keep that a hash is on a list, or that no other with its prefix is.
pub const CACHE_S: u32 = 300;

const PLATFORM: &str = "ANY_PLATFORM";
const ENTRY: &str = "URL";

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP's code.
    pub status: u16,
    /// What it says, in JSON.
    pub json: Vec<u8>,
}

/// Where clients ask for lists as they stand.
#[derive(Debug)]
pub struct Desk {
    lists: Arc<ArcSwap<Lists>>,
    held: Mutex<HeldOfAll>,
}

/// What is held of each list, by its name, and of which lists that was made.
#[derive(Debug, Default)]
struct HeldOfAll {
    of: Weak<Lists>,
    held: BTreeMap<Arc<str>, Arc<Held>>,
}

impl Desk {
    /// For these lists, and whatever becomes of them.
    pub fn new(lists: Arc<ArcSwap<Lists>>) -> Self {
        Self { lists, held: Mutex::default() }
    }

    /// Answers a request: its method, its path without a query, its body. After a change of a large list the first answer takes some tenths of a second.
    pub fn answer(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let result = match (method, path) {
            ("GET", "/v4/threatLists") => self.threat_lists(),
            ("POST", "/v4/threatListUpdates:fetch") => {
                parsed(body).and_then(|request| self.updates(&request))
            }
            ("POST", "/v4/fullHashes:find") => parsed(body).and_then(|request| self.full_hashes(&request)),
            (_, "/v4/threatLists" | "/v4/threatListUpdates:fetch" | "/v4/fullHashes:find") => {
                Err(Failure::Method)
            }
            _ => Err(Failure::Path),
        };
        result.unwrap_or_else(|failure| failure.answer())
    }

    fn threat_lists(&self) -> Result<Answer, Failure> {
        let lists = self.lists.load();
        let names = lists.places().filter_map(|place| lists.name(place));
        Ok(said(200, &ThreatLists { threat_lists: names.map(ListName::of).collect() }))
    }

    fn updates(&self, request: &UpdatesRequest) -> Result<Answer, Failure> {
        if request.list_update_requests.len() > LISTS_MAX {
            return Err(Failure::Request("more than 64 lists"));
        }
        let (mut updates, mut done) = (Vec::new(), Vec::new());
        for wanted in &request.list_update_requests {
            let is_ours = (&*wanted.platform_type, &*wanted.threat_entry_type) == (PLATFORM, ENTRY);
            // One answer a list: no request makes more of it than all lists.
            if !is_ours || done.contains(&&*wanted.threat_type) {
                continue;
            }
            done.push(&*wanted.threat_type);
            if let Some(held) = self.held(&wanted.threat_type) {
                updates.push(update(wanted, &held)?);
            }
        }
        Ok(said(200, &Updates { list_update_responses: updates, minimum_wait_duration: Seconds(UPDATE_S) }))
    }

    /// What is held of the list of this name, made anew where the lists have changed.
    fn held(&self, name: &str) -> Option<Arc<Held>> {
        let lists = self.lists.load_full();
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let of = Arc::downgrade(&lists);
        if !all.of.ptr_eq(&of) {
            let mut old = std::mem::take(&mut all.held);
            for place in lists.places() {
                let Some(name) = lists.name(place) else { continue };
                let now = Held::new(lists.hashes(place), lists.popular());
                let now = match old.remove(name) {
                    Some(old) => now.after(&old),
                    None => now,
                };
                all.held.insert(name.into(), Arc::new(now));
            }
            all.of = of;
        }
        all.held.get(name).cloned()
    }

    fn full_hashes(&self, request: &HashesRequest) -> Result<Answer, Failure> {
        let info = &request.threat_info;
        if info.threat_entries.len() > PREFIXES_MAX {
            return Err(Failure::Request("more than 500 prefixes"));
        }
        let has = |names: &[String], name: &str| names.iter().any(|wanted| wanted == name);
        let is_ours = has(&info.platform_types, PLATFORM) && has(&info.threat_entry_types, ENTRY);
        let lists = self.lists.load();
        let wanted: Vec<(u8, &str)> = lists
            .places()
            .filter_map(|place| Some((place, lists.name(place)?)))
            .filter(|(_, name)| is_ours && has(&info.threat_types, name))
            .collect();
        let mut prefixes = Vec::new();
        for entry in &info.threat_entries {
            let prefix = octets(&entry.hash)?;
            if !(PREFIX_OCTETS..=32).contains(&prefix.len()) {
                return Err(Failure::Request("a prefix has 4 to 32 octets"));
            }
            prefixes.push(prefix);
        }
        // One answer a hash, however often it is asked for.
        prefixes.sort_unstable();
        prefixes.dedup_by(|prefix, before| prefix.starts_with(before));
        let mut matches = Vec::new();
        for listed in prefixes.iter().flat_map(|prefix| lists.with_prefix(prefix)) {
            for (_, name) in wanted.iter().filter(|(place, _)| listed.lists >> place & 1 != 0) {
                matches.push(Match {
                    list: ListName::of(name),
                    threat: Threat { hash: STANDARD.encode(listed.hash.0) },
                    threat_entry_metadata: Metadata { entries: [] },
                    cache_duration: Seconds(CACHE_S),
                });
            }
        }
        Ok(said(200, &Hashes { matches, negative_cache_duration: Seconds(CACHE_S) }))
    }
}

/// What a client is told that holds some state of a list, or none.
fn update<'a>(wanted: &'a UpdateRequest, held: &Held) -> Result<ListUpdate<'a>, Failure> {
    let by_rice = wanted.constraints.supported_compressions.iter().any(|name| name == "RICE");
    let update = held.update_from(&octets(&wanted.state)?);
    let (response_type, removals, additions) = match &update {
        Update::Full if by_rice => {
            let mut additions: Vec<EntrySet> = held.coded().map(EntrySet::rice_hashes).into_iter().collect();
            raw_hashes(held.long().iter(), &mut additions);
            ("FULL_UPDATE", Vec::new(), additions)
        }
        Update::Full => {
            let short: Vec<u8> = held.short().flatten().collect();
            let mut additions = Vec::new();
            if !short.is_empty() {
                additions.push(EntrySet::raw_hashes(PREFIX_OCTETS, &short));
            }
            raw_hashes(held.long().iter(), &mut additions);
            ("FULL_UPDATE", Vec::new(), additions)
        }
        Update::Partial { removed, added } => {
            let removals = Some(removed).filter(|removed| !removed.is_empty());
            let removals = removals.map(|removed| EntrySet::indices(removed, by_rice)).into_iter().collect();
            let short = |prefix: &&Prefix| prefix.octets().len() == PREFIX_OCTETS;
            let mut additions = Vec::new();
            if by_rice {
                let four = added.iter().filter(short).filter_map(|prefix| prefix.octets().try_into().ok());
                additions.extend(coded(four).as_ref().map(EntrySet::rice_hashes));
                raw_hashes(added.iter().filter(|prefix| !short(prefix)), &mut additions);
            } else {
                raw_hashes(added.iter(), &mut additions);
            }
            ("PARTIAL_UPDATE", removals, additions)
        }
    };
    let entries = match &update {
        Update::Full => held.len(),
        Update::Partial { removed, added } => removed.len() + added.len(),
    };
    let limits = &wanted.constraints;
    let exceeds = |limit: u32, count: usize| limit != 0 && count > limit as usize;
    if exceeds(limits.max_update_entries, entries) || exceeds(limits.max_database_entries, held.len()) {
        return Err(Failure::Request(
            "the list has more entries than the client takes; parts of lists are not handed out",
        ));
    }
    let checksum = STANDARD.encode(held.checksum().0);
    Ok(ListUpdate {
        list: ListName::of(&wanted.threat_type),
        response_type,
        additions,
        removals,
        new_client_state: checksum.clone(),
        checksum: Checksum { sha256: checksum },
    })
}

/// Prefixes as they are, a set for each length.
fn raw_hashes<'a>(prefixes: impl Iterator<Item = &'a Prefix>, sets: &mut Vec<EntrySet>) {
    let mut by_len = BTreeMap::<usize, Vec<u8>>::new();
    for prefix in prefixes {
        by_len.entry(prefix.octets().len()).or_default().extend_from_slice(prefix.octets());
    }
    sets.extend(by_len.iter().map(|(len, octets)| EntrySet::raw_hashes(*len, octets)));
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    Path,
    Method,
    Request(&'static str),
}

impl Failure {
    fn answer(self) -> Answer {
        let (code, status, message) = match self {
            Self::Path => (404, "NOT_FOUND", "there is nothing of this name"),
            Self::Method => (405, "INVALID_ARGUMENT", "not by this method"),
            Self::Request(why) => (400, "INVALID_ARGUMENT", why),
        };
        said(code, &Failed { error: ErrorSaid { code, message, status } })
    }
}

fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Failure> {
    if body.len() > BODY_OCTETS_MAX {
        return Err(Failure::Request("more octets than a request may have"));
    }
    // What it says is not repeated: it may say what is visited.
    serde_json::from_slice(body).map_err(|_| Failure::Request("the body is no such request in JSON"))
}

fn said(status: u16, what: &impl Serialize) -> Answer {
    // Strings and numbers in structs: there is nothing that JSON could not say.
    Answer { status, json: serde_json::to_vec(what).unwrap_or_default() }
}

/// Octets in base64, of either alphabet, with or without padding: proto3's JSON takes all of them.
fn octets(text: &str) -> Result<Vec<u8>, Failure> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    GeneralPurpose::new(alphabet, LENIENT)
        .decode(text)
        .map_err(|_| Failure::Request("octets that are not in base64"))
}

/// A field of a request that may be missing or `null`, which in proto3's JSON is the same.
fn given<'a, T: Default + Deserialize<'a>, D: serde::Deserializer<'a>>(field: D) -> Result<T, D::Error> {
    Option::deserialize(field).map(Option::unwrap_or_default)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpdatesRequest {
    #[serde(default, deserialize_with = "given")]
    list_update_requests: Vec<UpdateRequest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpdateRequest {
    threat_type: String,
    platform_type: String,
    threat_entry_type: String,
    #[serde(default, deserialize_with = "given")]
    state: String,
    #[serde(default, deserialize_with = "given")]
    constraints: Constraints,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Constraints {
    #[serde(default, deserialize_with = "given")]
    max_update_entries: u32,
    #[serde(default, deserialize_with = "given")]
    max_database_entries: u32,
    #[serde(default, deserialize_with = "given")]
    supported_compressions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HashesRequest {
    threat_info: ThreatInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThreatInfo {
    #[serde(default, deserialize_with = "given")]
    threat_types: Vec<String>,
    #[serde(default, deserialize_with = "given")]
    platform_types: Vec<String>,
    #[serde(default, deserialize_with = "given")]
    threat_entry_types: Vec<String>,
    #[serde(default, deserialize_with = "given")]
    threat_entries: Vec<ThreatEntry>,
}

#[derive(Deserialize)]
struct ThreatEntry {
    hash: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListName<'a> {
    threat_type: &'a str,
    platform_type: &'static str,
    threat_entry_type: &'static str,
}

impl<'a> ListName<'a> {
    fn of(name: &'a str) -> Self {
        Self { threat_type: name, platform_type: PLATFORM, threat_entry_type: ENTRY }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ThreatLists<'a> {
    threat_lists: Vec<ListName<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Updates<'a> {
    list_update_responses: Vec<ListUpdate<'a>>,
    minimum_wait_duration: Seconds,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListUpdate<'a> {
    #[serde(flatten)]
    list: ListName<'a>,
    response_type: &'static str,
    additions: Vec<EntrySet>,
    removals: Vec<EntrySet>,
    new_client_state: String,
    checksum: Checksum,
}

#[derive(Serialize)]
struct Checksum {
    sha256: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntrySet {
    compression_type: &'static str,
    #[serde(flatten)]
    entries: Entries,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Entries {
    #[serde(rename_all = "camelCase")]
    RawHashes {
        prefix_size: usize,
        raw_hashes: String,
    },
    RawIndices {
        indices: Vec<u32>,
    },
    RiceHashes(RiceDeltas),
    RiceIndices(RiceDeltas),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RiceDeltas {
    /// In JSON, proto3 writes numbers of 64 bits as text.
    first_value: String,
    rice_parameter: u32,
    num_entries: u32,
    encoded_data: String,
}

impl RiceDeltas {
    fn of(coded: &Coded) -> Self {
        Self {
            first_value: coded.first.to_string(),
            rice_parameter: coded.parameter,
            num_entries: coded.differences,
            encoded_data: STANDARD.encode(&coded.data),
        }
    }
}

impl EntrySet {
    fn rice_hashes(coded: &Coded) -> Self {
        Self { compression_type: "RICE", entries: Entries::RiceHashes(RiceDeltas::of(coded)) }
    }

    fn raw_hashes(prefix_size: usize, octets: &[u8]) -> Self {
        let raw_hashes = STANDARD.encode(octets);
        Self { compression_type: "RAW", entries: Entries::RawHashes { prefix_size, raw_hashes } }
    }

    fn indices(indices: &[u32], by_rice: bool) -> Self {
        match Coded::of(indices).filter(|_| by_rice) {
            Some(coded) => {
                Self { compression_type: "RICE", entries: Entries::RiceIndices(RiceDeltas::of(&coded)) }
            }
            None => {
                Self { compression_type: "RAW", entries: Entries::RawIndices { indices: indices.to_vec() } }
            }
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hashes<'a> {
    matches: Vec<Match<'a>>,
    negative_cache_duration: Seconds,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Match<'a> {
    #[serde(flatten)]
    list: ListName<'a>,
    threat: Threat,
    threat_entry_metadata: Metadata,
    cache_duration: Seconds,
}

#[derive(Serialize)]
struct Threat {
    hash: String,
}

#[derive(Serialize)]
struct Metadata {
    entries: [(); 0],
}

/// As proto3 writes a duration.
struct Seconds(u32);

impl Serialize for Seconds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}s", self.0))
    }
}

#[derive(Serialize)]
struct Failed {
    error: ErrorSaid,
}

#[derive(Serialize)]
struct ErrorSaid {
    code: u16,
    message: &'static str,
    status: &'static str,
}

#[cfg(test)]
mod tests;
