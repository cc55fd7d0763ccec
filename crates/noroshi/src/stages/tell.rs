//! Telling a subscriber, whatever the way: under a permit of the moment, since consent may have been withdrawn since the step was
//! decided; whom the case is about is opened, then who that is, each look recorded first; what was seen is what is known now.
//!
//! The purpose is a type: [`tell`] finds it by the case's measure, and a [`Teller`] is written once for every [`NoticePurpose`].

use anyhow::{Context as _, anyhow};
use noroshi_act::notice::{Addressee, Facts, LISTED_MAX};
use noroshi_decide::{ask_infection, ask_takedown};
use noroshi_law::{Ask, InfectionNotice, Lawful, NoticePurpose, Permit, Purpose as _, TakedownNotice, Use};
use noroshi_model::link::LINK_LIFE;
use noroshi_model::{Case, CaseState, Channel, Subscriber};
use noroshi_store::StoreError;
use noroshi_store::outbox::Outgoing;

use super::StageError;
use super::outbox::{Fate, settle};
use crate::house::House;
use crate::outgoing;

/// The ways that say the whole notice, so that its wording matters.
pub const IN_A_WORDING: [Channel; 2] = [Channel::Mail, Channel::Letter];

/// A way of telling.
pub trait Teller {
    /// Tells the subscriber, by what a notice says whatever the way; what became of it.
    fn tell<P: NoticePurpose>(
        &self,
        to: Lawful<Subscriber, P>,
        facts: &Facts<'_>,
        about: &About<'_>,
    ) -> Result<Fate, StageError>;
}

/// What a subscriber is told about.
#[derive(Clone, Copy)]
pub struct About<'a> {
    /// Everything at hand.
    pub house: &'a House,
    /// The step that is taken.
    pub handed: &'a Outgoing,
    /// Its case.
    pub case: &'a Case,
}

/// Looks up what was seen, makes the link, and tells.
fn tell_about<P: NoticePurpose>(
    to: Lawful<Subscriber, P>,
    about: &About<'_>,
    teller: &impl Teller,
) -> Result<Fate, StageError> {
    let (house, case, now) = (about.house, about.case, about.house.clock.now());
    let step = &about.handed.step;
    let (seen, seen_total, allotted) = house.store.look("tell.seen", |tx| {
        let seen = tx.sightings(&case.id, LISTED_MAX as u32)?;
        Ok::<_, StoreError>((seen, tx.sighting_count(&case.id)?, tx.wording_of(&case.id)?))
    })?;
    let (wording, templates) = house.wordings.of(allotted.as_deref());
    if allotted.is_some() && IN_A_WORDING.contains(&step.channel) {
        let words = wording.words();
        house.store.tx_together("tell.wording", |tx| tx.say_in_words(&case.id, step.number, &words))?;
    }
    let link_until = now + LINK_LIFE;
    let link = format!("{}/n/{}", house.config.base_url, house.links.token(&case.id, link_until));
    let facts = Facts {
        operator: &house.config.operator,
        case: &case.id,
        message_id: &about.handed.message_id,
        return_path: None,
        dkim: None,
        seen: &seen,
        seen_total,
        guide: house.texts.guides.family(&case.family),
        link: &link,
        portal: &house.config.base_url,
        link_until,
        now,
        texts: &house.texts.notice,
        templates,
    };
    teller.tell(to, &facts, about)
}

/// Takes a step that tells somebody, and writes down what became of it.
pub fn tell(house: &House, handed: &Outgoing, teller: &impl Teller) -> Result<(), StageError> {
    match told(house, handed, teller) {
        Ok(fate) => settle(house, handed, fate).map(drop),
        Err(e) => {
            // Nothing was sent: the step goes back, and the cause is told.
            settle(house, handed, Fate::Later(format!("not sent: {e}")))?;
            Err(e)
        }
    }
}

/// The same, without writing it down.
pub fn told(house: &House, handed: &Outgoing, teller: &impl Teller) -> Result<Fate, StageError> {
    let case = house
        .store
        .look("tell.case", |tx| tx.case(&handed.step.case))?
        .context("a step in the outbox belongs to no case")?;
    if !case.state.is_open() || case.state == CaseState::Held {
        return Ok(Fate::Stopped(format!("the case is {}", case.state)));
    }
    let about = About { house, handed, case: &case };
    match case.measure.as_str() {
        TakedownNotice::MEASURE => under::<TakedownNotice>(&about, ask_takedown, teller),
        InfectionNotice::MEASURE => under::<InfectionNotice>(&about, ask_infection, teller),
        other => Err(StageError::Failed(anyhow!("no way to tell anybody under measure '{other}'"))),
    }
}

fn under<P: NoticePurpose>(
    about: &About<'_>,
    ask: fn(Use) -> Ask,
    teller: &impl Teller,
) -> Result<Fate, StageError> {
    let (house, case) = (about.house, about.case);
    // Whom it concerns is known: who has opted out of a measure by consent is refused by the rules, before any look.
    let permit = match house.permit::<P>(ask(Use::Notify), &case.party).map_err(StageError::Failed)? {
        Ok(permit) => permit,
        Err(refusal) => return Ok(Fate::Stopped(refusal.to_string())),
    };
    // The others need no consent to be told, and their wish not to be is honoured all the same.
    if house.store.look("tell.consent", |tx| tx.opted_out(&case.party, P::MEASURE))? {
        house
            .gate()
            .honour_opt_out(&permit, &case.party, house.clock.now(), &mut house.evidence())
            .map_err(anyhow::Error::from)?;
        return Ok(Fate::Stopped("the subscriber has opted out".into()));
    }
    match subscriber(about, &permit)? {
        Some(subscriber) => tell_about(subscriber, about, teller),
        None => Ok(Fate::Stopped("the directory no longer has this contract".into())),
    }
}

/// Opens whom the case is about, and who that is.
fn subscriber<P: NoticePurpose>(
    about: &About<'_>,
    permit: &Permit<P>,
) -> Result<Option<Lawful<Subscriber, P>>, StageError> {
    let (house, now) = (about.house, about.house.clock.now());
    let sealed = house.store.look("tell.addressee", |tx| tx.addressee(&about.case.id))?;
    let sealed = sealed.context("nobody knows any more whom the case is about")?;
    let sealed = outgoing::unpack(&sealed).context("the addressee of a case is damaged")?;
    let addressees: Lawful<Vec<Addressee>, P> = house
        .vault
        .open(&[sealed], &about.handed.message_id, permit, now, &mut house.evidence())
        .context("the addressee of a case cannot be opened")?;
    let contract = &addressees.read().first().context("a case is about nobody")?.contract;
    let Some(sealed) = house.directory.subscriber(contract).map_err(anyhow::Error::from)? else {
        return Ok(None);
    };
    let subject = format!("contract {}", contract.as_str());
    let subscriber = house
        .vault
        .open_one(sealed, &subject, permit, now, &mut house.evidence())
        .context("the directory entry cannot be opened")?;
    Ok(Some(subscriber))
}
