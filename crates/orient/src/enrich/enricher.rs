//! All tables together, and how they are changed under running look-ups: whoever enriches takes the tables as they are
//! now, works a batch off with them, and takes them anew. A reload builds the new ones beside the old and swaps a
//! pointer; one that fails changes nothing.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::{
    Answer, Cc, EnrichError, Mmdb, PrefixTable, Report, Subject, Tenants, WarningLists, embedded, packed,
    read_ipasn, read_ranges,
};

/// The formats a table may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// pyasn's `ipasn.dat`.
    Ipasn,
    /// Ranges, as CSV or TSV.
    Ranges,
    /// MaxMind's format.
    Mmdb,
    /// Our own, as in `tables/`.
    Packed,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Ok(match name {
            "ipasn" => Self::Ipasn,
            "ranges" => Self::Ranges,
            "mmdb" => Self::Mmdb,
            "packed" => Self::Packed,
            _ => return Err(format!("'{name}' is none of ipasn, ranges, mmdb, packed")),
        })
    }
}

impl Format {
    /// The format a file of this name is likely to have.
    pub fn of_file(name: &str) -> Option<Self> {
        Some(match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
            "dat" => Self::Ipasn,
            "csv" | "tsv" => Self::Ranges,
            "mmdb" => Self::Mmdb,
            "table" => Self::Packed,
            _ => return None,
        })
    }
}

/// One table of addresses.
#[derive(Debug)]
pub enum Table {
    /// One of ours, in memory.
    Prefixes(PrefixTable),
    /// One in MaxMind's format, looked up where it is.
    Mmdb(Mmdb),
}

impl Table {
    /// Reads a table. The report counts lines of the text formats; the others are read whole or not at all.
    pub fn read(format: Format, bytes: Vec<u8>) -> Result<(Self, Report), EnrichError> {
        let whole = |table| (table, Report::default());
        match format {
            Format::Ipasn => read_ipasn(&*bytes).map(|(table, report)| (Self::Prefixes(table), report)),
            Format::Ranges => read_ranges(&*bytes).map(|(table, report)| (Self::Prefixes(table), report)),
            Format::Packed => packed::read(&bytes).map(Self::Prefixes).map(whole),
            Format::Mmdb => Mmdb::open(bytes).map(Self::Mmdb).map(whole),
        }
    }

    /// What this table knows of an address.
    pub fn look_up(&self, ip: IpAddr) -> Option<Answer<'_>> {
        match self {
            Self::Prefixes(table) => table.look_up(ip),
            Self::Mmdb(table) => table.look_up(ip),
        }
    }

    /// Whether it may know an address's country.
    fn has_countries(&self) -> bool {
        match self {
            Self::Prefixes(table) => table.has_countries(),
            Self::Mmdb(_) => true,
        }
    }
}

/// All tables, as they are at one moment. Cheap to clone: the parts are shared.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Asked in this order; what an earlier one knows, a later one is not believed about.
    pub sources: Vec<Arc<Table>>,
    /// Warning lists.
    pub lists: Arc<WarningLists>,
    /// Our own address space.
    pub tenants: Arc<Tenants>,
}

impl Tables {
    /// The tables that come with the program, and no address space of our own.
    pub fn embedded() -> Self {
        Self {
            sources: vec![embedded::asn(), embedded::country()],
            lists: embedded::lists(),
            ..Self::default()
        }
    }

    /// Of those, what tells countries and who is on a list: all that [`Self::country_of`] and the lists need, ready in half of the time.
    pub fn embedded_countries() -> Self {
        Self { sources: vec![embedded::country()], lists: embedded::lists(), ..Self::default() }
    }

    /// What is known of an address. Number, name and prefix are from one source, so that no name stands beside another
    /// network's number; the country may be from another.
    pub fn enrich(&self, ip: IpAddr) -> Option<Answer<'_>> {
        let mut all = Answer { tenant: self.tenants.tenant_of(ip), ..Answer::default() };
        for source in &self.sources {
            if all.asn.is_some() {
                if all.cc.is_some() {
                    break;
                }
                if !source.has_countries() {
                    continue;
                }
            }
            let Some(one) = source.look_up(ip) else { continue };
            if all.asn.is_none() {
                (all.asn, all.as_name, all.prefix) = (one.asn, one.as_name, one.prefix);
            }
            all.cc = all.cc.or(one.cc);
        }
        (all != Answer::default()).then_some(all)
    }

    /// The country alone.
    pub fn country_of(&self, ip: IpAddr) -> Option<Cc> {
        self.sources.iter().filter(|source| source.has_countries()).find_map(|source| source.look_up(ip)?.cc)
    }

    /// The names of the warning lists something is on.
    pub fn warnings(&self, subject: &Subject<'_>) -> Vec<&str> {
        self.lists.check(subject)
    }
}

/// Holds the tables for everybody who enriches.
#[derive(Debug)]
pub struct Enricher {
    now: ArcSwap<Tables>,
    /// Reloads go one after another: two at once would each build on what was before both.
    reloading: Mutex<()>,
}

