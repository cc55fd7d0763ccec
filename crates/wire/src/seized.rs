//! The log of a seized command-and-control server: which addresses called in, and when.
//!
//! Every operation leaves its log in another shape, so the shape is declared by whoever opens the campaign
//! and nothing is sniffed: a wrong guess about a zone or a column would warn the wrong people. What does not
//! fit the declaration says which part of it to look at.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{IpAddr, Ipv6Addr};

use jiff::Timestamp;
use noroshi_model::intake::Bad;
use serde::{Deserialize, Serialize};

use crate::csv::{CsvError, CsvFormat, Header, Record, Records};
use crate::flat;
use crate::lines::{Encoding, Item, Line, Lines, LinesError, snippet};
use crate::time::{TimeFormat, Zone};

/// Most columns kept beside those that are read.
pub const MORE_COLUMNS_MAX: usize = 64;
/// Most bytes kept of each of them.
pub const MORE_BYTES_MAX: usize = 4096;
/// Most bytes of a malware name.
pub const MALWARE_BYTES_MAX: usize = 128;

/// How the log is written. Column names are those of the header or of `columns`; with `format = "jsonl"` they
/// are keys, dotted where objects are nested (`bot.ip`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct SeizedFormat {
    /// CSV (RFC 4180), or one JSON object per line.
    pub format: SeizedKind,
    /// CSV: between columns.
    pub delimiter: char,
    /// CSV: whether the first line names the columns.
    pub header: bool,
    /// CSV: the columns' names where the file does not say.
    pub columns: Vec<String>,
    /// CSV: lines that begin with this are passed over.
    pub comment: Option<char>,
    /// Column of the address that called in; a port glued to it (`198.51.100.7:4711`, `[2001:db8::1]:80`) is
    /// split off.
    pub address: String,
    /// Column of the time.
    pub time: String,
    /// Column of the source port.
    pub port: Option<String>,
    /// Column of the malware family.
    pub malware: Option<String>,
    /// The malware family where the column is absent or empty.
    pub malware_name: Option<String>,
    /// How times are written.
    pub time_format: TimeFormat,
    /// The zone of times that carry none.
    pub zone: Option<Zone>,
    /// The text's encoding; a byte order mark overrules it.
    pub encoding: Encoding,
}

/// Which kind of file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeizedKind {
    /// RFC 4180.
    #[default]
    Csv,
    /// One JSON object per line.
    Jsonl,
}

impl Default for SeizedFormat {
    fn default() -> Self {
        Self {
            format: SeizedKind::Csv,
            delimiter: ',',
            header: true,
            columns: Vec::new(),
            comment: None,
            address: "ip".into(),
            time: "time".into(),
            port: None,
            malware: None,
            malware_name: None,
            time_format: TimeFormat::default(),
            zone: None,
            encoding: Encoding::default(),
        }
    }
}

/// Why the file as a whole cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeizedError {
    /// The stream failed, or is no text.
    #[error(transparent)]
    Lines(#[from] LinesError),
    /// No records of the declared shape.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// The declaration contradicts itself.
    #[error("format: {0}")]
    Format(&'static str),
}

/// One call to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeizedRow {
    /// Line number, from 1.
    pub line: u64,
    /// When, to the precision the log has.
    pub time: Timestamp,
    /// Who; an IPv4 address mapped into IPv6 is given as IPv4.
    pub ip: IpAddr,
    /// Source port; `None` where it is not logged, or logged as 0.
    pub port: Option<u16>,
    /// Malware family in lower case.
    pub malware: Option<String>,
    /// Every other non-empty column: at most [`MORE_COLUMNS_MAX`] of at most [`MORE_BYTES_MAX`] bytes each.
    pub more: BTreeMap<String, String>,
    /// Whether something of `more` was left out or cut to keep within its bounds.
    pub cut: bool,
}

