//! Who a contract is: the ISP's own directory behind a port. Names and mail addresses live there and nowhere else; an entry
//! is read under seal and opened with a permit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;

use noroshi_law::Sealed;
use noroshi_model::{ContractRef, Lang, Subscriber};
use noroshi_wire::csv::{CsvFormat, Records};
use noroshi_wire::lines::{Encoding, Lines};

/// Most entries a directory file may have.
pub const ENTRIES_MAX: usize = 20_000_000;

/// Columns a directory file must have.
pub const COLUMNS: [&str; 5] = ["user_name", "contract", "name", "mail", "language"];

/// The directory could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Not readable, or without the columns.
    #[error("the directory cannot be read: {0}")]
    Unreadable(String),
    /// A line that cannot be used. A directory with a bad line is refused whole: writing to the wrong person is worse.
    #[error("line {line} of the directory: {reason}")]
    Line {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it; never its content.
        reason: String,
    },
    /// It cannot be asked now: ask again later. Says nothing of what was asked.
    #[error("the directory cannot be asked: {0}")]
    Away(String),
    /// What it told cannot be used. Never its content.
    #[error("an entry of the directory cannot be used: {0}")]
    Entry(String),
}

/// Whose a line is, and whether the directory knows that they do not want to be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The contract.
    pub contract: ContractRef,
    /// Whether they said no to the ISP; what the consent register knows counts for more.
    pub opted_out: bool,
}

/// One subscriber, as the network names them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// `User-Name`, or what else names a line.
    pub user: String,
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Holder(‹redacted›)")
    }
}

/// Where subscribers are looked up.
pub trait Directory: Send + Sync {
    /// The opaque contract reference behind a line's name. `None` where there is no such line.
    fn contract(&self, holder: &Holder) -> Result<Option<Listed>, DirectoryError>;
    /// Who that is, sealed. `None` where there is no such contract.
    fn subscriber(&self, contract: &ContractRef) -> Result<Option<Sealed<Subscriber>>, DirectoryError>;
    /// The contract references of subscribers who asked not to be written to, where the directory can be read whole.
    fn opted_out(&self) -> Vec<ContractRef> {
        Vec::new()
    }
}

/// A directory in a CSV file with the columns of [`COLUMNS`], and optionally `opted_out` (`yes`/`no`), `phone` and `address`.
#[derive(Debug, Default)]
pub struct CsvDirectory {
    by_user: BTreeMap<String, ContractRef>,
    by_contract: BTreeMap<ContractRef, Subscriber>,
    opted_out: BTreeSet<ContractRef>,
}

impl CsvDirectory {
    /// Reads a file.
    pub fn read(reader: impl io::Read) -> Result<Self, DirectoryError> {
        let lines = Lines::new(io::BufReader::new(reader), Encoding::default());
        let mut by_user = BTreeMap::new();
        let mut by_contract = BTreeMap::new();
        let mut opted_out = BTreeSet::new();
        for record in Records::new(lines, CsvFormat::default(), &COLUMNS) {
            let record = match record.map_err(|e| DirectoryError::Unreadable(e.to_string()))? {
                Ok(record) => record,
                Err(bad) => return Err(DirectoryError::Line { line: bad.line, reason: bad.reason }),
            };
            let wrong = |reason: &str| DirectoryError::Line { line: record.line, reason: reason.to_owned() };
            let cell = |column| record.cell(column).unwrap_or_default().trim();
            let contract =
                ContractRef::parse(cell("contract")).ok_or_else(|| wrong("no contract reference"))?;
            let lang = Lang::parse(cell("language"))
                .ok_or_else(|| wrong("the language is no tag like ja, en or pt-BR"))?;
            if !cell("mail").contains('@') {
                return Err(wrong("no mail address"));
            }
            if cell("opted_out").eq_ignore_ascii_case("yes") {
                opted_out.insert(contract.clone());
            }
            let (name, mail) = (cell("name").to_owned(), cell("mail").to_owned());
            // A contract may have several lines and so several user names; who it is must not differ.
            let said = |column| Some(cell(column).to_owned()).filter(|said| !said.is_empty());
            let (phone, address) = (said("phone"), said("address"));
            let subscriber = Subscriber { contract: contract.clone(), name, mail, lang, phone, address };
            if by_contract.insert(contract.clone(), subscriber.clone()).is_some_and(|was| was != subscriber) {
                return Err(wrong("this contract occurred before with another person"));
            }
            if by_user.insert(cell("user_name").to_owned(), contract).is_some() {
                return Err(wrong("this user name occurred before"));
            }
            if by_user.len() > ENTRIES_MAX {
                return Err(wrong("more entries than a directory may have"));
            }
        }
        Ok(Self { by_user, by_contract, opted_out })
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.by_user.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.by_user.is_empty()
    }
}

impl Directory for CsvDirectory {
    fn contract(&self, holder: &Holder) -> Result<Option<Listed>, DirectoryError> {
        let contract = self.by_user.get(&holder.user).cloned();
        Ok(contract.map(|contract| {
            let opted_out = self.opted_out.contains(&contract);
            Listed { contract, opted_out }
        }))
    }

    fn subscriber(&self, contract: &ContractRef) -> Result<Option<Sealed<Subscriber>>, DirectoryError> {
        Ok(self.by_contract.get(contract).cloned().map(Sealed::new))
    }

    fn opted_out(&self) -> Vec<ContractRef> {
        self.opted_out.iter().cloned().collect()
    }
}
