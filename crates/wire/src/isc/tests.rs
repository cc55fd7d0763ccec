//! Lease files as dhcpd 4.4 writes them.

use proptest::prelude::*;

use super::*;
use crate::assignment::Whom;

const V4: &str = r#"# The format of this file is documented in the dhcpd.leases(5) manual page.
authoring-byte-order little-endian;
server-duid "\000\001\000\001,\211\000S\000\000\000\001";

failover peer "pair" state {
  my state normal at 0 2026/11/22 10:00:00;
}
lease 198.51.100.20 {
  starts 0 2026/11/22 11:07:03;
  ends 0 2026/11/22 12:07:03;
  tstp 0 2026/11/22 12:07:03;
  cltt 0 2026/11/22 11:37:03;
  binding state active;
  next binding state free;
  rewind binding state free;
  hardware ethernet 00:53:00:00:00:14;
  uid "\001\000S\000\000\000\024";
  set vendor-class-identifier = "a } quoted; brace {";
  option agent.circuit-id "pon-3/1";
  option agent.remote-id 0:ff:7;
  client-hostname "cpe20";
  on expiry {
    log (info, "starts nothing");
    binding state free;
  }
}
lease 198.51.100.21 {
  starts epoch 1795345623; # Sun Nov 22 20:07:03 2026
  ends never;
  binding state active;
  hardware ethernet 00:53:00:00:00:15;
}
lease 198.51.100.20 {
  starts 0 2026/11/22 11:07:03;
  ends 0 2026/11/22 11:50:00;
  cltt 0 2026/11/22 11:37:03;
  binding state released;
  next binding state free;
}
"#;

const V6: &str = r#"ia-na "\001\000\000\000\000\003\000\001\000S\000\252\273\314" {
  cltt 0 2026/11/22 11:07:03;
  iaaddr 2001:db8:1::9 {
    binding state active;
    preferred-life 3600;
    max-life 7200;
    ends 0 2026/11/22 13:07:03;
  }
}
ia-pd "\001\000\000\000\000\003\000\001\000S\000\252\273\314" {
  cltt 0 2026/11/22 11:07:03;
  iaprefix 2001:db8:12:3400::/56 {
    binding state active;
    ends 0 2026/11/22 13:07:03;
  }
  iaprefix 2001:db8:12:3500::/56 {
    binding state expired;
    ends 0 2026/11/22 10:07:03;
  }
}
"#;

fn read(text: &str) -> Vec<Result<Vec<Assignment>, String>> {
    let mut leases = read_isc_leases(text.as_bytes(), &LeaseFormat::default());
    let mut told = Vec::new();
    while let Some(block) = leases.block().unwrap() {
        told.push(block.leases(&LeaseFormat::default()));
    }
    assert_eq!(leases.offset(), text.len() as u64);
    told
}

fn only(told: &Result<Vec<Assignment>, String>) -> &Assignment {
    let told = told.as_ref().unwrap();
    assert_eq!(told.len(), 1);
    &told[0]
}

#[test]
fn a_lease_is_held_from_when_the_client_was_heard_until_it_ends() {
    let told = read(V4);
    assert_eq!(told.len(), 3);
    let lease = only(&told[0]);
    assert_eq!((lease.change, lease.line), (Change::Start, 8));
    assert_eq!(lease.given.unwrap().net.to_string(), "198.51.100.20/32");
    assert_eq!(lease.whom, Some(Whom::Line("00:ff:07".into())));
    assert_eq!(lease.at.to_string(), "2026-11-22T11:37:03Z");
    assert_eq!(lease.began.unwrap().to_string(), "2026-11-22T11:07:03Z");
    assert_eq!(lease.until.unwrap().to_string(), "2026-11-22T12:07:03Z");
}

#[test]
fn times_in_local_form_and_leases_without_an_end_are_read() {
    let lease = &read(V4)[1];
    let lease = only(lease);
    assert_eq!((lease.at.to_string().as_str(), lease.until), ("2026-11-22T11:07:03Z", None));
    assert_eq!(lease.whom, Some(Whom::Line("00:53:00:00:00:15".into())));
}

