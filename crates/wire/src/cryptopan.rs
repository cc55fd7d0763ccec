//! Addresses that others may see: Crypto-PAn (Xu, Fan, Ammar and Moon, "Prefix-Preserving IP Address Anonymization", ICNP 2002; Fan, Xu,
//! Ammar and Moon, Computer Networks 46(2), 2004).
//!
//! Two addresses with the same first k bits have the same first k bits afterwards, and no more: who is in one network with whom can
//! still be seen, and each address has one other. Without the key nobody can go back, but who knows one pair knows the prefixes of its
//! neighbours: it protects what is published of many addresses, not one that somebody can send packets to and look for.
//!
//! ```text
//!   bit i of the other address = bit i ⊕ first bit of AES(the i bits before it, the rest from the pad)
//! ```
//!
//! The crates that do this need OpenSSL or capture files around it, so it is here, over the `aes` of RustCrypto. What the first sixteen
//! bits come to is computed once for all of them ([`CryptoPan::new`] takes a quarter of a millisecond and 128 KiB), the others go through the cipher
//! together. IPv6 is done alike with its 128 bits, as other implementations do it; both versions share the table, for their blocks begin
//! alike.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use aes::{Aes128, Block};

/// Bytes of a key: one of AES-128, and what the pad is made of.
pub const KEY_BYTES: usize = 32;
/// Bits that are looked up.
const TABLE_BITS: usize = 16;

/// Addresses made into others, by one key.
pub struct CryptoPan {
    cipher: Aes128,
    pad: u128,
    /// For each sixteen bits, which of them are turned over.
    table: Vec<u16>,
}

/// Without the key, nor anything made of it.
impl fmt::Debug for CryptoPan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CryptoPan(‹redacted›)")
    }
}

impl CryptoPan {
    /// By a key, which whoever has it can undo everything with.
    pub fn new(key: &[u8; KEY_BYTES]) -> Self {
        let (first, second) = key.split_at(KEY_BYTES / 2);
        let (mut cipher_key, mut pad) = (Block::default(), Block::default());
        cipher_key.copy_from_slice(first);
        pad.copy_from_slice(second);
        let cipher = Aes128::new(&cipher_key);
        cipher.encrypt_block(&mut pad);
        let pad = u128::from_be_bytes(pad.into());
        let mut new = Self { cipher, pad, table: Vec::new() };
        new.table = new.first_bits();
        new
    }

    /// What each sixteen bits come to: a bit more from step to step, for twice as many prefixes.
    fn first_bits(&self) -> Vec<u16> {
        let mut flips = vec![0u16];
        for bits in 0..TABLE_BITS {
            let prefixes = 0..1u128 << bits;
            let mut blocks: Vec<Block> = prefixes
                .map(|prefix| self.block(prefix.checked_shl(128 - bits as u32).unwrap_or(0), bits))
                .collect();
            self.cipher.encrypt_blocks(&mut blocks);
            let more = flips.iter().zip(&blocks).flat_map(|(flip, block)| {
                let flip = flip << 1 | u16::from(block[0] >> 7);
                [flip, flip]
            });
            flips = more.collect();
        }
        flips
    }

    /// The block for what comes after so many bits.
    fn block(&self, address: u128, bits: usize) -> Block {
        // Of the pad what is behind them.
        let behind = u128::MAX.checked_shr(bits as u32).unwrap_or(0);
        Block::from((address & !behind | self.pad & behind).to_be_bytes())
    }

    /// The bits that are turned over of an address of so many bits, which stands leftmost.
    fn flips<const BITS: usize, const REST: usize>(&self, address: u128) -> u128 {
        let mut blocks: [Block; REST] = std::array::from_fn(|n| self.block(address, TABLE_BITS + n));
        self.cipher.encrypt_blocks(&mut blocks);
        let first = u128::from(self.table[(address >> (128 - TABLE_BITS)) as usize]);
        blocks.iter().fold(first, |flips, block| flips << 1 | u128::from(block[0] >> 7)) << (128 - BITS)
    }

    /// The other address of one of IPv4.
    pub fn v4(&self, address: Ipv4Addr) -> Ipv4Addr {
        let address = u128::from(u32::from(address)) << 96;
        Ipv4Addr::from(((address ^ self.flips::<32, 16>(address)) >> 96) as u32)
    }

    /// The other address of one of IPv6.
    pub fn v6(&self, address: Ipv6Addr) -> Ipv6Addr {
        let address = u128::from(address);
        Ipv6Addr::from(address ^ self.flips::<128, 112>(address))
    }

    /// The other address of one of either.
    pub fn ip(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(address) => self.v4(address).into(),
            IpAddr::V6(address) => self.v6(address).into(),
        }
    }
}

#[cfg(test)]
mod tests;
