//! Addresses for others: the same prefixes in common, by a key that stays here.

use noroshi_wire::cryptopan::CryptoPan;

use crate::config::Config;
use crate::keys;

/// By the key of the data folder, which is made at first use. The same key gives the same address each time, so that what is published of two
/// days can be compared; without that file nobody can go back, nor go on.
pub fn by_key_of(config: &Config) -> anyhow::Result<CryptoPan> {
    Ok(CryptoPan::new(&keys::secret(&config.data_dir.join("keys"), "cryptopan.key")?))
}
