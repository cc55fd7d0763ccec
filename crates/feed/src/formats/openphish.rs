//! OpenPhish's free list: a URL a line, nothing else, and so no columns a map could name.

use noroshi_model::Fields;

use super::by_line;
use crate::bundle::Bundle;
use crate::convert::add;
use crate::{Feed, FeedError, Input, Report};

/// Opens the list.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(by_line(input, |line, out| {
        let mut fields = Fields::default();
        fields.put("classification.type", "phishing");
        add(&mut fields, "source.url", line.trim()).map_err(|e| e.to_string())?;
        out.event(fields.into_owned());
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use crate::formats::probe::parsed;

    #[test]
    fn what_is_no_url_is_refused() {
        let got = parsed("openphish", "http://a..example/x\r\n\nno url\nhttps://b.example\n", ());
        assert_eq!(got.lines(), "[1, 4] bad [3] filtered 0");
    }
}
