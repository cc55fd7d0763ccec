//! A map for a file nobody has described: what a person would guess from its header and its first lines, written down so
//! that the person can correct it. It never loads anything; it proposes.

use std::fmt::Write as _;

use noroshi_model::ClassificationType;

use crate::convert::{convert, ip, network, time, url};
use crate::kind::{Kind, kind_of};

/// Bytes of a sample that are looked at.
pub const SAMPLE_BYTES_MAX: usize = 256 << 10;
/// Rows looked at.
const ROWS_MAX: usize = 200;
/// Share of a column's cells that must read as a type, in percent, where nothing else speaks for it.
const ENOUGH: usize = 90;
/// The same where the column's name speaks for it.
const ENOUGH_NAMED: usize = 50;
/// Seconds since 1970 that are taken for a time: 2001 to 2096.
const EPOCH: std::ops::Range<f64> = 1e9..4e9;

/// What a person said of the feed.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// The format's name.
    pub name: String,
    /// `classification.type`
    pub kind: Option<ClassificationType>,
    /// Zone of times that carry none.
    pub zone: Option<String>,
}

/// Names of columns and what they usually hold, by words in the name.
const NAMES: &[(&str, &str)] = &[
    ("timestamp", "time.source"),
    ("time", "time.source"),
    ("datetime", "time.source"),
    ("date", "time.source"),
    ("first_seen", "time.source"),
    ("firstseen", "time.source"),
    ("last_seen", "time.source"),
    ("seen", "time.source"),
    ("ip", "source.ip"),
    ("ip_address", "source.ip"),
    ("ipaddress", "source.ip"),
    ("address", "source.ip"),
    ("src", "source.ip"),
    ("src_ip", "source.ip"),
    ("source_ip", "source.ip"),
    ("dst_ip", "destination.ip"),
    ("dst", "destination.ip"),
    ("dest_ip", "destination.ip"),
    ("destination_ip", "destination.ip"),
    ("port", "source.port"),
    ("src_port", "source.port"),
    ("source_port", "source.port"),
    ("sport", "source.port"),
    ("dst_port", "destination.port"),
    ("dest_port", "destination.port"),
    ("destination_port", "destination.port"),
    ("dport", "destination.port"),
    ("asn", "source.asn"),
    ("as", "source.asn"),
    ("as_number", "source.asn"),
    ("as_name", "source.as_name"),
    ("cc", "source.geolocation.cc"),
    ("country", "source.geolocation.cc"),
    ("country_code", "source.geolocation.cc"),
    ("geo", "source.geolocation.cc"),
    ("city", "source.geolocation.city"),
    ("region", "source.geolocation.region"),
    ("host", "source.fqdn"),
    ("fqdn", "source.fqdn"),
    ("domain", "source.fqdn"),
    ("hostname", "source.reverse_dns"),
    ("rdns", "source.reverse_dns"),
    ("url", "source.url"),
    ("uri", "source.url"),
    ("link", "source.url"),
    ("proto", "protocol.transport"),
    ("protocol", "protocol.transport"),
    ("malware", "malware.name"),
    ("family", "malware.name"),
    ("infection", "malware.name"),
    ("md5", "malware.hash.md5"),
    ("sha1", "malware.hash.sha1"),
    ("sha256", "malware.hash.sha256"),
    ("description", "event_description.text"),
    ("comment", "comment"),
    ("status", "status"),
];