impl SeizedFormat {
    /// Whether the declaration makes sense on its own; [`read_seized`] asks too.
    ///
    /// # Errors
    /// [`SeizedError::Format`] with what to change.
    pub fn check(&self) -> Result<(), SeizedError> {
        let wrong = match self.format {
            SeizedKind::Jsonl if !self.columns.is_empty() => Some("`columns` is for csv; jsonl has keys"),
            SeizedKind::Csv if self.header && !self.columns.is_empty() => {
                Some("`columns` names the columns of a file without a header; set `header = false`")
            }
            SeizedKind::Csv if !self.header && self.columns.is_empty() => {
                Some("a file without a header needs `columns`")
            }
            _ if self.address == self.time => Some("`address` and `time` are the same column"),
            _ => None,
        };
        wrong.map_or(Ok(()), |reason| Err(SeizedError::Format(reason)))
    }

    fn required(&self) -> Vec<&str> {
        let optional = [&self.port, &self.malware].into_iter().flatten();
        [&self.address, &self.time].into_iter().chain(optional).map(String::as_str).collect()
    }

    fn csv(&self) -> CsvFormat {
        let header = if self.header { Header::FirstLine } else { Header::Named(self.columns.clone()) };
        CsvFormat { delimiter: self.delimiter, header, ragged: false, comment: self.comment }
    }
}

/// Reads a log. The outer error ends it; a bad line does not.
pub fn read_seized<R: Read>(reader: R, format: &SeizedFormat) -> Seized<R> {
    let lines = Lines::new(reader, format.encoding);
    let source = match (format.check(), format.format) {
        (Err(e), _) => Source::Refused(Some(e)),
        (Ok(()), SeizedKind::Csv) => {
            Source::Csv(Box::new(Records::new(lines, format.csv(), &format.required())))
        }
        (Ok(()), SeizedKind::Jsonl) => Source::Jsonl(Box::new(lines)),
    };
    Seized { source, format: format.clone() }
}

/// The rows of a log; made by [`read_seized`].
#[derive(Debug)]
pub struct Seized<R> {
    source: Source<R>,
    format: SeizedFormat,
}

#[derive(Debug)]
enum Source<R> {
    Refused(Option<SeizedError>),
    Csv(Box<Records<R>>),
    Jsonl(Box<Lines<R>>),
}

impl<R: Read> Seized<R> {
    /// Bytes consumed so far: where the next row starts.
    pub fn offset(&self) -> u64 {
        match &self.source {
            Source::Refused(_) => 0,
            Source::Csv(records) => records.offset(),
            Source::Jsonl(lines) => lines.offset(),
        }
    }
}

impl<R: Read> Iterator for Seized<R> {
    type Item = Result<Result<SeizedRow, Bad>, SeizedError>;

    fn next(&mut self) -> Option<Self::Item> {
        let format = &self.format;
        match &mut self.source {
            Source::Refused(error) => error.take().map(Err),
            Source::Csv(records) => {
                let record = records.next()?;
                Some(record.map(|r| r.and_then(|record| from_csv(&record, format))).map_err(Into::into))
            }
            Source::Jsonl(lines) => loop {
                match lines.next()? {
                    Err(e) => return Some(Err(e.into())),
                    Ok(Item::Bad(bad)) => return Some(Ok(Err(bad))),
                    Ok(Item::Line(line)) if line.text.trim().is_empty() => {}
                    Ok(Item::Line(line)) => return Some(Ok(from_json(&line, format))),
                }
            },
        }
    }
}

fn from_csv(record: &Record, format: &SeizedFormat) -> Result<SeizedRow, Bad> {
    row(record.line, &|column| record.cell(column), record.cells(), format)
        .map_err(|reason| record.bad(reason))
}

fn from_json(line: &Line, format: &SeizedFormat) -> Result<SeizedRow, Bad> {
    let read = flat::cells(&line.text).and_then(|cells| {
        let all = cells.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        row(line.number, &|key| cells.get(key).map(String::as_str), all, format)
    });
    read.map_err(|reason| Bad {
        line: line.number,
        reason,
        snippet: snippet(line.text.as_bytes()),
        bytes: line.text.len() as u64,
    })
}

