//! What is wrong and how to mend it: each check says what it looked at, what it found, and what to do.

use std::net::TcpListener;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use noroshi_act::directory::Holder;
use noroshi_act::notice::jst;
use noroshi_act::smtp::probe;
use noroshi_model::SystemClock;
use serde::Serialize;

use crate::config::Config;
use crate::house::{House, Stay};
use crate::receipts::Receipts;
use crate::report::{self, say};
use crate::reverse::{Reverse, ReverseFile};
use crate::sources::imap::Mailbox;

/// One thing looked at.
#[derive(Debug, Serialize)]
struct Check {
    what: &'static str,
    fine: bool,
    found: String,
    mend: Option<&'static str>,
}

impl Check {
    fn of(what: &'static str, result: Result<String, String>, mend: &'static str) -> Self {
        match result {
            Ok(found) => Self { what, fine: true, found, mend: None },
            Err(found) => Self { what, fine: false, found, mend: Some(mend) },
        }
    }
}

/// Looks at everything and says what was found.
pub fn examine(config: Config, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut checks = vec![
        Check::of("mail server", probe(&config.submission), "start it, or set mail.server"),
        Check::of(
            "mail log",
            readable(config.mail_log.as_deref()),
            "set mail.log to Postfix's log, readable by this user",
        ),
        Check::of(
            "portal address",
            free(config.portal),
            "fine if noroshi is running; else set portal.listen",
        ),
        Check::of(
            "console address",
            free(config.console),
            "fine if noroshi is running; else set console.listen",
        ),
    ];
    if let Some(listen) = config.api.listen {
        let mend = "fine if noroshi is running; else set api.listen";
        checks.push(Check::of("API address", free(listen), mend));
    }
    if let Some(listen) = config.push.listen {
        let mend = "fine if noroshi is running; else set push.listen";
        checks.push(Check::of("push address", free(listen), mend));
    }
    checks.push(Check::of(
        "tables",
        tables(&config),
        "mend the file or [enrich]; a running noroshi uses what it read before",
    ));
    if let Some(reverse) = &config.enrich.reverse_dns {
        checks.push(Check::of(
            "reverse DNS",
            names(reverse),
            "start the resolver, or set enrich.reverse-dns.resolvers; events go without names until then",
        ));
    }
    checks.extend(config.warnings().into_iter().map(|warning| Check {
        what: "configuration",
        fine: false,
        found: warning,
        mend: Some("see the book, chapter Configuration"),
    }));
    match House::open(config, Arc::new(SystemClock), Receipts::None, Stay::Guest) {
        Ok(house) => checks.extend(inside(&house)),
        Err(e) => {
            checks.push(Check::of("database, keys and directory", Err(format!("{e:#}")), "see the message"));
        }
    }
    for check in &checks {
        if as_json {
            report::json(check)?;
        } else {
            say!("{} {}: {}", if check.fine { "● ok  " } else { "■ act " }, check.what, check.found);
            if let Some(mend) = check.mend {
                say!("       mend: {mend}");
            }
        }
    }
    Ok(if checks.iter().all(|c| c.fine) { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn inside(house: &House) -> Vec<Check> {
    let totals = house.store.tx("doctor.totals", |tx| tx.totals()).map_err(|e| e.to_string());
    let evidence =
        house.evidence().verify().map_err(|e| e.to_string()).and_then(|report| match report.faults.first() {
            None => Ok(format!("intact, {} entries", report.entries)),
            Some(fault) => Err(fault.to_string()),
        });
    let doubt = totals.clone().and_then(|t| match t.steps_in_doubt {
        0 => Ok("none".into()),
        n => Err(n.to_string()),
    });
    let unreviewed = house.store.tx("doctor.unreviewed", |tx| tx.unreviewed()).map_err(|e| e.to_string());
    let mut checks = vec![
        Check::of(
            "emergency uses",
            unreviewed.map(|n| format!("{n} wait for their review (`noroshi law permits --unreviewed`)")),
            "see the message",
        ),
        Check::of(
            "database",
            totals.map(|t| format!("{}, {} events", house.store.address(), t.events)),
            "see the message",
        ),
        Check::of(
            "evidence",
            evidence,
            "keep a copy of the data folder as it is, and run `noroshi evidence verify`",
        ),
        Check::of("mails in doubt", doubt, "look into the mail server's log, then `noroshi mail settle`"),
    ];
    checks.push(Check::of(
        "directory",
        directory(house),
        "mend [directory]; until then nobody is identified, and every decision waits",
    ));
    if !house.config.follow.is_empty() {
        checks.push(Check::of(
            "followed files",
            followed(house),
            "mend the path or its permissions; a file that is not there yet is waited for",
        ));
    }
    checks.extend(told(house));
    if let Some(dkim) = &house.dkim {
        let from = house.config.operator.from.rsplit('@').next().unwrap_or_default();
        let domain = dkim.name().split_once("._domainkey.").map_or("", |(_, domain)| domain);
        let aligned = from == domain || from.ends_with(&format!(".{domain}"));
        let signs = format!("signs; the public key has to be in the DNS at {}", dkim.name());
        let other = format!("signs for {domain}, and the sender is of {from}");
        let result = if aligned { Ok(signs) } else { Err(other) };
        checks.push(Check::of("DKIM", result, "sign for the sender's domain, or DMARC does not count it"));
    }
    if let Some(origin) = house.config.returns.as_ref().and_then(|returns| returns.mailbox.as_ref()) {
        let opened = Mailbox::open(origin, 1 << 20).map(Mailbox::close);
        checks.push(Check::of(
            "mailbox of what comes back",
            opened.map(|()| format!("{} opens", origin.mailbox)).map_err(|e| format!("{e:#}")),
            "mend [mail.returns]; until then nobody hears that a mail did not arrive",
        ));
    }
    if !house.config.webhooks.is_empty() {
        checks.push(Check::of(
            "webhooks",
            webhooks(house),
            "`noroshi webhook list` shows each with its last failure; what waits is offered for a week",
        ));
    }
    if !house.config.sources.is_empty() {
        checks.push(Check::of(
            "sources",
            sources(house),
            "`noroshi source status` shows each with its last failure",
        ));
    }
    checks
}

/// Whether subscribers can be told besides by mail, and nothing stands in the way.
fn told(house: &House) -> Vec<Check> {
    let mut checks = Vec::new();
    let ways = &house.config.reach.ways;
    for (what, batch) in [("letters", &ways.letter), ("calls", &ways.call)] {
        let Some(batch) = batch else { continue };
        checks.push(Check::of(
            what,
            writable(&batch.folder),
            "make the folder, and give it to this user; what is due waits until then",
        ));
    }
    let stopped = house.store.tx("doctor.stopped", |tx| tx.stopped()).map_err(|e| e.to_string());
    let stopped = stopped.and_then(|stopped| match stopped.as_slice() {
        [] => Ok("nothing is stopped".to_owned()),
        [first, ..] => Err(format!(
            "{} stopped since {} by {}: {}",
            first.scope,
            jst(first.since),
            first.person,
            first.why
        )),
    });
    let inside = house.store.tx("doctor.garden", |tx| tx.in_garden(1)).map_err(|e| e.to_string());
    let inside = inside.and_then(|inside| match (inside.is_empty(), &house.config.reach.garden) {
        (true, _) => Ok("nobody is in it".to_owned()),
        (false, Some(_)) => Ok("lines are in it (`noroshi garden list`)".to_owned()),
        (false, None) => Err("lines are in it, and nothing says how they get out".to_owned()),
    });
    checks.push(Check::of(
        "walled garden",
        inside,
        "put [walled-garden] back until `noroshi garden list` is empty",
    ));
    checks.push(Check::of("ladder", stopped, "`noroshi ladder go` lets it go on"));
    checks
}

/// Whether the directory answers, asked about a line that there is not.
fn directory(house: &House) -> Result<String, String> {
    let nobody = Holder { user: "noroshi-doctor.invalid".into() };
    match house.directory.contract(&nobody) {
        Ok(None) => Ok("answers".into()),
        Ok(Some(_)) => Err("it knows a line that there is not: its query or filter finds everybody".into()),
        Err(e) => Err(e.to_string()),
    }
}

/// Whether each pattern of `[follow.NAME]` finds a file that opens.
fn followed(house: &House) -> Result<String, String> {
    for (name, what) in &house.config.follow {
        let found = glob::glob(&what.file).map_err(|e| format!("{name}: {e}"))?.filter_map(Result::ok);
        let newest = found.max_by_key(|path| std::fs::metadata(path).and_then(|m| m.modified()).ok());
        let newest = newest.ok_or_else(|| format!("{name}: {} is not there", what.file))?;
        std::fs::File::open(&newest).map_err(|e| format!("{name}: {}: {e}", newest.display()))?;
    }
    Ok(format!("{} can be read", house.config.follow.len()))
}

/// How the webhooks do.
fn webhooks(house: &House) -> Result<String, String> {
    let known = house.store.look("doctor.webhooks", |tx| tx.webhooks()).map_err(|e| e.to_string())?;
    let failing: Vec<String> = known
        .iter()
        .filter(|webhook| webhook.failures > 0 || webhook.given_up > 0)
        .map(|w| {
            format!("{} ({} wait, {} given up) {}", w.name, w.waiting, w.given_up, report::plain(&w.said))
        })
        .collect();
    match failing.as_slice() {
        [] => Ok(format!("{} configured, {} known, none failing", house.config.webhooks.len(), known.len())),
        failing => Err(failing.join("; ")),
    }
}

/// How the sources do.
fn sources(house: &House) -> Result<String, String> {
    let names = house.config.sources.keys();
    let known = house.store.tx("doctor.sources", |tx| {
        names.clone().map(|name| tx.source(name)).collect::<Result<Vec<_>, noroshi_store::StoreError>>()
    });
    let known = known.map_err(|e| e.to_string())?;
    let failing: Vec<&str> = known.iter().filter(|s| s.failures > 0).map(|s| s.name.as_str()).collect();
    let untried = known.iter().filter(|s| s.tried.is_none()).count();
    match failing.as_slice() {
        [] => Ok(format!("{} configured, {untried} never tried, none failing", known.len())),
        failing => Err(format!("failing: {}", failing.join(", "))),
    }
}

/// Whether what events are enriched from can be read.
fn tables(config: &Config) -> Result<String, String> {
    crate::tables::read(&config.enrich).map_err(|e| format!("{e:#}"))?;
    let (own, lists) = (config.enrich.tables.len(), config.enrich.warning_lists.len());
    Ok(format!("{own} tables and {lists} warning lists of your own"))
}

/// Whether somebody answers.
fn names(settings: &ReverseFile) -> Result<String, String> {
    let reverse = Reverse::new(settings).map_err(|e| format!("{e:#}"))?;
    let asked: Vec<String> = reverse.resolvers().iter().map(ToString::to_string).collect();
    let asked = asked.join(", ");
    reverse.probe().map_err(|e| format!("{asked}: {e}"))?;
    Ok(format!("{asked} answers"))
}

/// Whether a file can be made in a folder; it is removed again.
fn writable(folder: &Path) -> Result<String, String> {
    let told = |e: std::io::Error| format!("{}: {e}", folder.display());
    let probe = folder.join(".noroshi-doctor");
    std::fs::write(&probe, []).and_then(|()| std::fs::remove_file(&probe)).map_err(told)?;
    Ok(folder.display().to_string())
}

fn readable(path: Option<&Path>) -> Result<String, String> {
    let path = path.ok_or_else(|| "not set".to_owned())?;
    std::fs::File::open(path)
        .map(|_| path.display().to_string())
        .map_err(|e| format!("{}: {e}", path.display()))
}

fn free(address: std::net::SocketAddr) -> Result<String, String> {
    TcpListener::bind(address).map(|_| format!("{address} is free")).map_err(|e| format!("{address}: {e}"))
}
