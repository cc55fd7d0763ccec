//! What events are enriched from, out of the configuration: tables, the operator's own first, then those that come with
//! the program; and reverse DNS where it is asked for. `noroshi run` looks at the files again and again, and takes one that
//! changed anew while events flow; of one that is broken it says so, and what was read before stays in use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use ipnet::IpNet;
use noroshi_orient::enrich::{
    Enricher, Format, ListsBuilder, Table, Tables, Tenants, WarningLists, embedded,
};
use serde::{Deserialize, Serialize};

use crate::intake::Batch;
use crate::reverse::{Reverse, ReverseFile};

/// Most bytes of a table.
const TABLE_BYTES_MAX: u64 = 2 << 30;
/// Default of `enrich.look-s`.
pub const LOOK_S: u32 = 10;

/// `[enrich]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct EnrichFile {
    /// Tables of networks and countries, asked in this order before those that come with the program.
    pub tables: Vec<TableFile>,
    /// Whether the tables that come with the program are left out.
    pub only_own: bool,
    /// Further MISP warning lists (JSON).
    pub warning_lists: Vec<PathBuf>,
    /// How often `noroshi run` looks whether a table or list has changed. One is taken when two looks found it alike.
    pub look_s: u32,
    /// Our own address space: tenant → prefixes.
    pub tenants: BTreeMap<String, Vec<IpNet>>,
    /// Whether and how names of addresses are asked for. Default: they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reverse_dns: Option<ReverseFile>,
}

impl Default for EnrichFile {
    fn default() -> Self {
        Self {
            tables: Vec::new(),
            only_own: false,
            warning_lists: Vec::new(),
            look_s: LOOK_S,
            tenants: BTreeMap::new(),
            reverse_dns: None,
        }
    }
}

impl EnrichFile {
    /// Whether it makes sense, without a look at the files.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.look_s > 0, "[enrich]: look-s is one second or more");
        self.tables.iter().try_for_each(|file| file.format().map(drop)).context("[enrich]")?;
        self.reverse_dns.iter().try_for_each(ReverseFile::check).context("[enrich.reverse-dns]")
    }
}

/// One table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TableFile {
    /// Where it is.
    pub file: PathBuf,
    /// `ipasn`, `ranges`, `mmdb` or `packed`. Default: by the file's ending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

impl TableFile {
    fn format(&self) -> anyhow::Result<Format> {
        let path = self.file.display();
        match &self.format {
            Some(name) => name.parse::<Format>().map_err(anyhow::Error::msg),
            None => Format::of_file(&self.file.to_string_lossy())
                .with_context(|| format!("{path}: say its format (ipasn, ranges, mmdb, packed)")),
        }
    }

    fn read(&self) -> anyhow::Result<Arc<Table>> {
        let path = self.file.display();
        let (table, report) =
            Table::read(self.format()?, bytes(&self.file)?).with_context(|| path.to_string())?;
        if let Some(bad) = report.examples.first() {
            tracing::warn!(file = %path, lines = report.bad, "table lines left out, first line {}: {}", bad.line, bad.why);
        }
        Ok(Arc::new(table))
    }
}

/// What events are enriched from.
pub struct Enrichment {
    config: EnrichFile,
    tables: Enricher,
    reverse: Option<Reverse>,
    /// What was seen of each file.
    seen: Mutex<BTreeMap<PathBuf, Seen>>,
}

/// What tells one state of a file from another: when it was written, and its size. None where there is no file.
type Stamp = Option<(SystemTime, u64)>;

/// What was seen of a file.
#[derive(Debug)]
struct Seen {
    /// Its state when it was last taken, or tried.
    taken: Stamp,
    /// And at the last look.
    last: Stamp,
}

impl Enrichment {
    /// Reads all tables, and makes ready for asking names.
    pub fn read(config: &EnrichFile) -> anyhow::Result<Self> {
        // Looked at before they are read: what changes meanwhile is seen.
        let files = config.tables.iter().map(|table| &table.file).chain(&config.warning_lists);
        let seen = files.map(|path| (path.clone(), Seen { taken: stamp(path), last: stamp(path) }));
        Ok(Self {
            seen: Mutex::new(seen.collect()),
            tables: Enricher::new(read(config)?),
            reverse: config
                .reverse_dns
                .as_ref()
                .map(Reverse::new)
                .transpose()
                .context("[enrich.reverse-dns]")?,
            config: config.clone(),
        })
    }

