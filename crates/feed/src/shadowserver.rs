//! Shadowserver's reports: a family of some hundred and fifty types that share most of their columns. The type is in the
//! file's name (`2026-11-22-scan_dns-example-geo.csv`); a type nobody here knows is read by the columns all types share.

use crate::bundle::Bundle;
use crate::map::{MapFile, Shape};
use crate::{Feed, FeedError, Input, Report, mapped};

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
    let kind = kind_of(&family, report);
    mapped(&family, kind.as_deref(), input)
}

/// Which report of the family it is: by the file's name, else by the feed's.
fn kind_of(family: &MapFile, report: &Report) -> Option<String> {
    let by_file = report.file_name.as_deref().and_then(stem).and_then(|stem| known(family, stem));
    let names = [report.text("feedname"), Some(report.feed_name.as_str())];
    by_file.or_else(|| names.into_iter().flatten().find_map(|name| named(family, name)))
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

fn known(family: &MapFile, stem: &str) -> Option<String> {
    if family.report.contains_key(stem) {
        return Some(stem.to_owned());
    }
    let other = family.report.iter().find(|(_, report)| report.file.iter().any(|file| file == stem));
    if let Some((name, _)) = other {
        return Some(name.clone());
    }
    // The IPv6 edition of a report has the columns of the IPv4 one.
    let four = match stem.split_once("6_") {
        Some(("event", rest)) => format!("event4_{rest}"),
        Some((kind, rest)) => format!("{kind}_{rest}"),
        None => stem.strip_suffix('6')?.to_owned(),
    };
    (four != stem).then(|| known(family, &four))?
}

fn named(family: &MapFile, feed_name: &str) -> Option<String> {
    let fits = |name: &str| name.eq_ignore_ascii_case(feed_name);
    let found = family.report.iter().find(|(_, report)| report.feed.iter().any(|name| fits(name)));
    found.map(|(name, _)| name.clone())
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
