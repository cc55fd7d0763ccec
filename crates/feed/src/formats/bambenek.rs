//! Bambenek's lists of command servers by address and by name, and of names that malware generates. They look alike; a
//! line itself tells which it is from: an address is one, and a generated name is for a day, without a time of day.

use noroshi_model::Fields;

use super::by_line;
use super::intelmq::{base_name, put};
use crate::bundle::Bundle;
use crate::convert::ip;
use crate::{Feed, FeedError, Input, Report};

/// Opens a report: `address or name,description,time,manual`.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(by_line(input, |line, out| {
        if line.starts_with('#') {
            return Ok(());
        }
        let columns: Vec<&str> = line.split(',').map(str::trim).collect();
        let [host, description, time, manual, ..] = columns.as_slice() else {
            return Err("there are fewer than four columns".into());
        };
        let mut fields = Fields::with_capacity(8);
        let key = if ip(host).is_some() { "source.ip" } else { "source.fqdn" };
        put(&mut fields, key, host)?;
        put(&mut fields, "time.source", time)?;
        put(&mut fields, "event_description.text", description)?;
        put(&mut fields, "event_description.url", manual)?;
        if key == "source.ip" || time.contains(':') {
            fields.put("classification.type", "c2-server");
            fields.put("status", "online");
        } else {
            fields.put("classification.type", "dga-domain");
        }
        let manual = base_name(columns.last().copied().unwrap_or_default());
        put(&mut fields, "malware.name", malware(manual.split('.').next().unwrap_or_default()))?;
        out.event(fields);
        Ok(())
    }))
}

/// The manuals' short names.
fn malware(name: &str) -> &str {
    match name {
        "cl" => "cryptolocker",
        "p2pgoz" => "p2p goz",
        "ptgoz" => "pt goz",
        "volatile" => "volatile cedar",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::read;

    #[test]
    fn a_line_tells_which_list_it_is_from() {
        let text = "## x\n192.0.2.1,IP used by banjori C&C,2016-11-12 15:02,http://a.example/manual/banjori.txt\n\
                    a.example,Domain used by Cryptolocker DGA for 12 Nov 2016,2016-11-12,http://a.example/manual/cl.txt\n\
                    b.example,x,2016-11-12 15:02\n";
        let got = read("bambenek", serde_json::json!({}), text);
        assert_eq!((got.events.len(), got.bad.len()), (2, 1));
        assert_eq!(got.events[0]["classification.type"], "c2-server");
        assert_eq!(got.events[1]["classification.type"], "dga-domain");
        assert_eq!(got.events[1]["malware.name"], "cryptolocker");
        assert_eq!(got.events[1]["time.source"], "2016-11-12T00:00:00Z");
    }
}
