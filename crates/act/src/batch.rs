//! Lines for people who print letters or make calls: one batch is a table that their own programs read (CSV, RFC 4180).
//!
//! Each line says everything that is needed to tell one subscriber, in their language, and nothing that is not.

use noroshi_law::{Lawful, NoticePurpose};
use noroshi_model::{Subscriber, code};
use noroshi_wire::out::csv;

use crate::notice::{Facts, NoticeError, Operator, says};
use crate::short::{phone, words};
use crate::template;

/// Columns of a batch of letters.
pub const LETTER: [&str; 7] = ["reference", "language", "name", "address", "code", "subject", "text"];
/// Columns of a list of calls.
pub const CALL: [&str; 7] = ["reference", "language", "name", "phone", "malware", "last_seen", "say"];

/// A line for whoever prints letters: the text of the notice, with the code and the address of a page that can be typed, in place
/// of a link that cannot.
pub fn letter<P: NoticePurpose>(
    to: Lawful<Subscriber, P>,
    facts: &Facts<'_>,
) -> Result<Lawful<Vec<u8>, P>, NoticeError> {
    let mut failed = None;
    let line = to.and_then(|to| {
        let address = to.address.clone()?;
        let page = facts.operator.page.clone().unwrap_or_else(|| facts.portal.to_owned());
        let operator = Operator { page: Some(page), ..facts.operator.clone() };
        let says = says(&to, P::MEASURE, &Facts { operator: &operator, link: facts.portal, ..*facts });
        let text = facts.templates.render(template::TEXT, &says).map_err(|e| failed = Some(e)).ok()?;
        let subject = facts.templates.subject(&says).map_err(|e| failed = Some(e)).ok()?;
        let cells = [
            facts.case.reference(),
            to.lang.tag().to_owned(),
            to.name.clone(),
            address,
            code::code(facts.case),
            subject,
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
