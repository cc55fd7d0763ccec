//! What the hub knows of its sensors on disk: `sensors/NAME.json` in the data folder, a file for each, written beside, made durable and
//! renamed. A batch is acknowledged only after that.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use noroshi_wire::batch::SensorName;

use super::line::Ledger;
use crate::config::Config;
use crate::keys;

/// The folder.
pub struct Ledgers {
    folder: PathBuf,
}

impl Ledgers {
    /// Where they are.
    pub fn of(config: &Config) -> Self {
        Self { folder: config.data_dir.join("sensors") }
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps other hubs away as long as what is given back is there.
    pub fn lock(&self) -> anyhow::Result<File> {
        keys::private_folder(&self.folder)?;
        let lock = File::create(self.folder.join("lock"))?;
        ensure!(lock.try_lock().is_ok(), "another hub runs with {}", self.folder.display());
        Ok(lock)
    }

    fn path(&self, sensor: &SensorName) -> PathBuf {
        self.folder.join(format!("{sensor}.json"))
    }

    /// The sensors that are known.
    pub fn sensors(&self) -> anyhow::Result<Vec<SensorName>> {
        if !self.folder.exists() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(&self.folder)?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let names = names.collect::<anyhow::Result<Vec<String>>>()?;
        let mut sensors: Vec<SensorName> =
            names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok()).collect();
        sensors.sort();
        Ok(sensors)
    }

    /// What is known of one; nothing where it is new.
    pub fn read(&self, sensor: &SensorName) -> anyhow::Result<Ledger> {
        let path = self.path(sensor);
        match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", path.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Ledger::default()),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }

    /// Makes what is known of one durable.
    pub fn write(&self, sensor: &SensorName, ledger: &Ledger) -> anyhow::Result<()> {
        let (path, next) = (self.path(sensor), self.folder.join(format!("{sensor}.next")));
        let write = || {
            let mut file = File::create(&next)?;
            file.write_all(&serde_json::to_vec(ledger)?)?;
            file.sync_all()?;
            fs::rename(&next, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        write().with_context(|| format!("{} cannot be written", path.display()))
    }
}
