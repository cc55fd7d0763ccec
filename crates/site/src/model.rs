//! What each sign weighs. The weights are data, made by `cargo xtask site-train` from public lists, and kept in
//! `tables/site.table`; this module reads them and adds them up.
//!
//! ```text
//! noroshi-table 1
//! kind: site   source: …   version: …   date: …   licence: …        (one a line)
//! <empty line>
//! one zstd frame of lines, their fields parted by tabs:
//!   base      -0.83                  the log-odds of a name without any sign
//!   cut       watch   1.92           from which log-odds on a name is worth a look, …
//!   weight    word    login   0.71   what a sign weighs, in log-odds (natural logarithm)
//!   letters   3.4 5.1 …              bits of surprise: a row for each letter
//!   popular   example.com            names that others are taken for
//! ```
//!
//! The model is additive: the log-odds of a name are the base and its signs' weights, so what is shown as evidence is the
//! whole of the reason.

use std::fmt::Write as _;
use std::io::Read as _;

use hashbrown::HashMap;
use zstd::stream::read::Decoder;

use crate::popular::{POPULAR_MAX, Popular};
use crate::signs::{self, Kind, Letters, Lore, Sign};
use crate::words::Words;

const MAGIC: &str = "noroshi-table 1\n";
/// The longest head, in bytes.
const HEAD_BYTES_MAX: usize = 8192;
/// The most that a table unpacks to, in bytes.
const BODY_BYTES_MAX: u64 = 32 << 20;
/// Most weights.
const WEIGHTS_MAX: usize = 1_000_000;
/// What one sign may weigh at most: a table that says more is broken.
const WEIGHT_MAX: f32 = 30.0;

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It is none, or is cut off.
    #[error("not a table of weights: {0}")]
    Broken(&'static str),
    /// One line of it says nothing sensible.
    #[error("line {0} of the table of weights says nothing sensible")]
    Line(usize),
}

/// From which log-odds on. Set on sources that were not learned from, see [`crate::Verdict`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cuts {
    /// One popular name in a hundred is above.
    pub watch: f32,
    /// One popular name in a thousand is above.
    pub act: f32,
}

/// Weights and what they are about.
#[derive(Debug)]
pub struct Model {
    lore: Lore,
    base: f32,
    cuts: Cuts,
    weights: HashMap<u64, f32>,
    head: String,
}

/// FNV-1a: a table may be looked up by a number, for who finds two names of one number gains no more than by choosing
/// another name.
fn number(kind: &str, seen: &str) -> u64 {
    let octets = kind.bytes().chain([0]).chain(seen.bytes());
    octets.fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3))
}

impl Model {
    /// The table in the program.
    ///
    /// # Errors
    ///
    /// [`TableError`] where the program was built with a broken table.
    pub fn shipped() -> Result<Self, TableError> {
        Self::read(include_bytes!("../tables/site.table"))
    }

    /// Reads a table.
    ///
    /// # Errors
    ///
    /// [`TableError`], with what is wrong.
    pub fn read(bytes: &[u8]) -> Result<Self, TableError> {
        let rest =
            bytes.strip_prefix(MAGIC.as_bytes()).ok_or(TableError::Broken("it does not begin like one"))?;
        let end = rest.windows(2).take(HEAD_BYTES_MAX).position(|two| two == b"\n\n");
        let end = end.ok_or(TableError::Broken("its head does not end"))?;
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        let mut body = String::new();
        Decoder::new(&rest[end + 2..])
            .and_then(|frame| frame.take(BODY_BYTES_MAX + 1).read_to_string(&mut body))
            .map_err(|_| TableError::Broken("its body cannot be unpacked"))?;
        if body.len() as u64 > BODY_BYTES_MAX {
            return Err(TableError::Broken("it is too large"));
        }
        Self::of_lines(head, &body)
    }

