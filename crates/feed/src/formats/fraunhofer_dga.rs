//! Fraunhofer FKIE's DGArchive: one JSON object whose members are runs of domain-generating algorithms and whose values
//! are lists of hosts. What is a record is thus not an element of a list, and no map says that.

use noroshi_model::Fields;
use serde_json::{Map, Value};

use super::{refused, whole};
use crate::bundle::Bundle;
use crate::convert::try_add_owned;
use crate::{Feed, FeedError, Input, Report};

/// Opens a day's hosts.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(whole(input, |bytes, sink| {
        let runs: Map<String, Value> = serde_json::from_slice(bytes)
            .map_err(|e| FeedError::Report(format!("no JSON object (line {})", e.line())))?;
        for (run, hosts) in &runs {
            // `banjori_dga_…`: the publisher promises that the malware's name ends at the first underscore.
            let malware = run.split('_').next().unwrap_or(run);
            let Some(hosts) = hosts.as_array() else {
                sink.bad(refused(1, "a run has no list of hosts".into(), run));
                continue;
            };
            for host in hosts {
                let text = host.as_str().unwrap_or_default();
                let mut fields = Fields::default();
                fields.put("classification.type", "c2-server");
                try_add_owned(&mut fields, "malware.name", malware);
                if try_add_owned(&mut fields, "source.ip", text)
                    || try_add_owned(&mut fields, "source.fqdn", text)
                {
                    sink.event(1, fields);
                } else {
                    sink.bad(refused(1, "neither an address nor a host name".into(), &host.to_string()));
                }
            }
        }
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use crate::formats::probe::parsed;

    #[test]
    fn a_host_that_is_none_costs_itself() {
        let got = parsed("fraunhofer-dga", r#"{"a_dga": ["x.example", "192.0.2.1", "a b", 7], "b": 1}"#, ());
        assert_eq!(got.lines(), "[1, 1] bad [1, 1, 1] filtered 0");
        assert_eq!((got.fact(0, "malware.name"), got.fact(1, "source.ip")), ("a", "192.0.2.1"));
    }
}
