//! Shadowserver's HTTP sinkhole reports (`event4_sinkhole_http`, `event6_sinkhole_http`): who called a
//! sinkholed domain.
//!
//! A report is CSV with a header; columns come and go, so they are found by name and those not known here are
//! carried along as `extra.*`. The mapping onto [`Event`] is held against what IntelMQ makes of the same
//! reports. Times are UTC by Shadowserver's documentation, whatever zone the reader sits in.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::IpAddr;

use jiff::Timestamp;
use noroshi_model::intake::Bad;
use noroshi_model::{ClassificationType, Endpoint, Event};
use serde_json::Value;

use crate::csv::{CsvError, CsvFormat, Record, Records};
use crate::lines::{Encoding, Lines};
use crate::time::{TimeFormat, Zone};

/// Columns without which a file is no sinkhole report.
const REQUIRED: [&str; 2] = ["timestamp", "src_ip"];
/// Columns that become fields of [`SinkholeHttp`] or are used up by the mapping.
const KNOWN: [&str; 24] = [
    "timestamp",
    "protocol",
    "src_ip",
    "src_port",
    "src_asn",
    "src_geo",
    "src_region",
    "src_city",
    "src_hostname",
    "src_naics",
    "src_sector",
    "dst_ip",
    "dst_port",
    "dst_asn",
    "dst_geo",
    "dst_region",
    "dst_city",
    "dst_hostname",
    "dst_naics",
    "dst_sector",
    "infection",
    "family",
    "tag",
    "http_url",
];
/// Most bytes of a column that is carried along.
pub const EXTRA_BYTES_MAX: usize = 4096;
/// Most columns that are carried along.
pub const EXTRA_COLUMNS_MAX: usize = 64;

/// One call to a sinkhole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkholeHttp {
    /// Line number, from 1.
    pub line: u64,
    /// `timestamp`, UTC.
    pub timestamp: Timestamp,
    /// `protocol`, lower case: `tcp`.
    pub protocol: Option<String>,
    /// `src_*`: the infected side.
    pub source: Peer,
    /// `dst_*`: the sinkhole.
    pub destination: Peer,
    /// `infection`: what Shadowserver calls the infection.
    pub infection: Option<String>,
    /// `family`: the malware family.
    pub family: Option<String>,
    /// `tag`
    pub tag: Option<String>,
    /// `http_url`: a request line or a path, as received.
    pub http_url: Option<String>,
    /// `http_host`, as received.
    pub http_host: Option<String>,
    /// Every other non-empty column by its name.
    pub more: BTreeMap<String, String>,
}

/// One side of the call, as Shadowserver describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// `*_ip`
    pub ip: Option<IpAddr>,
    /// `*_port`
    pub port: Option<u16>,
    /// `*_asn`; 0 means not known and is left out.
    pub asn: Option<u32>,
    /// `*_geo`, `*_region`, `*_city`, `*_hostname`, `*_sector` by their IntelMQ names.
    pub texts: BTreeMap<&'static str, String>,
    /// `*_naics`; 0 means not known and is left out.
    pub naics: Option<u32>,
}

/// Reads a report. The outer error ends it; a bad line does not.
pub fn read_sinkhole_http<R: Read>(reader: R) -> SinkholeReport<R> {
    let lines = Lines::new(reader, Encoding::default());
    SinkholeReport { records: Records::new(lines, CsvFormat::default(), &REQUIRED), utc: Zone::utc() }
}

/// The rows of a report; made by [`read_sinkhole_http`].
#[derive(Debug)]
pub struct SinkholeReport<R> {
    records: Records<R>,
    utc: Zone,
}

impl<R: Read> SinkholeReport<R> {
    /// Bytes consumed so far: where the next row starts.
    pub fn offset(&self) -> u64 {
        self.records.offset()
    }
}

