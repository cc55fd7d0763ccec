//! Kea's lease file (`memfile`): a row for each change, the last one of an address counts, and the columns are those of the
//! header, which grew from version to version.
//!
//! A row says until when (`expire`) and for how long (`valid_lifetime`), so the client was last heard of at their difference.
//! Whether that was the first grant or a renewal it does not say: each row is an assignment of its own, from then until it
//! expires. The same row read again, from the file that lease clean-up wrote, says the same again.

use std::io::Read;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use noroshi_law::Sealed;

use crate::assignment::{Assignment, Change, Given};
use crate::csv::{CsvError, CsvFormat, Record, Records};
use crate::dhcp::{Ids, LINE_BYTES_MAX, LeaseFormat, hex};
use crate::lines::{Encoding, Lines, LinesError};
use crate::radius::{BadSealed, slot};
use crate::time::in_range;

/// A lease that does not end by itself.
const INFINITE_S: u64 = 0xffff_ffff;

/// Why a file as a whole cannot be used. Says nothing of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum LeasesError {
    /// The stream failed, or is no text.
    #[error(transparent)]
    Lines(#[from] LinesError),
    /// The first line is not Kea's.
    #[error(
        "the first line does not name a Kea lease file's columns (address, valid_lifetime, expire, state, …)"
    )]
    Header,
}

/// The leases of a file; made by [`read_kea_leases`].
#[derive(Debug)]
pub struct KeaLeases<R> {
    records: Records<R>,
    format: LeaseFormat,
    heard: Option<Timestamp>,
    /// Known with the first row.
    places: Option<Places>,
    ended: bool,
}

/// Where the columns are that are read, found once and not for every row.
#[derive(Clone, Copy, Debug)]
struct Places {
    address: usize,
    valid_lifetime: usize,
    expire: usize,
    state: usize,
    lease_type: Option<usize>,
    prefix_len: Option<usize>,
    client_id: Option<usize>,
    duid: Option<usize>,
    hwaddr: Option<usize>,
    user_context: Option<usize>,
}

impl Places {
    fn of(columns: &[String]) -> Option<Self> {
        let place = |name: &str| columns.iter().position(|column| column == name);
        Some(Self {
            address: place("address")?,
            valid_lifetime: place("valid_lifetime")?,
            expire: place("expire")?,
            state: place("state")?,
            lease_type: place("lease_type"),
            prefix_len: place("prefix_len"),
            client_id: place("client_id"),
            duid: place("duid"),
            hwaddr: place("hwaddr"),
            user_context: place("user_context"),
        })
    }
}

/// A row, with where its columns are.
#[derive(Clone, Copy)]
struct Row<'a> {
    record: &'a Record,
    places: Places,
}

impl<'a> Row<'a> {
    fn cell(self, place: impl Into<Option<usize>>) -> &'a str {
        place.into().and_then(|place| self.record.at(place)).unwrap_or_default().trim()
    }

    fn number(self, place: usize, column: &str) -> Result<u64, String> {
        let text = self.cell(place);
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).ok_or_else(|| format!("`{column}` is no number"))
    }
}

/// Reads a lease file of either family from its beginning. The outer error ends it; a bad row does not.
pub fn read_kea_leases<R: Read>(reader: R, format: &LeaseFormat) -> KeaLeases<R> {
    let lines = Lines::new(reader, Encoding::default()).with_limit(LINE_BYTES_MAX);
    let records = Records::new(lines, CsvFormat::default(), &[]);
    KeaLeases { records, format: format.clone(), heard: None, places: None, ended: false }
}

impl<R: Read> KeaLeases<R> {
    /// Says that rows are read as the server writes them, now by our clock. Where a lease was deleted or released, the row
    /// has only when the client was last heard of before; without this, that counts as its end, and what was seen between
    /// is nobody's.
    pub fn heard(&mut self, now: Timestamp) {
        self.heard = Some(now);
    }

    /// Bytes consumed so far: where the next row starts.
    pub fn offset(&self) -> u64 {
        self.records.offset()
    }

