//! The demo's subscribers: they read their mail, some open the link, some fetch the steps, some say it is done, one wants
//! no more of it. Over real HTTP, with nothing but what the mail says.
//!
//! Who does what follows from the last digit of the mail address, so that every run shows the same funnel.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use mail_parser::MessageParser;

use super::mailbox;

/// How far a subscriber goes.
fn acts(digit: u32) -> &'static [&'static str] {
    match digit {
        1..=3 => &["", "/steps", "/done"],
        4 => &["", "/steps"],
        5 | 6 => &[""],
        9 => &["", "/opt-out"],
        _ => &[],
    }
}

/// Everybody reads their mail; how many requests were made.
pub fn visit(folder: &Path, portal: SocketAddr) -> anyhow::Result<u64> {
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().max_redirects(5).build());
    let mut requests = 0;
    for path in mailbox::mails(folder)? {
        let mail = std::fs::read(&path)?;
        let (to, link_path) = read(&mail).with_context(|| format!("{} is no notice", path.display()))?;
        let digit = to.bytes().rev().find(u8::is_ascii_digit).map_or(0, |b| u32::from(b - b'0'));
        for act in acts(digit) {
            let url = format!("http://{portal}{link_path}{act}");
            let answer = match *act {
                "" => agent.get(&url).call(),
                _ => agent.post(&url).send_form([("lang", "ja")]),
            };
            answer.map_err(|e| anyhow!("the portal did not answer a subscriber: {e}"))?;
            requests += 1;
        }
    }
    Ok(requests)
}

/// Whom a mail is for, and the path of the link in its text.
fn read(mail: &[u8]) -> Option<(String, String)> {
    let message = MessageParser::default().parse(mail)?;
    let to = message.to()?.first()?.address()?.split('@').next()?.to_owned();
    let text = message.body_text(0)?;
    let start = text.find("/n/")?;
    let link: String = text[start..].chars().take_while(|c| !c.is_whitespace()).collect();
    Some((to, link))
}
