//! Who was given what, as a table that somebody exported: one row is one whole session, with its end or still open.
//!
//! The columns are declared and nothing is sniffed, as with seized logs. A time without a zone is refused unless the zone is
//! declared, and one of a twelve-hour clock unless its pattern is.

use std::io::Read;
use std::net::IpAddr;

use ipnet::IpNet;
use noroshi_law::Sealed;
use serde::{Deserialize, Serialize};

use crate::assignment::{Assignment, Change, Given, Whom};
use crate::csv::{CsvError, CsvFormat, Header, Record, Records};
use crate::lines::{Encoding, Lines, LinesError};
use crate::radius::{BadSealed, slot};
use crate::time::{TimeFormat, Zone};

/// Most bytes of a name: subscriber, server, session.
pub const NAME_BYTES_MAX: usize = 1024;

/// How the table is written. Column names are those of the header or of `columns`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct AssignmentFormat {
    /// Between columns.
    pub delimiter: char,
    /// Whether the first line names the columns.
    pub header: bool,
    /// The columns' names where the file does not say.
    pub columns: Vec<String>,
    /// Lines that begin with this are passed over.
    pub comment: Option<char>,
    /// Column of the address, or of an IPv6 prefix.
    pub address: String,
    /// Column of the first port, where addresses are shared.
    pub first_port: Option<String>,
    /// Column of the last port.
    pub last_port: Option<String>,
    /// Column of the subscriber's line.
    pub subscriber: String,
    /// Column of the session's beginning.
    pub start: String,
    /// Column of its end.
    pub end: Option<String>,
    /// What stands there while it is open, beside nothing: `NULL`, `\N`.
    pub open: Vec<String>,
    /// Column of the server that gave it.
    pub server: Option<String>,
    /// The server where the column is absent or empty.
    pub server_name: String,
    /// Column of the session's id.
    pub session: Option<String>,
    /// How times are written.
    pub time_format: TimeFormat,
    /// The zone of times that carry none.
    pub zone: Option<Zone>,
    /// The text's encoding; a byte order mark overrules it.
    pub encoding: Encoding,
}

impl Default for AssignmentFormat {
    fn default() -> Self {
        Self {
            delimiter: ',',
            header: true,
            columns: Vec::new(),
            comment: None,
            address: "address".into(),
            first_port: None,
            last_port: None,
            subscriber: "subscriber".into(),
            start: "start".into(),
            end: Some("end".into()),
            open: Vec::new(),
            server: None,
            server_name: "table".into(),
            session: None,
            time_format: TimeFormat::default(),
            zone: None,
            encoding: Encoding::default(),
        }
    }
}

