//! BruteForceBlocker's list: `address # date time count id`, columns between tabs and spaces as they fell.

use noroshi_model::Fields;

use super::by_line;
use super::intelmq::put;
use crate::bundle::Bundle;
use crate::{Feed, FeedError, Input, Report};

/// Opens a report.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(by_line(input, |line, out| {
        let Some((address, rest)) = line.split_once('#').filter(|_| !line.starts_with('#')) else {
            return if line.starts_with('#') { Ok(()) } else { Err("there is no time".into()) };
        };
        let mut words = rest.split_whitespace();
        let (Some(day), Some(clock)) = (words.next(), words.next()) else {
            return Err("there is no time".into());
        };
        let mut fields = Fields::with_capacity(3);
        put(&mut fields, "source.ip", address.trim())?;
        put(&mut fields, "time.source", &format!("{day} {clock}"))?;
        fields.put("classification.type", "brute-force");
        if !fields.has("source.ip") {
            return Err("there is no address".into());
        }
        out.event(fields);
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use super::super::trial::read;

    #[test]
    fn bad_lines_keep_the_good_ones() {
        let text = "# IP\t# Last Reported\n192.0.2.1\t\t# 2016-11-10 09:11:03\t\t56\t1\n192.0.2.2\n\t# 2016-11-10 09:11:03\nx # 2016-11-10 09:11:03\n";
        let got = read("danger-rulez", serde_json::json!({}), text);
        assert_eq!((got.events.len(), got.bad.len()), (1, 3));
    }
}
