//! FireEye's alerts as OpenIOC: a document of one sample, then of what it did on the network, in indicators inside each
//! other. The sample is an event, and what it did is another.

use noroshi_model::{Datum, Fields};

use super::markup::{Piece, Pieces};
use super::whole;
use crate::bundle::Bundle;
use crate::convert::{ip, try_add_owned};
use crate::{Feed, FeedError, Input, Report};

/// One thing that is indicated.
#[derive(Debug)]
struct Item {
    line: u64,
    /// How many indicators were open around it.
    depth: u32,
    search: String,
    content: String,
}

/// Opens an alert.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(whole(input, |bytes, sink| {
        let document = String::from_utf8_lossy(bytes);
        if !document.contains("<OpenIOC") {
            return Err(FeedError::Report("the document is no OpenIOC".into()));
        }
        let items = items(&document);
        let found = |search: &str| items.iter().find(|item| item.depth == 1 && item.search == search);
        let Some(sample) = found("FileItem/Sha256sum") else {
            // An alert without indicators of a file is about something that no event is made of.
            sink.filtered(1);
            return Ok(());
        };
        let mut hashes = Fields::default();
        try_add_owned(&mut hashes, "malware.hash.sha256", &sample.content);
        if let Some(md5) = found("FileItem/Md5sum") {
            try_add_owned(&mut hashes, "malware.hash.md5", &md5.content);
        }
        let mut file = hashes.clone();
        file.put("classification.type", "malware");
        sink.event(sample.line, file);
        let network: Vec<&Item> = items.iter().filter(|item| item.search.starts_with("Network/")).collect();
        if let Some(first) = network.first() {
            hashes.put("classification.type", "malware-distribution");
            sink.event(first.line, traffic(hashes, &network));
        }
        Ok(())
    }))
}

fn items(document: &str) -> Vec<Item> {
    let (mut items, mut depth) = (Vec::new(), 0_u32);
    let mut search = String::new();
    let mut content: Option<(u64, String)> = None;
    for (line, piece) in Pieces::new(document) {
        match piece {
            Piece::Open(tag) if tag.is("Indicator") => depth += 1,
            Piece::Open(tag) if tag.is("Context") => {
                search = tag.get("search").unwrap_or_default().into_owned();
            }
            Piece::Open(tag) if tag.is("Content") => content = Some((line, String::new())),
            Piece::Text(text) => {
                if let Some((_, content)) = &mut content {
                    content.push_str(&text);
                }
            }
            Piece::Close(name) if name.eq_ignore_ascii_case("Indicator") => depth = depth.saturating_sub(1),
            Piece::Close(name) if name.eq_ignore_ascii_case("Content") => {
                let Some((line, content)) = content.take() else { continue };
                items.push(Item { line, depth, search: std::mem::take(&mut search), content });
            }
            _ => {}
        }
    }
    items
}

/// What the sample did: of each kind the first that is indicated.
fn traffic(mut fields: Fields<'static>, items: &[&Item]) -> Fields<'static> {
    for item in items {
        let text = item.content.trim();
        let key = match item.search.as_str() {
            "Network/HTTP/Host" if ip(text).is_some() => "destination.ip",
            "Network/HTTP/RequestURI" => "destination.urlpath",
            "Network/Connection/RemotePort" => "destination.port",
            "Network/DNS" => "destination.fqdn",
            _ => continue,
        };
        if !fields.has(key) {
            try_add_owned(&mut fields, key, text);
        }
    }
    let part = |key| fields.get(key).and_then(Datum::text);
    if let (Some(host), Some(path)) = (part("destination.fqdn"), part("destination.urlpath")) {
        let url = format!("http://{host}{path}");
        try_add_owned(&mut fields, "destination.url", &url);
    }
    fields
}

#[cfg(test)]
mod tests {
    use crate::formats::probe::parsed;

    #[test]
    fn a_sample_and_what_it_did() {
        let item = |search, content| {
            format!(
                "<IndicatorItem condition=\"is\"><Context type='x' search=\"{search}\"/><Content>{content}</Content></IndicatorItem>\n"
            )
        };
        let document = format!(
            "<?xml version=\"1.0\"?>\n<OpenIOC><criteria><Indicator id=\"1\">\n{}{}<Indicator id=\"2\">{}{}{}{}</Indicator></Indicator></criteria></OpenIOC>",
            item("FileItem/Md5sum", "AB"),
            item("FileItem/Sha256sum", "CD"),
            item("Network/DNS", "a.example"),
            item("Network/HTTP/Host", "a.example"),
            item("Network/HTTP/RequestURI", "/x?a&amp;b"),
            item("Network/Connection/RemotePort", "80"),
        );
        let got = parsed("fireeye", &document, ());
        assert_eq!(got.lines(), "[4, 5] bad [] filtered 0");
        assert_eq!((got.fact(0, "malware.hash.md5"), got.fact(0, "destination.port")), ("ab", ""));
        assert_eq!(
            (got.fact(1, "destination.url"), got.fact(1, "destination.ip")),
            ("http://a.example/x?a&b", "")
        );
        assert_eq!(parsed("fireeye", "<OpenIOC><Content>x", ()).lines(), "[] bad [] filtered 1");
    }
}
