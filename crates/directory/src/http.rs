//! A directory behind HTTP: two questions, asked by POST so that no name of a line stands in anybody's access log.
//!
//! ```text
//!   POST URL/contract   {"line": "…"}      ──▶ 200 {"contract": "…", "opted_out": false}            │ 404 nobody
//!   POST URL/subscriber {"contract": "…"}  ──▶ 200 {"name": "…", "mail": "…", "language": "ja"}     │ 404 nobody
//! ```
//!
//! `phone` and `address` may be told beside `language`.

use std::path::PathBuf;

use noroshi_act::directory::{Directory, DirectoryError, Holder, Listed};
use noroshi_law::Sealed;
use noroshi_model::{ContractRef, Subscriber};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{ANSWER, Told, away, listed, secret, subscriber};

/// Most bytes of an answer.
const BYTES_MAX: u64 = 64 << 10;

/// `[directory.http]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HttpFile {
    /// What both questions begin with. `https`, but on loopback.
    pub url: String,
    /// File with a bearer token.
    pub token_file: Option<PathBuf>,
}

#[derive(Deserialize)]
struct OfLine {
    contract: String,
    #[serde(default)]
    opted_out: bool,
}

#[derive(Deserialize)]
struct OfContract {
    name: String,
    mail: String,
    language: Option<String>,
    phone: Option<String>,
    address: Option<String>,
}

/// See the module's text.
#[derive(Debug)]
pub struct HttpDirectory {
    agent: ureq::Agent,
    url: String,
    authorization: Option<String>,
}

impl HttpDirectory {
    /// With what the configuration says.
    pub fn new(file: &HttpFile) -> Result<Self, DirectoryError> {
        let url = file.url.trim_end_matches('/').to_owned();
        let on_loopback =
            ["http://127.", "http://[::1]", "http://localhost"].iter().any(|start| url.starts_with(start));
        if !url.starts_with("https://") && !on_loopback {
            return Err(DirectoryError::Unreadable("directory.http.url must begin with https://".into()));
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER))
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("noroshi/", env!("CARGO_PKG_VERSION")));
        let authorization =
            file.token_file.as_deref().map(secret).transpose()?.map(|token| format!("Bearer {token}"));
        Ok(Self { agent: config.build().into(), url, authorization })
    }

    fn post<T: DeserializeOwned>(
        &self,
        what: &str,
        body: &serde_json::Value,
    ) -> Result<Option<T>, DirectoryError> {
        let mut request = self
            .agent
            .post(format!("{}/{what}", self.url))
            .header("Content-Type", "application/json")
            .header("Accept", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let mut response = request.send(body.to_string()).map_err(away)?;
        match response.status().as_u16() {
            200 => {}
            404 => return Ok(None),
            status @ (400 | 401 | 403 | 405) => {
                return Err(DirectoryError::Unreadable(format!("{what} was answered with {status}")));
            }
            status => return Err(away(format!("{what} was answered with {status}"))),
        }
        let told = response.body_mut().with_config().limit(BYTES_MAX).read_to_vec().map_err(away)?;
        // An error of serde could repeat what was told.
        let told = serde_json::from_slice(&told);
        told.map(Some).map_err(|_| DirectoryError::Entry(format!("{what} was not answered as agreed")))
    }
}

impl Directory for HttpDirectory {
    fn contract(&self, holder: &Holder) -> Result<Option<Listed>, DirectoryError> {
        let told: Option<OfLine> = self.post("contract", &serde_json::json!({ "line": holder.user }))?;
        told.map(|told| listed(&told.contract, told.opted_out)).transpose()
    }

    fn subscriber(&self, contract: &ContractRef) -> Result<Option<Sealed<Subscriber>>, DirectoryError> {
        let told: Option<OfContract> =
            self.post("subscriber", &serde_json::json!({ "contract": contract.as_str() }))?;
        let told = told.as_ref().map(|told| Told {
            name: &told.name,
            mail: &told.mail,
            language: told.language.as_deref(),
            phone: told.phone.as_deref(),
            address: told.address.as_deref(),
        });
        told.map(|told| subscriber(contract, &told)).transpose()
    }
}