/// Why the file as a whole cannot be used. Says nothing of what is in it, also where the header turns out to be none.
#[derive(Debug, thiserror::Error)]
pub enum AssignmentCsvError {
    /// The stream failed, or is no text.
    #[error(transparent)]
    Lines(#[from] LinesError),
    /// A declared column is not there.
    #[error("column '{0}' is missing")]
    Missing(String),
    /// The first line is no header.
    #[error("no header: {0}")]
    Header(&'static str),
    /// The declaration contradicts itself.
    #[error("format: {0}")]
    Format(&'static str),
}

impl From<CsvError> for AssignmentCsvError {
    fn from(e: CsvError) -> Self {
        match e {
            CsvError::Lines(e) => Self::Lines(e),
            CsvError::Delimiter(_) => Self::Format("`delimiter` is not one ASCII character"),
            CsvError::Missing { column, .. } => Self::Missing(column),
            CsvError::Empty => Self::Header("the file has no line"),
            CsvError::Header(_) => Self::Header("the first line cannot be read"),
            CsvError::Duplicate(_) => Self::Header("two columns have one name"),
            CsvError::Columns(_) => Self::Header("too many columns"),
        }
    }
}

impl AssignmentFormat {
    /// Whether the declaration makes sense on its own; [`read_assignments`] asks too.
    ///
    /// # Errors
    /// [`AssignmentCsvError::Format`] with what to change.
    pub fn check(&self) -> Result<(), AssignmentCsvError> {
        let wrong = match () {
            () if self.header && !self.columns.is_empty() => {
                "`columns` names the columns of a file without a header; set `header = false`"
            }
            () if !self.header && self.columns.is_empty() => "a file without a header needs `columns`",
            () if self.first_port.is_some() != self.last_port.is_some() => {
                "`first-port` and `last-port` go together"
            }
            () if self.end.as_ref() == Some(&self.start) => "`start` and `end` are the same column",
            () => return Ok(()),
        };
        Err(AssignmentCsvError::Format(wrong))
    }

    fn required(&self) -> Vec<&str> {
        let optional = [&self.first_port, &self.last_port, &self.end, &self.server, &self.session];
        let needed = [&self.address, &self.subscriber, &self.start];
        needed.into_iter().chain(optional.into_iter().flatten()).map(String::as_str).collect()
    }
}

/// The sessions of a table; made by [`read_assignments`].
#[derive(Debug)]
pub struct Assignments<R> {
    /// `None` after a declaration that was refused.
    records: Option<Records<R>>,
    refused: Option<AssignmentCsvError>,
    format: AssignmentFormat,
}

/// Reads a table. The outer error ends it; a bad row does not.
pub fn read_assignments<R: Read>(reader: R, format: &AssignmentFormat) -> Assignments<R> {
    let refused = format.check().err();
    let header = if format.header { Header::FirstLine } else { Header::Named(format.columns.clone()) };
    let csv = CsvFormat { delimiter: format.delimiter, header, ragged: false, comment: format.comment };
    let records = || Records::new(Lines::new(reader, format.encoding), csv, &format.required());
    Assignments { records: refused.is_none().then(records), refused, format: format.clone() }
}

impl<R: Read> Assignments<R> {
    /// Bytes consumed so far: where the next row starts.
    pub fn offset(&self) -> u64 {
        self.records.as_ref().map_or(0, Records::offset)
    }
}

impl<R: Read> Iterator for Assignments<R> {
    type Item = Result<Result<Vec<Sealed<Assignment>>, BadSealed>, AssignmentCsvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(refused) = self.refused.take() {
            return Some(Err(refused));
        }
        let records = self.records.as_mut()?;
        Some(match records.next()? {
            Err(e) => Err(e.into()),
            Ok(Err(bad)) => Ok(Err(bad.into())),
            Ok(Ok(record)) => Ok(match session(&record, &self.format) {
                Ok(told) => Ok(told.into_iter().map(Sealed::new).collect()),
                Err(reason) => Err(records.refuse(&record, reason).into()),
            }),
        })
    }
}

/// A session's beginning and, if it is over, its end; or a reason that names the column and never its content.
fn session(record: &Record, format: &AssignmentFormat) -> Result<Vec<Assignment>, String> {
    let filled = |column: &str| record.cell(column).map(str::trim).filter(|text| !text.is_empty());
    let needed = |column: &str| filled(column).ok_or_else(|| format!("`{column}` is missing or empty"));
    let name = |column: &str, text: &str| {
        let plain = text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control);
        plain
            .then(|| text.to_owned())
            .ok_or_else(|| format!("`{column}` is longer than {NAME_BYTES_MAX} bytes or no plain text"))
    };
    let optional = |column: &Option<String>| {
        let found = column.as_deref().and_then(|column| Some((column, filled(column)?)));
        found.map(|(column, text)| name(column, text)).transpose()
    };
    let instant = |column: &str, text: &str| {
        format.time_format.read(text, format.zone.as_ref()).map_err(|e| format!("`{column}`: {e}"))
    };
    let given = Given {
        net: net(needed(&format.address)?).map_err(|why| format!("`{}` {why}", format.address))?,
        ports: match (&format.first_port, &format.last_port) {
            (Some(first), Some(last)) => Some(ports((first, needed(first)?), (last, needed(last)?))?),
            _ => None,
        },
    };
    let start = instant(&format.start, needed(&format.start)?)?;
    let end = format.end.as_deref().and_then(|column| Some((column, filled(column)?)));
    let end = end.filter(|(_, text)| !format.open.iter().any(|open| open == text));
    let end = end.map(|(column, text)| Ok::<_, String>((column, instant(column, text)?))).transpose()?;
    let begun = Assignment {
        change: Change::Start,
        given: Some(given),
        whom: Some(Whom::Line(name(&format.subscriber, needed(&format.subscriber)?)?)),
        at: start,
        until: None,
        began: None,
        server: optional(&format.server)?.unwrap_or_else(|| format.server_name.clone()),
        session: optional(&format.session)?,
        clock_offset_s: None,
        line: record.line,
    };
    Ok(match end {
        None => vec![begun],
        Some((column, end)) if end < start => return Err(format!("`{column}` is before `{}`", format.start)),
        Some((_, end)) => {
            let ended = Assignment { change: Change::Stop, at: end, began: Some(start), ..begun.clone() };
            vec![begun, ended]
        }
    })
}

fn net(text: &str) -> Result<IpNet, &'static str> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(ip.to_canonical()));
    }
    let net: IpNet = text.parse().map_err(|_| "is no address and no prefix")?;
    match net {
        IpNet::V4(net) if net.prefix_len() < 32 => Err("is an IPv4 prefix; write a row for each address"),
        net => slot(net).map(|_| net.trunc()).ok_or("is a prefix shorter than /48"),
    }
}

