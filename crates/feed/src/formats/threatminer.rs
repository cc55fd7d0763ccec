//! ThreatMiner's front page: the domains between two of its headings.

use noroshi_model::Fields;

use super::markup::{Piece, Pieces};
use super::whole;
use crate::bundle::Bundle;
use crate::convert::try_add_owned;
use crate::{Feed, FeedError, Input, Report};

/// Opens the page.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(whole(input, |bytes, sink| {
        let page = String::from_utf8_lossy(bytes);
        let is = |piece: &Piece<'_>, heading| matches!(piece, Piece::Text(text) if text.trim() == heading);
        let part = Pieces::new(&page)
            .skip_while(|(_, piece)| !is(piece, "Recent domains"))
            .take_while(|(_, piece)| !is(piece, "Recent hosts"));
        for (line, piece) in part {
            let Piece::Text(text) = piece else { continue };
            // A word without a dot is a caption.
            let mut fields = Fields::default();
            fields.put("classification.type", "blacklist");
            if text.contains('.') && try_add_owned(&mut fields, "source.fqdn", &text) {
                sink.event(line, fields);
            }
        }
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use crate::formats::probe::parsed;

    #[test]
    fn domains_between_the_headings() {
        let page = "<a>x.example</a><h2>\nRecent domains\n</h2><ul><li><a href='/d'>a.example</a></li>\n<li> B.example </li>\n\
                    <li>more</li></ul><h2>Recent hosts</h2>c.example";
        let got = parsed("threatminer", page, ());
        assert_eq!(got.lines(), "[3, 4] bad [] filtered 0");
        assert_eq!(got.fact(1, "source.fqdn"), "b.example");
    }
}