impl Enricher {
    /// With these tables to begin with.
    pub fn new(tables: Tables) -> Self {
        Self { now: ArcSwap::from_pointee(tables), reloading: Mutex::new(()) }
    }

    /// The tables as they are now. Taken once for a batch, its events are enriched alike.
    pub fn now(&self) -> Arc<Tables> {
        self.now.load_full()
    }

    /// Puts new tables, made from the present ones, in their place. Look-ups go on meanwhile. If making them fails, the
    /// present ones stay.
    pub fn reload<E>(&self, make: impl FnOnce(Tables) -> Result<Tables, E>) -> Result<(), E> {
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let tables = make(Tables::clone(&self.now.load()))?;
        self.now.store(Arc::new(tables));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::mmdb::tests::{database, map, text, uint};
    use super::*;

    fn source(format: Format, bytes: &[u8]) -> Arc<Table> {
        Arc::new(Table::read(format, bytes.to_vec()).unwrap().0)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_source_that_knows_is_believed() {
        let own = database(&[("198.51.100.0/24", map(&[("autonomous_system_number", uint(64_500))]))]);
        let country = database(&[("198.51.100.0/25", map(&[("country_code", text("JP"))]))]);
        let tables = Tables {
            sources: vec![
                source(Format::Mmdb, &own),
                source(Format::Ranges, b"198.51.0.0,198.51.255.255,64501,Other,DE\n"),
                source(Format::Mmdb, &country),
            ],
            tenants: Arc::new(Tenants::new([("203.0.113.0/24".parse().unwrap(), "isp")]).unwrap()),
            ..Tables::default()
        };
        let answer = tables.enrich(ip("198.51.100.1")).unwrap();
        assert_eq!((answer.asn, answer.as_name), (Some(64_500), None));
        assert_eq!(answer.prefix, Some("198.51.100.0/24".parse().unwrap()));
        assert_eq!(answer.cc.unwrap().as_str(), "DE");
        assert_eq!(tables.enrich(ip("198.51.101.1")).unwrap().as_name, Some("Other"));
        let own = tables.enrich(ip("203.0.113.1")).unwrap();
        assert_eq!(own, Answer { tenant: Some("isp"), ..Answer::default() });
        assert_eq!(tables.enrich(ip("192.0.2.1")), None);
    }

    #[test]
    fn a_broken_file_leaves_the_old_table_in_use() {
        let enricher = Enricher::new(Tables {
            sources: vec![source(Format::Ipasn, b"192.0.2.0/24\t64500\n")],
            ..Tables::default()
        });
        let load = |format, bytes: &[u8]| {
            let bytes = bytes.to_vec();
            enricher.reload(|mut tables| {
                tables.sources = vec![Arc::new(Table::read(format, bytes)?.0)];
                Ok::<_, EnrichError>(tables)
            })
        };
        let before = enricher.now();
        for (format, bytes) in [
            (Format::Ipasn, b"<html>502</html>".as_slice()),
            (Format::Mmdb, b"\x00\x01"),
            (Format::Packed, b"noroshi-table 1\n\n"),
            (Format::Ranges, b""),
        ] {
            assert!(load(format, bytes).is_err());
            assert!(Arc::ptr_eq(&before, &enricher.now()));
        }
        load(Format::Ipasn, b"192.0.2.0/24\t64501\n").unwrap();
        assert_eq!(enricher.now().enrich(ip("192.0.2.1")).unwrap().asn, Some(64_501));
        // Whoever took the tables before still works with those.
        assert_eq!(before.enrich(ip("192.0.2.1")).unwrap().asn, Some(64_500));
    }

    #[test]
    fn look_ups_go_on_while_tables_change() {
        let enricher = Enricher::new(Tables::default());
        let load = |n: u32| {
            let text = format!("192.0.2.0/24\t{}\n198.51.100.0/24\t{}\n", n, n);
            enricher.reload(|mut tables| {
                tables.sources = vec![source(Format::Ipasn, text.as_bytes())];
                Ok::<_, EnrichError>(tables)
            })
        };
        load(1).unwrap();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                for _ in 0..20_000 {
                    let now = enricher.now();
                    let both = [ip("192.0.2.1"), ip("198.51.100.1")].map(|ip| now.enrich(ip).unwrap().asn);
                    assert_eq!(both[0], both[1]);
                }
            });
            for n in 2..200 {
                load(n).unwrap();
            }
            reader.join().unwrap();
        });
    }

    #[test]
    fn formats_are_known_by_name_and_by_file() {
        assert_eq!("mmdb".parse(), Ok(Format::Mmdb));
        assert!("xml".parse::<Format>().is_err());
        assert_eq!(Format::of_file("GeoLite2-ASN.MMDB"), Some(Format::Mmdb));
        assert_eq!(Format::of_file("ipasn_20261101.dat"), Some(Format::Ipasn));
        assert_eq!(Format::of_file("README"), None);
    }
}