    fn advance(&mut self) -> Result<Option<Result<Assignment, BadSealed>>, LeasesError> {
        loop {
            let record = match self.records.next().transpose() {
                Ok(Some(Ok(record))) => record,
                Ok(Some(Err(bad))) => return Ok(Some(Err(bad.into()))),
                Ok(None) => return Ok(None),
                Err(CsvError::Lines(e)) => return Err(e.into()),
                Err(_) => return Err(LeasesError::Header),
            };
            let known = self.places.or_else(|| Places::of(record.columns()));
            let places = *self.places.insert(known.ok_or(LeasesError::Header)?);
            let row = Row { record: &record, places };
            // The header again, where files were put together.
            if row.cell(places.address) == "address" && row.cell(places.expire) == "expire" {
                continue;
            }
            let lease = lease(row, &self.format, self.heard);
            return Ok(Some(lease.map_err(|reason| self.records.refuse(&record, reason).into())));
        }
    }
}

impl<R: Read> Iterator for KeaLeases<R> {
    type Item = Result<Result<Vec<Sealed<Assignment>>, BadSealed>, LeasesError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let record = self.advance().transpose();
        self.ended = !matches!(record, Some(Ok(_)));
        record.map(|record| record.map(|lease| lease.map(|lease| vec![Sealed::new(lease)])))
    }
}

/// A row's meaning, or a reason that names the column and never its content.
fn lease(row: Row<'_>, format: &LeaseFormat, heard: Option<Timestamp>) -> Result<Assignment, String> {
    let net = net(row)?;
    let valid_s = row.number(row.places.valid_lifetime, "valid_lifetime")?;
    let expire_s = row.number(row.places.expire, "expire")?;
    let told_s = expire_s.checked_sub(valid_s).ok_or("`expire` is before the lease")?;
    let told = instant(told_s, "`expire` less `valid_lifetime`")?;
    // 0 assigned, 1 declined, 2 expired and reclaimed, 3 released, 4 registered by the client itself (RFC 9686).
    let (change, at) = match (row.number(row.places.state, "state")?, valid_s) {
        (2, _) => (Change::Stop, instant(expire_s, "`expire`")?),
        (1 | 3, _) | (0 | 4, 0) => (Change::Stop, heard.unwrap_or(told).max(told)),
        (0 | 4, _) => (Change::Start, told),
        _ => return Err("`state` is none of 0 to 4".into()),
    };
    let expires = change == Change::Start && valid_s != INFINITE_S;
    let whom = ids(row)?.whom(&format.line);
    if whom.is_none() && change == Change::Start {
        return Err("none of the declared ids is there: whose lease is it?".into());
    }
    Ok(Assignment {
        change,
        given: Some(Given { net, ports: None }),
        whom,
        at,
        until: if expires { Some(instant(expire_s, "`expire`")?) } else { None },
        began: None,
        server: format.server.clone(),
        session: None,
        clock_offset_s: None,
        line: row.record.line,
    })
}

/// An address, or the prefix that was delegated (`lease_type` 2).
fn net(row: Row<'_>) -> Result<IpNet, String> {
    let ip: IpAddr = row.cell(row.places.address).parse().map_err(|_| "`address` is no address")?;
    let delegated = match row.cell(row.places.lease_type) {
        "" | "0" | "1" => false,
        "2" => true,
        _ => return Err("`lease_type` is none of 0 to 2".into()),
    };
    if !delegated {
        return Ok(IpNet::from(ip.to_canonical()));
    }
    let length = row.cell(row.places.prefix_len).parse().map_err(|_| "`prefix_len` is no length")?;
    let net = IpNet::new(ip, length).map_err(|_| "`prefix_len` is no length")?.trunc();
    slot(net).map(|_| net).ok_or_else(|| "`prefix_len` is shorter than 48".into())
}

fn ids(row: Row<'_>) -> Result<Ids, String> {
    let octets = |place: Option<usize>, column: &str| match row.cell(place) {
        "" => Ok(None),
        text => hex(text).map(Some).ok_or_else(|| format!("`{column}` is no hex")),
    };
    let client = octets(row.places.client_id, "client_id")?.or(octets(row.places.duid, "duid")?);
    let mut ids = Ids { client, hardware: octets(row.places.hwaddr, "hwaddr")?, ..Ids::default() };
    match row.cell(row.places.user_context) {
        "" => {}
        context => ids.take_kea_context(&unescaped(context))?,
    }
    Ok(ids)
}

fn instant(seconds: u64, what: &str) -> Result<Timestamp, String> {
    let time = i64::try_from(seconds).ok().and_then(|s| Timestamp::from_second(s).ok());
    time.and_then(|time| in_range(time).ok()).ok_or_else(|| format!("{what} is outside 1990 to 2199"))
}

