//! The older format: a report's type says what the words of its notes are.

use noroshi_model::{Datum, Fields};

use super::super::intelmq::put;

/// Reads the notes of a line.
pub fn read(category: &str, notes: &str, fields: &mut Fields<'static>) -> Result<(), String> {
    let mut words = notes.split_whitespace();
    let first = words.next().unwrap_or_default();
    let second = words.next().unwrap_or_default();
    let (class, identifier) = match category {
        "beagle" | "blaster" | "dameware" | "dipnet" | "mydoom" | "nachi" | "phatbot" | "sinit"
        | "slammer" => {
            put(fields, "malware.name", category)?;
            ("infected-system", category)
        }
        "bots" => {
            bot(notes, fields)?;
            ("infected-system", "")
        }
        "bruteforce" => {
            put(fields, "protocol.application", notes)?;
            ("brute-force", notes)
        }
        "defacement" => {
            put(fields, "source.url", first)?;
            put(fields, "extra.zoneh.id", second)?;
            ("unauthorised-information-modification", category)
        }
        "fastflux" => {
            put(fields, "source.reverse_dns", notes)?;
            ("system-compromise", category)
        }
        "malwareurl" => {
            put(fields, "source.url", first)?;
            ("malware-distribution", category)
        }
        "openresolvers" => {
            put(fields, "protocol.application", "dns")?;
            ("vulnerable-system", "dns-open-resolver")
        }
        "phishing" => {
            put(fields, "source.url", notes)?;
            ("phishing", category)
        }
        "proxy" => {
            put(fields, "extra.request", notes)?;
            ("proxy", "openproxy")
        }
        "routers" => ("system-compromise", notes),
        "scanners" => {
            put(fields, "source.port", notes)?;
            ("scanner", "scanner")
        }
        "spam" => {
            put(fields, "extra.source", notes)?;
            ("spam", category)
        }
        "spreaders" => {
            put(fields, "source.url", first)?;
            put(fields, "malware.hash.md5", second)?;
            ("malware-distribution", "spreader")
        }
        "stormworm" | "toxbot" => {
            worm(notes, fields)?;
            put(fields, "malware.name", category)?;
            ("infected-system", category)
        }
        _ => return Err("its report is not known".into()),
    };
    fields.put("classification.type", class);
    // The notes of a bot have named it already.
    if !identifier.is_empty() {
        put(fields, "classification.identifier", identifier)?;
    }
    Ok(())
}

/// `[srcport PORT] [mwtype TYPE] [destaddr ADDRESS] [comment]`, where a type may have spaces.
pub fn bot(notes: &str, fields: &mut Fields<'static>) -> Result<(), String> {
    let (mut malware, mut comment) = (Vec::new(), Vec::new());
    let mut words = notes.split_whitespace();
    let mut in_type = false;
    while let Some(word) = words.next() {
        match word {
            "srcport" => {
                in_type = false;
                source_port(words.next(), fields)?;
            }
            "mwtype" => in_type = true,
            "destaddr" | "dstaddr" => {
                in_type = false;
                put(fields, "destination.ip", words.next().unwrap_or_default())?;
            }
            _ if in_type => malware.push(word),
            _ => comment.push(word),
        }
    }
    if !malware.is_empty() {
        let malware = malware.join(" ").to_lowercase();
        put(fields, "classification.identifier", &malware)?;
        put(fields, "malware.name", &malware)?;
    }
    put(fields, "event_description.text", &comment.join(" "))
}

/// `[confidence:NUMBER] [legacy|crypto] [srcport PORT]`
fn worm(notes: &str, fields: &mut Fields<'static>) -> Result<(), String> {
    let mut words = notes.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "legacy" | "crypto" => put(fields, "malware.version", word)?,
            "srcport" => source_port(words.next(), fields)?,
            _ => {
                if let Some(steps) = word.strip_prefix("confidence:").and_then(|n| n.parse::<f64>().ok()) {
                    fields.put("feed.accuracy", Datum::Real((steps * 20.0).clamp(0.0, 100.0)));
                }
            }
        }
    }
    Ok(())
}

fn source_port(text: Option<&str>, fields: &mut Fields<'static>) -> Result<(), String> {
    let port: u16 = text.unwrap_or_default().parse().map_err(|_| "the source port is no port")?;
    fields.put("extra.source_port", Datum::Int(port.into()));
    Ok(())
}