/// A row from cells, or a reason that names the column and never its content.
fn row<'a>(
    line: u64,
    cell: &dyn Fn(&str) -> Option<&'a str>,
    all: impl Iterator<Item = (&'a str, &'a str)>,
    format: &SeizedFormat,
) -> Result<SeizedRow, String> {
    let filled = |column: &str| cell(column).map(str::trim).filter(|text| !text.is_empty());
    let needed = |column: &str| filled(column).ok_or_else(|| format!("`{column}` is missing or empty"));
    let time = format
        .time_format
        .read(needed(&format.time)?, format.zone.as_ref())
        .map_err(|e| format!("`{}`: {e}", format.time))?;
    let (ip, glued) =
        address(needed(&format.address)?).ok_or_else(|| format!("`{}` is no IP address", format.address))?;
    let stated = format.port.as_deref().and_then(|column| filled(column).map(|text| (column, text)));
    let stated = stated
        .map(|(column, text)| text.parse::<u16>().map_err(|_| format!("`{column}` is no port number")))
        .transpose()?;
    let port = one_port(glued, stated)?;
    let malware = format.malware.as_deref().and_then(filled).or(format.malware_name.as_deref());
    let malware = malware.map(malware_name).transpose()?;
    let (more, cut) = more(all, format);
    Ok(SeizedRow { line, time, ip, port, malware, more, cut })
}

/// An address, with the port that may be glued to it; zone ids are dropped, mapped IPv4 is given as IPv4.
///
/// IPv6 with a port needs brackets (RFC 3986 §3.2.2): `::1:80` is an address.
pub fn address(text: &str) -> Option<(IpAddr, Option<u16>)> {
    let text = text.trim();
    if text.len() > 128 {
        return None;
    }
    if let Some(bracketed) = text.strip_prefix('[') {
        let (inside, after) = bracketed.split_once(']')?;
        let port = match after {
            "" => None,
            glued => Some(glued.strip_prefix(':').and_then(port_number)?),
        };
        return Some((IpAddr::from(v6(inside)?).to_canonical(), port));
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some((ip.to_canonical(), None));
    }
    if text.contains('%') {
        return Some((IpAddr::from(v6(text)?).to_canonical(), None));
    }
    let (ip, port) = text.split_once(':')?;
    Some((IpAddr::V4(ip.parse().ok()?), Some(port_number(port)?)))
}

fn v6(text: &str) -> Option<Ipv6Addr> {
    text.split('%').next()?.parse().ok()
}

/// Digits only: Rust's own parser would take a plus sign.
fn port_number(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn one_port(glued: Option<u16>, stated: Option<u16>) -> Result<Option<u16>, String> {
    match (glued, stated) {
        (Some(a), Some(b)) if a != b => {
            Err("the address carries a port and the port column states another".into())
        }
        (a, b) => Ok(a.or(b).filter(|port| *port != 0)),
    }
}

fn malware_name(text: &str) -> Result<String, String> {
    if text.len() > MALWARE_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(format!("the malware name is longer than {MALWARE_BYTES_MAX} bytes or no plain text"));
    }
    Ok(text.trim().to_lowercase())
}

