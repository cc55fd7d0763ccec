//! Addresses against what others make of them, and what has to hold of all.

use proptest::prelude::*;

use super::*;

/// The key and addresses of the sample trace that the reference implementation comes with.
const KEY: [u8; KEY_BYTES] = [
    21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16, 216, 152, 143, 131, 121, 121, 101,
    39, 98, 87, 76, 45, 42, 132, 34, 2,
];
const SAMPLE: [(&str, &str); 40] = [
    ("128.11.68.132", "135.242.180.132"),
    ("129.118.74.4", "134.136.186.123"),
    ("130.132.252.244", "133.68.164.234"),
    ("141.223.7.43", "141.167.8.160"),
    ("141.233.145.108", "141.129.237.235"),
    ("152.163.225.39", "151.140.114.167"),
    ("156.29.3.236", "147.225.12.42"),
    ("165.247.96.84", "162.9.99.234"),
    ("166.107.77.190", "160.132.178.185"),
    ("192.102.249.13", "252.138.62.131"),
    ("192.215.32.125", "252.43.47.189"),
    ("192.233.80.103", "252.25.108.8"),
    ("192.41.57.43", "252.222.221.184"),
    ("193.150.244.223", "253.169.52.216"),
    ("195.205.63.100", "255.186.223.5"),
    ("198.200.171.101", "249.199.68.213"),
    ("198.26.132.101", "249.36.123.202"),
    ("198.36.213.5", "249.7.21.132"),
    ("198.51.77.238", "249.18.186.254"),
    ("199.217.79.101", "248.38.184.213"),
    ("202.49.198.20", "245.206.7.234"),
    ("203.12.160.252", "244.248.163.4"),
    ("204.184.162.189", "243.192.77.90"),
    ("204.202.136.230", "243.178.4.198"),
    ("204.29.20.4", "243.33.20.123"),
    ("205.178.38.67", "242.108.198.51"),
    ("205.188.147.153", "242.96.16.101"),
    ("207.105.49.5", "241.118.205.138"),
    ("208.147.89.59", "227.237.98.191"),
    ("209.85.249.6", "226.170.70.6"),
    ("212.206.130.201", "228.69.242.193"),
    ("216.35.217.178", "235.195.157.81"),
    ("24.0.250.221", "100.15.198.226"),
    ("24.94.26.44", "100.88.228.35"),
    ("38.15.67.68", "64.3.66.187"),
    ("4.3.88.225", "124.60.155.63"),
    ("63.97.7.140", "95.97.9.123"),
    ("64.14.118.196", "0.255.183.58"),
    ("64.34.154.117", "0.221.154.117"),
    ("10.185.25.118", "117.161.29.118"),
];
/// Of IPv6 the reference has none; these are what implementations by others come to with the same key (cryptopan in Go, 2014).
const SAMPLE_V6: [(&str, &str); 5] = [
    ("::1", "78ff:f001:9fc0:20df:8380:b1f1:704:ed"),
    ("::2", "78ff:f001:9fc0:20df:8380:b1f1:704:ef"),
    ("::ffff", "78ff:f001:9fc0:20df:8380:b1f1:704:f838"),
    ("2001:db8::1", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e"),
    ("2001:db8::2", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1c"),
];

#[test]
fn addresses_become_those_of_the_reference_implementation() {
    let pan = CryptoPan::new(&KEY);
    for (from, to) in SAMPLE.iter().chain(&SAMPLE_V6) {
        assert_eq!(pan.ip(from.parse().unwrap()).to_string(), *to, "{from}");
    }
}

#[test]
fn addresses_become_those_of_yet_another_one() {
    let pan = CryptoPan::new(b"32-char-str-for-AES-key-and-pad.");
    for (from, to) in
        [("192.0.2.1", "192.0.125.244"), ("2001:db8::1", "27fe:8bc7:fee:1e:1e1f:f0fe:f0e1:83fd")]
    {
        assert_eq!(pan.ip(from.parse().unwrap()).to_string(), to, "{from}");
    }
}

#[test]
fn the_key_is_not_shown() {
    assert_eq!(format!("{:?}", CryptoPan::new(&KEY)), "CryptoPan(‹redacted›)");
}

/// So that different addresses stay different.
#[test]
fn as_many_bits_are_alike_as_before_and_no_more() {
    let pan = CryptoPan::new(&KEY);
    let check = |one: u128, other: u128, v4: bool| {
        let shift = if v4 { 96 } else { 0 };
        let of = |address: u128| match v4 {
            true => u128::from(u32::from(pan.v4(((address >> shift) as u32).into()))) << shift,
            false => u128::from(pan.v6(address.into())),
        };
        (one ^ other).leading_zeros().min(128 - shift)
            == (of(one) ^ of(other)).leading_zeros().min(128 - shift)
    };
    proptest!(|(one: u128, bits in 0..=127u32, rest: u128, v4: bool)| {
        let mask = if v4 { u128::MAX << 96 } else { u128::MAX };
        let (one, other) = (one & mask, (one ^ (1 << (127 - bits)) ^ (rest >> bits >> 1)) & mask);
        prop_assert!(check(one, other, v4));
    });
}
