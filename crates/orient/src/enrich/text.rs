//! Prefix tables as text: pyasn's `ipasn.dat`, and ranges as CSV or TSV. A line that cannot be read is left out, counted
//! and reported with its number; a file of which most cannot be read is refused.

use std::io::{BufRead, Read};
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Cc, EnrichError, Owner, PrefixBuilder, PrefixTable, Report};

/// The longest line that is read.
const LINE_MAX: usize = 4096;
/// The most lines of a file, good and bad.
const LINES_MAX: u64 = 20_000_000;

/// Reads `ipasn.dat`: `1.2.3.0/24<tab>64512`, and `;` or `#` before a comment.
pub fn read_ipasn(reader: impl BufRead) -> Result<(PrefixTable, Report), EnrichError> {
    read(reader, "list of prefixes and AS numbers", |line, builder| {
        let mut words = line.split_ascii_whitespace();
        let (Some(net), Some(asn)) = (words.next(), words.next()) else {
            return Ok(Err("a prefix and an AS number are expected"));
        };
        let Ok(net) = net.parse::<IpNet>() else { return Ok(Err("not a prefix")) };
        let Some(asn) = asn_of(asn) else { return Ok(Err("not an AS number")) };
        if asn == 0 {
            return Ok(Ok(false));
        }
        builder.prefix(net, Owner { asn: Some(asn), ..Owner::default() }).map(|()| Ok(true))
    })
}

/// Reads ranges, one a line, both ends included, separated by commas or tabs:
/// `first,last,asn,name[,cc]`, `first,last,asn,cc,name`, `first,last,asn` or `first,last,cc`. Number 0 means that nobody
/// announces the range. A first line that names the columns is skipped.
pub fn read_ranges(reader: impl BufRead) -> Result<(PrefixTable, Report), EnrichError> {
    let mut fields = Fields::default();
    let mut is_first = true;
    read(reader, "list of address ranges", move |line, builder| {
        let was_first = std::mem::take(&mut is_first);
        let Some(fields) = fields.split(line) else { return Ok(Err("not in UTF-8, or too many columns")) };
        let &[first, last, ref rest @ ..] = fields.as_slice() else {
            return Ok(Err("two addresses are expected"));
        };
        let (Ok(first), Ok(last)) = (first.trim().parse::<IpAddr>(), last.trim().parse::<IpAddr>()) else {
            let is_header = was_first && !line.contains(|c: char| c.is_ascii_digit());
            return Ok(if is_header { Ok(false) } else { Err("not an address") });
        };
        let Some(owner) = owner(rest) else { return Ok(Err("neither an AS number nor a country")) };
        if owner.asn == Some(0) {
            return Ok(Ok(false));
        }
        Ok(if builder.range(first, last, owner)? { Ok(true) } else { Err("the range ends before it starts") })
    })
}

/// What the columns after the addresses say.
fn owner<'a>(columns: &[&'a str]) -> Option<Owner<'a>> {
    let asn = |text: &str| asn_of(text.trim());
    Some(match *columns {
        [one] => match asn(one) {
            Some(asn) => Owner { asn: Some(asn), ..Owner::default() },
            None => Owner { cc: Some(Cc::new(one)?), ..Owner::default() },
        },
        [number, name] => Owner { asn: Some(asn(number)?), name: Some(name), cc: None },
        [number, a, b, ..] => match Cc::new(a) {
            Some(cc) => Owner { asn: Some(asn(number)?), name: Some(b), cc: Some(cc) },
            None => Owner { asn: Some(asn(number)?), name: Some(a), cc: Cc::new(b) },
        },
        [] => return None,
    })
}

fn asn_of(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("AS").or_else(|| text.strip_prefix("as")).unwrap_or(text);
    // `parse` alone would take a plus sign.
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// The room one line is split into.
struct Fields {
    comma: csv_core::Reader,
    tab: csv_core::Reader,
    out: Vec<u8>,
    ends: [usize; 16],
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            comma: csv_core::Reader::new(),
            tab: csv_core::ReaderBuilder::new().delimiter(b'\t').quoting(false).build(),
            out: vec![0; LINE_MAX],
            ends: [0; 16],
        }
    }
}

impl Fields {
    fn split<'a>(&'a mut self, line: &str) -> Option<Vec<&'a str>> {
        let reader = if line.contains('\t') { &mut self.tab } else { &mut self.comma };
        reader.reset();
        let (_, read, mut written, mut ended) =
            reader.read_record(line.as_bytes(), &mut self.out, &mut self.ends);
        // Nothing more to read ends the last column.
        let (done, _, more, last) =
            reader.read_record(&line.as_bytes()[read..], &mut self.out[written..], &mut self.ends[ended..]);
        if done != csv_core::ReadRecordResult::Record {
            return None;
        }
        written += more;
        ended += last;
        let text = std::str::from_utf8(&self.out[..written]).ok()?;
        let mut from = 0;
        self.ends[..ended]
            .iter()
            .map(|&end| {
                let field = text.get(from..end);
                from = end;
                field
            })
            .collect()
    }
}

