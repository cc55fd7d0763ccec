//! Edge cases of the parameters and of rows.

use serde_json::json;

use super::super::trial::{open_error, read};

#[test]
fn bad_rows_keep_the_good_ones() {
    let params = json!({
        "columns": "time.source, source.ip|source.network, source.port, , extra.note",
        "type": "scanner", "time_format": "timestamp", "skip_header": 1,
    });
    let text = "time,ip,port,x,note\n1495782036,192.0.2.1,80,x, a \n\n  # a remark with a \" in it\n \t \nnoon,192.0.2.1,80\n\
                149578203600,192.0.2.0/24,N/A,,\"two\nlines\"\n1495782036000,-\n1495782036,192.0.2.2,http,x\n";
    let got = read("generic-csv", params, text);
    assert_eq!(
        got.events,
        [
            json!({"classification.type": "scanner", "extra.note": " a ", "source.ip": "192.0.2.1", "source.port": 80,
                "time.source": "2017-05-26T07:00:36Z"}),
            json!({"classification.type": "scanner", "extra.note": "two\nlines", "source.network": "192.0.2.0/24",
                "time.source": "2017-05-26T07:00:36Z"}),
            json!({"classification.type": "scanner", "time.source": "2017-05-26T07:00:36Z"}),
        ]
    );
    let bad: Vec<_> = got.bad.iter().map(|b| (b.line, b.reason.as_str())).collect();
    assert_eq!(bad, [(6, "column 1: time.source is no time"), (10, "column 3: source.port is no port")]);
}

#[test]
fn alternatives_search_translation_and_composition() {
    let params = json!({
        "columns": ["source.asn", "source.fqdn|source.ip|__IGNORE__", "classification.type|__IGNORE__", "__IGNORE__"],
        "column_regex_search": {"source.asn": "[0-9]+"},
        "type_translation": {"bot": "infected-system"},
        "compose_fields": {"source.url": "http://{1}{3}", "extra.braces": "{{{0}}}"},
        "default_fields": {"classification.type": "other", "extra.n": 1},
        "delimiter": ";",
    });
    let got = read("generic-csv", params, "AS64496;a.example;bot;/x\nnone;192.0.2.1;cat;/y\nAS1;;;\n");
    assert_eq!(
        got.events,
        [
            json!({"classification.type": "infected-system", "extra.braces": "{AS64496}", "extra.n": 1,
                "source.asn": 64496, "source.fqdn": "a.example", "source.url": "http://a.example/x"}),
            json!({"classification.type": "other", "extra.braces": "{none}", "extra.n": 1, "source.ip": "192.0.2.1",
                "source.url": "http://192.0.2.1/y"}),
        ]
    );
    assert_eq!(got.bad.len(), 1);
}

#[test]
fn two_columns_for_one_key_are_refused_and_times_have_patterns() {
    let params = json!({"columns": ["time.source", "source.ip", "source.ip"], "time_format": "from_format|%d.%m.%y %H:%M"});
    let got = read("generic-csv", params, "01.02.26 03:04,192.0.2.1\n01.02.26 03:04,192.0.2.1,192.0.2.2\n");
    assert_eq!(got.events, [json!({"source.ip": "192.0.2.1", "time.source": "2026-02-01T03:04:00Z"})]);
    assert_eq!(got.bad.len(), 1);
    for (pattern, text) in [
        ("%d/%b/%Y %H:%M:%S %z", "1/Feb/2026 04:04:00 +0100"),
        ("%Y-%m-%d %H:%M:%S.%f %Z", "2026-02-01 03:04:00.0 UTC"),
        ("%I:%M %p %m/%d/%y", "03:04 AM 02/01/26"),
    ] {
        let params = json!({"columns": "time.source", "time_format": format!("from_format|{pattern}")});
        let got = read("generic-csv", params, text);
        assert_eq!(got.events, [json!({"time.source": "2026-02-01T03:04:00Z"})], "{pattern}");
    }
    let params = json!({"columns": "time.source", "time_format": "from_format_midnight|%d-%m-%Y"});
    let got = read("generic-csv", params, "01-02-2026\n");
    assert_eq!(got.events, [json!({"time.source": "2026-02-01T00:00:00Z"})]);
    let got = read(
        "generic-csv",
        json!({"columns": "time.source", "time_format": "windows_nt"}),
        "131349599830000000\n-9223372036854775809999\n",
    );
    assert_eq!(got.events, [json!({"time.source": "2017-03-25T23:59:43Z"})]);
}

#[test]
fn spaces_between_columns_and_filters() {
    let params = json!({"columns": "__IGNORE__,source.ip", "delimiter": " ", "filter_text": "add", "filter_type": "whitelist"});
    let got = read("generic-csv", params, "  add 192.0.2.1\ndel 192.0.2.2\n");
    assert_eq!((got.events.len(), got.filtered), (1, 1));
}

#[test]
fn parameters_that_cannot_be_meant_are_refused() {
    for params in [
        json!({}),
        json!({"columns": "source.nothing"}),
        json!({"columns": "source.ip", "delimiter": "||"}),
        json!({"columns": "source.ip", "time_format": "noon"}),
        json!({"columns": "source.ip", "columns_required": [true, false]}),
        json!({"columns": "source.ip", "column_regex_search": {"source.ip": "("}}),
        json!({"columns": "source.ip", "filter_text": "x", "filter_type": "grey"}),
        json!({"columns": "source.ip", "type": "nothing of RSIT"}),
        json!({"columns": "source.ip", "compose_fields": {"source.url": "{"}}),
        json!({"columns": "source.ip", "data_type": "{\"source.ip\": \"xml\"}"}),
    ] {
        assert!(open_error("generic-csv", params.clone()), "{params}");
    }
}