    /// The tables as they are now.
    pub fn now(&self) -> Arc<Tables> {
        self.tables.now()
    }

    /// Whether names of addresses are asked for.
    pub fn names(&self) -> bool {
        self.reverse.is_some()
    }

    /// Names the addresses of a batch that wait for it.
    pub fn name(&self, batch: &mut Batch) {
        if let Some(dns) = &self.reverse {
            batch.name(dns);
        }
    }

    /// Whether there are files that can change.
    pub fn has_files(&self) -> bool {
        !(self.config.tables.is_empty() && self.config.warning_lists.is_empty())
    }

    /// Pause between two looks at the files.
    pub fn look(&self) -> Duration {
        Duration::from_secs(self.config.look_s.into())
    }

    /// Takes the files anew that changed and were alike at the last look, so that one that is just being written is left in
    /// peace. Each for itself: a broken one does not keep the others from being renewed.
    pub fn renew(&self) {
        for (at, file) in self.config.tables.iter().enumerate() {
            if self.has_changed(&file.file) {
                let table = file.read();
                told(self.tables.reload(|mut tables| {
                    tables.sources[at] = table?;
                    Ok(tables)
                }));
            }
        }
        // All of them are looked at, not only up to the first that changed.
        let changed = self.config.warning_lists.iter().filter(|path| self.has_changed(path)).count();
        if changed > 0 {
            let lists = lists(&self.config);
            told(self.tables.reload(|mut tables| {
                tables.lists = lists?;
                Ok(tables)
            }));
        }
    }

    fn has_changed(&self, path: &Path) -> bool {
        let now = stamp(path);
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = all.get_mut(path) else { return false };
        let is_new = now != seen.taken && now == seen.last;
        seen.last = now;
        if is_new {
            seen.taken = now;
        }
        is_new
    }
}

fn told(reloaded: anyhow::Result<()>) {
    match reloaded {
        Ok(()) => tracing::info!("tables taken anew"),
        Err(e) => tracing::error!("not taken anew, what was read before stays in use: {e:#}"),
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Reads all tables; the operator's own have the first places.
pub fn read(config: &EnrichFile) -> anyhow::Result<Tables> {
    read_with(config, Tables::embedded)
}

/// The same without the networks that come with the program, for whoever asks for countries and lists only.
pub fn read_countries(config: &EnrichFile) -> anyhow::Result<Tables> {
    read_with(config, Tables::embedded_countries)
}

fn read_with(config: &EnrichFile, embedded: impl FnOnce() -> Tables) -> anyhow::Result<Tables> {
    let mut tables = if config.only_own { Tables::default() } else { embedded() };
    let own = config.tables.iter().map(TableFile::read).collect::<anyhow::Result<Vec<_>>>()?;
    tables.sources.splice(0..0, own);
    if !config.warning_lists.is_empty() {
        tables.lists = lists(config)?;
    }
    let pairs = config.tenants.iter().flat_map(|(name, nets)| nets.iter().map(move |net| (*net, name)));
    tables.tenants = Arc::new(Tenants::new(pairs).context("[enrich.tenants]")?);
    Ok(tables)
}

fn lists(config: &EnrichFile) -> anyhow::Result<Arc<WarningLists>> {
    let mut builder = ListsBuilder::default();
    if !config.only_own {
        embedded::add_lists(&mut builder)?;
    }
    for path in &config.warning_lists {
        builder.add(&bytes(path)?).with_context(|| path.display().to_string())?;
    }
    Ok(Arc::new(builder.build()?))
}

fn bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let length = std::fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?.len();
    anyhow::ensure!(length <= TABLE_BYTES_MAX, "{} has more than {TABLE_BYTES_MAX} bytes", path.display());
    std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}