impl<R: Read> Iterator for SinkholeReport<R> {
    type Item = Result<Result<SinkholeHttp, Bad>, CsvError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.records.next()?;
        Some(record.map(|record| {
            record.and_then(|record| sinkhole_http(&record, &self.utc).map_err(|reason| record.bad(reason)))
        }))
    }
}

fn sinkhole_http(record: &Record, utc: &Zone) -> Result<SinkholeHttp, String> {
    let stamp = record.cell("timestamp").unwrap_or_default();
    let timestamp = TimeFormat::Rfc3339.read(stamp, Some(utc)).map_err(|e| format!("`timestamp`: {e}"))?;
    let source = peer(record, "src")?;
    if source.ip.is_none() {
        return Err("`src_ip` is empty".into());
    }
    let text = |column| filled(record, column).map(str::to_owned);
    Ok(SinkholeHttp {
        line: record.line,
        timestamp,
        protocol: filled(record, "protocol").map(str::to_lowercase),
        source,
        destination: peer(record, "dst")?,
        infection: text("infection"),
        family: text("family"),
        tag: text("tag"),
        http_url: text("http_url"),
        http_host: text("http_host"),
        more: more(record)?,
    })
}

fn filled<'a>(record: &'a Record, column: &str) -> Option<&'a str> {
    record.cell(column).map(str::trim).filter(|cell| !cell.is_empty())
}

fn peer(record: &Record, side: &str) -> Result<Peer, String> {
    let texts = [
        ("geo", "geolocation.cc"),
        ("region", "geolocation.region"),
        ("city", "geolocation.city"),
        ("hostname", "reverse_dns"),
        ("sector", "sector"),
    ];
    let text = |(column, key)| filled(record, &format!("{side}_{column}")).map(|cell| (key, cell.to_owned()));
    let known = |number: &u32| *number != 0;
    Ok(Peer {
        ip: number::<IpAddr>(record, side, "ip")?.map(|ip| ip.to_canonical()),
        port: number(record, side, "port")?,
        asn: number(record, side, "asn")?.filter(known),
        texts: texts.into_iter().filter_map(text).collect(),
        naics: number(record, side, "naics")?.filter(known),
    })
}

fn number<T: std::str::FromStr>(record: &Record, side: &str, what: &str) -> Result<Option<T>, String> {
    let column = format!("{side}_{what}");
    let read = |cell: &str| cell.parse().map_err(|_| format!("`{column}` is not valid"));
    filled(record, &column).map(read).transpose()
}

fn more(record: &Record) -> Result<BTreeMap<String, String>, String> {
    let unknown =
        |(column, cell): &(&str, &str)| !cell.is_empty() && *column != "http_host" && !KNOWN.contains(column);
    let more: BTreeMap<_, _> =
        record.cells().filter(unknown).map(|(column, cell)| (column.to_owned(), cell.to_owned())).collect();
    if more.len() > EXTRA_COLUMNS_MAX || more.iter().any(|(k, v)| k.len() + v.len() > EXTRA_BYTES_MAX) {
        return Err(format!(
            "more than {EXTRA_COLUMNS_MAX} further columns, or one over {EXTRA_BYTES_MAX} bytes"
        ));
    }
    Ok(more)
}

impl SinkholeHttp {
    /// The event, in IntelMQ's keys; `read` is when the report was read here.
    pub fn event(&self, feed_name: &str, feed_code: &str, read: Timestamp) -> Event {
        let kind = ClassificationType::InfectedSystem;
        let mut event = Event::new(self.timestamp, read, kind, feed_name, feed_code);
        event.source = self.source.endpoint();
        event.destination = self.destination.endpoint();
        event.malware_name = self.family.as_ref().or(self.infection.as_ref()).map(|name| name.to_lowercase());
        self.source.describe("source", &mut event.more);
        self.destination.describe("destination", &mut event.more);
        self.describe(&mut event.more);
        event
    }