#[test]
fn a_lease_is_over_when_it_ended() {
    let told = read(V4);
    let lease = only(&told[2]);
    assert_eq!((lease.change, lease.at.to_string().as_str()), (Change::Stop, "2026-11-22T11:50:00Z"));
    assert_eq!((lease.until, lease.whom.as_ref()), (None, None));
    let abandoned = V4.replace("state released", "state abandoned");
    assert_eq!(only(&read(&abandoned)[2]).at.to_string(), "2026-11-22T11:37:03Z");
}

#[test]
fn dhcpv6_addresses_and_prefixes_go_by_their_duid() {
    let told = read(V6);
    let address = only(&told[0]);
    assert_eq!(address.given.unwrap().net.to_string(), "2001:db8:1::9/128");
    assert_eq!(address.whom, Some(Whom::Line("00:03:00:01:00:53:00:aa:bb:cc".into())));
    let prefixes = told[1].as_ref().unwrap();
    let told: Vec<_> =
        prefixes.iter().map(|p| (p.change, p.given.unwrap().net.to_string(), p.at.to_string())).collect();
    assert_eq!(
        told,
        [
            (Change::Start, "2001:db8:12:3400::/56".into(), "2026-11-22T11:07:03Z".into()),
            (Change::Stop, "2001:db8:12:3500::/56".into(), "2026-11-22T10:07:03Z".into())
        ]
    );
}

#[test]
fn a_block_that_is_cut_off_costs_only_itself() {
    let second = V4.find("lease 198.51.100.21").unwrap();
    let cut = format!("{}\n{}", &V4[..second - 60], &V4[second..]);
    let told = read(&cut);
    assert_eq!(told.len(), 3);
    assert_eq!(told[0], Err("cut off: another begins before it is closed".into()));
    assert!(told[1].is_ok() && told[2].is_ok());
    // Cut in the middle of a line, it takes the next with it and no more.
    let glued = read(&format!("{}{}", &V4[..second - 60], &V4[second..]));
    assert!(glued.len() == 2 && glued[0].is_err() && glued[1].is_ok());
    let end = read(&V4[..V4.len() - 3]);
    assert_eq!(end[2], Err("cut off: it is not closed".into()));
}

#[test]
fn bad_statements_are_named_without_their_values() {
    let cases = [
        ("starts 0 2026/11/22", "starts 0 secret", "`starts`"),
        ("ends 0 2026/11/22 12", "ends 0 2026/13/22 12", "`ends`"),
        ("state active", "state secret", "`binding state`"),
        ("ethernet 00:53:00:00:00:14", "ethernet secret", "`hardware`"),
        ("\"cpe20\"", "\"secret", "quote"),
        ("lease 198.51.100.20", "lease secret", "address"),
        ("remote-id 0:ff:7", "remote-id secret", "`agent.remote-id`"),
    ];
    for (from, to, names) in cases {
        let reason = read(&V4.replacen(from, to, 1))[0].clone().unwrap_err();
        assert!(reason.contains(names) && !reason.contains("secret"), "{reason}");
    }
    let short = V6.replace("::/56", "::/40");
    assert_eq!(read(&short)[1], Err("the prefix is shorter than /48".into()));
    let mut sealed = read_isc_leases(&b"lease 198.51.100.20 {\n}\n\0\n"[..], &LeaseFormat::default());
    assert_eq!(sealed.next().unwrap().unwrap().unwrap_err().reason, "`binding state` is missing");
    assert_eq!(sealed.next().unwrap().unwrap().unwrap_err().line, 3);
}

#[test]
fn an_endless_block_is_kept_within_bounds() {
    let text = format!("lease 198.51.100.20 {{\n{}}}\n", "  binding state active;\n".repeat(100_000));
    let block = read_isc_leases(text.as_bytes(), &LeaseFormat::default()).block().unwrap().unwrap();
    assert!(block.text.len() <= BLOCK_BYTES_MAX && block.fault.is_some());
    assert_eq!(block.bytes, text.len() as u64);
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(pieces in prop::collection::vec("(lease 1|ia-na |iaaddr |[{};\"#\\\\\n]|[ a-z0-9é:]{0,5})", 0..60),
        cut in 0usize..1200) {
        let text = pieces.concat();
        read(&text);
        for sample in [V4, V6] {
            let cut = sample.floor_char_boundary(cut);
            read(&format!("{}{text}{}", &sample[..cut], &sample[cut..]));
        }
    }
}
