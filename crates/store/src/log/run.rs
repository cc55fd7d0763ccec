//! One run of the index: ids sorted, each with the number of its event, in pages; in memory only its fence (the first
//! id of each page) and its filter.
//!
//! ```text
//!   seen_run   run, from which number to which, how far it is written
//!   seen_part  an equal share of all possible ids: their pages' first ids, their stretch of the filter
//!   seen_page  entries of 20 bytes: id, number less the run's first
//! ```

use std::sync::Arc;

use super::filter::{BLOCK, Filter, part_of};
use crate::row::{Row, values};
use crate::{StoreError, Tx};

/// Bytes of an entry.
pub(super) const ENTRY: usize = 20;
/// Pages asked for with one statement, so that a database over a network is not asked once for each.
const PAGES_AT_ONCE: usize = 32;
/// Parts asked for with one statement when a run is loaded.
const PARTS_AT_ONCE: u64 = 16;

/// Where a run stands: being written, in use, or on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Growing,
    Live,
    Dead,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Growing => "growing",
            State::Live => "live",
            State::Dead => "dead",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [State::Growing, State::Live, State::Dead].into_iter().find(|state| state.name() == name)
    }
}

/// A row of `seen_run`.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub run: u64,
    pub level: u64,
    pub state: State,
    pub first_seq: u64,
    pub next_seq: u64,
    pub count: u64,
    /// A power of two.
    pub parts: u64,
    pub done: u64,
    pub pages: u64,
    /// Blocks of the filter, per part.
    pub blocks: u64,
}

/// The key of a page or part.
pub(super) fn key(run: u64, number: u64) -> u64 {
    run << 32 | number
}

/// The first 64 bits of an id.
pub(super) fn prefix(id: u128) -> u64 {
    (id >> 64) as u64
}

impl Run {
    /// All there are, oldest first.
    pub fn all(tx: &mut Tx<'_>) -> Result<Vec<Self>, StoreError> {
        let rows = tx.rows(
            "SELECT run, level, state, first_seq, next_seq, count, parts, done, pages, blocks
             FROM seen_run ORDER BY run",
            &[],
        )?;
        rows.iter().map(Self::read).collect()
    }

    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            run: row.count(0)?,
            level: row.count(1)?,
            state: row.parsed(2, State::parse)?,
            first_seq: row.count(3)?,
            next_seq: row.count(4)?,
            count: row.count(5)?,
            parts: row.count(6)?,
            done: row.count(7)?,
            pages: row.count(8)?,
            blocks: row.count(9)?,
        })
    }

    /// Writes its row anew.
    pub fn put(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        tx.execute(
            "INSERT INTO seen_run (run, level, state, first_seq, next_seq, count, parts, done, pages, blocks)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (run) DO UPDATE SET state = excluded.state, done = excluded.done, pages = excluded.pages",
            values![
                self.run,
                self.level,
                self.state.name(),
                self.first_seq,
                self.next_seq,
                self.count,
                self.parts,
                self.done,
                self.pages,
                self.blocks
            ],
        )?;
        Ok(())
    }

    /// The first and last id that a part may hold.
    pub fn share(&self, part: u64) -> (u128, u128) {
        let bits = self.parts.trailing_zeros();
        if bits == 0 {
            return (0, u128::MAX);
        }
        let first = u128::from(part) << (128 - bits);
        (first, first | (u128::MAX >> bits))
    }

    /// Writes the next part, whose entries are given in order of their ids.
    pub fn write_part(
        &mut self,
        tx: &mut Tx<'_>,
        entries: &[(u128, u64)],
        page_entries: usize,
    ) -> Result<(), StoreError> {
        let mut fence = Vec::new();
        for page in entries.chunks(page_entries) {
            let mut body = Vec::with_capacity(page.len() * ENTRY);
            for (id, seq) in page {
                body.extend_from_slice(&id.to_be_bytes());
                body.extend_from_slice(&((seq - self.first_seq) as u32).to_be_bytes());
            }
            fence.extend_from_slice(&body[..8]);
            tx.execute(
                "INSERT INTO seen_page (page, body) VALUES (?1, ?2)",
                values![key(self.run, self.pages), body],
            )?;
            self.pages += 1;
        }
        let filter = part_of(entries.iter().map(|(id, _)| *id), self.parts, self.blocks);
        tx.execute(
            "INSERT INTO seen_part (part, fence, filter) VALUES (?1, ?2, ?3)",
            values![key(self.run, self.done), fence, filter],
        )?;
        self.done += 1;
        Ok(())
    }

    fn entries<'a>(&self, page: &'a [u8]) -> impl DoubleEndedIterator<Item = (u128, u64)> + use<'a> {
        let first_seq = self.first_seq;
        page.as_chunks::<ENTRY>().0.iter().map(move |entry| {
            let (id, seq) = entry.split_at(16);
            let number = |bytes: &[u8]| bytes.iter().fold(0u128, |n, byte| n << 8 | u128::from(*byte));
            (number(id), first_seq + number(seq) as u64)
        })
    }
}

/// A live run, as far as it is in memory.
#[derive(Debug)]
pub(super) struct Loaded {
    pub run: Run,
    /// The first ids of its pages, as far as 64 bits go.
    fence: Arc<Vec<u64>>,
    pub filter: Filter,
}

