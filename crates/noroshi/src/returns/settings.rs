//! `[mail.returns]`: where mails come back to, as written ([`ReturnsFile`]) and as meant ([`Returns`]).

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use noroshi_model::return_path::ReturnPath;
use serde::{Deserialize, Serialize};

use crate::sources::{ImapOrigin, Login, Tls};

/// Default of `every-s`.
const EVERY_S: u64 = 60;

/// `[mail.returns]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ReturnsFile {
    /// The mailbox's address; each mail gets one of its own, with a token behind the delimiter.
    pub address: String,
    /// What stands before the token: `recipient_delimiter` of the mail server. Default: `+`.
    pub delimiter: Option<char>,
    /// Its IMAP server, `host:993`. Without one, the mail server gives what comes back to `noroshi mail return -`.
    pub imap: Option<String>,
    /// How the connection is protected. Default: `tls`.
    pub tls: Option<Tls>,
    /// File with the certificates (PEM) that the server's has to come from. Default: the web's.
    pub ca_file: Option<PathBuf>,
    /// User name.
    pub user: Option<String>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// Folder of the mailbox. Default: `INBOX`.
    pub mailbox: Option<String>,
    /// How often it is looked into, in seconds. Default: 60.
    pub every_s: Option<u64>,
}

/// Where mails come back to.
#[derive(Clone, Debug)]
pub struct Returns {
    /// As written.
    pub file: ReturnsFile,
    /// The address of each mail.
    pub path: ReturnPath,
    /// The mailbox.
    pub mailbox: Option<ImapOrigin>,
    /// How often it is looked into.
    pub every: Duration,
}

impl Returns {
    /// Reads what was written.
    pub fn read(file: ReturnsFile) -> anyhow::Result<Self> {
        let path = ReturnPath::new(&file.address, file.delimiter.unwrap_or('+')).with_context(|| {
            format!("address = \"{}\": a plain mail address, its local part at most 23 characters; delimiter + - or =", file.address)
        })?;
        let login = match (&file.user, &file.password_file) {
            (Some(user), Some(file)) => Some(Login { user: user.clone(), password_file: file.clone() }),
            (None, None) => None,
            _ => bail!("user and password-file go together"),
        };
        let mailbox = match &file.imap {
            Some(server) => {
                let mailbox = ImapOrigin::new(server, file.tls, login, file.mailbox.as_deref())?;
                Some(ImapOrigin { ca_file: file.ca_file.clone(), ..mailbox })
            }
            None => {
                ensure!(login.is_none(), "user is of a mailbox: say which, with imap = \"host:993\"");
                None
            }
        };
        let every = Duration::from_secs(file.every_s.unwrap_or(EVERY_S).max(1));
        Ok(Self { file, path, mailbox, every })
    }
}
