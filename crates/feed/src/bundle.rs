//! The collection of maps: those shipped inside the program, and the operator's own beside them.

use std::collections::BTreeMap;

use crate::map::{MapError, MapFile};

/// The maps that are shipped, as text.
const SHIPPED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/maps.rs"));

/// Maps by format.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    maps: BTreeMap<String, std::sync::OnceLock<MapFile>>,
    texts: BTreeMap<String, String>,
}

impl Bundle {
    /// The maps that are shipped. They are read when they are first used: a program that needs one should not wait for
    /// a hundred.
    pub fn shipped() -> Self {
        let mut bundle = Self::default();
        for (file, text) in SHIPPED {
            let format = file.trim_end_matches(".toml").to_owned();
            bundle.maps.insert(format.clone(), std::sync::OnceLock::new());
            bundle.texts.insert(format, (*text).to_owned());
        }
        bundle
    }

    /// Adds a map, or replaces the one of the same format.
    pub fn add(&mut self, text: &str) -> Result<&MapFile, MapError> {
        let map = MapFile::parse(text)?;
        let format = map.format.clone();
        self.texts.insert(format.clone(), text.to_owned());
        let cell = self.maps.entry(format).or_default();
        *cell = std::sync::OnceLock::new();
        Ok(cell.get_or_init(|| map))
    }

    /// The map of a format.
    pub fn map(&self, format: &str) -> Option<&MapFile> {
        let cell = self.maps.get(format)?;
        if let Some(map) = cell.get() {
            return Some(map);
        }
        // A shipped map that cannot be read is found by the test below, not by an operator.
        let map = MapFile::parse(self.texts.get(format)?).ok()?;
        Some(cell.get_or_init(|| map))
    }

    /// The formats there are maps for.
    pub fn formats(&self) -> impl Iterator<Item = &str> {
        self.maps.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_map_can_be_read_and_is_called_as_its_file() {
        assert!(!SHIPPED.is_empty());
        for (file, text) in SHIPPED {
            let map = MapFile::parse(text).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert_eq!(format!("{}.toml", map.format), *file);
        }
    }
}
