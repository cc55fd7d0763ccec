//! The promise of bounded memory, measured on the process itself; alone in its file so that no other test
//! adds to it.

use std::io::{Read, Write as _};

use noroshi_wire::cgn::{CgnFormat, CgnMake, read_cgn};
use noroshi_wire::dhcp::LeaseFormat;
use noroshi_wire::isc::read_isc_leases;
use noroshi_wire::kea::read_kea_leases;
use noroshi_wire::{SeizedFormat, read_detail, read_seized};

const GROWTH_KIB_MAX: u64 = 16 << 10;
const FLOOD_BYTES: u64 = 300 << 20;
/// A long line that says nothing.
static COMMENT: [u8; 32768] = {
    let mut line = [b'#'; 32768];
    line[32767] = b'\n';
    line
};

/// The largest resident size this process has had, in KiB; `None` where there is no /proc.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().trim_end_matches(" kB").parse().ok()
}

/// 300 MB of the same bytes over and over.
fn flood(of: &'static [u8]) -> impl Read {
    struct Cycle(&'static [u8], usize);
    impl Read for Cycle {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let start = self.1;
            let n = into.len().min(self.0.len() - start);
            into[..n].copy_from_slice(&self.0[start..start + n]);
            self.1 = (start + n) % self.0.len();
            Ok(n)
        }
    }
    Cycle(of, 0).take(FLOOD_BYTES)
}

#[test]
fn three_hundred_megabytes_of_one_line_or_one_record_do_not_grow_the_process() {
    let Some(before) = peak_kib() else {
        let _unread = std::io::stderr().write_all(b"skipped: no /proc/self/status\n");
        return;
    };
    let mut rows = read_seized(flood(&[b'x'; 65536]), &SeizedFormat::default());
    let mut open_quote = read_seized(b"time,ip\n\"".chain(flood(&[b'x'; 65536])), &SeizedFormat::default());
    let mut records = read_detail(flood(&[b'\t'; 65536]));
    assert_eq!((rows.by_ref().count(), rows.offset()), (1, FLOOD_BYTES));
    assert_eq!((open_quote.by_ref().count(), open_quote.offset()), (1, FLOOD_BYTES + 9));
    assert_eq!((records.by_ref().count(), records.offset()), (1, FLOOD_BYTES));
    let kea = b"address,valid_lifetime,expire,state\n".chain(flood(&[b'x'; 65536]));
    let mut leases = read_kea_leases(kea, &LeaseFormat::default());
    let mut blocks =
        read_isc_leases(b"lease 198.51.100.7 {\n".chain(flood(&COMMENT)), &LeaseFormat::default());
    let mut log = read_cgn(flood(&[b'['; 65536]), &CgnFormat::of(CgnMake::Cisco), None);
    assert_eq!((leases.by_ref().count(), leases.offset()), (1, FLOOD_BYTES + 36));
    assert_eq!((blocks.by_ref().count(), blocks.offset()), (1, FLOOD_BYTES + 21));
    assert_eq!((log.by_ref().count(), log.offset()), (1, FLOOD_BYTES));
    let growth = peak_kib().unwrap_or(u64::MAX).saturating_sub(before);
    println!("peak grew by {growth} KiB");
    assert!(growth < GROWTH_KIB_MAX, "peak grew by {growth} KiB");
}
