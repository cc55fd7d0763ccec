//! Who does what was typed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr as _;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::CommandFactory as _;
use noroshi_act::notice::jst;
use noroshi_feed::propose::Wish;
use noroshi_law::{Purpose as _, TakedownNotice};
use noroshi_model::case::StepState;
use noroshi_model::{Channel, ContractRef, Id, Lang, Step, SystemClock};
use noroshi_store::StoreError;
use noroshi_store::consent::TERMS;
use noroshi_wire::{Encoding, SeizedFormat, TimeFormat, Zone};

use crate::cli::{Cli, Columns, Command, ConfigCommand, Consent, ConsentOf, MailCommand, Observe, Page};
use crate::config::{Config, File};
use crate::feeds::{self, FeedCommand};
use crate::house::{House, Stay};
use crate::intake::{Taken, take_radius, take_seized};
use crate::languages::Texts;
use crate::receipts::Receipts;
use crate::report::{say, say_on};
use crate::serve::{Listeners, console_key, serve, until_interrupted, work};
use crate::sessions::SessionsCommand;
use crate::stages::Stage;
use crate::{api, cases, darknet, garden, ladder, retention, site, staff, webhooks};
use crate::{
    counters, demo, doctor, events, evidence, languages, law, lists, maps, notices, organisations, outcome,
    quarantine, report, returns, sources,
};

/// A check found something wrong.
pub(crate) const FOUND_WRONG: u8 = 3;
/// Lines of a page.
pub(crate) const PAGE: u32 = 50;

