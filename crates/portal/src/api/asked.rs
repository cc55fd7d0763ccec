//! What is asked for: parameters and bodies. Unknown ones are refused, so that a mistyped filter does not give everything.

use jiff::Timestamp;
use noroshi_model::{CaseFilter, CaseState, ClassificationType, Seek};
use serde::Deserialize;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::{IntoParams, ToSchema};

use super::answers::case_states;
use super::desk::EventWish;
use super::problem::Problem;
use crate::cursor::Cursor;

/// Rows on a page, where nothing else is said.
pub(super) const LIMIT: u32 = 50;
/// Most rows on a page.
pub(super) const LIMIT_MAX: u32 = 200;
/// Most events on a page.
pub(super) const EVENTS_MAX: u32 = 1_000;
/// Longest name and reason, in characters.
const CHARS_MAX: usize = 200;

fn limit_of(limit: Option<u32>, most: u32) -> Result<u32, Problem> {
    match limit.unwrap_or(LIMIT) {
        limit if (1..=most).contains(&limit) => Ok(limit),
        _ => Err(Problem::bad(format!("limit is from 1 to {most}"))),
    }
}

/// A name from outside: not empty, not long, one line.
fn name_of(what: &str, name: Option<String>) -> Result<String, Problem> {
    let Some(name) = name else { return Ok(String::new()) };
    let fits = (1..=CHARS_MAX).contains(&name.chars().count()) && !name.contains(char::is_control);
    if fits {
        Ok(name)
    } else {
        Err(Problem::bad(format!(
            "{what} has from 1 to {CHARS_MAX} characters, none of them a control character"
        )))
    }
}

fn no_cursor() -> Problem {
    Problem::bad("this is no cursor that an answer gave as `next`")
}

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Most rows on the page; 50 where nothing is said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(max_length = 1024, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

impl PageQuery {
    pub(super) fn read(&self) -> Result<(u32, Option<Cursor>), Problem> {
        let cursor = self.cursor.as_deref().map(|text| Cursor::decode(text).ok_or_else(no_cursor));
        Ok((limit_of(self.limit, LIMIT_MAX)?, cursor.transpose()?))
    }
}

/// Which cases.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CasesQuery {
    /// In this state.
    #[param(schema_with = case_states)]
    state: Option<String>,
    /// Of this malware family.
    #[param(min_length = 1, max_length = 200)]
    family: Option<String>,
    /// Of this campaign.
    #[param(min_length = 1, max_length = 200)]
    campaign: Option<String>,
    /// Of this measure.
    #[param(min_length = 1, max_length = 200)]
    measure: Option<String>,
    /// Opened at this time or later.
    opened_since: Option<Timestamp>,
    /// Opened before this time.
    opened_until: Option<Timestamp>,
    /// Most rows on the page; 50 where nothing is said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(max_length = 1024, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

impl CasesQuery {
    pub(super) fn read(self) -> Result<(CaseFilter, u32, Seek), Problem> {
        let page = PageQuery { limit: self.limit, cursor: self.cursor }.read()?;
        let state = |name: &str| CaseState::parse(name).ok_or_else(|| Problem::bad("there is no such state"));
        let named = |what, name| Ok::<_, Problem>(Some(name_of(what, name)?).filter(|name| !name.is_empty()));
        let filter = CaseFilter {
            state: self.state.as_deref().map(state).transpose()?,
            family: named("family", self.family)?,
            campaign: named("campaign", self.campaign)?,
            measure: named("measure", self.measure)?,
            since: self.opened_since,
            until: self.opened_until,
            ..CaseFilter::default()
        };
        let seek =
            page.1.map_or(Ok(Seek::Newest), |cursor| cursor.mark().map(Seek::Older).ok_or_else(no_cursor))?;
        Ok((filter, page.0, seek))
    }
}

/// Which lines of the quarantine.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct QuarantineQuery {
    /// Of this feed.
    #[param(min_length = 1, max_length = 200)]
    feed: Option<String>,
    /// Most rows on the page; 50 where nothing is said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(max_length = 1024, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

impl QuarantineQuery {
    pub(super) fn read(self) -> Result<(String, u32, Option<Cursor>), Problem> {
        let page = PageQuery { limit: self.limit, cursor: self.cursor }.read()?;
        Ok((name_of("feed", self.feed)?, page.0, page.1))
    }
}

fn types() -> Object {
    let names = ClassificationType::ALL.iter().map(|kind| kind.id());
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build()
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// With a higher number than this; `next` of the page before. 0 begins at the beginning.
    #[param(minimum = 0, maximum = 9223372036854775807_i64)]
    after: Option<i64>,
    /// Most events on the page; 50 where nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Of the feed or campaign of this name.
    #[param(min_length = 1, max_length = 200)]
    feed: Option<String>,
    /// Of this RSIT type.
    #[serde(rename = "type")]
    #[param(schema_with = types)]
    kind: Option<String>,
}

impl EventsQuery {
    pub(super) fn read(self) -> Result<EventWish, Problem> {
        let after = u64::try_from(self.after.unwrap_or(0));
        let known = |kind: &String| ClassificationType::parse(kind).is_some();
        if self.kind.as_ref().is_some_and(|kind| !known(kind)) {
            return Err(Problem::bad("RSIT has no such type"));
        }
        Ok(EventWish {
            after: after.map_err(|_| Problem::bad("after is 0 or more"))?,
            limit: limit_of(self.limit, EVENTS_MAX)?,
            feed: self.feed.map(|feed| name_of("feed", Some(feed))).transpose()?,
            kind: self.kind,
        })
    }
}

/// What is said of a step.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Judgement {
    /// Why, in one line.
    #[serde(default)]
    #[schema(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    why: String,
}