    fn of_lines(head: String, body: &str) -> Result<Self, TableError> {
        let (mut base, mut cuts) = (None, Cuts { watch: f32::INFINITY, act: f32::INFINITY });
        let (mut weights, mut bits, mut popular) = (HashMap::new(), Vec::new(), Vec::new());
        for (at, line) in (1..).zip(body.lines()) {
            let bad = || TableError::Line(at);
            let number_of = |text: &str| {
                let number = text.parse::<f32>().ok().filter(|number| number.abs() <= WEIGHT_MAX);
                number.ok_or(TableError::Line(at))
            };
            match line.split('\t').collect::<Vec<_>>().as_slice() {
                ["base", weight] => base = Some(number_of(weight)?),
                ["cut", "watch", weight] => cuts.watch = number_of(weight)?,
                ["cut", "act", weight] => cuts.act = number_of(weight)?,
                ["weight", kind, seen, weight] if weights.len() < WEIGHTS_MAX => {
                    weights.insert(number(kind, seen), number_of(weight)?);
                }
                ["letters", row] => {
                    for number in row.split(' ') {
                        bits.push(number_of(number)?);
                    }
                }
                ["popular", name] if popular.len() < POPULAR_MAX => popular.push(*name),
                _ => return Err(bad()),
            }
        }
        let letters = Letters::from_bits(bits).ok_or(TableError::Broken("its letters"))?;
        let base = base.ok_or(TableError::Broken("it has no base"))?;
        let lore = Lore { popular: Popular::of(popular), letters, words: Words::default() };
        Ok(Self { lore, base, cuts, weights, head })
    }

    /// What the table says of itself, a line each.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// What names are compared with.
    pub fn lore(&self) -> &Lore {
        &self.lore
    }

    /// The log-odds of a name without any sign.
    pub fn base(&self) -> f32 {
        self.base
    }

    /// From which log-odds on.
    pub fn cuts(&self) -> Cuts {
        self.cuts
    }

    /// What a sign weighs; nothing where it never mattered.
    pub fn weight(&self, sign: &Sign) -> f32 {
        self.weights.get(&number(sign.kind.code(), &sign.seen)).copied().unwrap_or(0.0)
    }

    /// The signs of a name, each with its weight; those that weigh nothing are left out.
    pub fn weigh(&self, name: &str) -> Vec<(Sign, f32)> {
        let weighed = signs::of_name(name, &self.lore).into_iter().map(|sign| {
            let weight = self.weight(&sign);
            (sign, weight)
        });
        weighed.filter(|(_, weight)| *weight != 0.0).collect()
    }

    /// The log-odds of a name by itself.
    pub fn log_odds(&self, name: &str) -> f32 {
        self.base + self.weigh(name).iter().map(|(_, weight)| weight).sum::<f32>()
    }
}

/// A table in the making.
#[derive(Debug)]
pub struct Table<'a> {
    /// The log-odds without any sign.
    pub base: f32,
    /// From which log-odds on.
    pub cuts: Cuts,
    /// What signs weigh.
    pub weights: &'a [(Sign, f32)],
    /// What names are compared with.
    pub letters: &'a Letters,
    /// Popular names.
    pub popular: &'a [String],
}

impl Table<'_> {
    /// The body of a file, not yet compressed, in an order that does not depend on how it came about.
    pub fn body(&self) -> String {
        let mut body = format!("base\t{:.3}\n", self.base);
        let Cuts { watch, act } = self.cuts;
        let _ = write!(body, "cut\twatch\t{watch:.3}\ncut\tact\t{act:.3}\n");
        let mut weights: Vec<_> = self.weights.iter().filter(|(_, weight)| weight.abs() >= 0.005).collect();
        weights.sort_by(|a, b| a.0.cmp(&b.0));
        for (Sign { kind, seen }, weight) in weights {
            let code = Kind::code(*kind);
            let _ = writeln!(body, "weight\t{code}\t{seen}\t{weight:.2}");
        }
        let row_len = self.letters.bits().len().isqrt();
        for row in self.letters.bits().chunks(row_len) {
            let row: Vec<String> = row.iter().map(|bits| format!("{bits:.2}")).collect();
            let _ = writeln!(body, "letters\t{}", row.join(" "));
        }
        for name in self.popular {
            let _ = writeln!(body, "popular\t{name}");
        }
        body
    }
}
