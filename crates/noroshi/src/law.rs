//! What counsel does: look at measures and rules, ask and have explained, check rules, approve, review.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
use noroshi_act::notice::jst;
use noroshi_law::basis::element_words;
use noroshi_law::dossier::Words;
use noroshi_law::{Ask, Dossier, Register, Role, Rulebook as _, Standing, Use};
use noroshi_model::SystemClock;
use noroshi_model::clock::Clock as _;
use noroshi_policy::law::{Breach, breaches};
use noroshi_policy::{CedarRulebook, check, shipped_text};
use noroshi_store::approvals::{Approval, Review};
use serde_json::json;

use crate::house::House;
use crate::report::{self, plain, say};
use crate::retention;

/// A check found something wrong.
const FOUND_WRONG: u8 = 3;
/// The rules refused.
const REFUSED: u8 = 4;
/// Longest name of a person.
const PERSON_CHARS_MAX: usize = 100;
/// Lines of a listing.
const LISTED_MAX: u32 = 10_000;

/// Measures, rules, and what they say
#[derive(Debug, Subcommand)]
pub enum LawCommand {
    /// List the measures and their basis
    Measures {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Ask what the rules say; recorded, opens nothing
    Ask {
        /// What is asked
        #[command(flatten)]
        question: Question,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Explain why something would be allowed or refused: rule, basis, elements; records and opens nothing
    Explain {
        /// What is asked
        #[command(flatten)]
        question: Question,
        /// The facts to explain it for
        #[command(flatten)]
        facts: Facts,
        /// The language
        #[arg(long, value_enum, default_value = "en")]
        lang: Lang,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check rules against the settlements: nothing may be allowed that none of them covers
    Check {
        /// Rules to check instead of those shipped
        files: Vec<PathBuf>,
        /// Check them together with those shipped
        #[arg(long, requires = "files")]
        with_shipped: bool,
        /// The language
        #[arg(long, value_enum, default_value = "en")]
        lang: Lang,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Approve that an emergency or sensitive measure is used: 72 hours for an emergency, else until its dossier expires
    Approve {
        /// The measure
        measure: String,
        /// Who approves
        #[arg(long, value_name = "PERSON")]
        by: String,
        /// Why
        #[arg(long)]
        why: String,
    },
    /// List approvals, newest first
    Approvals {
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// List uses of an emergency, newest first
    Permits {
        /// Only those that wait for their review, oldest first
        #[arg(long)]
        unreviewed: bool,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Forget what came in under a measure, or was closed, longer ago than its dossier allows
    Forget {
        /// Only say of which measures there is something
        #[arg(long)]
        dry_run: bool,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Review uses of an emergency afterwards; not by whom approved them
    Review {
        /// The uses, by their evidence entries
        #[arg(required = true)]
        entries: Vec<u64>,
        /// Who reviews
        #[arg(long, value_name = "PERSON")]
        by: String,
        /// What they find
        #[arg(long, value_enum)]
        verdict: Finding,
        /// Why
        #[arg(long)]
        why: String,
    },
}

/// What is asked.
#[derive(Debug, Args)]
pub struct Question {
    /// The measure
    #[arg(long)]
    measure: String,
    /// For what [default: the measure's own purpose]
    #[arg(long)]
    purpose: Option<String>,
    /// Which fields [default: all that the measure may use]
    #[arg(long, value_delimiter = ',')]
    fields: Vec<String>,
    /// Who asks
    #[arg(long, value_enum, default_value = "system")]
    role: Asker,
    /// To do what
    #[arg(long = "use", value_parser = usages(), default_value = "identify")]
    usage: Use,
}

impl Question {
    fn ask(self, register: &Register) -> Ask {
        let known = register.measure(&self.measure);
        let purpose = self.purpose.or(known.map(|d| d.purpose.clone())).unwrap_or_default();
        let fields = match known {
            Some(dossier) if self.fields.is_empty() => dossier.fields.clone(),
            _ => self.fields.into_iter().collect(),
        };
        Ask { measure: self.measure, purpose, role: self.role.into(), usage: self.usage, fields }
    }
}

/// The facts to explain something for.
#[derive(Debug, Args)]
pub struct Facts {
    /// As if the contract terms carried no consent
    #[arg(long)]
    without_consent: bool,
    /// As if the subscriber had opted out
    #[arg(long)]
    opted_out: bool,
    /// As if the address were a fixed one
    #[arg(long)]
    static_address: bool,
    /// As if so many people had approved the measure
    #[arg(long, value_name = "PEOPLE", default_value_t = 2)]
    approvers: u32,
}

/// Who asks.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Asker {
    /// noroshi itself
    System,
    /// The abuse desk
    Analyst,
    /// Counsel
    Legal,
    /// Who checks the others
    Auditor,
}

impl From<Asker> for Role {
    fn from(asker: Asker) -> Self {
        match asker {
            Asker::System => Role::System,
            Asker::Analyst => Role::Analyst,
            Asker::Legal => Role::Legal,
            Asker::Auditor => Role::Auditor,
        }
    }
}

/// The uses of data by their names in the policy text.
fn usages() -> impl TypedValueParser<Value = Use> {
    let named = |text: String| Use::ALL.into_iter().find(|usage| usage.id() == text).ok_or("no use of data");
    PossibleValuesParser::new(Use::ALL.map(|usage| PossibleValue::new(usage.id()).help(usage.words().0)))
        .try_map(named)
}

/// The language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// English
    En,
    /// Japanese
    Ja,
}

impl Lang {
    fn of<T>(self, (en, ja): (T, T)) -> T {
        match self {
            Lang::En => en,
            Lang::Ja => ja,
        }
    }
}

/// What a review finds.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Finding {
    /// The emergency was one, and no more was done than it needed
    Justified,
    /// It was not
    Unjustified,
}

/// Does what was typed; `visit` opens the house where it is needed.
pub fn run(
    visit: impl Fn() -> anyhow::Result<House>,
    look: impl Fn() -> anyhow::Result<House>,
    what: LawCommand,
) -> anyhow::Result<ExitCode> {
    match what {
        LawCommand::Measures { json } => measures(json),
        LawCommand::Ask { question, json } => ask(&visit()?, question, json),
        LawCommand::Explain { question, facts, lang, json } => explain(question, &facts, lang, json),
        LawCommand::Check { files, with_shipped, lang, json } => {
            check_rules(&files, with_shipped, lang, json)
        }
        LawCommand::Approve { measure, by, why } => approve(&visit()?, &measure, &by, &why),
        LawCommand::Approvals { json } => approvals(&look()?, json),
        LawCommand::Permits { unreviewed, json } => permits(&look()?, unreviewed, json),
        LawCommand::Forget { dry_run, json } => retention::forget(&look()?, dry_run, json),
        LawCommand::Review { entries, by, verdict, why } => review(&look()?, &entries, &by, verdict, &why),
    }
}

fn measures(as_json: bool) -> anyhow::Result<ExitCode> {
    for d in Register::shipped()?.iter() {
        if as_json {
            report::json(&json!({
                "id": d.id, "version": d.version, "basis": d.basis, "purpose": d.purpose, "fields": d.fields,
                "always-on": d.always_on, "two-people": d.two_people, "approvers-needed": d.approvers_needed(),
                "settled-in": d.settled_in, "words": d.words, "retention-days": d.retention_days,
                "approved-by": d.approved_by, "approved-on": d.approved_on.to_string(),
                "expires-on": d.expires_on.to_string(),
                "elements": d.elements.iter().map(|(id, _)| id).collect::<Vec<_>>(),
            }))?;
        } else {
            say!("{:<18} {:<20} {} (until {})", d.id, d.basis.to_string(), d.title.en, d.expires_on);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn answered(allowed: bool) -> ExitCode {
    if allowed { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) }
}

fn ask(house: &House, question: Question, as_json: bool) -> anyhow::Result<ExitCode> {
    let ask = question.ask(&house.register);
    let standing = house.standing(&ask.measure)?;
    let ruling = house.gate().ask(&ask, standing, &mut house.evidence())?;
    if !ruling.allowed {
        let refusal = noroshi_law::Refusal {
            measure: ask.measure,
            rule: ruling.rule.clone(),
            reason: ruling.reason.clone(),
        };
        house.store.tx("law.refusal", |tx| tx.insert_refusal(&refusal, None, None, house.clock.now()))?;
    }
    if as_json {
        report::json(&json!({ "allowed": ruling.allowed, "rule": ruling.rule, "reason": ruling.reason }))?;
    } else {
        let word = if ruling.allowed { "allowed" } else { "refused" };
        say!("{word} by rule {}: {}", ruling.rule, ruling.reason);
    }
    Ok(answered(ruling.allowed))
}

fn explain(question: Question, facts: &Facts, lang: Lang, as_json: bool) -> anyhow::Result<ExitCode> {
    let (register, rulebook) = (Register::shipped()?, CedarRulebook::shipped()?);
    let ask = question.ask(&register);
    let Some(dossier) = register.measure(&ask.measure) else {
        bail!("there is no measure '{}'; see `noroshi law measures`", ask.measure);
    };
    let standing = Standing {
        opted_out: facts.opted_out,
        static_address: facts.static_address,
        approvers: facts.approvers,
        ..Standing::of_terms(!facts.without_consent, SystemClock.now())
    };
    let ruling = rulebook.judge(&ask, dossier, standing);
    let against = breaches(&ask, dossier, standing);
    let reason = lang.of((ruling.reason.clone(), rulebook.japanese(&ruling)));
    if as_json {
        report::json(&json!({
            "measure": ask.measure, "version": dossier.version, "role": ask.role, "use": ask.usage.id(),
            "purpose": ask.purpose, "fields": ask.fields, "allowed": ruling.allowed, "rule": ruling.rule,
            "reason": reason, "basis": dossier.basis, "settled-in": dossier.settled_in, "words": dossier.words,
            "elements": dossier.elements.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "against": against.iter().map(|b| lang.of(b.words())).collect::<Vec<_>>(),
        }))?;
    } else {
        let verdict = (ruling.allowed, ruling.rule.as_str(), reason.as_str());
        told(&ask, dossier, verdict, &against, lang);
    }
    Ok(answered(ruling.allowed))
}

/// Tells a lawyer what would happen and why.
fn told(
    ask: &Ask,
    dossier: &Dossier,
    (allowed, rule, reason): (bool, &str, &str),
    against: &[Breach],
    lang: Lang,
) {
    let fields: Vec<&str> = ask.fields.iter().map(String::as_str).collect();
    let (title, basis) = (lang.of((&dossier.title.en, &dossier.title.ja)), lang.of(dossier.basis.words()));
    let (role, usage) = (lang.of(ask.role.words()), lang.of(ask.usage.words()));
    match lang {
        Lang::En => {
            say!("{title} ({}, version {})", dossier.id, dossier.version);
            say!(
                "asked: {role} wants to {usage}, for '{}', with {}",
                plain(&ask.purpose),
                plain(&fields.join(", "))
            );
            say!("{} by rule {rule}: {reason}", if allowed { "allowed" } else { "refused" });
        }
        Lang::Ja => {
            say!("{title}({}、第{}版)", dossier.id, dossier.version);
            say!(
                "求め: {role}による「{usage}」、目的「{}」、項目 {}",
                plain(&ask.purpose),
                plain(&fields.join("、"))
            );
            say!("{}(規則 {rule}): {reason}", if allowed { "許可" } else { "不許可" });
        }
    }
    for breach in against {
        say!("  {}", plain(&lang.of(breach.words())));
    }
    say!("{}: {basis}", lang.of(("basis", "根拠")));
    for (id, text) in &dossier.elements {
        say!("  {}: {text}", lang.of(element_words(id)));
    }
    let words = match dossier.words {
        Words::Settlement => lang.of(("in the settlement's own words", "文言は取りまとめによる")),
        Words::Summary => lang.of((
            "in noroshi's words, to be held against the settlement's text",
            "文言はnoroshiによる要約であり、取りまとめの原文と照合を要する",
        )),
    };
    say!("{}: {} ({words})", lang.of(("settled in", "整理")), dossier.settled_in);
}

fn check_rules(files: &[PathBuf], with_shipped: bool, lang: Lang, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut text = if files.is_empty() || with_shipped { shipped_text() } else { String::new() };
    for file in files {
        let rules =
            std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        text.push('\n');
        text.push_str(&rules);
    }
    let rulebook = match CedarRulebook::read(&text) {
        Ok(rulebook) => rulebook,
        Err(e) => {
            eprintln!("noroshi: {e}");
            return Ok(ExitCode::from(FOUND_WRONG));
        }
    };
    let report = check::check(&rulebook, &Register::shipped()?, &check::names(&text), check::STRENGTH);
    for found in &report.found {
        if as_json {
            report::json(&json!({
                "measure": found.ask.measure, "role": found.ask.role, "use": found.ask.usage.id(),
                "purpose": found.ask.purpose, "fields": found.ask.fields, "rule": found.rule,
                "breaches": found.breaches.iter().map(Breach::id).collect::<Vec<_>>(),
                "en": found.english(), "ja": found.japanese(),
            }))?;
        } else {
            say!("{}\n", plain(&lang.of((found.english(), found.japanese()))));
        }
    }
    if !as_json {
        say!(
            "{} kinds of requests put to {} rules, {} allowed, {} of them without a settlement",
            report.asked,
            rulebook.rules().count(),
            report.allowed,
            report.unlawful
        );
        for ask in &report.stricter {
            say!("stricter than it must be: {} to {}", ask.measure, ask.usage.id());
        }
    }
    Ok(if report.found.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND_WRONG) })
}

/// A person's name, so written that one person is not two.
pub fn person(name: &str) -> anyhow::Result<String> {
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    if name.is_empty() || name.chars().count() > PERSON_CHARS_MAX || name.chars().any(char::is_control) {
        bail!("a person's name has 1 to {PERSON_CHARS_MAX} characters");
    }
    Ok(name)
}

fn approve(house: &House, measure: &str, by: &str, why: &str) -> anyhow::Result<ExitCode> {
    let approval = house.approve(measure, &person(by)?, why)?;
    say!("{} may be used until {}, says {}", approval.measure, jst(approval.until), approval.person);
    let needed = house.register.measure(measure).map_or(0, Dossier::approvers_needed);
    let given = house.standing(measure)?.approvers;
    if given < needed {
        say!("{needed} different people must approve it, {given} has so far: nothing is allowed yet");
    }
    Ok(ExitCode::SUCCESS)
}

fn approvals(house: &House, as_json: bool) -> anyhow::Result<ExitCode> {
    let now = house.clock.now();
    for Approval { entry, measure, person, why, at, until, .. } in
        house.store.tx("law.approvals", |tx| tx.approvals(0, LISTED_MAX))?
    {
        if as_json {
            report::json(
                &json!({ "entry": entry, "measure": measure, "by": person, "why": why, "at": at, "until": until }),
            )?;
        } else {
            let state = if now < until { "until" } else { "ended" };
            say!("{}  {measure:<18} {person:<16} {state} {}: {}", jst(at), jst(until), plain(&why));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn permits(house: &House, unreviewed: bool, as_json: bool) -> anyhow::Result<ExitCode> {
    for used in house.store.tx("law.permits", |tx| tx.emergency_uses(unreviewed, None, LISTED_MAX))? {
        if as_json {
            report::json(&used)?;
            continue;
        }
        let review = match &used.review {
            None => "waits for its review".to_owned(),
            Some(r) => format!("{} by {}: {}", r.verdict, r.reviewer, r.why),
        };
        say!(
            "{:>6}  {}  {:<18} {:<9} {}",
            used.entry,
            jst(used.at),
            used.measure,
            used.usage,
            plain(&review)
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn review(house: &House, entries: &[u64], by: &str, verdict: Finding, why: &str) -> anyhow::Result<ExitCode> {
    let verdict = match verdict {
        Finding::Justified => "justified",
        Finding::Unjustified => "unjustified",
    };
    let reviewer = person(by)?;
    for entry in entries {
        let review: Review = house.review(*entry, &reviewer, verdict, why)?;
        say!("{entry} is {verdict}, says {} (evidence {})", review.reviewer, review.entry);
    }
    Ok(ExitCode::SUCCESS)
}
