//! Numbers that grow, in few bits: Rice-Golomb coding of what lies between them, as Safe Browsing (v4, "Compression") has it.
//!
//! The first is written as it is. Of each difference the upper bits are written as so many ones and a zero, the lower `parameter` bits as they are, lowest first; within an
//! octet the lowest bit is the first. A million prefixes of four octets take 1.7 megaoctets.

/// The parameter, least and greatest.
pub const PARAMETERS: std::ops::RangeInclusive<u32> = 2..=28;

/// Numbers, coded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coded {
    /// The first of them.
    pub first: u32,
    /// How many bits of a difference are written as they are.
    pub parameter: u32,
    /// How many differences there are: one less than numbers.
    pub differences: u32,
    /// The differences.
    pub data: Vec<u8>,
}

/// Why octets are no such code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RiceError {
    /// Not within [`PARAMETERS`].
    #[error("{0} is no Rice parameter")]
    Parameter(u32),
    /// There are fewer octets than so many differences take.
    #[error("the code ends too early")]
    Short,
    /// A number does not fit into 32 bits.
    #[error("a number of more than 32 bits")]
    Large,
}

impl Coded {
    /// The code of numbers, none smaller than the one before it; nothing where there are none, or where they are not in their order.
    pub fn of(numbers: &[u32]) -> Option<Self> {
        let (first, last) = (*numbers.first()?, *numbers.last()?);
        if !numbers.is_sorted() {
            return None;
        }
        let differences = u32::try_from(numbers.len() - 1).ok()?;
        if differences == 0 {
            return Some(Self { first, ..Self::default() });
        }
        // With the logarithm of their mean, the ones of all differences together are twice as many as the differences at most.
        let mean = ((last - first) / differences).max(1);
        let parameter = mean.ilog2().clamp(*PARAMETERS.start(), *PARAMETERS.end());
        let mut bits = Bits::default();
        for pair in numbers.windows(2) {
            let difference = pair[1] - pair[0];
            for _ in 0..difference >> parameter {
                bits.push(1, 1);
            }
            bits.push(0, 1);
            bits.push(difference & ((1 << parameter) - 1), parameter);
        }
        Some(Self { first, parameter, differences, data: bits.finish() })
    }

    /// The numbers of a code that may come from anybody. It makes no more of them than the data has bits for.
    ///
    /// # Errors
    ///
    /// It is no code.
    pub fn numbers(&self) -> Result<Vec<u32>, RiceError> {
        let mut numbers = vec![self.first];
        if self.differences == 0 {
            return Ok(numbers);
        }
        if !PARAMETERS.contains(&self.parameter) {
            return Err(RiceError::Parameter(self.parameter));
        }
        let octets_least = (u64::from(self.differences) * u64::from(self.parameter + 1)).div_ceil(8);
        if octets_least > self.data.len() as u64 {
            return Err(RiceError::Short);
        }
        numbers.reserve_exact(self.differences as usize);
        let mut bits = self.data.iter().flat_map(|octet| (0..8).map(move |bit| u32::from(octet >> bit & 1)));
        let mut number = self.first;
        for _ in 0..self.differences {
            let mut difference = 0u32;
            while bits.next().ok_or(RiceError::Short)? == 1 {
                difference = difference.checked_add(1 << self.parameter).ok_or(RiceError::Large)?;
            }
            for at in 0..self.parameter {
                difference |= bits.next().ok_or(RiceError::Short)? << at;
            }
            number = number.checked_add(difference).ok_or(RiceError::Large)?;
            numbers.push(number);
        }
        Ok(numbers)
    }
}

/// Bits as they are written, lowest first.
#[derive(Default)]
struct Bits {
    data: Vec<u8>,
    /// Those that do not fill an octet yet, and how many.
    pending: u64,
    count: u32,
}

impl Bits {
    /// The lowest `count` bits, 32 at most.
    fn push(&mut self, bits: u32, count: u32) {
        self.pending |= u64::from(bits) << self.count;
        self.count += count;
        while self.count >= 8 {
            self.data.push(self.pending as u8);
            self.pending >>= 8;
            self.count -= 8;
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.data.push(self.pending as u8);
        }
        self.data
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digit = |octet: &u8| char::from(*octet).to_digit(16).unwrap() as u8;
        text.as_bytes().chunks(2).map(|pair| digit(&pair[0]) << 4 | digit(&pair[1])).collect()
    }

