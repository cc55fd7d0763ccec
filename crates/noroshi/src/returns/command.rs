//! `noroshi mail return`: for a mail server that pipes what comes back, and for looking now.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use noroshi_wire::returned::MAIL_BYTES_MAX;

use super::{Looked, look, take};
use crate::house::House;
use crate::report::{self, say};

/// `EX_TEMPFAIL` of sysexits.h: a mail server keeps the mail and gives it again.
const TRY_AGAIN: u8 = 75;

/// Takes in what is given, or looks into the mailbox.
pub fn command(house: &House, files: &[PathBuf], now: bool, as_json: bool) -> anyhow::Result<ExitCode> {
    let looked = if now {
        let returns = house.config.returns.as_ref().filter(|returns| returns.mailbox.is_some());
        let Some(returns) = returns else {
            bail!("[mail.returns] names no mailbox: set imap, user, password-file")
        };
        look(house, returns)?
    } else {
        let mut looked = Looked::default();
        for file in files {
            let mail = given(file).with_context(|| format!("{} cannot be read", file.display()))?;
            match take(house, &mail) {
                Ok(came) => looked.count(&came),
                Err(e) => {
                    eprintln!("noroshi: {e}; give it again later");
                    return Ok(ExitCode::from(TRY_AGAIN));
                }
            }
        }
        looked
    };
    if as_json {
        report::json(&looked)?;
    } else {
        say!(
            "{} about mails of ours (of these {} by a person), {} known, {} about none of ours",
            looked.kept,
            looked.answers,
            looked.duplicate,
            looked.unknown
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The beginning of a mail, which is enough.
fn given(file: &Path) -> io::Result<Vec<u8>> {
    let input: Box<dyn io::Read> =
        if file.as_os_str() == "-" { Box::new(io::stdin().lock()) } else { Box::new(File::open(file)?) };
    let mut mail = Vec::new();
    input.take(MAIL_BYTES_MAX as u64).read_to_end(&mut mail)?;
    Ok(mail)
}
