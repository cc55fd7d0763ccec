//! Numbers in as few bits as they need, one after another. A reader at any place, because rows are looked up in the
//! middle of their column.

/// Bytes after the last bit that a reader may touch.
pub const SLACK: usize = 16;

/// Appends numbers of given widths.
#[derive(Debug, Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// Bits that are not yet a whole byte, and how many.
    rest: u128,
    count: u32,
}

impl BitWriter {
    /// Appends the lowest `width` bits of `value`, of at most 64.
    pub fn put(&mut self, value: u64, width: u32) {
        debug_assert!(width <= 64 && (width == 64 || value >> width == 0));
        self.rest |= u128::from(value) << self.count;
        self.count += width;
        while self.count >= 8 {
            self.bytes.push(self.rest as u8);
            self.rest >>= 8;
            self.count -= 8;
        }
    }

    /// What was written, filled up to whole bytes.
    pub fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.bytes.push(self.rest as u8);
        }
        self.bytes
    }
}

/// How many bits a number needs.
pub fn width(value: u64) -> u32 {
    64 - value.leading_zeros()
}

/// The number of `width` bits at bit `at`. Where that is beyond the bytes, zeros are read: a damaged file gives wrong
/// rows, which its seal does not let through, and no panic.
#[inline]
pub fn get(bytes: &[u8], at: usize, width: u32) -> u64 {
    if width == 0 {
        return 0;
    }
    let from = at / 8;
    let word =
        bytes.get(from..from + 8).and_then(|slice| slice.try_into().ok()).map_or(0, u64::from_le_bytes);
    let shift = (at % 8) as u32;
    let low = word >> shift;
    if width + shift <= 64 {
        return low & (u64::MAX >> (64 - width));
    }
    let high = bytes.get(from + 8).copied().unwrap_or(0);
    (low | u64::from(high) << (64 - shift)) & (u64::MAX >> (64 - width))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_put_is_got(values in proptest::collection::vec((any::<u64>(), 0u32..=64), 0..100)) {
            let mut writer = BitWriter::default();
            let cut = |value: u64, width: u32| if width == 0 { 0 } else { value & (u64::MAX >> (64 - width)) };
            for (value, width) in &values {
                writer.put(cut(*value, *width), *width);
            }
            let mut bytes = writer.finish();
            bytes.extend([0; SLACK]);
            let mut at = 0;
            for (value, width) in &values {
                prop_assert_eq!(get(&bytes, at, *width), cut(*value, *width));
                at += *width as usize;
            }
        }

        #[test]
        fn beyond_the_end_are_zeros(bytes in proptest::collection::vec(any::<u8>(), 0..20), at in 0usize..1000, width in 0u32..=64) {
            get(&bytes, at, width);
        }
    }
}