impl Loaded {
    /// Reads fence and filter.
    pub fn load(tx: &mut Tx<'_>, run: Run) -> Result<Self, StoreError> {
        let mut fence = Vec::with_capacity(run.pages as usize);
        let mut filter = Filter::default();
        for part in (0..run.parts).step_by(PARTS_AT_ONCE as usize) {
            let rows = tx.rows(
                "SELECT fence, filter FROM seen_part WHERE part >= ?1 AND part < ?2 ORDER BY part",
                values![key(run.run, part), key(run.run, run.parts.min(part + PARTS_AT_ONCE))],
            )?;
            for row in &rows {
                fence.extend(row.bytes(0)?.as_chunks::<8>().0.iter().map(|first| u64::from_be_bytes(*first)));
                filter.push(row.bytes(1)?);
            }
        }
        let expected = (run.parts * run.blocks) as usize * BLOCK;
        if fence.len() as u64 != run.pages || filter.bytes() != expected {
            return Err(StoreError::Corrupt(format!("run {} of the event index is torn", run.run)));
        }
        Ok(Self { run, fence: Arc::new(fence), filter })
    }

    /// What is needed to read its pages, apart from the filter.
    pub fn reader(&self) -> Reader {
        Reader { run: self.run.clone(), fence: Arc::clone(&self.fence) }
    }
}

/// Reads a run's pages.
pub(super) struct Reader {
    pub run: Run,
    fence: Arc<Vec<u64>>,
}

impl Reader {
    /// The pages that may hold ids from `first` to `last`: almost always one, where they are the same.
    fn pages(&self, first: u128, last: u128) -> std::ops::Range<u64> {
        let begin = self.fence.partition_point(|page| *page < prefix(first));
        let end = self.fence.partition_point(|page| *page <= prefix(last));
        begin.saturating_sub(1) as u64..end as u64
    }

    /// Appends the entries whose ids are from `first` to `last`, reading few pages at a time.
    pub fn collect(
        &self,
        tx: &mut Tx<'_>,
        (first, last): (u128, u128),
        entries: &mut Vec<(u128, u64)>,
    ) -> Result<(), StoreError> {
        let pages = self.pages(first, last);
        for page in pages.clone().step_by(PAGES_AT_ONCE) {
            let rows = tx.rows(
                "SELECT body FROM seen_page WHERE page >= ?1 AND page < ?2 ORDER BY page",
                values![
                    key(self.run.run, page),
                    key(self.run.run, pages.end.min(page + PAGES_AT_ONCE as u64))
                ],
            )?;
            for row in &rows {
                entries.extend(self.run.entries(row.bytes(0)?).filter(|(id, _)| (first..=last).contains(id)));
            }
        }
        Ok(())
    }

    /// Looks ids up exactly; what is found is told with its position in `ids`.
    pub fn find(
        &self,
        tx: &mut Tx<'_>,
        ids: &[(u128, usize)],
        mut found: impl FnMut(usize, u64),
    ) -> Result<(), StoreError> {
        let mut wanted: Vec<(u64, u128, usize)> = Vec::with_capacity(ids.len());
        for (id, position) in ids {
            wanted.extend(self.pages(*id, *id).map(|page| (key(self.run.run, page), *id, *position)));
        }
        wanted.sort_unstable();
        let mut rest = wanted.as_slice();
        while !rest.is_empty() {
            let mut keys = [rest[0].0; PAGES_AT_ONCE];
            let mut known = 0;
            let asked = rest
                .iter()
                .position(|(page, ..)| {
                    if known == 0 || keys[known - 1] != *page {
                        if known == PAGES_AT_ONCE {
                            return true;
                        }
                        keys[known] = *page;
                        known += 1;
                    }
                    false
                })
                .unwrap_or(rest.len());
            let (now, later) = rest.split_at(asked);
            rest = later;
            self.find_in_pages(tx, &keys[..known], now, &mut found)?;
        }
        Ok(())
    }

    fn find_in_pages(
        &self,
        tx: &mut Tx<'_>,
        keys: &[u64],
        mut wanted: &[(u64, u128, usize)],
        found: &mut impl FnMut(usize, u64),
    ) -> Result<(), StoreError> {
        let rows = tx.rows(pages_sql(keys.len()), &page_values(keys))?;
        for row in &rows {
            let (page, body) = (row.count(0)?, row.bytes(1)?);
            let (entries, _) = body.as_chunks::<ENTRY>();
            let here = wanted.partition_point(|(of, ..)| *of <= page);
            for (_, id, position) in &wanted[..here] {
                let bytes = id.to_be_bytes();
                if let Ok(at) = entries.binary_search_by(|entry| entry[..16].cmp(&bytes))
                    && let Some((_, seq)) = self.run.entries(&entries[at]).next()
                {
                    found(*position, seq);
                }
            }
            wanted = &wanted[here..];
        }
        if rows.len() < keys.len() {
            // Another thread of ours has seen a merge since that this transaction's snapshot does not show.
            return Err(tx.outdated());
        }
        Ok(())
    }
}

/// One page, or up to [`PAGES_AT_ONCE`]; there are two texts so that each is prepared once.
fn pages_sql(pages: usize) -> &'static str {
    if pages == 1 {
        "SELECT page, body FROM seen_page WHERE page = ?1"
    } else {
        "SELECT page, body FROM seen_page WHERE page IN (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,
         ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32) ORDER BY page"
    }
}

/// The keys, the last of them repeated until they are as many as the text has places.
fn page_values(keys: &[u64]) -> Vec<crate::row::Value> {
    let places = if keys.len() == 1 { 1 } else { PAGES_AT_ONCE };
    let last = keys.last().copied().unwrap_or(0);
    keys.iter().copied().chain(std::iter::repeat(last)).take(places).map(Into::into).collect()
}
