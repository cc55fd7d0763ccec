//! VX Vault's list: after a few lines of heading, of which one is the time, a URL a line.

use noroshi_model::{Datum, Fields};

use super::{Out, by_line};
use crate::bundle::Bundle;
use crate::convert::{add, host_of, time, try_add};
use crate::{Feed, FeedError, Input, Report};

/// Opens the list.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let mut listed = None;
    Ok(by_line(input, move |line, out| {
        let line = line.trim();
        if line.starts_with("http") {
            return link(line, listed, out);
        }
        listed = listed.or_else(|| time(line));
        Ok(())
    }))
}

fn link(url: &str, listed: Option<jiff::Timestamp>, out: &mut Out) -> Result<(), String> {
    let mut fields = Fields::default();
    fields.put("classification.type", "malware-distribution");
    add(&mut fields, "source.url", url).map_err(|e| e.to_string())?;
    let host = host_of(url).unwrap_or_default();
    if !try_add(&mut fields, "source.ip", host) {
        add(&mut fields, "source.fqdn", host).map_err(|e| e.to_string())?;
    }
    if let Some(port) = port_of(url) {
        try_add(&mut fields, "source.port", port);
    }
    if let Some(at) = listed {
        fields.put("time.source", Datum::Time(at));
    }
    out.event(fields.into_owned());
    Ok(())
}

/// The port that a URL names.
fn port_of(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
    let (_, port) = authority.rsplit_once(':')?;
    (!port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())).then_some(port)
}

#[cfg(test)]
mod tests {
    use crate::formats::probe::parsed;

    #[test]
    fn hosts_ports_and_the_time_of_the_list() {
        let text = "<pre>\nVX Vault last 100 Links\nMon, 17 Aug 2015 14:36:19 +0000\n\n\
                    http://192.0.2.1:8080/a\nhttp://Evil.example/b\nhttp://\n</pre>\n";
        let got = parsed("vxvault", text, ());
        assert_eq!(got.lines(), "[5, 6] bad [7] filtered 0");
        assert_eq!((got.fact(0, "source.ip"), got.fact(0, "source.port")), ("192.0.2.1", "8080"));
        assert_eq!(got.fact(1, "source.fqdn"), "evil.example");
        assert_eq!(got.fact(1, "time.source"), "2015-08-17T14:36:19Z");
    }
}
