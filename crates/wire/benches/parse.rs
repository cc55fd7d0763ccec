//! How fast a seized log and an accounting file are read: items per second of one core.

use divan::counter::ItemsCount;
use noroshi_wire::{SeizedFormat, read_detail, read_seized};

fn main() {
    divan::main();
}

fn seized_log(lines: u32) -> String {
    let mut text = String::from("time,ip,port,bot\n");
    for n in 0..lines {
        let (h, m, s) = (n / 3600 % 24, n / 60 % 60, n % 60);
        text.push_str(&format!(
            "2026-11-20T{h:02}:{m:02}:{s:02}+09:00,198.51.100.{},{},{n:08x}\n",
            n % 256,
            n % 65_536
        ));
    }
    text
}

/// Cost per line stays flat: 10 and 100 times the lines.
#[divan::bench(args = [1_000, 10_000, 100_000])]
fn seized(bencher: divan::Bencher<'_, '_>, lines: u32) {
    let text = seized_log(lines);
    bencher.counter(ItemsCount::new(lines)).bench(|| {
        let rows = read_seized(text.as_bytes(), &SeizedFormat::default());
        rows.filter(|row| matches!(row, Ok(Ok(_)))).count()
    });
}

#[divan::bench(args = [1_000, 10_000, 100_000])]
fn radius_detail(bencher: divan::Bencher<'_, '_>, records: u32) {
    let mut text = String::new();
    for n in 0..records {
        text.push_str(&format!(
            "Sun Nov 22 11:07:52 2026\n\tAcct-Status-Type = Start\n\tUser-Name = \"sub{n}@example.ne.jp\"\n\
             \tAcct-Session-Id = \"{n:08X}\"\n\tNAS-IP-Address = 192.0.2.1\n\tFramed-IP-Address = 198.51.100.{}\n\
             \tAcct-Delay-Time = 0\n\tEvent-Timestamp = \"Nov 22 2026 02:00:00 UTC\"\n\tTimestamp = 1795345672\n\n",
            n % 256
        ));
    }
    bencher
        .counter(ItemsCount::new(records))
        .bench(|| read_detail(text.as_bytes()).filter(|record| matches!(record, Ok(Ok(_)))).count());
}
