//! What people decide: to list, to take out, to hear an objection.

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use noroshi_model::Id;
use noroshi_site::{Address, Threat};
use noroshi_store::site_words::SiteWord;
use noroshi_store::sites::{Site, SiteListing, SiteObjection, SiteState};

use super::By;
use super::known::{BY_HAND, Judge, address};
use crate::house::House;

/// Bytes of a reason or a name at most.
const TEXT_BYTES_MAX: usize = 2000;

/// Lists a site by hand.
pub fn add(house: &House, text: &str, threat: &str, by: &By) -> anyhow::Result<()> {
    let (address, judge, now) = (address(text)?, Judge::new(house)?, house.clock.now());
    let person = people(&judge, &address, by)?;
    ensure!(Threat::parse(threat).is_some(), "no kind of harm is called {threat}");
    house.note(&person, &format!("listed the site {}: {}", address.defanged(), by.why))?;
    let site = seen(&address, SiteState::Listed, now);
    let listing = SiteListing {
        address: address.key(),
        source: BY_HAND.into(),
        threat: threat.into(),
        first: now,
        last: now,
    };
    house.store.tx("site.add", |tx| {
        tx.see_site(&site)?;
        tx.put_site_listing(&listing)?;
        tx.decide_site(&site.address, SiteState::Listed, &by.why, &person, now)?;
        tx.answer_site_objections(&site.address, &by.why, &person, now)?;
        tx.drop_site_words(&site.address)
    })?;
    Ok(())
}

/// Takes a site out.
pub fn remove(house: &House, text: &str, by: &By) -> anyhow::Result<()> {
    let (address, judge, now) = (address(text)?, Judge::new(house)?, house.clock.now());
    let key = known(house, &address)?;
    let person = people(&judge, &address, by)?;
    house.note(&person, &format!("took out the site {}: {}", address.defanged(), by.why))?;
    house.store.tx("site.remove", |tx| {
        tx.decide_site(&key, SiteState::Removed, &by.why, &person, now)?;
        tx.answer_site_objections(&key, &by.why, &person, now)?;
        tx.drop_site_words(&key)
    })?;
    Ok(())
}

/// Takes in an objection.
pub fn object(house: &House, text: &str, from: &str, by: &By) -> anyhow::Result<()> {
    let (address, now) = (address(text)?, house.clock.now());
    let key = known(house, &address)?;
    let person = names(by)?;
    ensure!((1..=TEXT_BYTES_MAX).contains(&from.len()), "--from has from 1 to {TEXT_BYTES_MAX} bytes");
    house.note(&person, &format!("took in an objection to the site {}", address.defanged()))?;
    let id = Id::of(
        "site-objection",
        &[key.as_bytes(), from.as_bytes(), by.why.as_bytes(), &now.as_millisecond().to_be_bytes()],
    );
    let one = SiteObjection {
        id,
        address: key.clone(),
        said: by.why.clone(),
        by_whom: from.to_owned(),
        at: now,
        answer: None,
        answered_by: None,
    };
    house.store.tx("site.object", |tx| {
        tx.put_site_objection(&one)?;
        tx.decide_site(&key, SiteState::Objected, &by.why, &person, now)
    })?;
    Ok(())
}

/// A record of a site that is seen now.
pub fn seen(address: &Address, state: SiteState, now: Timestamp) -> Site {
    Site {
        address: address.key(),
        host: address.host_text(),
        place: address.is_place(),
        state,
        why: String::new(),
        person: String::new(),
        first: now,
        last: now,
        changed: now,
        life: None,
        checked: None,
        due: now,
    }
}

fn known(house: &House, address: &Address) -> anyhow::Result<String> {
    let key = address.key();
    let site = house.store.look("site", |tx| tx.site(&key))?;
    site.with_context(|| format!("there is no site {}; `noroshi site list` shows them", address.defanged()))?;
    Ok(key)
}

fn names(by: &By) -> anyhow::Result<String> {
    let fits =
        |text: &str| (1..=TEXT_BYTES_MAX).contains(&text.trim().len()) && !text.chars().any(char::is_control);
    ensure!(by.people.len() <= 2 && by.people.iter().all(|name| fits(name)), "--by NAME, once or twice");
    ensure!(fits(&by.why), "--why has from 1 to {TEXT_BYTES_MAX} bytes, on one line");
    Ok(by.people.iter().map(|name| name.trim()).collect::<Vec<_>>().join(" and "))
}

/// The warning lists that make two people necessary.
fn warnings_of_whole(judge: &Judge, address: &Address) -> Vec<String> {
    if address.is_place() { Vec::new() } else { judge.warnings(address) }
}

/// Whether it takes two people to list a site or to take it out.
pub fn takes_two(judge: &Judge, address: &Address) -> bool {
    !warnings_of_whole(judge, address).is_empty()
}

/// Keeps what one person wants done with a site until another says the same; gives back that other's word, where it was kept after a time and
/// just now.
pub fn ask_second(
    house: &House,
    address: &Address,
    word: &SiteWord,
    after: Timestamp,
) -> anyhow::Result<Option<SiteWord>> {
    if word.threat.is_none() {
        known(house, address)?;
    }
    let by = By { people: vec![word.person.clone()], why: word.why.clone() };
    let person = names(&by)?;
    let what = if word.threat.is_some() { "listed" } else { "taken out" };
    let did =
        format!("wants the site {} {what}, which takes a second person: {}", address.defanged(), by.why);
    house.note(&person, &did)?;
    Ok(house.store.tx("site.word", |tx| {
        tx.put_site_word(word)?;
        tx.site_word_like(word, after)
    })?)
}

/// Who decides: two people where a popular name as a whole is concerned.
fn people(judge: &Judge, address: &Address, by: &By) -> anyhow::Result<String> {
    let names = names(by)?;
    let warnings = warnings_of_whole(judge, address);
    if let Some(warning) = warnings.first() {
        let two =
            matches!(by.people.as_slice(), [one, other] if !one.trim().eq_ignore_ascii_case(other.trim()));
        ensure!(
            two,
            "{} is on the warning list \"{warning}\": two people have to say so (--by ONE --by OTHER); a single URL of it \
             needs one",
            address.defanged()
        );
    }
    Ok(names)
}
