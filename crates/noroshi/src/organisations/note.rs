//! What a telescope saw of organisations' addresses, written down: the alert and, where its organisation may be told now, the message that
//! tells it, in one transaction. What has to wait is released when its organisation's pause is over.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use jiff::Timestamp;
use noroshi_act::alert;
use noroshi_model::organisation::{Alert, Organisation, Seen};
use noroshi_store::{StoreError, Tx};

use crate::house::House;

/// Sightings written in one transaction.
const AT_ONCE: usize = 500;

/// Ranges in force, and whose they are.
pub type Ranges = Vec<(IpNet, String)>;

/// The ranges that are proven now.
pub fn in_force(house: &House) -> Result<Ranges, StoreError> {
    let all = house.store.look("organisation.ranges", |tx| tx.ranges(None))?;
    Ok(all
        .into_iter()
        .filter(|range| range.proven.is_some())
        .map(|range| (range.prefix, range.organisation))
        .collect())
}

/// Writes down what was seen of organisations' addresses; how many alerts are new, or seen again after some quiet.
pub fn note(house: &House, seen: &[(String, Seen)]) -> Result<usize, StoreError> {
    let mut new = 0;
    for some in seen.chunks(AT_ONCE) {
        let now = house.clock.now();
        new += house.store.tx("alert.note", |tx| note_some(house, tx, some, now))?;
    }
    Ok(new)
}

fn note_some(
    house: &House,
    tx: &mut Tx<'_>,
    seen: &[(String, Seen)],
    now: Timestamp,
) -> Result<usize, StoreError> {
    let quiet = house.config.alerts.pacing.quiet;
    let (mut mutes, mut new) = (BTreeMap::new(), BTreeSet::new());
    let mut count = 0;
    for (key, seen) in seen {
        if !mutes.contains_key(key) {
            mutes.insert(key.clone(), tx.mutes(key, now)?);
        }
        let muted = mutes.get(key).is_some_and(|all| all.iter().any(|mute| mute.prefix.contains(&seen.ip)));
        let known = tx.alert(&Alert::id(key, seen.ip, seen.role))?;
        let before = known.as_ref().map(|alert| alert.episode);
        let alert = alert::note(known, key, seen, muted, quiet, now);
        if before != Some(alert.episode) {
            count += 1;
        }
        if alert.message.is_none() && !muted {
            new.insert(key);
        }
        tx.put_alert(&alert)?;
    }
    for key in new {
        // Who is not registered any more is told nothing.
        if let Some(one) = tx.organisation(key)?.filter(|one| one.next.is_none_or(|next| next <= now)) {
            tell(house, tx, &one, now)?;
        }
    }
    Ok(count)
}

fn tell(house: &House, tx: &mut Tx<'_>, one: &Organisation, now: Timestamp) -> Result<(), StoreError> {
    let told = alert::told(one, &house.config.alerts.pacing, now);
    let addresses = tx.tell_organisation(&told, now)?;
    tracing::info!(organisation = one.key, message = told.messages, addresses, "told");
    Ok(())
}

/// Makes messages of what waited for its organisation's pause to be over; whether there was something.
pub fn release(house: &House) -> Result<bool, StoreError> {
    let now = house.clock.now();
    let due = house.store.look("alert.due", |tx| tx.organisations_due(now))?;
    for one in &due {
        house.store.tx("alert.release", |tx| {
            // Somebody else may have told it meanwhile.
            match tx.organisation(&one.key)?.filter(|one| one.next.is_none_or(|next| next <= now)) {
                Some(one) => tell(house, tx, &one, now),
                None => Ok(()),
            }
        })?;
    }
    Ok(!due.is_empty())
}