/// Does what was typed.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let at = Where { config: cli.config, data_dir: cli.data_dir };
    match cli.command {
        Command::Demo(options) => demo::play(&options, at.data_dir).map(|()| ExitCode::SUCCESS),
        Command::Run { role } => run_loop(&at, &role),
        Command::Observe(what) => observe(&at, what),
        Command::Feed(what) => feed(&at, what),
        Command::Event(what) => events::run(&at.look()?, &what),
        Command::Source(what) => sources::commands::run(at.visit()?, &what),
        Command::Site(what) => site::run(&at, &what),
        Command::Case(what) => cases::run(&at, what),
        Command::Quarantine(what) => quarantine::run(&at.look()?, &what),
        Command::Notice(what) => notices::command(&at.read()?, &what),
        Command::Ladder(what) => ladder::ladder(&at, &what),
        Command::Step(what) => ladder::steps(&at, &what),
        Command::Staff(what) => staff::run(&at, what),
        Command::Garden(what) => garden::command(&at, &what),
        Command::Mail(what) => mails(&at, what),
        Command::Evidence(what) => evidence::run(&at, what),
        Command::Outcome(what) => outcome::command(&at.look()?, &what),
        Command::Sessions(what) => sessions(&at, what),
        Command::Darknet(what) => darknet::run(&at, &what),
        Command::Organisation(what) => organisations::run(&at, &what),
        #[cfg(target_os = "linux")]
        Command::Sensor(wish) => darknet::sensor::run(&at.read()?, &wish),
        #[cfg(target_os = "linux")]
        Command::Resolver(what) => crate::resolver::run(&at, *what),
        Command::Law(what) => law::run(|| at.visit(), || at.look(), what),
        Command::Consent(what) => consent(&at, what),
        Command::Config(what) => config(&at, &what),
        Command::Token(what) => api::tokens(&at, &what),
        Command::Api(what) => api::api(&what),
        Command::Webhook(what) => webhooks::command(&at.look()?, &what),
        Command::Doctor { json } => doctor::examine(at.read()?, json),
        Command::ConsoleUrl => {
            let house = at.look()?;
            let origin = house.config.console_origin(house.config.console);
            say!("{origin}{}", console_key(&house)?.login_path());
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "noroshi", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Where configuration and data are.
pub struct Where {
    config: Option<PathBuf>,
    data_dir: Option<PathBuf>,
}

impl Where {
    /// What the configuration means, without opening anything.
    pub fn read(&self) -> anyhow::Result<Config> {
        let (mut file, read_from) = File::read(self.config.as_deref())?;
        if self.data_dir.is_some() {
            file.data_dir.clone_from(&self.data_dir);
        }
        Ok(Config { read_from, ..Config::try_from(file)? })
    }

    fn open(&self, stay: Stay) -> anyhow::Result<House> {
        let config = self.read()?;
        let receipts = config.mail_log.as_deref().map_or(Receipts::None, Receipts::postfix);
        House::open(config, Arc::new(SystemClock), receipts, stay)
    }

    pub fn visit(&self) -> anyhow::Result<House> {
        self.open(Stay::Visitor)
    }

    /// The house, where there is one already.
    pub fn look(&self) -> anyhow::Result<House> {
        self.open(Stay::Guest)
    }
}

fn run_loop(at: &Where, roles: &[Stage]) -> anyhow::Result<ExitCode> {
    let house = Arc::new(at.open(Stay::Worker)?);
    house.config.warnings().iter().for_each(|w| eprintln!("warning: {w}"));
    let stages = if roles.is_empty() { Stage::ALL.to_vec() } else { roles.to_vec() };
    if stages.contains(&Stage::Mail) {
        let listeners = Listeners::bind(&house.config)?;
        let console_url = serve(Arc::clone(&house), listeners)?;
        eprintln!("portal   {}\nconsole  {console_url}", house.config.base_url);
        returns::start(&house)?;
    }
    if stages.contains(&Stage::Reach) {
        webhooks::start(&house)?;
        organisations::start(&house)?;
    }
    if stages.contains(&Stage::Observe) {
        sources::start(&house)?;
        crate::sessions::start(&house)?;
        crate::consents::start(&house)?;
    }
    if stages.contains(&Stage::Improve) {
        let house = Arc::clone(&house);
        std::thread::Builder::new()
            .name("retention".into())
            .spawn(move || retention::keep_forgetting(&house))?;
    }
    let worker = Arc::clone(&house);
    std::thread::Builder::new().name("stages".into()).spawn(move || work(&worker, &stages))?;
    until_interrupted()?;
    Ok(ExitCode::SUCCESS)
}

fn observe(at: &Where, what: Observe) -> anyhow::Result<ExitCode> {
    let house = at.visit()?;
    let named = |path: &Path| match path.file_stem() {
        Some(stem) if path.as_os_str() != "-" => stem.to_string_lossy().into_owned(),
        _ => "stdin".to_owned(),
    };
    let (taken, as_json): (Vec<anyhow::Result<Taken>>, bool) = match what {
        Observe::Seized { files, format, campaign, columns, json } => {
            let format = seized_format(&house, format.as_deref(), &columns)?;
            let take = |file: &PathBuf| {
                let campaign = campaign.clone().unwrap_or_else(|| named(file));
                take_seized(&house, file, &campaign, TakedownNotice::MEASURE, &format)
            };
            (files.iter().map(take).collect(), json)
        }
        Observe::Radius { files, json } => {
            (files.iter().map(|file| take_radius(&house, file)).collect(), json)
        }
    };
    let mut code = ExitCode::SUCCESS;
    for taken in taken {
        match taken {
            Ok(taken) if as_json => report::json(&taken)?,
            Ok(taken) => say!("{:<32} {}", taken.file, taken.counts),
            Err(e) => {
                eprintln!("noroshi: {e:#}");
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

fn sessions(at: &Where, what: SessionsCommand) -> anyhow::Result<ExitCode> {
    match what {
        SessionsCommand::Bench(wish) => crate::sessions::bench(&wish),
        SessionsCommand::Import(wish) => crate::sessions::import(&at.visit()?, &wish),
        SessionsCommand::Follow(wish) => crate::sessions::follow(&at.visit()?, &wish),
        SessionsCommand::Serve { json } => crate::sessions::serve(&at.visit()?, json),
        what => crate::sessions::look(&at.look()?, &what),
    }
}

fn feed(at: &Where, what: FeedCommand) -> anyhow::Result<ExitCode> {
    match what {
        FeedCommand::Load { files, what, campaign, measure, wanted, json } => {
            let campaign = feeds::campaign(campaign, measure);
            feeds::load(&at.visit()?, &files, &what, campaign, &wanted, json)
        }
        FeedCommand::Flush { feed, all, json } => {
            lists::flush_groups(&at.look()?, feed.as_deref(), all, json)
        }
        FeedCommand::ListDiff { feed, json } => lists::diff(&at.look()?, &feed, json),
        FeedCommand::Listed { feed, json } => lists::listed(&at.look()?, &feed, json),
        FeedCommand::Parse { files, what, enrich } => feeds::parse(&files, &what, &at.read()?, enrich),
        FeedCommand::New { sample, name, kind, zone, save, replace } => {
            feeds::new(&at.read()?, &sample, &Wish { name, kind, zone }, save, replace)
        }
        FeedCommand::Try { map, sample } => feeds::try_map(&map, &sample),
        FeedCommand::Sign { folder, key, signer, version } => {
            maps::sign_folder(&folder, &key, &signer, version)
        }
        FeedCommand::Status { json } => counters::status(&at.look()?, json),
        FeedCommand::Tables { json } => counters::tables(json),
        FeedCommand::Formats { json } => feeds::list_formats(&at.read()?, json),
    }
}

fn seized_format(house: &House, name: Option<&str>, typed: &Columns) -> anyhow::Result<SeizedFormat> {
    let mut format = match name {
        Some(name) => house.config.seized.get(name).cloned().with_context(|| {
            let known: Vec<&str> = house.config.seized.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            format!("there is no [seized.{name}] in the configuration; there are: {known}")
        })?,
        None => SeizedFormat::default(),
    };
    format.delimiter = typed.delimiter.unwrap_or(format.delimiter);
    if typed.jsonl {
        format.format = noroshi_wire::seized::SeizedKind::Jsonl;
    }
    let set = |to: &mut String, from: &Option<String>| {
        if let Some(from) = from {
            to.clone_from(from);
        }
    };
    set(&mut format.address, &typed.address);
    set(&mut format.time, &typed.time);
    format.port = typed.port.clone().or(format.port);
    format.malware = typed.malware.clone().or(format.malware);
    format.malware_name = typed.malware_name.clone().or(format.malware_name);
    if let Some(text) = &typed.time_format {
        format.time_format = TimeFormat::try_from(text.clone())?;
    }
    if let Some(text) = &typed.zone {
        format.zone = Some(Zone::try_from(text.clone())?);
    }
    if let Some(text) = &typed.encoding {
        format.encoding = Encoding::from_str(text)?;
    }
    format.check()?;
    Ok(format)
}

pub(crate) fn offset(page: &Page) -> u64 {
    u64::from(page.page.saturating_sub(1)) * u64::from(PAGE)
}

fn mails(at: &Where, what: MailCommand) -> anyhow::Result<ExitCode> {
    let since = jiff::Timestamp::UNIX_EPOCH;
    match what {
        MailCommand::List { json: as_json } => {
            let house = at.look()?;
            for state in [StepState::InDoubt, StepState::Sending, StepState::Pending] {
                for mail in
                    house.store.tx("mail.list", |tx| tx.steps_in(Channel::Mail, state, since, u32::MAX))?
                {
                    if as_json {
                        report::json(&mail.step)?;
                    } else {
                        say!(
                            "{} {} {:<9} {} {}",
                            mail.step.case,
                            mail.step.number,
                            mail.step.state,
                            mail.message_id,
                            mail.step.reply
                        );
                    }
                }
            }
        }
        MailCommand::Return { files, look, json } => {
            return returns::command(|| at.look(), &files, look, json);
        }
        MailCommand::Settle { case, number, sent, .. } => {
            let house = at.look()?;
            let case = Id::parse(&case).context("that is no case id")?;
            let now = house.clock.now();
            let settled = house.store.tx::<_, StoreError>("mail.settle-by-hand", |tx| {
                let found = tx.steps(&case)?.into_iter().find(|m| m.step.number == number);
                let Some(mail) = found.filter(|m| m.step.state == StepState::InDoubt) else {
                    return Ok(false);
                };
                let state = if sent { StepState::Sent } else { StepState::Pending };
                let step = Step { state, due: now, reply: "settled by hand".into(), ..mail.step };
                tx.put_step(StepState::InDoubt, &step, now)
            })?;
            if !settled {
                bail!("there is no mail {number} in doubt in case {case}");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn consent(at: &Where, what: Consent) -> anyhow::Result<ExitCode> {
    let (of, granted) = match what {
        Consent::List(page) => {
            for c in at.look()?.store.tx("consent.list", |tx| tx.consents(offset(&page), PAGE))? {
                if page.json {
                    report::json(&c)?;
                } else {
                    let word = if c.granted { "given" } else { "withdrawn" };
                    say!("{}  {:<22} {:<18} {word}: {}", jst(c.since), c.scope, c.measure, c.how);
                }
            }
            return Ok(ExitCode::SUCCESS);
        }
        Consent::Grant(of) => (of, true),
        Consent::Withdraw(of) => (of, false),
    };
    record_consent(&at.visit()?, &of, granted)?;
    Ok(ExitCode::SUCCESS)
}

fn record_consent(house: &House, of: &ConsentOf, granted: bool) -> anyhow::Result<()> {
    if of.measure != "*" && house.register.measure(&of.measure).is_none() {
        bail!("there is no measure '{}'; see `noroshi law measures`", of.measure);
    }
    let scope = match &of.contract {
        Some(text) => house.party(&ContractRef::parse(text).context("that is no contract reference")?),
        None => TERMS.to_owned(),
    };
    let now = house.clock.now();
    house.store.tx("consent.put", |tx| {
        tx.put_consent(&scope, &of.measure, granted, &of.how, now)?;
        match (granted, scope.as_str()) {
            (_, TERMS) => {}
            (true, party) => drop(tx.take_up_held(party, now)?),
            (false, party) => drop(tx.ask_party_out(party, "the consent was withdrawn", now)?),
        }
        Ok(())
    })
}

fn config(at: &Where, what: &ConfigCommand) -> anyhow::Result<ExitCode> {
    let config = at.read()?;
    match what {
        ConfigCommand::Texts { tag, to } => {
            let lang = Lang::parse(tag)
                .with_context(|| format!("{tag} is no tag of a language: pt, zh-Hans, vi"))?;
            say!("{}", languages::write_out(to, lang)?.display());
            Ok(ExitCode::SUCCESS)
        }
        ConfigCommand::Check => {
            let texts = Texts::read(config.languages.as_deref()).context("operator.languages")?;
            eprintln!(
                "languages: {}",
                texts.notice.spoken().iter().map(Lang::tag).collect::<Vec<_>>().join(", ")
            );
            let warnings = config.warnings();
            warnings.iter().for_each(|w| say!("warning: {w}"));
            if warnings.is_empty() {
                say!("nothing to remark");
            }
            Ok(if warnings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND_WRONG) })
        }
        ConfigCommand::Show => {
            say_on!("{}", toml::to_string_pretty(&config.filled_in())?);
            Ok(ExitCode::SUCCESS)
        }
    }
}