/// Proposes a map for the beginning of a file, or says what keeps it from that.
pub fn propose(sample: &str, wish: &Wish) -> Result<String, String> {
    let sample = sample.trim_start_matches('\u{feff}');
    let first = sample.trim_start().chars().next().ok_or("the sample is empty")?;
    let table = if matches!(first, '{' | '[') { Sample::json(sample)? } else { Sample::csv(sample)? };
    let mut taken: Vec<&str> = Vec::new();
    let mut lines = String::new();
    for (at, name) in table.names.iter().enumerate() {
        let cells: Vec<&str> = table.rows.iter().filter_map(|row| row.get(at)).map(|c| c.trim()).collect();
        let guess = guess(name, &cells, &taken);
        let note = cells.iter().find(|cell| !cell.is_empty()).map(|cell| shown(cell)).unwrap_or_default();
        let column = key_of(name);
        let _ = match guess {
            Some((key, how)) => {
                taken.push(key);
                let required = key == "time.source" || taken.len() == 1 && key == "source.ip";
                match (how, required) {
                    (None, false) => writeln!(lines, "{column} = \"{key}\"  # {note}"),
                    (None, true) => {
                        writeln!(lines, "{column} = {{ key = \"{key}\", required = true }}  # {note}")
                    }
                    (Some(how), _) => {
                        let must = if required { ", required = true" } else { "" };
                        writeln!(lines, "{column} = {{ key = \"{key}\", as = \"{how}\"{must} }}  # {note}")
                    }
                }
            }
            None => writeln!(lines, "{column} = {}  # {note}", quoted(&format!("extra.{}", key_part(name)))),
        };
    }
    if !taken.iter().any(|key| WHO.contains(key)) {
        return Err(format!(
            "no column looks like an address, a network, a host name or a URL: {}",
            table.names.join(", ")
        ));
    }
    Ok(written(&table, wish, &taken, &lines))
}

/// Keys that say whom an event is about.
const WHO: [&str; 4] = ["source.ip", "source.network", "source.fqdn", "source.url"];

fn written(table: &Sample, wish: &Wish, taken: &[&str], lines: &str) -> String {
    let mut out = format!(
        "# Proposed from a sample; correct what is wrong, then `noroshi feed load FILE --format {0}`.\nformat = \"{0}\"\nversion = 1\nabout = \"\"\n",
        wish.name
    );
    let who: Vec<String> =
        WHO.iter().filter(|key| taken.contains(key)).map(|key| format!("\"{key}\"")).collect();
    let _ = writeln!(out, "one_of = [{}]\n", who.join(", "));
    out.push_str(&table.read);
    if let Some(zone) = &wish.zone {
        let _ = writeln!(out, "zone = {}", quoted(zone));
    }
    let kind = wish.kind.unwrap_or(ClassificationType::Undetermined);
    let _ = write!(
        out,
        "\n[constant]\n\"classification.taxonomy\" = \"{}\"\n\"classification.type\" = \"{kind}\"\n\n[columns]\n{lines}",
        kind.taxonomy()
    );
    out
}

/// A key, how its cells are read, and whether a cell fits.
type ByValue<'a> = (&'static str, Option<&'static str>, &'a dyn Fn(&str) -> bool);

/// What a column holds: by its name where its values agree, else by its values.
fn guess(name: &str, cells: &[&str], taken: &[&str]) -> Option<(&'static str, Option<&'static str>)> {
    let filled: Vec<&str> = cells.iter().copied().filter(|cell| !cell.is_empty()).collect();
    let share = |enough: usize, fits: &dyn Fn(&str) -> bool| {
        !filled.is_empty() && filled.iter().filter(|cell| fits(cell)).count() * 100 >= filled.len() * enough
    };
    let mostly = |fits: &dyn Fn(&str) -> bool| share(ENOUGH, fits);
    let half = |fits: &dyn Fn(&str) -> bool| share(ENOUGH_NAMED, fits);
    let plain = name.trim().to_lowercase().replace(['-', ' ', '.'], "_");
    let named = NAMES.iter().find(|(word, _)| *word == plain).map(|(_, key)| *key);
    if let Some(key) = named.filter(|key| !taken.contains(key)) {
        let kind = kind_of(key);
        if kind == Kind::Time && half(&|cell| is_epoch(cell)) {
            return Some((key, Some("epoch")));
        }
        if filled.is_empty() || half(&|cell| convert(kind, cell).is_some()) {
            return Some((key, None));
        }
    }
    let by_value: [ByValue<'_>; 8] = [
        ("source.ip", None, &|cell| ip(cell).is_some()),
        ("source.network", None, &|cell| network(cell).is_some()),
        ("source.url", None, &|cell| url(cell).is_some()),
        ("malware.hash.sha256", None, &|cell| is_hex(cell, 64)),
        ("malware.hash.sha1", None, &|cell| is_hex(cell, 40)),
        ("malware.hash.md5", None, &|cell| is_hex(cell, 32)),
        ("time.source", None, &|cell| time(cell).is_some()),
        ("time.source", Some("epoch"), &is_epoch),
    ];
    let found = by_value.iter().find(|(key, _, fits)| !taken.contains(key) && mostly(*fits));
    found.map(|(key, how, _)| (*key, *how)).or_else(|| {
        let host = |cell: &str| {
            cell.contains('.') && convert(Kind::Fqdn, cell).is_some() && cell.parse::<f64>().is_err()
        };
        (!taken.contains(&"source.fqdn") && mostly(&host)).then_some(("source.fqdn", None))
    })
}

