//! The tables that come with the program, so that a fresh installation without a network knows the world. They are
//! compiled in as they lie in `tables/`, unpacked when first asked for, and kept from then on.
//! `tables/README.md` says where they come from and under what licences; `cargo xtask tables` makes them anew.

use std::sync::{Arc, LazyLock};

use super::packed::{self, About};
use super::{EnrichError, ListsBuilder, PrefixTable, Table, WarningLists};

const ASN: &[u8] = include_bytes!("../../../../tables/asn.table");
const COUNTRY: &[u8] = include_bytes!("../../../../tables/country.table");
const LISTS: &[u8] = include_bytes!("../../../../tables/lists.table");

/// The networks that announce addresses, with their owners' names.
pub fn asn() -> Arc<Table> {
    static TABLE: LazyLock<Arc<Table>> = LazyLock::new(|| Arc::new(table(ASN)));
    TABLE.clone()
}

/// Countries.
pub fn country() -> Arc<Table> {
    static TABLE: LazyLock<Arc<Table>> = LazyLock::new(|| Arc::new(table(COUNTRY)));
    TABLE.clone()
}

/// A few warning lists: well-known public resolvers, top sites, research scanners.
pub fn lists() -> Arc<WarningLists> {
    static LISTS: LazyLock<Arc<WarningLists>> = LazyLock::new(|| Arc::new(read_lists().unwrap_or_default()));
    LISTS.clone()
}

/// Where the tables come from and what has to be said about it, read from their heads alone.
pub fn about() -> Vec<About> {
    [ASN, COUNTRY, LISTS]
        .into_iter()
        .filter_map(|bytes| packed::head(bytes).ok())
        .map(|(about, _)| about)
        .collect()
}

/// A table that is compiled in is whole, as a test shows; should it not be, nothing is known rather than nothing runs.
fn table(bytes: &[u8]) -> Table {
    Table::Prefixes(packed::read(bytes).unwrap_or_else(|_| PrefixTable::default()))
}

/// Adds those warning lists to others.
pub fn add_lists(builder: &mut ListsBuilder) -> Result<(), EnrichError> {
    let (_, json) = packed::open(LISTS)?;
    builder.add_all(&json)
}

fn read_lists() -> Result<WarningLists, EnrichError> {
    let mut builder = ListsBuilder::default();
    add_lists(&mut builder)?;
    builder.build()
}