/// Reads line by line; the closure adds a line, or finds nothing in it to add, or says what is wrong with it.
fn read(
    mut reader: impl BufRead,
    what: &'static str,
    mut add: impl FnMut(&str, &mut PrefixBuilder) -> Result<Result<bool, &'static str>, EnrichError>,
) -> Result<(PrefixTable, Report), EnrichError> {
    let mut builder = PrefixBuilder::default();
    let mut report = Report::default();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if reader.by_ref().take(LINE_MAX as u64).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if number > LINES_MAX {
            return Err(EnrichError::TooMany(LINES_MAX as usize, "lines"));
        }
        if line.len() == LINE_MAX && line.last() != Some(&b'\n') {
            skip_line(&mut reader)?;
            report.bad(number, "the line is too long");
            continue;
        }
        let Ok(text) = std::str::from_utf8(&line) else {
            report.bad(number, "not in UTF-8");
            continue;
        };
        // A byte order mark, as some editors leave one.
        let text = text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
        if text.trim().is_empty() || text.starts_with([';', '#']) {
            continue;
        }
        match add(text, &mut builder)? {
            Ok(added) => report.kept += u64::from(added),
            Err(why) => report.bad(number, why),
        }
    }
    report.plausible(what)?;
    Ok((builder.build(), report))
}

fn skip_line(reader: &mut impl BufRead) -> Result<(), EnrichError> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|b| *b == b'\n');
        let used = end.map_or(buffer.len(), |at| at + 1);
        reader.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::enrich::Bad;

    #[test]
    fn ipasn_is_read_and_its_bad_lines_are_told() {
        let text = "; pyasn\n10.0.0.0/8\t64512\r\n10.1.0.0/16 64513\n10.2.0.0/33\t1\n\n10.3.0.0/16\n\
                    2001:db8::/32\tAS64514\n10.4.0.0/16\t+5\n10.5.0.0/16\t0\n10.6.0.0/16\t4294967295\n";
        let (table, report) = read_ipasn(text.as_bytes()).unwrap();
        assert_eq!((report.kept, report.bad), (4, 3));
        assert_eq!(
            report.examples,
            [
                Bad { line: 4, why: "not a prefix".into() },
                Bad { line: 6, why: "a prefix and an AS number are expected".into() },
                Bad { line: 8, why: "not an AS number".into() },
            ]
        );
        let asn = |ip: &str| table.look_up(ip.parse().unwrap()).and_then(|a| a.asn);
        assert_eq!(asn("10.0.0.1"), Some(64_512));
        assert_eq!(asn("10.1.2.3"), Some(64_513));
        assert_eq!(asn("2001:db8::1"), Some(64_514));
        assert_eq!(asn("10.6.0.1"), Some(u32::MAX));
        assert_eq!(asn("11.0.0.1"), None);
    }

    #[test]
    fn ranges_are_read_in_every_order_of_columns() {
        let text = "\u{feff}start,end,asn,name\n1.0.0.0,1.0.0.255,13335,\"Cloudflare, Inc.\"\n1.0.4.0,1.0.7.255,38803,Gtel,AU\n\
                    1.0.16.0\t1.0.31.255\t2519\tJP\tVECTANT \"ARTERIA\"\n2001:200::,2001:200:ffff:ffff:ffff:ffff:ffff:ffff,JP\n\
                    1.1.0.0,1.1.0.255,0,None\n1.2.0.0,1.1.0.0,JP\n1.3.0.0,x,JP\n1.4.0.0,1.4.0.1,Japan\n1.5.0.0\n";
        let (table, report) = read_ranges(text.as_bytes()).unwrap();
        assert_eq!(report.examples.iter().map(|bad| bad.line).collect::<Vec<_>>(), [7, 8, 9, 10]);
        let known = |ip: &str| {
            let a = table.look_up(ip.parse().unwrap()).unwrap();
            (a.asn, a.as_name, a.cc.map(|cc| cc.to_string()), a.prefix.map(|net| net.to_string()))
        };
        assert_eq!(
            known("1.0.0.9"),
            (Some(13335), Some("Cloudflare, Inc."), None, Some("1.0.0.0/24".into()))
        );
        assert_eq!(
            known("1.0.4.9"),
            (Some(38803), Some("Gtel"), Some("AU".into()), Some("1.0.4.0/22".into()))
        );
        let arteria =
            (Some(2519), Some("VECTANT \"ARTERIA\""), Some("JP".into()), Some("1.0.16.0/20".into()));
        assert_eq!(known("1.0.20.1"), arteria);
        assert_eq!(known("2001:200::1"), (None, None, Some("JP".into()), None));
        assert_eq!(table.look_up("1.1.0.1".parse().unwrap()), None);
    }

    #[test]
    fn other_files_are_refused() {
        for text in ["", "\n\n", "<html>\n<body>\n", "{\"a\":1}", "start,end,asn,name\n", "\u{0}\u{1}\n"] {
            assert!(read_ipasn(text.as_bytes()).is_err(), "{text:?}");
            assert!(read_ranges(text.as_bytes()).is_err(), "{text:?}");
        }
        let long = format!("1.0.0.0/8\t1\n{}\n1.0.0.0/16\t2\n", "x".repeat(3 * LINE_MAX));
        let (_, report) = read_ipasn(long.as_bytes()).unwrap();
        assert_eq!((report.kept, report.bad, report.examples[0].line), (2, 1, 2));
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            lines in prop::collection::vec("[0-9a-f:./,\"\t A-Z-]{0,60}", 0..20),
        ) {
            let _ = read_ipasn(bytes.as_slice());
            let _ = read_ranges(bytes.as_slice());
            let text = lines.join("\n");
            let _ = read_ipasn(text.as_bytes());
            let _ = read_ranges(text.as_bytes());
        }
    }
}
