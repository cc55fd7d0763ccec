//! Bytes that are read here and there: on large pages where there are many, because a look-up anywhere in a gigabyte of small
//! ones costs as much for finding the page as for the bytes.

use std::io::{self, Read};
use std::ops::Deref;

use memmap2::MmapMut;

/// Fewer bytes than this lie on small pages: as many as a large one has.
const LARGE_BYTES: usize = 2 << 20;

/// Bytes that do not change any more.
#[derive(Debug)]
pub enum Bytes {
    /// On the heap.
    Few(Vec<u8>),
    /// On pages of their own, of nobody's file.
    Many(MmapMut),
}

impl Default for Bytes {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Bytes {
    /// Reads so many.
    pub fn read(from: &mut impl Read, count: u64) -> io::Result<Self> {
        let count = usize::try_from(count).map_err(io::Error::other)?;
        if count < LARGE_BYTES {
            let mut bytes = vec![0; count];
            from.read_exact(&mut bytes)?;
            return Ok(Self::Few(bytes));
        }
        let mut pages = large(count)?;
        from.read_exact(&mut pages)?;
        Ok(Self::Many(pages))
    }

    /// Bytes it takes in memory.
    pub fn memory(&self) -> usize {
        match self {
            Self::Few(bytes) => bytes.capacity(),
            Self::Many(pages) => pages.len(),
        }
    }
}

impl From<[&[u8]; 2]> for Bytes {
    /// One after the other.
    fn from(both: [&[u8]; 2]) -> Self {
        let [one, two] = both;
        match large(one.len() + two.len()) {
            Ok(mut pages) if pages.len() >= LARGE_BYTES => {
                let (first, second) = pages.split_at_mut(one.len());
                first.copy_from_slice(one);
                second.copy_from_slice(two);
                Self::Many(pages)
            }
            _ => Self::Few(both.concat()),
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Few(bytes) => bytes,
            Self::Many(pages) => pages,
        }
    }
}

fn large(count: usize) -> io::Result<MmapMut> {
    let pages = MmapMut::map_anon(count)?;
    // Advice: where the system has no large pages to give, small ones do.
    #[cfg(target_os = "linux")]
    let _ = pages.advise(memmap2::Advice::HugePage);
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_are_read_alike() {
        for count in [0, 10, LARGE_BYTES - 1, LARGE_BYTES, LARGE_BYTES + 4097] {
            let bytes: Vec<u8> = (0..count).map(|n| (n % 251) as u8).collect();
            let read = Bytes::read(&mut bytes.as_slice(), count as u64).unwrap();
            assert!(
                *read == *bytes && *Bytes::from(<[&[u8]; 2]>::from(bytes.split_at(count / 3))) == *bytes,
                "{count}"
            );
            assert!(Bytes::read(&mut bytes.as_slice(), count as u64 + 1).is_err());
        }
    }
}
