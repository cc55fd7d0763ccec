//! What can be typed. Noun then verb; `--json` on every listing; data on stdout, log on stderr.
//!
//! Exit codes: 0 done; 1 failed, with the cause on stderr; 2 the command line is wrong; 3 a check found something wrong
//! (`notice lint`, `evidence verify`, `evidence export --tiles`, `doctor`, `config check`, `law check`, `sessions verify`); 4 the rules
//! refused (`law ask`, `law explain`, `sessions who`); 75 `mail return` could not take a mail now.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};

use crate::api::{ApiCommand, TokenCommand};
use crate::cases::CaseCommand;
use crate::darknet::DarknetCommand;
use crate::demo;
use crate::events::EventCommand;
use crate::feeds::FeedCommand;
use crate::garden::GardenCommand;
use crate::ladder::{LadderCommand, StepCommand};
use crate::law::LawCommand;
use crate::organisations::OrganisationCommand;
use crate::outcome::OutcomeCommand;
use crate::quarantine::QuarantineCommand;
use crate::sources::commands::SourceCommand;
use crate::staff::StaffCommand;
use crate::stages::Stage;
use crate::webhooks::WebhookCommand;

/// The dynamic-defence loop as one program: observe, orient, decide, act, improve
#[derive(Debug, Parser)]
#[command(
    name = "noroshi",
    version,
    propagate_version = true,
    after_help = "\
Exit codes: 0 done, 1 failed, 2 wrong command line, 3 a check found something wrong, 4 refused by a rule."
)]
pub struct Cli {
    /// Configuration file [default: noroshi.toml in the current folder, if there is one]
    #[arg(long, global = true, value_name = "FILE", env = "NOROSHI_CONFIG")]
    pub config: Option<PathBuf>,
    /// Folder of database, keys and evidence head [default: noroshi-data; the demo: noroshi-data/demo]
    #[arg(long, global = true, value_name = "DIR", env = "NOROSHI_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Play the whole loop on recorded input, with nothing to set up
    Demo(demo::Options),
    /// Run stages, portal and console until interrupted
    Run {
        /// Only these stages (default: all); portal and console are served by the process that has `mail`
        #[arg(long, value_delimiter = ',', value_enum)]
        role: Vec<Stage>,
    },
    /// Take something in
    #[command(subcommand)]
    Observe(Observe),
    /// Reports of others: feeds, lists, mails
    #[command(subcommand)]
    Feed(FeedCommand),
    /// Stored events: look at them, hand them on
    #[command(subcommand)]
    Event(EventCommand),
    /// Where reports come from by themselves: folders, web servers, mailboxes, queues, senders
    #[command(subcommand)]
    Source(SourceCommand),
    /// The session book: who held which address when
    #[command(subcommand)]
    Sessions(crate::sessions::SessionsCommand),
    /// The telescope: packets to addresses that nobody uses
    #[command(subcommand)]
    Darknet(DarknetCommand),
    /// Organisations that are told when a telescope sees one of their addresses
    #[command(subcommand)]
    Organisation(OrganisationCommand),
    /// A sensor of the telescope, apart from the hub
    #[cfg(target_os = "linux")]
    Sensor(Box<crate::darknet::sensor::Sensor>),
    /// The policy resolver: DNS answers, and warnings instead of malicious ones
    #[cfg(target_os = "linux")]
    Resolver(Box<crate::resolver::ResolverCommand>),
    /// Sites that do harm: what lists say, what people decide, and why
    #[command(subcommand)]
    Site(Box<crate::site::SiteCommand>),
    /// Cases: look at them, hold them, say what is none
    #[command(subcommand)]
    Case(CaseCommand),
    /// Lines that could not be read: look at them, read them again, drop them
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// The mail to subscribers: look at it, and hold it against what it has to say
    #[command(subcommand)]
    Notice(NoticeCommand),
    /// How subscribers are told, and the switch that stops it
    #[command(subcommand)]
    Ladder(LadderCommand),
    /// Steps of the ladder: those that wait for a person, and calls that were made
    #[command(subcommand)]
    Step(StepCommand),
    /// People of the console: who may come in, and as what
    #[command(subcommand)]
    Staff(StaffCommand),
    /// The walled garden: who is in, and letting them out
    #[command(subcommand)]
    Garden(GardenCommand),
    /// Mails: what came back, and those of which nobody knows whether they arrived
    #[command(subcommand)]
    Mail(MailCommand),
    /// Check and export the record of every look
    #[command(subcommand)]
    Evidence(Evidence),
    /// Show what came of it: by campaign, by wording, by network
    Outcome(OutcomeCommand),
    /// Measures, rules, and what they say
    #[command(subcommand)]
    Law(LawCommand),
    /// The consent register
    #[command(subcommand)]
    Consent(Consent),
    /// The configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Who may use the API
    #[command(subcommand)]
    Token(TokenCommand),
    /// The API
    #[command(subcommand)]
    Api(ApiCommand),
    /// Who is told what happens, and how that goes
    #[command(subcommand)]
    Webhook(WebhookCommand),
    /// Find out what is wrong and how to mend it
    Doctor {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the address of the running console, with its access key
    ConsoleUrl,
    /// Print a shell's completion script
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Take something in
#[derive(Debug, Subcommand)]
pub enum Observe {
    /// Logs of a seized C&C server (CSV or JSON lines)
    Seized {
        /// Files, `-` for standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// A format of the configuration's `[seized.NAME]`
        #[arg(long, value_name = "NAME")]
        format: Option<String>,
        /// What this takedown is called [default: the file's name without its ending]
        #[arg(long)]
        campaign: Option<String>,
        /// How the log is written, where no format is named
        #[command(flatten)]
        columns: Box<Columns>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// FreeRADIUS `detail` accounting files
    Radius {
        /// Files, `-` for standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// How a seized log is written.
#[derive(Debug, Args)]
pub struct Columns {
    /// Column of the address
    #[arg(long, value_name = "COLUMN")]
    pub address: Option<String>,
    /// Column of the time
    #[arg(long, value_name = "COLUMN")]
    pub time: Option<String>,
    /// Column of the source port
    #[arg(long, value_name = "COLUMN")]
    pub port: Option<String>,
    /// rfc3339, epoch, epoch-ms, epoch-us, epoch-ns, or a strptime pattern
    #[arg(long, value_name = "FORMAT")]
    pub time_format: Option<String>,
    /// Zone of times that carry none, e.g. Asia/Tokyo; without it they are refused
    #[arg(long)]
    pub zone: Option<String>,
    /// Column of the malware family
    #[arg(long, value_name = "COLUMN")]
    pub malware: Option<String>,
    /// The malware family, where no column says
    #[arg(long, value_name = "NAME")]
    pub malware_name: Option<String>,
    /// The file is JSON lines
    #[arg(long)]
    pub jsonl: bool,
    /// Between columns [default: ,]
    #[arg(long)]
    pub delimiter: Option<char>,
    /// The text's encoding, e.g. shift_jis
    #[arg(long)]
    pub encoding: Option<String>,
}

/// Which page of a listing.
#[derive(Debug, Args)]
pub struct Page {
    /// Page, from 1
    #[arg(long, default_value_t = 1)]
    pub page: u32,
    /// Print JSON lines
    #[arg(long)]
    pub json: bool,
}

/// Settle mails in doubt
#[derive(Debug, Subcommand)]
pub enum MailCommand {
    /// List mails that are not settled
    List {
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Take in a mail that came back: what a mail server or a person said of a notice
    Return {
        /// Files, `-` for standard input, as a mail server gives it
        #[arg(required_unless_present = "look")]
        files: Vec<PathBuf>,
        /// Look into the mailbox of `[mail.returns]` now
        #[arg(long, conflicts_with = "files")]
        look: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what became of a mail in doubt
    #[command(group(ArgGroup::new("fate").required(true).args(["sent", "resend"])))]
    Settle {
        /// The case
        case: String,
        /// The mail's number in the case
        number: u32,
        /// It arrived
        #[arg(long)]
        sent: bool,
        /// It did not: send it again
        #[arg(long)]
        resend: bool,
    },
}

/// The mail to subscribers
#[derive(Debug, Subcommand)]
pub enum NoticeCommand {
    /// Show the mail of a made-up case
    Preview {
        /// The malware family
        #[arg(long, default_value = "mirai")]
        family: String,
        /// The language, by its tag
        #[arg(long, default_value = "ja")]
        lang: String,
        /// The measure under which it is written
        #[arg(long, value_name = "ID", default_value = "takedown-notice")]
        measure: String,
        /// The HTML form
        #[arg(long)]
        html: bool,
        /// The short message instead, which is also what is said on the telephone
        #[arg(long, conflicts_with = "html")]
        short: bool,
        /// The subject instead
        #[arg(long, conflicts_with_all = ["html", "short"])]
        subject: bool,
        /// A wording that is tried out
        #[arg(long, value_name = "ID", default_value = "standard")]
        wording: String,
    },
    /// List the wordings, and how many of a hundred new cases get each
    Wordings {
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Hold the mails of every wording, family, language and measure against what a notice has to say
    Lint,
}

/// The evidence log
#[derive(Debug, Subcommand)]
pub enum Evidence {
    /// Walk the whole log, a folder of its tiles, or check a proof offline
    Verify {
        /// A proof of an entry or of growth; needs no data folder
        #[arg(long, value_name = "FILE", requires = "key", conflicts_with_all = ["tiles", "checkpoint"])]
        proof: Option<PathBuf>,
        /// A folder of tiles, in place of the log in the database; with --key it needs no data folder
        #[arg(long, value_name = "DIR")]
        tiles: Option<PathBuf>,
        /// A checkpoint that somebody kept: the log must have grown from it; may be given several times
        #[arg(long, value_name = "FILE")]
        checkpoint: Vec<PathBuf>,
        /// The log's public key (keys/evidence.pub), got from somewhere you trust
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a proof that verifies offline: of one entry, or that the log only grew
    Prove {
        /// The entry's index
        #[arg(required_unless_present = "from_size", conflicts_with = "from_size")]
        index: Option<u64>,
        /// Prove that the newest checkpoint's log is the one of so many entries, grown
        #[arg(long, value_name = "N")]
        from_size: Option<u64>,
        /// Print it in one line
        #[arg(long)]
        json: bool,
    },
    /// Write the log as tiles for a web server, or print the proof of one entry
    Export {
        /// The entry's index (the same as `evidence prove`)
        #[arg(required_unless_present = "tiles", conflicts_with = "tiles")]
        index: Option<u64>,
        /// A folder of tiles (C2SP tlog-tiles): writes what it lacks
        #[arg(long, value_name = "DIR")]
        tiles: Option<PathBuf>,
        /// Print JSON; a proof in one line
        #[arg(long)]
        json: bool,
    },
    /// What the public is told: how many subscribers were touched, by which measure
    Transparency {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List entries, newest first
    List(Page),
}

/// The consent register
#[derive(Debug, Subcommand)]
pub enum Consent {
    /// List what was said, newest first
    List(Page),
    /// Record that consent is given
    Grant(ConsentOf),
    /// Record that consent is withdrawn
    Withdraw(ConsentOf),
}

/// Whose consent, to what.
#[derive(Debug, Args)]
pub struct ConsentOf {
    /// The measure, or * for every one that writes to subscribers
    #[arg(long)]
    pub measure: String,
    /// A contract; without it, the contract terms that hold for all
    #[arg(long, value_name = "REFERENCE")]
    pub contract: Option<String>,
    /// How it was said
    #[arg(long)]
    pub how: String,
}

/// The configuration
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check it and warn of what is legal but unwise
    Check,
    /// Print it with every default filled in
    Show,
    /// Write out what is said to subscribers, to be translated: a folder for `operator.languages`
    Texts {
        /// The language to translate to, by its tag: pt, zh-Hans, vi
        tag: String,
        /// Where: a folder with the tag's name is made in it
        #[arg(long, value_name = "DIR", default_value = ".")]
        to: PathBuf,
    },
}
