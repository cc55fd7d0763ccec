//! Everything the program has at hand: the database, the keys, the law, the texts, the clock. Built once from the
//! configuration; the stages take it by reference.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use anyhow::{Context as _, bail};
use noroshi_act::directory::{CsvDirectory, Directory};
use noroshi_act::dkim::Dkim;
use noroshi_act::wording::Wordings;
use noroshi_book::{Book, BookError};
use noroshi_directory::{HttpDirectory, LdapDirectory, SqlDirectory};
use noroshi_law::evidence::note::Signer;
use noroshi_law::{
    Ask, Basis as _, BasisKind, Denied, Gate, Permit, Purpose, Refusal, Register, Standing, Use, Vault,
};
use noroshi_model::clock::Clock;
use noroshi_model::link::LinkKey;
use noroshi_model::{ContractRef, Id};
use noroshi_policy::CedarRulebook;
use noroshi_store::approvals::{Approval, Review};
use noroshi_store::consent::TERMS;
use noroshi_store::evidence::{EvidenceLog, HeadFile};
use noroshi_store::{Address, Store, StoreError};

use crate::config::{Config, DirectoryFile, DkimFile};
use crate::keys;
use crate::languages::Texts;
use crate::receipts::Receipts;
use crate::{notices, wording};

/// Everything at hand.
pub struct House {
    /// What the configuration means.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// The keys of sealed data.
    pub vault: Arc<Vault>,
    /// Who held which address; opened when it is first needed, because a large one takes its time.
    book: OnceLock<RwLock<Book>>,
    /// The evidence log's signing key.
    pub signer: Signer,
    /// The newest checkpoint, outside the database.
    pub head: HeadFile,
    /// The key of links.
    pub links: LinkKey,
    /// Signs mails, where the mail server does not.
    pub dkim: Option<Dkim>,
    /// The measures.
    pub register: Register,
    /// The rules.
    pub rulebook: CedarRulebook,
    /// What is said to subscribers, in every language.
    pub texts: Texts,
    /// The mail's forms, in every wording.
    pub wordings: Wordings,
    /// Who is behind a contract.
    pub directory: Arc<dyn Directory>,
    /// What the mail server did with a mail.
    pub receipts: Receipts,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// A purpose stated instead of the measure's own, to see the gate refuse it.
    pub purpose: Option<String>,
    /// This process, in leases.
    pub worker: String,
    /// Held while this process is the only one working on an embedded database.
    _lock: Option<fs::File>,
}

/// How much of the house to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// Look something up where a noroshi already is; a folder that is not there is a mistake.
    Guest,
    /// Look something up or take something in, beside a running process.
    Visitor,
    /// Work the stages: on an embedded database, only one process may.
    Worker,
}

impl House {
    /// Opens the house, making what is missing.
    pub fn open(
        config: Config,
        clock: Arc<dyn Clock>,
        receipts: Receipts,
        stay: Stay,
    ) -> anyhow::Result<Self> {
        let folder = config.data_dir.clone();
        if stay == Stay::Guest && !folder.join("keys").exists() {
            bail!(
                "there is no noroshi in {}; name its --data-dir, or take something in first",
                folder.display()
            );
        }
        keys::private_folder(&folder)?;
        let lock = match (stay, &config.database) {
            (Stay::Worker, Address::Sqlite(_)) => Some(lock(&folder.join("lock"))?),
            _ => None,
        };
        let key_folder = folder.join("keys");
        let origin = config.operator.from.rsplit('@').next().unwrap_or("localhost").to_owned();
        let directory = directory(&config.directory)?;
        let texts = Texts::read(config.languages.as_deref()).context("operator.languages")?;
        let wordings = wording::wordings(&config)?;
        if (config.templates.is_some() || wordings.is_trial())
            && let [first, rest @ ..] = notices::lint(&config.operator, &texts, &wordings).as_slice()
        {
            bail!("the mail's forms: {first} ({} more; see `noroshi notice lint`)", rest.len());
        }
        let house = Self {
            store: Store::open(config.database.clone())?,
            vault: Arc::new(Vault::new(&keys::secret(&key_folder, "vault.key")?)),
            book: OnceLock::new(),
            signer: keys::signer(&key_folder, &format!("{origin}/noroshi/evidence"))?,
            head: HeadFile::at(&folder.join("evidence.head")),
            dkim: config.dkim.as_ref().map(DkimFile::signer).transpose().context("[mail.dkim]")?,
            links: LinkKey::new(&keys::secret(&key_folder, "link.key")?),
            register: Register::shipped()?,
            rulebook: CedarRulebook::shipped()?,
            texts,
            wordings,
            directory,
            receipts,
            clock,
            purpose: None,
            worker: Id::random().context("the system gave no randomness")?.to_string(),
            config,
            _lock: lock,
        };
        house.take_over_opt_outs()?;
        Ok(house)
    }

