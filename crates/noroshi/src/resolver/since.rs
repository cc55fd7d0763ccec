//! Since when our own list has a site, as the page that warns says it.
//!
//! A policy zone and a list of URLs have no room for it that other programs would leave alone, and a rule in memory has none to spare. So it
//! stands in a file beside them: lines of one length in the order of their hashes, in which a page finds what it needs. Nothing of it is
//! kept, so a new file holds at once.
//!
//! ```text
//!   noroshi site export --as since ─▶ 4f2a…  2026-11-20T01:02:03Z ─▶ found by halving, when a page is made
//! ```

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use jiff::Timestamp;
use noroshi_resolver::url::{Canonical, Hash};

/// Octets of a line: 16 digits of the hash, a blank, a time in UTC, and its end.
const LINE_OCTETS: usize = 38;
/// Digits of a hash, hexadecimal.
const DIGITS: usize = 16;

/// Sites and since when, on their way into a file.
#[derive(Debug, Default)]
pub struct Since(Vec<(u64, i64)>);

impl Since {
    /// A site by its URL; what has none that browsers would open is left out.
    pub fn add(&mut self, url: &str, at: Timestamp) {
        if let Ok(url) = Canonical::of(url.as_bytes()) {
            self.0.push((number(&url.own_hash()), at.as_second()));
        }
    }

    /// Writes the file; how many lines it has. Of what is one page to browsers, the earliest counts.
    ///
    /// # Errors
    ///
    /// Whatever `out` says.
    pub fn write(mut self, out: &mut impl Write) -> io::Result<u64> {
        self.0.sort_unstable();
        self.0.dedup_by_key(|(hash, _)| *hash);
        for (hash, at_s) in &self.0 {
            let at = Timestamp::from_second(*at_s).map_err(io::Error::other)?;
            writeln!(out, "{hash:016x} {}", at.strftime("%Y-%m-%dT%H:%M:%SZ"))?;
        }
        Ok(self.0.len() as u64)
    }
}

/// Since when a URL, or what of its host or path is listed most specially, is on the list of a file.
///
/// # Errors
///
/// The file cannot be read, or is no such file.
pub fn listed(file: &Path, url: &str) -> io::Result<Option<Timestamp>> {
    let Ok(url) = Canonical::of(url.as_bytes()) else { return Ok(None) };
    let file = File::open(file)?;
    let lines = file.metadata()?.len() / LINE_OCTETS as u64;
    for hash in url.hashes() {
        if let Some(at) = find(&file, lines, number(&hash))? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

fn find(file: &File, lines: u64, wanted: u64) -> io::Result<Option<Timestamp>> {
    let (mut first, mut end) = (0, lines);
    let mut line = [0; LINE_OCTETS];
    while first < end {
        let middle = first + (end - first) / 2;
        file.read_exact_at(&mut line, middle * LINE_OCTETS as u64)?;
        let (hash, at) = read(&line).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("line {} is none", middle + 1))
        })?;
        match hash.cmp(&wanted) {
            Ordering::Less => first = middle + 1,
            Ordering::Greater => end = middle,
            Ordering::Equal => return Ok(Some(at)),
        }
    }
    Ok(None)
}

fn read(line: &[u8; LINE_OCTETS]) -> Option<(u64, Timestamp)> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (hash, at) = line.split_once(' ')?;
    let hash = (hash.len() == DIGITS).then(|| u64::from_str_radix(hash, 16).ok()).flatten()?;
    Some((hash, at.parse().ok()?))
}

/// The first 64 bits, which are enough to tell a site from the others of a list.
fn number(hash: &Hash) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = hash.0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(at: i64) -> Timestamp {
        Timestamp::from_second(at).unwrap()
    }

    fn file_of(sites: &[(&str, i64)]) -> tempfile::NamedTempFile {
        let mut since = Since::default();
        sites.iter().for_each(|(url, at)| since.add(url, second(*at)));
        let mut file = tempfile::NamedTempFile::new().unwrap();
        since.write(&mut file).unwrap();
        file
    }

    #[test]
    fn every_site_of_a_list_is_found_and_no_other() {
        let named: Vec<(String, i64)> =
            (0..1000).map(|n| (format!("http://site-{n}.example/"), 1_764_000_000 + n)).collect();
        let sites: Vec<(&str, i64)> = named.iter().map(|(url, at)| (url.as_str(), *at)).collect();
        for count in [1, 2, 3, 1000] {
            let file = file_of(&sites[..count]);
            assert_eq!(file.as_file().metadata().unwrap().len(), (count * LINE_OCTETS) as u64);
            for (at, (url, since)) in sites.iter().enumerate() {
                let found = listed(file.path(), url).unwrap();
                assert_eq!(found, (at < count).then(|| second(*since)), "{url} of {count}");
            }
        }
        assert_eq!(listed(file_of(&[]).path(), "http://site-1.example/").unwrap(), None);
    }

    #[test]
    fn what_is_listed_most_specially_counts_and_of_one_page_the_earliest() {
        let file = file_of(&[
            ("http://bad.example", 300),
            ("http://bad.example:8080/", 200),
            ("https://shared.example/a/%7Ebad", 100),
            ("no url at all\u{7f}", 1),
        ]);
        let of = |url: &str| listed(file.path(), url).unwrap().map(Timestamp::as_second);
        assert_eq!(of("http://www.bad.example/x?y"), Some(200));
        assert_eq!(of("http://shared.example/a/~bad?q=1"), Some(100));
        assert_eq!(of("http://shared.example/a/"), None);
        assert_eq!(of("http://example/"), None);
    }

    #[test]
    fn another_file_says_nothing() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "{}", "bad.example CNAME .\n".repeat(10)).unwrap();
        assert_eq!(
            listed(file.path(), "http://bad.example/").unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        assert!(listed(Path::new("/nowhere/at/all"), "http://bad.example/").is_err());
    }
}