/// Kea writes a comma, and the ampersand before `#x`, as `&#x` and two digits.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut left = text;
    while let Some((before, rest)) = left.split_once("&#x") {
        out.push_str(before);
        let code = rest.get(..2).filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
        match code.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(u8::is_ascii) {
            Some(byte) => {
                out.push(char::from(byte));
                left = &rest[2..];
            }
            None => {
                out.push_str("&#x");
                left = rest;
            }
        }
    }
    out.push_str(left);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::assignment::Whom;

    const V4: &str = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context";
    const V4_POOL: &str = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id";
    const V6: &str = "address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len,fqdn_fwd,fqdn_rev,hostname,hwaddr,state,user_context,hwtype,hwaddr_source,pool_id";

    fn read(text: &str) -> Vec<Result<Assignment, String>> {
        let lines = Lines::new(text.as_bytes(), Encoding::default());
        let records = Records::new(lines, CsvFormat::default(), &[]);
        let told = |record: Record| {
            let row = Row { record: &record, places: Places::of(record.columns()).unwrap() };
            lease(row, &LeaseFormat::default(), None)
        };
        records.map(|record| record.unwrap().map_err(|bad| bad.reason).and_then(told)).collect()
    }

    fn line(assignment: &Assignment) -> &str {
        match &assignment.whom {
            Some(Whom::Line(line)) => line,
            _ => "",
        }
    }

    /// As Kea 2.2.0 wrote them.
    #[test]
    fn a_row_is_held_from_when_the_client_was_heard_until_it_expires() {
        let told = read(&format!(
            "{V4}\n198.51.100.20,00:53:00:00:00:14,,3600,1795349223,1,0,0,cpe20,0,\n\
             198.51.100.21,00:53:00:00:00:15,,3600,1795349223,1,0,0,cpe21,0,\n\
             198.51.100.21,00:53:00:00:00:15,,0,1795345623,1,0,0,cpe21,0,\n"
        ));
        let lease = told[0].as_ref().unwrap();
        assert_eq!((lease.change, line(lease)), (Change::Start, "00:53:00:00:00:14"));
        assert_eq!(lease.given.unwrap().net.to_string(), "198.51.100.20/32");
        assert_eq!(lease.at.to_string(), "2026-11-22T11:07:03Z");
        assert_eq!(lease.until.unwrap().to_string(), "2026-11-22T12:07:03Z");
        assert_eq!((lease.line, lease.began), (2, None));
        let deleted = told[2].as_ref().unwrap();
        assert_eq!((deleted.change, deleted.at, deleted.until), (Change::Stop, lease.at, None));
    }

    #[test]
    fn option_82_names_the_line_before_anything_that_the_device_says() {
        let context =
            r#"{ "ISC": { "relay-agent-info": { "sub-options": "0x0107706F6E2D332F31020374313 7" } } }"#
                .replace("313 7", "3137")
                .replace(',', "&#x2c");
        let told = read(&format!(
            "{V4_POOL}\n198.51.100.20,00:53:00:00:00:14,01:00:53:00:00:00:14,3600,1795349223,1,0,0,a&#x2cb,0,{context},0\n\
             198.51.100.20,00:53:00:00:00:14,01:00:53:00:00:00:14,3600,1795349223,1,0,0,,0,,0\n"
        ));
        assert_eq!(line(told[0].as_ref().unwrap()), "t17");
        assert_eq!(line(told[1].as_ref().unwrap()), "01:00:53:00:00:00:14");
    }

    #[test]
    fn addresses_and_prefixes_of_dhcpv6_are_read() {
        let duid = "00:03:00:01:00:53:00:aa:bb:cc";
        let context =
            r#"{ "ISC": { "relay-info": [ { "hop": 0&#x2c "options": "0x00120008706F727431323334" } ] } }"#;
        let told = read(&format!(
            "{V6}\n2001:db8:1::9,{duid},7200,1795352823,1,3600,0,1,128,0,0,,,0,,,,0\n\
             2001:db8:12:3400::,{duid},7200,1795352823,1,3600,2,1,56,0,0,,00:53:00:aa:bb:cc,0,{context},1,2,0\n\
             2001:db8::,{duid},7200,1795352823,1,3600,2,1,32,0,0,,,0,,,,0\n"
        ));
        let (address, prefix) = (told[0].as_ref().unwrap(), told[1].as_ref().unwrap());
        assert_eq!(
            (address.given.unwrap().net.to_string().as_str(), line(address)),
            ("2001:db8:1::9/128", duid)
        );
        assert_eq!(prefix.given.unwrap().net.to_string(), "2001:db8:12:3400::/56");
        assert_eq!(line(prefix), "port1234");
        assert_eq!(told[2], Err("`prefix_len` is shorter than 48".into()));
    }

    #[test]
    fn declined_reclaimed_and_released_leases_are_over() {
        let row = |state: &str| format!("198.51.100.20,,,3600,1795349223,1,0,0,,{state},\n");
        let states = ["1", "2", "3", "5"].map(row).concat();
        let told = read(&format!("{V4}\n{states}"));
        let at = |n: usize| told[n].as_ref().map(|lease| (lease.change, lease.at.as_second()));
        assert_eq!(at(0), Ok((Change::Stop, 1_795_345_623)));
        assert_eq!(at(1), Ok((Change::Stop, 1_795_349_223)));
        assert_eq!(at(2), Ok((Change::Stop, 1_795_345_623)));
        assert_eq!(told[3], Err("`state` is none of 0 to 4".into()));
    }

    #[test]
    fn a_lease_without_an_end_has_none() {
        let told = read(&format!("{V4}\n198.51.100.20,00:53:00:00:00:14,,4294967295,6090312918,1,0,0,,0,\n"));
        let lease = told[0].as_ref().unwrap();
        assert_eq!((lease.at.as_second(), lease.until), (1_795_345_623, None));
    }

    #[test]
    fn bad_rows_are_values_and_reasons_name_only_the_column() {
        let good = "198.51.100.20,00:53:00:00:00:14,,3600,1795349223,1,0,0,secret,0,";
        let rows = [
            good.replace("198.51.100.20", "secret"),
            good.replace("00:53", "secret"),
            good.replace("3600", "secret"),
            good.replace("1795349223", "12"),
            good.replace("1795349223", "99999999999999"),
            good.replace("00:53:00:00:00:14", ""),
            format!("{good}{{secret"),
            format!("{good},more"),
        ];
        let text = format!("{V4}\n{}\n{V4}\n{good}\n", rows.join("\n"));
        let mut leases = read_kea_leases(text.as_bytes(), &LeaseFormat::default());
        let told: Vec<_> = leases.by_ref().map(Result::unwrap).collect();
        assert_eq!(told.len(), rows.len() + 1);
        for (bad, number) in told.iter().take(rows.len()).zip(2..) {
            let bad = bad.as_ref().unwrap_err();
            assert_eq!(bad.line, number);
            assert!(!bad.reason.contains("secret") && bad.reason.len() < 100, "{bad}");
        }
        assert!(told[rows.len()].is_ok());
        assert_eq!(leases.offset(), text.len() as u64);
    }

    #[test]
    fn a_file_without_its_header_is_refused_without_telling_what_is_in_it() {
        for text in ["198.51.100.20,00:53:00:00:00:14,,3600,1795349223,1,0,0,cpe20,0,\nx\n", "a,a\n", ""] {
            let Some(first) = read_kea_leases(text.as_bytes(), &LeaseFormat::default()).next() else {
                continue;
            };
            let error = format!("{:?}", first.unwrap_err());
            assert!(!error.contains("198") && !error.contains("cpe"), "{error}");
        }
    }

    #[test]
    fn the_end_of_a_lease_that_is_read_as_it_is_written_is_when_it_is_read() {
        let text = format!("{V4}\n198.51.100.21,00:53:00:00:00:15,,0,1795345623,1,0,0,cpe21,0,\n");
        let lines = Lines::new(text.as_bytes(), Encoding::default());
        let record = Records::new(lines, CsvFormat::default(), &[]).next().unwrap().unwrap().unwrap();
        let now = Timestamp::from_second(1_795_346_000).unwrap();
        let row = Row { record: &record, places: Places::of(record.columns()).unwrap() };
        assert_eq!(lease(row, &LeaseFormat::default(), Some(now)).unwrap().at, now);
        let early = Timestamp::from_second(1_795_340_000).unwrap();
        assert_eq!(lease(row, &LeaseFormat::default(), Some(early)).unwrap().at.as_second(), 1_795_345_623);
    }

    proptest! {
        #[test]
        fn no_row_makes_it_panic(cells in prop::collection::vec("[0-9a-f:&#x{}\"]{0,12}", 18), bytes: Vec<u8>) {
            for header in [V4, V4_POOL, V6] {
                let row = cells[..header.split(',').count()].join(",");
                let text = [header.as_bytes(), b"\n", row.as_bytes(), b"\n", &bytes].concat();
                for _ in read_kea_leases(&text[..], &LeaseFormat::default()) {}
            }
            let _ = unescaped(&cells.concat());
        }
    }
}
