//! `noroshi mail return`: for a mail server that pipes what comes back, and for looking now.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use noroshi_wire::returned::MAIL_BYTES_MAX;

use super::{Looked, look, take};
use crate::house::House;
use crate::report::{self, say};

/// `EX_TEMPFAIL` of sysexits.h: a mail server keeps the mail and gives it again.
const TRY_AGAIN: u8 = 75;

/// Takes in what is given, or looks into the mailbox.
pub fn command(
    open: impl FnOnce() -> anyhow::Result<House>,
    files: &[PathBuf],
    now: bool,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let looked = if now { look_now(&open()?) } else { take_all(open, files) };
    let looked = match looked {
        Ok(looked) => looked,
        // A mail server that gives a mail would return it for any other code, or throw it away.
        Err(e) if !now => {
            eprintln!("noroshi: {e:#}; give it again later");
            return Ok(ExitCode::from(TRY_AGAIN));
        }
        Err(e) => return Err(e),
    };
    if as_json {
        report::json(&looked)?;
    } else {
        say!(
            "{} about mails of ours, {} known before, {} about none of ours; {} for a person to read",
            looked.kept,
            looked.duplicate,
            looked.unknown,
            looked.flagged
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn look_now(house: &House) -> anyhow::Result<Looked> {
    let returns = house.config.returns.as_ref().filter(|returns| returns.mailbox.is_some());
    look(house, returns.context("[mail.returns] names no mailbox: set imap, user, password-file")?)
}

fn take_all(open: impl FnOnce() -> anyhow::Result<House>, files: &[PathBuf]) -> anyhow::Result<Looked> {
    let house = open()?;
    let mut looked = Looked::default();
    for file in files {
        let mail = given(file).with_context(|| format!("{} cannot be read", file.display()))?;
        looked.count(take(&house, &mail)?);
    }
    Ok(looked)
}

/// The beginning of a mail, which is enough.
fn given(file: &Path) -> io::Result<Vec<u8>> {
    let input: Box<dyn io::Read> =
        if file.as_os_str() == "-" { Box::new(io::stdin().lock()) } else { Box::new(File::open(file)?) };
    let mut mail = Vec::new();
    input.take(MAIL_BYTES_MAX as u64).read_to_end(&mut mail)?;
    Ok(mail)
}