    fn describe(&self, more: &mut BTreeMap<String, Value>) {
        let fqdn = self.http_host.as_deref().and_then(fqdn);
        let url = self.url();
        let (host_left, url_left) = (
            self.http_host.as_ref().filter(|_| fqdn.is_none() && url.is_none()),
            self.http_url.as_ref().filter(|_| url.is_none()),
        );
        let texts = [
            ("protocol.application", Some("http")),
            ("protocol.transport", self.protocol.as_deref()),
            ("classification.identifier", self.tag.as_deref()),
            ("extra.tag", self.tag.as_deref()),
            ("extra.infection", self.infection.as_deref()),
            ("destination.fqdn", fqdn.as_deref()),
            ("destination.url", url.as_deref()),
            ("extra.http_host", host_left.map(String::as_str)),
            ("extra.http_url", url_left.map(String::as_str)),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                more.insert(key.to_owned(), text.into());
            }
        }
        more.extend(self.more.iter().map(|(column, cell)| (format!("extra.{column}"), cell.as_str().into())));
    }

    /// `GET /path HTTP/1.1` or `/path` on the host that was asked for; `None` where the two make no URL.
    fn url(&self) -> Option<String> {
        let asked = self.http_url.as_deref()?;
        let mut words = asked.split_whitespace();
        let target = match (words.next()?, words.next()) {
            (path, None) => path,
            ("GET" | "HEAD" | "POST" | "PUT" | "OPTIONS" | "DELETE" | "PATCH", Some(path)) => path,
            _ => return None,
        };
        let host = self.http_host.as_deref().filter(|host| is_host(host))?;
        target.starts_with('/').then(|| format!("http://{host}{target}"))
    }
}

fn is_host(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    !text.is_empty() && text.len() <= 260 && text.bytes().all(plain)
}

/// The host as a domain name in lower case, its port dropped; `None` for addresses and single labels.
fn fqdn(host: &str) -> Option<String> {
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let named = name.len() <= 253 && name.contains('.') && name.split('.').all(label);
    let is_address = name.parse::<IpAddr>().is_ok();
    let port_is_one = port.bytes().all(|byte| byte.is_ascii_digit());
    (named && port_is_one && !is_address).then(|| name.to_ascii_lowercase())
}

impl Peer {
    fn endpoint(&self) -> Endpoint {
        Endpoint { ip: self.ip, port: self.port }
    }

