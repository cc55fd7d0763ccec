//! Messages of a queue on their way to the log: each is a report of its own, and its number in the stream is its place.
//! Many are stored in one transaction.

use std::io::Cursor;

use indicatif::ProgressBar;
use noroshi_model::intake::SNIPPET_BYTES_MAX;
use noroshi_model::{Bad, Tally};
use noroshi_wire::unpack;

use super::{Batch, FeedOrigin, FeedSource, Origin, Source, take};
use crate::house::House;

/// Takes in messages, each with its number. `stream` is what they are said to come from.
pub fn take_messages(
    house: &House,
    feed: &FeedSource<'_>,
    stream: &str,
    identity: Vec<u8>,
    messages: Vec<(u64, Vec<u8>)>,
) -> anyhow::Result<Tally> {
    let under = feed.campaign.as_ref().map_or(&feed.report.feed_name, |campaign| &campaign.name);
    // The queue gives again what was not acknowledged, not where it was.
    let source = Source {
        kind: "feed",
        campaign: under,
        file: stream.to_owned(),
        identity,
        again: false,
        measure: feed.campaign.as_ref().map(|campaign| campaign.measure.as_str()),
        keep: feed.keep.clone(),
        generation: 0,
    };
    let mut origin = Messages { house, feed, messages: messages.into_iter(), now: None };
    Ok(take(house, &source, &mut origin, &ProgressBar::hidden())?.counts)
}

/// Messages being read.
struct Messages<'a> {
    house: &'a House,
    feed: &'a FeedSource<'a>,
    messages: std::vec::IntoIter<(u64, Vec<u8>)>,
    /// Its number, its bytes, and what reads it.
    now: Option<(u64, Vec<u8>, FeedOrigin<'a>)>,
}

impl Origin for Messages<'_> {
    fn step(&mut self, batch: &mut Batch) -> anyhow::Result<bool> {
        if let Some((number, bytes, origin)) = &mut self.now {
            match origin.step(batch) {
                Ok(true) => {}
                Ok(false) => self.now = None,
                // What is torn is torn in one message; the others go on.
                Err(e) => {
                    batch.bad(unusable(*number, &e, bytes), false);
                    self.now = None;
                }
            }
            return Ok(true);
        }
        let Some((number, bytes)) = self.messages.next() else { return Ok(false) };
        match self.open(number, bytes.clone()) {
            Ok(origin) => self.now = Some((number, bytes, origin)),
            Err(e) => batch.bad(unusable(number, &e, &bytes), false),
        }
        Ok(true)
    }

    fn complete(&self, batch: &mut Batch) {
        self.feed.enrichment.name(batch);
    }
}

impl<'a> Messages<'a> {
    fn open(&self, number: u64, bytes: Vec<u8>) -> anyhow::Result<FeedOrigin<'a>> {
        let mut members = unpack(Box::new(Cursor::new(bytes)))?;
        let member = members.next().ok_or_else(|| anyhow::anyhow!("an archive without a file in it"))??;
        let opened = noroshi_feed::open(self.feed.bundle, &self.feed.report, member.input)?;
        Ok(FeedOrigin::new(self.house, self.feed, &self.feed.report, opened).numbered(number))
    }
}

fn unusable(number: u64, error: &anyhow::Error, bytes: &[u8]) -> Bad {
    let snippet = bytes[..bytes.len().min(SNIPPET_BYTES_MAX)].to_vec();
    Bad { line: number, reason: format!("{error:#}"), snippet, bytes: bytes.len() as u64 }
}