fn is_epoch(cell: &str) -> bool {
    cell.parse::<f64>().is_ok_and(|seconds| EPOCH.contains(&seconds))
}

fn is_hex(cell: &str, length: usize) -> bool {
    cell.len() == length && cell.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The beginning of a file, as rows.
struct Sample {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
    read: String,
}

impl Sample {
    fn csv(text: &str) -> Result<Self, String> {
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(ROWS_MAX).collect();
        let comment =
            ['#', ';'].into_iter().find(|mark| lines.first().is_some_and(|line| line.starts_with(*mark)));
        let lines: Vec<&str> =
            lines.into_iter().filter(|line| comment.is_none_or(|mark| !line.starts_with(mark))).collect();
        let first = lines.first().ok_or("there are only comments in the sample")?;
        let delimiter = [',', ';', '\t', '|'].into_iter().max_by_key(|d| {
            let width = cells(first, *d).len();
            let same = lines.iter().filter(|line| cells(line, *d).len() == width).count();
            (width > 1, same * width.min(2), width)
        });
        let delimiter = delimiter.unwrap_or(',');
        let mut rows: Vec<Vec<String>> = lines.iter().map(|line| cells(line, delimiter)).collect();
        let is_value = |cell: &String| {
            let cell = cell.trim();
            ip(cell).is_some()
                || network(cell).is_some()
                || time(cell).is_some()
                || url(cell).is_some()
                || cell.parse::<f64>().is_ok()
        };
        let width = rows[0].len();
        // A torn line says nothing about a column.
        rows.retain(|row| row.len() == width);
        let headed = rows.len() > 1 && !rows[0].iter().any(is_value) && width > 1;
        let mut read = "[read]\nas = \"csv\"\n".to_owned();
        if delimiter != ',' {
            let _ = writeln!(read, "delimiter = {}", quoted(&delimiter.to_string()));
        }
        if let Some(mark) = comment {
            let _ = writeln!(read, "comment = \"{mark}\"");
        }
        let names: Vec<String> = if headed {
            let names = rows.remove(0).into_iter().zip(1..);
            // The reader's name for a column that has none.
            let named = |(name, n): (String, usize)| match name.trim() {
                "" => format!("column-{n}"),
                name => name.to_owned(),
            };
            let names: Vec<String> = names.map(named).collect();
            if let Some((_, name)) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
                return Err(format!("column {} is there twice", quoted(name)));
            }
            names
        } else {
            let names: Vec<String> = (1..=width).map(|n| format!("column-{n}")).collect();
            let _ = writeln!(
                read,
                "columns = [{}]",
                names.iter().map(|n| quoted(n)).collect::<Vec<_>>().join(", ")
            );
            names
        };
        Ok(Self { names, rows, read })
    }

    fn json(text: &str) -> Result<Self, String> {
        let (mut names, mut rows): (Vec<String>, Vec<Vec<String>>) = (Vec::new(), Vec::new());
        for element in noroshi_wire::Elements::new(text.as_bytes()).take(ROWS_MAX) {
            // The sample may end in the middle of an element.
            let Ok(Ok(element)) = element else { continue };
            let Some(object) = element.value.as_object() else { continue };
            let row = crate::objects::Row::new(object);
            for name in &row.names {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            let cell = |name: &String| {
                row.names
                    .iter()
                    .position(|n| n == name)
                    .map(|at| row.texts[at].to_string())
                    .unwrap_or_default()
            };
            rows.push(names.iter().map(cell).collect());
        }
        if rows.is_empty() {
            return Err("no JSON object in the sample can be read".to_owned());
        }
        Ok(Self { names, rows, read: "[read]\nas = \"json\"\n".to_owned() })
    }
}

fn cells(line: &str, delimiter: char) -> Vec<String> {
    let format = noroshi_wire::CsvFormat {
        delimiter,
        header: noroshi_wire::Header::Named(Vec::new()),
        ragged: true,
        comment: None,
    };
    let lines = noroshi_wire::Lines::new(line.as_bytes(), noroshi_wire::Encoding::default());
    let record = noroshi_wire::Records::new(lines, format, &[]).next();
    match record {
        Some(Ok(Ok(record))) => (0..record.len()).filter_map(|at| record.at(at)).map(str::to_owned).collect(),
        _ => line.split(delimiter).map(str::to_owned).collect(),
    }
}

fn shown(cell: &str) -> String {
    cell.chars().map(|c| if c.is_control() { ' ' } else { c }).take(40).collect()
}

fn key_part(name: &str) -> String {
    let part: String = name
        .trim()
        .chars()
        .map(|c| if c.is_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '_' })
        .collect();
    if part.is_empty() { "unnamed".to_owned() } else { part }
}

