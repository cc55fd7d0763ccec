//! `noroshi token` and `noroshi api`.

use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Span, SpanRelativeTo};
use noroshi_act::notice::jst;
use noroshi_law::evidence::Digest;
use noroshi_model::Id;
use noroshi_portal::api::{Scope, TOKEN_PREFIX, document};
use noroshi_store::StoreError;
use noroshi_store::tokens::{TOKENS_MAX, Token};

use crate::commands::Where;
use crate::house::House;
use crate::report::{self, say};

/// Longest name of a token, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Tokens listed at most.
const LISTED_MAX: u32 = 10_000;
/// Longest life that can be given, in days.
const EXPIRES_DAYS_MAX: i64 = 3_650;

/// Who may use the API
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token; it is printed once and kept nowhere
    Add(Add),
    /// List tokens, with what each is good for and when it was used last
    List {
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Make a token open nothing, from the next request on
    Revoke {
        /// Its name
        name: String,
    },
}

/// A token to be made.
#[derive(Debug, Args)]
pub struct Add {
    /// Its name: small letters, digits, `-`, `_`, `.`; what it does is in the evidence log as `token:NAME`
    name: String,
    /// What it is good for: cases:read, steps:read, steps:write, ladder:read, ladder:write, events:read, intake:read, law:read, evidence:read, outcome:read
    #[arg(long, required = true, value_delimiter = ',', value_parser = scope)]
    scope: Vec<Scope>,
    /// For how long, like 90d or 12h [default: until it is revoked]
    #[arg(long, value_parser = life)]
    expires: Option<SignedDuration>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The API
#[derive(Debug, Subcommand)]
pub enum ApiCommand {
    /// Print its document (OpenAPI 3.1)
    Openapi,
}

fn scope(text: &str) -> Result<Scope, String> {
    let known = || Scope::ALL.iter().map(|scope| scope.id()).collect::<Vec<_>>().join(", ");
    Scope::parse(text).ok_or_else(|| format!("one of {}", known()))
}

fn life(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("write 90d or 12h, from a second to {EXPIRES_DAYS_MAX} days");
    let span: Span = text.parse().map_err(|_| wrong())?;
    let life = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    let fits =
        life >= SignedDuration::from_secs(1) && life <= SignedDuration::from_hours(24 * EXPIRES_DAYS_MAX);
    if fits { Ok(life) } else { Err(wrong()) }
}

/// Prints the document; needs no data folder.
pub fn api(what: &ApiCommand) -> anyhow::Result<ExitCode> {
    match what {
        ApiCommand::Openapi => say!("{}", serde_json::to_string_pretty(&document())?),
    }
    Ok(ExitCode::SUCCESS)
}

/// What the evidence log calls whoever makes or revokes a token: somebody with a shell on this machine.
const TYPED: &str = "command line";

/// Makes, lists, revokes.
pub fn tokens(at: &Where, what: &TokenCommand) -> anyhow::Result<ExitCode> {
    match what {
        TokenCommand::Add(wish) => add(&at.visit()?, wish)?,
        TokenCommand::List { json } => list(&at.look()?, *json)?,
        TokenCommand::Revoke { name } => {
            let house = at.visit()?;
            let now = house.clock.now();
            house.note(TYPED, &format!("revoked the token {name}"))?;
            if !house.store.tx("token.revoke", |tx| tx.revoke_token(name, now))? {
                bail!("no token of this name opens anything; see `noroshi token list`");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn add(house: &House, wish: &Add) -> anyhow::Result<()> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    ensure!(
        !wish.name.is_empty() && wish.name.len() <= NAME_BYTES_MAX && wish.name.bytes().all(plain),
        "a token's name has small letters, digits, '-', '_' and '.', {NAME_BYTES_MAX} at most"
    );
    let random = Id::random().zip(Id::random()).context("the system gave no randomness")?;
    let secret = format!("{TOKEN_PREFIX}{}{}", random.0, random.1);
    let now = house.clock.now();
    let mut scopes = wish.scope.clone();
    scopes.sort();
    scopes.dedup();
    let token = Token {
        name: wish.name.clone(),
        scopes: scopes.iter().map(|scope| scope.id().to_owned()).collect(),
        since: now,
        until: wish.expires.map(|life| now + life),
        used: None,
        revoked: None,
    };
    let hash = Digest::of(secret.as_bytes());
    house.note(TYPED, &format!("made the token {} for {}", token.name, token.scopes.join(", ")))?;
    let (room, new) = house.store.tx::<_, StoreError>("token.add", |tx| {
        if tx.good_tokens(now)? >= TOKENS_MAX {
            return Ok((false, false));
        }
        Ok((true, tx.put_token(&token, &hash)?))
    })?;
    ensure!(room, "there are {TOKENS_MAX} tokens; revoke some first");
    ensure!(
        new,
        "{} is or was the name of a token, and stays its own: the evidence log tells them apart by name",
        wish.name
    );
    if wish.json {
        report::json(&serde_json::json!({
            "name": token.name, "token": secret, "scopes": token.scopes, "until": token.until,
        }))
    } else {
        say!("{secret}");
        Ok(())
    }
}

fn list(house: &House, json: bool) -> anyhow::Result<()> {
    let now = house.clock.now();
    let tokens = house.store.tx("token.list", |tx| tx.tokens(LISTED_MAX))?;
    for token in &tokens {
        if json {
            report::json(token)?;
            continue;
        }
        let stands = match (token.revoked, token.until) {
            (Some(at), _) => format!("revoked {}", jst(at)),
            (None, Some(until)) if until <= now => format!("over since {}", jst(until)),
            (None, Some(until)) => format!("until {}", jst(until)),
            (None, None) => "without an end".to_owned(),
        };
        let used = token.used.map_or("never used".to_owned(), |at| format!("last used about {}", jst(at)));
        say!("{:<24} {} ({stands}; {used})", token.name, token.scopes.join(" "));
    }
    if tokens.is_empty() && !json {
        eprintln!("no tokens; `noroshi token add` makes them");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_written_in_days_or_hours_and_is_neither_nothing_nor_for_ever() {
        assert_eq!(life("90d"), Ok(SignedDuration::from_hours(90 * 24)));
        assert_eq!(life("12h"), Ok(SignedDuration::from_hours(12)));
        for text in ["", "0d", "-1d", "4000d", "1mo", "soon"] {
            assert!(life(text).is_err(), "{text}");
        }
    }
}
