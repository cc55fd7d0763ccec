//! An accounting record as assignments: one for each address or prefix it names.

use std::io::Read;

use jiff::SignedDuration;
use noroshi_law::Sealed;

use super::accounting::{Accounting, BadSealed, ClockSample, Details, Status};
use crate::assignment::{Assignment, Change, Given, Whom};
use crate::lines::LinesError;

impl Accounting {
    /// What the record says of who held what. Accounting-On and -Off are a [`Change::Reset`] each: both mean that every
    /// session of the server is over (RFC 2866 §5.1). A record without an address names its session only.
    pub fn assignments(&self) -> Vec<Assignment> {
        let change = match self.status {
            Status::Start => Change::Start,
            Status::Interim => Change::Interim,
            Status::Stop => Change::Stop,
            Status::On | Status::Off => Change::Reset,
        };
        let at = self.at();
        let began = self.session_time_s.filter(|_| change != Change::Reset);
        let began = began.and_then(|s| at.checked_sub(SignedDuration::from_secs(s.into())).ok());
        let nameless = Assignment {
            change,
            given: None,
            whom: None,
            at,
            until: None,
            began,
            server: self.nas.clone(),
            session: None,
            clock_offset_s: self.clock_offset_s(),
            line: self.line,
        };
        if change == Change::Reset {
            return vec![nameless];
        }
        let session =
            Assignment { whom: self.user.clone().map(Whom::Line), session: self.session.clone(), ..nameless };
        if self.framed.is_empty() {
            return vec![session];
        }
        let given = |net| Assignment { given: Some(Given { net, ports: None }), ..session.clone() };
        self.framed.iter().copied().map(given).collect()
    }

    /// The same under seal, with what the record tells of its server's clock.
    pub(super) fn sealed_assignments(&self) -> (Vec<Sealed<Assignment>>, ClockSample) {
        (self.assignments().into_iter().map(Sealed::new).collect(), ClockSample::of(self))
    }
}

/// The assignments of a `detail` file, record by record; made by [`Details::assignments`].
#[derive(Debug)]
pub struct DetailAssignments<R> {
    details: Details<R>,
}

impl<R: Read> Details<R> {
    /// Reads on as assignments.
    pub fn assignments(self) -> DetailAssignments<R> {
        DetailAssignments { details: self }
    }
}

impl<R: Read> DetailAssignments<R> {
    /// See [`Details::offset`].
    pub fn offset(&self) -> u64 {
        self.details.offset()
    }

    /// See [`Details::lines`].
    pub fn lines(&self) -> u64 {
        self.details.lines()
    }
}

impl<R: Read> Iterator for DetailAssignments<R> {
    type Item = Result<Result<(Vec<Sealed<Assignment>>, ClockSample), BadSealed>, LinesError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.details.read()?.map(|record| record.map(|record| record.sealed_assignments())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record() -> Accounting {
        Accounting {
            status: Status::Interim,
            nas: "192.0.2.1".into(),
            session: Some("0000A1B2".into()),
            user: Some("sub000123@example.ne.jp".into()),
            framed: vec!["198.51.100.77/32".parse().unwrap(), "2001:db8:12:3400::/56".parse().unwrap()],
            session_time_s: Some(300),
            delay_s: 2,
            received: "2026-11-22T11:07:52Z".parse().unwrap(),
            nas_time: Some("2026-11-22T20:07:50Z".parse().unwrap()),
            nas_time_unread: false,
            line: 7,
            terminate_cause: None,
            proxied: false,
        }
    }

    #[test]
    fn each_address_is_an_assignment_that_began_when_the_session_did() {
        let both = record().assignments();
        assert_eq!(both.len(), 2);
        for (assignment, net) in both.iter().zip(record().framed) {
            assert_eq!(assignment.change, Change::Interim);
            assert_eq!(assignment.given, Some(Given { net, ports: None }));
            assert_eq!(assignment.whom, Some(Whom::Line("sub000123@example.ne.jp".into())));
            assert_eq!(assignment.at.to_string(), "2026-11-22T11:07:50Z");
            assert_eq!(assignment.began.unwrap().to_string(), "2026-11-22T11:02:50Z");
            assert_eq!((assignment.until, assignment.line), (None, 7));
            assert_eq!(
                (assignment.server.as_str(), assignment.session.as_deref()),
                ("192.0.2.1", Some("0000A1B2"))
            );
            assert_eq!(assignment.clock_offset_s, Some(9 * 3600));
        }
    }

    #[test]
    fn on_and_off_reset_the_server_and_say_nothing_of_anybody() {
        for status in [Status::On, Status::Off] {
            let reset = Accounting { status, ..record() }.assignments().remove(0);
            assert_eq!((reset.change, reset.given, reset.whom), (Change::Reset, None, None));
            assert_eq!((reset.session, reset.began, reset.server.as_str()), (None, None, "192.0.2.1"));
        }
    }

    #[test]
    fn a_stop_without_an_address_names_its_session() {
        let stop = Accounting { status: Status::Stop, framed: Vec::new(), ..record() }.assignments();
        assert_eq!(stop.len(), 1);
        assert_eq!((stop[0].change, stop[0].given), (Change::Stop, None));
        assert_eq!(stop[0].session.as_deref(), Some("0000A1B2"));
    }

    #[test]
    fn a_detail_file_is_read_as_assignments_with_its_bad_records() {
        let text = "h\n\tAcct-Status-Type = Stop\n\tAcct-Session-Id = \"1\"\n\tNAS-IP-Address = 192.0.2.1\n\
            \tFramed-IP-Address = 198.51.100.7\n\tTimestamp = 1795345672\n\nh\n\tTimestamp = 1795345672\n\n";
        let mut found = super::super::read_detail(text.as_bytes()).assignments();
        let (sealed, clock) = found.next().unwrap().unwrap().unwrap();
        assert_eq!((sealed.len(), clock.nas.as_str()), (1, "192.0.2.1"));
        let bad = found.next().unwrap().unwrap().unwrap_err();
        assert_eq!((bad.line, bad.reason.as_str()), (8, "Acct-Status-Type is missing"));
        assert!(found.next().is_none());
        assert_eq!(found.offset(), text.len() as u64);
    }

    proptest! {
        #[test]
        fn any_session_time_gives_a_time_or_none(session_time: u32, received in -3_000_000_000i64..8_000_000_000) {
            let received = jiff::Timestamp::from_second(received).unwrap();
            let record = Accounting { session_time_s: Some(session_time), received, ..record() };
            let assignment = record.assignments().remove(0);
            prop_assert!(assignment.began.is_some_and(|began| began <= assignment.at));
        }
    }
}
