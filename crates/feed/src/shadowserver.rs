//! Shadowserver's reports: a family of some hundred and fifty types that share most of their columns. The type is in the
//! file's name (`2026-11-22-scan_dns-example-geo.csv`); a type nobody here knows is read by the columns all types share, and classified by its name.

use crate::bundle::Bundle;
use crate::map::{MapFile, Mapping, Shape};
use crate::{Feed, FeedError, Input, Report, mapped_as};

/// Opens a CSV report.
pub fn open_csv(bundle: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    open(bundle, report, input, Shape::Csv)
}

/// Opens a JSON report.
pub fn open_json(bundle: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    open(bundle, report, input, Shape::Json)
}

fn open(bundle: &Bundle, report: &Report, input: Input, shape: Shape) -> Result<Box<dyn Feed>, FeedError> {
    let Some(family) = bundle.map("shadowserver") else {
        return Err(FeedError::Format("shadowserver".into()));
    };
    let mut family = family.clone();
    family.read.shape = shape;
    let mapping = mapping(&family, report);
    mapped_as(&family, mapping, input)
}

/// How the report is read: what the operator says it is counts most, then the file's name, then the feed's.
fn mapping(family: &MapFile, report: &Report) -> Mapping {
    let by_parameter = report.text("feedname").and_then(|name| named(family, name));
    let by_file = || report.file_name.as_deref().and_then(stem).map(str::to_owned);
    let by_feed = || named(family, &report.feed_name);
    match by_parameter.or_else(by_file).or_else(by_feed) {
        Some(stem) => family.mapping_of_stem(&stem),
        None => family.mapping_of(None),
    }
}

/// `2026-11-22-scan_dns-example-geo.csv` → `scan_dns`.
fn stem(file_name: &str) -> Option<&str> {
    let name = file_name.rsplit(['/', '\\']).next()?;
    let dated = name.len() > 11
        && name.is_char_boundary(11)
        && name[..11].bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let name = if dated { &name[11..] } else { name };
    name.split(['-', '.']).next().filter(|stem| !stem.is_empty())
}

/// The stem of the report that a feed's name means; how it is spelt does not matter.
fn named(family: &MapFile, feed_name: &str) -> Option<String> {
    let wanted = letters(feed_name);
    if let Some(name) = family.report.iter().find_map(|(name, report)| {
        report.feed.iter().any(|feed| letters(feed) == wanted).then(|| name.clone())
    }) {
        return Some(name);
    }
    // `IPv6-Accessible-FTP`, `Sinkhole-Events IPv6`.
    let first = wanted.strip_prefix("ipv6").or_else(|| wanted.strip_suffix("ipv6"))?;
    let first = named(family, first)?;
    let six = |starts: &str, like: &str| Some(format!("{starts}{}", first.strip_prefix(like)?));
    family.edition.iter().find_map(|edition| six(&edition.starts, &edition.like))
}

fn letters(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_in_the_file_name() {
        assert_eq!(stem("2026-11-22-scan_dns-example-geo.csv"), Some("scan_dns"));
        assert_eq!(stem("in/scan_dns.csv"), Some("scan_dns"));
        assert_eq!(stem("event4_sinkhole-x.json"), Some("event4_sinkhole"));
    }
}
