//! Whether a line was seen again, for who asks: 59 of 67 who came back to such a page had improved (Am I Infected?, arXiv
//! 2501.07326). Not seen is said only where a sensor would have seen it.

use jiff::{SignedDuration, Timestamp};
use noroshi_model::outcome::Recheck;

/// A sighting this young says that the device is infected still.
const STILL: SignedDuration = SignedDuration::from_hours(24);

/// What can be said now. `since` is when the subscriber said it is done, or else when the case was opened; `watched` is when the
/// feed last told of anybody.
pub fn recheck(
    last_seen: Timestamp,
    since: Timestamp,
    watched: Option<Timestamp>,
    now: Timestamp,
) -> Recheck {
    let watched = watched.unwrap_or(last_seen);
    if last_seen > since || now.duration_since(last_seen) < STILL {
        return Recheck::Seen(last_seen);
    }
    match watched > since && watched.duration_since(last_seen) >= STILL {
        true => Recheck::NotSeen { last: last_seen, watched },
        false => Recheck::Unknown(last_seen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_seen_is_said_only_where_a_sensor_would_have_seen_it() {
        let at = |hours: i64| Timestamp::from_second(1_790_000_000 + hours * 3600).unwrap();
        let asked =
            |last, since, watched: Option<i64>, now| recheck(at(last), at(since), watched.map(at), at(now));
        assert_eq!(asked(0, 10, Some(90), 100), Recheck::NotSeen { last: at(0), watched: at(90) });
        assert_eq!(asked(20, 10, Some(90), 100), Recheck::Seen(at(20)), "after it was done");
        assert_eq!(asked(0, 1, Some(5), 20), Recheck::Seen(at(0)), "too young to say");
        assert_eq!(asked(0, 10, Some(5), 100), Recheck::Unknown(at(0)), "the feed is silent");
        assert_eq!(asked(0, 10, None, 100), Recheck::Unknown(at(0)));
    }
}