    fn check(parameter: u32, data: &str, differences: &[u32]) {
        let numbers: Vec<u32> = std::iter::once(0)
            .chain(differences.iter().scan(0u32, |sum, difference| {
                *sum = sum.checked_add(*difference)?;
                Some(*sum)
            }))
            .collect();
        assert_eq!(numbers.len(), differences.len() + 1);
        let coded = Coded { first: 0, parameter, differences: differences.len() as u32, data: hex(data) };
        assert_eq!(coded.numbers(), Ok(numbers));
    }

    #[test]
    fn codes_of_googles_server_are_read() {
        check(2, "f702", &[15, 9]);
        check(5, "00", &[0]);
        check(10, "", &[]);
        check(
            28,
            "54607be70a5fc1dcee69defe583ca3d6a5f2108c4a595600",
            &[62763050, 1046523781, 192522171, 1800511020, 4442775, 582142548],
        );
        check(
            28,
            "21c50291f982d757b8e93cf0c84fe8648d776204d6853f1c9700041b17c6",
            &[339784008, 263128563, 63871877, 69723256, 826001074, 797300228, 671166008, 207712688],
        );
    }

    #[test]
    fn prefixes_of_googles_server_are_read_as_little_endian_numbers() {
        let data = hex("91280dd01f2c9d5301");
        let coded = Coded { first: 164_066_655, parameter: 28, differences: 2, data };
        let prefixes: Vec<[u8; 4]> = coded.numbers().unwrap().into_iter().map(u32::to_le_bytes).collect();
        assert_eq!(prefixes, [[0x5f, 0x75, 0xc7, 0x09], [0x83, 0xbf, 0xca, 0x1d], [0x33, 0x34, 0x19, 0x93]]);
    }

    #[test]
    fn indices_of_googles_server_are_written_and_read() {
        for (first, parameter, data, indices) in [
            (172, 28, "720000c0210000100400001a01006017000000", vec![172, 229, 364, 494, 776, 963]),
            (35, 28, "f80100800f000050050000c50000c0020000b4020000", vec![35, 287, 349, 519, 716, 738, 911]),
        ] {
            let coded = Coded { first, parameter, differences: indices.len() as u32 - 1, data: hex(data) };
            assert_eq!(coded.numbers(), Ok(indices.clone()));
            // Google's parameter is the same for all; a smaller one takes less.
            let own = Coded::of(&indices).unwrap();
            assert!(own.data.len() < coded.data.len());
            assert_eq!(own.numbers(), Ok(indices));
        }
        assert_eq!(Coded::of(&[998]).unwrap(), Coded { first: 998, ..Coded::default() });
        assert_eq!(Coded::of(&[]), None);
        assert_eq!(Coded::of(&[2, 1]), None);
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let coded = |parameter, differences, data: &[u8]| Coded {
            first: 7,
            parameter,
            differences,
            data: data.into(),
        };
        assert_eq!(coded(1, 1, &[0; 8]).numbers(), Err(RiceError::Parameter(1)));
        assert_eq!(coded(29, 1, &[0; 8]).numbers(), Err(RiceError::Parameter(29)));
        assert_eq!(coded(2, u32::MAX, &[0; 8]).numbers(), Err(RiceError::Short));
        assert_eq!(coded(2, 1, &[0xff; 8]).numbers(), Err(RiceError::Short));
        assert_eq!(coded(28, 1, &[0xff; 8]).numbers(), Err(RiceError::Large));
        assert_eq!(coded(28, 1, &[0xff, 0x7f, 0xff, 0xff, 0xff, 0xff]).numbers(), Err(RiceError::Large));
    }

    proptest! {
        #[test]
        fn what_is_coded_is_read(mut numbers in proptest::collection::vec(any::<u32>(), 1..300), limit in 0u32..32) {
            for number in &mut numbers {
                *number >>= limit;
            }
            numbers.sort_unstable();
            let coded = Coded::of(&numbers).unwrap();
            prop_assert_eq!(coded.numbers().unwrap(), numbers.clone());
            prop_assert!(coded.data.len() <= numbers.len() * 5);
        }

        #[test]
        fn anything_is_read_to_an_end(
            first in any::<u32>(), parameter in 0u32..32, differences in any::<u32>(),
            data in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let coded = Coded { first, parameter, differences: differences % 100, data };
            if let Ok(numbers) = coded.numbers() {
                prop_assert!(numbers.is_sorted());
                prop_assert_eq!(numbers.len(), differences as usize % 100 + 1);
            }
            let many = Coded { differences, ..coded };
            prop_assert!(many.numbers().is_ok_and(|numbers| numbers.len() == differences as usize + 1) || many.numbers().is_err());
        }
    }
}
