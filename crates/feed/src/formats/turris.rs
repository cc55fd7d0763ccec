//! The greylist of Turris: a CSV of an address and what it was seen doing, of which there may be several things. Each is
//! an event of its own.

use noroshi_model::{Datum, Fields};

use super::{Out, by_line};
use crate::bundle::Bundle;
use crate::convert::add;
use crate::{Feed, FeedError, Input, Report};

/// Opens the list.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(by_line(input, record))
}

fn record(line: &str, out: &mut Out) -> Result<(), String> {
    let line = line.trim();
    let Some((address, tags)) = line.split_once(',') else {
        return if line.starts_with('#') { Ok(()) } else { Err("one column".into()) };
    };
    if line.starts_with('#') || address == "Address" {
        return Ok(());
    }
    let mut known = false;
    for tag in tags.trim_matches('"').split(',').map(str::trim) {
        let mut fields = Fields::default();
        let port = match tag {
            "ftp" => Some(21),
            "telnet" => Some(23),
            "http" => Some(80),
            // Mail is tried at more than one port, a scan at many.
            "smtp" | "port_scan" => None,
            // What is seen by the SSH honeypots is in the feed of those.
            _ => continue,
        };
        known = true;
        add(&mut fields, "source.ip", address.trim_matches('"')).map_err(|e| e.to_string())?;
        if tag == "port_scan" {
            fields.put("classification.type", "scanner");
        } else {
            fields.put("classification.type", "brute-force");
            fields.put("protocol.application", tag);
            fields.put("protocol.transport", "tcp");
        }
        if let Some(port) = port {
            fields.put("destination.port", Datum::Int(port));
        }
        out.event(fields.into_owned());
    }
    if !known {
        out.filter();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::formats::probe::parsed;

    #[test]
    fn each_tag_is_an_event() {
        let text = "# x, y\nAddress,Tags\n192.0.2.1,\"smtp,port_scan\"\n192.0.2.2,haas\nx,http\n192.0.2.3\n";
        let got = parsed("turris", text, ());
        assert_eq!(got.lines(), "[3, 3] bad [5, 6] filtered 1");
        assert_eq!((got.fact(0, "destination.port"), got.fact(1, "protocol.application")), ("", ""));
    }
}
