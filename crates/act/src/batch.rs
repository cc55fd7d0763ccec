//! Lines for people who print letters or make calls: one batch is a table that their own programs read (CSV, RFC 4180).
//!
//! Each line says everything that is needed to tell one subscriber, in their language, and nothing that is not.

use noroshi_law::{Lawful, NoticePurpose};
use noroshi_model::{Subscriber, code};
use noroshi_wire::out::csv;

use crate::notice::{Facts, NoticeError, says};
use crate::short::{phone, words};
use crate::template;

/// Columns of a batch of letters.
pub const LETTER: [&str; 7] = ["reference", "language", "name", "address", "code", "subject", "text"];
/// Columns of a list of calls.
pub const CALL: [&str; 7] = ["reference", "language", "name", "phone", "malware", "last_seen", "say"];

/// A line for whoever prints letters: the text of the notice, with the code and without a link that would have to be typed.
pub fn letter<P: NoticePurpose>(
    to: Lawful<Subscriber, P>,
    facts: &Facts<'_>,
) -> Result<Lawful<Vec<u8>, P>, NoticeError> {
    let mut failed = None;
    let line = to.and_then(|to| {
        let address = to.address.clone()?;
        let mut says = says(&to, P::MEASURE, facts);
        if !says.has_page {
            // Where to type the code, for who has no link to follow.
            (says.has_page, says.link) = (true, facts.portal.to_owned());
        }
        let text = facts.templates.render(template::TEXT, &says).map_err(|e| failed = Some(e)).ok()?;
        let cells = [
            facts.case.reference(),
            to.lang.tag().to_owned(),
            to.name.clone(),
            address,
            code::code(facts.case),
            says.t["subject"].clone(),
            text,
        ];
        Some(csv::line(&cells))
    });
    match failed {
        Some(e) => Err(NoticeError::Compose(e.to_string())),
        None => line.ok_or(NoticeError::Address("postal")),
    }
}

/// A line for whoever makes calls.
pub fn call<P: NoticePurpose>(
    to: Lawful<Subscriber, P>,
    facts: &Facts<'_>,
) -> Result<Lawful<Vec<u8>, P>, NoticeError> {
    let line = to.and_then(|to| {
        let cells = [
            facts.case.reference(),
            to.lang.tag().to_owned(),
            to.name.clone(),
            phone(to.phone.as_deref()?)?,
            facts.guide.name.of(to.lang).to_owned(),
            facts.seen.first().map(|(at, _)| crate::notice::jst(*at)).unwrap_or_default(),
            words(&to, facts),
        ];
        Some(csv::line(&cells))
    });
    line.ok_or(NoticeError::Address("telephone"))
}

/// Adds a line to a batch.
pub fn add<P: NoticePurpose>(batch: &mut Vec<u8>, line: &Lawful<Vec<u8>, P>) {
    batch.extend_from_slice(line.read());
}