    fn describe(&self, side: &str, more: &mut BTreeMap<String, Value>) {
        for (key, text) in &self.texts {
            let key = if *key == "sector" { format!("extra.{side}.{key}") } else { format!("{side}.{key}") };
            more.insert(key, text.as_str().into());
        }
        for (key, number) in [(format!("{side}.asn"), self.asn), (format!("extra.{side}.naics"), self.naics)]
        {
            if let Some(number) = number {
                more.insert(key, number.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::PathBuf;

    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;

    const NOT_COMPARED: [&str; 6] =
        ["raw", "raw_text", "feed.name", "feed.code", "time.observation", "__type"];

    fn cases() -> Option<Vec<PathBuf>> {
        let shared = std::env::var_os("NOROSHI_TEST_SHARED_DATA").map(PathBuf::from);
        let shared =
            shared.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
        let folder = std::fs::read_dir(shared.join("intelmq-cases")).ok()?;
        let wanted = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            ["event4_sinkhole_http", "event6_sinkhole_http"].iter().any(|kind| name.contains(kind))
                && name.contains("ShadowserverParserBot")
        };
        Some(folder.filter_map(|entry| Some(entry.ok()?.path())).filter(wanted).collect())
    }

    fn compared(flat: &Map<String, Value>) -> Event {
        let mut flat = flat.clone();
        flat.retain(|key, _| !NOT_COMPARED.contains(&key.as_str()));
        Event::from_intelmq(&flat).unwrap()
    }

    #[test]
    fn reports_become_the_events_that_intelmq_makes_of_them() {
        let Some(cases) = cases() else {
            let _unread =
                std::io::stderr().write_all(b"skipped: no intelmq-cases (set NOROSHI_TEST_SHARED_DATA)\n");
            return;
        };
        let mut events = 0;
        for case in cases {
            let case: Value = serde_json::from_slice(&std::fs::read(case).unwrap()).unwrap();
            let report = case["inputs"][0]["raw_text"].as_str().unwrap();
            let expected: Vec<Event> =
                case["events"].as_array().unwrap().iter().map(|e| compared(e.as_object().unwrap())).collect();
            let read: Vec<Event> = read_sinkhole_http(report.as_bytes())
                .map(|row| {
                    compared(&row.unwrap().unwrap().event("f", "c", Timestamp::UNIX_EPOCH).to_intelmq())
                })
                .collect();
            assert_eq!(read, expected);
            events += read.len();
        }
        println!("{events} events compared");
        assert!(events > 0, "the case files are there, but none was compared");
    }

    fn one(header: &str, row: &str) -> Result<Event, Bad> {
        let text = format!("{header}\n{row}\n");
        let row = read_sinkhole_http(text.as_bytes()).next().unwrap().unwrap();
        row.map(|row| row.event("f", "c", Timestamp::UNIX_EPOCH))
    }

    #[test]
    fn columns_come_in_any_order_and_unknown_ones_are_carried_along() {
        let event = one(
            "severity,src_ip,infection,timestamp,src_asn,dst_naics",
            "high,192.0.2.7,Avalanche,2026-11-20 03:12:00,0,518210",
        )
        .unwrap();
        assert_eq!(event.time_source.to_string(), "2026-11-20T03:12:00Z");
        assert_eq!(event.malware_name.as_deref(), Some("avalanche"));
        assert_eq!(event.more["extra.severity"], "high");
        assert_eq!(event.more["extra.destination.naics"], 518_210);
        assert!(!event.more.contains_key("source.asn"));
    }

    #[test]
    fn a_host_that_is_no_domain_is_no_fqdn() {
        let columns = "timestamp,src_ip,http_host,http_url";
        let event =
            |host, url| one(columns, &format!("2026-11-20 03:12:00,192.0.2.7,{host},{url}")).unwrap().more;
        let named = event("C2.example.net:8080", "POST /gate.php HTTP/1.1");
        assert_eq!(named["destination.fqdn"], "c2.example.net");
        assert_eq!(named["destination.url"], "http://C2.example.net:8080/gate.php");
        let address = event("192.0.2.9", "/gate.php");
        assert_eq!(address["destination.url"], "http://192.0.2.9/gate.php");
        assert!(!address.contains_key("destination.fqdn"));
        let odd = event("a b", "CONNECT x:443 HTTP/1.1");
        assert_eq!(
            (&odd["extra.http_host"], &odd["extra.http_url"]),
            (&"a b".into(), &"CONNECT x:443 HTTP/1.1".into())
        );
    }

    #[test]
    fn a_row_that_cannot_be_used_names_the_column() {
        let reason = |row| one("timestamp,src_ip,src_port", row).unwrap_err().reason;
        assert_eq!(reason("2026-11-20 03:12:00,,1"), "`src_ip` is empty");
        assert_eq!(reason("2026-11-20 03:12:00,192.0.2.7,70000"), "`src_port` is not valid");
        assert!(reason("yesterday,192.0.2.7,1").starts_with("`timestamp`: "));
    }

    #[test]
    fn a_file_that_is_no_sinkhole_report_is_refused() {
        let error = read_sinkhole_http(&b"time,ip\n"[..]).next().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "column 'timestamp' is missing; there are: time, ip");
    }

    proptest! {
        #[test]
        fn arbitrary_rows_never_panic(bytes: Vec<u8>, row in "[ -~]{0,80}") {
            read_sinkhole_http(&bytes[..]).for_each(drop);
            let text = format!("timestamp,src_ip,http_host,http_url\n2026-11-20 03:12:00,::1,{row}\n");
            for row in read_sinkhole_http(text.as_bytes()).flatten().flatten() {
                row.event("f", "c", Timestamp::UNIX_EPOCH);
            }
        }
    }
}
