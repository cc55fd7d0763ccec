//! What a batch is called as a file that waits to be taken up: whose it is, in which run, and the how manieth. Whoever puts it there twice
//! puts it there once, and whoever takes it up knows what it is before opening it.

use std::fmt;
use std::str::FromStr;

use super::{Head, NUMBER_MAX, Run, SensorName};

/// The name of a batch's file: `SENSOR.RUN.NUMBER.batch`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchName {
    /// Whose it is.
    pub sensor: SensorName,
    /// In which run.
    pub run: Run,
    /// The how manieth of the run.
    pub number: u64,
}

/// Not the name of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a batch is called SENSOR.RUN.NUMBER.batch")]
pub struct NoBatchName;

impl BatchName {
    /// That of a batch.
    pub fn of(head: &Head) -> Self {
        Self { sensor: head.sensor.clone(), run: head.run, number: head.number }
    }
}

/// With as many zeros before the number as make names of a run sort.
impl fmt::Display for BatchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sensor, run, number } = self;
        write!(f, "{sensor}.{run}.{number:020}.batch")
    }
}

impl FromStr for BatchName {
    type Err = NoBatchName;

    /// Only what is written that way: a batch has one name.
    fn from_str(text: &str) -> Result<Self, NoBatchName> {
        let mut parts = text.split('.');
        let mut part = || parts.next().ok_or(NoBatchName);
        let sensor = part()?.parse().map_err(|_| NoBatchName)?;
        let run = part()?.parse().map_err(|_| NoBatchName)?;
        let number = part()?.parse().ok().filter(|number| *number <= NUMBER_MAX).ok_or(NoBatchName)?;
        let name = Self { sensor, run, number };
        if name.to_string() == text { Ok(name) } else { Err(NoBatchName) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_batch_has_one_name(sensor in "[a-z0-9-]{1,32}", run: [u8; 16], number in 0..=NUMBER_MAX, other in "[a-z0-9+.-]{0,80}") {
            let name = BatchName { sensor: sensor.parse().unwrap(), run: Run(run), number };
            prop_assert_eq!(name.to_string().parse(), Ok(name.clone()));
            prop_assert!(name.to_string().to_uppercase().parse::<BatchName>().is_err());
            if let Ok(parsed) = other.parse::<BatchName>() {
                prop_assert_eq!(parsed.to_string(), other);
            }
        }
    }

    #[test]
    fn what_is_called_otherwise_is_no_batch() {
        let run = "0".repeat(32);
        for bad in [
            String::new(),
            "aside".to_owned(),
            format!("north.{run}.7.batch"),
            format!("north.{run}.{:020}.batch.next", 7),
            format!(".north.{run}.{:020}.batch", 7),
            format!("../north.{run}.{:020}.batch", 7),
            format!("north.{run}.{:020}.batch", NUMBER_MAX + 1),
            format!("north.{}.{:020}.batch", "A".repeat(32), 7),
        ] {
            assert!(bad.parse::<BatchName>().is_err(), "{bad}");
        }
    }
}