impl Judgement {
    pub(super) fn read(self) -> Result<String, Problem> {
        if self.why.is_empty() { Ok(self.why) } else { reason(self.why) }
    }
}

/// What is stopped, or goes on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Switched {
    /// `*` for everything, `channel:sms`, `campaign:NAME`.
    #[schema(schema_with = scopes)]
    scope: String,
    /// Why, in one line.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$"
    )]
    why: String,
}

fn scopes() -> Object {
    let channels: Vec<&str> = noroshi_model::Channel::ALL.iter().map(|channel| channel.id()).collect();
    let pattern = format!(
        "^(\\*|channel:({})|campaign:[^\\u0000-\\u001f\\u007f-\\u009f]{{1,200}})$",
        channels.join("|")
    );
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build()
}

impl Switched {
    pub(super) fn read(self) -> Result<(String, String), Problem> {
        let known = match self.scope.split_once(':') {
            None => self.scope == "*",
            Some(("channel", name)) => noroshi_model::Channel::parse(name).is_some(),
            Some(("campaign", name)) => name_of("campaign", Some(name.to_owned())).is_ok(),
            Some(_) => false,
        };
        if !known {
            return Err(unfit("scope is *, channel:NAME of a way there is, or campaign:NAME"));
        }
        Ok((self.scope, reason(self.why)?))
    }
}

fn unfit(detail: &str) -> Problem {
    Problem::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, detail)
}

fn reason(why: String) -> Result<String, Problem> {
    let fits = why.chars().count() <= CHARS_MAX && !why.contains(char::is_control) && !why.trim().is_empty();
    if fits { Ok(why) } else { Err(unfit("why is one line of 200 characters at most, and says something")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_switched_is_what_there_is() {
        let read = |scope: &str, why: &str| {
            Switched { scope: scope.into(), why: why.into() }.read().map_err(|problem| problem.status)
        };
        for scope in ["*", "channel:sms", "channel:walled-garden", "campaign:gate", "campaign:a:b"] {
            assert!(read(scope, "why").is_ok(), "{scope}");
        }
        for scope in ["", "**", "channel:fax", "channel:", "campaign:", "campaign:\0", "case:1", "campaign"] {
            assert_eq!(read(scope, "why"), Err(422), "{scope}");
        }
        for why in ["", "  ", "a\nb", "\u{0}", &"x".repeat(201)] {
            assert_eq!(read("*", why), Err(422), "{why}");
        }
    }
}
