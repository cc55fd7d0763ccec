//! What is posted to somebody else's server, signed as Standard Webhooks 1.0 says: the receiver knows the id of what it took
//! already, so that the same message may be posted again after an answer was lost.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use noroshi_model::Id;
use ring::hmac;
use serde_json::Value;

use crate::export::is_loopback;
use crate::sources::secret;

/// Longest wait for one answer.
const ANSWER: Duration = Duration::from_secs(15);
/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// Fewest octets of a secret, as the standard says.
const SECRET_BYTES_MIN: usize = 24;
/// Bytes of an answer that are kept.
const ANSWER_SHOWN: u64 = 200;

/// What became of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// Taken.
    Taken(String),
    /// Refused for good.
    Refused(String),
    /// Not now, or the answer was lost: the same again, later.
    Later(String),
}

/// A receiver.
#[derive(Clone)]
pub struct Webhook {
    agent: ureq::Agent,
    url: String,
    key: hmac::Key,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Webhook({})", self.url)
    }
}

impl Webhook {
    /// Checks the address and reads the secret; asks nothing yet.
    pub fn new(url: &str, secret_file: &Path) -> anyhow::Result<Self> {
        let uri: ureq::http::Uri = url.parse().with_context(|| format!("{url} is no address"))?;
        let host = uri.host().with_context(|| format!("{url} names no host"))?;
        ensure!(
            uri.scheme_str() == Some("https") || is_loopback(host),
            "what is posted leaves this machine over https:// only ({url})"
        );
        let written = secret(secret_file)?;
        let encoded = written.strip_prefix(PREFIX);
        let encoded =
            encoded.with_context(|| format!("{}: a secret begins with {PREFIX}", secret_file.display()))?;
        let bytes = STANDARD.decode(encoded).ok().filter(|bytes| bytes.len() >= SECRET_BYTES_MIN);
        let bytes = bytes.with_context(|| {
            format!("{}: base64 of at least {SECRET_BYTES_MIN} bytes behind {PREFIX}", secret_file.display())
        })?;
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("noroshi/", env!("CARGO_PKG_VERSION")));
        Ok(Self {
            agent: config.build().new_agent(),
            url: url.to_owned(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &bytes),
        })
    }

    /// Posts what happened, under an id that stays the same whenever it is posted again.
    pub fn post(&self, id: &Id, what: &str, data: &Value, now: Timestamp) -> Posted {
        self.post_of(id, what, data, now, now)
    }

    /// The same of what happened some time ago, which it says whenever it is posted.
    pub fn post_of(&self, id: &Id, what: &str, data: &Value, happened: Timestamp, now: Timestamp) -> Posted {
        let body = serde_json::json!({ "type": what, "timestamp": happened.to_string(), "data": data });
        self.post_body(id, "application/json", body.to_string(), now)
    }

    /// Posts a body of another form, signed in the same way.
    pub fn post_body(&self, id: &Id, media_type: &str, body: String, now: Timestamp) -> Posted {
        let at = now.as_second().to_string();
        let signed = hmac::sign(&self.key, format!("{id}.{at}.{body}").as_bytes());
        let request = self
            .agent
            .post(&self.url)
            .header("Content-Type", media_type)
            .header("webhook-id", id.as_str())
            .header("webhook-timestamp", at)
            .header("webhook-signature", format!("v1,{}", STANDARD.encode(signed)));
        let mut response = match request.send(body) {
            Ok(response) => response,
            Err(e) => return Posted::Later(e.to_string()),
        };
        let status = response.status();
        let said = response.body_mut().with_config().limit(ANSWER_SHOWN).lossy_utf8(true).read_to_string();
        let said: String = said.unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
        // What a gateway repeats of the message, its number above all, is not kept.
        let said: String = said.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
        let reply = format!("{} {said}", status.as_u16()).trim().to_owned();
        match status.as_u16() {
            200..=299 => Posted::Taken(reply),
            // Nothing about this message: the address, the secret, the receiver's own state.
            401 | 403 | 404 | 405 | 408 | 425 | 429 | 300..=399 | 500..=599 => Posted::Later(reply),
            _ => Posted::Refused(reply),
        }
    }
}