    /// The session book, as it is now.
    pub fn book(&self) -> Result<RwLockReadGuard<'_, Book>, BookError> {
        drop(self.book_to_keep()?);
        let book = self.book.get().map(|book| book.read().unwrap_or_else(PoisonError::into_inner));
        match book {
            Some(book) => Ok(book),
            None => unreachable!("it was opened a line ago"),
        }
    }

    /// The session book, to put records into; it has caught up with what others put in.
    pub fn book_to_keep(&self) -> Result<RwLockWriteGuard<'_, Book>, BookError> {
        let shared = match self.book.get() {
            Some(shared) => shared,
            None => {
                let opened = Book::open(&self.config.data_dir.join("sessions"), Arc::clone(&self.vault))?;
                // Where two open it at once, one of them is dropped again.
                self.book.get_or_init(|| RwLock::new(opened))
            }
        };
        let mut book = shared.write().unwrap_or_else(PoisonError::into_inner);
        book.catch_up()?;
        Ok(book)
    }

    /// The gate to sealed data.
    pub fn gate(&self) -> Gate<'_> {
        Gate::new(&self.rulebook, &self.register)
    }

    /// The evidence log.
    pub fn evidence(&self) -> EvidenceLog<'_> {
        EvidenceLog::new(&self.store, &self.signer, Some(&self.head))
    }

    /// Records what a person did about the house itself, before it counts; the entry's index.
    pub fn note(&self, person: &str, did: &str) -> anyhow::Result<u64> {
        use noroshi_law::evidence::Ledger as _;
        let record = self.gate().acted(None, person, did, self.clock.now());
        Ok(self.evidence().append(record)?)
    }

    /// An ask with the purpose that this run states, where it was told to state another one.
    pub fn stated(&self, mut ask: Ask) -> Ask {
        if let Some(purpose) = &self.purpose {
            ask.purpose.clone_from(purpose);
        }
        ask
    }

    /// The facts the rules look at, now.
    pub fn standing(&self, measure: &str) -> Result<Standing, StoreError> {
        let now = self.clock.now();
        self.store.look("law.standing", |tx| {
            let consent = tx.consent(TERMS, measure)?.unwrap_or(false);
            let approvers = match self.register.measure(measure) {
                Some(dossier) => tx.approvers(measure, dossier.digest, now)?,
                None => 0,
            };
            Ok(Standing { approvers, ..Standing::of_terms(consent, now) })
        })
    }

    /// The one way to a permit: where the basis is emergency its use is in the queue for review before anybody has it.
    /// `subject` is whom it concerns, as a keyed hash, where that is known.
    pub fn permit<P: Purpose>(&self, ask: Ask, subject: &str) -> anyhow::Result<Result<Permit<P>, Refusal>> {
        let mut standing = self.standing(P::MEASURE)?;
        if !subject.is_empty() {
            standing.opted_out = self.store.look("law.opted-out", |tx| tx.opted_out(subject, P::MEASURE))?;
        }
        let usage = ask.usage;
        let permit = match self.gate().permit_about::<P>(ask, standing, subject, &mut self.evidence()) {
            Ok(permit) => permit,
            Err(Denied::Refused(refusal)) => return Ok(Err(refusal)),
            Err(Denied::Ledger(e)) => return Err(e.into()),
        };
        if P::Basis::KIND == BasisKind::Emergency {
            self.store.tx_together("law.emergency-use", |tx| {
                tx.put_emergency_use(permit.evidence(), P::MEASURE, usage, standing.now)
            })?;
        }
        Ok(Ok(permit))
    }

    /// Records that somebody approved a measure's use.
    pub fn approve(&self, measure: &str, person: &str, why: &str) -> anyhow::Result<Approval> {
        let dossier = self
            .register
            .measure(measure)
            .with_context(|| format!("there is no measure '{measure}'; see `noroshi law measures`"))?;
        if dossier.approvers_needed() == 0 {
            bail!("{measure} needs no approval beyond its dossier's");
        }
        let now = self.clock.now();
        let until = dossier.approved_until(now);
        let note = format!("approved by {person} until {until}: {why}");
        let entry = self.gate().remark(dossier, Use::Approve, note, None, now, &mut self.evidence())?;
        let approval = Approval {
            entry,
            measure: measure.to_owned(),
            dossier: dossier.digest,
            person: person.to_owned(),
            why: why.to_owned(),
            at: now,
            until,
        };
        self.store.tx("law.approve", |tx| tx.put_approval(&approval))?;
        Ok(approval)
    }

    /// Records what somebody else says afterwards of a use in an emergency.
    pub fn review(&self, entry: u64, person: &str, verdict: &str, why: &str) -> anyhow::Result<Review> {
        let (used, approved) = self.store.look("law.used", |tx| {
            let Some(used) = tx.emergency_use(entry)? else { return Ok((None, false)) };
            let approved = tx.approved_by(&used.measure, person, used.at)?;
            Ok::<_, StoreError>((Some(used), approved))
        })?;
        let used =
            used.with_context(|| format!("{entry} is no use of an emergency; see `noroshi law permits`"))?;
        if used.review.is_some() {
            bail!("{entry} was reviewed already");
        }
        if approved {
            bail!("{person} approved it, so somebody else must review it");
        }
        let dossier = self.register.measure(&used.measure).context("the measure has no dossier any more")?;
        let now = self.clock.now();
        let note = format!("{verdict}, says {person}: {why}");
        let log = &mut self.evidence();
        let evidence = self.gate().remark(dossier, Use::Review, note, Some(entry), now, log)?;
        let review = Review {
            at: now,
            reviewer: person.to_owned(),
            verdict: verdict.to_owned(),
            why: why.to_owned(),
            entry: evidence,
        };
        if !self.store.tx("law.review", |tx| tx.put_review(entry, &review))? {
            bail!("{entry} was reviewed already");
        }
        Ok(review)
    }

    /// The keyed hash under which a contract's cases and consents are kept.
    pub fn party(&self, contract: &ContractRef) -> String {
        self.vault.subject(&format!("contract {}", contract.as_str()))
    }

    /// The directory's own opt-outs enter the register once, where nothing else was said.
    fn take_over_opt_outs(&self) -> Result<(), StoreError> {
        self.enter_opt_outs(&self.directory.opted_out())
    }

    /// The same for one, as the directory tells it with a line.
    pub fn take_over_opt_out(&self, contract: &ContractRef) -> Result<(), StoreError> {
        self.enter_opt_outs(std::slice::from_ref(contract))
    }

    fn enter_opt_outs(&self, contracts: &[ContractRef]) -> Result<(), StoreError> {
        let parties: Vec<String> = contracts.iter().map(|c| self.party(c)).collect();
        self.store.tx("consent.directory", |tx| {
            for party in &parties {
                if tx.consent(party, "*")?.is_none() {
                    tx.put_consent(party, "*", false, "the ISP's directory", self.clock.now())?;
                }
            }
            Ok(())
        })
    }
}

/// The directory that the configuration names; one without anybody where it names none.
fn directory(named: &DirectoryFile) -> anyhow::Result<Arc<dyn Directory>> {
    Ok(match named {
        DirectoryFile { file: Some(path), .. } => {
            let file = fs::File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
            Arc::new(CsvDirectory::read(file).with_context(|| path.display().to_string())?)
        }
        DirectoryFile { sql: Some(sql), .. } => Arc::new(SqlDirectory::new(sql.clone())?),
        DirectoryFile { http: Some(http), .. } => Arc::new(HttpDirectory::new(http)?),
        DirectoryFile { ldap: Some(ldap), .. } => Arc::new(LdapDirectory::new(ldap.clone())?),
        _ => Arc::new(CsvDirectory::default()),
    })
}

fn lock(path: &PathBuf) -> anyhow::Result<fs::File> {
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            bail!("another noroshi works in {}; use its console, or another --data-dir", path.display())
        }
        Err(fs::TryLockError::Error(e)) => {
            Err(e).with_context(|| format!("{} cannot be locked", path.display()))
        }
    }
}
