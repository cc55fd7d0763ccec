//! Short messages: posted to the operator's gateway under an id that stays the same, so that one whose answer was lost is
//! posted again and arrives once.

use noroshi_act::notice::Facts;
use noroshi_act::short::compose;
use noroshi_law::{Lawful, NoticePurpose};
use noroshi_model::{Channel, Subscriber};

use super::StageError;
use super::outbox::{self, Fate};
use super::tell::{About, Teller, tell};
use crate::house::House;
use crate::ladder::{Posted, Webhook};

/// What a gateway is told that a post is.
const WHAT: &str = "notice.short";

/// Posts one message that is due.
pub fn step(house: &House) -> Result<usize, StageError> {
    let Some(gateway) = &house.config.reach.gateway else { return Ok(0) };
    let due = outbox::claim(house, Channel::Sms, 1)?;
    for message in &due {
        tell(house, message, &Poster(gateway))?;
    }
    Ok(due.len())
}

struct Poster<'a>(&'a Webhook);

impl Teller for Poster<'_> {
    fn tell<P: NoticePurpose>(
        &self,
        to: Lawful<Subscriber, P>,
        facts: &Facts<'_>,
        about: &About<'_>,
    ) -> Result<Fate, StageError> {
        let message = match compose(to, facts) {
            Ok(message) => message,
            Err(e) => return Ok(Fate::Refused(e.to_string())),
        };
        let data = serde_json::to_value(message.read()).map_err(anyhow::Error::from)?;
        Ok(match self.0.post(&about.handed.key(), WHAT, &data, about.house.clock.now()) {
            Posted::Taken(reply) => Fate::Accepted(reply),
            Posted::Refused(reply) => Fate::Refused(reply),
            Posted::Later(reply) => Fate::Later(reply),
        })
    }
}

/// What a dead process was posting is posted again: the gateway knows its id.
pub fn recover(house: &House, alone: bool) -> Result<usize, StageError> {
    outbox::again(house, Channel::Sms, alone, "posted again under the same id")
}