/// Where the columns are declared, a row without ports would have the whole address of many.
fn ports(first: (&str, &str), last: (&str, &str)) -> Result<(u16, u16), String> {
    let port = |(column, text): (&str, &str)| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| digits).ok_or_else(|| format!("`{column}` is no port number"))
    };
    let ports = (port(first)?, port(last)?);
    if ports.0 <= ports.1 { Ok(ports) } else { Err(format!("`{}` is below `{}`", last.0, first.0)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROW: &str = "198.51.100.7,C-1,2026-11-22T20:00:00+09:00,2026-11-22T21:00:00+09:00\n";
    const HEADER: &str = "address,subscriber,start,end\n";

    fn read(text: &str, format: &AssignmentFormat) -> Vec<Result<Vec<Assignment>, String>> {
        let mut rows = read_assignments(text.as_bytes(), format);
        let records = rows.records.as_mut().unwrap();
        let told = |record: Result<Record, noroshi_model::intake::Bad>| {
            record.map_err(|bad| bad.reason).and_then(|record| session(&record, format))
        };
        records.map(|record| told(record.unwrap())).collect()
    }

    #[test]
    fn a_row_is_a_session_with_its_beginning_and_its_end() {
        let told = read(&format!("{HEADER}{ROW}"), &AssignmentFormat::default()).remove(0).unwrap();
        assert_eq!(told.iter().map(|t| t.change).collect::<Vec<_>>(), [Change::Start, Change::Stop]);
        assert_eq!(told[0].at.to_string(), "2026-11-22T11:00:00Z");
        assert_eq!(
            (told[1].at.to_string().as_str(), told[1].began),
            ("2026-11-22T12:00:00Z", Some(told[0].at))
        );
        assert_eq!(told[1].whom, Some(Whom::Line("C-1".into())));
        assert_eq!((told[0].server.as_str(), told[0].line), ("table", 2));
    }

    #[test]
    fn a_session_without_an_end_is_open() {
        let format = AssignmentFormat { open: vec!["NULL".into()], ..AssignmentFormat::default() };
        for open in ["", "NULL", " "] {
            let row = ROW.replace("2026-11-22T21:00:00+09:00", open);
            assert_eq!(read(&format!("{HEADER}{row}"), &format)[0].as_ref().unwrap().len(), 1);
        }
        let row = ROW.replace("2026-11-22T21:00:00+09:00", "NULL");
        assert!(read(&format!("{HEADER}{row}"), &AssignmentFormat::default())[0].is_err());
    }

    #[test]
    fn declared_columns_give_ports_server_and_session() {
        let format: AssignmentFormat = serde_json::from_str(
            r#"{"address":"ip","first-port":"lo","last-port":"hi","subscriber":"who","start":"t0","end":"t1",
                "server":"nas","session":"id","delimiter":";","time-format":"%m/%d/%Y %I:%M:%S %p","zone":"Asia/Tokyo"}"#,
        )
        .unwrap();
        let text = "id;nas;who;ip;lo;hi;t0;t1\n9;bras1;C-1;198.51.100.7;1024;2047;11/22/2026 08:00:00 PM;\n\
            9;;C-1;198.51.100.7;;;11/22/2026 08:00:00 PM;\n";
        let told = read(text, &format);
        let first = &told[0].as_ref().unwrap()[0];
        assert_eq!(first.given.unwrap().ports, Some((1024, 2047)));
        assert_eq!((first.server.as_str(), first.session.as_deref()), ("bras1", Some("9")));
        assert_eq!(first.at.to_string(), "2026-11-22T11:00:00Z");
        assert_eq!(told[1], Err("`lo` is missing or empty".into()));
        assert!(serde_json::from_str::<AssignmentFormat>(r#"{"first_port":"lo"}"#).is_err());
    }

    #[test]
    fn prefixes_are_those_that_a_subscriber_has() {
        let of = |net: &str| {
            let row = ROW.replace("198.51.100.7", net);
            let told = read(&format!("{HEADER}{row}"), &AssignmentFormat::default()).remove(0);
            told.map(|told| told[0].given.unwrap().net.to_string())
        };
        assert_eq!(of("2001:db8:12:3456::/56"), Ok("2001:db8:12:3400::/56".into()));
        assert_eq!(of("198.51.100.7/32"), Ok("198.51.100.7/32".into()));
        assert_eq!(of("::ffff:198.51.100.7"), Ok("198.51.100.7/32".into()));
        for (net, reason) in
            [("198.51.100.0/29", "each address"), ("2001:db8::/32", "/48"), ("secret", "no address")]
        {
            let told = of(net).unwrap_err();
            assert!(told.contains(reason) && !told.contains("secret"), "{told}");
        }
    }

    #[test]
    fn times_that_leave_something_open_are_refused() {
        for (time, reason) in [
            ("2026-11-22 20:00:00", "declare `zone`"),
            ("11/22/2026 08:00:00 PM", "not written as rfc3339"),
            ("2026-11-23T20:00:00+09:00", "`end` is before `start`"),
        ] {
            let row = ROW.replacen("2026-11-22T20:00:00+09:00", time, 1);
            let told = read(&format!("{HEADER}{row}"), &AssignmentFormat::default()).remove(0).unwrap_err();
            assert!(told.contains(reason), "{told}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_used_says_nothing_of_what_is_in_it() {
        let errors = |text: &str, format: &AssignmentFormat| {
            let mut rows = read_assignments(text.as_bytes(), format);
            let error = format!("{:?}", rows.next().unwrap().unwrap_err());
            assert!(rows.next().is_none() && !error.contains("C-1") && !error.contains("198"), "{error}");
            error
        };
        let default = AssignmentFormat::default();
        assert!(errors(&ROW.repeat(2), &default).contains("Missing"));
        assert!(errors("C-1,C-1\n", &default).contains("Header"));
        assert!(errors("C-1\0\n", &default).contains("Header"));
        let one = AssignmentFormat { first_port: Some("lo".into()), ..default.clone() };
        assert!(errors(ROW, &one).contains("go together"));
        let nameless = AssignmentFormat { header: false, ..default };
        assert!(errors(ROW, &nameless).contains("needs `columns`"));
    }

    #[test]
    fn bad_rows_are_values() {
        let text = format!("{HEADER}x,y\n{ROW}\0\n");
        let mut rows = read_assignments(text.as_bytes(), &AssignmentFormat::default());
        let told: Vec<_> =
            rows.by_ref().map(|row| row.unwrap().map(|told| told.len()).map_err(|bad| bad.line)).collect();
        assert_eq!(told, [Err(2), Ok(2), Err(4)]);
        assert_eq!(rows.offset(), text.len() as u64);
    }

    proptest! {
        #[test]
        fn no_row_makes_it_panic(text in "[0-9a-zA-Z:./,;\"é\n -]{0,80}", ports: bool) {
            let column = |name: &str| ports.then(|| name.to_owned());
            let format = AssignmentFormat {
                first_port: column("lo"), last_port: column("hi"), zone: Some(Zone::utc()), ..AssignmentFormat::default()
            };
            for header in [HEADER, "address,lo,hi,subscriber,start,end\n"] {
                for _ in read_assignments(format!("{header}{text}").as_bytes(), &format) {}
            }
        }
    }
}