/// A column's name as a TOML key: bare where it can be.
fn key_of(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { name.to_owned() } else { quoted(name) }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::MapFile;

    fn proposed(sample: &str) -> (String, MapFile) {
        let wish = Wish { name: "x".into(), kind: Some(ClassificationType::Scanner), zone: None };
        let text = propose(sample, &wish).unwrap();
        let map = MapFile::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        (text, map)
    }

    #[test]
    fn a_header_and_values_that_agree_are_believed() {
        let (text, map) = proposed(
            "Seen;IP;dst port;note\n2026-11-20 10:00:00;192.0.2.1;22;a\n2026-11-20 10:00:01;192.0.2.2;23;\"b;c\"\n",
        );
        assert_eq!(map.read.delimiter, ';');
        for line in [
            "Seen = { key = \"time.source\", required = true }",
            "IP = \"source.ip\"",
            "\"dst port\" = \"destination.port\"",
            "note = \"extra.note\"",
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
    }

    #[test]
    fn values_alone_are_enough() {
        let (_, map) = proposed("# list\n192.0.2.1\n192.0.2.2\n");
        assert_eq!(map.read.columns, ["column-1"]);
        let (text, _) = proposed("{\"a\": {\"addr\": \"192.0.2.1\"}, \"when\": 1700000000}\n{\"a\": {");
        assert!(
            text.contains("\"a.addr\" = \"source.ip\"")
                || text.contains("\"a.addr\" = { key = \"source.ip\""),
            "{text}"
        );
        assert!(text.contains("as = \"epoch\""), "{text}");
    }

    #[test]
    fn columns_without_a_name_have_a_number_and_two_of_one_name_are_refused() {
        let (text, _) = proposed("ip,,,seen\n192.0.2.1,a,b,2026-11-20 10:00:00\n");
        assert!(text.contains("column-2 = ") && text.contains("column-3 = "), "{text}");
        let refused = propose("ip,ip,seen\n192.0.2.1,192.0.2.2,x\n", &Wish::default()).unwrap_err();
        assert_eq!(refused, "column \"ip\" is there twice");
    }

    #[test]
    fn a_file_about_nobody_is_refused() {
        assert!(propose("a,b\n1,2\n", &Wish { name: "x".into(), ..Wish::default() }).is_err());
    }
}