fn more<'a>(
    all: impl Iterator<Item = (&'a str, &'a str)>,
    format: &SeizedFormat,
) -> (BTreeMap<String, String>, bool) {
    let read = format.required();
    let mut more = BTreeMap::new();
    let mut cut = false;
    for (column, text) in all.filter(|(column, text)| !text.is_empty() && !read.contains(column)) {
        if more.len() == MORE_COLUMNS_MAX || column.len() > MORE_BYTES_MAX {
            cut = true;
            continue;
        }
        let end = text.floor_char_boundary(MORE_BYTES_MAX);
        cut |= end < text.len();
        more.insert(column.to_owned(), text[..end].to_owned());
    }
    (more, cut)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn jsonl() -> SeizedFormat {
        SeizedFormat { format: SeizedKind::Jsonl, ..SeizedFormat::default() }
    }

    fn rows(text: &str, format: &SeizedFormat) -> Vec<Result<SeizedRow, String>> {
        read_seized(text.as_bytes(), format).map(|row| row.unwrap().map_err(|bad| bad.to_string())).collect()
    }

    fn config(json: &str) -> SeizedFormat {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_csv_log_becomes_rows() {
        let format =
            config(r#"{"address":"src","port":"sport","malware":"bot","time":"seen","zone":"Asia/Tokyo"}"#);
        let text = "seen,src,sport,bot,ua\n2026-11-20 03:12:00,198.51.100.7,4711,Mirai,curl\n";
        let rows = rows(text, &format);
        let row = rows[0].as_ref().unwrap();
        assert_eq!(row.time.to_string(), "2026-11-19T18:12:00Z");
        assert_eq!((row.ip.to_string(), row.port, row.line), ("198.51.100.7".into(), Some(4711), 2));
        assert_eq!(row.malware.as_deref(), Some("mirai"));
        assert_eq!(row.more.get("ua").unwrap(), "curl");
        assert!(!row.cut);
    }

    #[test]
    fn a_json_log_becomes_rows() {
        let format = SeizedFormat {
            address: "bot.ip".into(),
            time: "ts".into(),
            time_format: TimeFormat::Epoch,
            malware_name: Some("Emotet".into()),
            ..jsonl()
        };
        let text = "{\"bot\":{\"ip\":\"::ffff:198.51.100.7\",\"os\":\"win\"},\"ts\":1795345672.25}\n\n\
             {\"ts\":1}\n[]\n";
        let rows = rows(text, &format);
        let row = rows[0].as_ref().unwrap();
        assert_eq!(
            (row.ip.to_string(), row.time.to_string()),
            ("198.51.100.7".into(), "2026-11-22T11:07:52.25Z".into())
        );
        assert_eq!(row.malware.as_deref(), Some("emotet"));
        assert_eq!(row.more.get("bot.os").unwrap(), "win");
        assert_eq!(rows.len(), 3);
        assert!(rows[1].as_ref().unwrap_err().starts_with("line 3: `ts`: time is outside"));
        assert!(rows[2].is_err());
    }

    #[test]
    fn addresses_come_with_ports_zones_and_mappings() {
        let read = |text: &str| address(text).map(|(ip, port)| format!("{ip} {port:?}"));
        for (text, expected) in [
            ("1.2.3.4", "1.2.3.4 None"),
            (" 1.2.3.4:80 ", "1.2.3.4 Some(80)"),
            ("[::1]:80", "::1 Some(80)"),
            ("[::1]", "::1 None"),
            ("::1:80", "::1:80 None"),
            ("fe80::1%eth0", "fe80::1 None"),
            ("[fe80::1%25eth0]:80", "fe80::1 Some(80)"),
            ("::ffff:1.2.3.4", "1.2.3.4 None"),
            ("[::ffff:1.2.3.4]:9", "1.2.3.4 Some(9)"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "1.2.3",
            "01.2.3.4",
            "1.2.3.4:",
            "1.2.3.4:99999",
            "1.2.3.4:+80",
            "[::1]x",
            "[::1",
            "host:80",
            "%",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn two_ports_that_differ_are_not_chosen_between() {
        let format = config(r#"{"port":"p"}"#);
        let text = "time,ip,p\n2026-11-20T03:12:00Z,1.2.3.4:80,81\n2026-11-20T03:12:00Z,1.2.3.4:80,80\n\
                    2026-11-20T03:12:00Z,1.2.3.4,0\n2026-11-20T03:12:00Z,1.2.3.4,x\n";
        let rows = rows(text, &format);
        assert!(rows[0].is_err() && rows[3].is_err());
        assert_eq!(rows[1].as_ref().unwrap().port, Some(80));
        assert_eq!(rows[2].as_ref().unwrap().port, None);
    }

    #[test]
    fn a_time_without_a_zone_says_what_to_declare() {
        let rows = rows("time,ip\n2026-11-20 03:12:00,1.2.3.4\n", &SeizedFormat::default());
        assert!(rows[0].as_ref().unwrap_err().contains("declare `zone`"));
    }

    #[test]
    fn reasons_never_contain_what_the_line_says() {
        let text = "time,ip\nsecret,1.2.3.4\n2026-11-20T03:12:00Z,secret\nsecret\n";
        for bad in read_seized(text.as_bytes(), &SeizedFormat::default()).map(|row| row.unwrap().unwrap_err())
        {
            assert!(!bad.reason.contains("secret"), "{bad}");
            assert!(!bad.snippet.is_empty());
        }
    }

    #[test]
    fn what_is_beside_the_point_is_bounded_and_says_so() {
        let names: Vec<String> = (0..100).map(|n| format!("c{n}")).collect();
        let cells: Vec<String> = (0..100).map(|_| "あ".repeat(2000)).collect();
        let text = format!("time,ip,{}\n2026-11-20T03:12:00Z,1.2.3.4,{}\n", names.join(","), cells.join(","));
        let row = rows(&text, &SeizedFormat::default()).remove(0).unwrap();
        assert_eq!((row.more.len(), row.cut), (MORE_COLUMNS_MAX, true));
        assert!(row.more.values().all(|text| text.len() <= MORE_BYTES_MAX));
    }

    #[test]
    fn a_declaration_that_contradicts_itself_is_refused() {
        for json in [
            r#"{"header":false}"#,
            r#"{"columns":["ip"]}"#,
            r#"{"format":"jsonl","columns":["ip"]}"#,
            r#"{"address":"time"}"#,
            r#"{"delimiter":"\""}"#,
        ] {
            let first = read_seized(&b"time,ip\n"[..], &config(json)).next().unwrap();
            assert!(first.is_err(), "{json}");
        }
        assert!(serde_json::from_str::<SeizedFormat>(r#"{"adress":"ip"}"#).is_err());
        let missing = read_seized(&b"zeit,ip\n"[..], &SeizedFormat::default()).next().unwrap().unwrap_err();
        assert_eq!(missing.to_string(), "column 'time' is missing; there are: zeit, ip");
    }

    #[test]
    fn a_declaration_reads_back_as_it_was_written() {
        let format =
            config(r#"{"time-format":"epoch-ms","zone":"+09:00","encoding":"shift_jis","delimiter":"\t"}"#);
        let text = serde_json::to_string(&format).unwrap();
        assert_eq!(serde_json::from_str::<SeizedFormat>(&text).unwrap(), format);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            read_seized(&bytes[..], &SeizedFormat::default()).for_each(drop);
            read_seized(&bytes[..], &jsonl()).for_each(drop);
        }

        #[test]
        fn arbitrary_json_never_panics(text in "[{}\\[\\]\":,a0.\\\\ue-]{0,60}") {
            let _ = flat::cells(&text);
            let _ = address(&text);
        }

        #[test]
        fn every_line_of_json_is_a_row_or_bad(lines in prop::collection::vec("[ -~]{1,30}", 0..20)) {
            let text = lines.join("\n");
            let blank = lines.iter().filter(|line| line.trim().is_empty()).count();
            prop_assert_eq!(rows(&text, &jsonl()).len() + blank, lines.len());
        }

        #[test]
        fn any_address_with_any_port_is_split(ip: IpAddr, port in 1u16..) {
            let read = address(&std::net::SocketAddr::new(ip, port).to_string());
            prop_assert_eq!(read, Some((ip.to_canonical(), Some(port))));
        }
    }
}
