//! How fast the commonest report is read and mapped: events per second of one core, handed to a sink that only counts.

use std::fmt::Write as _;
use std::io::Cursor;

use divan::counter::ItemsCount;
use noroshi_feed::{Bundle, Report, Sink, open};
use noroshi_model::{Bad, Fields};

const LINES: u32 = 20_000;

const HEADER: &str = "timestamp,protocol,src_ip,src_port,src_asn,src_geo,src_region,src_city,src_hostname,src_naics,\
    src_sector,device_vendor,device_type,device_model,dst_ip,dst_port,dst_asn,dst_geo,dst_region,dst_city,dst_hostname,\
    dst_naics,dst_sector,public_source,infection,family,tag,application,version,event_id,http_url,http_host,http_agent,\
    forwarded_by,ssl_cipher,http_referer";

const SECTOR: &str = "Communications, Service Provider, and Hosting Service";

fn main() {
    divan::main();
}

/// Counts, and looks at what it is given so that nothing is optimised away.
#[derive(Default)]
struct Count {
    events: u64,
    fields: usize,
}

impl Sink for Count {
    fn event(&mut self, _line: u64, fields: Fields<'_>) {
        self.events += 1;
        self.fields += divan::black_box(&fields).len();
    }

    fn filtered(&mut self, _line: u64) {}

    fn bad(&mut self, bad: Bad) {
        panic!("{bad}");
    }
}

/// A day of `event4_sinkhole_http`, 36 columns, about 500 bytes a line.
fn report(lines: u32) -> String {
    let mut text: String = HEADER.split(',').map(|name| format!("\"{}\",", name.trim())).collect();
    text.pop();
    text.push('\n');
    for n in 0..lines {
        let (h, m, s) = (n / 3600 % 24, n / 60 % 60, n % 60);
        let (a, b, c) = (n % 223 + 1, n / 223 % 256, n / 7 % 256);
        let family = ["andromeda", "necurs", "conficker", "tinba"][n as usize % 4];
        let _ = writeln!(
            text,
            "\"2026-11-20 {h:02}:{m:02}:{s:02}\",\"tcp\",\"{a}.{b}.{c}.9\",{},{},\"JP\",\"TOKYO\",\"CHIYODA\",\
             \"{a}-{b}-{c}-9.dynamic.example.ne.jp\",517311,\"{SECTOR}\",,,,\"{c}.{b}.{a}.7\",80,6939,\"US\",\
             \"CALIFORNIA\",\"FREMONT\",,518210,\"{SECTOR}\",,\"{family}\",\"{family}\",\"{family}\",,,\"{}\",\
             \"/g{b}/gate.php\",\"d{n}x{a}.example.com\",\"Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 5.1)\",,,",
            1024 + n % 60_000,
            1000 + n % 60_000,
            1_000_000_000 + n,
        );
    }
    text
}

#[divan::bench]
fn sinkhole_http(bencher: divan::Bencher<'_, '_>) {
    let (bundle, text) = (Bundle::shipped(), report(LINES));
    let about = Report {
        format: "shadowserver".into(),
        feed_name: "Sinkhole-Events-HTTP IPv4".into(),
        feed_url: None,
        file_name: Some("2026-11-20-event4_sinkhole_http-japan-geo.csv".into()),
        params: serde_json::Map::new(),
        now: "2026-11-22T00:00:00Z".parse().expect("a time"),
    };
    bencher.counter(ItemsCount::new(LINES)).with_inputs(|| text.clone().into_bytes()).bench_values(|bytes| {
        let mut count = Count::default();
        let mut feed = open(&bundle, &about, Box::new(Cursor::new(bytes))).expect("a known report");
        while feed.step(&mut count).expect("a readable report") {}
        assert_eq!(count.events, u64::from(LINES));
        count.fields
    });
}
