//! The tables that events are enriched from, out of the configuration: the operator's own first, then those that come
//! with the program. A file that changed is taken anew while events flow; one that is broken is told of and left out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use ipnet::IpNet;
use noroshi_orient::enrich::{Enricher, Format, ListsBuilder, Table, Tables, Tenants, embedded};
use serde::{Deserialize, Serialize};

/// Most bytes of a table.
const TABLE_BYTES_MAX: u64 = 2 << 30;

/// `[enrich]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct EnrichFile {
    /// Tables of networks and countries, asked in this order before those that come with the program.
    pub tables: Vec<TableFile>,
    /// Whether the tables that come with the program are left out.
    pub only_own: bool,
    /// Further MISP warning lists (JSON).
    pub warning_lists: Vec<PathBuf>,
    /// Our own address space: tenant → prefixes.
    pub tenants: std::collections::BTreeMap<String, Vec<IpNet>>,
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

/// Reads all tables.
pub fn read(config: &EnrichFile) -> anyhow::Result<Enricher> {
    let mut tables = if config.only_own { Tables::default() } else { Tables::embedded() };
    let own = config.tables.iter().map(table).collect::<anyhow::Result<Vec<_>>>()?;
    tables.sources.splice(0..0, own);
    if !config.warning_lists.is_empty() {
        tables.lists = Arc::new(lists(&config.warning_lists, config.only_own)?);
    }
    let pairs = config.tenants.iter().flat_map(|(name, nets)| nets.iter().map(move |net| (*net, name)));
    tables.tenants = Arc::new(Tenants::new(pairs).context("[enrich.tenants]")?);
    Ok(Enricher::new(tables))
}

fn table(file: &TableFile) -> anyhow::Result<Arc<Table>> {
    let path = &file.file;
    let format = match &file.format {
        Some(name) => name.parse::<Format>().map_err(anyhow::Error::msg)?,
        None => Format::of_file(&path.to_string_lossy())
            .with_context(|| format!("{}: say its format (ipasn, ranges, mmdb, packed)", path.display()))?,
    };
    let (table, report) = Table::read(format, bytes(path)?).with_context(|| path.display().to_string())?;
    if let Some(bad) = report.examples.first() {
        tracing::warn!(file = %path.display(), lines = report.bad, "table lines left out, first line {}: {}", bad.line, bad.why);
    }
    Ok(Arc::new(table))
}

fn lists(files: &[PathBuf], only_own: bool) -> anyhow::Result<noroshi_orient::enrich::WarningLists> {
    let mut builder = ListsBuilder::default();
    if !only_own {
        embedded::add_lists(&mut builder)?;
    }
    for path in files {
        builder.add(&bytes(path)?).with_context(|| path.display().to_string())?;
    }
    Ok(builder.build()?)
}

fn bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let length = std::fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?.len();
    anyhow::ensure!(length <= TABLE_BYTES_MAX, "{} has more than {TABLE_BYTES_MAX} bytes", path.display());
    std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}
